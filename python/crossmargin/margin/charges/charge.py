"""The shape of every charge: its name, its clearing house, and how much a book owes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossmargin.arrays import Float
from crossmargin.engine import Book
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy


@dataclass(frozen=True)
class Charge:
    """A charge on top of V, prepared for the instruments of a run.

    Attributes
    ----------
    name : str
        The components table calls it `charge: NAME`.
    ccp : str
        The clearing house that charges.
    reducible : bool
        Whether the agreement reduces it with V.
    amount : callable
        Takes a book, whose rows are group * 4 + segment, and that ccp's margin of it. Returns the
        amount of every margin portfolio, [G x 5], USD.
    per_lot : callable, optional
        Takes the same, of few groups, and what a lot of each instrument adds to V, [G x 5 x I].
        Returns what a lot adds to the charge, likewise; quantities times it sum to the amount.
        None: the charge is not shared out over positions.
    single : callable, optional
        The same to the bit for one account in plain numbers, from its positions and V. Without it
        a what-if goes through the full calculation, which is always safe.
    """

    name: str
    ccp: str
    reducible: bool
    amount: Callable[[Book, CcpMargin], Float]
    per_lot: Callable[[Book, CcpMargin, Float], Float] | None = None
    single: Callable[[Held, Portfolios], Portfolios] | None = None


@dataclass(frozen=True)
class Charged:
    """The amounts of a charge.

    Attributes
    ----------
    name, ccp, reducible
        As in `Charge`.
    amount : ndarray of float64, [G x 5]
        USD, for every margin portfolio of the ccp.
    """

    name: str
    ccp: str
    reducible: bool
    amount: Float


@dataclass(frozen=True)
class ChargeInputs:
    """What charges are prepared from.

    Attributes
    ----------
    universe : Universe
        The instruments of the run; the first ones are the securities of the book.
    held : Securities
        Those securities, in the same order.
    market : Market
        The as-of date, and the history that rates are calibrated from.
    policy : Policy
        Its tables say what is charged.
    volumes : mapping of str to float
        Contracts a day, as given: by contract (`ZNM25`) or root.
    store : ScenarioStore
        Keeps the scenarios chosen from the market's history.
    """

    universe: Universe
    held: Securities
    market: Market
    policy: Policy
    volumes: Mapping[str, float]
    store: ScenarioStore
