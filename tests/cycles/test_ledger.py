from __future__ import annotations

import contextlib
import datetime
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.cycles import ledger_file
from crossmargin.cycles.ledger import Ledger, kept_table
from crossmargin.cycles.step import Step
from crossmargin.exceptions import InputError
from crossmargin.results.schema import NUMBER
from crossmargin.results.schemas.ledger import CHANGED, FIGURES, KEPT
from crossmargin.results.table import MONEY, Table, money

duckdb: Any = pytest.importorskip("duckdb", reason="the ledger needs duckdb")

LONG = os.environ.get("CROSSMARGIN_LONG_TESTS") == "1"
KILLS = 1_000 if LONG else 20
FIELDS: dict[str, Any] = {
    "day": "2026-11-30",
    "cycle": "EOD",
    "run": 1,
    "step": "calls",
    "run_id": "run",
    "policy": "policy",
    "policy_hash": "0123",
    "inputs": {"ficc-EOD-1.csv": "ab", "accounts.csv": "cd"},
}
PLAIN: dict[Any, Any] = {pa.string(): "text", pa.int64(): 1, pa.bool_(): True}


def step(**changed: Any) -> Step:
    """Return a step of calls of one day's EOD, with some fields changed."""
    return Step(**{**FIELDS, **changed})


def table(name: str, accounts: Sequence[str], **cells: Sequence[Any]) -> pa.Table:
    """Return a table as a step makes it, some columns as given; money in cents, None unknown."""
    size, found = len(accounts), {}
    for column in KEPT[name].columns:
        given = cells.get(column.name)
        if column.name == "account":
            found[column.name] = pa.array(accounts, pa.string())
        elif given is not None and column.type == MONEY:
            known = np.array([cents is not None for cents in given])
            found[column.name] = money(np.array([cents or 0 for cents in given], np.int64), known)
        elif given is not None:
            found[column.name] = pa.array(given, column.type)
        elif column.type == MONEY:
            found[column.name] = money(np.arange(size, dtype=np.int64) * 101)
        elif column.type == NUMBER:
            found[column.name] = pa.array(np.full(size, 0.25))
        elif column.null:
            found[column.name] = pa.nulls(size, column.type)
        else:
            found[column.name] = pa.array([PLAIN[column.type]] * size, column.type)
    return pa.table(found)


def calls(accounts: Sequence[str], **cells: Sequence[Any]) -> pa.Table:
    return table("calls", accounts, **cells)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.duckdb"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, write=True) as made:
        yield made


def column(found: Table, name: str) -> list[Any]:
    values: list[Any] = found[name].to_pylist()
    return values


