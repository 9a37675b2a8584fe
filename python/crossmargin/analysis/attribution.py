"""Why requirements changed between two runs: one cause after the other, to the cent.

Methodology, "Attribution".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.agreement.requirement import Requirements
from crossmargin.analysis.hybrids import (
    IN,
    INPUTS,
    MARKET,
    OUT,
    POLICY,
    POSITIONS,
    SIZES,
    STEPS,
    TIME,
    Hybrid,
    Rolled,
    between,
    hybrid_of,
    incomplete,
    inputs_that_change,
    required,
)
from crossmargin.arrays import Dates, Float, Integer, Mask
from crossmargin.book.trades import LOT
from crossmargin.calculation.rebuild import rebuild_run
from crossmargin.calculation.result import STAGES, RunResult, Stages, stages_of
from crossmargin.calculation.store import read_run
from crossmargin.conventions import CME, FICC
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.universe import FUTURE
from crossmargin.io.results import is_kept
from crossmargin.market.curve import NODE_NAMES, NODES, POINTS
from crossmargin.results.schemas.attribution import (
    AGREED,
    ATTRIBUTION,
    ATTRIBUTION_ACCOUNTS,
    ATTRIBUTION_BOOK,
    ATTRIBUTION_POSITIONS,
    ATTRIBUTION_SCENARIOS,
)
from crossmargin.results.table import Table, money

TOGETHER = "not told apart"
"""The change over steps between which an amount is unknown."""
ROWS = (*STEPS, TOGETHER)
"""The parts of every change."""
AMOUNTS = ("requirement", "ficc", "cme", "other_ccps")
TOLD = ("2", "5", "10", "30")
"""Nodes whose zero rates a note on the market tells."""
LISTED = 5
"""Most dates that a note lists."""


@dataclass(frozen=True)
class Attribution:
    """Why the requirements of a book changed between two runs.

    Attributes
    ----------
    book : Table
        A row per step, and one for what cannot be told apart: the change of the book's requirement
        and of its parts by clearing house, and what changed.
    accounts : Table
        A row per account: the requirement before and after, the change in each step, and the offset
        rate, what decides it and the rejected rows before and after.
    steps : Table
        A row per account and step: the change by clearing house.
    positions : Table
        The netted lines that differ, the largest change of DV01 of each account first.
    scenarios : Table
        Dates of the scenarios that left and came.
    before, after : dict
        The manifests of the runs.
    """

    book: Table
    accounts: Table
    steps: Table
    positions: Table
    scenarios: Table
    before: dict[str, Any]
    after: dict[str, Any]

    def account(self, name: str) -> Attribution:
        """Return the attribution of one account; its book is this account alone.

        Raises
        ------
        InputError
            Neither run has such an account.
        """
        mine = {}
        for table in ("accounts", "steps", "positions"):
            whole = getattr(self, table).to_arrow()
            mine[table] = whole.filter(pc.equal(whole["account"], columns.scalar(name)))
        if not len(mine["accounts"]):
            raise InputError(f"account {name!r} is in neither run")
        book = self.book.to_arrow()
        own = f"{len(mine['positions']):,} of its lines"
        what = [
            own if row["step"] == POSITIONS and row["what"] else row["what"]
            for row in book.to_pylist()
        ]
        cells = {"step": book["step"], "what": columns.text_column(what)}
        cells["accounts"] = pc.cast(
            pc.fill_null(pc.not_equal(mine["steps"]["requirement"], 0), False), pa.int64()
        )
        cells |= {column: mine["steps"][column] for column in AMOUNTS}
        return replace(
            self,
            book=Table(ATTRIBUTION_BOOK.table(cells)),
            accounts=Table(mine["accounts"]),
            steps=Table(mine["steps"]),
            positions=Table(mine["positions"]),
        )

    @cached_property
    def unknown(self) -> int:
        """Number of accounts whose change is not known: they are in no sum of the book."""
        return int(self.accounts["change"].null_count)

    def __repr__(self) -> str:
        """Return the days and the change of the book as text."""
        total = pc.sum(self.accounts["change"]).as_py() or 0
        return (
            f"<Attribution {self.before['as_of']} to {self.after['as_of']}: "
            f"{len(self.accounts):,} accounts, requirement {total:+,} USD>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.book._repr_html_()}"


def attribute(
    before: RunResult | str | Path, after: RunResult | str | Path, *, threads: int | None = None
) -> Attribution:
    """Return why each account's requirement changed between two runs.

    The positions, the day, the market, the scenarios, other inputs and the policy of `after` take
    the place of those of `before`, in this order. After each the whole book is margined again.

    Parameters
    ----------
    before, after : RunResult, or path
        Runs, or directories of their results. Where stages were not kept there, they are made again
        from the files that the run read. `before` is of the same day or an earlier one.
    threads : int, optional
        Default: as many as the process may use. The result does not depend on it.

    Returns
    -------
    Attribution

    Raises
    ------
    TypeError
        An argument is neither a run nor a path.
    ValueError
        A run has no stages.
    InputError
        A directory holds no results, or lacks stages that its inputs do not give again; or `before`
        is of a later day.

    Examples
    --------
    >>> attribute("yesterday", "today").book.to_pandas()  # doctest: +SKIP
    """
    runs = [_run(run, name, threads) for run, name in ((before, "before"), (after, "after"))]
    stages = [stages_of(run) for run in runs]
    days = [one.models.market.as_of for one in stages]
    if days[0] > days[1]:
        raise InputError(f"before is of {days[0]}, after of {days[1]}; give the earlier run first")
    sides = (hybrid_of(stages[0]), hybrid_of(stages[1]))
    lines = _Lines(stages[0], stages[1])
    made = between(*sides)
    same = lines.unchanged and incomplete(sides[0]) == incomplete(sides[1])
    changes = _changes(sides[0], made, positions=not same)
    names = _Names(sides[0], sides[1])
    amounts, failed = _amounts(stages, made, changes, names, Execution(threads))
    steps, known = _steps(amounts, changes)
    rolled = made[IN].scenarios
    dates = (rolled.left, rolled.new) if isinstance(rolled, Rolled) else ({}, {})
    what = _what(sides, made, changes, lines, names, dates)
    for step, reason in failed.items():
        what[TOGETHER] = (
            f"{what[TOGETHER]}; " if what[TOGETHER] else ""
        ) + f"after {step}: {reason}"
    return Attribution(
        Table(_book_table(steps, known, what)),
        Table(_account_table(names, amounts, steps, known, runs)),
        Table(_step_table(names, steps, known)),
        Table(lines.table(names.every)),
        Table(_scenario_table(*dates)),
        runs[0].manifest,
        runs[1].manifest,
    )


def _run(run: RunResult | str | Path, name: str, threads: int | None) -> RunResult:
    if isinstance(run, RunResult):
        return run
    if not isinstance(run, str | Path):
        raise TypeError(f"{name}: a run or a directory of results expected, got {run!r:.60}")
    return (read_run if is_kept(run, STAGES) else rebuild_run)(run, threads=threads)


class _Names:
    """The accounts of two runs: those of the earlier one in its order, then the new ones."""

    def __init__(self, before: Hybrid, after: Hybrid) -> None:
        self.before, self.after = (
            columns.texts(one.parsed.accounts["account"]).tolist() for one in (before, after)
        )
        old, new = set(self.before), set(self.after)
        self.came = [name for name in self.after if name not in old]
        self.gone = [name for name in self.before if name not in new]
        self.every = [*self.before, *self.came]
        self._place = {name: place for place, name in enumerate(self.every)}

    def spread(self, names: Sequence[str], value: Any, fill: Any) -> Any:
        """Return values of some accounts as values of all, with `fill` for the others."""
        out = np.full((len(self.every), *value.shape[1:]), fill)
        out[[self._place[name] for name in names]] = value
        return out


@dataclass(frozen=True)
class _Amounts:
    """Cents of all accounts, [A x 4] in the order of `AMOUNTS`, and where all are known, [A]."""

    cents: Integer
    known: Mask


def _parts(required: Requirements) -> tuple[Integer, Mask]:
    """Return the requirement of each account and its parts by clearing house, in cents, [A x 4]."""
    ficc = required.requirement_ficc + required.other_ficc
    cme = required.requirement_cme + required.other_cme
    further = required.other_ccps
    known = required.requirement.known
    cents = np.stack([part.cents for part in (required.requirement, ficc, cme, further)], axis=1)
    return np.where(known[:, None], cents, 0), known


def _changes(before: Hybrid, made: dict[str, Hybrid], *, positions: bool) -> dict[str, bool]:
    """Return whether anything changes in each step."""
    changes = {POSITIONS: positions}
    for earlier, step in pairwise(STEPS):
        changes[step] = made[step] is not made[earlier]
    return changes


def _amounts(
    stages: Sequence[Stages],
    made: dict[str, Hybrid],
    changes: dict[str, bool],
    names: _Names,
    execution: Execution,
) -> tuple[list[_Amounts], dict[str, str]]:
    """Return the amounts before and after each step, and why a run between cannot be computed."""

    def spread(accounts: Sequence[str], required: Requirements) -> _Amounts:
        cents, known = _parts(required)
        return _Amounts(names.spread(accounts, cents, 0), names.spread(accounts, known, True))

    nothing = np.zeros((len(names.every), len(AMOUNTS)), np.int64)
    amounts = [spread(names.before, stages[0].requirements)]
    last = max((place for place, step in enumerate(STEPS) if changes[step]), default=-1)
    failed, baskets = {}, BasketStore()
    for place, step in enumerate(STEPS):
        if place >= last:
            # Nothing changes any more: this is the later run itself.
            break
        if not changes[step]:
            amounts.append(amounts[-1])
            continue
        try:
            amounts.append(spread(names.after, required(made[step], baskets, execution)))
        except InputError as error:
            failed[step] = str(error)
            amounts.append(_Amounts(nothing, np.zeros(len(names.every), bool)))
    end = spread(names.after, stages[1].requirements)
    middle = [amounts[-1]] * (len(STEPS) - len(amounts)) if last < 0 else []
    amounts += middle
    return [*amounts, *[end] * (1 + len(STEPS) - len(amounts))], failed


def _steps(amounts: Sequence[_Amounts], changes: dict[str, bool]) -> tuple[Integer, Mask]:
    """Return the change of each part, [A x 4 x 9] in cents, and where it is known, [A x 9]."""
    first, last = amounts[0], amounts[-1]
    change = np.zeros((*first.cents.shape, len(ROWS)), np.int64)
    known = np.ones((first.known.size, len(ROWS)), bool)
    for place, step in enumerate(STEPS):
        if changes[step]:
            one, other = amounts[place : place + 2]
            known[:, place] = one.known & other.known
            change[..., place] = np.where(known[:, place, None], other.cents - one.cents, 0)
    known[:, -1] = first.known & last.known
    rest = last.cents - first.cents - change[..., :-1].sum(axis=2)
    change[..., -1] = np.where(known[:, -1, None], rest, 0)
    return change, known


class _Lines:
    """The netted lines of two runs, side by side."""

    def __init__(self, before: Stages, after: Stages) -> None:
        both = pa.concat_tables([_lines(before, "before"), _lines(after, "after")])
        keys = ["account", "clearing_firm", "ccp", "xm", "instrument", "kind"]
        sides = [("before", "sum"), ("after", "sum")]
        added = both.group_by(keys, use_threads=False).aggregate(sides)
        added = added.filter(pc.not_equal(added["before_sum"], added["after_sum"]))
        self._differ = added.rename_columns(
            [name.removesuffix("_sum") for name in added.column_names]
        )
        self._dv01 = {**_dv01(after), **_dv01(before)}
        self.count = len(added)
        self.unchanged = self.count == 0
        self.accounts = len(pc.unique(added["account"]))

    def table(self, names: Sequence[str]) -> pa.Table:
        """Return the lines that differ, by account, the largest change of DV01 first."""
        rows = self._differ
        change = columns.integers(rows["after"]) - columns.integers(rows["before"])
        instrument = columns.texts(rows["instrument"])
        future = columns.texts(rows["kind"]) == FUTURE
        lots = change / np.where(future, 1, LOT)
        dv01 = lots * np.array([self._dv01[name] for name in instrument.tolist()], np.float64)
        place = {name: number for number, name in enumerate(names)}
        account = np.array([place[name] for name in columns.texts(rows["account"])], np.int64)
        size = np.where(np.isnan(dv01), np.inf, np.abs(dv01))
        _, rank = np.unique(instrument.astype(str), return_inverse=True)
        order = columns.column(np.lexsort((rank, -size, account)))
        cells = {name: rows[name] for name in rows.column_names}
        cells["change"] = columns.column(change)
        cells["change_dv01"] = columns.column(dv01, ~np.isnan(dv01))
        return ATTRIBUTION_POSITIONS.table(cells).take(order)


def _lines(stages: Stages, side: str) -> pa.Table:
    """Return a run's lines, with the quantities in the column of its side and zero in the other."""
    lines, universe = stages.netted.lines, stages.netted.universe
    assignment, accounts = stages.classified.assignment, stages.parsed.accounts["account"]
    name = columns.texts(accounts)
    # An account's own firm is one of its terms, not of its positions.
    own = lines.group < name.size
    firm = assignment.group_firm[lines.group]
    firm[own] = None
    future = (universe.kind == FUTURE)[lines.instrument]
    quantity = columns.column(lines.lots * np.where(future, 1, LOT))
    nothing = columns.column(np.zeros(lines.group.size, np.int64))
    ccps = (FICC, CME, FICC, CME, *stages.parsed.trades.ccps)
    return pa.table(
        {
            "account": columns.chosen(name, assignment.group_account[lines.group]),
            "clearing_firm": columns.text_column(firm),
            "ccp": columns.chosen(ccps, lines.segment),
            "xm": columns.column(lines.xm),
            "instrument": columns.chosen(universe.name, lines.instrument),
            "kind": columns.chosen(universe.kind, lines.instrument),
            "before": quantity if side == "before" else nothing,
            "after": quantity if side == "after" else nothing,
        }
    )


