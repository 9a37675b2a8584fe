"""Which benchmark moved between two revisions by more than the noise?

``python benchmarks/compare.py [BASE] [HEAD]`` builds both commits in a temporary directory and runs
the benchmarks of `compare_worker.py`, those of the tree this file is in, against both in one job.
Head writes the sample, and the books and cubes of tails (`compare_inputs.py`), for both.
Each revision answers in a process that stays alive. A round times one call in each, one right after
the other, in turns base head, head base; rounds go over all benchmarks. So other load affects both
alike. The places of memory and code change the times of a process for as long as it lives, so each
measurement is spread over three processes of each revision.

- **Ratio**: the median over the rounds of head's time over base's; above one, head is slower.
- **Noise**: how far the ends of the median's 95% interval are from it. The interval is that of the
  sign test: it goes from one order statistic of the rounds' ratios to another, and assumes nothing
  about their distribution. It is never less than 3%.
- **Verdict**: a benchmark with a ratio beyond the noise is a suspect. It is measured again, with
  twice the rounds and new processes. Only if it is beyond the noise both times, in the same
  direction, is it slower or faster.

Exit code 1: a loss above ``--fail-above`` both times, or head fails where base does not, runs
nothing, or does not build. Benchmarks that base cannot run are listed with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from compare_worker import BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("compare_worker.py")
SOURCES = ("cpp", "python", "CMakeLists.txt", "pyproject.toml")
"""The paths that the built package is made from."""
CONFIDENCE, LEAST_NOISE = 0.95, 0.03
PROCESSES = 3
"""Processes of each revision in a measurement, one after the other."""
FEWEST_ROUNDS = 6
"""Fewer rounds do not bound a median with that confidence."""
WRITE_INPUTS = """
import sys
from pathlib import Path
from crossmargin.sample import write_sample
write_sample(sys.argv[1], accounts=int(sys.argv[2]))
import compare_inputs
compare_inputs.write(Path(sys.argv[1]), int(sys.argv[3]))
"""


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, accounts of the books of tails and of the sample."""

    rounds: int
    accounts: int
    sample: int


FULL, SMALL = Size(42, 5_000, 1_000), Size(24, 2_000, 300)


@dataclass
class Timings:
    """One revision's answers on one benchmark: seconds of each round, hash, error."""

    seconds: list[float] = field(default_factory=list)
    answer: str = ""
    error: str = ""

    def add(self, reply: dict[str, object]) -> None:
        """Add a worker's reply."""
        if "error" in reply:
            self.error = str(reply["error"])
        else:
            self.seconds.append(float(str(reply["seconds"])))
            self.answer = str(reply["answer"])


Pair = Sequence[Timings]
"""Base and head."""


@dataclass(frozen=True)
class Comparison:
    """Median times of one benchmark, seconds; head's over base's; the noise as a share of that."""

    base: float
    head: float
    ratio: float
    noise: float

    @property
    def direction(self) -> str:
        """Where head is: `slower` or `faster`, or `same` within the noise."""
        if self.ratio > 1.0 + self.noise:
            return "slower"
        return "faster" if self.ratio < 1.0 / (1.0 + self.noise) else "same"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a benchmark, its numbers, and whether it fails the comparison."""

    text: str
    shown: Comparison | None = None
    failed: bool = False


def rank_below(rounds: int) -> int:
    """Return the k for which the k-th least and k-th largest of the rounds bound their median."""
    k, chance = 0, 0.0
    while (chance := chance + math.comb(rounds, k) / 2.0**rounds) <= (1.0 - CONFIDENCE) / 2.0:
        k += 1
    return k


def compare(pair: Pair) -> Comparison:
    """Return the comparison of a benchmark's rounds, at least `FEWEST_ROUNDS` of each revision."""
    base, head = (timings.seconds for timings in pair)
    ratios = sorted(h / b for b, h in zip(base, head, strict=True))
    ratio, k = median(ratios), rank_below(len(ratios))
    noise = max(ratio / ratios[k - 1], ratios[-k] / ratio) - 1.0
    return Comparison(median(base), median(head), ratio, max(noise, LEAST_NOISE))


