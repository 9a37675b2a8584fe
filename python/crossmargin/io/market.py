"""A market from its files."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.book.exceptions import ExceptionLog, InputError
from crossmargin.book.schemas import BASIS, FIXINGS, Schema
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.parse import describe_input, parse
from crossmargin.io.tables import Source, to_arrow
from crossmargin.market.market import SYNTHETIC, Market


def read_market(
    par_yields: Source,
    *,
    as_of: str | datetime.date | np.datetime64,
    basis: Source | None = None,
    fixings: Source | None = None,
) -> Market:
    """Read a market from files or tables.

    Parameters
    ----------
    par_yields, basis, fixings
        Paths or tables; see `read_par_yields` and the schemas `BASIS` and `FIXINGS`.
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
    yields = read_par_yields(par_yields)
    # The reader keeps the file's hash with its table.
    source = {"par_yields": describe_input(yields.table, yields)}
    histories: dict[str, pa.Table | None] = {"basis": None, "fixings": None}
    for given, schema, value in ((basis, BASIS, "basis"), (fixings, FIXINGS, "rate_pct")):
        if given is not None:
            table = to_arrow(given, name=schema.name)
            parsed = parse(table, schema, file=schema.name, log=ExceptionLog())
            source[schema.name] = describe_input(table, parsed)
            histories[schema.name] = _history(parsed.table, schema, value)
    try:
        return Market.from_tables(
            yields.table,
            as_of=day,
            basis=histories["basis"],
            fixings=histories["fixings"],
            source=source,
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


def _history(table: pa.Table, schema: Schema, value: str) -> pa.Table:
    """Leave out the days without a value; refuse two rows of one day."""
    _check_once(table, [column.name for column in schema.columns if column.name != value], schema)
    return table.filter(table[value].is_valid()).drop_columns("row")


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
