"""Instruments on a curve: real prices, QuantLib's, hand-worked short rates, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import QuantLib as ql  # noqa: N813  (its usual name)

from crossmargin.engine import revalue
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import last_delivery_day, reference_period
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.securities import accrued
from crossmargin.instruments.short_rates import missing_fixings
from crossmargin.instruments.universe import build_universe
from crossmargin.io.market_tables import market_from_tables
from crossmargin.market.curve import NODES, POINTS, Curve
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.market.sofr import Sofr

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


def rate_market(flat_market, as_of, fixed=None, rate=0.04):
    fixings = {}
    if fixed is not None:
        date = np.array(list(fixed), "datetime64[D]")
        fixings = {
            "SOFR": (date, np.array(list(fixed.values()))),
            "EFFR": (date, np.zeros(date.size)),
        }
    return flat_market(as_of, rate, fixings=fixings)


@pytest.fixture
def note(make_securities):
    return make_securities(NOTE)


def test_a_quarter_before_it_begins(flat_market, note):
    market = rate_market(flat_market, "2025-03-13")
    start, end = reference_period(parse_contract("SR3M25", market.as_of))
    assert (str(start), str(end)) == ("2025-06-18", "2025-09-17")
    found = build(market, note, ["SR3M25"])
    # 91 days of compounding at a continuous 4%, quoted on 360.
    rate = 100 * 360 / 91 * np.expm1(0.04 * 91 / 365.25)
    assert found.price[0] == pytest.approx(100 - rate, abs=1e-10)
    assert rate == pytest.approx(3.9622, abs=5e-5)
    # A continuous basis point is 360/365.25 of a quoted one, compounded.
    growth = np.exp(0.04 * 91 / 365.25)
    expected = 25.0 * 360 / 365.25 * growth
    assert -found.sensitivities.gradient.sum() * 1e-4 == pytest.approx(expected, rel=1e-10)
    assert found.sensitivities.dv01[0] == pytest.approx(25.0, rel=0.01)


STRIP = (95.895, 96.290, 96.605, 96.815, 96.940, 96.985, 96.965, 96.910)
"""Eight quarterly SR3 prices of a published hedge of a two-year swap (CME, 2025)."""


def test_published_strip_of_quarters(flat_market, note):
    discount = [1.0]
    for price in STRIP:
        # The continuous rate at which 91 days grow by the quoted one.
        days, rate = 91, (100.0 - price) / 100.0
        continuous = np.log1p(rate * days / 360) / (days / 365.25)
        market = rate_market(flat_market, "2025-03-13", rate=continuous)
        found = build(market, note, ["SR3M25"])
        assert found.price[0] == pytest.approx(price, abs=1e-9)
        ahead = market.discount_factor(["2025-06-18", "2025-09-17"])
        discount.append(discount[-1] * ahead[1] / ahead[0])
    # The published discount factors, first and last, and the swap's coupon, paid quarterly.
    assert discount[1] == pytest.approx(0.989730, abs=5e-7)
    assert discount[8] == pytest.approx(0.935249, abs=5e-7)
    coupon = (1.0 - discount[8]) / (91 / 360 * sum(discount[1:]))
    assert 100 * coupon == pytest.approx(3.3304, abs=5e-5)


def test_a_month_before_it_begins(flat_market, note):
    found = build(rate_market(flat_market, "2025-03-13"), note, ["SR1M25", "ZQM25"])
    # Every day at the same overnight rate.
    rate = 100 * 360 * np.expm1(0.04 / 365.25)
    assert found.price.tolist() == pytest.approx([100 - rate] * 2, abs=1e-9)
    dv01 = found.sensitivities.dv01
    expected = 41.67 * 360 / 365.25 * np.exp(0.04 / 365.25)
    assert dv01.tolist() == pytest.approx([expected] * 2, rel=1e-8)
    assert dv01.tolist() == pytest.approx([41.67] * 2, rel=0.02)


# Wednesday 19 March to Monday 24 March 2025, with a fixing for each business day.
FIXED = {
    "2025-03-18": 0.09,  # before the period: must not count
    "2025-03-19": 0.01,
    "2025-03-20": 0.02,
    "2025-03-21": 0.03,
    "2025-03-24": 0.05,
    "2025-03-25": 0.99,  # after the as-of date: must not count
}


def test_a_quarter_under_way_compounds_its_fixings(flat_market, note):
    market = rate_market(flat_market, "2025-03-24", FIXED)
    found = build(market, note, ["SR3H25"])
    # 19 March to 18 June are 91 days; Friday's rate stands for three of them.
    growth = (1 + 0.01 / 360) * (1 + 0.02 / 360) * (1 + 0.03 * 3 / 360) * (1 + 0.05 / 360)
    growth *= np.exp(0.04 * 85 / 365.25)
    assert found.price[0] == pytest.approx(100 - 100 * 360 / 91 * (growth - 1), abs=1e-10)
    # Only 85 of the 91 days still move.
    dv01 = 25.0 * 360 / 365.25 * 85 / 91 * growth
    assert found.sensitivities.dv01[0] == pytest.approx(dv01, rel=1e-10)


def test_a_quarter_under_way_without_fixings_takes_the_curve(flat_market, note):
    found = build(rate_market(flat_market, "2025-03-24"), note, ["SR3H25"])
    overnight = 360 * np.expm1(0.04 / 365.25)
    growth = (1 + overnight / 360) ** 3 * (1 + overnight * 3 / 360) * np.exp(0.04 * 85 / 365.25)
    assert found.price[0] == pytest.approx(100 - 100 * 360 / 91 * (growth - 1), abs=1e-10)


def test_a_month_under_way_averages_its_fixings(flat_market, note):
    # As of Tuesday 4 March 2025: the 1st and 2nd are a weekend with the rate of 28 February.
    fixed = {"2025-02-27": 0.5, "2025-02-28": 0.01, "2025-03-03": 0.02, "2025-03-04": 0.03}
    found = build(rate_market(flat_market, "2025-03-04", fixed), note, ["SR1H25", "ZQH25"])
    overnight = 36000 * np.expm1(0.04 / 365.25)
    average = (1.0 + 1.0 + 2.0 + 3.0 + 27 * overnight) / 31
    assert found.price[0] == pytest.approx(100 - average, abs=1e-9)
    # Fed funds have fixings of their own: zero here.
    assert found.price[1] == pytest.approx(100 - 27 * overnight / 31, abs=1e-9)
    dv01 = 41.67 * 360 / 365.25 * 27 / 31 * np.exp(0.04 / 365.25)
    assert found.sensitivities.dv01.tolist() == pytest.approx([dv01] * 2, rel=1e-8)


def test_a_day_without_a_fixing_takes_the_curve(flat_market, note):
    # The fixing of the as-of date itself is published the next day.
    fixed = {"2025-02-28": 0.01, "2025-03-03": 0.02}
    found = build(rate_market(flat_market, "2025-03-04", fixed), note, ["SR1H25"])
    average = (1.0 + 1.0 + 2.0 + 28 * 36000 * np.expm1(0.04 / 365.25)) / 31
    assert found.price[0] == pytest.approx(100 - average, abs=1e-9)


# Good Friday 2023-04-07: the bond market was open, banks too, but there is no SOFR of that day.
EASTER = {"2023-04-05": 0.01, "2023-04-06": 0.02, "2023-04-10": 0.05, "2023-04-11": 0.09}


def test_a_day_that_has_no_fixing_takes_the_last_one_published(flat_market, note):
    market = rate_market(flat_market, "2023-04-10", EASTER)
    market.fixings["SOFR"] = tuple(part[:3] for part in market.fixings["SOFR"])
    found = build(market, note, ["SR3H23"])
    start = np.datetime64("2023-03-15")
    overnight = 360 * np.expm1(0.04 / 365.25)
    # 15 March to 4 April have no fixing; Thursday's stands for four days.
    growth = (1 + 0.01 / 360) * (1 + 0.02 * 4 / 360) * (1 + 0.05 / 360)
    for day in days_with_weekends(start, np.datetime64("2023-04-05")):
        growth *= 1 + overnight * day / 360
    growth *= np.exp(0.04 * 71 / 365.25)
    assert found.price[0] == pytest.approx(100 - 100 * 360 / 98 * (growth - 1), abs=1e-10)


def days_with_weekends(start, end):
    """Return how many days each business day's rate stands for; no holiday among them."""
    opens = np.arange(start, end)[np.is_busday(np.arange(start, end))]
    return np.diff(np.append(opens, end)).astype(int).tolist()


