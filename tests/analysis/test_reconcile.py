"""Ours beside the exchange's reports: tolerances at their edges, and a case for each cause."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin import cli
from crossmargin.analysis.reconciled.causes import CAUSES
from crossmargin.exceptions import InputError, InputWarning

HEADERS = {
    "FICCCash": "v_ficc_cash",
    "FICCFutures": "v_ficc_futures",
    "FICCCombined": "v_ficc_combined",
    "CMEFutures": "v_cme_futures",
    "CMECash": "v_cme_cash",
    "CMECombined": "v_cme_combined",
    "FICCRequirement": "requirement_ficc",
    "CMERequirement": "requirement_cme",
}
PERCENT = {
    "FICCSavingPct": "offset_rate_ficc",
    "CMESavingPct": "offset_rate_cme",
    "AppliedPct": "offset_rate",
}
V = ("FICCCash", "FICCFutures", "FICCCombined", "CMEFutures", "CMECash", "CMECombined")

Row = dict[str, Any]
Change = dict[str, Any]


def report(run: xm.RunResult, digits: int | None = None) -> dict[str, Row]:
    """Return what XMFICCMARGINSAVINGS would say if the clearing houses had our models."""
    rows = {}
    for own in run.accounts.to_arrow().to_pylist():
        row: Row = {"BusDate": "06/10/2026", "Cycle": "EOD", "Run": 1, "Account": own["account"]}
        row |= {header: f"{own[name]:.2f}" for header, name in HEADERS.items()}
        for header, name in PERCENT.items():
            share = own[name]
            percent = None if share is None else share * 100.0
            row[header] = "" if percent is None else repr(percent)
            if digits is not None and percent is not None:
                row[header] = f"{percent:.{digits}f}"
        row |= {"CapPct": "80", "MinimumPct": "1", "Binding": own["binding"] or ""}
        row["Reason"] = own["reason"] or ""
        rows[own["account"]] = row
    return rows


def table(rows: dict[str, Row] | list[Row]) -> pa.Table:
    listed = list(rows.values()) if isinstance(rows, dict) else rows
    names = dict.fromkeys(name for row in listed for name in row)
    return pa.table({name: [str(row.get(name, "")) for row in listed] for name in names})


def cells(found: xm.Reconciliation, account: str) -> Row:
    rows = {row["account"]: row for row in found.accounts.to_arrow().to_pylist()}
    return rows[account]


def component(found: xm.Reconciliation, account: str, name: str) -> Row:
    rows = found.components.to_arrow().to_pylist()
    return next(row for row in rows if (row["account"], row["component"]) == (account, name))


@pytest.fixture(scope="module")
def run(run_by_cubes: Callable[..., xm.RunResult]) -> xm.RunResult:
    return run_by_cubes(
        ("BOTH", 1_000_000, 10, 0),  # 10,000 and 5,000 at FICC, 3,000 at CME; 2/3 and 6/13.
        ("CAPPED", 1_000_000, 26, 0),  # 7,800 at CME: 1 - 2,200 / 17,800 = 0.876; 13,000 at FICC.
        ("SMALL", 3_000_000, 1, 0),  # 600 / 30,300 = 0.0198.
        ("TINY", 9_000_000, 1, 0),  # 600 / 90,300: under the minimum.
        ("CASH", 1_000_000, 0, 0),
        ("OUT", 1_000_000, 10, 0),
        ("IDLE", 0, 0, 7),
    )


def test_one_s_own_figures_do_not_break(run: xm.RunResult) -> None:
    found = xm.reconcile(run, table(report(run)))
    assert (found.breaks, len(found.exceptions)) == (0, 1)
    assert found.exceptions["code"].to_pylist() == ["COLUMNS_NOT_READ"]
    assert found.exceptions["message"].to_pylist() == ["XMFICCMARGINSAVINGS: `Binding`"]
    assert found.accounts["cause"].null_count == len(found.accounts) == 7
    row = component(found, "BOTH", "requirement_ficc")
    assert (row["ours"], row["observed"], row["difference"]) == (5384.62, 5384.62, 0.0)
    assert (row["unit"], row["tolerance"], row["is_break"]) == ("USD", 1.0, False)
    assert component(found, "OUT", "offset_rate_ficc")["is_break"] is None
    assert found.manifest["terms"]["cap"] == {"ours": 0.8, "observed": [0.8]}


@pytest.mark.parametrize(
    ("usd", "tolerance", "breaks"),
    [
        ("7501.00", 1.0, False),
        ("7501.01", 1.0, True),
        ("7499.00", 1.0, False),
        ("7498.99", 1.0, True),
        ("7500.00", 0.0, False),
        ("7500.01", 0.0, True),
        ("7500.29", 0.29, False),
        ("7500.30", 0.29, True),
    ],
)
def test_both_sides_of_the_tolerance_of_an_amount(
    run: xm.RunResult, usd: str, tolerance: float, breaks: bool
) -> None:
    ours = xm.with_offset_rates(run, _rates(BOTH=0.25), source="by hand")
    row = {"account": ["BOTH"], "requirement_ficc": [usd]}
    found = xm.reconcile(ours, pa.table(row), tolerance_usd=tolerance)
    seen = component(found, "BOTH", "requirement_ficc")
    assert seen["is_break"] is breaks
    assert seen["difference"] == pytest.approx(float(usd) - 7500.0, abs=1e-9)
    expected = Decimal(usd) - 7500 if breaks else None
    assert cells(found, "BOTH")["largest_difference"] == expected


@pytest.mark.parametrize(
    ("percent", "tolerance", "breaks"),
    [
        ("25.01", 1e-4, False),
        ("25.0101", 1e-4, True),
        ("24.99", 1e-4, False),
        ("24.9899", 1e-4, True),
        ("25", 0.0, False),
        ("25.0000001", 0.0, True),
        ("25.3", 3e-3, False),
    ],
)
def test_both_sides_of_the_tolerance_of_a_rate(
    run: xm.RunResult, percent: str, tolerance: float, breaks: bool
) -> None:
    ours = xm.with_offset_rates(run, _rates(BOTH=0.25), source="by hand")
    row = {"BusDate": "06/10/2026", "Cycle": "EOD", "Account": "BOTH", "AppliedPct": percent}
    found = xm.reconcile(ours, table([row]), tolerance_rate=tolerance)
    assert component(found, "BOTH", "offset_rate")["is_break"] is breaks


def _rates(**rate: float) -> pa.Table:
    return pa.table({"account": list(rate), "offset_rate": list(rate.values())})


def _scaled(row: Row, names: tuple[str, ...], factor: float) -> Change:
    return {name: f"{float(row[name]) * factor:.2f}" for name in names}


def blank(names: tuple[str, ...]) -> Change:
    return dict.fromkeys(names, "")


Case = tuple[str, str, Callable[[Row], Change]]
CASES: list[Case] = [
    ("INCOMPLETE_HERE", "BAD", lambda row: {"AppliedPct": "40", "Reason": ""}),
    ("NOT_ELIGIBLE_HERE", "OUT", lambda row: {"AppliedPct": "46.15", "Reason": ""}),
    (
        "ONE_SIDED_THERE",
        "BOTH",
        lambda row: (
            dict.fromkeys(
                ("CMEFutures", "FICCFutures", "AppliedPct", "FICCSavingPct", "CMESavingPct"), "0"
            )
            | {"FICCCombined": "10000", "FICCRequirement": "10000", "CMERequirement": "0"}
        ),
    ),
    ("ONE_SIDED_THERE", "BOTH", lambda row: {"AppliedPct": "0", "Reason": "One sided"}),
    (
        "ONE_SIDED_HERE",
        "CASH",
        lambda row: {"CMEFutures": "3000", "FICCFutures": "5000", "AppliedPct": "46.15"},
    ),
    # Other futures show at both houses, as does other cash, and a book of another size.
    ("OTHER_POSITIONS", "BOTH", lambda row: {"FICCFutures": "5500", "CMEFutures": "3300"}),
    ("OTHER_POSITIONS", "BOTH", lambda row: {"FICCCash": "9000", "CMECash": "9000"}),
    ("OTHER_POSITIONS", "BOTH", lambda row: _scaled(row, V, 1.5)),
    # The same positions under other levels.
    (
        "BOTH_MODELS",
        "BOTH",
        lambda row: _scaled(row, V[:3], 1.1) | _scaled(row, V[3:], 1.2),
    ),
    ("BOTH_MODELS", "BOTH", lambda row: {"FICCCombined": "5100", "CMECombined": "7100"}),
    ("FICC_MODEL", "BOTH", lambda row: _scaled(row, V[:3], 1.1)),
    ("FICC_MODEL", "BOTH", lambda row: {"FICCCombined": "5100", "FICCSavingPct": "66"}),
    ("CME_MODEL", "BOTH", lambda row: _scaled(row, V[3:], 0.9)),
    ("CME_MODEL", "BOTH", lambda row: {"CMECombined": "7100", "AppliedPct": "45.38"}),
    ("CAP", "CAPPED", lambda row: {"AppliedPct": "85", "CapPct": "85"}),
    ("CAP", "CAPPED", lambda row: {"AppliedPct": "75", "CapPct": "75"}),
    ("CAP", "CAPPED", lambda row: {"AppliedPct": "87.64", "CapPct": ""}),
    ("MINIMUM", "TINY", lambda row: {"AppliedPct": "0.664", "MinimumPct": "0.5", "Reason": ""}),
    ("MINIMUM", "SMALL", lambda row: {"AppliedPct": "0", "MinimumPct": "2"}),
    ("MINIMUM", "SMALL", lambda row: {"AppliedPct": "0", "Reason": "BELOW_MINIMUM"}),
    ("NO_BENEFIT_THERE", "BOTH", lambda row: {"AppliedPct": "0"}),
    (
        "NO_BENEFIT_THERE",
        "BOTH",
        lambda row: {"AppliedPct": "0", "FICCRequirement": "10000", "CMERequirement": "3000"},
    ),
    ("OTHER_RATE", "BOTH", lambda row: {"AppliedPct": "56.41"}),
    ("OTHER_RATE", "BOTH", lambda row: {"FICCSavingPct": "60.5"}),
    ("CHARGE_OUTSIDE", "BOTH", lambda row: {"FICCRequirement": "5634.62"}),
    ("CHARGE_OUTSIDE", "BOTH", lambda row: {"CMERequirement": "1700.00"}),
    ("UNEXPLAINED", "BOTH", lambda row: {"FICCSaving": "1.00"}),
    # Nothing is named that only a figure which is not reported could tell.
    ("TOO_LITTLE_REPORTED", "BOTH", lambda row: blank(V) | {"FICCRequirement": "5634.62"}),
    (
        "TOO_LITTLE_REPORTED",
        "BOTH",
        lambda row: blank(tuple(PERCENT)) | {"CMERequirement": "1700.00"},
    ),
    ("TOO_LITTLE_REPORTED", "BOTH", lambda row: blank(V[3:]) | {"FICCCash": "9000"}),
    ("TOO_LITTLE_REPORTED", "BOTH", lambda row: blank(("CMECash",)) | _scaled(row, V[:3], 1.1)),
    (
        "TOO_LITTLE_REPORTED",
        "BOTH",
        lambda row: blank(("FICCFutures", "CMECash")) | {"FICCCash": "9000", "CMEFutures": "3300"},
    ),
    ("TOO_LITTLE_REPORTED", "BOTH", lambda row: blank(V) | {"FICCSavingPct": "60.5"}),
    (
        "TOO_LITTLE_REPORTED",
        "BOTH",
        lambda row: blank((*V, "FICCSavingPct")) | {"AppliedPct": "56.41"},
    ),
    # What is reported still tells.
    ("FICC_MODEL", "BOTH", lambda row: blank(("CMECombined",)) | _scaled(row, V[:3], 1.1)),
    ("FICC_MODEL", "BOTH", lambda row: blank(V[3:]) | {"FICCCombined": "5100"}),
    ("OTHER_RATE", "BOTH", lambda row: blank(V) | {"AppliedPct": "56.41"}),
    ("CAP", "CAPPED", lambda row: blank(V) | {"AppliedPct": "85", "CapPct": "85"}),
]


@pytest.fixture(scope="module")
def flawed(run_by_cubes: Callable[..., xm.RunResult]) -> xm.RunResult:
    """Return a run with an account that has a row that is rejected."""
    good = (("BOTH", 1_000_000, 10, 0), ("BAD", 1_000_000, 10, 0), ("BAD", 50, 0, 0))
    with pytest.warns(InputWarning, match="1 of 5 rows"):
        return run_by_cubes(*good, accounts=_accounts("BOTH", "BAD"))


def _accounts(*names: str) -> pa.Table:
    size = len(names)
    return pa.table(
        {
            "account": list(names),
            "origin": ["customer"] * size,
            "ficc_role": ["sponsored_member"] * size,
            "opted_in": [True] * size,
            "clearing_firm": ["FCM"] * size,
        }
    )


@pytest.mark.parametrize(("cause", "account", "change"), CASES)
def test_likeliest_cause(
    run: xm.RunResult, flawed: xm.RunResult, cause: str, account: str, change: Any
) -> None:
    ours = flawed if account == "BAD" else run
    rows = report(ours)
    rows[account] |= change(rows[account])
    found = xm.reconcile(ours, table(rows))
    assert cells(found, account)["cause"] == cause
    assert found.breaks == 1
    assert found.manifest["causes"] == {cause: 1}
    broken = [row for row in found.components.to_arrow().to_pylist() if row["is_break"]]
    assert {(row["account"], row["cause"]) for row in broken} == {(account, cause)}


def test_rounding_of_the_percentage(run_by_cubes: Callable[..., xm.RunResult]) -> None:
    # A large book: half a hundredth of a percentage point of 100 million is 5,000 USD.
    ours = run_by_cubes(("BIG", 10_000_000_000, 100_000, 0), ("BOTH", 1_000_000, 10, 0))
    rows = report(ours, digits=2)
    for row in rows.values():
        left = 1.0 - float(row["AppliedPct"]) / 100.0
        row["FICCRequirement"] = f"{float(row['FICCCash']) * left:.2f}"
        row["CMERequirement"] = f"{float(row['CMEFutures']) * left:.2f}"
    found = xm.reconcile(ours, table(rows))
    assert cells(found, "BIG")["cause"] == "PERCENT_ROUNDING"
    assert cells(found, "BOTH")["is_break"] is False
    assert component(found, "BIG", "offset_rate")["is_break"] is False
    # Whole percent, rounded down: the rate itself breaks too.
    for row in rows.values():
        row |= {"AppliedPct": "46", "FICCSavingPct": "66", "CMESavingPct": "46"}
        row["FICCRequirement"] = f"{float(row['FICCCash']) * 0.54:.2f}"
        row["CMERequirement"] = f"{float(row['CMEFutures']) * 0.54:.2f}"
    assert xm.reconcile(ours, table(rows)).manifest["causes"] == {"PERCENT_ROUNDING": 2}
    # More than the rounding can make is not its doing.
    rows["BIG"]["FICCRequirement"] = "1.00"
    found = xm.reconcile(ours, table(rows))
    assert cells(found, "BIG")["cause"] == "OTHER_RATE"


def test_a_small_difference_of_rates_is_no_charge(
    run_by_cubes: Callable[..., xm.RunResult],
) -> None:
    ours = run_by_cubes(("BIG", 10_000_000_000, 100_000, 0), ("BOTH", 1_000_000, 10, 0))
    rows = report(ours)
    # 6/13 less 0.00004, under the tolerance; of 100 and 30 million it is 4,000 and 1,200 USD.
    rows["BIG"]["AppliedPct"] = repr(600 / 13 - 0.004)
    rows["BIG"] |= {"FICCRequirement": "53850153.85", "CMERequirement": "16155046.15"}
    found = xm.reconcile(ours, table(rows))
    assert component(found, "BIG", "requirement_ficc")["difference"] == pytest.approx(4000)
    assert component(found, "BIG", "offset_rate")["is_break"] is False
    assert cells(found, "BIG")["cause"] == "OTHER_RATE"
    # What the rates leave over is a charge.
    rows["BIG"]["CMERequirement"] = "16205046.15"
    assert cells(xm.reconcile(ours, table(rows)), "BIG")["cause"] == "CHARGE_OUTSIDE"


def test_who_is_missing(run: xm.RunResult) -> None:
    rows = report(run)
    del rows["BOTH"]
    rows["NEW"] = {**rows["SMALL"], "Account": "NEW"}
    del rows["IDLE"]  # It has nothing cross-margined: nobody misses it.
    found = xm.reconcile(run, table(rows))
    assert found.breaks == 2
    assert (cells(found, "BOTH")["only_in"], cells(found, "BOTH")["cause"]) == (
        "ours",
        "NOT_IN_THEIRS",
    )
    assert (cells(found, "NEW")["only_in"], cells(found, "NEW")["cause"]) == (
        "observed",
        "NOT_IN_OURS",
    )
    assert component(found, "NEW", "v_ficc_cash")["ours"] is None
    assert component(found, "NEW", "v_ficc_cash")["is_break"] is None
    assert "IDLE" not in found.accounts["account"].to_pylist()
    assert "NEW" not in found.offset_rates["account"].to_pylist()


def test_rows_that_cannot_be_used_are_no_zeros(run: xm.RunResult) -> None:
    rows = report(run)
    listed = [*rows.values(), {**rows["BOTH"]}]
    listed[2] = {**listed[2], "FICCCash": "n.a.?"}
    found = xm.reconcile(run, table(listed))
    assert {name: cells(found, name)["cause"] for name in ("BOTH", "SMALL")} == {
        "BOTH": "SET_ASIDE",
        "SMALL": "SET_ASIDE",
    }
    codes = [row["code"] for row in found.exceptions.to_arrow().to_pylist() if row["row"]]
    assert codes == ["ACCOUNT_DUPLICATE", "VALUE_INVALID", "ACCOUNT_DUPLICATE"]
    assert {"BOTH", "SMALL"}.isdisjoint(found.offset_rates["account"].to_pylist())


def test_ours_unknown_is_a_break_and_theirs_blank_is_not_compared(
    run_by_cubes: Callable[..., xm.RunResult],
) -> None:
    cube = pa.table({"instrument": ["91282CMM0"], "a": [-1.0], "b": [1.0]})
    ours = run_by_cubes(("BOTH", 1_000_000, 10, 0), cme_cube=cube)
    row = {"account": "BOTH", "v_cme_futures": "3000", "requirement_ficc": ""}
    found = xm.reconcile(ours, table([row, {"account": "X", "requirement_ficc": "1"}]))
    seen = component(found, "BOTH", "v_cme_futures")
    assert (seen["ours"], seen["is_break"], seen["difference"]) == (None, True, None)
    assert component(found, "BOTH", "requirement_ficc")["is_break"] is None


def lines(*rows: tuple[str, str, str]) -> pa.Table:
    names = ("Account", "CUSIP", "Position")
    return table(
        [
            {"BusDate": "06/10/2026", "Cycle": "EOD", **dict(zip(names, row, strict=True))}
            for row in rows
        ]
    )


CASH = (
    ("BOTH", "91282CMM0", "1,000,000"),
    ("CAPPED", "91282cmm0", "1000000"),
    ("SMALL", "US91282CMM00", "3000000"),
    ("TINY", "91282CMM0", "9000000"),
    ("CASH", "91282CMM0", "400000"),
    ("CASH", "91282CMM0", "600000"),
)


def test_positions_by_cusip(run: xm.RunResult) -> None:
    assert xm.reconcile(run, [table(report(run)), lines(*CASH)]).breaks == 0
    other = [("BOTH", "91282CMM0", "999900"), *CASH[1:], ("TINY", "91282CKQ3", "100")]
    found = xm.reconcile(run, [table(report(run)), lines(*other)])
    assert {name: cells(found, name)["cause"] for name in ("BOTH", "TINY")} == {
        "BOTH": "OTHER_POSITIONS",
        "TINY": "OTHER_POSITIONS",
    }
    differ = [row for row in found.positions.to_arrow().to_pylist() if row["is_break"]]
    assert [(row["account"], row["instrument"], row["difference"]) for row in differ] == [
        ("BOTH", "91282CMM0", -100.0),
        ("TINY", "91282CKQ3", 100.0),
    ]
    # Cash is known to agree: a difference of its margin at both houses is the models'.
    rows = report(run)
    rows["BOTH"] |= {"FICCCash": "9000", "CMECash": "9500"}
    assert cells(xm.reconcile(run, table(rows)), "BOTH")["cause"] == "OTHER_POSITIONS"
    known = xm.reconcile(run, [table(rows), lines(*CASH)])
    assert cells(known, "BOTH")["cause"] == "BOTH_MODELS"


def test_a_row_of_positions_that_cannot_be_used_is_no_other_position(run: xm.RunResult) -> None:
    bad = [*CASH[:4], ("CASH", "91282CMM0", "400000"), ("CASH", "91282CMM0", "n.a.?")]
    for reports in ([lines(*bad)], [table(report(run)), lines(*bad)]):
        found = xm.reconcile(run, reports)
        assert cells(found, "CASH")["cause"] == "SET_ASIDE"
        assert found.breaks == 1
    # Nor does it prove that the cash is the same.
    rows = report(run)
    rows["BOTH"] |= {"FICCCash": "9000", "CMECash": "9500"}
    other = lines(*CASH, ("BOTH", "91282CKQ3", "n.a.?"))
    found = xm.reconcile(run, [table(rows), other])
    assert cells(found, "BOTH")["cause"] == "OTHER_POSITIONS"


def test_a_report_of_positions_alone(run: xm.RunResult) -> None:
    found = xm.reconcile(run, lines(*CASH[:3]))
    assert {row["account"]: row["cause"] for row in found.accounts if row["is_break"]} == {
        "TINY": "NOT_IN_THEIRS",
        "CASH": "NOT_IN_THEIRS",
    }
    assert len(found.components) == len(found.offset_rates) == 0
    assert cells(found, "BOTH")["lines"] == 0


def test_futures_equivalents(sample_run: xm.RunResult, tmp_path: Path) -> None:
    whole = xm.reconcile(sample_run, _equivalents(("NOBODY", "21", "202609", "1")))
    ours = [row for row in whole.positions.to_arrow().to_pylist() if row["account"] != "NOBODY"]
    assert len(ours) > 20
    theirs = [
        (row["account"], row["instrument"][:-3], _month(row["instrument"]), repr(row["ours"]))
        for row in ours
    ]
    assert xm.reconcile(sample_run, _equivalents(*theirs)).breaks == 0
    account, product, month, quantity = theirs[0]
    for off, breaks in ((0.0099, 0), (0.0101, 1)):
        moved = (account, product, month, repr(float(quantity) + off))
        assert xm.reconcile(sample_run, _equivalents(moved, *theirs[1:])).breaks == breaks
    # Without stages ours is unknown: no break, and not zero.
    sample_run.write(tmp_path / "run")
    found = xm.reconcile(tmp_path / "run", _equivalents(*theirs))
    assert found.positions["ours"].null_count == found.positions["is_break"].null_count
    assert found.positions["ours"].null_count == len(theirs)


def _month(contract: str) -> str:
    code = "FGHJKMNQUVXZ".index(contract[-3]) + 1
    return f"20{contract[-2:]}{code:02d}"


def _equivalents(*rows: tuple[str, str, str, str]) -> pa.Table:
    names = ("Account", "Product", "ContractMonth", "Position")
    return table(
        [
            {"BusDate": "06/10/2026", "Cycle": "EOD", **dict(zip(names, row, strict=True))}
            for row in rows
        ]
    )


def test_observed_rates_go_into_the_run(run: xm.RunResult) -> None:
    rows = report(run)
    rows["BOTH"]["AppliedPct"] = "25"
    found = xm.reconcile(run, table(rows))
    applied = xm.with_offset_rates(run, found.offset_rates, source="XMFICCMARGINSAVINGS")
    due = {row["account"]: row["requirement"] for row in applied.accounts}
    assert due["BOTH"] == Decimal("9750.00")
    assert due["CAPPED"] == Decimal("3560.00")
    again = xm.reconcile(applied, table(rows))
    assert component(again, "BOTH", "offset_rate")["is_break"] is False
    # A rate above our cap is a break, and refused as a rate of the run.
    rows["CAPPED"]["AppliedPct"] = "85"
    high = xm.reconcile(run, table(rows)).offset_rates
    with pytest.raises(InputError, match="above the cap"):
        xm.with_offset_rates(run, high, source="XMFICCMARGINSAVINGS")


def test_a_directory_is_as_good_as_the_run(run: xm.RunResult, tmp_path: Path) -> None:
    rows = report(run)
    rows["CAPPED"] |= {"AppliedPct": "85"}
    rows["TINY"] |= {"AppliedPct": "0.664", "Reason": ""}
    observed = table(rows)
    one = xm.reconcile(run, observed)
    other = xm.reconcile(run.write(tmp_path / "run"), observed)
    for name in ("accounts", "components", "positions", "offset_rates", "exceptions"):
        assert getattr(one, name).to_arrow().equals(getattr(other, name).to_arrow())
    assert one.manifest["causes"] == {"CAP": 1, "MINIMUM": 1}
    assert repr(one) == "<Reconciliation 2026-06-10 EOD: 2 of 7 accounts break>"
    out = one.write(tmp_path / "out")
    assert pq.read_table(out / "accounts.parquet").equals(one.accounts.to_arrow())
    assert json.loads((out / "manifest.json").read_text())["breaks"] == 2
    one.write(out)
    with pytest.raises(InputError, match="holds crossmargin reconciliation"):
        run.write(out)
    with pytest.raises(InputError, match="holds crossmargin results"):
        one.write(tmp_path / "run")


def test_causes_have_a_meaning_each_and_a_case() -> None:
    codes = [cause.code for cause in CAUSES]
    assert len(set(codes)) == len(codes)
    assert all(cause.meaning for cause in CAUSES)
    tested = {case[0] for case in CASES} | {
        *("NOT_IN_THEIRS", "NOT_IN_OURS", "SET_ASIDE", "PERCENT_ROUNDING", "OUTSIDE_PROGRAMME")
    }
    assert tested == set(codes)


def test_the_rest_of_an_account_is_outside_the_programme(run: xm.RunResult) -> None:
    found = xm.reconcile(run, table([{"account": "IDLE", "other_cme": "2000"}]))
    assert cells(found, "IDLE")["cause"] == "OUTSIDE_PROGRAMME"
    # The sum alone does not say which of its parts differs.
    one = {"account": "BOTH", "requirement": "9000"}
    assert cells(xm.reconcile(run, table([one])), "BOTH")["cause"] == "TOO_LITTLE_REPORTED"
    one |= {"requirement_ficc": "5384.62", "requirement_cme": "1615.38"}
    assert cells(xm.reconcile(run, table([one])), "BOTH")["cause"] == "OUTSIDE_PROGRAMME"


def test_rounding_of_a_percentage_does_not_touch_the_rest(run: xm.RunResult) -> None:
    rows = [{"account": "BOTH", "offset_rate": "0.46", "requirement_ficc": "5400"}]
    assert cells(xm.reconcile(run, table(rows)), "BOTH")["cause"] == "PERCENT_ROUNDING"
    rows[0]["other_cme"] = "700"
    assert cells(xm.reconcile(run, table(rows)), "BOTH")["cause"] != "PERCENT_ROUNDING"


@pytest.fixture(scope="module")
def small(sample_book: Callable[..., dict[str, Any]]) -> xm.RunResult:
    return xm.run(**sample_book(40), market=xm.sample_market())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cause_for_every_break_and_for_nothing_else(
    small: xm.RunResult, data: st.DataObject
) -> None:
    own = small.accounts.to_arrow().to_pylist()
    named = (*HEADERS.values(), *PERCENT.values())
    picked = data.draw(st.lists(st.sampled_from(own), min_size=1, max_size=10, unique_by=id))
    share = st.floats(-1.0, 1.0)
    rows = []
    for row in picked:
        seen = {name: row[name] for name in named}
        for name in data.draw(st.lists(st.sampled_from(named), max_size=4)):
            drawn = share if name.startswith("offset") else st.floats(-1e6, 1e9)
            seen[name] = data.draw(st.none() | drawn)
        rows.append({"account": row["account"], **seen})
    given_table = pa.table(
        {
            "account": [row["account"] for row in rows],
            **{
                name: pa.array([None if r[name] is None else float(r[name]) for r in rows], "f8")
                for name in named
            },
        }
    )
    found = xm.reconcile(small, given_table)
    broken = {row["account"] for row in found.components if row["is_break"]}
    for row in found.accounts:
        assert (row["cause"] is not None) == row["is_break"]
        if row["only_in"] is None:
            assert row["is_break"] == (row["account"] in broken)
    for row in found.components:
        assert (row["cause"] is not None) == bool(row["is_break"])
        if row["is_break"] and row["difference"] is not None:
            assert abs(row["difference"]) > row["tolerance"]


def write(path: Path, rows: dict[str, Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(next(iter(rows.values()))))
        writer.writeheader()
        writer.writerows(rows.values())
    return path


def test_command(run: xm.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xm.write_run(run, tmp_path / "run")
    rows = report(run)
    good, bad = write(tmp_path / "good.csv", rows), tmp_path / "bad.csv"
    rows["BOTH"] |= {"AppliedPct": "25"}
    write(bad, rows)
    directory = str(tmp_path / "run")
    assert cli.main(["reconcile", directory, "--observed", str(good)]) == 0
    assert "0 of 7 accounts break" in capsys.readouterr().out
    out, applied = tmp_path / "out", tmp_path / "applied"
    command = ["reconcile", directory, "--observed", str(bad), "--out", str(out)]
    assert cli.main([*command, "--apply", str(applied)]) == 3
    text = capsys.readouterr().out
    assert "1 of 7 accounts break" in text
    assert "OTHER_RATE" in text
    assert "the rates do not: another rule" in text
    assert pq.read_table(out / "offset_rates.parquet").num_rows == 7
    assert xm.read_run(applied).manifest["offset_rates"]["used"] == 4
    assert cli.main(["compare", directory, str(applied)]) == 0
    assert "offset rates given: observed: " in capsys.readouterr().out
    # What continues from a run refuses the applied one, with a line.
    assert cli.main(["optimise", "--results", str(applied)]) == 2
    assert "offset rates of this run were given" in capsys.readouterr().err
    loose = ["--tolerance-rate", "0.3", "--tolerance-usd", "1e4"]
    assert cli.main(["reconcile", directory, "--observed", str(bad), *loose]) == 0
    for wrong in (["--tolerance-usd", "nan"], ["--tolerance-rate", "-1"]):
        assert cli.main(["reconcile", directory, "--observed", str(bad), *wrong]) == 2
    assert cli.main(["reconcile", directory]) == 2
    assert cli.main(["reconcile", directory, "--observed", str(tmp_path / "none.csv")]) == 2


def test_rows_set_aside_are_told_by_the_exit_code(run: xm.RunResult, tmp_path: Path) -> None:
    run.write(tmp_path / "run")
    rows = report(run)
    rows["IDLE"]["FICCCash"] = "?"
    file = write(tmp_path / "bad.csv", rows)
    assert cli.main(["reconcile", str(tmp_path / "run"), "--observed", str(file)]) == 3


def test_positions_alone_give_no_rates_to_apply(
    run: xm.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xm.write_run(run, tmp_path / "run")
    file = tmp_path / "cash.csv"
    pacsv.write_csv(lines(*CASH), file)
    command = ["reconcile", str(tmp_path / "run"), "--observed", str(file)]
    assert cli.main([*command, "--apply", str(tmp_path / "applied")]) == 2
    assert "no report has an offset rate" in capsys.readouterr().err
    assert not (tmp_path / "applied").exists()


def test_arguments_of_another_kind_are_refused(run: xm.RunResult, tmp_path: Path) -> None:
    observed = table(report(run))
    with pytest.raises(TypeError, match="run: a run, or the directory"):
        xm.reconcile(5, observed)  # type: ignore[arg-type]
    for bad in (-1.0, float("nan"), float("inf"), 1e307, "1"):
        for name in ("tolerance_usd", "tolerance_rate"):
            with pytest.raises(ValueError, match=f"{name}: a number from 0 on"):
                xm.reconcile(run, observed, **{name: bad})
    with pytest.raises(ValueError, match="at least one report"):
        xm.reconcile(run, [])
    for twice in ([observed, observed], [observed, _rates(BOTH=0.25)]):
        with pytest.raises(InputError, match="two reports of accounts"):
            xm.reconcile(run, twice)
    with pytest.raises(InputError, match="holds no results"):
        xm.reconcile(tmp_path, observed)
