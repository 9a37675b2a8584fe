"""Quantities as traders write them, read as exact whole numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from crossmargin.exceptions import InputError

UNITS = {"": 1, "k": 10**3, "mm": 10**6, "b": 10**9, "bn": 10**9}
"""Units that a quantity may end in. `m` alone is none: it may mean thousands or millions."""
_QUANTITY = (
    r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+)(?:\.[0-9]+)? ?[A-Za-z]*"
)
_PARTS = re.compile(r"([+-]?[0-9,_]+(?:\.[0-9]+)?) ?([A-Za-z]*)")
_WHOLE = re.compile(_QUANTITY)
_TRADE = re.compile(rf"(\S.*?) +({_QUANTITY})")
LONGEST = 60
"""Characters of a quantity or a name; messages repeat no more."""


def read_quantity(text: str) -> int:
    """Return the whole number that a text stands for.

    Parameters
    ----------
    text : str
        An optional sign, digits (thousands may be separated by commas or underscores), and an
        optional unit: `k` (thousand), `mm` (million), `b` or `bn` (billion), in any case. So are
        -500, 100mm, 2.5mm, 5k, 1_000_000 and 100,000,000.

    Returns
    -------
    int
        Exact.

    Raises
    ------
    InputError
        The text is no such quantity, or not a whole number.

    Examples
    --------
    >>> read_quantity("100mm"), read_quantity("-2.5k"), read_quantity("1,000,000")
    (100000000, -2500, 1000000)
    """
    written = text.strip()
    whole = len(written) <= LONGEST and _WHOLE.fullmatch(written)
    matched = _PARTS.fullmatch(written) if whole else None
    unit = None if matched is None else UNITS.get(matched[2].lower())
    if matched is None or unit is None:
        hint = "; m may mean thousands or millions" if written[-1:] in ("m", "M") else ""
        raise InputError(
            f"quantity {text[:LONGEST]!r} is not a number; write -500, 100mm, 5k, 2bn or "
            f"100,000,000{hint}"
        )
    number = Fraction(matched[1].replace(",", "").replace("_", "")) * unit
    if number.denominator != 1:
        raise InputError(f"quantity {text[:LONGEST]!r} is not a whole number")
    return int(number)


def read_trade(text: str) -> tuple[str, int]:
    """Return the instrument and the quantity of a trade written as `ZNM25 -500`.

    Parameters
    ----------
    text : str
        The instrument's name, a blank, and the quantity as in `read_quantity`.

    Raises
    ------
    InputError
        The text does not have this form.

    Examples
    --------
    >>> read_trade("91282CMB4 100mm")
    ('91282CMB4', 100000000)
    """
    written = text.strip()
    # The pattern takes long to find that a very long text is none.
    matched = _TRADE.fullmatch(written) if len(written) <= 2 * LONGEST else None
    if matched is None:
        raise InputError(
            f"{text[:LONGEST]!r}: an instrument and a quantity expected, such as "
            '"ZNM25 -500" or "91282CMB4 100mm"'
        )
    return matched[1], read_quantity(matched[2])
