"""What would be due on top without the programme's benefit, against runs without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.results.schemas.calls import OFF_AMOUNTS

Row = dict[str, Any]
CCPS = ("ficc", "cme")
GAPS = ("gap_ficc", "gap_cme", "gap", "gap_ordinary")


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {**sample_book(120), "market": xm.sample_market(), "threads": 1}


@pytest.fixture(scope="module")
def run(book: dict[str, Any]) -> xm.RunResult:
    return xm.run(**book)


def rows_of(found: xm.ProgrammeOff) -> dict[str, Row]:
    return {row["account"]: row for row in found.accounts}


def test_the_gap_is_that_to_a_run_without_the_benefit(
    run: xm.RunResult, book: dict[str, Any]
) -> None:
    policy = xm.read_policy()
    none = replace(policy, agreement=replace(policy.agreement, cap=0.0))
    off = {row["account"]: row for row in xm.run(**{**book, "policy": none}).accounts}
    found = rows_of(xm.programme_off(run))
    gained = 0
    for row in run.accounts:
        own, without = found[row["account"]], off[row["account"]]
        assert own["offset_rate"] == row["offset_rate"]
        if row["requirement"] is None:
            assert own["gap"] is None
            continue
        assert own["gap"] == without["requirement"] - row["requirement"]
        assert own["gap_ficc"] == without["requirement_ficc"] - row["requirement_ficc"]
        assert own["gap_cme"] == without["requirement_cme"] - row["requirement_cme"]
        assert own["gap"] >= 0
        assert (own["gap"] > 0) == (row["offset_rate"] > 0.0)
        gained += own["gap"] > 0
    assert gained > 20


def test_in_ordinary_accounts_it_is_the_saving(run: xm.RunResult) -> None:
    found = rows_of(xm.programme_off(run))
    for row in run.accounts:
        own = found[row["account"]]
        if row["saving"] is None:
            continue
        # What is at other clearing firms is the same either way.
        assert own["gap_ordinary"] == row["saving"]
        assert own["ordinary_ficc"] + own["ordinary_cme"] - own["gap_ordinary"] == (
            own["required_ficc"] + own["required_cme"]
        )


def test_deposits_meet_a_gap_at_their_own_clearing_house(run: xm.RunResult) -> None:
    plain = rows_of(xm.programme_off(run))
    rows = []
    for number, row in enumerate(plain.values()):
        if row["gap"] is None:
            continue
        # Short of today's requirement, half of the gap met, all of it met.
        ficc = (row["required_ficc"] - 1, row["required_ficc"] + row["gap_ficc"] / 2, 10**10)
        rows.append((row["account"], "FICC", float(max(0, ficc[number % 3]))))
        rows.append((row["account"], "CME", float(row["without_cme"])))
    names, ccps, values = zip(*rows, strict=True)
    table = pa.table({"account": names, "ccp": ccps, "value": values})
    found = xm.programme_off(run, table)
    for number, (name, row) in enumerate(rows_of(found).items()):
        if row["gap"] is None:
            continue
        assert {k: row[k] for k in GAPS} == {k: plain[name][k] for k in GAPS}
        half = row["without_ficc"] - max(row["required_ficc"], row["deposit_ficc"])
        assert row["left_ficc"] == (row["gap_ficc"], half, Decimal(0))[number % 3]
        assert row["left_cme"] == 0
        assert row["left"] == row["left_ficc"]
        rises = [
            max(Decimal(0), row[f"ordinary_{c}"] - max(row[f"required_{c}"], row[f"deposit_{c}"]))
            for c in CCPS
        ]
        assert row["left_ordinary"] == sum(rises)


def test_the_total_sums_what_is_known(run: xm.RunResult) -> None:
    found = xm.programme_off(run)
    (total,) = found.total
    known = [row for row in found.accounts if row["gap"] is not None]
    assert total["accounts"] == len(known) < len(found.accounts)
    assert total["accounts_unknown"] == len(found.accounts) - len(known)
    rejected = {row["account"] for row in run.accounts if row["rows_rejected"]}
    low = [row for row in known if row["account"] in rejected]
    assert total["accounts_incomplete"] == len(low) > 0
    assert all(row["gap"] == 0 for row in low)
    for column in OFF_AMOUNTS:
        if column.name.startswith(("left", "deposit")):
            assert total[column.name] is None
        else:
            assert total[column.name] == sum(row[column.name] for row in known)
    name = known[0]["account"]
    one = pa.table({"account": [name, name], "ccp": ["CME", "LCH"], "value": [5.0, 6.0]})
    (with_one,) = xm.programme_off(run, one).total
    # An account whose deposits are unknown leaves all sums.
    assert with_one["accounts"] == len(known) - 1
    assert with_one["gap"] == total["gap"] - known[0]["gap"]
    assert with_one["left"] == with_one["gap"]


def test_bad_arguments_are_refused(run: xm.RunResult) -> None:
    with pytest.raises(ValueError, match="no stages"):
        xm.programme_off(replace(run, stages=None))
    with pytest.raises(TypeError, match="a run"):
        xm.programme_off("results")  # type: ignore[arg-type]
    empty = pa.table({name: pa.array([], pa.string()) for name in ("account", "ccp", "value")})
    with pytest.raises(InputError, match="no row that can be used"):
        xm.programme_off(run, empty)


def test_it_shows_what_it_is(run: xm.RunResult) -> None:
    found = xm.programme_off(run)
    (total,) = found.total
    assert repr(found) == (
        f"<ProgrammeOff 2026-06-10 EOD (synthetic): gap {total['gap']:,.2f} USD of "
        f"{total['accounts']} accounts, {total['accounts_unknown']} unknown>"
    )
