"""What a run says of inputs that are old, short, empty or given twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import crossmargin as xm

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
        return xm.Market.read(real_data("us_treasury_par_yields.csv.gz"), as_of=as_of, **histories)

    return read


@pytest.fixture(scope="module")
def market(read_market: Callable[..., xm.Market]) -> xm.Market:
    return read_market()


def notes(run: xm.Run, code: str) -> list[dict[str, Any]]:
    return [row for row in run.exceptions.to_arrow().to_pylist() if row["code"] == code]


@pytest.fixture(scope="module")
def published(real_data: Callable[[str], Path]) -> list[tuple[str, str]]:
    lines = real_data("sofr.csv").read_text().splitlines()[1:]
    return [(day, rate) for day, rate in (line.split(",") for line in lines) if rate]


def fixings(rates: list[tuple[str, str]]) -> pa.Table:
    return table("date,index,rate_pct", *(f"{day},SOFR,{rate}" for day, rate in rates))


def margin_strip(market: xm.Market) -> xm.Run:
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
    assert "SOFR of 8 days from 2025-03-03 to 2025-03-12" in note["message"]
    assert run.manifest["market"]["fixings_to"] == {"SOFR": "2025-02-28"}


def test_a_contract_in_its_period_without_any_fixings_is_noted(market: xm.Market) -> None:
    (note,) = notes(margin_strip(market), "FIXINGS_MISSING")
    # From 18 December on: nine days in December, 21 in January, 19 in February, 8 in March.
    assert "SOFR of 57 days from 2024-12-18 to 2025-03-12" in note["message"]


def test_a_sofr_curve_of_an_earlier_day_is_noted(read_market: Callable[..., xm.Market]) -> None:
    sofr = table("date,3mo,2y", "2025-03-11,4.3,3.9", "2025-03-12,4.3,3.8")
    run = margin_strip(read_market(sofr=sofr))
    (note,) = notes(run, "CURVE_EARLIER")
    assert note["file"] == "sofr"
    assert note["message"].endswith("the curve is that of 2025-03-12")
    assert run.manifest["market"]["sofr_curve_date"] == "2025-03-12"
