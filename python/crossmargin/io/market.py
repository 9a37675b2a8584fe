"""A market from its files."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float
from crossmargin.book.exceptions import ExceptionLog, InputError
from crossmargin.book.schemas import BASIS, FIXINGS, SOFR, Schema
from crossmargin.io.column_map import ColumnMap, ColumnsSource, read_column_map
from crossmargin.io.par_yields import join_par_yields
from crossmargin.io.parse import Parsed, describe_input, parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given, Source
from crossmargin.market.curve import TENORS
from crossmargin.market.market import SYNTHETIC, Market, Note
from crossmargin.market.rates import below_neighbours, far_below


def read_market(
    par_yields: Source | Sequence[Source],
    *,
    as_of: str | datetime.date | np.datetime64,
    basis: Source | None = None,
    fixings: Source | None = None,
    sofr: Source | None = None,
    column_map: ColumnsSource | None = None,
) -> Market:
    """Read a market from files or tables.

    Parameters
    ----------
    par_yields
        A path or table, or a list of them, which are joined; see `join_par_yields`.
    basis, fixings, sofr
        Paths or tables; see the schemas `BASIS`, `FIXINGS` and `SOFR`.
    as_of
        The day the book is margined for, YYYY-MM-DD.
    column_map
        What our columns are called in these files; see `read_column_map`.

    Returns
    -------
    Market

    Raises
    ------
    InputError
        If a file cannot be used, or the yields do not reach the as-of date.
    """
    day = as_of_date(as_of)
    names = None if column_map is None else read_column_map(column_map)
    source: dict[str, dict[str, Any]] = {}
    notes: list[Note] = []

    def describe(name: str, given: Given, parsed: Parsed) -> None:
        source[name] = describe_input(given, parsed)
        notes.extend(Note("READ_AS", name, text) for text in (*given.notes, *parsed.notes))

    given_yields, yields = _read_yields(par_yields, names)
    describe("par_yields", _joint(given_yields), yields)
    if len(given_yields) > 1:
        source["par_yields"]["files"] = [given.hash for given in given_yields]
    histories: dict[str, pa.Table | None] = {"basis": None, "fixings": None, "sofr": None}
    for given, schema, value in (
        (basis, BASIS, "basis"),
        (fixings, FIXINGS, "rate_pct"),
        (sofr, SOFR, None),
    ):
        if given is not None:
            read = read_source(given, name=schema.name, column_map=names)
            parsed = parse(
                read.table, schema, file=schema.name, log=ExceptionLog(), point=read.point
            )
            describe(schema.name, read, parsed)
            if schema is not BASIS:
                _check_percent(parsed.table, schema, yields.table)
            if schema is SOFR:
                _check_terms(parsed.table)
            histories[schema.name] = _history(parsed.table, schema, value)
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


def _read_yields(
    par_yields: Source | Sequence[Source], column_map: ColumnMap | None
) -> tuple[list[Given], Parsed]:
    """Read the par yields of one file, or of several joined."""
    sources = par_yields if isinstance(par_yields, list | tuple) else [par_yields]
    if not sources:
        raise InputError("par yields: no file is given; give one or more")
    given = [read_source(one, name="par yields", column_map=column_map) for one in sources]
    called = ["par yields"]
    if len(sources) > 1:
        called = [
            f"par yields file {source}" if isinstance(source, str | Path) else f"par yields {n}"
            for n, source in enumerate(sources, start=1)
        ]
    return given, join_par_yields(list(zip(called, given, strict=True)))


def _joint(given: list[Given]) -> Given:
    """Return what stands for several tables, whatever their order."""
    if len(given) == 1:
        return given[0]
    hashes = "\n".join(sorted(one.hash for one in given))
    notes = tuple(dict.fromkeys(note for one in given for note in one.notes))
    return Given(given[0].table, hashlib.sha256(hashes.encode()).hexdigest(), notes)


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
    """Refuse two rows of one day, or none; leave out days without a value, if it is one column."""
    key = [column.name for column in schema.columns if column.required and column.name != value]
    _check_once(table, key, schema)
    if value is not None:
        table = table.filter(table[value].is_valid())
    if not len(table):
        raise InputError(f"{schema.name}: has no row with a value; give some, or leave it out")
    return table.drop_columns("row")


def _check_percent(table: pa.Table, schema: Schema, yields: pa.Table) -> None:
    """Refuse rates that look like decimals beside the par yields of their day."""
    names = [column.name for column in schema.columns if column.kind == "number"]
    rate = np.column_stack([columns.numbers(table[name]) for name in names])
    largest = np.fmax.reduce(np.abs(rate), axis=1)
    day = columns.dates(table["date"])
    short = _short_yield(yields, day)
    wrong = np.flatnonzero(far_below(largest, short))
    if wrong.size:
        first = wrong[0]
        raise InputError(
            f"{schema.name}, row {columns.integers(table['row'])[first]}: {largest[first]:g} on "
            f"{day[first]}, where the shortest par yield is {short[first]:g}%, looks like a "
            f"decimal or a missing value ({wrong.size} of {day.size} rows do); give percent"
        )


def _check_terms(sofr: pa.Table) -> None:
    """Refuse SOFR rates that look like decimals beside those of other terms."""
    percent = np.column_stack([columns.numbers(sofr[tenor]) for tenor in TENORS])
    wrong = below_neighbours(percent)
    if wrong.any():
        at, k = (int(v[0]) for v in np.nonzero(wrong))
        raise InputError(
            f"{SOFR.name}, row {columns.integers(sofr['row'])[at]}: {TENORS[k]} is "
            f"{percent[at, k]:g}, far below the terms around it, and looks like a decimal "
            f"({wrong[:, k].sum()} of {len(sofr)} rows do); give percent"
        )


def _short_yield(yields: pa.Table, day: Dates) -> Float:
    """Return the shortest par yield known on each day or last before it, percent; else NaN."""
    percent = np.column_stack([columns.numbers(yields[tenor]) for tenor in TENORS])
    shortest = np.argmin(np.isnan(percent), axis=1)
    short = np.append(percent[np.arange(len(percent)), shortest], np.nan)
    # Days before the first row take the last element.
    return short[np.searchsorted(columns.dates(yields["date"]), day, side="right") - 1]


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
