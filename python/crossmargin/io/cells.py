"""Reading the cells of a column: text to numbers, dates, flags and choices, all rows at once.

Text is first reduced to its distinct values, so the cost of reading a cell is paid once for each
value, not once for each row. What cannot be read is marked, never guessed and never raised.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin.book.schemas import ARROW_TYPE, Kind

Mask = npt.NDArray[np.bool_]

MISSING_WORDS = ("", "null", "na", "n/a", "nan", "none", ".")
"""What stands for a missing cell, case ignored; for required texts only the blank does."""
TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")
FIRST_YEAR, LAST_YEAR = 1950, 2150
"""Dates outside are impossible."""
PIVOT = 69
"""Of two-digit years: 69 to 99 are of the 1900s, 00 to 68 of the 2000s, as in POSIX."""
LONGEST_TEXT = 1000

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_ISO = (
    r"^(?P<y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})"
    r"(?:[ T]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?)?$"
)
_US = r"^(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})/(?P<y>[0-9]{4}|[0-9]{2})$"
_CONTROL = r"[\x00-\x1f\x7f]"


class CellTypeError(TypeError):
    """A typed column cannot be of the kind asked for."""


@dataclass(frozen=True)
class Cells:
    """One column, read.

    Attributes
    ----------
    value
        The cells in the type of their kind; null where missing or bad.
    missing, bad
        Which rows are missing, and which hold something that cannot be read.
    """

    value: pa.Array
    missing: Mask
    bad: Mask


def read_cells(
    column: pa.ChunkedArray, kind: Kind, *, choices: tuple[str, ...] = (), identifier: bool = False
) -> Cells:
    """Read a column of text, or take over a typed one.

    Parameters
    ----------
    column
        Text, or the Arrow type that fits `kind`.
    kind
        What the cells are.
    choices
        What a `choice` may be.
    identifier
        Words such as ``NA`` are names, not missing cells.

    Raises
    ------
    CellTypeError
        If a typed column cannot be of this kind: identifiers as floating numbers, dates as
        integers.
    """
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_null(array.type):
        count = len(array)
        value = pa.nulls(count, ARROW_TYPE[kind])
        return Cells(value, np.ones(count, bool), np.zeros(count, bool))
    if pa.types.is_string(array.type):
        return _read_text(array, kind, choices, identifier)
    try:
        return _read_typed(array, kind)
    except pa.ArrowException as error:  # such as a time zone that does not exist
        raise CellTypeError(f"holds {array.type}, which cannot be read: {error}") from error


def shown_cells(cells: pa.ChunkedArray) -> pa.StringArray:
    """Return cells as short printable text, for messages."""
    text = cells.cast(pa.string()).fill_null("").combine_chunks()
    short = pc.utf8_slice_codeunits(text, 0, 60)
    return pc.replace_substring_regex(short, _CONTROL, "?")


def _read_text(
    array: pa.StringArray, kind: Kind, choices: tuple[str, ...], identifier: bool
) -> Cells:
    encoded = array.dictionary_encode()
    words = pc.utf8_trim_whitespace(encoded.dictionary)
    # A choice may be one of the words: an account whose role is `none`.
    missing_words = tuple(word for word in MISSING_WORDS if word not in choices)
    absent = pc.equal(words, "") if identifier else _among(words, missing_words)
    value = _choice(words, choices) if kind == "choice" else _READERS[kind](words)
    value = pc.if_else(absent, pa.scalar(None, value.type), value)
    index = encoded.indices
    missing = _mask(absent.take(index), null=True)
    read = value.take(index)
    return Cells(read, missing, _mask(pc.is_null(read)) & ~missing)


def _read_typed(array: pa.Array, kind: Kind) -> Cells:
    given = array.type
    missing = _mask(pc.is_null(array, nan_is_null=pa.types.is_floating(given)))
    numeric = (
        pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
    )
    if kind == "text" and pa.types.is_integer(given):
        value = array.cast(pa.string())
    elif kind == "number" and numeric:
        value = _finite(array.cast(pa.float64(), safe=False))
    elif kind == "flag" and pa.types.is_boolean(given):
        value = array
    elif kind == "flag" and numeric:
        number = array.cast(pa.float64(), safe=False)
        known = pc.or_(pc.equal(number, 0.0), pc.equal(number, 1.0))
        value = pc.if_else(known, pc.equal(number, 1.0), pa.scalar(None, pa.bool_()))
    elif kind == "date" and pa.types.is_date(given):
        value = _plausible(array).cast(pa.date32())
    elif kind == "date" and pa.types.is_timestamp(given):
        local = pc.local_timestamp(array) if given.tz else array
        day = pc.floor_temporal(local, unit="day")
        value = pc.if_else(pc.equal(day, local), day, pa.scalar(None, day.type))
        value = _plausible(value).cast(pa.date32())
    else:
        raise CellTypeError(f"holds {given}, which cannot be read as {kind}")
    return Cells(value, missing, _mask(pc.is_null(value)) & ~missing)


def _text(words: pa.StringArray) -> pa.Array:
    wild = pc.or_(
        pc.match_substring_regex(words, _CONTROL),
        pc.greater(pc.utf8_length(words), LONGEST_TEXT),
    )
    return pc.if_else(wild, pa.scalar(None, pa.string()), words)


def _number(words: pa.StringArray) -> pa.Array:
    matches = pc.match_substring_regex(words, _NUMBER)
    digits = pc.if_else(matches, words, pa.scalar(None, pa.string()))
    return _finite(digits.cast(pa.float64()))


def _flag(words: pa.StringArray) -> pa.Array:
    true = _among(words, TRUE_WORDS)
    known = pc.or_(true, _among(words, FALSE_WORDS))
    return pc.if_else(known, true, pa.scalar(None, pa.bool_()))


def _choice(words: pa.StringArray, choices: tuple[str, ...]) -> pa.Array:
    position = pc.index_in(
        pc.utf8_lower(words), value_set=pa.array([choice.lower() for choice in choices])
    )
    return pa.array(choices, pa.string()).take(position)


def _date(words: pa.StringArray) -> pa.Array:
    """Read ISO, m/d/yyyy and m/d/yy; null where the day does not exist."""
    iso, us = pc.extract_regex(words, _ISO), pc.extract_regex(words, _US)

    def part(name: str) -> npt.NDArray[np.int64]:
        text = pc.coalesce(pc.struct_field(iso, name), pc.struct_field(us, name))
        number = text.cast(pa.int64()).fill_null(0)
        return np.asarray(number.to_numpy(zero_copy_only=False), np.int64)

    year, month, day = part("y"), part("m"), part("d")
    short = year < 100
    year = np.where(short, np.where(year < PIVOT, 2000, 1900) + year, year)
    exists = (month >= 1) & (month <= 12) & (year >= FIRST_YEAR) & (year <= LAST_YEAR)
    months = np.where(exists, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    exists &= (day >= 1) & (day <= length)
    return pa.array(first + (day - 1), pa.date32(), mask=~exists)


_READERS: dict[Kind, Callable[[pa.StringArray], pa.Array]] = {
    "text": _text,
    "number": _number,
    "flag": _flag,
    "date": _date,
}


def _finite(number: pa.DoubleArray) -> pa.Array:
    return pc.if_else(pc.is_finite(number), number, pa.scalar(None, pa.float64()))


def _plausible(when: pa.Array) -> pa.Array:
    """Return dates or times with null for those outside the years we know."""
    first = pa.scalar(datetime.date(FIRST_YEAR, 1, 1), pa.date32()).cast(when.type)
    last = pa.scalar(datetime.date(LAST_YEAR, 12, 31), pa.date32()).cast(when.type)
    inside = pc.and_(pc.greater_equal(when, first), pc.less_equal(when, last))
    return pc.if_else(inside, when, pa.scalar(None, when.type))


def _among(words: pa.StringArray, known: tuple[str, ...]) -> pa.BooleanArray:
    return pc.is_in(pc.utf8_lower(words), value_set=pa.array(known))


def _mask(flags: pa.BooleanArray, *, null: bool = False) -> Mask:
    return np.asarray(flags.fill_null(null).to_numpy(zero_copy_only=False), bool)
