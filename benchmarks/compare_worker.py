"""One revision's side of `compare.py`: the benchmarks, and a loop that times one on request.

A request is a line of standard input, ``{"time": name}``; the answer is a line of standard output,
``{"seconds": s, "answer": hash}`` or ``{"error": reason}``. The first request for a benchmark sets
it up and calls it once, untimed, for the hash. The package is imported where it is used, so that a
revision which lacks something fails in that benchmark alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import csv

PASS_UNIONS = [[0], [1], [0, 1]]
TRADED = "ZNU26"
"""A contract of the sample."""
ONE_BY_ONE, QUESTIONS_AN_ACCOUNT = 25, 3
ALLOCATED = 50

Call = Callable[[], Sequence[Any]]


class Inputs:
    """The inputs of the benchmarks, each made when first used.

    Parameters
    ----------
    sample : Path
        The files of a synthetic market and book, and the books and cubes of tails, the same for
        both revisions.
    """

    def __init__(self, sample: Path) -> None:
        self.sample = sample

    def book(self, name: str, columns: int) -> Any:
        """Return a book of tails."""
        from crossmargin.engine import Book

        with np.load(self.sample / f"{name}.npz") as of:
            return Book.from_arrays(of["pointer"], of["column"], of["quantity"], columns)

    def cubes(self, kind: str, names: Sequence[str]) -> list[Any]:
        """Return cubes of a kind: `real`, `noise` (off the grid) or `wide` (real ones)."""
        from crossmargin.engine import Cube

        return [Cube(np.load(self.sample / f"{kind}_{name}.npy")) for name in names]

    @cached_property
    def market(self) -> Any:
        """The market of the sample's files."""
        import crossmargin as xm

        path = self.sample / "par_yields.csv"
        as_of = str(csv.read_csv(path)["date"][-1])
        # An older revision may have the older name.
        read = xm.read_market if hasattr(xm, "read_market") else xm.Market.read
        return read(path, as_of=as_of, basis=self.sample / "basis.csv")

    @cached_property
    def moved(self) -> Any:
        """The finished run's market, with the factors of its policy, after a move of the curve."""
        from crossmargin.market.curve import Curve

        market = self.finished.stages.models.market
        return market.with_curve(Curve(market.as_of, market.curve.log_df * 1.001))

    def rules(self, ccp: str) -> tuple[Any, Any]:
        """Return the finished run's policy, and which days are scenarios at a clearing house."""
        policy = self.finished.stages.models.policy
        # Before periods of stress by clearing house the days were the same at both.
        own = policy.scenarios_of(ccp) if hasattr(policy, "scenarios_of") else policy.scenarios
        return policy, own

    @cached_property
    def kept(self) -> dict[str, Any]:
        """The store that keeps scenarios between moves; in older revisions the market does."""
        from crossmargin.market import scenarios

        store = getattr(scenarios, "ScenarioStore", None)
        return {} if store is None else {"store": store()}

    def run(self, policy: str | None = None) -> Any:
        """Run the sample's book, from its files."""
        import crossmargin as xm

        names = ("positions", "accounts", "securities")
        files: dict[str, Any] = {name: self.sample / f"{name}.csv" for name in names}
        return xm.run(**files, market=self.market, policy=policy)

    @cached_property
    def finished(self) -> Any:
        """A finished run."""
        return self.run()


def find_pass(inputs: Inputs, full: bool, book: str = "pass", kind: str = "real") -> Call:
    """Two cubes, cash and futures, alone and together: six tails an account."""
    import crossmargin as xm
    from crossmargin.conventions import CME, FICC

    cubes = inputs.cubes(kind, (FICC, CME))
    held, measures = inputs.book(book, cubes[0].instruments), [xm.Measure(cube) for cube in cubes]

    def call() -> Sequence[Any]:
        tails = xm.segment_tails(
            held, measures, segments=2, unions=PASS_UNIONS, es=full, scenarios=full
        )
        return (tails.var, tails.es) if full else (tails.var,)

    return call


def find_run_set(inputs: Inputs) -> Call:
    """Find the tails that a run finds, over the portfolios of both clearing houses."""
    import crossmargin as xm
    from crossmargin.conventions import CME, FICC, UNIONS

    ficc, cme, stressed = inputs.cubes("real", (FICC, CME, "stressed"))
    book, last = inputs.book("run", ficc.instruments), slice(ficc.scenarios - 500, None)
    calls = [
        ([xm.Measure(ficc), xm.Measure(ficc, scenarios=last)], UNIONS[FICC]),
        ([xm.Measure(cme), xm.Measure(stressed)], UNIONS[CME]),
    ]
    find = partial(xm.segment_tails, book, segments=4, es=False, scenarios=False)
    return lambda: [find(measures, unions=unions).var for measures, unions in calls]


