"""What the benchmarks print: tables, sections and verdicts, as Markdown."""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import generator
import machine
from cases import NOISE, Case
from generator import SCENARIOS
from levels import COMMON, WIDER, measured
from peers import PEERS, versions
from universe import HEADLINE, LEGS, WIDE

from crossmargin.engine import default_threads, info
from crossmargin.policies.policy import DEFAULT

PEER_SECONDS = 6.0
"""Seconds after which a peer's timings in one case end."""
THREAD_SHARE, XL_GIB = 0.9, 0.3
LINEAR = 1.5
"""Largest ratio of the time of a line on tier XL to that on tier M."""
OURS, FIRST_CALL = "crossmargin", "first call on new cubes"
MODES = ("VaR only", "VaR, ES, scenarios, weights")


@dataclass(frozen=True)
class Target:
    """How many times faster than the best peer a figure must be, and what it aims at."""

    case: str
    tier: str
    full: bool
    least: float
    aim: float | None = None
    level: str = COMMON


TARGETS = (
    Target("Pass", "L", False, 10.0, 14.0),
    Target("Pass", "L", True, 8.0),
    Target("Run set", "L", False, 10.0),
    Target("Run set", "L", True, 10.0),
    Target("Pass", "M", False, 8.0),
    Target("Pass", "S", False, 2.5),
    Target("Pass", "W", False, 25.0, 60.0),
    Target(NOISE, "L", False, 6.0),
    Target("Pass", "L", False, 11.0, 16.0, WIDER),
)

Figures = dict[str, float]


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
        The reason it did not run, or how far its answers are from ours.
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
    """A case in one mode, timed: ours by level, on all threads and on one; then peers on all."""

    case: Case
    full: bool
    rows: list[Row]

    @property
    def what(self) -> str:
        """The case and the mode, in words."""
        return f"{self.case.name}, {MODES[self.full]}"

    def ours(self, level: str, threads: int | None = None) -> Row:
        """Return our row at a level, on all threads unless told otherwise."""
        threads = default_threads() if threads is None else threads
        return next(row for row in self.rows if row.who == ours_name(level, threads))

    def insert(self, rows: list[Row]) -> None:
        """Add rows of ours after those that are there."""
        last = sum(row.who.startswith(OURS) for row in self.rows)
        self.rows[last:last] = rows

    @property
    def peers(self) -> list[Row]:
        """The rows of the peers that ran."""
        return [row for row in self.rows if row.who in PEERS and row.seconds]


def ours_name(level: str, threads: int) -> str:
    """Return our name with the instruction set and the number of threads."""
    return f"{OURS}, {level}, {threads} thread{'s' if threads > 1 else ''}"


def table(result: Result, limits: machine.Machine) -> list[str]:
    """Return a case's table as Markdown."""
    case = result.case
    faster = " | ".join(f"{level} is faster by (best, median)" for level in measured())
    text = [
        f"### {case.name}, tier {case.tier.name}, {MODES[result.full]}",
        "",
        f"{case.accounts:,} accounts, {case.lines:,} lines, {case.tails} tails an account.",
        "",
        f"| | best, ms | median, ms | accounts/s | {faster} | largest difference |",
        "|---" * (5 + len(measured())) + "|",
    ]
    for row in result.rows:
        if not row.seconds:
            text.append(f"| {row.who} | {row.note} |{' |' * (3 + len(measured()))}")
            continue
        mine = row.who.startswith(OURS)
        name = f"**{row.who}**" if mine else row.who
        ratios = ["" if mine else over(row, result.ours(level)) for level in measured()]
        text.append(
            f"| {name} | {row.best * 1e3:.1f} | {row.median * 1e3:.1f} "
            f"| {case.accounts / row.best:,.0f} | {' | '.join(ratios)} | {row.note} |"
        )
    return [*text, "", *operations(result, limits)]


def over(row: Row, ours: Row) -> str:
    """Return by how much ours is faster, best and median."""
    return f"{row.best / ours.best:.1f}, {row.median / ours.median:.1f}"


def operations(result: Result, limits: machine.Machine) -> list[str]:
    """Return how long the sums would take that the tails are defined by, beside our time."""
    if limits.float32 is None or limits.float64 is None:
        return []
    work = result.case.operations
    rates = " and ".join(
        f"{work / result.ours(level).best / 1e9:.0f} GFLOP/s at {level}" for level in measured()
    )
    return [
        f"The sums by definition, 2 * nnz * S over the cubes, are {work / 1e9:.1f} GFLOP: "
        f"{work / limits.float64.every * 1e3:.1f} ms at the float64 peak, "
        f"{work / limits.float32.every * 1e3:.1f} ms at the float32 peak. "
        f"{OURS} answers as if it made them at {rates}."
    ]


