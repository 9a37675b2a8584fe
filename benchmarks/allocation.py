"""How good and how fast `xm.allocate` is, beside rules of thumb and general solvers.

``python benchmarks/allocation.py`` prints the section of ``benchmarks/README.md``, ``--write``
puts it there, ``--small`` takes books of 300 accounts, ``--book sample`` one book only. The exact
judge decides: every choice is margined by the full calculation. SciPy's solver is left out, with a
line, if SciPy is not there, and the real issues without their data. An account for which another
choice is better is named; nothing fails for being slow.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest import mock

import numpy as np
from allocation_books import books, missing
from allocation_rules import RULES, Desk, absent, evolve, relax
from report import said, with_section

import crossmargin as xm
from crossmargin.calculation.unused import unused_saving
from crossmargin.engine import default_threads
from crossmargin.optimise import search
from crossmargin.results.table import Table

README = Path(__file__).with_name("README.md")
TITLE = "Allocation"
EVOLVED, RELAXED, ASKED = 100, 30, 300
"""Accounts that the solvers get, and questions asked one by one; drawn at random."""
LONGER = 10
AT_ONCE, ONE_BY_ONE = "judged together", "`what_ifs`, one question a call"
SEED, RUNS = 7, 5
WITHIN, MEDIAN_GAP, HIGH_GAP, TIMES_FASTER, UNUSED_SHARE = 60.0, 0.01, 0.05, 20.0, 0.15
TARGET_ACCOUNTS = 20_000
MILLION_CENTS = 1e8
CLASSES = ("everything moved, capped", "others")


@dataclass(frozen=True)
class Rival:
    """What a rule or solver finds for some accounts, and whether ours must be at least as good."""

    name: str
    accounts: np.ndarray
    cents: np.ndarray
    seconds: float
    counts: bool = True


@dataclass
class Measured:
    """One book, measured.

    Attributes
    ----------
    name : str
    desk : Desk
    allocation : Allocation
    ours : ndarray of int64, [A]
        Cents after our choice, by the judge.
    seconds : dict of int to float
        Of `allocate` for the whole book, by number of threads.
    rivals : list of Rival
    candidates : float
        Choices judged by the search, an account with a choice.
    asked : dict of str to float
        Seconds a question.
    run_seconds, unused_seconds : float
        Of a run, and what it spends on the unused saving.
    """

    name: str
    desk: Desk
    allocation: xm.Allocation
    ours: np.ndarray
    seconds: dict[int, float]
    rivals: list[Rival] = field(default_factory=list)
    candidates: float = 0.0
    asked: dict[str, float] = field(default_factory=dict)
    run_seconds: float = 0.0
    unused_seconds: float = 0.0


def measure(name: str, inputs: dict[str, object], threads: int) -> Measured:
    """Measure one book."""
    run = xm.run(**inputs)
    desk = Desk(run, threads)
    names = run.accounts.to_arrow()["account"].to_pylist()
    # The first call of all compiles and fills caches.
    xm.allocate(run, names[:20])
    seconds, found = {}, None
    for count in sorted({1, threads}):
        begin = time.perf_counter()
        again = xm.allocate(run, threads=count)
        seconds[count] = time.perf_counter() - begin
        if found is not None and not again.lines.to_arrow().equals(found.lines.to_arrow()):
            sys.exit(f"{name}: the answer depends on the threads")
        found = again
    result = Measured(name, desk, found, ours(desk, found), seconds)
    for rule, choose in RULES.items():
        begin = time.perf_counter()
        choice = choose(desk)
        taken = time.perf_counter() - begin
        result.rivals.append(Rival(rule, desk.deciding, desk.judge(desk.deciding, choice), taken))
    result.rivals += solvers(result)
    result.candidates = candidates(run) / desk.accounts.size
    result.asked = asked(desk)
    result.run_seconds, result.unused_seconds = unused(inputs)
    return result


def ours(desk: Desk, found: xm.Allocation) -> np.ndarray:
    """Return what each account pays after our choice, cents; the judge must agree with the table.

    The choice is put together from the table of lines, as a user would.
    """
    table, lines = found.lines.to_arrow(), desk.lines
    names = desk.run.accounts.to_arrow()["account"].to_pylist()
    universe = desk.models.universe.name
    keys = zip(lines.account.tolist(), lines.instrument.tolist(), strict=True)
    place = {(names[account], universe[i]): n for n, (account, i) in enumerate(keys)}
    rows = zip(table["account"].to_pylist(), table["instrument"].to_pylist(), strict=True)
    choice = lines.crossed.copy()
    choice[[place[row] for row in rows]] = table["crossed_after"].to_numpy()
    cents = desk.judge(desk.accounts, choice)
    told = found.accounts.to_arrow()["requirement_after"].to_pylist()
    if [int(told[account] * 100) for account in desk.accounts.tolist()] != cents.tolist():
        sys.exit("the judge does not agree with the table of accounts")
    whole = np.full(lines.ptr.size - 1, -1)
    whole[desk.accounts] = cents
    return whole


def solvers(result: Measured) -> list[Rival]:
    """Return what general solvers find for some of the accounts with cross-margined cash."""
    desk = Desk(result.desk.run, 1)
    deciding = desk.deciding
    each = result.seconds[1] / deciding.size
    longer = f"SciPy differential evolution, {LONGER} times the time"
    tasks: list[tuple[str, str, int, Callable[[int], int]]] = [
        (
            "SciPy differential evolution, same time",
            "scipy",
            EVOLVED,
            partial(evolve, desk, seconds=each),
        ),
        (
            longer,
            "scipy",
            EVOLVED,
            partial(evolve, desk, seconds=LONGER * each),
        ),
        ("HiGHS, linear relaxation, rounded", "highspy", RELAXED, partial(relax, desk)),
    ]
    found = []
    for name, package, count, solve in tasks:
        if reason := absent(package):
            print(f"{name}: left out, {reason}", file=sys.stderr)
            continue
        rng = np.random.default_rng([SEED, count])
        some = np.sort(rng.choice(deciding, min(count, deciding.size), replace=False))
        begin = time.perf_counter()
        cents = np.array([solve(account) for account in some.tolist()])
        taken = time.perf_counter() - begin
        found.append(Rival(name, some, cents, taken, counts=name != longer))
    return found


def candidates(run: xm.RunResult) -> int:
    """Return how many choices the search judges."""
    judged, judge = [], search.requirement_after

    def counting(lines: object, models: object, account: np.ndarray, *rest: object) -> object:
        judged.append(account.size)
        return judge(lines, models, account, *rest)

    with mock.patch.object(search, "requirement_after", counting):
        xm.allocate(run)
    return sum(judged)


def asked(desk: Desk) -> dict[str, float]:
    """Return the seconds of the same questions: judged together, and by a session one by one.

    Each is one random choice of one account, on one thread. All must get the same answers.
    """
    desk = Desk(desk.run, 1)
    lines, rng = desk.lines, np.random.default_rng(SEED)
    account = np.sort(rng.choice(desk.deciding, ASKED))
    at = lines.lines_of(account)
    choice = rng.integers(lines.lower[at], lines.upper[at] + 1)
    names = desk.run.accounts.to_arrow()["account"].to_pylist()
    universe = desk.models.universe.name
    end = np.cumsum(lines.count[account])
    session = xm.Session(desk.run, threads=1)
    questions = []
    for number, (first, last) in enumerate(zip(end - lines.count[account], end, strict=True)):
        step = choice[first:last] - lines.crossed[at[first:last]]
        legs = zip(universe[lines.instrument[at[first:last]]], step.tolist(), strict=True)
        moves = {name: contracts for name, contracts in legs if contracts}
        questions.append((names[account[number]], {}, moves))
    begin = time.perf_counter()
    cents = desk.cents(account, choice)
    together = time.perf_counter() - begin
    begin = time.perf_counter()
    answers = [session.what_ifs([question]) for question in questions]
    one_by_one = time.perf_counter() - begin
    told = [int(answer.to_arrow()["requirement"][0].as_py() * 100) for answer in answers]
    if told != cents.tolist():
        sys.exit("the session does not agree with the judge")
    for account_name, trades, _ in questions:
        session.what_if(account_name, trades)
    begin = time.perf_counter()
    for account_name, trades, moves in questions:
        session.what_if(account_name, trades, moves=moves)
    resident = time.perf_counter() - begin
    return {
        AT_ONCE: together / ASKED,
        ONE_BY_ONE: one_by_one / ASKED,
        "`what_if`, of a cached account": resident / ASKED,
    }


def unused(inputs: dict[str, object]) -> tuple[float, float]:
    """Return the seconds of a run, and those it spends on the unused saving; of the best of some.

    Timed in the run, since the difference of two runs' times is smaller than their noise.
    """
    found, spent = [], []

    def timed(*arguments: object) -> object:
        begin = time.perf_counter()
        answer = unused_saving(*arguments)
        spent.append(time.perf_counter() - begin)
        return answer

    # Not the name in the package, which is the function `run`.
    module = import_module("crossmargin.calculation.run")
    with mock.patch.object(module, "unused_saving", timed):
        for _ in range(RUNS):
            begin = time.perf_counter()
            xm.run(**inputs)
            found.append(time.perf_counter() - begin)
    best = int(np.argmin(found))
    return found[best], spent[best]


def rules_table(result: Measured) -> list[str]:
    """Return the table of rules and solvers, beside ours on the same accounts."""
    text = [
        "| beside | accounts | their calls, million USD | ours, million USD | ours pays less by "
        "| share of their calls | ours better on | ours worse on | ms an account |",
        "|---" * 9 + "|",
    ]
    for rival in result.rivals:
        theirs, mine = rival.cents, result.ours[rival.accounts]
        gain = int(theirs.sum()) - int(mine.sum())
        text.append(
            f"| {rival.name} | {theirs.size:,} | {theirs.sum() / MILLION_CENTS:,.3f} "
            f"| {mine.sum() / MILLION_CENTS:,.3f} | {gain / MILLION_CENTS:,.3f} "
            f"| {gain / max(int(theirs.sum()), 1):.2%} "
            f"| {np.count_nonzero(theirs > mine):,} | {np.count_nonzero(theirs < mine):,} "
            f"| {rival.seconds / rival.accounts.size * 1e3:,.2f} |"
        )
    return text


def violations(result: Measured) -> list[str]:
    """Return a line for each account for which a rule or solver in the same time is better."""
    names = result.desk.run.accounts.to_arrow()["account"].to_pylist()
    return [
        f"- worse than `{rival.name}`: account {names[account]}: "
        f"{result.ours[account] / 100:,.2f}, not {theirs / 100:,.2f}"
        for rival in result.rivals
        if rival.counts
        for account, theirs in zip(rival.accounts.tolist(), rival.cents.tolist(), strict=True)
        if theirs < result.ours[account]
    ]


def gaps(result: Measured) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return gap and `optimal` of the accounts of each class."""
    table = result.allocation.accounts.to_arrow()
    gap = np.array(table["gap"].to_pylist(), dtype=np.float64)
    optimal = np.array([bool(x) for x in table["optimal"].to_pylist()])
    capped = np.array([bool(x) for x in table["capped_after"].to_pylist()])
    of_lines = result.allocation.lines.to_arrow()
    total, after = (of_lines[name].to_numpy() for name in ("total", "crossed_after"))
    partly = set(of_lines["account"].filter(total != after).to_pylist())
    names = table["account"].to_pylist()
    whole = np.array([name not in partly for name in names])
    deciding = result.desk.deciding
    first = (whole & capped)[deciding]
    parts = {
        CLASSES[0]: deciding[first],
        CLASSES[1]: deciding[~first],
        "all with cross-margined cash": deciding,
    }
    return {name: (gap[at], optimal[at]) for name, at in parts.items() if at.size}


