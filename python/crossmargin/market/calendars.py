"""Business days of the US government-bond market, of CME and of the overnight rates, by rule.

`bond` follows the full closes that the securities industry association recommends for Treasuries.
`cme` leaves out the days on which CME interest-rate futures have no settlement of their own. Both
rules were checked against the dates of the official Treasury yields from 1990 on and against two
public libraries. For earlier years today's rules are used.

`sofr` holds the days that have a SOFR: those of `bond` without any Good Friday (confirmed: the New
York Fed's statements on reference rates of 25 June 2020 and 8 March 2023, and each rate published
from April 2018 to July 2026). `effr` holds the days that have an effective federal funds rate. Its
holidays are those of the Federal Reserve Bank of New York (confirmed by the statement of 2020). A
holiday on a Saturday is not moved (confirmed: the Federal Reserve's holiday schedule). Days of
mourning are business days (inferred: the banks were open).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Dates, Integer, Mask

Calendar = Literal["bond", "cme", "sofr", "effr"]

RATE_CALENDAR: dict[str, Calendar] = {"SOFR": "sofr", "EFFR": "effr"}
"""The calendar of the days that have a fixing, by overnight rate."""
FIRST_YEAR, LAST_YEAR = 1971, 2100
FIRST_DATE = np.datetime64(f"{FIRST_YEAR}-01-01", "D")
LAST_DATE = np.datetime64(f"{LAST_YEAR}-12-31", "D")
DAY, MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
"""Added to dates in place of a bare 1, which NumPy 2.5 deprecates."""
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6

_BOND_CLOSED_ONCE = (
    "1994-04-27",  # funeral of President Nixon
    "2001-09-11",
    "2001-09-12",
    "2004-06-11",  # funeral of President Reagan
    "2012-10-30",  # hurricane Sandy
    "2018-12-05",  # funeral of President G. H. W. Bush
)
# Full closes that follow no rule.
CLOSED_ONCE: dict[str, tuple[str, ...]] = {
    "bond": _BOND_CLOSED_ONCE,
    "cme": ("1994-04-27", "2001-09-11", "2001-09-12", "2004-06-11"),
    "sofr": _BOND_CLOSED_ONCE,
    "effr": (),
}


def _weekday(date: Dates) -> Integer:
    """Return 0 for Monday to 6 for Sunday."""
    # 1970-01-01 was a Thursday.
    return np.asarray((date.astype(np.int64) + THURSDAY) % 7)


def _day(year: Integer, month: int, day: int) -> Dates:
    """Return the date of one month and day in each year."""
    months = (year - 1970) * 12 + (month - 1)
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(first + np.timedelta64(day - 1, "D"))


def _nth(year: Integer, month: int, weekday: int, n: int) -> Dates:
    """Return the n-th given weekday of a month in each year."""
    first = _day(year, month, 1)
    return np.asarray(first + ((weekday - _weekday(first)) % 7 + 7 * (n - 1)))


def _observed(date: Dates, *, saturday: bool) -> Dates:
    """Move a Sunday to Monday and, if `saturday` is set, a Saturday to the Friday before."""
    weekday = _weekday(date)
    moved = date + (weekday == SUNDAY).astype(np.int64)
    return np.asarray(moved - ((weekday == SATURDAY) & saturday).astype(np.int64))


def _good_friday(year: Integer) -> Dates:
    """Return Good Friday, by the Gregorian computus."""
    golden, century, rest = year % 19, year // 100, year % 100
    epact = (
        19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15
    ) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    return np.asarray(_day(year, 3, 22) + (epact + to_sunday - 7 * late - 2))


def _closed_good_friday(year: Integer) -> Dates:
    """Return the Good Fridays with a full close.

    Since 1996 the markets open on a Good Friday that is the first Friday of a month, because the
    employment report is published then.
    """
    friday = _good_friday(year)
    day_of_month = (friday - friday.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    return np.asarray(friday[(year < 1996) | (day_of_month > 7)])


@cache
def holidays(calendar: Calendar) -> Dates:
    """Return the weekdays on which a market is closed, or that lack a rate, ascending.

    Parameters
    ----------
    calendar : {"bond", "cme", "sofr", "effr"}
        US government bonds, CME interest-rate futures, or the days that have an overnight rate.

    Returns
    -------
    ndarray of datetime64[D]
        From 1971 to 2100, read-only.

    Raises
    ------
    ValueError
        There is no such calendar.
    """
    if calendar not in CLOSED_ONCE:
        raise ValueError(f"unknown calendar {calendar!r}; use one of {', '.join(CLOSED_ONCE)}")
    year = np.arange(FIRST_YEAR, LAST_YEAR + 1)
    saturday = calendar != "effr"
    days = [
        _observed(_day(year, 1, 1), saturday=False),
        _nth(year[year >= 1986], 1, MONDAY, 3),  # Martin Luther King
        _nth(year, 2, MONDAY, 3),  # Washington's birthday
        _nth(year, 6, MONDAY, 1) - np.timedelta64(7, "D"),  # Memorial Day: the last Monday of May
        _observed(_day(year[year >= 2022], 6, 19), saturday=saturday),  # Juneteenth
        _observed(_day(year, 7, 4), saturday=saturday),
        _nth(year, 9, MONDAY, 1),  # Labor Day
        _nth(year, 11, THURSDAY, 4),  # Thanksgiving
        _observed(_day(year, 12, 25), saturday=saturday),
        np.array(CLOSED_ONCE[calendar], "datetime64[D]"),
    ]
    if calendar == "sofr":
        days.append(_good_friday(year))
    elif calendar != "effr":
        days.append(_closed_good_friday(year))
    if calendar != "cme":
        days.append(_nth(year, 10, MONDAY, 2))  # Columbus Day
        days.append(_observed(_day(year, 11, 11), saturday=False))  # Veterans Day
    closed = np.unique(np.concatenate(days))
    closed = closed[_weekday(closed) < SATURDAY]
    closed.flags.writeable = False
    return closed


@cache
def _busdays(calendar: Calendar) -> np.busdaycalendar:
    """Return NumPy's form of a calendar."""
    return np.busdaycalendar(holidays=holidays(calendar))


