"""What the days to come change in a book by themselves: legs settle, instruments end or leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.eligibility import eligible_securities, leaves_on
from crossmargin.arrays import Dates, Integer, Mask
from crossmargin.book.netting import net, start_legs
from crossmargin.book.positions import settled_to
from crossmargin.book.trades import CASH, FUTURE, REVERSE
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.netted import books_of
from crossmargin.calculation.result import Stages
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.instruments.contracts import last_day
from crossmargin.policies import DeliveryMonthRules

SECURITY_INELIGIBLE, CONTRACT_INELIGIBLE = "SECURITY_INELIGIBLE", "CONTRACT_INELIGIBLE"
REPO_STARTS, REPO_ENDS, CASH_SETTLES = "REPO_STARTS", "REPO_ENDS", "CASH_SETTLES"
DELIVERY_MONTH = "DELIVERY_MONTH"
CONTRACT_EXPIRES, SECURITY_MATURES = "CONTRACT_EXPIRES", "SECURITY_MATURES"
EVENTS = (
    *(CASH_SETTLES, REPO_STARTS, REPO_ENDS, SECURITY_INELIGIBLE, SECURITY_MATURES),
    *(DELIVERY_MONTH, CONTRACT_INELIGIBLE, CONTRACT_EXPIRES),
)
"""What can happen to a trade, by number."""
_ORDINARY = np.arange(len(SEGMENTS))
_ORDINARY[[FICC_XM, CME_XM]] = FICC_OTHER, CME_OTHER


@dataclass(frozen=True)
class Ahead:
    """When each trade of a run changes in the days to come.

    All numbers of days count from 0 for the first of `days`; `days.size` means later or never.

    Attributes
    ----------
    stages : Stages
        Of the run.
    days : ndarray of datetime64[D], [D]
        Ascending.
    ends, starts, leaves, delivers : ndarray of int64, [R]
        The day from which the trade is no longer in the book; a repo's first leg has settled; the
        trade may no longer be cross-margined; the delivery month of its future has begun.
    why : ndarray of int64, [R]
        The number in `EVENTS` of what ends the trade.
    undated : ndarray of bool, [R]
        The trade's settlement has no day: it failed, or cash has no settlement date. It stays.
    """

    stages: Stages
    days: Dates
    ends: Integer
    starts: Integer
    leaves: Integer
    delivers: Integer
    why: Integer
    undated: Mask

    @property
    def payer(self) -> Integer:
        """The account whose requirement each trade is part of, [R]."""
        assignment = self.stages.classified.assignment
        return assignment.group_account[assignment.group]

    @property
    def instrument(self) -> Integer:
        """The number of each trade's security or future in the universe, [R]."""
        trades = self.stages.parsed.trades
        contracts = self.stages.netted.contracts
        first = self.stages.models.universe.name.size - len(contracts)
        place = np.array([*(contracts.index(c) for c in trades.contracts), 0], np.int64)
        security = np.searchsorted(trades.held, trades.security)
        return np.where(trades.kind == FUTURE, first + place[trades.contract], security)

    def changes(self, day: int) -> Mask:
        """Return which trades change their account's book on a day, [R]."""
        return np.asarray((self.ends == day) | self.begins(day) | self.moves(day))

    def begins(self, day: int) -> Mask:
        """Return which repos start on a day."""
        return np.asarray((self.starts == day) & (self.ends >= day))

    def moves(self, day: int) -> Mask:
        """Return which trades leave the cross-margin account on a day and stay in the book."""
        return np.asarray((self.leaves == day) & (self.ends > day))

    def held(self, day: Integer) -> Integer:
        """Return what each trade holds of its security or future on a day, lots, [R].

        A repo that has not started holds nothing: its legs cancel.
        """
        trades = self.stages.parsed.trades
        waits = trades.start_open & (self.starts > day)
        side = np.where(trades.kind == REVERSE, -1, 1)
        return np.where(waits, 0, side * trades.lots)


