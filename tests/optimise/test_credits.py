"""The best spreads against every order of priority, and within the deltas."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise, permutations

import numpy as np
import pytest

from crossmargin.engine import spread_credits
from crossmargin.optimise import optimal_credits


def legs(*spreads):
    """Return the arrays of spreads written as (rate, (commodity, ratio, side), ...)."""
    flat = [leg for _, *members in spreads for leg in members]
    return {
        "leg_ptr": np.cumsum([0, *(len(members) for _, *members in spreads)]),
        "leg_commodity": [c for c, _, _ in flat],
        "leg_ratio": [r for _, r, _ in flat],
        "leg_side": [s for _, _, s in flat],
        "rate": [rate for rate, *_ in spreads],
    }


def random_spreads(seed, commodities=6, count=9):
    """Return spreads of two to four legs with ratios that do not divide evenly."""
    rng = np.random.default_rng(seed)
    spreads = []
    for _ in range(count):
        size = rng.integers(2, 5)
        side = rng.permutation([1, -1, *rng.choice([1, -1], size - 2)])
        ratio = rng.choice([1.0, 2.0, 3.0, 0.7, 1.3], size)
        members = zip(rng.permutation(commodities)[:size], ratio, side, strict=True)
        spreads.append((rng.choice([0.0, 1.0, rng.random()]), *members))
    return legs(*spreads)


def random_book(seed, accounts=40, commodities=6):
    """Return net deltas, a fifth of them zero, and scan risks."""
    rng = np.random.default_rng(seed)
    delta = rng.normal(0, 100, (accounts, commodities)) * (
        rng.random((accounts, commodities)) > 0.2
    )
    return delta, rng.uniform(0, 1e6, (accounts, commodities))


def test_the_order_of_priority_can_lose():
    pytest.importorskip("highspy")
    # The first takes both legs that the others need: 120 USD. Without it they make 100 each.
    spreads = legs(
        (0.6, (0, 1, 1), (2, 1, -1)), (0.5, (0, 1, 1), (3, 1, -1)), (0.5, (1, 1, 1), (2, 1, -1))
    )
    book = [[10.0, 10.0, -10.0, -10.0], [10.0, 0.0, -10.0, 0.0]], np.full((2, 4), 100.0)
    assert spread_credits(*book, **spreads).credit.sum(axis=1).tolist() == [120.0, 120.0]
    best = optimal_credits(*book, **spreads)
    np.testing.assert_allclose(best.count, [[0, 10, 10], [10, 0, 0]], rtol=0, atol=1e-7)
    np.testing.assert_allclose(best.credit, [[0, 100, 100], [120, 0, 0]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(best.missed, [80, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_pairing_is_never_worse_than_any_order(seed):
    pytest.importorskip("highspy")
    (delta, risk), spreads = random_book(seed, accounts=5), random_spreads(seed, count=4)
    best = optimal_credits(delta, risk, **spreads)
    total, scale = best.credit.sum(axis=1), 1e-7 * risk.sum(axis=1)
    assert (best.missed >= -scale).all()
    greedy = spread_credits(delta, risk, **spreads).credit.sum(axis=1)
    np.testing.assert_allclose(best.missed, total - greedy, rtol=0, atol=1e-6)
    ptr = spreads["leg_ptr"]
    for order in permutations(range(4)):
        where = np.concatenate([np.arange(ptr[p], ptr[p + 1]) for p in order])
        names = ("leg_commodity", "leg_ratio", "leg_side")
        credits = spread_credits(
            delta,
            risk,
            **{name: np.array(spreads[name])[where] for name in names},
            leg_ptr=np.cumsum([0, *(ptr[p + 1] - ptr[p] for p in order)]),
            rate=np.array(spreads["rate"])[list(order)],
        )
        assert (credits.credit.sum(axis=1) <= total + scale).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_best_pairing_keeps_to_the_deltas(seed):
    pytest.importorskip("highspy")
    (delta, risk), spreads = random_book(seed, accounts=8), random_spreads(seed, count=30)
    best = optimal_credits(delta, risk, **spreads)
    used = np.zeros_like(delta)
    for p, (begin, end) in enumerate(pairwise(spreads["leg_ptr"])):
        members = slice(begin, end)
        commodity = spreads["leg_commodity"][members]
        signs = np.sign(delta[:, commodity]) * spreads["leg_side"][members]
        usable = (signs == signs[:, :1]).all(axis=1) & (signs[:, 0] != 0)
        assert (best.count[~usable, p] == 0).all()
        amount = best.count[:, p, None] * spreads["leg_ratio"][members]
        used[:, commodity] += amount
        value = np.divide(amount, np.abs(delta[:, commodity]), where=amount > 0, out=amount * 0)
        credit = spreads["rate"][p] * (value * risk[:, commodity]).sum(axis=1)
        np.testing.assert_allclose(best.credit[:, p], credit, rtol=1e-12)
    assert (best.count >= 0).all()
    assert (used <= np.abs(delta) * (1 + 1e-7)).all()


def test_nothing_to_credit_needs_no_solver():
    pytest.importorskip("highspy")
    spreads = legs((0.5, (0, 1, 1), (1, 1, -1)))
    best = optimal_credits([[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0], [0.0, 0.0]], **spreads)
    assert best.credit.tolist() == [[0.0], [0.0]]
    assert best.missed.tolist() == [0.0, 0.0]
    assert optimal_credits([[1.0]], [[1.0]], **legs()).missed.tolist() == [0.0]


def test_without_the_solver_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(ImportError, match=r'pip install "crossmargin\[optimise\]"'):
        optimal_credits([[1.0, -1.0]], [[1.0, 1.0]], **legs((0.5, (0, 1, 1), (1, 1, -1))))


def test_the_solver_is_imported_only_when_used():
    program = (
        "import sys\n"
        "import crossmargin.optimise\n"
        "from crossmargin.engine import spread_credits\n"
        "spread_credits([[1.0, -1.0]], [[1.0, 1.0]], leg_ptr=[0, 2], leg_commodity=[0, 1], "
        "leg_ratio=[1, 1], leg_side=[1, -1], rate=[0.5])\n"
        "assert 'highspy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
