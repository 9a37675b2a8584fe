# Written by tools/scalar.py from rule.py; do not edit.
# fmt: off
# ruff: noqa
"""What `crossmargin.margin.ficc.rule` says of one account, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from crossmargin.margin.portfolios import Portfolios
from math import sqrt


def v_ficc(
    var: Portfolios,
    minimum: Portfolios,
    floor: Portfolios,
) -> Portfolios:
    var_cash, var_futures, var_combined, var_other, var_all = var
    minimum_cash, minimum_futures, minimum_combined, minimum_other, minimum_all = minimum
    floor_cash, floor_futures, floor_combined, floor_other, floor_all = floor
    measured_cash = var_cash if var_cash > minimum_cash else minimum_cash
    measured_futures = var_futures if var_futures > minimum_futures else minimum_futures
    measured_combined = var_combined if var_combined > minimum_combined else minimum_combined
    measured_other = var_other if var_other > minimum_other else minimum_other
    measured_all = var_all if var_all > minimum_all else minimum_all
    return (measured_cash if measured_cash > floor_cash else floor_cash, measured_futures if measured_futures > floor_futures else floor_futures, measured_combined if measured_combined > floor_combined else floor_combined, measured_other if measured_other > floor_other else floor_other, measured_all if measured_all > floor_all else floor_all)


def v_ficc_haircut(
    var: Portfolios,
    minimum: Portfolios,
    floor: Portfolios,
    haircut: Portfolios,
) -> Portfolios:
    var_cash, var_futures, var_combined, var_other, var_all = var
    minimum_cash, minimum_futures, minimum_combined, minimum_other, minimum_all = minimum
    floor_cash, floor_futures, floor_combined, floor_other, floor_all = floor
    haircut_cash, haircut_futures, haircut_combined, haircut_other, haircut_all = haircut
    total_cash = (var_cash if var_cash > 0.0 else 0.0) + haircut_cash
    total_futures = (var_futures if var_futures > 0.0 else 0.0) + haircut_futures
    total_combined = (var_combined if var_combined > 0.0 else 0.0) + haircut_combined
    total_other = (var_other if var_other > 0.0 else 0.0) + haircut_other
    total_all = (var_all if var_all > 0.0 else 0.0) + haircut_all
    least_cash = (minimum_cash if minimum_cash > 0.0 else 0.0) + haircut_cash
    least_futures = (minimum_futures if minimum_futures > 0.0 else 0.0) + haircut_futures
    least_combined = (minimum_combined if minimum_combined > 0.0 else 0.0) + haircut_combined
    least_other = (minimum_other if minimum_other > 0.0 else 0.0) + haircut_other
    least_all = (minimum_all if minimum_all > 0.0 else 0.0) + haircut_all
    measured_cash = total_cash if total_cash > least_cash else least_cash
    measured_futures = total_futures if total_futures > least_futures else least_futures
    measured_combined = total_combined if total_combined > least_combined else least_combined
    measured_other = total_other if total_other > least_other else least_other
    measured_all = total_all if total_all > least_all else least_all
    return (measured_cash if measured_cash > floor_cash else floor_cash, measured_futures if measured_futures > floor_futures else floor_futures, measured_combined if measured_combined > floor_combined else floor_combined, measured_other if measured_other > floor_other else floor_other, measured_all if measured_all > floor_all else floor_all)


def haircut(
    risk: Sequence[float],
    correlation: Sequence[Sequence[float]],
) -> float:
    square = 0.0
    for one, row in zip(risk, correlation, strict=True):
        for other, rho in zip(risk, row, strict=True):
            square = square + rho * (one * other)
    positive = square if square > 0.0 else 0.0
    return sqrt(positive)
