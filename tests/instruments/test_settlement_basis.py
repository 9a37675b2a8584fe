from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.book.settlements import read_settlements
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.settlement_basis import Derived, model_prices, settlement_basis
from crossmargin.instruments.universe import build_universe
from crossmargin.io.parse import parse
from crossmargin.io.tables import read_table
from crossmargin.market.curve import bootstrap

AS_OF = "2025-03-13"
ROOTS = ("ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB")


@pytest.fixture(scope="module")
def market(real_data: Callable[[str], Path]) -> xm.Market:
    return xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of=AS_OF)


@pytest.fixture(scope="module")
def securities(real_data: Callable[[str], Path], market: xm.Market) -> Securities:
    log = ExceptionLog()
    given = read_table(real_data("fixed_coupon_master.csv"), name="securities").table
    table = parse(given, SECURITIES, file="securities", log=log).table
    return read_securities(table, curve=market.curve, file="securities", log=log)


def settlements(*rows: tuple[str, str, float]) -> pa.Table:
    date, contract, price = zip(*rows, strict=True)
    return pa.table(
        {
            "date": pa.array(np.array(date, "datetime64[D]"), pa.date32()),
            "contract": pa.array(contract, pa.string()),
            "price": pa.array(price, pa.float64()),
            "row": pa.array(range(1, len(rows) + 1), pa.int64()),
        }
    )


def basis_of(table: pa.Table, *, market: xm.Market, securities: Securities) -> Derived:
    prices = read_settlements(table, as_of=market.as_of)
    return settlement_basis(prices, market=market, securities=securities)


def models(
    market: xm.Market, securities: Securities, contract: Contract, days: np.ndarray
) -> np.ndarray:
    log_df = bootstrap(market.history.date, market.history.par_yield)
    rows = np.searchsorted(market.history.date, days)
    return model_prices(contract, days, log_df[rows], securities)


@pytest.mark.parametrize("day", ["2024-10-15", "2024-12-31", "2025-03-13"])
def test_a_past_days_model_price_is_that_of_a_run_of_the_day(
    real_data: Callable[[str], Path], market: xm.Market, securities: Securities, day: str
) -> None:
    contracts = [Contract(root, np.datetime64("2025-06")) for root in ROOTS]
    then = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of=day)
    known = build_universe(
        securities=securities,
        held=np.arange(0),
        cash_dates=np.array([], "datetime64[D]"),
        contracts=contracts,
        market=then,
    )
    # Other days beside it, on which other securities were known, change nothing.
    days = np.array(["2024-06-28", day, "2025-03-12"], "datetime64[D]")
    found = [models(market, securities, c, days)[1] for c in contracts]
    # Nothing could be delivered into TNM25 before November 2024.
    assert np.array_equal(found, known.price, equal_nan=True)


def test_settlements_made_of_model_and_basis_give_the_basis_back(
    market: xm.Market, securities: Securities
) -> None:
    days = market.history.date[-100:]
    basis = np.random.default_rng(7).integers(-900_000, 900_000, days.size) / 1e6
    made = []
    for root in ("ZN", "UB"):
        price = models(market, securities, Contract(root, np.datetime64("2025-06")), days) + basis
        made += zip(days.astype(str), [f"{root}M5"] * days.size, price, strict=True)
    found = basis_of(settlements(*made), market=market, securities=securities)
    assert list(found.basis) == ["UB", "ZN"]
    for root in ("ZN", "UB"):
        assert found.basis[root].contract == (f"{root}M25",)
        assert np.array_equal(found.basis[root].date, days)
        assert found.basis[root].level[:, 0].tolist() == basis.tolist()
    assert found.notes[0].startswith("UB: 100 settlement prices give the basis; settlement minus")
    assert len(found.notes) == 2


