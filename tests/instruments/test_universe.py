"""Instruments on a curve: real prices, QuantLib's, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import QuantLib as ql  # noqa: N813  (its usual name)

from crossmargin.engine import revalue, taylor
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import last_delivery_day
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.securities import accrued
from crossmargin.instruments.universe import build_universe
from crossmargin.io.market_tables import market_from_tables
from crossmargin.margin.ficc.var import polynomials
from crossmargin.market.curve import years_between
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.market.specific import Process, SpecificRisk, SpreadGroups

NO_CASH = np.array([], "datetime64[D]")
TREASURY_ROOTS = ("ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB")


def build(market, securities, contracts=(), held=(), cash_dates=NO_CASH):
    return build_universe(
        securities=securities,
        held=np.array(held, dtype=np.int64),
        cash_dates=np.asarray(cash_dates, "datetime64[D]"),
        contracts=[parse_contract(text, market.as_of) for text in contracts],
        market=market,
    )


def test_the_model_prices_of_2025_03_13(real_market, real_securities):
    found = build(real_market, real_securities, ["ZNM25", "UBM25"])
    assert found.price.round(4).tolist() == [110.9586, 123.2164]
    assert found.cheapest[0] == "91282CMC2"
    assert found.unpriced.tolist() == ["", ""]
    # 91282CMC2 matures on 2031-12-31, 2,484 days on.
    assert found.years[0] == 2484 / 365.25
    assert found.root.tolist() == ["ZN", "UB"]


def basket(bonds, contract, as_of):
    mask = deliverable(
        contract,
        issue_date=bonds.issue_date,
        maturity_date=bonds.maturity_date,
        as_of=as_of,
        resold_as=bonds.resold_as,
    )
    return bonds.take(np.flatnonzero(mask & bonds.nominal))


def test_a_future_is_the_lowest_forward_clean_price_over_its_factor(real_market, real_securities):
    """Methodology 4 written out flow by flow, on every deliverable bond of every root."""
    names = [f"{root}M25" for root in TREASURY_ROOTS]
    found = build(real_market, real_securities, names)
    for i, name in enumerate(names):
        contract = parse_contract(name, real_market.as_of)
        delivery = last_delivery_day(contract)
        bonds = basket(real_securities, contract, real_market.as_of)
        interest = accrued(bonds, delivery)
        factor = conversion_factors(contract, bonds.coupon, bonds.maturity_date)
        prices = []
        for b, maturity in enumerate(bonds.maturity_date):
            dirty, number, day = 0.0, 0, ql_date(maturity)
            while day > ql_date(delivery):
                amount = 50 * bonds.coupon[b] + (100 if number == 0 else 0)
                dirty += amount * float(real_market.discount_factor(iso(day)))
                number += 1
                day = month_end_advance(ql_date(maturity), -6 * number)
            dirty /= float(real_market.discount_factor(delivery))
            prices.append((dirty - interest[b]) / factor[b])
        own = slice(found.terms.instrument_ptr[i], found.terms.instrument_ptr[i + 1])
        np.testing.assert_allclose(found.terms.line_value[own], prices, rtol=0, atol=1e-10)
        assert found.price[i] == pytest.approx(min(prices), abs=1e-10)
        assert found.cheapest[i] == bonds.cusip[int(np.argmin(prices))]


def iso(day):
    return np.datetime64(day.ISO())


def ql_date(day):
    year, month, number = (int(part) for part in str(day).split("-"))
    return ql.Date(number, month, year)


def month_end_advance(day, months):
    return ql.NullCalendar().advance(
        day, months, ql.Months, ql.Unadjusted, ql.Date.isEndOfMonth(day)
    )


def quantlib_curve(market, until):
    """A curve with our discount factor on every day, so that none is interpolated."""
    days = np.arange(market.as_of, until + np.timedelta64(1, "D"))
    factor = market.discount_factor(days).tolist()
    curve = ql.DiscountCurve([ql_date(d) for d in days], factor, ql.Actual365Fixed())
    return ql.YieldTermStructureHandle(curve)


def quantlib_bond(curve, issue, maturity, coupon):
    end = ql_date(maturity)
    schedule = ql.Schedule(
        ql_date(issue),
        end,
        ql.Period(ql.Semiannual),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        ql.Date.isEndOfMonth(end),
    )
    counter = ql.ActualActual(ql.ActualActual.ISMA, schedule)
    bond = ql.FixedRateBond(0, 100.0, schedule, [coupon], counter)
    bond.setPricingEngine(ql.DiscountingBondEngine(curve))
    return bond


MATURITIES = {
    "2025-03-12": ["2025-03-31", "2026-09-15", "2027-03-12", "2030-02-28", "2034-11-15"],
    "2024-02-29": ["2024-08-31", "2026-08-29", "2029-02-28", "2031-01-15", "2044-02-15"],
    "2015-08-17": ["2016-02-15", "2018-08-31", "2022-02-17", "2025-08-15", "2045-05-15"],
}


@pytest.mark.parametrize("as_of", MATURITIES)
def test_bond_prices_equal_quantlib(real_yields, make_securities, as_of):
    market = market_from_tables(real_yields, as_of=as_of)
    ql.Settings.instance().evaluationDate = ql_date(as_of)
    # Issue is a whole number of half-years before maturity, so that no coupon is irregular.
    rows = [
        {
            "issue_date": str(iso(month_end_advance(ql_date(maturity), -12 * 30))),
            "maturity_date": maturity,
            "coupon": coupon,
        }
        for maturity in MATURITIES[as_of]
        for coupon in (0.0, 0.00125, 0.045, 0.08)
    ]
    securities = make_securities(*rows)
    found = build(market, securities, held=range(len(rows)))
    interest = accrued(securities, market.as_of)
    curve = quantlib_curve(market, securities.maturity_date.max())
    for i, row in enumerate(rows):
        bond = quantlib_bond(curve, row["issue_date"], row["maturity_date"], row["coupon"])
        assert found.price[i] == pytest.approx(bond.dirtyPrice(), abs=1e-8)
        assert interest[i] == pytest.approx(bond.accruedAmount(), abs=1e-8)


@pytest.mark.parametrize(
    ("as_of", "name"),
    [
        ("2025-03-13", "ZTM25"),
        ("2025-03-13", "ZFU25"),
        ("2025-03-13", "ZNM25"),
        ("2025-03-13", "ZBM25"),
        ("2025-03-31", "UBZ25"),
        ("2024-08-15", "ZNZ24"),  # a day on which many of the bonds pay
        ("2024-11-29", "ZBZ24"),
    ],
)
def test_forward_clean_prices_equal_quantlib(real_yields, real_securities, as_of, name):
    market = market_from_tables(real_yields, as_of=as_of)
    ql.Settings.instance().evaluationDate = ql_date(as_of)
    contract = parse_contract(name, market.as_of)
    found = build(market, real_securities, [name])
    bonds = basket(real_securities, contract, market.as_of)
    curve = quantlib_curve(market, bonds.maturity_date.max())
    factor = conversion_factors(contract, bonds.coupon, bonds.maturity_date)
    assert bonds.cusip.size == found.terms.line_offset.size > 3
    for line, maturity in enumerate(bonds.maturity_date):
        start = month_end_advance(ql_date(maturity), -12 * 30)
        bond = quantlib_bond(curve, iso(start), maturity, bonds.coupon[line])
        theirs = ql.BondForward(
            ql_date(as_of),
            ql_date(last_delivery_day(contract)),
            ql.Position.Long,
            0.0,
            0,
            ql.Actual365Fixed(),
            ql.NullCalendar(),
            ql.Unadjusted,
            bond,
            curve,
            curve,
        ).cleanForwardPrice()
        ours = found.terms.line_value[line] * factor[line]
        assert ours == pytest.approx(theirs, abs=1e-8)


NOTE = {"issue_date": "2022-02-15", "maturity_date": "2032-02-15"}


def test_a_note_and_forward_cash_on_a_flat_curve(flat_market, make_securities):
    securities = make_securities(NOTE | {"maturity_date": "2026-03-13", "coupon": 0.05})
    market = flat_market("2025-03-13")
    cash = ["2025-03-12", "2025-03-13", "2026-03-13"]
    found = build(market, securities, held=[0], cash_dates=cash)
    t = np.array([184, 365]) / 365.25
    df = np.exp(-0.04 * t)
    dirty = 2.5 * df[0] + 102.5 * df[1]
    assert found.price.tolist() == pytest.approx([dirty, 100.0, 100.0, 100 * df[1]], rel=1e-14)
    assert found.name.tolist() == [
        "CUSIP0000",
        "USD 2025-03-12",
        "USD 2025-03-13",
        "USD 2026-03-13",
    ]
    assert found.kind.tolist() == ["treasury"] + ["forward cash leg"] * 3
    dv01 = [(2.5 * df[0] * t[0] + 102.5 * df[1] * t[1]) / 1e4, 0.0, 0.0, 100 * df[1] * t[1] / 1e4]
    assert found.sensitivities.dv01.tolist() == pytest.approx(dv01, rel=1e-13)
    # Cash stays out of the floor; a note counts with its dirty value.
    assert found.market_value.tolist() == pytest.approx([dirty, 0.0, 0.0, 0.0], rel=1e-14)
    assert found.years.tolist() == [365 / 365.25, 0.0, 0.0, 0.0]


def test_a_market_price_is_met_and_its_spread_stays(flat_market, make_securities):
    plain, priced = NOTE, NOTE | {"price": 97.0}
    market = flat_market("2025-03-13")
    securities = make_securities(plain, priced)
    found = build(market, securities, held=[0, 1])
    own = securities.take(np.array([1]))
    assert found.price[1] == pytest.approx(97.0 + accrued(own, market.as_of)[0], abs=1e-11)
    # Under a parallel shift the flows still carry the spread: amounts are scaled, exponents not.
    assert np.array_equal(
        found.terms.term_exponent[: found.terms.line_ptr[1]],
        found.terms.term_exponent[found.terms.line_ptr[1] :],
    )


def test_what_no_model_covers(flat_market, make_securities):
    kinds = ["tips", "frn", "bill", "strip", "mbs", "note"]
    securities = make_securities(*(NOTE | {"type": kind} for kind in kinds))
    # Nothing here is deliverable into ZT; into ZNM25 only the note is.
    found = build(flat_market("2025-03-13"), securities, ["ZTM25", "ZNM25"], held=range(6))
    assert found.unpriced.tolist() == ["NO_MODEL"] * 5 + ["", "NO_BASKET", ""]
    assert found.priced.tolist() == [False] * 5 + [True, False, True]
    assert np.isnan(found.price).tolist() == (~found.priced).tolist()
    assert found.cheapest.tolist() == [""] * 7 + ["CUSIP0005"]
    assert found.market_value[~found.priced].tolist() == [0.0] * 6
    assert found.years[~found.priced].tolist() == [0.0] * 6
    pnl = revalue(found.terms, np.full((1, 11), 0.01), backend="reference")[:, 0]
    assert (pnl != 0.0).tolist() == found.priced.tolist()


def test_what_no_model_covers_is_worth_its_price(flat_market, make_securities):
    kinds = {"tips": 95.5, "frn": None, "mbs": 88.0}
    securities = make_securities(
        *(NOTE | {"type": kind, "price": price or np.nan} for kind, price in kinds.items())
    )
    found = build(flat_market("2025-03-13"), securities, [], held=range(3))
    assert found.unpriced.tolist() == ["NO_MODEL"] * 3
    assert found.market_value.tolist() == [95.5, 0.0, 88.0]
    days = (np.datetime64(NOTE["maturity_date"]) - np.datetime64("2025-03-13")).astype(int)
    assert found.years.tolist() == [days / 365.25, 0.0, days / 365.25]


def test_a_future_on_one_bond_by_hand(flat_market, make_securities):
    # 4% to 2032-02-15 into ZNM25: delivery on 2025-06-30, flows from 2025-08-15 on.
    market = flat_market("2025-03-13")
    found = build(market, make_securities(NOTE), ["ZNM25"])
    delivery = np.datetime64("2025-06-30")
    pay = [
        np.datetime64(f"{2025 + (n + 1) // 2}-{'08' if n % 2 == 0 else '02'}-15") for n in range(14)
    ]
    assert str(pay[-1]) == "2032-02-15"
    days = np.array([(d - delivery).astype(int) for d in pay])
    amount = np.full(14, 2.0)
    amount[-1] = 102.0
    dirty = float(np.sum(amount * np.exp(-0.04 * days / 365.25)))
    # 15 February to 30 June are 135 of 181 days.
    interest = 2.0 * 135 / 181
    # Six years and eight months, cut to six: (0.02 + k + 0.04/0.06 (1 - k)) / 1.03, k = 1.03^-12.
    factor = 0.8937
    contract = parse_contract("ZNM25", market.as_of)
    assert float(conversion_factors(contract, 0.04, "2032-02-15")) == factor
    assert found.price[0] == pytest.approx((dirty - interest) / factor, abs=1e-11)
    assert found.market_value[0] == pytest.approx(1000 * dirty / factor, abs=1e-7)


def test_a_basis_loads_the_futures_of_its_root(flat_market, note, real_market):
    market = flat_market("2025-03-13", basis={"UB": None, "ZN": None})
    found = build(market, note, ["ZNM25", "ZNU25", "TNM25", "SR3M25"], held=[0])
    assert found.terms.linear_ptr.tolist() == [0, 0, 1, 2, 2, 2]
    names = [market.history.factor[k] for k in found.terms.linear_factor]
    assert names == ["basis:ZN", "basis:ZN"]
    assert found.terms.linear_loading.tolist() == [1000.0, 1000.0]
    # A basis up by 1/32 is 31.25 USD a contract, under `fixed` and `switching` alike.
    shock = np.zeros((1, len(market.history.factor)))
    shock[0, market.history.factor.index("basis:ZN")] = 1 / 32
    for terms in (found.terms, found.fixed_terms()):
        pnl = revalue(terms, shock, backend="reference")[:, 0]
        assert pnl.tolist() == [0.0, 31.25, 31.25, 0.0, 0.0]


def test_switching_never_gains_on_fixed(real_market, real_securities):
    names = [f"{root}{month}" for root in TREASURY_ROOTS for month in ("M25", "U25")]
    found = build(real_market, real_securities, [*names, "SR3U25"])
    shock = ScenarioStore().of(real_market.history, horizon=1).shock[::25] * 10.0
    switching = revalue(found.terms, shock, backend="reference")
    fixed = revalue(found.fixed_terms(), shock, backend="reference")
    assert np.all(switching <= fixed)
    # Moves this large do change the cheapest to deliver.
    assert np.any(switching < fixed)
    assert np.array_equal(switching[-1], fixed[-1])
    assert not revalue(found.terms, np.zeros((1, 11)), backend="reference").any()


def test_fixed_is_the_base_cheapest_alone(real_market, real_securities):
    found = build(real_market, real_securities, ["ZNM25"])
    at = np.flatnonzero(real_securities.cusip == "91282CMC2")
    alone = build(real_market, real_securities.take(at), ["ZNM25"])
    shock = ScenarioStore().of(real_market.history, horizon=3).shock[:50]
    ours = revalue(found.fixed_terms(), shock, backend="reference")
    assert np.array_equal(ours, revalue(alone.terms, shock, backend="reference"))


def test_the_dv01_of_the_real_futures(real_market, real_securities):
    found = build(real_market, real_securities, ["ZTM25", "ZNM25", "UBM25", "SR3U25", "ZQU25"])
    dv01 = found.sensitivities.dv01
    # A bump of one basis point in all zero rates, both ways.
    bump = np.array([[1e-4] * 11, [-1e-4] * 11])
    pnl = revalue(found.fixed_terms(), bump, backend="reference")
    np.testing.assert_allclose(dv01, (pnl[:, 1] - pnl[:, 0]) / 2, rtol=1e-5)
    assert dv01[3] == pytest.approx(25.0, rel=0.01)
    assert dv01[4] == pytest.approx(41.67, rel=0.02)


def test_the_spot_price_of_an_issue_to_come_is_near_par(real_market, real_securities):
    # A three-year note auctioned on 2025-03-11 for settlement on the 17th, with a date of the 15th.
    at = np.flatnonzero(real_securities.cusip == "91282CMS7")
    found = build(real_market, real_securities, held=at)
    assert found.price[0] == pytest.approx(99.8208, abs=1e-4)


def test_real_prices_lie_near_their_curve(real_market, real_securities):
    alive = np.flatnonzero(real_securities.maturity_date > real_market.as_of)
    found = build(real_market, real_securities, held=alive)
    assert found.priced.all()
    assert isinstance(found.name[0], str)
    assert np.all((found.price > 30.0) & (found.price < 150.0))
    assert pa.array(found.name).equals(pa.array(real_securities.cusip[alive]))


def test_spreads_load_securities_and_futures_by_hand(flat_market, make_securities):
    # Old is the cheapest of the future; Latest is on the run, Bill without a model.
    old = {"cusip": "AAAAAAAA0", "issue_date": "2022-02-15", "maturity_date": "2032-02-15"}
    latest = {"cusip": "BBBBBBBB0", "issue_date": "2025-02-15", "maturity_date": "2035-02-15"}
    bill = {"cusip": "CCCCCCCC0", "type": "bill", "maturity_date": "2025-06-15"}
    securities = make_securities(old, latest, bill)
    process = Process(
        tuple(f"spread:{name}" for name in ("7 on", "10 on", "7 off", "10 off")),
        (1e-4,) * 4,
        0.9,
        tuple(map(tuple, np.eye(4).tolist())),
        1,
    )
    groups = SpreadGroups(((8.5, "7"), (15.0, "10")), process)
    market = flat_market("2025-03-13", basis={"ZN": None})
    market = replace(market, history=replace(market.history, specific=SpecificRisk(spreads=groups)))
    cash = np.array(["2025-03-20"], "datetime64[D]")
    found = build(market, securities, ["ZNM25", "SR3M25"], held=[0, 1, 2], cash_dates=cash)
    assert found.curve_factors == 11
    assert found.terms.linear_ptr.tolist() == [0, 1, 2, 2, 2, 4, 4]
    names = [market.history.factor[k] for k in found.terms.linear_factor]
    assert names == ["spread:7 off", "spread:10 on", "spread:7 off", "basis:ZN"]
    loading = found.terms.linear_loading.tolist()
    assert loading[3] == 1000.0
    half_years = [f"{2025 + (n + 1) // 2}-{'08' if n % 2 == 0 else '02'}-15" for n in range(20)]
    time = years_between(market.as_of, np.array(half_years, "datetime64[D]"))
    for number, count in enumerate((14, 20)):
        t, amount = time[:count], np.full(count, 2.0)
        amount[-1] = 102.0
        by_hand = -float(np.sum(amount * np.exp(-0.04 * t) * t))
        assert loading[number] == pytest.approx(by_hand, rel=1e-12)
    # The future: flows after 2025-06-30, valued there, times from the as-of date; CF 0.8937.
    t, horizon = time[:14], float(years_between(market.as_of, np.datetime64("2025-06-30")))
    amount = np.full(14, 2.0)
    amount[-1] = 102.0
    by_hand = -1000.0 * float(np.sum(amount * np.exp(-0.04 * (t - horizon)) * t)) / 0.8937
    assert loading[2] == pytest.approx(by_hand, rel=1e-12)
    # 1 bp on every factor moves the future by both of its own.
    shock = np.zeros((1, len(market.history.factor)))
    shock[0, market.history.factor.index("spread:7 off")] = 1e-4
    shock[0, market.history.factor.index("basis:ZN")] = 1 / 32
    pnl = revalue(found.terms, shock, backend="reference")[:, 0]
    assert pnl[0] == pytest.approx(loading[0] * 1e-4, abs=2**-20)
    assert pnl[4] == pytest.approx(loading[2] * 1e-4 + 31.25, abs=2**-20)
    assert pnl[[1, 2, 3, 5]].tolist() == [0.0] * 4
    # FICC's Taylor takes the same linear parts.
    ptr, feature, coefficient = polynomials(found, len(market.history.factor))
    taylor_pnl = taylor(ptr, feature, coefficient, shock, backend="reference")[:, 0]
    np.testing.assert_allclose(taylor_pnl, pnl, rtol=0, atol=2**-20)
