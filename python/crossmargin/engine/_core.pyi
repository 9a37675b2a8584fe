from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Int32, Integer
from crossmargin.engine.arguments import (
    BoxArrays,
    Boxes,
    PairArrays,
    Pairs,
    Polynomials,
    SpreadArrays,
    Spreads,
    TailArrays,
    TermArrays,
    Unions,
    Windows,
)
from crossmargin.engine.faults import Fault

NONE: int
SUM_NOT_FINITE: int
EXPONENT_RANGE: int
PNL_RANGE: int
AMOUNT_RANGE: int
SCREENED_ACCOUNTS: int

def levels() -> list[str]: ...
def best_level() -> str: ...
def exp(level: str, x: Float) -> Float: ...

class Screen:
    def __init__(
        self, *, level: str, pnl: Float, largest: Float, start: int, count: int
    ) -> None: ...

def segment_tails(
    level: str,
    first: int,
    last: int,
    book: tuple[Integer, Int32, Float],
    unions: Unions,
    measure: tuple[Float, Float, int, int, int, float],
    screen: Screen | None,
    result: TailArrays,
) -> Fault: ...
def revalue(
    level: str, first: int, last: int, terms: TermArrays, shock: Float, pnl: Float
) -> Fault: ...
def taylor(
    level: str, first: int, last: int, polynomials: Polynomials, shock: Float, pnl: Float
) -> Fault: ...
def spread_credits(
    first: int,
    last: int,
    spreads: Spreads,
    net_delta: Float,
    scan_risk: Float,
    result: SpreadArrays,
) -> Fault: ...
def net_pairs(
    first: int,
    last: int,
    pairs: Pairs,
    long_held: Float,
    short_held: Float,
    result: PairArrays,
) -> Fault: ...
def box_tails(
    level: str,
    first: int,
    last: int,
    pnl: Float,
    base: Float,
    windows: Windows,
    boxes: Boxes,
    result: BoxArrays,
) -> None: ...

class ScenarioSet:
    def __init__(
        self,
        *,
        pnl: Float,
        largest: Float,
        start: int,
        count: int,
        unions: list[int],
        k: int,
    ) -> None: ...

class AskedBook:
    def __init__(
        self,
        *,
        level: str,
        book: tuple[Integer, Int32, Float],
        segments: int,
        mark: npt.NDArray[np.uint8],
        sets: Sequence[ScenarioSet],
        sums: tuple[Float, Int32, Float],
        sum_unions: list[int],
    ) -> None: ...
    def bytes(self) -> Integer: ...
    def keep(self, account: int) -> KeptAccount | None: ...

Answer: TypeAlias = tuple[tuple[Any, ...], tuple[int, ...]]

class KeptAccount:
    def ask(self, legs: Sequence[tuple[int, int, float]]) -> Answer | None: ...
