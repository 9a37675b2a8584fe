"""What a kernel of any backend reports when a number leaves its range: four integers."""

from __future__ import annotations

from typing import TypeAlias

Fault: TypeAlias = tuple[int, int, int, int]
"""Kind, then the element: account and union, or exponent or instrument and 0; then scenario."""

NONE = 0
SUM_NOT_FINITE = 1
EXPONENT_RANGE = 2
PNL_RANGE = 3

OK: Fault = (NONE, 0, 0, 0)
