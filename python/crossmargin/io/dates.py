"""Read dates as people and programs write them; the file must show if it has m/d or d/m."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Integer, Mask

FIRST_YEAR, LAST_YEAR = 1950, 2150
"""Dates outside these years are refused."""
PIVOT = 69
"""Two-digit years from 69 to 99 are in the 1900s, 00 to 68 in the 2000s, as in POSIX."""

Order = Literal["month first", "day first", "mixed"]
"""How a file writes dates with slashes. Mixed: dates that fit both orders are not read."""

_MIDNIGHT = r"(?: (?:0?0:00(?::00)?|12:00(?::00)? AM))?"
_SLASHES = (
    rf"^(?P<first>[0-9]{{1,2}})/(?P<second>[0-9]{{1,2}})/(?P<y>[0-9]{{4}}|[0-9]{{2}}){_MIDNIGHT}$"
)
_FORMS = (
    r"^(?P<y>[0-9]{4})[/-](?P<m>[0-9]{1,2})[/-](?P<d>[0-9]{1,2})"
    r"(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?)?$",
    _SLASHES,
    r"^(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})$",
    rf"^(?P<d>[0-9]{{1,2}})\.(?P<m>[0-9]{{1,2}})\.(?P<y>[0-9]{{4}}|[0-9]{{2}}){_MIDNIGHT}$",
    r"^(?P<d>[0-9]{1,2})[ -]?(?P<m>[A-Za-z]{3,9})[ -]?(?P<y>[0-9]{4}|[0-9]{2})$",
    r"^(?P<m>[A-Za-z]{3,9}) (?P<d>[0-9]{1,2})(?:, ?| )(?P<y>[0-9]{4})$",
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_MONTH = {
    word: number
    for number, name in enumerate(_MONTHS, start=1)
    for word in (name, name[:3], str(number), f"{number:02d}")
}
"""Months by name, and by number with one or two digits."""


def read_dates(words: pa.StringArray, order: Order) -> tuple[pa.Array, Mask]:
    """Return the dates that the distinct words of a column stand for.

    Parameters
    ----------
    words : pyarrow.StringArray
    order : Order
        Order of day and month in dates with slashes.

    Returns
    -------
    value : pyarrow.Date32Array
        Null where a word is not an existing day, or is unclear.
    unclear : ndarray of bool
        Words that can be two dates, if the file has both orders.
    """
    parts = np.zeros((3, len(words)), np.int64)
    unclear = np.zeros(len(words), bool)
    left = np.arange(len(words))
    for form in _FORMS:
        found = pc.extract_regex(words.take(columns.column(left)), form)
        fits = columns.is_known(found)
        cells, at = found.filter(columns.column(fits)), left[fits]
        if form == _SLASHES:
            parts[:, at], unclear[at] = _slash_parts(cells, order)
        elif at.size:
            parts[:, at] = _year(cells), _month(cells), _number(cells, "d")
        left = left[~fits]
        if not left.size:
            break
    year, month, day = parts
    exists = (month >= 1) & (month <= 12) & (year >= FIRST_YEAR) & (year <= LAST_YEAR)
    months = np.where(exists, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + np.timedelta64(1, "M")).astype("datetime64[D]") - first).astype(np.int64)
    exists &= (day >= 1) & (day <= length) & ~unclear
    return columns.column(first + (day - 1), exists), unclear


def slash_order(dates: Mapping[str, pa.DictionaryArray]) -> tuple[Order, tuple[str, ...]]:
    """Return whether dates with slashes in a file have the month or the day first.

    Parameters
    ----------
    dates : mapping of str to pyarrow.DictionaryArray
        The columns by name, as text.

    Returns
    -------
    order : Order
        Month first, as in the US, unless some date can only have the day first.
    notes : tuple of str
        Notes on what was found, unless the month is always first.
    """
    day: list[str] = []
    month: list[str] = []
    for name, column in dates.items():
        words = pc.utf8_trim_whitespace(column.dictionary)
        found = pc.extract_regex(words, _SLASHES)
        first, second = _number(found, "first"), _number(found, "second")
        for seen, high, low in ((day, first, second), (month, second, first)):
            only = np.flatnonzero((high > 12) & (high <= 31) & (low >= 1) & (low <= 12))
            count = int(np.isin(columns.integers(column.indices), only).sum()) if only.size else 0
            if count:
                seen.append(f"`{name}` has {count:,} such as {words[int(only[0])]}")
    if not day:
        return "month first", ()
    if not month:
        return "day first", (f"dates with slashes have the day first: {'; '.join(day)}",)
    return "mixed", (
        f"some dates with slashes have the day first, others the month: {'; '.join(day)}; "
        f"{'; '.join(month)}; those that fit both orders are rejected",
    )


def _slash_parts(cells: pa.StructArray, order: Order) -> tuple[tuple[Integer, ...], Mask]:
    first, second = _number(cells, "first"), _number(cells, "second")
    day_first = np.full(len(cells), order == "day first")
    unclear = np.zeros(len(cells), bool)
    if order == "mixed":
        day_first = first > 12
        unclear = (first <= 12) & (second <= 12) & (first != second)
    month, day = np.where(day_first, second, first), np.where(day_first, first, second)
    return (_year(cells), month, day), unclear


def _year(cells: pa.StructArray) -> Integer:
    year = _number(cells, "y")
    return np.where(year < 100, np.where(year < PIVOT, 2000, 1900) + year, year)


def _month(cells: pa.StructArray) -> Integer:
    """Return months from numbers or English names; zero for an unknown month."""
    text = pc.utf8_lower(pc.struct_field(cells, "m"))
    place = columns.integers(pc.index_in(text, value_set=columns.text_column(list(_MONTH))))
    return np.array([*_MONTH.values(), 0])[place]


def _number(cells: pa.StructArray, part: str) -> Integer:
    return columns.integers(pc.struct_field(cells, part).cast(pa.int64()), null=0)
