"""FICC's charge on the last business day before a holiday."""

from __future__ import annotations

from functools import partial

import numpy as np

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.margin.charges import _scalar
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.charges.rule import rate_of
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.market.calendars import DAY, add_business_days
from crossmargin.policies.sections.charges import HolidayRules


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return the charge: a share of V.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
        Empty if the policy has no table `holiday`, or the day is not before a holiday.
    """
    rules = inputs.policy.get(HolidayRules)
    if rules is None or not before_holiday(inputs.market.as_of):
        return []
    return [
        Charge(
            rules.name,
            rules.ccp,
            False,
            partial(_amount, rules.rate),
            partial(_per_lot, rules.rate),
            partial(_single, rules.rate),
        )
    ]


def before_holiday(date: np.datetime64) -> bool:
    """Return whether the bond market is closed on a weekday before it opens again.

    Parameters
    ----------
    date : datetime64[D]

    Returns
    -------
    bool
    """
    opens = add_business_days(date, 1, "bond")
    # NumPy counts weekdays from the first day to the one before the last.
    return bool(np.busday_count(date + DAY, opens) > 0)


def _amount(rate: float, book: Book, margin: CcpMargin) -> Float:
    return rate_of(margin.v, rate)


def _single(rate: float, held: Held, v: Portfolios) -> Portfolios:
    return _scalar.rate_of(v, rate)


def _per_lot(rate: float, book: Book, margin: CcpMargin, of_margin: Float) -> Float:
    return rate * of_margin
