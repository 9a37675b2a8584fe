"""Calendars against the official yields and two libraries that made them apart."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  (its usual name)
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.market.calendars import (
    add_business_days,
    business_days_between,
    holidays,
    is_business_day,
)


def days(first, last):
    return np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))


def test_bond_calendar_is_open_exactly_when_the_treasury_published_yields(real_data):
    with gzip.open(real_data("us_treasury_par_yields.csv.gz"), "rt") as file:
        rows = [r["date"] for r in csv.DictReader(file) if r["10y"]]
    published = np.array(rows, "datetime64[D]")
    span = days(published.min(), published.max())
    open_days = span[is_business_day(span, "bond")]
    assert np.setxor1d(open_days, published).tolist() == []


def test_bond_calendar_equals_quantlib_but_for_closes_it_leaves_out():
    theirs = ql.UnitedStates(ql.UnitedStates.GovernmentBond).businessDayList(
        ql.Date(1, 1, 1990), ql.Date(31, 12, 2100)
    )
    span = days("1990-01-01", "2100-12-31")
    ours = span[is_business_day(span, "bond")]
    difference = np.setxor1d(ours, np.array([d.ISO() for d in theirs], "datetime64[D]"))
    assert difference.astype(str).tolist() == ["1994-04-27", "2001-09-11", "2001-09-12"]


def test_sofr_calendar_has_exactly_the_days_of_which_a_rate_was_published(real_data):
    with real_data("sofr.csv").open() as file:
        rows = [(r["observation_date"], r["SOFR"] != "") for r in csv.DictReader(file)]
    date, published = zip(*rows, strict=True)
    date = np.array(date, "datetime64[D]")
    assert (date[0], date[-1]) == (np.datetime64("2018-04-03"), np.datetime64("2026-07-30"))
    span = days(date[0], date[-1])
    open_days = span[is_business_day(span, "sofr")]
    assert np.setxor1d(open_days, date[np.array(published)]).tolist() == []
    # Good Fridays on which the bond market opens for the employment report.
    extra = np.setdiff1d(span[is_business_day(span, "bond")], open_days)
    assert extra.astype(str).tolist() == ["2021-04-02", "2023-04-07", "2026-04-03"]


@pytest.mark.parametrize(
    ("calendar", "market", "left_out"),
    [
        ("sofr", ql.UnitedStates.SOFR, ["1994-04-27", "2001-09-11", "2001-09-12"]),
        ("effr", ql.UnitedStates.FederalReserve, []),
    ],
)
def test_calendars_of_overnight_rates_equal_quantlibs(calendar, market, left_out):
    theirs = ql.UnitedStates(market).businessDayList(ql.Date(1, 1, 1990), ql.Date(31, 12, 2100))
    span = days("1990-01-01", "2100-12-31")
    ours = span[is_business_day(span, calendar)]
    difference = np.setxor1d(ours, np.array([d.ISO() for d in theirs], "datetime64[D]"))
    assert difference.astype(str).tolist() == left_out


def test_banks_are_open_before_a_holiday_on_a_saturday():
    # Independence Day 2020: the New York Fed published EFFR on the Friday, and no SOFR.
    assert is_business_day("2020-07-03", "effr")
    assert not is_business_day("2020-07-03", "sofr")


@pytest.mark.filterwarnings("ignore")
def test_cme_calendar_agrees_with_pandas_market_calendars():
    import pandas_market_calendars as mcal

    span = days("1998-01-01", "2027-12-31")
    ours = span[is_business_day(span, "cme")]

    def open_days(name):
        index = mcal.get_calendar(name).valid_days("1998-01-01", "2027-12-31")
        return index.tz_localize(None).to_numpy().astype("datetime64[D]")

    # Full closes of the rates floor: ours too, but for three days of mourning on which futures
    # closed early and settled.
    floor = open_days("CME_Rate")
    early_closes = ["2007-01-02", "2018-12-05", "2025-01-09"]
    assert np.setdiff1d(ours, floor).astype(str).tolist() == early_closes
    # Whole holidays as another CME market keeps them; Good Fridays with an employment report are
    # open for interest rates only.
    grains = open_days("CME_Agriculture")
    extra = np.setdiff1d(ours, grains).astype(str).tolist()
    good_fridays = ["1999-04-02", "2007-04-06", "2010-04-02", "2012-04-06", "2015-04-03"]
    good_fridays += ["2021-04-02", "2023-04-07", "2026-04-03"]
    assert extra == sorted(early_closes + good_fridays)
    assert np.setdiff1d(grains, ours).astype(str).tolist() == ["2001-09-11", "2001-09-12"]


def test_cme_is_open_on_columbus_and_veterans_day():
    assert is_business_day(["2024-10-14", "2024-11-11"], "cme").tolist() == [True, True]
    assert is_business_day(["2024-10-14", "2024-11-11"], "bond").tolist() == [False, False]


def test_add_business_days_counts_from_the_date_whether_open_or_not():
    # 2025-03-14 is a Friday.
    dates = ["2025-03-14", "2025-03-15", "2025-03-16", "2025-03-17"]
    after = ["2025-03-17", "2025-03-17", "2025-03-17", "2025-03-18"]
    before = ["2025-03-13", "2025-03-14", "2025-03-14", "2025-03-14"]
    same = ["2025-03-14", "2025-03-17", "2025-03-17", "2025-03-17"]
    for n, expected in ((1, after), (-1, before), (0, same)):
        assert add_business_days(dates, n, "bond").astype(str).tolist() == expected
    # Over Thanksgiving 2025-11-27.
    assert str(add_business_days("2025-11-26", 1, "cme")) == "2025-11-28"


@given(
    start=st.dates(np.datetime64("1990-01-01").item(), np.datetime64("2050-01-01").item()),
    n=st.integers(-300, 300),
    calendar=st.sampled_from(["bond", "cme"]),
)
def test_between_undoes_add(start, n, calendar):
    moved = add_business_days(start, n, calendar)
    assert is_business_day(moved, calendar)
    opened = add_business_days(start, 0, calendar)
    assert business_days_between(opened, add_business_days(opened, n, calendar), calendar) == n
    if n > 0:
        assert business_days_between(start, moved, calendar) == n


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"2101-01-03 is outside the calendars"):
        add_business_days("2101-01-03", 1, "bond")
    with pytest.raises(ValueError, match=r"NaT is outside"):
        is_business_day("NaT", "bond")
    with pytest.raises(ValueError, match=r"'nyse'; use one of bond, cme, sofr, effr"):
        is_business_day("2025-01-02", "nyse")


def test_holidays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        holidays("bond")[0] = np.datetime64("2025-01-01")
