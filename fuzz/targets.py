"""The fuzz targets: a function for each reader, which takes any bytes and raises only InputError.

Each function reads the bytes as a user's file, goes on as far as a run would, and checks what must
hold for the result. To add a reader, write such a function and name it in `TARGETS`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import crossmargin
from crossmargin import columns
from crossmargin.book.accounts import read_accounts
from crossmargin.book.deposits import sum_deposits
from crossmargin.book.positions import read_trades
from crossmargin.book.schemas import (
    ACCOUNTS,
    BASIS,
    DEPOSITS,
    FIRMS,
    FIXINGS,
    POSITIONS,
    SECURITIES,
    SETTLEMENTS,
    SOFR,
    SPREADS,
    VOLUMES,
    Schema,
)
from crossmargin.book.securities import read_securities
from crossmargin.book.volumes import read_volumes
from crossmargin.calculation.store import stage_bytes, stage_from_bytes
from crossmargin.engine import Book, Cube, Measure, segment_tails
from crossmargin.exceptions import CODES, SCHEMA, SEVERITIES, ExceptionLog, InputError
from crossmargin.instruments.contracts import last_day
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.securities import Securities, cash_flows
from crossmargin.io.cells import FIRST_YEAR, LAST_YEAR, LONGEST_TEXT
from crossmargin.io.column_map import read_column_map
from crossmargin.io.cubes import LARGEST_PNL, read_cube
from crossmargin.io.layouts.reports import blank_rows
from crossmargin.io.mapping import in_our_columns
from crossmargin.io.market import read_market
from crossmargin.io.par_yields import HIGHEST, LOWEST, read_par_yields
from crossmargin.io.parse import Parsed, parse
from crossmargin.io.results import MANIFEST, read_results
from crossmargin.io.sources import read_source
from crossmargin.io.span_pa2 import parse_span_pa2
from crossmargin.io.tables import Given, Source, read_table
from crossmargin.io.values import MAGIC, SIZE, packed, unpacked
from crossmargin.market.curve import TENORS
from crossmargin.market.market import Market
from crossmargin.policies.explain import explain, unconfirmed
from crossmargin.policies.policy import parse_policy
from crossmargin.sample import sample_market, sample_tables

AS_OF = np.datetime64("2025-03-13", "D")
CORPUS = Path(__file__).parent / "corpus"

Target = Callable[[bytes], object]


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[Path]:
    """Yield the path of a file in memory with these bytes."""
    handle = os.memfd_create("fuzz")
    try:
        os.write(handle, data)
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def parsed(source: Source, schema: Schema) -> tuple[pa.Table, ExceptionLog]:
    """Return a table read by a schema and checked, with its exceptions."""
    given = read_source(source, name=schema.name)
    log = ExceptionLog()
    read = parse(given.table, schema, file=schema.name, log=log, point=given.point)
    check_parsed(given.table, schema, read, log.table())
    return read.table, log


def check_parsed(given: pa.Table, schema: Schema, read: Parsed, log: pa.Table) -> None:
    """Check that rows are read, rejected or blank, and that cells are as their column says."""
    table = read.table
    table.validate(full=True)
    check_log(log, len(given))
    rejected = pc.count_distinct(log.filter(pc.equal(log["severity"], "rejected"))["row"]).as_py()
    assert read.rows_read == len(table) + rejected, "a row is neither read nor rejected"
    assert read.rows_read <= len(given)
    row = columns.integers(table["row"])
    assert np.all(np.diff(row, prepend=0) > 0)
    assert not len(row) or row[-1] <= len(given)
    for column in schema.columns:
        cells = table[column.name]
        known = columns.is_known(cells)
        assert column.may_be_blank or known.all(), column.name
        assert column.default is None or known.all(), column.name
        if column.kind == "number":
            value = columns.numbers(cells)[known]
            assert np.all((value >= column.low) & (value <= column.high)), column.name
        elif column.kind == "date":
            year = columns.dates(cells)[known].astype("datetime64[Y]").astype(int) + 1970
            assert np.all((year >= FIRST_YEAR) & (year <= LAST_YEAR)), column.name
        elif column.kind == "choice":
            assert set(cells.unique().to_pylist()) <= {None, *column.choices}, column.name
        elif column.kind == "text":
            texts = [text for text in cells.unique().to_pylist() if text is not None]
            assert all(1 <= len(text) <= LONGEST_TEXT for text in texts), column.name
            assert not any(re.search(r"[\x00-\x1f\x7f]", text) for text in texts), column.name


def check_log(log: pa.Table, rows: int) -> None:
    """Check that exceptions have a known code, an existing row and a message."""
    assert log.schema == SCHEMA
    log.validate(full=True)
    assert set(log["severity"].to_pylist()) <= set(SEVERITIES)
    assert set(log["code"].to_pylist()) <= set(CODES)
    assert all(0 < n <= rows for n in log["row"].to_pylist() if n is not None)
    assert all(log["message"].to_pylist())


def table(
    schema: Schema, then: Callable[[pa.Table, ExceptionLog], object] = lambda *_: None
) -> Target:
    """Return the target of a schema, with what a run makes of its rows next."""

    def read(data: bytes) -> None:
        with as_file(data) as path:
            rows, log = parsed(path, schema)
        count = int(columns.integers(rows["row"]).max(initial=0))
        then(rows, log)
        check_log(log.table(), max([count, *(n or 0 for n in log.table()["row"].to_pylist())]))

    return read


@cache
def yields() -> pa.Table:
    """Return par yields of some weeks, so few that a curve takes no time."""
    days = np.arange(AS_OF - np.timedelta64(40, "D"), AS_OF + np.timedelta64(1, "D"))
    return pa.table({"date": days, **dict.fromkeys(TENORS, np.full(days.size, 4.25))})


@cache
def market() -> Market:
    """Return a market of those yields."""
    return read_market(yields(), as_of=AS_OF)


@cache
def known_accounts() -> pa.Table:
    """Return the accounts that fuzzed positions may name."""
    given = pa.table(
        {
            "account": ["A1", "A2", "H1"],
            "origin": ["customer", "customer", "house"],
            "ficc_role": ["sponsored_member", "none", "netting_member"],
            "opted_in": [True, False, True],
            "clearing_firm": ["F1", "F1", "F2"],
        }
    )
    return parsed(given, ACCOUNTS)[0]


@cache
def known_securities() -> Securities:
    """Return the securities that fuzzed positions may name."""
    given = pa.table(
        {
            "cusip": ["91282CMM0", "912810UJ5", "912828Z78"],
            "coupon_pct": [4.625, 4.75, 1.5],
            "issue_date": ["2025-02-18", "2025-02-18", "2020-01-31"],
            "maturity_date": ["2035-02-15", "2055-02-15", "2027-01-31"],
        }
    )
    return securities(*parsed(given, SECURITIES))


def securities(rows: pa.Table, log: ExceptionLog) -> Securities:
    """Go on with rows of securities to their cash flows."""
    curve = market().curve
    read = read_securities(rows, curve=curve, file=SECURITIES.name, log=log)
    flows = cash_flows(read, curve)
    assert np.all(np.isfinite(flows.amount))
    assert np.all(read.maturity_date > read.issue_date)
    return read


def trades(rows: pa.Table, log: ExceptionLog) -> None:
    """Go on with rows of positions to trades."""
    read = read_trades(
        rows,
        accounts=known_accounts(),
        securities=known_securities(),
        as_of=AS_OF,
        short_rate_pct=4.0,
        cycle="EOD",
        file=POSITIONS.name,
        log=log,
    )
    assert np.all(read.account < len(known_accounts()))
    assert np.all((read.security >= 0) ^ (read.contract >= 0))


LEFT_OUT = re.compile(r"([0-9,]+) rows? (?:of products|without open contracts)")


def reports(data: bytes) -> None:
    """Read a report of positions; each of its rows is read, rejected, blank or counted."""
    with as_file(data) as path:
        before = read_table(path, name=POSITIONS.name)
        given = read_source(path, name=POSITIONS.name)
        assert len(given.table) == len(before.table)
        if given.table.column_names != before.table.column_names:
            blank = int(columns.flags(blank_rows(before.table)).sum())
            counted = LEFT_OUT.findall(given.notes[-1])
            left_out = sum(int(number.replace(",", "")) for number in counted)
            assert given.table["kind"].null_count == blank + left_out
            assert int(columns.flags(blank_rows(given.table)).sum()) == blank + left_out
    table(POSITIONS, trades)(data)


def history(name: str) -> Target:
    """Return the target of an optional history of the market."""

    def read(data: bytes) -> None:
        with as_file(data) as path:
            read_market(yields(), as_of=AS_OF, **{name: path})

    return read


def par_yields(data: bytes) -> None:
    """Read par yields and the market of their last day."""
    with as_file(data) as path:
        read = read_par_yields(read_source(path, name="par yields")).table
        day = columns.dates(read["date"])
        assert np.all(np.diff(day).astype(int) > 0)
        for tenor in TENORS:
            percent = columns.numbers(read[tenor])[columns.is_known(read[tenor])]
            assert np.all((percent >= LOWEST) & (percent <= HIGHEST))
        if len(day):
            made = read_market(path, as_of=day[-1])
            assert np.all(np.isfinite(made.curve.discount_factor(np.linspace(0.0, 40.0, 50))))


def cube(data: bytes) -> None:
    """Read a cube."""
    with as_file(data) as path:
        read = read_table(path, name="cube")
    given = read.table
    instrument, pnl, scenario = read_cube(given, name="cube", point=read.point)
    assert pnl.shape == (len(instrument), len(scenario)) == (len(given), given.num_columns - 1)
    assert np.all(np.abs(pnl) <= LARGEST_PNL)


def span(data: bytes) -> None:
    """Read SPAN parameters."""
    read = parse_span_pa2(data)
    amounts = [*read.scan_range.values(), *read.settlement.values(), *read.delivery.values()]
    assert np.all(np.isfinite([value for months in amounts for value in months.values()]))
    for spread in read.spreads:
        assert 0.0 <= spread.rate <= 1.0
        assert all(ratio > 0.0 and side in "AB" for _, ratio, side in spread.legs)
    for cusip, futures in read.securities.items():
        assert len(cusip) == 9
        assert all(0.0 < one.factor <= 1.0 for one in futures)


def policy(data: bytes) -> None:
    """Read a policy and say what it is."""
    read = parse_policy(data, name="fuzzed")
    assert explain(read)
    assert set(unconfirmed(read)) <= {parameter.name for parameter in read.parameters}


def contract(data: bytes) -> None:
    """Read the name of a contract."""
    try:
        read = parse_contract(data.decode("utf-8", errors="replace"), AS_OF)
    except ValueError as error:
        raise InputError(str(error)) from error
    assert parse_contract(read.symbol, AS_OF) == read
    assert last_day(read) > read.month - np.timedelta64(1, "M")


def column_map(data: bytes) -> None:
    """Read what columns are called in a user's files, and a book by it."""
    rows = pa.table({"Acct": ["A1"], "B/S": ["S"], "Lots": ["1,000.5"], "Rate": ["4.25%"]})
    with as_file(data) as path:
        names = read_column_map(path)
    for name in ("positions", "securities", "fixings"):
        made = in_our_columns(Given(rows, ""), name, names)
        assert len(made.table) == len(rows)


