"""Hedges by tenor: what they are, and that an allocation is never worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.moves import Movable, hedges_by_tenor, movable, requirement_after
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import FICC_XM, SEGMENTS
from crossmargin.engine import Execution
from crossmargin.margin.portfolios import row_of

ACCOUNTS = 60


@pytest.fixture(scope="module")
def run(sample_book: Callable[..., dict[str, Any]]) -> xm.RunResult:
    return xm.run(**sample_book(ACCOUNTS), market=xm.sample_market())


@pytest.fixture(scope="module")
def lines(run: xm.RunResult) -> Movable:
    stages = run.stages
    assert stages is not None
    return movable(
        Batch(stages.netted.book, stages.netted.elsewhere, stages.clients), stages.models
    )


@pytest.fixture(scope="module")
def models(run: xm.RunResult) -> PreparedModels:
    assert run.stages is not None
    return run.stages.models


def test_hedges_by_tenor_cover_the_cash_of_each_bucket_to_the_contract(
    lines: Movable, models: PreparedModels
) -> None:
    ends = np.asarray(models.policy.ficc.floor_bucket_years)
    dv01, years = models.universe.sensitivities.dv01, models.universe.years
    bucket = np.minimum(np.searchsorted(ends, years), ends.size - 1)
    matched = hedges_by_tenor(lines, models)
    book = lines.places.book
    row = row_of(book)
    hedged = 0
    for account in np.flatnonzero(lines.free):
        cash = np.flatnonzero(row == account * len(SEGMENTS) + FICC_XM)
        own = lines.lines_of(np.array([account]))
        for place in range(ends.size):
            held = cash[bucket[book.column[cash]] == place]
            of_cash = float((lines.lots[held] * dv01[book.column[held]]).sum())
            at = own[bucket[lines.instrument[own]] == place]
            each = dv01[lines.instrument[at]]
            against = each * lines.total[at] * of_cash < 0.0
            assert not matched[at[~against]].any()
            moved = float(np.abs(each * matched[at]).sum())
            could = float(np.abs(each * lines.total[at])[against].sum())
            room = 0.5 * np.abs(each).max(initial=0.0)
            assert abs(moved - min(could, abs(of_cash))) <= room * 1.000001
            hedged += moved > 0.0
    assert hedged > 10


def test_hedges_by_tenor_are_never_better(
    run: xm.RunResult, lines: Movable, models: PreparedModels
) -> None:
    table = xm.allocate(run).accounts.to_arrow()
    known = np.array([gap is not None for gap in table["gap"].to_pylist()])
    accounts = np.flatnonzero(lines.free & (lines.count > 0) & known)
    matched = hedges_by_tenor(lines, models)[lines.lines_of(accounts)]
    calls = requirement_after(lines, models, accounts, matched, Execution(1))
    after = table["requirement_after"].to_pylist()
    assert all(after[a] * 100 <= call for a, call in zip(accounts, calls.tolist(), strict=True))
