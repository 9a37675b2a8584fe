"""How fast the engine finds every account's tails, compared with what users would pick instead.

One command: ``python benchmarks/tails.py`` prints the tables of tiers S, M, L and W and the
sections beside them, ``--tier L`` those of one tier, ``--figure pass`` only one of the figures,
``--xl`` adds tier XL in batches, and ``--write`` writes ``benchmarks/README.md``. Every answer is
compared with the engine's; nothing fails for being slow.
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
import levels
import machine
import numpy as np
import peers
from cases import FIGURES, PASS_UNIONS, RANDOM, VARIANTS, Case, pass_case, pass_measures
from report import (
    FIRST_CALL,
    PEER_SECONDS,
    Figures,
    Result,
    Row,
    figures_section,
    move_section,
    ours_name,
    report,
    scale,
    section_of,
    sizes,
    table,
    verdict,
)

import crossmargin as xm
from crossmargin.engine import default_threads, native

SETTLE = 0.25
"""Seconds of rest before each timing, in which threads of the previous one stop spinning."""
RELATIVE = 1e-9
TIERS = ("S", "M", "L", "W")
README = Path(__file__).with_name("README.md")
KEPT_SECTIONS = ("What each part gave", "Allocation")
SECTIONS = {"move": "market_move", "latency": "latency", "process": "whole_process"}
"""Figures from other modules: each has a function `measure` that returns them by name."""


def measure(case: Case, full: bool, *, beside: bool, rounds: int, threads: int) -> Result:
    """Return timings of ours and, if asked for, of peers, in turns after a checked first call."""
    contenders: dict[str, Callable[[], list[peers.Answer]]] = {
        ours_name(level, count): partial(ours, case, full, level, count)
        for level in levels.measured()
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
            seconds[name].append(timed(call))
    rows = [Row(name, times, notes[name]) for name, times in seconds.items()]
    rows += [Row(name, [], reason) for name, reason in absent.items()]
    return Result(case, full, rows)


def ours(case: Case, full: bool, level: str, threads: int) -> list[peers.Answer]:
    """Answer with the engine at an instruction set."""
    with levels.using(level):
        return case.ours(full, threads)


def first_calls(case: Case, full: bool, *, rounds: int, threads: int) -> list[Row]:
    """Return timings of calls on cubes that have no screens yet, which the call makes."""
    return [
        Row(
            f"{ours_name(level, threads)}, {FIRST_CALL}",
            [timed(partial(ours, case.fresh(), full, level, threads)) for _ in range(rounds)],
        )
        for level in levels.measured()
    ]


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call, after a rest."""
    time.sleep(SETTLE)
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


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
    """Return tier XL's seconds in each mode, at each level and on threads, and the peak memory."""
    tier, measures = generator.TIERS["XL"], pass_measures()
    for m in measures:
        # Once, and outside the timings, as for all figures.
        m.prepare(tier.accounts, native.level())
    machine.forget_peak_memory()
    total: Figures = {}
    sums = set()
    for full in (False, True):
        for level in levels.measured():
            for threads in sorted({1, default_threads()}):
                with levels.using(level):
                    seconds, lines, var = stream_once(tier, measures, full, threads)
                total["lines"], total[f"{full} {level} {threads}"] = lines, seconds
                sums.add(var)
    if len(sums) > 1:
        raise AssertionError("the answers depend on level, threads or what is asked for")
    total["rss"] = machine.peak_memory()
    return total


def stream_once(
    tier: generator.Tier, measures: list[xm.Measure], full: bool, threads: int
) -> tuple[float, float, float]:
    """Return seconds without those of making the book, lines of the book, and the sum of VaR."""
    making = lines = 0.0

    def batches() -> Iterator[xm.Book]:
        nonlocal making, lines
        books = generator.batches(tier)
        while True:
            begin = time.perf_counter()
            book = next(books, None)
            making += time.perf_counter() - begin
            if book is None:
                return
            lines += len(book.column)
            yield book

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
    var = sum(float(answer.var.sum()) for answer in answers)
    return time.perf_counter() - begin - making, lines, var


