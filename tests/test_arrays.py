from __future__ import annotations

import numpy as np

from crossmargin.arrays import bucket_of


def test_upper_ends_are_included_and_the_last_bucket_has_no_end() -> None:
    years = [0.0, 1.0, 1.01, 2.5, 2.6, 99.0]
    assert bucket_of(years, (1.0, 2.5, 3.5)).tolist() == [0, 0, 1, 1, 2, 2]


def test_dates_have_buckets_too() -> None:
    ends = np.array(["2025-04-13", "2025-06-13"], "datetime64[D]")
    days = np.array(["2025-04-13", "2025-04-14", "2026-01-01"], "datetime64[D]")
    assert bucket_of(days, ends).tolist() == [0, 1, 1]
