"""Netting: trades to open legs, and legs to one line for each instrument.

Methodology, sections 4 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.book.trades import CASH, FUTURE, LOT, REPO, Trades
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Book


@dataclass(frozen=True)
class Legs:
    """Open legs of trades, as columns of length N; a trade may have several legs.

    Attributes
    ----------
    trade : ndarray of int64
        Index of the leg's trade.
    instrument : ndarray of int64
        Index of the leg's instrument in the universe.
    lots : ndarray of int64
        Long positive.
    assumed : ndarray of int64
        Indices of the trades whose start cash was blank.
    """

    trade: Integer
    instrument: Integer
    lots: Integer
    assumed: Integer


def open_legs(trades: Trades, *, held: Integer, contract_at: Integer, price: Float) -> Legs:
    """Return the open legs of all trades.

    Parameters
    ----------
    trades : Trades
        Accepted rows.
    held : ndarray of int64
        Indices of the traded securities, ascending; they are the universe's first instruments.
    contract_at : ndarray of int64
        Index in the universe of each of `trades.contracts`.
    price : ndarray of float64, [I]
        Model prices in the universe's order; dirty for securities.

    Returns
    -------
    Legs

    Notes
    -----
    Methodology, section 4. The seller in a repo is long the security forward and owes the end cash,
    start cash * (1 + rate * days / 360), rounded to the cent. Until the start leg settles, the
    seller also holds the opposite of both at the start. A forward cash leg is held in lots of 100
    USD, rounded half to even (our choice).
    """
    dates = trades.cash_dates
    cash_at = held.size
    repo = np.flatnonzero(trades.end_open)
    side = _side(trades, repo)
    security = _place(held, trades.security[repo])
    face = trades.lots[repo]
    start, end = _cash(trades, repo, price[security])
    starts = trades.start_open[repo]
    first = repo[starts]

    outright = np.flatnonzero(trades.kind == CASH)
    future = np.flatnonzero(trades.kind == FUTURE)
    start_on = _place(dates.astype(np.int64), trades.start_date[first].astype(np.int64))
    end_on = _place(dates.astype(np.int64), trades.end_date[repo].astype(np.int64))
    parts = [
        (outright, _place(held, trades.security[outright]), trades.lots[outright]),
        (future, contract_at[trades.contract[future]], trades.lots[future]),
        (repo, security, side * face),
        (repo, cash_at + end_on, -side * end),
        (first, security[starts], -side[starts] * face[starts]),
        (first, cash_at + start_on, side[starts] * start[starts]),
    ]
    return Legs(
        trade=np.concatenate([trade for trade, _, _ in parts]),
        instrument=np.concatenate([instrument for _, instrument, _ in parts]),
        lots=np.concatenate([lots for _, _, lots in parts]),
        assumed=repo[np.isnan(trades.start_cash[repo])],
    )


def reassumed(legs: Legs, trades: Trades, *, held: Integer, price: Float) -> Legs:
    """Return the open legs of the same trades at other prices: cash that was assumed changes.

    Parameters
    ----------
    legs : Legs
        From `open_legs`.
    trades, held, price
        As for `open_legs`.
    """
    blank = legs.assumed
    if not blank.size:
        return legs
    side = _side(trades, blank)
    start, end = _cash(trades, blank, price[_place(held, trades.security[blank])])
    lots = legs.lots.copy()
    # The legs of repos come last: security and cash at the end, then at the start.
    repo = np.flatnonzero(trades.end_open)
    first = repo[trades.start_open[repo]]
    start_at = lots.size - first.size
    end_at = start_at - first.size - repo.size
    lots[end_at + np.searchsorted(repo, blank)] = -side * end
    starts = np.flatnonzero(trades.start_open[blank])
    lots[start_at + np.searchsorted(first, blank[starts])] = side[starts] * start[starts]
    return replace(legs, lots=lots)


def start_legs(legs: Legs, trades: Trades) -> Mask:
    """Return a mask of the legs that close when a repo starts, [N].

    Parameters
    ----------
    legs : Legs
        From `open_legs`.
    trades : Trades
    """
    starts = np.zeros(legs.trade.size, dtype=bool)
    # They come last: security and cash of the repos whose start leg is open.
    starts[starts.size - 2 * int(np.count_nonzero(trades.end_open & trades.start_open)) :] = True
    return starts


def _side(trades: Trades, repo: Integer) -> Integer:
    """Return 1 for a repo, -1 for a reverse."""
    return np.where(trades.kind[repo] == REPO, 1, -1)


def _cash(trades: Trades, repo: Integer, price: Float) -> tuple[Integer, Integer]:
    """Return the cash of some repos at the start and at the end, in lots; blank is at the price."""
    start = trades.start_cash[repo]
    start = np.where(np.isnan(start), trades.lots[repo] * price, start)
    start = exact.cents(start) / 100.0
    days = (trades.end_date[repo] - trades.start_date[repo]).astype(np.int64)
    interest = start * (trades.repo_rate[repo] * days / 360.0)
    return _lots(start), _lots(exact.cents(start + interest) / 100.0)


def _place(known: Integer, number: Integer) -> Integer:
    """Return the position of each number among the known ones, which lie close together."""
    lowest = known.min(initial=0)
    place = np.zeros(known.max(initial=-1) - lowest + 1, np.int64)
    place[known - lowest] = np.arange(known.size)
    return np.asarray(place[number - lowest])


def _lots(cash: Float) -> Integer:
    return np.rint(cash / LOT).astype(np.int64)


@dataclass(frozen=True)
class Lines:
    """Netted lines by (group, segment, xm, instrument), as columns; none is zero.

    Attributes
    ----------
    group, segment, instrument, lots : ndarray of int64
        A group is an account at one clearing firm.
    xm : ndarray of bool
        Booked in the cross-margin account, wherever it is margined.
    assignment_reason : ndarray of int64
        Index of the assignment reason in `agreement.eligibility.ASSIGNMENT_REASONS`.
    """

    group: Integer
    segment: Integer
    instrument: Integer
    lots: Integer
    xm: Mask
    assignment_reason: Integer


class Netting:
    """The keys of legs, sorted once: lots can be added by them again and again.

    Parameters
    ----------
    group, segment, instrument, xm, assignment_reason : ndarray, [N]
        As in `Lines`; each key (group, segment, xm, instrument) has one `assignment_reason`.
    """

    def __init__(
        self,
        *,
        group: Integer,
        segment: Integer,
        instrument: Integer,
        xm: Mask,
        assignment_reason: Integer,
    ) -> None:
        instruments = int(instrument.max(initial=-1)) + 1
        segments = max(len(SEGMENTS), int(segment.max(initial=-1)) + 1)
        key = ((group * segments + segment) * instruments + instrument) * 2 + xm
        # Most books are sorted by account, which makes a stable sort fast.
        self._order = np.argsort(key, kind="stable")
        self._first = _starts(key[self._order])
        at = self._order[self._first]
        self._lines = Lines(
            group[at],
            segment[at],
            instrument[at],
            np.zeros(at.size, np.int64),
            xm[at],
            assignment_reason[at],
        )

    def lines(self, lots: Integer) -> Lines:
        """Return the lots [N] added by key, ascending, without zeros."""
        total = _add_up(lots[self._order], self._first)
        kept = total != 0
        own = self._lines
        return Lines(
            own.group[kept],
            own.segment[kept],
            own.instrument[kept],
            total[kept],
            own.xm[kept],
            own.assignment_reason[kept],
        )


def net(
    *,
    group: Integer,
    segment: Integer,
    instrument: Integer,
    lots: Integer,
    xm: Mask,
    assignment_reason: Integer,
) -> Lines:
    """Return the lots added by (group, segment, xm, instrument), ascending, without zeros.

    Parameters
    ----------
    group, segment, instrument, lots, xm, assignment_reason : ndarray, [N]
        As in `Lines`; each key has one `assignment_reason`.

    Returns
    -------
    Lines
    """
    keys = Netting(
        group=group,
        segment=segment,
        instrument=instrument,
        xm=xm,
        assignment_reason=assignment_reason,
    )
    return keys.lines(lots)


def to_book(
    lines: Lines,
    *,
    groups: int,
    instruments: int,
    segments: range = range(len(SEGMENTS)),
) -> Book:
    """Return the engine's book of some segments: a row for each segment of each group.

    Parameters
    ----------
    lines : Lines
        In the order in which `net` returns them.
    groups, instruments : int
        Numbers of groups and of columns; a group without lines has empty rows.
    segments : range
        Segments of the book: row = group * len(segments) + segment - segments[0]. The programme's
        four if not given.

    Returns
    -------
    Book
    """
    inside = np.flatnonzero((lines.segment >= segments.start) & (lines.segment < segments.stop))
    row = lines.group[inside] * len(segments) + lines.segment[inside] - segments.start
    instrument = lines.instrument[inside]
    first = _starts(row * instruments + instrument)
    lots = _add_up(lines.lots[inside], first)
    kept = lots != 0
    rows = groups * len(segments)
    count = np.bincount(row[first[kept]], minlength=rows)
    return Book.from_arrays(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(count)]),
        instrument[first[kept]].astype(np.int32),
        lots[kept],
        columns=instruments,
    )


def _starts(key: Integer) -> Integer:
    """Return where each run of equal keys starts."""
    new = np.ones(key.size, dtype=bool)
    new[1:] = key[1:] != key[:-1]
    return np.flatnonzero(new)


def _add_up(lots: Integer, first: Integer) -> Integer:
    """Return the sums of `lots` over the runs that start at `first`."""
    return np.add.reduceat(lots, first) if first.size else lots
