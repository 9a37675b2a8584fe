from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from crossmargin.market.curve import TENORS
from crossmargin.sample import AS_OF, TABLES, sample_market, sample_tables, write_sample

COLUMNS = {
    "positions": (
        "account kind instrument quantity xm settle_date start_date end_date repo_rate start_cash "
        "failed clearing_firm"
    ),
    "accounts": (
        "account origin ficc_role opted_in clearing_firm customer multiplier floor minimum"
    ),
    "securities": (
        "cusip coupon_pct issue_date maturity_date type first_coupon_date price resold_as"
    ),
    "par_yields": "date " + " ".join(TENORS) + " synthetic",
    "basis": "date root contract basis",
}
# Of 40 accounts with seed 7: a change of these is a change of everybody's sample.
RECORDED = {
    "positions": "17d97276631fdd22",
    "accounts": "53c1f6c092576326",
    "securities": "d31b02d6a405ac84",
    "par_yields": "344da12e254e42ec",
    "basis": "67fe874cb99aabd6",
}


def digest(table: pa.Table) -> str:
    """Return a hash of all values, exact: the text of a float tells its bits."""
    text = repr([(name, table[name].to_pylist()) for name in table.column_names])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_seed_gives_the_same_bits() -> None:
    first, again = (sample_tables(accounts=40, seed=7) for _ in range(2))
    assert {name: digest(table) for name, table in first.items()} == RECORDED
    assert all(first[name].equals(again[name]) for name in TABLES)


def test_seeds_differ() -> None:
    first, other = (sample_tables(accounts=40, seed=seed) for seed in (7, 8))
    assert all(digest(first[name]) != digest(other[name]) for name in TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_those_of_the_input(name: str) -> None:
    table = sample_tables(accounts=10)[name]
    assert table.column_names == COLUMNS[name].split()
    kinds = {
        "date": pa.date32(),
        "xm": pa.bool_(),
        "failed": pa.bool_(),
        "opted_in": pa.bool_(),
        "synthetic": pa.bool_(),
        **dict.fromkeys(
            ("quantity", "repo_rate", "start_cash", "multiplier", "floor", "minimum"), pa.float64()
        ),
        **dict.fromkeys(("coupon_pct", "price", "basis", *TENORS), pa.float64()),
    }
    for field in table.schema:
        expected = pa.date32() if field.name.endswith("_date") else pa.string()
        assert field.type == kinds.get(field.name, expected), field.name


@pytest.mark.parametrize("accounts", [10, 500, 2_000])
def test_accounts_scale_the_book_but_not_the_market(accounts: int) -> None:
    tables = sample_tables(accounts=accounts)
    small = sample_tables(accounts=10)
    assert len(tables["accounts"]) == accounts + 3
    for name in ("securities", "par_yields", "basis"):
        assert tables[name].equals(small[name])
    if accounts >= 500:
        assert 10.0 < len(tables["positions"]) / accounts < 30.0


def test_the_market_alone_is_the_same_market() -> None:
    tables = sample_tables(accounts=10)
    market = sample_market()
    assert market.synthetic
    assert set(market.source) == {"par_yields", "basis"}
    assert market.as_of == AS_OF
    assert np.array_equal(market.history.date, tables["par_yields"]["date"].to_numpy())
    assert sorted(market.history.basis) == sorted(set(tables["basis"]["root"].to_pylist()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accounts": 9}, "accounts: 9 is too small; give 10 or more"),
        ({"seed": -1}, "seed: -1 must be 0 or more"),
        ({"as_of": "2026-06-13"}, "2026-06-13 is not a business day"),
        ({"as_of": "June"}, "as_of"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_tables(**arguments)  # type: ignore[arg-type]


def test_files_are_written_for_a_run(tmp_path: Path) -> None:
    out = tmp_path / "new" / "sample"
    written = write_sample(out, accounts=25, seed=7)
    assert [path.name for path in written] == [f"{name}.csv" for name in TABLES]
    tables = sample_tables(accounts=25, seed=7)
    for path in written:
        names = COLUMNS[path.stem].split()
        text = csv.read_csv(
            path,
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
            ),
        )
        assert text.column_names == names
        assert len(text) == len(tables[path.stem])
    accounts = (out / "accounts.csv").read_text().splitlines()
    assert accounts[4].startswith("000004,customer,")
    # Numbers survive the way through text.
    yields = csv.read_csv(out / "par_yields.csv")
    assert yields["10y"].equals(tables["par_yields"]["10y"])


def test_a_file_of_the_users_is_not_replaced(tmp_path: Path) -> None:
    write_sample(tmp_path, accounts=25)
    write_sample(tmp_path, accounts=25)
    (tmp_path / "basis.csv").unlink()
    (tmp_path / "positions.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"has other positions\.csv, which would be lost"):
        write_sample(tmp_path, accounts=25)
    assert (tmp_path / "positions.csv").read_text() == "mine"
    assert not (tmp_path / "basis.csv").exists()