def _dv01(stages: Stages) -> dict[str, float]:
    """Return the DV01 of a lot or contract of each instrument; NaN where it is unpriced."""
    universe = stages.models.universe
    value = np.where(universe.priced, universe.sensitivities.dv01, np.nan)
    return dict(zip(universe.name.tolist(), value.tolist(), strict=True))


def _what(
    sides: tuple[Hybrid, Hybrid],
    made: dict[str, Hybrid],
    changes: dict[str, bool],
    lines: _Lines,
    names: _Names,
    dates: tuple[dict[int, Dates], dict[int, Dates]],
) -> dict[str, str]:
    """Return what changed in each step, in words; empty where nothing did."""
    before, after = sides
    market, later = made[TIME].parsed.market, after.parsed.market
    what = {
        POSITIONS: f"{lines.count:,} lines of {lines.accounts:,} accounts; {len(names.came):,} "
        f"accounts came, {len(names.gone):,} left",
        TIME: f"{before.parsed.market.as_of} to {later.as_of}",
        MARKET: "no curve moves; other fixings or prices",
        OUT: _dates(dates[0]),
        IN: _dates(dates[1]),
        SIZES: "the same days, as the later run sees them",
        INPUTS: ", ".join(inputs_that_change(made[SIZES].parsed, after.parsed)),
        POLICY: f"{before.policy.name} to {after.policy.name}",
    }
    if not np.array_equal(market.curve.log_df, later.curve.log_df):
        earlier, now = _zero_rates(market.curve.log_df), _zero_rates(later.curve.log_df)
        told = ", ".join(f"{1e4 * (now[name] - earlier[name]):+.1f}" for name in TOLD)
        what[MARKET] = f"zero rates at {', '.join(TOLD)} years {told} bp"
    return {**{step: text if changes[step] else "" for step, text in what.items()}, TOGETHER: ""}


