from __future__ import annotations

import numpy as np
import pytest

from crossmargin.book.trades import canonical_order, different_numbers
from crossmargin.instruments.contracts import Contract


def test_different_numbers_are_those_of_a_set() -> None:
    for numbers in ([], [3], [5, -2, 5, 0, -2]):
        found = different_numbers(np.array(numbers, dtype=np.int64))
        assert found.tolist() == sorted(set(numbers))


def test_canonical_order_does_not_depend_on_the_order_given() -> None:
    contracts = [
        Contract(root, np.datetime64(month, "M"))
        for root, month in (("UB", "2025-06"), ("ZT", "2025-09"), ("ZT", "2025-06"))
    ]
    expected = ["ZTM25", "ZTU25", "UBM25"]
    for given in (contracts, contracts[::-1], contracts[1:] + contracts[:1]):
        assert [c.symbol for c in canonical_order(given)] == expected


@pytest.mark.parametrize("numbers", [[], [3, 1, 3], [-5, 2**40, 0, 2**40], [2**62, -(2**62)]])
def test_different_numbers_however_far_apart(numbers: list[int]) -> None:
    given = np.array(numbers, np.int64)
    assert different_numbers(given).tolist() == sorted(set(numbers))
