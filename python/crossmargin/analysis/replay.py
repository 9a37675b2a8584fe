"""A book margined on the markets of many days, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from operator import length_hint
from pathlib import Path

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.caveats import STATUSES, account_status
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Integer, Mask
from crossmargin.calculation.days import Days, MarginedDay
from crossmargin.calculation.input_tables import BookInputs, read_tables
from crossmargin.calculation.run import check_arguments, check_market, warn_of_rows
from crossmargin.engine import Execution
from crossmargin.engine.execution import Progress
from crossmargin.io.column_map import ColumnsSource
from crossmargin.io.tables import Source
from crossmargin.market import Market
from crossmargin.policies import Policy, read_policy
from crossmargin.results.schemas.replay import REPLAY
from crossmargin.results.table import Table, money
from crossmargin.results.tables import money_columns, saving_columns


@dataclass(frozen=True)
class Day:
    """The accounts of a replay on one day, [A], in the order of the accounts given.

    Every day of a replay has the same accounts, so columns of days can be stacked. All arrays are
    read-only: the days to come use some of them.

    Attributes
    ----------
    as_of : datetime64[D]
    account : pyarrow.ChunkedArray
        Names.
    eligible : ndarray of bool
        Whether the account may be cross-margined.
    rows_rejected : ndarray of int64
        Rejected input rows that name the account: rows without a position that day too, as trades
        that have settled.
    saving : Saving
        The offset rate and how it came about.
    requirements : Requirements
        What a run on this market says, to the cent.
    before_ficc, before_cme : Amount
        `requirement_ficc` and `requirement_cme` at an offset rate of zero.
    call : Amount
        The change of `house_requirement` since the day before; not known on the first day.
    """

    as_of: np.datetime64
    account: pa.ChunkedArray
    eligible: Mask
    rows_rejected: Integer
    saving: Saving
    requirements: Requirements
    before_ficc: Amount
    before_cme: Amount
    call: Amount

    @property
    def reduction(self) -> Amount:
        """What the offset takes off at both clearing houses."""
        after = self.requirements
        before = self.before_ficc + self.before_cme
        return _less(before, after.requirement_ficc + after.requirement_cme)

    def table(self) -> Table:
        """Return the day as a table, a row per account: `results.schemas.replay`."""
        status = account_status(
            self.saving,
            self.requirements,
            eligible=self.eligible,
            rows_rejected=self.rows_rejected,
        )
        amounts = ("before_ficc", "before_cme", "reduction", "call")
        given = {name: getattr(self, name) for name in amounts}
        return Table(
            REPLAY.table(
                {
                    "as_of": columns.column(np.full(self.eligible.size, self.as_of)),
                    "account": columns.plain(self.account),
                    "status": columns.chosen(STATUSES, status),
                    "rows_rejected": columns.column(self.rows_rejected),
                    **saving_columns(self.saving),
                    **money_columns(self.requirements),
                    **{name: money(own.cents, own.known) for name, own in given.items()},
                }
            )
        )


def replay(
    *,
    positions: Source | Sequence[Source],
    accounts: Source,
    securities: Source,
    markets: Iterable[Market],
    firms: Source | None = None,
    policy: str | Path | Policy | None = None,
    ficc_cube: Source | None = None,
    cme_cube: Source | None = None,
    span_file: str | Path | None = None,
    settlements: Source | None = None,
    volumes: Source | None = None,
    observed_margins: Source | None = None,
    columns: ColumnsSource | None = None,
    cycle: str = "EOD",
    threads: int | None = None,
    max_rejected: int | None = None,
    allow_empty: bool = False,
    backend: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Day]:
    """Return an iterator of the days of a book: what it has to pay on each market, in turn.

    The inputs are read at once. Each market is margined when its day is asked for, and only one day
    is kept in memory. While the same of the book is open nothing is read, checked or sorted again.

    Parameters
    ----------
    markets : iterable of Market
        One for each day, in the order wanted; a generator may read or make them as they are asked
        for. Of one day there may be several, such as `market.with_curve(...)`.
    progress : callable, optional
        Called with each day and the share of the days done; 0 if `markets` does not tell how many
        there are.
    positions, accounts, securities, firms, policy, ficc_cube, cme_cube, span_file, settlements,
    volumes, observed_margins, columns, cycle, threads, max_rejected, allow_empty, backend
        As in `crossmargin.run`.

    Returns
    -------
    iterator of Day
        Each with exactly the amounts of `crossmargin.run` on that market.

    Raises
    ------
    TypeError, InputError
        As in `crossmargin.run`; for what depends on the market, when its day is asked for, with a
        note that names the market.

    Warns
    -----
    InputWarning
        As `crossmargin.run`, on any day.

    Notes
    -----
    The book is the same on all days, and each day says what of it is open: legs settle, securities
    mature, contracts expire, names with a one-digit year may mean another contract. Rows that have
    no position are rejected as a run rejects them, and their accounts are incomplete from then on;
    `rows_rejected` tells. For a book that is renewed each day give each day its own positions.

    Examples
    --------
    >>> for day in xm.replay(**book, markets=markets):  # doctest: +SKIP
    ...     print(day.as_of, day.requirements.requirement.cents.sum() / 100)
    """
    check_arguments(policy, span_file, max_rejected)
    if isinstance(markets, Market) or not isinstance(markets, Iterable):
        raise TypeError(f"markets: a list or iterator of markets expected, got {markets!r:.60}")
    execution = Execution(threads, backend, progress)
    execution.tell("reading", 0.0)
    tables = read_tables(
        BookInputs(
            positions=positions,
            accounts=accounts,
            securities=securities,
            policy=policy if isinstance(policy, Policy) else read_policy(policy),
            firms=firms,
            settlements=settlements,
            volumes=volumes,
            observed_margins=observed_margins,
            ficc_cube=ficc_cube,
            cme_cube=cme_cube,
            span_file=span_file,
            columns=columns,
            cycle=cycle,
            max_rejected=max_rejected,
            allow_empty=allow_empty,
        )
    )
    return _days(Days(tables, execution), markets, execution)


def _days(days: Days, markets: Iterable[Market], execution: Execution) -> Iterator[Day]:
    """Yield the days, each when it is asked for."""
    expected = length_hint(markets)
    last: Amount | None = None
    used: int | None = None
    for number, market in enumerate(markets):
        try:
            check_market(market)
            execution.tell(str(market.as_of), number / max(expected, number + 1) if expected else 0)
            margined = days.on(market)
        except Exception as error:
            error.add_note(f"on market {number} of the replay, {market!r:.60}")
            raise
        parsed = margined.book.parsed
        if parsed.trades.row.size != used:  # Not once more for each day with the same rows.
            used = parsed.trades.row.size
            warn_of_rows(parsed, f"xm.run on the market of {market.as_of} lists them")
        day = _day(margined, last)
        last = day.requirements.house_requirement
        yield day
    execution.tell("done", 1.0)


def _day(margined: MarginedDay, last: Amount | None) -> Day:
    """Return a day, with what has changed since the last one."""
    book, required = margined.book, margined.requirements
    now = required.house_requirement
    if last is None:
        last = Amount(now.cents, np.zeros_like(now.known))
    day = Day(
        as_of=book.parsed.market.as_of,
        account=book.parsed.accounts["account"],
        eligible=book.clients.eligible,
        rows_rejected=book.rejected,
        saving=margined.saving,
        requirements=required,
        before_ficc=margined.without.requirement_ficc,
        before_cme=margined.without.requirement_cme,
        call=_less(now, last),
    )
    _freeze(day)
    return day


def _freeze(value: object) -> None:
    """Make the arrays of a dataclass, and of those in it, read-only."""
    for field in fields(value):  # type: ignore[arg-type]
        own = getattr(value, field.name)
        if isinstance(own, np.ndarray):
            own.setflags(write=False)
        elif is_dataclass(own):
            _freeze(own)


def _less(one: Amount, other: Amount) -> Amount:
    """Return the difference; it is known where both amounts are."""
    return Amount(one.cents - other.cents, one.known & other.known)
