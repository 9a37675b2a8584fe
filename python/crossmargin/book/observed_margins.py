"""Maintenance margins of futures as an exchange has set them, by contract or by root."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin.book.schemas import OBSERVED_MARGINS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract, last_day, roots
from crossmargin.instruments.identifiers import canonical_root, other_root, parse_contract

STALE_DAYS = 365
"""Days; a margin in force for longer is noted, because a later one may be missing."""


@dataclass(frozen=True)
class ObservedMargin:
    """A maintenance margin in force.

    Attributes
    ----------
    instrument : str
        A root (`ZN`), for all its contracts that have no margin of their own, or a contract
        (`ZNM25`).
    date : datetime64[D]
        The day from which it is in force.
    maintenance : float
        USD a contract.
    contract : Contract, optional
        The contract; None for a root.
    """

    instrument: str
    date: np.datetime64
    maintenance: float
    contract: Contract | None = None


def read_observed_margins(
    table: pa.Table, *, as_of: np.datetime64, log: ExceptionLog
) -> tuple[ObservedMargin, ...]:
    """Return the margins in force on a day: of each contract or root the latest one.

    Parameters
    ----------
    table : pyarrow.Table
        Typed, as `io.parse` returns it.
    as_of : datetime64[D]
        Rows of a later date are left out, and those of contracts that have expired.
    log : ExceptionLog
        Takes the rows whose instrument is misspelt, and notes. Products that are not known here
        are left out with a note.

    Returns
    -------
    tuple of ObservedMargin
        By root, in the order of `roots()`; a root before its contracts, and these by month.

    Raises
    ------
    InputError
        An instrument has two amounts on one date, or all rows are of a later date.
    """
    file = OBSERVED_MARGINS.name
    row_of: dict[tuple[str, np.datetime64], tuple[int, float]] = {}
    latest: dict[str, ObservedMargin] = {}
    unknown: list[tuple[int, str, str]] = []
    expired: set[str] = set()
    others: Counter[str] = Counter()
    later = 0
    for row, text, date, usd in _rows(table):
        try:
            name, contract = _instrument(text, date, as_of)
        except ValueError as error:
            other = other_root(text)
            if other is not None:
                others[other] += 1
                continue
            unknown.append((row, text, f"{error}, or a root alone"))
            continue
        first_row, first_usd = row_of.setdefault((name, date), (row, usd))
        if usd != first_usd:
            raise InputError(
                f"{file}, row {row}: {name} has a `maintenance` of {usd:g} on {date}, and of "
                f"{first_usd:g} in row {first_row}; keep one"
            )
        if date > as_of:
            later += 1
        elif contract is not None and last_day(contract) < as_of:
            expired.add(name)
        elif name not in latest or latest[name].date < date:
            latest[name] = ObservedMargin(name, date, usd, contract)
    if unknown:
        number, texts, messages = zip(*unknown, strict=True)
        log.add("CONTRACT_UNKNOWN", file=file, row=number, instrument=list(texts), message=messages)
    if later and not latest:
        raise InputError(
            f"{file}: no margin is in force on {as_of}: rows are dated later; give earlier ones, "
            "or leave it out"
        )
    margins = tuple(sorted(latest.values(), key=_place))
    if others:
        rows = "1 row" if others.total() == 1 else f"{others.total():,} rows"
        message = f"{rows} of products that are not margined here: {', '.join(sorted(others))}"
        log.add("READ_AS", file=file, message=message)
    _note(margins, later, sorted(expired), as_of, log)
    return margins


def _rows(table: pa.Table) -> Iterable[tuple[int, str, np.datetime64, float]]:
    """Return the rows as plain values."""
    names = ("row", "instrument", "date", "maintenance")
    for row, text, date, usd in zip(*(table[name].to_pylist() for name in names), strict=True):
        assert isinstance(date, datetime.date)
        yield row, text, np.datetime64(date, "D"), usd


def _instrument(
    text: str, date: np.datetime64, as_of: np.datetime64
) -> tuple[str, Contract | None]:
    """Return the root or contract that a text names; a contract as of the row's own date."""
    root = canonical_root(text)
    if root is not None:
        return root, None
    with suppress(ValueError):
        contract = parse_contract(text, date)
        if last_day(contract) >= date:
            return contract.symbol, contract
    # The margin may be older than the listing of the contract.
    contract = parse_contract(text, max(date, as_of))
    return contract.symbol, contract


def _place(margin: ObservedMargin) -> tuple[int, str]:
    """Return the place of an instrument in the order of the results."""
    if margin.contract is None:
        return roots().index(margin.instrument), ""
    return roots().index(margin.contract.root), str(margin.contract.month)


def is_stale(date: np.datetime64, as_of: np.datetime64) -> bool:
    """Return whether a margin has been in force for so long that a later one may be missing."""
    return bool(as_of - date > np.timedelta64(STALE_DAYS, "D"))


def _note(
    margins: tuple[ObservedMargin, ...],
    later: int,
    expired: list[str],
    as_of: np.datetime64,
    log: ExceptionLog,
) -> None:
    """Note the rows that are left out, and margins that may be out of date."""
    file = OBSERVED_MARGINS.name
    if later:
        log.add(
            "READ_AS",
            file=file,
            message=f"rows dated after the as-of date {as_of} are left out: {later:,}",
        )
    if expired:
        log.add(
            "READ_AS",
            file=file,
            message=f"{', '.join(expired)}: expired by {as_of}; their rows are left out",
        )
    old = [one for one in margins if is_stale(one.date, as_of)]
    if old:
        told = ", ".join(f"{one.instrument} since {one.date}" for one in old)
        log.add(
            "OBSERVED_STALE",
            file=file,
            message=f"in force for more than {STALE_DAYS} days on {as_of}: {told}; if there are "
            "later margins, give them too",
        )
