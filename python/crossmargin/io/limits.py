"""Limits on the size of an input, checked before it fills the memory."""

from __future__ import annotations

from crossmargin.exceptions import InputError

MAX_BYTES = 1 << 30
"""Bytes of the largest file, also once unpacked."""
MAX_ROWS = 50_000_000
MAX_COLUMNS = 20_000
MAX_CELLS = 200_000_000
MAX_RATIO = 250
"""Largest compression; tables compress 3 to 40 times, far more is made to fill the memory."""
SMALL = 32 << 20
"""Bytes that any input may have once unpacked, whatever its compression."""


def check_size(size: int, packed: int, label: str) -> None:
    """Refuse a file of `packed` bytes that is too large once unpacked."""
    limit = min(MAX_BYTES, max(SMALL, MAX_RATIO * packed))
    if size > limit:
        raise InputError(f"{label}: unpacks to more than {limit:,} bytes; split it")


def check_shape(rows: int, columns: int, label: str) -> None:
    """Refuse a table with too many rows, columns or cells."""
    for count, unit, limit in (
        (columns, "columns", MAX_COLUMNS),
        (rows, "rows", MAX_ROWS),
        (rows * columns, "cells", MAX_CELLS),
    ):
        if count > limit:
            raise InputError(f"{label}: {count:,} {unit}, above the limit of {limit:,}; split it")
