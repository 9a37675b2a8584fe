"""The synthetic outstanding securities: the Treasury's auction calendar, priced on the curve."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa

from crossmargin import exact
from crossmargin.arrays import Dates, Float, Integer
from crossmargin.instruments.schedule import add_months, last_of_month
from crossmargin.instruments.securities import Securities, accrued, cash_flows
from crossmargin.market.calendars import DAY, MONTH, add_business_days
from crossmargin.market.curve import NODES
from crossmargin.market.draws import Draws
from crossmargin.sample.market import FIRST_DAY, History

QUARTERLY = (2, 5, 8, 11)
EVERY_MONTH = tuple(range(1, 13))


@dataclass(frozen=True)
class Programme:
    """One line of an auction calendar.

    Attributes
    ----------
    type, code : str
        Type of security; the last two characters of its CUSIPs.
    term : int
        Months.
    months : tuple of int
        Months of new issues.
    matures_at_end, settles_at_end : bool
        Whether it matures and settles on a month's last day; else on the 15th.
    first, last : str
        First and last month of issue.
    coupon_pct : float, optional
        None: set by the par yield of the day.
    """

    type: str
    code: str
    term: int
    months: tuple[int, ...]
    matures_at_end: bool
    settles_at_end: bool
    first: str
    last: str = "2100-01"
    coupon_pct: float | None = None


# As the Treasury has sold them, without reopenings, which add no new security.
PROGRAMMES = (
    Programme("note", "02", 24, EVERY_MONTH, True, True, "2006-03"),
    Programme("note", "03", 36, EVERY_MONTH, False, False, "2008-11"),
    Programme("note", "05", 60, EVERY_MONTH, True, True, "2006-03"),
    Programme("note", "07", 84, EVERY_MONTH, True, True, "2009-02"),
    Programme("note", "10", 120, QUARTERLY, False, False, "2006-02"),
    Programme("bond", "20", 240, QUARTERLY, False, True, "2020-05"),
    Programme("bond", "30", 360, (2, 8), False, False, "1993-02", "2001-02"),
    Programme("bond", "30", 360, (2, 8), False, False, "2006-02", "2008-08"),
    Programme("bond", "30", 360, QUARTERLY, False, False, "2009-02"),
)
OLD_COUPON, OLD_YEAR, OLD_SLOPE = 6.875, 1996, 0.2
"""Coupons of issues before the history: 6.875% in 1996, falling by 0.2% a year."""

# Securities that no model covers and no cross-margin account may hold.
OTHER_PROGRAMMES = (
    Programme("tips", "T1", 60, (4, 10), False, True, "2006-04", coupon_pct=1.25),
    Programme("tips", "T2", 120, (1, 7), False, True, "2006-01", coupon_pct=1.5),
    Programme("tips", "T3", 360, (2,), False, True, "2006-02", coupon_pct=2.0),
    Programme("frn", "F2", 24, (1, 4, 7, 10), True, True, "2014-01", coupon_pct=0.0),
    Programme("bill", "W1", 12, EVERY_MONTH, False, False, "2006-01", coupon_pct=0.0),
    Programme("strip", "S1", 120, (2, 8), False, False, "2006-02", coupon_pct=0.0),
    Programme("mbs", "M3", 360, (6,), False, False, "2006-06", coupon_pct=5.5),
)
OTHERS_OUTSTANDING = 6
"""Most securities of each of them; the latest are kept."""

SPREAD_NOISE, LATEST_SPREAD = 1.0, -2.0
"""Basis points: spread of market prices over the curve, and how rich the latest issues are."""
PRICE_STEPS = 256.0
"""Prices are quoted in eighths of 1/32."""


def make_securities(seed: int, history: History) -> Securities:
    """Return the synthetic securities that are outstanding on the last day of a history.

    Parameters
    ----------
    seed : int
        Zero or more.
    history : History
        Gives coupons and prices.

    Returns
    -------
    Securities
        Sorted by CUSIP, which is `SYN`, year and month of maturity, and original term in years:
        `SYN360210` is the ten-year note due in February 2036.

    Notes
    -----
    Notes and bonds follow the Treasury's calendar (`PROGRAMMES`). A coupon is the par yield of the
    day rounded down to an eighth, at least an eighth. An issue that would repeat the coupon and
    maturity of an older one is sold under the older one's CUSIP and listed in its `resold_as`. A
    market price discounts the cash flows on the curve with a spread of a few basis points. TIPS,
    floating-rate notes, bills, strips and mortgage pools have no price.
    """
    nominal = _reopened(_join([_issues(line, history) for line in PROGRAMMES]))
    others = [_issues(line, history) for line in OTHER_PROGRAMMES]
    nominal = replace(nominal, price=_prices(Draws(seed, "securities"), nominal, history))
    everything = _join([nominal, *(s.take(_latest(s, OTHERS_OUTSTANDING)) for s in others)])
    return everything.take(np.argsort(everything.cusip, kind="stable"))


def last_matured(history: History) -> Securities:
    """Return the two-year note that matured last; real files often still hold it."""
    matured = _issues(PROGRAMMES[0], history, matured=True)
    return matured.take(_latest(matured, 1))


def securities_table(securities: Securities) -> pa.Table:
    """Return securities as a table with the columns of a securities file, null where missing."""
    price = pa.array(securities.price, mask=np.isnan(securities.price))
    resold = pa.array(securities.resold_as, pa.string(), mask=securities.resold_as == "")
    return pa.table(
        {
            "cusip": pa.array(securities.cusip, pa.string()),
            # Coupons are eighths or quarters of a percent, so this is exact.
            "coupon_pct": np.rint(securities.coupon * 100_000.0) / 1000.0,
            "issue_date": securities.issue_date,
            "maturity_date": securities.maturity_date,
            "type": pa.array(securities.type, pa.string()),
            "first_coupon_date": pa.nulls(securities.cusip.size, pa.date32()),
            "price": price,
            "resold_as": resold,
        }
    )


def _issues(line: Programme, history: History, *, matured: bool = False) -> Securities:
    """Return the outstanding issues of one line of the calendar, or the matured ones."""
    as_of = history.date[-1]
    last = np.datetime64(line.last)
    end = min(as_of + DAY, last + MONTH)
    month = np.arange(line.first, end, dtype="datetime64[M]")
    month = month[np.isin(month.astype(np.int64) % 12 + 1, line.months)]
    mid_month = month.astype("datetime64[D]") + np.timedelta64(14, "D")
    settles = last_of_month(month) if line.settles_at_end else mid_month
    issue = add_business_days(settles, 0, "bond")
    maturity = add_months(mid_month, line.term)
    if line.matures_at_end:
        maturity = last_of_month(maturity)
    keep = (issue <= as_of) & ((maturity <= as_of) == matured)
    issue, maturity = issue[keep], maturity[keep]
    cusip = [f"SYN{str(m)[2:4]}{str(m)[5:7]}{line.code}" for m in maturity]
    size = issue.size
    return Securities(
        cusip=np.array(cusip, dtype=object),
        type=np.full(size, line.type, dtype=object),
        coupon=_coupon_pct(line, issue, history) / 100.0,
        issue_date=issue,
        maturity_date=maturity,
        first_coupon_date=np.full(size, np.datetime64("NaT", "D")),
        price=np.full(size, np.nan),
        resold_as=np.full(size, "", dtype=object),
        outstanding=np.full(size, np.nan),
    )


def _coupon_pct(line: Programme, issue: Dates, history: History) -> Float:
    """Return the coupons that an auction on the day of issue would set, percent."""
    if line.coupon_pct is not None:
        return np.full(issue.size, line.coupon_pct)
    day = np.maximum(np.searchsorted(history.date, issue, side="right") - 1, 0)
    par = history.par_yield[day, np.searchsorted(NODES, line.term / 12)]
    year = issue.astype("datetime64[Y]").astype(np.int64) + 1970
    par = np.where(issue < FIRST_DAY, OLD_COUPON - OLD_SLOPE * (year - OLD_YEAR), par)
    return np.maximum(np.floor(par * 8.0), 1.0) / 8.0


def _latest(securities: Securities, count: int) -> Integer:
    """Return the indices of the last `count` issues; issues are sorted by date."""
    size = securities.cusip.size
    return np.arange(max(size - count, 0), size)


def _join(parts: list[Securities]) -> Securities:
    """Return the securities of all parts, one after the other."""
    names = [field.name for field in fields(Securities) if field.init]
    return Securities(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def _reopened(securities: Securities) -> Securities:
    """Merge each issue that repeats an older one's coupon and maturity into the older one."""
    order = np.lexsort((securities.issue_date, securities.coupon, securities.maturity_date))
    s = securities.take(order)
    again = np.zeros(s.cusip.size, dtype=bool)
    again[1:] = (s.maturity_date[1:] == s.maturity_date[:-1]) & (s.coupon[1:] == s.coupon[:-1])
    resold = s.resold_as.copy()
    for row in np.flatnonzero(again):
        first = row - 1 - int(np.argmin(again[row - 1 :: -1]))
        sale = f"{s.issue_date[row]}:{int(s.cusip[row][-2:])}-Year"
        resold[first] = f"{resold[first]};{sale}" if resold[first] else sale
    return replace(s, resold_as=resold).take(np.flatnonzero(~again))


def _prices(draws: Draws, securities: Securities, history: History) -> Float:
    """Return clean market prices: the cash flows discounted on the curve with a spread."""
    size = securities.cusip.size
    spread = draws.normal(size) * SPREAD_NOISE
    newest: dict[str, int] = {}
    for row in np.argsort(securities.issue_date, kind="stable").tolist():
        newest[securities.cusip[row][-2:]] = row
    spread[list(newest.values())] += LATEST_SPREAD

    curve = history.curve()
    flows = cash_flows(securities, curve)
    owner = np.repeat(np.arange(size), np.diff(flows.ptr))
    discount = curve.discount_factor(flows.time) * exact.exp(-1e-4 * spread[owner] * flows.time)
    dirty = np.bincount(owner, flows.amount * discount, size)
    clean = dirty - accrued(securities, curve.as_of)
    return np.asarray(np.rint(clean * PRICE_STEPS) / PRICE_STEPS)
