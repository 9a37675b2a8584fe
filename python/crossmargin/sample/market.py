"""A synthetic Treasury market: the history of par yields, and the basis of the futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import exact
from crossmargin.arrays import Dates, Float
from crossmargin.market.calendars import DAY, is_business_day
from crossmargin.market.curve import TENORS, Curve, bootstrap
from crossmargin.market.draws import Draws
from crossmargin.market.market import SYNTHETIC

FIRST_DAY = np.datetime64("2006-02-09", "D")
"""First day of the history: two and a half years before the stress window 2008-07 to 2009-06."""
EARLIEST_AS_OF = np.datetime64("2023-01-03", "D")
"""First day on which all eight Treasury futures are listed and have issues to deliver."""
LATEST_AS_OF = np.datetime64("2049-12-31", "D")

# Levels that the curve is drawn to, percent: 3 months, 2, 5, 10 and 30 years. They are the broad
# regimes of the last two decades, in quarters of a percent; the path around them is random.
LEVELS = (
    ("2006-02", 4.50, 4.75, 4.50, 4.50, 4.50),
    ("2007-01", 5.00, 4.75, 4.75, 4.75, 4.75),
    ("2008-01", 3.25, 3.00, 3.50, 4.00, 4.50),
    ("2008-09", 1.50, 2.25, 3.00, 3.75, 4.25),
    ("2009-01", 0.00, 0.75, 1.75, 2.75, 3.25),
    ("2010-01", 0.00, 1.00, 2.50, 3.75, 4.50),
    ("2011-01", 0.00, 0.75, 2.00, 3.25, 4.50),
    ("2012-01", 0.00, 0.25, 1.00, 2.00, 3.00),
    ("2013-01", 0.00, 0.25, 0.75, 1.75, 3.00),
    ("2014-01", 0.00, 0.50, 1.75, 3.00, 4.00),
    ("2015-01", 0.00, 0.75, 1.75, 2.25, 2.75),
    ("2016-01", 0.25, 1.00, 1.75, 2.25, 3.00),
    ("2017-01", 0.50, 1.25, 2.00, 2.50, 3.00),
    ("2018-01", 1.50, 2.00, 2.25, 2.50, 2.75),
    ("2019-01", 2.50, 2.50, 2.50, 2.75, 3.00),
    ("2020-02", 1.50, 1.50, 1.50, 1.75, 2.25),
    ("2020-04", 0.00, 0.25, 0.25, 0.75, 1.50),
    ("2021-01", 0.00, 0.25, 0.50, 1.00, 1.75),
    ("2022-01", 0.00, 0.75, 1.25, 1.50, 2.00),
    ("2023-01", 4.50, 4.50, 4.00, 3.75, 4.00),
    ("2024-01", 5.25, 4.25, 4.00, 4.00, 4.25),
    ("2025-01", 4.25, 4.25, 4.50, 4.50, 4.75),
    ("2026-01", 3.75, 3.50, 3.75, 4.25, 4.75),
)
# Weight of each column of LEVELS in a node: 1/12, 1/4, 1/2, 1, 2, 3, 5, 7, 10, 20, 30 years.
NODE_LEVEL = (
    (1.00, 1.00, 0.85, 0.50, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),
    (0.00, 0.00, 0.15, 0.50, 1.00, 0.67, 0.00, 0.00, 0.00, 0.00, 0.00),
    (0.00, 0.00, 0.00, 0.00, 0.00, 0.33, 1.00, 0.50, 0.00, 0.00, 0.00),
    (0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.50, 1.00, 0.25, 0.00),
    (0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.80, 1.00),
)
# Daily moves of the nodes for one standard deviation, basis points: level, slope, curvature, bills.
LOADINGS = (
    (0.3, 0.8, 1.3, 2.3, 3.9, 4.5, 5.2, 5.4, 5.2, 4.9, 4.7),
    (0.8, 1.1, 1.4, 2.1, 2.2, 1.6, 0.6, -0.3, -1.0, -1.9, -2.1),
    (-0.6, 1.0, 1.2, 0.8, -0.4, -0.7, -0.7, -0.4, 0.0, 0.6, 0.8),
    (2.2, 1.2, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
)
OWN_NOISE = (0.8, 0.6, 0.6, 0.7, 0.7, 0.5, 0.4, 0.4, 0.4, 0.4, 0.5)
FACTOR_MEMORY, NOISE_MEMORY = (0.997, 0.997, 0.990, 0.960), 0.80
FLOOR, FLOOR_WIDTH = 0.01, 0.2
"""Percent: yields flatten out near the floor, so bills move little when rates are near zero."""
LOWEST = np.array([FLOOR] * 10 + [0.5])
"""Percent: no Treasury yield of thirty years was ever lower. A row without any higher yield would
look like decimals to those who read it."""

# Volatility relative to the average of the two decades.
VOLATILITY = (
    ("2006-02", 0.9),
    ("2007-07", 1.1),
    ("2007-11", 1.5),
    ("2008-08", 1.5),
    ("2008-10", 2.2),
    ("2009-06", 1.7),
    ("2010-01", 1.15),
    ("2012-01", 0.85),
    ("2013-07", 1.0),
    ("2014-01", 0.75),
    ("2018-01", 0.65),
    ("2020-02", 0.8),
    ("2020-03", 2.0),
    ("2020-05", 0.75),
    ("2022-01", 1.2),
    ("2022-09", 1.4),
    ("2023-03", 1.5),
    ("2024-01", 1.2),
    ("2025-01", 1.0),
    ("2026-01", 0.9),
)
VOLATILITY_MEMORY, VOLATILITY_NOISE = 0.96, 0.06
# Fat tails: a day's moves are scaled by one of these, with mean square 1.
DAY_SCALES, DAY_WEIGHTS = (0.60, 0.95, 1.35, 2.10), (0.33, 0.45, 0.19, 0.03)
BILL_SCALES, BILL_WEIGHTS = (0.40, 1.00, 3.50), (0.55, 0.40, 0.05)

# Root, first month with a history, daily noise of the basis in price points.
BASIS_ROOTS = (
    ("ZT", "2006-03", 0.008),
    ("Z3N", "2010-03", 0.013),
    ("ZF", "2006-03", 0.016),
    ("ZN", "2006-03", 0.025),
    ("TN", "2016-03", 0.032),
    ("TWE", "2022-06", 0.060),
    ("ZB", "2006-03", 0.055),
    ("UB", "2010-03", 0.075),
)
BASIS_MEMORY = 0.90
NET_BASIS = 3.0
"""A new contract settles this many daily noises below its model price, for delivery options."""
ROLL_OVERLAP = 10
"""Business days on which two contracts of a root both have a basis."""


@dataclass(frozen=True)
class History:
    """The synthetic history behind a market.

    Attributes
    ----------
    date : ndarray of datetime64[D], [T]
        Business days of the bond market; the last one is `as_of`.
    par_yield : ndarray of float64, [T x 11]
        Percent, in hundredths.
    volatility : ndarray of float64, [T]
        Volatility of each day's moves, relative to the average.
    """

    date: Dates
    par_yield: Float
    volatility: Float

    def table(self) -> pa.Table:
        """Return the par yields in our plain form, with a column that marks them as synthetic."""
        columns = {name: self.par_yield[:, k] for k, name in enumerate(TENORS)}
        mark = pa.repeat(True, self.date.size)
        return pa.table({"date": self.date, **columns, SYNTHETIC: mark})

    def curve(self) -> Curve:
        """Return the curve of the last day."""
        return Curve(self.date[-1], bootstrap(self.date[-1:], self.par_yield[-1:] / 100.0)[0])


def make_history(seed: int, as_of: np.datetime64) -> History:
    """Return synthetic daily par yields up to `as_of`.

    Parameters
    ----------
    seed : int
        Zero or more.
    as_of : datetime64[D]
        A business day of the bond market between `EARLIEST_AS_OF` and `LATEST_AS_OF`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        `as_of` is out of range or not a business day.

    Notes
    -----
    The shadow yield of a node is the regime's level (`LEVELS`, linear in time), plus four factors
    that revert slowly (`LOADINGS`; `FACTOR_MEMORY` a day), plus the node's own noise, which reverts
    fast. A day's moves are standard normals times the regime's volatility, times the exponential of
    an autoregression (clusters), times a random scale common to the factors (fat tails). The yield
    is floor + w ln(1 + e^((shadow - floor)/w)), rounded to hundredths of a percent as published.
    """
    if not EARLIEST_AS_OF <= as_of <= LATEST_AS_OF:
        raise ValueError(
            f"as_of {as_of} is out of range; give a day from {EARLIEST_AS_OF} to {LATEST_AS_OF}"
        )
    if not is_business_day(as_of, "bond"):
        raise ValueError(
            f"as_of {as_of} is not a business day of the bond market; give the one before"
        )
    date = _business_days(FIRST_DAY, as_of)
    days = date.size
    draws = Draws(seed, "par_yields")

    cluster = _autoregression(VOLATILITY_MEMORY, VOLATILITY_NOISE * draws.normal(days, 1))[:, 0]
    volatility = _between(VOLATILITY, date)[:, 0] * exact.exp(cluster)
    day = np.asarray(DAY_SCALES)[draws.pick(DAY_WEIGHTS, days)]
    bill = np.asarray(BILL_SCALES)[draws.pick(BILL_WEIGHTS, days)]
    scale = (volatility * day)[:, None]
    factor = draws.normal(days, len(LOADINGS)) * scale
    factor[:, -1] = factor[:, -1] * bill
    noise = draws.normal(days, len(OWN_NOISE)) * np.asarray(OWN_NOISE) * volatility[:, None]
    moved = _mix(_autoregression(FACTOR_MEMORY, factor), LOADINGS)
    moved += _autoregression(NOISE_MEMORY, noise)

    shadow = _mix(_between(LEVELS, date), NODE_LEVEL) + moved / 100.0
    par_yield = FLOOR + FLOOR_WIDTH * exact.log(1.0 + exact.exp((shadow - FLOOR) / FLOOR_WIDTH))
    return History(date, np.maximum(np.rint(par_yield * 100.0) / 100.0, LOWEST), volatility)


def _business_days(first: np.datetime64, last: np.datetime64) -> Dates:
    """Return the business days of the bond market from `first` to `last`."""
    every_day = np.arange(first, last + DAY)
    return every_day[is_business_day(every_day, "bond")]


def _between(path: tuple[tuple[str, *tuple[float, ...]], ...], date: Dates) -> Float:
    """Return the values of a path of (month, values) on each date: linear in time, flat after."""
    at = np.array([row[0] for row in path], "datetime64[M]").astype("datetime64[D]")
    value = np.array([row[1:] for row in path])
    left = np.clip(np.searchsorted(at, date, side="right") - 1, 0, at.size - 2)
    weight = (date - at[left]) / (at[left + 1] - at[left])
    weight = np.clip(weight, 0.0, 1.0)[:, None]
    return np.asarray(value[left] + weight * (value[left + 1] - value[left]))


def _mix(x: Float, weights: tuple[tuple[float, ...], ...]) -> Float:
    """Return x [T x F] times weights [F x N], added in the order of F."""
    total = np.zeros((x.shape[0], len(weights[0])))
    for column, row in enumerate(weights):
        total += x[:, column : column + 1] * np.asarray(row)
    return total


def _autoregression(memory: npt.ArrayLike, shock: Float) -> Float:
    """Return state(t) = memory * state(t - 1) + shock(t) along the first axis, from zero."""
    state = np.empty_like(shock)
    last = np.zeros(shock.shape[1:])
    weight = np.asarray(memory)
    for t, now in enumerate(shock):
        last = weight * last + now
        state[t] = last
    return state


def make_basis(seed: int, history: History) -> pa.Table:
    """Return a synthetic basis of each Treasury future: settlement minus model price.

    Parameters
    ----------
    seed : int
        Zero or more.
    history : History
        Gives the days and their volatility.

    Returns
    -------
    pyarrow.Table
        date, root, contract, basis (price points, four decimals); sorted by root, contract, date.

    Notes
    -----
    A quarterly contract has a basis from `ROLL_OVERLAP` days before its predecessor ends until the
    last business day before its delivery month. The basis starts `NET_BASIS` noises below zero,
    reverts to a mean that shrinks linearly to zero, and is noisier when yields are more volatile.
    """
    today = history.date[-1]
    days = _business_days(FIRST_DAY, today + np.timedelta64(250, "D"))
    until = today.astype("datetime64[M]") + np.timedelta64(7, "M")
    month = np.arange("2006-03", until, 3, dtype="datetime64[M]")
    last = np.searchsorted(days, month.astype("datetime64[D]")) - 1
    start = np.maximum(np.concatenate([[0], last[:-1] - ROLL_OVERLAP]), 0)
    month, start, last = (x[start < history.date.size] for x in (month, start, last))

    length = int((last - start).max()) + 1
    step = np.arange(length)
    day = start[:, None] + step  # [C x L]
    alive = (step <= (last - start)[:, None]) & (day < history.date.size)
    day = np.minimum(day, history.date.size - 1)
    left = 1.0 - step / np.maximum(last - start, 1)[:, None]
    shock = Draws(seed, "basis").normal(length, len(BASIS_ROOTS), month.size)
    shock *= history.volatility[day].T[:, None, :]
    state = _autoregression(BASIS_MEMORY, shock).transpose(1, 2, 0)  # [R x C x L]

    tables = []
    for r, (root, first, sigma) in enumerate(BASIS_ROOTS):
        use = alive & (month >= np.datetime64(first, "M"))[:, None]
        contract, _ = np.nonzero(use)
        basis = sigma * (state[r] - NET_BASIS * left)
        symbols = [symbol(root, m) for m in month]
        tables.append(
            pa.table(
                {
                    "date": history.date[day[use]],
                    "root": pa.repeat(root, contract.size),
                    "contract": pa.array(symbols).take(pa.array(contract)),
                    "basis": np.rint(basis[use] * 1e4) / 1e4,
                }
            )
        )
    return pa.concat_tables(tables)


def symbol(root: str, month: np.datetime64) -> str:
    """Return a contract's symbol, `ZNM26`."""
    number = int(month.astype("datetime64[M]").astype(np.int64))
    return f"{root}{'FGHJKMNQUVXZ'[number % 12]}{(number // 12 + 1970) % 100:02d}"
