"""Contributions worked by hand, on four scenarios or two buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from crossmargin.analysis.explained.alternatives import interpolated
from crossmargin.analysis.explained.contributions import Tail, shortfall, tail_of
from crossmargin.engine import Book, Cube, Measure
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ficc.haircuts import Haircuts, haircut_amount
from crossmargin.margin.ficc.parts import floor_per_lot, haircut_per_lot
from crossmargin.margin.parts import Part, share_of

PNL = np.array(
    [
        [-4.0, 1.0, -2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, -3.0, -1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


def tail(level: float = 0.75) -> Tail:
    part = Part("VaR", np.ones((1, 1)), Measure(Cube(PNL), level))
    return tail_of(part, np.array([0, 1, 0]), np.array([1.0, 2.0, 1.0]))


def test_a_tail_nets_lines_and_sorts_scenarios() -> None:
    # Two of the first instrument and two of the second: -6, -4, -6, 10, and six zeros.
    found = tail()
    assert found.pnl[:4].tolist() == [-6.0, -4.0, -6.0, 10.0]
    assert found.order[:3].tolist() == [0, 2, 1]
    assert found.var == 4.0
    # w = 2.5: (6 + 6 + 4 / 2) / 2.5.
    assert found.es == 5.6
    assert found.scenario[:2] == ["0", "1"]


def test_the_smoothed_var_is_the_var() -> None:
    # k = 3, one neighbour on either side: losses 6, 4, 0 with weights 1, 2, 1, together 14.
    found = tail()
    near, weight = found.smoothing()
    assert near.tolist() == [2, 1, 4]
    assert weight.tolist() == [4.0 / 14.0, 8.0 / 14.0, 4.0 / 14.0]
    assert -found.pnl[near] @ weight == pytest.approx(found.var, rel=1e-15)


def test_the_worst_loss_has_no_neighbours() -> None:
    near, weight = tail(0.95).smoothing()
    assert (near.tolist(), weight.tolist()) == ([0], [1.0])


def test_shortfall_is_never_below_var() -> None:
    assert shortfall(np.array([3.0, 3.0, 1.0]), 1.5, 2) == 3.0
    assert interpolated(np.array([5.0, 3.0]), 0.75) == 4.5


def test_floor_by_the_sign_of_the_net_value(
    book_of: Callable[[Sequence[dict[int, int]]], Book],
) -> None:
    # Cash: 3 lots at 10 and -5 at 4 in one bucket, 10 net; -1 at 7 in the other.
    book = book_of([{0: 3, 1: -5, 2: -1}, {}, {}, {}])
    value = np.array([10.0, 4.0, 7.0, *[0.0] * 7])
    bucket = np.array([0, 0, 1, *[0] * 7])
    each = floor_per_lot(book, value, bucket, np.array([0.5, 0.1]))[0, 0]
    assert each[:3].tolist() == [5.0, 2.0, -0.7000000000000001]
    assert each[:3] @ [3.0, -5.0, -1.0] == pytest.approx(0.5 * 10.0 + 0.1 * 7.0)


def test_haircuts_by_the_derivative_of_the_root(
    book_of: Callable[[Sequence[dict[int, int]]], Book],
    by_hand: Callable[..., Universe],
) -> None:
    names = [(f"CUSIP000{n}", [(1.0, 100.0)], 1.0) for n in range(10)]
    values = [100.0, 100.0, *[0.0] * 8]
    universe = by_hand(*names, market_value=values, years=[1.0] * 10)
    book = book_of([{0: 3, 1: 4}, {}, {}, {}])
    held = Haircuts(
        bucket=np.array([0, 1, *[-1] * 8]),
        no_price=np.zeros(10, dtype=bool),
        rate=np.array([0.01, 0.01]),
        correlation=np.eye(2),
    )
    amount = haircut_amount(book, universe, held)
    # A root of 3^2 + 4^2: each side bears its square over 5.
    assert amount[0, 0] == 5.0
    each = haircut_per_lot(book, universe.market_value, held, amount)[0, 0]
    assert (each[:2] * [3.0, 4.0]).tolist() == pytest.approx([9.0 / 5.0, 16.0 / 5.0])


def test_a_share_of_nothing_is_nothing() -> None:
    assert share_of(np.array([1.0, 1.0]), np.array([0.0, 4.0])).tolist() == [0.0, 0.25]
