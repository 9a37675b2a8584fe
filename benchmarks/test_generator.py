"""Tests that the headline book's variants are as their names say."""

from __future__ import annotations

import cases
import generator
import numpy as np
from universe import real

import crossmargin as xm

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
    assert np.median(var[:, 2] / var[:, 0]) < 0.2


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
