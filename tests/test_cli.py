from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import crossmargin
from crossmargin import cli
from crossmargin.policies.explain import unconfirmed
from crossmargin.policies.policy import DEFAULT
from crossmargin.sample import AS_OF, sample_tables

TABLES = sample_tables(accounts=12)
AS_TEXT = pacsv.ConvertOptions(
    column_types=dict.fromkeys(("account", "quantity"), pa.string()), strings_can_be_null=True
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[str]]:
    """Write a small clean book; return the options of a run on it."""

    def write(**changed: pa.Table | None) -> list[str]:
        securities = TABLES["securities"]
        plain = pc.and_(
            pc.is_in(securities["type"].cast(pa.string()), value_set=pa.array(["note", "bond"])),
            pc.greater(securities["maturity_date"].cast(pa.string()), "2030"),
        )
        securities = securities.filter(plain).slice(0, 40)
        tables: dict[str, pa.Table | None] = {
            "positions": pa.table(
                {
                    "account": ["001", "001", "002"],
                    "kind": ["reverse", "future", "future"],
                    "instrument": [securities["cusip"][0].as_py(), "ZNU26", "SR3U26"],
                    "quantity": ["50000000", "-400", "10"],
                    "xm": ["true", "true", "false"],
                    "start_date": [str(AS_OF - np.timedelta64(5, "D")), None, None],
                    "end_date": [str(AS_OF + np.timedelta64(30, "D")), None, None],
                    "repo_rate": ["4.25", None, None],
                }
            ),
            "accounts": pa.table(
                {
                    "account": ["001", "002"],
                    "origin": ["customer", "house"],
                    "ficc_role": ["sponsored_member", "netting_member"],
                    "opted_in": ["true", "true"],
                    "clearing_firm": ["F1", "F1"],
                    "desk": ["basis", "rates"],
                }
            ),
            "securities": securities,
            "par_yields": TABLES["par_yields"],
            "basis": None,
            **changed,
        }
        options = ["--as-of", str(AS_OF), "--out", str(tmp_path / "out"), "--threads", "1"]
        for name, table in tables.items():
            if table is not None:
                path = tmp_path / f"{name}.csv"
                pacsv.write_csv(table, path)
                options += [f"--{name.replace('_', '-')}", str(path)]
        return options

    return write


def with_quantity(options: list[str], text: str) -> None:
    """Change a quantity in the positions file."""
    path = Path(options[options.index("--positions") + 1])
    path.write_text(path.read_text().replace('"-400"', f'"{text}"'))


def without(options: list[str], name: str) -> list[str]:
    at = options.index(name)
    return options[:at] + options[at + 2 :]


