"""A market as of one day: the curves, the histories behind them, bases and fixings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Dates, Float
from crossmargin.market.basis import Basis
from crossmargin.market.calendars import business_days_between
from crossmargin.market.curve import (
    NODES,
    TREASURY_FACTORS,
    Curve,
    FactorCurve,
    LinearShifts,
    discount_factors,
    years_between,
    zero_rates,
)
from crossmargin.market.frozen import Frozen, read_only
from crossmargin.market.history import History
from crossmargin.market.sofr import Sofr
from crossmargin.market.specific import SpreadHistory

LONGEST_HOLE = 10
"""Calendar days; the history begins after the last longer gap (methodology, section 2)."""
OLDEST_CURVE = 5
"""Most business days between the last row of par yields and the as-of date."""
SYNTHETIC = "synthetic"
"""A column of this name beside the par yields marks them as synthetic."""


class Note(NamedTuple):
    """What a user should know about an input: a code of the exceptions, its file, a message."""

    code: str
    file: str
    message: str


@dataclass(frozen=True)
class Market(Frozen):
    """The market of one day, as the models use it.

    Attributes
    ----------
    as_of : datetime64[D]
        The day the book is margined for.
    curve : Curve
        Bootstrapped from the last row on or before `as_of`.
    history : History
        The past days used; the last one is the day of the curve.
    fixings : dict of str to (dates, rates)
        `SOFR` and `EFFR`: days and rates, decimal.
    synthetic : bool
        Whether the figures are synthetic.
    source : dict of str to dict
        Description of each table it was built from, for the manifest.
    notes : tuple of Note
        Notes on those tables, for the exceptions of a run.
    """

    as_of: np.datetime64
    curve: Curve
    history: History
    fixings: dict[str, tuple[Dates, Float]] = field(default_factory=dict)
    synthetic: bool = False
    source: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Freeze copies of the fixings."""
        super().__post_init__()
        fixings = {
            index: (read_only(date), read_only(rate))
            for index, (date, rate) in self.fixings.items()
        }
        object.__setattr__(self, "fixings", fixings)

    def with_curve(self, curve: Curve) -> Market:
        """Return the same market with another Treasury curve, as after a market move.

        The history and the scenarios chosen from it do not change.

        Raises
        ------
        ValueError
            The curve has another as-of date.
        """
        if curve.as_of != self.as_of:
            raise ValueError(f"the curve is for {curve.as_of}, the market for {self.as_of}")
        return dataclasses.replace(self, curve=curve)

    def __repr__(self) -> str:
        """Return the day and the size of the history."""
        mark = " (synthetic)" if self.synthetic else ""
        date = self.history.date
        return f"<Market {self.as_of}{mark}: {date.size:,} rows from {date[0]}>"

    def discount_factor(self, dates: npt.ArrayLike) -> Float:
        """Return discount factors for dates on or after the as-of date.

        Parameters
        ----------
        dates : array_like of dates
            ISO strings, `datetime.date` or datetime64.

        Returns
        -------
        ndarray of float64
        """
        day = np.asarray(dates, dtype="datetime64[D]")
        return self.curve.discount_factor(years_between(self.as_of, day))

    @cached_property
    def short_rate_curve(self) -> FactorCurve | None:
        """The curve of short-rate futures and its factors; None if it is the Treasury curve.

        Raises
        ------
        ValueError
            The Treasury curve gives no curve with smooth forwards.
        """
        sofr, short = self.history.sofr, self.history.short_rates
        first = len(TREASURY_FACTORS)
        if sofr is None:
            if short is None:
                return None
            smooth = short.rule.curve(self.curve)
            return FactorCurve(smooth, smooth.forwards, first)
        if short is None:
            return FactorCurve(sofr.curve, LinearShifts(NODES[list(sofr.node)]), first)
        smooth = sofr.smooth_curve(short.rule.front_years)
        return FactorCurve(smooth, smooth.forwards, first)

    def fixings_to(self, index: str) -> np.datetime64 | None:
        """Return the last day on or before the as-of date with a fixing of an index."""
        date, _ = self.fixings.get(index, (np.empty(0, "datetime64[D]"), None))
        past = date[date <= self.as_of]
        return cast(np.datetime64, past[-1]) if past.size else None


def build_market(
    date: Dates,
    par_yield: Float,
    *,
    as_of: np.datetime64,
    basis: dict[str, Basis] | None = None,
    fixings: dict[str, tuple[Dates, Float]] | None = None,
    sofr: Sofr | None = None,
    spreads: SpreadHistory | None = None,
    synthetic: bool = False,
    source: dict[str, dict[str, Any]] | None = None,
    notes: tuple[Note, ...] = (),
) -> Market:
    """Build a market from its histories.

    Parameters
    ----------
    date : ndarray of datetime64[D], [N]
        Ascending; rows after `as_of` are ignored.
    par_yield : ndarray of float64, [N x 11]
        Decimal, NaN where missing.
    as_of : datetime64[D]
        The day the book is margined for.
    basis, sofr, spreads
        As in `History`.
    fixings, synthetic, source, notes
        As in `Market`.

    Returns
    -------
    Market

    Raises
    ------
    ValueError
        No usable row within five business days of `as_of`, or yields that give no curve.
    """
    past = date <= as_of
    date, par_yield = date[past], par_yield[past]
    usable = ~np.isnan(par_yield).any(axis=1)
    incomplete = date[~usable]
    date, par_yield = date[usable], par_yield[usable]
    if date.size == 0:
        raise ValueError(f"par yields: no complete row on or before {as_of}")
    if business_days_between(date[-1], as_of, "bond") > OLDEST_CURVE:
        raise ValueError(
            f"par yields: the last complete row on or before {as_of} is dated {date[-1]}, more "
            f"than {OLDEST_CURVE} business days earlier; give yields up to the as-of date"
        )
    holes = np.flatnonzero(np.diff(date).astype(np.int64) > LONGEST_HOLE)
    if holes.size:
        begin = holes[-1] + 1
        incomplete = incomplete[incomplete > date[begin]]
        date, par_yield = date[begin:], par_yield[begin:]
    df = discount_factors(date, par_yield)
    if sofr and business_days_between(sofr.date[-1], as_of, "bond") > OLDEST_CURVE:
        raise ValueError(
            f"sofr: the last complete row on or before {as_of} is dated {sofr.date[-1]}, more "
            f"than {OLDEST_CURVE} business days earlier; give rates up to the as-of date"
        )
    return Market(
        as_of=as_of,
        curve=Curve(as_of, exact.log(df[-1])),
        history=History(
            date=date,
            par_yield=par_yield,
            zero_rate=zero_rates(df),
            basis=basis or {},
            sofr=sofr,
            spreads=spreads,
            skipped_rows=incomplete.size,
        ),
        fixings=fixings or {},
        synthetic=synthetic,
        source=source or {},
        notes=notes,
    )
