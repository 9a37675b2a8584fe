"""Sums over one account in plain numbers are those over columns, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.conventions import CME, FICC
from crossmargin.engine import Book
from crossmargin.margin.charges.amounts import (
    Exposures,
    SingleGrossCost,
    SingleNetCost,
    gross_cost,
    net_cost,
    net_positions,
)
from crossmargin.margin.ficc.haircuts import Haircuts, SingleHaircut, haircut_amount
from crossmargin.margin.portfolios import portfolio_sums
from crossmargin.margin.single import BucketSums, Held, Lines, NetPositions, netted, traded

SIZE, BUCKETS = 7, 3
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
AMOUNT = st.floats(-1e6, 1e6, allow_nan=False)
LINES = st.dictionaries(st.integers(0, SIZE - 1), st.integers(-9, 9), max_size=5)
ACCOUNT = st.lists(
    LINES.map(lambda held: sorted((i, float(q)) for i, q in held.items())), min_size=4, max_size=4
)
VALUES = st.lists(AMOUNT, min_size=SIZE, max_size=SIZE).map(np.array)
NUMBERS = st.lists(st.integers(-1, BUCKETS - 1), min_size=SIZE, max_size=SIZE).map(np.array)


def book_of(held: Held) -> Book:
    """Return a book of one account."""
    ptr = np.cumsum([0, *(len(lines) for lines in held)])
    every = [line for lines in held for line in lines]
    return Book.from_arrays(ptr, [i for i, _ in every], [q for _, q in every], columns=SIZE)


@pytest.mark.parametrize("ccp", [FICC, CME])
@PROPERTY
@given(held=ACCOUNT, value=VALUES, bucket=NUMBERS)
def test_bucket_sums(ccp: str, held: Held, value: Any, bucket: Any) -> None:
    expected = portfolio_sums(book_of(held), ccp, value, bucket, BUCKETS)[0]
    for of_portfolio, sums in zip(expected, BucketSums(ccp, value, bucket)(held), strict=True):
        assert [number for number, _ in sums] == sorted(number for number, _ in sums)
        dense = np.zeros(BUCKETS)
        for number, total in sums:
            dense[number] = total
        assert dense.tobytes() == of_portfolio.tobytes()


@pytest.mark.parametrize("ccp", [FICC, CME])
@PROPERTY
@given(held=ACCOUNT)
def test_net_positions(ccp: str, held: Held) -> None:
    found = NetPositions(ccp)(held)
    for portfolio, _, instrument, net in net_positions(book_of(held), ccp):
        expected = list(zip(instrument.tolist(), net.tolist(), strict=True))
        assert found[portfolio] == expected


@pytest.mark.parametrize("ccp", [FICC, CME])
@PROPERTY
@given(held=ACCOUNT, value=VALUES, bucket=NUMBERS)
def test_costs(ccp: str, held: Held, value: Any, bucket: Any) -> None:
    exposures = Exposures(bucket, value, np.array([0.1, 0.3, 0.7]))
    net, gross = SingleNetCost(ccp, exposures), SingleGrossCost(ccp, value)
    assert list(net(held)) == net_cost(book_of(held), ccp, exposures)[0].tolist()
    assert list(gross(held)) == gross_cost(book_of(held), ccp, value)[0].tolist()


class Valued:
    """What haircuts need of a universe."""

    def __init__(self, market_value: Any) -> None:
        self.market_value = market_value


@PROPERTY
@given(held=ACCOUNT, value=VALUES, bucket=NUMBERS, rho=st.floats(-1.0, 1.0))
def test_haircuts(held: Held, value: Any, bucket: Any, rho: float) -> None:
    correlation = np.array([[1.0, rho, 0.2], [rho, 1.0, -0.4], [0.2, -0.4, 1.0]])
    haircuts = Haircuts(bucket, np.zeros(SIZE, bool), np.array([0.01, 0.03, 0.07]), correlation)
    universe: Any = Valued(value)
    expected = haircut_amount(book_of(held), universe, haircuts)[0]
    assert list(SingleHaircut(universe, haircuts)(held)) == expected.tolist()


@pytest.mark.parametrize("together", [netted, traded])
def test_positions_are_netted_in_order(together: Callable[[Lines, Lines], Lines]) -> None:
    one: Lines = [(1, 2.0), (5, -3.0)]
    assert together(one, [(5, 3.0), (0, 1.0)]) == [(0, 1.0), (1, 2.0), (5, 0.0)]
    assert together(one, [(7, 1.0)]) == [*one, (7, 1.0)]
    assert together([], one) == together(one, []) == one == [(1, 2.0), (5, -3.0)]
