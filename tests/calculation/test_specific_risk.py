"""Factors that a policy adds to a market: derived again and again, removed, used by runs."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.calculation.policy_market import policy_market
from crossmargin.exceptions import InputError
from crossmargin.policies import BasisProcessRules, Policy, SpreadRules, read_policy
from crossmargin.results.table import Table

NEW, OLD = "cme-ficc-2026-11-30", "cme-ficc-2026-04-30"
TABLES = ("accounts", "components", "breakdown", "positions", "exceptions")


@pytest.fixture(scope="module")
def specific() -> Policy:
    """The new policy's specific risk on the earlier one, so that only that differs."""
    new = read_policy(NEW)
    sections = [new.get(section) for section in (SpreadRules, BasisProcessRules)]
    return read_policy(OLD).with_sections(*[one for one in sections if one is not None])


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return sample_book(12)


@pytest.fixture(scope="module")
def bare(sample_inputs: dict[str, Any]) -> xm.Market:
    """The synthetic market without a basis of ZN."""
    market: xm.Market = sample_inputs["market"]
    basis = {root: one for root, one in market.history.basis.items() if root != "ZN"}
    return replace(market, history=replace(market.history, basis=basis))


@pytest.fixture(scope="module")
def run(book: dict[str, Any], bare: xm.Market, specific: Policy) -> xm.RunResult:
    return xm.run(**book, market=bare, policy=specific)


def notes(result: xm.RunResult, code: str) -> list[dict[str, Any]]:
    return [row for row in result.exceptions if row["code"] == code]


def test_a_market_is_derived_once_and_the_factors_go_with_the_tables(
    bare: xm.Market, specific: Policy
) -> None:
    derived = policy_market(specific, bare)
    assert policy_market(specific, derived) is derived
    assert policy_market(read_policy(OLD), bare) is bare
    history = derived.history
    assert len(history.factor) == len(set(history.factor))
    assert history.factor[: history.curve_factors] == bare.history.factor[: history.curve_factors]
    assert history.assumed_basis[0] == "basis:ZN"  # All others have a history in the sample.
    again = policy_market(read_policy(OLD), derived)
    assert again.history.specific is None
    assert again.history.factor == bare.history.factor
    # Derived from the raw parts, whatever was derived before.
    seeded = specific.with_sections(
        *[replace(one, seed=2) for one in (specific.get(SpreadRules),) if one is not None]
    )
    there = policy_market(seeded, derived).history.specific
    assert there == policy_market(seeded, bare).history.specific
    assert there != history.specific


def test_the_earlier_policy_does_not_see_any_of_it(
    book: dict[str, Any], bare: xm.Market, specific: Policy
) -> None:
    plain = xm.run(**book, market=bare, policy=OLD)
    derived = xm.run(**book, market=policy_market(specific, bare), policy=OLD)
    assert derived.manifest["results"] == plain.manifest["results"]
    assert derived.manifest["ccps"] == plain.manifest["ccps"]


def test_an_assumed_basis_is_said(run: xm.RunResult, bare: xm.Market, book: dict[str, Any]) -> None:
    [note] = notes(run, "BASIS_ASSUMED")
    assert note["message"] == "basis assumed, not observed: ZN (give --basis or --settlements)"
    told = run.manifest["ccps"]["FICC"]
    assert "ZN" in told["assumed_basis"]
    assert told["scenarios_without_basis"]["ZN"] == 0
    # ZB's own history has gaps, which are counted as before.
    plain = xm.run(**book, market=bare, policy=OLD)
    before = plain.manifest["ccps"]["FICC"]["scenarios_without_basis"]
    assert before["ZN"] > 0
    for root in bare.history.basis:
        assert told["scenarios_without_basis"][root] == before[root]
    assert not notes(plain, "BASIS_ASSUMED")
    lines = {row["instrument"] for row in plain.positions if row["instrument"].startswith("ZN")}
    assert lines
    upper = [row["saving_is_upper_bound"] for row in plain.accounts]
    assert any(upper)
    now = [row["saving_is_upper_bound"] for row in run.accounts]
    assert sum(now) < sum(upper)


def test_stages_are_kept_and_a_rerun_is_the_same(run: xm.RunResult, tmp_path: Path) -> None:
    read = xm.read_run(xm.write_run(run, tmp_path / "run"))
    again = xm.rerun(read, read.stages.parsed.market)  # type: ignore[union-attr]
    for name in TABLES:
        assert again.manifest["results"][name] == run.manifest["results"][name]


def test_a_what_if_equals_a_run(run: xm.RunResult, book: dict[str, Any]) -> None:
    account = next(r["account"] for r in run.accounts if r["offset_rate"] > 0.0)
    answer = xm.Session(run).what_if(account, {"ZNU26": -5})
    assert answer is not None
    fresh = xm.compare_revaluation(run, run.stages.parsed.market)  # type: ignore[union-attr]
    assert isinstance(fresh, Table)


def spreads(**columns: Any) -> pa.Table:
    given = {
        "date": [datetime.date(2026, 6, 1), datetime.date(2026, 6, 2)],
        "group": ["7 off", "7 off"],
        "spread_pct": [0.01, 0.02],
    }
    return pa.table({**given, **columns})


