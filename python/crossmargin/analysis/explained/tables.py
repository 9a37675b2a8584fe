"""The tables of an explanation, from what was computed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from crossmargin.agreement.requirement import Amount
from crossmargin.agreement.savings import Saving
from crossmargin.analysis.explained.alternatives import Alternative
from crossmargin.analysis.explained.asked import FUTURES_LEG, Asked, Described
from crossmargin.analysis.explained.cents import shared_cents
from crossmargin.analysis.explained.contributions import Decomposed, Tail
from crossmargin.analysis.explained.episodes import EpisodeLoss
from crossmargin.analysis.explained.errors import SAMPLES, TailError
from crossmargin.analysis.explained.requirement import Contributions
from crossmargin.analysis.explained.without import Without
from crossmargin.arrays import Float, Integer, Text
from crossmargin.book.trades import LOT
from crossmargin.conventions import CASH, CME, COMBINED, FICC, FUTURES, V
from crossmargin.exact import cents_of
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.market.scenarios import STRESS
from crossmargin.results.schema import Schema
from crossmargin.results.schemas.explain import (
    EXPLAIN_ALTERNATIVES,
    EXPLAIN_COMPONENTS,
    EXPLAIN_CONTRIBUTIONS,
    EXPLAIN_EPISODES,
    EXPLAIN_ERRORS,
    EXPLAIN_OFFSET,
    EXPLAIN_POSITIONS,
    EXPLAIN_TAILS,
    EXPLAIN_WITHOUT,
)
from crossmargin.results.table import Table, money

NOT_DECOMPOSED = "not decomposed"
LOOK_BACK = "look-back"
Errors = Mapping[tuple[int, str], TailError]
"""By the number of a V and the component."""
LEVELS = ("position", "product", "tenor", "leg")


def _table(schema: Schema, rows: Sequence[tuple[object, ...]]) -> Table:
    """Return the table of some rows; amounts of money come as whole cents."""
    cells = list(zip(*rows, strict=True)) if rows else [() for _ in schema.columns]
    arrays = {}
    for column, values in zip(schema.columns, cells, strict=True):
        if pa.types.is_decimal(column.type):
            known = np.array([value is not None for value in values], dtype=bool)
            whole = np.array([0 if value is None else value for value in values], dtype=np.int64)
            arrays[column.name] = money(whole, known)
        else:
            arrays[column.name] = pa.array(values, column.type)
    return Table(schema.table(arrays))


def _of(asked: Asked, one: Decomposed) -> tuple[str, str, str]:
    """Return the cells that say which V a row is about."""
    return asked.firm[one.group], one.ccp, one.name


def components_table(asked: Asked, decomposed: Sequence[Decomposed]) -> Table:
    """Return the components of each V, and which of them decide."""
    margins = {margin.ccp: margin for margin in margins_of(asked)}
    rows: list[tuple[object, ...]] = []
    for one in decomposed:
        margin = margins[one.ccp]
        weight = {part.component: share for part, share in one.parts}
        for name, amount in margin.component.items():
            value = _signed_cents(float(amount[one.group, one.portfolio])) if one.known else None
            share = weight.get(name, 0.0) if one.known else 0.0
            rows.append((*_of(asked, one), name, value, share, share != 0.0))
        total = cents_of(one.v) if one.known else None
        rows.append((*_of(asked, one), V, total, 1.0, False))
    return _table(EXPLAIN_COMPONENTS, rows)


def _signed_cents(amount: float) -> int:
    """Return an amount in cents; a gain is rounded like the other side's loss."""
    return cents_of(amount) if amount >= 0.0 else -cents_of(-amount)


def margins_of(asked: Asked) -> tuple[CcpMargin, ...]:
    """Return the margin of the account at every clearing house."""
    return (asked.margins.ficc, asked.margins.cme, *asked.margins.elsewhere)


def tag_of(tail: Tail, scenario: str) -> str | None:
    """Return `stress` or `look-back` by the scenario's date; None if its name is no date."""
    try:
        day = np.datetime64(datetime.date.fromisoformat(scenario), "D")
    except ValueError:
        return None
    within = any(window.first <= day <= window.last for window in tail.part.stress)
    return STRESS if within else LOOK_BACK


