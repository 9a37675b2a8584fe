"""Input that has been damaged in any way is refused by name, or read; nothing else."""

from __future__ import annotations

import functools
import gzip
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin import cli
from crossmargin.book.schemas import (
    ACCOUNTS,
    BASIS,
    FIXINGS,
    POSITIONS,
    SECURITIES,
    SETTLEMENTS,
)
from crossmargin.calculation.collected import read_deposits
from crossmargin.exceptions import ExceptionLog, InputError, InputWarning
from crossmargin.io.cubes import read_cube
from crossmargin.io.observed import read_observed
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.parse import parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import read_table
from crossmargin.sample import AS_OF, TABLES, sample_tables

SAMPLE = sample_tables(accounts=12)
CUBE = pa.table({"instrument": ["A", "B"], "s1": [1.5, -2.0], "s2": [0.25, 4.0]})
NEW_YORK_FED = pa.table(
    {
        "Effective Date": ["03/12/2025"] * 3,
        "Rate Type": ["SOFR", "TGCR", "EFFR"],
        "Rate (%)": ["4.31", "4.29", "4.33"],
    }
)
FRED = pa.table({"observation_date": ["2025-03-12"], "SOFR": ["4.31"], "DFF": ["."]})
SETTLED = pa.table({"date": ["2025-03-12"], "contract": ["ZNM5"], "price": ["110-165"]})
AUCTIONS = pa.table(
    {
        "CUSIP": ["912828Z78"] * 3,
        "Security Type": ["Note"] * 3,
        "Security Term": ["5-Year", "7-Year", "4-Year 11-Month"],
        "Issue Date": ["01/31/2022", "01/31/2020", "02/28/2022"],
        "Maturity Date": ["01/31/2027"] * 3,
        "Interest Rate": ["1.500%"] * 3,
        "Reopening": ["No", "No", "Yes"],
    }
)
DEBT = pa.table(
    {
        "record_date": ["2025-03-31", "2025-03-31", "2025-02-28"],
        "security_class1_desc": ["Notes"] * 3,
        "security_class2_desc": ["91282CMM0", "Total", "91282CMM0"],
        "interest_rate_pct": ["4.625", "null", "4.625"],
        "issue_date": ["2025-02-18", "null", "2025-02-18"],
        "maturity_date": ["2035-02-15", "null", "2035-02-15"],
        "outstanding_amt": ["91,000.1", "1439000", "48000"],
    }
)
REPORT = {"BusDate": ["06/10/2026"] * 2, "Cycle": ["EOD"] * 2, "Run": ["1"] * 2}
SAVINGS = pa.table(
    {
        **REPORT,
        "Account": ["A", "B"],
        "FICCCash": ["10000.00", "(1,000.25)"],
        "CMEFutures": ["3000.00", ""],
        "FICCSavingPct": ["66.67", "-3.5"],
        "CapPct": ["80", "80"],
        "AppliedPct": ["46.15", "0"],
        "Reason": ["", "NO_SAVING"],
    }
)
CUSIPS = pa.table(
    {**REPORT, "Account": ["A", "A"], "CUSIP": ["91282CMM0"] * 2, "Position": ["1,000", "-5"]}
)
STAND_INS = pa.table(
    {
        **REPORT,
        "Account": ["A", "B"],
        "Product": ["21", "ZN"],
        "ContractMonth": ["202609", "2026-12"],
        "Position": ["1.25", "-0.5"],
    }
)
OWN = pa.table({"account": ["A", "B"], "offset_rate": ["0.46", "0"], "v_ficc_cash": ["1", "2"]})
NASTY = (
    *("", " ", "nan", "inf", "-0", "1e999", "9" * 40, "1e-400", "null", '"', '""', ",", "\n", "\r"),
    *("\0", "\ufeff", "0x1", "true", "2025-02-30", "9999-12-31", "0001-01-01", "1/1/1", "-" * 9),
    *("ZNM25", "ZNM5", "ZN", "ZNZ99", "repo", "cash", "[red]", "\x1b[2J", "\u0663", "\U0001f4a5"),
    *("-100", "50", "100.5", "1e13", "9007199254740992", "2022-01-31:5-Year", ":;:", "2060-05-15"),
)


def read_with(schema: Any) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        table = read_source(path, name=schema.name).table
        log = ExceptionLog()
        parsed = parse(table, schema, file=schema.name, log=log)
        return parsed, log.table()

    return read


def read_report(path: Path) -> object:
    return read_observed(path, as_of=np.datetime64("2026-06-10"), cycle="EOD")


DEPOSITED = pa.table(
    {
        "account": [*SAMPLE["accounts"]["account"].to_pylist()[:4]] * 2,
        "ccp": ["FICC"] * 4 + ["CME"] * 4,
        "value": ["1000.50", "0", "1e6", "2.005"] * 2,
    }
)


