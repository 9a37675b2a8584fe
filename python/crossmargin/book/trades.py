"""From rows of the positions table to trades we can margin; other rows are set aside and listed.

The checks run over whole columns. A row leaves at the first check it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.exceptions import ExceptionLog, InputError, Texts
from crossmargin.instruments.contracts import Contract, last_day, roots
from crossmargin.instruments.identifiers import (
    CUSIP_LENGTH,
    canonical_cusip,
    is_plain,
    parse_contract,
    resolved_message,
)
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import DAY, add_business_days
from crossmargin.market.rates import DECIMAL_UNDER, far_below

CASH, REPO, REVERSE, FUTURE = range(len(POSITION_KINDS))
LOT = 100
"""USD of face, or of forward cash leg, in a lot."""
LARGEST_FACE = 1e12
LARGEST_CONTRACTS = 1e7
NEAR = 10
"""Business days ahead within which an end is noted."""
HANDFUL = 5
"""So many repo rates may be far below the market's without a word on the file as a whole."""
CYCLES = ("ITD", "EOD", "EODXM", "CUR")


@dataclass(frozen=True)
class Trades:
    """Accepted rows of the positions table, as columns of length R.

    Attributes
    ----------
    row : ndarray of int64
        Data row in the file, from 1.
    account : ndarray of int64
        Number of the account in the accounts table.
    firm : ndarray of int64
        Number in `firms` of the clearing firm where it differs from the account's, else -1.
    kind : ndarray of int64
        One of `schemas.POSITION_KINDS`.
    instrument : pyarrow.StringArray
        As the row names it.
    security, contract : ndarray of int64
        Number of the security (cash, repo, reverse) or in `contracts` (future), else -1.
    lots : ndarray of int64
        Lots of 100 USD face, or contracts; signed for cash and futures, positive for repo.
    xm : ndarray of bool
        Booked in the cross-margin account.
    start_open, end_open : ndarray of bool
        Which legs of a repo are not settled.
    start_date, end_date : ndarray of datetime64[D]
    repo_rate : ndarray of float64
        Decimal.
    start_cash : ndarray of float64
        USD, NaN where blank; only a security that a model prices may leave it so.
    contracts : tuple of Contract
        In the canonical order of futures.
    firms : tuple of str
        Ascending.
    cash_dates : ndarray of datetime64[D]
        Days on which an open repo leg pays cash, ascending.
    held : ndarray of int64
        Numbers of the securities traded, ascending.
    """

    row: Integer
    account: Integer
    firm: Integer
    kind: Integer
    instrument: pa.StringArray
    security: Integer
    contract: Integer
    lots: Integer
    xm: Mask
    start_open: Mask
    end_open: Mask
    start_date: Dates
    end_date: Dates
    repo_rate: Float
    start_cash: Float
    contracts: tuple[Contract, ...]
    firms: tuple[str, ...]
    cash_dates: Dates = field(init=False)
    held: Integer = field(init=False)

    def __post_init__(self) -> None:
        """Find the dates and securities of the trades."""
        due = [self.start_date[self.start_open], self.end_date[self.end_open]]
        cash_dates = _different(np.concatenate(due).astype(np.int64)).astype("datetime64[D]")
        object.__setattr__(self, "cash_dates", cash_dates)
        object.__setattr__(self, "held", _different(self.security[self.security >= 0]))


