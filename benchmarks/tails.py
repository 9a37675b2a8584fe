"""How fast the engine finds every account's tails, compared with what users would pick instead.

One command: ``python benchmarks/tails.py`` prints the table of tiers S, M and L and the sections
beside it, ``--tier L`` that of one tier, ``--figure pass`` only one of the figures, ``--xl`` adds
tier XL in batches, and ``--write`` writes ``benchmarks/README.md``. Every answer is compared with
the engine's; nothing fails for being slow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import generator
import machine
import numpy as np
import peers
from cases import FIGURES, PASS_UNIONS, Case, pass_case, pass_measures
from report import (
    PEER_SECONDS,
    VARIANTS,
    Figures,
    Result,
    Row,
    figures_section,
    move_section,
    on_threads,
    report,
    scale,
    section_of,
    sizes,
    table,
    verdict,
)

import crossmargin as xm
from crossmargin.engine import default_threads

SETTLE = 0.25
"""Seconds of rest before each timing, in which threads of the previous one stop spinning."""
RELATIVE = 1e-9
README = Path(__file__).with_name("README.md")
KEPT_SECTIONS = ("Allocation",)
SECTIONS = {"move": "market_move", "latency": "latency", "process": "whole_process"}
"""Figures from other modules: each has a function `measure` that returns them by name."""


def measure(case: Case, full: bool, *, beside: bool, rounds: int, threads: int) -> Result:
    """Return timings of ours and, if asked for, of peers, in turns after a checked first call."""
    contenders: dict[str, Callable[[], list[peers.Answer]]] = {
        on_threads(count): partial(case.ours, full, count)
        for count in sorted({1, threads}, reverse=True)
    }
    absent = {}
    problem = case.problem()
    for name, (peer, _) in peers.PEERS.items() if beside else ():
        if reason := peers.missing(name):
            absent[name] = reason
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
    return Result(case, full, rows + [Row(name, [], reason) for name, reason in absent.items()])


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


def stream() -> Figures:
    """Return tier XL's seconds in each mode and number of threads, and the peak memory."""
    tier, measures = generator.TIERS["XL"], pass_measures()
    for m in measures:
        m.prepare(tier.accounts)  # Once, and outside the timings, as for all figures.
    total: Figures = {}
    making = 0.0

    def batches() -> Iterator[xm.Book]:
        nonlocal making
        books = generator.batches(tier)
        while True:
            begin = time.perf_counter()
            book = next(books, None)
            making += time.perf_counter() - begin
            if book is None:
                return
            total["lines"] += len(book.column)
            yield book

    sums = set()
    for full in (False, True):
        for threads in sorted({1, default_threads()}):
            total["lines"] = making = 0.0
            begin = time.perf_counter()
            answers = xm.segment_tails_batches(
                batches(),
                measures,
                segments=2,
                unions=PASS_UNIONS,
                threads=threads,
                es=full,
                scenarios=full,
            )
            sums.add(sum(float(answer.var.sum()) for answer in answers))
            total[f"{full} {threads}"] = time.perf_counter() - begin - making
    if len(sums) > 1:
        raise AssertionError("the answers depend on the threads or on what is asked for")
    # Not getrusage: its maximum includes that of the process that started this one.
    total["rss"] = float(machine.proc_field("self/status", "VmHWM").removesuffix(" kB")) * 1024.0
    return total


def apart(section: str) -> Figures:
    """Return the figures of a section, measured in another process."""
    command = [sys.executable, __file__, "--apart", section]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def measure_section(section: str) -> Figures:
    """Return the figures of a section, measured in this process."""
    if section == "xl":
        return stream()
    figures: Figures = import_module(SECTIONS[section]).measure()
    return figures


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", action="append", choices=("S", "M", "L"))
    parser.add_argument("--figure", action="append", choices=(*FIGURES, *SECTIONS))
    parser.add_argument("--xl", action="store_true", help="also take tier XL in batches (minutes)")
    parser.add_argument("--write", action="store_true", help=f"write {README.name}")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each (default: 5)")
    parser.add_argument("--apart", choices=("xl", *SECTIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.apart:
        print(json.dumps(measure_section(options.apart)))
        return
    tiers = [generator.TIERS[name] for name in options.tier or ("S", "M", "L")]
    wanted = options.figure or [*FIGURES, *SECTIONS]
    threads = default_threads()
    limits = machine.measure(threads)
    results = []

    def add(case: Case, full: bool, beside: bool) -> None:
        # Small tiers are fast and noisy: they get more rounds.
        rounds = options.rounds if case.accounts > 1000 else 2 * options.rounds
        result = measure(case, full, beside=beside, rounds=rounds, threads=threads)
        results.append(result)
        print("\n".join(["", *table(result, limits)]), flush=True)

    print("\n".join(limits.lines()), flush=True)
    for tier in tiers:
        for figure in (name for name in FIGURES if name in wanted):
            case = FIGURES[figure](tier)
            for full in (False, True):
                add(case, full, figure == "pass" or tier.name == "L")
    if "pass" in wanted and "L" in {tier.name for tier in tiers}:
        large = generator.TIERS["L"]
        book = generator.make_book(large)
        copies, hedged = generator.with_copies(book), generator.with_hedges(book)
        for full in (False, True):
            add(pass_case(large, copies, VARIANTS[0]), full, False)
        add(pass_case(large, hedged, VARIANTS[1]), False, False)
    sections = {name: apart(name) for name in SECTIONS if name in wanted}
    xl = apart("xl") if options.xl else None
    # Other jobs on the machine hide its limits, so the better of two measurements counts.
    limits = limits.best_of(machine.measure(threads))
    print("\n".join(["", *limits.lines()]), flush=True)
    found = sizes(results, xl, threads)
    move = sections.get("move")
    closing = [
        *figures_section("Latency", sections.get("latency")),
        "",
        *(move_section(move) if move else figures_section("Market move", None)),
        "",
        *figures_section("Whole process", sections.get("process")),
        "",
        *scale(found, xl),
        "",
        *verdict(results, limits, found, xl, threads),
    ]
    print("\n".join(["", *closing]))
    if options.write:
        # Sections that other benchmarks have put there stay.
        for title in KEPT_SECTIONS:
            if kept := section_of(README.read_text(), title):
                closing += ["", *kept]
        again = " ".join(["python benchmarks/tails.py", *sys.argv[1:]])
        README.write_text("\n".join(report(again, limits, results, closing)) + "\n")


if __name__ == "__main__":
    main()