def read_deposited(path: Path) -> object:
    """Read deposits; what is left of a file may well look as if it had been given twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return read_deposits(path, SAMPLE["accounts"])


READERS: dict[str, tuple[pa.Table, Callable[[Path], object]]] = {
    "positions": (SAMPLE["positions"], read_with(POSITIONS)),
    "accounts": (SAMPLE["accounts"], read_with(ACCOUNTS)),
    "securities": (SAMPLE["securities"], read_with(SECURITIES)),
    "basis": (SAMPLE["basis"].slice(0, 50), read_with(BASIS)),
    "par_yields": (
        SAMPLE["par_yields"].slice(0, 50),
        lambda path: read_par_yields(read_table(path, name="par yields")),
    ),
    "fixings (New York Fed)": (NEW_YORK_FED, read_with(FIXINGS)),
    "fixings (FRED)": (FRED, read_with(FIXINGS)),
    "settlements": (SETTLED, read_with(SETTLEMENTS)),
    "securities (auctions)": (AUCTIONS, read_with(SECURITIES)),
    "securities (public debt)": (DEBT, read_with(SECURITIES)),
    "observed (savings)": (SAVINGS, read_report),
    "observed (positions)": (CUSIPS, read_report),
    "observed (equivalents)": (STAND_INS, read_report),
    "observed (our columns)": (OWN, read_report),
    "deposits": (DEPOSITED, read_deposited),
    "cube": (CUBE, lambda path: read_cube(read_table(path, name="cube").table, name="cube")),
}


def as_csv(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


def as_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def as_zip(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("table.csv", as_csv(table))
    return sink.getvalue()


def as_xlsx(table: pa.Table) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.active.append(table.column_names)
    for row in table.slice(0, 20).to_pylist():
        workbook.active.append(list(row.values()))
    sink = io.BytesIO()
    workbook.save(sink)
    return sink.getvalue()


FORMATS: dict[str, Callable[[pa.Table], bytes]] = {
    "csv": as_csv,
    "csv.gz": lambda table: gzip.compress(as_csv(table), 1),
    "parquet": as_parquet,
    "zip": as_zip,
    "xlsx": as_xlsx,
}


@functools.cache
def original(name: str, written: str) -> bytes:
    """Return a whole file, always the same: a workbook has the time in it."""
    return FORMATS[written](READERS[name][0])


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Return the bytes with a few of them changed, cut out, put in, doubled or cut off."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(1, 40))
        kind = draw(st.sampled_from(["change", "cut", "insert", "double", "end"]))
        if kind == "change":
            put = draw(st.binary(min_size=1, max_size=4))
            data = data[:at] + put + data[at + len(put) :]
        elif kind == "cut":
            data = data[:at] + data[at + size :]
        elif kind == "insert":
            word = st.sampled_from(NASTY).map(str.encode)
            put = draw(st.one_of(word, st.binary(max_size=8)))
            data = data[:at] + put + data[at:]
        elif kind == "double":
            data = data[: at + size] + data[at:]
        else:
            data = data[:at]
    return data


@st.composite
def spoiled(draw: st.DrawFn, table: pa.Table) -> pa.Table:
    """Return the table as text with a few cells, or a header, replaced by nasty ones."""
    columns = {name: table[name].cast(pa.string()).to_pylist() for name in table.column_names}
    names = list(columns)
    for _ in range(draw(st.integers(1, 6))):
        cell = draw(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)))
        column = columns[draw(st.sampled_from(names))]
        column[draw(st.integers(0, len(column) - 1))] = cell
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(names) - 1))
        columns[names[at] + draw(st.sampled_from(NASTY))] = columns.pop(names[at])
    return pa.table(columns)


def complaint_of(read: Callable[[Path], object], path: Path) -> str | None:
    """Return what the reader says against a file, if anything; no other error may pass."""
    try:
        read(path)
    except InputError as error:
        return str(error)
    return None


QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@QUICK
def test_readers_refuse_damaged_files_by_name(
    tmp_path: Path, name: str, written: str, data: st.DataObject
) -> None:
    _, read = READERS[name]
    path = tmp_path / "damaged"
    path.write_bytes(data.draw(damage(original(name, written))))
    complaint = complaint_of(read, path)
    assert complaint is None or name.partition(" (")[0].replace("_", " ") in complaint


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@QUICK
def test_readers_refuse_nasty_cells_by_name(tmp_path: Path, name: str, data: st.DataObject) -> None:
    table, read = READERS[name]
    path = tmp_path / "nasty"
    path.write_bytes(FORMATS["parquet"](data.draw(spoiled(table))))
    complaint = complaint_of(read, path)
    assert complaint is None or name.partition(" (")[0].replace("_", " ") in complaint


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return {name: as_csv(SAMPLE[name]) for name in TABLES}


def exit_code(folder: Path, contents: dict[str, bytes]) -> int:
    arguments = ["--as-of", str(AS_OF), "--out", str(folder / "out"), "--threads", "1"]
    for name, content in contents.items():
        path = folder / f"{name}.dat"
        path.write_bytes(content)
        arguments += [f"--{name.replace('_', '-')}", str(path)]
    return cli.main(["run", *arguments])


@given(data=st.data())
@settings(QUICK, max_examples=25)
def test_the_command_ends_in_0_2_or_3(
    tmp_path: Path, files: dict[str, bytes], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(TABLES))
    if data.draw(st.booleans()):
        content = data.draw(damage(files[name]))
    else:
        content = as_parquet(data.draw(spoiled(SAMPLE[name])))
    assert exit_code(tmp_path, {**files, name: content}) in (0, 2, 3)
