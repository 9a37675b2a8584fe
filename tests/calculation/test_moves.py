"""Choices of futures are the run itself, on the book in which they have been moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import Movable, book_after, margin_after, movable, simple_choices
from crossmargin.calculation.result import Stages, stages_of
from crossmargin.conventions import CME_OTHER, CME_XM, PORTFOLIOS, SEGMENTS
from crossmargin.engine import Execution

ACCOUNTS = 40
ONE = Execution(1)
POLICIES = ("cme-ficc-2026-11-30", "cme-ficc-2026-11-30-span", "cme-ficc-2026-11-30-charges")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def tables(sample_book: Callable[[int], dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return sample_book(ACCOUNTS)


@pytest.fixture(scope="module")
def market() -> xm.Market:
    return xm.sample_market()


@pytest.fixture(scope="module")
def stages(tables: dict[str, pa.Table], market: xm.Market) -> Stages:
    return stages_of(xm.run(**tables, market=market))


def lines_of(stages: Stages) -> Movable:
    batch = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
    return movable(batch, stages.models)


def moved_book(
    tables: dict[str, pa.Table], stages: Stages, lines: Movable, choice: Any
) -> dict[str, pa.Table]:
    """Return the book with further rows that move each line to its choice."""
    names = np.array(stages.parsed.accounts["account"].to_pylist(), dtype=object)
    rows = []
    for line in np.flatnonzero(choice != lines.crossed).tolist():
        more = int(choice[line] - lines.crossed[line])
        for quantity, crossed in ((more, True), (-more, False)):
            rows.append(
                {
                    "account": names[lines.account[line]],
                    "kind": "future",
                    "instrument": stages.models.universe.name[lines.instrument[line]],
                    "quantity": float(quantity),
                    "xm": crossed,
                }
            )
    positions = tables["positions"]
    further = [{name: row.get(name) for name in positions.column_names} for row in rows]
    added = pa.Table.from_pylist(further, positions.schema)
    return tables | {"positions": pa.concat_tables([positions, added])}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_choice_is_margined_as_a_run_of_the_moved_book(
    policy: str, tables: dict[str, pa.Table], market: xm.Market
) -> None:
    own = stages_of(xm.run(**tables, market=market, policy=policy))
    lines = lines_of(own)
    choice = np.random.default_rng(4).integers(lines.lower, lines.upper + 1)
    accounts = np.flatnonzero(lines.count > 0)
    # In another order, and one account twice.
    asked = np.concatenate([accounts[::-1], accounts[:1]])
    moved = margin_after(lines, own.models, asked, choice[lines.lines_of(asked)], ONE)
    after = xm.run(**moved_book(tables, own, lines, choice), market=market, policy=policy)
    rows = after.accounts.to_arrow().to_pylist()
    required = moved.requirements.requirement
    assert asked.size > 15
    for place, account in enumerate(asked.tolist()):
        row = rows[account]
        if required.known[place]:
            assert int(row["requirement"] * 100) == required.cents[place]
        else:
            assert row["requirement"] is None
        assert row["offset_rate"] == moved.agreement.saving.offset_rate[place]
        for ccp, margin in (("ficc", moved.margins.ficc), ("cme", moved.margins.cme)):
            for portfolio, name in enumerate(PORTFOLIOS[:3]):
                if not margin.unknown[place, portfolio]:
                    assert row[f"v_{ccp}_{name}"] == margin.v[place, portfolio]
    today = own.requirements.requirement.cents[asked]
    assert (required.cents != today).sum() > asked.size / 2


def test_what_is_there_now_is_the_run(stages: Stages) -> None:
    lines = lines_of(stages)
    accounts = np.arange(lines.ptr.size - 1)
    choice = lines.crossed[lines.lines_of(accounts)]
    after = margin_after(lines, stages.models, accounts, choice, ONE).requirements.requirement
    today = stages.requirements.requirement
    assert after.known.tolist() == today.known.tolist()
    assert after.cents[after.known].tolist() == today.cents[today.known].tolist()


def test_movable_lines_are_the_eligible_futures_of_accounts_that_take_part(stages: Stages) -> None:
    lines = lines_of(stages)
    held: dict[tuple[int, int], list[int]] = {}
    book, models = stages.netted.book, stages.models
    part = stages.clients.eligible & stages.clients.complete
    for row in range(book.rows):
        account, segment = divmod(row, len(SEGMENTS))
        if account >= part.size or not part[account] or segment not in (CME_XM, CME_OTHER):
            continue
        for at in range(book.row_ptr[row], book.row_ptr[row + 1]):
            if models.eligible[book.column[at]]:
                crossed_total = held.setdefault((account, int(book.column[at])), [0, 0])
                crossed_total[0] += int(book.quantity[at]) * (segment == CME_XM)
                crossed_total[1] += int(book.quantity[at])
    assert list(zip(lines.account, lines.instrument, strict=True)) == sorted(held)
    both = [list(pair) for pair in zip(lines.crossed, lines.total, strict=True)]
    assert both == [held[key] for key in sorted(held)]


def test_ranges_reach_from_nothing_to_everything() -> None:
    lines = Movable(
        account=np.array([0, 0, 0, 0]),
        instrument=np.array([0, 1, 2, 3]),
        total=np.array([3, -4, 3, 0]),
        # The third is five long against two short in the ordinary account.
        crossed=np.array([0, -4, 5, -2]),
        ptr=np.array([0, 4]),
        free=np.array([True]),
        places=None,  # type: ignore[arg-type]
        line=np.zeros(0, np.int64),
        crosses=np.zeros(0, bool),
        lots=np.zeros(0),
    )
    # What is there now is out of range in the last two lines.
    assert lines.lower.tolist() == [0, -4, 0, 0]
    assert lines.upper.tolist() == [3, 0, 3, 0]
    assert lines.lines_of(np.array([0, 0])).tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_moved_book_has_every_contract_in_one_of_both_accounts(stages: Stages) -> None:
    lines = lines_of(stages)
    accounts = np.flatnonzero(lines.count > 0)[:5]
    choice = np.zeros(lines.lines_of(accounts).size, dtype=np.int64)
    book = book_after(lines, accounts, choice).book
    at = lines.lines_of(accounts)
    for place in range(accounts.size):
        rows = [place * len(SEGMENTS) + segment for segment in (CME_XM, CME_OTHER)]
        crossed, ordinary = (
            dict(
                zip(
                    book.column[book.row_ptr[row] : book.row_ptr[row + 1]].tolist(),
                    book.quantity[book.row_ptr[row] : book.row_ptr[row + 1]].tolist(),
                    strict=True,
                )
            )
            for row in rows
        )
        own = at[lines.account[at] == accounts[place]]
        assert not set(crossed) & set(lines.instrument[own].tolist())
        for line in own[lines.total[own] != 0].tolist():
            assert ordinary[int(lines.instrument[line])] == lines.total[line]


def test_simple_choices_lie_within_the_ranges(stages: Stages) -> None:
    lines = lines_of(stages)
    choices = list(simple_choices(lines, stages.models))
    assert choices[0].tolist() == lines.crossed.tolist()
    assert not choices[1].any()
    free = lines.free[lines.account]
    for choice in choices[1:]:
        assert (lines.lower <= choice)[free].all()
        assert (choice <= lines.upper)[free].all()
    # Without cross-margined cash there is nothing to set off: now, or nothing.
    bound = ~lines.free[lines.account]
    for choice in choices[2:]:
        assert choice[bound].tolist() == lines.crossed[bound].tolist()
