"""The firm's own margin of an account: all its positions at the firm as one portfolio.

With T(rows) the tail of the P&L over some rows, VaR or expected shortfall at the policy's level
(methodology, section 1), and w the weight of stress:

    V = max(0, w * T(rows in the periods of stress) + (1 - w) * T(rows of the look-back))

Moves are those of the history over the horizon, unscaled, and each position enters by full
revaluation. A row of the look-back that lies in a period of stress counts in both. The portfolio is
what the account holds at its own clearing firm, at FICC, at CME and at any other clearing house,
cross-margined or not; what it holds at other clearing firms is not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer, Mask, Text
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Book, Execution, Measure, PnlError, segment_tails
from crossmargin.exceptions import InputError
from crossmargin.margin.historical_var import revalued
from crossmargin.margin.model import LARGEST_MARGIN, AmountError, ModelInputs
from crossmargin.margin.portfolios import row_of, rows_of
from crossmargin.market.market import Note
from crossmargin.policies import HouseModelRules
from crossmargin.policies.sections.customers import ES_TAIL


@dataclass(frozen=True)
class HouseMargin:
    """The model's margin of some accounts, as columns of length N.

    Attributes
    ----------
    v : ndarray of float64
        USD, zero or more; meaningless where `unknown`.
    unknown : ndarray of bool
        The account holds an instrument without a price.
    """

    v: Float
    unknown: Mask


@dataclass(frozen=True)
class PreparedHouseModel:
    """The model prepared for a market.

    Attributes
    ----------
    rules : HouseModelRules
    measures : tuple of Measure
        The tail of the look-back and that of the periods of stress; one of them where the other
        has no weight.
    weights : tuple of float
        Of the tails.
    unpriced : ndarray of str, [I]
        Why an instrument has no price, as an exception code; else empty.
    notes : tuple of Note
        For the user.
    """

    rules: HouseModelRules
    measures: tuple[Measure, ...]
    weights: tuple[float, ...]
    unpriced: Text
    notes: tuple[Note, ...]

    def margin(
        self,
        book: Book,
        elsewhere: Mapping[str, Book],
        accounts: Integer,
        execution: Execution,
    ) -> HouseMargin:
        """Return the margin of some accounts.

        Parameters
        ----------
        book : Book
            Rows are group * 4 + segment; the first groups are the accounts at their own firms.
        elsewhere : mapping of str to Book
            By clearing house outside the programme; rows are groups.
        accounts : ndarray of int64, [N]
            Numbers of the accounts.
        execution : Execution

        Returns
        -------
        HouseMargin

        Raises
        ------
        AmountError
            A margin is absurdly large, or a sum of P&L is not finite.
        """
        pots, segments = one_pot(book, elsewhere, accounts)
        by_tail = self.rules.tail == ES_TAIL
        try:
            tails = segment_tails(
                pots,
                self.measures,
                segments=segments,
                unions=[list(range(segments))],
                es=by_tail,
                **execution.kernels,
            )
        except PnlError as error:
            raise AmountError(
                int(accounts[error.account]),
                f"the sum of its P&L in the house model is not finite in scenario {error.scenario}",
            ) from error
        tail = tails.es if by_tail else tails.var
        assert tail is not None
        weighted = np.zeros(accounts.size)
        for number, weight in enumerate(self.weights):
            weighted = weighted + weight * tail[:, 0, number]
        v = np.maximum(weighted, 0.0) + 0.0
        absurd = np.flatnonzero(v > LARGEST_MARGIN)
        if absurd.size:
            raise AmountError(
                int(accounts[absurd[0]]),
                f"its margin by the house model is beyond {LARGEST_MARGIN:,.0f} USD",
            )
        lacking = row_of(pots)[(self.unpriced != "")[pots.column]] // segments
        return HouseMargin(v, np.bincount(lacking, minlength=accounts.size) > 0)


def prepare_house_model(
    rules: HouseModelRules, inputs: ModelInputs, execution: Execution
) -> PreparedHouseModel:
    """Return the model for a market and its instruments.

    Parameters
    ----------
    rules : HouseModelRules
    inputs : ModelInputs
        A user's own P&L for a clearing house is not used: it covers what that one clears.
    execution : Execution

    Returns
    -------
    PreparedHouseModel

    Raises
    ------
    HistoryShortError
        The history is too short.
    InputError
        No row of the history lies in the periods of stress, and they have a weight.
    """
    chosen, cube = revalued(inputs, rules.scenarios, rules.horizon, execution)
    stress = rules.stress_weight
    notes: list[Note] = []
    measures: list[Measure] = []
    weights: list[float] = []
    if stress < 1.0:
        # The rows of the look-back come last.
        assert chosen.look_back_from is not None
        first = int(np.count_nonzero(chosen.date < chosen.look_back_from))
        measures.append(Measure(cube, rules.level, slice(first, cube.scenarios)))
        weights.append(1.0 - stress)
    if stress > 0.0:
        if chosen.stressed.size == 0:
            raise InputError(
                "house_model.stress_windows: no row of the history lies in them; give earlier "
                "par yields, or set house_model.stress_weight to 0"
            )
        measures.append(Measure(cube, rules.level, chosen.stressed))
        weights.append(stress)
        start = inputs.market.history.date[0]
        notes += [
            Note(
                "STRESS_CUT",
                "par_yields",
                f"the history begins on {start}, later than the house model's period of stress "
                f"from {window.first} to {window.last}: days of it give no scenarios; give earlier "
                "yields",
            )
            for window in rules.scenarios.stress
            if window.first < start
        ]
    return PreparedHouseModel(
        rules, tuple(measures), tuple(weights), inputs.universe.unpriced, tuple(notes)
    )


def one_pot(book: Book, elsewhere: Mapping[str, Book], accounts: Integer) -> tuple[Book, int]:
    """Return all positions of some accounts at their own firms, and the segments of each.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    elsewhere : mapping of str to Book
        By clearing house outside the programme; rows are groups.
    accounts : ndarray of int64, [N]

    Returns
    -------
    pots : Book
        Rows are account * segments + segment.
    segments : int
        Four, and one for each clearing house outside the programme.
    """
    books = [book, *elsewhere.values()]
    begins = np.cumsum([0, *(one.row_ptr[-1] for one in books)])
    ends = [one.row_ptr[1:] + begin for one, begin in zip(books, begins, strict=False)]
    stacked = Book.from_arrays(
        np.concatenate([np.zeros(1, np.int64), *ends]),
        np.concatenate([one.column for one in books]),
        np.concatenate([one.quantity for one in books]),
        book.columns,
    )
    own = accounts[:, None] * len(SEGMENTS) + np.arange(len(SEGMENTS))
    first_row = np.cumsum([0, *(one.rows for one in books[:-1])])[1:]
    rows = np.column_stack([own, *(accounts + first for first in first_row)])
    return rows_of(stacked, rows.ravel()), rows.shape[1]
