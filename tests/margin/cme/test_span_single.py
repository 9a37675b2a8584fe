"""SPAN of one account in plain numbers is that over columns, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.conventions import FUTURES
from crossmargin.engine import Book
from crossmargin.instruments.contracts import roots
from crossmargin.margin.cme.span import SpanModel, Spread, span_margin
from crossmargin.margin.cme.span_ranges import ScanRanges
from crossmargin.margin.cme.span_single import TOO_LARGE, SingleSpan
from crossmargin.margin.single import Held
from crossmargin.policies import Span, read_policy

RULES = read_policy("cme-ficc-2026-04-30-span").get(Span)
assert RULES is not None
NAMES = roots()
ZT, ZN, ZB, SR3 = (NAMES.index(root) for root in ("ZT", "ZN", "ZB", "SR3"))
# Contracts of four roots, not in the order of the roots, and cash that stands for some of them.
ROOT = np.array([ZN, ZT, SR3, SR3, ZB, ZN, SR3])
MONTH = np.array([0, 3, 1, 4, 0, 3, 7])
CONTRACT = np.array([*range(7), 0, 1, -1])
DELTA = np.array([*[1.0] * 7, 0.75, 1.0 + 2.0**-32, 0.0])
USD = {ZT: 400.1, ZN: 1000.7, ZB: 2000.3, SR3: 333.3}
MODEL = SpanModel(
    rules=replace(
        RULES,
        tiers=(("SR3", 0, 2), ("SR3", 3, 5), ("SR3", 6, 9), ("ZN", 0, 1)),
        intra_spreads=(("SR3", 1, 1, 40.0), ("SR3", 1, 2, 60.1), ("SR3", 2, 3, 80.0)),
        delivery_charges=(("ZN", 40.0), ("ZB", 7.0)),
        extreme_cover=0.5,
    ),
    ranges=ScanRanges(
        NAMES,
        (None,) * len(NAMES),
        np.array([USD.get(k, np.nan) for k in range(len(NAMES))]),
        *((("",) * len(NAMES),) * 2),
        *((np.full(len(NAMES), np.nan),) * 2),
    ),
    spreads=(
        Spread((ZT, ZN), (2.0, -1.0), 0.75),
        Spread((ZN, ZB), (1.7, -1.0), 0.6),
        Spread((ZT, ZN, ZB), (1.0, -2.0, 1.0), 0.3),
    ),
    contract=CONTRACT,
    delta=DELTA,
    root=ROOT,
    month=MONTH,
    scan_range=ROOT,
    priced=np.ones(CONTRACT.size, dtype=bool),
)
LINES = st.dictionaries(st.integers(0, 9), st.integers(-40, 40), max_size=6).map(
    lambda held: sorted((i, float(q)) for i, q in held.items())
)


# SR3 has three ranges: its contracts are of months 1, 4 and 7.
TIERED = replace(
    MODEL,
    ranges=ScanRanges(
        (*NAMES[:SR3], *("SR3",) * 3, *NAMES[SR3 + 1 :]),
        (*(None,) * SR3, (0, 2), (3, 5), (6, 9), *(None,) * (len(NAMES) - SR3 - 1)),
        np.array(
            [
                *(USD.get(k, np.nan) for k in range(SR3)),
                *(111.1, 333.3, 222.2),
                *(USD.get(k, np.nan) for k in range(SR3 + 1, len(NAMES))),
            ]
        ),
        *((("",) * (len(NAMES) + 2),) * 2),
        *((np.full(len(NAMES) + 2, np.nan),) * 2),
    ),
    spreads=(*MODEL.spreads, Spread((SR3, ZT), (1.0, -1.0), 0.4)),
    scan_range=np.array([ZN, ZT, SR3, SR3 + 1, ZB, ZN, SR3 + 2]),
)


def columns(held: Held, model: SpanModel = MODEL) -> Any:
    """Return the margin of a book of one account."""
    ptr = np.cumsum([0, *(len(lines) for lines in held)])
    every = [line for lines in held for line in lines]
    column, quantity = [i for i, _ in every], [q for _, q in every]
    return span_margin(Book.from_arrays(ptr, column, quantity, columns=CONTRACT.size), model)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(held=st.lists(LINES, min_size=4, max_size=4), model=st.sampled_from([MODEL, TIERED]))
def test_v_is_that_of_the_columns(held: Held, model: SpanModel) -> None:
    assert list(SingleSpan(model)(held)) == columns(held, model).v[0].tolist()


def test_v_by_hand_with_ranges_by_tier() -> None:
    plain = replace(TIERED, spreads=(), rules=replace(RULES, tiers=(), intra_spreads=()))
    # SR3 +5 near, -2 behind, +1 far: they gain 5 * 111.1 - 2 * 333.3 + 222.2 together.
    v = SingleSpan(plain)([[], [(2, 5.0), (3, -2.0), (6, 1.0)], [], []])
    assert v[FUTURES] == 5 * 111.1 - 2 * 333.3 + 222.2
    # A net delta of zero, or one that gains when prices fall, forms no spread.
    spread = replace(plain, spreads=(Spread((SR3, ZT), (1.0, -1.0), 0.4),))
    for near in (1.0, 2.0):
        held: Held = [[], [(1, -1.0), (2, near), (3, -1.0)], [], []]
        expected = abs(near * 111.1 - 333.3) + 400.1
        assert SingleSpan(spread)(held)[FUTURES] == pytest.approx(expected, rel=1e-15)


def test_v_by_hand() -> None:
    plain = replace(MODEL, spreads=(), rules=replace(MODEL.rules, extreme_cover=0.33))
    # ZN +7 in delivery and -3 behind: scan 4 * 1000.7, delivery 7 * 40, nothing between tiers.
    v = SingleSpan(plain)([[], [(0, 7.0), (5, -3.0)], [], []])
    assert v[FUTURES] == 4 * 1000.7 + 7 * 40.0


def test_every_part_has_a_say() -> None:
    held: Held = [[(7, 8.0)], [(0, -9.0), (1, 5.0), (2, 3.0), (3, -2.0), (4, 4.0)], [], []]
    assert all(part[0, FUTURES] != 0.0 for part in columns(held).component.values())
    assert list(SingleSpan(MODEL)(held)) == columns(held).v[0].tolist()


@pytest.mark.parametrize("quantity", [1e9, 1e300])
def test_an_absurd_component_is_not_answered(quantity: float) -> None:
    # The credit outweighs the scan risk only in V: the columns refuse the account.
    assert SingleSpan(MODEL)([[], [(0, quantity)], [], []]) == TOO_LARGE
    assert SingleSpan(TIERED)([[], [(2, quantity), (3, -quantity)], [], []]) == TOO_LARGE