def test_banks_fix_a_rate_on_good_friday(flat_market, note):
    market = rate_market(flat_market, "2023-04-30")
    day = np.array(["2023-03-31", "2023-04-06", "2023-04-07"], "datetime64[D]")
    market.fixings["EFFR"] = (day, np.array([0.01, 0.02, 0.03]))
    found = build(market, note, ["ZQJ23"])
    overnight = 36000 * np.expm1(0.04 / 365.25)
    # The first two days are a weekend, the 6th is one day, Good Friday and its weekend are three.
    average = (2 * 1.0 + 2.0 + 3 * 3.0 + 24 * overnight) / 30
    assert found.price[0] == pytest.approx(100 - average, abs=1e-9)


def test_settlement_of_a_real_quarter_with_an_open_good_friday(flat_market, note, real_data):
    lines = real_data("sofr.csv").read_text().splitlines()[1:]
    published = [(day, float(rate)) for day, rate in (line.split(",") for line in lines) if rate]
    market = rate_market(flat_market, "2023-06-20", {d: r / 100 for d, r in published})
    found = build(market, note, ["SR3H23"])
    inside = [(d, r) for d, r in published if "2023-03-15" <= d < "2023-06-21"]
    ends = [*(d for d, _ in inside[1:]), "2023-06-21"]
    growth = 1.0
    for (day, rate), end in zip(inside, ends, strict=True):
        growth *= 1 + rate / 100 * (np.datetime64(end) - np.datetime64(day)).astype(int) / 360
    assert ("2023-04-06", 4.81) in inside
    assert found.price[0] == pytest.approx(100 - 100 * 360 / 98 * (growth - 1), abs=1e-10)
    assert missing_fixings(parse_contract("SR3H23", market.as_of), market).size == 0


