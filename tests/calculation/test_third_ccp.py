"""A clearing house that a policy adds: positions there are margined by its model, and apart."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError
from crossmargin.policies.policy import parse_policy
from crossmargin.sample import sample_tables

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/policies/example-third-ccp.toml"


def row(account: str, kind: str, instrument: str, quantity: float, **more: Any) -> dict[str, Any]:
    return {
        "account": account,
        "kind": kind,
        "instrument": instrument,
        "quantity": quantity,
        "xm": True,
        **more,
    }


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return sample_tables(accounts=20)


@pytest.fixture(scope="module")
def notes(tables: dict[str, pa.Table]) -> list[str]:
    """Return two notes that may be cross-margined."""
    known = tables["securities"].filter(
        pc.and_(
            pc.equal(tables["securities"]["type"].cast(pa.string()), "note"),
            pc.greater(pc.year(tables["securities"]["maturity_date"]), 2030),
        )
    )
    return [str(name) for name in known["cusip"].to_pylist()[:2]]


def margined(
    tables: dict[str, pa.Table], rows: list[dict[str, Any]], policy: Any = EXAMPLE
) -> xm.RunResult:
    names = sorted({given["account"] for given in rows})
    accounts = pa.table(
        {
            "account": names,
            "origin": ["customer"] * len(names),
            "ficc_role": ["sponsored_member"] * len(names),
            "opted_in": [True] * len(names),
            "clearing_firm": ["F"] * len(names),
        }
    )
    return xm.run(
        positions=pa.Table.from_pylist([{"ccp": None, **given} for given in rows]),
        accounts=accounts,
        securities=tables["securities"],
        market=xm.sample_market(),
        policy=policy,
    )


def accounts_of(run: xm.RunResult) -> dict[str, dict[str, Any]]:
    return {given["account"]: given for given in run.accounts}


def test_positions_there_are_margined_by_its_model(
    tables: dict[str, pa.Table], notes: list[str]
) -> None:
    rows = [row("A", "cash", notes[0], 5e6, ccp="xyz"), row("A", "future", "ZNU26", -40)]
    run = margined(tables, rows)
    assert run.stages is not None
    models = run.stages.models
    cube = models.ccps["XYZ"].scenario_pnl()["pnl"]
    # 1,250 rows of the look-back and those of the stress period before it; 0.5% of them.
    assert cube.scenarios > 1250
    pnl = 50_000 * cube.pnl[models.universe.name == notes[0]][0]
    k = int(np.ceil(0.005 * cube.scenarios - 1e-9))
    var = np.sort(-pnl)[-k]
    account = accounts_of(run)["A"]
    assert account["other_ccps"] == Decimal(str(round(var, 2)))
    assert account["requirement"] == account["requirement_cme"] + account["other_ccps"]
    assert account["reason"] == "ONE_SIDED"
    assert account["v_ficc_cash"] == 0.0
    parts = [part for part in run.components if part["ccp"] == "XYZ"]
    assert [(p["portfolio"], p["component"]) for p in parts] == [("all", "VaR"), ("all", "V")]
    assert not any(part["reducible"] for part in parts)
    line = next(part for part in run.positions if part["instrument"] == notes[0])
    assert (line["ccp"], line["segment"]) == ("XYZ", "XYZ")
    assert line["assignment_reason"] == "CLEARED_ELSEWHERE"
    assert run.manifest["ccps"]["XYZ"]["model"] == "historical_var"


def test_other_accounts_have_the_numbers_of_the_policy_it_extends(
    tables: dict[str, pa.Table], notes: list[str]
) -> None:
    hedged = [row("A", "cash", notes[0], 5e6), row("A", "future", "ZNU26", -40)]
    there = [row("B", "cash", notes[1], -3e6, ccp="XYZ")]
    extended = tomllib.loads(EXAMPLE.read_text("utf-8"))["extends"]
    plain = accounts_of(margined(tables, hedged, policy=extended))["A"]
    both = accounts_of(margined(tables, [*hedged, *there]))
    stamps = ("run_id",)
    assert {k: v for k, v in both["A"].items() if k not in stamps} == {
        k: v for k, v in plain.items() if k not in stamps
    }
    assert both["A"]["other_ccps"] == 0
    assert both["B"]["standalone_requirement"] == both["B"]["requirement"] > 0
    assert both["B"]["saving"] == 0


def test_a_repo_there_has_its_cash_there(tables: dict[str, pa.Table], notes: list[str]) -> None:
    repo = row(
        *("A", "repo", notes[0], 5e6),
        ccp="XYZ",
        start_date="2026-06-10",
        end_date="2026-06-25",
        repo_rate=3.8,
        start_cash=5.1e6,
    )
    run = margined(tables, [repo])
    assert {line["segment"] for line in run.positions} == {"XYZ"}
    assert {line["kind"] for line in run.positions} == {"treasury", "forward cash leg"}


def test_what_its_model_does_not_cover_is_null(tables: dict[str, pa.Table]) -> None:
    known = tables["securities"]
    tips = known.filter(pc.equal(known["type"].cast(pa.string()), "tips"))["cusip"][0].as_py()
    run = margined(tables, [row("A", "cash", tips, 1e6, ccp="XYZ")])
    account = accounts_of(run)["A"]
    assert (account["other_ccps"], account["requirement"]) == (None, None)
    assert account["status"] == "incomplete"
    told = [e for e in run.exceptions if e["code"] == "NO_MODEL"]
    assert ["V at XYZ" in e["message"] for e in told] == [True]


@pytest.mark.parametrize(
    ("kind", "instrument", "ccp"),
    [("future", "ZNU26", "XYZ"), ("future", "ZNU26", "FICC"), ("cash", None, "ABC")],
)
def test_a_row_that_is_not_cleared_there_is_rejected(
    tables: dict[str, pa.Table], notes: list[str], kind: str, instrument: str | None, ccp: str
) -> None:
    wrong = row("A", kind, instrument or notes[0], 100_000 if kind == "cash" else 1, ccp=ccp)
    with pytest.warns(xm.InputWarning, match="1 of 2 rows"):
        run = margined(tables, [wrong, row("A", "cash", notes[1], 1e6, ccp="FICC")])
    told = [e for e in run.exceptions if e["code"] == "CCP_UNKNOWN"]
    assert [(e["row"], e["severity"]) for e in told] == [(1, "rejected")]
    assert (
        f"ccp '{ccp}' does not clear {kind}; FICC clears cash, repo, reverse" in told[0]["message"]
    )
    assert accounts_of(run)["A"]["status"] == "incomplete"


def test_questions_count_what_is_held_there(tables: dict[str, pa.Table], notes: list[str]) -> None:
    rows = [
        row("A", "cash", notes[0], 5e6),
        row("A", "cash", notes[0], 2e6, ccp="XYZ"),
        row("B", "future", "ZNU26", -40),
    ]
    session = xm.Session(margined(tables, rows))
    assert session._scope.cached is not None
    after = margined(tables, [*rows, row("A", "future", "ZNU26", -30)])
    answer = session.what_if("A", {"ZNU26": -30})
    expected = accounts_of(after)["A"]
    assert answer == {name: expected[name] for name in answer}
    assert answer["other_ccps"] > 0


def test_an_unknown_model_or_parameter_is_refused_by_name() -> None:
    text = EXAMPLE.read_text()
    for old, new, says in (
        ('"historical_var"', '"crystal_ball"', "ccp.XYZ.model: 'crystal_ball' is not one of"),
        ("value = 0.995", "value = 1.5", "ccp.XYZ.level must lie"),
        ("[ccp.XYZ.horizon]", "[ccp.XYZ.horizons]", "ccp.XYZ.horizons: unknown parameter"),
    ):
        policy = parse_policy(text.replace(old, new).encode(), name="mine")
        with pytest.raises(InputError, match=says):
            xm.run(
                positions=pa.table({"account": ["A"]}),
                accounts=pa.table({"account": ["A"]}),
                securities=pa.table({"cusip": ["A"]}),
                market=xm.sample_market(),
                policy=policy,
            )
