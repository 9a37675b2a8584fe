"""What the benchmarks print: tables, sections and verdicts, as Markdown."""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import generator
import machine
import peers
from cases import Case

from crossmargin.engine import info

PEER_SECONDS = 6.0
"""Seconds after which a peer's timings in one case end."""
GOAL, LEAST, PEAK_SHARE, THREAD_SHARE, XL_GIB = 10.0, 6.0, 1.0 / 3.0, 0.9, 3.0
LINEAR = 1.5
"""Largest ratio of the times of a line on tiers M, L and XL."""
OURS = "crossmargin"
MODES = ("VaR only", "VaR, ES, scenarios, weights")
VARIANTS = ("Pass with copies", "Pass, hedged")

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
    """A case in one mode, timed: ours on one thread and on all, then the peers on all."""

    case: Case
    full: bool
    rows: list[Row]

    @property
    def what(self) -> str:
        """The case and the mode, in words."""
        return f"{self.case.name}, {MODES[self.full]}"

    def row(self, who: str) -> Row:
        """Return the row of a contender."""
        return next(row for row in self.rows if row.who == who)


def on_threads(threads: int) -> str:
    """Return our name with the number of threads."""
    return f"{OURS}, {threads} thread{'s' if threads > 1 else ''}"


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
    """Return how near our time is to the machine's limit."""
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
        f"multiply-add from L2 (where one account is summed at a time), so {holds} would be the "
        "limit. "
        f"Ours runs at {case.operations / best / 1e9:.0f} GFLOP/s, "
        f"{100.0 * compute / best:.0f}% of the float32 peak."
    ]


@dataclass(frozen=True)
class Size:
    """The pass on one tier in one mode: its size, and the seconds on one thread and on all."""

    tier: str
    full: bool
    accounts: int
    lines: int
    one: float
    every: float

    @property
    def line(self) -> float:
        """Seconds a line, scenario and cube, on all threads."""
        return self.every / (self.lines * generator.SCENARIOS * 2.0)

    @property
    def account(self) -> float:
        """Seconds an account, on all threads."""
        return self.every / self.accounts


def sizes(results: list[Result], xl: Figures | None, threads: int) -> list[Size]:
    """Return the pass from S to XL."""
    found = []
    for r in results:
        if r.case.name == "Pass":
            one, every = (r.row(on_threads(count)).best for count in (1, threads))
            found.append(Size(r.case.tier.name, r.full, r.case.accounts, r.case.lines, one, every))
    if xl:
        accounts = generator.TIERS["XL"].accounts
        for full in (False, True):
            one, every = xl[f"{full} 1"], xl[f"{full} {threads}"]
            found.append(Size("XL", full, accounts, int(xl["lines"]), one, every))
    return found


def scale(found: list[Size], xl: Figures | None) -> list[str]:
    """Return the table and the plot of the pass from S to XL."""
    header = "| tier | mode | accounts | lines | one thread, ms | all, ms | accounts/s "
    header += "| ps a line, scenario, cube | us an account |"
    text = [
        "## S to XL",
        "",
        "The pass. The last two columns are the time on all threads, divided by lines x scenarios "
        "x cubes, and by accounts. The first of them would be constant if the sums were the only "
        "work. Each tail has work of its own, so it rises where an account has fewer lines.",
        "",
        header,
        "|---" * 9 + "|",
    ]
    for size in found:
        text.append(
            f"| {size.tier} | {MODES[size.full]} | {size.accounts:,} | {size.lines:,} "
            f"| {size.one * 1e3:,.1f} | {size.every * 1e3:,.1f} "
            f"| {size.accounts / size.every:,.0f} | {size.line * 1e12:.1f} "
            f"| {size.account * 1e6:.2f} |"
        )
    text += ["", "```", "ps a line, scenario and cube, VaR only (level = linear)"]
    bars = [size for size in found if not size.full]
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
    threads: int,
) -> list[str]:
    """Return the lines that say whether each target is met."""
    text = ["## Targets", ""]
    large = [r for r in results if r.case.tier.name == "L" and r.case.name not in VARIANTS]
    for result in large:
        text += against_peers(result, threads)
        if limits.float32 is not None:
            text += against_machine(result, limits.float32, threads)
    text += linear(found)
    if xl:
        met = said(xl["rss"] <= XL_GIB * 2**30, "missed")
        text.append(f"- {met}: XL in {xl['rss'] / 2**30:.2f} GiB; limit {XL_GIB:.0f} GiB.")
    return text


