"""Tables of pandas and polars as they are: each gives the run that the files give."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError

Tables = dict[str, Any]
Frames = dict[str, pd.DataFrame]
TEXTS = {
    "positions": ["account", "kind", "instrument"],
    "accounts": ["account", "origin", "ficc_role", "clearing_firm"],
    "securities": ["cusip", "type"],
}


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.sample_market()


@pytest.fixture(scope="module")
def tables(sample_book: Callable[[int], Tables]) -> Tables:
    return sample_book(20)


@pytest.fixture(scope="module")
def frames(tables: Tables) -> Frames:
    def read(table: pa.Table) -> pd.DataFrame:
        text = io.BytesIO()
        pacsv.write_csv(table, text)
        return pd.read_csv(io.BytesIO(text.getvalue()))

    return {name: read(table) for name, table in tables.items()}


def margins(tables: Tables, market: xm.Market) -> list[dict[str, Any]]:
    run = xm.run(**tables, market=market)
    left_out = {"run_id", "multiplier", "floor", "minimum"}
    return [{k: v for k, v in row.items() if k not in left_out} for row in run.accounts]


@pytest.fixture(scope="module")
def expected(tables: Tables, market: xm.Market) -> list[dict[str, Any]]:
    return margins(tables, market)


def with_column(frames: Frames, table: str, name: str, values: Any) -> Frames:
    return frames | {table: frames[table].assign(**{name: values})}


def each(frames: Frames, change: Callable[[str, pd.DataFrame], Any]) -> Tables:
    return {name: change(name, frame) for name, frame in frames.items()}


def dates(frames: Frames, change: Callable[[Any], Any]) -> Frames:
    settle = frames["positions"]["settle_date"]
    return with_column(frames, "positions", "settle_date", change(settle))


WAYS: dict[str, Callable[[Frames], Tables]] = {
    # A blank first_coupon_date is a column of NaN in it.
    "as read": lambda f: f,
    "objects": lambda f: each(f, lambda _, frame: frame.astype(object)),
    "nullable": lambda f: each(f, lambda _, frame: frame.convert_dtypes()),
    "pyarrow": lambda f: each(f, lambda _, frame: frame.convert_dtypes(dtype_backend="pyarrow")),
    "categories": lambda f: each(
        f, lambda name, frame: frame.astype(dict.fromkeys(TEXTS[name], "category"))
    ),
    "index": lambda f: f | {"accounts": f["accounts"].set_index("account")},
    "numbers for flags": lambda f: with_column(
        f, "positions", "xm", f["positions"]["xm"].astype(float)
    ),
    "timestamps": lambda f: dates(f, pd.to_datetime),
    "date objects": lambda f: dates(
        f, lambda c: [None if pd.isna(d) else datetime.date.fromisoformat(d) for d in c]
    ),
    "polars": lambda f: each(f, lambda _, frame: pl.from_pandas(frame)),
    "polars categories": lambda f: each(
        f,
        lambda name, frame: pl.from_pandas(frame).cast(dict.fromkeys(TEXTS[name], pl.Categorical)),
    ),
    "polars enum": lambda f: (
        f
        | {
            "positions": pl.from_pandas(f["positions"]).cast(
                {"kind": pl.Enum(sorted(set(f["positions"]["kind"])))}
            )
        }
    ),
    "large texts": lambda f: each(
        f,
        lambda name, frame: pa.Table.from_pandas(frame).cast(
            pa.schema(
                [
                    field.with_type(pa.large_string()) if field.name in TEXTS[name] else field
                    for field in pa.Table.from_pandas(frame).schema
                ]
            )
        ),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_gives_the_run_of_the_file(
    frames: Frames, market: xm.Market, expected: list[dict[str, Any]], way: str
) -> None:
    assert margins(WAYS[way](frames), market) == expected


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("positions", "clearing_firm"),
        ("positions", "settle_date"),
        ("positions", "failed"),
        ("accounts", "customer"),
        ("accounts", "floor"),
        ("securities", "type"),
    ],
)
def test_a_column_that_is_wholly_blank_is_as_good_as_none(
    frames: Frames, market: xm.Market, tmp_path: Path, table: str, column: str
) -> None:
    blank = with_column(frames, table, column, np.nan)
    assert blank[table][column].dtype == np.float64
    without = margins(frames | {table: frames[table].drop(columns=column)}, market)
    assert margins(blank, market) == without
    for name, frame in blank.items():
        frame.to_parquet(tmp_path / name)
    assert margins({name: tmp_path / name for name in blank}, market) == without


def numbered(frames: Frames, change: Callable[[pd.Series], Any]) -> Frames:
    """Return the frames with numbers for accounts."""
    names = {a: 100 + n for n, a in enumerate(frames["accounts"]["account"].drop_duplicates())}
    book = {}
    for name in ("accounts", "positions"):
        frame = frames[name][frames[name]["account"].isin(list(names))]
        book[name] = frame.assign(account=change(frame["account"].map(names)))
    return frames | book


def test_accounts_may_be_numbers_whole_or_made_floats_by_a_blank(
    frames: Frames, market: xm.Market
) -> None:
    as_text = margins(numbered(frames, lambda account: account.astype(str)), market)
    assert as_text[0]["account"] == "100"
    assert margins(numbered(frames, lambda account: account), market) == as_text
    assert margins(numbered(frames, lambda account: account.astype(float)), market) == as_text


def test_zeros_lost_from_the_front_of_an_account_are_named(
    frames: Frames, market: xm.Market
) -> None:
    positions = frames["positions"].head(0).astype(object)
    positions.loc[0] = {"account": 7, "kind": "future", "instrument": "ZNU26", "quantity": 1}
    positions.loc[1] = {"account": 8_000_000, **positions.loc[0].drop("account")}
    positions["xm"] = True
    with pytest.warns(xm.InputWarning, match="2 of 2 rows"):
        run = xm.run(**frames | {"positions": positions}, market=market, allow_empty=True)
    unknown = [row for row in run.exceptions if row["code"] == "ACCOUNT_UNKNOWN"]
    assert [row["message"].split("; ")[1] for row in unknown] == [
        "if it is '000007', read the column as text",
        "add it",
    ]


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (1.5, "column `account` holds double, which cannot be read"),
        (2.0**53, "column `account` holds double, which rounds identifiers as long as these"),
        ("A", "Conversion failed for column account .*; make it one type, texts by .astype"),
    ],
)
def test_accounts_that_cannot_be_told_are_refused(
    frames: Frames, market: xm.Market, account: Any, message: str
) -> None:
    positions = frames["positions"]
    column = [*range(1, len(positions)), account]
    with pytest.raises(InputError, match=message):
        xm.run(**with_column(frames, "positions", "account", column), market=market)


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"market": "2025-03-13"}, r"market: got '2025-03-13'; give xm\.read_market\("),
        ({"market": xm.Market}, "market: got <class"),
        ({"positions": [{"account": "A"}]}, "positions: expected a path, or a pandas, .* not dict"),
        ({"accounts": None}, "accounts: expected a path, or a pandas, .* not NoneType"),
        ({"policy": 7}, "policy: a name, a path or a Policy expected, got 7"),
        ({"span_file": pd.DataFrame()}, "span_file: a path expected, got DataFrame"),
        ({"progress": True}, "progress: a function of stage and share expected, got True"),
        ({"max_rejected": "3"}, "max_rejected: a whole number expected, got '3'"),
    ],
)
def test_slips_are_named_before_anything_is_computed(
    tables: Tables, market: xm.Market, slip: Tables, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        xm.run(**{**tables, "market": market, **slip})


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"threads": 2.0}, "threads: a whole number from 1 on"),
        ({"backend": "cuda"}, "backend: one of auto, native"),
        ({"cycle": "eod"}, "cycle: 'eod' is not one of"),
    ],
)
def test_values_that_cannot_be_are_named(
    tables: Tables, market: xm.Market, slip: Tables, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        xm.run(**{**tables, "market": market, **slip})