def missing(market, name):
    return missing_fixings(parse_contract(name, market.as_of), market).astype(str).tolist()


def test_missing_fixings_are_those_of_published_days_before_the_as_of_date(flat_market):
    # Until Wednesday 9 April 2025; as of Monday the 14th, whose fixing comes on Tuesday.
    fixed = {str(day): 0.04 for day in np.arange("2025-03-19", "2025-04-10", dtype="M8[D]")}
    market = rate_market(flat_market, "2025-04-14", fixed)
    assert missing(market, "SR3H25") == ["2025-04-10", "2025-04-11"]
    assert missing(market, "SR1J25") == ["2025-04-10", "2025-04-11"]
    assert missing(market, "SR3M25") == []
    assert missing(market, "ZNM25") == []
    # Of a weekend the last fixing, Friday's, is not published yet; Good Friday has no SOFR.
    assert missing(rate_market(flat_market, "2025-04-12", fixed), "SR3H25") == ["2025-04-10"]
    easter = rate_market(flat_market, "2025-04-20", fixed)
    assert missing(easter, "SR1J25")[-1] == "2025-04-16"
    assert missing(easter, "ZQJ25")[-1] == "2025-04-17"


def test_without_fixings_every_past_day_of_the_period_is_missing(flat_market):
    market = rate_market(flat_market, "2025-03-24")
    assert missing(market, "SR3H25") == ["2025-03-19", "2025-03-20", "2025-03-21"]
    # The rate of the first, a weekend, is that of the last business day of February.
    assert missing(market, "ZQH25")[0] == "2025-02-28"


def test_a_month_whose_days_are_all_fixed_has_a_price_and_moves_no_more(flat_market, note):
    # Monday 31 March 2025 is the last trading day of both.
    fixed = {str(day): 0.05 for day in np.arange("2025-02-25", "2025-04-01", dtype="M8[D]")}
    found = build(rate_market(flat_market, "2025-03-31", fixed), note, ["SR1H25", "ZQH25"])
    assert found.price.tolist() == pytest.approx([95.0, 100.0], abs=1e-12)
    assert found.unpriced.tolist() == ["", ""]
    assert found.priced.all()
    assert not found.sensitivities.gradient.any()
    pnl = revalue(found.terms, np.full((2, 11), 0.01), backend="reference")
    assert not pnl.any()


def test_rates_move_as_their_forward_does(flat_market, note):
    market = rate_market(flat_market, "2025-03-24", FIXED)
    found = build(market, note, ["SR3H25", "SR3U25", "SR1J25"])
    shift = np.linspace(-0.01, 0.02, 11)
    pnl = revalue(found.terms, shift[None, :], backend="reference")[:, 0]

    def discount(day, moved):
        t = float((np.datetime64(day) - market.as_of).astype(int)) / 365.25
        return np.exp(-0.04 * t - moved * t * np.interp(t, NODES, shift))

    def quarter(moved):
        growth = discount("2025-09-17", moved) / discount("2025-12-17", moved)
        return 100 - 100 * 360 / 91 * (growth - 1)

    def month(moved):
        days = np.arange("2025-04-01", "2025-05-02", dtype="M8[D]")
        df = np.array([discount(d, moved) for d in days])
        return 100 - 100 * 360 * np.mean(df[:-1] / df[1:] - 1)

    assert pnl[1] == pytest.approx(2500 * (quarter(1.0) - quarter(0.0)), abs=1e-6)
    assert pnl[2] == pytest.approx(4167 * (month(1.0) - month(0.0)), abs=1e-6)


SOFR_NODES = (1, 3, 4)
"""3 months, 1 and 2 years."""


