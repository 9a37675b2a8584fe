"""Rows that are there twice, inputs that are one, positions beyond the market."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.netting import Lines
from crossmargin.book.plausible import (
    market_size,
    note_repeats,
    note_same_inputs,
    note_side,
    note_sizes,
    refuse_empty,
)
from crossmargin.book.schemas import POSITIONS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import parse

ROW = {"account": "A", "kind": "cash", "instrument": "X", "quantity": "100", "xm": "yes"}


def repeats(*rows: dict[str, str]) -> list[dict[str, Any]]:
    log = ExceptionLog()
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({n: pa.array([row.get(n) for row in rows], pa.string()) for n in names})
    note_repeats(parse(table, POSITIONS, file="positions", log=log).table, POSITIONS, log)
    found: list[dict[str, Any]] = log.table().to_pylist()
    return found


def test_equal_rows_are_counted_and_the_first_named() -> None:
    other = ROW | {"account": "B"}
    (note,) = repeats(ROW, other, ROW, ROW | {"desk": "7"}, ROW, ROW)
    assert (note["code"], note["severity"], note["row"]) == ("ROWS_REPEATED", "note", None)
    # A column of the user's own does not make another trade.
    assert note["message"].startswith("4 rows equal an earlier one in every column (rows 3, 4, 5, ")


@pytest.mark.parametrize(
    "change",
    [
        {"account": "B"},
        {"kind": "repo"},
        {"instrument": "Y"},
        {"quantity": "-100"},
        {"xm": "no"},
        {"settle_date": "2025-03-14"},
        {"start_date": "2025-03-14"},
        {"end_date": "2025-03-14"},
        {"repo_rate": "4"},
        {"start_cash": "100"},
        {"failed": "yes"},
        {"clearing_firm": "F"},
    ],
)
def test_rows_that_differ_in_one_column_are_two_trades(change: dict[str, str]) -> None:
    assert repeats(ROW, ROW | change) == []


def test_a_file_given_twice_is_told_from_a_few_equal_rows() -> None:
    book = [ROW | {"quantity": str(100 * n)} for n in range(1, 6)]
    for twice in (book + book, sorted(book + book, key=str), book * 3):
        (note,) = repeats(*twice)
        assert note["code"] == "FILE_REPEATED"
        assert "as if the file had been given twice" in note["message"]
    assert "Row 6 is the first that repeats" in repeats(*book, *book)[0]["message"]
    assert [note["code"] for note in repeats(*book, *book[1:])] == ["ROWS_REPEATED"]
    assert repeats(*book) == []


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("AB"), st.sampled_from("yn"))))
def test_repeats_are_what_a_set_does_not_count(cells: list[tuple[int, str, str]]) -> None:
    rows = [
        ROW | {"quantity": str(quantity), "account": account, "xm": flag}
        for quantity, account, flag in cells
    ]
    again = len(rows) - len(set(cells))
    found = repeats(*rows) if rows else []
    assert len(found) == (again > 0)
    if found and found[0]["code"] == "ROWS_REPEATED":
        assert found[0]["message"].startswith(f"{again:,} rows")
    elif found:
        assert min(cells.count(cell) for cell in cells) > 1


def test_many_different_values_in_all_columns_do_not_overflow() -> None:
    rng = np.random.default_rng(1)
    size = 5000
    number = ("quantity", "repo_rate", "start_cash")
    table = {c.name: rng.permutation(size).astype(float) for c in POSITIONS.columns}
    cells = {
        name: values if name in number else [f"{value:.0f}" for value in values]
        for name, values in table.items()
    }
    typed = pa.table({**cells, "row": np.arange(1, size + 1)})
    log = ExceptionLog()
    note_repeats(typed, POSITIONS, log)
    assert log.counts() == {}
    again = pa.concat_tables([typed, typed.slice(17, 1)])
    note_repeats(again, POSITIONS, log)
    assert log.counts() == {"ROWS_REPEATED": 1}


def test_an_input_given_for_another_is_noted() -> None:
    log = ExceptionLog()
    note_same_inputs({"par_yields": "1", "positions": "2", "sofr": "1"}, log)
    (note,) = log.table().to_pylist()
    assert (note["code"], note["file"]) == ("INPUT_REPEATED", "sofr")
    assert note["message"].startswith("par_yields and sofr are the same")


def test_an_empty_input_is_refused_with_its_first_rejected_row() -> None:
    log = ExceptionLog()
    with pytest.raises(InputError, match="accounts: has no row; give the whole table"):
        refuse_empty("accounts", 0, log)
    log.add("REPO_ENDS", file="positions", row=1, message="a note")
    log.add("SETTLED", file="positions", row=[3, 2], message=["no", "settled long ago"])
    log.add("ACCOUNT_INVALID", file="accounts", row=1, message="another file")
    with pytest.raises(InputError, match=r"none of its 2 rows .* row 2: settled long ago; give"):
        refuse_empty("positions", 2, log)


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


@pytest.mark.parametrize(
    ("quantity", "extra", "count"),
    [
        ([5.0, 3.0], ("Trader", "Buy/Sell"), 1),
        ([5.0, -3.0], ("Side",), 0),
        ([5.0, 3.0], ("Inside", "Trader"), 0),
    ],
)
def test_a_side_that_is_not_read_is_noted(
    quantity: list[float], extra: tuple[str, ...], count: int
) -> None:
    log = ExceptionLog()
    note_side(pa.table({"quantity": quantity}), extra, "positions", log)
    assert ["column `Buy/Sell` is not read" in m for m in log.table()["message"].to_pylist()] == [
        True
    ] * count
