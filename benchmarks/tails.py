"""How fast the engine finds every account's tails, beside what users would pick instead.

One command: ``python benchmarks/tails.py`` prints the table of tiers S, M and L, ``--tier L`` that
of one, ``--figure pass`` only one of the two figures, ``--xl`` adds tier XL, streamed in batches by
a process of its own, and ``--write`` writes ``benchmarks/README.md``. Every answer is compared with
the engine's; nothing fails on time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import generator
import machine
import numpy as np
import peers

import crossmargin as xm
from crossmargin.engine import default_threads, info
from crossmargin.margin.pots import CME, FICC, UNIONS

PASS_UNIONS = [[0], [1], [0, 1]]
"""Cash, futures, both."""
LEVEL, LAST_ROWS = 0.99, 500
SETTLE = 0.25
"""Seconds of rest before each timing, in which the threads of the one before stop spinning."""
PEER_SECONDS = 6.0
"""Timings of a peer in one case end after so long."""
GOAL, LEAST, PEAK_SHARE, THREAD_SHARE, XL_GIB = 10.0, 6.0, 1.0 / 3.0, 0.9, 3.0
RELATIVE = 1e-9
README = Path(__file__).with_name("README.md")
OURS = "crossmargin"
MODES = ("VaR only", "VaR, ES, scenarios, weights")


@dataclass(frozen=True)
class Call:
    """One call of `segment_tails`: measures on one or more cubes, and unions."""

    measures: list[xm.Measure]
    unions: list[list[int]]


@dataclass(frozen=True)
class Case:
    """A figure on one tier: a book and the calls that answer it."""

    name: str
    tier: generator.Tier
    book: xm.Book
    segments: int
    calls: list[Call]

    @property
    def accounts(self) -> int:
        """The number of accounts."""
        return self.book.rows // self.segments

    @property
    def lines(self) -> int:
        """The number of lines of the book."""
        return len(self.book.column)

    @property
    def operations(self) -> float:
        """Floating-point operations of the products of book and cubes: 2 * nnz * S each."""
        cubes = {id(m.cube): m.cube.scenarios for call in self.calls for m in call.measures}
        return 2.0 * self.lines * sum(cubes.values())

    @property
    def tails(self) -> int:
        """The number of tails of an account."""
        return sum(len(call.measures) * len(call.unions) for call in self.calls)

    def ours(self, full: bool, threads: int) -> list[peers.Answer]:
        """Answer with the engine."""
        answers = []
        for call in self.calls:
            tail = xm.segment_tails(
                self.book,
                call.measures,
                segments=self.segments,
                unions=call.unions,
                threads=threads,
                es=full,
                scenarios=full,
            )
            for number in range(len(call.measures)):
                es = np.empty(0) if tail.es is None else tail.es[:, :, number]
                at = np.empty(0, np.int32) if tail.scenario is None else tail.scenario[number]
                answers.append(peers.Answer(tail.var[:, :, number], es, at))
        return answers

    def problem(self) -> peers.Problem:
        """Return the same question as the peers get it: one job for each cube."""
        jobs = []
        for call in self.calls:
            for cube in {id(m.cube): m.cube for m in call.measures}.values():
                windows = [
                    peers.Window(m.start, m.start + m.count, m.k, m.weight)
                    for m in call.measures
                    if m.cube is cube
                ]
                jobs.append(peers.Job(cube.pnl, call.unions, windows))
        book = self.book
        return peers.Problem(book.row_ptr, book.column, book.quantity, self.segments, jobs)


@dataclass(frozen=True)
class Row:
    """The times of one contender in one case and mode.

    Attributes
    ----------
    who : str
        The contender.
    seconds : list of float
        One for each timing; empty if it did not run.
    note : str
        Why it did not run, or how far its answers are from ours.
    """

    who: str
    seconds: list[float]
    note: str = ""

    @property
    def best(self) -> float:
        """The least time."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Result:
    """A case in one mode, timed: ours on one thread and on all, then the peers on all."""

    case: Case
    full: bool
    rows: list[Row]

    def row(self, who: str) -> Row:
        """Return the row of a contender."""
        return next(row for row in self.rows if row.who == who)