def read_trades(
    positions: pa.Table,
    *,
    accounts: pa.Table,
    securities: Securities,
    as_of: np.datetime64,
    short_rate_pct: float,
    cycle: str,
    file: str,
    log: ExceptionLog,
) -> Trades:
    """Check the rows of a positions table and resolve their accounts and instruments.

    Parameters
    ----------
    positions, accounts : pyarrow.Table
        Typed, as `io.parse` leaves them.
    securities : Securities
        Sorted by CUSIP.
    as_of : datetime64[D]
        The margin date.
    short_rate_pct : float
        The market's, percent: repo rates far below it are noted.
    cycle : str
        In `ITD` a leg is settled if dated before `as_of`, else on or before.
    file : str
        What exceptions call the positions table.
    log : ExceptionLog
        Takes rejected rows and notes.

    Returns
    -------
    Trades

    Raises
    ------
    InputError
        The cycle is unknown, or the repo rates look like decimals.
    """
    if cycle not in CYCLES:
        raise InputError(f"cycle: {cycle!r} is not one of {', '.join(CYCLES)}")
    rows = _Rows(positions, file, log)
    account = rows.account.index_in(accounts["account"])
    zeros = _known_with_zeros(accounts["account"]) if (account < 0).any() else {}
    rows.reject(
        account < 0,
        "ACCOUNT_UNKNOWN",
        lambda i: (
            f"account {rows.account[i]!r} has no usable row in the accounts table; "
            + zeros.get(rows.account[i], "add it")
        ),
    )

    kind = _Texts(positions["kind"]).index_in(columns.text_column(POSITION_KINDS))
    future = kind == FUTURE
    repo = (kind == REPO) | (kind == REVERSE)
    resolved: dict[str, str] = {}
    security = _resolve_securities(rows, ~future, securities, as_of, resolved)
    # Number -1, of what is no security, takes the last element.
    matures = np.append(securities.maturity_date, np.datetime64("NaT", "D"))[security]
    rows.reject(
        matures <= as_of,
        "SECURITY_MATURED",
        lambda i: f"{rows.instrument[i]} matured on {matures[i]}",
    )
    contract, contracts = _resolve_contracts(rows, future, as_of, resolved)
    if resolved:
        log.add("NAME_RESOLVED", file=file, message=resolved_message(resolved))

    quantity = columns.numbers(positions["quantity"])
    largest = np.where(future, LARGEST_CONTRACTS, LARGEST_FACE)
    rows.reject(
        np.abs(quantity) > largest,
        "QUANTITY_INVALID",
        lambda i: f"quantity {quantity[i]:g} is beyond {largest[i]:g}; check the units",
    )
    rows.reject(
        repo & (quantity <= 0),
        "QUANTITY_INVALID",
        lambda i: (
            f"quantity {quantity[i]:g} of a {POSITION_KINDS[kind[i]]} must be positive; "
            "the kind tells the side"
        ),
    )
    lot = np.where(future, 1, LOT)
    lots = np.rint(quantity / lot)
    rows.reject(
        lots * lot != quantity,
        "QUANTITY_NOT_WHOLE_LOT",
        lambda i: (
            f"quantity {quantity[i].item()!r} is no whole number of "
            + ("contracts" if future[i] else f"lots of {LOT} USD face")
        ),
    )

    failed = columns.flags(positions["failed"])
    settle, start, end = (
        columns.dates(positions[name]) for name in ("settle_date", "start_date", "end_date")
    )
    rows.reject(
        repo & (np.isnat(start) | np.isnat(end)),
        "DATE_INVALID",
        lambda i: f"a {POSITION_KINDS[kind[i]]} needs start_date and end_date",
    )
    rows.reject(
        repo & (end <= start),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is not after start_date {start[i]}",
    )
    rows.reject(
        repo & (end > matures),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is after {rows.instrument[i]} matures, {matures[i]}",
    )
    settled_to = as_of - DAY if cycle == "ITD" else as_of
    rows.reject(
        (kind == CASH) & (settle <= settled_to) & ~failed,
        "SETTLED",
        lambda i: f"settled on {settle[i]}: no position at the clearing house; drop the row",
    )
    rows.reject(
        repo & (end <= settled_to) & ~failed,
        "SETTLED",
        lambda i: f"the repo ended on {end[i]}: no position at the clearing house; drop the row",
    )
    rate = columns.numbers(positions["repo_rate"]) / 100.0
    rows.reject(
        repo & np.isnan(rate),
        "VALUE_INVALID",
        lambda i: f"a {POSITION_KINDS[kind[i]]} needs repo_rate, in percent",
    )

    interest = rate * (end - start).astype(np.int64) / 360.0
    rows.reject(
        repo & (np.abs(interest) >= 1.0),
        "VALUE_INVALID",
        lambda i: (
            f"at repo_rate {100.0 * rate[i]:g} the interest from {start[i]} to {end[i]} is as much "
            "as the cash; check the rate (percent) and the dates"
        ),
    )

    _check_repo_rates(rows, repo, 100.0 * rate, short_rate_pct, file)

    start_cash = columns.numbers(positions["start_cash"])
    no_model = np.append(~securities.nominal, False)
    rows.reject(
        repo & no_model[security] & np.isnan(start_cash),
        "VALUE_INVALID",
        lambda i: f"no model prices {rows.instrument[i]}, so start_cash must be given",
    )

    _note_ends(rows, repo, end, settled_to, as_of)
    keep = np.flatnonzero(rows.ok)
    firm, firms = _other_firm(positions["clearing_firm"], accounts["clearing_firm"], keep, account)
    # A repo that failed on its first leg still has both; one that failed on its last has that one.
    start_open = repo & ((start > settled_to) | (failed & (end > settled_to)))
    return Trades(
        row=rows.row[keep],
        account=account[keep],
        firm=firm,
        kind=kind[keep],
        instrument=rows.instrument.take(keep),
        security=security[keep],
        contract=contract[keep],
        lots=lots[keep].astype(np.int64),
        xm=columns.flags(positions["xm"])[keep],
        start_open=start_open[keep],
        end_open=repo[keep],
        start_date=start[keep],
        end_date=end[keep],
        repo_rate=rate[keep],
        start_cash=start_cash[keep],
        contracts=contracts,
        firms=tuple(firms),
    )


