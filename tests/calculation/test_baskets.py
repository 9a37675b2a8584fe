"""The table of baskets of a run, and the notes on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import crossmargin as xm
from crossmargin.calculation.baskets import basket_notes_before_a_run
from crossmargin.calculation.input_tables import Inputs
from crossmargin.calculation.inputs import read_inputs
from crossmargin.exceptions import CODES
from crossmargin.policies import Policy, read_policy
from crossmargin.policies.sections.baskets import BasketRules
from crossmargin.sample import sample_market, sample_tables

FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
"""The first has no table of baskets, and so no notes on them."""
ACCOUNT = {
    "account": ["A"],
    "origin": ["customer"],
    "clearing_firm": ["F1"],
    "ficc_role": ["sponsored_member"],
    "opted_in": [True],
}
OF_BASKETS = [code for code in CODES if code.startswith(("BASKET_", "CHEAPEST_"))]
QUIET = BasketRules(missing_share=1.0, spread_bp=100.0, gap_points=0.0, later_share=1.0)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(SECOND)


@pytest.fixture(scope="module")
def securities() -> pa.Table:
    return sample_tables(accounts=10)["securities"]


def futures(*names: str) -> pa.Table:
    return pa.table(
        {
            "account": ["A"] * len(names),
            "kind": ["future"] * len(names),
            "instrument": list(names),
            "quantity": [10] * len(names),
            "xm": [True] * len(names),
        }
    )


def margined(
    positions: pa.Table, securities: pa.Table, policy: Policy | str | None
) -> xm.RunResult:
    return xm.run(
        positions=positions,
        accounts=pa.table(ACCOUNT),
        securities=securities,
        market=sample_market(),
        policy=policy,
    )


def notes(run: xm.RunResult) -> list[tuple[str, str, str]]:
    """Return code, contract and message of each note on a basket."""
    table = run.exceptions.to_arrow()
    found = table.filter(pc.is_in(table["code"], pa.array(OF_BASKETS))).to_pylist()
    assert all(
        note["severity"] == "note" and note["file"] == "securities" and note["row"] is None
        for note in found
    )
    return [(note["code"], note["instrument"], note["message"]) for note in found]


def row(run: xm.RunResult, contract: str) -> dict[str, Any]:
    [found] = [row for row in run.baskets if row["contract"] == contract]
    return dict(found)


def with_prices(table: pa.Table, change: Callable[[str, float], float | None]) -> pa.Table:
    price = [
        None if old is None else change(cusip, old)
        for cusip, old in zip(table["cusip"].to_pylist(), table["price"].to_pylist(), strict=True)
    ]
    at = table.column_names.index("price")
    return table.set_column(at, "price", pa.array(price, pa.float64()))


def test_a_row_for_each_treasury_future_that_the_run_values(securities: pa.Table) -> None:
    run = margined(futures("ZNZ6", "SR3U6"), securities, FIRST)
    found = [(row["contract"], row["later_month"]) for row in run.baskets]
    # ZNZ26 of the book, and the front contracts that stand for cash.
    assert found == [
        *(("ZTU26", False), ("Z3NU26", False), ("ZFU26", False), ("ZNU26", False)),
        *(("ZNZ26", True), ("TNU26", False), ("ZBU26", False), ("UBU26", False)),
    ]
    assert run.manifest["results"]["baskets"]["rows"] == 8
    assert notes(run) == []
    ten = row(run, "ZNU26")
    assert (ten["deliverable"], ten["expected"], ten["missing"]) == (9, 9, 0)
    assert (ten["cheapest"], ten["runner_up"]) == ("SYN330510", "SYN330307")
    assert (
        ten["cheapest_price"]
        == run.stages.models.universe.price[run.stages.models.universe.name.tolist().index("ZNU26")]
    )
    assert ten["runner_up_gap_usd"] == ten["runner_up_gap"] * 1000.0
    assert (ten["to_come"], ten["next_issue_term"]) == (4, 7)
    assert str(ten["next_issue_date"]) == "2026-06-30"
    assert ten["outliers"] is None
    assert ten["without_price"] is None
    assert ten["market_priced"] == 9


def test_the_default_policy_has_the_same_rows_and_notes_an_early_basket(
    securities: pa.Table,
) -> None:
    book = futures("ZNZ6", "SR3U6")
    run, first = (margined(book, securities, policy) for policy in (None, FIRST))
    # Z3NU26 still has a row, though it stands for no cash: the exchange lists it.
    # The limit of distances is the policy's, so that none is counted without its table.
    apart = {"run_id", "outliers"}
    rows, before = (
        [{k: v for k, v in row.items() if k not in apart} for row in one.baskets]
        for one in (run, first)
    )
    assert rows == before
    known = [row["outliers"] for row in run.baskets if row["furthest"] is not None]
    assert set(known) == {0}
    assert [note[:2] for note in notes(run)] == [("BASKET_EARLY", "ZNZ26")]
    # Seven of thirteen are more than half.
    december = row(run, "ZNZ26")
    assert (december["deliverable"], december["to_come"]) == (6, 7)


def test_the_policy_changes_no_number_and_the_table_no_other(
    securities: pa.Table, policy: Policy
) -> None:
    book = futures("ZNZ6", "TWEU6", "ZBU6")
    plain = margined(book, securities, policy.with_sections(QUIET)).manifest["results"]
    loud = replace(QUIET, gap_points=100.0)
    noted = margined(book, securities, policy.with_sections(loud)).manifest["results"]
    assert {name for name in plain if plain[name] != noted[name]} == {"exceptions"}


def test_a_thin_basket_is_noted_beyond_the_share(securities: pa.Table, policy: Policy) -> None:
    lacks = ("SYN330207", "SYN330510")
    keep = pc.invert(pc.is_in(securities["cusip"], pa.array(lacks)))
    book = futures("ZNM6", "ZNU6")
    for share, contracts in ((0.1, ["ZNM26", "ZNU26"]), (0.15, ["ZNM26"]), (0.2, [])):
        rules = policy.with_sections(replace(QUIET, missing_share=share))
        run = margined(book, securities.filter(keep), rules)
        thin = [note for note in notes(run) if note[0] == "BASKET_THIN"]
        assert [note[1] for note in thin] == contracts
        # Two of twelve of the June contract, one of nine of September's.
        assert row(run, "ZNM26")["missing"] == 2
        assert row(run, "ZNU26")["missing_issues"] == "10-Year 2023-05-15"
    rules = policy.with_sections(replace(QUIET, missing_share=0.1))
    assert notes(margined(book, securities.filter(keep), rules))[0][2] == (
        "ZNM26: the table lacks 2 of 12 issues that should be deliverable: 10-Year 2023-05-15, "
        "7-Year 2026-03-02; the cheapest may be among them: add them"
    )


def test_only_contracts_of_the_book_or_for_its_cash_are_noted(
    securities: pa.Table, policy: Policy
) -> None:
    rules = policy.with_sections(replace(QUIET, gap_points=100.0))
    futures_only = margined(futures("ZNZ6"), securities, rules)
    assert [note[:2] for note in notes(futures_only)] == [("CHEAPEST_CLOSE", "ZNZ26")]
    cash = pa.table(
        {
            "account": ["A", "A"],
            "kind": ["cash", "cash"],
            "instrument": ["SYN330510", "SYN560530"],
            "quantity": [1_000_000, 1_000_000],
            # What is not cross-margined does not come to CME.
            "xm": [True, False],
        }
    )
    assert [note[:2] for note in notes(margined(cash, securities, rules))] == [
        ("CHEAPEST_CLOSE", "ZNU26")
    ]


def test_a_basket_with_some_prices_is_mixed(securities: pa.Table, policy: Policy) -> None:
    book, rules = futures("ZNU6"), policy.with_sections(QUIET)
    partly = with_prices(securities, lambda cusip, old: None if cusip == "SYN330510" else old)
    run = margined(book, partly, rules)
    assert [note[:2] for note in notes(run)] == [("BASKET_MIXED", "ZNU26")]
    assert row(run, "ZNU26")["without_price"] == "SYN330510"
    assert row(run, "ZNU26")["market_priced"] == 8
    none = margined(book, with_prices(securities, lambda cusip, old: None), rules)
    assert notes(none) == []
    assert row(none, "ZNU26")["furthest"] is None
    assert row(none, "ZNU26")["market_priced"] == 0


def test_a_price_far_from_the_others_is_named(securities: pa.Table, policy: Policy) -> None:
    wrong = with_prices(securities, lambda cusip, old: old - 0.5 * (cusip == "SYN330307"))
    run = margined(futures("ZNU6"), wrong, policy.with_sections(replace(QUIET, spread_bp=5.0)))
    [(code, contract, message)] = notes(run)
    assert (code, contract) == ("BASKET_OUTLIER", "ZNU26")
    found = row(run, "ZNU26")
    assert (found["furthest"], found["outliers"], found["cheapest"]) == (
        *("SYN330307", 1),
        "SYN330307",
    )
    assert found["furthest_bp"] == pytest.approx(8.5, abs=2.0)
    assert f"SYN330307 by +{found['furthest_bp']:.1f} (the cheapest is one of them)" in message


def test_the_next_cheapest_and_issues_to_come(securities: pa.Table, policy: Policy) -> None:
    found = row(margined(futures("ZFU6", "ZFZ6"), securities, None), "ZFU26")
    gap = found["runner_up_gap"]
    assert 0.0 < gap < 1 / 64
    for limit, noted in ((gap, 1), (gap * 0.999, 0)):
        rules = policy.with_sections(replace(QUIET, gap_points=limit))
        assert len(notes(margined(futures("ZFU6"), securities, rules))) == noted
    early = policy.with_sections(replace(QUIET, later_share=0.5))
    assert notes(margined(futures("ZFU6", "ZFZ6"), securities, early)) == [
        (
            "BASKET_EARLY",
            "ZFZ26",
            "ZFZ26: of 11 issues that can be deliverable in the end 7 are still to come, the next "
            "one 5-Year 2026-06-30: the cheapest may change",
        )
    ]


def test_one_cheapest_for_two_roots_is_told_of_both(securities: pa.Table, policy: Policy) -> None:
    run = margined(futures("TWEU6", "ZBU6"), securities, policy.with_sections(QUIET))
    assert [note[:2] for note in notes(run)] == [
        ("CHEAPEST_SHARED", "TWEU26"),
        ("CHEAPEST_SHARED", "ZBU26"),
    ]
    twenty, bond = row(run, "TWEU26"), row(run, "ZBU26")
    assert twenty["cheapest_price"] == bond["cheapest_price"]
    assert (twenty["shared_with"], bond["shared_with"]) == ("ZBU26", "TWEU26")


def test_a_check_before_a_run_notes_the_same(securities: pa.Table, policy: Policy) -> None:
    book = futures("TWEU6", "ZBU6", "ZNZ6", "ZFU6")
    parsed = read_inputs(
        Inputs(
            positions=book,
            accounts=pa.table(ACCOUNT),
            securities=securities,
            market=sample_market(),
            policy=policy,
        )
    )
    table = basket_notes_before_a_run(parsed, policy)
    found = [(n["code"], n["instrument"], n["message"]) for n in table.to_pylist()]
    assert found == notes(margined(book, securities, policy))
    assert len(found) == 4
    assert not len(basket_notes_before_a_run(parsed, read_policy(FIRST)))


def test_an_empty_basket_has_no_cheapest(securities: pa.Table) -> None:
    run = xm.run(
        positions=futures("ZNU6"),
        accounts=pa.table(ACCOUNT),
        securities=securities.slice(0, 0),
        market=sample_market(),
        allow_empty=True,
    )
    found = row(run, "ZNU26")
    assert (found["deliverable"], found["missing"], found["expected"]) == (0, 9, 9)
    assert found["missing_issues"].endswith("and 3 more")
    assert found["cheapest"] is found["runner_up"] is found["runner_up_gap"] is None
