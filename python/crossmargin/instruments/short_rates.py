"""Short-rate futures: 100 minus an average of overnight rates, some of which are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Mask
from crossmargin.instruments.contracts import Contract, reference_period
from crossmargin.instruments.terms import Line
from crossmargin.market import Market
from crossmargin.market.calendars import (
    DAY,
    RATE_CALENDAR,
    add_business_days,
    is_business_day,
)
from crossmargin.market.curve import years_between

RATE_INDEX = {"SR3": "SOFR", "SR1": "SOFR", "ZQ": "EFFR"}
"""The overnight rate that settles a short-rate future, by root."""


def rate_line(contract: Contract, market: Market) -> Line:
    """Return the line of a short-rate future: 100 minus the rate of its period, in percent.

    SR3 compounds over the period; SR1 and ZQ average over the month; all use actual/360. Days up to
    the as-of date take their fixing, or the curve's overnight rate if it is missing, and do not
    move with the scenarios (methodology, section 4). The short-rate curve is used if the market has
    one.
    """
    start, end = reference_period(contract)
    first_open = min(max(start, market.as_of + DAY), end)
    rate = _overnight_rates(contract, market)
    days = int((end - start).astype(np.int64))
    if contract.root == "SR3":
        growth = 1.0
        # A fixing of several days compounds once over all of them, not day by day.
        for fixing_day in np.unique(rate.day):
            same = rate.day == fixing_day
            growth *= 1.0 + rate.value[same][0] * np.count_nonzero(same) / 360.0
        time = years_between(market.as_of, np.array([first_open, end]))
        annual = 100.0 * 360.0 / days
        return Line(
            np.array([-annual * growth]),
            time[:1],
            time[1:],
            offset=100.0 + annual,
            short_rate=market.short_rate_curve is not None,
        )
    open_days = np.arange(first_open, end)
    time = years_between(market.as_of, np.arange(first_open, end + DAY))
    daily = 100.0 * 360.0 / days
    known = 100.0 * float(exact.ordered_sum(rate.value)) / days
    return Line(
        np.full(open_days.size, -daily),
        time[:-1],
        time[1:],
        offset=100.0 + daily * open_days.size - known,
        short_rate=market.short_rate_curve is not None,
    )


def missing_fixings(contract: Contract, market: Market) -> Dates:
    """Return the days whose fixing a short-rate future needs and the market lacks.

    Parameters
    ----------
    contract : Contract
        Any contract; a Treasury future needs no fixing.
    market : Market
        Gives the as-of date and the fixings.

    Returns
    -------
    ndarray of datetime64[D]
        Ascending, each once. A fixing is published the next morning, so the last one on or before
        the as-of date is not known yet and does not count as missing.
    """
    if contract.root not in RATE_INDEX:
        return np.empty(0, "datetime64[D]")
    rate = _overnight_rates(contract, market)
    calendar = RATE_CALENDAR[RATE_INDEX[contract.root]]
    published = add_business_days(market.as_of + DAY, -1, calendar)
    return np.unique(rate.day[~rate.known & (rate.day < published)])


@dataclass(frozen=True)
class _Overnight:
    """The rate of each past day of a period, decimal.

    Attributes
    ----------
    day : ndarray of datetime64[D]
        The day of the fixing that counts: the last one published on or before each day.
    value : ndarray of float64
        That fixing, or the curve's overnight rate where the fixing is unknown.
    known : ndarray of bool
        Whether the fixing is known.
    """

    day: Dates
    value: Float
    known: Mask


def _overnight_rates(contract: Contract, market: Market) -> _Overnight:
    """Return the overnight rates of a contract's period up to the as-of date."""
    index = RATE_INDEX[contract.root]
    calendar = RATE_CALENDAR[index]
    start, end = reference_period(contract)
    days = np.arange(start, min(max(start, market.as_of + DAY), end))
    day = np.where(is_business_day(days, calendar), days, add_business_days(days, -1, calendar))
    own = market.short_rate_curve
    curve = market.curve if own is None else own.curve
    tomorrow = years_between(market.as_of, np.array(market.as_of + DAY))
    value = np.full(day.size, (1.0 / float(curve.discount_factor(tomorrow)) - 1.0) * 360.0)
    known = np.zeros(day.size, dtype=np.bool_)
    if index in market.fixings:
        date, rate = market.fixings[index]
        at = np.minimum(np.searchsorted(date, day), date.size - 1)
        known = date[at] == day
        value[known] = rate[at][known]
    return _Overnight(day, value, known)
