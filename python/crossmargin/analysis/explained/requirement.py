"""What each line of an account adds to its requirement and to its savings.

The offset rate moves with the positions. V and the offset rate together are still homogeneous of
degree one, so that contributions by derivatives sum to the requirement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.analysis.explained.asked import Asked
from crossmargin.analysis.explained.contributions import Decomposed
from crossmargin.arrays import Float
from crossmargin.conventions import ALL, CASH, CME, COMBINED, FICC, FUTURES, OTHER
from crossmargin.margin.charges import Charge

OWN = {FICC: CASH, CME: FUTURES}
"""What each clearing house of the programme margins in the cross-margin account."""


@dataclass(frozen=True)
class Contributions:
    """What each line adds to the amounts of an account, [N + 1] each, USD.

    The last element is what is not decomposed.

    Attributes
    ----------
    requirement
        With the offset rate as it moves with the positions.
    at_fixed_rate
        With the offset rate as it is.
    programme_saving
    standalone
    rate_moves : bool
        Whether the offset rate moves with the positions: it comes from the models and is neither
        zero nor capped.
    """

    requirement: Float
    at_fixed_rate: Float
    programme_saving: Float
    standalone: Float
    rate_moves: bool


def contributions(asked: Asked, decomposed: Sequence[Decomposed]) -> Contributions:
    """Return what each line adds to the requirement, the saving and the standalone requirement.

    Parameters
    ----------
    asked : Asked
    decomposed : sequence of Decomposed
        Every V of the account.

    Returns
    -------
    Contributions
        Meaningless where the amount itself is unknown.

    Notes
    -----
    With p the offset rate and 1 - p = V(combined) / (V(cash) + V(futures)) = C / A at the binding
    clearing house, X (1 - p) gets (1 - p) x_i + X (c_i - (1 - p) a_i) / A from line i, where x_i,
    c_i and a_i are its contributions to X, C and A. A capped rate, one of zero, and one by a table
    of the policy stay as they are.
    """
    size = asked.lines.lots.size + 1
    by = {(one.ccp, one.group, one.portfolio): one for one in decomposed}
    saving = asked.agreement.saving
    rate = float(saving.offset_rate[0])
    moves = _rate_moves(by, str(saving.binding[0]), rate, size, bool(saving.capped[0]))
    total = {name: np.zeros(size) for name in ("requirement", "fixed", "saving", "standalone")}
    for one in decomposed:
        each, amount = _spread_out(one, size), one.v
        if one.ccp not in OWN:
            for name in ("requirement", "fixed", "standalone"):
                total[name] += each
        elif one.group == 0 and one.portfolio == OWN[one.ccp]:
            _reduce(total, each, amount, rate, moves)
        elif one.portfolio == OTHER:
            total["requirement"] += each
            total["fixed"] += each
        elif one.portfolio == ALL:
            total["standalone"] += each
    for charge, charged in zip(asked.stages.models.charges, asked.margins.charged, strict=True):
        for group, portfolio in np.argwhere(charged.amount != 0.0).tolist():
            one_v = by.get((charge.ccp, group, portfolio))
            if one_v is None:
                continue
            each = _charge(asked, charge, charged.amount[group, portfolio], one_v, size)
            amount = float(charged.amount[group, portfolio])
            if portfolio == ALL:
                total["standalone"] += each
            elif portfolio == OTHER:
                total["requirement"] += each
                total["fixed"] += each
            elif group == 0 and portfolio == OWN[charge.ccp]:
                own_rate = rate if charge.reducible else 0.0
                kept = each * (1.0 - own_rate)
                total["fixed"] += kept
                total["requirement"] += kept + (amount * moves if charge.reducible else 0.0)
    return Contributions(
        total["requirement"],
        total["fixed"],
        total["saving"],
        total["standalone"],
        rate_moves=bool(moves.any()),
    )


def _reduce(total: dict[str, Float], each: Float, v: float, rate: float, moves: Float) -> None:
    """Add V after the offset rate, and what the rate takes off."""
    kept = each * (1.0 - rate)
    total["fixed"] += kept
    total["requirement"] += kept + v * moves
    total["saving"] += rate * each - v * moves


def _rate_moves(
    by: dict[tuple[str, int, int], Decomposed], binding: str, rate: float, size: int, capped: bool
) -> Float:
    """Return the contributions to 1 - p beyond its own level; they sum to zero, [size]."""
    moves = np.zeros(size)
    if not binding or capped or rate == 0.0:
        return moves
    apart = 0.0
    for portfolio in (CASH, FUTURES):
        one = by[binding, 0, portfolio]
        moves -= (1.0 - rate) * _spread_out(one, size)
        apart += one.v
    moves += _spread_out(by[binding, 0, COMBINED], size)
    return moves / apart


def _spread_out(one: Decomposed, size: int) -> Float:
    """Return a V's contributions on all lines of the account; the last is what remains, [size]."""
    each = np.zeros(size)
    each[one.line] = one.amount
    each[-1] = one.rest
    return each


def _charge(asked: Asked, charge: Charge, amount: float, one: Decomposed, size: int) -> Float:
    """Return the contributions to a charge, [size]."""
    each = np.zeros(size)
    if charge.per_lot is None:
        each[-1] = amount
        return each
    margin = {FICC: asked.margins.ficc, CME: asked.margins.cme}[charge.ccp]
    book = asked.batch.book
    of_margin = np.zeros((*margin.v.shape, book.columns))
    of_margin[one.group, one.portfolio] = one.gradient
    per_lot = charge.per_lot(book, margin, of_margin)[one.group, one.portfolio]
    lines = asked.lines
    each[one.line] = lines.lots[one.line] * per_lot[lines.instrument[one.line]]
    return each
