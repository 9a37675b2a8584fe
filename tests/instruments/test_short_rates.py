"""Short-rate futures: hand-worked, published, and on the SOFR curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmargin.engine import revalue
from crossmargin.engine.backends import available
from crossmargin.instruments.contracts import reference_period
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.short_rates import missing_fixings
from crossmargin.instruments.universe import build_universe
from crossmargin.market.curve import NODES, POINTS, Curve
from crossmargin.market.sofr import Sofr

NO_CASH = np.array([], "datetime64[D]")


def build(market, securities, contracts=(), held=(), cash_dates=NO_CASH):
    return build_universe(
        securities=securities,
        held=np.array(held, dtype=np.int64),
        cash_dates=np.asarray(cash_dates, "datetime64[D]"),
        contracts=[parse_contract(text, market.as_of) for text in contracts],
        market=market,
    )


def rate_market(flat_market, as_of, fixed=None, rate=0.04):
    fixings = {}
    if fixed is not None:
        date = np.array(list(fixed), "datetime64[D]")
        fixings = {
            "SOFR": (date, np.array(list(fixed.values()))),
            "EFFR": (date, np.zeros(date.size)),
        }
    return flat_market(as_of, rate, fixings=fixings)


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
    for backend in available():
        assert np.array_equal(revalue(found.terms, twice, backend=backend), before)
    assert found.price.tolist() == build(plain, note, names, held=[0]).price.tolist()