def tails_table(asked: Asked, decomposed: Sequence[Decomposed]) -> Table:
    """Return the tail scenarios of each VaR, worst first."""
    rows: list[tuple[object, ...]] = []
    for one in decomposed:
        weight = {part.component: share for part, share in one.parts}
        for component, tail in one.tails.items() if one.known else ():
            names, measure = tail.scenario, tail.measure
            for rank, number in enumerate(tail.order[: measure.k].tolist(), start=1):
                rows.append(
                    (
                        *_of(asked, one),
                        component,
                        rank,
                        names[number],
                        tag_of(tail, names[number]),
                        float(tail.pnl[number]),
                        weight[component] if rank == measure.k else 0.0,
                        float(measure.weight[rank - 1]) / measure.w,
                    )
                )
    return _table(EXPLAIN_TAILS, rows)


def contributions_table(
    asked: Asked, decomposed: Sequence[Decomposed], described: Described
) -> Table:
    """Return what positions, products, tenors and legs add to each V, largest first."""
    rows: list[tuple[object, ...]] = []
    label = dict(
        zip(
            LEVELS,
            (described.instrument, described.product, described.tenor, described.leg),
            strict=True,
        )
    )
    for one in decomposed:
        shares: list[Integer | None] = [None, None, None]
        if one.known:
            total = cents_of(one.v)
            shares = [
                _shared(total, np.append(each, one.rest)) for each in (one.amount, one.smoothed)
            ]
            shares.append(
                None
                if one.shortfall is None
                else _shared(cents_of(one.es), np.append(one.shortfall, 0.0))
            )
        for level, names in label.items():
            item = np.append(names[one.line], NOT_DECOMPOSED)
            rows += [
                (*_of(asked, one), level, *cells)
                for cells in _summed(item, shares, keep_rest=one.rest != 0.0)
            ]
    return _table(EXPLAIN_CONTRIBUTIONS, rows)


def _summed(
    item: Text, shares: Sequence[Integer | None], *, keep_rest: bool
) -> list[tuple[object, ...]]:
    """Return a row for each item with its sums; the last item only if it is wanted."""
    number = {name: n for n, name in enumerate(dict.fromkeys(item.tolist()))}
    at = np.array([number[name] for name in item.tolist()])
    sums: list[list[int | None]] = []
    for share in shares:
        if share is None:
            sums.append([None] * len(number))
            continue
        total = np.zeros(len(number), dtype=np.int64)
        np.add.at(total, at, share)
        sums.append([int(each) for each in total])
    rows = [row for row in zip(number, *sums, strict=True)]
    if not keep_rest and not any(rows[-1][1:]):
        rows.pop()
    return sorted(rows, key=lambda row: -abs(row[1] or 0))


def positions_table(asked: Asked, found: Contributions, described: Described) -> Table:
    """Return what each line adds to the requirement and to the savings."""
    required = asked.required
    shares = [
        _cents(of, each)
        for of, each in (
            (required.requirement, found.requirement),
            (required.requirement, found.at_fixed_rate),
            (required.programme_saving, found.programme_saving),
            (required.standalone_requirement, found.standalone),
        )
    ]
    quantity = _quantities(asked, described)
    amounts = list(zip(*shares, strict=True))
    rows: list[tuple[object, ...]] = [
        (
            described.firm[n],
            described.place[n],
            described.instrument[n],
            described.kind[n],
            described.product[n],
            described.tenor[n],
            described.leg[n],
            quantity[n],
            *amounts[n],
        )
        for n in range(asked.lines.lots.size)
    ]
    if any(amounts[-1]):
        rows.append((None, None, NOT_DECOMPOSED, None, None, None, None, None, *amounts[-1]))
    return _table(EXPLAIN_POSITIONS, rows)


def _cents(total: Amount, each: Float) -> list[int | None]:
    """Return contributions in whole cents, or None for each if the total is unknown."""
    if not total.known[0]:
        return [None] * each.size
    return [int(cent) for cent in _shared(int(total.cents[0]), each)]


