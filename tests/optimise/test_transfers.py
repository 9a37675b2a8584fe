from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin import columns
from crossmargin.book.schemas import POSITIONS
from crossmargin.exceptions import InputError
from crossmargin.optimise import transfers as optimise_transfers
from crossmargin.optimise.allocation import BOXES
from crossmargin.optimise.transfers import bookings, fixml, positions_csv, positions_of
from crossmargin.results.schemas.allocation import BOOKINGS, TRANSFERS
from crossmargin.results.schemas.shared import STAMPS
from crossmargin.results.table import Table


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {**sample_book(120), "market": xm.sample_market()}


@pytest.fixture(scope="module")
def run(book: dict[str, Any]) -> xm.RunResult:
    return xm.run(**book)


@pytest.fixture(scope="module")
def found(run: xm.RunResult) -> xm.Allocation:
    return xm.allocate(run)


def booked(book: dict[str, Any], found: xm.Allocation, **options: Any) -> xm.RunResult:
    """Return the run of a book with the transfers of an allocation booked."""
    trades = found.trades().to_arrow()
    positions = pa.concat_tables([book["positions"], trades], promote_options="default")
    return xm.run(**{**book, "positions": positions, **options})


def test_running_the_book_with_the_transfers_gives_what_was_promised(
    book: dict[str, Any], found: xm.Allocation
) -> None:
    assert len(found.transfers) > 50
    again = booked(book, found)
    promised = found.accounts["requirement_after"]
    assert again.accounts["requirement"].to_pylist() == promised.to_pylist()
    rates = [row["offset_rate_after"] for row in found.accounts]
    for row, rate in zip(again.accounts, rates, strict=True):
        assert rate is None or row["offset_rate"] == rate


def test_a_second_allocation_proposes_nothing_new(
    book: dict[str, Any], found: xm.Allocation
) -> None:
    second = xm.allocate(booked(book, found))
    assert len(second.transfers) == 0
    assert second.accounts["requirement_after"].equals(found.accounts["requirement_after"])
    assert set(second.accounts["unused_saving"].drop_null().to_pylist()) == {Decimal("0.00")}


@pytest.mark.parametrize("policy", ["cme-ficc-2026-11-30-span", "cme-ficc-2026-11-30-charges"])
def test_other_policies_keep_the_promise_too(
    policy: str, sample_book: Callable[..., dict[str, Any]]
) -> None:
    book = {**sample_book(15), "market": xm.sample_market()}
    found = xm.allocate(xm.run(**book, policy=policy), boxes=8)
    assert len(found.transfers) > 0
    again = booked(book, found, policy=policy)
    assert again.accounts["requirement"].equals(found.accounts["requirement_after"])
    assert len(xm.allocate(again, boxes=8).transfers) == 0


def test_no_account_gets_more_transfers_than_the_most(run: xm.RunResult) -> None:
    found = xm.allocate(run, most_transfers=2, boxes=1)
    counts = found.accounts["transfers"].to_pylist()
    assert max(counts) == 2
    for row in found.accounts:
        assert row["requirement"] is None or row["requirement_after"] <= row["requirement"]


def test_the_whole_of_a_position_is_the_most_that_is_proposed(found: xm.Allocation) -> None:
    for row in found.lines:
        low, high = sorted((0, row["total"]))
        if row["crossed_after"] != row["crossed"]:
            assert low <= row["crossed_after"] <= high


def test_trades_are_positions_that_add_up_to_zero(found: xm.Allocation) -> None:
    trades = found.trades()
    assert set(trades.column_names) <= {column.name for column in POSITIONS.columns}
    total: dict[tuple[str, str], float] = {}
    for row in trades:
        key = row["account"], row["instrument"]
        total[key] = total.get(key, 0.0) + row["quantity"]
    assert set(total.values()) == {0.0}
    crossed = {(row["account"], row["instrument"]): row for row in found.lines}
    for row in trades:
        if row["xm"]:
            line = crossed[row["account"], row["instrument"]]
            assert line["crossed"] + row["quantity"] == line["crossed_after"]


def transfers(*rows: tuple[str, str, int, str, str]) -> pa.Table:
    """Return a table of transfers: account, instrument, contracts, moves, side."""
    other = {"BUY": "SELL", "SELL": "BUY"}
    account, instrument, contracts, moves, side = zip(*rows, strict=True) if rows else [()] * 5
    return TRANSFERS.table(
        {
            "account": columns.text_column(list(account)),
            "instrument": columns.text_column(list(instrument)),
            "contracts": pa.array(contracts, pa.int64()),
            "moves": columns.text_column(list(moves)),
            "cross_margin_side": columns.text_column(list(side)),
            "ordinary_side": columns.text_column([other[each] for each in side]),
            "saves": pa.array([Decimal("1.00")] * len(rows), TRANSFERS["saves"].type),
        }
    )


MANIFEST = {"run_id": "r-1", "as_of": "2026-06-10", "cycle": "EOD", "synthetic": False}


