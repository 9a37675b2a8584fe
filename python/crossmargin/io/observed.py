"""Read what the clearing houses report: recognised by their headers, typed, units told apart."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.programme import (
    EQUIVALENTS,
    MARGIN_SAVINGS,
    OWN_TABLE,
    RATE_HEADERS,
    REPORTS,
    UNCLEAR_ENDS,
    Report,
)
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.identifiers import canonical_root
from crossmargin.io.parse import ROW, describe_input, parse
from crossmargin.io.tables import Source, read_table

_MONTH = re.compile(r"(20[0-9]{2})-?([0-9]{2})")
BY_ACCOUNT = (MARGIN_SAVINGS, OWN_TABLE)
"""Reports with one row an account."""


@dataclass(frozen=True)
class Observed:
    """A report, read.

    Attributes
    ----------
    report : Report
        Which one it is.
    table : pyarrow.Table
        Its usable rows in our columns; rates as shares.
    set_aside : tuple of str
        Accounts with a row that is not used.
    source : dict
        What the manifest says of it.
    exceptions : pyarrow.Table
        Rows that are set aside, and notes.
    """

    report: Report
    table: pa.Table
    set_aside: tuple[str, ...]
    source: dict[str, Any]
    exceptions: pa.Table


def read_observed(
    source: Source, *, as_of: np.datetime64, cycle: str, name: str = "observed"
) -> Observed:
    """Return a report of the exchange, or a table in our columns, read and checked.

    Parameters
    ----------
    source : path or table
        XMFICCMARGINSAVINGS, XMFICCCUSIP or XMFICCPOSN, told by the header; or a table with
        `account` and columns of our accounts table.
    as_of, cycle
        The day and the cycle that it must be of.
    name : str
        Name of the input in messages.

    Returns
    -------
    Observed

    Raises
    ------
    InputError
        It cannot be read, is none of these, is of another day, cycle or of two runs, has no usable
        row, or does not say whether its rates are in percent.
    """
    given = read_table(source, name=name)
    report = _recognised(given.table, name)
    log = ExceptionLog()
    table = _renamed(given.table, report, name)
    parsed = parse(table, report.schema, file=name, log=log, point=given.point)
    if parsed.extra_columns:
        named = ", ".join(f"`{column[:60]}`" for column in parsed.extra_columns[:20])
        more = len(parsed.extra_columns) - 20
        end = f" and {more} more" if more > 0 else ""
        log.add("COLUMNS_NOT_READ", file=name, message=f"{report.name}: {named}{end}")
    rows = parsed.table
    if not len(rows):
        raise InputError(f"{name}: {report.name} has no usable row; see that it is the right file")
    _check_when(rows, as_of, cycle, name)
    if report is EQUIVALENTS:
        rows = _with_contracts(rows, name, log)
    if report in BY_ACCOUNT:
        rows = _once_each(_as_shares(rows, report, name), name, log)
    exceptions = log.table()
    aside = exceptions["account"].filter(
        columns.column(columns.texts(exceptions["severity"]) == "rejected")
    )
    return Observed(
        report=report,
        table=rows,
        set_aside=tuple(sorted({text for text in columns.texts(aside) if text is not None})),
        source={"report": report.name, **describe_input(given, parsed)},
        exceptions=exceptions,
    )


def _plain(header: str) -> str:
    """Return a header in lower-case letters and digits: `FICC Saving %` as ficcsavingpct."""
    return re.sub(r"[^a-z0-9]", "", header.lower().replace("%", "pct"))


def report_of(table: pa.Table) -> Report | None:
    """Return which report a table is, by its header; None if it is none of them."""
    there = {_plain(header) for header in table.column_names}
    return next((one for one in REPORTS if all(mark & there for mark in one.marks)), None)


def _recognised(table: pa.Table, name: str) -> Report:
    """Return which report a table is; InputError if it is none."""
    report = report_of(table)
    if report is not None:
        return report
    has = ", ".join(f"`{header[:60]}`" for header in table.column_names[:12])
    known = ", ".join(report.name for report in REPORTS)
    raise InputError(f"{name}: is none of {known}; the file has {has}")


def _renamed(table: pa.Table, report: Report, name: str) -> pa.Table:
    """Return a table with the columns of a report under our names."""
    ours = {header: own for own, headers in report.headers.items() for header in headers}
    found = defaultdict(list)
    for header in table.column_names:
        plain = _plain(header)
        if plain in ours:
            found[ours[plain]].append(header)
        elif report.unit == "percent" and _is_unclear(plain):
            raise InputError(
                f"{name}: column `{header[:60]}` does not say whether it is in percent; if it is, "
                "let its name end in Pct"
            )
    for own, headers in found.items():
        if len(headers) > 1:
            both = " and ".join(f"`{header[:60]}`" for header in headers[:2])
            raise InputError(f"{name}: {both} are both read as {own}; keep one")
    back = {headers[0]: own for own, headers in found.items()}
    # A column of theirs must not be taken for one of ours that has another header here.
    taken = {_plain(column.name) for column in report.columns}
    names = [
        back.get(header, f"{header}*" if _plain(header) in taken else header)
        for header in table.column_names
    ]
    return table.rename_columns(names)


def _is_unclear(plain: str) -> bool:
    """Tell whether a header is of a rate, but does not say in what unit."""
    return any(
        plain == f"{base}{end}"
        for bases in RATE_HEADERS.values()
        for base in bases
        for end in UNCLEAR_ENDS
    )


def _check_when(rows: pa.Table, as_of: np.datetime64, cycle: str, name: str) -> None:
    """Refuse a report of another day or cycle, or of more than one run."""
    day = columns.dates(rows["day"])
    other = ~np.isnat(day) & (day != as_of)
    if other.any():
        at = int(np.argmax(other))
        raise InputError(
            f"{name}, row {rows[ROW][at]}: is of {day[at]}, the run of {as_of}; give the report of "
            "that day"
        )
    for number, text in enumerate(columns.texts(columns.plain(rows["cycle"]))):
        if text not in (None, cycle):
            raise InputError(
                f"{name}, row {rows[ROW][number]}: is of cycle {text}, the run of {cycle}; give "
                "the rows of one cycle"
            )
    runs = np.unique(columns.numbers(rows["run"]))
    runs = runs[~np.isnan(runs)]
    if runs.size > 1:
        raise InputError(
            f"{name}: has rows of runs {runs[0]:g} and {runs[1]:g}; give those of one run"
        )


def _as_shares(rows: pa.Table, report: Report, name: str) -> pa.Table:
    """Return rows with rates as shares; refuse rates whose unit is in doubt."""
    rates = [own for own in RATE_HEADERS if own in rows.column_names]
    value = {own: columns.numbers(rows[own]) for own in rates}
    if report.unit == "share":
        for own in rates:
            if np.nanmax(value[own], initial=0.0) > 1.0:
                raise InputError(
                    f"{name}: `{own}` has {np.nanmax(value[own]):g}; give shares from 0 to 1, or "
                    "percent under a name that ends in Pct, with BusDate and Cycle"
                )
        return rows
    largest = {
        own: float(np.nanmax(np.abs(value[own]), initial=0.0)) for own in rates if own != "minimum"
    }
    # A rate of one percent or less is rare, and the cap is far above it: all of them at most 1 are
    # shares under a name that says percent. What is applied is at least the minimum.
    suspects = [own for own in ("cap", "offset_rate") if 0.0 < largest.get(own, 0.0) <= 1.0]
    if not suspects and 0.0 < max(largest.values(), default=0.0) <= 1.0:
        suspects = [own for own, most in largest.items() if most > 0.0]
    if suspects:
        raise InputError(
            f"{name}: {suspects[0]} is nowhere above 1, though its name says percent; if these are "
            "shares, give a table in our columns"
        )
    for own in rates:
        # By the decimal that was written: 46.15 / 100 is not the float of 0.4615.
        share = [float(Decimal(repr(percent)).scaleb(-2)) for percent in value[own].tolist()]
        cells = columns.column(np.array(share, dtype=np.float64), ~np.isnan(value[own]))
        rows = rows.set_column(rows.column_names.index(own), own, cells)
    return rows


def _once_each(rows: pa.Table, name: str, log: ExceptionLog) -> pa.Table:
    """Return rows without those of accounts that have more than one."""
    number, different = columns.encoded(rows["account"])
    count = np.bincount(number, minlength=len(different))
    twice = count[number] > 1
    if twice.any():
        again = rows.filter(columns.column(twice))
        log.add(
            "ACCOUNT_DUPLICATE",
            file=name,
            row=again[ROW],
            account=columns.plain(again["account"]),
            message="the account has more than one row; none is used",
        )
        rows = rows.filter(columns.column(~twice))
    return rows


def _with_contracts(rows: pa.Table, name: str, log: ExceptionLog) -> pa.Table:
    """Return rows with the contract that product and month name; others are set aside."""
    product, month = (columns.texts(columns.plain(rows[own])) for own in ("product", "month"))
    symbol = [_contract(*pair) for pair in zip(product, month, strict=True)]
    known = np.array([text is not None for text in symbol], dtype=bool)
    unknown = np.flatnonzero(~known)
    if unknown.size:
        at = rows.take(columns.column(unknown))
        log.add(
            "CONTRACT_UNKNOWN",
            file=name,
            row=at[ROW],
            account=columns.plain(at["account"]),
            instrument=[f"{product[i]} {month[i]}"[:60] for i in unknown],
            message="no contract of the programme is known by this product and month (YYYYMM)",
        )
    rows = rows.append_column("contract", columns.text_column(symbol))
    return rows.filter(columns.column(known))


def _contract(product: str, month: str) -> str | None:
    """Return the name of a contract from its product and month, YYYYMM; None if it is none."""
    root, match = canonical_root(product), _MONTH.fullmatch(month)
    if root is None or match is None or not 1 <= int(match[2]) <= 12:
        return None
    return Contract(root, np.datetime64(f"{match[1]}-{match[2]}", "M")).symbol