def look_ahead(stages: Stages, days: Dates, *, repos_renewed: bool = False) -> Ahead:
    """Return when each trade of a run changes.

    Parameters
    ----------
    stages : Stages
    days : ndarray of datetime64[D], [D]
        After the as-of date, ascending.
    repos_renewed : bool
        Whether repos stay when they end.

    Returns
    -------
    Ahead
        What a run on each of these days would find of the same rows, and where, but for trades
        whose settlement has no day.
    """
    parsed, trades = stages.parsed, stages.parsed.trades
    repo, cash, future = trades.end_open, trades.kind == CASH, trades.kind == FUTURE
    later = np.datetime64("NaT", "D")
    settled = np.array([settled_to(day, parsed.cycle) for day in days], "datetime64[D]")
    undated = (trades.failed & (repo | cash)) | (cash & np.isnat(trades.settle_date))
    due = np.where(cash, trades.settle_date, np.where(repo, trades.end_date, later))
    due = np.where(undated | (repo & repos_renewed), later, due)
    starts = np.where(trades.start_open & ~undated, trades.start_date, later)
    # Index -1 takes the last element, which is for trades without such an instrument.
    matures = np.append(parsed.securities.maturity_date, later)[trades.security]
    last = np.array([*(last_day(c) for c in trades.contracts), later], "datetime64[D]")
    ends = np.column_stack(
        [
            np.searchsorted(settled, due),
            np.searchsorted(days, matures),
            np.searchsorted(days, last[trades.contract], side="right"),
        ]
    )
    first = np.argmin(ends, axis=1)
    by_kind = np.where(cash, EVENTS.index(CASH_SETTLES), EVENTS.index(REPO_ENDS))
    codes = np.array([0, EVENTS.index(SECURITY_MATURES), EVENTS.index(CONTRACT_EXPIRES)])
    months = [
        c.month.astype("datetime64[D]") if c.rule.kind == "treasury" else later
        for c in trades.contracts
    ]
    begins = np.array([*months, later], "datetime64[D]")[trades.contract]
    begins = np.where(begins > parsed.market.as_of, begins, later)
    crossed = np.isin(stages.classified.assignment.segment, (FICC_XM, CME_XM))
    leaves = np.where(future, _contracts_leave(stages, days), _securities_leave(stages, days))
    return Ahead(
        stages=stages,
        days=days,
        ends=ends[np.arange(first.size), first],
        starts=np.searchsorted(settled, starts),
        leaves=np.where(crossed, leaves, days.size),
        delivers=np.searchsorted(days, begins),
        why=np.where(first == 0, by_kind, codes[first]),
        undated=undated,
    )


def _securities_leave(stages: Stages, days: Dates) -> Integer:
    """Return the day from which each trade's security may no longer be cross-margined, [R]."""
    trades, rules = stages.parsed.trades, stages.models.policy.eligibility
    eligible = np.array([eligible_securities(stages.parsed.securities, d, rules) for d in days])
    # A term only becomes shorter.
    count = np.append(np.count_nonzero(eligible, axis=0), days.size)
    return np.asarray(count[trades.security])


def _contracts_leave(stages: Stages, days: Dates) -> Integer:
    """Return the day from which each trade's future may no longer be cross-margined, [R]."""
    trades = stages.parsed.trades
    left = leaves_on(trades.contracts, stages.models.policy.get(DeliveryMonthRules))
    return np.append(np.searchsorted(days, left), days.size)[trades.contract]


class LaterBooks:
    """The books of some accounts on the days ahead, with today's instruments.

    Parameters
    ----------
    ahead : Ahead
    """

    def __init__(self, ahead: Ahead) -> None:
        stages = ahead.stages
        self._ahead = ahead
        self._payer = ahead.payer[stages.netted.legs.trade]
        self._starts = start_legs(stages.netted.legs, stages.parsed.trades)

    def on(self, day: int, accounts: Integer) -> Batch:
        """Return the books of some accounts [N], ascending, after all that a day has changed."""
        ahead, stages = self._ahead, self._ahead.stages
        legs, assignment = stages.netted.legs, stages.classified.assignment
        asked = np.zeros(stages.clients.eligible.size, dtype=bool)
        asked[accounts] = True
        at = np.flatnonzero(asked[self._payer])
        trade = legs.trade[at]
        open_still = (ahead.ends[trade] > day) & ~(self._starts[at] & (ahead.starts[trade] <= day))
        at, trade = at[open_still], trade[open_still]
        segment = assignment.segment[trade]
        left = ahead.leaves[trade] <= day
        segment[left] = _ORDINARY[segment[left]]
        lines = net(
            group=assignment.group[trade],
            segment=segment,
            instrument=legs.instrument[at],
            lots=legs.lots[at],
            xm=np.zeros(at.size, dtype=bool),
            assignment_reason=np.zeros(at.size, np.int64),
        )
        trades, universe = stages.parsed.trades, stages.models.universe
        book, elsewhere = books_of(lines, trades, assignment, universe)
        return Batch(book, elsewhere, stages.clients).take(accounts)
