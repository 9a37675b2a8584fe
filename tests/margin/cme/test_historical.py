from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from crossmargin.conventions import ALL, CASH, COMBINED, FUTURES, OTHER
from crossmargin.engine import Cube, Execution, revalue
from crossmargin.margin.cme.equivalents import equivalent_contracts, equivalents
from crossmargin.margin.cme.historical import Stressed, cme_cubes, cme_margin, cme_vars
from crossmargin.margin.cme.model import CmeHvar, PreparedHvar
from crossmargin.margin.model import ModelInputs, OwnCube
from crossmargin.market.scenarios import (
    CorrelationScaling,
    HistoryShortError,
    ScenarioStore,
    StressWindow,
    VolatilityScaling,
)
from crossmargin.policies import CmeCorrelation, CmeEquivalents, CmeFloor, read_policy
from crossmargin.policies.sections.scenarios import HouseScenarios

FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
RULES = read_policy(FIRST).cme
ONLY_ZT_ZN = replace(RULES, equivalent_roots=((3.0, "ZT"), (100.0, "ZN")))
ZEROS = np.zeros((6, 4))


@pytest.mark.parametrize(
    ("as_of", "letter"),
    [
        ("2025-03-13", "M25"),
        ("2025-02-28", "H25"),
        # June's delivery month begins on the day itself: not after it.
        ("2025-06-01", "U25"),
        ("2025-05-31", "M25"),
        ("2025-12-01", "H26"),
    ],
)
def test_equivalent_is_the_first_contract_whose_month_begins_later(as_of: str, letter: str) -> None:
    contracts = equivalent_contracts(RULES, np.datetime64(as_of))
    roots = ["ZT", "Z3N", "ZF", "ZN", "TN", "ZB", "UB"]
    assert [c.symbol for c in contracts if c] == [root + letter for root in roots]


def test_root_that_was_not_listed_yet_has_no_equivalent() -> None:
    # Z3N, TN and UB came after 2005.
    contracts = equivalent_contracts(RULES, np.datetime64("2005-01-10"))
    symbols = [c.symbol if c else None for c in contracts]
    assert symbols == ["ZTH05", None, "ZFH05", "ZNH05", None, "ZBH05", None]


def test_cash_enters_by_its_dv01_over_the_contracts(
    by_hand: Any, market: Any, scenario_rules: Any
) -> None:
    # All discount factors are 1, so DV01 = time * amount * scale * 1 bp.
    universe = by_hand(
        # 0.0001 * (2 * 100) = 0.02 a lot; 0.0001 * (1 * 50 + 4 * 100) = 0.045; 5 years: ZN.
        ("NOTE00000", [(2.0, 100.0)], 1.0),
        ("NOTE00001", [(1.0, 50.0), (4.0, 100.0)], 1.0),
        ("NOTE00002", [(5.0, 110.0)], 1.0),
        ("USD 2025-05-01", [(0.5, 100.0)], 1.0),
        # Flows two and seven years beyond delivery: 0.0001 * 200 * 2000 = 40; 0.07 * 1000 = 70.
        ("ZTM25", [(2.25, 100.0, 0.25)], 2000.0),
        ("ZNM25", [(7.25, 100.0, 0.25)], 1000.0),
        years=[2.0, 3.0, 3.01, 0.0, 2.25, 7.25],
    )
    historical, stressed, priced = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules)
    assert priced.all()
    for cube in (historical, stressed.cube):
        zt, zn = cube.pnl[4], cube.pnl[5]
        assert np.abs(zt).max() > 100.0
        half_step = 2.0**-21
        np.testing.assert_allclose(cube.pnl[0], zt * 0.02 / 40.0, rtol=0, atol=half_step)
        np.testing.assert_allclose(cube.pnl[1], zt * 0.045 / 40.0, rtol=0, atol=half_step)
        np.testing.assert_allclose(cube.pnl[2], zn * 0.055 / 70.0, rtol=0, atol=half_step)
        assert not cube.pnl[3].any()
        assert cube.on_grid