def _shared(total: int, each: Float) -> Integer:
    """Return contributions in whole cents; the last is what is not decomposed.

    It gets no part of a rounding if everything is decomposed.
    """
    if each[-1] == 0.0 and each.size > 1:
        return np.append(shared_cents(total, each[:-1]), 0)
    return shared_cents(total, each)


def _quantities(asked: Asked, described: Described) -> list[int]:
    """Return the quantity of each line: USD of face, or contracts."""
    lot = np.where(described.leg == FUTURES_LEG, 1, LOT)
    quantity: list[int] = (lot * asked.lines.lots.astype(np.int64)).tolist()
    return quantity


def offset_table(asked: Asked, alone: Saving | None) -> Table:
    """Return how each model's saving comes about; `alone` is the saving by the curve alone."""
    saving = asked.agreement.saving
    others = {} if alone is None else rates_of(alone)
    rows: list[tuple[object, ...]] = []
    for margin in (asked.margins.ficc, asked.margins.cme):
        binds = str(saving.binding[0]) == margin.ccp
        values = [
            None if margin.unknown[0, p] else float(margin.v[0, p])
            for p in (CASH, FUTURES, COMBINED)
        ]
        rates = rates_of(saving).get(margin.ccp), others.get(margin.ccp)
        rows.append((margin.ccp, *values, *rates, binds, binds and bool(saving.capped[0])))
    return _table(EXPLAIN_OFFSET, rows)


def rates_of(saving: Saving) -> dict[str, float]:
    """Return the offset rate of the first account in each model where it is known, by ccp."""
    found = {
        FICC: (saving.offset_rate_ficc, saving.known_ficc),
        CME: (saving.offset_rate_cme, saving.known_cme),
    }
    return {ccp: float(rate[0]) for ccp, (rate, known) in found.items() if known[0]}


def without_table(asked: Asked, found: Without, described: Described) -> Table:
    """Return the account without each of some lines."""
    rows: list[tuple[object, ...]] = []
    quantity = _quantities(asked, described)
    now, then = asked.required.requirement, found.required.requirement
    for n, line in enumerate(found.line.tolist()):
        known, before = bool(then.known[n]), bool(now.known[0])
        cents = int(then.cents[n])
        rows.append(
            (
                described.firm[line],
                described.place[line],
                described.instrument[line],
                quantity[line],
                float(found.saving.offset_rate[n]),
                str(found.saving.binding[n]) or None,
                str(found.saving.reason[n]) or None,
                cents if known else None,
                cents - int(now.cents[0]) if known and before else None,
            )
        )
    return _table(EXPLAIN_WITHOUT, rows)


def episodes_table(losses: Sequence[EpisodeLoss]) -> Table:
    """Return the worst moves of each episode."""
    return _table(
        EXPLAIN_EPISODES,
        [
            (
                one.episode.name,
                one.episode.first,
                one.episode.last,
                one.episode.source,
                one.horizon,
                one.leg,
                one.covered,
                one.date,
                one.pnl,
            )
            for one in losses
        ],
    )


def errors_table(asked: Asked, decomposed: Sequence[Decomposed], errors: Errors) -> Table:
    """Return intervals and standard errors of each VaR and its expected shortfall."""
    rows: list[tuple[object, ...]] = []
    for number, one in enumerate(decomposed):
        for component, tail in one.tails.items() if one.known else ():
            found = errors[number, component]
            head = (*_of(asked, one), component)
            interval = (found.lower, found.upper, found.coverage)
            for n, (measure, amount) in enumerate((("VaR", tail.var), ("ES", tail.es))):
                known = interval if n == 0 else (None, None, None)
                rows.append(
                    (
                        *head,
                        measure,
                        amount,
                        *known,
                        found.single[n],
                        found.blocks[n],
                        found.block,
                        SAMPLES,
                    )
                )
    return _table(EXPLAIN_ERRORS, rows)


def alternatives_table(asked: Asked, found: Sequence[Alternative]) -> Table:
    """Return what other definitions, look-backs and horizons would give."""
    return _table(
        EXPLAIN_ALTERNATIVES,
        [
            (
                asked.firm[one.group],
                one.ccp,
                one.portfolio,
                one.component,
                one.kind,
                one.definition,
                one.in_use,
                one.amount,
            )
            for one in found
        ],
    )
