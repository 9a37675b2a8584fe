"""How much more would be due if the programme's benefit stopped tomorrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.caveats import STATUSES, account_status
from crossmargin.agreement.collection import uncovered
from crossmargin.agreement.requirement import Amount, ordinary
from crossmargin.arrays import Mask
from crossmargin.calculation.collected import (
    TOLD,
    GivenDeposits,
    deposited,
    own_requirements,
    read_deposits,
)
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.exceptions import ExceptionLog
from crossmargin.io.column_map import ColumnsSource
from crossmargin.io.tables import Source
from crossmargin.results.schemas.calls import OFF_AMOUNTS, PROGRAMME_OFF, PROGRAMME_OFF_TOTAL
from crossmargin.results.table import Table, money
from crossmargin.results.tables import exception_table


@dataclass(frozen=True)
class ProgrammeOff:
    """The liquidity that the programme's end would take.

    Attributes
    ----------
    accounts : Table
        A row per account; the columns are those of
        `crossmargin.results.schemas.calls.PROGRAMME_OFF`.
    total : Table
        One row: the sums over the accounts whose gap is known, and how many are not.
    exceptions : Table
        Rows of the deposits that were set aside, and notes.
    manifest : dict
        The run and the policy they belong to, and what was read.
    """

    accounts: Table
    total: Table
    exceptions: Table
    manifest: dict[str, Any]

    def __repr__(self) -> str:
        """Return the day and the gap as text."""
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        (total,) = self.total
        unknown = total["accounts_unknown"]
        apart = f", {unknown:,} unknown" if unknown else ""
        return (
            f"<ProgrammeOff {self.manifest['as_of']} {self.manifest['cycle']}{mark}: "
            f"gap {total['gap']:,.2f} USD of {total['accounts']:,} accounts{apart}>"
        )


def programme_off(
    run: RunResult,
    deposits: Source | None = None,
    columns: ColumnsSource | None = None,
) -> ProgrammeOff:
    """Return what would be due on top if the benefit stopped tomorrow, by account and in total.

    Parameters
    ----------
    run : RunResult
        With its stages. Its offset rates may be those of `with_offset_rates`.
    deposits : path or table, optional
        As for `crossmargin.calls`: what they leave of the gap is told too.
    columns : path or dict, optional
        Names and units of our columns in the deposits.

    Returns
    -------
    ProgrammeOff

    Raises
    ------
    TypeError, ValueError
        `run` is of another kind or has no stages.
    InputError
        The deposits cannot be used.

    Notes
    -----
    Twice: at an offset rate of zero with every position where it is (`gap`), and with all of them
    in ordinary accounts, where futures net as without the programme (`gap_ordinary`). Both are of
    positions at the account's own firm at FICC and CME. What is on deposit at one clearing house
    for one account meets a gap there and nowhere else.

    Examples
    --------
    >>> programme_off(run).total.to_pandas()  # doctest: +SKIP
    """
    stages = stages_of(run, given_rates=True)
    given = None
    if deposits is not None:
        given = read_deposits(deposits, stages.parsed.accounts, columns)
    parts = _parts(stages, given)
    known = parts["gap"].known & parts["gap_ordinary"].known
    if given is not None:
        known = known & parts["left"].known
    log = ExceptionLog()
    if given is not None:
        log.extend(given.exceptions)
    return ProgrammeOff(
        Table(_account_table(stages, parts)),
        Table(_total_table(parts, known, stages.clients.complete, given is not None)),
        Table(exception_table(log.table())),
        {
            **{name: run.manifest[name] for name in TOLD if name in run.manifest},
            "inputs": {} if given is None else given.source,
        },
    )


def _parts(stages: Stages, given: GivenDeposits | None) -> dict[str, Amount]:
    """Return the amounts of every account, by column."""
    accounts, margins = stages.clients.eligible.size, stages.margins
    charges = list(margins.charged)
    now = own_requirements(stages)
    off = own_requirements(stages, np.zeros(accounts))
    ficc, cme = (
        (r.requirement_ficc + r.other_ficc, r.requirement_cme + r.other_cme) for r in (now, off)
    )
    (now_ficc, now_cme), (off_ficc, off_cme) = ficc, cme
    own_ficc, own_cme = (ordinary(m, charges, accounts) for m in (margins.ficc, margins.cme))
    at_ficc, at_cme = deposited(given, accounts)
    left_ficc = uncovered(off_ficc, now_ficc, at_ficc)
    left_cme = uncovered(off_cme, now_cme, at_cme)
    return {
        "required_ficc": now_ficc,
        "required_cme": now_cme,
        "without_ficc": off_ficc,
        "without_cme": off_cme,
        "gap_ficc": _rise(off_ficc, now_ficc),
        "gap_cme": _rise(off_cme, now_cme),
        "gap": _rise(off_ficc + off_cme, now_ficc + now_cme),
        "ordinary_ficc": own_ficc,
        "ordinary_cme": own_cme,
        "gap_ordinary": _rise(own_ficc + own_cme, now_ficc + now_cme),
        "deposit_ficc": at_ficc,
        "deposit_cme": at_cme,
        "left_ficc": left_ficc,
        "left_cme": left_cme,
        "left": left_ficc + left_cme,
        "left_ordinary": (
            uncovered(own_ficc, now_ficc, at_ficc) + uncovered(own_cme, now_cme, at_cme)
        ),
    }


def _rise(after: Amount, now: Amount) -> Amount:
    return Amount(after.cents - now.cents, after.known & now.known)


def _account_table(stages: Stages, parts: dict[str, Amount]) -> pa.Table:
    """Return the table of accounts."""
    accounts, saving = stages.parsed.accounts, stages.agreement.saving
    status = account_status(
        saving,
        stages.requirements,
        eligible=stages.clients.eligible,
        rows_rejected=stages.rows_rejected,
    )
    given = ("account", "customer", "origin", "clearing_firm")
    return PROGRAMME_OFF.table(
        {
            **{name: columns.plain(accounts[name]) for name in given},
            "status": columns.chosen(STATUSES, status),
            "offset_rate": columns.column(saving.offset_rate),
            **{name: money(part.cents, part.known) for name, part in parts.items()},
        }
    )


def _total_table(
    parts: dict[str, Amount], known: Mask, complete: Mask, with_deposits: bool
) -> pa.Table:
    """Return the sums over the accounts that are known."""
    told = np.ones(1, bool)
    cells = {
        "accounts": columns.column(np.array([np.count_nonzero(known)])),
        "accounts_unknown": columns.column(np.array([np.count_nonzero(~known)])),
        "accounts_incomplete": columns.column(np.array([np.count_nonzero(known & ~complete)])),
    }
    for column in OFF_AMOUNTS:
        there = with_deposits or not column.name.startswith(("deposit", "left"))
        total = np.array([parts[column.name].cents[known].sum()], np.int64)
        cells[column.name] = money(total, told & there)
    return PROGRAMME_OFF_TOTAL.table(cells)
