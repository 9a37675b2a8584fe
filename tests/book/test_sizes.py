"""Positions beyond the market."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.netting import Lines
from crossmargin.book.sizes import market_size, note_sizes
from crossmargin.exceptions import ExceptionLog

UNIVERSE: Any = SimpleNamespace(
    name=np.array(["X", "Y", "USD 2025-03-20", "ZNM25", "ZNU25"], dtype=object),
    kind=np.array(["treasury", "treasury", "forward cash leg", "future", "future"], dtype=object),
    root=np.array(["", "", "", "ZN", "ZN"], dtype=object),
)


def test_the_size_of_a_contract_goes_before_that_of_its_root() -> None:
    outstanding = np.array([5e9, np.nan])
    size = market_size(UNIVERSE, outstanding, {"ZN": 4e6, "ZNU25": 100.0})
    assert size.tolist() == pytest.approx([5e7, np.nan, np.nan, 4e6, 100.0], nan_ok=True)


def sizes(*lines: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the notes of (instrument, lots) lines, one an account, where there are 1,000 of X."""
    instrument, lots = (np.array(part) for part in zip(*lines, strict=True))
    none = np.zeros(lots.size, dtype=np.int64)
    book = Lines(none, none, instrument, lots, none.astype(bool), none)
    log = ExceptionLog()
    names = pa.array([f"A{n}" for n in range(lots.size)])
    size = np.array([1000.0, np.nan, np.nan, np.nan, 10.0])
    note_sizes(book, UNIVERSE, size, names, "positions", log)
    found: list[dict[str, Any]] = log.table().to_pylist()
    return found


def test_positions_within_the_market_are_not_noted() -> None:
    # Long and short together are more than there is, but neither side alone; Y is not known.
    assert sizes((0, 1000), (0, -1000), (1, 10**9), (2, 10**9), (3, 10**6), (4, -10)) == []


def test_a_position_beyond_the_market_is_noted_with_its_account() -> None:
    bond, future = sizes((0, 1001), (4, 3), (4, -11), (0, 999))
    assert bond["code"] == future["code"] == "ABOVE_OUTSTANDING"
    assert (bond["account"], bond["instrument"]) == ("A0", "X")
    assert "100,100 USD of face, more than the 100,000 outstanding" in bond["message"]
    assert (future["account"], future["instrument"]) == ("A2", "ZNU25")
    assert "-11 contracts, more than the 10 of open interest" in future["message"]


def test_a_side_of_the_book_beyond_the_market_is_noted_once() -> None:
    (note,) = sizes((0, 600), (0, 600), (0, -900))
    assert (note["account"], note["instrument"]) == (None, "X")
    assert "one side of the book has 120,000 USD of face" in note["message"]
