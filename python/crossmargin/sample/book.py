"""A synthetic client book: accounts of a few trading styles, and the positions they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin.arrays import Float, Integer, Mask, Text
from crossmargin.market.calendars import add_business_days
from crossmargin.market.draws import Draws
from crossmargin.sample.market import History
from crossmargin.sample.tradable import Tradable

FIRM, OTHER_FIRM = "Synthetic FCM", "Synthetic Bank"
UNKNOWN_DATE = np.datetime64("NaT", "D")

# The two legs of each kind of trade: one is bought and the other sold, or the reverse.
POOLS = ("nothing", "basket", "bond", "other bond", "note", "treasury", "other treasury", "rate")
TRADES = {
    "basis": ("basket", "treasury"),
    "cash": ("bond", "nothing"),
    "future": ("treasury", "nothing"),
    "curve": ("bond", "other treasury"),
    "switch": ("bond", "other bond"),
    "spread": ("treasury", "other treasury"),
    "strip": ("note", "rate"),
    "rate": ("rate", "nothing"),
}


@dataclass(frozen=True)
class Style:
    """How a kind of account trades.

    Attributes
    ----------
    share : float
        Share of the customer accounts.
    trades : int
        Median number of trades.
    risk : float
        Median sensitivity of the first legs of all trades, USD a basis point.
    long : float
        Share of trades that buy their first leg.
    mix : dict of str to float
        Weights of `TRADES`.
    """

    share: float
    trades: int
    risk: float
    long: float
    mix: dict[str, float]


STYLES = {
    "basis fund": Style(
        0.30, 8, 60_000, 0.90, {"basis": 0.82, "curve": 0.08, "switch": 0.06, "strip": 0.04}
    ),
    "curve trader": Style(
        0.14, 6, 40_000, 0.50, {"curve": 0.45, "spread": 0.30, "switch": 0.15, "strip": 0.10}
    ),
    "repo-financed": Style(0.14, 5, 30_000, 0.92, {"cash": 0.90, "switch": 0.10}),
    "futures only": Style(0.16, 4, 15_000, 0.50, {"future": 0.65, "spread": 0.25, "rate": 0.10}),
    "short end": Style(0.08, 5, 20_000, 0.70, {"strip": 0.55, "rate": 0.25, "basis": 0.20}),
    "mixed": Style(
        0.12, 8, 30_000, 0.60, {"basis": 0.30, "cash": 0.30, "future": 0.25, "curve": 0.15}
    ),
    "tiny": Style(0.05, 1, 200, 0.50, {"basis": 0.40, "cash": 0.30, "future": 0.30}),
    "empty": Style(0.01, 0, 0.0, 0.50, {"cash": 1.0}),
    "house": Style(
        0.0,
        150,
        1_000_000,
        0.50,
        {"basis": 0.25, "cash": 0.20, "future": 0.15, "curve": 0.20, "switch": 0.20},
    ),
}
TRADES_SPREAD, RISK_SPREAD, SIZE_SPREAD = 0.9, 1.7, 0.8
"""Standard deviations of logs: number of trades, risk of an account, share of each trade."""
MOST_TRADES, MOST_RISK = 600, 20_000_000.0
ACCOUNTS_PER_HOUSE = 600

MULTIPLIERS = ((1.0, 0.70), (1.1, 0.12), (1.2, 0.10), (1.25, 0.05), (1.5, 0.03))
FLOORS = ((0.0, 0.85), (100_000.0, 0.10), (1_000_000.0, 0.05))
MINIMUMS = ((0.0, 0.80), (50_000.0, 0.15), (250_000.0, 0.05))
ROLES = (("sponsored_member", 0.82), ("executing_firm_customer", 0.15), ("none", 0.03))
OPTED_IN = 0.93
SEPARATE_ACCOUNT = 0.08
"""Share of accounts that belong to the same customer as the account before."""
# Use of the cross-margin account: share of accounts, then the share of their futures and cash.
XM_USE = ((0.70, 1.0, 1.0), (0.20, 0.7, 0.9), (0.10, 0.0, 0.0))
INELIGIBLE_IN_XM = 0.02
"""Share of ineligible rows that are booked in the cross-margin account anyway."""
ELSEWHERE_ACCOUNTS, ELSEWHERE_ROWS = 0.015, 0.25

CASH_SHARE, FORWARD_SHARE, START_CASH_SHARE = 0.10, 0.03, 0.95
# Terms of repos: most business days, share.
REPO_TERMS = ((1, 0.35), (10, 0.15), (65, 0.50))


@dataclass(frozen=True)
class Accounts:
    """The accounts as columns, [A]; `house` first.

    Attributes
    ----------
    name, customer, role : ndarray of str
    house, opted_in : ndarray of bool
    style : ndarray of int64
        Index in `STYLES`.
    multiplier, floor, minimum : ndarray of float64
        The firm's own terms: a factor, USD, USD.
    """

    name: Text
    customer: Text
    role: Text
    house: Mask
    opted_in: Mask
    style: Integer
    multiplier: Float
    floor: Float
    minimum: Float

    def table(self) -> pa.Table:
        """Return the accounts as a table with the columns of an accounts file."""
        return pa.table(
            {
                "account": pa.array(self.name, pa.string()),
                "origin": pa.array(np.where(self.house, "house", "customer"), pa.string()),
                "ficc_role": pa.array(self.role, pa.string()),
                "opted_in": self.opted_in,
                "clearing_firm": pa.repeat(FIRM, self.name.size),
                "customer": pa.array(self.customer, pa.string()),
                "multiplier": self.multiplier,
                "floor": self.floor,
                "minimum": self.minimum,
            }
        )


def make_accounts(draws: Draws, count: int) -> Accounts:
    """Return synthetic accounts: a few house accounts, then customers.

    Parameters
    ----------
    draws : Draws
        Consumed.
    count : int
        Number of accounts.

    Returns
    -------
    Accounts
        All accounts of a customer have the same terms.
    """
    number = np.arange(1, count + 1)
    houses = 2 + count // ACCOUNTS_PER_HOUSE
    house = number <= houses
    further = (draws.uniform(count) < SEPARATE_ACCOUNT) & (number > houses + 1)
    customer = np.cumsum(~further) - 1
    role = _table(draws, ROLES, count)[customer]
    shares = [style.share for style in STYLES.values()]
    return Accounts(
        # Text with leading zeros: an identifier must never be read as a number.
        name=np.array([f"H{n:05d}" if n <= houses else f"{n:06d}" for n in number], dtype=object),
        customer=np.array(
            [
                f"Synthetic House {n}" if n <= houses else f"Synthetic Fund {n - houses:05d}"
                for n in customer + 1
            ],
            dtype=object,
        ),
        role=np.where(house, "netting_member", role),
        house=house,
        opted_in=house | (draws.uniform(count)[customer] < OPTED_IN),
        style=np.where(house, list(STYLES).index("house"), draws.pick(shares, count)),
        multiplier=np.where(house, 1.0, _table(draws, MULTIPLIERS, count)[customer]),
        floor=np.where(house, 0.0, _table(draws, FLOORS, count)),
        minimum=np.where(house, 0.0, _table(draws, MINIMUMS, count)),
    )


def _table(draws: Draws, choices: tuple[tuple[Any, float], ...], count: int) -> npt.NDArray[Any]:
    """Return values drawn from a table of (value, weight)."""
    return np.array([c[0] for c in choices])[draws.pick([c[1] for c in choices], count)]


@dataclass(frozen=True)
class Legs:
    """Holdings of the accounts, a row for each leg of a trade, [R].

    Attributes
    ----------
    account, instrument : ndarray of int64
        Indices into the accounts and into `Tradable`.
    quantity : ndarray of float64
        Signed; USD face or contracts.
    """

    account: Integer
    instrument: Integer
    quantity: Float


def make_legs(draws: Draws, accounts: Accounts, tradable: Tradable) -> Legs:
    """Return the legs of each account's trades.

    Parameters
    ----------
    draws : Draws
        Consumed.
    accounts : Accounts
        Their style sets number, kind and size of the trades.
    tradable : Tradable
        The instruments to trade.

    Returns
    -------
    Legs
        Grouped by account.

    Notes
    -----
    The number of trades, the risk of an account and the share of each trade in it are log-normal,
    so the book is skewed: many small accounts and a few very large ones. The second leg offsets 75
    to 110 percent of the first one's sensitivity. Face is rounded to 1,000, 100,000 or a million
    USD, depending on its size.
    """
    styles = list(STYLES.values())
    count = accounts.style.size
    median = np.array([s.trades for s in styles])[accounts.style]
    trades = np.minimum(np.rint(median * draws.lognormal(TRADES_SPREAD, count)), MOST_TRADES)
    trades = np.where(median == 0, 0, np.maximum(trades, 1.0)).astype(np.int64)
    risk = np.array([s.risk for s in styles])[accounts.style] * draws.lognormal(RISK_SPREAD, count)
    risk = np.minimum(risk, MOST_RISK)

    owner = np.repeat(np.arange(count), trades)
    size = owner.size
    style = accounts.style[owner]
    share = draws.lognormal(SIZE_SPREAD, size)
    share /= np.bincount(owner, share, count)[owner]
    long = draws.uniform(size) < np.array([s.long for s in styles])[style]
    first = risk[owner] * share * np.where(long, 1.0, -1.0)
    second = -first * (0.75 + 0.35 * draws.uniform(size))

    kind = _trade_kinds(draws, style)
    candidate = _candidates(draws, tradable, size)
    trade = np.arange(size)
    pools = np.array([[POOLS.index(pool) for pool in sides] for sides in TRADES.values()])
    legs = [(first, candidate[pools[kind, 0], trade]), (second, candidate[pools[kind, 1], trade])]
    # The two legs of a trade are neighbours.
    instrument = np.stack([leg[1] for leg in legs], axis=1).ravel()
    dv01 = np.stack([leg[0] for leg in legs], axis=1).ravel()
    held = instrument >= 0
    instrument, dv01 = instrument[held], dv01[held]
    return Legs(
        account=np.repeat(owner, 2)[held],
        instrument=instrument,
        quantity=_whole(dv01 / tradable.dv01[instrument], instrument < tradable.bonds),
    )


def _trade_kinds(draws: Draws, style: Integer) -> Integer:
    """Return the index in `TRADES` of each trade, drawn by the mix of its style."""
    mixes = np.array([[s.mix.get(kind, 0.0) for kind in TRADES] for s in STYLES.values()])
    edges = np.cumsum(mixes, axis=1)
    u = draws.uniform(style.size) * edges[style, -1]
    return np.asarray(np.minimum((edges[style] <= u[:, None]).sum(axis=1), len(TRADES) - 1))


def _candidates(draws: Draws, tradable: Tradable, size: int) -> Integer:
    """Return an instrument from each pool for each trade, [pools x trades]; -1 for none."""
    drawn = {"nothing": np.full(size, -1)}
    for pool in POOLS[2:]:
        drawn[pool] = draws.pick(tradable.weight[pool.removeprefix("other ")], size)
    drawn["basket"] = np.empty(size, np.int64)
    for contract in np.unique(drawn["treasury"]):
        rows = np.flatnonzero(drawn["treasury"] == contract)
        drawn["basket"][rows] = draws.pick(tradable.basket[contract], rows.size)
    return np.stack([drawn[pool] for pool in POOLS])


def _whole(lots: Float, bond: Mask) -> Float:
    """Round lots of 100 face to whole contracts or to round amounts of face, signed; never 0."""
    face = np.abs(lots) * 100.0
    step = np.where(face < 500_000.0, 1_000.0, np.where(face < 5_000_000.0, 1e5, 1e6))
    size = np.where(bond, step * np.rint(face / step), np.rint(np.abs(lots)))
    smallest = np.where(bond, 1_000.0, 1.0)
    return np.asarray(np.where(lots < 0, -1.0, 1.0) * np.maximum(size, smallest))


def make_positions(
    draws: Draws, accounts: Accounts, legs: Legs, tradable: Tradable, history: History
) -> pa.Table:
    """Return the rows of a positions file.

    Parameters
    ----------
    draws : Draws
        Consumed.
    accounts : Accounts
    legs : Legs
    tradable : Tradable
    history : History
        Gives the as-of date and the level of repo rates.

    Returns
    -------
    pyarrow.Table
        Every row is good. Most bonds are financed, long by repo and short by reverse; a tenth are
        unsettled purchases or sales.
    """
    as_of = history.date[-1]
    rows = legs.account.size
    future = legs.instrument >= tradable.bonds
    cash = ~future & (draws.uniform(rows) < CASH_SHARE)
    repo = ~future & ~cash
    long = legs.quantity > 0
    kind = np.select([future, cash, long], ["future", "cash", "repo"], "reverse")

    longest = _table(draws, REPO_TERMS, rows).astype(np.int64)
    shortest = np.where(longest == 1, 1, np.where(longest == 10, 2, 11))
    remaining = shortest + draws.below(longest - shortest + 1, rows)
    forward = draws.uniform(rows) < FORWARD_SHARE
    # An overnight repo started today, a longer one some days ago; a forward one starts later.
    begun = np.where(longest == 1, 0, -draws.below(remaining + 1, rows))
    start = np.where(forward, 1 + draws.below(5, rows), begun)
    end = np.where(forward, start + remaining, remaining)
    day = add_business_days(as_of, np.arange(-70, 80), "bond")
    bond = np.where(future, 0, legs.instrument)
    # A repo ends before its bond matures; if the term is too long, it is overnight instead.
    late = day[70 + end] > tradable.maturity[bond]
    start, end = np.where(late, 0, start), np.where(late, 1, end)
    level = history.par_yield[-1, 0] - np.where(long, 0.0, 0.03)
    rate = np.maximum(np.rint((level + 0.04 * draws.normal(rows)) * 100.0) / 100.0, 0.0)
    start_cash = np.rint(np.abs(legs.quantity) * tradable.dirty[bond]) / 100.0
    has_cash = repo & (draws.uniform(rows) < START_CASH_SHARE)

    elsewhere = (draws.uniform(accounts.name.size) < ELSEWHERE_ACCOUNTS)[legs.account]
    elsewhere &= draws.uniform(rows) < ELSEWHERE_ROWS
    firm = np.where(elsewhere, OTHER_FIRM, "")
    return pa.table(
        {
            "account": pa.array(accounts.name, pa.string()).take(pa.array(legs.account)),
            "kind": pa.array(kind, pa.string()),
            "instrument": pa.array(tradable.name, pa.string()).take(pa.array(legs.instrument)),
            "quantity": np.where(repo, np.abs(legs.quantity), legs.quantity),
            "xm": _in_xm(draws, accounts, legs, tradable),
            "settle_date": np.where(cash, day[71], UNKNOWN_DATE),
            "start_date": np.where(repo, day[70 + start], UNKNOWN_DATE),
            "end_date": np.where(repo, day[70 + end], UNKNOWN_DATE),
            "repo_rate": pa.array(rate, mask=~repo),
            "start_cash": pa.array(start_cash, mask=~has_cash),
            "failed": pa.array(np.zeros(rows, dtype=bool), mask=future),
            "clearing_firm": pa.array(firm, pa.string(), mask=~elsewhere),
        }
    )


def _in_xm(draws: Draws, accounts: Accounts, legs: Legs, tradable: Tradable) -> Mask:
    """Return a mask of the rows booked in the cross-margin account."""
    share = np.array(XM_USE)
    use = share[draws.pick(share[:, 0], accounts.name.size)][legs.account]
    future = legs.instrument >= tradable.bonds
    xm = draws.uniform(legs.account.size) < np.where(future, use[:, 1], use[:, 2])
    allowed = (accounts.opted_in & (accounts.role != "none"))[legs.account]
    allowed &= future | tradable.eligible[np.where(future, 0, legs.instrument)]
    return np.asarray(xm & (allowed | (draws.uniform(xm.size) < INELIGIBLE_IN_XM)))
