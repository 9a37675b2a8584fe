"""The securities of a run as columns, and their cash flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer, Mask, Text
from crossmargin.instruments.schedule import (
    accrued_interest,
    add_months,
    coupon_amounts,
    dated_dates,
)
from crossmargin.market.curve import Curve, years_between

NOMINAL = ("note", "bond")
"""Types valued as the sum of their discounted cash flows. No model covers the others."""


@dataclass(frozen=True, eq=False)
class Securities:
    """Securities sorted by CUSIP, each once. Compared by identity.

    Attributes
    ----------
    cusip : ndarray of str, [N]
    type : ndarray of str, [N]
        note, bond, tips, frn, bill, strip or mbs.
    coupon : ndarray of float64, [N]
        Annual, decimal.
    issue_date, maturity_date, first_coupon_date : ndarray of datetime64[D], [N]
        The first coupon date is NaT where the first period is regular.
    price : ndarray of float64, [N]
        Clean market price per 100 of face, NaN where none is given.
    resold_as : ndarray of str, [N]
        Later sales as a new issue, `2022-01-31:5-Year;...`.
    outstanding : ndarray of float64, [N]
        USD of face, NaN where not given.
    """

    cusip: Text
    type: Text
    coupon: Float
    issue_date: Dates
    maturity_date: Dates
    first_coupon_date: Dates
    price: Float
    resold_as: Text
    outstanding: Float

    @property
    def nominal(self) -> Mask:
        """Whether a security is a nominal note or bond, [N]."""
        return np.isin(self.type, NOMINAL)

    def take(self, index: Integer) -> Securities:
        """Return the securities at these indices, in their order."""
        return Securities(
            self.cusip[index],
            self.type[index],
            self.coupon[index],
            self.issue_date[index],
            self.maturity_date[index],
            self.first_coupon_date[index],
            self.price[index],
            self.resold_as[index],
            self.outstanding[index],
        )


def default_type(issue_date: Dates, maturity_date: Dates) -> Text:
    """Return bill, note or bond: original terms of up to one year, up to ten, and longer."""
    # A week is allowed for: issue moves to the next business day, maturity does not.
    week = np.timedelta64(7, "D")
    bill = maturity_date <= add_months(issue_date, 12)
    note = maturity_date <= add_months(issue_date, 120) + week
    return np.where(bill, "bill", np.where(note, "note", "bond")).astype(object)


@dataclass(frozen=True)
class CashFlows:
    """Cash flows after the as-of date of N nominal notes and bonds, per 100 of face.

    Attributes
    ----------
    ptr : ndarray of int64, [N + 1]
        Security n has flows ptr[n]:ptr[n+1].
    date : ndarray of datetime64[D]
    time, amount : ndarray of float64
        Years; coupons, with 100 added to the last one.
    spread : ndarray of float64, [N]
        Continuous z-spread that reproduces the market price. Zero if there is no price; NaN if no
        spread within 100% reproduces it.
    """

    ptr: Integer
    date: Dates
    time: Float
    amount: Float
    spread: Float


def cash_flows(securities: Securities, curve: Curve) -> CashFlows:
    """Return the cash flows of nominal notes and bonds, and the z-spreads of those with a price.

    Parameters
    ----------
    securities : Securities
        Notes and bonds that mature after the as-of date, [N].
    curve : Curve
        Only flows after its `as_of` date are returned.

    Returns
    -------
    CashFlows

    Notes
    -----
    Methodology, section 4: base dirty price = sum of cf * DF(t), or of cf * DF(t) * exp(-z t) with
    the constant z that reproduces the market price plus accrued interest. A security that is not
    issued yet pays nothing before its interest starts.
    """
    return schedule_of(securities, curve.as_of).on(curve)


@dataclass(frozen=True)
class Schedule:
    """What the cash flows of securities are on one day, whatever the curve.

    Attributes
    ----------
    ptr, date, time, amount
        As in `CashFlows`.
    priced : ndarray of int64, [P]
        The securities with a market price.
    dirty : ndarray of float64, [P]
        Their prices with accrued interest.
    row, own : ndarray of int64
        Of each flow of these, the security among them and the flow among all.
    """

    ptr: Integer
    date: Dates
    time: Float
    amount: Float
    priced: Integer
    dirty: Float
    row: Integer
    own: Integer

    def on(self, curve: Curve) -> CashFlows:
        """Return the cash flows with the z-spreads over a curve of the day."""
        spread = np.zeros(self.ptr.size - 1)
        if self.priced.size:
            time = self.time[self.own]
            value = self.amount[self.own] * curve.discount_factor(time)
            spread[self.priced] = _spread(self.row, time, value, self.dirty)
        return CashFlows(self.ptr, self.date, self.time, self.amount, spread)


def schedule_of(securities: Securities, as_of: np.datetime64) -> Schedule:
    """Return the schedule of nominal notes and bonds that mature after a day."""
    irregular = ~np.isnat(securities.first_coupon_date)
    start = _dated(securities)
    ptr, date, amount = coupon_amounts(
        securities.coupon,
        securities.maturity_date,
        np.maximum(start, as_of),
        dated_date=np.where(irregular, start, np.datetime64("NaT", "D")),
        first_coupon_date=securities.first_coupon_date,
    )
    priced = np.flatnonzero(~np.isnan(securities.price))
    count = np.diff(ptr)[priced]
    return Schedule(
        ptr=ptr,
        date=date,
        time=years_between(as_of, date),
        amount=amount,
        priced=priced,
        dirty=securities.price[priced] + accrued(securities.take(priced), as_of),
        row=np.repeat(np.arange(priced.size), count),
        own=np.repeat(ptr[priced] - np.cumsum(count) + count, count) + np.arange(count.sum()),
    )


def accrued(securities: Securities, date: np.datetime64) -> Float:
    """Return interest accrued on `date`, per 100 of face; zero before interest starts."""
    irregular = ~np.isnat(securities.first_coupon_date)
    start = _dated(securities)
    started = start <= date
    dated = np.where(irregular & started, start, np.datetime64("NaT", "D"))
    first = np.where(irregular & started, securities.first_coupon_date, np.datetime64("NaT", "D"))
    interest = accrued_interest(
        securities.coupon,
        securities.maturity_date,
        np.minimum(date, securities.maturity_date),
        dated_date=dated,
        first_coupon_date=first,
    )
    return np.where(started, interest, 0.0)


def _dated(securities: Securities) -> Dates:
    """Return the dates from which interest accrues."""
    return dated_dates(securities.issue_date, securities.maturity_date)


def _spread(row: Integer, time: Float, value: Float, dirty: Float) -> Float:
    """Solve sum of value * exp(-z * time) = dirty for z by Newton's method, for each row."""
    z = np.zeros(dirty.size)
    moving = np.ones(dirty.size, dtype=bool)
    for _ in range(100):
        # A solved row is not changed again, so it does not depend on the other rows.
        flow = np.flatnonzero(moving[row])
        own, when = row[flow], time[flow]
        discounted = value[flow] * exact.exp(-z[own] * when)
        miss = np.bincount(own, discounted, dirty.size) - dirty
        slope = np.bincount(own, discounted * when, dirty.size)
        step = np.zeros(dirty.size)
        step[moving] = np.clip(miss[moving] / slope[moving], -0.05, 0.05)
        z = np.clip(z + step, -1.0, 1.0)
        moving &= np.abs(step) > 1e-15
        if not moving.any():
            break
    return np.where(np.abs(z) < 1.0, z, np.nan)