# What is calibrated is read from the second version, which may be fitted again.
@pytest.mark.parametrize(
    ("policy", "decay"), [(FIRST, 0.97), (SECOND, read_policy(SECOND).cme.volatility_decay)]
)
def test_historical_moves_are_scaled_and_stressed_ones_are_not(
    build: Any, market: Any, scenario_rules: Any, policy: str, decay: float
) -> None:
    universe = build(market)
    rules = replace(read_policy(policy).cme, equivalent_roots=ONLY_ZT_ZN.equivalent_roots)
    historical, stressed, _ = cme_cubes(universe, market, rules, scenario_rules)
    how = {"horizon": 1, "look_back": 100, "minimum": 100, "stress": scenario_rules.stress}
    plain = ScenarioStore().of(market.history, **how)
    scaled = ScenarioStore().of(market.history, scaling=VolatilityScaling(decay, 250, 3.0), **how)
    # The last 100 rows, 60 to 159, and before them rows 20 to 59; of these 20 to 79 are stressed.
    assert historical.pnl.shape == (7, 140)
    assert stressed.cube.pnl.shape == (7, 60)
    assert stressed.cube.scenario is not None
    assert stressed.cube.scenario.tolist() == market.history.date[20:80].astype(str).tolist()
    assert plain.stressed.tolist() == list(range(60))
    # ZTM25 by its only bond: forward value at the end of June's delivery.
    zt = universe.name.tolist().index("ZTM25")
    terms = universe.terms
    (line,) = range(*terms.instrument_ptr[zt : zt + 2])
    for cube, shock in ((historical, scaled.shock), (stressed.cube, plain.shock[:60])):
        change = np.zeros(len(shock))
        for term in range(*terms.line_ptr[line : line + 2]):
            own = slice(*terms.exponent_ptr[terms.term_exponent[term] :][:2])
            u = (terms.exponent_weight[own] * shock[:, terms.exponent_factor[own]]).sum(axis=1)
            change += terms.term_amount[term] * np.expm1(-u)
        np.testing.assert_allclose(cube.pnl[zt], 2000.0 * change, rtol=0, atol=1e-5)


def test_historical_moves_take_on_recent_correlations_and_stressed_ones_do_not(
    by_hand: Any, market: Any, scenario_rules: Any
) -> None:
    # ZTM25 moves with the ten-year zero rate alone: 2000 (exp(-10 z) - 1).
    universe = by_hand(("ZTM25", [(10.0, 1.0)], 2000.0), ("ZNM25", [(2.0, 1.0)], 1000.0))
    plain = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules)
    how = CmeCorrelation(weight=0.75, decay=0.97)
    historical, stressed, _ = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules, how)
    scaled = ScenarioStore().of(
        market.history,
        horizon=1,
        look_back=100,
        minimum=100,
        stress=scenario_rules.stress,
        scaling=VolatilityScaling(0.97, 250, 3.0),
        correlation=CorrelationScaling(decay=0.97, weight=0.75),
    )
    move = scaled.shock[:, scaled.factor.index("treasury:10")]
    np.testing.assert_allclose(historical.pnl[0], 2000.0 * np.expm1(-10 * move), rtol=0, atol=1e-6)
    assert np.abs(historical.pnl - plain[0].pnl).max() > 0.1
    assert np.array_equal(stressed.cube.pnl, plain[1].cube.pnl)


def test_cheapest_to_deliver_is_chosen_anew(
    build: Any, wild_market: Any, scenario_rules: Any
) -> None:
    market = wild_market
    universe = build(market)
    zn = universe.name.tolist().index("ZNM25")
    assert np.diff(universe.terms.instrument_ptr)[zn] == 2
    historical, _, _ = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules)
    fixed = replace(universe, terms=universe.fixed_terms())
    held, _, _ = cme_cubes(fixed, market, ONLY_ZT_ZN, scenario_rules)
    # The minimum over the basket never lies above any one bond of it.
    assert (historical.pnl[zn] <= held.pnl[zn]).all()
    assert (historical.pnl[zn] < held.pnl[zn]).any()


def test_cash_without_its_contract_is_not_covered(
    by_hand: Any, market: Any, scenario_rules: Any
) -> None:
    universe = by_hand(
        ("NOTE00000", [(2.0, 100.0)], 1.0),
        ("NOTE00001", [(5.0, 100.0)], 1.0),
        ("NOTE00002", [], 1.0),
        ("USD 2025-05-01", [(0.5, 100.0)], 1.0),
        ("ZTM25", [], 2000.0),
        ("ZNM25", [(7.25, 100.0, 0.25)], 1000.0),
        years=[2.0, 5.0, 7.0, 0.0, 0.0, 7.25],
    )
    historical, stressed, priced = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules)
    assert priced.tolist() == [False, True, False, True, False, True]
    assert not historical.pnl[[0, 2]].any()
    assert not stressed.cube.pnl[[0, 2]].any()


