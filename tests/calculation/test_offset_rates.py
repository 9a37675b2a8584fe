"""Offset rates that are given: what they change, what they leave, and what refuses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.calculation.result import stages_of
from crossmargin.exceptions import InputError
from crossmargin.io.hashes import table_hash

REPLACED = {
    *("offset_rate", "binding", "capped", "reason", "requirement_ficc", "requirement_cme"),
    *("requirement", "house_requirement", "programme_saving", "saving", "unused_saving", "run_id"),
}


def rates(**rate: float) -> pa.Table:
    return pa.table({"account": list(rate), "offset_rate": list(rate.values())})


def rows(run: xm.RunResult) -> dict[str, dict[str, Any]]:
    return {row["account"]: row for row in run.accounts.to_arrow().to_pylist()}


@pytest.fixture(scope="module")
def run(run_by_cubes: Callable[..., xm.RunResult]) -> xm.RunResult:
    return run_by_cubes(
        ("BOTH", 1_000_000, 10, 5),
        ("KEPT", 1_000_000, 10, 0),
        ("CASH", 1_000_000, 0, 0),
        ("OUT", 1_000_000, 10, 0),
    )


def test_a_given_rate_is_worked_out_by_hand(run: xm.RunResult) -> None:
    given = rows(xm.with_offset_rates(run, rates(BOTH=0.25), source="by hand"))
    # Cash 10,000 at FICC, 10 futures of 300 at CME, 5 more in the ordinary account.
    shown = ("requirement_ficc", "requirement_cme", "other_cme", "requirement", "programme_saving")
    assert [given["BOTH"][name] for name in shown] == [
        Decimal("7500.00"),
        Decimal("2250.00"),
        Decimal("1500.00"),
        Decimal("11250.00"),
        Decimal("3250.00"),
    ]
    assert given["BOTH"]["saving"] == Decimal("3250.00")
    assert (given["BOTH"]["binding"], given["BOTH"]["capped"]) == (None, False)
    assert (given["BOTH"]["reason"], given["BOTH"]["unused_saving"]) == (None, None)
    before = rows(run)
    for name in set(before["BOTH"]) - REPLACED:
        assert given["BOTH"][name] == before["BOTH"][name], name
    for account in ("KEPT", "CASH", "OUT"):
        assert {**given[account], "run_id": ""} == {**before[account], "run_id": ""}


def test_a_rate_of_zero_says_that_it_was_given_and_the_cap_is_the_cap(run: xm.RunResult) -> None:
    given = rows(xm.with_offset_rates(run, rates(BOTH=0.0, KEPT=0.8), source="by hand"))
    assert (given["BOTH"]["reason"], given["BOTH"]["requirement"]) == ("GIVEN", 13000 + 1500)
    assert (given["KEPT"]["capped"], given["KEPT"]["requirement"]) == (True, 2600)


def test_nobody_gives_a_benefit_to_who_cannot_have_one(run: xm.RunResult) -> None:
    result = xm.with_offset_rates(run, rates(CASH=0.5, OUT=0.5), source="by hand")
    assert rows(result)["CASH"]["reason"] == "ONE_SIDED"
    assert rows(result)["OUT"]["reason"] == "NOT_ELIGIBLE"
    assert [rows(result)[name]["requirement"] for name in ("CASH", "OUT")] == [10000, 13000]
    entry = result.manifest["offset_rates"]
    assert (entry["source"], entry["rows"], entry["used"]) == ("by hand", 2, 0)
    assert entry["without_benefit"] == {"NOT_ELIGIBLE": 1, "ONE_SIDED": 1}


def test_the_rates_of_the_models_give_the_amounts_of_the_models(sample_run: xm.RunResult) -> None:
    own = sample_run.accounts.to_arrow().select(["account", "offset_rate"])
    given = xm.with_offset_rates(sample_run, own, source="its own").accounts
    for name in ("offset_rate", "capped", "status", *REPLACED - {"binding", "run_id"}):
        if name not in ("reason", "unused_saving"):
            assert given[name].equals(sample_run.accounts[name]), name


def test_charges_that_are_reducible_are_reduced_by_the_given_rate(
    sample_inputs: dict[str, Any],
) -> None:
    base = xm.run(**sample_inputs, policy="cme-ficc-2026-11-30-charges")
    stages = stages_of(base)
    assert stages.margins.charged
    at = int(np.flatnonzero(stages.agreement.saving.offset_rate > 0.1)[0])
    name = base.accounts["account"][at].as_py()
    row = rows(xm.with_offset_rates(base, rates(**{name: 0.1}), source="by hand"))[name]

    def usd(amount: float) -> Decimal:
        cents = int(np.floor(amount * 100.0 + 0.5))
        return Decimal(cents) / 100

    for ccp, portfolio, shown in (("FICC", 0, "requirement_ficc"), ("CME", 1, "requirement_cme")):
        margin = stages.margins.ficc if ccp == "FICC" else stages.margins.cme
        due = usd(margin.v[at, portfolio] * 0.9)
        for charged in stages.margins.charged:
            if charged.ccp == ccp:
                amount = charged.amount[at, portfolio]
                due += usd(amount * 0.9 if charged.reducible else amount)
        assert row[shown] == due


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_more_offset_never_costs_more(sample_run: xm.RunResult, data: st.DataObject) -> None:
    names = sample_run.accounts["account"].to_pylist()
    picked = data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=20))
    low = data.draw(st.lists(st.floats(0.0, 0.8), min_size=len(picked), max_size=len(picked)))
    more = data.draw(st.floats(0.0, 1.0))
    high = [min(0.8, rate + more * (0.8 - rate)) for rate in low]
    runs = [
        rows(
            xm.with_offset_rates(
                sample_run, rates(**dict(zip(picked, some, strict=True))), source="drawn"
            )
        )
        for some in (low, high)
    ]
    for name in names:
        less, more_due = (run[name]["requirement"] for run in (runs[1], runs[0]))
        assert (less is None) == (more_due is None)
        assert less is None or less <= more_due
        for run in runs:
            assert 0.0 <= run[name]["offset_rate"] <= 0.8
            assert (run[name]["offset_rate"] == 0.0) == (run[name]["reason"] is not None)


def test_a_result_of_its_own_that_follows_from_what_was_given(run: xm.RunResult) -> None:
    one, same, other, elsewhere = (
        xm.with_offset_rates(run, rates(BOTH=rate), source=source)
        for rate, source in ((0.25, "a"), (0.25, "a"), (0.26, "a"), (0.25, "b"))
    )
    ids = [result.manifest["run_id"] for result in (run, one, other, elsewhere)]
    assert len(set(ids)) == 4
    assert one.manifest == same.manifest
    assert set(one.positions["run_id"].to_pylist()) == {ids[1]}
    described = one.manifest["results"]["accounts"]
    assert described["hash"] == table_hash(one.accounts.to_arrow(), without=("run_id",))
    assert run.manifest["run_id"] == ids[0]
    assert "offset_rates" not in run.manifest


def test_what_goes_back_to_the_models_refuses_given_rates(run: xm.RunResult) -> None:
    given = xm.with_offset_rates(run, rates(BOTH=0.25), source="by hand")
    for ask in (
        lambda: xm.Session(given),
        lambda: xm.allocate(given),
        lambda: xm.explain(given, "BOTH"),
        lambda: xm.rerun(given, xm.sample_market()),
        lambda: xm.attribute(given, run),
        lambda: xm.with_offset_rates(given, rates(KEPT=0.1), source="again"),
    ):
        with pytest.raises(ValueError, match="offset rates of this run were given"):
            ask()
    assert stages_of(given, given_rates=True).agreement.saving.offset_rate[0] == 0.25


def test_it_is_written_and_read_but_not_rebuilt(run: xm.RunResult, tmp_path: Path) -> None:
    given = xm.with_offset_rates(run, rates(BOTH=0.25), source="by hand")
    read = xm.read_run(xm.write_run(given, tmp_path / "run"))
    assert read.accounts.to_arrow().equals(given.accounts.to_arrow())
    assert stages_of(read, given_rates=True).agreement.saving.offset_rate[0] == 0.25
    with pytest.raises(ValueError, match="were given"):
        xm.Session(read)
    with pytest.raises(InputError, match="were given and do not follow from the inputs"):
        xm.rebuild_run(tmp_path / "run")
    difference = xm.compare(run, given).to_pandas()["requirement_difference"]
    assert difference.tolist() == [11250 - 8500, 0, 0, 0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rates(NOBODY=0.5), "account NOBODY is not in the run"),
        (rates(BOTH=0.81), "row 1: 0.81 is above the cap of 0.8"),
        (rates(BOTH=45.0), "outside 0 to 1"),
        (rates(BOTH=-0.1), "outside 0 to 1"),
        (rates(BOTH=float("nan")), "is blank"),
        (rates(BOTH=float("inf")), "not a finite number"),
        (pa.table({"account": ["BOTH"] * 2, "offset_rate": [0.1, 0.1]}), "BOTH has more than one"),
        (pa.table({"account": ["BOTH"], "offset_rate": ["45%"]}), "not a finite number"),
        (pa.table({"account": ["BOTH"], "offset_rate": [None]}), "is blank"),
        (pa.table({"account": ["BOTH"]}), "`offset_rate` is missing"),
    ],
)
def test_rates_that_cannot_be_meant_are_refused(
    run: xm.RunResult, table: pa.Table, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        xm.with_offset_rates(run, table, source="by hand")


def test_arguments_of_another_kind_are_refused(run: xm.RunResult) -> None:
    with pytest.raises(TypeError, match="run: a run"):
        xm.with_offset_rates("results", rates(BOTH=0.1), source="x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no row"):
        xm.with_offset_rates(run, rates(), source="x")
    for source in ("", " ", None):
        with pytest.raises(TypeError, match="source: a text"):
            xm.with_offset_rates(run, rates(BOTH=0.1), source=source)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no stages"):
        xm.with_offset_rates(replace(run, stages=None), rates(BOTH=0.1), source="x")
