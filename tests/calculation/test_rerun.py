"""The book of a run on another market of the same day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.market.curve import Curve
from crossmargin.market.market import Note
from crossmargin.sample import sample_tables


@pytest.fixture(scope="module")
def book() -> dict[str, Any]:
    tables = sample_tables(accounts=40)
    return {name: tables[name] for name in ("positions", "accounts", "securities")}


def hashes(result: xm.RunResult) -> dict[str, str]:
    return {name: entry["hash"] for name, entry in result.manifest["results"].items()}


@pytest.mark.parametrize("policy", [None, "cme-ficc-2026-04-30", "cme-ficc-2026-11-30-span"])
def test_a_rerun_is_a_run_on_that_market(book: dict[str, Any], policy: str | None) -> None:
    market = xm.sample_market()
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.01))
    first = xm.run(**book, market=market, policy=policy)
    again = xm.rerun(first, moved)
    whole = xm.run(**book, market=moved, policy=policy)
    assert hashes(again)["accounts"] == hashes(whole)["accounts"]
    assert hashes(again)["accounts"] != hashes(first)["accounts"]
    assert hashes(xm.rerun(again, market)) == hashes(first)


def test_a_rerun_keeps_the_scenarios_and_baskets_of_the_run(
    book: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    market = xm.sample_market()
    first = xm.run(**book, market=market)

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr("crossmargin.market.scenarios.build_scenarios", refuse)
    monkeypatch.setattr("crossmargin.instruments.deliverables.find_basket", refuse)
    moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 0.99))
    again = xm.rerun(xm.rerun(first, moved), market)
    assert hashes(again) == hashes(first)


def test_another_day_and_results_without_stages_are_refused(book: dict[str, Any]) -> None:
    market = xm.sample_market()
    first = xm.run(**book, market=market)
    with pytest.raises(ValueError, match="the market is of 2026-06-09, the run of 2026-06-10"):
        xm.rerun(first, xm.sample_market(as_of="2026-06-09"))
    with pytest.raises(ValueError, match="no stages"):
        xm.rerun(replace(first, stages=None), market)


def test_a_rerun_tells_of_its_own_market(book: dict[str, Any]) -> None:
    market = xm.sample_market()
    noted = replace(
        market,
        notes=(Note("READ_AS", "par_yields", "as percent"),),
        source={"par_yields": {"hash": "other"}},
    )
    plain, told = (xm.run(**book, market=each) for each in (market, noted))
    assert hashes(told)["exceptions"] != hashes(plain)["exceptions"]
    for first, other in ((plain, told), (told, plain)):
        assert other.stages is not None
        again = xm.rerun(first, other.stages.models.market)
        assert hashes(again) == hashes(other)
        assert again.manifest["inputs"] == other.manifest["inputs"]
        assert again.manifest["exceptions"] == other.manifest["exceptions"]


def test_a_market_without_the_basis_of_the_settlements_is_refused(book: dict[str, Any]) -> None:
    market = xm.sample_market()
    given = {root: own for root, own in market.history.basis.items() if root != "ZN"}
    market = replace(market, history=replace(market.history, basis=given))
    days = market.history.date[-70:]
    settlements = pa.table(
        {
            "date": pa.array(days, pa.date32()),
            "contract": ["ZNU26"] * days.size,
            "price": 110.0 + np.arange(days.size) / 64.0,
        }
    )
    first = xm.run(**book, market=market, settlements=settlements)
    with pytest.raises(ValueError, match=r"no basis of ZN, .* make it from result\.stages\.models"):
        xm.rerun(first, market)
    assert first.stages is not None
    assert hashes(xm.rerun(first, first.stages.models.market)) == hashes(first)


def test_scenarios_of_one_history_are_kept(book: dict[str, Any]) -> None:
    market = xm.sample_market()
    first = xm.run(**book, market=market)
    assert first.stages is not None
    kept = first.stages.kept.scenarios._kept
    for _ in range(2):
        copy = replace(market, history=replace(market.history))
        again = xm.rerun(first, copy)
        assert hashes(again) == hashes(first)
        history, chosen = first.stages.kept.scenarios._kept
        # The copy's history with the factors that the policy adds.
        assert again.stages is not None
        assert history is again.stages.models.market.history
        assert history is not kept[0]
        assert len(chosen) == len(kept[1])
