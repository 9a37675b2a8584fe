"""What there is to check of a basket, by hand and on real issues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.basket_checks import BasketCheck, check_baskets
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities, accrued, cash_flows
from crossmargin.instruments.universe import Universe, build_universe
from crossmargin.market import Market

ROOTS = ("ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB")
JUNE, SEPTEMBER = np.datetime64("2025-06"), np.datetime64("2025-09")


def checked(
    market: Market, securities: Securities, contracts: Sequence[Contract]
) -> tuple[Universe, dict[str, BasketCheck]]:
    store = BasketStore()
    universe = build_universe(
        securities=securities,
        held=np.array([3]),
        cash_dates=np.array([], "datetime64[D]"),
        contracts=contracts,
        market=market,
        baskets=store,
    )
    checks = check_baskets(universe, securities, contracts, market.as_of, store)
    return universe, {check.contract.symbol: check for check in checks}


def model_prices(market: Market, securities: Securities) -> np.ndarray:
    """Return the clean prices of bonds that are alive, on the curve."""
    flows = cash_flows(securities, market.curve)
    owner = np.repeat(np.arange(securities.cusip.size), np.diff(flows.ptr))
    dirty = np.bincount(owner, flows.amount * market.curve.discount_factor(flows.time))
    return dirty - accrued(securities, market.as_of)


def without(securities: Securities, cusips: Sequence[str]) -> Securities:
    return securities.take(np.flatnonzero(~np.isin(securities.cusip, cusips)))


def test_the_cheapest_and_the_next_of_real_baskets(
    real_market: Market, real_securities: Securities
) -> None:
    contracts = [Contract(root, JUNE) for root in ROOTS] + [Contract("SR3", JUNE)]
    universe, checks = checked(real_market, real_securities, contracts)
    assert list(checks) == [f"{root}M25" for root in ROOTS]
    for number, check in enumerate(checks.values(), start=1):
        first, second = check.ranked[:2]
        assert check.members.cusip[first] == universe.cheapest[number]
        assert check.value[first] == universe.price[number]
        assert check.gap == check.value[second] - check.value[first]
        assert check.gap == np.partition(check.value, 1)[1] - check.value.min()
        assert not check.mixed
        assert not check.priced.any()
        assert np.isnan(check.from_median).all()
    ten = checks["ZNM25"]
    assert ten.members.cusip[ten.ranked[:2]].tolist() == ["91282CMC2", "91282CMK4"]
    assert ten.gap == pytest.approx(0.0070, abs=5e-5)


def test_a_real_table_lacks_nothing_of_its_baskets_until_issues_are_taken_out(
    real_market: Market, real_securities: Securities
) -> None:
    contracts = [Contract(root, month) for root in ROOTS for month in (JUNE, SEPTEMBER)]
    _, checks = checked(real_market, real_securities, contracts)
    assert [check.calendar.missing.names for check in checks.values()] == [[]] * 16
    ten = checks["ZNM25"].calendar
    assert (ten.expected.term.size, len(checks["ZNM25"].members.cusip)) == (9, 9)
    # The table has issues of later dates, but they are not announced yet.
    assert ten.later.names == [
        *("7-Year 2025-03-31", "7-Year 2025-04-30", "7-Year 2025-06-02", "7-Year 2025-06-30")
    ]
    # The three-year note of 17 March is announced: it is deliverable, and not to come.
    three = checks["Z3NM25"]
    assert "91282CMS7" in three.members.cusip
    assert three.calendar.later.names[0] == "3-Year 2025-04-15"
    lacking = without(real_securities, ["91282CMC2", "91282CFF3", "91282CMK4"])
    _, checks = checked(real_market, lacking, contracts)
    assert checks["ZNM25"].calendar.missing.names == [
        *("10-Year 2022-08-15", "7-Year 2024-12-31", "7-Year 2025-01-31")
    ]
    assert checks["ZNU25"].calendar.missing.names == ["10-Year 2022-08-15"]
    assert checks["ZFM25"].calendar.missing.names == []


def test_a_later_sale_is_the_issue_that_is_expected(
    real_market: Market, real_securities: Securities
) -> None:
    march = [Contract("ZF", np.datetime64("2025-03"))]
    _, checks = checked(real_market, real_securities, march)
    assert "5-Year 2025-02-28" in checks["ZFH25"].calendar.expected.names
    assert checks["ZFH25"].calendar.missing.names == []
    blank = np.full(real_securities.cusip.size, "", dtype=object)
    _, checks = checked(real_market, replace(real_securities, resold_as=blank), march)
    assert checks["ZFH25"].calendar.missing.names == ["5-Year 2025-02-28"]


def test_contracts_of_two_roots_with_one_cheapest(
    real_market: Market, real_securities: Securities
) -> None:
    # Without the bonds due in 2040 to 2043, a twenty-year bond is the cheapest of both.
    old = (real_securities.maturity_date > np.datetime64("2035-06")) & (
        real_securities.maturity_date < np.datetime64("2044-08")
    )
    securities = real_securities.take(np.flatnonzero(~old))
    contracts = [Contract(root, m) for root in ("TWE", "ZB", "UB") for m in (JUNE, SEPTEMBER)]
    universe, checks = checked(real_market, securities, contracts)
    shared = {name: check.shared for name, check in checks.items()}
    assert shared == {
        **{"TWEM25": ("ZBM25",), "ZBM25": ("TWEM25",), "UBM25": ()},
        **{"TWEU25": ("ZBU25",), "ZBU25": ("TWEU25",), "UBU25": ()},
    }
    assert universe.price[1] == universe.price[3]


def test_whether_a_month_is_later_than_the_front(
    real_market: Market, real_securities: Securities
) -> None:
    contracts = [Contract("ZN", np.datetime64(m)) for m in ("2025-03", "2025-06", "2025-09")]
    _, checks = checked(real_market, real_securities, contracts)
    # In March the contract of March is in its delivery month: the front is that of June.
    assert [check.later_month for check in checks.values()] == [False, False, True]


def test_before_the_calendar_nothing_is_expected(
    flat_market: Callable[..., Market], make_securities: Callable[..., Securities]
) -> None:
    securities = make_securities(
        *({"issue_date": f"200{n}-02-15", "maturity_date": f"201{n}-02-15"} for n in range(6, 10))
    )
    contract = [Contract("ZN", np.datetime64("2010-03"))]
    _, checks = checked(flat_market("2009-12-31"), securities, contract)
    assert checks["ZNH10"].calendar is None
    _, checks = checked(flat_market("2010-01-04"), securities, contract)
    found = checks["ZNH10"].calendar
    # Due in September 2016 at the earliest: ten-year notes since November 2006, and seven-year
    # notes since September 2009. The table has three of them.
    ten = [name for name in found.expected.names if name.startswith("10")]
    assert (ten[0], ten[-1], len(ten)) == ("10-Year 2006-11-15", "10-Year 2009-11-16", 13)
    assert found.expected.names[-1] == "7-Year 2009-12-31"
    assert len(found.missing.names) == len(found.expected.names) - 3


def check_of(
    price: list[float], spread: list[float], make: Callable[..., Securities]
) -> BasketCheck:
    rows = [{"issue_date": "2025-01-31", "maturity_date": "2032-01-31", "price": p} for p in price]
    return BasketCheck(
        contract=Contract("ZN", JUNE),
        members=make(*rows),
        factor=np.ones(len(price)),
        value=np.arange(len(price), dtype=np.float64),
        spread=np.array(spread),
        later_month=False,
        calendar=None,
    )


def test_the_median_by_hand(make_securities: Callable[..., Securities]) -> None:
    nan = np.nan
    odd = check_of([99, 98, 97, nan], [0.0010, 0.0030, 0.0025, 0.0], make_securities)
    # The median of 10, 25 and 30 basis points is 25; the fourth has no price.
    np.testing.assert_allclose(odd.from_median, [-15, 5, 0, nan], atol=1e-9)
    assert odd.mixed
    even = check_of([99, 98, 97, 96], [0.0010, 0.0030, 0.0025, 0.0], make_securities)
    np.testing.assert_allclose(even.from_median, [-7.5, 12.5, 7.5, -17.5], atol=1e-9)
    assert not even.mixed
    few = check_of([99, 98, nan], [0.0010, 0.0030, 0.0], make_securities)
    assert np.isnan(few.from_median).all()


@given(spread=st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=30))
def test_as_many_are_above_the_median_as_below(
    make_securities: Callable[..., Securities], spread: list[float]
) -> None:
    away = check_of([99.0] * len(spread), spread, make_securities).from_median
    assert np.count_nonzero(away > 0.0) <= len(spread) // 2
    assert np.count_nonzero(away < 0.0) <= len(spread) // 2
    # The order of the spreads stays, and they are in basis points.
    np.testing.assert_allclose(np.ptp(away), np.ptp(spread) * 1e4, atol=1e-8)


def test_a_bond_priced_half_a_point_cheap_is_told(
    real_market: Market, real_securities: Securities
) -> None:
    alive = real_securities.maturity_date > real_market.as_of
    securities = real_securities.take(np.flatnonzero(alive))
    price = model_prices(real_market, securities)
    contracts = [Contract("ZN", JUNE)]
    _, checks = checked(real_market, replace(securities, price=price), contracts)
    np.testing.assert_allclose(checks["ZNM25"].from_median, 0.0, atol=1e-6)
    price[securities.cusip == "91282CMK4"] -= 0.5
    universe, checks = checked(real_market, replace(securities, price=price), contracts)
    check = checks["ZNM25"]
    assert universe.cheapest[1] == "91282CMK4"
    away = dict(zip(check.members.cusip, check.from_median, strict=True))
    # Half a point over a duration of some 5.8 years and a price of some 102.
    assert away.pop("91282CMK4") == pytest.approx(8.4, abs=0.2)
    assert max(map(abs, away.values())) < 1e-6
