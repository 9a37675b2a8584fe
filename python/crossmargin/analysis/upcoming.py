"""What the next business days change in each account by themselves, and what it will cost.

Nothing is traded, and the market stays as it is: legs settle, repos start and end, securities and
futures come to their end or leave the programme. The requirement after a day is that of a run on
what is then left of the book, to the cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.requirement import Amount
from crossmargin.arrays import Integer, Mask
from crossmargin.book.trades import LOT
from crossmargin.calculation.events import (
    CASH_SETTLES,
    CONTRACT_EXPIRES,
    CONTRACT_INELIGIBLE,
    DELIVERY_MONTH,
    EVENTS,
    REPO_ENDS,
    REPO_STARTS,
    SECURITY_INELIGIBLE,
    SECURITY_MATURES,
    Ahead,
    LaterBooks,
    look_ahead,
)
from crossmargin.calculation.margins import (
    agree_offsets,
    margin_accounts,
    naming_accounts,
    require_accounts,
)
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.engine import Execution
from crossmargin.instruments.universe import FUTURE
from crossmargin.io.results import UPCOMING, write_results
from crossmargin.market.calendars import add_business_days
from crossmargin.results.schemas.upcoming import UPCOMING_COSTS, UPCOMING_EVENTS
from crossmargin.results.table import Table, money

DAYS = 10
MOST_DAYS = 260
"""About a year: further ahead most of the positions have been replaced."""
MESSAGES = {
    CASH_SETTLES: "settles: the clearing house holds no position any more",
    REPO_STARTS: "the repo starts: only its end is left to settle",
    REPO_ENDS: "the repo ends; unless it is renewed its securities leave the margin account",
    SECURITY_INELIGIBLE: "{} months or less remain: margined apart from the cross-margin account",
    SECURITY_MATURES: "has matured",
    DELIVERY_MONTH: "its delivery month has begun",
    CONTRACT_INELIGIBLE: "may no longer be cross-margined before its delivery: margined apart",
    CONTRACT_EXPIRES: "its last day is past; what is delivered is not in the book",
}
"""What each event says; one takes the policy's limit."""


@dataclass(frozen=True)
class Upcoming:
    """What the days to come change.

    Attributes
    ----------
    events : Table
        A row for each day, account, instrument and event.
    costs : Table
        A row for each day and account whose positions change.
    manifest : dict
        The run, the policy, the days, and how many trades have no day on which they settle: they
        stay in the book.
    """

    events: Table
    costs: Table
    manifest: dict[str, Any]

    def write(self, out: str | Path) -> Path:
        """Write the tables (Parquet) and the manifest to a directory, all or nothing.

        Raises
        ------
        InputError
            The directory holds something else, or cannot be written.
        """
        tables = {"events": self.events.to_arrow(), "costs": self.costs.to_arrow()}
        return write_results(out, tables, self.manifest, what=UPCOMING)

    def __repr__(self) -> str:
        """Return the days and the number of events as text."""
        first, last = self.manifest["days"][0], self.manifest["days"][-1]
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        return f"<Upcoming {first} to {last}{mark}: {len(self.events):,} events>"


def upcoming(
    run: RunResult,
    days: int = DAYS,
    *,
    accounts: Sequence[str] | None = None,
    repos_renewed: bool = False,
    threads: int | None = None,
) -> Upcoming:
    """Return what the next business days change in each account, with what it will cost.

    Parameters
    ----------
    run : RunResult
        With its stages.
    days : int
        Business days of the bond market after the as-of date, 1 to 260.
    accounts : sequence of str, optional
        All of the run if not given. Of an account in an omnibus account the costs are those of
        the omnibus account.
    repos_renewed : bool
        Whether repos that end are renewed at once, so that they stay as they are. If not, the
        costs are mostly those of repos that are in fact rolled.
    threads : int, optional
        As many as the process may use if not given. The answer does not depend on it.

    Returns
    -------
    Upcoming

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind, an account is not in the run, or the run has no stages.
    InputError
        What is left of an account has an absurdly large margin.

    Notes
    -----
    A day's book is what a run on that day would accept of the same rows, in its cycle, and where it
    would margin it. Market, models and policy are those of the run: remaining terms do not become
    shorter. A trade that failed, and cash without a settlement
    date, stay; the manifest counts them as `undated`.

    Examples
    --------
    >>> ahead = upcoming(run)  # doctest: +SKIP
    >>> ahead.costs.to_pandas()  # doctest: +SKIP
    """
    if not isinstance(run, RunResult):
        raise TypeError(f"run: a run, from xm.run(...), expected, got {run!r:.60}")
    if isinstance(days, bool) or not isinstance(days, int):
        raise TypeError(f"days: a whole number expected, got {days!r:.40}")
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"days: 1 to {MOST_DAYS} business days expected, got {days}")
    stages = stages_of(run)
    as_of = stages.models.market.as_of
    ahead = look_ahead(
        stages,
        add_business_days(as_of, np.arange(1, days + 1), "bond"),
        repos_renewed=repos_renewed,
    )
    asked = _asked(stages, ahead, accounts)
    events = _events(ahead, asked)
    costs = _costs(ahead, asked, Execution(threads))
    told = ("run_id", "as_of", "cycle", "synthetic", "policy")
    manifest = {
        **{name: run.manifest[name] for name in told},
        "days": [str(day) for day in ahead.days],
        "repos_renewed": repos_renewed,
        "undated": int(np.count_nonzero(ahead.undated & asked)),
    }
    return Upcoming(Table(events), Table(costs), manifest)


