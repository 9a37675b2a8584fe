"""The files of a cycle: a reader with nothing but the file follows and adds up every figure."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.conventions import CME, FICC_XM, SEGMENTS
from crossmargin.cycles.files import cusip_report, position_report, savings_report
from crossmargin.io.results import csv_bytes
from crossmargin.margin.cme.model import PreparedHvar
from crossmargin.margin.portfolios import row_of

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")

POLICIES = (
    "cme-ficc-2026-11-30",
    "cme-ficc-2026-11-30-span",
    "cme-ficc-2026-11-30-charges",
    "example-class-disallowance",
)
Row = dict[str, str]


def read(table: pa.Table) -> list[Row]:
    """Return the rows of a table's CSV file as a reader has them: texts."""
    return list(csv.DictReader(io.StringIO(csv_bytes(table).decode())))


@pytest.fixture(scope="module")
def book(sample_book: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {**sample_book(120), "market": xm.sample_market()}


@pytest.fixture(scope="module", params=POLICIES)
def run(
    request: pytest.FixtureRequest, book: dict[str, Any], example_policy: Callable[[str], Any]
) -> xm.RunResult:
    return xm.run(**book, policy=example_policy(request.param))


@pytest.fixture(scope="module")
def example_policy() -> Callable[[str], Any]:
    docs = Path(__file__).resolve().parents[2] / "docs" / "policies"

    def found(name: str) -> Any:
        return xm.read_policy(docs / f"{name}.toml") if name.startswith("example") else name

    return found


def applied(row: Row) -> float:
    """Return the percentage that follows from a row alone, as its columns say."""
    if row["Source"] == "LOWER" and row["OfferedPct"]:
        assert float(row["OfferedPct"]) == min(
            float(row["FICCSavingPct"]), float(row["CMESavingPct"])
        )
    if row["Reason"] in ("NOT_ELIGIBLE", "INCOMPLETE", "ONE_SIDED"):
        return 0.0
    offered = float(row["OfferedPct"])
    if offered <= 0.0:
        assert row["Reason"] == "NO_SAVING"
        return 0.0
    if offered < float(row["MinimumPct"]):
        assert row["Reason"] == "BELOW_MINIMUM"
        return 0.0
    assert row["Reason"] == ""
    return min(offered, float(row["CapPct"]))


def share(row: Row, ccp: str) -> tuple[Decimal, Decimal]:
    """Return the saving of one model, percent, from its amounts, and how far cents let it be."""
    cash, futures, combined = (
        Decimal(row[f"{ccp}{name}"]) for name in ("Cash", "Futures", "Combined")
    )
    apart = cash + futures
    return 100 * (1 - combined / apart), Decimal(2) / apart + Decimal("1e-9")


def test_percentage_and_requirements_follow_from_the_row_alone(run: xm.RunResult) -> None:
    rows = read(savings_report(run))
    assert len(rows) > 50
    decided = defaultdict(int)
    for row in rows:
        percent = applied(row)
        assert float(row["AppliedPct"]) == percent
        decided[row["Reason"] or ("capped" if percent == float(row["CapPct"]) else "saves")] += 1
        for ccp, own in (("FICC", "Cash"), ("CME", "Futures")):
            if row[f"{ccp}SavingPct"]:
                found, slack = share(row, ccp)
                assert abs(found - Decimal(row[f"{ccp}SavingPct"])) <= slack
            if not row[f"{ccp}Requirement"]:
                assert not row[f"{ccp}{own}"]
                continue
            left = Decimal(row[f"{ccp}{own}"]) * (1 - Decimal(row["AppliedPct"]) / 100)
            due = left.quantize(Decimal("0.01"), ROUND_HALF_UP) + Decimal(row[f"{ccp}Charges"])
            assert abs(due - Decimal(row[f"{ccp}Requirement"])) <= Decimal("0.01")
            saved = Decimal(row[f"{ccp}{own}"]) * Decimal(row["AppliedPct"]) / 100
            assert abs(saved - Decimal(row[f"{ccp}Saving"])) < Decimal("0.011")
    assert decided["saves"]
    assert decided["ONE_SIDED"]


def test_the_row_says_what_the_accounts_table_says(run: xm.RunResult) -> None:
    accounts = {row["account"]: row for row in run.accounts}
    for row in savings_report(run, 3).to_pylist():
        ours = accounts.pop(row["Account"])
        assert (row["BusDate"], row["Cycle"], row["Run"]) == ("06/10/2026", "EOD", 3)
        assert row["FICCRequirement"] == ours["requirement_ficc"]
        assert row["CMERequirement"] == ours["requirement_cme"]
        assert row["AppliedPct"] == 100.0 * ours["offset_rate"]
        assert (row["Binding"], row["Reason"]) == (ours["binding"], ours["reason"])
        if ours["programme_saving"] is not None:
            assert row["FICCSaving"] + row["CMESaving"] == ours["programme_saving"]
    # Whoever is not there has nothing cross-margined.
    for row in run.positions:
        assert row["account"] not in accounts or "cross-margined" not in row["segment"]


def test_charges_are_those_of_the_components(
    book: dict[str, Any], example_policy: Callable[[str], Any]
) -> None:
    run = xm.run(**book, policy=example_policy("cme-ficc-2026-11-30-charges"))
    charged = {row["account"] for row in run.components if row["component"].startswith("charge")}
    rows = savings_report(run).to_pylist()
    assert any(row["FICCCharges"] or row["CMECharges"] for row in rows)
    for row in rows:
        assert row["Account"] in charged or not (row["FICCCharges"] or row["CMECharges"])


def test_cash_by_cusip_is_what_the_run_nets(run: xm.RunResult, book: dict[str, Any]) -> None:
    ours = {
        (row["account"], row["instrument"]): row["quantity"]
        for row in run.positions
        if row["segment"] == "FICC cross-margined" and row["kind"] == "treasury"
    }
    report = cusip_report(run)
    assert {(r["Account"], r["CUSIP"]): r["Position"] for r in report.to_pylist()} == ours
    known = {row["cusip"]: row for row in book["securities"].to_pylist()}
    for row in report.to_pylist():
        given = known[row["CUSIP"]]
        assert row["Coupon"] == float(given["coupon_pct"])
        month, day, year = row["MaturityDate"].split("/")
        assert f"{year}-{month}-{day}" == str(given["maturity_date"])


def test_equivalents_add_up_to_what_the_model_took(run: xm.RunResult) -> None:
    report = position_report(run).to_pylist()
    assert [(row["Account"], row["CUSIP"]) for row in report] == [
        (row["Account"], row["CUSIP"]) for row in cusip_report(run).to_pylist()
    ]
    stages = run.stages
    assert stages is not None
    model, universe = stages.models.ccps[CME], stages.models.universe
    if not isinstance(model, PreparedHvar):
        total: dict[tuple[str, str], float] = defaultdict(float)
        for row in report:
            total[row["Account"], row["Product"]] += row["Position"]
        deltas = {
            (row["account"], row["item"]): row["quantity"]
            for row in run.breakdown
            if (row["ccp"], row["portfolio"], row["component"]) == ("CME", "cash", "scan")
        }
        # A root whose delta or risk is zero has no row there.
        assert deltas
        for key, delta in deltas.items():
            assert total[key] == delta
        return
    names = universe.name.tolist()
    symbol = {
        (contract.root, str(contract.month).replace("-", "")): names.index(contract.symbol)
        for contract in stages.netted.contracts
    }
    pnl, book = model.historical.pnl, stages.netted.book
    lots = np.zeros((book.rows, book.columns))
    lots[row_of(book), book.column] = book.quantity
    own = {name: i for i, name in enumerate(run.accounts["account"].to_pylist())}
    by_contract = np.zeros((len(own), book.columns))
    for row in report:
        number = symbol[row["Product"], row["ContractMonth"]]
        by_contract[own[row["Account"]], number] += row["Position"]
    cash = lots[FICC_XM :: len(SEGMENTS)][: len(own)]
    slack = 2.0**-21 * np.abs(cash).sum(axis=1) + 1e-6
    apart = np.abs(cash @ pnl - by_contract @ pnl).max(axis=1)
    assert (apart <= slack).all()
    assert (by_contract != 0.0).any()


def test_a_model_without_equivalents_leaves_the_cells_empty(
    run_by_cubes: Callable[..., xm.RunResult],
) -> None:
    run = run_by_cubes(("BOTH", 1_000_000, 10, 0))
    (row,) = read(position_report(run))
    assert row["CUSIP"]
    assert row["Product"] == row["ContractMonth"] == row["Position"] == ""


def test_a_repo_that_has_not_started_nets_to_nothing(small_positions: Any) -> None:
    run = small_positions(start="2026-06-12", end="2026-06-30")
    assert len(cusip_report(run)) == 0
    assert len(savings_report(run)) == 1  # Its cash legs are still margined.
    (row,) = cusip_report(small_positions(start="2026-06-09", end="2026-06-30")).to_pylist()
    assert row["Position"] == 1_000_000


@pytest.fixture
def small_positions(book: dict[str, Any]) -> Callable[..., xm.RunResult]:
    """Return a function from the dates of a repo to the run of it alone."""

    def made(*, start: str, end: str) -> xm.RunResult:
        security = next(
            row["cusip"]
            for row in book["securities"].to_pylist()
            if row["type"] == "note" and str(row["maturity_date"]) > "2029"
        )
        repo = {
            "account": ["A"],
            "kind": ["repo"],
            "instrument": [security],
            "quantity": [1_000_000.0],
            "xm": [True],
            "start_date": [start],
            "end_date": [end],
            "repo_rate": ["4%"],
        }
        account = {
            "account": ["A"],
            "origin": ["customer"],
            "ficc_role": ["sponsored_member"],
            "opted_in": [True],
            "clearing_firm": ["FCM"],
        }
        return xm.run(
            positions=pa.table(repo),
            accounts=pa.table(account),
            securities=book["securities"],
            market=book["market"],
        )

    return made


def test_given_rates_are_said_to_be_given(book: dict[str, Any]) -> None:
    run = xm.run(**book)
    names = [row["account"] for row in run.accounts if row["binding"]][:2]
    rates = pa.table({"account": names, "offset_rate": [0.25, 0.0]})
    rows = {
        row["Account"]: row
        for row in read(savings_report(xm.with_offset_rates(run, rates, source="a test")))
    }
    for name, percent in zip(names, ("25", "0"), strict=True):
        assert (rows[name]["Source"], rows[name]["AppliedPct"]) == ("GIVEN", percent)
        assert rows[name]["OfferedPct"] == ""
    for name, row in rows.items():
        if name not in names:
            assert row["Source"] == "LOWER"
            assert float(row["AppliedPct"]) == applied(row)


def test_our_own_files_are_read_back_without_a_break(book: dict[str, Any]) -> None:
    run = xm.run(**book)
    found = xm.reconcile(run, [cusip_report(run), position_report(run), savings_report(run)])
    assert found.breaks == 0


def test_a_name_that_a_spreadsheet_takes_for_a_formula_is_made_inert(
    book: dict[str, Any],
) -> None:
    name = book["accounts"]["account"][0].as_py()
    renamed = {
        key: book[key].set_column(
            book[key].column_names.index("account"),
            "account",
            pa.array(["=1+1" if x == name else x for x in book[key]["account"].to_pylist()]),
        )
        for key in ("positions", "accounts")
    }
    run = xm.run(**{**book, **renamed})
    rows = read(savings_report(run))
    assert "'=1+1" in {row["Account"] for row in rows}
    # A negative percentage is a number, not a text.
    assert not any(row["FICCSavingPct"].startswith("'") for row in rows)


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1"])
def test_a_run_number_counts_from_one(book: dict[str, Any], number: Any) -> None:
    run = xm.run(**book)
    with pytest.raises(ValueError, match="run_number: a whole number from 1"):
        cusip_report(run, number)