def gap_table(result: Measured) -> list[str]:
    """Return the table of gaps by class."""
    text = [
        "| accounts | | proved optimal | median gap | 75th percentile | 95th | largest |",
        "|---" * 7 + "|",
    ]
    for name, (gap, optimal) in gaps(result).items():
        at = (f"{value:.3%}" for value in np.percentile(gap, (50, 75, 95, 100)))
        text.append(f"| {name} | {gap.size:,} | {optimal.mean():.1%} | {' | '.join(at)} |")
    return text


def speed_table(result: Measured) -> list[str]:
    """Return the times, and those of the same search by a session's answers."""
    size, deciding = result.ours.size, result.desk.deciding.size
    each = result.seconds[1] / result.desk.accounts.size
    text = ["| | |", "|---|---|"]
    for threads, seconds in result.seconds.items():
        text += [
            f"| whole book, {threads} thread{'s' if threads > 1 else ''}, s | {seconds:,.2f} |",
            f"| an account with cross-margined cash, ms | {seconds / deciding * 1e3:,.2f} |",
        ]
        if size != TARGET_ACCOUNTS:
            scaled = seconds * TARGET_ACCOUNTS / size
            text.append(f"| scaled to {TARGET_ACCOUNTS:,} accounts, s | {scaled:,.1f} |")
    text.append(f"| choices judged, an account with a choice | {result.candidates:,.0f} |")
    for name, seconds in result.asked.items():
        text.append(f"| one choice, {name}, us | {seconds * 1e6:,.1f} |")
        if name.startswith("`"):
            ratio = seconds * result.candidates / each
            text.append(f"| a search's choices by it, over ours with its proof | {ratio:,.1f} |")
    told = of_accounts(result.desk.run.accounts, "unused_saving")
    found = of_accounts(result.allocation.accounts, "unused_saving")
    return [
        *text,
        f"| unused saving that a run tells, million USD | {told / 1e6:,.3f} |",
        f"| that `allocate` finds | {found / 1e6:,.3f} |",
        f"| a run, ms | {result.run_seconds * 1e3:,.1f} |",
        f"| of it the unused saving | {result.unused_seconds * 1e3:,.1f} |",
    ]


