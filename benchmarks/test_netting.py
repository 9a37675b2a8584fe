"""Spread credits and tier charges of 20,000 accounts, compared with NumPy and plain numba.

Both peers follow the same rule with the same arithmetic, so their answers have the same bits: NumPy
goes over the spreads and takes all accounts at once, numba goes over the accounts on all threads.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin import engine

ACCOUNTS, COMMODITIES, SPREADS, TIERS = 20_000, 12, 60, 36
THREADS = sorted({1, engine.default_threads()})
FAST = [name for name in ("native", "numba") if name in engine.info().available]


@pytest.fixture(scope="module")
def book():
    """Return net deltas, a fifth of them zero, and scan risks."""
    rng = np.random.default_rng(1)
    shape = (ACCOUNTS, COMMODITIES)
    delta = np.where(rng.random(shape) > 0.2, rng.normal(0, 500, shape), 0.0)
    return delta, rng.uniform(0, 1e6, shape)


@pytest.fixture(scope="module")
def spreads():
    """Return spreads of two to four legs, most of two."""
    rng = np.random.default_rng(2)
    size = rng.choice([2, 3, 4], SPREADS, p=[0.7, 0.2, 0.1])
    return {
        "leg_ptr": np.cumsum([0, *size]),
        "leg_commodity": np.concatenate([rng.permutation(COMMODITIES)[:n] for n in size]),
        "leg_ratio": rng.integers(1, 6, size.sum()).astype(float),
        "leg_side": np.concatenate([np.resize([1, -1], n) for n in size]),
        "rate": rng.uniform(0.3, 0.9, SPREADS),
    }


@pytest.fixture(scope="module")
def answer(book, spreads):
    """Return the credits by NumPy, which has the reference's bits on the first accounts."""
    result = numpy_credits(*book, **spreads)
    first = engine.spread_credits(*(x[:100] for x in book), **spreads, backend="reference")
    assert_same_bits([x[:100] for x in result], first)
    assert 0.05 < (result[0] > 0).mean() < 0.2
    return result


def parts(result):
    return (result.count, result.credit, result.remaining)


def assert_same_bits(result, expected):
    for x, y in zip(result, parts(expected), strict=True):
        assert np.ascontiguousarray(x).tobytes() == y.tobytes()


def numpy_credits(net_delta, scan_risk, *, leg_ptr, leg_commodity, leg_ratio, leg_side, rate):
    """Go over the spreads, all accounts at once."""
    left = net_delta.copy()
    count = np.zeros((len(net_delta), len(rate)))
    credit = np.zeros_like(count)
    for p in range(len(rate)):
        legs = slice(leg_ptr[p], leg_ptr[p + 1])
        c, ratio = leg_commodity[legs], leg_ratio[legs]
        possible = leg_side[legs] * left[:, c] / ratio
        forms = np.flatnonzero((possible > 0).all(axis=1) | (possible < 0).all(axis=1))
        possible = np.abs(possible[forms])
        n = possible.min(axis=1)
        here = np.ix_(forms, c)
        used = np.where(possible == n[:, None], np.abs(left[here]), n[:, None] * ratio)
        each = used / np.abs(net_delta[here]) * scan_risk[here] * rate[p]
        count[forms, p] = n
        credit[forms, p] = np.cumsum(each, axis=1)[:, -1]
        left[here] -= np.copysign(used, left[here])
    return count, credit, left


def numba_credits():
    """Return the loop that a user of numba writes: accounts on all threads, one by one."""
    numba = pytest.importorskip("numba")

    @numba.njit(parallel=True, error_model="numpy")
    def credits(net_delta, scan_risk, leg_ptr, leg_commodity, leg_ratio, leg_side, rate):
        left = net_delta.copy()
        count = np.zeros((len(net_delta), len(rate)))
        credit = np.zeros_like(count)
        for a in numba.prange(len(net_delta)):
            for p in range(len(rate)):
                lowest, highest = np.inf, -np.inf
                for t in range(leg_ptr[p], leg_ptr[p + 1]):
                    possible = leg_side[t] * left[a, leg_commodity[t]] / leg_ratio[t]
                    lowest, highest = min(lowest, possible), max(highest, possible)
                n = max(lowest, -highest)
                if n > 0.0:
                    count[a, p] = n
                    for t in range(leg_ptr[p], leg_ptr[p + 1]):
                        c = leg_commodity[t]
                        available = abs(left[a, c])
                        used = n * leg_ratio[t]
                        if available / leg_ratio[t] == n:
                            used = available
                        credit[a, p] += used / abs(net_delta[a, c]) * scan_risk[a, c] * rate[p]
                        left[a, c] -= np.copysign(used, left[a, c])
        return count, credit, left

    return credits


def run(benchmark, call, threads):
    """Time a call after one that may compile, note its speed, and return its answer."""
    call()
    answer = benchmark.pedantic(call, rounds=15)
    benchmark.extra_info |= {
        "threads": threads,
        "accounts/s": round(ACCOUNTS / benchmark.stats.stats.min) if benchmark.stats else None,
    }
    return answer


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("backend", FAST)
def test_spread_credits(benchmark, book, spreads, answer, backend, threads):
    result = run(
        benchmark,
        lambda: engine.spread_credits(*book, **spreads, threads=threads, backend=backend),
        threads,
    )
    assert_same_bits(answer, result)


def test_spread_credits_by_numpy(benchmark, book, spreads, answer):
    result = run(benchmark, lambda: numpy_credits(*book, **spreads), 1)
    assert_same_bits(result, engine.spread_credits(*book, **spreads))
    assert result[1].tobytes() == answer[1].tobytes()


def test_spread_credits_by_plain_numba(benchmark, book, spreads, answer):
    credits = numba_credits()
    result = run(benchmark, lambda: credits(*book, *spreads.values()), max(THREADS))
    for x, y in zip(result, answer, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("backend", FAST)
def test_tier_charges(benchmark, backend, threads):
    """Three tiers of each commodity: within each, and the two that are neighbours."""
    rng = np.random.default_rng(3)
    held = rng.uniform(0, 500, (2, ACCOUNTS, TIERS)) * (rng.random((2, ACCOUNTS, TIERS)) > 0.5)
    each = np.arange(TIERS)
    near = each[each % 3 < 2]
    spreads = {
        "tier_a": np.concatenate([each, near]),
        "tier_b": np.concatenate([each, near + 1]),
        "charge": rng.uniform(10, 100, SPREADS),
    }
    result = run(
        benchmark,
        lambda: engine.tier_charges(*held, **spreads, threads=threads, backend=backend),
        threads,
    )
    first = engine.tier_charges(*held[:, :100], **spreads, backend="reference")
    assert result.charge[:100].tobytes() == first.charge.tobytes()
    assert result.long[:100].tobytes() == first.long.tobytes()