def _zero_rates(log_df: Float) -> dict[str, float]:
    """Return zero rates at the nodes, decimal, by the nodes' names."""
    rate = -log_df[np.searchsorted(POINTS, NODES)] / NODES
    return dict(zip(NODE_NAMES, rate.tolist(), strict=True))


def _dates(by_horizon: dict[int, Dates]) -> str:
    """Return the dates of some scenarios in words: all of a few, else how many and their ends."""
    if not by_horizon:
        return ""
    day = np.unique(np.concatenate(list(by_horizon.values())))
    if day.size <= LISTED:
        return ", ".join(map(str, day)) or "none"
    return f"{day.size:,} dates from {day[0]} to {day[-1]}"


def _scenario_table(left: dict[int, Dates], came: dict[int, Dates]) -> pa.Table:
    """Return the dates of the scenarios that left and came, by horizon."""
    parts = [
        (horizon, day, change)
        for change, by_horizon in (("left", left), ("came", came))
        for horizon, day in sorted(by_horizon.items())
    ]
    size = [day.size for _, day, _ in parts]
    day = np.concatenate([np.empty(0, "datetime64[D]"), *(day for _, day, _ in parts)])
    return ATTRIBUTION_SCENARIOS.table(
        {
            "date": columns.column(day),
            "change": columns.chosen(
                [change for *_, change in parts], np.repeat(np.arange(len(parts)), size)
            ),
            "horizon": columns.column(
                np.repeat(np.array([horizon for horizon, *_ in parts], np.int64), size)
            ),
        }
    )


