"""The smoothest forwards: by hand, against a brute-force minimum, and what always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.market.forwards import SmoothCurve, smooth_forwards, solve

NOTES = (2.0, 3.0, 5.0, 7.0, 10.0)

node_sets = st.lists(
    st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0]),
    min_size=1,
    max_size=8,
    unique=True,
).map(lambda nodes: tuple(sorted(nodes)))
fronts = st.sampled_from([0.02, 0.1, 1.0, 10.0])


def test_one_node_by_hand():
    """f(0) = 0 and a zero rate of 1% at one year, front one year.

    g = (t + 1) f' = g0 (1 - t), so f = g0 (2 ln(1 + t) - t). Its integral up to t is
    g0 (2 ((1 + t) ln(1 + t) - t) - t^2 / 2): at one year g0 (4 ln 2 - 5/2) = 0.01.
    """
    found = smooth_forwards((1.0,), 1.0, anchored=True)
    g0 = 0.01 / (4.0 * math.log(2.0) - 2.5)
    assert g0 == pytest.approx(0.0366853, abs=1e-7)
    assert found.forward[1] @ [0.0, 0.01] == pytest.approx(g0 * (2.0 * math.log(2.0) - 1.0))
    time = np.array([0.0, 0.25, 0.5, 1.0, 3.0])
    early = time[:3]
    curved = 2.0 * ((1.0 + early) * np.log(1.0 + early) - early) - early**2 / 2.0
    # Beyond the node the forward is flat.
    last = 0.01 + 2.0 * g0 * (2.0 * math.log(2.0) - 1.0)
    expected = [*(g0 * curved), 0.01, last]
    np.testing.assert_allclose(found.weights(time) @ [0.0, 0.01], expected, rtol=0, atol=1e-16)
    # A level beside it: all rates 3% higher.
    np.testing.assert_allclose(
        found.weights(time) @ [0.03, 0.04], expected + 0.03 * time, rtol=0, atol=1e-16
    )


def test_one_node_with_nothing_given_at_zero_is_flat():
    found = smooth_forwards((5.0,), 0.1, anchored=False)
    np.testing.assert_allclose(found.weights(np.array([0.0, 1.0, 5.0, 9.0]))[:, 0], [0, 1, 5, 9])


@pytest.mark.parametrize("anchored", [True, False])
def test_no_curve_with_the_same_rates_bends_less(anchored):
    """A minimum over piecewise linear forwards on a fine grid, as least squares."""
    front, rate = 0.1, np.array([0.043, 0.040, 0.039, 0.041, 0.042, 0.045])
    rate = rate if anchored else rate[1:]
    grid = np.concatenate([np.arange(0, 500, 5), np.arange(500, 10001, 50)]) / 1000.0
    step = np.diff(grid)
    middle = (grid[1:] + grid[:-1]) / 2.0
    bend = np.sqrt((middle + front) / step)[:, None] * np.diff(np.eye(grid.size), axis=0)
    # Penalties so large that the rates hold to discretisation error.
    area = (np.diff(grid, prepend=0.0) + np.diff(grid, append=grid[-1])) / 2.0
    rows, right = [], []
    for node, zero in zip(NOTES, rate[-5:], strict=True):
        inside = grid <= node + 1e-9
        weight = np.where(inside, area, 0.0)
        end = np.flatnonzero(inside)[-1]
        weight[end] = step[end - 1] / 2.0
        rows.append(weight)
        right.append(node * zero)
    if anchored:
        rows.append(np.eye(grid.size)[0])
        right.append(rate[0])
    stacked = np.vstack([bend, 1e5 * np.array(rows)])
    target = np.concatenate([np.zeros(step.size), 1e5 * np.array(right)])
    brute = np.linalg.lstsq(stacked, target, rcond=None)[0]
    forwards = smooth_forwards(NOTES, front, anchored=anchored)
    ours = np.diff(forwards.weights(grid) @ rate) / step
    np.testing.assert_allclose(ours, (brute[1:] + brute[:-1]) / 2.0, rtol=0, atol=1e-5)


@given(node_sets, fronts, st.booleans())
def test_what_holds_for_all_nodes(nodes, front, anchored):
    found = smooth_forwards(nodes, front, anchored=anchored)
    own = found.weights(np.array([0.0, *nodes]))
    # Nothing at zero, and at a node its own rate alone, exactly.
    expected = np.zeros_like(own)
    for k, node in enumerate(nodes):
        expected[k + 1, k + int(anchored)] = node
    assert own.tolist() == expected.tolist()
    # Rates that are all equal give that rate everywhere.
    time = np.linspace(0.0, 1.5 * nodes[-1], 61)
    np.testing.assert_allclose(found.weights(time).sum(axis=1), time, rtol=0, atol=1e-11)


@given(node_sets, fronts, st.booleans())
def test_forwards_and_their_slopes_have_no_jumps(nodes, front, anchored):
    found = smooth_forwards(nodes, front, anchored=anchored)
    slope = found.alpha / (found.start + front)[:, None] + found.beta
    width = np.diff(found.start)[:, None]
    log = np.log((found.start[1:] + front) / (found.start[:-1] + front))[:, None]
    end = found.forward[:-1] + found.alpha[:-1] * log + found.beta[:-1] * width
    np.testing.assert_allclose(end, found.forward[1:], rtol=0, atol=1e-11)
    end = found.alpha[:-1] / (found.start[1:] + front)[:, None] + found.beta[:-1]
    np.testing.assert_allclose(end, slope[1:], rtol=0, atol=1e-10)
    # Flat beyond the last node; and at zero where nothing is given there.
    assert not found.alpha[-1].any()
    assert not found.beta[-1].any()
    if not anchored:
        np.testing.assert_allclose(slope[0], 0.0, rtol=0, atol=1e-12)


def test_a_curve_discounts_by_its_forwards():
    forwards = smooth_forwards(NOTES, 0.1, anchored=True)
    curve = SmoothCurve(forwards, np.full(6, 0.04))
    time = np.array([[0.0, 0.5], [10.0, 12.0]])
    np.testing.assert_allclose(curve.discount_factor(time), np.exp(-0.04 * time), rtol=1e-14)
    with pytest.raises(ValueError, match="on or after the as-of date only"):
        curve.discount_factor([-0.1])


def test_the_largest_pivot_is_taken():
    # Without a swap the first pivot is zero, with a small one all digits are lost.
    for small in (0.0, 1e-20):
        found = solve([[small, 1.0], [1.0, 1.0]], [[1.0], [2.0]])
        assert found == [[1.0], [1.0]]
    matrix = np.random.default_rng(1).normal(size=(7, 7))
    right = np.random.default_rng(2).normal(size=(7, 3))
    np.testing.assert_allclose(
        solve(matrix.tolist(), right.tolist()), np.linalg.solve(matrix, right), rtol=1e-10
    )


def test_the_same_curve_is_made_once():
    assert smooth_forwards(NOTES, 0.1, anchored=True) is smooth_forwards(NOTES, 0.1, anchored=True)