@dataclass(frozen=True)
class Size:
    """The pass on one tier in one mode: its size, and the seconds on one thread and on all."""

    tier: str
    level: str
    full: bool
    accounts: int
    lines: int
    one: float
    every: float

    @property
    def line(self) -> float:
        """Seconds a line, scenario and cube, on all threads."""
        return self.every / (self.lines * SCENARIOS * 2.0)

    @property
    def account(self) -> float:
        """Seconds an account, on all threads."""
        return self.every / self.accounts


def sizes(results: list[Result], xl: Figures | None, threads: int) -> list[Size]:
    """Return the pass from S to XL."""
    found = []
    for r in results:
        if r.case.name == "Pass":
            lines = (r.full, r.case.accounts, r.case.lines)
            for level in measured():
                one, every = (r.ours(level, count).best for count in (1, threads))
                found.append(Size(r.case.tier.name, level, *lines, one, every))
    if xl:
        accounts = generator.TIERS["XL"].accounts
        for full in (False, True):
            for level in measured():
                one, every = (xl[f"{full} {level} {count}"] for count in (1, threads))
                found.append(Size("XL", level, full, accounts, int(xl["lines"]), one, every))
    return found


def scale(found: list[Size], xl: Figures | None) -> list[str]:
    """Return the table and the plot of the pass from S to XL."""
    header = "| tier | mode | level | accounts | lines | one thread, ms | all, ms | accounts/s "
    header += "| ps a line, scenario, cube | us an account |"
    text = [
        "## S to XL",
        "",
        "The pass. The last two columns are the time on all threads, divided by lines x scenarios "
        "x cubes, and by accounts. The first of them would be constant if the sums were the only "
        "work. Each tail has work of its own, so it rises where an account has fewer lines. W has "
        f"{WIDE.instruments:,} instruments, the others {HEADLINE.instruments:,}.",
        "",
        header,
        "|---" * 10 + "|",
    ]
    for size in found:
        text.append(
            f"| {size.tier} | {MODES[size.full]} | {size.level} "
            f"| {size.accounts:,} | {size.lines:,} "
            f"| {size.one * 1e3:,.1f} | {size.every * 1e3:,.1f} "
            f"| {size.accounts / size.every:,.0f} | {size.line * 1e12:.1f} "
            f"| {size.account * 1e6:.2f} |"
        )
    level = measured()[0]
    text += ["", "```", f"ps a line, scenario and cube, VaR only, {level} (flat = linear)"]
    bars = [size for size in found if not size.full and size.level == level]
    longest = max((size.line for size in bars), default=1.0)
    text += [
        f"{size.tier:>2} {size.lines:>12,} lines {'#' * round(50 * size.line / longest)} "
        f"{size.line * 1e12:.1f}"
        for size in bars
    ]
    text.append("```")
    if xl:
        batches = -(-generator.TIERS["XL"].accounts // generator.BATCH)
        text += [
            "",
            f"XL is generated in {batches} batches while `xm.segment_tails_batches` measures it; "
            f"the time to generate it is not counted. The process uses at most "
            f"{xl['rss'] / 2**30:.2f} GiB of memory, Python and libraries included.",
        ]
    return text


def move_section(move: Figures) -> list[str]:
    """Return the section on a market move."""
    return [
        "## Market move",
        "",
        f"A new curve, then {move['instruments']:.0f} instruments and all cubes of both models "
        f"computed again: {move['cubes'] * 1e3:.0f} ms. With them the margin of the run-set book "
        f"of tier L, {move['accounts']:,.0f} accounts, from tails to requirements: "
        f"{move['margin'] * 1e3:.0f} ms. "
        f"No input is read again. Together {move['both'] * 1e3:.0f} ms, "
        f"{1.0 / move['both']:.2f} books/s on all threads.",
    ]


def figures_section(title: str, figures: Figures | None) -> list[str]:
    """Return a section of named figures; their names carry the units."""
    if figures is None:
        return [f"## {title}", "", "Not measured."]
    rows = [
        f"| {name} | {value:{',.0f' if value >= 1e4 else ',.4g'}} |"
        for name, value in figures.items()
    ]
    return [f"## {title}", "", "| | |", "|---|---|", *rows]


def verdict(
    results: list[Result],
    limits: machine.Machine,
    found: list[Size],
    xl: Figures | None,
    memory: Figures | None,
) -> list[str]:
    """Return the lines that say whether each target is met."""
    text = ["## Targets", ""]
    for target in TARGETS:
        text += against_peers(target, results)
    for result in results:
        if result.case.tier.name == "L" and result.case.name in ("Pass", "Run set"):
            text += against_threads(result, limits)
    text += linear(found)
    if xl:
        met = said(xl["rss"] < XL_GIB * 2**30)
        text.append(f"- {met}: XL in {xl['rss'] / 2**30:.2f} GiB; less than {XL_GIB} GiB.")
    if memory:
        peak, before = (memory[name] / 2**20 for name in ("peak", "before"))
        text.append(
            f"- memory: the pass of tier L with everything takes a process of its own to "
            f"{peak:,.0f} MiB, from {before:,.0f} MiB with book and cubes."
        )
    return text


def against_peers(target: Target, results: list[Result]) -> list[str]:
    """Return the line on how much faster ours is than the best peer; none if not measured."""
    # Where there is no AVX2 nor AVX-512, the one level there is stands for AVX2.
    level = target.level if target.level in measured() else measured()[0]
    if target.level == WIDER and level != WIDER:
        return []
    wanted = (target.case, target.tier, target.full)
    text = []
    for r in results:
        if (r.case.name, r.case.tier.name, r.full) != wanted or not r.peers:
            continue
        ours, rival = r.ours(level), min(r.peers, key=lambda row: row.best)
        ratio, middle = rival.best / ours.best, min(p.median for p in r.peers) / ours.median
        aim = "" if target.aim is None else f", aim {target.aim:.0f}"
        text.append(
            f"- {said(ratio >= target.least)}: {r.what}, tier {target.tier}, {level}: {ratio:.1f} "
            f"times faster than the best peer, {rival.who} (medians {middle:.1f}); at least "
            f"{target.least:g}{aim}."
        )
    return text


def against_threads(result: Result, limits: machine.Machine) -> list[str]:
    """Return the lines on what threads gain, at each level."""
    threads = default_threads()
    if threads == 1 or limits.float32 is None:
        return []
    text = []
    for level in measured():
        gain = result.ours(level, 1).best / result.ours(level).best
        part = gain / limits.float32.gain
        met = said(part >= THREAD_SHARE)
        if gain > 1.05 * threads:
            met = (
                "**not judged** (more than the threads can gain: the time of one thread was "
                "disturbed)"
            )
        text.append(
            f"- {met}: {result.what}, tier L, {level}: {threads} threads gain {gain:.2f}, "
            f"{part:.2f} of what the multiply-add probe gains ({limits.float32.gain:.2f}); at "
            f"least {THREAD_SHARE}."
        )
    return text


def linear(found: list[Size]) -> list[str]:
    """Return the line on growth with lines, VaR only; only XL is judged, by M."""
    level = measured()[0]
    line = {size.tier: size.line for size in found if not size.full and size.level == level}
    if not {"M", "XL"} <= set(line):
        return []
    shown = ", ".join(f"{tier} {value / line['M']:.2f}" for tier, value in line.items())
    return [
        f"- {said(line['XL'] <= LINEAR * line['M'])}: linear, VaR only, {level}: the time of a "
        f"line, scenario and cube on XL is at most {LINEAR} times that on M: {shown}."
    ]


def said(met: bool, otherwise: str = "missed") -> str:
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
        "kernels and the whole run. No benchmark fails because it is slow.",
        "",
        "## Protocol",
        "",
        "- **Pass**: two cubes, segments cash and futures, unions cash, futures, both: six tails "
        f"an account. **Run set**: the tails that a run computes under {DEFAULT} for accounts with "
        "all four segments: VaR and MMA (last 500 scenarios), HVaR and SVaR (a tail for each "
        "period of stress), each over the five margin portfolios of its clearing house.",
        *about_cubes(),
        "- Books: `generator.py`, with a fixed seed: log-normal positions, popular instruments "
        "first, basis and curve trades, 20% one-sided accounts (none in the run set). Accounts of "
        "tier W hold most of its instruments, as omnibus and house accounts and prime brokers do. "
        f"Accounts that are multiples of another: {copies}; in the variant with copies half are. "
        "In the hedged variant every account is long of cash and short of futures or the reverse, "
        "with the future nearest to each maturity and the basis points within 1%; accounts without "
        "cash are left out.",
        *about_levels(),
        f"- {OURS} and all peers run in one process, in turns, on the same arrays. Each first "
        "makes one call that is not timed, and its answer is compared with ours (relative, 1e-9 at "
        "most; the table has the largest difference of VaR and ES). Before each timing the process "
        "rests, so that threads of other libraries have stopped spinning. The tables show the best "
        "and the median of "
        f"{len(results[-1].rows[0].seconds)} timings, more on tier S (a slow peer stops after "
        f"{PEER_SECONDS:.0f} s, but makes at least two). Peers use {limits.cores} threads. They "
        "need `pip install scipy mkl sparse_dot_mkl numba torch`.",
        "- Not timed: making the cubes and the book's arrays, and compilation. Timed: everything "
        "from a book to its tails, including the matrices the peers build. Our screens of a cube "
        f"are made by the first call that is worth them. The rows `{FIRST_CALL}` have a new copy "
        "of the cubes in each timing, and so the time to make them too; the others do not.",
        "- The machine's limits are measured before and after, and the higher value counts. A peer "
        "that cannot run stays in the table with the reason.",
        "- Peers use float64, in block sizes chosen by short sweeps on tiers L and W: `peers.py`. "
        "Their lists of scenarios are made but not compared, because ties may be ordered either "
        "way.",
        "- The operations below each table are those of the definition: a multiply-add for each "
        f"line, scenario and cube. {OURS} makes most of them in narrower numbers, or none where "
        "it can prove that a scenario is not in the tail, so they say how much is answered in a "
        "second and not how near the machine's limit it is.",
        "",
        "## Machine",
        "",
        *limits.lines(),
        "",
        f"Engine {engine.backend}, {' and '.join(measured())}; {versions()}; Python "
        f"{sys.version.split()[0]}; load averages at the end {load}.",
        "",
        "## Tails",
    ]
    for result in results:
        text += ["", *table(result, limits)]
    return [*text, "", *closing]


