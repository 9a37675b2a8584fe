"""The tables of an allocation: accounts, lines, transfers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.caveats import Caveats
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.margins import caveats_of
from crossmargin.calculation.moves import (
    Movable,
    Moved,
    book_after,
    margin_after,
    requirement_after,
)
from crossmargin.calculation.result import Stages
from crossmargin.engine import Execution
from crossmargin.results.schemas.allocation import ALLOCATION_LINES, ALLOCATIONS, TRANSFERS
from crossmargin.results.table import money
from crossmargin.results.tables import caveat_columns

NEAR, NEAR_CENTS = 1e-4, 20
"""How close to the call a bound must be for the choice to count as optimal."""


@dataclass(frozen=True)
class Found:
    """The choices found, and what they are worth.

    Attributes
    ----------
    lines : Movable
    accounts : ndarray of int64, [N]
        The accounts that had a choice.
    choice : ndarray of int64, [M]
        Contracts of each line in the cross-margin account.
    bound : ndarray of float64, [A], optional
        What no choice goes below, USD; NaN for accounts without one. None if none was looked for:
        what one contract more or less would change is then left out too.
    """

    lines: Movable
    accounts: Integer
    choice: Integer
    bound: Float | None


def allocation_tables(
    stages: Stages, found: Found, shown: Integer, execution: Execution
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the tables of accounts, lines and transfers.

    Parameters
    ----------
    stages : Stages
    found : Found
    shown : ndarray of int64
        The accounts asked for, ascending.
    execution : Execution
    """
    lines, accounts = found.lines, found.accounts
    at = lines.lines_of(accounts)
    nothing = np.zeros(at.size, dtype=np.int64)
    none = requirement_after(lines, stages.models, accounts, nothing, execution)
    moved = margin_after(lines, stages.models, accounts, found.choice[at], execution)
    after = moved.requirements.requirement.cents
    return (
        _account_table(stages, found, shown, after, none, moved),
        *_line_tables(stages, found, after, execution),
    )


def _account_table(
    stages: Stages, found: Found, shown: Integer, after: Integer, none: Integer, moved: Moved
) -> pa.Table:
    """Return the table of accounts."""
    lines, chosen = found.lines, found.accounts
    today = stages.requirements.requirement
    saving = stages.agreement.saving
    size = lines.ptr.size - 1
    has_choice = np.zeros(size, dtype=bool)
    has_choice[chosen] = True
    place = np.zeros(size, dtype=np.int64)
    place[chosen] = np.arange(chosen.size)
    own, choice = place[shown], has_choice[shown]
    # Without cash there are two choices, now and none: no bound to speak of.
    bounds = found.bound if found.bound is not None else np.full(size, np.nan)
    bounded = choice & lines.free[shown] & (found.bound is not None)

    def of_choice(values: Integer | Float | Mask, otherwise: Integer | Float | Mask) -> Integer:
        if not chosen.size:
            return np.asarray(otherwise)
        return np.where(choice, values[own], otherwise)

    cents = today.cents[shown]
    paid = of_choice(after, cents)
    transfers = np.bincount(lines.account[found.choice != lines.crossed], minlength=size)[shown]
    least = np.where(bounded, bounds[shown], 0.0)
    # Down to the cent, so that it stays a bound; a whole cent stays one.
    bound = np.minimum(np.floor(np.round(least * 100.0, 3)).astype(np.int64), paid)
    gap = np.where(paid > 0, (paid - bound) / np.maximum(paid, 1), 0.0)
    after_saving = moved.agreement.saving
    binding = np.where(choice, after_saving.binding[own] if chosen.size else "", "")
    known = today.known[shown]
    return ALLOCATIONS.table(
        {
            "account": _names(stages, shown),
            "outcome": columns.text_column(_outcomes(stages, found, shown, transfers).tolist()),
            "requirement": money(cents, known),
            "requirement_none": money(of_choice(none, cents), known),
            "requirement_after": money(paid, known),
            "unused_saving": money(cents - paid, known),
            "transfers": columns.column(transfers),
            "lower_bound": money(bound, bounded),
            "gap": columns.column(gap, bounded),
            "optimal": columns.column((gap < NEAR) | (paid - bound <= NEAR_CENTS), bounded),
            "offset_rate": columns.column(saving.offset_rate[shown]),
            "offset_rate_after": columns.column(
                of_choice(after_saving.offset_rate, np.zeros(shown.size)), choice
            ),
            "binding": columns.text_column(
                [text or None for text in saving.binding[shown].tolist()]
            ),
            "binding_after": columns.text_column([text or None for text in binding.tolist()]),
            "capped_after": columns.column(
                of_choice(after_saving.capped, np.zeros(shown.size, dtype=bool)), choice
            ),
            **caveat_columns(_caveats_after(stages, found, shown)),
        }
    )