def refused(path: Path, *, write: bool = False) -> str:
    """Return what is said of a file that is no use; it is one line."""
    with pytest.raises(InputError) as error:
        xm.Ledger(path, write=write).verify()
    said = str(error.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# What is kept


def test_a_table_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    for name in KEPT:
        given = table(name, ["a", "b"])
        assert ledger.record(step(step=name), {name: given})
        found = getattr(ledger, name)().to_arrow()
        assert found.select(given.column_names).equals(given)
        assert set(found["cycle"].to_pylist()) == {"EOD"}
        assert set(found["day"].to_pylist()) == {datetime.date(2026, 11, 30)}
    assert ledger.verify()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
CENTS = st.none() | st.integers(-(10**18) + 1, 10**18 - 1)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.dictionaries(TEXTS, st.tuples(CENTS, CENTS, st.none() | TEXTS), min_size=1, max_size=6)
)
def test_amounts_and_texts_are_exact_and_unknown_stays_unknown(
    rows: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ledgers") / "a ledger"
    required, deposits, customers = zip(*rows.values(), strict=True)
    given = calls([*rows], required_ficc=required, deposits=deposits, customer=customers)
    with Ledger(path, write=True) as made:
        made.record(step(), {"calls": given})
        assert made.verify()
    found = Ledger(path).calls().to_arrow()
    assert found.select(given.column_names).equals(given)
    account, customer = next(iter(rows)), next(filter(None, customers), "nobody")
    assert column(Ledger(path).calls(account=account), "account") == [account]
    mine = {name for name, row in rows.items() if row[2] == customer}
    assert {*column(Ledger(path).calls(customer=customer), "account")} == mine


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(rates=st.lists(st.floats(allow_nan=False), min_size=1, max_size=200))
def test_numbers_keep_every_bit(
    rates: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ledgers") / "ledger"
    names = [f"{at}" for at in range(len(rates))]
    given = table("savings", names, v_ficc_cash=rates)
    with Ledger(path, write=True) as made:
        made.record(step(step="savings"), {"savings": given})
        made.verify()
    found = Ledger(path).savings()["v_ficc_cash"].to_numpy()
    assert found.tobytes() == np.array(rates).tobytes()


def test_a_run_s_tables_are_recorded_as_they_are(sample_book: Any, ledger: Ledger) -> None:
    run = xm.run(**sample_book(20), market=xm.sample_market())
    called = xm.calls(run)
    ledger.record(step(step="savings", run_id=run.manifest["run_id"]), {"savings": run.accounts})
    ledger.record(step(), {"calls": called.accounts})
    saved, accounts = ledger.savings().to_arrow(), run.accounts.to_arrow()
    for name in ("account", "requirement", "saving", "offset_rate", "v_cme_combined", "reason"):
        assert saved[name].to_pylist() == accounts[name].to_pylist()
    found = ledger.calls().to_arrow()
    for name in KEPT["calls"].columns:
        assert found[name.name].to_pylist() == called.accounts[name.name].to_pylist()
    ledger.verify()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("collected", pa.array([1.5]), r"calls\.collected: decimal128\(20, 2\) expected, got dou"),
        ("collected", pa.array([1]), r"calls\.collected: decimal128\(20, 2\) expected, got int64"),
        ("collected", pa.array([Decimal("0.001")]), r"calls\.collected"),
        ("collected", pa.array([Decimal(10**16)]), r"calls\.collected"),
        ("account", pa.array([None], pa.string()), r"calls\.account: a value is missing"),
    ],
)
def test_what_is_not_exact_is_refused(name: str, values: pa.Array, message: str) -> None:
    given = calls(["a"])
    at = given.column_names.index(name)
    with pytest.raises(ValueError, match=message):
        kept_table("calls", given.set_column(at, name, values))


def test_a_table_that_is_not_as_it_should_be_is_refused(ledger: Ledger) -> None:
    for wrong, message in (
        ({"calls": calls(["a"]).drop_columns(["call", "excess"])}, "calls: lacks excess, call"),
        ({"calls": calls(["a", "a"])}, "calls: an account has more than one row"),
        ({"margins": calls(["a"])}, "tables: one of calls, savings, transfers, bookings"),
        ({"savings": table("savings", ["a"], v_ficc_cash=[float("nan")])}, "NaN; unknown is null"),
    ):
        with pytest.raises(ValueError, match=message):
            ledger.record(step(), wrong)
    with pytest.raises(TypeError, match="an Arrow table expected"):
        ledger.record(step(), {"calls": {"account": ["a"]}})
    assert len(ledger.steps()) == 0


def test_a_step_says_under_what_it_was_done(ledger: Ledger) -> None:
    ledger.record(step(late=["FICC"], fallback="zero_benefit", outputs={"calls.csv": "ff"}))
    (row,) = ledger.steps()
    assert row["inputs"] == '{"accounts.csv":"cd","ficc-EOD-1.csv":"ab"}'
    assert row["outputs"] == '{"calls.csv":"ff"}'
    assert (row["late"], row["fallback"], row["tables"]) == ("FICC", "zero_benefit", "{}")
    assert row["version"] == xm.__version__
    assert (row["hash_before"], row["hash"]) == ("", ledger.verify())
    now = datetime.datetime.now(datetime.UTC)
    assert now - datetime.datetime.fromisoformat(row["recorded_at"]) < datetime.timedelta(hours=1)


# Only ever added to


def test_a_step_recorded_again_is_no_record_of_its_own(ledger: Ledger, path: Path) -> None:
    assert ledger.record(step(), {"calls": calls(["a"])})
    before = ledger.steps().to_arrow(), ledger.calls().to_arrow()
    assert not ledger.record(step(), {"calls": calls(["a"])})
    for other, tables, what in (
        (step(), {"calls": calls(["a"], call=[1])}, "tables"),
        (step(), {}, "tables"),
        (step(policy="other", policy_hash="45"), {"calls": calls(["a"])}, "policy, policy hash"),
        (step(inputs={"ficc-EOD-1.csv": "xx"}), {"calls": calls(["a"])}, "inputs"),
        (step(late=["CME"]), {"calls": calls(["a"])}, "late"),
    ):
        with pytest.raises(InputError, match=f"EOD run 1, step calls, .*other {what}; record it"):
            ledger.record(other, tables)
    assert (ledger.steps().to_arrow(), ledger.calls().to_arrow()) == before