def test_a_short_that_moves_in_is_sold_there_and_bought_back() -> None:
    rows = positions_of(transfers(("00123", "ZNU26", 5, "in", "SELL"))).to_pylist()
    same = {"account": "00123", "kind": "future", "instrument": "ZNU26"}
    assert rows == [
        {**same, "quantity": -5.0, "xm": True},
        {**same, "quantity": 5.0, "xm": False},
    ]


def test_the_file_of_positions_appended_to_the_book_gives_what_was_promised(
    book: dict[str, Any], found: xm.Allocation, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for name in ("accounts", "securities"):
        csv.write_csv(book[name], given / f"{name}.csv")
    added = given / "added.csv"
    added.write_bytes(positions_csv(found.transfers.to_arrow()))
    types = csv.ConvertOptions(column_types=book["positions"].schema)
    rows = csv.read_csv(added, convert_options=types)
    positions = pa.concat_tables([book["positions"], rows], promote_options="default")
    csv.write_csv(positions, given / "positions.csv")
    after = xm.run(
        **{name: given / f"{name}.csv" for name in ("positions", "accounts", "securities")},
        market=book["market"],
    )
    assert after.accounts["requirement"].equals(found.accounts["requirement_after"])


@pytest.mark.parametrize("name", ["00123", "=A1", "-7", "+x", "@b", 'a "b", c', "Müller"])
def test_the_file_of_positions_has_every_name_as_it_is(
    name: str, book: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "positions.csv"
    path.write_bytes(positions_csv(transfers((name, "ZNU26", 5, "in", "SELL"))))
    accounts = pa.table(
        {
            "account": [name],
            "origin": ["customer"],
            "ficc_role": ["sponsored_member"],
            "opted_in": [True],
            "clearing_firm": ["FCM"],
        }
    )
    run = xm.run(
        positions=path,
        accounts=accounts,
        securities=book["securities"],
        market=book["market"],
    )
    assert run.accounts["account"].to_pylist() == [name]
    assert run.manifest["rows"]["used"] == 2


def test_fixml_says_each_transfer_by_two_sides() -> None:
    root = ElementTree.fromstring(
        fixml(
            transfers(("A", "ZNU26", 5, "in", "SELL"), ("A", "SR3H27", 2, "out", "SELL")), MANIFEST
        )
    )
    cycle = root.find("cycle")
    assert cycle is not None
    assert cycle.attrib == {"date": "2026-06-10", "code": "EOD"}
    first, second = root.iterfind(".//{*}TrdCaptRpt")
    assert first.attrib["LastQty"] == "5"
    assert first.attrib["TrdTyp"] == "3"
    assert first.attrib["RptID"] != second.attrib["RptID"]
    instrument = second.find("{*}Instrmt")
    assert instrument is not None
    assert instrument.attrib == {
        **{"Sym": "SR3H27", "ID": "SR3", "Src": "8"},
        **{"SecTyp": "FUT", "MMY": "202703"},
    }
    sides = [
        (side.attrib["Side"], party.attrib["ID"], sub.attrib["ID"])
        for side in first.findall("{*}RptSide")
        for party in side.findall("{*}Pty")
        for sub in party.findall("{*}Sub")
    ]
    assert sides == [("2", "A", "CROSS_MARGIN"), ("1", "A", "ORDINARY")]


@pytest.mark.parametrize("name", ["<a>&\"'", "]]>", "Müller & Söhne", "\t", "\U0001f600"])
def test_any_name_that_xml_can_hold_comes_back_as_it_was(name: str) -> None:
    root = ElementTree.fromstring(fixml(transfers((name, "ZNU26", 1, "in", "BUY")), MANIFEST))
    assert {party.attrib["ID"] for party in root.iterfind(".//{*}Pty")} == {name}


@pytest.mark.parametrize("name", ["a\x1bb", "\x00", "\ufffe"])
def test_a_name_that_xml_cannot_hold_is_refused_and_nothing_written(
    name: str, found: xm.Allocation, tmp_path: Path
) -> None:
    bad = replace(found, transfers=Table(transfers((name, "ZNU26", 1, "in", "BUY"))))
    with pytest.raises(InputError, match="XML cannot hold"):
        bad.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_same_transfers_of_a_run_have_the_same_names() -> None:
    one = transfers(("A", "ZNU26", 5, "in", "SELL"))
    assert fixml(one, MANIFEST) == fixml(one, MANIFEST)
    other = transfers(("A", "ZNU26", 6, "in", "SELL"))
    names = {
        report.attrib["RptID"]
        for table, manifest in (
            (one, MANIFEST),
            (other, MANIFEST),
            (one, MANIFEST | {"run_id": "2"}),
        )
        for report in ElementTree.fromstring(fixml(table, manifest)).iterfind(".//{*}TrdCaptRpt")
    }
    assert len(names) == 3


def test_all_transfers_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Once for each row, a large book would take minutes.
    calls, real = [], optimise_transfers.transfers_id

    def counted(*arguments: Any) -> str:
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(optimise_transfers, "transfers_id", counted)
    rows = [("A", "ZNU26", 5, "in", "SELL"), ("A", "SR3H27", 2, "out", "SELL")] * 50
    assert len(bookings(transfers(*rows), MANIFEST)) == 200
    assert len(calls) == 1


def test_files_say_the_same(found: xm.Allocation, tmp_path: Path) -> None:
    out = found.write(tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {
        *("accounts.parquet", "lines.parquet", "manifest.json"),
        *("transfers.csv", "transfers.xml", "positions.csv"),
    }
    assert (out / "positions.csv").read_bytes() == positions_csv(found.transfers.to_arrow())
    options = csv.ConvertOptions(column_types={"account": pa.string()})
    table = csv.read_csv(out / "transfers.csv", convert_options=options)
    assert table.column_names == [column.name for column in (*BOOKINGS.columns, *STAMPS)]
    assert len(table) == 2 * len(found.transfers)
    root = ElementTree.parse(out / "transfers.xml").getroot()
    assert root.attrib["synthetic"] == "true"
    kinds = {"1": "BUY", "2": "SELL"}
    said = [
        (report.attrib["RptID"], kinds[side.attrib["Side"]], int(report.attrib["LastQty"]))
        for report in root.iterfind(".//{*}TrdCaptRpt")
        for side in report.iterfind("{*}RptSide")
    ]
    rows = table.to_pylist()
    assert said == [(row["transfer_id"], row["side"], row["contracts"]) for row in rows]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["run_id"] == found.manifest["run_id"]
    assert manifest["options"]["boxes"] == BOXES
    for name in ("accounts", "lines"):
        kept = pq.read_table(out / f"{name}.parquet")
        assert kept.equals(getattr(found, name).to_arrow())


def test_an_allocation_without_transfers_is_written_too(run: xm.RunResult, tmp_path: Path) -> None:
    nothing = xm.allocate(run, most_transfers=0, boxes=1)
    assert len(nothing.transfers) == 0
    out = nothing.write(tmp_path / "out")
    assert len((out / "transfers.csv").read_text().splitlines()) == 1
    root = ElementTree.parse(out / "transfers.xml").getroot()
    assert root.find(".//{*}TrdCaptRpt") is None
    assert len(nothing.trades()) == 0


def test_an_allocation_replaces_an_allocation_and_nothing_else(
    run: xm.RunResult, found: xm.Allocation, tmp_path: Path
) -> None:
    found.write(tmp_path / "out")
    found.write(tmp_path / "out")
    with pytest.raises(InputError, match="holds crossmargin allocation"):
        run.write(tmp_path / "out")
    run.write(tmp_path / "results")
    with pytest.raises(InputError, match="holds crossmargin results"):
        found.write(tmp_path / "results")
    assert xm.read_run(tmp_path / "results").manifest["run_id"] == run.manifest["run_id"]
    with pytest.raises(InputError, match="holds no results"):
        xm.read_run(tmp_path / "out")
    (tmp_path / "out" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="note"):
        found.write(tmp_path / "out")


def test_a_notebook_shows_transfers_and_accounts(found: xm.Allocation) -> None:
    html = found._repr_html_()
    assert "&lt;Allocation 2026-06-10 EOD (synthetic)" in html
    assert "<h4>transfers</h4>" in html
    assert "cross_margin_side" in html


def test_both_sides_are_told_what_binds(run: xm.RunResult, found: xm.Allocation) -> None:
    binding = pc.equal(found.accounts["binding"], run.accounts["binding"])
    assert found.accounts["binding"].null_count == run.accounts["binding"].null_count
    assert pc.all(binding).as_py()


def test_real_figures(real_data: Callable[[str], Path]) -> None:
    market = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13")
    accounts = pa.table(
        {
            "account": ["A", "B"],
            "origin": ["customer"] * 2,
            "ficc_role": ["sponsored_member"] * 2,
            "opted_in": [True] * 2,
            "clearing_firm": ["FCM"] * 2,
        }
    )
    positions = pa.table(
        {
            "account": ["A", "A", "A", "B", "B"],
            "kind": ["cash", "future", "future", "cash", "future"],
            "instrument": ["91282CMM0", "ZNM25", "ZTM25", "91282CMM0", "TNM25"],
            "quantity": [1e8, -1100.0, 300.0, -5e7, 700.0],
            "xm": [True, False, False, True, True],
        }
    )
    book = {
        "positions": positions,
        "accounts": accounts,
        "securities": real_data("fixed_coupon_master.csv"),
        "market": market,
    }
    found = xm.allocate(xm.run(**book))
    assert found.accounts["outcome"].to_pylist()[0] == "moved"
    again = booked(book, found)
    assert again.accounts["requirement"].equals(found.accounts["requirement_after"])
    assert len(xm.allocate(again).transfers) == 0
