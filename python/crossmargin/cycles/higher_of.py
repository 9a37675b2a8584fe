"""FICC's higher-of rule: the VaR charge of the day's two cycles (methodology, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Mask
from crossmargin.cycles.records import daily_records
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import HigherOfRules


@dataclass(frozen=True)
class CycleCharges:
    """The VaR charge of both cycles, as columns of length N.

    Attributes
    ----------
    subject : ndarray of bool
        Whether the account is under the rule on that day.
    start_of_day, noon : ndarray of float64
        USD.
    """

    subject: Mask
    start_of_day: Float
    noon: Float


def higher_of(
    *,
    day: npt.ArrayLike,
    account: npt.ArrayLike,
    start_of_day_var: npt.ArrayLike,
    noon_var: npt.ArrayLike,
    obligations: npt.ArrayLike,
    liquidity_need: npt.ArrayLike,
    rules: HigherOfRules,
) -> CycleCharges:
    """Return the VaR charge of each account in both cycles of each day.

    Parameters
    ----------
    day : array_like of dates, [N]
        A record per day and account, in any order.
    account : array_like of str, [N]
        The indirect participant, across all its members.
    start_of_day_var, noon_var : array_like of float, [N]
        VaR of the positions at the end of the day before, and of the noon slice, USD.
    obligations : array_like of float, [N]
        Receive obligations and funds-only settlement of that day, USD.
    liquidity_need : array_like of float, [N]
        FICC's daily liquidity need of that day, USD.
    rules : HigherOfRules
        How long an excess counts.

    Returns
    -------
    CycleCharges

    Raises
    ------
    ValueError
        Columns of different lengths, an amount that is not finite, or two records for the same day
        and account.

    Notes
    -----
    An account whose obligations exceed the need on a day is subject on the following business days
    of the bond market: at noon it is charged the higher of the two, else the noon slice alone
    (91 FR 5128).
    """
    days, names, value, order = daily_records(
        "higher_of",
        day,
        account,
        start_of_day_var=start_of_day_var,
        noon_var=noon_var,
        obligations=obligations,
        liquidity_need=liquidity_need,
    )
    last = add_business_days(days, rules.business_days, "bond")
    exceeds = value["obligations"] > value["liquidity_need"]
    subject = np.zeros(days.size, dtype=bool)
    # Days ascend within an account. What counts is the latest day an earlier excess reaches.
    reach, owner = np.datetime64("NaT", "D"), None
    for at in order.tolist():
        if names[at] != owner:
            owner, reach = names[at], np.datetime64("NaT", "D")
        subject[at] = days[at] <= reach  # False before the first excess.
        if exceeds[at]:
            reach = last[at]
    noon = np.where(
        subject, np.maximum(value["start_of_day_var"], value["noon_var"]), value["noon_var"]
    )
    return CycleCharges(subject, value["start_of_day_var"], noon)
