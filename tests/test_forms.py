"""One book in every form of file that is taken: each gives the results of the plainest one."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crossmargin as xm

Rows = list[list[str]]
Tables = dict[str, Rows]
Write = Callable[[Rows, Path], Any]

POSITIONS = """\
account,kind,instrument,quantity,xm,settle_date,start_date,end_date,repo_rate
00123,cash,{0},12500000,true,2026-06-11,,,
00123,cash,{1},-2500000,true,,,,
00123,future,ZNU26,-110,true,,,,
Zürich,reverse,{2},40000000,true,,2026-06-10,2026-07-13,3.625
Zürich,repo,{1},3000000,false,,2026-05-04,2026-12-11,3.5
Zürich,future,ZFU26,-1210,true,,,,
Zürich,future,SR3U26,25,false,,,,
"""
ACCOUNTS = """\
account,origin,ficc_role,opted_in,clearing_firm,multiplier,minimum
00123,customer,sponsored_member,true,F1,1.25,1500000
Zürich,house,netting_member,true,F2,,
"""
HEAD = ["cusip", "coupon_pct", "issue_date", "maturity_date"]
DATES = ("settle_date", "start_date", "end_date", "issue_date", "maturity_date")
RATES = ("repo_rate", "coupon_pct")
COUNTS = ("quantity", "minimum")
NUMBERS = (*RATES, *COUNTS, "multiplier")
FLAGS = ("xm", "opted_in")
KEYS = {"positions": "quantity", "accounts": "opted_in", "securities": "coupon_pct"}
"""A column that each table alone has."""
RESULTS = ("accounts", "components", "breakdown", "positions")


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.sample_market()


@pytest.fixture(scope="module")
def tables(sample_book: Callable[[int], dict[str, pa.Table]]) -> Tables:
    """Return the book on notes of the synthetic market; all cells as a plain CSV has them."""
    known = sample_book(10)["securities"].select([*HEAD, "type"]).to_pylist()
    nominal = [row for row in known if row["type"] in ("note", "bond")]
    securities = [[f"{row[n]}" for n in HEAD] for row in nominal]
    held = [row["cusip"] for row in nominal if "2029" < f"{row['maturity_date']}" < "2034"][::7]
    texts = {"positions": POSITIONS.format(*held), "accounts": ACCOUNTS}
    return {
        **{name: list(csv.reader(text.splitlines())) for name, text in texts.items()},
        "securities": [HEAD, *securities],
    }


def hashes(given: Mapping[str, Any], market: xm.Market, **more: Any) -> dict[str, str]:
    run = xm.run(**given, market=market, **more)
    assert run.manifest["rows"]["rejected"] == 0, run.exceptions.to_arrow().to_pylist()
    return {name: run.manifest["results"][name]["hash"] for name in RESULTS}


@pytest.fixture(scope="module")
def expected(
    tables: Tables, market: xm.Market, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plain")
    return hashes({n: text_file()(rows, folder / n) for n, rows in tables.items()}, market)


def each(rows: Rows, names: tuple[str, ...], change: Callable[[str], str]) -> Rows:
    """Change the cells of some columns that are not blank."""
    at = {k for k, name in enumerate(rows[0]) if name in names}
    return [
        rows[0],
        *([change(c) if k in at and c else c for k, c in enumerate(row)] for row in rows[1:]),
    ]


def text_file(
    delimiter: str = ",",
    encoding: str = "utf-8",
    before: str = "",
    end: str = "\n",
    quoting: Any = csv.QUOTE_MINIMAL,
    packed: Callable[[bytes], bytes] = bytes,
) -> Write:
    def write(rows: Rows, path: Path) -> Path:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
        path.write_bytes(packed((before + text.getvalue()).encode(encoding)))
        return path

    return write


def changed(*changes: Callable[[Rows], Rows], write: Write | None = None) -> Write:
    def changed_first(rows: Rows, path: Path) -> Any:
        for change in changes:
            rows = change(rows)
        return (write or text_file())(rows, path)

    return changed_first


def zipped(data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("table.csv", data)
    return archive.getvalue()


def typed(name: str, cell: str) -> Any:
    """Return a cell in the type that a spreadsheet or a database has it in."""
    if not cell:
        return None
    if name in NUMBERS:
        return float(cell)
    if name in DATES:
        return datetime.date.fromisoformat(cell)
    return cell == "true" if name in FLAGS else cell


def arrow(rows: Rows) -> pa.Table:
    cells = zip(*rows[1:], strict=True)
    return pa.table(
        {
            name: [typed(name, c) for c in column]
            for name, column in zip(rows[0], cells, strict=True)
        }
    )


def parquet(rows: Rows, path: Path) -> Path:
    pq.write_table(arrow(rows), path)
    return path


def parquet_of_text(rows: Rows, path: Path) -> Path:
    cells = zip(*rows[1:], strict=True)
    pq.write_table(pa.table(dict(zip(rows[0], cells, strict=True))), path)
    return path


def workbook(
    *, as_text: bool = False, title: bool = False, epoch_1904: bool = False, percent: bool = False
) -> Write:
    def write(rows: Rows, path: Path) -> Path:
        book = openpyxl.Workbook()
        if epoch_1904:
            book.epoch = openpyxl.utils.datetime.MAC_EPOCH
        sheet = book.active
        if title:
            sheet.append(["Extract of the day"])
            sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=4)
            sheet.append([])
        sheet.append(rows[0])
        for row in rows[1:]:
            sheet.append(
                row if as_text else [typed(n, c) for n, c in zip(rows[0], row, strict=True)]
            )
            for name, cell in zip(rows[0], sheet[sheet.max_row], strict=True):
                if percent and name in RATES and cell.value is not None:
                    cell.value, cell.number_format = cell.value / 100.0, "0.00%"
        book.create_sheet("Empty")
        book.save(path)
        return path

    return write


def us_date(cell: str) -> str:
    year, month, day = cell.split("-")
    return f"{int(month)}/{int(day)}/{year}"


def comma(cell: str) -> str:
    """Return a number with the comma for its decimal mark and points for thousands."""
    return f"{float(cell):,.4f}".translate(str.maketrans(",.", ".,"))


def accountants(cell: str) -> str:
    value = float(cell)
    return f"({-value:,.2f})" if value < 0 else f"{value:,.2f}"


FORMS: dict[str, Write] = {
    "semicolons": text_file(";"),
    "tabs": text_file("\t"),
    "bars": text_file("|"),
    "UTF-8 with a mark": text_file(encoding="utf-8-sig"),
    "UTF-16": text_file("\t", "utf-16"),
    "Latin-1": text_file(encoding="latin-1"),
    "carriage returns": text_file(end="\r\n"),
    "all quoted": text_file(quoting=csv.QUOTE_ALL),
    "sep line": text_file(";", before="sep=;\n"),
    "title rows": text_file(before="Extract of the day\n\n"),
    "gzip": text_file(packed=gzip.compress),
    "zip": text_file(packed=zipped),
    "trailing columns": changed(
        lambda rows: [[*row, "", ""] for row in rows] + [[""] * (len(rows[0]) + 2)] * 3
    ),
    "columns reversed": changed(lambda rows: [row[::-1] for row in rows]),
    "rows reversed": changed(
        lambda rows: [rows[0], *(rows[:0:-1] if "quantity" in rows[0] else rows[1:])]
    ),
    "names in capitals": changed(
        lambda rows: [[name.upper().replace("_", " ") for name in rows[0]], *rows[1:]]
    ),
    "blanks around": changed(lambda rows: [[f" {cell}  " for cell in row] for row in rows]),
    "words for missing": changed(
        lambda rows: [rows[0], *([cell or "N/A" for cell in row] for row in rows[1:])]
    ),
    "American dates": changed(lambda rows: each(rows, DATES, us_date)),
    "dates in eight digits": changed(lambda rows: each(rows, DATES, lambda c: c.replace("-", ""))),
    "accountants' numbers": changed(lambda rows: each(rows, COUNTS, accountants)),
    "exponents": changed(lambda rows: each(rows, NUMBERS, lambda c: f"{float(c):.8e}")),
    "percent signs": changed(lambda rows: each(rows, RATES, lambda c: f"{c}%")),
    "decimal commas": changed(
        lambda rows: each(rows, NUMBERS, comma), write=text_file(";", "cp1252")
    ),
    "yes and no": changed(lambda rows: each(rows, FLAGS, lambda c: "yes" if c == "true" else "no")),
    "CUSIPs in lower case": changed(lambda rows: each(rows, ("instrument", "cusip"), str.lower)),
    "workbook": workbook(),
    "workbook of texts": workbook(as_text=True),
    "workbook with a title": workbook(title=True),
    "workbook from 1904": workbook(epoch_1904=True),
    "workbook of percent": workbook(percent=True),
    "Parquet": parquet,
    "Parquet of texts": parquet_of_text,
    "Arrow": lambda rows, _: arrow(rows),
    "pandas": lambda rows, _: arrow(rows).to_pandas(),
    "pandas of a CSV": lambda rows, path: pd.read_csv(
        text_file()(rows, path), dtype={"account": "string"}
    ),
    "polars": lambda rows, _: pl.from_arrow(arrow(rows)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_book_has_one_result(
    tables: Tables, market: xm.Market, expected: dict[str, str], tmp_path: Path, form: str
) -> None:
    given = {name: FORMS[form](rows, tmp_path / name) for name, rows in tables.items()}
    assert hashes(given, market) == expected


THEIRS = {
    "positions": {
        "account": "Acct",
        "kind": {
            "column": "Type",
            "values": {"B": "cash", "F": "future", "RP": "repo", "RV": "reverse"},
        },
        "quantity": {
            "column": "Qty M",
            "unit": "million",
            "sign": "L/S",
            "positive": "L",
            "negative": ["S"],
        },
        "xm": {"column": "XM", "values": {"X": "yes", "": "no"}},
        "repo_rate": {"column": "Rate", "unit": "basis point"},
    },
    "accounts": {
        "origin": {"column": "House", "values": {"": "customer", "H": "house"}},
        "minimum": {"column": "Min", "unit": "thousand"},
    },
    "securities": {"coupon_pct": {"column": "Cpn", "unit": "decimal"}},
}


def theirs(rows: Rows) -> Rows:
    """Return a table in a firm's own columns, units, signs and codes."""
    table = next(name for name, key in KEYS.items() if key in rows[0])
    rows = each(rows, ("quantity",), lambda c: f"{Decimal(c).scaleb(-6):f}")
    rows = each(rows, ("repo_rate",), lambda c: f"{Decimal(c).scaleb(2):f}")
    rows = each(rows, ("minimum",), lambda c: f"{Decimal(c).scaleb(-3):f}")
    rows = each(rows, ("coupon_pct",), lambda c: f"{Decimal(c).scaleb(-2):f}")
    codes = {"cash": "B", "future": "F", "repo": "RP", "reverse": "RV"}
    rows = each(rows, ("kind",), lambda c: codes[c])
    rows = each(rows, ("xm",), lambda c: "X" if c == "true" else "")
    rows = each(rows, ("origin",), lambda c: "H" if c == "house" else "")
    if "quantity" in rows[0]:
        at = rows[0].index("quantity")
        side = ["L/S", *("S" if row[at].startswith("-") else "L" for row in rows[1:])]
        rows = [
            [*row, its] for row, its in zip(each(rows, ("quantity",), unsigned), side, strict=True)
        ]
    named = {
        ours: origin["column"] if isinstance(origin, dict) else origin
        for ours, origin in THEIRS[table].items()
    }
    return [[named.get(name, name) for name in rows[0]], *rows[1:]]


def unsigned(cell: str) -> str:
    return cell.removeprefix("-")


def nulls(rows: Rows, _: Path) -> pa.Table:
    """Return a table of texts whose blank cells are null, as databases and pandas have them."""
    cells = ([c or None for c in column] for column in zip(*rows[1:], strict=True))
    return pa.table({n: pa.array(c, pa.string()) for n, c in zip(rows[0], cells, strict=True)})


def numbers(rows: Rows, _: Path) -> pa.Table:
    """Return a table whose numbers are floats and whose blank cells are null."""
    own = {"Qty M", "Rate", "Min", "Cpn", "multiplier"}
    table = nulls(rows, _)
    return table.cast(
        pa.schema([f.with_type(pa.float64()) if f.name in own else f for f in table.schema])
    )


@pytest.mark.parametrize(
    "write", [text_file(), text_file("\t"), workbook(as_text=True), nulls, numbers]
)
def test_every_form_of_an_extract_in_columns_of_its_own_has_one_result(
    tables: Tables, market: xm.Market, expected: dict[str, str], tmp_path: Path, write: Write
) -> None:
    given = {name: write(theirs(rows), tmp_path / name) for name, rows in tables.items()}
    assert hashes(given, market, columns=THEIRS) == expected
