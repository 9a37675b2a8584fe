"""The cases of the benchmarks: a book, and the tails to find for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import generator
import numpy as np
import peers
from universe import HEADLINE, STRESSED, Size, real

import crossmargin as xm
from crossmargin.conventions import CME, FICC, UNIONS

PASS_UNIONS = [[0], [1], [0, 1]]
"""Cash, futures, both."""
LEVEL, LAST_ROWS = 0.99, 500
OFF_GRID = 1.0000001
"""A factor that moves P&L off the grid and hardly changes it."""
NOISE = "Pass, noise"


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
        """Operations of the products of book and cubes, by definition: 2 * nnz * S each."""
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

    def fresh(self) -> Case:
        """Return the same on copies of the cubes, which have no screens yet."""
        made = {id(m.cube): xm.Cube(m.cube.pnl) for call in self.calls for m in call.measures}
        calls = [
            replace(call, measures=[replace(m, cube=made[id(m.cube)]) for m in call.measures])
            for call in self.calls
        ]
        return replace(self, calls=calls)

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


def pass_measures(size: Size = HEADLINE) -> list[xm.Measure]:
    """Return the measures of the pass: one on each clearing house's real cube."""
    return [xm.Measure(real(size).cubes[ccp], LEVEL) for ccp in (FICC, CME)]


def pass_case(
    tier: generator.Tier,
    book: xm.Book | None = None,
    name: str = "Pass",
    measures: list[xm.Measure] | None = None,
) -> Case:
    """Return the pass: two cubes, cash and futures, alone and together."""
    book = generator.make_book(tier) if book is None else book
    measures = pass_measures(tier.size) if measures is None else measures
    return Case(name, tier, book, 2, [Call(measures, PASS_UNIONS)])


def copies_case(tier: generator.Tier) -> Case:
    """Return the pass with half of the accounts multiples of others."""
    return pass_case(tier, generator.with_copies(generator.make_book(tier)), "Pass with copies")


def hedged_case(tier: generator.Tier) -> Case:
    """Return the pass with cash and futures against each other in every account."""
    instruments = real(tier.size).instruments
    book = generator.with_hedges(generator.make_book(tier), instruments)
    return pass_case(tier, book, "Pass, hedged")


def factors_case(tier: generator.Tier) -> Case:
    """Return the pass on random factors and moves of each instrument's own, on the grid."""
    book = generator.make_book(tier, instruments=generator.random_instruments())
    cubes = [xm.Cube(generator.random_pnl(model)) for model in range(2)]
    return pass_case(tier, book, "Pass, random factors", _measures(cubes))


def off_grid_case(tier: generator.Tier) -> Case:
    """Return the pass on the real cubes, moved off the grid."""
    cubes = [xm.Cube(real(tier.size).cubes[ccp].pnl * OFF_GRID) for ccp in (FICC, CME)]
    return pass_case(tier, None, "Pass, off the grid", _measures(cubes))


def noise_case(tier: generator.Tier) -> Case:
    """Return the pass on pure noise off the grid, which no factors explain."""
    instruments = real(tier.size).instruments
    cubes = [xm.Cube(generator.noise_pnl(model, instruments)) for model in range(2)]
    return pass_case(tier, None, NOISE, _measures(cubes))


def _measures(cubes: list[xm.Cube]) -> list[xm.Measure]:
    """Return a measure on the whole of each cube."""
    return [xm.Measure(cube, LEVEL) for cube in cubes]


def run_case(tier: generator.Tier) -> Case:
    """Return what a run computes under the default policy for accounts with all four segments."""
    book = generator.make_book(tier, segments=4)
    made = real(tier.size)
    return Case("Run set", tier, book, 4, run_calls(made.cubes, made.periods))


def run_calls(cubes: dict[str, xm.Cube], periods: Sequence[slice]) -> list[Call]:
    """Return the calls of a run under the default policy."""
    ficc, stressed = cubes[FICC], cubes[STRESSED]
    last = slice(ficc.scenarios - LAST_ROWS, None)
    return [
        Call([xm.Measure(ficc, LEVEL), xm.Measure(ficc, LEVEL, last)], UNIONS[FICC]),
        Call(
            [xm.Measure(cubes[CME], LEVEL), *(xm.Measure(stressed, LEVEL, p) for p in periods)],
            UNIONS[CME],
        ),
    ]


FIGURES: dict[str, Callable[[generator.Tier], Case]] = {"pass": pass_case, "run": run_case}
VARIANTS: dict[str, Callable[[generator.Tier], Case]] = {
    "copies": copies_case,
    "hedged": hedged_case,
    "factors": factors_case,
    "off_grid": off_grid_case,
    "noise": noise_case,
}
"""Other books and other cubes, for the pass."""
RANDOM = ("factors", "noise")
"""The variants on random cubes, which peers run too."""
