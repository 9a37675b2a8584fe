"""How large an input may be, checked before it fills the memory."""

from __future__ import annotations

from crossmargin.exceptions import InputError

MAX_BYTES = 1 << 30
"""Largest file, also once unpacked."""
MAX_ROWS = 50_000_000
MAX_COLUMNS = 20_000
MAX_CELLS = 200_000_000
MAX_RATIO = 250
"""A table of figures compresses 3 to 40 times; far more is a file made to fill the memory."""
SMALL = 32 << 20
"""Whatever its file's size, an input may be so large."""


def check_size(size: int, packed: int, label: str) -> None:
    """Refuse what is too large once unpacked from so many bytes."""
    limit = min(MAX_BYTES, max(SMALL, MAX_RATIO * packed))
    if size > limit:
        raise InputError(f"{label}: unpacks to more than {limit:,} bytes; refused")


def check_shape(rows: int, columns: int, label: str) -> None:
    """Refuse a table of too many rows, columns or cells."""
    for count, unit, limit in (
        (columns, "columns", MAX_COLUMNS),
        (rows, "rows", MAX_ROWS),
        (rows * columns, "cells", MAX_CELLS),
    ):
        if count > limit:
            raise InputError(f"{label}: {count:,} {unit}, above the limit of {limit:,}; split it")
