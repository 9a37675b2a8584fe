from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.schedule import last_of_month
from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import is_business_day
from crossmargin.sample import AS_OF
from crossmargin.sample.market import EARLIEST_AS_OF, make_history
from crossmargin.sample.securities import last_matured, make_securities, securities_table
from crossmargin.sample.tradable import TREASURY_ROOTS


@pytest.fixture(scope="module")
def securities() -> Securities:
    return make_securities(2026, make_history(2026, AS_OF))


def test_outstanding_issues_follow_the_auction_calendar(securities: Securities) -> None:
    term = np.array([c[-2:] for c in securities.cusip])
    count = {t: int((term == t).sum()) for t in np.unique(term)}
    # A new issue a month for 3 and 7 years, a quarter for 10 and (since May 2020) 20 years. Some 2-
    # and 5-year issues are reopenings of older notes.
    assert (count["03"], count["07"], count["10"], count["20"]) == (36, 84, 40, 25)
    assert 20 <= count["02"] <= 24
    assert 55 <= count["05"] <= 60
    # 30 years: February and August from August 1996 to February 2001 (10) and from 2006 to 2008
    # (6), quarterly since 2009 (70).
    assert count["30"] == 86
    assert set(securities.type) == {"note", "bond", "tips", "frn", "bill", "strip", "mbs"}


def test_identifiers_are_synthetic_and_unique(securities: Securities) -> None:
    assert {len(c) for c in securities.cusip} == {9}
    assert all(c.startswith("SYN") for c in securities.cusip)
    assert np.unique(securities.cusip.astype(str)).size == securities.cusip.size
    assert securities.cusip.tolist() == sorted(securities.cusip)
    ten = np.flatnonzero(securities.cusip == "SYN360210")[0]
    assert str(securities.maturity_date[ten]) == "2036-02-15"
    # 15 February 2026 is a Sunday, the 16th a holiday.
    assert str(securities.issue_date[ten]) == "2026-02-17"


def test_dates_are_those_of_the_treasury(securities: Securities) -> None:
    assert is_business_day(securities.issue_date, "bond").all()
    assert (securities.issue_date <= AS_OF).all()
    assert (securities.maturity_date > AS_OF).all()
    day = (securities.maturity_date - securities.maturity_date.astype("datetime64[M]")).astype(int)
    at_end = securities.maturity_date == last_of_month(securities.maturity_date)
    assert (at_end | (day == 14)).all()


def test_coupons_and_prices_are_plausible(securities: Securities) -> None:
    nominal = securities.take(np.flatnonzero(securities.nominal))
    eighths = nominal.coupon * 800.0
    assert np.allclose(eighths, np.rint(eighths), atol=1e-9)
    assert nominal.coupon.min() >= 0.00125
    assert nominal.coupon.max() < 0.08
    assert ((nominal.price > 40.0) & (nominal.price < 140.0)).all()
    assert np.array_equal(nominal.price * 256.0, np.rint(nominal.price * 256.0))
    # The latest ten-year was sold at par four weeks ago.
    latest = nominal.price[nominal.cusip == "SYN360510"]
    assert abs(latest - 100.0) < 6.0
    assert np.isnan(securities.price[~securities.nominal]).all()


@pytest.mark.parametrize("root", [root for root, _ in TREASURY_ROOTS])
@pytest.mark.parametrize("as_of", [EARLIEST_AS_OF, AS_OF, np.datetime64("2031-03-13")])
def test_every_basket_in_use_has_issues(root: str, as_of: np.datetime64) -> None:
    found = make_securities(1, make_history(1, as_of))
    quarter = as_of.astype("datetime64[M]")
    step = np.timedelta64(3, "M")
    quarter = quarter - np.timedelta64(int(quarter.astype(int) + 1) % 3, "M") + step
    for month in (quarter, quarter + step):
        mask = deliverable(
            Contract(root, month),
            issue_date=found.issue_date,
            maturity_date=found.maturity_date,
            as_of=as_of,
            resold_as=found.resold_as,
            kind=found.type,
        )
        assert mask.any(), f"{root} {month}"


def test_a_repeated_coupon_and_maturity_is_a_reopening() -> None:
    history = make_history(2026, AS_OF)
    # At 4.05% for ever every coupon is 4%, so all issues of one maturity are one security.
    flat = replace(history, par_yield=np.full_like(history.par_yield, 4.05))
    found = make_securities(2026, flat)
    nominal = found.take(np.flatnonzero(found.nominal))
    recent = nominal.coupon == 0.04
    assert np.unique(nominal.maturity_date[recent]).size == recent.sum()
    # The seven-year note of May 2020 is sold again as a five-year in May 2022 (31 May is a Tuesday)
    # and as a two-year in 2025 (31 May is a Saturday).
    note = found.cusip == "SYN270507"
    assert found.resold_as[note].tolist() == ["2022-05-31:5-Year;2025-06-02:2-Year"]
    assert not (found.cusip == "SYN270505").any()


def test_prices_are_near_the_curve() -> None:
    history = make_history(2026, AS_OF)
    flat = replace(history, par_yield=np.full_like(history.par_yield, 4.0))
    found = make_securities(2026, flat)
    nominal = found.take(np.flatnonzero(found.nominal & (found.coupon == 0.04)))
    years = (nominal.maturity_date - AS_OF).astype(int) / 365.25
    # At a flat 4% a 4% note is worth par, but for simple interest within a period (below 0.02) and
    # a spread of at most 8 basis points times its duration, here no more than its years and 18.
    assert (np.abs(nominal.price - 100.0) < 0.02 + 0.08 * np.minimum(years, 18.0)).all()
    assert np.abs(nominal.price - 100.0).max() > 0.05


def test_the_last_matured_note_is_a_two_year() -> None:
    matured = last_matured(make_history(2026, AS_OF))
    assert matured.cusip.tolist() == ["SYN260502"]
    assert str(matured.maturity_date[0]) == "2026-05-31"


def test_the_table_has_nulls_for_what_is_missing(securities: Securities) -> None:
    table = securities_table(securities)
    assert table["price"].null_count == (~securities.nominal).sum()
    assert table["first_coupon_date"].null_count == len(table)
    assert 0 < len(table) - table["resold_as"].null_count < 20
    assert table["coupon_pct"][0].as_py() == pytest.approx(securities.coupon[0] * 100.0)
