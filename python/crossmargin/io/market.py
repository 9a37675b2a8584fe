"""A market from its files."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.exceptions import ExceptionLog, InputError
from crossmargin.book.schemas import BASIS, FIXINGS, SOFR, Schema
from crossmargin.io.par_yields import DECIMAL_UNDER, read_par_yields
from crossmargin.io.parse import Parsed, describe_input, parse
from crossmargin.io.tables import Given, Source, read_table
from crossmargin.market.curve import TENORS
from crossmargin.market.market import SYNTHETIC, Market, Note


def read_market(
    par_yields: Source,
    *,
    as_of: str | datetime.date | np.datetime64,
    basis: Source | None = None,
    fixings: Source | None = None,
    sofr: Source | None = None,
) -> Market:
    """Read a market from files or tables.

    Parameters
    ----------
    par_yields, basis, fixings, sofr
        Paths or tables; see `read_par_yields` and the schemas `BASIS`, `FIXINGS` and `SOFR`.
    as_of
        The day the book is margined for, YYYY-MM-DD.

    Returns
    -------
    Market

    Raises
    ------
    InputError
        If a file cannot be used, or the yields do not reach the as-of date.
    """
    day = as_of_date(as_of)
    source: dict[str, dict[str, Any]] = {}
    notes: list[Note] = []

    def describe(name: str, given: Given, parsed: Parsed) -> None:
        source[name] = describe_input(given, parsed)
        notes.extend(Note("READ_AS", name, text) for text in (*given.notes, *parsed.notes))

    given_yields = read_table(par_yields, name="par yields")
    yields = read_par_yields(given_yields.table, point=given_yields.point)
    describe("par_yields", given_yields, yields)
    histories: dict[str, pa.Table | None] = {"basis": None, "fixings": None, "sofr": None}
    for given, schema, value in (
        (basis, BASIS, "basis"),
        (fixings, FIXINGS, "rate_pct"),
        (sofr, SOFR, None),
    ):
        if given is not None:
            read = read_table(given, name=schema.name)
            parsed = parse(
                read.table, schema, file=schema.name, log=ExceptionLog(), point=read.point
            )
            describe(schema.name, read, parsed)
            histories[schema.name] = _history(parsed.table, schema, value)
    if histories["sofr"] is not None:
        _check_percent(histories["sofr"], SOFR)
    try:
        return Market.from_tables(
            yields.table,
            as_of=day,
            basis=histories["basis"],
            fixings=histories["fixings"],
            sofr=histories["sofr"],
            source=source,
            notes=tuple(notes),
            synthetic=SYNTHETIC in yields.extra_columns,
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def as_of_date(day: str | datetime.date | np.datetime64) -> np.datetime64:
    """Return the as-of date; InputError if it is no day of the form YYYY-MM-DD."""
    if isinstance(day, np.datetime64):
        day = str(day.astype("datetime64[D]"))
    if isinstance(day, datetime.datetime):
        day = day.date()
    text = str(day)
    try:
        if len(text) != len("YYYY-MM-DD"):
            raise ValueError
        return np.datetime64(datetime.date.fromisoformat(text), "D")
    except ValueError:
        raise InputError(f"as-of date {text!r}: write a day that exists as YYYY-MM-DD") from None


def _history(table: pa.Table, schema: Schema, value: str | None) -> pa.Table:
    """Refuse two rows of one day; leave out the days without a value, if there is one column."""
    key = [column.name for column in schema.columns if column.required and column.name != value]
    _check_once(table, key, schema)
    if value is not None:
        table = table.filter(table[value].is_valid())
    return table.drop_columns("row")


def _check_percent(table: pa.Table, schema: Schema) -> None:
    """Refuse rates that were given as decimals."""
    rate = np.column_stack([columns.numbers(table[tenor]) for tenor in TENORS])
    largest = np.fmax.reduce(np.abs(rate), axis=None, initial=0.0)
    if 0.0 < largest < DECIMAL_UNDER:
        raise InputError(
            f"{schema.name}: no rate reaches {DECIMAL_UNDER:g}; these look like decimals: give "
            "percent"
        )


def _check_once(table: pa.Table, key: list[str], schema: Schema) -> None:
    """Refuse a history that says two things of one day."""
    cell = np.zeros(len(table), np.int64)
    for name in key:
        number, different = columns.encoded(table[name])
        cell = cell * len(different) + number
    _, first, group, count = np.unique(
        cell, return_index=True, return_inverse=True, return_counts=True
    )
    repeated = count > 1
    if repeated.any():
        last = np.zeros(count.size, np.int64)
        np.maximum.at(last, group, columns.integers(table["row"]))
        row = last[repeated].min()
        day = columns.dates(table["date"])[first[repeated].min()]
        raise InputError(
            f"{schema.name}, row {row}: {', '.join(key)} are there more than once "
            f"(among them {day}); keep one row"
        )
