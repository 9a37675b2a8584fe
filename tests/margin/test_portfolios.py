from __future__ import annotations

import numpy as np
import pytest

from crossmargin.conventions import (
    ALL,
    CASH,
    CME,
    CME_OTHER,
    CME_XM,
    COMBINED,
    FICC,
    FICC_OTHER,
    FICC_XM,
    FUTURES,
    OTHER,
    PORTFOLIOS,
    UNIONS,
)
from crossmargin.engine import Book
from crossmargin.margin.portfolios import holds, portfolio_sums, row_of


def two_accounts() -> Book:
    """Return one account with positions in all four segments, and one without any."""
    return Book.from_arrays([0, 2, 3, 5, 6, 6, 6, 6, 6], [0, 2, 1, 0, 2, 3], [1, 5, -2, 3, -5, 4])


def test_portfolios_are_the_methodologys() -> None:
    # V_F and V_C of cash, futures and both, cross-margined; the rest; all at one clearing ccp.
    assert PORTFOLIOS == ("cash", "futures", "combined", "other", "all")
    expected = {CASH: {FICC_XM}, FUTURES: {CME_XM}, COMBINED: {FICC_XM, CME_XM}}
    other = {FICC: (FICC_XM, FICC_OTHER), CME: (CME_XM, CME_OTHER)}
    for ccp, (inside, outside) in other.items():
        portfolios = {**expected, OTHER: {outside}, ALL: {inside, outside}}
        assert {portfolio: set(union) for portfolio, union in enumerate(UNIONS[ccp])} == portfolios


def test_row_of_counts_the_elements_of_each_row() -> None:
    assert row_of(two_accounts()).tolist() == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("mark", "ficc", "cme"),
    [
        ([0], [1, 0, 1, 1, 1], [1, 0, 1, 0, 0]),
        ([1], [0, 1, 1, 0, 0], [0, 1, 1, 0, 1]),
        ([2], [1, 0, 1, 1, 1], [1, 0, 1, 0, 0]),
        ([3], [0, 0, 0, 0, 0], [0, 0, 0, 1, 1]),
        ([], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_a_portfolio_holds_what_its_segments_hold(
    mark: list[int], ficc: list[int], cme: list[int]
) -> None:
    marked = np.isin(np.arange(4), mark)
    for ccp, expected in ((FICC, ficc), (CME, cme)):
        held = holds(two_accounts(), ccp, marked)
        assert held.astype(int).tolist() == [expected, [0] * 5]


def test_a_portfolio_holds_something_where_it_holds_any_instrument() -> None:
    # Cash in the first account's XM, a future outside it in the second's.
    book = Book.from_arrays([0, 1, 1, 1, 1, 1, 1, 1, 2], [0, 1], [1, -1])
    expected = {
        FICC: [[1, 0, 1, 0, 1], [0, 0, 0, 0, 0]],
        CME: [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]],
    }
    for ccp, portfolios in expected.items():
        assert holds(book, ccp).astype(int).tolist() == portfolios


def test_sums_are_by_portfolio_and_bucket() -> None:
    book = two_accounts()
    value = np.array([100.0, 10.0, 1.0, 1000.0])
    bucket = np.array([0, 0, 1, 1])
    # FICC XM: 100 | 5; CME XM: -20 | 0; FICC other: 300 | -5; CME other: 0 | 4000.
    ficc = portfolio_sums(book, FICC, value, bucket, 2)
    cme = portfolio_sums(book, CME, value, bucket, 2)
    assert ficc.shape == cme.shape == (2, 5, 2)
    assert ficc[0].tolist() == [[100, 5], [-20, 0], [80, 5], [300, -5], [400, 0]]
    assert cme[0].tolist() == [[100, 5], [-20, 0], [80, 5], [0, 4000], [-20, 4000]]
    assert not ficc[1].any()
    assert not cme[1].any()


def test_an_instrument_without_a_bucket_is_left_out() -> None:
    value = np.array([100.0, np.nan, 1.0, 1000.0])
    ficc = portfolio_sums(two_accounts(), FICC, value, np.array([0, -1, 1, -1]), 2)
    assert ficc[0].tolist() == [[100, 5], [0, 0], [100, 5], [300, -5], [400, 0]]


def test_empty_book_has_empty_portfolios() -> None:
    book = Book.from_arrays([0, 0, 0, 0, 0], [], [], columns=3)
    assert not holds(book, FICC, np.ones(3, dtype=bool)).any()
    assert not portfolio_sums(book, CME, np.ones(3), np.zeros(3, np.int64), 2).any()