def test_a_later_record_changes_no_earlier_one(ledger: Ledger) -> None:
    seen: list[tuple[list[Any], list[Any]]] = []
    records = [("ITD", 1), ("EOD", 1), ("EOD", 2), ("EODXM", 1), ("EODXM", 2)]
    for number, (cycle, run) in enumerate(records):
        given = calls(["a", "b"], call=[number, None])
        ledger.record(step(cycle=cycle, run=run), {"calls": given})
        rows = [*ledger.steps()], [*ledger.calls()]
        for steps, called in seen:
            assert [row for row in rows[0] if row in steps] == steps
            assert [row for row in rows[1] if row in called] == called
        seen.append(rows)


def test_a_ledger_has_no_way_to_change_a_record(ledger: Ledger) -> None:
    assert {name for name in dir(Ledger) if not name.startswith("_")} == {
        *("path", "close", "record", "verify"),
        *("steps", "calls", "savings", "transfers", "bookings", "adjustments", "last_good"),
        "recorded",
    }
    reading = Ledger(ledger.path)
    with pytest.raises(ValueError, match="was opened to read; give write=True"):
        reading.record(step())
    with pytest.raises(InputError, match="read-only"), reading._file.reading() as connection:
        connection.execute("DELETE FROM steps")


def test_names_are_never_part_of_a_query(ledger: Ledger) -> None:
    name = "x' OR 1=1; DROP TABLE calls; --"
    ledger.record(step(), {"calls": calls([name, "b"], customer=["it's", '"b"'])})
    assert column(ledger.calls(account=name), "account") == [name]
    assert column(ledger.calls(customer="it's"), "account") == [name]
    assert column(ledger.calls(account=["b", name]), "account") == [name, "b"]
    assert len(ledger.calls(account="x' OR '1'='1")) == 0
    assert len(ledger.adjustments(customer=name)) == 0
    with pytest.raises(ValueError, match="cycle: one of"):
        ledger.calls(cycle="EOD'; DROP TABLE calls; --")
    assert len(ledger.calls()) == 2


# Questions


def test_rows_come_in_the_order_of_the_day_however_they_were_recorded(ledger: Ledger) -> None:
    for day, cycle, run in (
        ("2026-12-01", "ITD", 1),
        ("2026-11-30", "EODXM", 1),
        ("2026-11-30", "CUR", 2),
        ("2026-11-30", "ITD", 1),
        ("2026-11-30", "EOD", 1),
        ("2026-11-30", "CUR", 1),
    ):
        ledger.record(step(day=day, cycle=cycle, run=run), {"calls": calls(["b", "a"])})
    order = ["ITD", "CUR", "CUR", "EOD", "EODXM", "ITD"]
    assert column(ledger.steps(), "cycle") == order
    assert column(ledger.steps(), "run") == [1, 1, 2, 1, 1, 1]
    found = ledger.calls()
    assert column(found, "cycle") == [name for name in order for _ in "ba"]
    assert column(found, "account") == ["b", "a"] * len(order)
    assert column(ledger.calls(day=("2026-12-01", "2027-01-01")), "cycle") == ["ITD", "ITD"]
    assert column(ledger.steps(cycle=["EODXM", "ITD"]), "record") == [4, 2, 1]
    assert column(ledger.steps(day="2026-12-01"), "record") == [1]
    assert len(ledger.calls(day="2026-12-02")) == 0


