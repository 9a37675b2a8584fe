"""Conversion factors against published ones."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.conversion import conversion_factor, conversion_factors


def test_every_published_factor(real_data):
    with real_data("conversion_factors.csv").open() as file:
        rows = list(csv.DictReader(file))
    factors = conversion_factor(
        root=[r["product"] for r in rows],
        delivery_month=[r["delivery_month"] for r in rows],
        coupon_pct=[float(r["coupon_pct"]) for r in rows],
        maturity=[r["maturity_date"] for r in rows],
    )
    assert factors.tolist() == [float(r["conversion_factor"]) for r in rows]
    assert len(rows) == 204


# The exchange's own worked examples; last column: the factor.
@pytest.mark.parametrize(
    ("root", "delivery", "coupon", "maturity", "factor"),
    [
        ("ZT", "2008-12", 1.5, "2010-10-31", 0.9229),
        ("Z3N", "2009-03", 1.125, "2012-01-15", 0.8747),
        ("ZF", "2008-12", 2.75, "2013-10-31", 0.8653),
        # Unrounded 0.8356505.
        ("ZN", "2008-12", 3.75, "2018-11-15", 0.8357),
        ("ZB", "2008-12", 4.5, "2038-05-15", 0.7943),
    ],
)
def test_examples_of_the_exchange(root, delivery, coupon, maturity, factor):
    value = conversion_factor(
        root=root, delivery_month=delivery, coupon_pct=coupon, maturity=maturity
    )
    assert isinstance(value, float)
    assert value == factor


def test_examples_of_a_toolbox():
    # Published with a well-known toolbox's convfactor: quarters.
    rows = [
        ("2002-12", "2012-11-15", 4.0, 0.8539),
        ("2003-03", "2012-08-15", 4.375, 0.8858),
        ("2003-06", "2012-02-15", 4.875, 0.9259),
        ("2003-09", "2011-02-15", 5.0, 0.9418),
        ("2003-12", "2011-08-15", 5.0, 0.9403),
        ("2003-09", "2010-08-15", 5.75, 0.9862),
        ("2002-12", "2009-08-15", 6.0, 1.0),
        ("2003-06", "2010-02-15", 6.5, 1.0266),
    ]
    month, maturity, coupon, expected = zip(*rows, strict=True)
    factors = conversion_factor(
        root="ZN", delivery_month=month, coupon_pct=coupon, maturity=maturity
    )
    assert factors.tolist() == list(expected)


@given(
    root=st.sampled_from(["ZT", "ZF", "ZN", "UB"]),
    coupon=st.integers(0, 80).map(lambda n: n / 8.0),
    months=st.integers(1, 360),
)
def test_the_factor_is_a_price_at_six_percent(root, coupon, months):
    contract = Contract(root, np.datetime64("2025-06"))
    maturity = np.datetime64("2025-06") + np.timedelta64(months, "M")
    low, factor, high = conversion_factors(
        contract, [coupon / 100.0, coupon / 100.0, coupon / 100.0 + 0.00125], maturity
    )[[0, 1, 2]]
    assert low == factor <= high
    # At 6% it is worth its face, up to the simple accrued interest.
    assert abs(conversion_factors(contract, 0.06, maturity) - 1.0) <= 0.0004
    assert (factor < 1.0) == (coupon < 6.0) or abs(factor - 1.0) <= 0.0005


def test_coupons_are_taken_to_the_nearest_eighth_ties_up():
    def factor(coupon):
        return conversion_factor(
            root="UB", delivery_month="2025-06", coupon_pct=coupon, maturity="2054-08-15"
        )

    assert factor(4.0625) == factor(4.125) > factor(4.06) == factor(4.0)
    assert factor(4.1875) == factor(4.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"root": "SR3"}, "SR3M25 is not a Treasury future"),
        ({"root": "TY"}, "unknown contract root 'TY'"),
        ({"delivery_month": "2025-05"}, "ZN has no contract of 2025-05"),
        ({"delivery_month": "1999-12"}, "the first is 2000-03"),
        ({"coupon_pct": -1.0}, r"coupon -1% must be a number, 0 or more"),
        ({"coupon_pct": float("nan")}, "coupon nan% must be a number"),
        ({"maturity": "2025-05-31"}, "maturity 2025-05-31 lies before ZNM25"),
        ({"maturity": "soon"}, "maturity: "),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "root": "ZN",
        "delivery_month": "2025-06",
        "coupon_pct": 4.5,
        "maturity": "2031-12-31",
    }
    with pytest.raises(ValueError, match=message):
        conversion_factor(**arguments | change)
