from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

import crossmargin as xm
from crossmargin.conventions import ALL, CASH, FICC, OTHER
from crossmargin.margin.charges import charge_book
from crossmargin.margin.charges.repo_rate import exposures, prepare
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import read_policy
from crossmargin.policies.sections.charges import RepoRateRules
from crossmargin.policies.sections.scenarios import Stress

DAYS = ("2025-03-13", "2025-04-13", "2025-04-14", "2026-03-13", "2027-03-13")


@pytest.fixture
def universe(by_hand: Any) -> Any:
    """Return two notes and five forward cash legs of 80 USD a lot."""
    notes = [(name, [(1.0, 100.0)], 1.0) for name in ("NOTE00000", "TIPS00000")]
    cash = [(f"USD {day}", [(0.5, 100.0)], 1.0) for day in DAYS]
    made = by_hand(*notes, *cash, market_value=[99.0, 98.0] + [0.0] * 5)
    return replace(made, price=np.array([np.nan] * 2 + [80.0] * 5))


def test_exposure_is_value_times_years_in_its_term(
    universe: Any, inputs_of: Any, market: Any, scenario_rules: Any
) -> None:
    rules = RepoRateRules((1, 12), ("1/12", "1"), ())
    found = exposures(inputs_of(universe, rules), rules)
    assert found.bucket.tolist() == [-1, -1, 0, 0, 1, 1, 1]
    # 80 USD a lot times the days: none, 31, 32, 365, 730.
    expected = 80.0 * np.array([0, 31, 32, 365, 730]) / 365.25
    np.testing.assert_allclose(found.value[2:], expected, rtol=1e-15)
    moves = ScenarioStore().of(
        market.history, horizon=3, look_back=100, minimum=100, stress=scenario_rules.stress
    )
    # The second largest of 140 moves.
    second = np.sort(np.abs(moves.shock[:, [0, 3]]), axis=0)[-2]
    assert found.rate.tolist() == second.tolist()


def test_moves_come_from_all_rows_of_ficc_s_periods(
    universe: Any, inputs_of: Any, market: Any
) -> None:
    rules = RepoRateRules((1, 12), ("1/12", "1"), ())
    first, last, roots = str(market.history.date[20]), str(market.history.date[79]), ("ZN",)
    # What is for ZN alone counts too, and what is for CME does not. Rows 20 to 159 again.
    periods = Stress((("FICC", "a", first, last, roots), ("CME", "b", "2000-01-01", last, ())))
    found = exposures(inputs_of(universe, rules, periods), rules)
    assert found.rate.tolist() == exposures(inputs_of(universe, rules), rules).rate.tolist()
    # Only the 100 rows of the look-back: the largest of them decides.
    other = Stress((("CME", "b", first, last, ()),))
    largest = np.abs(market.history.zero_rate_change(3)[-100:, [0, 3]]).max(axis=0)
    found = exposures(inputs_of(universe, rules, other), rules)
    assert found.rate.tolist() == largest.tolist()


def test_rates_of_the_policy_are_not_calibrated(universe: Any, inputs_of: Any) -> None:
    rules = RepoRateRules((6,), ("1",), (0.01,))
    assert exposures(inputs_of(universe, rules), rules).rate.tolist() == [0.01]


def test_net_exposure_of_a_term_is_charged(
    universe: Any, inputs_of: Any, book_of: Any, margins: Any
) -> None:
    (charge,) = prepare(inputs_of(universe, RepoRateRules((1, 24), ("1", "1"), (0.5, 0.25))))
    assert (charge.name, charge.ccp, charge.reducible) == ("repo rate", FICC, False)
    # 31 days against 365 and 730; the 365 days are paid back outside.
    (found,) = charge_book(book_of([{3: 2, 5: 1, 6: -1}, {}, {5: -1}, {}]), (charge,), margins())
    day = 80.0 / 365.25
    assert found.amount[0, [CASH, OTHER, ALL]] == pytest.approx(
        [
            day * (0.5 * 62 + 0.25 * 365),
            day * 0.25 * 365,
            day * (0.5 * 62 + 0.25 * 730),
        ],
        rel=1e-15,
    )


def test_no_table_is_no_charge(universe: Any, inputs_of: Any) -> None:
    assert prepare(inputs_of(universe)) == []


def test_charges_of_a_run_are_outside_the_reduction(
    sample_inputs: dict[str, Any], sample_run: xm.Run
) -> None:
    with_repo = read_policy().with_sections(RepoRateRules((12,), ("1/4",), (0.01,)))
    charged = xm.run(**sample_inputs, policy=with_repo)
    was, now = sample_run.accounts.to_arrow(), charged.accounts.to_arrow()
    assert was["offset_rate"].equals(now["offset_rate"])
    assert was["v_ficc_cash"].equals(now["v_ficc_cash"])
    parts = charged.components.to_arrow()
    parts = parts.filter(pc.equal(parts["component"], "charge: repo rate"))
    assert set(parts["reducible"].to_pylist()) == {False}
    own = parts.filter(pc.equal(parts["portfolio"], "cash")).to_pylist()
    due = {(r["account"], r["clearing_firm"]): r["amount"] for r in own}
    firm = dict(zip(now["account"].to_pylist(), now["clearing_firm"].to_pylist(), strict=True))
    checked = 0
    columns = ("account", "requirement_ficc")
    for a, b in zip(was.select(columns).to_pylist(), now.select(columns).to_pylist(), strict=True):
        amount = due.get((a["account"], firm[a["account"]]))
        if amount and a["requirement_ficc"] is not None:
            assert b["requirement_ficc"] - a["requirement_ficc"] == amount
            checked += 1
    assert checked > 100
