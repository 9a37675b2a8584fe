"""What trades and moves change: before, after and the difference, and the part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.agreement.requirement import AMOUNTS
from crossmargin.book.trades import LOT
from crossmargin.engine import Execution
from crossmargin.results.schemas.compare import has_difference
from crossmargin.results.schemas.whatif import IMPACTS, INCREMENTS, WHAT_IFS
from crossmargin.results.table import MONEY, Table
from crossmargin.whatif.parts import Leg
from crossmargin.whatif.scope import Quantities, Scope

# The caller's decimal context might round.
_EXACT = Context(prec=28)


@dataclass(frozen=True)
class Impact:
    """What hypothetical trades and moves change in an account.

    Attributes
    ----------
    table : Table
        One row; the columns are those of `crossmargin.results.schemas.whatif.IMPACTS`.
    parts : Table
        What each trade and move changes by itself, what each pair changes beyond that, and the
        rest. Each amount adds up to its difference, to the cent. The columns are those of
        `crossmargin.results.schemas.whatif.INCREMENTS`.
    """

    table: Table
    parts: Table

    @property
    def before(self) -> dict[str, Any]:
        """The figures of the account as it is, by the names of `WHAT_IFS`."""
        return self._state("before")

    @property
    def after(self) -> dict[str, Any]:
        """The figures after the trades and moves."""
        return self._state("after")

    @property
    def difference(self) -> dict[str, Any]:
        """After minus before, of each number; None where one of them is unknown."""
        return self._figures("difference")

    def _state(self, which: str) -> dict[str, Any]:
        return {"account": self.table["account"][0].as_py(), **self._figures(which)}

    def _figures(self, which: str) -> dict[str, Any]:
        row = next(iter(self.table))
        found = {column.name: f"{column.name}_{which}" for column in WHAT_IFS.columns}
        return {name: row[cell] for name, cell in found.items() if cell in row}


@dataclass(frozen=True)
class Part:
    """A trade or a move of a question: how it is told, and its legs."""

    label: str
    legs: tuple[Leg, ...]


def impact_of(
    scope: Scope,
    account: int,
    trades: Quantities,
    moves: Quantities,
    *,
    xm: bool,
    execution: Execution,
) -> Impact:
    """Return what trades and moves change in an account; see `Session.impact`."""
    parts = _parts(scope, account, trades, moves, xm)
    legs = [[leg for at in own for leg in parts[at].legs] for own in subsets(len(parts))]
    answers = scope.answers([account] * len(legs), legs, execution)
    table = impacts(["1"], answers[:1], answers[len(legs) - 1 :])
    return Impact(Table(table), Table(increments(parts, answers)))


def impacts_of(
    scope: Scope,
    question: Sequence[str],
    accounts: list[int],
    legs: Sequence[list[Leg]],
    execution: Execution,
) -> pa.Table:
    """Return each account before and after each question, [N]; see `Session.impacts`."""
    different = sorted(set(accounts))
    row = {number: at for at, number in enumerate(different)}
    before = scope.answers(different, [[] for _ in different], execution)
    at = columns.column(np.array([row[number] for number in accounts], np.int64))
    return impacts(question, before.take(at), scope.answers(accounts, legs, execution))


def impacts(question: Sequence[str], before: pa.Table, after: pa.Table) -> pa.Table:
    """Return answers beside those of the same accounts as they are.

    Parameters
    ----------
    question : sequence of str, [N]
        Names of the questions.
    before, after : pyarrow.Table, [N]
        `WHAT_IFS`.

    Returns
    -------
    pyarrow.Table
        `IMPACTS`.
    """
    cells = {"question": columns.text_column(list(question)), "account": after["account"]}
    for column in WHAT_IFS.columns[1:]:
        name = column.name
        cells |= {f"{name}_before": before[name], f"{name}_after": after[name]}
        if has_difference(column):
            cells[f"{name}_difference"] = pc.subtract(after[name], before[name]).cast(column.type)
    return IMPACTS.table(cells)


def subsets(parts: int) -> list[tuple[int, ...]]:
    """Return the subsets whose answers `increments` needs: none, each, each pair, and all."""
    every = tuple(range(parts))
    found = [size for n in range(3) for size in combinations(every, n)]
    return found if parts < 3 else [*found, every]


def increments(parts: Sequence[Part], answers: pa.Table) -> pa.Table:
    """Return what each part of a question changes, alone and in pairs, and the remainder.

    Parameters
    ----------
    parts : sequence of Part, [N]
    answers : pyarrow.Table
        `WHAT_IFS` after each of `subsets(N)`, in that order.

    Returns
    -------
    pyarrow.Table
        `INCREMENTS`. With f the amount after some parts: f(i) - f() of each part;
        f(i, j) - f(i) - f(j) + f() of each pair; and from three parts on the remainder.
    """
    chosen = subsets(len(parts))
    added = {name: _added(chosen, answers[name].to_pylist()) for name in AMOUNTS}
    told = ["", "single", "pair", "remainder"]
    cells: dict[str, columns.Column] = {
        "account": answers["account"][1:],
        "part": columns.text_column([told[min(len(own), 3)] for own in chosen[1:]]),
    }
    for place, name in enumerate(("leg", "with_leg")):
        cells[name] = pa.array(
            [parts[own[place]].label if place < len(own) < 3 else None for own in chosen[1:]],
            pa.string(),
        )
    return INCREMENTS.table(
        cells | {name: pa.array(amounts, MONEY) for name, amounts in added.items()}
    )


def _added(
    chosen: Sequence[tuple[int, ...]], amount: Sequence[Decimal | None]
) -> list[Decimal | None]:
    """Return what each subset but the first, which is empty, adds beyond the smaller ones.

    Null where an amount that it needs is.
    """
    part: dict[tuple[int, ...], Decimal | None] = {}
    for own, value in zip(chosen, amount, strict=True):
        if len(own) < 3:
            smaller = [part[less] for n in range(len(own)) for less in combinations(own, n)]
        else:
            smaller = list(part.values())
        part[own] = _less(value, smaller)
    return list(part.values())[1:]


def _less(value: Decimal | None, others: Sequence[Decimal | None]) -> Decimal | None:
    """Return an amount less some others, None where one of them is."""
    for other in others:
        value = None if value is None or other is None else _EXACT.subtract(value, other)
    return value


def _parts(
    scope: Scope, account: int, trades: Quantities, moves: Quantities, xm: bool
) -> list[Part]:
    """Return the trades and moves of a question, each instrument once."""
    traded: dict[int, Leg] = {}
    for segment, instrument, lots in scope.trade_legs(account, trades, xm=xm):
        before = traded.get(instrument, (segment, instrument, 0))[2]
        traded[instrument] = (segment, instrument, before + lots)
    parts = [Part(_told(scope, leg), (leg,)) for leg in traded.values() if leg[2]]
    moved = scope.move_legs(account, moves)
    for into, out in zip(moved[::2], moved[1::2], strict=True):
        parts.append(Part(f"move {_told(scope, into)}", (into, out)))
    return parts


def _told(scope: Scope, leg: Leg) -> str:
    _, instrument, lots = leg
    return f"{scope.symbol(instrument)} {lots * (1 if scope.future[instrument] else LOT):,}"