def test_history_without_stress_is_an_error(build: Any, market: Any, scenario_rules: Any) -> None:
    rules = replace(scenario_rules, stress_windows=(("2008-07-01", "2009-06-30"),))
    with pytest.raises(HistoryShortError, match=r"stress .* \(2008-07-01 to 2009-06-30\); give"):
        cme_cubes(build(market), market, ONLY_ZT_ZN, rules)


def cubes(historical: list[float], *stressed: list[float]) -> tuple[Cube, Stressed]:
    """Return P&L whose instrument 0 has these losses, also by period; instrument 1 the opposite."""
    every = [loss for period in stressed for loss in period]
    one, other = (
        Cube(np.vstack([-np.array(x), np.array(x), np.zeros((8, len(x)))]))
        for x in (historical, every)
    )
    end = np.cumsum([len(period) for period in stressed]).tolist()
    rows = tuple(slice(a, b) for a, b in pairwise([0, *end]))
    return one, Stressed(other, rows, ((),) * len(rows))


def margin(book_of: Any, *rows: dict[int, int], priced: Any = None, **changes: Any) -> Any:
    historical, stressed = cubes([-60.0, 100.0, 80.0, 70.0], [200.0, -300.0])
    every = np.ones(10, dtype=bool) if priced is None else priced
    return cme_margin(book_of(rows), historical, stressed, every, replace(RULES, **changes))


@pytest.mark.parametrize(
    ("held", "hvar", "svar", "v"),
    [
        # 0.75 * 100 + 0.25 * 200.
        ({0: 1}, 100.0, 200.0, 125.0),
        # 0.75 * 60 + 0.25 * 300.
        ({0: -1}, 60.0, 300.0, 120.0),
        ({0: 2}, 200.0, 400.0, 250.0),
        ({}, 0.0, 0.0, 0.0),
    ],
)
def test_v_is_the_mix_of_historical_and_stressed_var(
    book_of: Any, held: dict[int, int], hvar: float, svar: float, v: float
) -> None:
    result = margin(book_of, {}, held, {}, {})
    assert result.ccp == "CME"
    assert {n: c[0, FUTURES] for n, c in result.component.items()} == {"HVaR": hvar, "SVaR": svar}
    assert result.v[0, [FUTURES, COMBINED, ALL]].tolist() == [v] * 3
    assert result.v[0, [CASH, OTHER]].tolist() == [0.0, 0.0]


def test_weight_is_the_policys(book_of: Any) -> None:
    assert margin(book_of, {}, {0: 1}, {}, {}, historical_weight=1.0).v[0, FUTURES] == 100.0
    assert margin(book_of, {}, {0: 1}, {}, {}, historical_weight=0.0).v[0, FUTURES] == 200.0


def test_a_gain_of_one_part_counts_and_v_is_not_negative(book_of: Any) -> None:
    historical, stressed = cubes([-100.0, -200.0], [40.0, 20.0])
    book = book_of([{}, {0: 1}, {}, {}])
    every = np.ones(10, dtype=bool)
    # 0.75 * -100 + 0.25 * 40 = -65, and with a weight of 0.25: -25 + 30.
    result = cme_margin(book, historical, stressed, every, RULES)
    assert result.v[0, FUTURES] == 0.0
    assert not np.signbit(result.v[0, FUTURES])
    assert result.component["HVaR"][0, FUTURES] == -100.0
    mostly_stress = replace(RULES, historical_weight=0.25)
    assert cme_margin(book, historical, stressed, every, mostly_stress).v[0, FUTURES] == 5.0


def test_the_period_that_hurts_a_portfolio_most_counts(book_of: Any) -> None:
    # Long loses at most 200 in the first period and 250 in the second; short 300 and 40.
    historical, stressed = cubes([-60.0, 100.0, 80.0, 70.0], [200.0, -300.0], [250.0, 10.0, -40.0])
    every = np.ones(10, dtype=bool)
    book = book_of([{}, {0: 1}, {}, {0: -2}])
    result = cme_margin(book, historical, stressed, every, RULES)
    assert result.component["SVaR"][0, [FUTURES, OTHER]].tolist() == [250.0, 600.0]
    # 0.75 * 100 + 0.25 * 250, and twice 0.75 * 60 + 0.25 * 300.
    assert result.v[0, [FUTURES, OTHER]].tolist() == [137.5, 240.0]


