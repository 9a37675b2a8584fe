from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmargin.conventions import ALL, CASH, COMBINED, FUTURES, OTHER
from crossmargin.engine import Cube
from crossmargin.margin.ficc.var import ficc_cube, ficc_margin, floor_rates, smallest_variance
from crossmargin.market import Market
from crossmargin.market.curve import NODES, POINTS, Curve
from crossmargin.market.history import History
from crossmargin.market.scenarios import HistoryShortError, ScenarioStore
from crossmargin.policies import Ficc, read_policy

AS_OF = np.datetime64("2025-03-13")
RULES = read_policy().ficc
# VaR is the second worst of all eight scenarios (w = 2), MMA the worst of the last four (w = 1).
SMALL = replace(RULES, level=0.75, minimum_margin_rows=4)
LOSSES = np.array(
    [
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 20.0, 7.0],
        [50.0, 40.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-9.0, -8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0],
    ]
)
MARKET_VALUE = [1.0, 10.0, 100.0, 0.0]
YEARS = [2.0, 2.0, 5.0, 5.0]
RATES = np.array([0.5, 0.25, 0.125, 0.0625, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture
def margin(by_hand: Any, book_of: Any) -> Any:
    """Return a function from the rows of a book to V_F of the four instruments above."""

    def margin(
        *rows: dict[int, int], rules: Ficc = SMALL, priced: Any = (True,) * 4, **other: Any
    ) -> Any:
        values = {"market_value": MARKET_VALUE, "years": YEARS} | other
        names = [(f"NOTE{n}0000", [(1.0, 100.0)], 1.0) for n in range(4)]
        return ficc_margin(
            book_of(rows),
            Cube(np.vstack([-LOSSES, np.zeros((6, 8))])),
            by_hand(*names, *names, names[0], names[0], **_pad(values)),
            np.array([*priced, *[True] * 6]),
            RATES,
            rules,
        )

    return margin


def _pad(values: dict[str, Any]) -> dict[str, Any]:
    return {name: [*value, *[0.0] * (10 - len(value))] for name, value in values.items()}


@pytest.mark.parametrize(
    ("held", "var", "floor", "mma", "v"),
    [
        # Losses 20 and 7 are the worst of all; 20 is the worst of the last four.
        ({0: 1}, 7.0, 0.25, 20.0, 20.0),
        # 50 and 40 are the worst; the last four lose 2. Ten net to 10 * 0.25.
        ({1: 1}, 40.0, 2.5, 2.0, 40.0),
        # 100 of market value in the bucket up to 6.5 years.
        ({2: 1}, 0.0, 6.25, 0.0, 6.25),
        ({2: -3}, 0.0, 18.75, 0.0, 18.75),
        # It gains in every scenario: no margin, and the measures say by how much.
        ({3: 1}, -3.0, 0.0, -2.0, 0.0),
        # Short, its worst losses are 9 and 8, and 5 among the last four.
        ({3: -1}, 8.0, 0.0, 5.0, 8.0),
        # 51, 42, 4, 5, 7, 8, 22, 9 -> second worst 42; |1 + 10| * 0.25.
        ({0: 1, 1: 1}, 42.0, 2.75, 22.0, 42.0),
        # Buckets do not net with each other: |-10| * 0.25 + |100| * 0.0625.
        ({1: -1, 2: 1}, -1.0, 8.75, -2.0, 8.75),
        ({}, 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_v_is_the_largest_of_var_floor_and_mma(
    margin: Any, held: dict[int, int], var: float, floor: float, mma: float, v: float
) -> None:
    result = margin(held, {}, {}, {})
    assert result.ccp == "FICC"
    assert {n: c[0, CASH] for n, c in result.component.items()} == {
        "VaR": var,
        "floor": floor,
        "MMA": mma,
    }
    assert result.v[0, CASH] == v
    assert result.v[0, [COMBINED, ALL]].tolist() == [v, v]
    assert result.v[0, [FUTURES, OTHER]].tolist() == [0.0, 0.0]
    assert not np.signbit(result.v[result.v == 0.0]).any()


def test_combined_portfolio_nets_cash_with_futures(margin: Any) -> None:
    result = margin({0: 1, 1: 1}, {0: -1}, {1: -1}, {0: 5})
    # FICC XM 0 and 1, CME XM -0: together 1 alone. Other: -1. All at FICC: 0 alone.
    assert result.v[0].tolist() == [
        42.0,
        # -1 .. -20 are gains: nothing but the floor |-1| * 0.25 is left.
        0.25,
        40.0,
        2.5,
        20.0,
    ]


def test_small_history_has_one_minimum_margin(margin: Any) -> None:
    # With fewer scenarios than it looks back the MMA is the VaR.
    result = margin({0: 1, 1: 1}, {}, {}, {}, rules=replace(SMALL, minimum_margin_rows=500))
    assert result.component["MMA"].tolist() == result.component["VaR"].tolist()


def test_unpriced_instrument_makes_its_portfolios_unknown(margin: Any) -> None:
    result = margin({0: 1}, {2: 1}, {0: 1}, {2: 1}, priced=(True, True, False, True))
    assert result.unknown[0].tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("years", "rate"),
    [(1.0, 0.5), (1.01, 0.25), (2.5, 0.25), (2.51, 0.125), (3.5, 0.125), (6.5, 0.0625)],
)
def test_bucket_ends_belong_to_the_shorter_bucket(margin: Any, years: float, rate: float) -> None:
    result = margin({2: 1}, {}, {}, {}, years=[0.0, 0.0, years, 0.0])
    assert result.component["floor"][0, CASH] == 100.0 * rate


def test_longest_bucket_has_no_end(margin: Any) -> None:
    last = RATES.copy()
    result = margin({2: 1}, {}, {}, {}, years=[0.0, 0.0, 41.0, 0.0])
    assert result.component["floor"][0, CASH] == 100.0 * last[-1]


def history(two_year: list[float]) -> Market:
    zero = np.full((len(two_year), NODES.size), 0.04)
    zero[:, 4] = two_year
    date = np.busday_offset(AS_OF, np.arange(1 - len(two_year), 1))
    return Market(AS_OF, Curve(AS_OF, np.zeros(POINTS.size)), History(date, zero, zero))


def test_floor_rate_is_a_share_of_the_quietest_window() -> None:
    # Changes 0.01, 0.02, 0.05; -2 times them -0.02, -0.04, -0.10. Windows of two rows have
    # standard deviations 0.01 and 0.03 about their means.
    rules = replace(RULES, horizon=1, floor_rows=2)
    rates = floor_rates(history([0.01, 0.02, 0.04, 0.09]), rules)
    np.testing.assert_allclose(rates, [0, 0.001, 0, 0, 0, 0, 0, 0], rtol=1e-12, atol=1e-18)


def test_floor_rate_uses_changes_over_the_horizon() -> None:
    # Over two rows: 0.03, 0.07; -0.06 and -0.14.
    rules = replace(RULES, horizon=2, floor_rows=2)
    rates = floor_rates(history([0.01, 0.02, 0.04, 0.09]), rules)
    np.testing.assert_allclose(rates[1], 0.1 * 0.04, rtol=1e-12)


def test_floor_rate_of_a_short_history_takes_what_there_is() -> None:
    rules = replace(RULES, horizon=1, floor_rows=250)
    rates = floor_rates(history([0.01, 0.02, 0.04]), rules)
    np.testing.assert_allclose(rates[1], 0.001, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 7, 60])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e6])
def test_the_smallest_variance_is_that_of_every_window_to_the_bit(size: int, spread: float) -> None:
    random = np.random.default_rng(size)
    for value in (
        random.normal(0.0, spread, 300),
        random.normal(spread, 1e-9 * spread, 300),
        np.full(300, spread),
        np.zeros(300),
        np.concatenate([random.normal(0.0, spread, 200), np.full(100, 0.1)]),
    ):
        expected = np.inf
        for first in range(value.size - size + 1):
            total = squares = 0.0
            for each in value[first : first + size]:
                total += each
            for each in value[first : first + size]:
                squares += (each - total / size) * (each - total / size)
            expected = min(expected, squares / size)
        assert smallest_variance(value, size) == expected


@pytest.mark.parametrize("rows", [1, 3])
def test_history_without_a_change_has_no_floor(rows: int) -> None:
    with pytest.raises(HistoryShortError, match="HISTORY_SHORT: no change over 3 rows"):
        floor_rates(history([0.04] * rows), RULES)


def test_sensitivity_is_the_second_order_formula(
    market: Any, build: Any, scenario_rules: Any
) -> None:
    universe = build(market)
    cube = ficc_cube(universe, market, RULES, scenario_rules)
    chosen = ScenarioStore().of(
        market.history, horizon=3, look_back=100, minimum=100, stress=scenario_rules.stress
    )
    assert chosen.factor[-1] == "basis:ZN"
    shock = chosen.shock[:, :-1]
    derivatives = universe.sensitivities
    linear = shock @ derivatives.gradient.T
    second = np.einsum("sk,ikl,sl->si", shock, derivatives.hessian, shock) / 2.0
    expected = (linear + second).T
    # ZNM25 has a basis history: 1,000 USD for each price point.
    zn = universe.name.tolist().index("ZNM25")
    expected[zn] += 1000.0 * chosen.shock[:, -1]
    assert np.abs(chosen.shock[:, -1]).max() > 0.01
    np.testing.assert_allclose(cube.pnl, expected, rtol=0, atol=2.0**-20)
    assert cube.on_grid
    assert cube.scenario is not None
    assert cube.scenario.tolist() == chosen.date.astype(str).tolist()


@pytest.mark.parametrize("pnl", ["sensitivity", "full"])
def test_scenarios_are_three_row_moves_of_all_rows(
    market: Any, build: Any, scenario_rules: Any, pnl: str
) -> None:
    cube = ficc_cube(build(market), market, replace(RULES, pnl=pnl), scenario_rules)
    # The changes that end on the last 100 rows, 60 to 159; before them rows 20 to 59 of the window.
    assert cube.pnl.shape[1] == 140
    # A forward cash leg in the last scenario by hand: it lies 81 days on, between 1/12 and 1/4 of a
    # year.
    move = market.history.zero_rate[-1] - market.history.zero_rate[-4]
    t = 81 / 365.25
    weight = (t - 1 / 12) / (1 / 4 - 1 / 12)
    shift = (1 - weight) * move[0] + weight * move[1]
    discount = market.discount_factor(["2025-06-02"])[0]
    full = 100.0 * discount * np.expm1(-t * shift)
    taylor = 100.0 * discount * (-t * shift + (t * shift) ** 2 / 2)
    expected = full if pnl == "full" else taylor
    assert cube.pnl[4, -1] == pytest.approx(expected, abs=2.0**-20)


def test_full_and_sensitivity_differ_by_third_order_only(
    market: Any, calm_market: Any, build: Any, scenario_rules: Any
) -> None:
    def gap_and_size(market: Market) -> tuple[np.ndarray, np.ndarray]:
        universe = build(market)
        taylor, full = (
            ficc_cube(universe, market, replace(RULES, pnl=pnl), scenario_rules).pnl
            for pnl in ("sensitivity", "full")
        )
        return np.abs(taylor - full).max(axis=1), np.abs(full).max(axis=1)

    gap, size = gap_and_size(market)
    notes = [0, 1, 2, 3]
    assert (gap[notes] > 2.0**-20).any()
    assert (gap[notes] < 1e-4 * size[notes]).all()
    # Moves 300 times smaller: only the grid is left.
    gap, size = gap_and_size(calm_market)
    assert (size[notes] > 1e-5).all()
    assert gap.max() <= 2.0**-20


def test_futures_enter_by_their_base_cheapest(market: Any, build: Any, scenario_rules: Any) -> None:
    universe = build(market)
    zn = universe.name.tolist().index("ZNM25")
    assert universe.cheapest[zn] in ("ZN0000001", "ZN0000002")
    cube = ficc_cube(universe, market, replace(RULES, pnl="full"), scenario_rules)
    chosen = ScenarioStore().of(
        market.history, horizon=3, look_back=100, minimum=100, stress=scenario_rules.stress
    )
    fixed = universe.fixed_terms()
    first, last = fixed.line_ptr[zn], fixed.line_ptr[zn + 1]
    change = np.zeros(len(chosen.shock))
    for term in range(first, last):
        own = slice(*fixed.exponent_ptr[fixed.term_exponent[term] :][:2])
        u = (fixed.exponent_weight[own] * chosen.shock[:, fixed.exponent_factor[own]]).sum(axis=1)
        change += fixed.term_amount[term] * np.expm1(-u)
    expected = 1000.0 * (change + chosen.shock[:, -1])
    np.testing.assert_allclose(cube.pnl[zn], expected, rtol=0, atol=1e-5)
