from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import crossmargin as xm
from crossmargin.book.exceptions import InputError
from crossmargin.calculation.inputs import read_inputs, rejected_rows


def test_inputs_are_read_whole_and_nothing_is_computed(
    sample_book: Callable[[int], dict[str, Any]],
) -> None:
    book = sample_book(12)
    inputs = read_inputs(**book, market=xm.Market.sample())
    assert inputs.source["positions"]["rows_read"] == len(book["positions"])
    assert set(inputs.source) == {"positions", "accounts", "securities", "par_yields", "basis"}
    rejected = rejected_rows(inputs.log.table())
    of_positions = [row for row in rejected.to_pylist() if row["file"] == "positions"]
    assert inputs.trades.row.size + len(of_positions) == len(book["positions"])


def test_more_rejected_rows_than_allowed_are_refused(
    sample_book: Callable[[int], dict[str, Any]],
) -> None:
    with pytest.raises(InputError, match=r"rows rejected, 0 allowed; the first: accounts, row"):
        read_inputs(**sample_book(12), market=xm.Market.sample(), max_rejected=0)
