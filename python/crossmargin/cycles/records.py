"""Records by account and day, for the rules that look back over days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Dates, Float, Integer
from crossmargin.instruments.schedule import as_dates


def daily_records(
    what: str, day: Any, account: npt.ArrayLike, **amounts: npt.ArrayLike
) -> tuple[Dates, npt.NDArray[np.str_], dict[str, Float], Integer]:
    """Return checked columns of records, and their order.

    Parameters
    ----------
    what : str
        What errors call the records.
    day : array_like of dates, [N]
    account : array_like of str, [N]
    **amounts : array_like of float, [N]
        By the name that errors give them.

    Returns
    -------
    day, account, amounts
        As arrays.
    order : ndarray of int64, [N]
        By account, then by day.

    Raises
    ------
    ValueError
        Columns of different lengths, an amount that is not finite, or two records for the same day
        and account.
    """
    days, names = as_dates(day, "day"), np.asarray(account).astype(str)
    value = {name: np.asarray(given, np.float64) for name, given in amounts.items()}
    for name, column in {"account": names, **value}.items():
        if column.shape != days.shape or days.ndim != 1:
            raise ValueError(f"{what}: {name} must have one entry for each day")
    for name, column in value.items():
        if not np.isfinite(column).all():
            raise ValueError(f"{what}: {name} holds a number that is not finite")
    order = np.lexsort((days, names))
    same = (names[order][1:] == names[order][:-1]) & (days[order][1:] == days[order][:-1])
    if same.any():
        at = order[1:][same][0]
        raise ValueError(f"{what}: account {names[at]} has two records of {days[at]}; keep one")
    return days, names, value, order