def of_accounts(table: Table, name: str) -> float:
    """Return the sum of a column in USD."""
    return float(sum(value for value in table.to_arrow()[name].to_pylist() if value is not None))


def verdict(result: Measured, threads: int) -> list[str]:
    """Return the lines that say whether each target is met."""
    gap, _ = gaps(result)["all with cross-margined cash"]
    middle, high = np.percentile(gap, (50, 95))
    worse = violations(result)
    share = result.unused_seconds / result.run_seconds
    scaled = result.seconds[threads] * TARGET_ACCOUNTS / result.ours.size
    ratio = result.asked[ONE_BY_ONE] / result.asked[AT_ONCE]
    return [
        f"- {said(not worse, 'missed')}: {len(worse)} accounts pay more than by a rule, or "
        "by a solver in the same time.",
        *worse[:20],
        f"- {said(middle < MEDIAN_GAP, 'missed')}: median gap {middle:.3%}; aim {MEDIAN_GAP:.0%}.",
        f"- {said(high < HIGH_GAP, 'missed')}: 95th percentile of the gap {high:.2%}; "
        f"aim {HIGH_GAP:.0%}.",
        f"- {said(scaled <= WITHIN, 'missed')}: {TARGET_ACCOUNTS:,} such accounts in "
        f"{scaled:,.0f} s on {threads} threads; aim {WITHIN:.0f}.",
        f"- {said(ratio >= TIMES_FASTER, 'missed')}: the choices of a search are judged "
        f"{ratio:.0f} times faster than by `what_ifs` one by one; aim {TIMES_FASTER:.0f}.",
        f"- {said(share <= UNUSED_SHARE, 'missed')}: the unused saving takes {share:.1%} of a run; "
        f"at most {UNUSED_SHARE:.0%}.",
    ]