def _asked(stages: Stages, ahead: Ahead, accounts: Sequence[str] | None) -> Mask:
    """Return which trades are of the accounts asked about, or margined in them, [R]."""
    trades = stages.parsed.trades
    if accounts is None:
        return np.ones(trades.row.size, dtype=bool)
    if isinstance(accounts, str):
        raise TypeError(f"accounts: names expected, such as [{accounts!r}], got one text")
    names = columns.texts(stages.parsed.accounts["account"]).tolist()
    number = {name: i for i, name in enumerate(names)}
    inside = np.zeros(len(names), dtype=bool)
    for name in accounts:
        if name not in number:
            raise ValueError(f"account {name!r} is not in the run")
        inside[number[name]] = True
    return inside[trades.account] | inside[ahead.payer]


def _events(ahead: Ahead, asked: Mask) -> pa.Table:
    """Return the events of some trades, added up by day, account, instrument and kind."""
    stages, last = ahead.stages, ahead.days.size
    trades, universe = stages.parsed.trades, stages.models.universe
    instrument, payer = ahead.instrument, ahead.payer
    number = EVENTS.index
    future = universe.kind[instrument] == FUTURE
    left = np.where(future, number(CONTRACT_INELIGIBLE), number(SECURITY_INELIGIBLE))
    same = np.zeros(instrument.size, np.int64)
    happens = (
        (ahead.ends, ahead.why, ahead.ends < last),
        (ahead.starts, same + number(REPO_STARTS), ahead.starts <= ahead.ends),
        (ahead.leaves, left, ahead.leaves < ahead.ends),
        (ahead.delivers, same + number(DELIVERY_MONTH), ahead.delivers < ahead.ends),
    )
    parts = []
    for day, event, there in happens:
        at = np.flatnonzero(there & asked & (day < last))
        lots = ahead.held(day)[at]
        owner = (trades.account[at], payer[at])
        parts.append(np.column_stack([day[at], *owner, instrument[at], event[at], lots]))
    rows = np.concatenate(parts)
    order = np.lexsort(rows[:, 4::-1].T)
    rows = rows[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = np.any(rows[1:, :5] != rows[:-1, :5], axis=1)
    first = np.flatnonzero(new)
    day, account, owner_of, place, event = rows[first, :5].T
    lots = np.add.reduceat(rows[:, 5], first) if first.size else rows[:0, 5]
    name = columns.texts(stages.parsed.accounts["account"])
    months = stages.models.policy.eligibility.remaining_months
    return UPCOMING_EVENTS.table(
        {
            "day": columns.column(ahead.days[day]),
            "account": columns.chosen(name, account),
            "instrument": columns.chosen(universe.name, place),
            "event": columns.chosen(EVENTS, event),
            "quantity": columns.column(lots * np.where(universe.kind[place] == FUTURE, 1, LOT)),
            "trades": columns.column(np.diff(np.append(first, len(rows)))),
            "margined_in": columns.chosen(name, owner_of),
            "message": columns.chosen([MESSAGES[code].format(months) for code in EVENTS], event),
        }
    )


def _costs(ahead: Ahead, asked: Mask, execution: Execution) -> pa.Table:
    """Return the requirement before and after each day of the accounts that it changes."""
    stages, payer = ahead.stages, ahead.payer
    today = stages.requirements.requirement
    cents, known = today.cents.copy(), today.known.copy()
    books = LaterBooks(ahead)
    name = columns.texts(stages.parsed.accounts["account"])
    # All trades of an account count, whichever of them was asked about.
    included = np.zeros(name.size, dtype=bool)
    included[payer[asked]] = True
    parts = []
    for day in range(ahead.days.size):
        changed = payer[ahead.changes(day)]
        accounts = np.unique(changed[included[changed]])
        after = _requirement(books, day, accounts, stages, execution)
        before = Amount(cents[accounts], known[accounts])
        cents[accounts], known[accounts] = after.cents, after.known
        first = Amount(today.cents[accounts], today.known[accounts])
        parts.append(
            UPCOMING_COSTS.table(
                {
                    "day": columns.column(np.full(accounts.size, ahead.days[day])),
                    "account": columns.chosen(name, accounts),
                    "requirement_before": _money(before),
                    "requirement_after": _money(after),
                    "cost": _less(after, before),
                    "cost_so_far": _less(after, first),
                }
            )
        )
    return pa.concat_tables(parts)


def _requirement(
    books: LaterBooks, day: int, accounts: Integer, stages: Stages, execution: Execution
) -> Amount:
    """Return what some accounts [N] require after a day."""
    batch, models = books.on(day, accounts), stages.models
    named = stages.parsed.accounts.take(columns.column(accounts))
    with naming_accounts(named, batch.clients):
        margins = margin_accounts(batch.book, batch.elsewhere, models, execution)
        agreement = agree_offsets(batch.book, models, margins, batch.clients, execution)
    return require_accounts(margins, agreement, batch.clients).requirement


def _money(amount: Amount) -> pa.Array:
    return money(amount.cents, amount.known)


def _less(one: Amount, other: Amount) -> pa.Array:
    """Return a difference, null where one of the two is not known."""
    return money(one.cents - other.cents, one.known & other.known)