def judge(first: Pair, again: Pair | None, limit: float) -> Verdict:
    """Return the verdict on a benchmark, measured again if it was a suspect.

    A loss above the limit, as a share of base's time, fails if both measurements show it.
    """
    base_error, head_error = (
        next((timings.error for timings in runs if timings.error), "")
        for runs in zip(first, again or first, strict=True)
    )
    if base_error:
        where = "fails in both" if head_error else "not in base"
        return Verdict(f"{where}: {base_error}")
    if head_error:
        return Verdict(f"FAILS in head: {head_error}", failed=True)
    measured = [compare(pair) for pair in (first, again) if pair]
    same = len(measured) == 1 or measured[0].direction != measured[1].direction
    text = "same" if same else measured[1].direction
    failed = text == "slower" and all(found.ratio > 1.0 + limit for found in measured)
    if failed:
        text = f"SLOWER by more than {limit:.0%}"
    if first[0].answer != first[1].answer:
        text += ", answers differ"
    return Verdict(text, measured[-1], failed)


def is_suspect(pair: Pair) -> bool:
    """Return whether the first measurement is beyond the noise."""
    return not any(timings.error for timings in pair) and compare(pair).direction != "same"


class Worker:
    """A process that times benchmarks in one revision. It starts, or starts again, when asked."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, name: str) -> dict[str, object]:
        """Return the reply to a request, or an error if the process ends."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,  # Ctrl-C is for the parent, which ends its workers.
            )
        try:
            self._process.stdin.write(json.dumps({"time": name}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self.end()
            return {"error": f"its process ended with {code}"}
        reply: dict[str, object] = json.loads(line)
        return reply


def measure(
    workers: Sequence[Worker], names: Iterable[str], rounds: int
) -> dict[str, list[Timings]]:
    """Return each worker's timings of each benchmark, asked in turns; failed ones are left out."""
    found = {name: [Timings() for _ in workers] for name in names}
    for turn in range(rounds):
        if turn % -(-rounds // PROCESSES) == 0:
            for worker in workers:
                worker.end()
        for name, timings in found.items():
            if any(t.error for t in timings):
                continue
            pairs = list(zip(workers, timings, strict=True))
            for worker, timing in pairs if turn % 2 == 0 else pairs[::-1]:
                timing.add(worker.ask(name))
    return found


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in this repository."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def find_commit(revision: str) -> str:
    """Return the hash of a revision's commit; empty if there is none."""
    name = revision + "^{commit}"
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", name).stdout.strip()


class BuildError(Exception):
    """A commit does not build; the message is the build's output."""


def end_group(process: subprocess.Popen[str]) -> None:
    """End a build with all it started, so that nothing writes any more."""
    # Not SIGKILL: ninja's compilers are in groups of their own, and only ninja can end them.
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    with suppress(ProcessLookupError):
        for _ in range(50):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def build(commit: str, folder: Path) -> Path:
    """Install a commit in its own directory, without dependencies, and return that."""
    archive, tree, target = (folder / name for name in ("tree.zip", "tree", "installed"))
    folder.mkdir()
    git("archive", f"--output={archive}", commit).check_returncode()
    shutil.unpack_archive(archive, tree)
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)]
    if all(map(importlib.util.find_spec, ("scikit_build_core", "pybind11"))):
        command.append("--no-build-isolation")
    with subprocess.Popen(
        [*command, str(tree)],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            end_group(process)
            raise
    if process.returncode:
        raise BuildError(output)
    return target


def environment(target: Path) -> dict[str, str]:
    """Return an environment in which ``python -P -S`` imports the package in `target`.

    It also has our dependencies. Without `site` (-S) no editable install can come before them.
    """
    ours = [path for path in sys.path if path and Path(path) != WORKER.parent]
    paths = [str(target), *ours, str(WORKER.parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def measure_builds(
    targets: Sequence[Path], sample: Path, size: Size
) -> dict[str, tuple[Pair, Pair | None]]:
    """Return both measurements of each benchmark; only suspects have a second one."""
    python = [sys.executable, "-P", "-S"]
    write = [*python, "-c", WRITE_INPUTS, str(sample), str(size.sample), str(size.accounts)]
    # If head writes no sample, books or cubes, the benchmarks that read them say so.
    subprocess.run(write, env=environment(targets[1]), check=False)

    with ExitStack() as stack:
        workers = []
        for target in targets:
            command = [*python, str(WORKER), str(target), str(sample)]
            workers.append(stack.enter_context(Worker(command, environment(target))))
        first = measure(workers, BENCHMARKS, size.rounds)
        suspects = [name for name, pair in first.items() if is_suspect(pair)]
        if suspects:
            print(f"measured again: {', '.join(suspects)}", flush=True)
        again = measure(workers, suspects, 2 * size.rounds)
    return {name: (pair, again.get(name)) for name, pair in first.items()}


def table(verdicts: dict[str, Verdict]) -> list[str]:
    """Return the lines of the table."""
    lines = [f"{'benchmark':24}{'base ms':>9}{'head ms':>9}{'ratio':>7}{'noise':>7}  verdict"]
    for name, said in verdicts.items():
        numbers = " " * 32
        if shown := said.shown:
            numbers = f"{shown.base * 1e3:9.1f}{shown.head * 1e3:9.1f}"
            numbers += f"{shown.ratio:7.2f}{shown.noise:7.0%}"
        lines.append(f"{name:24}{numbers}  {said.text}")
    return lines


def main() -> int:
    """Build, measure, print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", nargs="?", help="a commit (default: HEAD~1)")
    parser.add_argument("head", nargs="?", default="HEAD", help="a commit (default: HEAD)")
    parser.add_argument("--rounds", type=int, help="timings of each; suspects get twice as many")
    parser.add_argument("--small", action="store_true", help="smaller books, fewer rounds")
    parser.add_argument(
        "--fail-above", type=float, default=0.30, help="the loss that fails (default: 0.30)"
    )
    options = parser.parse_args()
    size = SMALL if options.small else FULL
    if options.rounds is not None:
        if options.rounds < FEWEST_ROUNDS:
            parser.error(f"--rounds: give {FEWEST_ROUNDS} or more; fewer cannot tell the noise")
        size = replace(size, rounds=options.rounds)
    names = (options.base or "HEAD~1", options.head)
    commits = [find_commit(name) for name in names]
    if options.base is None and commits[1] and not commits[0]:
        print("no commit before HEAD here (the first one, or a shallow clone): nothing to compare")
        return 0
    for name, commit in zip(names, commits, strict=True):
        if not commit:
            parser.error(f"{name} is not a commit of this repository")
    for side, commit in zip(("base", "head"), commits, strict=True):
        print(f"{side} {git('log', '-1', '--format=%h %s', commit).stdout.strip()}", flush=True)
    if git("diff", "--quiet", *commits, "--", *SOURCES).returncode == 0:
        print("nothing that runs has changed")
        return 0
    print("(commits: what is not committed is not measured)", flush=True)
    with tempfile.TemporaryDirectory(prefix="crossmargin-compare-") as temporary:
        folder = Path(temporary)
        try:
            head = build(commits[1], folder / "head")
        except BuildError as error:
            print(f"{error}\nhead does not build")
            return 1
        try:
            base = build(commits[0], folder / "base")
        except BuildError as error:
            print(f"{error}\nbase does not build: nothing to compare with")
            return 0
        measured = measure_builds((base, head), folder / "sample", size)
    verdicts = {name: judge(*pairs, options.fail_above) for name, pairs in measured.items()}
    print("\n".join(table(verdicts)))
    if all(head.error for (_, head), _ in measured.values()):
        print("head runs no benchmark")
        return 1
    return int(any(said.failed for said in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
