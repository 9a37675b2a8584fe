"""Reports of positions as they come give the run of the same book in our own form."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.sample import AS_OF, sample_market, sample_tables

AMOUNTS = ("accounts", "components", "breakdown", "positions", "baskets")
CLEARING = {"ZT": "26", "Z3N": "3YR", "ZF": "25", "ZN": "21", "ZB": "17", "UB": "UBE", "ZQ": "41"}
BLOOMBERG = {"ZT": "TU", "ZF": "FV", "ZN": "TY", "TN": "UXY", "ZB": "US", "UB": "WN", "SR3": "SFR"}
DAY = str(AS_OF)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def book() -> dict[str, Any]:
    tables = sample_tables(accounts=30)
    whole = pa.table(tables["positions"])
    whole = whole.filter(pc.is_null(whole["clearing_firm"]))
    plain = whole.select(["account", "kind", "instrument", "quantity", "xm"])
    cash = pc.and_(pc.equal(plain["kind"], "cash"), plain["xm"])
    plain = plain.filter(pc.or_(cash, pc.equal(plain["kind"], "future")))
    given = {name: tables[name] for name in ("accounts", "securities")}
    market = sample_market()
    # The sample has flaws, which other files would not have in the same way.
    found = xm.run(positions=plain, **given, market=market).exceptions.to_arrow().to_pylist()
    bad = {row["row"] for row in found if row["severity"] == "rejected"}
    rows = [row for number, row in enumerate(plain.to_pylist(), 1) if number not in bad]
    return {
        "cash": [row for row in rows if row["kind"] == "cash"],
        "futures": [row for row in rows if row["kind"] == "future" and row["quantity"]],
        "accounts": tables["accounts"],
        "securities": tables["securities"],
        "market": market,
    }


def parts(name: str) -> tuple[str, str]:
    """Return the root and the month YYYYMM of a contract."""
    contract = parse_contract(name, AS_OF)
    return contract.root, str(contract.month).replace("-", "")


def written(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(book: dict[str, Any], *positions: Any, **more: Any) -> xm.RunResult:
    given = {name: book[name] for name in ("accounts", "securities", "market")}
    return xm.run(positions=list(positions), **given, **more)


def same(one: xm.RunResult, other: xm.RunResult) -> None:
    for name in AMOUNTS:
        first, second = (
            getattr(result, name).to_arrow().drop_columns("run_id") for result in (one, other)
        )
        assert first.equals(second), name
    assert one.manifest["rows"]["rejected"] == other.manifest["rows"]["rejected"] == 0


def xm_cusip(rows: Rows, folder: Path) -> Path:
    return written(
        folder / "XMFICCCUSIP.csv",
        [
            {
                "BusDate": f"{DAY[5:7]}/{DAY[8:]}/{DAY[:4]}",
                "Cycle": "CUR",
                "Run": 1,
                "Account": row["account"],
                "CUSIP": row["instrument"],
                "Coupon": "",
                "MaturityDate": "",
                "Position": f"{row['quantity']:,.2f}",
            }
            for row in rows
        ],
    )


def exchange(rows: Rows, folder: Path) -> Path:
    return written(
        folder / "positions.csv",
        [
            {
                "Firm Id": "357",
                "Acct Id": row["account"],
                "Exchange": "CME" if root.startswith("SR") else "CBT",
                "Ticker Symbol": "",
                "Product Name": "",
                "CC Code": CLEARING.get(root, root),
                "Period Code": month,
                "Put / Call": "",
                "Strike": "",
                "Underlying Period Code": "",
                "Net Positions": int(row["quantity"]),
                "Margin Type": "FUT",
                "XM": row["xm"],
            }
            for row in rows
            for root, month in [parts(row["instrument"])]
        ],
    )


def back_office(rows: Rows, folder: Path) -> Path:
    return written(
        folder / "etd.csv",
        [
            {
                "account_code": row["account"],
                "sub_account_code": "",
                "exchange_code": "",
                "contract_code": BLOOMBERG.get(root, root),
                "contract_type": "F",
                "contract_expiry": f"{NAMES[int(month[4:]) - 1]}-{month[2:4]}",
                "contract_strike": "",
                "account_type": "",
                "omnibus_ind": "",
                "long_qty": max(int(row["quantity"]), 0) + number % 3,
                "short_qty": max(-int(row["quantity"]), 0) + number % 3,
                "xm_flag": "Y" if row["xm"] else "N",
            }
            for number, row in enumerate(rows)
            for root, month in [parts(row["instrument"])]
        ],
    )


NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def fixml(rows: Rows, folder: Path) -> Path:
    reports = []
    for row in rows:
        root, month = parts(row["instrument"])
        quantity = int(row["quantity"])
        reports.append(
            f'<PosRpt BizDt="{DAY}" ReqTyp="0" SetSesID="EOD"><Pty ID="357" R="4"/>'
            f'<Pty ID={quoteattr(row["account"])} R="24"/>'
            f'<Instrmt ID="{CLEARING.get(root, root)}" SecTyp="FUT" MMY="{month}"/>'
            f'<Qty Typ="FIN" Long="{max(quantity, 0)}" Short="{max(-quantity, 0)}"/></PosRpt>'
        )
    path = folder / "positions.xml"
    path.write_text(f'<FIXML v="FIX.5.0SP2"><Batch>{"".join(reports)}</Batch></FIXML>')
    return path


@pytest.mark.parametrize("write", [exchange, back_office])
def test_reports_give_the_run_of_our_own_form(
    book: dict[str, Any], tmp_path: Path, write: Callable[[Rows, Path], Path]
) -> None:
    ours = pa.Table.from_pylist(book["cash"] + book["futures"])
    other = run(book, xm_cusip(book["cash"], tmp_path), write(book["futures"], tmp_path))
    same(run(book, ours), other)
    names = [name for name in other.manifest["inputs"]["positions"]["names"]]
    assert names == [
        "positions XMFICCCUSIP.csv",
        f"positions {write(book['futures'], tmp_path).name}",
    ]
    assert "POSITIONS_OF_OTHER_DAY" not in other.manifest["exceptions"]


def test_a_fixml_report_gives_the_run_of_our_own_form(book: dict[str, Any], tmp_path: Path) -> None:
    path = fixml(book["futures"], tmp_path)
    apart = [row | {"xm": False} for row in book["futures"]]
    same(run(book, pa.Table.from_pylist(apart)), run(book, path))
    # What is cross-margined can be stated for the whole file.
    stated = run(book, path, columns={"positions": {"xm": {"constant": "true"}}})
    crossed = [row | {"xm": True} for row in book["futures"]]
    same(run(book, pa.Table.from_pylist(crossed)), stated)


def test_options_are_refused_and_the_account_is_incomplete(
    book: dict[str, Any], tmp_path: Path
) -> None:
    path = exchange(book["futures"], tmp_path)
    text = path.read_text().splitlines()
    account = book["futures"][0]["account"]
    option = f"357,{account},CBT,,,21,202607,C,110.5,202609,5,OOF,False"
    stock = f"357,{account},CME,,,ES,202609,,,,5,FUT,False"
    path.write_text("\n".join([*text, option, stock]))
    result = run(book, path, xm_cusip(book["cash"], tmp_path))
    (refused,) = [
        row
        for row in result.exceptions.to_arrow().to_pylist()
        if row["severity"] == "rejected" and row["file"].startswith("positions")
    ]
    assert refused["row"] == len(text)
    assert refused["file"] == "positions positions.csv"
    assert "'ZNN26 C110.5' is an option" in refused["message"]
    status = {row["account"]: row["status"] for row in result.accounts.to_arrow().to_pylist()}
    assert status[account] in ("incomplete", "not_eligible")
    warnings = result.manifest["inputs"]["positions"]["warnings"]
    assert any("ES (1)" in text for text in warnings)


def test_a_report_of_another_day_is_noted(book: dict[str, Any], tmp_path: Path) -> None:
    path = xm_cusip(book["cash"], tmp_path)
    path.write_text(path.read_text().replace(f"/{DAY[:4]}", "/2001"))
    found = run(book, path).exceptions.to_arrow()
    (note,) = found.filter(pc.equal(found["code"], "POSITIONS_OF_OTHER_DAY")).to_pylist()
    assert note["file"] == "positions"
    assert note["message"].startswith(f"the report is of 2001-{DAY[5:]} CUR run 1, the run as of")


def test_a_report_at_two_times_would_count_twice(book: dict[str, Any], tmp_path: Path) -> None:
    first = xm_cusip(book["cash"], tmp_path)
    later = tmp_path / "later.csv"
    later.write_text(first.read_text().replace(",CUR,1,", ",CUR,2,"))
    with pytest.raises(InputError, match=r"later.csv is of .* CUR run 2 and .* CUR run 1, .*twice"):
        run(book, first, later)
    # Futures of another cycle are others, and so are other accounts.
    run(book, later, fixml(book["futures"], tmp_path))
    names = sorted({row["account"] for row in book["cash"]})
    some = [row for row in book["cash"] if row["account"] in names[:5]]
    rest = [row for row in book["cash"] if row["account"] not in names[:5]]
    later.write_text(xm_cusip(some, tmp_path).read_text().replace(",CUR,1,", ",CUR,2,"))
    same(run(book, xm_cusip(book["cash"], tmp_path)), run(book, later, xm_cusip(rest, tmp_path)))