def test_eodxm_says_what_it_adjusts_and_by_how_much(ledger: Ledger) -> None:
    names = [f"{name}_change" for name in CHANGED]
    ledger.record(step(), {"calls": calls(["a", "gone"], call=[5, 5])})
    ledger.record(step(run=2), {"calls": calls(["c", "a", "gone"], call=[None, 700, 1])})
    ledger.record(step(cycle="EODXM"), {"calls": calls(["a", "new", "c"], call=[900, 1, 2])})
    found = {row["account"]: row for row in ledger.calls(cycle="EODXM")}
    assert found["a"]["adjusts"] == 2
    assert found["a"]["call_change"] == Decimal("2.00")
    assert found["a"]["collected_change"] == Decimal("-1.01")
    assert [found["new"][name] for name in ("adjusts", *names)] == [None] * 5
    assert (found["c"]["adjusts"], found["c"]["call_change"]) == (2, None)
    assert found["c"]["collected_change"] == Decimal("2.02")
    assert column(ledger.calls(cycle="EOD"), "adjusts") == [None] * 5
    # A run of EOD recorded afterwards changes nothing.
    ledger.record(step(run=3), {"calls": calls(["a"], call=[0])})
    assert {row["account"]: row for row in ledger.calls(cycle="EODXM")} == found
    assert [row for row in ledger.calls(account="a") if row["adjusts"]] == [found["a"]]
    assert column(ledger.steps(cycle="EODXM"), "adjusts") == [2]


def test_adjustments_list_every_figure_that_differs(ledger: Ledger) -> None:
    zero = {name: [0, 0] for name in FIGURES}
    before = {**zero, "call": [100, None], "collected": [100, 7]}
    ledger.record(step(), {"calls": calls(["a", "b"], **before)})
    after = {**zero, "call": [250, None], "house_margin": [None, 0], "collected": [100, 7]}
    ledger.record(step(cycle="EODXM"), {"calls": calls(["a", "b"], **after)})
    found = [
        tuple(row[name] for name in ("account", "figure", "before", "after", "change", "adjusts"))
        for row in ledger.adjustments()
    ]
    assert found == [
        ("a", "house_margin", Decimal(0), None, None, 1),
        ("a", "call", Decimal("1.00"), Decimal("2.50"), Decimal("1.50"), 1),
    ]
    assert len(ledger.adjustments(account="b")) == 0
    assert len(ledger.adjustments(day="2026-12-01")) == 0


def test_adjustments_name_accounts_that_only_one_of_them_has(ledger: Ledger) -> None:
    ledger.record(step(), {"calls": calls(["gone"], call=[100])})
    ledger.record(step(cycle="EODXM"), {"calls": calls(["new"], call=[250])})
    found = {row["account"]: row for row in ledger.adjustments() if row["figure"] == "call"}
    assert (found["gone"]["before"], found["gone"]["after"]) == (Decimal(1), None)
    assert (found["new"]["before"], found["new"]["after"]) == (None, Decimal("2.5"))
    assert column(ledger.calls(cycle="EODXM"), "adjusts") == [None]


def savings(ledger: Ledger, rates: Sequence[Any], reason: Any = None, **changed: Any) -> None:
    names = [f"{at}" for at in range(len(rates))]
    known = [0.5 if rate is not None else None for rate in rates]
    given = table(
        "savings",
        names,
        offset_rate=[rate or 0.0 for rate in rates],
        offset_rate_cme=known,
        reason=[reason] * len(rates),
    )
    ledger.record(step(step="savings", **changed), {"savings": given})


def test_the_last_good_rate_is_the_last_that_both_gave(ledger: Ledger) -> None:
    savings(ledger, [0.1, 0.2, None, 0.4], cycle="EOD", day="2026-11-26")
    savings(ledger, [0.11, None, None, 0.41], cycle="EODXM", day="2026-11-26")
    savings(ledger, [0.5] * 4, cycle="ITD", day="2026-11-27", late=["FICC"])
    savings(ledger, [0.6] * 4, "INCOMPLETE", cycle="CUR", day="2026-11-27")
    savings(ledger, [0.0, 0.7, 0.7], cycle="EOD", day="2026-11-27")
    savings(ledger, [0.8], cycle="EOD", day="2026-11-27", run=2)

    def rates(*before: Any) -> dict[str, float]:
        found = ledger.last_good(before=before)
        return dict(zip(column(found, "account"), column(found, "offset_rate"), strict=True))

    assert rates("2026-11-26", "EOD") == {}
    assert rates("2026-11-26", "EODXM") == {"0": 0.1, "1": 0.2, "3": 0.4}
    assert rates("2026-11-27", "EOD") == {"0": 0.11, "1": 0.2, "3": 0.41}
    assert rates("2026-11-27", "EOD", 2) == {"0": 0.0, "1": 0.7, "2": 0.7, "3": 0.41}
    found = ledger.last_good(before=("2026-11-27", "EODXM"))
    assert column(found, "run") == [2, 1, 1, 1]
    assert column(found, "cycle") == ["EOD", "EOD", "EOD", "EODXM"]
    with pytest.raises(ValueError, match="cycle: one of"):
        rates("2026-11-27", "NOON")


