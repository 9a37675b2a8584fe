"""What a result table hands out: rows, columns, frames with money exact or as floats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crossmargin.results.table import Table, money

CENTS = np.array([1, -3, 507_313_306, 2**53 - 1, 0])
KNOWN = np.array([True, True, True, True, False])


@pytest.fixture
def table() -> Table:
    names = pa.array(["a", "b", "c", "d", "e"])
    return Table(
        pa.table({"account": names, "saving": money(CENTS, KNOWN), "offset_rate": [0.5] * 5})
    )


def test_a_column_comes_by_its_name(table: Table) -> None:
    assert table["account"].to_pylist() == list("abcde")
    with pytest.raises(KeyError, match="no column 'savings'; there are account, saving, off"):
        table["savings"]


def test_rows_come_by_a_slice(table: Table) -> None:
    assert table[1:3]["account"].to_pylist() == ["b", "c"]
    assert table[-2:]["account"].to_pylist() == ["d", "e"]
    assert table[:-3]["account"].to_pylist() == ["a", "b"]
    assert len(table[4:2]) == len(table[9:]) == 0
    assert table.head(2)["account"].to_pylist() == ["a", "b"]
    assert len(table.head()) == 5


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, TypeError, "a column's name or a slice of rows expected, got 3"),
        (["account"], TypeError, "a column's name or a slice"),
        (slice(0, 4, 2), ValueError, "a slice of rows has step 1, not 2"),
    ],
)
def test_other_keys_are_refused(
    table: Table, key: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        table[key]


def test_rows_are_dicts(table: Table) -> None:
    rows = list(table)
    assert rows == table.to_arrow().to_pylist()
    assert rows[1] == {"account": "b", "saving": Decimal("-0.03"), "offset_rate": 0.5}


def test_money_as_floats_is_the_nearest_float_to_each_amount(table: Table) -> None:
    exact = [float(Decimal(int(cents)).scaleb(-2)) for cents in CENTS[KNOWN]]
    frame = table.to_pandas(money="float")
    assert frame["saving"].dtype == np.float64
    assert frame["saving"].tolist()[:4] == exact
    assert np.isnan(frame["saving"][4])
    assert table.to_polars(money="float")["saving"].to_list() == [*exact, None]
    # What decimals do not do.
    assert frame.nlargest(1, "saving")["account"].tolist() == ["d"]
    assert (frame["saving"] * frame["offset_rate"]).iloc[2] == 2536566.53


def test_money_as_floats_is_off_by_no_bit_where_arrows_cast_is() -> None:
    cents = np.random.default_rng(1).integers(-(10**15), 10**15, 10_000)
    frame = Table(pa.table({"saving": money(cents)})).to_pandas(money="float")
    assert frame["saving"].tolist() == (cents / 100.0).tolist()
    assert (
        pa.chunked_array([money(cents)]).cast(pa.float64()).to_pylist() != frame["saving"].tolist()
    )


def test_slices_and_empty_tables_have_floats_too(table: Table) -> None:
    assert table[2:4].to_pandas(money="float")["saving"].tolist()[0] == 5073133.06
    assert table[4:].to_polars(money="float")["saving"].to_list() == [None]
    assert table[5:].to_pandas(money="float")["saving"].dtype == np.float64


def test_money_is_exact_unless_told_otherwise(table: Table) -> None:
    assert table.to_pandas()["saving"][0] == Decimal("0.01")
    assert table.to_polars().schema["saving"] == pl.Decimal(20, 2)
    assert isinstance(table.to_pandas(), pd.DataFrame)
    with pytest.raises(ValueError, match="money: one of decimal, float expected, got 'double'"):
        table.to_pandas(money="double")  # type: ignore[arg-type]
