"""Coupon dates, accrued interest and cash flows of US Treasury notes and bonds.

Semi-annual dates are counted back from maturity. A bond that matures on the last day of a month
pays on last days. Dates are unadjusted for weekends and holidays. Amounts are per 100 of face.
Source: 31 CFR 356 Appendix B, section I.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Dates, Float, Integer
from crossmargin.market.calendars import DAY, MONTH, add_business_days

MONTHS_PER_PERIOD = 6


def as_dates(value: Any, name: str, *, missing: bool = False) -> Dates:
    """Return `value` as datetime64[D].

    Parameters
    ----------
    value : date_like or array_like of date_like
        ISO text, `datetime.date`, datetime64, or an array or Arrow column of them.
    name : str
        Name of the value in error messages.
    missing : bool
        Whether NaT (or None) is allowed, meaning "no date".

    Returns
    -------
    ndarray of datetime64[D]
        The shape of `value`.

    Raises
    ------
    ValueError
        A value is not a date, or is missing where it must be given.
    """
    array = np.asarray(value)
    if array.size == 0:
        return array.astype("datetime64[D]")
    if array.dtype.kind not in "MUO":
        raise ValueError(f"{name}: {value!r} is not a date; give ISO text or a date object")
    try:
        days = array.astype("datetime64[D]")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}; give ISO text such as 2031-12-31") from None
    if not missing and bool(np.any(np.isnat(days))):
        raise ValueError(f"{name}: a date is missing")
    return days


def last_of_month(month: npt.ArrayLike) -> Dates:
    """Return the last calendar day of each month.

    Parameters
    ----------
    month : array_like of datetime64
        Any day of the month, or datetime64[M].

    Returns
    -------
    ndarray of datetime64[D]
    """
    months = np.asarray(month).astype("datetime64[M]")
    return np.asarray((months + MONTH).astype("datetime64[D]") - DAY)


def add_months(date: npt.ArrayLike, months: npt.ArrayLike) -> Dates:
    """Return each date moved by whole months; its day is at most the last of the new month.

    Parameters
    ----------
    date : array_like of datetime64[D]
        Broadcast against `months`.
    months : array_like of int
        May be negative.

    Returns
    -------
    ndarray of datetime64[D]
    """
    day = np.asarray(date).astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    moved = month + np.asarray(months, np.int64)
    same_day = moved.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    return np.asarray(np.minimum(same_day, last_of_month(moved)))


def _coupon(maturity: Dates, index: Integer) -> Dates:
    """Return the quasi-coupon date with an index: 0 is maturity, earlier dates are negative."""
    moved = add_months(maturity, index * MONTHS_PER_PERIOD)
    return np.where(maturity == last_of_month(maturity), last_of_month(moved), moved)


def _period_index(maturity: Dates, date: Dates) -> Integer:
    """Return the largest index whose quasi-coupon date is on or before `date`."""
    months = date.astype("datetime64[M]").astype(np.int64) - maturity.astype(
        "datetime64[M]"
    ).astype(np.int64)
    index = months // MONTHS_PER_PERIOD
    return np.asarray(index - (_coupon(maturity, index) > date), np.int64)


def _days(later: Dates, earlier: Dates) -> Float:
    """Return the days between two dates."""
    return np.asarray((later - earlier).astype(np.int64), np.float64)


def coupon_period(maturity: npt.ArrayLike, date: npt.ArrayLike) -> tuple[Dates, Dates]:
    """Return the quasi-coupon dates around each date.

    Parameters
    ----------
    maturity, date : array_like of datetime64[D]
        Broadcast against each other. `date` may lie before issue or after maturity: the
        semi-annual grid continues in both directions.

    Returns
    -------
    previous, next : ndarray of datetime64[D]
        previous <= date < next, half a year apart.

    Notes
    -----
    31 CFR 356 Appendix B, section I.A: coupons accrue over the days of this half-year.
    """
    maturity, date = np.broadcast_arrays(as_dates(maturity, "maturity"), as_dates(date, "date"))
    index = _period_index(maturity, date)
    return _coupon(maturity, index), _coupon(maturity, index + 1)


def coupon_dates(
    maturity: npt.ArrayLike, after: npt.ArrayLike, upto: npt.ArrayLike | None = None
) -> tuple[Integer, Dates]:
    """Return each bond's quasi-coupon dates in (after, min(maturity, upto)], ascending.

    Parameters
    ----------
    maturity : array_like of datetime64[D], shape (N,)
        Maturity of each bond.
    after : array_like of datetime64[D]
        One date, or one per bond. A coupon on this date is excluded.
    upto : array_like of datetime64[D], optional
        One date, or one per bond. A coupon on this date is included.

    Returns
    -------
    ptr : ndarray of int64, shape (N + 1,)
        Bond n owns dates ptr[n]:ptr[n+1].
    date : ndarray of datetime64[D]
    """
    maturity = np.atleast_1d(as_dates(maturity, "maturity"))
    first = _period_index(maturity, np.broadcast_to(as_dates(after, "after"), maturity.shape)) + 1
    stop = np.ones(maturity.shape, np.int64)
    if upto is not None:
        limit = np.broadcast_to(as_dates(upto, "upto"), maturity.shape)
        stop = np.minimum(stop, _period_index(maturity, limit) + 1)
    count = np.maximum(stop - first, 0)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    position = np.arange(ptr[-1]) - np.repeat(ptr[:-1], count)
    return ptr, _coupon(np.repeat(maturity, count), np.repeat(first, count) + position)


def half_years(maturity: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike) -> Float:
    """Return the length of [start, end] in coupon periods, actual/actual in each.

    Parameters
    ----------
    maturity, start, end : array_like of datetime64[D]
        Broadcast against each other; start <= end.

    Returns
    -------
    ndarray of float64
        A whole period counts 1; a part of one counts its days over the days of the period.

    Notes
    -----
    31 CFR 356 Appendix B, sections I.A.3, I.A.4 and I.D: the interest from `start` to `end` is this
    number times half the annual coupon.
    """
    maturity, start, end = np.broadcast_arrays(
        as_dates(maturity, "maturity"), as_dates(start, "start"), as_dates(end, "end")
    )
    first, last = _period_index(maturity, start), _period_index(maturity, end)
    head, tail = _coupon(maturity, first), _coupon(maturity, last)
    head_days = _days(_coupon(maturity, first + 1), head)
    tail_days = _days(_coupon(maturity, last + 1), tail)
    inside = _days(end, start) / tail_days
    across = (
        (head_days - _days(start, head)) / head_days
        + (last - first - 1)
        + _days(end, tail) / tail_days
    )
    return np.where(first == last, inside, across)


def dated_dates(issue_date: npt.ArrayLike, maturity: npt.ArrayLike) -> Dates:
    """Return the dates from which interest accrues, inferred from issue dates.

    Parameters
    ----------
    issue_date, maturity : array_like of datetime64[D]
        Broadcast against each other.

    Returns
    -------
    ndarray of datetime64[D]
        The quasi-coupon date before issue, if the issue date is the first business day on or after
        it (settlement moved by a weekend or holiday); else the issue date.

    Notes
    -----
    31 CFR 356 Appendix B, section II.D: such an issue is dated back and sold with accrued interest.
    """
    issue = as_dates(issue_date, "issue_date")
    previous, _ = coupon_period(maturity, issue)
    return np.where(add_business_days(previous, 0, "bond") == issue, previous, issue)


def first_payment(
    maturity: npt.ArrayLike,
    dated_date: npt.ArrayLike | None,
    first_coupon_date: npt.ArrayLike | None,
) -> tuple[Dates, Dates]:
    """Return the dates on which interest starts and is first paid, for bonds that state them.

    Parameters
    ----------
    maturity : array_like of datetime64[D], shape (N,)
        Maturity of each bond.
    dated_date : array_like of datetime64[D], optional
        The date from which interest accrues. NaT or None means a regular first period.
    first_coupon_date : array_like of datetime64[D], optional
        NaT or None means the first quasi-coupon date after the dated date.

    Returns
    -------
    dated, first : ndarray of datetime64[D], shape (N,)
        Both NaT for a bond that pays only full coupons.

    Raises
    ------
    ValueError
        A first coupon has no dated date, does not follow it, or is not on the semi-annual grid.
    """
    maturity = as_dates(maturity, "maturity")
    nothing = np.datetime64("NaT", "D")
    dated, first = (
        np.broadcast_to(as_dates(nothing if d is None else d, name, missing=True), maturity.shape)
        for d, name in ((dated_date, "dated_date"), (first_coupon_date, "first_coupon_date"))
    )
    has_dated, has_first = ~np.isnat(dated), ~np.isnat(first)
    if np.any(has_first & ~has_dated):
        value = first[has_first & ~has_dated].flat[0]
        raise ValueError(f"first_coupon_date {value} needs a dated_date to accrue from")
    # Maturity replaces a missing dated date here; the result is masked below.
    start = np.where(has_dated, dated, maturity)
    following = _coupon(maturity, _period_index(maturity, start) + 1)
    first = np.where(has_first, first, following)
    on_grid = _coupon(maturity, _period_index(maturity, first)) == first
    bad = has_dated & ~(on_grid & (first > dated) & (first <= maturity))
    if np.any(bad):
        at = np.flatnonzero(bad)[0]
        raise ValueError(
            f"first_coupon_date {first.flat[at]} must be a semi-annual date counted back from "
            f"maturity {maturity.flat[at]}, after dated_date {dated.flat[at]}"
        )
    return np.where(has_dated, dated, nothing), np.where(has_dated, first, nothing)


def accrued_interest(
    coupon: npt.ArrayLike,
    maturity: npt.ArrayLike,
    date: npt.ArrayLike,
    *,
    dated_date: npt.ArrayLike | None = None,
    first_coupon_date: npt.ArrayLike | None = None,
) -> Float:
    """Return the interest accrued since the last coupon, per 100 of face.

    Parameters
    ----------
    coupon : array_like of float
        Annual coupon rate, decimal (0.045 for 4.5%).
    maturity, date : array_like of datetime64[D]
        Broadcast against `coupon`; date <= maturity. On a coupon date accrued interest is 0.
    dated_date, first_coupon_date : array_like of datetime64[D], optional
        For short and long first periods, as in `first_payment`.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        A date lies after maturity or before the dated date, or the first period is inconsistent.

    Notes
    -----
    31 CFR 356 Appendix B, sections I.A and I.D; actual/actual within each half-year.
    """
    coupons, maturity, date = np.broadcast_arrays(
        np.asarray(coupon, np.float64), as_dates(maturity, "maturity"), as_dates(date, "date")
    )
    dated, first = first_payment(maturity, dated_date, first_coupon_date)
    bad = (date > maturity) | (date < dated)
    if np.any(bad):
        at = np.flatnonzero(bad)[0]
        raise ValueError(
            f"accrued_interest: date {date.flat[at]} must lie between the dated date and maturity "
            f"{maturity.flat[at]}"
        )
    previous = _coupon(maturity, _period_index(maturity, date))
    start = np.where(date < first, dated, previous)
    return np.asarray(coupons * 50.0 * half_years(maturity, start, date))


def coupon_amounts(
    coupon: npt.ArrayLike,
    maturity: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    dated_date: npt.ArrayLike | None = None,
    first_coupon_date: npt.ArrayLike | None = None,
) -> tuple[Integer, Dates, Float]:
    """Return each bond's cash flows after a date, per 100 of face.

    Parameters
    ----------
    coupon : array_like of float, shape (N,)
        Annual coupon rate, decimal.
    maturity : array_like of datetime64[D], shape (N,)
        Maturity of each bond; the flow on it is the last coupon plus 100.
    after : array_like of datetime64[D]
        One date, or one per bond. A flow on this date is excluded.
    dated_date, first_coupon_date : array_like of datetime64[D], optional
        For short and long first periods, as in `first_payment`.

    Returns
    -------
    ptr : ndarray of int64, shape (N + 1,)
        Bond n owns flows ptr[n]:ptr[n+1].
    date : ndarray of datetime64[D]
        Payment dates, ascending, unadjusted.
    amount : ndarray of float64
        Quasi-coupon dates before a late first coupon have no flow and are left out.

    Notes
    -----
    31 CFR 356 Appendix B, sections I.A.3 (short) and I.A.4 (long first payment).
    """
    maturity = np.atleast_1d(as_dates(maturity, "maturity"))
    coupons = np.broadcast_to(np.asarray(coupon, np.float64), maturity.shape)
    dated, first = first_payment(maturity, dated_date, first_coupon_date)
    ptr, date = coupon_dates(maturity, after)
    bond = np.repeat(np.arange(len(maturity)), np.diff(ptr))
    amount = coupons[bond] * 50.0
    at_first = date == first[bond]
    irregular = bond[at_first]
    amount[at_first] *= half_years(maturity[irregular], dated[irregular], first[irregular])
    amount[date == maturity[bond]] += 100.0
    paid = ~(date < first[bond])
    kept = np.bincount(bond[paid], minlength=len(maturity))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)]), date[paid], amount[paid]