def test_a_supplied_spread_wins_and_what_it_lacks_is_counted(
    sample_inputs: dict[str, Any], book: dict[str, Any], specific: Policy
) -> None:
    market: xm.Market = sample_inputs["market"]
    date = market.history.date
    level = [0.01 * (n % 3) for n in range(date.size)]
    given = {"date": date.tolist(), "group": ["7 off"] * date.size, "spread_pct": level}
    observed = with_spreads(market, pa.table(given).slice(0, date.size - 1))
    result = xm.run(**book, market=observed, policy=specific)
    assert result.manifest["ccps"]["FICC"]["scenarios_without_spread"] == {"7 off": 1}
    history = result.stages.models.market.history  # type: ignore[union-attr]
    assert history.observed_spread == ("spread:7 off",)
    unused = xm.run(**book, market=observed, policy=OLD)
    [note] = [n for n in notes(unused, "INPUT_NOT_USED") if n["file"] == "spreads"]
    assert "no table spreads" in note["message"]
    unknown = with_spreads(market, spreads(group=["7 of", "7 of"]))
    with pytest.raises(InputError, match="spreads: the policy has no group '7 of'; known: 2 on"):
        xm.run(**book, market=unknown, policy=specific)


def with_spreads(market: xm.Market, table: pa.Table) -> xm.Market:
    """Return a market with spreads read from a table."""
    yields = pa.table(
        {
            "date": pa.array(market.history.date, pa.date32()),
            **{
                name: 100.0 * market.history.par_yield[:, k]
                for k, name in enumerate(
                    ("1mo", "3mo", "6mo", "1y", "2y", "3y", "5y", "7y", "10y", "20y", "30y")
                )
            },
        }
    )
    read = xm.read_market(yields, as_of=market.as_of, spreads=table)
    return replace(market, history=replace(market.history, spreads=read.history.spreads))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"spread_pct": [2.5, 3.1]}, "look like basis points: give percent"),
        ({"spread_pct": [0.00025, 0.0003]}, "look like decimals: give percent"),
        # Units of each group by itself.
        (
            {"group": ["5 on", "7 off"], "spread_pct": [0.02, 2.5]},
            "those of '7 off' is 2.5; they look",
        ),
        ({"spread_pct": [25.0, 31.0]}, "spread_pct"),
        (
            {"date": [datetime.date(2030, 6, 3), datetime.date(2030, 6, 4)]},
            "has no spread dated 2026",
        ),
        ({"date": [datetime.date(2026, 6, 1)] * 2}, "date, group appear more than once"),
        ({"spread_pct": pa.array([None, None], pa.float64())}, "no row has a value"),
    ],
)
def test_spreads_are_checked(
    sample_inputs: dict[str, Any], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        with_spreads(sample_inputs["market"], spreads(**columns))


def test_spreads_of_securities_are_not_taken_for_groups(sample_inputs: dict[str, Any]) -> None:
    many = pa.table(
        {
            "date": [datetime.date(2026, 6, 1)] * 201,
            "group": [f"9128{number:05d}" for number in range(201)],
            "spread_pct": [0.01] * 201,
        }
    )
    with pytest.raises(InputError, match="201 different groups, such as '912800000', more than"):
        with_spreads(sample_inputs["market"], many)


def test_later_days_do_not_matter(sample_inputs: dict[str, Any]) -> None:
    market: xm.Market = sample_inputs["market"]
    later = pa.table({"date": [datetime.date(2030, 6, 3)], "group": ["5 on"], "spread_pct": [0.03]})
    whole = with_spreads(market, pa.concat_tables([spreads(), later])).history.spreads
    cut = with_spreads(market, spreads()).history.spreads
    assert whole is not None
    assert cut is not None
    # A group of later days alone has no history yet: it is drawn.
    assert whole.group == cut.group == ("7 off",)
    assert whole.date.tolist() == cut.date.tolist()
    assert whole.level.tolist() == cut.level.tolist()


def test_a_history_of_a_few_days_is_noted(
    sample_inputs: dict[str, Any], book: dict[str, Any], specific: Policy
) -> None:
    market: xm.Market = sample_inputs["market"]
    size = market.history.date.size
    for days, named in ((2, True), (1500, False)):
        date = market.history.date[size - days :].tolist()
        level = [0.01 * (n % 3) for n in range(days)]
        table = pa.table({"date": date, "group": ["7 off"] * days, "spread_pct": level})
        result = xm.run(**book, market=with_spreads(market, table), policy=specific)
        found = notes(result, "SPREADS_FEW")
        assert bool(found) == named
        assert all("7 off (" in note["message"] for note in found)
        assert all("hedges may look better than they are" in note["message"] for note in found)


def test_a_rerun_checks_the_groups_of_its_market(
    sample_inputs: dict[str, Any], run: xm.RunResult
) -> None:
    other = with_spreads(sample_inputs["market"], spreads(group=["8 off", "8 off"]))
    with pytest.raises(InputError, match="spreads: the policy has no group '8 off'"):
        xm.rerun(run, other)