# Tampering


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE calls SET call = 1 WHERE account = 'a' AND record = 1", "calls of record 1"),
        ("DELETE FROM calls WHERE record = 2 AND account = 'b'", "calls of record 2"),
        ("INSERT INTO calls SELECT * REPLACE (9 AS record) FROM calls", "no record knows"),
        ("UPDATE steps SET policy = 'other' WHERE record = 2", "record 2 is not as"),
        ("UPDATE steps SET recorded_at = '2020-01-01' WHERE record = 1", "record 1 is not as"),
        ("DELETE FROM steps WHERE record = 1", "record 1 is not as"),
        ("DELETE FROM steps WHERE record = 2", "record 2 is not as"),
        ("UPDATE steps SET hash = upper(hash) WHERE record = 3", "record 3 is not as"),
        ("INSERT INTO steps SELECT * FROM steps WHERE record = 3", "record 4 is not as"),
        ("UPDATE ledger SET columns = 'x'", "with other columns than"),
        ("UPDATE ledger SET format = 'x'", "is no ledger"),
        ("DELETE FROM ledger", "is no ledger"),
        ("DROP TABLE calls", "its table calls is not as it was made"),
        ("ALTER TABLE calls ALTER account TYPE BLOB", "its table calls is not as it was made"),
        ("ALTER TABLE savings DROP COLUMN reason", "its table savings is not as it was made"),
        ("UPDATE steps SET day = 'infinity' WHERE record = 1", "a record is not as"),
    ],
)
def test_a_changed_record_is_found(path: Path, change: str, message: str) -> None:
    with Ledger(path, write=True) as made:
        for run in (1, 2, 3):
            made.record(step(run=run), {"calls": calls(["a", "b"])})
        made.verify()
    with duckdb.connect(str(path)) as connection:
        connection.execute(change)
    said = refused(path)
    assert message in said


def test_the_last_hash_shows_records_that_were_cut_off(path: Path) -> None:
    with Ledger(path, write=True) as made:
        made.record(step(), {"calls": calls(["a"])})
        first = made.verify()
        made.record(step(run=2), {"calls": calls(["a"])})
        assert made.verify() != first
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM steps WHERE record = 2")
        connection.execute("DELETE FROM calls WHERE record = 2")
    assert Ledger(path).verify() == first


# Files


@pytest.mark.parametrize("content", [b"", b"x", b"SQLite format 3\0" * 500, bytes(20_000)])
def test_a_foreign_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for write in (False, True):
        assert "is no ledger of crossmargin" in refused(path, write=write)
    assert path.read_bytes() == content
    assert [*path.parent.iterdir()] == [path]


def test_a_place_without_a_ledger_is_refused(path: Path) -> None:
    assert "no such ledger" in refused(path)
    assert not path.exists()
    path.mkdir()
    assert "is no regular file" in refused(path)
    path.rmdir()
    os.mkfifo(path)
    assert "is no regular file" in refused(path, write=True)
    assert "cannot be followed" in refused(path.parent / "missing\0", write=True)
    path.unlink()
    path.touch()
    assert "cannot be written" in refused(path / "inside a file", write=True)
    path.unlink()
    os.mkfifo(path.with_name(f"{path.name}.lock"))
    assert "lock is no regular file" in refused(path, write=True)
    assert "is not UTF-8" in refused(path.parent / os.fsdecode(b"\xff"), write=True)


