"""How long the programme's day takes: four cycles, from files to the ledger, in a cold process.

One command: ``python benchmarks/day.py`` writes the sample's day of 20,000 accounts, plays it with
``crossmargin day`` again and again, each time in a new process and a fresh folder, and prints the
best and the median wall time and CPU time. Every round must write the same files; nothing fails for
being slow.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from whole_process import REJECTED, launch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    for name, value in measure(chosen.accounts, chosen.rounds).items():
        print(f"{name:40}{value:12,.0f}")


def measure(accounts: int = 20_000, rounds: int = 5) -> dict[str, float]:
    """Time the command on a day for which everything has arrived."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrived, played = folder / "arrived", folder / "played"
        sample = ["sample", "--out", str(arrived), "--day", "--accounts", str(accounts)]
        launch(folder, "-m", "crossmargin", *sample, expect=0)
        walls, used, written = [], [], []
        # The first round fills caches of files and bytecode, as installation and use do.
        for _ in range(rounds + 1):
            shutil.rmtree(played, ignore_errors=True)
            shutil.copytree(arrived, played)
            begin, before = time.perf_counter(), _cpu()
            launch(folder, "-m", "crossmargin", "day", str(played), expect=REJECTED)
            walls.append(time.perf_counter() - begin)
            used.append(_cpu() - before)
            files = sorted(path for path in (played / "steps").rglob("*") if path.is_file())
            written.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
        if any(hashes != written[0] for hashes in written):
            sys.exit("the files differ between rounds")
    del walls[0], used[0]
    return {
        "accounts": accounts,
        "files": len(written[0]),
        "wall time, best, ms": 1e3 * min(walls),
        "wall time, median, ms": 1e3 * statistics.median(walls),
        "CPU time, best, ms": 1e3 * min(used),
        "CPU time, median, ms": 1e3 * statistics.median(used),
    }


def _cpu() -> float:
    """Return the CPU seconds of all processes that were started here and have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