def _checked(date: Any, name: str) -> Dates:
    """Return dates as datetime64[D]; refuse those that the calendars do not cover."""
    days = np.asarray(date, "datetime64[D]")
    outside = ~((days >= FIRST_DATE) & (days <= LAST_DATE))  # NaT is outside too
    if np.any(outside):
        raise ValueError(
            f"{name} {days[outside].flat[0]} is outside the calendars ({FIRST_DATE} to {LAST_DATE})"
        )
    return days


def is_business_day(date: npt.ArrayLike, calendar: Calendar) -> Mask:
    """Return whether a market is open on each date.

    Parameters
    ----------
    date : array_like of datetime64[D]
        From 1971 to 2100.
    calendar : {"bond", "cme", "sofr", "effr"}
        US government bonds, CME interest-rate futures, or the days that have an overnight rate.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    ValueError
        A date is missing or outside the calendars.
    """
    return np.asarray(np.is_busday(_checked(date, "date"), busdaycal=_busdays(calendar)))


def add_business_days(date: npt.ArrayLike, n: npt.ArrayLike, calendar: Calendar) -> Dates:
    """Return the n-th business day after each date, or before it for a negative n.

    Parameters
    ----------
    date : array_like of datetime64[D]
        From 1971 to 2100; need not be a business day.
    n : array_like of int
        0 gives the date itself if it is a business day, else the next one.
    calendar : {"bond", "cme", "sofr", "effr"}
        US government bonds, CME interest-rate futures, or the days that have an overnight rate.

    Returns
    -------
    ndarray of datetime64[D]

    Raises
    ------
    ValueError
        A date is missing or outside the calendars.
    """
    days, count = np.broadcast_arrays(_checked(date, "date"), np.asarray(n, np.int64))
    busdays = _busdays(calendar)
    after = np.busday_offset(days, np.maximum(count, 0), roll="backward", busdaycal=busdays)
    before = np.busday_offset(days, np.minimum(count, 0), roll="forward", busdaycal=busdays)
    return np.where(count > 0, after, before)


def business_days_between(start: npt.ArrayLike, end: npt.ArrayLike, calendar: Calendar) -> Integer:
    """Return the number of business days after `start`, up to and including `end`.

    Parameters
    ----------
    start, end : array_like of datetime64[D]
        From 1971 to 2100; broadcast against each other.
    calendar : {"bond", "cme", "sofr", "effr"}
        US government bonds, CME interest-rate futures, or the days that have an overnight rate.

    Returns
    -------
    ndarray of int64
        Negative where `end` comes before `start`: minus the number for the swapped dates.

    Raises
    ------
    ValueError
        A date is missing or outside the calendars.
    """
    start, end = np.broadcast_arrays(_checked(start, "start"), _checked(end, "end"))
    first, last = np.minimum(start, end), np.maximum(start, end)
    count = np.busday_count(first + DAY, last + DAY, busdaycal=_busdays(calendar))
    return np.asarray(np.where(end < start, -count, count), np.int64)