def canonical_order(contracts: Iterable[Contract]) -> list[Contract]:
    """Return contracts by root, as contracts.toml lists them, and month."""
    rank = {root: number for number, root in enumerate(roots())}
    return sorted(contracts, key=lambda c: (rank[c.root], c.month))


def _different(number: Integer) -> Integer:
    """Return the different ones of numbers that lie close together, ascending, without sorting."""
    lowest = number.min(initial=0)
    return np.asarray(np.flatnonzero(np.bincount(number - lowest)) + lowest)


class _Texts:
    """A column of texts by number, [N]: each different one is looked at once."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.number, self.different = columns.encoded(column)

    def __getitem__(self, row: int) -> str:
        """Return the text of a row."""
        return str(self.different[self.number[row].item()])

    def take(self, row: Integer) -> pa.StringArray:
        """Return the texts of some rows."""
        return self.different.take(columns.column(self.number[row]))

    def index_in(self, known: pa.Array | pa.ChunkedArray) -> Integer:
        """Return where each text stands among `known`, -1 where it does not."""
        found = pc.index_in(self.different, value_set=columns.plain(known))
        return columns.integers(found)[self.number]


class _Rows:
    """The rows still accepted, and the log for those that are not."""

    def __init__(self, table: pa.Table, file: str, log: ExceptionLog) -> None:
        self.row = columns.integers(table["row"])
        self.account = _Texts(table["account"])
        self.instrument = _Texts(table["instrument"])
        self.ok = np.ones(len(table), dtype=bool)
        self._file = file
        self._log = log

    def note(self, at: Integer, code: str, message: Texts) -> None:
        """Log some rows."""
        self._log.add(
            code,
            file=self._file,
            row=self.row[at],
            account=self.account.take(at),
            instrument=self.instrument.take(at),
            message=message,
        )

    def reject(self, mask: Mask, code: str, message: Callable[[int], str]) -> None:
        """Log the accepted rows of a mask, and accept them no more."""
        at = np.flatnonzero(self.ok & mask)
        if at.size:
            self.note(at, code, [message(i) for i in at.tolist()])
            self.ok[at] = False


def _resolve_securities(
    rows: _Rows,
    cash: Mask,
    securities: Securities,
    as_of: np.datetime64,
    resolved: dict[str, str],
) -> Integer:
    """Return each row's number among the securities, -1 for others; add what names stand for."""
    instrument = rows.instrument
    number_of = {cusip: number for number, cusip in enumerate(securities.cusip.tolist())}
    place = np.full(len(instrument.different), -1)
    trouble: dict[int, str] = {}
    for number in _different(instrument.number[rows.ok & cash]).tolist():
        text = str(instrument.different[number])
        try:
            cusip = canonical_cusip(text)
        except ValueError as error:
            trouble[number] = str(error)
            continue
        place[number] = number_of.get(cusip, -1)
        if place[number] < 0:
            name = repr(text) if text == cusip else f"{text!r}, taken as {cusip},"
            trouble[number] = (
                f"CUSIP {name} has no usable row in the securities table; {_advice(cusip, as_of)}"
            )
        elif text.strip().upper() != cusip:
            resolved[text] = cusip
    security = np.where(cash, place[instrument.number], -1)
    rows.reject(
        cash & (security < 0), "INSTRUMENT_UNKNOWN", lambda i: trouble[instrument.number[i]]
    )
    return security


def _advice(cusip: str, as_of: np.datetime64) -> str:
    """Return what to do about a security that is not known."""
    if cusip.isdigit() and len(cusip) < CUSIP_LENGTH:
        return "its leading zeros may be lost"
    with suppress(ValueError):
        return f"if it is the contract {parse_contract(cusip, as_of).symbol}, its kind is future"
    return "add it"


