"""What the page on calibration is computed with, and that its figures are there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmargin.calculation.policy_market import policy_market
from crossmargin.conventions import CME
from crossmargin.engine import Measure
from crossmargin.margin.cme.historical import cme_cubes
from crossmargin.policies import CmeFloor, Stress, read_policy

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def module(name: str) -> Any:
    """Return a module of the tool; tests are skipped without matplotlib, which draws its plots."""
    pytest.importorskip("matplotlib")
    with pytest.MonkeyPatch.context() as path:
        path.syspath_prepend(ROOT)
        return importlib.import_module(f"tools.calibration.{name}")


def test_a_rise_is_over_the_smallest_value_before_it() -> None:
    assert module("margins").rise(np.array([4.0, 2.0, 5.0, 1.0, 2.0])) == 2.5


def test_months_end_with_their_last_day() -> None:
    day = np.array(["2020-01-30", "2020-01-31", "2020-02-03", "2020-03-31"], "datetime64[D]")
    assert module("margins").last_of_months(day).tolist() == day[1:].tolist()


def test_margins_are_in_force_until_the_next_one_and_not_beyond_the_last(
    tmp_path: Path,
) -> None:
    margins = module("margins")
    rows = ["root,effective,initial_usd,maintenance_usd"]
    rows += [f"{root},2020-01-10,110,100\n{root},2020-01-20,220,200" for root in margins.ROOTS]
    (tmp_path / margins.OUTRIGHTS).write_text("\n".join(rows))
    day = np.array(["2020-01-09", "2020-01-10", "2020-01-19", "2020-01-20", "2020-01-21"])
    found = margins.in_force(tmp_path, day.astype("datetime64[D]"))[:, 0]
    np.testing.assert_array_equal(found, [np.nan, 100.0, 100.0, 200.0, np.nan])


def test_paragraphs_are_cut_into_lines_and_tables_are_not() -> None:
    long = "word " * 60
    text = module("__main__").wrapped(f"{long}\n\n- {long}\n| {long} |")
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("|")) <= 140
    assert f"| {long} |" in lines
    assert all(line.startswith(("- word", "  word")) for line in lines[lines.index("") + 1 : -1])


def test_outrights_are_those_of_the_models_cubes(real_data: Callable[[str], Path]) -> None:
    tool = module("outrights")
    data = real_data(tool.YIELDS).parent
    day = np.datetime64("2020-03-31")
    history = tool.past(data, day)
    policy = read_policy("cme-ficc-2026-11-30")
    found = tool.outrights(history, {"new": policy}, np.array([day]), ("ZN", "UB"))["new"]
    market = policy_market(policy, tool.market_of(history, day))
    universe = tool.fronts(market, tool.issues_of(market))
    parts = policy.get(Stress), policy.get(CmeFloor)
    assert None not in parts
    historical, stressed, _ = cme_cubes(
        universe, market, policy.cme, policy.scenarios_of(CME), floor=parts[1]
    )
    measures = [Measure(historical, 0.99), *stressed.measures(0.99)]
    for column, root in enumerate(("ZN", "UB")):
        at = universe.root.tolist().index(root)
        for side, sign in enumerate((1.0, -1.0)):
            var = [_var(one, sign, at) for one in measures]
            assert found.hvar[side, 0, column] == var[0]
            # March 2023 is not there yet.
            assert found.svar[side, 0, column] == max(var[1:])
            assert len(var) == 3


def _var(measure: Measure, sign: float, instrument: int) -> float:
    window = slice(measure.start, measure.start + measure.count)
    loss = np.sort(-sign * measure.pnl[instrument, window])[::-1]
    return float(loss[measure.k - 1])


def test_the_page_names_what_it_compares_and_its_figures_are_there() -> None:
    page = (DOCS / "calibration.md").read_text("utf-8")
    for policy in ("cme-ficc-2026-04-30", "cme-ficc-2026-11-30"):
        assert policy in page
    assert "transcriptions" in page
    plots = re.findall(r"\]\(([\w./-]+\.svg)\)", page)
    assert plots
    # The parameters that it lists are those of the policies as they are.
    assert module("__main__")._changes() in page
    assert sorted(plots) == sorted(
        path.relative_to(DOCS).as_posix() for path in (DOCS / "plots").glob("*.svg")
    )