def test_parts_and_mixtures_are_those_of_each_period(book_of: Any) -> None:
    # As above, with a third period in which short loses as much as in the first.
    historical, stressed = cubes([-60.0, 100.0, 80.0], [200.0, -300.0], [250.0], [-300.0, 0.0])
    unpriced = np.full(10, "", dtype=object)
    model = PreparedHvar(RULES, historical, stressed, unpriced, 1, ())
    book = book_of([{}, {0: 1}, {}, {0: -2}])
    found = model.parts(book, Execution(1))
    assert [part.component for part in found] == ["HVaR", "SVaR", "SVaR", "SVaR"]
    weight = np.array([part.weight[0, [FUTURES, OTHER]] for part in found])
    # On a tie the first period decides.
    assert weight.tolist() == [[0.75, 0.75], [0.0, 0.25], [0.25, 0.0], [0.0, 0.0]]
    terms = model.incremental
    assert terms.mixtures == (
        (0.75, 0.25, 0.0, 0.0),
        (0.75, 0.0, 0.25, 0.0),
        (0.75, 0.0, 0.0, 0.25),
    )
    vars_ = [tuple(row) for row in cme_vars(book, terms.measures, Execution(1))[0].T.tolist()]
    assert terms.v(*vars_) == tuple(model.margin(book, Execution(1)).v[0].tolist())


def house(scenario_rules: Any, *periods: tuple[Any, Any, tuple[str, ...]]) -> HouseScenarios:
    """Return the small market's rules with periods of stress from (first, last, roots)."""
    windows = tuple(StressWindow(first, last, roots) for first, last, roots in periods)
    return HouseScenarios(100, 100, (), windows, ONLY_ZT_ZN.equivalent_roots)