def test_a_price_in_the_securities_table_is_of_today_and_not_used(
    market: xm.Market, make_securities: Callable[..., Securities]
) -> None:
    note = {"issue_date": "2024-11-15", "maturity_date": "2034-11-15", "coupon": 0.0425}
    contract, days = Contract("TN", np.datetime64("2025-06")), market.history.date[-3:]
    bare, priced = (make_securities(note | extra) for extra in ({}, {"price": 80.0}))
    assert np.array_equal(
        models(market, bare, contract, days), models(market, priced, contract, days)
    )


def test_an_issue_counts_from_seven_days_before_on(
    market: xm.Market, make_securities: Callable[..., Securities]
) -> None:
    cheap = {
        "cusip": "B",
        "issue_date": "2025-03-17",
        "maturity_date": "2035-02-15",
        "coupon": 0.12,
    }
    old = {"cusip": "A", "issue_date": "2024-11-15", "maturity_date": "2034-11-15"}
    contract = Contract("TN", np.datetime64("2025-06"))
    days = np.array(["2025-03-07", "2025-03-10", "2025-03-11"], "datetime64[D]")
    both, alone = make_securities(old, cheap), make_securities(old)
    differs = models(market, both, contract, days) != models(market, alone, contract, days)
    assert differs.tolist() == [False, True, True]
    assert np.isnan(models(market, make_securities(cheap), contract, days)).tolist() == [
        True,
        False,
        False,
    ]


def test_what_cannot_be_used_is_left_out_and_counted(
    market: xm.Market, securities: Securities
) -> None:
    given = settlements(
        ("2016-03-14", "ZTM6", 109.0),  # its notes have long matured
        ("2025-03-13", "ZNM5", 110.9),
        ("2025-03-13", "SR3M25", 95.9),
        ("2025-03-08", "ZNM5", 110.9),  # a Saturday
        ("2025-03-14", "ZNM5", 10.0),  # after the as-of date: not looked at
    )
    found = basis_of(given, market=market, securities=securities)
    assert {root: b.contract for root, b in found.basis.items()} == {"ZN": ("ZNM25",)}
    assert found.notes[1:] == (
        "1 rows left out of short-rate futures",
        "1 rows left out of days without par yields",
        "1 rows left out of contracts into which a security that matured before 2023-10-15 could "
        "be delivered: the securities table does not hold all of these",
    )


def test_a_table_of_today_reaches_back_as_far_as_its_baskets_are_whole(
    market: xm.Market, securities: Securities
) -> None:
    today = securities.take(np.flatnonzero(securities.maturity_date > market.as_of))
    # Two-year futures take notes of at least 21 months: of June 2023, from 2025-03-01 on.
    given = settlements(("2023-06-15", "ZTM3", 101.5), ("2023-06-15", "ZTU3", 101.5))
    found = basis_of(given, market=market, securities=today)
    assert found.basis["ZT"].contract == ("ZTU23",)
    assert "matured before 2025-03-14" in found.notes[-1]


def test_one_digit_is_the_contract_of_its_day(market: xm.Market, securities: Securities) -> None:
    given = settlements(("2015-03-13", "UBM5", 160.0), ("2025-03-13", "UBM5", 123.0))
    found = basis_of(given, market=market, securities=securities)
    assert found.basis["UB"].contract == ("UBM15", "UBM25")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [("2025-03-13", "ZNM5", 211.0)],
            r"row 1: ZNM25 .* 100 points from its model price; check",
        ),
        ([("2025-03-13", "ZNM5", 110.0), ("2025-03-13", "QQM5", 1.0)], "row 2: 'QQM5'"),
        ([("2025-03-13", "ZNZ24", 110.0)], "row 1: ZNZ24 stopped trading on 2024-12-19"),
        (
            [("2025-03-13", "ZNM5", 110.0), ("2025-03-13", "ZNM25", 110.0)],
            "row 2: ZNM25 has another price on 2025-03-13; keep one row",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_row(
    market: xm.Market, securities: Securities, rows: list[tuple[str, str, float]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        basis_of(settlements(*rows), market=market, securities=securities)
