from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Float32, Int8, Int16, Int32, Integer
from crossmargin.engine.faults import Fault

def levels() -> list[str]: ...
def best_level() -> str: ...
def exp(level: str, x: Float) -> Float: ...
def segment_tails(
    level: str,
    first: int,
    last: int,
    row_ptr: Integer,
    column: Int32,
    quantity: Float,
    segments: int,
    union_ptr: Integer,
    union_segment: Int32,
    pnl: Float,
    largest: Float,
    start: int,
    count: int,
    k: int,
    w: float,
    order: Int32,
    narrow: Int16,
    by_scenario: Float,
    var: Float,
    es: Float,
    scenario: Int32,
) -> Fault: ...
def revalue(
    level: str,
    first: int,
    last: int,
    exponent_ptr: Integer,
    exponent_factor: Int32,
    exponent_weight: Float,
    line_ptr: Integer,
    term_exponent: Int32,
    term_amount: Float,
    line_offset: Float,
    instrument_ptr: Integer,
    scale: Float,
    linear_factor: Int32,
    linear_loading: Float,
    shock: Float,
    pnl: Float,
) -> Fault: ...
def taylor(
    level: str,
    first: int,
    last: int,
    poly_ptr: Integer,
    poly_feature: Int32,
    poly_coefficient: Float,
    shock: Float,
    pnl: Float,
) -> Fault: ...
def spread_credits(
    first: int,
    last: int,
    leg_ptr: Integer,
    leg_commodity: Int32,
    leg_ratio: Float,
    leg_side: Int8,
    rate: Float,
    net_delta: Float,
    scan_risk: Float,
    count: Float,
    credit: Float,
    remaining: Float,
) -> Fault: ...
def net_pairs(
    first: int,
    last: int,
    a: Int32,
    b: Int32,
    weight: Float,
    long_held: Float,
    short_held: Float,
    count: Float,
    amount: Float,
    long_left: Float,
    short_left: Float,
) -> Fault: ...

class AskedBook:
    def __init__(
        self,
        level: str,
        row_ptr: Integer,
        column: Int32,
        quantity: Float,
        segments: int,
        mark: npt.NDArray[np.uint8],
        sets: Sequence[tuple[Float, int, Float, Float32, Float32, list[int], int]],
        value: Float,
        bucket: Int32,
        rate: Float,
        unions: list[int],
    ) -> None: ...
    def bytes(self) -> Integer: ...
    def keep(self, account: int) -> KeptAccount | None: ...

Answer: TypeAlias = tuple[tuple[Any, ...], tuple[int, ...]]

class KeptAccount:
    def ask(self, legs: Sequence[tuple[int, int, float]]) -> Answer | None: ...
