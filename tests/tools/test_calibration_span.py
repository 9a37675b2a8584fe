"""The figures of scan ranges by tier beside published margins."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("matplotlib")
with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(ROOT)
    span = importlib.import_module("tools.calibration.span")


def test_ranges_by_tier_rise_with_the_published_margins(
    real_data: Callable[[str], Path],
) -> None:
    data = real_data(span.YIELDS).parent
    policies = ("cme-ficc-2026-04-30", "cme-ficc-2026-11-30")
    markdown, figures = span.fragment(policies, data)
    assert figures == {}
    cells = [line.strip("| ").split(" | ") for line in markdown.splitlines()]
    rows = [row for row in cells if row[0] in span.PUBLISHED]
    published, before, after = zip(*([float(c) for c in row[1:]] for row in rows), strict=True)
    assert sum(lots * usd for lots, usd in zip(span.LOTS, published, strict=True)) == 569_910.0
    # One range for all quarters; by tier the nearest quarter has the smallest one, as published.
    assert len(set(before)) == 1
    assert min(after) == after[0]
    assert list(after[:4]) == sorted(after[:4])
    error = [sum(abs(x - y) for x, y in zip(of, published, strict=True)) for of in (before, after)]
    assert error[1] < error[0] / 2.0
