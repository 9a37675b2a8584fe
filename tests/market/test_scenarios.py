"""Which rows become scenarios, in what order, how they are tagged and how they are scaled."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.market.basis import Basis
from crossmargin.market.curve import TREASURY_FACTORS, Curve
from crossmargin.market.history import History
from crossmargin.market.market import Market
from crossmargin.market.scenarios import (
    DEFAULT_STRESS,
    CorrelationError,
    CorrelationScaling,
    HistoryShortError,
    ScenarioStore,
    StressWindow,
    VolatilityScaling,
    build_scenarios,
)

FIRST = np.datetime64("2020-01-01")
SCALING = VolatilityScaling(decay=0.97, seed_rows=250, limit=3.0)


def window(first, last):
    return StressWindow(*(FIRST + np.array([first, last])))


def build(rows, known=None, factor=("treasury:10", "basis:ZN"), shock=None, **options):
    """Build scenarios of rows dated 2020-01-01 + row, whose shocks tell the row."""
    if shock is None:
        shock = np.column_stack([np.arange(rows) + 0.0, -np.arange(rows)])
    known = np.ones(shock.shape, dtype=bool) if known is None else known
    options = {"minimum": 1, "look_back": rows, "stress": (), "scaling": None} | options
    return build_scenarios(FIRST + np.arange(rows), shock, factor, known, **options)


def row_of(scenarios):
    return (scenarios.date - FIRST).astype(int).tolist()


def test_stress_rows_come_first_and_every_row_of_a_window_is_tagged():
    found = build(12, look_back=5, stress=[window(1, 3), window(9, 9)])
    assert row_of(found) == [1, 2, 3, 7, 8, 9, 10, 11]
    assert found.tag.tolist() == ["stress"] * 3 + ["", "", "stress", "", ""]
    assert found.stressed.tolist() == [0, 1, 2, 5]
    assert found.shock[:, 0].tolist() == [1, 2, 3, 7, 8, 9, 10, 11]
    assert found.shock.flags.c_contiguous
    assert found.factor == ("treasury:10", "basis:ZN")


def test_a_window_across_the_start_of_the_look_back_and_windows_that_overlap():
    found = build(10, look_back=4, stress=[window(4, 7), window(3, 5), window(50, 60)])
    # No row twice, all in date order: 3, 4 and 5 before the look-back of 6 to 9.
    assert row_of(found) == [3, 4, 5, 6, 7, 8, 9]
    assert found.tag.tolist() == ["stress"] * 5 + ["", ""]


def test_a_look_back_longer_than_the_history_takes_all_of_it():
    assert row_of(build(6, look_back=100, stress=[window(0, 1)])) == [0, 1, 2, 3, 4, 5]


def test_the_default_window_is_the_crisis():
    (crisis,) = DEFAULT_STRESS
    assert (str(crisis.first), str(crisis.last)) == ("2008-07-01", "2009-06-30")


def test_too_short_a_history():
    assert len(build(2500, minimum=2500).date) == 2500
    with pytest.raises(HistoryShortError, match=r"2499 usable rows from .*, 2500 needed"):
        build(2499, minimum=2500)


def test_scenarios_without_a_basis_are_counted():
    known = np.ones((10, 2), dtype=bool)
    known[[0, 2, 7, 8], 1] = False
    # Row 0 is no scenario; 2 is one of stress, 7 and 8 of the look-back.
    found = build(10, known=known, look_back=4, stress=[window(2, 3)])
    assert row_of(found) == [2, 3, 6, 7, 8, 9]
    assert found.no_basis == {"ZN": 3}


def test_volatility_ratio_by_hand():
    scaling = VolatilityScaling(decay=0.5, seed_rows=2, limit=3.0)
    shock = np.array([[1.0], [3.0], [2.0]])
    # Seed (1 + 9) / 2 = 5. Variances: (5 + 1) / 2 = 3, (3 + 9) / 2 = 6, (6 + 4) / 2 = 5.
    expected = [math.sqrt(5 / 3), math.sqrt(5 / 6), 1.0]
    np.testing.assert_allclose(scaling.ratio(shock, 3)[:, 0], expected, rtol=1e-15)
    clipped = VolatilityScaling(decay=0.5, seed_rows=2, limit=1.05).ratio(shock, 3)[:, 0]
    np.testing.assert_allclose(clipped, [1.05, 1 / 1.05, 1.0], rtol=1e-15)


@pytest.mark.parametrize(
    ("buffer", "look_back", "now"),
    [
        # Variances are 3, 6, 5, and the mean square of all rows is 14 / 3: below 5.
        (0.25, 3, math.sqrt(5)),
        # The last two rows have (9 + 4) / 2 = 6.5: sqrt(5) grows by a tenth, or up to sqrt(6.5).
        (0.1, 2, 1.1 * math.sqrt(5)),
        (0.25, 2, math.sqrt(6.5)),
        (0.0, 2, math.sqrt(5)),
    ],
)
def test_a_buffer_raises_todays_volatility_up_to_that_of_the_look_back(
    buffer: float, look_back: int, now: float
) -> None:
    shock = np.array([[1.0], [3.0], [2.0]])
    found = VolatilityScaling(0.5, 2, 3.0, buffer).ratio(shock, look_back)[:, 0]
    np.testing.assert_allclose(found, now / np.sqrt([3.0, 6.0, 5.0]), rtol=1e-15)


@given(st.floats(0.0, 1.0), st.integers(1, 80), st.integers(0, 1000))
def test_a_buffer_never_lowers_a_shock_and_raises_it_by_no_more_than_itself(
    buffer: float, look_back: int, seed: int
) -> None:
    shock = np.random.default_rng(seed).normal(size=(60, 2)) * np.linspace(3.0, 1.0, 60)[:, None]
    # A limit that is not reached.
    plain = VolatilityScaling(0.9, 20, 1e6).ratio(shock, look_back)
    raised = VolatilityScaling(0.9, 20, 1e6, buffer).ratio(shock, look_back)
    assert (raised >= plain).all()
    assert (raised <= plain * (1.0 + buffer) * (1.0 + 1e-12)).all()


def test_a_root_stands_still_in_rows_that_are_there_for_other_roots_alone():
    first, second = window(1, 3), window(3, 4)
    stress = [replace(first, roots=("ZT",)), second, replace(window(9, 9), roots=("ZB",))]
    found = build(10, look_back=4, stress=stress)
    assert row_of(found) == [1, 2, 3, 4, 6, 7, 8, 9]
    still = found.still(stress, np.array(["ZT", "ZN", "ZB"], dtype=object))
    # Rows 1 and 2 are ZT's alone; row 3 is in a window of all; the look-back moves all.
    expected = np.zeros((3, 8), dtype=bool)
    expected[1:, :2] = True
    assert np.array_equal(still, expected)


def plain_scaling(shock, decay=0.97, seed_rows=250, limit=3.0):
    """One factor, from its first shock on, written out as methodology 3 says it."""
    seed = shock[:seed_rows]
    s = sum(x * x for x in seed) / len(seed)
    sigma = []
    for x in shock:
        s = decay * s + 0.03 * x * x
        sigma.append(math.sqrt(s))
    return [
        x * min(max(sigma[-1] / v, 1 / limit), limit) for x, v in zip(shock, sigma, strict=True)
    ]


def test_volatility_scaling_against_a_plain_recomputation():
    rng = np.random.default_rng(11)
    rows = 600
    # Volatility falls by a factor of ten half way, so that the clip takes hold.
    shock = rng.normal(size=(rows, 2)) * np.where(np.arange(rows) < 300, 10.0, 1.0)[:, None]
    found = build(rows, shock=shock, look_back=400, stress=[window(5, 9)], scaling=SCALING)
    chosen = [*range(5, 10), *range(200, 600)]
    for k in range(2):
        # All rows enter the average, whichever become scenarios.
        expected = np.array(plain_scaling(shock[:, k].tolist()))[chosen]
        np.testing.assert_allclose(found.shock[:, k], expected, rtol=1e-12)
    first = found.shock[:5] / shock[5:10]
    np.testing.assert_allclose(first, 1 / 3, rtol=1e-15)
    assert np.array_equal(found.shock[-1], shock[-1])


def test_a_history_shorter_than_the_seed_is_its_own_seed():
    shock = np.random.default_rng(13).normal(size=(100, 1))
    ours = SCALING.scale(shock, np.array([0]), 100)[:, 0]
    np.testing.assert_allclose(ours, plain_scaling(shock[:, 0].tolist()), rtol=1e-12)


def test_a_factor_is_scaled_from_its_first_shock_on():
    rng = np.random.default_rng(12)
    rows, start = 500, 130
    shock = rng.normal(size=(rows, 2)) * np.array([1.0, 5.0])
    known = np.ones((rows, 2), dtype=bool)
    known[:start, 1] = False
    known[300:310, 1] = False
    shock[~known] = 0.0
    found = build(rows, shock=shock, known=known, scaling=SCALING)
    late = np.array(plain_scaling(shock[start:, 1].tolist()))
    assert not found.shock[:start, 1].any()
    np.testing.assert_allclose(found.shock[start:, 1], late, rtol=1e-12)
    np.testing.assert_allclose(found.shock[:, 0], plain_scaling(shock[:, 0].tolist()), rtol=1e-12)


def test_scaling_leaves_what_never_moved_and_the_shocks_given():
    shock = np.zeros((20, 2))
    shock[:, 0] = np.arange(20) - 10.0
    before = shock.copy()
    known = np.ones((20, 2), dtype=bool)
    known[:, 1] = False
    found = build(20, shock=shock, known=known, scaling=SCALING)
    assert not found.shock[:, 1].any()
    assert np.array_equal(shock, before)
    assert found.no_basis == {"ZN": 20}


# Squares add up to 6 and products to 2, so C_old = 1 / 3. With a decay of 1 / 2 the average begun
# at zero is 2 + 1 / 2 (..) + ..: squares 2 + 15 / 16, products 2 + 1 / 2 - 1 / 4 - 1 / 8 + 1 / 16.
PAIR = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-math.sqrt(2)] * 2])
C_OLD = 1 / 3
C_NOW = (2 + 1 / 2 - 1 / 4 - 1 / 8 + 1 / 16) / (2 + 15 / 16)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_correlation_scaling_by_hand(weight):
    target = weight * C_NOW + (1 - weight) * C_OLD
    found = build(
        5,
        factor=("treasury:2", "treasury:10"),
        shock=PAIR * [1.0, 4.0],
        correlation=CorrelationScaling(decay=0.5, weight=weight),
    ).shock
    # L_old = [[1, 0], [c, sqrt(1 - c^2)]]: the first factor stays, the second is put together anew.
    own = (PAIR[:, 1] - C_OLD * PAIR[:, 0]) / math.sqrt(1 - C_OLD**2)
    second = target * PAIR[:, 0] + math.sqrt(1 - target**2) * own
    np.testing.assert_allclose(found[:, 0], PAIR[:, 0], rtol=1e-15)
    np.testing.assert_allclose(found[:, 1], 4.0 * second, rtol=1e-14)


def recorrelated(shock, look_back, decay=0.97, weight=1.0):
    names = [f"treasury:{k}" for k in range(shock.shape[1])]
    return CorrelationScaling(decay, weight).scale(shock, look_back, names)


def correlation(shock, share=None):
    """Return the uncentred correlation, the rows weighted."""
    share = np.ones(len(shock)) if share is None else share
    product = np.einsum("r,ri,rj->ij", share, shock, shock)
    size = np.sqrt(np.diag(product))
    return product / size[:, None] / size


@given(
    seed=st.integers(0, 2**32 - 1),
    factors=st.integers(1, 11),
    decay=st.floats(0.9, 0.99),
    weight=st.floats(0.0, 1.0),
)
def test_the_look_back_takes_on_the_target_correlation(seed, factors, decay, weight):
    rng = np.random.default_rng(seed)
    rows, look_back = 300, 200
    # Neighbours move alike, the more so the longer ago.
    common = rng.normal(size=(rows, 1)) * np.linspace(2.0, 0.5, rows)[:, None]
    shock = (common + rng.normal(size=(rows, factors))) * rng.uniform(1e-5, 1e-3, factors)
    before = shock.copy()
    found = recorrelated(shock, look_back, decay, weight)
    latest = shock[-look_back:]
    now = correlation(latest, decay ** np.arange(look_back - 1.0, -1.0, -1.0))
    target = weight * now + (1 - weight) * correlation(latest)
    np.testing.assert_allclose(correlation(found[-look_back:]), target, rtol=0, atol=1e-9)
    # The sizes stay, and each row is transformed alike: rows before the look-back too.
    np.testing.assert_allclose(
        np.square(found[-look_back:]).sum(axis=0), np.square(latest).sum(axis=0), rtol=1e-9
    )
    step, *_ = np.linalg.lstsq(latest, found[-look_back:], rcond=None)
    np.testing.assert_allclose(found, shock @ step, rtol=1e-6, atol=1e-9 * np.abs(found).max())
    assert np.array_equal(shock, before)
    # No sum runs in an order that the library may choose.
    assert np.array_equal(found, recorrelated(np.asfortranarray(shock), look_back, decay, weight))


def test_a_correlation_that_has_not_changed_changes_nothing():
    # Twice the same block, and a decay so near one that all rows count alike.
    block = np.random.default_rng(17).normal(size=(100, 5)) * 1e-4
    shock = np.vstack([block, block])
    found = recorrelated(shock, 100, decay=1 - 1e-15)
    np.testing.assert_allclose(found, shock, rtol=1e-9, atol=1e-16)
    off = {"shock": shock, "factor": tuple(TREASURY_FACTORS[:5]), "look_back": 100}
    assert np.array_equal(
        build(200, correlation=CorrelationScaling(0.97, 0.0), **off).shock, build(200, **off).shock
    )


def test_correlation_scaling_comes_after_volatility_scaling_and_leaves_bases():
    rng = np.random.default_rng(14)
    shock = rng.normal(size=(400, 3)) * np.array([1.0, 2.0, 0.5])
    shock[:, 1] += shock[:, 0]
    names = ("treasury:2", "treasury:10", "basis:ZN")
    how = CorrelationScaling(0.97, 0.5)
    volatile = build(400, shock=shock, factor=names, look_back=300, scaling=SCALING)
    both = build(400, shock=shock, factor=names, look_back=300, scaling=SCALING, correlation=how)
    assert np.array_equal(both.shock[:, 2], volatile.shock[:, 2])
    assert np.array_equal(both.shock[:, :2], how.scale(volatile.shock[:, :2], 300, names[:2]))


def test_a_factor_without_a_recent_move_stays():
    shock = np.random.default_rng(15).normal(size=(300, 3))
    shock[:, 1] = 0.0
    found = recorrelated(shock, 200)
    assert not found[:, 1].any()
    assert np.array_equal(found[:, [0, 2]], recorrelated(shock[:, [0, 2]], 200))


def test_a_factor_that_follows_from_others_is_refused_by_name():
    shock = np.random.default_rng(16).normal(size=(300, 3))
    shock[:, 2] = shock[:, 0] - 3.0 * shock[:, 1]
    with pytest.raises(
        CorrelationError, match=r"treasury:2 is a combination .* cme_correlation\.weight"
    ):
        recorrelated(shock, 200)


def market(zero_rate, basis=()):
    rows = zero_rate.shape[0]
    date = FIRST + np.arange(rows)
    return Market(
        as_of=date[-1],
        curve=Curve(date[-1], np.zeros(63)),
        history=History(date, zero_rate, zero_rate, basis={b.root: b for b in basis}),
    )


@pytest.mark.parametrize("horizon", [1, 3])
def test_shocks_are_overlapping_changes_dated_by_their_end(horizon):
    rows = 12
    # The zero rate of node k on row r is r^2 + k: its change over h rows is 2rh - h^2.
    zero = np.arange(rows)[:, None] ** 2 + np.arange(11.0)
    found = ScenarioStore().of(market(zero).history, horizon=horizon, look_back=100, minimum=1)
    ends = np.arange(horizon, rows)
    assert row_of(found) == ends.tolist()
    assert found.factor == TREASURY_FACTORS
    expected = 2 * ends * horizon - horizon**2
    assert np.array_equal(found.shock, np.repeat(expected[:, None], 11, axis=1))


def test_a_history_needs_the_minimum_of_changes():
    flat = np.zeros((103, 11))
    assert ScenarioStore().of(market(flat).history, horizon=3, minimum=100).date.size == 100
    with pytest.raises(HistoryShortError, match="HISTORY_SHORT: 99 usable"):
        ScenarioStore().of(market(flat[:102]).history, horizon=3, minimum=100)


def test_bases_are_factors_after_the_nodes():
    level = np.array([[0.5], [0.25], [np.nan], [1.0], [3.0]])
    basis = Basis("ZN", ("ZNM20",), FIRST + np.arange(5), level)
    history = market(np.zeros((5, 11)), [basis]).history
    found = ScenarioStore().of(history, horizon=1, minimum=1)
    assert found.factor == (*TREASURY_FACTORS, "basis:ZN")
    assert found.shock[:, -1].tolist() == [-0.25, 0.0, 0.0, 2.0]
    assert found.no_basis == {"ZN": 2}
