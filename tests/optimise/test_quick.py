"""A quick allocation: never worse than what is there, the same at any thread count, no proofs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.report.optimise import QUICK, print_allocation

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")

UNPROVED = ("lower_bound", "gap", "optimal")


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {**sample_book(200), "market": xm.sample_market()}


@pytest.fixture(scope="module")
def run(book: dict[str, Any]) -> xm.RunResult:
    return xm.run(**book)


@pytest.fixture(scope="module")
def quick(run: xm.RunResult) -> xm.Allocation:
    return xm.allocate(run, quick=True)


def saved(found: xm.Allocation) -> float:
    return float(sum(row["unused_saving"] or 0 for row in found.accounts))


def test_no_account_pays_more_than_now_or_with_none_moved(quick: xm.Allocation) -> None:
    assert len(quick.transfers) > 50
    for row in quick.accounts:
        if row["requirement"] is not None:
            assert row["requirement_after"] <= row["requirement"]
            assert row["requirement_after"] <= row["requirement_none"]
            assert (row["transfers"] > 0) == (row["requirement_after"] < row["requirement"])


def test_most_of_what_a_full_search_saves_is_found(run: xm.RunResult, quick: xm.Allocation) -> None:
    assert saved(quick) > 0.9 * saved(xm.allocate(run, boxes=1))


def test_running_the_book_with_the_transfers_gives_what_was_promised(
    book: dict[str, Any], quick: xm.Allocation
) -> None:
    trades = quick.trades().to_arrow()
    positions = pa.concat_tables([book["positions"], trades], promote_options="default")
    after = xm.run(**{**book, "positions": positions})
    assert after.accounts["requirement"].equals(quick.accounts["requirement_after"])


def test_what_was_not_looked_for_is_unknown(quick: xm.Allocation) -> None:
    for row in quick.accounts:
        assert [row[name] for name in UNPROVED] == [None] * 3
    for row in quick.lines:
        assert row["one_more"] is row["one_less"] is None
    assert all(row["saves"] is not None for row in quick.transfers)
    assert quick.manifest["options"]["quick"] is True
    assert quick.manifest["options"]["boxes"] is None


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(run: xm.RunResult, quick: xm.Allocation, threads: int) -> None:
    again = xm.allocate(run, quick=True, threads=threads)
    for name in ("accounts", "lines", "transfers"):
        assert getattr(again, name).to_arrow().equals(getattr(quick, name).to_arrow())


def test_some_accounts_alone_are_never_worse_off(run: xm.RunResult, quick: xm.Allocation) -> None:
    names = [row["account"] for row in quick.accounts if row["transfers"]][:5]
    for row in xm.allocate(run, names, quick=True).accounts:
        assert row["requirement_after"] <= row["requirement"]


@pytest.mark.parametrize(
    "policy",
    ["cme-ficc-2026-11-30-span", "example-charges", "low cap", "high minimum", "own cubes"],
)
def test_small_accounts_are_between_the_best_and_now(
    policy: str, small_run: Any, small_book: Any, judged: Any
) -> None:
    run = small_run(small_book(5, 16, policy=policy), policy)
    full, quick = xm.allocate(run, threads=1), xm.allocate(run, quick=True, threads=1)
    for one, other in zip(full.accounts, quick.accounts, strict=True):
        assert one["requirement"] == other["requirement"]
        if one["lower_bound"] is not None:
            assert one["lower_bound"] <= other["requirement_after"] <= other["requirement"]


def test_options_are_kept(run: xm.RunResult) -> None:
    few = xm.allocate(run, quick=True, most_transfers=2)
    assert max(row["transfers"] for row in few.accounts) == 2
    dear = xm.allocate(run, quick=True, transfer_cost=50_000.0, minimum_gain=1e6)
    assert 0 < len(dear.transfers) < len(few.transfers)
    for row in dear.accounts:
        if row["transfers"]:
            assert row["unused_saving"] - 50_000 * row["transfers"] >= 1_000_000
    front = xm.allocate(run, quick=True, front_month=True)
    full = xm.allocate(run, front_month=True, boxes=1)
    assert set(front.lines["instrument"].to_pylist()) == set(full.lines["instrument"].to_pylist())


def test_a_book_without_futures_has_nothing_to_move(small_run: Any) -> None:
    cash = {"account": "A", "kind": "cash", "instrument": "ZF0000001", "quantity": 1_000_000}
    found = xm.allocate(small_run([cash | {"xm": "yes"}]), quick=True)
    assert [row["outcome"] for row in found.accounts] == ["NO_FUTURES"]


def test_quick_is_a_flag(run: xm.RunResult) -> None:
    with pytest.raises(TypeError, match="quick: True or False expected, got 1"):
        xm.allocate(run, quick=1)  # type: ignore[arg-type]


def test_the_report_says_that_nothing_was_proved(
    quick: xm.Allocation, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    name = max(quick.accounts, key=lambda row: row["unused_saving"] or 0)["account"]
    for accounts in (None, [name]):
        print_allocation(quick, Console(width=400), accounts)
        told = capsys.readouterr().out
        assert QUICK in told
        assert "proven" not in told
        assert "no choice pays less" not in told