def sofr_market(flat_market, as_of, fixed=None, rate=0.03, node=SOFR_NODES):
    """Return a market with Treasuries at 4% and SOFR at another continuous rate."""
    market = rate_market(flat_market, as_of, fixed)
    day = np.array([market.as_of])
    curve = Curve(market.as_of, -rate * POINTS)
    sofr = Sofr(curve, node, day, np.full((1, len(node)), rate))
    return replace(market, history=replace(market.history, sofr=sofr))


def test_short_rates_stand_on_the_sofr_curve(flat_market, note):
    market = sofr_market(flat_market, "2025-03-13")
    found = build(market, note, ["SR3M25", "SR1M25", "ZQM25"], held=[0])
    plain = build(rate_market(flat_market, "2025-03-13"), note, ["SR3M25"], held=[0])
    assert found.price[0] == plain.price[0]
    assert found.price[1] == pytest.approx(
        100 - 100 * 360 / 91 * np.expm1(0.03 * 91 / 365.25), abs=1e-10
    )
    assert found.price[2:].tolist() == pytest.approx(
        [100 - 36000 * np.expm1(0.03 / 365.25)] * 2, abs=1e-9
    )
    # A note moves with the Treasury's nodes alone, a short rate with SOFR's.
    assert found.curve_factors == 14
    gradient = found.sensitivities.gradient
    assert gradient.shape == (4, 14)
    assert np.array_equal(gradient[0, :11], plain.sensitivities.gradient[0])
    assert not gradient[0, 11:].any()
    assert not gradient[1:, :11].any()
    growth = np.exp(0.03 * 91 / 365.25)
    assert found.sensitivities.dv01[1] == pytest.approx(25.0 * 360 / 365.25 * growth, rel=1e-10)
    # June's 30 days lie between 3 months and a year.
    assert np.flatnonzero(gradient[2]).tolist() == [11, 12]


def test_a_day_without_a_fixing_takes_the_sofr_curve(flat_market, note):
    fixed = {"2025-02-28": 0.01, "2025-03-03": 0.02}
    found = build(sofr_market(flat_market, "2025-03-04", fixed), note, ["SR1H25"])
    average = (1.0 + 1.0 + 2.0 + 28 * 36000 * np.expm1(0.03 / 365.25)) / 31
    assert found.price[0] == pytest.approx(100 - average, abs=1e-9)


def test_short_rates_move_as_the_sofr_forward_does(flat_market, note):
    market = sofr_market(flat_market, "2025-03-24")
    found = build(market, note, ["SR3U25", "ZTM25"], held=[0])
    shock = np.zeros((2, 14))
    shock[0, :11] = 0.01
    shock[1, 11:] = [-0.01, 0.005, 0.02]
    pnl = revalue(found.terms, shock, backend="reference")
    # The Treasury's shift moves the note alone, SOFR's the quarter alone.
    assert pnl[0, 0] < 0.0
    assert pnl[1, 0] == pnl[0, 1] == 0.0

    def discount(day, moved):
        t = float((np.datetime64(day) - market.as_of).astype(int)) / 365.25
        return np.exp(-0.03 * t - moved * t * np.interp(t, [0.25, 1.0, 2.0], shock[1, 11:]))

    def quarter(moved):
        growth = discount("2025-09-17", moved) / discount("2025-12-17", moved)
        return 100 - 100 * 360 / 91 * (growth - 1)

    assert pnl[1, 1] == pytest.approx(2500 * (quarter(1.0) - quarter(0.0)), abs=1e-6)


def test_a_sofr_curve_that_is_the_treasurys_changes_no_bit(flat_market, note):
    names = ["SR3H25", "SR3U25", "SR1J25", "ZQM25"]
    plain = rate_market(flat_market, "2025-03-24", FIXED)
    own = sofr_market(flat_market, "2025-03-24", FIXED, rate=0.04, node=tuple(range(11)))
    shift = np.random.default_rng(1).normal(size=(50, 11)) * 0.01
    before = revalue(build(plain, note, names, held=[0]).terms, shift)
    found = build(own, note, names, held=[0])
    twice = np.hstack([shift, shift])
    for backend in ("native", "numba", "reference"):
        assert np.array_equal(revalue(found.terms, twice, backend=backend), before)
    assert found.price.tolist() == build(plain, note, names, held=[0]).price.tolist()


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
    names = [*market.history.factor, ""]
    factors = [names[k] for k in found.terms.linear_factor]
    assert factors == ["", "basis:ZN", "basis:ZN", "", ""]
    assert found.terms.linear_loading.tolist() == [0.0, 1000.0, 1000.0, 0.0, 0.0]
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
