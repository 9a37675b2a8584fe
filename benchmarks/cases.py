"""The cases of the benchmarks: a book, and the tails to find for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import generator
import numpy as np
import peers

import crossmargin as xm
from crossmargin.conventions import CME, FICC, UNIONS

PASS_UNIONS = [[0], [1], [0, 1]]
"""Cash, futures, both."""
LEVEL, LAST_ROWS = 0.99, 500


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


@cache
def cubes() -> dict[str, xm.Cube]:
    """Return the cubes, made once and outside the timings, as users make them."""
    stressed = generator.make_pnl(2, generator.STRESS_SCENARIOS, turmoil=2.0)
    pnl = {FICC: generator.make_pnl(0), CME: generator.make_pnl(1), "stressed": stressed}
    return {name: xm.Cube(values) for name, values in pnl.items()}


def pass_measures() -> list[xm.Measure]:
    """Return the measures of the pass: one on each cube."""
    return [xm.Measure(cubes()[ccp], LEVEL) for ccp in (FICC, CME)]


def pass_case(tier: generator.Tier, book: xm.Book | None = None, name: str = "Pass") -> Case:
    """Return the pass: two cubes, cash and futures, alone and together."""
    book = generator.make_book(tier) if book is None else book
    return Case(name, tier, book, 2, [Call(pass_measures(), PASS_UNIONS)])


def run_case(tier: generator.Tier) -> Case:
    """Return what a run computes under the default policy for accounts with all four segments."""
    book = generator.make_book(tier, segments=4)
    return Case("Run set", tier, book, 4, run_calls(*cubes().values()))


def run_calls(ficc: xm.Cube, cme: xm.Cube, stressed: xm.Cube) -> list[Call]:
    """Return the calls of a run under the default policy."""
    last = slice(ficc.scenarios - LAST_ROWS, None)
    return [
        Call([xm.Measure(ficc, LEVEL), xm.Measure(ficc, LEVEL, last)], UNIONS[FICC]),
        Call([xm.Measure(cme, LEVEL), xm.Measure(stressed, LEVEL)], UNIONS[CME]),
    ]


FIGURES: dict[str, Callable[[generator.Tier], Case]] = {"pass": pass_case, "run": run_case}