def _book_table(change: Integer, known: Mask, what: dict[str, str]) -> pa.Table:
    """Return the changes of the book: of the accounts whose whole change is known."""
    counted = known[:, -1]
    total = change[counted].sum(axis=0)
    moved = np.count_nonzero(change[counted][:, 0] != 0, axis=0)
    told = (what[step] or None for step in ROWS)
    return ATTRIBUTION_BOOK.table(
        {
            "step": columns.text_column(ROWS),
            "what": columns.text_column(list(told)),
            "accounts": columns.column(moved.astype(np.int64)),
            **{name: money(total[number]) for number, name in enumerate(AMOUNTS)},
        }
    )


def _account_table(
    names: _Names,
    amounts: Sequence[_Amounts],
    change: Integer,
    known: Mask,
    runs: Sequence[RunResult],
) -> pa.Table:
    """Return a row per account: the change in each step, and what was agreed in both runs."""
    gone, came = set(names.gone), set(names.came)
    only_in = ["before" if n in gone else "after" if n in came else None for n in names.every]
    first, last = amounts[0], amounts[-1]
    return ATTRIBUTION_ACCOUNTS.table(
        {
            "account": columns.text_column(names.every),
            "only_in": columns.text_column(only_in),
            "before": money(first.cents[:, 0], first.known),
            "after": money(last.cents[:, 0], last.known),
            "change": money(last.cents[:, 0] - first.cents[:, 0], known[:, -1]),
            **{
                step.replace(" ", "_"): money(change[:, 0, place], known[:, place])
                for place, step in enumerate(ROWS)
            },
            **_agreed(names, runs),
        }
    )


def _agreed(names: _Names, runs: Sequence[RunResult]) -> dict[str, pa.ChunkedArray]:
    """Return what each run agreed for the accounts; null for those that it does not have."""
    cells = {}
    for side, run in zip(("before", "after"), runs, strict=True):
        accounts = run.accounts.to_arrow()
        place = {name: n for n, name in enumerate(columns.texts(accounts["account"]).tolist())}
        at = pa.array([place.get(name) for name in names.every], pa.int64())
        for column in AGREED:
            cells[f"{column.name}_{side}"] = accounts[column.name].take(at)
    return cells


def _step_table(names: _Names, change: Integer, known: Mask) -> pa.Table:
    """Return a row per account and step, with the change at each clearing house."""
    accounts, steps = len(names.every), len(ROWS)
    return ATTRIBUTION.table(
        {
            "account": columns.chosen(names.every, np.repeat(np.arange(accounts), steps)),
            "step": columns.chosen(ROWS, np.tile(np.arange(steps), accounts)),
            **{
                name: money(change[:, number].ravel(), known.ravel())
                for number, name in enumerate(AMOUNTS)
            },
        }
    )