@cache
def finished() -> Path:
    """Return a directory with the results of a run."""
    tables = sample_tables(accounts=10)
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    run = crossmargin.run(**book, market=sample_market())
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return run.write(folder / "run")


def compared(data: bytes) -> None:
    """Compare a run with itself under another manifest."""
    folder = finished()
    other = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        shutil.copytree(folder, other, dirs_exist_ok=True)
        (other / MANIFEST).write_bytes(data)
        assert len(crossmargin.compare(folder, other))
    finally:
        shutil.rmtree(other)


def results(data: bytes) -> None:
    """Read a manifest from a directory without tables."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        (folder / MANIFEST).write_bytes(data)
        read_results(folder)
    finally:
        shutil.rmtree(folder)


@cache
def kept_blobs() -> tuple[list[Any], bytes]:
    """Return what a file of a small stage holds beside its tree: the arrays described, and them."""
    book = Book.from_arrays([0, 2, 3], [0, 1, 1], [1.0, -2.0, 3.0], columns=2)
    values = (book, AS_OF, np.array(["a", None], object), known_accounts(), np.array([AS_OF]))
    content = bytes(unpacked(stage_bytes(values), label="stage"))
    end = SIZE + int.from_bytes(content[:SIZE], "little")
    return json.loads(content[SIZE:end])["blobs"], content[end:]


def stages(data: bytes) -> None:
    """Read a stage of a run: the bytes of its file, a tree in JSON over arrays, or any content."""
    if data[:1] in (b"{", b"["):
        blobs, arrays = kept_blobs()
        header = b'{"tree": ' + data + b', "blobs": ' + json.dumps(blobs).encode() + b"}"
        data = b"".join((len(header).to_bytes(SIZE, "little"), header, arrays))
    if not data.startswith(MAGIC):
        data = packed(data)
    read = stage_from_bytes(data)
    assert type(stage_from_bytes(stage_bytes(read))) is type(read)


NUMBERS: tuple[pa.DataType, ...] = (
    *(pa.float64(), pa.float32(), pa.float16(), pa.int64(), pa.int32(), pa.uint64(), pa.int8()),
    *(pa.decimal128(20, 2), pa.decimal128(38, 0), pa.decimal256(76, 10), pa.decimal128(5, -2)),
)
DATES: tuple[pa.DataType, ...] = (
    *(pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC")),
    *(pa.timestamp("ms", "America/New_York"), pa.timestamp("s", "?")),
)
TEXTS: tuple[pa.DataType, ...] = (
    *(pa.string(), pa.large_string(), pa.string_view(), pa.null(), pa.int64(), pa.uint8()),
    pa.dictionary(pa.int8(), pa.string()),
)
ANY = (*NUMBERS, *DATES, *TEXTS, pa.bool_(), pa.time64("us"), pa.duration("s"), pa.binary(4))
FITTING = {"number": NUMBERS, "date": DATES, "flag": (pa.bool_(), *NUMBERS)}
MOST_ROWS = 8


class Drawn:
    """Takes bytes from the front; zeros when there are no more."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken.ljust(count, b"\0")

    def below(self, limit: int) -> int:
        """Return a number that the next byte chooses."""
        return self.take(1)[0] % limit


