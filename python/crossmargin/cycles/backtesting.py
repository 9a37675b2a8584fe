"""FICC's backtesting charge, from a history of daily results (methodology, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmargin.arrays import Float, Integer
from crossmargin.cycles.records import daily_records
from crossmargin.instruments.schedule import add_months, as_dates
from crossmargin.policies import BacktestingRules

Text = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Backtest:
    """Each account's coverage and charge, as columns of length A.

    Attributes
    ----------
    account : ndarray of str
        Ascending.
    days, deficiencies : ndarray of int64
        Number of results in the look-back months, and of those with a loss above the margin.
    coverage : ndarray of float64
        Share of the days without a deficiency.
    charge : ndarray of float64
        USD.
    """

    account: Text
    days: Integer
    deficiencies: Integer
    coverage: Float
    charge: Float


def backtesting_charge(
    *,
    day: npt.ArrayLike,
    account: npt.ArrayLike,
    margin: npt.ArrayLike,
    loss: npt.ArrayLike,
    as_of: str | np.datetime64,
    rules: BacktestingRules,
) -> Backtest:
    """Return the charge of each account with a result in the months up to the as-of date.

    Parameters
    ----------
    day : array_like of dates, [N]
        A result per day and account, in any order.
    account : array_like of str, [N]
    margin, loss : array_like of float, [N]
        The margin held, and the loss that liquidation would have made, USD; negative for a gain.
    as_of : date
        The last day that counts.
    rules : BacktestingRules
        Months, coverage, rank.

    Returns
    -------
    Backtest

    Raises
    ------
    ValueError
        Columns of different lengths, an amount that is not finite, or two records for the same day
        and account.

    Notes
    -----
    A deficiency is max(loss - margin, 0). Where coverage is below the target the charge is the
    rank-th largest deficiency, zero if there are fewer.
    """
    days, names, value, _ = daily_records(
        "backtesting_charge", day, account, margin=margin, loss=loss
    )
    end = as_dates(as_of, "as_of")
    used = (days > add_months(end, -rules.months)) & (days <= end)
    deficiency = np.maximum(value["loss"] - value["margin"], 0.0)[used]
    owners, owner = np.unique(names[used], return_inverse=True)
    count = np.bincount(owner, minlength=owners.size)
    short = np.bincount(owner[deficiency > 0.0], minlength=owners.size)
    coverage = (count - short) / count
    # By account, the largest deficiency first.
    order = np.lexsort((-deficiency, owner))
    at = np.cumsum(count) - count + rules.rank - 1
    enough = rules.rank <= count
    ranked = np.zeros(owners.size)
    ranked[enough] = deficiency[order][at[enough]]
    return Backtest(
        owners, count, short, coverage, np.where(coverage < rules.coverage, ranked, 0.0)
    )