@cache
def cubes() -> dict[str, xm.Cube]:
    """Return the cubes, as users make them: once, outside the timings."""
    stressed = generator.make_pnl(2, generator.STRESS_SCENARIOS, turmoil=2.0)
    pnl = {FICC: generator.make_pnl(0), CME: generator.make_pnl(1), "stressed": stressed}
    return {name: xm.Cube(values) for name, values in pnl.items()}


def pass_case(tier: generator.Tier, book: xm.Book | None = None, name: str = "Pass") -> Case:
    """Return the pass: two cubes, cash and futures, alone and together."""
    measures = [xm.Measure(cubes()[house], LEVEL) for house in (FICC, CME)]
    book = generator.make_book(tier) if book is None else book
    return Case(name, tier, book, 2, [Call(measures, PASS_UNIONS)])


def run_case(tier: generator.Tier) -> Case:
    """Return what a run computes under the default policy for accounts with all four segments."""
    ficc, cme, stressed = cubes().values()
    last = slice(ficc.scenarios - LAST_ROWS, None)
    calls = [
        Call([xm.Measure(ficc, LEVEL), xm.Measure(ficc, LEVEL, last)], UNIONS[FICC]),
        Call([xm.Measure(cme, LEVEL), xm.Measure(stressed, LEVEL)], UNIONS[CME]),
    ]
    return Case("Run set", tier, generator.make_book(tier, segments=4), 4, calls)


FIGURES: dict[str, Callable[[generator.Tier], Case]] = {"pass": pass_case, "run": run_case}


def on_threads(threads: int) -> str:
    """Return our name on some threads."""
    return f"{OURS}, {threads} thread{'s' if threads > 1 else ''}"


def measure(case: Case, full: bool, *, beside: bool, rounds: int, threads: int) -> Result:
    """Time ours and, if asked for, the peers: in turns, after one untimed call that is checked."""
    contenders: dict[str, Callable[[], list[peers.Answer]]] = {
        on_threads(count): partial(case.ours, full, count)
        for count in sorted({1, threads}, reverse=True)
    }
    absent = {}
    problem = case.problem()
    for name, (peer, _) in peers.PEERS.items() if beside else ():
        if why := peers.missing(name):
            absent[name] = why
        else:
            contenders[name] = partial(peer, problem, full, threads)
    expected = case.ours(full, threads)
    notes = {name: difference(expected, call(), full) for name, call in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, call in contenders.items():
            if name in peers.PEERS and turn >= 2 and sum(seconds[name]) > PEER_SECONDS:
                continue
            time.sleep(SETTLE)
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    rows = [Row(name, times, notes[name]) for name, times in seconds.items()]
    return Result(case, full, rows + [Row(name, [], why) for name, why in absent.items()])


def difference(expected: list[peers.Answer], found: list[peers.Answer], full: bool) -> str:
    """Return the largest relative difference of VaR and ES; raise if they are not the same."""
    worst = 0.0
    for ours, theirs in zip(expected, found, strict=True):
        pairs = [(ours.var, theirs.var)] + [(ours.es, theirs.es)] * full
        for a, b in pairs:
            worst = max(worst, float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1.0))))
    if not worst <= RELATIVE:
        raise AssertionError(f"answers differ by {worst:.1e}, more than {RELATIVE:.0e}")
    return f"{worst:.0e}" if worst else "0"


