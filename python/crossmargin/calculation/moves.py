"""Futures moved between an account's ordinary and its cross-margin account.

Methodology, section 9. A book has two places for each line that may be moved, and a choice says how
many contracts lie in the cross-margin account. The requirement after a choice is a full one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.requirement import Requirements
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import (
    AccountMargins,
    Agreement,
    agree_offsets,
    margin_accounts,
    require_accounts,
)
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_XM, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.instruments.universe import FUTURE
from crossmargin.margin.model import AmountError
from crossmargin.margin.portfolios import row_of

UNKNOWN = np.iinfo(np.int64).max
"""The cents of a requirement that is unknown, or absurdly large."""
TOGETHER = 4096
"""Accounts margined in one calculation."""
FIXED = -1
"""The line of an element that stays where it is."""
NOW, NOTHING = 0, 1
"""Numbers of `simple_choices`: what is there now, and nothing."""


@dataclass(frozen=True)
class Movable:
    """The lines of futures that may be moved, M of them, by account.

    Attributes
    ----------
    account, instrument : ndarray of int64, [M]
        Ascending, first by account.
    total : ndarray of int64, [M]
        Contracts in both accounts together, long positive.
    crossed : ndarray of int64, [M]
        Of these, in the cross-margin account now.
    ptr : ndarray of int64, [A + 1]
        Where the lines of each account begin.
    free : ndarray of bool, [A]
        Whether the account has cross-margined cash. Without, nothing can be set off, and the only
        choices are what is there now and nothing.
    places : Batch
        The book with both places of each line; an element's quantity is its number.
    line : ndarray of int64
        The line of each element of `places`, or FIXED.
    crosses : ndarray of bool
        The element is the line's place in the cross-margin account.
    lots : ndarray of float64
        Quantity of each element that stays; 0 for a place.
    """

    account: Integer
    instrument: Integer
    total: Integer
    crossed: Integer
    ptr: Integer
    free: Mask
    places: Batch
    line: Integer
    crosses: Mask
    lots: Float

    @property
    def lower(self) -> Integer:
        """The fewest contracts a choice may place in the cross-margin account, [M].

        What is there now may be out of range, if the two accounts hold opposite positions.
        """
        return np.minimum(self.total, 0)

    @property
    def upper(self) -> Integer:
        """The most contracts a choice may place in the cross-margin account, [M]."""
        return np.maximum(self.total, 0)

    @property
    def count(self) -> Integer:
        """The number of lines of each account, [A]."""
        return np.diff(self.ptr)

    def lines_of(self, account: Integer) -> Integer:
        """Return the lines of some accounts [N], one after the other; the shape of choices."""
        count = self.count[account]
        end = np.cumsum(count)
        return np.repeat(self.ptr[account] - end + count, count) + np.arange(count.sum())


@dataclass(frozen=True)
class Moved:
    """The margin of N accounts after a choice for each."""

    margins: AccountMargins
    agreement: Agreement
    requirements: Requirements


def movable(batch: Batch, models: PreparedModels, may: Mask | None = None) -> Movable:
    """Return the futures that may be moved.

    Parameters
    ----------
    batch : Batch
        The book of a run.
    models : PreparedModels
    may : ndarray of bool, [I], optional
        Instruments that may be moved, if eligible.

    Returns
    -------
    Movable
        Of accounts that may be cross-margined, with no row rejected. What lies at another clearing
        firm stays there.
    """
    book, clients = batch.book, batch.clients
    row, accounts = row_of(book), clients.eligible.size
    group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
    cash = np.zeros(accounts, dtype=bool)
    cash[group[(segment == FICC_XM) & (group < accounts)]] = True
    takes_part = np.zeros(clients.group_account.size, dtype=bool)
    takes_part[:accounts] = clients.eligible & clients.complete
    moves = models.eligible & (models.universe.kind == FUTURE)
    if may is not None:
        moves = moves & may
    at = takes_part[group] & ((segment == CME_XM) | (segment == CME_OTHER)) & moves[book.column]

    key, line = np.unique(group[at] * book.columns + book.column[at], return_inverse=True)
    account, instrument = key // book.columns, key % book.columns
    lots = book.quantity[at].astype(np.int64)
    total, crossed = np.zeros((2, key.size), dtype=np.int64)
    np.add.at(total, line, lots)
    np.add.at(crossed, line, np.where(segment[at] == CME_XM, lots, 0))

    number = np.arange(key.size)
    element_row = np.concatenate(
        [row[~at], *(account * len(SEGMENTS) + place for place in (CME_XM, CME_OTHER))]
    )
    column = np.concatenate([book.column[~at], instrument, instrument])
    # Three runs in order: a stable sort merges them.
    order = np.argsort(element_row * book.columns + column, kind="stable")
    count = np.bincount(element_row, minlength=book.rows)
    stays = np.count_nonzero(~at)
    places = Book(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(count)]),
        column[order].astype(np.int32),
        np.arange(order.size, dtype=np.float64),
        book.columns,
    )
    return Movable(
        account=account,
        instrument=instrument,
        total=total,
        crossed=crossed,
        ptr=np.searchsorted(account, np.arange(accounts + 1)),
        free=cash,
        places=Batch(places, batch.elsewhere, clients),
        line=np.concatenate([np.full(stays, FIXED), number, number])[order],
        crosses=(np.arange(order.size) < stays + key.size)[order],
        lots=np.concatenate([book.quantity[~at], np.zeros(2 * key.size)])[order],
    )


def simple_choices(lines: Movable, models: PreparedModels) -> Iterator[Integer]:
    """Yield what is there now, nothing, everything, and hedges by DV01, each [M].

    The hedges are the lines whose DV01 is opposite to that of the account's cross-margined cash:
    whole, and scaled down to the DV01 of the cash where they have more.
    """
    yield lines.crossed
    yield np.zeros_like(lines.total)
    free = lines.free[lines.account]
    yield np.where(free, lines.total, lines.crossed)
    dv01 = models.universe.sensitivities.dv01
    futures = dv01[lines.instrument] * lines.total
    cash = _cash_dv01(lines, dv01)[lines.account]
    against = free & (futures * cash < 0.0)
    yield np.where(free, np.where(against, lines.total, 0), lines.crossed)
    hedge = np.bincount(lines.account, np.where(against, np.abs(futures), 0.0), lines.ptr.size - 1)[
        lines.account
    ]
    share = np.ones(lines.total.size)
    np.divide(np.abs(cash), hedge, out=share, where=hedge > np.abs(cash))
    matched = np.where(against, np.rint(share * lines.total), 0.0).astype(np.int64)
    yield np.where(free, matched, lines.crossed)


def hedges_by_tenor(lines: Movable, models: PreparedModels) -> Integer:
    """Return hedges by DV01 bucket by bucket, [M]: against the cash of the same tenors.

    In each of the floor's buckets the futures opposite to the cash are moved up to its DV01, the
    lines with the largest DV01 first.
    """
    ends = np.asarray(models.policy.ficc.floor_bucket_years)
    bucket = np.minimum(np.searchsorted(ends, models.universe.years), ends.size - 1)
    dv01 = models.universe.sensitivities.dv01
    book = lines.places.book
    row = row_of(book)
    cash = np.flatnonzero(row % len(SEGMENTS) == FICC_XM)
    column = book.column[cash]
    of_cash = np.bincount(
        row[cash] // len(SEGMENTS) * ends.size + bucket[column],
        lines.lots[cash] * dv01[column],
        book.rows // len(SEGMENTS) * ends.size,
    )
    place = lines.account * ends.size + bucket[lines.instrument]
    futures = dv01[lines.instrument] * lines.total
    most = np.where(futures * of_cash[place] < 0.0, np.abs(futures), 0.0)
    order = np.lexsort((-most, place))
    ranked, size = place[order], most[order]
    before = np.cumsum(size) - size
    before -= before[np.searchsorted(ranked, ranked)]
    left = np.clip(np.abs(of_cash[ranked]) - before, 0.0, size)
    share = np.zeros(size.size)
    share[order] = np.divide(left, size, out=np.zeros_like(left), where=size > 0.0)
    return np.rint(share * lines.total).astype(np.int64)


def _cash_dv01(lines: Movable, dv01: Float) -> Float:
    """Return the DV01 of each account's cross-margined cash, [A]."""
    book = lines.places.book
    row = row_of(book)
    cash = row % len(SEGMENTS) == FICC_XM
    total = np.bincount(
        row[cash] // len(SEGMENTS),
        lines.lots[cash] * dv01[book.column[cash]],
        book.rows // len(SEGMENTS),
    )
    return np.asarray(total[: lines.ptr.size - 1])