def typed(data: bytes) -> None:
    """Read a table that comes as one, of any types.

    One byte chooses the schema and one the number of rows. For each column, one byte chooses its
    type, one which rows are null, and 16 bytes a row its values.
    """
    drawn = Drawn(data)
    schema, rows = TABLES[drawn.below(len(TABLES))], drawn.below(MOST_ROWS + 1)
    given = {
        column.name: typed_column(column.kind, drawn.take(2 + 16 * rows), rows)
        for column in schema.columns
    }
    parsed(pa.table(given), schema)


def typed_column(kind: str, data: bytes, rows: int) -> pa.Array:
    """Return a column of a type that usually fits, with any bits as values."""
    fitting = FITTING.get(kind, TEXTS)
    choice, nulls, bits = data[0], data[1:2], data[2:]
    type_ = fitting[choice % len(fitting)] if choice < 192 else ANY[choice % len(ANY)]
    if type_ in TEXTS and not pa.types.is_integer(type_):
        words = [bits[16 * r : 16 * r + 16].rstrip(b"\0").decode("latin-1") for r in range(rows)]
        missing = [bool(nulls[0] >> r & 1) or type_ == pa.null() for r in range(rows)]
        return pa.array(words, mask=np.array(missing, bool)).cast(type_)
    # A value of the widest types takes 32 bytes.
    return pa.Array.from_buffers(type_, rows, [pa.py_buffer(nulls), pa.py_buffer(bits * 2)])