def test_periods_stand_one_after_the_other_and_move_their_roots_alone(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    universe, day = build(market), market.history.date
    rules = house(
        scenario_rules,
        (day[20], day[29], ("ZT",)),
        (day[2] - 900, day[2] - 800, ()),
        (day[25], day[64], ()),
    )
    historical, stressed, _ = cme_cubes(universe, market, ONLY_ZT_ZN, rules)
    one = replace(scenario_rules, stress_windows=((str(day[20]), str(day[64])),))
    whole, together, _ = cme_cubes(universe, market, ONLY_ZT_ZN, one)
    # A period without rows is not there, and five days are in two periods.
    assert stressed.rows == (slice(0, 10), slice(10, 50))
    assert stressed.windows == ((rules.periods[0],), (rules.periods[2],))
    date = [*range(20, 30), *range(25, 65)]
    assert stressed.cube.scenario is not None
    assert stressed.cube.scenario.tolist() == day[date].astype(str).tolist()
    expected = together.cube.pnl[:, [n - 20 for n in date]]
    # ZN, and the notes of more than three years, stand still in the period of ZT.
    of_zt = (universe.root == "ZT") | ((universe.root == "") & (universe.years <= 3.0))
    assert 0 < of_zt.sum() < of_zt.size
    expected[~of_zt, :10] = 0.0
    assert np.array_equal(stressed.cube.pnl, expected)
    # The look-back begins with row 60, and so rows 20 to 24 are there for ZT alone.
    alone = whole.pnl.copy()
    alone[~of_zt, :5] = 0.0
    assert np.array_equal(historical.pnl, alone)


def test_cash_stands_still_with_the_contract_that_stands_for_it(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    universe, day = build(market), market.history.date
    rules = house(scenario_rules, (day[20], day[29], ("ZN",)))
    only_zn = CmeEquivalents(("ZT",), 0.0, False, ())
    stands_in = equivalents(universe, ONLY_ZT_ZN, market.as_of, only_zn)
    historical, stressed, _ = cme_cubes(universe, market, ONLY_ZT_ZN, rules, equivalent=stands_in)
    note = np.flatnonzero((universe.root == "") & (universe.years > 1.0))
    assert (universe.years[note] <= 3.0).any()
    # ZN stands for all notes, also for those of the years of ZT, and moves in its period.
    before_look_back = historical.pnl[:, :10]
    for pnl in (stressed.cube.pnl, before_look_back):
        assert pnl[note].any(axis=1).all()
        assert not pnl[universe.root == "ZT"].any()


def test_scenarios_of_ones_own_lie_in_the_periods_by_their_names(
    build: Any, market: Any, scenario_rules: Any, make_securities: Any
) -> None:
    universe, day = build(market), market.history.date
    rules = house(scenario_rules, (day[20], day[29], ("ZT",)), (day[25], day[64], ()))
    names = ["a gain", str(day[64]), str(day[26]), str(day[21]), str(day[99])]
    pnl = np.arange(7.0 * 5).reshape(7, 5)
    inputs = ModelInputs(
        universe=universe,
        held=make_securities(),
        market=market,
        scenarios=rules,
        eligible=np.ones(7, dtype=bool),
        store=ScenarioStore(),
        cube=OwnCube("cme_cube", universe.name.tolist(), pnl, names),
    )
    found = CmeHvar(ONLY_ZT_ZN).prepare(inputs, Execution(1)).stressed
    assert found is not None
    assert found.cube.scenario is not None
    assert found.cube.scenario.tolist() == [names[n] for n in (2, 3, 1, 2)]
    assert found.rows == (slice(0, 2), slice(2, 4))
    names_of = universe.name.tolist()
    zt, zn = names_of.index("ZTM25"), names_of.index("ZNM25")
    assert found.cube.pnl[zt].tolist() == pnl[zt, [2, 3, 1, 2]].tolist()
    assert found.cube.pnl[zn].tolist() == [0.0, 0.0, *pnl[zn, [1, 2]].tolist()]


def test_without_a_row_in_any_period_is_an_error(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    rules = house(scenario_rules, (np.datetime64("2030-01-01"), np.datetime64("2030-02-01"), ()))
    with pytest.raises(HistoryShortError, match=r"2030-01-01 to 2030-02-01\); .* stress\.periods"):
        cme_cubes(build(market), market, ONLY_ZT_ZN, rules)


def test_a_buffer_raises_what_is_scaled_and_not_stress(
    build: Any, market: Any, scenario_rules: Any
) -> None:
    universe = build(market)
    plain = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules)
    raised = cme_cubes(universe, market, ONLY_ZT_ZN, scenario_rules, floor=CmeFloor(0.5))
    scaling = VolatilityScaling(0.97, 250, 3.0, 0.5)
    chosen = ScenarioStore().of(
        market.history,
        horizon=1,
        look_back=100,
        minimum=100,
        stress=scenario_rules.stress,
        scaling=scaling,
    )
    zn = universe.name.tolist().index("ZNM25")
    expected = revalue(universe.terms, chosen.shock)[zn]
    assert np.array_equal(raised[0].pnl[zn], expected)
    assert not np.array_equal(raised[0].pnl, plain[0].pnl)
    assert np.array_equal(raised[1].cube.pnl, plain[1].cube.pnl)


def test_portfolios_net_across_their_segments_only(book_of: Any) -> None:
    # Cash +1 and futures -1 offset; the futures outside, +2, net with the futures inside.
    result = margin(book_of, {0: 1}, {0: -1}, {0: 7}, {0: 2})
    assert result.v[0].tolist() == [125.0, 120.0, 0.0, 250.0, 125.0]


def test_without_stress_scenarios_v_is_the_historical_var(book_of: Any) -> None:
    historical, _ = cubes([100.0, 50.0], [1.0])
    every = np.ones(10, dtype=bool)
    result = cme_margin(book_of([{}, {0: 1}, {}, {}]), historical, None, every, RULES)
    assert list(result.component) == ["HVaR"]
    assert result.v[0, FUTURES] == 100.0


def test_level_is_the_policys(book_of: Any) -> None:
    # Half of four scenarios: the second worst, 80; half of two: the worst, 200.
    result = margin(book_of, {}, {0: 1}, {}, {}, level=0.5)
    assert result.component["HVaR"][0, FUTURES] == 80.0
    assert result.component["SVaR"][0, FUTURES] == 200.0


def test_unpriced_instrument_makes_its_portfolios_unknown(book_of: Any) -> None:
    priced = np.arange(10) != 3
    result = margin(book_of, {3: 1}, {0: 1}, {0: 1}, {3: 1}, priced=priced)
    assert result.unknown[0].tolist() == [True, False, True, True, True]
