"""Tests that the headline book's variants are as their names say."""

from __future__ import annotations

import cases
import generator
import numpy as np
import pytest
import universe
from universe import HEADLINE, STRESSED, WIDE, real

import crossmargin as xm
from crossmargin.conventions import CME, FICC

TIER = generator.Tier("test", 3_000, 30)


def test_hedged_accounts_have_almost_no_basis_points_left():
    instruments = real().instruments
    book = generator.with_hedges(generator.make_book(TIER), instruments)
    risk = book.quantity * instruments.value[book.column]
    # Every account has both segments, so that no sum is empty.
    assert (np.diff(book.row_ptr) > 0).all()
    cash, futures = np.add.reduceat(risk, book.row_ptr[:-1]).reshape(-1, 2).T
    assert (np.abs(cash + futures) <= 0.01 * np.abs(cash)).all()
    assert len(cash) > 0.8 * TIER.accounts
    [call] = cases.pass_case(TIER, book).calls
    var = xm.segment_tails(book, call.measures, segments=2, unions=call.unions).var
    # At CME forward cash legs alone have no VaR.
    assert np.median(var[:, 2] / np.maximum(var[:, 0], 1.0)) < 0.3


def test_half_of_the_accounts_are_copies():
    book = generator.make_book(TIER)
    assert generator.count_copies(book) == 0
    copies = generator.count_copies(generator.with_copies(book))
    assert copies == TIER.accounts // 2


def test_batches_are_the_whole_tier(monkeypatch):
    monkeypatch.setattr(generator, "BATCH", 1000)
    books = list(generator.batches(generator.Tier("test", 2_500, 10)))
    assert [book.rows for book in books] == [2000, 2000, 1000]
    assert books[0].quantity.tobytes() != books[1].quantity.tobytes()


@pytest.mark.parametrize("size", [HEADLINE, WIDE])
def test_real_cubes(size):
    made = real(size)
    assert made.instruments.count == size.instruments
    assert made.instruments.cash == size.cash
    assert (made.instruments.value > 0.0).all()
    for ccp in (FICC, CME):
        assert made.cubes[ccp].pnl.shape == (size.instruments, generator.SCENARIOS)
    assert made.periods[0] == slice(0, 250)
    assert made.cubes[STRESSED].pnl.shape == (size.instruments, made.periods[-1].stop)
    assert all(cube.on_grid for cube in made.cubes.values())
    # Every instrument has P&L, but for the legs, which CME does not cover.
    still = [cube.largest == 0.0 for cube in made.cubes.values()]
    assert [int(each.sum()) for each in still] == [0, universe.LEGS, universe.LEGS]
    assert not still[1][size.cash :].any()


def test_real_cubes_are_the_same_again():
    again = real.__wrapped__(HEADLINE)
    for name, cube in real(HEADLINE).cubes.items():
        assert again.cubes[name].hash == cube.hash
    assert again.instruments.value.tobytes() == real().instruments.value.tobytes()


def test_basis_point_values_are_those_of_the_cube():
    """Most of what a large move of the curve does is the basis points it moves by."""
    made = real()
    futures = slice(made.instruments.cash, None)
    largest = made.cubes[FICC].largest[futures] / made.instruments.value[futures]
    assert (largest > 10.0).all()
    assert (largest < 500.0).all()


def test_wide_accounts_hold_most_instruments():
    tier = generator.Tier("test", 40, 2_000, WIDE)
    book = generator.make_book(tier)
    assert book.columns == WIDE.instruments
    lines = np.diff(book.row_ptr).reshape(-1, 2).sum(axis=1)
    assert np.mean(lines) == pytest.approx(2_000, rel=0.02)
    assert lines.min() > WIDE.instruments / 2
    cash = np.diff(book.row_ptr)[::2].sum()
    assert (np.split(book.column, book.row_ptr[1:-1])[0] < WIDE.cash).all()
    assert cash / book.row_ptr[-1] == pytest.approx(WIDE.cash / WIDE.instruments, rel=0.02)
    assert generator.count_copies(book) == 0


def test_cubes_of_the_variants():
    on_grid = {
        name: {m.cube.on_grid for call in make(TIER).calls for m in call.measures}
        for name, make in cases.VARIANTS.items()
    }
    off = {"off_grid", "noise"}
    assert on_grid == {name: {name not in off} for name in cases.VARIANTS}
    names = [make(TIER).name for make in cases.VARIANTS.values()]
    assert len(set(names)) == len(names)


def test_fresh_cubes_have_no_screens():
    case = cases.run_case(generator.TIERS["S"])
    case.ours(False, 1)
    fresh = case.fresh()
    assert fresh.calls[0].measures[0].cube is fresh.calls[0].measures[1].cube
    for old, new in zip(case.calls, fresh.calls, strict=True):
        for a, b in zip(old.measures, new.measures, strict=True):
            assert (a.start, a.count, a.k) == (b.start, b.count, b.k)
            assert b.cube is not a.cube
            assert b.screen is None
    for old, new in zip(case.ours(True, 1), fresh.ours(True, 1), strict=True):
        assert old.var.tobytes() == new.var.tobytes()
