# Written by tools/scalar.py from rule.py; do not edit.
# fmt: off
# ruff: noqa
"""What `crossmargin.margin.ficc.rule` says of one account, in plain numbers."""

from __future__ import annotations

from crossmargin.margin.portfolios import Portfolios


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