def about_cubes() -> list[str]:
    """Return the lines on the instruments and their P&L."""
    return [
        "- Cubes: `universe.py`, as the engine makes them at FICC and at CME from the sample's "
        f"market under {DEFAULT}: {HEADLINE.cash:,} cash instruments and {HEADLINE.futures:,} "
        f"futures, {SCENARIOS:,} scenarios; in tier W {WIDE.cash:,} and {WIDE.futures:,}. "
        "Values are on the grid of 2^-20 USD. Cash is the sample's issues and more like them, with "
        f"{LEGS} forward cash legs of repos, which do not move at CME; futures "
        "are those of the next months. Three variants have other cubes. **Random factors**: three "
        "random factors and moves of each instrument's own, on the grid, with a book for its "
        "instruments. **Off the grid**: the real P&L times 1.0000001, so that sums are rounded and "
        "must be made in book order. **Noise**: of each instrument its own noise with fat tails, "
        "without factors and off the grid.",
    ]


def about_levels() -> list[str]:
    """Return the line on instruction sets, where two are measured."""
    if len(measured()) == 1:
        return []
    return [
        f"- {OURS} is measured with `XM_SIMD={COMMON}` and `XM_SIMD={WIDER}`, the peers once, with "
        f"what they choose. The {COMMON} rows are {COMMON.upper()} code on a machine that also has "
        "AVX-512. Its caches, its ports and its clock are not those of a machine that has AVX2 "
        "alone, where peers would also have AVX2 alone: do not read them as figures of one. The "
        f"sections on latency, a market move and the whole process are measured with {WIDER}."
    ]


def with_section(text: str, title: str, lines: list[str]) -> str:
    """Return a README in which a section has been replaced, or added at the end."""
    present = section_of(text, title)
    new = "\n".join(lines) + "\n"
    if not present:
        return f"{text.rstrip()}\n\n{new}"
    old = "\n".join(present)
    return text.replace(f"{old}\n", new, 1)


def section_of(text: str, title: str) -> list[str]:
    """Return the lines of a README's section, without blank ones at the end; none if absent."""
    lines = text.splitlines()
    if f"## {title}" not in lines:
        return []
    first = lines.index(f"## {title}")
    heads = (n for n in range(first + 1, len(lines)) if lines[n].startswith("## "))
    last = next(heads, len(lines))
    while not lines[last - 1].strip():
        last -= 1
    return lines[first:last]