def test_a_database_of_another_is_refused(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE calls (account VARCHAR)")
    assert "is no ledger of crossmargin" in refused(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "ledger"
    with Ledger(path, write=True) as made:
        for run in (1, 2):
            made.record(step(run=run), {"calls": calls([f"{at}" for at in range(300)])})
    return path.read_bytes()


def test_a_cut_file_is_refused(sound: bytes, path: Path) -> None:
    for size in (12, 4096, 12_288, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:size])
        refused(path)


def test_flipped_bits_are_refused_or_of_no_matter(sound: bytes, path: Path) -> None:
    path.write_bytes(sound)
    head, draw = Ledger(path).verify(), random.Random(1)
    refusals = 0
    for _ in range(200 if LONG else 25):
        damaged = bytearray(sound)
        at = draw.choice([draw.randrange(12_288), draw.randrange(len(damaged))])
        damaged[at] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert Ledger(path).verify() == head
        except InputError:
            refusals += 1
    assert refusals > 5


def test_the_connection_reaches_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    account = pa.table({"a": [1]})
    assert len(account) == 1
    for query in (
        f"SELECT * FROM read_csv('{other}')",
        f"SELECT * FROM '{other}'",
        f"COPY steps TO '{tmp_path / 'out.csv'}'",
        f"ATTACH '{tmp_path / 'out.duckdb'}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '1TB'",
        "SELECT * FROM account",
    ):
        with pytest.raises(InputError), ledger._file.writing() as connection:
            connection.execute(query)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("ledger.duckdb", "ledger.duckdb.lock", "other.csv")
    ]


# Several processes

CHILD = """
import sys, time
from crossmargin.cycles.ledger import Ledger
from crossmargin.exceptions import InputError
try:
    with Ledger(sys.argv[1], write=True) as ledger:
        print("holds", flush=True)
        time.sleep(60)
except InputError as error:
    print(error)
"""