def against_peers(result: Result, threads: int) -> list[str]:
    """Return the lines on how much faster ours is than the best peer."""
    ours = result.row(on_threads(threads))
    beside = [row for row in result.rows if row.who in peers.PEERS and row.seconds]
    if not beside:
        return []
    rival = min(beside, key=lambda row: row.best)
    ratio, middle = rival.best / ours.best, min(r.median for r in beside) / ours.median
    met = said(ratio >= GOAL, "goal missed" if ratio >= LEAST else "missed, not done")
    return [
        f"- {met}: {result.what}: {ratio:.1f} times faster than the best peer, {rival.who} "
        f"(medians {middle:.1f}); goal {GOAL:.0f}, at least {LEAST:.0f}."
    ]


def against_machine(result: Result, float32: machine.Rate, threads: int) -> list[str]:
    """Return the lines on how near ours is to the machine's limits."""
    ours = result.row(on_threads(threads))
    share = result.case.operations / ours.best / float32.every
    met = said(share >= PEAK_SHARE, "missed")
    text = [f"- {met}: {result.what}: {100 * share:.0f}% of the float32 peak; aim 33%."]
    if threads > 1:
        gain = result.row(on_threads(1)).best / ours.best
        part = gain / float32.gain
        met = said(part >= THREAD_SHARE, "missed")
        if gain > 1.05 * threads:
            met = (
                "**not judged** (more than the threads can gain: the time of one thread was "
                "disturbed)"
            )
        text.append(
            f"- {met}: {result.what}: {threads} threads gain {gain:.2f}, {part:.2f} of what the "
            f"multiply-add probe gains ({float32.gain:.2f}); aim {THREAD_SHARE}."
        )
    return text


def linear(found: list[Size]) -> list[str]:
    """Return the line on linear growth with lines, from tier M on; S is shown but not judged."""
    line = {size.tier: size.line for size in found if not size.full}
    judged = {tier: line[tier] for tier in ("M", "L", "XL") if tier in line}
    if len(judged) < 2:
        return []
    least = min(judged.values())
    met = said(max(judged.values()) <= LINEAR * least, "missed")
    shown = ", ".join(f"{tier} {value / least:.2f}" for tier, value in judged.items())
    small = f" (S {line['S'] / least:.2f})" if "S" in line else ""
    return [
        f"- {met}: linear, VaR only: the time of a line, scenario and cube is as {shown}{small}; "
        f"aim within {LINEAR}."
    ]


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
        "kernels and the whole run. No benchmark fails because it is slow.",
        "",
        "## Protocol",
        "",
        "- **Pass**: two cubes, segments cash and futures, unions cash, futures, both: six tails "
        "an account. **Run set**: the tails that a run computes under cme-ficc-2026-04-30 for "
        "accounts with all four segments: VaR and MMA (last 500 scenarios), HVaR and SVaR (250 "
        "stressed scenarios), each over the five margin portfolios of its clearing house.",
        "- Book and cubes: `generator.py`, with a fixed seed: 450 cash instruments and 150 "
        "futures, 2,750 scenarios, log-normal positions, popular instruments first, basis and "
        "curve trades, 20% one-sided accounts (none in the run set). Accounts that are multiples "
        f"of another: {copies}; in the variant with copies half are. In the hedged variant every "
        "account is long of cash and short of futures or the reverse, with a future for each "
        "maturity and the basis points within 1%; accounts without cash are left out.",
        f"- {OURS} and all peers run in one process, in turns, on the same arrays. Each first "
        "makes one call that is not timed, and its answer is compared with ours (relative, 1e-9 at "
        "most; the table has the largest difference of VaR and ES). Before each timing the process "
        "rests, so that threads of other libraries have stopped spinning. The tables show the best "
        "and the median of "
        f"{len(results[-1].rows[0].seconds)} timings, more on tier S (a slow peer stops after "
        f"{PEER_SECONDS:.0f} s, but makes at least two). Peers use {limits.cores} threads. They "
        "need `pip install scipy mkl sparse_dot_mkl numba torch`.",
        "- Not timed: making the cubes (with our screens) and the book's arrays, and compilation. "
        "Timed: everything from a book to its tails, including the matrices the peers build.",
        "- The machine's limits are measured before and after, and the higher value counts. A peer "
        "that cannot run stays in the table with the reason.",
        "- Peers use float64, in block sizes chosen by a short sweep on tier L: `peers.py`. Their "
        "lists of scenarios are made but not compared, because ties may be ordered either way.",
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
