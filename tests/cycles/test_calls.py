"""Calls of whole runs: what is collected, how deposits stand, and what stays unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import crossmargin as xm
from crossmargin.calculation.collected import own_requirements, read_deposits
from crossmargin.calculation.result import stages_of
from crossmargin.cycles.calls import calls_of
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.margin.house import prepare_house_model
from crossmargin.margin.model import ModelInputs
from crossmargin.policies import CustomerRules, HouseModelRules
from crossmargin.results.schemas.calls import CALLED

Row = dict[str, Any]
SUMMED = [c.name for c in CALLED if not c.name.startswith(("excess_", "house_margin"))]
ACCOUNTS = 60


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    given = {**sample_book(ACCOUNTS), "market": xm.sample_market(), "threads": 1}
    # One row for each account, so that tests can add columns to them.
    used = xm.run(**given).accounts["account"].to_pylist()
    rows = pa.table(given["accounts"]).to_pylist()
    first = {row["account"]: row for row in reversed(rows) if row["account"] in used}
    return {**given, "accounts": pa.Table.from_pylist([first[name] for name in used])}


def with_cells(book: dict[str, Any], **columns: list[Any]) -> dict[str, Any]:
    """Return the book with columns of its accounts replaced or added."""
    accounts = pa.table(book["accounts"])
    for name, cells in columns.items():
        if name in accounts.column_names:
            accounts = accounts.drop_columns(name)
        accounts = accounts.append_column(name, [cells])
    return {**book, "accounts": accounts}


@pytest.fixture(scope="module")
def run(book: dict[str, Any]) -> xm.RunResult:
    return xm.run(**book)


def deposits_of(run: xm.RunResult, ficc: float, cme: float) -> pa.Table:
    """Return deposits of so much for every account."""
    names = run.accounts["account"].to_pylist()
    return pa.table(
        {
            "account": names * 2,
            "ccp": ["FICC"] * len(names) + ["CME"] * len(names),
            "value": [ficc] * len(names) + [cme] * len(names),
        }
    )


def by_account(called: xm.Calls) -> dict[str, Row]:
    return {row["account"]: row for row in called.accounts}


def test_the_parts_add_up_to_the_requirement_of_the_run(sample_run: xm.RunResult) -> None:
    called = by_account(xm.calls(sample_run))
    firms = {row["account"]: set() for row in sample_run.accounts}
    for line in sample_run.positions:
        firms[line["account"]].add(line["clearing_firm"])
    elsewhere = 0
    for row in sample_run.accounts:
        own = called[row["account"]]
        assert own["status"] == row["status"]
        parts = [own[f"required_{name}"] for name in ("ficc", "cme", "other_ccps", "elsewhere")]
        if row["requirement"] is None:
            assert own["collected"] is own["call"] is own["required_elsewhere"] is None
            continue
        assert sum(parts) == row["requirement"]
        if firms[row["account"]] <= {row["clearing_firm"]}:
            assert parts[3] == 0
            assert own["required_ficc"] == row["requirement_ficc"] + row["other_ficc"]
            assert own["collected"] == max(row["house_requirement"], row["requirement"])
        elsewhere += parts[3] > 0
    assert elsewhere > 5


def test_what_other_firms_require_they_call(run: xm.RunResult, book: dict[str, Any]) -> None:
    positions = pa.table(book["positions"])
    at_home = positions.filter(pa.compute.is_null(positions["clearing_firm"]))
    without = by_account(xm.calls(xm.run(**{**book, "positions": at_home})))
    for name, row in by_account(xm.calls(run)).items():
        for column in ("required_ficc", "required_cme", "collected", "collected_by"):
            assert row[column] == without[name][column]


def test_deposits_stand_against_what_is_required(run: xm.RunResult) -> None:
    called = xm.calls(run, deposits_of(run, 1e6, 2e5))
    told = {row["account"]: row for row in run.accounts}
    for row in called.accounts:
        assert (row["deposit_ficc"], row["deposit_cme"]) == (Decimal(10**6), Decimal(200_000))
        assert row["deposits"] == Decimal(1_200_000)
        if row["collected"] is None:
            assert row["call"] is row["excess"] is row["withdrawable"] is None
            continue
        assert row["excess_ficc"] == Decimal(10**6) - row["required_ficc"]
        assert row["excess"] == row["deposits"] - row["collected"]
        assert row["call"] == max(0, -row["excess"])
        assert row["call_cme"] == max(0, row["required_cme"] - 200_000)
        if told[row["account"]]["rows_rejected"]:
            assert row["withdrawable"] is None
        elif row["call"] or row["call_ficc"] or row["call_cme"]:
            assert row["withdrawable"] == 0
        else:
            assert row["withdrawable"] == min(row["excess"], row["excess_ficc"] + row["excess_cme"])


def test_without_deposits_nothing_is_known_of_them(run: xm.RunResult) -> None:
    for row in xm.calls(run).accounts:
        assert row["deposit_ficc"] is row["deposits"] is row["call"] is row["withdrawable"] is None


def test_an_account_without_a_row_has_nothing_on_deposit(run: xm.RunResult) -> None:
    known = [row for row in run.accounts if row["requirement"]]
    first, second = known[0]["account"], known[1]["account"]
    one = pa.table({"account": [first], "ccp": ["CME"], "value": [5.0]})
    called = by_account(xm.calls(run, one))
    assert (called[first]["deposit_ficc"], called[first]["deposit_cme"]) == (0, 5)
    assert called[second]["deposits"] == 0
    assert called[second]["call"] == called[second]["collected"]


def test_a_rejected_row_leaves_its_account_without_a_call(run: xm.RunResult) -> None:
    names = run.accounts["account"].to_pylist()
    rows = deposits_of(run, 1e6, 1e6).to_pylist()
    rows += [{"account": names[1], "ccp": "LCH", "value": 1.0}]
    rows += [{"account": "nobody", "ccp": "CME", "value": 1.0}]
    called = xm.calls(run, pa.Table.from_pylist(rows))
    plain = by_account(xm.calls(run, deposits_of(run, 1e6, 1e6)))
    for name, row in by_account(called).items():
        if name == names[1]:
            assert row["deposits"] is row["deposit_ficc"] is row["call"] is row["excess"] is None
            assert row["withdrawable"] is None
            assert row["collected"] == plain[name]["collected"]
        else:
            assert {k: v for k, v in row.items() if k != "run_id"} == {
                k: v for k, v in plain[name].items() if k != "run_id"
            }
    assert [row["code"] for row in called.exceptions] == ["CCP_UNKNOWN", "ACCOUNT_UNKNOWN"]
    assert called.manifest["exceptions"] == {"ACCOUNT_UNKNOWN": 1, "CCP_UNKNOWN": 1}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("account,ccp,value\n", "no row that can be used"),
        ("account,ccp,value\nnobody,CME,1\n", "the first, row 1: account nobody is not in the run"),
        ("account,ccp,value\n000008,CME,-1\n", "no row that can be used"),
        ("account,value\n000008,1\n", "column `ccp` is missing"),
        ("account,ccp,amount\n000008,CME,1\n", "column `value` is missing"),
        ("account,ccp,value,value\n000008,CME,1,2\n", "value"),
        ("account,ccp,value\n000008,CME,1,2,3\n", "cells|columns"),
        ("\x00\x01\x02", "deposits"),
        ("account,ccp,value\n" + "000008,CME,1e13\n" * 10, "check its unit"),
    ],
)
def test_unusable_deposits_are_refused(
    run: xm.RunResult, tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "deposits.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=complaint):
        xm.calls(run, file)


def test_deposits_may_come_in_columns_of_the_users_own(run: xm.RunResult, tmp_path: Path) -> None:
    name = run.accounts["account"][0].as_py()
    file = tmp_path / "collateral.csv"
    file.write_text(f"Acct,House,Lendable\n{name},F,1.5\n{name},C,2\n")
    columns = {
        "deposits": {
            "account": "Acct",
            "ccp": {"column": "House", "values": {"F": "FICC", "C": "CME"}},
            "value": {"column": "Lendable", "unit": "million"},
        }
    }
    called = xm.calls(run, file, columns=columns)
    row = by_account(called)[name]
    assert (row["deposit_ficc"], row["deposit_cme"]) == (1_500_000, 2_000_000)
    assert set(called.manifest["inputs"]) == {"deposits", "columns"}


def test_a_file_given_twice_is_counted_and_warned_of(run: xm.RunResult) -> None:
    rows = deposits_of(run, 10.0, 10.0)
    with pytest.warns(xm.InputWarning, match="more than once"):
        called = xm.calls(run, pa.concat_tables([rows, rows]))
    assert by_account(called)[run.accounts["account"][0].as_py()]["deposits"] == 40
    assert "FILE_REPEATED" in called.manifest["exceptions"]


def test_a_heightened_risk_profile_adds_to_what_cme_requires(
    run: xm.RunResult, book: dict[str, Any]
) -> None:
    profile = ["heightened", "Standard", None] * (len(run.accounts) // 3 + 1)
    changed = xm.run(**with_cells(book, risk_profile=profile[: len(run.accounts)]))
    plain = by_account(xm.calls(run))
    assert changed.accounts["requirement"] == run.accounts["requirement"]
    some = 0
    for place, row in enumerate(xm.calls(changed).accounts):
        before = plain[row["account"]]
        cme = row["required_cme"]
        assert cme == before["required_cme"]
        assert row["risk_profile"] == ("standard" if place % 3 else "heightened")
        if place % 3 or cme is None:
            assert row["heightened_addition"] == (0 if place % 3 else None)
            assert row["collected"] == before["collected"]
            continue
        assert row["heightened_addition"] == (cme * Decimal("0.1")).quantize(
            Decimal("0.01"), "ROUND_HALF_UP"
        )
        some += row["heightened_addition"] > 0
        if row["collected"] is not None:
            assert row["collected"] >= before["collected"]
            if before["collected_by"] == row["collected_by"] == "ccps":
                assert row["collected"] == before["collected"] + row["heightened_addition"]
    assert some > 5


def test_an_unknown_risk_profile_is_rejected(book: dict[str, Any], run: xm.RunResult) -> None:
    profile = ["HRP"] + ["standard"] * (len(run.accounts) - 1)
    with pytest.warns(xm.InputWarning, match="rejected"):
        changed = xm.run(**with_cells(book, risk_profile=profile))
    assert len(changed.accounts) == len(run.accounts) - 1
    assert "ACCOUNT_INVALID" in changed.exceptions["code"].to_pylist()


@pytest.fixture(scope="module")
def flagged(book: dict[str, Any], run: xm.RunResult) -> xm.RunResult:
    """Return a run whose every other account asks for the house model."""
    asks = [place % 2 == 0 for place in range(len(run.accounts))]
    return xm.run(**with_cells(book, house_model=asks))


def test_the_house_model_is_collected_where_it_is_more(
    run: xm.RunResult, flagged: xm.RunResult
) -> None:
    assert flagged.accounts["house_requirement"] == run.accounts["house_requirement"]
    stages = stages_of(flagged)
    rules = stages.models.policy.get(HouseModelRules)
    assert rules is not None
    model = prepare_house_model(
        rules,
        ModelInputs(
            universe=stages.models.universe,
            held=stages.parsed.securities.take(stages.parsed.trades.held),
            market=stages.models.market,
            scenarios=rules.scenarios,
            eligible=stages.models.eligible,
            store=stages.kept.scenarios,
        ),
        Execution(1),
    )
    own = model.margin(
        stages.netted.book,
        stages.netted.elsewhere,
        np.arange(len(flagged.accounts)),
        Execution(1),
    )
    plain = by_account(xm.calls(run))
    decided = 0
    for place, row in enumerate(xm.calls(flagged, threads=1).accounts):
        before = plain[row["account"]]
        if place % 2:
            assert row["house_margin"] is None
            assert row["collected"] == before["collected"]
        elif own.unknown[place]:
            assert row["house_margin"] is row["collected"] is row["collected_by"] is None
        else:
            assert abs(row["house_margin"] - Decimal(own.v[place])) <= Decimal("0.005")
            if before["collected"] is not None:
                assert row["collected"] == max(before["collected"], row["house_margin"])
                more = row["house_margin"] > before["collected"]
                assert (row["collected_by"] == "house_model") == more
                decided += more
    assert decided > 0


def test_what_a_third_clearing_house_requires_is_collected_too(book: dict[str, Any]) -> None:
    """The same cash at a clearing house that the policy adds, for two of the accounts."""
    policy = Path(__file__).resolve().parents[2] / "docs/policies/example-third-ccp.toml"
    rows = pa.table(book["positions"]).to_pylist()
    taken = [row for row in rows if row["kind"] == "cash" and row["xm"]][:3]
    more = [{**row, "ccp": "XYZ", "clearing_firm": None} for row in taken]
    positions = pa.Table.from_pylist([{**row, "ccp": None} for row in rows] + more)
    there = {row["account"] for row in taken}
    run = xm.run(**{**book, "positions": positions, "policy": policy})
    told = {row["account"]: row for row in run.accounts}
    some = 0
    for name, row in by_account(xm.calls(run, deposits_of(run, 1e9, 1e9))).items():
        if row["collected"] is None:
            continue
        assert row["required_other_ccps"] == told[name]["other_ccps"]
        assert (row["required_other_ccps"] > 0) <= (name in there)
        some += row["required_other_ccps"] > 0
        required = [row[f"required_{ccp}"] for ccp in ("ficc", "cme", "other_ccps")]
        assert row["collected"] >= sum(required)
        if row["withdrawable"] is not None:
            assert row["deposits"] - row["withdrawable"] == row["collected"]
    assert some > 0


def test_the_answer_does_not_depend_on_the_threads(flagged: xm.RunResult) -> None:
    one, two = (xm.calls(flagged, threads=threads) for threads in (1, 2))
    assert one.accounts.to_arrow() == two.accounts.to_arrow()
    assert one.manifest == two.manifest


def test_a_policy_without_the_tables_is_refused_where_they_are_needed(
    run: xm.RunResult, flagged: xm.RunResult, book: dict[str, Any]
) -> None:
    stages = stages_of(flagged)
    policy = stages.models.policy.without_sections(HouseModelRules)
    lacking = replace(stages, models=replace(stages.models, policy=policy))
    with pytest.raises(InputError, match="has no table house_model"):
        calls_of(lacking, flagged.manifest)
    heightened = xm.run(**with_cells(book, risk_profile=["heightened"] * len(run.accounts)))
    stages = stages_of(heightened)
    policy = stages.models.policy.without_sections(CustomerRules)
    lacking = replace(stages, models=replace(stages.models, policy=policy))
    with pytest.raises(InputError, match="has no table customers"):
        calls_of(lacking, heightened.manifest)
    # Nobody needs them here.
    policy = policy.without_sections(HouseModelRules)
    stages = stages_of(run)
    lacking = replace(stages, models=replace(stages.models, policy=policy))
    assert calls_of(lacking, run.manifest).accounts.to_arrow() == xm.calls(run).accounts.to_arrow()


def test_a_history_too_short_for_the_house_model_is_refused(flagged: xm.RunResult) -> None:
    stages = stages_of(flagged)
    rules = stages.models.policy.get(HouseModelRules)
    assert rules is not None
    longer = replace(rules, look_back=10**6, minimum_rows=10**6)
    policy = stages.models.policy.with_sections(longer)
    with pytest.raises(InputError, match="house_model: HISTORY_SHORT"):
        calls_of(replace(stages, models=replace(stages.models, policy=policy)), flagged.manifest)


def test_accounts_of_one_customer_are_apart(run: xm.RunResult, book: dict[str, Any]) -> None:
    """Two accounts of a customer: the excess of one leaves the call of the other as it is."""
    size = len(run.accounts)
    customer = ["One Fund" if place < 20 else None for place in range(size)]
    together = xm.run(**with_cells(book, customer=customer))
    rows = [row for row in run.accounts if row["requirement"] is not None]
    rich, poor = rows[0]["account"], rows[1]["account"]
    table = pa.table({"account": [rich, rich], "ccp": ["FICC", "CME"], "value": [1e9, 1e9]})
    called = xm.calls(together, table)
    apart = by_account(xm.calls(run, table))
    for name, row in by_account(called).items():
        same = set(row) - {"customer", "run_id"}
        assert {k: row[k] for k in same} == {k: apart[name][k] for k in same}
    assert by_account(called)[poor]["call"] == by_account(called)[poor]["collected"] > 0


def test_customers_are_sums_of_their_accounts(run: xm.RunResult, book: dict[str, Any]) -> None:
    size = len(run.accounts)
    customer = [(None, "A", "B")[place % 3] for place in range(size)]
    firm = [("F", "G")[place % 5 == 0] for place in range(size)]
    grouped = xm.run(**with_cells(book, customer=customer, clearing_firm=firm))
    called = xm.calls(grouped, deposits_of(grouped, 1e6, 1e6))
    told = {row["account"]: row for row in grouped.accounts}
    assert any(row["rows_rejected"] for row in told.values())
    keys = ("customer", "origin", "clearing_firm")
    rows = list(called.accounts)
    order = list(dict.fromkeys(tuple(row[k] for k in keys) for row in rows))
    assert [tuple(row[k] for k in keys) for row in called.customers] == order
    for row in called.customers:
        own = [one for one in rows if all(one[k] == row[k] for k in keys)]
        assert row["accounts"] == len(own)
        assert row["accounts_unknown"] == sum(one["call"] is None for one in own)
        rejected = [told[one["account"]]["rows_rejected"] for one in own]
        assert row["accounts_incomplete"] == sum(count > 0 for count in rejected)
        for name in SUMMED:
            values = [one[name] for one in own]
            assert row[name] == (None if None in values else sum(values)), name
        known = None not in (row["customer"], row["excess"], row["withdrawable"])
        as_one = min(row["withdrawable"], max(0, row["excess"])) if known else None
        assert row["withdrawable_as_one"] == as_one


def test_calls_are_written_whole_and_replace_their_like_only(
    run: xm.RunResult, tmp_path: Path
) -> None:
    called = xm.calls(run, deposits_of(run, 1e6, 1e6))
    out = called.write(tmp_path / "calls")
    assert {path.name for path in out.iterdir()} == {
        *("accounts.parquet", "customers.parquet", "exceptions.parquet", "manifest.json")
    }
    assert pq.read_table(out / "accounts.parquet").equals(called.accounts.to_arrow())
    again = xm.calls(run, deposits_of(run, 2e6, 1e6))
    again.write(out)
    assert pq.read_table(out / "accounts.parquet").equals(again.accounts.to_arrow())
    results = tmp_path / "results"
    run.write(results)
    with pytest.raises(InputError, match="holds crossmargin results"):
        called.write(results)
    with pytest.raises(InputError, match="holds crossmargin calls"):
        run.write(out)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="did not write"):
        called.write(out)


def test_the_form_without_files_gives_the_same(run: xm.RunResult) -> None:
    table = deposits_of(run, 1e6, 1e6)
    stages = stages_of(run)
    given = read_deposits(table, stages.parsed.accounts)
    assert calls_of(stages, run.manifest, given).accounts.to_arrow() == (
        xm.calls(run, table).accounts.to_arrow()
    )


def test_other_offset_rates_count_where_they_are_in_the_stages(run: xm.RunResult) -> None:
    stages = stages_of(run)
    zero = np.zeros(len(run.accounts))
    off = own_requirements(stages, zero)
    saving = replace(stages.agreement.saving, offset_rate=zero)
    changed = replace(stages, agreement=replace(stages.agreement, saving=saving), requirements=off)
    called = calls_of(changed, {**run.manifest, "offset_rates": {"source": "theirs"}})
    assert called.manifest["offset_rates"] == {"source": "theirs"}
    plain = by_account(xm.calls(run))
    for row, rate in zip(called.accounts, run.accounts["offset_rate"].to_pylist(), strict=True):
        before = plain[row["account"]]
        if row["collected"] is None:
            continue
        if rate:
            assert row["required_ficc"] >= before["required_ficc"]
            assert row["collected"] >= before["collected"]
        else:
            assert row["required_ficc"] == before["required_ficc"]


def test_a_run_without_stages_is_refused(run: xm.RunResult) -> None:
    with pytest.raises(ValueError, match="no stages"):
        xm.calls(replace(run, stages=None))
    with pytest.raises(TypeError, match="a run"):
        xm.calls("results")  # type: ignore[arg-type]


def test_the_order_of_accounts_changes_no_amount(run: xm.RunResult, book: dict[str, Any]) -> None:
    accounts = pa.table(book["accounts"])
    order = np.random.default_rng(1).permutation(len(accounts))
    shuffled = xm.run(**{**book, "accounts": accounts.take(order)})
    table = deposits_of(run, 1e6, 1e6)
    one, other = (by_account(xm.calls(each, table)) for each in (run, shuffled))
    for name, row in one.items():
        assert {k: v for k, v in row.items() if k != "run_id"} == {
            k: v for k, v in other[name].items() if k != "run_id"
        }


def test_it_shows_what_it_is(run: xm.RunResult) -> None:
    called = xm.calls(run)
    assert repr(called).startswith("<Calls 2026-06-10 EOD (synthetic): ")
    assert "<table" in called._repr_html_()
