from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.headers import header_row, named_columns


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ([["a", "b"], ["1", "2"]], 0),
        ([["Title", "", "", ""], ["", "", "", ""], ["a", "b", "c", "d"], ["1", "2", "3", "4"]], 2),
        ([["a"], ["1"]], 0),
        ([["", "a", "b"], ["0", "1", "2"]], 0),
        ([["a", "b", ""], ["1", "", ""]], 0),
        ([["Report", "Positions", "", "", ""], ["a", "b", "c", "d", "e"]], 1),
        ([["Rates as of", "3/13/2025", ""], ["a", "b", "c"], ["x", "y", "1"]], 1),
        ([["By", "x", "On", "2025-03-13", ""], ["a", "b", "c", "d", "e"], ["1"] * 5], 1),
        # Names may be numbers, such as those of scenarios.
        ([["instrument", "1", "2"], ["A", "0.5", "-2,25"], ["B", "(1)", "4%"]], 0),
    ],
)
def test_the_header_is_the_first_row_that_is_mostly_filled(rows: list[list[str]], at: int) -> None:
    assert header_row(rows) == at


def test_columns_without_name_and_content_are_left_out() -> None:
    cells = [pa.array(["x", None]), pa.array(["", " "]), pa.nulls(2)]
    table, notes = named_columns(pa.table(cells, names=[" a ", "", " "]), "x")
    assert table.to_pydict() == {"a": ["x", None]}
    assert notes == ()


def test_content_without_a_name_is_refused() -> None:
    table = pa.table([pa.array(["x", "y"]), pa.array([None, 5])], names=["a", ""])
    with pytest.raises(InputError, match="x: column 2 has no name, but content in row 2"):
        named_columns(table, "x")


@pytest.mark.parametrize("start", [0, 1])
def test_a_count_of_rows_without_a_name_is_not_read(start: int) -> None:
    count = [str(start), str(start + 1)]
    table, notes = named_columns(pa.table([count, ["x", "y"]], names=["", "a"]), "x")
    assert table.column_names == ["a"]
    assert notes == ("the first column has no name and numbers the rows; it is not read",)
    with pytest.raises(InputError, match="column 1 has no name"):
        named_columns(pa.table([count[::-1], ["x", "y"]], names=["", "a"]), "x")


def test_a_frame_written_with_its_index_is_read(tmp_path: pytest.TempPathFactory) -> None:
    from crossmargin.io.tables import read_table

    path = f"{tmp_path}/frame.csv"
    pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}).to_csv(path)
    assert read_table(path, name="x").table.to_pydict() == {"a": ["x", "y"], "b": ["1", "2"]}


def test_two_columns_of_one_name_are_refused_however_many_there_are() -> None:
    names = [f"c{number}" for number in range(20_000)]
    table = pa.table([pa.array(["x"])] * len(names), names=[*names[:-1], "c7 "])
    with pytest.raises(InputError, match="column `c7` appears more than once"):
        named_columns(table, "x")
