from __future__ import annotations

import numpy as np
import pytest

from crossmargin.market.draws import Draws


def test_uniforms_are_the_raw_bits_of_pcg64() -> None:
    # The first three draws of this stream, recorded: a change of NumPy must not move them.
    expected = [2145242318418640, 1409480952467123, 208676011452612]
    drawn = Draws(2026, "legs").uniform(3) * 2.0**53
    assert drawn.astype(np.int64).tolist() == expected


def test_streams_differ_by_seed_and_purpose() -> None:
    first = Draws(1, "legs").uniform(8).tolist()
    assert first == Draws(1, "legs").uniform(8).tolist()
    assert first != Draws(2, "legs").uniform(8).tolist()
    assert first != Draws(1, "flaws").uniform(8).tolist()


def test_normals_have_mean_zero_and_variance_one() -> None:
    x = Draws(3, "test").normal(40_000)
    # Four standard errors: 4 / sqrt(40,000) = 0.02, and sqrt(2) times that for the variance.
    assert abs(x.mean()) < 0.02
    assert abs(x.var() - 1.0) < 0.03
    assert np.abs(x).max() < 6.0


def test_lognormal_has_median_one() -> None:
    x = Draws(4, "test").lognormal(1.5, 20_000)
    # Half of the draws lie below the median: 0.5 +- 4 * 0.5 / sqrt(20,000).
    assert abs((x < 1.0).mean() - 0.5) < 0.0142


def test_whole_numbers_stay_below_their_bound() -> None:
    bound = np.array([1, 2, 7])
    x = Draws(5, "test").below(bound, 5_000, 3)
    assert x.min(axis=0).tolist() == [0, 0, 0]
    assert x.max(axis=0).tolist() == [0, 1, 6]


def test_picks_follow_the_weights() -> None:
    x = Draws(6, "test").pick([1.0, 0.0, 3.0], 10_000)
    share = np.bincount(x, minlength=3) / x.size
    assert share[1] == 0.0
    assert share[2] == pytest.approx(0.75, abs=0.02)