def _check_repo_rates(
    rows: _Rows, repo: Mask, rate_pct: Float, short_rate_pct: float, file: str
) -> None:
    """Note repo rates that look like decimals; refuse a file in which all do.

    Rates of zero and below say nothing of the unit.
    """
    given = np.flatnonzero(rows.ok & repo & (rate_pct > 0.0))
    low = far_below(rate_pct[given], short_rate_pct)
    if given.size > HANDFUL and low.all():
        raise InputError(
            f"{file}, row {rows.row[given[0]]}: no repo_rate of the file reaches "
            f"{DECIMAL_UNDER:g} where the market's short rate is {short_rate_pct:.2f}%; they look "
            "like decimals: give percent"
        )
    at = given[low]
    rows.note(
        at,
        "RATE_SUSPICIOUS",
        [
            f"repo_rate {rate:.10g} looks like a decimal where the market's short rate is "
            f"{short_rate_pct:.2f}%; give percent, unless the repo is special"
            for rate in rate_pct[at].tolist()
        ],
    )


def _note_ends(
    rows: _Rows, repo: Mask, end: Dates, settled_to: np.datetime64, as_of: np.datetime64
) -> None:
    """Note the repos that end soon."""
    soon = add_business_days(as_of, NEAR, "bond")
    # Most repos of a book end soon: one text for each day, not for each row.
    days = settled_to + np.arange(1, int((soon - settled_to).astype(np.int64)) + 1)
    ends = [
        f"ends on {day}; without a new one its securities leave the margin account" for day in days
    ]
    at = np.flatnonzero(rows.ok & repo & (end > settled_to) & (end <= soon))
    rows.note(at, "REPO_ENDS", columns.chosen(ends, (end[at] - days[0]).astype(np.int64)))


def _resolve_contracts(
    rows: _Rows, future: Mask, as_of: np.datetime64, resolved: dict[str, str]
) -> tuple[Integer, tuple[Contract, ...]]:
    """Return each row's number in the contracts of the book, in canonical order.

    Adds what names stand for to `resolved`.
    """
    instrument = rows.instrument
    found: dict[int, Contract] = {}
    trouble: dict[int, tuple[str, str]] = {}
    for number in _different(instrument.number[rows.ok & future]).tolist():
        text = str(instrument.different[number])
        try:
            contract = parse_contract(text, as_of)
            end = last_day(contract)
        except ValueError as error:
            trouble[number] = ("CONTRACT_UNKNOWN", str(error))
            continue
        if end < as_of:
            name = "its" if text == contract.symbol else f"taken as {contract.symbol}, whose"
            trouble[number] = ("CONTRACT_EXPIRED", f"{text}: {name} last day was {end}")
        else:
            found[number] = contract
            if not is_plain(text, contract, as_of):
                resolved[text] = contract.symbol
    for code in ("CONTRACT_UNKNOWN", "CONTRACT_EXPIRED"):
        wrong = np.zeros(len(instrument.different), dtype=bool)
        wrong[[number for number, (its_code, _) in trouble.items() if its_code == code]] = True
        rows.reject(
            future & wrong[instrument.number],
            code,
            lambda i: trouble[instrument.number[i]][1],
        )
    usable = canonical_order(set(found.values()))
    place = np.full(len(instrument.different), -1)
    place[list(found)] = [usable.index(contract) for contract in found.values()]
    return np.where(future, place[instrument.number], -1), tuple(usable)


def _other_firm(
    row_firm: pa.ChunkedArray, own: pa.ChunkedArray, row: Integer, account: Integer
) -> tuple[Integer, list[str]]:
    """Return the firms of some rows where they are not their account's, else -1, and all names."""
    number, name = columns.ranked(row_firm)
    own_number, own_name = columns.encoded(own)
    owner = columns.integers(pc.index_in(own_name, value_set=columns.text_column(name)))[own_number]
    firm = number[row]
    return np.where(firm == owner[account[row]], -1, firm), name


def _known_with_zeros(accounts: pa.ChunkedArray) -> dict[str, str]:
    """Return what to do about accounts that look like known ones without their leading zeros."""
    names = [name for name in columns.texts(accounts) if name.startswith("0")]
    return {name.lstrip("0"): f"if it is {name!r}, read the column as text" for name in names}