def _caveats_after(stages: Stages, found: Found, shown: Integer) -> Caveats:
    """Return the caveats on the figures of some accounts after the transfers."""
    netted, models, chosen = stages.netted, stages.models, found.accounts
    now = caveats_of(netted.book, netted.elsewhere, models, stages.clients)
    if not chosen.size:
        return Caveats(now.saving_is_upper_bound[shown], now.spread_not_modelled[shown])
    batch = book_after(found.lines, chosen, found.choice[found.lines.lines_of(chosen)])
    after = caveats_of(batch.book, batch.elsewhere, models, batch.clients)
    too_much, spread = now.saving_is_upper_bound.copy(), now.spread_not_modelled.copy()
    too_much[chosen], spread[chosen] = after.saving_is_upper_bound, after.spread_not_modelled
    return Caveats(too_much[shown], spread[shown])


def _names(stages: Stages, account: Integer) -> pa.Array:
    """Return the names of accounts."""
    names = columns.one_array(columns.plain(stages.parsed.accounts["account"]))
    return names.take(columns.column(account))


def _outcomes(stages: Stages, found: Found, shown: Integer, transfers: Integer) -> Integer:
    """Return what came of each account."""
    clients, lines = stages.clients, found.lines
    # What is wrong with an account's rows comes first, as in its status.
    return np.select(
        [
            ~clients.complete[shown],
            ~stages.requirements.requirement.known[shown],
            ~clients.eligible[shown],
            lines.count[shown] == 0,
            transfers > 0,
            ~lines.free[shown],
        ],
        ["INCOMPLETE", "UNPRICED", "NOT_ELIGIBLE", "NO_FUTURES", "moved", "NO_CASH"],
        "kept",
    )


def _line_tables(
    stages: Stages, found: Found, after: Integer, execution: Execution
) -> tuple[pa.Table, pa.Table]:
    """Return the tables of lines and of transfers."""
    lines, choice = found.lines, found.choice
    at = lines.lines_of(found.accounts)
    account, crossed, total = lines.account[at], lines.crossed[at], lines.total[at]
    chosen = choice[at]
    paid = np.repeat(after, lines.count[found.accounts])
    marginal = found.bound is not None
    toward = np.sign(np.where(total != chosen, total - chosen, 0)) * marginal
    back = -np.sign(chosen) * marginal

    def change(step: Integer) -> tuple[Integer, Mask]:
        known = step != 0
        cents = np.zeros(at.size, dtype=np.int64)
        cents[known] = _with_line(stages, found, at[known], (chosen + step)[known], execution)
        return cents - paid, known

    universe = stages.models.universe
    instrument = columns.chosen(universe.name, lines.instrument[at])
    name = _names(stages, account)
    of_lines = ALLOCATION_LINES.table(
        {
            "account": name,
            "instrument": instrument,
            "total": columns.column(total),
            "crossed": columns.column(crossed),
            "crossed_after": columns.column(chosen),
            "one_more": money(*change(toward)),
            "one_less": money(*change(back)),
        }
    )
    moved = np.flatnonzero(chosen != crossed)
    buys = chosen[moved] > crossed[moved]
    without = _with_line(stages, found, at[moved], crossed[moved], execution)
    sides = np.array(["SELL", "BUY"])
    transfers = TRANSFERS.table(
        {
            "account": name.take(columns.column(moved)),
            "instrument": instrument.take(columns.column(moved)),
            "contracts": columns.column(np.abs(chosen - crossed)[moved]),
            "moves": columns.text_column(
                np.where(np.abs(chosen) > np.abs(crossed), "in", "out")[moved].tolist()
            ),
            "cross_margin_side": columns.text_column(sides[buys.astype(int)].tolist()),
            "ordinary_side": columns.text_column(sides[(~buys).astype(int)].tolist()),
            "saves": money(without - paid[moved], np.ones(moved.size, dtype=bool)),
        }
    )
    return of_lines, transfers


def _with_line(
    stages: Stages, found: Found, line: Integer, contracts: Integer, execution: Execution
) -> Integer:
    """Return the requirement with another number of contracts of one line, cents [N]."""
    lines = found.lines
    account = lines.account[line]
    count = lines.count[account]
    choice = found.choice[lines.lines_of(account)]
    choice[np.cumsum(count) - count + line - lines.ptr[account]] = contracts
    return requirement_after(lines, stages.models, account, choice, execution)
