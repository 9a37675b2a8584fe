"""The report on hedges: the same text and figure each time, and rates that fall."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("matplotlib")
with pytest.MonkeyPatch.context() as path:
    path.syspath_prepend(ROOT)
    hedges = importlib.import_module("tools.calibration.hedges")


def test_hedges_save_less_with_what_moves_them_apart(real_data: Callable[[str], Path]) -> None:
    data = real_data("us_treasury_par_yields.csv.gz").parent
    policies = ("cme-ficc-2026-04-30", "cme-ficc-2026-11-30")
    text, figures = hedges.fragment(policies, data)
    assert (text, figures) == hedges.fragment(policies, data)
    assert list(figures) == ["hedges.svg"]
    rows = [line.split("|")[2:-1] for line in text.splitlines() if "-year, " in line]
    assert len(rows) == len(hedges.HEDGES)
    for row in rows:
        rate = [float(cell.strip(" %")) for cell in row]
        assert all(after <= before for before, after in zip(rate[::2], rate[1::2], strict=True))
        assert rate[1] < rate[0]
