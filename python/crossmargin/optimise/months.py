"""Which delivery months of futures may be moved (methodology, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from crossmargin.arrays import Mask
from crossmargin.instruments.contracts import Contract, last_trading_day
from crossmargin.market.calendars import add_business_days

ROLL_DAYS = 10
"""Business days before its delivery month from which a Treasury future is being rolled (ours)."""
MONTHS_AHEAD = 13


def allowed_months(
    contracts: Sequence[Contract], as_of: np.datetime64, *, front_month: bool, exclude_roll: bool
) -> Mask:
    """Return which contracts may be moved.

    Parameters
    ----------
    contracts : sequence of Contract
        C of them.
    as_of : datetime64[D]
    front_month : bool
        Only the first month of each root that still trades.
    exclude_roll : bool
        No Treasury future that is being rolled. The front month is then the first of the others.

    Returns
    -------
    ndarray of bool, [C]
    """
    may = np.ones(len(contracts), dtype=bool)
    for number, contract in enumerate(contracts):
        if exclude_roll and in_roll(contract, as_of):
            may[number] = False
        if front_month:
            may[number] &= contract == front(contract.root, as_of, exclude_roll=exclude_roll)
    return may


def in_roll(contract: Contract, as_of: np.datetime64) -> bool:
    """Return whether a Treasury future is being rolled, or delivered."""
    if contract.rule.kind != "treasury":
        return False
    begins = add_business_days(contract.month.astype("datetime64[D]"), -ROLL_DAYS, "cme")
    return bool(as_of >= begins)


def front(root: str, as_of: np.datetime64, *, exclude_roll: bool) -> Contract | None:
    """Return the first contract of a root that still trades; if asked, not in its roll."""
    this_month = as_of.astype("datetime64[M]")
    for ahead in range(-1, MONTHS_AHEAD):
        with suppress(ValueError):
            contract = Contract(root, this_month + np.timedelta64(ahead, "M"))
            rolled = exclude_roll and in_roll(contract, as_of)
            if last_trading_day(contract) >= as_of and not rolled:
                return contract
    return None
