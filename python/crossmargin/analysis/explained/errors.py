"""How precisely scenarios know a VaR and an expected shortfall.

The draws are whole numbers from the raw output of PCG64, which NumPy promises never to change, and
the arithmetic is exact or correctly rounded: the same bits on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from crossmargin import exact
from crossmargin.analysis.explained.contributions import Tail
from crossmargin.arrays import Float, Int32, Integer

CONFIDENCE = Fraction(95, 100)
"""Of the interval of a VaR, both sides together."""
SAMPLES = 500
"""Samples of a bootstrap."""
SEED = 20260430


@dataclass(frozen=True)
class Interval:
    """Ranks of losses, largest first, between which a quantile lies.

    Attributes
    ----------
    upper, lower : int, optional
        The rank of the larger and of the smaller loss, from 1; None if no loss is far enough out.
    coverage : float, optional
        The probability that the quantile lies between them; None if an end is open.
    """

    upper: int | None
    lower: int | None
    coverage: float | None


@lru_cache(maxsize=64)
def order_interval(level: float, scenarios: int) -> Interval:
    """Return the interval of a quantile between two order statistics, exactly.

    Parameters
    ----------
    level : float
        Confidence level of the VaR; taken as the decimal number it is written as.
    scenarios : int
        Independent ones.

    Returns
    -------
    Interval

    Notes
    -----
    The number N of losses beyond the quantile is binomial (S, 1 - level), in whole numbers. Rank u
    is the largest with P(N < u) at most 2.5%, rank l the smallest with P(N < l) at least 97.5%;
    the coverage is P(u <= N < l). It holds for any distribution without jumps.

    Examples
    --------
    >>> order_interval(0.5, 10)
    Interval(upper=2, lower=9, coverage=0.978515625)
    """
    beyond = 1 - Fraction(repr(level))
    hit, miss, whole = beyond.numerator, beyond.denominator - beyond.numerator, beyond.denominator
    total = whole**scenarios
    side = (1 - CONFIDENCE) / 2
    term, below = miss**scenarios, 0
    upper = lower = None
    at_upper = 0
    for rank in range(1, scenarios + 1):
        # Here `below` is P(N < rank - 1) and `term` is P(N = rank - 1), both times `total`.
        below += term
        term = term * (scenarios - rank + 1) * hit // (rank * miss)
        if below <= side * total:
            upper, at_upper = rank, below
        if below >= (1 - side) * total:
            lower = rank
            break
    if upper is None or lower is None:
        return Interval(upper, lower, None)
    return Interval(upper, lower, float(Fraction(below - at_upper, total)))


def below(bound: int, seed: int, *shape: int) -> Integer:
    """Return whole numbers from 0 to `bound` - 1, drawn alike, the same on every machine.

    Parameters
    ----------
    bound : int
        Below 2^31.
    seed : int
    *shape : int
    """
    raw = np.random.PCG64(np.random.SeedSequence((SEED, seed))).random_raw(int(np.prod(shape)))
    drawn = ((raw >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)
    return np.asarray(drawn.astype(np.int64)).reshape(shape)


def block_length(horizon: int | None, scenarios: int) -> int:
    """Return the rows in a block: the cube root of S, rounded up, at least twice the horizon."""
    root = 1
    while root**3 < scenarios:
        root += 1
    return min(max(root, 2 * (horizon or 1)), scenarios)


@lru_cache(maxsize=8)
def resampled(scenarios: int, block: int) -> Int32:
    """Return the scenarios of each sample, [B x S], drawn in blocks of consecutive ones.

    Parameters
    ----------
    scenarios, block : int
        S, and the length of a block; 1 draws scenarios one by one.
    """
    blocks = -(-scenarios // block)
    first = below(scenarios - block + 1, block, SAMPLES, blocks)
    rows = first[:, :, None] + np.arange(block)
    drawn = rows.reshape(SAMPLES, -1)[:, :scenarios].astype(np.int32)
    drawn.setflags(write=False)
    return drawn


@lru_cache(maxsize=8)
def times_drawn(scenarios: int, block: int) -> Int32:
    """Return how often each sample has each scenario, [S x B]."""
    drawn = resampled(scenarios, block)
    at = drawn.astype(np.int64) * SAMPLES + np.arange(SAMPLES)[:, None]
    times = np.bincount(at.ravel(), minlength=scenarios * SAMPLES)
    return times.reshape(scenarios, SAMPLES).astype(np.int32)


def worst_ranks(times: Int32, order: Integer, k: int) -> Integer:
    """Return the ranks of the k worst scenarios of each sample, from 0, ascending, [B x k].

    Parameters
    ----------
    times : ndarray of int32, [S x B]
        From `times_drawn`.
    order : ndarray of int64, [S]
        The scenarios, worst first.
    k : int
    """
    looked = min(4 * k, order.size)
    while True:
        drawn = np.cumsum(times[order[:looked]], axis=0, dtype=np.int32)
        if looked == order.size or drawn[-1].min() >= k:
            break
        looked = min(2 * looked, order.size)
    # Of ranks beyond the k-th draw nothing is left.
    left = np.diff(np.minimum(drawn, k), axis=0, prepend=0)
    rank = np.broadcast_to(np.arange(looked), (times.shape[1], looked))
    return np.repeat(rank.ravel(), left.T.ravel()).reshape(-1, k)


def bootstrap(tail: Tail, block: int) -> tuple[float, float]:
    """Return the standard errors of VaR and of expected shortfall over resampled scenarios.

    Parameters
    ----------
    tail : Tail
    block : int
        Consecutive scenarios drawn at once.

    Returns
    -------
    tuple of float
        USD.
    """
    measure, losses = tail.measure, tail.losses
    first = worst_ranks(times_drawn(measure.count, block), tail.order, measure.k)
    worst = losses[first]
    var = worst[:, -1]
    es = np.maximum(exact.ordered_sum(worst * measure.weight) / measure.w, var)
    return _deviation(var), _deviation(es)


@dataclass(frozen=True)
class TailError:
    """How precisely one VaR and its expected shortfall are known, USD.

    Attributes
    ----------
    lower, upper : float, optional
        The interval of the VaR; None if an end is open.
    coverage : float, optional
        Its probability.
    single, blocks : (float, float)
        Standard errors of VaR and of expected shortfall, of single scenarios and of blocks.
    block : int
        Scenarios in a block.
    """

    lower: float | None
    upper: float | None
    coverage: float | None
    single: tuple[float, float]
    blocks: tuple[float, float]
    block: int


def tail_error(tail: Tail) -> TailError:
    """Return how precisely a VaR and its expected shortfall are known."""
    measure, losses = tail.measure, tail.losses
    found = order_interval(measure.level, measure.count)
    block = block_length(tail.part.horizon, measure.count)
    lower, upper = (
        None if rank is None else float(losses[rank - 1]) for rank in (found.lower, found.upper)
    )
    return TailError(
        lower, upper, found.coverage, bootstrap(tail, 1), bootstrap(tail, block), block
    )


def _deviation(sample: Float) -> float:
    """Return the standard deviation of a sample, with n - 1."""
    away = sample - float(exact.ordered_sum(sample)) / sample.size
    return float(np.sqrt(exact.ordered_sum(away * away) / (sample.size - 1)))
