"""Writing results, stopped at each system call that changes a file. Needs strace.

After each stop the results are the earlier or the new ones, whole; what is the user's is as it was;
and the next run succeeds and leaves nothing of the stopped one behind. The suite tries a choice of
stops; `python tests/io/test_interruption.py` tries all of them, and says how many.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from crossmargin.cli.exits import STOPS, StoppedError, stop
from crossmargin.io import replace
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import holds_results, read_results, write_results

OLD, NEW, NEXT = "old", "new", "next"
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLACES = ("nothing", "an empty directory", OLD)
CALLS = (
    "openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,"
    "unlinkat,rmdir,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync_file_range,chmod,fchmod,fchmodat,fchmodat2,flock"
)
"""Those that change files, as far as a system has them; opening too: it may make a file."""

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not here (apt install strace)"
)


@dataclass(frozen=True)
class Case:
    """Where results are written, and whether the system can exchange two names in one step."""

    place: str
    exchange: bool


CASES = [*(Case(place, True) for place in PLACES), Case(OLD, False)]


TABLES = {
    run_id: {name: pa.table({"account": [run_id] * 3}) for name in ("accounts", "positions")}
    for run_id in (OLD, NEW, NEXT)
}


def manifest(run_id: str) -> dict[str, object]:
    hashes = {name: {"hash": table_hash(table)} for name, table in TABLES[run_id].items()}
    return {"run_id": run_id, "results": hashes}


def write(folder: Path, run_id: str) -> None:
    write_results(folder / "out", TABLES[run_id], manifest(run_id))


def prepare(folder: Path, place: str) -> None:
    """Make what is there before the run, the user's own files with names like ours among it."""
    if place == OLD:
        write(folder, OLD)
    elif place != "nothing":
        (folder / "out").mkdir()
    (folder / "mine.txt").write_text("mine")
    for name in (".out.0123abcd.partial", ".out.89ab4567.old", "out.partial"):
        (folder / name).mkdir()
        (folder / name / "accounts.parquet").write_text(name)
    (folder / ".out.0123cdef.lock").write_text("not empty, so none of ours")


def snapshot(folder: Path) -> dict[str, str]:
    """Return the contents of every file that is not in `out`, nor of a name that a run made."""
    hidden = re.compile(r"\.out\.(?!0123|89ab)[0-9a-f]{8}\.(lock|partial|old)")
    found = {}
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts[0]
        if top != "out" and not hidden.fullmatch(top):
            found[str(path.relative_to(folder))] = path.read_text() if path.is_file() else ""
    return found


