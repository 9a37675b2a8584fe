"""Percent or decimal, by the grid of coupons and by the market's own rates."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.market.rates import decimal_coupons, decimal_message, far_below, off_grid

NOTE = {"coupon_pct": 4.5, "maturity": "2031-12-31"}
PRICED = NOTE | {"settlement": "2025-03-14"}


def test_coupons_on_the_grid() -> None:
    real = np.array([0.0, 0.125, 0.25, 0.5, 4.625, 15.75])
    assert not off_grid(real).any()
    assert not decimal_coupons(real).any()
    # The step from decimals to percent leaves a small error.
    assert not off_grid(np.arange(1, 200) * 0.00125 * 100.0).any()


def test_coupons_off_the_grid() -> None:
    wrong = np.array([0.00125, 0.04625, 0.3, 0.31, 4.62])
    assert off_grid(wrong).all()
    assert decimal_coupons(wrong).tolist() == [True, True, True, False, False]
    assert decimal_message(0.04625) == (
        "0.04625 is not a multiple of 1/8 percent; it looks like the decimal of 4.625: give that"
    )
    assert decimal_message(4.6) == "4.6 is not a multiple of 1/8 percent"


@pytest.mark.parametrize(
    ("coupon", "meant"),
    [
        (4.63, "a rounded 4.625"),
        (2.38, "a rounded 2.375"),
        (0.38, "a rounded 0.375"),
        (0.13, "a rounded 0.125 or the decimal of 13"),
        (0.12, "a rounded 0.125 or the decimal of 12"),
        # What is left of nothing is not named.
        (0.00125, "the decimal of 0.125"),
    ],
)
def test_a_coupon_off_the_grid_is_named_for_what_it_may_be(coupon: float, meant: str) -> None:
    assert decimal_message(coupon) == (
        f"{coupon} is not a multiple of 1/8 percent; it looks like {meant}: give that"
    )


def test_every_coupon_as_a_decimal_is_found() -> None:
    # 12.5% as a decimal, 0.125, is a coupon too.
    percent = np.arange(1, 100) / 8.0
    assert decimal_coupons(percent / 100.0).all()


def test_every_real_coupon_is_on_the_grid(real_data: Callable[[str], Path]) -> None:
    for name, rows in (("fixed_coupon_master.csv", 416), ("auction_prices.csv", 78)):
        with real_data(name).open() as file:
            coupon = np.array([float(row["coupon_pct"]) for row in csv.DictReader(file)])
        assert coupon.size == rows
        assert not off_grid(coupon).any()


def test_a_low_rate_is_right_where_the_market_is_low() -> None:
    rate = np.array([0.05, 0.05, 0.0433, -0.01, 0.0, np.nan, 0.3])
    market = np.array([0.04, np.nan, 4.3, 4.3, 4.3, 4.3, 4.3])
    assert far_below(rate, market).tolist() == [False, False, True, True, True, False, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda c: xm.conversion_factor(root="ZN", delivery_month="2025-06", **NOTE | c),
        lambda c: xm.price_from_yield(**PRICED | c, yield_pct=4.2),
        lambda c: xm.yield_from_price(**PRICED | c, clean=101.0),
        lambda c: xm.deliverable_basket(
            root="ZN",
            delivery_month="2025-06",
            as_of="2025-03-13",
            securities=pa.table(
                {
                    "cusip": ["A"],
                    "issue_date": ["2024-12-31"],
                    "maturity_date": ["2031-12-31"],
                }
                | {name: [value] for name, value in c.items()}
            ),
        ),
    ],
)
def test_a_coupon_like_a_decimal_is_refused_by_name(call: Callable[[Any], Any]) -> None:
    message = (
        "coupon_pct 0.0425 is not a multiple of 1/8 percent; it looks like the decimal of 4.25"
    )
    with pytest.raises(ValueError, match=message):
        call({"coupon_pct": 0.0425})
    for coupon in (4.25, 0.125):
        call({"coupon_pct": coupon})


def test_a_floater_is_on_no_grid() -> None:
    securities = pa.table(
        {
            "cusip": ["A", "B"],
            "coupon_pct": [4.5, 0.182],
            "issue_date": ["2024-12-31", "2025-01-31"],
            "maturity_date": ["2031-12-31", "2027-01-31"],
            "type": ["note", "frn"],
        }
    )
    basket = xm.deliverable_basket(
        root="ZN", delivery_month="2025-06", as_of="2025-03-13", securities=securities
    )
    assert basket["cusip"].to_pylist() == ["A"]


def test_a_yield_like_a_decimal_gets_a_warning() -> None:
    with pytest.warns(xm.RateWarning, match="yield_pct 0.042 looks like a decimal .* of 4.5%"):
        xm.price_from_yield(**PRICED, yield_pct=0.042)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A two-year note of 2021, and no yield at all.
        xm.price_from_yield(
            coupon_pct=0.125, maturity="2023-01-31", settlement="2021-02-01", yield_pct=0.11
        )
        xm.price_from_yield(**PRICED, yield_pct=0.0)
