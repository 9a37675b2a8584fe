"""The strip of short-rate futures on real days, as the policies margin it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("matplotlib")
with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(ROOT)
    strip = importlib.import_module("tools.calibration.strip")

FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"


@pytest.fixture(scope="module")
def data(real_data: Callable[[str], Path]) -> Path:
    real_data("sofr.csv")
    return real_data("us_treasury_par_yields.csv.gz").parent


def test_the_strip_is_even_under_the_second_policy(data: Path) -> None:
    found = strip.margins(strip.strip_books(), SECOND, data, strip.STRIP_DAY)
    outright, calendar, butterfly = (
        [found[f"{kind}SR3{quarter}"]["V"] for quarter in strip.QUARTERS[: 12 - missing]]
        for missing, kind in enumerate(("", "calendar ", "butterfly "))
    )
    assert all(max(pair) <= 1.15 * min(pair) for pair in pairwise(outright))
    assert max(calendar[1:]) <= 4.0 * min(calendar[1:])
    assert min(butterfly) >= 1.0
    assert all(v < body for v, body in zip(butterfly, outright[1:], strict=False))


def test_a_funds_future_is_not_margined_by_the_flight_to_bills(data: Path) -> None:
    books = strip.outrights(strip.FRONT)
    first = strip.margins(books, FIRST, data, strip.FRONT_DAY)["ZQJ25"]
    assert (round(first["HVaR"]), round(first["SVaR"])) == (194, 1927)
    second = strip.margins(books, SECOND, data, strip.FRONT_DAY)["ZQJ25"]
    # In March 2023 expectations of the funds rate moved; in 2008 bills alone did.
    assert 200.0 < second["V"] < first["V"]
    assert second["SVaR"] < 0.75 * first["SVaR"]


def test_the_fragment_is_the_same_each_time(data: Path) -> None:
    one, other = (strip.fragment([FIRST, SECOND], data) for _ in range(2))
    assert one == other
    markdown, figures = one
    assert f"| {FIRST} | ZQJ25 | 194 | 1927 | 627 |" in markdown
    assert figures["strip.svg"].startswith("<?xml")
    assert "date" not in figures["strip.svg"].lower()