DTYPES = ("i1", "i1", "i1", "u1", "i8", "u8", "f2", "f4", "f8", "?", "S1", "U1", "M8[D]", "c8", "O")


def arrays(data: bytes) -> None:
    """Make a book and a cube of any arrays; find tails natively and by the specification."""
    drawn = Drawn(data)
    scenarios, segments = 1 + drawn.below(4), 1 + drawn.below(2)
    row_ptr, column, quantity, pnl = (any_array(drawn) for _ in range(4))
    instruments = len(pnl) // scenarios
    try:
        book = Book.from_arrays(row_ptr, column, quantity, columns=instruments)
        cube = Cube(pnl[: instruments * scenarios].reshape(instruments, scenarios))
        native, plain = (
            segment_tails(
                book,
                [Measure(cube, 0.6)],
                segments=segments,
                unions=[range(segments), [segments - 1]],
                threads=1,
                backend=backend,
                scenarios=True,
            )
            for backend in ("native", "reference")
        )
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from error
    assert np.array_equal(native.var, plain.var)
    assert np.array_equal(native.es, plain.es)
    assert np.array_equal(native.scenario[0], plain.scenario[0])


def any_array(drawn: Drawn) -> npt.NDArray[Any]:
    """Return an array: a byte chooses its type, one its size, others are its elements."""
    name, size = DTYPES[drawn.below(len(DTYPES))], drawn.below(24)
    if name == "O":
        return np.array([*drawn.take(size)], object)
    dtype = np.dtype(name)
    return np.frombuffer(drawn.take(size * dtype.itemsize), dtype)


