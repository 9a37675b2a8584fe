from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from crossmargin.analysis.explained.contributions import Tail
from crossmargin.analysis.explained.errors import (
    SAMPLES,
    below,
    block_length,
    bootstrap,
    order_interval,
    resampled,
    times_drawn,
    worst_ranks,
)
from crossmargin.engine import Cube, Measure
from crossmargin.margin.parts import Part


def tail(pnl: np.ndarray, level: float = 0.9) -> Tail:
    measure = Measure(Cube(pnl[None, :]), level)
    part = Part("VaR", np.ones((1, 1)), measure)
    return Tail(part, pnl, np.argsort(pnl, kind="stable"))


def binomial(count: int, level: str, below_rank: int) -> Fraction:
    """Return P(N < below_rank), N losses beyond the quantile, term by term."""
    p = 1 - Fraction(level)
    return sum(
        (comb(count, j) * p**j * (1 - p) ** (count - j) for j in range(below_rank)), Fraction(0)
    )


@pytest.mark.parametrize(("count", "level"), [(2750, "0.99"), (500, "0.99"), (1000, "0.975")])
def test_the_interval_is_the_narrowest_with_its_probability(count: int, level: str) -> None:
    found = order_interval(float(level), count)
    assert found.upper is not None
    assert found.lower is not None
    side = Fraction(25, 1000)
    assert binomial(count, level, found.upper) <= side < binomial(count, level, found.upper + 1)
    assert binomial(count, level, found.lower - 1) < 1 - side <= binomial(count, level, found.lower)
    exact = binomial(count, level, found.lower) - binomial(count, level, found.upper)
    assert found.coverage == float(exact)


def test_too_few_losses_leave_the_upper_end_open() -> None:
    # P(N < 1) = 0.99^250 = 8%: even the largest loss may be below the quantile.
    found = order_interval(0.99, 250)
    assert (found.upper, found.coverage) == (None, None)
    assert found.lower == 7


def test_draws_are_the_same_everywhere() -> None:
    assert below(10, 1, 8).tolist() == FIRST
    assert resampled(7, 3).shape == (SAMPLES, 7)
    drawn = resampled(100, 5)
    # Five consecutive scenarios, twenty times over, and none outside.
    steps = np.diff(drawn.reshape(SAMPLES, 20, 5), axis=2)
    assert (steps == 1).all()
    assert drawn.min() >= 0
    assert drawn.max() < 100


FIRST = [9, 2, 6, 4, 2, 7, 8, 9]


@pytest.mark.parametrize(
    ("horizon", "scenarios", "length"),
    [(3, 2750, 15), (1, 250, 7), (10, 1000, 20), (None, 8, 2), (3, 4, 4)],
)
def test_a_block_is_the_cube_root_but_twice_the_horizon(
    horizon: int | None, scenarios: int, length: int
) -> None:
    assert block_length(horizon, scenarios) == length


def test_equal_losses_have_no_error() -> None:
    assert bootstrap(tail(np.full(50, -3.0)), 1) == (0.0, 0.0)


def test_the_bootstrap_is_that_of_its_samples() -> None:
    pnl = np.random.default_rng(3).integers(-50, 50, 40).astype(np.float64)
    var, es = [], []
    for rows in resampled(40, 5):
        losses = np.sort(-pnl[rows])[::-1]
        var.append(losses[3])
        es.append(losses[:4].mean())
    found = bootstrap(tail(pnl), 5)
    assert found == pytest.approx((np.std(var, ddof=1), np.std(es, ddof=1)), rel=1e-12)


def test_overlapping_moves_are_known_less_precisely() -> None:
    steps = np.random.default_rng(4).integers(-9, 10, 1002).astype(np.float64)
    moves = steps[2:] + steps[1:-1] + steps[:-2]
    single, blocks = bootstrap(tail(moves), 1), bootstrap(tail(moves), 10)
    assert blocks[1] > 1.2 * single[1]


@pytest.mark.parametrize(("count", "k", "block"), [(40, 1, 1), (40, 3, 5), (200, 5, 50), (9, 9, 2)])
def test_the_worst_of_each_sample_are_those_of_the_sorted_sample(
    count: int, k: int, block: int
) -> None:
    order = np.random.default_rng(5).permutation(count)
    if block == 50:
        # A sample of four blocks may have none of the worst: more ranks have to be looked at.
        order = np.arange(count)
    rank = np.argsort(order)
    expected = np.sort(rank[resampled(count, block)], axis=1)[:, :k]
    assert (worst_ranks(times_drawn(count, block), order, k) == expected).all()
