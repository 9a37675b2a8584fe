"""A day whose process is killed again and again is the day that was played in one go."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmargin.cycles.ledger import Ledger

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KILLS = 1000 if os.environ.get("CROSSMARGIN_LONG_TESTS") else 50
SHARE = 0.35
"""Of the time of an undisturbed day: a process is killed after so long at the latest.

That is a few steps, so most processes add something before they die.
"""

# It has imported everything, and forks a process for each play; these have no other threads.
PLAYER = """
import os, signal, sys, time
from crossmargin.cycles.day import folder, play
from crossmargin.cycles.ledger import Ledger
import crossmargin.cycles.ledger_file, duckdb, pandas

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(function, after, left):
    def call(*arguments, **named):
        left[0] -= 1
        if not left[0] and not after:
            die()
        made = function(*arguments, **named)
        if not left[0]:
            die()
        return made
    return call

for line in sys.stdin:
    path, where, delay = line.split()
    child = os.fork()
    if not child:
        if where != "-":
            name, after, number = where.split("-")
            owner = {"write": folder.Folder, "record": Ledger}[name]
            setattr(owner, name, dying(getattr(owner, name), after == "after", [int(number)]))
        try:
            play.play_day(path, threads=1)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    if float(delay):
        time.sleep(float(delay))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture(scope="module")
def player() -> Iterator[Callable[..., int]]:
    """Return a function that plays a folder in a process of its own, and gives its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", PLAYER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def play(folder: Path, where: str = "-", delay: float = 0.0) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{folder} {where} {delay}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield play
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture
def check(
    undisturbed: Path,
    written: Callable[[Path], dict[str, bytes]],
    recorded: Callable[[Path], dict[str, list[dict[str, Any]]]],
) -> Callable[[Path], None]:
    """Return a check that a folder is as if it had been played undisturbed."""
    files, rows = written(undisturbed), recorded(undisturbed / "ledger.duckdb")

    def as_undisturbed(folder: Path) -> None:
        assert written(folder) == files
        assert recorded(folder / "ledger.duckdb") == rows
        with Ledger(folder / "ledger.duckdb") as ledger:
            ledger.verify()
        left = [path for path in folder.rglob(".*") if path.name != ".day.lock"]
        assert left == []

    return as_undisturbed


@pytest.mark.parametrize("where", ["write-after", "record-after"])
def test_killed_between_the_files_and_the_record_of_every_step(
    where: str, folder: Path, player: Callable[..., int], check: Callable[[Path], None]
) -> None:
    recorded = where == "record-after"
    for count in range(12):
        # A process does again what the last one did not record, and dies in the step after it.
        assert player(folder, f"{where}-{1 if recorded or not count else 2}") == -9
    assert player(folder) == 0
    check(folder)


def test_killed_at_random_moments(
    arrived: Path, tmp_path: Path, player: Callable[..., int], check: Callable[[Path], None]
) -> None:
    seed = int(time.time())
    print("seed", seed)
    draw = random.Random(seed)
    kills, longest = 0, 0.0
    while kills < KILLS:
        folder = Path(shutil.copytree(arrived, tmp_path / "day"))
        started = time.monotonic()
        code = player(folder, delay=draw.uniform(0.01, longest) if longest else 0.0)
        longest = longest or SHARE * (time.monotonic() - started)
        while code == -9:
            kills += 1
            code = player(folder, delay=draw.uniform(0.01, longest) if kills < KILLS else 0.0)
        assert code == 0
        check(folder)
        shutil.rmtree(folder)
