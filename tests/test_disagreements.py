"""Our side of docs/disagreements.md, where no test beside a module holds it already."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin import exact
from crossmargin.engine import Book, Cube, tails
from crossmargin.instruments.conversion import conversion_factor
from crossmargin.instruments.schedule import accrued_interest, coupon_dates
from crossmargin.instruments.treasury import price_from_yield
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.tables import read_table
from crossmargin.market.calendars import is_business_day

ROOT = Path(__file__).parents[1]
JOBS_FRIDAYS = ["1996-04-05", "1999-04-02", "2007-04-06", "2010-04-02", "2012-04-06"]
JOBS_FRIDAYS += ["2015-04-03", "2021-04-02", "2023-04-07", "2026-04-03"]


def test_every_test_and_finding_that_the_page_names_is_there():
    page = (ROOT / "docs/disagreements.md").read_text("utf-8")
    named = re.findall(r"(tests/[a-z_0-9/]+\.py)(?:::(\w+))?", page)
    assert len(named) > 20
    for file, function in named:
        assert f"def {function}" in (ROOT / file).read_text("utf-8")
    findings = {path.stem for path in (ROOT / "findings").glob("*.sh")}
    assert findings <= set(re.findall(r"[a-z0-9-]+", page))


def test_good_fridays_with_a_jobs_report_are_open_and_others_are_not():
    for calendar in ("bond", "cme"):
        assert is_business_day(JOBS_FRIDAYS, calendar).all()
        assert not is_business_day(["2022-04-15", "2024-03-29", "2025-04-18"], calendar).any()


def test_closes_of_bonds_are_not_those_of_stocks_or_futures():
    once = ["2004-06-11", "2012-10-30", "2018-12-05"]
    assert is_business_day(once, "bond").tolist() == [False, False, False]
    assert is_business_day(once, "cme").tolist() == [False, True, True]
    # Stocks were shut, for the second hurricane day and two presidents.
    for calendar in ("bond", "cme"):
        assert is_business_day(["2012-10-29", "2007-01-02", "2025-01-09"], calendar).all()


def test_a_holiday_on_a_saturday_does_not_close_the_friday_unless_the_market_says_so():
    # New Year 2022, Veterans Day 2017 and 2023; Juneteenth of 2021 was law a day before.
    open_days = ["2021-12-31", "2022-01-03", "2017-11-10", "2023-11-10", "2021-06-18"]
    assert is_business_day(open_days, "bond").all()
    # Independence Day 2020 and 2026, Christmas 2021.
    assert not is_business_day(["2020-07-03", "2026-07-03", "2021-12-24"], "bond").any()


def test_a_year_end_is_open_and_the_monday_after_a_sunday_holiday_is_not():
    for calendar in ("bond", "cme"):
        assert is_business_day(["2020-12-31", "2021-12-31", "2019-06-19"], calendar).all()
        assert not is_business_day(["2022-12-26", "2023-01-02"], calendar).any()


@pytest.mark.parametrize(
    ("scenarios", "level", "worst"),
    # The tail of the third and the fourth has a size that is not exact in binary.
    [(500, 0.99, 5), (250, 0.99, 3), (100, 0.93, 7), (100, 0.45, 55)],
)
def test_var_is_the_kth_worst_loss_of_either_side(scenarios, level, worst):
    # Long and short of one instrument, whose P&L are -S .. -1 and then 1 .. S.
    book = Book.from_arrays(np.array([0, 1, 2]), np.array([0, 0]), np.array([1, -1]))
    ladder = np.arange(1.0, scenarios + 1)
    var = [
        tails(book, Cube([sign * ladder]), level=level).var[account]
        for account, sign in ((0, -1.0), (1, 1.0))
    ]
    assert var == [scenarios + 1 - worst] * 2


def test_a_month_end_is_a_whole_month_in_a_conversion_factor():
    # CBOT's formula by hand: 6 years and 8 months, cut to 6 years and 2 quarters.
    factors = conversion_factor(
        root="ZN",
        delivery_month="2026-03",
        coupon_pct=4.0,
        maturity=["2032-11-15", "2032-11-30"],
    )
    assert factors.tolist() == [0.8937, 0.8937]


def test_a_long_first_period_bears_simple_interest_in_its_fraction_only():
    # 31 CFR 356 Appendix B, example II.C.
    price = price_from_yield(
        coupon_pct=8.5,
        maturity="1995-05-15",
        settlement="1990-03-01",
        yield_pct=8.53,
        dated_date="1990-03-01",
        first_coupon_date="1990-11-15",
    )
    assert price.clean == pytest.approx(99.805118, abs=5.1e-7)


def test_interest_of_a_short_first_period_counts_the_whole_half_year():
    # 31 CFR 356 Appendix B, example II.F.
    accrued = accrued_interest(0.105, "1991-05-15", "1983-08-15", dated_date="1983-05-16")
    assert accrued == pytest.approx(2.596467, abs=5.1e-7)


def test_month_ends_stay_month_ends():
    _, dates = coupon_dates("2027-02-28", "2025-02-28")
    assert dates.astype(str).tolist() == ["2025-08-31", "2026-02-28", "2026-08-31", "2027-02-28"]
    # 31 days of 184.
    accrued = accrued_interest(0.04625, "2027-02-28", "2025-03-31")
    assert accrued == pytest.approx(100 * 0.04625 / 2 * 31 / 184, rel=1e-14)


@pytest.mark.parametrize("amount", [0.125, 0.145, 1.005, 2.675, 0.5, 1234567.885])
def test_cents_are_those_of_the_number_itself(amount):
    right = Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert exact.cents([amount]).tolist() == [int(right * 100)]


@pytest.mark.parametrize("text", ["9128273E0", "001467", "00123E45"])
def test_an_identifier_of_digits_stays_text_where_it_stands_alone(tmp_path: Path, text):
    path = tmp_path / "names.csv"
    path.write_text(f"cusip,coupon_pct\n{text},6.125\n")
    assert read_table(path, name="securities").table["cusip"].to_pylist() == [text]


def test_the_treasurys_first_days_of_a_year_are_not_months(tmp_path: Path):
    path = tmp_path / "yields.csv"
    tenors = '"1 Mo","3 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr","7 Yr","10 Yr","20 Yr","30 Yr"'
    days = ["01/08/2025", "01/03/2025", "01/02/2025"]
    level = "4.4,4.3,4.3,4.2,4.3,4.3,4.4,4.5,4.6,4.9,4.8"
    path.write_text("\n".join([f"Date,{tenors}", *(f"{day},{level}" for day in days)]))
    table = read_par_yields(read_table(path, name="par yields")).table
    assert sorted(d.isoformat() for d in table["date"].to_pylist()) == [
        "2025-01-02",
        "2025-01-03",
        "2025-01-08",
    ]


def test_equal_losses_come_in_the_order_of_their_scenarios():
    # NumPy's default argsort gives another order with each level of the processor.
    book = Book.from_arrays(np.array([0, 1]), np.array([0]), np.array([1]))
    pnl = np.tile([-3.0, -1.0, -2.0, -1.0, -3.0, 0.0], 100)
    found = tails(book, Cube([pnl]), level=0.99).scenario[0]
    assert found.tolist() == [0, 4, 6, 10, 12, 16]