def stream() -> dict[str, float]:
    """Take tier XL through in batches; seconds of each mode and threads, and the peak memory."""
    tier = generator.TIERS["XL"]
    total = {"lines": 0.0, "build": 0.0}
    for book in generator.batches(tier):
        total["lines"] += len(book.column)
        begin = time.perf_counter()
        book = xm.Book.from_arrays(book.row_ptr, book.column, book.quantity, book.columns)
        total["build"] += time.perf_counter() - begin
        case = pass_case(tier, book)
        if "first" not in total:
            case.ours(True, 1)  # The cubes' screens are made once.
            total["first"] = 1.0
        for full in (False, True):
            for threads in sorted({1, default_threads()}):
                key = f"{full} {threads}"
                begin = time.perf_counter()
                case.ours(full, threads)
                total[key] = total.get(key, 0.0) + time.perf_counter() - begin
    # Not getrusage: its maximum begins with that of the process which started this one.
    total["rss"] = float(machine.proc_field("self/status", "VmHWM").removesuffix(" kB")) * 1024.0
    return total


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", action="append", choices=("S", "M", "L"))
    parser.add_argument("--figure", action="append", choices=FIGURES)
    parser.add_argument("--xl", action="store_true", help="also stream tier XL (a minute or two)")
    parser.add_argument("--write", action="store_true", help=f"write {README.name}")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each (default: 5)")
    parser.add_argument("--stream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream:
        print(json.dumps(stream()))
        return
    tiers = [generator.TIERS[name] for name in options.tier or ("S", "M", "L")]
    threads = default_threads()
    limits = machine.measure(threads)
    results = []

    def add(case: Case, full: bool, beside: bool) -> None:
        # Small tiers take no time: more rounds calm them.
        rounds = options.rounds if case.accounts > 1000 else 2 * options.rounds
        result = measure(case, full, beside=beside, rounds=rounds, threads=threads)
        results.append(result)
        print("\n".join(["", *table(result, limits)]), flush=True)

    print("\n".join(limits.lines()), flush=True)
    for tier in tiers:
        for figure in options.figure or FIGURES:
            case = FIGURES[figure](tier)
            for full in (False, True):
                add(case, full, figure == "pass" or tier.name == "L")
    if "pass" in (options.figure or FIGURES) and "L" in {tier.name for tier in tiers}:
        large = generator.TIERS["L"]
        copies = generator.with_copies(generator.make_book(large))
        for full in (False, True):
            add(pass_case(large, copies, "Pass with copies"), full, False)
    xl = None
    if options.xl:
        command = [sys.executable, __file__, "--stream"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        xl = json.loads(done.stdout)
    # Other jobs on the machine hide its limits: the better of the first and this last measurement.
    limits = limits.best_of(machine.measure(threads))
    print("\n".join(["", *limits.lines()]), flush=True)
    closing = [*scale(results, xl, threads), "", *verdict(results, limits, xl, threads)]
    print("\n".join(["", *closing]))
    if options.write:
        again = " ".join(["python benchmarks/tails.py", *sys.argv[1:]])
        README.write_text("\n".join(report(again, limits, results, closing)) + "\n")


def table(result: Result, limits: machine.Machine) -> list[str]:
    """Return a case's table as Markdown."""
    case, ours = result.case, result.rows[0]
    text = [
        f"### {case.name}, tier {case.tier.name}, {MODES[result.full]}",
        "",
        f"{case.accounts:,} accounts, {case.lines:,} lines, {case.tails} tails an account.",
        "",
        "| | best, ms | median, ms | accounts/s | ours is faster by (best, median) "
        "| largest difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in result.rows:
        if not row.seconds:
            text.append(f"| {row.who} | {row.note} | | | | |")
            continue
        mine = row.who.startswith(OURS)
        name, ratio = row.who, f"{row.best / ours.best:.1f}, {row.median / ours.median:.1f}"
        text.append(
            f"| {f'**{name}**' if mine else name} | {row.best * 1e3:.1f} | {row.median * 1e3:.1f} "
            f"| {case.accounts / row.best:,.0f} | {'' if mine else ratio} | {row.note} |"
        )
    return [*text, "", *roofline(result, limits)]


def roofline(result: Result, limits: machine.Machine) -> list[str]:
    """Return how near the limit ours is."""
    if limits.float32 is None:
        return []
    case, best = result.case, result.rows[0].best
    compute = case.operations / limits.float32.every
    # The screen's tile of a cube does not fit L1: each multiply-add reads four bytes of it from L2.
    load = 2.0 * case.operations / limits.read["L2"].every
    holds = "the L2 bandwidth" if load > compute else "the multiply-adds"
    return [
        f"Roofline: 2 * nnz * S over the cubes is {case.operations / 1e9:.1f} GFLOP: "
        f"{compute * 1e3:.1f} ms at the float32 peak, {load * 1e3:.1f} ms to read four bytes a "
        f"multiply-add from L2 (where one account is summed at a time), so {holds} would bind. "
        f"Ours runs at {case.operations / best / 1e9:.0f} GFLOP/s, "
        f"{100.0 * compute / best:.0f}% of the float32 peak."
    ]


def scale(results: list[Result], xl: dict[str, float] | None, threads: int) -> list[str]:
    """Return the table and the plot of the pass from S to XL."""
    text = ["## S to XL", ""]
    text.append(
        "The pass. The last column is the time on all threads over lines x scenarios x cubes. It "
        "would be level if the sums were all there is; each tail has work of its own, so it rises "
        "where an account has fewer lines."
    )
    header = "| tier | mode | accounts | lines | one thread, ms | all, ms | accounts/s "
    header += "| ps a line, scenario, cube |"
    text += ["", header, "|---" * 8 + "|"]
    bars = []
    points: list[tuple[str, bool, int, int, float, float]] = []
    for r in results:
        if r.case.name == "Pass":
            one, every = (r.row(on_threads(count)).best for count in (1, threads))
            points.append((r.case.tier.name, r.full, r.case.accounts, r.case.lines, one, every))
    if xl:
        accounts = generator.TIERS["XL"].accounts
        for full in (False, True):
            one, every = xl[f"{full} 1"], xl[f"{full} {threads}"]
            points.append(("XL", full, accounts, int(xl["lines"]), one, every))
    for name, full, accounts, lines, one, every in points:
        each = every / (lines * generator.SCENARIOS * 2.0)
        text.append(
            f"| {name} | {MODES[full]} | {accounts:,} | {lines:,} | {one * 1e3:,.1f} "
            f"| {every * 1e3:,.1f} | {accounts / every:,.0f} | {each * 1e12:.1f} |"
        )
        if not full:
            bars.append((f"{name:>2} {lines:>12,} lines", each * 1e12))
    text += ["", "```", "ps a line, scenario and cube, VaR only (level = linear)"]
    longest = max((value for _, value in bars), default=1.0)
    text += [f"{label} {'#' * round(50 * value / longest)} {value:.1f}" for label, value in bars]
    text.append("```")
    if xl:
        text += [
            "",
            f"XL came in {batch_count()} batches, validated ({xl['build']:.2f} s in all) and "
            f"answered one by one: {xl['rss'] / 2**30:.2f} GiB resident at most, both modes, "
            "Python and libraries included.",
        ]
    return text


def batch_count() -> int:
    """Return the number of batches of tier XL."""
    return -(-generator.TIERS["XL"].accounts // generator.BATCH)


def verdict(
    results: list[Result], limits: machine.Machine, xl: dict[str, float] | None, threads: int
) -> list[str]:
    """Say of each target whether it is met."""
    text = ["## Targets", ""]
    large = [r for r in results if r.case.tier.name == "L" and r.case.name != "Pass with copies"]
    for result in large:
        what = f"{result.case.name}, {MODES[result.full]}"
        ours = result.row(on_threads(threads))
        beside = [row for row in result.rows if row.who in peers.PEERS and row.seconds]
        if beside:
            rival = min(beside, key=lambda row: row.best)
            ratio, middle = rival.best / ours.best, min(r.median for r in beside) / ours.median
            met = said(ratio >= GOAL, "goal missed" if ratio >= LEAST else "missed, not done")
            text.append(
                f"- {met}: {what}: {ratio:.1f} times faster than the best peer, {rival.who} "
                f"(medians {middle:.1f}); goal {GOAL:.0f}, at least {LEAST:.0f}."
            )
        if limits.float32 is not None:
            share = result.case.operations / ours.best / limits.float32.every
            met = said(share >= PEAK_SHARE, "missed")
            text.append(f"- {met}: {what}: {100 * share:.0f}% of the float32 peak; aim 33%.")
            if threads > 1:
                gain = result.row(on_threads(1)).best / ours.best
                part = gain / limits.float32.gain
                met = said(part >= THREAD_SHARE, "missed")
                if gain > 1.05 * threads:
                    met = (
                        "**not told** (more than the threads can: one thread is disturbed or pays "
                        "for what two do not)"
                    )
                text.append(
                    f"- {met}: {what}: {threads} threads gain "
                    f"{gain:.2f}, {part:.2f} of what the multiply-add probe gains "
                    f"({limits.float32.gain:.2f}); aim {THREAD_SHARE}."
                )
    if xl:
        met = said(xl["rss"] <= XL_GIB * 2**30, "missed")
        text.append(f"- {met}: XL in {xl['rss'] / 2**30:.2f} GiB; limit {XL_GIB:.0f} GiB.")
    return text


def said(met: bool, otherwise: str) -> str:
    """Return the verdict in bold."""
    return f"**{'met' if met else otherwise}**"


def report(
    command: str, limits: machine.Machine, results: list[Result], closing: list[str]
) -> list[str]:
    """Return the README."""
    engine = info()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    books = {r.case.tier.name: r.case.book for r in results if r.case.name == "Pass"}
    copies = ", ".join(f"{name} {generator.count_copies(book)}" for name, book in books.items())
    text = [
        "# Benchmarks",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}. `pytest benchmarks` times single "
        "kernels and the whole run; nothing here fails on time.",
        "",
        "## Protocol",
        "",
        "- **Pass**: two cubes, segments cash and futures, unions cash, futures, both: six tails "
        "an account. **Run set**: the tails a run computes under the default policy for accounts "
        "with all four segments: VaR and MMA (last 500 scenarios), HVaR and SVaR (250 stressed "
        "scenarios), each over the five pots of its house.",
        "- Book and cubes: `generator.py`, seeded: 450 cash instruments and 150 futures, 2,750 "
        "scenarios, log-normal positions, popular instruments first, basis and curve trades, 20% "
        "one-sided accounts (none in the run set). Accounts that are multiples of another: "
        f"{copies}; in the variant with copies half are.",
        "- Ours and all peers run in one process, in turns, on the same arrays, after one untimed "
        "call whose answer is compared with ours (relative, 1e-9 at most; the table has the "
        "largest difference of VaR and ES). Before each timing the process rests, so that no other "
        "library's threads still spin. Best and median of "
        f"{len(results[-1].rows[0].seconds)} timings, more on tier S (a slow peer stops after "
        f"{PEER_SECONDS:.0f} s, never before two). Peers use {limits.cores} threads.",
        "- Set up outside the timings: cubes (with our screens), the book's arrays, compilation. "
        "Inside: everything from a book to its tails, the peers' matrices too.",
        "- The machine's limits are measured before and after, and the higher of the two stands. A "
        "peer that cannot run stays in the table with the reason.",
        "- Peers are in float64, in block sizes from a short sweep on tier L: `peers.py`. Their "
        "lists of scenarios are made but not compared: ties may fall either way.",
        "",
        "## Machine",
        "",
        *limits.lines(),
        "",
        f"Engine {engine.backend}, {engine.instruction_set}; {peers.versions()}; Python "
        f"{sys.version.split()[0]}; load averages at the end {load}.",
        "",
        "## Tails",
    ]
    for result in results:
        text += ["", *table(result, limits)]
    return [*text, "", *closing]


if __name__ == "__main__":
    main()
