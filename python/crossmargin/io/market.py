"""Read a market from its files."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin.book.schemas import BASIS, FIXINGS, SOFR, SPREADS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.column_map import ColumnMap, ColumnsSource, read_column_map
from crossmargin.io.histories import check_percent, check_spreads, check_terms, usable_history
from crossmargin.io.market_tables import market_from_tables
from crossmargin.io.par_yields import join_par_yields
from crossmargin.io.parse import Parsed, describe_file, describe_input, parse
from crossmargin.io.several import joint
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given, Source
from crossmargin.market.market import SYNTHETIC, Market, Note


def read_market(
    par_yields: Source | Sequence[Source],
    *,
    as_of: str | datetime.date | np.datetime64,
    basis: Source | None = None,
    fixings: Source | None = None,
    sofr: Source | None = None,
    spreads: Source | None = None,
    columns: ColumnsSource | None = None,
) -> Market:
    """Return a market read from files or tables.

    Parameters
    ----------
    par_yields, basis, fixings, sofr, spreads : path or table
        CSV, Parquet or Excel files, or any tables with the Arrow PyCapsule protocol. `par_yields`
        may be a list of these: a file for each year, or for each tenor.
    as_of : str, date or datetime64[D]
        The day the book is margined for, YYYY-MM-DD.
    columns : path or dict, optional
        Names of our columns in these files, as in `crossmargin.run`.

    Returns
    -------
    Market

    Raises
    ------
    InputError
        A file cannot be used; the message names it, the row and what to do.
    """
    day = as_of_date(as_of)  # First, so that a mistake is reported before anything is read.
    given = read_histories(
        par_yields, basis=basis, fixings=fixings, sofr=sofr, spreads=spreads, columns=columns
    )
    return given.on(day)


def read_markets(
    par_yields: Source | Sequence[Source],
    *,
    days: Iterable[str | datetime.date | np.datetime64],
    basis: Source | None = None,
    fixings: Source | None = None,
    sofr: Source | None = None,
    spreads: Source | None = None,
    columns: ColumnsSource | None = None,
) -> Iterator[Market]:
    """Return an iterator of the markets of many days from the same files, read once.

    Parameters
    ----------
    par_yields, basis, fixings, sofr, spreads, columns
        As in `read_market`.
    days : iterable of str, date or datetime64[D]
        As-of dates, in the order wanted.

    Returns
    -------
    iterator of Market
        Each as `read_market` returns it, made when it is asked for: what is dated later than its
        day is not seen.

    Raises
    ------
    TypeError
        `days` is one day, or nothing that can be iterated over.
    InputError
        As in `read_market`; for what depends on the day, when it is asked for.
    """
    if isinstance(days, str | bytes) or not hasattr(days, "__iter__"):
        raise TypeError(f"days: a list or iterator of days expected, got {days!r:.60}")
    given = read_histories(
        par_yields, basis=basis, fixings=fixings, sofr=sofr, spreads=spreads, columns=columns
    )
    return map(given.on, days)


@dataclass(frozen=True)
class Histories:
    """The histories of a market, as read: the same for every day.

    Attributes
    ----------
    par_yields : pyarrow.Table
    others : dict of str to pyarrow.Table
        `basis`, `fixings`, `sofr` and `spreads`, those that were given.
    source : dict of str to dict
        What the manifest says of each.
    notes : tuple of Note
    synthetic : bool
    """

    par_yields: pa.Table
    others: dict[str, pa.Table]
    source: dict[str, dict[str, Any]]
    notes: tuple[Note, ...]
    synthetic: bool

    def on(self, as_of: str | datetime.date | np.datetime64) -> Market:
        """Return the market of a day; InputError if they give none."""
        try:
            return market_from_tables(
                self.par_yields,
                as_of=as_of_date(as_of),
                **self.others,
                source=self.source,
                notes=self.notes,
                synthetic=self.synthetic,
            )
        except InputError:
            raise
        except ValueError as error:
            raise InputError(str(error)) from error


def read_histories(
    par_yields: Source | Sequence[Source],
    *,
    basis: Source | None,
    fixings: Source | None,
    sofr: Source | None,
    spreads: Source | None,
    columns: ColumnsSource | None,
) -> Histories:
    """Return the histories in the files of a market; see `read_market`."""
    names = None if columns is None else read_column_map(columns)
    source: dict[str, dict[str, Any]] = {}
    notes: list[Note] = []

    def describe(name: str, given: Given, parsed: Parsed) -> None:
        source[name] = describe_input(given, parsed)
        notes.extend(Note("READ_AS", name, text) for text in (*given.notes, *parsed.notes))

    given_yields, yields = _read_yields(par_yields, names)
    describe("par_yields", joint(given_yields), yields)
    if names is not None:
        source["columns"] = describe_file(names.path, names.hash)
    if len(given_yields) > 1:
        source["par_yields"]["files"] = [given.hash for given in given_yields]
        source["par_yields"]["paths"] = [given.path or None for given in given_yields]
    histories: dict[str, pa.Table] = {}
    for given, schema, value in (
        (basis, BASIS, "basis"),
        (fixings, FIXINGS, "rate_pct"),
        (sofr, SOFR, None),
        (spreads, SPREADS, "spread_pct"),
    ):
        if given is not None:
            read = read_source(given, name=schema.name, column_map=names)
            parsed = parse(
                read.table, schema, file=schema.name, log=ExceptionLog(), point=read.point
            )
            describe(schema.name, read, parsed)
            if schema in (FIXINGS, SOFR):
                check_percent(parsed.table, schema, yields.table)
            if schema is SOFR:
                check_terms(parsed.table)
            histories[schema.name] = usable_history(parsed.table, schema, value)
            if schema is SPREADS:
                check_spreads(histories[schema.name])
    return Histories(
        yields.table, histories, source, tuple(notes), SYNTHETIC in yields.extra_columns
    )


def _read_yields(
    par_yields: Source | Sequence[Source], column_map: ColumnMap | None
) -> tuple[list[Given], Parsed]:
    """Return the par yields of one file, or of several joined."""
    sources = par_yields if isinstance(par_yields, list | tuple) else [par_yields]
    if not sources:
        raise InputError("par yields: no file is given; give at least one")
    given = [read_source(one, name="par yields", column_map=column_map) for one in sources]
    called = ["par yields"]
    if len(sources) > 1:
        called = [
            f"par yields file {source}" if isinstance(source, str | Path) else f"par yields {n}"
            for n, source in enumerate(sources, start=1)
        ]
    return given, join_par_yields(list(zip(called, given, strict=True)))


def as_of_date(day: str | datetime.date | np.datetime64) -> np.datetime64:
    """Return the as-of date; InputError if it is not an existing day as YYYY-MM-DD."""
    if isinstance(day, np.datetime64):
        day = str(day.astype("datetime64[D]"))
    if isinstance(day, datetime.datetime):
        day = day.date()
    text = str(day)
    try:
        known = datetime.date.fromisoformat(text)
        if text != known.isoformat():  # Python reads other ways to write it.
            raise ValueError
        return np.datetime64(known, "D")
    except ValueError:
        raise InputError(f"as-of date {text!r}: write an existing day as YYYY-MM-DD") from None