@contextlib.contextmanager
def child(script: str, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_by_the_name_of_the_first(path: Path) -> None:
    with child(CHILD, path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "holds\n"
        said = refused(path, write=True)
        assert f"is in use by process {first.pid} on " in said
        assert " since 20" in said
        # Readers are not kept out between records.
        assert len(Ledger(path).steps()) == 0
        first.kill()
        first.wait()
        with Ledger(path, write=True) as second:
            assert second.record(step())
            with child(CHILD, path) as third:
                assert third.stdout is not None
                assert f"process {os.getpid()} " in third.stdout.readline()


def test_a_second_writer_in_the_same_process_is_refused(ledger: Ledger, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(InputError, match=f"is in use by process {os.getpid()} "):
        Ledger(link, write=True)
    ledger.close()
    with Ledger(link, write=True) as second:
        assert second.record(step())
    with pytest.raises(ValueError, match="was opened to read"):
        ledger.record(step())


OPEN = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_who_finds_the_file_in_use_waits_and_then_says_so(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with child(OPEN, path, 60) as other:
        assert other.stdout is not None
        other.stdout.readline()
        monkeypatch.setattr(ledger_file, "PATIENCE", 0.1)
        assert f"is in use by process {other.pid}; try again" in refused(path)
        with pytest.raises(InputError, match="is in use by process"):
            ledger.record(step())
    monkeypatch.setattr(ledger_file, "PATIENCE", 30.0)
    with child(OPEN, path, 0.3) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert ledger.record(step())


# Imports once, then forks a child for each line: half a second less for each kill.
SERVER = """
import os, sys
import pyarrow as pa
from crossmargin.cycles.ledger import Ledger
from crossmargin.cycles.step import Step

def tell(word):
    os.write(1, f"{word}\\n".encode())

def record(first):
    calls = pa.ipc.open_stream(sys.argv[2]).read_all()
    with Ledger(sys.argv[1], write=True) as ledger:
        for run in range(first, first + 1000):
            step = Step(day="2026-11-30", cycle="ITD", run=run, step="calls", run_id="run",
                        policy="policy", policy_hash="hash")
            tell("begins")
            ledger.record(step, {"calls": calls})
            tell(run)

import duckdb
for line in sys.stdin:
    if not (child := os.fork()):
        tell(os.getpid())
        record(int(line))
        os._exit(0)
    os.waitpid(child, 0)
    tell("done")
"""


def test_a_kill_leaves_a_record_whole_or_absent(path: Path) -> None:
    given = calls([f"account {at}" for at in range(5_000)])
    with pa.ipc.new_stream(path.with_name("calls"), given.schema) as stream:
        stream.write_table(given)
    draw, told = random.Random(2), 0
    command = [sys.executable, "-c", SERVER, str(path), str(path.with_name("calls"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for _ in range(KILLS):
            print(told + 1, file=server.stdin, flush=True)
            pid = int(server.stdout.readline())
            for _ in range(1 + 2 * draw.randrange(2)):
                server.stdout.readline()
            time.sleep(draw.random() * 0.15)
            os.kill(pid, signal.SIGKILL)
            for line in iter(server.stdout.readline, "done\n"):
                told = told if line == "begins\n" else int(line)
            runs = column(Ledger(path).steps(), "run")
            assert runs == [*range(1, len(runs) + 1)]
            # What was told is there; the one that was going on may be.
            assert told <= len(runs) <= told + 2
            told = len(runs)
        server.stdin.close()
    book = Ledger(path)
    book.verify()
    assert len(book.calls(account="account 7")) == told > 0


def test_a_kill_while_a_ledger_is_made_leaves_none_or_an_empty_one(path: Path) -> None:
    script = "import sys; from crossmargin.cycles.ledger import Ledger; print(1, flush=True); "
    script += "Ledger(sys.argv[1], write=True); print(2)"
    draw = random.Random(3)
    for _ in range(KILLS // 4):
        path.unlink(missing_ok=True)
        with child(script, path) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.random() * 0.3)
            process.kill()
            process.wait()
        if path.exists():
            assert len(Ledger(path).steps()) == 0
    with Ledger(path, write=True) as made:
        assert made.record(step())


def test_a_full_disk_leaves_no_ledger_that_is_not_whole(path: Path) -> None:
    script = """
import resource, sys
from crossmargin.cycles.ledger import Ledger
from crossmargin.exceptions import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Ledger(sys.argv[1], write=True)
except InputError as error:
    print(error)
"""
    for size in (0, 4_000, 20_000, 400_000):  # at its head, in its journal, in its end
        with child(script, path, size) as process:
            assert process.stdout is not None
            assert "a ledger cannot be made there" in process.stdout.read()
        assert not path.exists()
    with Ledger(path, write=True) as made:
        assert made.record(step())


# Size and speed


def month(path: Path, accounts: int, days: int) -> float:
    """Record a month; return the longest time that a record took."""
    names = [f"ACCOUNT{at:06}" for at in range(accounts)]
    draw = np.random.default_rng(4)
    longest = 0.0
    plain = {name: table(name, names) for name in ("savings", "calls")}
    with Ledger(path, write=True) as made:
        for day in np.busday_offset("2026-11-02", np.arange(days)):
            for cycle in ("ITD", "EOD", "EODXM"):
                for name, given in plain.items():
                    for at, field in enumerate(given.schema):
                        if field.type == MONEY:
                            amounts = money(draw.integers(0, 10**10, accounts))
                            given = given.set_column(at, field.name, amounts)
                    start = time.perf_counter()
                    made.record(step(day=day, cycle=cycle, step=name), {name: given})
                    longest = max(longest, time.perf_counter() - start)
    return longest


def test_a_month_is_small_and_quick_to_ask(path: Path) -> None:
    if LONG:
        accounts, days, most = 20_000, 22, 1_000_000_000
    else:
        accounts, days, most = 500, 2, 40_000_000
    assert month(path, accounts, days) < 10.0
    assert path.stat().st_size < most
    book, name = Ledger(path), f"ACCOUNT{accounts // 2:06}"
    for ask, rows in (
        (lambda: book.calls(account=name), 3 * days),
        (lambda: book.savings(account=name), 3 * days),
        (lambda: book.calls(day="2026-11-03"), 3 * accounts),
        (lambda: book.calls(day="2026-11-03", cycle="EODXM"), accounts),
        (lambda: book.last_good(before=("2026-12-31", "EOD")), accounts),
        (lambda: book.adjustments(account=name), None),
    ):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found = ask()
            times.append(time.perf_counter() - start)
        assert rows is None or len(found) == rows
        assert min(times) < 1.0


def test_threads_may_ask_while_one_records(ledger: Ledger, path: Path) -> None:
    given = calls(["a", "b"])
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lambda: len(Ledger(path).calls())) for _ in range(12)]
        for run in range(1, 7):
            assert ledger.record(step(run=run), {"calls": given})
        counts = [one.result() for one in asked]
    assert {*counts} <= {*range(0, 13, 2)}
    assert len(ledger.calls()) == 12


def test_what_a_killed_maker_left_is_removed(path: Path) -> None:
    left = [path.with_name(f".{path.name}.0123abcd{end}") for end in (".partial.wal", ".lock")]
    other = path.with_name(f".{path.name}.notes.partial.wal")
    for _ in range(2):  # before the ledger is made, and once it is there
        for file in left:
            file.write_bytes(b"")
        other.write_bytes(b"")
        with Ledger(path, write=True):
            assert not any(file.exists() for file in left)
    assert other.exists()
