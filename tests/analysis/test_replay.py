"""A replay of a book: every day is a run on its market, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.io.market_tables import market_from_tables
from crossmargin.market.curve import Curve
from crossmargin.results.schemas.replay import REPLAY
from crossmargin.sample import sample_tables

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "policies"
SAME = (
    *("account", "status", "rows_rejected", "offset_rate", "binding", "capped", "reason"),
    *("requirement_ficc", "requirement_cme", "other_ficc", "other_cme", "other_ccps"),
    *("requirement", "house_requirement", "programme_saving", "standalone_requirement", "saving"),
)
"""Columns that a day has in common with a run's accounts."""


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return sample_tables(accounts=40)


@pytest.fixture(scope="module")
def book(tables: dict[str, pa.Table]) -> dict[str, Any]:
    return {name: tables[name] for name in ("positions", "accounts", "securities")}


def market_of(tables: dict[str, pa.Table], day: str) -> xm.Market:
    return market_from_tables(
        par_yields=tables["par_yields"], basis=tables["basis"], as_of=day, synthetic=True
    )


def moved(market: xm.Market, by: float) -> xm.Market:
    return market.with_curve(Curve(market.as_of, market.curve.log_df * by))


@pytest.fixture(scope="module")
def markets(tables: dict[str, pa.Table]) -> list[xm.Market]:
    """Return days on which repos start and end, a contract expires, and the curve moves."""
    first, later, last = (market_of(tables, d) for d in ("2026-05-27", "2026-06-08", "2026-06-10"))
    return [first, moved(first, 1.01), later, moved(later, 0.97), moved(later, 1.2), last]


def assert_same(day: xm.Day, run: xm.RunResult) -> None:
    table = day.table()
    for name in SAME:
        assert table[name].equals(run.accounts[name]), name


POLICIES = (
    *("cme-ficc-2026-11-30", "cme-ficc-2026-04-30", "cme-ficc-2026-11-30-span"),
    *("cme-ficc-2026-11-30-charges", EXAMPLES / "example-third-ccp.toml"),
    *(EXAMPLES / "example-class-disallowance.toml", EXAMPLES / "example-spread-credit.toml"),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: Path(policy).stem)
def test_each_day_is_a_run_on_its_market(
    book: dict[str, Any], markets: list[xm.Market], policy: str | Path
) -> None:
    days = list(xm.replay(**book, markets=markets, policy=policy))
    assert [day.as_of for day in days] == [market.as_of for market in markets]
    for day, market in zip(days, markets, strict=True):
        assert_same(day, xm.run(**book, market=market, policy=policy))
    totals = {day.requirements.requirement.cents.sum() for day in days}
    assert len(totals) == len(days)


@pytest.fixture(scope="module")
def ahead() -> tuple[dict[str, Any], list[xm.Market]]:
    """Return a book and later days: repos end, June contracts expire, securities mature."""
    own = sample_tables(accounts=40, as_of="2026-06-04")
    later = sample_tables(accounts=10, as_of="2026-09-30")
    days = ("2026-06-04", "2026-06-05", "2026-06-18", "2026-07-01", "2026-09-30")
    book = {name: own[name] for name in ("positions", "accounts", "securities")}
    return book, [market_of(later, day) for day in days]


@pytest.mark.parametrize("policy", ["cme-ficc-2026-11-30", "cme-ficc-2026-04-30-span"])
def test_what_settles_matures_and_expires_is_left_out(
    ahead: tuple[dict[str, Any], list[xm.Market]], policy: str
) -> None:
    book, markets = ahead
    days = list(xm.replay(**book, markets=markets, policy=policy))
    for day, market in zip(days, markets, strict=True):
        assert_same(day, xm.run(**book, market=market, policy=policy))
    rejected = [int(day.rows_rejected.sum()) for day in days]
    assert rejected == sorted(rejected)
    assert rejected[0] < rejected[1] < rejected[-1]


def refuse(*args: Any, **options: Any) -> None:
    raise AssertionError("done again")


NOT_AGAIN = (
    "calculation.inputs.read_trades",
    "calculation.days.classify_trades",
    "book.netting.Netting.__init__",
    "calculation.input_tables.parse",
    "instruments.deliverables.conversion_factors",
)
"""What a day leaves alone on which the same of the book is open as on the day before."""


def test_nothing_is_read_or_sorted_again_while_the_same_is_open(
    tables: dict[str, pa.Table], book: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (market_of(tables, day) for day in ("2026-01-06", "2026-01-07"))
    markets = [first, moved(first, 1.01), moved(first, 0.99), second, moved(second, 1.01)]
    days = xm.replay(**book, markets=markets)
    found = [next(days), next(days)]  # With the first move the legs are sorted.
    with monkeypatch.context() as patched:
        for name in NOT_AGAIN:
            patched.setattr(f"crossmargin.{name}", refuse)
        found += days
    assert len(found) == len(markets)
    for day, market in zip(found, markets, strict=True):
        assert_same(day, xm.run(**book, market=market))


def test_a_book_follows_its_blank_start_cash(book: dict[str, Any], tables: Any) -> None:
    market = market_of(tables, "2026-06-10")
    run = xm.run(**book, market=market)
    assert run.stages is not None
    assert run.stages.netted.legs.assumed.size
    day = list(xm.replay(**book, markets=[market, moved(market, 1.5)]))[1]
    assert_same(day, xm.run(**book, market=moved(market, 1.5)))
