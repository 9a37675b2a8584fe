"""What a margin model is to the rest of the package.

A clearing house is data: a name, the kinds of positions it clears, and a model with parameters. A
model is prepared once for a market and a list of instruments, and then margins any number of books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from crossmargin.arrays import Float, Mask, Text
from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.engine import Book, Cube, Execution, Measure
from crossmargin.engine.whatif import BucketSums
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.identifiers import canonical_name
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.observed import Outright
from crossmargin.margin.parts import Part
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held
from crossmargin.market import Market
from crossmargin.market.market import Note
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import ScenarioRules

LARGEST_MARGIN = 1e11
"""USD. FICC asks for less than this of all its members together."""


class AmountError(ValueError):
    """An amount too large for any account: a total of such amounts does not fit in whole cents.

    Attributes
    ----------
    group : int
        The group of the book that the amount belongs to.
    """

    def __init__(self, group: int, problem: str) -> None:
        super().__init__(group, problem)
        self.group = group

    def __str__(self) -> str:
        return str(self.args[1])


@dataclass(frozen=True)
class OwnCube:
    """P&L that a user brings: instruments [N], P&L [N x S], names of the scenarios [S].

    Errors call it by its `name`.
    """

    name: str
    instrument: Sequence[str]
    pnl: Float
    scenario: Sequence[str]

    def of(self, universe: Universe, as_of: np.datetime64) -> tuple[Cube, Text]:
        """Return the P&L in a universe's order, and why an instrument is not covered, if so, [I].

        Raises
        ------
        InputError
            Two rows name the same instrument.
        """
        row: dict[str, int] = {}
        for number, text in enumerate(self.instrument):
            symbol = _symbol(text, as_of)
            if symbol in row:
                first = self.instrument[row[symbol]]
                raise InputError(
                    f"{self.name}: {first} and {text} name the same instrument; keep one"
                )
            row[symbol] = number
        at = np.array([row.get(text, -1) for text in universe.name.tolist()], dtype=np.int64)
        covered = at >= 0
        pnl = np.where(covered[:, None], self.pnl[at], 0.0)
        unpriced = np.where(covered, "", "NOT_IN_CUBE").astype(object)
        return Cube(pnl, scenario=self.scenario), unpriced


def _symbol(text: str, as_of: np.datetime64) -> str:
    """Return the canonical name of an instrument; a text that names none comes back unchanged."""
    try:
        return canonical_name(text, as_of)
    except ValueError:
        return text


@dataclass(frozen=True)
class ModelInputs:
    """What a model is prepared from.

    Attributes
    ----------
    universe : Universe
        The instruments, [I]. Its first ones are the securities of the book.
    held : Securities
        Those securities, in the same order.
    market : Market
    scenarios : ScenarioRules
        The look-back and the periods of stress.
    eligible : ndarray of bool, [I]
        The instrument may be cross-margined.
    store : ScenarioStore
        Keeps the scenarios chosen from the market's history.
    cube : OwnCube, optional
        P&L the user brings for this clearing house.
    span_file : SpanFile, optional
        Parameters that replace the policy's, for a model that reads such files.
    volumes : mapping of str to float
        Contracts a day, by contract or root; empty where none are given.
    observed : tuple of ObservedMargin
        Margins of single contracts, for a model that is compared with them and scaled to them.
    outrights : tuple of Outright, optional
        From the model as it was prepared before: its factors are used, none are found again.
    """

    universe: Universe
    held: Securities
    market: Market
    scenarios: ScenarioRules
    eligible: Mask
    store: ScenarioStore
    cube: OwnCube | None = None
    span_file: SpanFile | None = None
    volumes: Mapping[str, float] = field(default_factory=dict)
    observed: tuple[ObservedMargin, ...] = ()
    outrights: tuple[Outright, ...] | None = None


@dataclass(frozen=True)
class Incremental:
    """How to find a model's V from tails and sums that can be cached and added to.

    Attributes
    ----------
    measures : tuple of Measure
        Each gives a VaR of every margin portfolio.
    sums : BucketSums, optional
        Sums that V needs besides VaR.
    v : callable
        Returns V of each margin portfolio from VaR by each measure, then the sums, then what
        `single` returns, all as plain floats. It equals the model's own V to the bit. V of a
        portfolio depends on the numbers of this portfolio alone.
    mixtures : tuple of tuple of float
        Weights of the measures, none negative. V is the largest of these weighted sums of VaR, of
        the sums, and of zero. Empty where V is not of this form.
    single : callable, optional
        Returns one amount of each margin portfolio from the positions of an account. An amount is
        infinite where the model would raise an error.
    """

    measures: tuple[Measure, ...]
    sums: BucketSums | None
    v: Callable[..., Portfolios]
    mixtures: tuple[tuple[float, ...], ...]
    single: Callable[[Held], Portfolios] | None = None


class PreparedModel(Protocol):
    """A model with the P&L and parameters of one market and one list of instruments."""

    @property
    def unpriced(self) -> Text:
        """Why the model does not cover an instrument, as an exception code; else empty, [I]."""

    @property
    def without_basis(self) -> tuple[str, ...]:
        """Roots without a basis in most scenarios: savings on them are upper bounds."""

    @property
    def without_spread(self) -> tuple[str, ...]:
        """Roots that move with the Treasury curve alone in most scenarios."""

    @property
    def outrights(self) -> tuple[Outright, ...]:
        """Margins of single contracts beside observed ones; empty if it is not compared."""

    @property
    def incremental(self) -> Incremental | None:
        """How accounts can be cached and added to; None if they cannot, which is always safe."""

    def margin(self, book: Book, execution: Execution) -> CcpMargin:
        """Return the margin of every portfolio of a book's groups.

        Parameters
        ----------
        book : Book
            Rows are group * 4 + segment at FICC and CME; elsewhere each row is a group.
        execution : Execution
        """

    def parts(self, book: Book, execution: Execution) -> Sequence[Part]:
        """Return what V of every portfolio of a book's groups is the sum of.

        Parameters
        ----------
        book : Book
            As for `margin`, of few groups: parts are dense.
        execution : Execution
        """

    def scenario_pnl(self) -> Mapping[str, Cube]:
        """Return the P&L that the model measures, by name; empty for a model without P&L."""

    def notes(self) -> Sequence[Note]:
        """Return the notes for the user."""

    def describe(self) -> dict[str, Any]:
        """Return what the manifest records about the model, as plain values."""


class MarginModel(Protocol):
    """A clearing house's model with its parameters, before it is prepared for a market."""

    @property
    def name(self) -> str:
        """What the policy and the manifest call it."""

    def contracts(self, as_of: np.datetime64) -> Sequence[Contract]:
        """Return the contracts that the model needs besides those of the book."""

    def at_horizon(self, horizon: int) -> MarginModel:
        """Return the model with moves of another length, business days."""

    def prepare(self, inputs: ModelInputs, execution: Execution) -> PreparedModel:
        """Return the model for a market and its instruments.

        Raises
        ------
        HistoryShortError, CorrelationError
            The market's history is too short, or its correlation cannot be replaced.
        InputError
            What the user brought does not fit the model.
        """


@dataclass(frozen=True)
class ClearingHouse:
    """A clearing house as a policy describes it.

    Attributes
    ----------
    ccp : str
        Its name.
    model : MarginModel
    clears : tuple of str
        Kinds of positions that it clears.
    """

    ccp: str
    model: MarginModel
    clears: tuple[str, ...] = field(default=())
