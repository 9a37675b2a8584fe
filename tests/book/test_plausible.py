"""Rows that are there twice, inputs that are one, a side that is not read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book.plausible import (
    note_repeats,
    note_same_inputs,
    note_side,
    refuse_empty,
)
from crossmargin.book.schemas import POSITIONS
from crossmargin.exceptions import ExceptionLog, InputError, counts
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
    assert counts(log.table()) == {}
    again = pa.concat_tables([typed, typed.slice(17, 1)])
    note_repeats(again, POSITIONS, log)
    assert counts(log.table()) == {"ROWS_REPEATED": 1}


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
