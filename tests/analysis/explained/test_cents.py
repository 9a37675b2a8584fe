from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.analysis.explained.cents import shared_cents


def test_the_lacking_cent_goes_to_the_largest_remainder() -> None:
    # Rounded down: 333, 333, 334, together 1,000 of 1,001 cents; the remainders are 0.2, 0.7, 0.1.
    assert shared_cents(1001, np.array([3.332, 3.337, 3.341])).tolist() == [333, 334, 334]


def test_of_equal_remainders_the_first_comes_first() -> None:
    assert shared_cents(1, np.array([0.005, 0.005])).tolist() == [1, 0]
    assert shared_cents(-1, np.array([-0.005, -0.005])).tolist() == [0, -1]


def test_more_cents_than_lines_are_spread_evenly() -> None:
    assert shared_cents(5, np.array([0.0, 0.0])).tolist() == [3, 2]
    assert shared_cents(-5, np.array([0.0, 0.0])).tolist() == [-2, -3]


def test_no_line_has_no_total() -> None:
    assert shared_cents(0, np.zeros(0)).size == 0
    with pytest.raises(ValueError, match="over no line"):
        shared_cents(1, np.zeros(0))


@pytest.mark.parametrize("off", [101, -101, 10**6])
def test_amounts_found_wrongly_are_not_hidden(off: int) -> None:
    with pytest.raises(ValueError, match=f"are off by {abs(off):,} cents"):
        shared_cents(300 + off, np.array([1.0, 2.0]))


def test_an_amount_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="are off by"):
        shared_cents(100, np.array([np.nan, 1.0]))


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_the_sum_is_the_total_and_no_line_is_off_by_a_cent(amounts: list[float]) -> None:
    amount = np.array(amounts)
    total = round(float(np.sum(amount)) * 100)
    found = shared_cents(total, amount)
    assert found.sum() == total
    assert np.abs(found - amount * 100.0).max() <= 1.01