def section(results: list[Measured], threads: int) -> list[str]:
    """Return the section of the README."""
    text = [
        f"## {TITLE}",
        "",
        f"Made by `{' '.join(['python benchmarks/allocation.py', *sys.argv[1:]])}`. Every choice "
        "is judged by the full calculation after the moves. Sums and shares are those of the "
        "accounts with cross-margined cash; where there is none, nothing can be set off. The large "
        "book is by the sample's generator with another seed. The real issues are fixed-coupon "
        "Treasuries and par yields as published, with positions by the same generator. Solvers run "
        "on one thread, on accounts drawn at random, for as long as ours takes for an account on "
        "average; differential evolution finishes its first population, which has today's choice, "
        "everything and nothing, whatever the time. The linear program puts expected "
        "shortfall in place of VaR and knows only the scenarios near a tail.",
    ]
    if absences := missing():
        text += ["", f"The real issues are not measured: no {', '.join(absences)}."]
    for result in results:
        lines = result.desk.lines.count[result.desk.deciding]
        text += [
            "",
            f"### {result.name[:1].upper()}{result.name[1:]}",
            "",
            f"{result.ours.size:,} accounts, {result.desk.accounts.size:,} with futures that may "
            f"be moved, {result.desk.deciding.size:,} of them with cross-margined cash and "
            f"{statistics.median(lines.tolist()):.0f} lines in the median, at most {lines.max()}.",
            "",
            *rules_table(result),
            "",
            *gap_table(result),
            "",
            *speed_table(result),
            "",
            *verdict(result, threads),
        ]
    return text


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="books of 300 accounts")
    parser.add_argument("--book", action="append", help="only this book")
    parser.add_argument("--write", action="store_true", help=f"put it in {README.name}")
    options = parser.parse_args()
    threads = default_threads()
    results = []
    for name, inputs in books(options.small).items():
        if options.book and name not in options.book:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        results.append(measure(name, inputs, threads))
        print("\n".join(["", *verdict(results[-1], threads)]), file=sys.stderr, flush=True)
    text = section(results, threads)
    print("\n".join(text))
    if options.write:
        README.write_text(with_section(README.read_text(), TITLE, text))


if __name__ == "__main__":
    main()
