"""What a run says of inputs that are old, short, empty or given twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.exceptions import InputError

AS_OF = "2025-03-13"
CUSIP = "91282CMM0"


def table(*rows: str) -> pa.Table:
    """Return a table of texts from lines of CSV, the header first."""
    names, *cells = (row.split(",") for row in rows)
    columns = {name: [row[k] for row in cells] for k, name in enumerate(names)}
    return pa.table(columns, schema=pa.schema(dict.fromkeys(names, pa.string())))


def positions(*rows: str) -> pa.Table:
    return table("account,kind,instrument,quantity,xm", *rows)


def accounts(*names: str) -> pa.Table:
    rows = [f"{name},customer,sponsored_member,true,FCM" for name in names]
    return table("account,origin,ficc_role,opted_in,clearing_firm", *rows)


def securities(*rows: str) -> pa.Table:
    note = f"{CUSIP},4.625,2025-02-15,2035-02-15,note"
    return table("cusip,coupon_pct,issue_date,maturity_date,type", *(rows or (note,)))


@pytest.fixture(scope="module")
def read_market(real_data: Callable[[str], Path]) -> Callable[..., xm.Market]:
    def read(as_of: str = AS_OF, **histories: Any) -> xm.Market:
        return xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of=as_of, **histories)

    return read


@pytest.fixture(scope="module")
def market(read_market: Callable[..., xm.Market]) -> xm.Market:
    return read_market()


def notes(run: xm.RunResult, code: str) -> list[dict[str, Any]]:
    return [row for row in run.exceptions.to_arrow().to_pylist() if row["code"] == code]


@pytest.fixture(scope="module")
def published(real_data: Callable[[str], Path]) -> list[tuple[str, str]]:
    lines = real_data("sofr.csv").read_text().splitlines()[1:]
    return [(day, rate) for day, rate in (line.split(",") for line in lines) if rate]


def fixings(rates: list[tuple[str, str]]) -> pa.Table:
    return table("date,index,rate_pct", *(f"{day},SOFR,{rate}" for day, rate in rates))


def margin_strip(market: xm.Market) -> xm.RunResult:
    return xm.run(
        positions=positions("A,future,SR3Z24,-1000,yes", "A,future,SR3M25,10,yes"),
        accounts=accounts("A"),
        securities=securities(),
        market=market,
    )


def test_fixings_that_reach_the_day_before_are_complete(
    read_market: Callable[..., xm.Market], published: list[tuple[str, str]]
) -> None:
    known = [(day, rate) for day, rate in published if day < AS_OF]
    run = margin_strip(read_market(fixings=fixings(known)))
    assert notes(run, "FIXINGS_MISSING") == []
    assert run.manifest["market"]["fixings_to"] == {"SOFR": "2025-03-12"}
    assert run.manifest["market"]["sofr_curve_date"] is None


def test_fixings_that_stop_early_are_noted_by_contract(
    read_market: Callable[..., xm.Market], published: list[tuple[str, str]]
) -> None:
    known = [(day, rate) for day, rate in published if day <= "2025-02-28"]
    run = margin_strip(read_market(fixings=fixings(known)))
    (note,) = notes(run, "FIXINGS_MISSING")
    assert (note["file"], note["instrument"], note["severity"]) == ("fixings", "SR3Z24", "note")
    # 3 to 7 March and 10 to 12 March; the 13th is published on the 14th.
    assert "SOFR of 8 days from 2025-03-03 to 2025-03-12 is not given" in note["message"]
    assert "(the last one given: 2025-02-28)" in note["message"]
    assert run.manifest["market"]["fixings_to"] == {"SOFR": "2025-02-28"}


def test_a_contract_in_its_period_without_any_fixings_is_noted(market: xm.Market) -> None:
    (note,) = notes(margin_strip(market), "FIXINGS_MISSING")
    # From 18 December on: nine days in December, 21 in January, 19 in February, 8 in March.
    assert "SOFR of 57 days from 2024-12-18 to 2025-03-12 is not given" in note["message"]
    assert "(the last one given: none)" in note["message"]


def test_a_sofr_curve_of_an_earlier_day_is_noted(read_market: Callable[..., xm.Market]) -> None:
    sofr = table("date,3mo,2y", "2025-03-11,4.3,3.9", "2025-03-12,4.3,3.8")
    run = margin_strip(read_market(sofr=sofr))
    (note,) = notes(run, "CURVE_EARLIER")
    assert note["file"] == "sofr"
    assert note["message"].endswith("the curve is that of 2025-03-12")
    assert run.manifest["market"]["sofr_curve_date"] == "2025-03-12"


HEDGE = (f"A,cash,{CUSIP},10000000,yes", "A,future,ZNM25,-100,yes")
UNKNOWN = "A,cash,000000000,100,yes"


def margin(market: xm.Market, *rows: str, **changes: Any) -> xm.RunResult:
    book = {"positions": positions(*rows), "accounts": accounts("A"), "securities": securities()}
    return xm.run(**(book | changes), market=market)


FIRMS = "clearing_firm,broker_dealer,fcm,cme_member,ficc_member"
EMPTY: dict[str, tuple[tuple[str, ...], dict[str, pa.Table], str]] = {
    "no position": ((), {}, "positions: has no row; give the whole table"),
    "all rejected": ((UNKNOWN,), {}, r"positions: none of its 1 rows .* row 1: .*000000000"),
    "no account": (HEDGE, {"accounts": accounts()}, "accounts: has no row"),
    "all accounts bad": (
        HEDGE,
        {"accounts": accounts("A").set_column(1, "origin", pa.array(["?"]))},
        "accounts: none of its 1 rows .* row 1",
    ),
    "no firm": (HEDGE, {"firms": table(FIRMS)}, "firms: has no row"),
    "no volume": (HEDGE, {"volumes": table("contract,adv")}, "volumes: has no row"),
    "all securities bad": (
        HEDGE,
        {"securities": securities("X,4,2025-02-15,2020-02-15,note")},
        "securities: none of its 1 rows .* row 1: maturity_date",
    ),
}


@pytest.mark.parametrize("case", EMPTY)
def test_an_input_without_a_usable_row_is_refused(market: xm.Market, case: str) -> None:
    rows, changes, says = EMPTY[case]
    with pytest.raises(InputError, match=says):
        margin(market, *rows, **changes)


def test_an_empty_book_may_be_asked_for(market: xm.Market) -> None:
    run = margin(market, allow_empty=True)
    assert run.accounts.to_arrow()["requirement"].to_pylist() == [0]
    assert run.manifest["accounts"] == {"read": 1, "margined": 1, "without_positions": 1}
    with pytest.warns(xm.InputWarning, match="1 of 1 rows"):
        run = margin(market, UNKNOWN, allow_empty=True)
    # Its only row was rejected: it is incomplete, not without positions.
    assert run.manifest["accounts"] == {"read": 1, "margined": 1, "without_positions": 0}
    assert run.accounts.to_arrow()["status"].to_pylist() == ["incomplete"]


def test_no_security_is_needed_where_none_is_held(market: xm.Market) -> None:
    run = margin(market, HEDGE[1], securities=securities().slice(1))
    assert run.manifest["rows"]["used"] == 1


def test_a_history_without_a_row_is_refused(read_market: Callable[..., xm.Market]) -> None:
    for name, header in (("basis", "date,root,contract,basis"), ("fixings", "date,index,rate_pct")):
        with pytest.raises(InputError, match=f"{name}: no row has a value"):
            read_market(**{name: table(header)})


def test_a_book_given_twice_is_noted_and_warned_of(market: xm.Market) -> None:
    with pytest.warns(xm.InputWarning, match="every row of positions occurs more than once"):
        run = margin(market, *HEDGE, *HEDGE)
    assert [note["file"] for note in notes(run, "FILE_REPEATED")] == ["positions"]
    once = margin(market, *HEDGE)
    assert notes(once, "FILE_REPEATED") == notes(once, "ROWS_REPEATED") == []


def test_few_rejected_rows_are_no_warning(market: xm.Market) -> None:
    rows = [f"A,cash,{CUSIP},{100 * n},yes" for n in range(1, 20)]
    assert margin(market, *rows, UNKNOWN).manifest["rows"]["rejected"] == 1
    with pytest.warns(xm.InputWarning, match="2 of 21 rows of positions are rejected"):
        margin(market, *rows, UNKNOWN, UNKNOWN)


def test_one_table_given_for_two_inputs_is_noted(read_market: Callable[..., xm.Market]) -> None:
    rates = table(
        "date,1mo,3mo,6mo,1y,2y,3y,5y,7y,10y,20y,30y",
        *(f"{AS_OF[:-2]}{day},4.3,4.3,4.2,4.1,4,4,4,4.1,4.2,4.6,4.6" for day in (12, 13)),
    )
    old = read_market()
    market = xm.read_market(rates, as_of=AS_OF, sofr=rates)
    run = margin(replace(old, source=market.source), *HEDGE)
    (note,) = notes(run, "INPUT_REPEATED")
    assert note["file"] == "sofr"


def test_sizes_beyond_the_market_are_noted(market: xm.Market) -> None:
    known = securities().append_column("outstanding", pa.array(["9000000"]))
    volumes = table("contract,adv,open_interest", "ZN,1000000,99")
    run = margin(market, *HEDGE, securities=known, volumes=volumes)
    found = [(note["account"], note["instrument"]) for note in notes(run, "ABOVE_OUTSTANDING")]
    assert found == [("A", CUSIP), ("A", "ZNM25")]
    # The volumes are of use though the policy charges nothing by them.
    assert notes(run, "INPUT_NOT_USED") == []
    assert notes(margin(market, *HEDGE), "ABOVE_OUTSTANDING") == []