def book_after(lines: Movable, account: Integer, choice: Integer) -> Batch:
    """Return the book of some accounts after a choice for each.

    Parameters
    ----------
    lines : Movable
    account : ndarray of int64, [N]
        In any order; an account may be there more than once.
    choice : ndarray of int64
        Contracts in the cross-margin account, for the lines of each account in turn.

    Returns
    -------
    Batch
        [N] accounts.
    """
    asked = lines.places.take(account)
    element = asked.book.quantity.astype(np.int64)
    row = row_of(asked.book)
    line = lines.line[element]
    at = np.flatnonzero(line != FIXED)
    asker = row[at] // len(SEGMENTS)
    begin = np.cumsum(lines.count[account]) - lines.count[account]
    chosen = choice[begin[asker] + line[at] - lines.ptr[account[asker]]]
    quantity = lines.lots[element]
    quantity[at] = np.where(lines.crosses[element[at]], chosen, lines.total[line[at]] - chosen)
    held = quantity != 0
    count = np.bincount(row[held], minlength=asked.book.rows)
    book = Book(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(count)]),
        asked.book.column[held],
        quantity[held],
        asked.book.columns,
    )
    return Batch(book, asked.elsewhere, asked.clients)


def margin_after(
    lines: Movable,
    models: PreparedModels,
    account: Integer,
    choice: Integer,
    execution: Execution,
) -> Moved:
    """Return the margin of some accounts after a choice for each.

    Parameters
    ----------
    lines, account, choice
        As for `book_after`.
    models : PreparedModels
    execution : Execution

    Returns
    -------
    Moved
        Exactly what a run on the moved book says.
    """
    batch = book_after(lines, account, choice)
    margins = margin_accounts(batch.book, batch.elsewhere, models, execution)
    agreement = agree_offsets(batch.book, models, margins, batch.clients, execution)
    return Moved(margins, agreement, require_accounts(margins, agreement, batch.clients))


def requirement_after(
    lines: Movable,
    models: PreparedModels,
    account: Integer,
    choice: Integer,
    execution: Execution,
) -> Integer:
    """Return the requirement of some accounts after a choice for each, cents [N], or UNKNOWN.

    Parameters
    ----------
    lines, account, choice
        As for `book_after`.
    models : PreparedModels
    execution : Execution
    """
    count = lines.count[account]
    begin = np.cumsum(count) - count
    cents = np.full(account.size, UNKNOWN)
    asked = [
        np.arange(first, min(first + TOGETHER, account.size))
        for first in range(0, account.size, TOGETHER)
    ]
    while asked:
        some = asked.pop()
        at = np.repeat(begin[some] - np.cumsum(count[some]) + count[some], count[some])
        own = choice[at + np.arange(at.size)]
        try:
            moved = margin_after(lines, models, account[some], own, execution)
        except AmountError as error:
            # One account's amounts are absurd; the others are asked again.
            owner = lines.places.take(account[some]).clients.group_account[error.group]
            asked.append(np.delete(some, owner))
            continue
        required = moved.requirements.requirement
        cents[some] = np.where(required.known, required.cents, UNKNOWN)
    return cents