def test_a_clean_book_ends_in_0(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["run", *write()])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "accounts.parquet",
        "baskets.parquet",
        "breakdown.parquet",
        "components.parquet",
        "exceptions.parquet",
        "manifest.json",
        "positions.parquet",
        "stages.bin",
    ]
    accounts = pq.read_table(tmp_path / "out" / "accounts.parquet")
    assert accounts["account"].to_pylist() == ["001", "002"]
    assert accounts["desk"].to_pylist() == ["basis", "rates"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["run_id"] == accounts["run_id"][0].as_py()
    assert "Largest requirements" in captured.out
    assert "\x1b" not in captured.out
    assert captured.err == ""


def test_a_rejected_row_ends_in_3_and_is_counted(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    with_quantity(options, "nan")
    assert cli.main(["run", *options]) == cli.REJECTED == 3
    assert re.search(r"rejected +QUANTITY_INVALID +1 ", capsys.readouterr().out)
    accounts = pq.read_table(tmp_path / "out" / "accounts.parquet")
    assert accounts["status"].to_pylist()[0] == "incomplete"


def test_an_empty_book_ends_in_2_unless_it_is_asked_for(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    path = Path(options[options.index("--positions") + 1])
    header, *rows = path.read_text().splitlines(keepends=True)
    for text, says in ((header, "has no row"), (header + rows[1].replace("400", "nan"), "none of")):
        path.write_text(text)
        assert cli.main(["run", *options]) == cli.UNUSABLE
        err = capsys.readouterr().err
        assert f"positions: {says}" in err
        assert "--allow-empty" in err
        assert not (tmp_path / "out").exists()
    assert cli.main(["run", *options, "--allow-empty"]) == cli.REJECTED
    captured = capsys.readouterr()
    assert "0 of 1 rows of positions used; 1 account without positions" in captured.out
    # What xm.run warns of stands in the summary.
    assert captured.err == ""


def test_a_file_given_twice_is_told_in_the_head(
    write: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    path = Path(options[options.index("--positions") + 1])
    header, rows = path.read_text().split("\n", 1)
    path.write_text(f"{header}\n{rows}{rows}")
    assert cli.main(["run", *options]) == 0
    captured = capsys.readouterr()
    assert "positions: every row appears more than once" in captured.out
    assert captured.err == ""


def test_too_many_rejected_rows_end_in_2(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    with_quantity(options, "nan")
    assert cli.main(["run", *options, "--max-rejected", "0"]) == 2
    assert not (tmp_path / "out").exists()
    assert "rejected" in capsys.readouterr().err
    assert cli.main(["run", *options, "--max-rejected", "1"]) == 3


@pytest.mark.parametrize(
    "option", ["--positions", "--accounts", "--securities", "--par-yields", "--as-of"]
)
def test_a_missing_option_ends_in_2(
    write: Callable[..., list[str]], tmp_path: Path, option: str, capsys: Any
) -> None:
    assert cli.main(["run", *without(write(), option)]) == cli.UNUSABLE == 2
    assert f"{option} must be given" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--as-of", "2025-02-30"], "YYYY-MM-DD"),
        (["--as-of", "2060-01-04"], "business days earlier"),
        (["--as-of", "2016-02-01"], "par yields"),
        (["--positions", "/nowhere.csv"], "positions file /nowhere.csv: no such file"),
        (["--policy", "/nowhere.toml"], "/nowhere.toml"),
        (["--policy", "cme-ficc-2026-04-31"], "give a file or one of cme-ficc-2026-04-30, cme-"),
        (["--basis", os.devnull], "basis file"),
        (["--volumes", os.devnull], "volumes file"),
        (["--sofr", os.devnull], "sofr file"),
        (["--threads", "0"], "threads"),
        (["--threads", "x"], "threads"),
        (["--cycle", "NOON"], "NOON"),
        (["--nonsense", "1"], "No such option: --nonsense. See"),
        (["--policy"], "'--policy' requires an argument. See `crossmargin --help`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_unusable_input_ends_in_2_and_writes_nothing(
    write: Callable[..., list[str]],
    tmp_path: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = write()
    if options[0] in given:
        given = without(given, options[0])
    assert cli.main(["run", *given, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_directory_that_holds_something_else_is_refused_before_the_run(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    assert cli.main(["run", *write()]) == 2
    assert "mine.txt" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


def test_a_home_directory_that_the_shell_left_alone_is_meant(
    write: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["run", *without(write(), "--out"), "--out=~/mine"]) == 0  # as bash leaves it
    assert f"Files: {tmp_path / 'mine'}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["run", "check"])
def test_an_option_given_twice_is_refused_unless_it_takes_several_files(
    name: str, write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = write()
    if name == "check":
        own = without(without(own, "--out"), "--threads")
    assert cli.main([name, *own, "--accounts", "other.csv"]) == 2
    assert "--accounts is given 2 times; give it once" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_sample_takes_no_other_book(
    write: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--sample", *write()]) == 2
    assert "leave out the other inputs" in capsys.readouterr().err


def test_an_internal_error_ends_in_70(
    write: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("crossmargin.cli.margining.margin_book", fail)
    assert cli.main(["run", *write()]) == cli.INTERNAL == 70
    error = capsys.readouterr().err
    assert "a fault of ours" in error
    assert "internal error" in error
    assert not (tmp_path / "out").exists()


@pytest.fixture
def _hear_hangups() -> Iterator[None]:
    """Hear them also under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hear_hangups")
@pytest.mark.parametrize("number", cli.STOPS)
def test_a_stopped_run_leaves_nothing_and_says_so(
    write: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    options = write()
    before = [signal.getsignal(number) for number in cli.STOPS]
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(number))
    assert cli.main(["run", *options]) == 128 + number
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"crossmargin: stopped by {number.name}; {tmp_path / 'out'} is as it was\n"
    )
    assert [signal.getsignal(number) for number in cli.STOPS] == before


def test_a_run_that_is_stopped_once_it_is_written_says_so(
    write: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = write()
    monkeypatch.setattr(
        "crossmargin.cli.margining.print_summary", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    assert cli.main(["run", *options]) == 130
    error = capsys.readouterr().err
    assert error == f"crossmargin: stopped by SIGINT; the results are in {tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    # `nohup` ignores SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(
            "crossmargin.cli.policy.shipped_policies",
            lambda: signal.raise_signal(signal.SIGHUP) or (),
        )
        assert cli.main(["policy", "list"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("module", ["crossmargin", "pyarrow", "rich"])
def test_ctrl_c_while_the_command_is_imported_shows_no_traceback(module: str) -> None:
    script = f"""
import os, signal, sys
class Interrupt:
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt)
from crossmargin_command import command
command()
"""
    done = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_the_sample_command_writes_a_book_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample", "--accounts", "10", "--out", str(tmp_path / "made")]) == 0
    out = capsys.readouterr().out
    assert "SYNTHETIC" in out
    command = out.splitlines()[1].replace("RESULTS", str(tmp_path / "out")).split()
    assert command[0] == "crossmargin"
    assert cli.main(command[1:]) == 3  # some rows are bad on purpose
    assert "SYNTHETIC" in capsys.readouterr().out.splitlines()[0]
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    "option", [["--accounts", "1"], ["--seed", "-1"], ["--as-of", "1990-01-02"]]
)
def test_a_sample_that_cannot_be_made_ends_in_2(tmp_path: Path, option: list[str]) -> None:
    assert cli.main(["sample", "--out", str(tmp_path / "made"), *option]) == 2
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("below", [[], ["below"]])
def test_a_sample_in_place_of_a_file_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], below: list[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    out = str(taken.joinpath(*below))
    assert cli.main(["sample", "--accounts", "10", "--out", out]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"crossmargin: sample: {out} cannot be made a directory; --out names one, not a file\n"
    )
    assert taken.read_text() == "mine"


def test_a_span_file_gives_what_it_holds(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cme.pa2"
    values = "01000-01500-01500-01500+01500+01485-01485+"
    path.write_text(
        f"0 CME   {str(AS_OF).replace('-', '')}SE\n"
        "2 CBT 21    0USD$PN   21        FUT\n"
        f"82CBT21        21        FUT 202609            0000000{values}\n"
    )
    options = [*write(), "--span-file", str(path)]
    assert cli.main(["run", *options]) == 2
    assert "span file: the policy's cme.model is hvar, not span" in capsys.readouterr().err
    assert cli.main(["run", *options, "--policy", f"{DEFAULT}-span"]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["ccps"]["CME"]["from_file"] == ["scan_ranges.ZN"]
    assert manifest["inputs"]["span_file"]["business_date"] == str(AS_OF)
    accounts = pq.read_table(tmp_path / "out" / "accounts.parquet").to_pylist()
    assert [row["v_cme_futures"] for row in accounts] == [400 * 1500.0, 0.0]


def test_a_shipped_policy_is_given_by_name(tmp_path: Path) -> None:
    name = f"{DEFAULT}-span"
    out = tmp_path / "out"
    assert cli.main(["run", "--sample", "--policy", name, "--out", str(out)]) == 3
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["policy"]["name"], manifest["ccps"]["CME"]["model"]) == (name, "span")
    assert manifest["ccps"]["CME"]["cubes"] == {}
    ranges = {row["root"]: row for row in manifest["ccps"]["CME"]["scan_ranges"]}
    for row in ranges.values():
        assert row["origin"] == "calibrated"
        # 99% of moves either way are no larger; of falls alone, and of rises alone, fewer are.
        assert row["scan_range"] >= max(row["var_long"], row["var_short"]) > 0.0
    parts = pq.read_table(out / "components.parquet").to_pylist()
    key = ("account", "clearing_firm", "portfolio")
    cme = [row for row in parts if row["ccp"] == "CME"]
    assert {row["component"] for row in cme} == {"scan", "intra", "delivery", "credit", "V"}
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in cme:
        groups.setdefault(tuple(row[k] for k in key), {})[row["component"]] = row["amount"]
    for found in groups.values():
        v = found.pop("V")
        if v is None:
            assert set(found.values()) == {None}
        else:
            assert found["credit"] <= 0 <= found["scan"]
            # Each is rounded to the cent once.
            assert abs(max(sum(found.values()), 0) - v) <= Decimal("0.03")


def test_the_embedded_default_is_marked_synthetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crossmargin.sample.sample_tables", lambda: TABLES)
    assert cli.main(["run", "--sample", "--out", str(tmp_path / "out")]) == 3
    assert "SYNTHETIC" in capsys.readouterr().out.splitlines()[0]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["synthetic"] is True


def test_help_names_every_input_and_the_version_is_the_packages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    for name in ("positions", "accounts", "securities", "par-yields", "as-of", "out", "firms"):
        assert f"--{name}" in text
    for name in (
        "basis",
        "fixings",
        "policy",
        "ficc-cube",
        "cme-cube",
        "volumes",
        "observed-margins",
        "sofr",
        "cycle",
        "max-rejected",
        "allow-empty",
    ):
        assert f"--{name}" in text
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"crossmargin \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


NO_USE_FOR = {
    *("pandas", "polars", "numba", "scipy", "matplotlib", "openpyxl", "highspy", "QuantLib"),
    *("pyarrow.dataset", "pyarrow.flight"),
}
"""Libraries that only some inputs, backends or questions need."""
NOT_PLAIN = {
    *("typer", "click", "pydantic", "rich.progress", "importlib.metadata"),
    *("email", "difflib", "html", "xml.etree.ElementTree"),
    *(f"crossmargin.{name}" for name in ("analysis", "optimise", "whatif", "sample", "cli.app")),
}
"""What a plain run has no use for, by name: each of them takes long to import."""


@pytest.mark.parametrize(
    ("ending", "policy"),
    [
        ("csv", DEFAULT),
        ("parquet", DEFAULT),
        ("csv", "cme-ficc-2026-04-30"),
        ("csv", f"{DEFAULT}-span"),
        ("csv", f"{DEFAULT}-charges"),
    ],
)
def test_a_run_imports_no_library_it_has_no_use_for(
    tmp_path: Path, ending: str, policy: str
) -> None:
    options = ["--as-of", str(AS_OF), "--out", str(tmp_path / "out"), "--policy", policy]
    for name, table in TABLES.items():
        path = tmp_path / f"{name}.{ending}"
        (pacsv.write_csv if ending == "csv" else pq.write_table)(table, path)
        options += [f"--{name.replace('_', '-')}", str(path)]
    script = (
        "import sys; from crossmargin.cli import main; code = main(); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "run", *options], capture_output=True, text=True
    )
    assert done.returncode == cli.REJECTED
    imported = set(done.stderr.split())
    assert "pyarrow.parquet" in imported
    assert imported & {*NO_USE_FOR, *NOT_PLAIN} == set()


def test_questions_and_comparisons_import_none_either(write: Callable[..., list[str]]) -> None:
    options = write()
    given = dict(zip(options[::2], options[1::2], strict=True))
    script = """
import sys
import crossmargin as xm
positions, accounts, securities, par_yields, as_of = sys.argv[1:]
market = xm.read_market(par_yields, as_of=as_of)
run = xm.run(positions=positions, accounts=accounts, securities=securities, market=market)
session = xm.Session(run)
session.what_if("001", {"ZNU26": 1})
session.what_ifs([("001", {"ZNU26": 1})])
xm.compare(run, run)
xm.compare_revaluation(run, market)
xm.calls(run)
xm.programme_off(run)
print(*sys.modules)
"""
    names = ("--positions", "--accounts", "--securities", "--par-yields", "--as-of")
    done = subprocess.run(
        [sys.executable, "-c", script, *(given[name] for name in names)],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout.split())
    assert "crossmargin.whatif.session" in imported
    assert not imported & NO_USE_FOR


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_named(missing: str) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from crossmargin.cli import main; sys.exit(main(['--version']))"
    )
    package = Path(crossmargin.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    assert done.returncode == 2
    assert f"needs {missing}" in done.stderr
    assert "crossmargin[cli]" in done.stderr


@pytest.mark.parametrize("how", [["-m", "crossmargin"], ["-m", "crossmargin", "run"]])
def test_module_is_the_command(how: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *how, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "crossmargin" in done.stdout


def test_an_output_that_nobody_reads_is_no_fault(tmp_path: Path) -> None:
    sample = [sys.executable, "-m", "crossmargin", "run", "--sample", "--out", str(tmp_path / "o")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(sample, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "the summary cannot be printed" in done.stderr
    assert (tmp_path / "o" / "accounts.parquet").exists()
    # A pipe whose reader has left, as `head` does.
    with subprocess.Popen(sample, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.close()
        assert left.wait() == 3


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("policy show | head -1", 0, ""),
        ("run --help | head -1", 0, ""),
        ("--help | true", 0, ""),
        ("policy show >&-", 0, ""),
        ("--version >&- 2>&- <&-", 0, ""),
        ("policy show >/dev/full", 2, "No space left"),
        ("run --help >/dev/full", 2, "No space left"),
        ("run --nonsense 2>/dev/full", 2, ""),
        ("run --nonsense 2>&-", 2, ""),
        ("run --nonsense 2>&1 | true", 2, ""),
        ("run --sample --out out >&- 2>&-", 3, ""),
    ],
)
def test_exit_codes_hold_where_nobody_reads(
    line: str, code: int, says: str, tmp_path: Path
) -> None:
    # The code is that of the command, not of `head`.
    shell = f"set -o pipefail; {sys.executable} -m crossmargin {line}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if "--sample" in line:
        # No file took the number of a stream that was closed.
        for path in (tmp_path / "out").glob("*.parquet"):
            pq.read_table(path)


def test_texts_from_files_do_not_steer_the_terminal(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    name = "001\u202e\u200b"  # a control character would be rejected
    for option in ("--positions", "--accounts"):
        path = Path(options[options.index(option) + 1])
        path.write_text(path.read_text().replace('"001"', f'"{name}"'))
    with_quantity(options, "nan")
    assert cli.main(["run", *options]) == 3
    captured = capsys.readouterr()
    assert r"001\u202e\u200b" in captured.out
    assert not {"\u202e", "\u200b"} & set(captured.out)
    bad = tmp_path / "bad.csv"
    bad.write_text("account,\x1b[2Jkind\n001,cash\n")
    for path, says in ((bad, r"\x1b[2Jkind"), (tmp_path / "no\nsuch\x1b", r"no\nsuch\x1b")):
        given = without(options, "--positions")
        assert cli.main(["run", *given, "--positions", str(path)]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
        assert "\x1b" not in error


def test_no_memory_is_no_fault_of_the_program(
    write: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(**_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("crossmargin.cli.margining.margin_book", fail)
    assert cli.main(["run", *write()]) == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_unusable_input_always_exits_with_2(write: Any, tmp_path: Path) -> None:
    # Arrow's threads are still starting when a bad column ends the run.
    options = without(write(), "--positions")
    bad = tmp_path / "bad.csv"
    bad.write_text("account,kind,instrument,Qty,xm\nA,cash,91282CMM0,100,true\n")
    command = [sys.executable, "-m", "crossmargin", "run", *options, "--positions", str(bad)]
    codes = [subprocess.run(command, capture_output=True, check=False).returncode for _ in range(8)]
    assert codes == [2] * 8


EXAMPLE = Path(__file__).resolve().parents[1] / "docs/policies/example-spread-credit.toml"


def test_a_shipped_policy_is_taken_by_name(
    write: Callable[..., list[str]], tmp_path: Path, capsys: Any
) -> None:
    assert cli.main(["run", *write(), "--policy", DEFAULT]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["policy"]["name"] == DEFAULT
    assert manifest["policy"]["offset_method"] == "lower_of_models"
    assert cli.main(["run", *write(), "--policy", "cme-ficc"]) == cli.UNUSABLE
    known = ", ".join(crossmargin.policies.shipped_policies())
    assert f"give a file or one of {known}" in capsys.readouterr().err


def test_policy_show_explains_the_default_one(capsys: Any) -> None:
    assert cli.main(["policy", "show"]) == 0
    default = capsys.readouterr().out
    assert cli.main(["policy", "show", DEFAULT]) == 0
    assert capsys.readouterr().out == default
    assert default.startswith(f"{DEFAULT}: CME-FICC cross-margining for customers")
    assert "[agreement] The offset rate is the share" in default
    (cap,) = (line for line in default.splitlines() if line.startswith("cap "))
    assert cap.split()[:3] == ["cap", "0.8", "confirmed"]
    assert "CME programme page" in cap
    names = unconfirmed(crossmargin.read_policy())
    # The periods of stress by clearing house replace it.
    assert "scenarios.stress_windows" not in names
    assert f"Unconfirmed, {len(names)}: {', '.join(names[:3])}" in default
    assert "\x1b" not in default


def test_policy_show_takes_a_file(capsys: Any) -> None:
    assert cli.main(["policy", "show", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    assert "[spread_credit] Cash of a class and futures offset each other" in out
    assert f"extends: {DEFAULT}" in out


def test_policy_diff_shows_both_sides(capsys: Any) -> None:
    assert cli.main(["policy", "diff", DEFAULT, str(EXAMPLE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (offset_method,) = (line for line in lines if line.startswith("agreement.offset_method"))
    assert offset_method.split()[1:] == [
        "lower_of_models",
        "inferred",
        "spread_credit",
        "unconfirmed",
    ]
    assert not any(line.startswith("agreement.cap") for line in lines)
    assert cli.main(["policy", "diff", DEFAULT, DEFAULT]) == 0
    assert "No parameter differs." in capsys.readouterr().out


def test_policy_check_says_ok_or_the_error(tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["policy", "check", str(EXAMPLE)]) == 0
    digest = crossmargin.read_policy(EXAMPLE).hash
    assert capsys.readouterr().out == (
        f"OK: example-spread-credit, effective from 2026-01-01, hash {digest}\n"
    )
    own = tmp_path / "own.toml"
    own.write_text(EXAMPLE.read_text("utf-8").replace("0.75", "1.75"), "utf-8")
    assert cli.main(["policy", "check", str(own)]) == cli.UNUSABLE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "spread_credit.spreads must name a class" in captured.err
    assert str(own) in captured.err


def test_policy_check_knows_the_models_of_further_clearing_houses(
    tmp_path: Path, capsys: Any
) -> None:
    own = tmp_path / "own.toml"
    text = EXAMPLE.with_name("example-third-ccp.toml").read_text("utf-8")
    own.write_text(text.replace('"historical_var"', '"other"'), "utf-8")
    assert cli.main(["policy", "check", str(own)]) == cli.UNUSABLE
    assert "ccp.XYZ.model: 'other' is not one of" in capsys.readouterr().err


def test_policy_list_names_the_shipped_ones(capsys: Any) -> None:
    assert cli.main(["policy", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(crossmargin.policies.shipped_policies())
    [default] = [line.split()[0] for line in lines if line.endswith("(default)")]
    assert default == DEFAULT


def without_out(options: list[str]) -> list[str]:
    options = without(without(options, "--out"), "--threads")
    return ["check", *options]


def test_check_reads_and_writes_nothing(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write()
    assert cli.main(without_out(options)) == 0
    before = capsys.readouterr()
    assert re.search(r"positions +3 ", before.out)
    assert re.search(r"par_yields +[0-9,]+ +synthetic", before.out)
    assert before.err == ""
    with_quantity(options, "nan")
    assert cli.main(without_out(options)) == cli.REJECTED
    assert "positions, row 2: `quantity` is blank" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_check_says_how_files_were_read(
    write: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixings = tmp_path / "fixings.csv"
    fixings.write_text("observation_date,SOFR\n2026-06-09,3.61\n")
    assert cli.main([*without_out(write()), "--fixings", str(fixings)]) == 0
    assert "fixings: read as FRED's download of SOFR" in capsys.readouterr().out


def test_check_and_run_tell_of_thin_baskets(
    write: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    # The book's few securities are less than half of what is outstanding.
    options = write()
    assert cli.main(without_out(options)) == 0
    checked = capsys.readouterr().out
    assert re.search(r"\nsecurities: ZNU26: the table lacks \d of 9 issues", checked)
    assert cli.main(["run", *options]) == 0
    assert re.search(r"\n  baskets of futures: BASKET_THIN .*ZNU26", capsys.readouterr().out)
    # The first version has no table of baskets.
    first = [*write(), "--policy", "cme-ficc-2026-04-30"]
    assert cli.main(without_out(first)) == 0
    assert "the table lacks" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "check"])
def test_what_cannot_be_used_ends_in_2(
    write: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    options = write()
    arguments = ["run", *options] if command == "run" else without_out(options)
    columns = tmp_path / "columns.toml"
    columns.write_text('[positions]\nacount = "Acct"\n')
    assert cli.main([*arguments, "--columns", str(columns)]) == cli.UNUSABLE
    assert (
        "`positions.acount`: not a column of this input; do you mean `account`"
        in capsys.readouterr().err
    )
    assert cli.main([*arguments, "--policy", "no-such-policy"]) == cli.UNUSABLE
    assert cli.main(without(arguments, "--par-yields")) == cli.UNUSABLE
    assert "--par-yields must be given" in capsys.readouterr().err


def test_an_extract_of_a_back_office_is_run_by_a_columns_file(
    write: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert cli.main(["run", *write()]) == 0
    plain = pq.read_table(tmp_path / "out" / "accounts.parquet")
    options = write()
    path = tmp_path / "positions.csv"
    table = pacsv.read_csv(path, convert_options=AS_TEXT).to_pydict()
    table["Acct No"] = table.pop("account")
    table["Side"] = ["S" if q.startswith("-") else "B" for q in table["quantity"]]
    table["Qty"] = [f"{int(q.lstrip('-')) / 1000}" for q in table.pop("quantity")]
    pacsv.write_csv(pa.table(table), path)
    columns = tmp_path / "columns.toml"
    columns.write_text(
        '[positions]\naccount = "Acct No"\n'
        'quantity = { column = "Qty", unit = "thousand", sign = "Side", positive = "B", '
        'negative = "S" }\n'
    )
    assert cli.main(["run", *options, "--columns", str(columns)]) == 0
    mapped = pq.read_table(tmp_path / "out" / "accounts.parquet")
    assert mapped.drop_columns(["run_id"]) == plain.drop_columns(["run_id"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["inputs"]["columns"]["hash"]) == 64


def test_par_yields_are_given_several_times(
    write: Callable[..., list[str]], tmp_path: Path
) -> None:
    yields = TABLES["par_yields"]
    options = write(par_yields=yields.slice(0, 3000))
    rest = tmp_path / "rest.csv"
    pacsv.write_csv(yields.slice(3000), rest)
    assert cli.main(["run", *options, "--par-yields", str(rest)]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["inputs"]["par_yields"]["files"]) == 2
    assert manifest["inputs"]["par_yields"]["rows_read"] == len(yields)


def test_settlements_take_the_place_of_a_basis_history(
    write: Callable[..., list[str]], tmp_path: Path
) -> None:
    days = TABLES["par_yields"]["date"].slice(len(TABLES["par_yields"]) - 60)
    settlements = tmp_path / "settlements.csv"
    rows = "".join(f"{day},ZNU26,110-{n % 4}05\n" for n, day in enumerate(days.to_pylist()))
    settlements.write_text("date,contract,price\n" + rows)
    securities = TABLES["securities"]
    plain = pc.is_in(securities["type"].cast(pa.string()), value_set=pa.array(["note", "bond"]))
    options = write(securities=securities.filter(plain))
    assert cli.main(["run", *options, "--settlements", str(settlements)]) in (0, cli.REJECTED)
    exceptions = pq.read_table(tmp_path / "out" / "exceptions.parquet").to_pylist()
    told = [row["message"] for row in exceptions if row["file"] == "settlements"]
    assert any(text.startswith("ZN: 60 settlement prices give the basis") for text in told)
    assert any("points and 32nds" in text for text in told)


@pytest.mark.parametrize("command", ["day", "calls", "upcoming", "reconcile", "programme-off"])
def test_a_paragraph_of_help_has_no_line_breaks_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("TERMINAL_WIDTH", "1000")
    assert cli.main([command, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    first = lines.index(next(line for line in lines if "Usage:" in line))
    told = lines[first + 1 : next(i for i, line in enumerate(lines) if line.startswith("╭"))]
    # Each paragraph is one line between blank ones.
    assert all(not (one and other) for one, other in pairwise(told))