def whole(out: Path) -> str:
    """Return the id of the run whose results stand there, each file as its manifest says."""
    read, told = read_results(out, "accounts", "positions")
    for name, entry in told["files"].items():
        data = (out / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert {path.name for path in out.iterdir()} == {"manifest.json", *told["files"]}
    run_id = str(told["run_id"])
    assert all(set(table["account"].to_pylist()) == {run_id} for table in read.values())
    return run_id


def in_a_process(folder: Path, case: Case, begin: int) -> int:
    """Start a process that writes new results once it is told to begin; return its id.

    It ends in 0, or by a signal as the command does, after noting whether its results stand.
    """
    if child := os.fork():
        return child
    try:
        for number in STOPS:
            signal.signal(number, stop)
        if not case.exchange:
            replace._exchange = lambda *_: False
        os.read(begin, 1)
        code = 0
        try:
            write(folder, NEW)
        except StoppedError as stopped:
            code = 128 + stopped.number
            told = holds_results(folder / "out", NEW)
            (folder / "out.told").write_text(json.dumps(told))
        os._exit(code)
    except BaseException:
        os._exit(70)


def traced(folder: Path, case: Case, *inject: str) -> tuple[int, list[str]]:
    """Write new results under strace; return how the process ended and the calls it made."""
    wait, go = os.pipe()
    child = in_a_process(folder, case, wait)
    log = folder.with_suffix(".log")
    calls = ",".join(f"?{call}" for call in CALLS.split(","))
    command = ["strace", "-f", "-o", str(log), "-e", f"trace={calls}", *inject, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        os.write(go, b"!")
        _, status = os.waitpid(child, 0)
        tracer.stderr.read()
    os.close(wait)
    os.close(go)
    if "attached" not in attached:
        pytest.skip(f"strace may not trace here: {attached.strip()}")
    found = re.findall(r"^\d+ +(\w+\(.*)", log.read_text(), re.MULTILINE)
    return os.waitstatus_to_exitcode(status), found


def stops(case: Case, folder: Path) -> list[tuple[str, int]]:
    """Return each call by which a run changes files: its name, and how many of that name it is."""
    folder.mkdir()
    prepare(folder, case.place)
    code, calls = traced(folder, case)
    assert code == 0
    assert whole(folder / "out") == NEW
    names = [call.partition("(")[0] for call in calls]
    return [
        (name, names[: at + 1].count(name))
        for at, (name, call) in enumerate(zip(names, calls, strict=True))
        if name != "openat" or "O_CREAT" in call
    ]


def check(case: Case, number: signal.Signals, call: str, count: int, folder: Path) -> None:
    """Stop a run at a call, and look at what it leaves."""
    folder.mkdir()
    prepare(folder, case.place)
    before = snapshot(folder)
    inject = f"inject={call}:signal={number.name.removeprefix('SIG')}:when={count}"
    code, _ = traced(folder, case, "-e", inject)
    told = folder / "out.told"
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        # What the last word says is so.
        assert json.loads(told.read_text()) is holds_results(folder / "out", NEW)
        told.unlink()
    assert snapshot(folder) == before
    out = folder / "out"
    if case.exchange or number != signal.SIGKILL:
        check_place(out, case)
    # The next run finds old or new results, whole, and leaves no trace of the stopped one.
    replace.recover(out)
    check_place(out, case)
    write(folder, NEXT)
    assert whole(out) == NEXT
    assert snapshot(folder) == before
    assert len(list(folder.iterdir())) == len({Path(name).parts[0] for name in before}) + 1


def check_place(out: Path, case: Case) -> None:
    if case.place == OLD or (out.exists() and any(out.iterdir())):
        assert whole(out) in ({OLD, NEW} if case.place == OLD else {NEW})


@needs_strace
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_stop_leaves_old_or_new_results_and_the_next_run_clears_up(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = stops(case, tmp_path / "all")
    renames = [stop for stop in found if stop[0].startswith("rename")]
    assert renames
    # All that move names, and some of the others.
    chosen = list(dict.fromkeys([*renames[-4:], *found[3::8]]))
    for at, (call, count) in enumerate(chosen):
        number = SIGNALS[at % 2]
        check(case, number, call, count, tmp_path / f"{at}")


@needs_strace
@pytest.mark.parametrize(
    ("call", "says"), [("fsync", "is as it was"), ("renameat2", "the results are in")]
)
def test_a_run_that_is_stopped_tells_whether_its_results_stand(
    call: str, says: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_results(out, TABLES[OLD], manifest(OLD))
    command = [sys.executable, "-m", "crossmargin", "run", "--sample", "--out", str(out)]
    trace = ["strace", "-f", "-o", str(tmp_path / "log"), "-e", f"trace={call}"]
    done = subprocess.run(
        [*trace, "-e", f"inject={call}:signal=INT:when=1", *command],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("crossmargin: stopped by SIGINT; ")
    assert says in done.stderr
    old = json.loads((out / "manifest.json").read_text())["run_id"] == OLD
    assert old == (call == "fsync")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out"]


def main() -> None:
    """Try every stop, by every signal, in every case."""
    os.environ["OMP_NUM_THREADS"] = "1"
    tried = 0
    with tempfile.TemporaryDirectory() as name:
        for case in CASES:
            found = stops(case, Path(name) / f"all-{tried}")
            for (call, count), number in itertools.product(found, SIGNALS):
                check(case, number, call, count, Path(name) / f"{tried}")
                tried += 1
            print(f"{case}: {len(found)} calls", flush=True)
    print(f"{tried} stops: old or new results, whole, after each")


if __name__ == "__main__":
    main()
