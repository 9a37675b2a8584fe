"""Read the cells of a column: text to numbers, dates, flags and choices, all rows at once.

Text is first reduced to its distinct values, so each value is read once, not once for each row.
Cells that cannot be read are marked as bad; they are not guessed and raise no error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Mask
from crossmargin.book.schemas import ARROW_TYPE, Kind
from crossmargin.io.dates import FIRST_YEAR, LAST_YEAR, Order, read_dates
from crossmargin.io.numbers import read_numbers

MISSING_WORDS = ("", "null", "na", "n/a", "nan", "none", ".", "nd")
"""Words for a missing cell, case ignored; in required texts only a blank is missing."""
TRUE_WORDS = ("true", "t", "yes", "y", "1")
FALSE_WORDS = ("false", "f", "no", "n", "0")
LONGEST_TEXT = 1000
EXACT_BELOW = {16: 2.0**11, 32: 2.0**24, 64: 2.0**53}
"""By bits of a floating-point number: it holds every whole number below this."""

_CONTROL = r"[\x00-\x1f\x7f]"
_NO_TEXT = rf"{_CONTROL}|^#(?:N/A|GETTING_DATA|[A-Z0-9/]+[!?])$"
"""Control characters, and the errors that a spreadsheet shows for a failed formula."""
_AS_FORMULA = r'^="([^"]+)"$'


class CellTypeError(TypeError):
    """A typed column cannot be read as the kind wanted."""


@dataclass(frozen=True)
class Cells:
    """The cells of one column after reading.

    Attributes
    ----------
    value
        The cells in the type of their kind; null where missing or bad.
    missing, bad
        Masks of the rows that are missing, and of those that cannot be read.
    unclear
        Mask of the bad rows that can be read in two ways; None if there are none.
    note
        How the column was read, if that needs a note.
    """

    value: pa.Array
    missing: Mask
    bad: Mask
    unclear: Mask | None = None
    note: str = ""


def read_cells(
    column: pa.ChunkedArray | pa.Array,
    kind: Kind,
    *,
    choices: tuple[str, ...] = (),
    identifier: bool = False,
    percent: bool = False,
    point: bool = True,
    thousands: bool = True,
    order: Order = "month first",
) -> Cells:
    """Read a column of text, or take over a typed one.

    Parameters
    ----------
    column
        Text, or the Arrow type that fits `kind`.
    kind
        The kind of the cells.
    choices
        Values of a `choice`.
    identifier
        Whether words such as ``NA`` are names, not missing cells.
    percent
        Whether the numbers are in percent and may have a percent sign.
    point
        Whether the decimal mark is a point; if not, the column must show which it is.
    thousands
        Whether the numbers may reach a thousand.
    order
        Order of day and month in dates with slashes; see `dates.slash_order`.

    Raises
    ------
    CellTypeError
        A typed column cannot be of this kind: identifiers with fractions, dates as integers.
    """
    array = columns.one_array(column)
    if pa.types.is_null(array.type):
        count = len(array)
        value = pa.nulls(count, ARROW_TYPE[kind])
        return Cells(value, np.ones(count, bool), np.zeros(count, bool))
    if is_words(array.type):
        encoded = array.dictionary_encode()
        words = pc.utf8_trim_whitespace(encoded.dictionary)
        unclear, note = None, ""
        if kind == "number":
            numbers = read_numbers(words, point=point, percent=percent, thousands=thousands)
            value, unclear, note = numbers.value, numbers.unclear, numbers.note
        elif kind == "date":
            value, unclear = read_dates(words, order)
        elif kind == "choice":
            value = _choice(words, choices)
        else:
            value = _flag(words) if kind == "flag" else _text(words)
        # A choice may be one of these words, such as the role `none`.
        blank = tuple(word for word in MISSING_WORDS if word not in choices)
        absent = _among(words, ("",) if identifier else blank)
        return _spread(encoded.indices, _blanked(value, absent), absent, unclear, note)
    try:
        return _read_typed(array, kind)
    except pa.ArrowException as error:  # for example an unknown time zone
        raise CellTypeError(f"holds {array.type}, which cannot be read: {error}") from error


def shown_cells(cells: pa.ChunkedArray) -> pa.StringArray:
    """Return cells as short printable text, for messages."""
    text = columns.one_array(cells.cast(pa.string())).fill_null(columns.scalar(""))
    short = pc.utf8_slice_codeunits(text, 0, 60)
    return pc.replace_substring_regex(short, _CONTROL, "?")


def is_words(kind: pa.DataType) -> bool:
    """Tell whether a column is text that has to be read."""
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _spread(
    index: pa.Array, value: pa.Array, absent: pa.BooleanArray, unclear: Mask | None, note: str
) -> Cells:
    """Return the cells of all rows from those of the distinct words."""
    missing = columns.flags(absent.take(index), null=True)
    if pa.types.is_string(value.type):
        # Words that differed only in blanks or case are now equal.
        value = value.dictionary_encode()
        read = pa.DictionaryArray.from_arrays(value.indices.take(index), value.dictionary)
    else:
        read = value.take(index)
    bad = ~columns.is_known(read) & ~missing
    twofold = None
    if unclear is not None and unclear.any():
        twofold = bad & columns.flags(columns.column(unclear).take(index))
    return Cells(read, missing, bad, twofold, note)


def _read_typed(array: pa.Array, kind: Kind) -> Cells:
    given = array.type
    missing = columns.flags(pc.is_null(array, nan_is_null=pa.types.is_floating(given)))
    # pandas holds a blank column of texts or dates as floating-point numbers.
    if missing.all() and not pa.types.is_nested(given):
        return Cells(pa.nulls(len(array), ARROW_TYPE[kind]), missing, ~missing)
    numeric = (
        pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
    )
    if kind == "text" and pa.types.is_integer(given):
        value = array.cast(pa.string()).dictionary_encode()
    elif kind == "text" and pa.types.is_floating(given):
        value = _whole(_blanked(array, columns.column(missing))).cast(pa.string())
        value = value.dictionary_encode()
    elif kind == "number" and numeric:
        value = _finite(array.cast(pa.float64(), safe=False))
    elif kind == "flag" and pa.types.is_boolean(given):
        value = array
    elif kind == "flag" and numeric:
        number = columns.numbers(array)
        value = columns.column(number == 1.0, (number == 0.0) | (number == 1.0))
    elif kind == "date" and pa.types.is_date(given):
        value = _plausible(array).cast(pa.date32())
    elif kind == "date" and pa.types.is_timestamp(given):
        local = pc.local_timestamp(array) if given.tz else array
        day = pc.floor_temporal(local, unit="day")
        value = _plausible(_blanked(day, pc.not_equal(day, local))).cast(pa.date32())
    else:
        raise CellTypeError(f"holds {given}, which cannot be read as {kind}")
    return Cells(value, missing, ~columns.is_known(value) & ~missing)


def _whole(array: pa.Array) -> pa.Array:
    """Return identifiers as whole numbers; pandas makes them floats if some are blank."""
    wide = array.cast(pa.float64())
    rounded = pc.greater_equal(pc.abs(wide), columns.scalar(EXACT_BELOW[array.type.bit_width]))
    if pc.any(rounded).as_py():
        raise CellTypeError(f"holds {array.type}, which rounds identifiers as long as these")
    return wide.cast(pa.int64())


def _text(words: pa.StringArray) -> pa.Array:
    # The form ="00123" keeps a spreadsheet from turning a name into a number.
    words = pc.replace_substring_regex(words, _AS_FORMULA, r"\1")
    long = pc.greater(pc.utf8_length(words), columns.scalar(LONGEST_TEXT))
    return _blanked(words, pc.or_(pc.match_substring_regex(words, _NO_TEXT), long))


def _flag(words: pa.StringArray) -> pa.Array:
    true = _among(words, TRUE_WORDS)
    known = pc.or_(true, _among(words, FALSE_WORDS))
    return _blanked(true, pc.invert(known))


def _choice(words: pa.StringArray, choices: tuple[str, ...]) -> pa.Array:
    known = columns.text_column([choice.lower() for choice in choices])
    position = pc.index_in(pc.utf8_lower(words), value_set=known)
    return columns.text_column(choices).take(position)


def _finite(number: pa.DoubleArray) -> pa.Array:
    return _blanked(number, pc.invert(pc.is_finite(number)))


def _plausible(when: pa.Array) -> pa.Array:
    """Return dates or times with null for those outside the years covered."""
    years = np.array([f"{FIRST_YEAR}-01-01", f"{LAST_YEAR}-12-31"], "datetime64[D]")
    first, last = columns.column(years).cast(when.type)
    return _blanked(when, pc.or_(pc.less(when, first), pc.greater(when, last)))


def _blanked(value: pa.Array, where: pa.BooleanArray) -> pa.Array:
    """Return the values with null where the mask is true."""
    return pc.if_else(where, columns.nothing(value.type), value)


def _among(words: pa.StringArray, known: tuple[str, ...]) -> pa.BooleanArray:
    return pc.is_in(pc.utf8_lower(words), value_set=columns.text_column(known))
