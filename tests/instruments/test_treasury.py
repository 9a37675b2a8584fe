"""Prices and yields against the regulation, real auctions and QuantLib."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  (its usual name)
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin.instruments.treasury import price_from_yield, yield_from_price


def test_every_auction_price(real_data):
    with real_data("auction_prices.csv").open() as file:
        rows = list(csv.DictReader(file))

    def column(name, kind=str):
        return [kind(r[name]) for r in rows]

    terms = {
        "coupon_pct": column("coupon_pct", float),
        "maturity": column("maturity_date"),
        "settlement": column("issue_date"),
    }
    price = price_from_yield(**terms, yield_pct=column("high_yield_pct", float))
    official = np.array(column("price_per_100", float))
    np.testing.assert_allclose(price.clean, official, rtol=0, atol=1e-6)
    # With the dated and first interest dates given it is the same: all first periods are regular.
    told = price_from_yield(
        **terms,
        yield_pct=column("high_yield_pct", float),
        dated_date=column("dated_date"),
        first_coupon_date=column("first_interest_date"),
    )
    np.testing.assert_allclose(told.clean, price.clean, rtol=0, atol=1e-12)
    accrued = [
        (10.0 * ours, float(r["accrued_per_1000"]))
        for ours, r in zip(price.accrued, rows, strict=True)
        if r["accrued_per_1000"]
    ]
    assert len(accrued) == 8
    assert all(abs(ours - theirs) <= 5.1e-6 for ours, theirs in accrued)
    # Back to the yield: the official price has six decimals, so the yield about five.
    yields = yield_from_price(**terms, clean=price.clean).yield_pct
    np.testing.assert_allclose(yields, column("high_yield_pct", float), rtol=0, atol=1e-11)


def test_every_example_of_section_ii(real_data):
    examples = json.loads(real_data("cfr356_appendix_b.json").read_text())["II_price_from_yield"]
    assert len(examples) == 7
    for e in examples:
        terms = {
            "coupon_pct": e["C"],
            "maturity": e["maturity"],
            "settlement": e["issue"],
            "dated_date": e.get("original_issue", e.get("dated", e["issue"])),
            "first_coupon_date": e.get("first_coupon"),
        }
        price = price_from_yield(**terms, yield_pct=100.0 * e["yield"])
        # The printed clean price is the printed dirty price minus the printed accrued interest.
        clean = round(round(price.dirty, 6) - round(price.accrued, 6), 6)
        assert clean == e["P"], e["id"]
        assert round(price.accrued, 6) == e.get("A", 0.0), e["id"]
        assert round(price.dirty, 6) == e.get("P_plus_A", e["P"]), e["id"]
        again = yield_from_price(**terms, clean=price.clean)
        assert again.yield_pct == pytest.approx(100.0 * e["yield"], abs=1e-12)


def test_the_street_is_not_the_treasury():
    terms = {
        "coupon_pct": 9.5,
        "maturity": "1995-11-15",
        "settlement": "1985-11-29",
        "yield_pct": 9.54,
    }
    street = price_from_yield(**terms, convention="street")
    treasury = price_from_yield(**terms)
    assert street.convention == "street"
    assert treasury.convention == "treasury"
    # Example II.D: compound interest over 167 of 181 days makes it dearer by 0.77 cents.
    assert street.clean - treasury.clean == pytest.approx(7.65e-3, abs=1e-5)


GRID_MATURITY = ["2025-05-15", "2026-02-28", "2027-08-31", "2030-01-31", "2034-11-15", "2054-02-15"]
GRID_SETTLEMENT = ["2025-02-14", "2025-02-15", "2025-03-13", "2025-04-30"]


def quantlib_bond(coupon_pct, maturity):
    year, month, day = (int(part) for part in maturity.split("-"))
    end = ql.Date(day, month, year)
    schedule = ql.Schedule(
        end - ql.Period(40, ql.Years),
        end,
        ql.Period(ql.Semiannual),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        ql.Date.isEndOfMonth(end),
    )
    counter = ql.ActualActual(ql.ActualActual.ISMA, schedule)
    return ql.FixedRateBond(0, 100.0, schedule, [coupon_pct / 100.0], counter), counter


@pytest.mark.parametrize("convention", ["treasury", "street"])
def test_a_grid_of_bonds_and_dates_against_quantlib(convention):
    rows = list(
        itertools.product(
            GRID_MATURITY, [0.125, 4.25, 8.0], GRID_SETTLEMENT, [-0.5, 0.0, 4.117, 15.0]
        )
    )
    maturity, coupon, settlement, yields = zip(*rows, strict=True)
    terms = {"coupon_pct": coupon, "maturity": maturity, "settlement": settlement}
    price = price_from_yield(**terms, yield_pct=yields, convention=convention)
    back = yield_from_price(**terms, clean=price.clean, convention=convention)
    assert len(rows) == 288
    for n, (end, rate, date, y) in enumerate(rows):
        bond, counter = quantlib_bond(rate, end)
        settle = ql.Date(*(int(part) for part in reversed(date.split("-"))))
        # In the last half-year the street, too, takes simple interest.
        last = sum(flow.date() > settle for flow in bond.cashflows()) == 2
        rule = ql.SimpleThenCompounded if convention == "treasury" or last else ql.Compounded
        theirs = bond.cleanPrice(y / 100.0, counter, rule, ql.Semiannual, settle)
        assert price.clean[n] == pytest.approx(theirs, abs=1e-8), rows[n]
        assert price.accrued[n] == pytest.approx(bond.accruedAmount(settle), abs=1e-10), rows[n]
        quote = ql.BondPrice(float(price.clean[n]), ql.BondPrice.Clean)
        found = bond.bondYield(quote, counter, rule, ql.Semiannual, settle, 1e-14, 200, 0.05)
        assert back.yield_pct[n] == pytest.approx(100.0 * found, abs=1e-8), rows[n]


@pytest.mark.filterwarnings("ignore::crossmargin.RateWarning")
@given(
    coupon=st.integers(0, 96).map(lambda n: n / 8.0),
    days=st.integers(1, 40 * 365),
    rate=st.floats(-20.0, 50.0),
    convention=st.sampled_from(["treasury", "street"]),
)
@example(coupon=10.875, days=10101, rate=-7.5, convention="street")
def test_yield_undoes_price(coupon, days, rate, convention):
    terms = {
        "coupon_pct": coupon,
        "maturity": np.datetime64("2025-03-13") + np.timedelta64(days, "D"),
        "settlement": "2025-03-13",
        "convention": convention,
    }
    price = price_from_yield(yield_pct=rate, **terms)
    assert price.dirty == pytest.approx(price.clean + price.accrued, rel=1e-15)
    # A day's yield is known to fewer digits: the price hardly depends on it.
    found = yield_from_price(clean=price.clean, **terms).yield_pct
    assert found == pytest.approx(rate, abs=1e-10 * (1.0 + 365.0 / days))
    assert price_from_yield(yield_pct=rate + 0.01, **terms).dirty < price.dirty


@pytest.mark.parametrize("convention", ["treasury", "street"])
def test_a_first_step_too_far_is_made_good(convention):
    # From the coupon the first step of some of these ends near -199%, far below the yield.
    years, rate = np.meshgrid(np.arange(20, 41), np.linspace(-20.0, -2.0, 37))
    terms = {
        "coupon_pct": 10.875,
        "maturity": np.datetime64("2025-03-13") + (365 * years).astype("timedelta64[D]"),
        "settlement": "2025-03-13",
        "convention": convention,
    }
    price = price_from_yield(yield_pct=rate, **terms)
    found = yield_from_price(clean=price.clean, **terms).yield_pct
    np.testing.assert_allclose(found, rate, rtol=0.0, atol=1e-10)


@given(st.permutations(range(6)))
def test_rows_do_not_depend_on_their_neighbours(order):
    maturity = np.array(GRID_MATURITY, "datetime64[D]")
    clean = np.array([99.0, 80.0, 101.0, 40.0, 250.0, 97.5])
    arguments = {"coupon_pct": 4.0, "settlement": "2025-03-13", "convention": "street"}
    whole = yield_from_price(maturity=maturity, clean=clean, **arguments).yield_pct
    turned = yield_from_price(
        maturity=maturity[list(order)], clean=clean[list(order)], **arguments
    ).yield_pct
    assert turned.tolist() == whole[list(order)].tolist()


def test_shapes():
    one = price_from_yield(
        coupon_pct=4.0, maturity="2030-05-15", settlement="2025-03-13", yield_pct=4.0
    )
    assert isinstance(one.clean, float)
    table = price_from_yield(
        coupon_pct=np.full((2, 1), 4.0),
        maturity="2030-05-15",
        settlement="2025-03-13",
        yield_pct=[3.0, 4.0, 5.0],
    )
    assert table.clean.shape == table.accrued.shape == (2, 3)
    assert table.clean[1, 1] == one.clean
    none = price_from_yield(
        coupon_pct=np.empty(0),
        maturity=np.empty(0, "datetime64[D]"),
        settlement="2025-03-13",
        yield_pct=4.0,
    )
    assert none.clean.shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settlement": "2030-05-15"}, "settlement 2030-05-15 must lie before maturity 2030-05-15"),
        ({"coupon_pct": -0.5}, "coupon_pct -0.5 must be a number"),
        ({"coupon_pct": float("inf")}, "coupon_pct inf must be a number"),
        ({"convention": "isma"}, "unknown convention 'isma'; use 'treasury' or 'street'"),
        ({"maturity": "NaT"}, "maturity: a date is missing"),
        ({"dated_date": "2025-04-01"}, "date 2025-03-13 must lie between"),
    ],
)
def test_bad_terms_are_named(change, message):
    terms = {"coupon_pct": 4.0, "maturity": "2030-05-15", "settlement": "2025-03-13"} | change
    with pytest.raises(ValueError, match=message):
        price_from_yield(yield_pct=4.0, **terms)
    with pytest.raises(ValueError, match=message):
        yield_from_price(clean=100.0, **terms)


@pytest.mark.parametrize("bad", [float("nan"), -200.0, float("inf")])
def test_bad_yields_are_named(bad):
    with pytest.raises(ValueError, match=rf"yield_pct {bad:g} must be a number"):
        price_from_yield(
            coupon_pct=4.0, maturity="2030-05-15", settlement="2025-03-13", yield_pct=bad
        )


@pytest.mark.parametrize("bad", [float("nan"), -5.0, float("inf")])
def test_prices_without_a_yield_are_named(bad):
    with pytest.raises(ValueError, match=rf"clean {bad:g}: no yield above -199% gives this price"):
        yield_from_price(coupon_pct=4.0, maturity="2030-05-15", settlement="2025-03-13", clean=bad)