def deposits(rows: pa.Table, log: ExceptionLog) -> None:
    """Add deposits up; whatever the rows say, no account has less than nothing."""
    found = sum_deposits(rows, pa.chunked_array([["A1", "A2"]]), log)
    assert min(*found.ficc, *found.cme) >= 0


TABLES = (POSITIONS, ACCOUNTS, FIRMS, SECURITIES, VOLUMES, BASIS, FIXINGS, SOFR, SPREADS)

TARGETS: dict[str, Target] = {
    "positions": table(POSITIONS, trades),
    "reports": reports,
    # The same reader, with documents in XML.
    "fixml": reports,
    "accounts": table(ACCOUNTS, lambda rows, log: read_accounts(rows, file=ACCOUNTS.name, log=log)),
    "firms": table(FIRMS),
    "securities": table(SECURITIES, securities),
    "volumes": table(VOLUMES, lambda rows, _: read_volumes(rows, as_of=AS_OF)),
    "settlements": table(SETTLEMENTS),
    "deposits": table(DEPOSITS, deposits),
    "par_yields": par_yields,
    "basis": history("basis"),
    "fixings": history("fixings"),
    "sofr": history("sofr"),
    "spreads": history("spreads"),
    "cube": cube,
    "span": span,
    "policy": policy,
    "contract": contract,
    "column_map": column_map,
    "results": results,
    "compared": compared,
    "stages": stages,
    "typed": typed,
    "arrays": arrays,
    # The same reader as `positions`, with its own corpus, since Parquet is decoded elsewhere.
    "parquet": table(POSITIONS, trades),
}


def feed(name: str, data: bytes) -> str | None:
    """Return a target's InputError on bytes as text, or None; other errors are raised."""
    try:
        TARGETS[name](data)
        return None
    except InputError as error:
        complaint = str(error)
    assert complaint.strip()
    return complaint


if __name__ == "__main__":
    print(*TARGETS)
