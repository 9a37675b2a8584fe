"""Securities: what they are, what they pay and the spread at which the market prices them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin.instruments.securities import accrued, cash_flows, default_type
from crossmargin.market.curve import POINTS, Curve

AS_OF = np.datetime64("2025-03-13")
CURVE = Curve(AS_OF, -(0.03 + 0.0005 * POINTS) * POINTS)


def dates(*texts):
    return np.array(texts, "datetime64[D]")


def bond(issue, maturity, **fields):
    return {"issue_date": issue, "maturity_date": maturity, **fields}


def paid(flows, number=0):
    own = slice(flows.ptr[number], flows.ptr[number + 1])
    date = np.datetime_as_string(flows.date[own]).tolist()
    return dict(zip(date, flows.amount[own].tolist(), strict=True))


@pytest.mark.parametrize(
    ("issue", "maturity", "kind"),
    [
        ("2025-03-13", "2025-09-11", "bill"),
        ("2025-03-13", "2026-03-12", "bill"),  # 52 weeks
        ("2024-02-29", "2025-02-28", "bill"),
        ("2025-03-31", "2027-03-31", "note"),
        ("2025-02-18", "2035-02-15", "note"),  # issue moved past a holiday, maturity not
        ("2025-02-15", "2035-02-15", "note"),
        ("2025-02-28", "2035-03-07", "note"),
        ("2025-02-28", "2035-03-08", "bond"),
        ("2025-02-18", "2045-02-15", "bond"),
        ("2025-02-18", "2055-02-15", "bond"),
    ],
)
def test_default_type_is_that_of_the_original_term(issue, maturity, kind):
    assert default_type(dates(issue), dates(maturity)).tolist() == [kind]


def test_nominal_are_notes_and_bonds(make_securities):
    kinds = ["note", "bond", "tips", "frn", "bill", "strip", "mbs"]
    found = make_securities(*(bond("2024-03-15", "2027-03-15", type=kind) for kind in kinds))
    assert found.nominal.tolist() == [True, True] + [False] * 5
    assert found.take(np.array([4, 0])).type.tolist() == ["bill", "note"]


def test_a_regular_note_by_hand(make_securities):
    found = make_securities(
        bond("2023-08-31", "2025-08-31", coupon=0.05), bond("2023-03-13", "2026-03-13", coupon=0.02)
    )
    flows = cash_flows(found, CURVE)
    # Month ends are kept, and a flow on the as-of date is out.
    assert paid(flows) == {"2025-08-31": 102.5}
    assert paid(flows, 1) == {"2025-09-13": 1.0, "2026-03-13": 101.0}
    assert flows.time[0] == 171 / 365.25
    assert flows.spread.tolist() == [0.0, 0.0]
    # 2025-02-28 to 2025-08-31 are 184 days, 13 of them gone; on a coupon date nothing accrues.
    np.testing.assert_allclose(accrued(found, AS_OF), [2.5 * 13 / 184, 0.0], rtol=1e-15)


def test_a_short_and_a_long_first_coupon_by_hand(make_securities):
    # 6% to 15 May 2030, interest from 1 March 2025: 75 of the 181 days to 15 May.
    short = bond("2025-03-01", "2030-05-15", coupon=0.06, first_coupon_date="2025-05-15")
    long = bond("2025-03-01", "2030-05-15", coupon=0.06, first_coupon_date="2025-11-15")
    flows = cash_flows(make_securities(short, long), CURVE)
    assert paid(flows)["2025-05-15"] == pytest.approx(3 * 75 / 181, rel=1e-15)
    assert paid(flows)["2025-11-15"] == 3.0
    assert "2025-05-15" not in paid(flows, 1)
    assert paid(flows, 1)["2025-11-15"] == pytest.approx(3 * (1 + 75 / 181), rel=1e-15)
    assert paid(flows, 1)["2026-05-15"] == 3.0
    interest = accrued(make_securities(short, long), np.datetime64("2025-05-14"))
    np.testing.assert_allclose(interest, [3 * 74 / 181] * 2, rtol=1e-15)
    interest = accrued(make_securities(short, long), np.datetime64("2025-05-15"))
    np.testing.assert_allclose(interest, [0.0, 3 * 75 / 181], rtol=1e-15)


def test_a_regular_first_coupon_changes_nothing(make_securities):
    # 15 February 2025 is a Saturday and the 17th a holiday: interest runs from the 15th.
    told = bond("2025-02-18", "2035-02-15", coupon=0.04625, first_coupon_date="2025-08-15")
    flows = cash_flows(
        make_securities(told, bond("2025-02-18", "2035-02-15", coupon=0.04625)), CURVE
    )
    assert paid(flows) == paid(flows, 1)
    assert paid(flows)["2025-08-15"] == 2.3125


@pytest.mark.parametrize("first", ["NaT", "2025-09-30"])
def test_an_issue_to_come_pays_nothing_before_its_interest_starts(make_securities, first):
    # Issued 31 March: the semi-annual date of that day is none of its coupons.
    note = bond("2025-03-31", "2027-03-31", coupon=0.04, first_coupon_date=first, price=99.5)
    found = make_securities(note)
    flows = cash_flows(found, CURVE)
    assert list(paid(flows)) == ["2025-09-30", "2026-03-31", "2026-09-30", "2027-03-31"]
    assert accrued(found, AS_OF).tolist() == [0.0]
    value = flows.amount * CURVE.discount_factor(flows.time) * np.exp(-flows.spread[0] * flows.time)
    assert value.sum() == pytest.approx(99.5, abs=1e-12)


def test_an_issue_dated_back_pays_nothing_on_the_date_it_is_dated(make_securities):
    # Issued Monday 17 March with interest from Saturday the 15th, which is no coupon.
    flows = cash_flows(make_securities(bond("2025-03-17", "2028-03-15")), CURVE)
    assert next(iter(paid(flows))) == "2025-09-15"


@given(
    st.floats(70.0, 140.0),
    st.floats(0.0, 0.09),
    st.sampled_from(["2025-03-31", "2026-11-15", "2030-05-31", "2044-08-15", "2054-11-15"]),
)
@example(106.0, 0.078125, "2025-03-31")
def test_the_spread_meets_the_price(make_securities, price, coupon, maturity):
    found = make_securities(bond("2015-02-15", maturity, coupon=coupon, price=price))
    flows = cash_flows(found, CURVE)
    spread = float(flows.spread[0])
    if np.isnan(spread):
        # Only the note of 18 days needs more than 100% to be worth so little or so much.
        assert maturity == "2025-03-31"
        dirty = price + accrued(found, AS_OF)[0]
        assert abs(np.log(dirty / (100 + 50 * coupon))) / flows.time[0] > 0.9
        return
    value = flows.amount * CURVE.discount_factor(flows.time) * np.exp(-spread * flows.time)
    assert value.sum() == pytest.approx(price + accrued(found, AS_OF)[0], abs=1e-11)


def test_the_spread_of_a_zero_coupon_by_hand(make_securities):
    # 100 in two years: at a price of 90 the spread is ln(100/90)/t less the zero rate.
    found = make_securities(bond("2017-03-13", "2027-03-13", coupon=0.0, price=90.0))
    flows = cash_flows(found, CURVE)
    time, rate = flows.time[-1], -np.log(CURVE.discount_factor(flows.time[-1])) / flows.time[-1]
    assert flows.spread[0] == pytest.approx(np.log(100 / 90) / time - rate, abs=1e-14)


def test_a_spread_does_not_depend_on_the_other_securities(make_securities):
    rng = np.random.default_rng(5)
    rows = [
        bond("2015-02-15", str(AS_OF + np.timedelta64(days, "D")), coupon=c, price=p)
        for days, c, p in zip(
            rng.integers(3, 10000, 40),
            rng.uniform(0, 0.07, 40),
            rng.uniform(90, 110, 40),
            strict=True,
        )
    ]
    rows[7]["price"] = np.nan
    rows[9]["price"] = 1.0
    together = cash_flows(make_securities(*rows), CURVE).spread
    alone = [float(cash_flows(make_securities(row), CURVE).spread[0]) for row in rows]
    assert np.array_equal(together, alone, equal_nan=True)
    assert together[7] == 0.0


@pytest.mark.parametrize("price", [1e-3, 5000.0])
def test_a_price_no_spread_meets(make_securities, price):
    found = make_securities(bond("2023-09-30", "2025-09-30", price=price))
    assert np.isnan(cash_flows(found, CURVE).spread).all()


def test_no_securities_have_no_flows(make_securities):
    flows = cash_flows(make_securities(), CURVE)
    assert flows.ptr.tolist() == [0]
    assert flows.spread.size == flows.time.size == 0
