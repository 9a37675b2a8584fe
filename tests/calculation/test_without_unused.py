"""A run that does not look for the unused saving is the same run in all else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crossmargin as xm
from crossmargin.calculation.rebuild import rebuild_run

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {**sample_book(40), "market": xm.sample_market()}


@pytest.fixture(scope="module")
def without(book: dict[str, Any]) -> xm.RunResult:
    return xm.run(**book, unused=False)


def test_only_its_column_is_unknown(book: dict[str, Any], without: xm.RunResult) -> None:
    whole = xm.run(**book)
    assert without.accounts["unused_saving"].null_count == len(without.accounts)
    assert whole.accounts["unused_saving"].null_count < len(whole.accounts)
    own = ["unused_saving", "run_id"]
    for name in whole.manifest["results"]:
        one, other = (getattr(run, name).to_arrow() for run in (whole, without))
        kept = [column for column in one.column_names if column not in own]
        assert one.select(kept).equals(other.select(kept)), name
    assert without.manifest["unused_saving"] is False
    assert "unused_saving" not in whole.manifest


def test_a_rerun_does_not_look_for_it_either(book: dict[str, Any], without: xm.RunResult) -> None:
    again = xm.rerun(without, book["market"])
    assert again.manifest["results"] == without.manifest["results"]


def test_it_can_be_rebuilt_from_its_manifest(
    book: dict[str, Any], without: xm.RunResult, tmp_path: Path
) -> None:
    without.write(tmp_path / "run")
    given = {name: book[name] for name in ("positions", "accounts", "securities")}
    again = rebuild_run(tmp_path / "run", market=book["market"], inputs=given)
    assert again.manifest["results"] == without.manifest["results"]
