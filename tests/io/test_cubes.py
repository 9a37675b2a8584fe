from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.cubes import read_cube
from crossmargin.io.tables import read_table


def test_a_cube_of_text_and_one_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "cube.csv"
    path.write_text("2008-09-15,instrument,2020-03-12\n-1.5,00123,2e-3\n0,ZNM25,-0.25\n")
    for source in (
        path,
        pd.DataFrame(
            {
                "2008-09-15": [-1.5, 0.0],
                "instrument": ["00123", "ZNM25"],
                "2020-03-12": [0.002, -0.25],
            }
        ),
    ):
        instrument, pnl, scenario = read_cube(
            read_table(source, name="ficc cube").table, name="ficc cube"
        )
        assert instrument == ["00123", "ZNM25"]
        assert scenario == ("2008-09-15", "2020-03-12")
        assert np.array_equal(pnl, [[-1.5, 0.002], [0.0, -0.25]])
        assert pnl.flags.c_contiguous


@pytest.mark.parametrize("cell", ["", "nan", "inf", "x", "1e400"])
def test_a_bad_cell_is_named_by_instrument_and_scenario(cell: str) -> None:
    table = pa.table({"instrument": ["A", "B"], "s1": ["1", "2"], "s2": ["3", cell]})
    with pytest.raises(InputError, match="row 2: P&L of B in scenario `s2`"):
        read_cube(table, name="cube")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_bad_number_is_named_too(value: float | None) -> None:
    table = pa.table(
        {"instrument": ["A"], "s1": pa.array([value], pa.float64(), from_pandas=False)}
    )
    with pytest.raises(InputError, match="row 1: P&L of A in scenario `s1`"):
        read_cube(table, name="cube")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"s1": ["1"]}, "`instrument` is missing"),
        ({"instrument": ["A"]}, "at least one instrument and one scenario"),
        ({"instrument": pa.array([], pa.string()), "s1": pa.array([], pa.string())}, "at least"),
        ({"instrument": ["A", " "], "s1": ["1", "2"]}, "row 2: `instrument` is blank"),
        ({"instrument": ["A", "B", "A"], "s1": ["1", "2", "3"]}, "rows 1 and 3: instrument A"),
        ({"instrument": [1.5], "s1": ["1"]}, "`instrument` holds double"),
        ({"instrument": ["A"], "s1": [True]}, "scenario `s1` holds bool"),
    ],
)
def test_a_bad_cube_is_refused(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cube(pa.table(columns), name="cube")


def test_decimal_commas_are_read_where_the_column_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "cube.csv"
    path.write_text("instrument;s1;s2\nA;1,5;1.000\nB;-0,25;2.000,5\n")
    given = read_table(path, name="cube")
    _, pnl, _ = read_cube(given.table, name="cube", point=given.point)
    np.testing.assert_array_equal(pnl, [[1.5, 1000.0], [-0.25, 2000.5]])
    path.write_text("instrument;s1\nA;1,500\nB;2,250\n")
    given = read_table(path, name="cube")
    with pytest.raises(InputError, match="row 1: P&L of A"):
        read_cube(given.table, name="cube", point=given.point)
