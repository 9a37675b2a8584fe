"""Checks of market histories: one value a day, in percent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Float
from crossmargin.book.schemas import SOFR, SPREADS, Schema
from crossmargin.exceptions import InputError
from crossmargin.market.curve import TENORS
from crossmargin.market.rates import below_neighbours, far_below

LEAST_SPREAD, MOST_SPREAD = 0.0005, 0.3
"""Percent; where the median of a group's spreads in percent lies."""
MOST_GROUPS = 200
"""A policy has at most 100 buckets, each on and off the run."""


def usable_history(table: pa.Table, schema: Schema, value: str | None) -> pa.Table:
    """Return the days that have a value; refuse repeated days and an empty history."""
    key = [column.name for column in schema.columns if column.required and column.name != value]
    _check_once(table, key, schema)
    if value is not None:
        table = table.filter(table[value].is_valid())
    if not len(table):
        raise InputError(f"{schema.name}: no row has a value; give some, or leave the input out")
    return table.drop_columns("row")


def check_percent(table: pa.Table, schema: Schema, yields: pa.Table) -> None:
    """Refuse rates that look like decimals compared with the par yields of their day."""
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
            f"{day[first]}, while the shortest par yield is {short[first]:g}%; it looks like a "
            f"decimal or a missing value ({wrong.size} of {day.size} rows do): give percent"
        )


def check_terms(sofr: pa.Table) -> None:
    """Refuse SOFR rates that look like decimals compared with other terms."""
    percent = np.column_stack([columns.numbers(sofr[tenor]) for tenor in TENORS])
    wrong = below_neighbours(percent)
    if wrong.any():
        at, k = (int(v[0]) for v in np.nonzero(wrong))
        raise InputError(
            f"{SOFR.name}, row {columns.integers(sofr['row'])[at]}: {TENORS[k]} is "
            f"{percent[at, k]:g}, far below the terms around it; it looks like a decimal "
            f"({wrong[:, k].sum()} of {len(sofr)} rows do): give percent"
        )


def check_spreads(table: pa.Table) -> None:
    """Refuse too many groups, and a group whose spreads look like basis points or decimals."""
    group, names = columns.ranked(table["group"])
    if len(names) > MOST_GROUPS:
        raise InputError(
            f"{SPREADS.name}: has {len(names):,} different groups, such as {names[0][:100]!r}, "
            f"more than the {MOST_GROUPS} of any policy; give spreads of groups, not of securities"
        )
    size = np.abs(columns.numbers(table["spread_pct"]))
    for number, name in enumerate(names):
        own = np.sort(size[(group == number) & (size > 0.0)])
        typical = float(own[own.size // 2]) if own.size else LEAST_SPREAD
        if not LEAST_SPREAD <= typical <= MOST_SPREAD:
            unit = "basis points" if typical > MOST_SPREAD else "decimals"
            raise InputError(
                f"{SPREADS.name}: the median size of those of {name[:100]!r} is {typical:g}; they "
                f"look like {unit}: give percent"
            )


def _short_yield(yields: pa.Table, day: Dates) -> Float:
    """Return the shortest known par yield on or last before each day, percent; else NaN."""
    percent = np.column_stack([columns.numbers(yields[tenor]) for tenor in TENORS])
    shortest = np.argmin(np.isnan(percent), axis=1)
    short = np.append(percent[np.arange(len(percent)), shortest], np.nan)
    # Days before the first row have index -1 and take the last element.
    return short[np.searchsorted(columns.dates(yields["date"]), day, side="right") - 1]


def _check_once(table: pa.Table, key: list[str], schema: Schema) -> None:
    """Refuse a history with two rows for one day."""
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
            f"{schema.name}, row {row}: {', '.join(key)} appear more than once "
            f"(among them {day}); keep one row"
        )