def move_ficc(inputs: Inputs) -> Call:
    """Evaluate sensitivities for the universe of the sample after a move: `engine.taylor`."""
    from crossmargin.conventions import FICC
    from crossmargin.margin.ficc.var import ficc_cube

    universe = inputs.finished.stages.models.universe
    (policy, days), market, kept = inputs.rules(FICC), inputs.moved, inputs.kept
    return lambda: [ficc_cube(universe, market, policy.ficc, days, **kept).pnl]


def move_cme(inputs: Inputs) -> Call:
    """Revalue the universe of the sample after a move: `engine.revalue`."""
    from crossmargin.conventions import CME
    from crossmargin.margin.cme.historical import cme_cubes

    universe = inputs.finished.stages.models.universe
    (policy, days), market, kept = inputs.rules(CME), inputs.moved, inputs.kept

    def call() -> Sequence[Any]:
        cme, stressed, _ = cme_cubes(universe, market, policy.cme, days, **kept)
        # Before periods of stress by clearing house this was a cube.
        return cme.pnl, getattr(stressed, "cube", stressed).pnl

    return call


def ask_one_by_one(inputs: Inputs) -> Call:
    """Ask for some hypothetical trades, a call each."""
    from crossmargin import Session

    session = Session(inputs.finished)
    asked = [(name, {TRADED: 5}) for name in session.accounts[:ONE_BY_ONE]]
    return lambda: [str(session.what_if(*question)["requirement"]) for question in asked]


def ask_at_once(inputs: Inputs) -> Call:
    """Ask for hypothetical trades of every account in one call."""
    from crossmargin import Session

    session = Session(inputs.finished)
    trades = [{TRADED: 5 * number} for number in range(QUESTIONS_AN_ACCOUNT)]
    asked = [(name, trade) for name in session.accounts for trade in trades]
    return lambda: [str(session.what_ifs(asked).to_arrow()["requirement"].to_pylist())]


def choose_futures(inputs: Inputs) -> Call:
    """Choose the futures to move in some accounts, with a bound for each."""
    from crossmargin import allocate

    finished = inputs.finished
    names = finished.accounts.to_arrow()["account"].to_pylist()[:ALLOCATED]
    return lambda: [str(allocate(finished, names).lines.to_arrow()["crossed_after"].to_pylist())]


def run(inputs: Inputs, policy: str) -> Call:
    """Run the sample's book whole: files in, tables out."""
    return lambda: [json.dumps(inputs.run(policy).manifest["results"], sort_keys=True)]


BENCHMARKS: dict[str, Callable[[Inputs], Call]] = {
    "pass, VaR only": partial(find_pass, full=False),
    "pass, all": partial(find_pass, full=True),
    "pass, wide": partial(find_pass, full=False, book="wide", kind="wide"),
    "pass, noise": partial(find_pass, full=False, kind="noise"),
    "run set, VaR only": find_run_set,
    "market move, FICC cube": move_ficc,
    "market move, CME cubes": move_cme,
    "what-if, one by one": ask_one_by_one,
    "what-ifs at once": ask_at_once,
    "allocation": choose_futures,
    # By name, since revisions may differ in their default. Older ones lack the second version.
    "run, first version": partial(run, policy="cme-ficc-2026-04-30"),
    "run, second version": partial(run, policy="cme-ficc-2026-11-30"),
    "run, first version by scan ranges": partial(run, policy="cme-ficc-2026-04-30-span"),
    "run, second version by scan ranges": partial(run, policy="cme-ficc-2026-11-30-span"),
}


def digest(answer: Sequence[Any]) -> str:
    """Return a short hash of arrays and texts."""
    found = hashlib.sha256()
    for part in answer:
        found.update(part.tobytes() if isinstance(part, np.ndarray) else part.encode())
    return found.hexdigest()[:8]


class Timer:
    """Times benchmarks by name, and keeps those that are set up."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._ready: dict[str, tuple[Call, str]] = {}

    def reply(self, name: str) -> dict[str, object]:
        """Return the seconds of one call and the hash of the answer, or the reason of a failure."""
        try:
            if name not in self._ready:
                call = BENCHMARKS[name](self._inputs)
                self._ready[name] = call, digest(call())
            call, answer = self._ready[name]
            begin = time.perf_counter()
            call()
            return {"seconds": time.perf_counter() - begin, "answer": answer}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


def main() -> None:
    """Answer requests until there are no more."""
    build, sample = sys.argv[1:]
    # Output of a benchmark must not be mistaken for an answer.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import crossmargin

    if not Path(crossmargin.__file__).is_relative_to(build):
        raise ImportError(f"{crossmargin.__file__} is not in {build}")
    timer = Timer(Inputs(Path(sample)))
    for line in sys.stdin:
        print(json.dumps(timer.reply(json.loads(line)["time"])), file=replies, flush=True)


if __name__ == "__main__":
    main()
