"""Settlement prices of Treasury futures as they are quoted, in 32nds."""

from __future__ import annotations

import re

import pyarrow as pa

from crossmargin import columns
from crossmargin.io.span_pa2 import settlement_price

_QUOTE = re.compile(r"([0-9]{2,3})['-]([0-9]{2})(?:([0-9])|\.([0-9]+)|(\+))?")


def quoted(table: pa.Table) -> tuple[pa.Table, str] | None:
    """Read prices in points and 32nds, `110-165`, `110'16.5` or `110-16+`, as decimals.

    A last digit without a point is the first decimal of eighths of a 32nd: 2 is a quarter, 5 a
    half, 7 three quarters. Other texts do not change, and the reader refuses them.
    """
    if "price" not in table.column_names:
        return None
    price = columns.one_array(columns.plain(table["price"]))
    if not pa.types.is_string(price.type):
        return None
    number, different = columns.encoded(price)
    words = columns.texts(different)
    read = [text if text is None else _decimal(text.strip()) for text in words]
    count = sum(a != b.strip() for a, b in zip(read, words, strict=True) if b is not None)
    if not count:
        return None
    at = table.column_names.index("price")
    return (
        table.set_column(
            at, "price", columns.text_column(read).take(columns.column(number, number >= 0))
        ),
        "prices such as 110-165 are read as points and 32nds: 110 and 16.5/32",
    )


def _decimal(text: str) -> str:
    """Return a quote as an exact decimal; any other text unchanged."""
    match = _QUOTE.fullmatch(text)
    if match is None:
        return text
    points, ticks, eighth, part, half = match.groups()
    try:
        if eighth or part is None:
            digits = f"{points}{ticks}{eighth or (5 if half else 0)}"
            return repr(settlement_price(int(digits), 3, "C"))
    except ValueError:
        return text
    tick = float(f"{ticks}.{part}")
    return repr(int(points) + tick / 32.0) if tick < 32.0 and (tick * 8.0).is_integer() else text
