"""How long the whole command takes: a cold process, Parquet on disk to Parquet on disk.

One command: ``python benchmarks/whole_process.py`` writes a seeded book of tier L (20,000 accounts,
319,000 rows) to a temporary directory, runs ``crossmargin run`` on it again and again, each time in
a new process, and prints the best and the median wall time, and how long each stage takes. Every
run must give the same results; nothing fails for being slow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AS_OF = "2026-06-10"
REJECTED = 3
"""Exit code of a run with rejected rows, of which the sample has some."""

STAGES = """
import json, sys, time
marks = [("imports", time.perf_counter())]
def mark(stage, done):
    marks.append((stage, time.perf_counter()))
folder, as_of = sys.argv[1:]
from crossmargin.calculation.store import write_run
import crossmargin as xm
xm.run, xm.read_market  # imported when they are first used
mark("market", 0.0)
names = ("positions", "accounts", "securities", "par_yields", "basis")
file = {name: f"{folder}/{name}.parquet" for name in names}
market = xm.read_market(file.pop("par_yields"), as_of=as_of, basis=file.pop("basis"))
run = xm.run(**file, market=market, progress=mark)
mark("writing", 0.0)
write_run(run, f"{folder}/results")
mark("end", 1.0)
seconds = {}
for (stage, begin), (_, end) in zip(marks, marks[1:]):
    seconds[stage] = seconds.get(stage, 0.0) + end - begin
print(json.dumps(seconds))
"""
"""The command's work, step by step, on the clock of its own process."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    for name, value in measure(chosen.accounts, chosen.rounds).items():
        print(f"{name:40}{value:12,.0f}")


def measure(accounts: int = 20_000, rounds: int = 5) -> dict[str, float]:
    """Time the command and, in other processes, its stages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_book(folder, accounts)
        walls, stages, results = [], [], []
        # The first round fills caches of files and bytecode, as installation and use do.
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            launch(folder, *command(folder), expect=REJECTED)
            walls.append(time.perf_counter() - begin)
            manifest = json.loads((folder / "results" / "manifest.json").read_text())
            results.append(manifest["results"])
            stages.append(json.loads(launch(folder, "-c", STAGES, name, AS_OF, expect=0)))
        if any(result != results[0] for result in results):
            sys.exit("the results differ between runs")
    del walls[0], stages[0]
    # All from one run, so that stages add up; the rest is a difference between two processes.
    best = min(stages, key=lambda seconds: sum(seconds.values()))
    rest = min(walls) - sum(best.values())
    return {
        "accounts": rows["accounts"],
        "rows of positions": rows["positions"],
        "wall time, best, ms": 1e3 * min(walls),
        "wall time, median, ms": 1e3 * statistics.median(walls),
        **{f"stage {stage}, ms": 1e3 * seconds for stage, seconds in best.items()},
        "start, command line, summary, end, ms": 1e3 * rest,
    }


def write_book(folder: Path, accounts: int) -> dict[str, int]:
    """Write the sample as Parquet, in a process that has ended when the timing begins."""
    script = (
        "import json, sys, pyarrow.parquet as pq\n"
        "from crossmargin.sample import sample_tables\n"
        "tables = sample_tables(accounts=int(sys.argv[2]))\n"
        "for name, table in tables.items():\n"
        "    pq.write_table(table, f'{sys.argv[1]}/{name}.parquet')\n"
        "print(json.dumps({name: len(table) for name, table in tables.items()}))"
    )
    return json.loads(launch(folder, "-c", script, str(folder), str(accounts), expect=0))


def command(folder: Path) -> list[str]:
    """Return the arguments of Python that run the command on the book."""
    files = ("positions", "accounts", "securities", "par_yields", "basis")
    options = [x for n in files for x in (f"--{n.replace('_', '-')}", f"{folder}/{n}.parquet")]
    return ["-m", "crossmargin", "run", *options, "--as-of", AS_OF, "--out", f"{folder}/results"]


def launch(folder: Path, *arguments: str, expect: int) -> str:
    """Run Python with its bytecode cache in the folder; return what it prints."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode != expect:
        sys.exit(f"exit code {done.returncode}, {expect} expected:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
