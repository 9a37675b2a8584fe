"""The mildest moves that use up an account's requirement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin import cli
from crossmargin.analysis.reverse_stress import (
    LIMIT,
    first_lengths,
    mildest_mixture,
    refined,
)
from crossmargin.engine import revalue
from crossmargin.exceptions import InputError
from crossmargin.margin.ficc.var import ficc_scenarios
from crossmargin.sample import sample_tables

THIRD_CCP = Path(__file__).resolve().parents[2] / "docs/policies/example-third-ccp.toml"


@pytest.fixture(scope="module")
def run() -> xm.RunResult:
    tables = sample_tables(accounts=14)
    return xm.run(
        **{name: tables[name] for name in ("positions", "accounts", "securities")},
        market=xm.sample_market(),
    )


def by_move(found: xm.ReverseStress) -> dict[str, dict[str, Any]]:
    return {row["move"]: row for row in found.moves}


def test_the_first_loss_along_a_move_by_hand() -> None:
    """10 USD a unit: 25 are lost at 2.5. A loss that comes late, or never, is NaN."""

    def loss(move: np.ndarray) -> np.ndarray:
        return 10.0 * move[:, 0]

    moves = np.array([[1.0, 0.0], [0.1, 0.0], [-1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    found = first_lengths(loss, moves, 25.0, 20.0)
    np.testing.assert_allclose(found, [2.5, np.nan, np.nan, np.nan, 1.25], rtol=1e-9)
    assert (loss(moves * found[:, None])[[0, 4]] >= 25.0).all()
    nearest = first_lengths(loss, moves, 25.0, 20.0, nearest=True)
    np.testing.assert_allclose(nearest, [np.nan] * 4 + [1.25], rtol=1e-9)


def test_a_loss_that_goes_away_again_is_found_where_it_begins() -> None:
    """The loss x (4 - x) is 3 at 1 and again at 3."""
    found = first_lengths(lambda x: (x * (4.0 - x))[:, 0], np.ones((1, 1)), 3.0, 20.0)
    np.testing.assert_allclose(found, [1.0], rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-100.0, 100.0), min_size=3, max_size=3))
def test_the_mildest_direction_of_a_linear_loss_is_its_gradient(slope: list[float]) -> None:
    """The shortest move a with g a = need has length need / |g|."""
    gradient = np.array(slope)
    size = float(np.sqrt(gradient @ gradient))
    if size < 1.0:
        return
    start = np.zeros(3)
    start[int(np.abs(gradient).argmax())] = np.sign(gradient[np.abs(gradient).argmax()])
    need = 2.0 * size
    [length] = first_lengths(lambda x: x @ gradient, start[None], need, LIMIT)
    length, direction = refined(lambda x: x @ gradient, start, float(length), need)
    assert length == pytest.approx(2.0, rel=1e-8)
    np.testing.assert_allclose(direction, gradient / size, atol=1e-4)


def test_the_mildest_mixture_by_hand() -> None:
    """Independent scenarios of length one that lose 3 and 4: weights 3:4, length 1/5 a dollar.

    The third gains, and the fourth is as long as the second but loses less on the same path.
    """
    free = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    scenario, weight = mildest_mixture(free, np.array([3.0, 4.0, -5.0, 1.0]))
    assert scenario.tolist() == [1, 0]
    assert weight.tolist() == [4.0 / 7.0, 3.0 / 7.0]
    point = free[:, scenario] @ weight
    loss = 4.0 * weight[0] + 3.0 * weight[1]
    assert float(np.sqrt(point @ point)) / loss == pytest.approx(0.2, rel=1e-15)


def test_no_mixture_without_a_loss_and_never_a_negative_weight() -> None:
    free = np.random.default_rng(3).normal(size=(6, 50))
    scenario, _ = mildest_mixture(free, -np.ones(50))
    assert scenario.size == 0
    loss = np.random.default_rng(4).normal(size=50)
    scenario, weight = mildest_mixture(free, loss)
    assert scenario.size == 3
    assert (weight > 0.0).all()
    assert weight.sum() == pytest.approx(1.0, rel=1e-15)
    alone = np.sqrt((free**2).sum(axis=0)) / np.where(loss > 0.0, loss, np.nan)
    point = free[:, scenario] @ weight
    mixed = float(np.sqrt(point @ point)) / float(loss[scenario] @ weight)
    assert mixed < np.nanmin(alone)


def test_every_move_loses_the_requirement(run: xm.RunResult) -> None:
    seen = 0
    for row in run.accounts[:8]:
        found = xm.reverse_stress(run, row["account"])
        assert found.requirement == row["requirement"]
        moves = by_move(found)
        lengths = []
        for name, move in moves.items():
            assert (move["standard_deviations"] is None) == (move["reason"] is not None)
            if move["reason"] is None:
                seen += 1
                # The grid of P&L, 2^-20 a lot, is all that a length of 2^-32 leaves open.
                assert 0.0 <= move["loss"] - float(found.requirement or 0) < 50.0
                parts = sum(move[f"loss_{side}"] for side in ("ficc", "cme", "other_ccps"))
                assert parts == pytest.approx(move["loss"], rel=1e-12)
                if name.startswith("component"):
                    lengths.append(move["standard_deviations"])
        if lengths:
            assert moves["mildest"]["standard_deviations"] <= min(lengths)
        for name in ("one scenario", "mixture"):
            weights = [part["weight"] for part in found.scenarios if part["move"] == name]
            assert not weights or sum(weights) == pytest.approx(1.0, rel=1e-12)
    assert seen > 15


def test_a_scenario_as_found_is_the_one_of_the_whole_universe(run: xm.RunResult) -> None:
    """The same multiple of the same scenario, on all instruments and by another sum."""
    assert run.stages is not None
    name = "H00001"
    found = xm.reverse_stress(run, name)
    move = by_move(found)["one scenario"]
    [part] = [part for part in found.scenarios if part["move"] == "one scenario"]
    stages = run.stages
    models = stages.models
    scenarios = ficc_scenarios(models.market, models.policy.ficc, models.policy.scenarios)
    at = scenarios.date.tolist().index(part["date"])
    pnl = revalue(models.universe.terms, scenarios.shock[at : at + 1] * move["multiple"])[:, 0]
    account = run.accounts["account"].to_pylist().index(name)
    lines = stages.netted.lines
    mine = stages.classified.assignment.group_account[lines.group] == account
    loss = -float((lines.lots[mine] * pnl[lines.instrument[mine]]).sum())
    assert loss == pytest.approx(move["loss"], rel=1e-12)
    shift = scenarios.shock[at, [4, 6, 8, 10]] * move["multiple"] * 1e4
    np.testing.assert_allclose([move[f"bp_{n}"] for n in (2, 5, 10, 30)], shift, rtol=1e-12)


def test_threads_and_kernels_make_no_difference(run: xm.RunResult) -> None:
    first = xm.reverse_stress(run, "H00002", threads=1)
    again = xm.reverse_stress(run, "H00002", threads=2)
    assert first.moves.to_arrow().equals(again.moves.to_arrow())
    assert first.scenarios.to_arrow().equals(again.scenarios.to_arrow())


def test_an_account_without_a_requirement_has_no_moves_and_says_why(run: xm.RunResult) -> None:
    unknown = xm.reverse_stress(run, "000003")
    assert unknown.requirement is None
    assert unknown.reason == "its requirement is unknown"
    assert [row["reason"] for row in unknown.moves] == [unknown.reason]
    tables = sample_tables(accounts=14)
    idle = tables["accounts"].slice(0, 1)
    idle = idle.set_column(0, "account", pa.array(["IDLE"], idle["account"].type))
    assert tables["accounts"].column_names[0] == "account"
    again = xm.run(
        positions=tables["positions"],
        accounts=pa.concat_tables([tables["accounts"], idle]),
        securities=tables["securities"],
        market=xm.sample_market(),
    )
    found = xm.reverse_stress(again, "IDLE")
    assert found.requirement == Decimal("0.00")
    assert found.reason == "it has nothing to pay"


def test_curves_that_never_moved_give_no_moves(run: xm.RunResult) -> None:
    market = run.stages.models.market  # type: ignore[union-attr]
    still = {
        name: np.repeat(getattr(market.history, name)[-1:], market.history.date.size, axis=0)
        for name in ("par_yield", "zero_rate")
    }
    again = xm.rerun(run, replace(market, history=replace(market.history, **still)))
    # Spreads and bases move on, so there is something to pay.
    account = next(row["account"] for row in again.accounts if row["requirement"])
    found = xm.reverse_stress(again, account)
    assert found.reason == "the curves of the history do not move"
    assert [row["move"] for row in found.moves] == ["mildest"]


def test_positions_at_another_clearing_house_count() -> None:
    tables = sample_tables(accounts=14)
    notes = [
        row["cusip"]
        for row in tables["securities"].to_pylist()
        if row["type"] == "note" and str(row["maturity_date"]) > "2030"
    ]
    positions = pa.table(
        {
            "account": ["A", "A"],
            "kind": ["cash", "cash"],
            "instrument": notes[:2],
            "quantity": [5_000_000, 7_000_000],
            "xm": [True, True],
            "ccp": [None, "XYZ"],
        }
    )
    accounts = pa.table(
        {
            "account": ["A"],
            "origin": ["customer"],
            "ficc_role": ["sponsored_member"],
            "opted_in": [True],
            "clearing_firm": ["F"],
        }
    )
    found = xm.reverse_stress(
        xm.run(
            positions=positions,
            accounts=accounts,
            securities=tables["securities"],
            market=xm.sample_market(),
            policy=THIRD_CCP,
        ),
        "A",
    )
    move = by_move(found)["mildest"]
    assert move["loss_other_ccps"] > 0.0
    assert move["loss_ficc"] > 0.0
    assert move["loss_cme"] == 0.0
    assert move["bp_10"] > 0.0


def test_wrong_arguments_are_refused(run: xm.RunResult) -> None:
    with pytest.raises(TypeError, match="run: a run"):
        xm.reverse_stress("results", "A")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="account: a name"):
        xm.reverse_stress(run, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no stages"):
        xm.reverse_stress(replace(run, stages=None), "H00001")
    with pytest.raises(InputError, match="account 'X' is not in the run"):
        xm.reverse_stress(run, "X")


def test_names_are_escaped_in_notebooks(run: xm.RunResult) -> None:
    found = replace(xm.reverse_stress(run, "H00001"), account="<script>")
    assert "<script>" not in found._repr_html_()


def check_signs_and_measures(text: str, found: xm.ReverseStress) -> None:
    """Gains are positive, and lengths among all factors are marked."""
    assert "P&L at FICC" in text
    assert "* among all factors" in text
    rows = [row for row in found.moves if row["reason"] is None]
    assert any(row[side] < 0.0 for row in rows for side in ("loss_ficc", "loss_cme"))
    for row in rows:
        line = next(
            told for told in text.splitlines() if told.startswith(f"{row['move']} ")
        ).removeprefix(row["move"])
        cells = line.split()
        assert cells[0] == f"{row['standard_deviations']:.2f}"
        assert (cells[1] == "*") == (row["multiple"] is not None)
        assert cells[-2:] == [f"{-row[side]:+,.0f}" for side in ("loss_ficc", "loss_cme")]


def test_the_command_tells_it(
    run: xm.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(xm.write_run(run, tmp_path / "results"))
    assert cli.main(["reverse-stress", "H00001", "--results", results]) == 0
    text = capsys.readouterr().out
    length = by_move(xm.reverse_stress(run, "H00001"))["mildest"]["standard_deviations"]
    assert "mildest" in text
    assert f"{length:.2f}" in text
    assert "times" in text
    check_signs_and_measures(text, xm.reverse_stress(run, "H00001"))
    assert cli.main(["reverse-stress", "000003", "--results", results]) == 0
    assert "its requirement is unknown" in capsys.readouterr().out
    run.write(tmp_path / "bare")
    for arguments, message in (
        (["X\x1b[1m", "--results", results], "is not in the run"),
        (["H00001", "--results", str(tmp_path / "bare")], "the run took a table"),
        (["H00001", "--results", str(tmp_path / "none")], "holds no results"),
    ):
        assert cli.main(["reverse-stress", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
        assert "\x1b" not in error


def test_a_note_on_real_yields(
    real_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """10 million of a note alone: its requirement is lost by a rise of the curve."""
    accounts = pa.table(
        {
            "account": ["A"],
            "origin": ["customer"],
            "ficc_role": ["sponsored_member"],
            "opted_in": [True],
            "clearing_firm": ["F1"],
        }
    )
    positions = pa.table(
        {
            "account": ["A"],
            "kind": ["cash"],
            "instrument": ["91282CMB4"],
            "quantity": [10_000_000],
            "xm": [False],
        }
    )
    result = xm.run(
        positions=positions,
        accounts=accounts,
        securities=real_data("fixed_coupon_master.csv"),
        market=xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2026-02-27"),
    )
    moves = by_move(xm.reverse_stress(result, "A"))
    assert moves["component 1 down"]["reason"] is not None
    assert 1.5 < moves["mildest"]["standard_deviations"] < 4.0
    assert 5.0 < moves["mildest"]["bp_2"] < 40.0
    results = str(xm.write_run(result, tmp_path / "results"))
    assert cli.main(["reverse-stress", "A", "--results", results]) == 0
    assert "mildest" in capsys.readouterr().out
