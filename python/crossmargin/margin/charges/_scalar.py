# Written by tools/scalar.py from rule.py; do not edit.
# fmt: off
# ruff: noqa
"""What `crossmargin.margin.charges.rule` says of one account, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from crossmargin.margin.portfolios import Portfolios


def net_cost(
    net: Sequence[float],
    rate: Sequence[float],
) -> float:
    total = 0.0
    for exposure, each in zip(net, rate, strict=True):
        total = total + abs(exposure) * each
    return total


def beyond_volume(
    contracts: Sequence[float],
    volume: Sequence[float],
    rate: Sequence[float],
    threshold: float,
) -> float:
    total = 0.0
    for held, traded, each in zip(contracts, volume, rate, strict=True):
        beyond = held - threshold * traded
        total = total + each * (beyond if beyond > 0.0 else 0.0)
    return total


def above_share(
    cost: Portfolios,
    v: Portfolios,
    threshold: float,
) -> Portfolios:
    cost_cash, cost_futures, cost_combined, cost_other, cost_all = cost
    v_cash, v_futures, v_combined, v_other, v_all = v
    return (cost_cash if cost_cash > threshold * v_cash else 0.0, cost_futures if cost_futures > threshold * v_futures else 0.0, cost_combined if cost_combined > threshold * v_combined else 0.0, cost_other if cost_other > threshold * v_other else 0.0, cost_all if cost_all > threshold * v_all else 0.0)


def rate_of(
    amount: Portfolios,
    rate: float,
) -> Portfolios:
    amount_cash, amount_futures, amount_combined, amount_other, amount_all = amount
    return (rate * amount_cash, rate * amount_futures, rate * amount_combined, rate * amount_other, rate * amount_all)
