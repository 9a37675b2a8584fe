"""Coupon dates and accrued interest against 31 CFR 356 Appendix B, sections I.A and I.D."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.schedule import (
    accrued_interest,
    as_dates,
    coupon_amounts,
    coupon_dates,
    coupon_period,
    dated_dates,
    half_years,
)

dates = st.dates(np.datetime64("1980-01-01").item(), np.datetime64("2060-12-31").item())


def text(array):
    return np.asarray(array).astype(str).tolist()


@pytest.fixture
def appendix(real_data):
    return json.loads(real_data("cfr356_appendix_b.json").read_text())


def test_half_year_days_of_table_1(appendix):
    table = {k: v for k, v in appendix["Table1_half_year_days"].items() if k != "note"}
    assert len(table) == 12
    months = [period.split("-")[0] for period in table]
    assert months[:2] == ["Jan", "Feb"]
    day = np.timedelta64(1, "D")
    for period, expected in table.items():
        end = months.index(period.split("-")[1])
        days = []
        for day_15 in (True, False):
            # Half-years that end in 2023 and 2024: regular and leap.
            for year in ("2023", "2024"):
                month = np.datetime64(year, "M") + np.timedelta64(end, "M")
                last = (month + np.timedelta64(1, "M")).astype("datetime64[D]") - day
                maturity = month.astype("datetime64[D]") + 14 * day if day_15 else last
                previous, following = coupon_period(maturity, maturity - day)
                assert following == maturity
                days.append(int((following - previous).astype(np.int64)))
        assert days == expected, period


def test_first_payments_of_section_i_a(appendix):
    examples = [e for e in appendix["I_interest_and_accrued"] if "first_payment" in e]
    assert len(examples) == 2
    for e in examples:
        # The maturity is not told; any on the same half-yearly dates will do.
        maturity = np.datetime64(e["first_payment"].replace("199", "200", 1))
        _, date, amount = coupon_amounts(
            e["coupon_pct"] / 100.0,
            maturity,
            e["issue"],
            dated_date=e["issue"],
            first_coupon_date=e["first_payment"],
        )
        assert str(date[0]) == e["first_payment"]
        assert amount[1] == pytest.approx(e["coupon_pct"] / 2.0, abs=1e-12)
        # The regulation rounds the interest of a day of the partial half-year to nine decimals.
        days = e.get("days", e.get("days_fraction"))
        full = 0.0 if "days" in e else 5.0 * e["coupon_pct"]
        daily = round((10.0 * amount[0] - full) / days, 9)
        assert daily == e["daily_decimal_per_1000"]
        assert round(full + days * daily, 9) == e["payment_per_1000"]
        assert 10.0 * amount[0] == pytest.approx(e["payment_per_1000"], abs=days * 5e-10)


def test_accrued_interest_of_section_i_d(appendix):
    maturity = {"I.D one half-year": "2010-11-15", "I.D two half-years": "2005-08-15"}
    seen = 0
    for example in appendix["I_interest_and_accrued"]:
        if example["id"] not in maturity:
            continue
        seen += 1
        accrued = accrued_interest(
            example["coupon_pct"] / 100.0,
            maturity[example["id"]],
            example["to"],
            dated_date=example["from"],
            first_coupon_date="2000-11-15" if "one" in example["id"] else "1986-02-15",
        )
        assert 10.0 * accrued == pytest.approx(example["accrued_per_1000"], abs=5.1e-6)
    assert seen == 2


def test_dates_of_a_month_end_maturity_are_month_ends():
    ptr, date = coupon_dates("2025-08-31", "2023-08-31")
    assert text(date) == ["2024-02-29", "2024-08-31", "2025-02-28", "2025-08-31"]
    assert text(ptr) == ["0", "4"]
    # 30 June is a month's end, so the other date is 31 December.
    assert text(coupon_dates("2026-06-30", "2025-06-30")[1]) == ["2025-12-31", "2026-06-30"]
    # 28 February 2028 is none: 2028 is a leap year.
    assert text(coupon_dates("2028-02-28", "2027-02-28")[1]) == ["2027-08-28", "2028-02-28"]


def test_dates_are_open_at_after_and_closed_at_upto():
    ptr, date = coupon_dates(
        ["2026-02-15", "2024-02-15", "2026-05-15"], "2025-02-15", upto="2025-11-15"
    )
    assert text(ptr) == ["0", "1", "1", "3"]
    assert text(date) == ["2025-08-15", "2025-05-15", "2025-11-15"]


def test_amounts_leave_out_dates_before_a_late_first_coupon():
    # Dated 1990-03-01 with first coupon 1990-11-15: 75 of 181 days, and a full half-year.
    ptr, date, amount = coupon_amounts(
        [0.085, 0.085],
        ["1995-05-15", "1995-05-15"],
        "1990-03-01",
        dated_date=np.array(["1990-03-01", "NaT"], "datetime64[D]"),
        first_coupon_date=np.array(["1990-11-15", "NaT"], "datetime64[D]"),
    )
    assert text(ptr) == ["0", "10", "21"]
    assert text(date[[0, 10]]) == ["1990-11-15", "1990-05-15"]
    assert amount[0] == pytest.approx(4.25 * (1 + 75 / 181), abs=1e-12)
    assert amount[[1, 9, 10, 20]].tolist() == [4.25, 104.25, 4.25, 104.25]


def test_dated_dates_of_real_auctions(real_data):
    with real_data("auction_prices.csv").open() as file:
        rows = list(csv.DictReader(file))
    ours = dated_dates([r["issue_date"] for r in rows], [r["maturity_date"] for r in rows])
    assert text(ours) == [r["dated_date"] for r in rows]
    assert sum(r["dated_date"] != r["issue_date"] for r in rows) >= 8


@given(maturity=dates, date=dates)
def test_period_holds_the_date_and_dates_step_by_it(maturity, date):
    previous, following = coupon_period(maturity, date)
    assert previous <= np.datetime64(date) < following
    assert 181 <= (following - previous).astype(int) <= 184
    ptr, own = coupon_dates(maturity, date)
    if np.datetime64(date) < np.datetime64(maturity):
        assert own[0] == following
        assert own[-1] == np.datetime64(maturity)
        back = [coupon_period(maturity, d)[0] for d in own]
        assert text(back) == text(own)
    else:
        assert ptr[-1] == 0


@given(maturity=dates, three=st.tuples(dates, dates, dates))
def test_half_years_add_up(maturity, three):
    a, b, c = sorted(three)
    parts = half_years(maturity, a, b) + half_years(maturity, b, c)
    assert parts == pytest.approx(half_years(maturity, a, c), abs=1e-12)


@given(maturity=dates, date=dates)
def test_accrued_is_zero_on_coupon_dates_and_below_a_coupon(maturity, date):
    date = min(maturity, date)
    accrued = accrued_interest(0.05, maturity, date)
    assert 0.0 <= accrued < 2.5
    previous, _ = coupon_period(maturity, date)
    assert (accrued == 0.0) == (previous == np.datetime64(date))


@pytest.mark.parametrize(
    ("dated", "first", "message"),
    [
        (None, "2025-05-15", "needs a dated_date"),
        ("2025-01-10", "2025-05-14", "2025-05-14 must be a semi-annual date"),
        ("2025-06-10", "2025-05-15", "after dated_date 2025-06-10"),
    ],
)
def test_a_first_period_that_cannot_be_is_refused(dated, first, message):
    with pytest.raises(ValueError, match=message):
        accrued_interest(
            0.04, "2030-05-15", "2025-06-10", dated_date=dated, first_coupon_date=first
        )


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"date 2031-01-01 must lie between .* 2030-05-15"):
        accrued_interest(0.04, "2030-05-15", "2031-01-01")
    with pytest.raises(ValueError, match="maturity: 20300515 is not a date"):
        coupon_dates(20300515, "2025-01-01")
    with pytest.raises(ValueError, match="maturity: a date is missing"):
        coupon_dates(np.array(["NaT"], "datetime64[D]"), "2025-01-01")
    with pytest.raises(ValueError, match="give ISO text such as 2031-12-31"):
        as_dates("13/02/2025", "settlement")
