"""The spreads that would credit an account most, and what the order of priority costs it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Float, Int32
from crossmargin.engine import spread_credits
from crossmargin.engine.arguments import Spreads
from crossmargin.engine.netting import check_deltas, check_spreads

SOLVER_TOLERANCE = 1e-9
"""How far a solution may exceed a limit that is scaled to 1."""


@dataclass(frozen=True, eq=False)
class OptimalCredits:
    """The spreads that reduce the margin of each account most, in any order.

    Attributes
    ----------
    count : ndarray of float64 [A x P]
        How many of each spread are formed.
    credit : ndarray of float64 [A x P]
        USD.
    missed : ndarray of float64 [A]
        What the order of priority gives up, USD: the sum of `credit` less that of
        `crossmargin.engine.spread_credits`; at least zero, up to the tolerance.
    """

    count: Float
    credit: Float
    missed: Float


def optimal_credits(
    net_delta: npt.ArrayLike,
    scan_risk: npt.ArrayLike,
    *,
    leg_ptr: npt.ArrayLike,
    leg_commodity: npt.ArrayLike,
    leg_ratio: npt.ArrayLike,
    leg_side: npt.ArrayLike,
    rate: npt.ArrayLike,
) -> OptimalCredits:
    """Return the spreads with the largest total credit, whatever their priority.

    It shows what the order of priority costs an account. Each account is a linear programme, so it
    is for a few accounts. The solver is HiGHS, in the optional package `highspy`.

    Parameters
    ----------
    net_delta, scan_risk, leg_ptr, leg_commodity, leg_ratio, leg_side, rate : array_like
        As in `crossmargin.engine.spread_credits`.

    Returns
    -------
    OptimalCredits

    Raises
    ------
    ImportError
        `highspy` is not installed.
    TypeError, ValueError
        As in `crossmargin.engine.spread_credits`.
    RuntimeError
        The solver finds no optimum; the message names the account.

    Notes
    -----
    The largest sum of n_p * rate_p * sum over legs of ratio * scan risk / |net delta| over n_p >= 0
    of those spreads whose legs all have delta of the stated sides, or all of the reverse; in each
    commodity the sum of ratio * n_p is at most |net delta|. The solver may exceed a limit by a
    relative 1e-9 a spread. The answer is not a published number, and its last bits may differ
    between machines. HiGHS may start its own threads.
    """
    try:
        highspy: Any = import_module("highspy")
    except ImportError as error:
        raise ImportError(
            'optimal_credits: needs highspy; install it with pip install "crossmargin[optimise]"'
        ) from error
    delta, risk = check_deltas(net_delta, scan_risk)
    spreads = check_spreads(leg_ptr, leg_commodity, leg_ratio, leg_side, rate, delta.shape[1])
    by_priority = spread_credits(delta, risk, **spreads._asdict()).credit
    count, credit = np.empty(by_priority.shape), np.empty(by_priority.shape)
    for account in range(len(delta)):
        count[account], credit[account] = _optimum(
            highspy, account, delta[account], risk[account], spreads
        )
    missed = exact.ordered_sum(credit) - exact.ordered_sum(by_priority)
    return OptimalCredits(count, credit, missed)


def _optimum(
    highspy: Any, account: int, delta: Float, risk: Float, spreads: Spreads
) -> tuple[Float, Float]:
    """Return count and credit of each spread where the credits add up to the most."""
    ptr, commodity, ratio, side, rate = spreads
    # Scaled by what each spread could use alone, so that the solver sees values from 0 to 1.
    most, value, share = np.zeros(len(rate)), np.zeros(len(rate)), np.zeros(len(rate))
    legs, used = [], []
    for p, (begin, end) in enumerate(pairwise(ptr)):
        c = commodity[begin:end]
        possible = side[begin:end] * delta[c] / ratio[begin:end]
        if (possible > 0).all() or (possible < 0).all():
            most[p] = np.abs(possible).min()
            legs.append(c)
            used.append(ratio[begin:end] * most[p] / np.abs(delta[c]))
            value[p] = rate[p] * (used[-1] * risk[c]).sum()
    if value.any():
        forms = most > 0
        share[forms] = _maximise(highspy, account, value[forms], legs, used, len(delta))
    return share * most, share * value


def _maximise(
    highspy: Any, account: int, value: Float, rows: list[Int32], entries: list[Float], limits: int
) -> Float:
    """Return the x from 0 to 1 with the largest value * x whose rows add up to 1 at most."""
    problem = highspy.HighsLp()
    problem.sense_ = highspy.ObjSense.kMaximize
    problem.num_col_, problem.num_row_ = len(value), limits
    problem.col_cost_ = value / value.max()
    problem.col_lower_, problem.col_upper_ = np.zeros(len(value)), np.ones(len(value))
    problem.row_lower_, problem.row_upper_ = np.full(limits, -np.inf), np.ones(limits)
    problem.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    problem.a_matrix_.start_ = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    problem.a_matrix_.index_ = np.concatenate(rows)
    problem.a_matrix_.value_ = np.concatenate(entries)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        solver.setOptionValue(option, SOLVER_TOLERANCE)
    solver.passModel(problem)
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"account {account}: no optimum, {solver.modelStatusToString(status)}")
    # The solver keeps these bounds only up to its tolerance.
    return np.clip(np.array(solver.getSolution().col_value, dtype=np.float64), 0.0, 1.0)
