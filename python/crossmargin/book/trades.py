"""From rows of the positions table to trades we can margin; other rows are set aside and listed.

The checks run over whole columns. A row leaves at the first check it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin.book.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract, last_day, parse_contract, roots
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import add_business_days

Dates = npt.NDArray[np.datetime64]
Float = npt.NDArray[np.float64]
Integer = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Text = npt.NDArray[np.object_]

LOT = 100
"""USD of face, or of dated cash, in a lot."""
LARGEST_FACE = 1e12
LARGEST_CONTRACTS = 1e7
NEAR = 10
"""Business days ahead within which an end is noted."""
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
    firm : ndarray of str
        The clearing firm where it differs from the account's, else empty.
    kind : ndarray of str
        cash, repo, reverse or future.
    instrument : ndarray of str
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
    """

    row: Integer
    account: Integer
    firm: Text
    kind: Text
    instrument: Text
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

    @property
    def cash_dates(self) -> Dates:
        """Days on which an open repo leg pays cash, ascending."""
        due = [self.start_date[self.start_open], self.end_date[self.end_open]]
        return np.unique(np.concatenate(due))


def read_trades(
    positions: pa.Table,
    *,
    accounts: pa.Table,
    securities: Securities,
    as_of: np.datetime64,
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
        The cycle is unknown.
    """
    if cycle not in CYCLES:
        raise InputError(f"cycle: {cycle!r} is not one of {', '.join(CYCLES)}")
    rows = _Rows(positions, file, log)
    size = len(positions)
    account_text = positions["account"]
    account = _index_in(account_text, accounts["account"])
    rows.reject(
        account < 0,
        "ACCOUNT_UNKNOWN",
        lambda i: f"account {rows.account[i]!r} has no usable row in the accounts table; add it",
    )

    kind = texts(positions["kind"])
    future = kind == "future"
    repo = (kind == "repo") | (kind == "reverse")
    security = np.where(future, -1, _index_in(positions["instrument"], pa.array(securities.cusip)))
    rows.reject(
        ~future & (security < 0),
        "INSTRUMENT_UNKNOWN",
        lambda i: f"CUSIP {rows.instrument[i]!r} has no usable row in the securities table; add it",
    )
    matured = np.zeros(size, dtype=bool)
    matured[security >= 0] = securities.maturity_date[security[security >= 0]] <= as_of
    rows.reject(
        matured,
        "SECURITY_MATURED",
        lambda i: f"{rows.instrument[i]} matured on {securities.maturity_date[security[i]]}",
    )
    contract, contracts = _resolve_contracts(rows, future, as_of)

    quantity = positions["quantity"].to_numpy()
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
            f"quantity {quantity[i]:g} of a {kind[i]} must be positive; the kind tells the side"
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

    failed = positions["failed"].to_numpy(zero_copy_only=False).astype(bool)
    settle, start, end = (_dates(positions[c]) for c in ("settle_date", "start_date", "end_date"))
    rows.reject(
        repo & (np.isnat(start) | np.isnat(end)),
        "DATE_INVALID",
        lambda i: f"a {kind[i]} needs start_date and end_date",
    )
    rows.reject(
        repo & (end <= start),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is not after start_date {start[i]}",
    )
    matures = np.full(size, np.datetime64("NaT"), dtype="datetime64[D]")
    matures[security >= 0] = securities.maturity_date[security[security >= 0]]
    rows.reject(
        repo & (end > matures),
        "DATE_INVALID",
        lambda i: f"end_date {end[i]} is after {rows.instrument[i]} matures, {matures[i]}",
    )
    settled_to = as_of - 1 if cycle == "ITD" else as_of
    rows.reject(
        (kind == "cash") & (settle <= settled_to) & ~failed,
        "SETTLED",
        lambda i: f"settled on {settle[i]}: no position at the clearing house; drop the row",
    )
    rows.reject(
        repo & (end <= settled_to) & ~failed,
        "SETTLED",
        lambda i: f"the repo ended on {end[i]}: no position at the clearing house; drop the row",
    )
    rate = positions["repo_rate"].to_numpy() / 100.0
    rows.reject(
        repo & np.isnan(rate), "VALUE_INVALID", lambda i: f"a {kind[i]} needs repo_rate, in percent"
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

    start_cash = positions["start_cash"].to_numpy()
    no_model = np.zeros(size, dtype=bool)
    no_model[security >= 0] = ~securities.nominal[security[security >= 0]]
    rows.reject(
        repo & no_model & np.isnan(start_cash),
        "VALUE_INVALID",
        lambda i: f"no model prices {rows.instrument[i]}, so start_cash must be given",
    )

    soon = add_business_days(as_of, NEAR, "bond")
    # Most repos of a book end soon: one text for each day, not for each row.
    ends = {
        day: f"ends on {day}; without a new one its securities leave the margin account"
        for day in (settled_to + n for n in range(int((soon - settled_to).astype(np.int64)) + 1))
    }
    rows.note(repo & (end > settled_to) & (end <= soon), "REPO_ENDS", lambda i: ends[end[i]])
    keep = rows.ok
    # A repo that failed on its first leg still has both; one that failed on its last has that one.
    start_open = repo & ((start > settled_to) | (failed & (end > settled_to)))
    return Trades(
        row=rows.row[keep],
        account=account[keep],
        firm=_other_firm(positions["clearing_firm"], accounts["clearing_firm"], account)[keep],
        kind=kind[keep],
        instrument=rows.instrument[keep],
        security=security[keep],
        contract=contract[keep],
        lots=lots[keep].astype(np.int64),
        xm=positions["xm"].to_numpy(zero_copy_only=False).astype(bool)[keep],
        start_open=start_open[keep],
        end_open=repo[keep],
        start_date=start[keep],
        end_date=end[keep],
        repo_rate=rate[keep],
        start_cash=start_cash[keep],
        contracts=contracts,
    )


def canonical_order(contracts: Iterable[Contract]) -> list[Contract]:
    """Return contracts by root, as contracts.toml lists them, and month."""
    rank = {root: number for number, root in enumerate(roots())}
    return sorted(contracts, key=lambda c: (rank[c.root], c.month))


class _Rows:
    """The rows still accepted, and the log for those that are not."""

    def __init__(self, table: pa.Table, file: str, log: ExceptionLog) -> None:
        self.row = table["row"].to_numpy()
        self.account = texts(table["account"])
        self.instrument = texts(table["instrument"])
        self.ok = np.ones(len(table), dtype=bool)
        self._file = file
        self._log = log

    def note(self, mask: Mask, code: str, message: Callable[[int], str]) -> None:
        """Log the accepted rows of a mask."""
        at = np.flatnonzero(self.ok & mask)
        self._log.add(
            code,
            file=self._file,
            row=self.row[at],
            account=self.account[at],
            instrument=self.instrument[at],
            message=[message(i) for i in at.tolist()],
        )

    def reject(self, mask: Mask, code: str, message: Callable[[int], str]) -> None:
        """Log the accepted rows of a mask, and accept them no more."""
        self.note(mask, code, message)
        self.ok &= ~mask


def _resolve_contracts(
    rows: _Rows, future: Mask, as_of: np.datetime64
) -> tuple[Integer, tuple[Contract, ...]]:
    """Return each row's number in the contracts of the book, in canonical order."""
    contract = np.full(future.size, -1)
    name, at = np.unique(rows.instrument[rows.ok & future].astype(str), return_inverse=True)
    found: list[Contract | None] = []
    trouble: dict[str, tuple[str, str]] = {}
    for text in name.tolist():
        try:
            parsed = parse_contract(text, as_of)
            end = last_day(parsed)
        except ValueError as error:
            trouble[text] = ("CONTRACT_UNKNOWN", str(error))
            found.append(None)
            continue
        if end < as_of:
            trouble[text] = ("CONTRACT_EXPIRED", f"its last day was {end}")
        found.append(parsed)
    usable = canonical_order(
        {c for text, c in zip(name.tolist(), found, strict=True) if c and text not in trouble}
    )
    number = np.array([usable.index(c) if c in usable else -1 for c in found], dtype=np.int64)
    contract[rows.ok & future] = number[at]
    for code in ("CONTRACT_UNKNOWN", "CONTRACT_EXPIRED"):
        names = [text for text, (its_code, _) in trouble.items() if its_code == code]
        rows.reject(
            future & np.isin(rows.instrument, names),
            code,
            lambda i: f"{rows.instrument[i]}: {trouble[str(rows.instrument[i])][1]}",
        )
    return contract, tuple(usable)


def _other_firm(row_firm: pa.ChunkedArray, own: pa.ChunkedArray, account: Integer) -> Text:
    """Return the clearing firm of a row where it is not its account's, else an empty text."""
    firm = texts(row_firm)
    owner = texts(own)[np.maximum(account, 0)] if len(own) else firm
    blank = np.asarray(pc.is_null(row_firm).to_numpy(zero_copy_only=False), dtype=bool)
    return np.where(blank | (firm == owner), "", firm)


def _index_in(text: pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> Integer:
    """Return where each text stands among `known`, -1 where it does not."""
    found = pc.index_in(text, value_set=known.cast(pa.string()), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64)


def texts(column: pa.ChunkedArray) -> Text:
    """Return a column of texts as Python strings, None where null."""
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def _dates(column: pa.ChunkedArray) -> Dates:
    return np.asarray(column.to_numpy(), dtype="datetime64[D]")
