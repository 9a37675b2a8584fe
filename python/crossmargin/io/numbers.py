"""Read numbers as people and programs write them; an ambiguous decimal mark is not read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.arrays import Float, Mask

_PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_AMOUNT = r"^(?:[+-]?\$?[0-9.,]+|\$?[0-9.,]+-|\(\$?[0-9.,]+\)|\$\([0-9.,]+\))$"
"""Negative numbers are -1, 1- and (1), as in back-office reports."""
_RATE = r"^(?:[+-]?[0-9.,]+ ?%?|[0-9.,]+-|\([0-9.,]+ ?%?\))$"
_POINT = r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_THOUSANDS = r"^[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?$"
_COMMA = (
    r"^(?:(?:[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+),[0-9]+|,[0-9]+"
    r"|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,})$"
)
"""Numbers with a decimal comma, and points between thousands if any."""
_EITHER = r"^[1-9][0-9]{0,2}[.,][0-9]{3}$"


@dataclass(frozen=True)
class Numbers:
    """Words read as numbers.

    Attributes
    ----------
    value : pyarrow.DoubleArray
        Null where a word is not a finite number, or is unclear.
    unclear : ndarray of bool
        Words whose comma or point may be a decimal mark or separate thousands.
    note : str
        An example of an unusual number that was read; empty for none.
    """

    value: pa.DoubleArray
    unclear: Mask
    note: str


def read_numbers(
    words: pa.StringArray, *, point: bool, percent: bool, thousands: bool = True
) -> Numbers:
    """Return the numbers that the distinct words of a column stand for.

    Parameters
    ----------
    words : pyarrow.StringArray
    point : bool
        Whether the decimal mark is a point. If not, the column must show which it is.
    percent : bool
        Whether the column is in percent, so that 4.25% is 4.25; else $ may precede a number.
    thousands : bool
        Whether the numbers may reach a thousand; if not, no mark separates thousands.

    Returns
    -------
    Numbers
    """
    plain = _matches(words, _PLAIN)
    value = _cast(words, plain)
    unclear = np.zeros(len(words), bool)
    note = ""
    odd = np.flatnonzero(~plain)
    odd = odd[_matches(words.take(columns.column(odd)), _RATE if percent else _AMOUNT)]
    if odd.size or not point:
        # Plain numbers too: they show the mark, or become unclear by what other words show.
        at = np.flatnonzero(_matches(words, _RATE if percent else _AMOUNT))
        value = value.copy()
        value[at], unclear[at] = _read_marks(words.take(columns.column(at)), point, thousands)
        shown = odd[np.isfinite(value[odd])][:1]
        note = "".join(f'"{words[int(at)]}" is read as {value[at]:.15g}' for at in shown)
    return Numbers(columns.column(value, np.isfinite(value)), unclear, note)


def _read_marks(words: pa.StringArray, point: bool, thousands: bool) -> tuple[Float, Mask]:
    """Return the values of signed words with points and commas, and a mask of unclear ones."""
    body = pc.replace_substring_regex(words, "[^0-9.,]", "")
    either = _matches(body, _EITHER) & thousands
    by_point = _matches(body, _POINT) | (_matches(body, _THOUSANDS) & thousands)
    by_comma = _matches(body, _COMMA)
    has_comma, has_point = _matches(body, ","), _matches(body, r"\.")
    # Words that can be read in one way only show the decimal mark.
    comma_seen = bool((by_comma & ~either).any())
    point_seen = bool((by_point & (has_comma | has_point) & ~either).any())
    unclear = np.zeros(len(words), bool)
    good, text = by_point, pc.replace_substring(body, ",", "")
    if comma_seen and not point_seen and not point:
        good = by_comma | either | ~(has_comma | has_point)
        text = pc.replace_substring(pc.replace_substring(body, ".", ""), ",", ".")
    elif comma_seen:
        unclear = by_comma | either | (has_comma & by_point)
    elif not point and not point_seen:
        unclear = either
    good = good & ~unclear
    number = _cast(text, good)
    return np.where(_matches(words, r"^-|-$|\("), -number, number), unclear


def _matches(words: pa.StringArray, pattern: str) -> Mask:
    return columns.flags(pc.match_substring_regex(words, pattern))


def _cast(words: pa.StringArray, good: Mask) -> Float:
    """Return words as numbers, NaN for those that are not good."""
    kept = pc.if_else(columns.column(good), words, columns.nothing(words.type))
    return columns.numbers(kept.cast(pa.float64()))