def pass_memory() -> Figures:
    """Return the memory of a process that makes the pass of tier L, bytes."""
    case = pass_case(generator.TIERS["L"])
    for call in case.calls:
        for m in call.measures:
            m.prepare(case.accounts, native.level())
    machine.forget_peak_memory()
    before = machine.memory()
    case.ours(True, default_threads())
    return {"before": before, "peak": machine.peak_memory()}


def apart(section: str) -> Figures:
    """Return the figures of a section, measured in another process."""
    command = [sys.executable, __file__, "--apart", section]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def measure_section(section: str) -> Figures:
    """Return the figures of a section, measured in this process."""
    if section in OWN_SECTIONS:
        return OWN_SECTIONS[section]()
    figures: Figures = import_module(SECTIONS[section]).measure()
    return figures


OWN_SECTIONS = {"xl": stream, "memory": pass_memory}
"""Figures of this module that are measured in a process of their own."""


def main() -> None:
    """Measure, print, and write if asked to."""
    options = parse_arguments()
    if options.apart:
        print(json.dumps(measure_section(options.apart)))
        return
    tiers = [generator.TIERS[name] for name in options.tier or TIERS]
    wanted = options.figure or [*FIGURES, *VARIANTS, *SECTIONS]
    threads = default_threads()
    limits = machine.measure(threads)
    print("\n".join(limits.lines()), flush=True)
    results = []
    for result in measure_tails(tiers, wanted, options.rounds, threads):
        results.append(result)
        print("\n".join(["", *table(result, limits)]), flush=True)
    sections = {name: apart(name) for name in SECTIONS if name in wanted}
    memory = apart("memory") if "pass" in wanted and generator.TIERS["L"] in tiers else None
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
        *verdict(results, limits, found, xl, memory),
    ]
    print("\n".join(["", *closing]))
    if options.write:
        # Sections that other benchmarks have put there stay.
        for title in KEPT_SECTIONS:
            if kept := section_of(README.read_text(), title):
                closing += ["", *kept]
        again = " ".join(["python benchmarks/tails.py", *sys.argv[1:]])
        README.write_text("\n".join(report(again, limits, results, closing)) + "\n")


def measure_tails(
    tiers: list[generator.Tier], wanted: list[str], rounds: int, threads: int
) -> Iterator[Result]:
    """Yield the figures of each tier in both modes, then the variants of tier L."""
    for tier in tiers:
        # Small tiers are fast and noisy: they get more rounds.
        turns = rounds if tier.lines * tier.accounts > 100_000 else 2 * rounds
        for figure in (name for name in FIGURES if name in wanted and runs(name, tier)):
            case = FIGURES[figure](tier)
            for full in (False, True):
                beside = figure == "pass" or tier.name == "L"
                result = measure(case, full, beside=beside, rounds=turns, threads=threads)
                if figure == "pass":
                    result.insert(first_calls(case, full, rounds=turns, threads=threads))
                yield result
    for name in (name for name in VARIANTS if name in wanted):
        if any(tier.name == "L" for tier in tiers):
            case, beside = VARIANTS[name](generator.TIERS["L"]), name in RANDOM
            for full in (False, True) if name == "copies" else (False,):
                yield measure(case, full, beside=beside, rounds=rounds, threads=threads)


def runs(figure: str, tier: generator.Tier) -> bool:
    """Return whether a tier has a figure: wide accounts have the pass alone."""
    return figure == "pass" or not tier.wide


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", action="append", choices=TIERS)
    parser.add_argument("--figure", action="append", choices=(*FIGURES, *VARIANTS, *SECTIONS))
    parser.add_argument("--xl", action="store_true", help="also take tier XL in batches (minutes)")
    parser.add_argument("--write", action="store_true", help=f"write {README.name}")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each (default: 5)")
    parser.add_argument("--apart", choices=(*OWN_SECTIONS, *SECTIONS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
