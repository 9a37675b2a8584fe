# Written by tools/scalar.py from rule.py; do not edit.
# fmt: off
# ruff: noqa
"""What `crossmargin.margin.cme.rule` says of one account, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from crossmargin.margin.portfolios import Portfolios


def v_cme(
    hvar: Portfolios,
) -> Portfolios:
    hvar_cash, hvar_futures, hvar_combined, hvar_other, hvar_all = hvar
    return (hvar_cash if hvar_cash > 0.0 else 0.0, hvar_futures if hvar_futures > 0.0 else 0.0, hvar_combined if hvar_combined > 0.0 else 0.0, hvar_other if hvar_other > 0.0 else 0.0, hvar_all if hvar_all > 0.0 else 0.0)


def larger(
    one: Portfolios,
    other: Portfolios,
) -> Portfolios:
    one_cash, one_futures, one_combined, one_other, one_all = one
    other_cash, other_futures, other_combined, other_other, other_all = other
    return (one_cash if one_cash > other_cash else other_cash, one_futures if one_futures > other_futures else other_futures, one_combined if one_combined > other_combined else other_combined, one_other if one_other > other_other else other_other, one_all if one_all > other_all else other_all)


def v_cme_stressed(
    historical_weight: float,
    hvar: Portfolios,
    svar: Portfolios,
) -> Portfolios:
    hvar_cash, hvar_futures, hvar_combined, hvar_other, hvar_all = hvar
    svar_cash, svar_futures, svar_combined, svar_other, svar_all = svar
    stressed_weight = 1.0 - historical_weight
    mean_cash = historical_weight * hvar_cash + stressed_weight * svar_cash
    mean_futures = historical_weight * hvar_futures + stressed_weight * svar_futures
    mean_combined = historical_weight * hvar_combined + stressed_weight * svar_combined
    mean_other = historical_weight * hvar_other + stressed_weight * svar_other
    mean_all = historical_weight * hvar_all + stressed_weight * svar_all
    return (mean_cash if mean_cash > 0.0 else 0.0, mean_futures if mean_futures > 0.0 else 0.0, mean_combined if mean_combined > 0.0 else 0.0, mean_other if mean_other > 0.0 else 0.0, mean_all if mean_all > 0.0 else 0.0)


def v_span(
    scan: Portfolios,
    intra: Portfolios,
    delivery: Portfolios,
    credit: Portfolios,
) -> Portfolios:
    scan_cash, scan_futures, scan_combined, scan_other, scan_all = scan
    intra_cash, intra_futures, intra_combined, intra_other, intra_all = intra
    delivery_cash, delivery_futures, delivery_combined, delivery_other, delivery_all = delivery
    credit_cash, credit_futures, credit_combined, credit_other, credit_all = credit
    total_cash = scan_cash + intra_cash + delivery_cash + credit_cash
    total_futures = scan_futures + intra_futures + delivery_futures + credit_futures
    total_combined = scan_combined + intra_combined + delivery_combined + credit_combined
    total_other = scan_other + intra_other + delivery_other + credit_other
    total_all = scan_all + intra_all + delivery_all + credit_all
    return (total_cash if total_cash > 0.0 else 0.0, total_futures if total_futures > 0.0 else 0.0, total_combined if total_combined > 0.0 else 0.0, total_other if total_other > 0.0 else 0.0, total_all if total_all > 0.0 else 0.0)


def scan_loss(
    gain: float,
    largest: float,
) -> float:
    return abs(gain) * largest


def spread_delta(
    net: float,
    gain: float,
) -> float:
    along = net * gain
    return net if along > 0.0 else 0.0


def held_on_side(
    deltas: Sequence[float],
    side: float,
) -> float:
    total = 0.0
    for delta in deltas:
        held = side * delta
        total = total + (held if held > 0.0 else 0.0)
    return total
