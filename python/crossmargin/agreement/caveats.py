"""The caveats on an account's figures: its status, and what the models leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.requirement import Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Integer, Mask
from crossmargin.conventions import CME, FUTURES
from crossmargin.engine import Book
from crossmargin.instruments.universe import Universe
from crossmargin.margin.portfolios import holds, row_of
from crossmargin.policies import AgreementRules
from crossmargin.policies.sections import LOWER_OF_MODELS

STATUSES = ("incomplete", "complete", "not_eligible")
"""Status of an account's figures, by number."""
SPREAD_NOT_MODELLED = "not modelled"
"""The value in results for a spread risk that no model covers."""


@dataclass(frozen=True)
class Caveats:
    """The caveats on each account's figures.

    Attributes
    ----------
    saving_is_upper_bound : ndarray of bool, [A]
        The saving is likely too large: a cross-margined Treasury future moves without its basis.
    spread_not_modelled : ndarray of bool, [A]
        A short-rate future moves with the Treasury curve.
    """

    saving_is_upper_bound: Mask
    spread_not_modelled: Mask


def account_caveats(
    book: Book,
    universe: Universe,
    *,
    roots_without_basis: tuple[str, ...],
    roots_without_spread: tuple[str, ...],
    group_account: Integer,
    accounts: int,
    elsewhere: Sequence[tuple[Book, tuple[str, ...]]] = (),
    rules: AgreementRules,
) -> Caveats:
    """Return the caveats on each account's figures.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment; the first A groups are the accounts.
    universe : Universe
        The instruments of the book.
    roots_without_basis, roots_without_spread : tuple of str
        Futures that in most scenarios move without their basis, or with the Treasury curve.
    group_account : ndarray of int64, [G]
        The account of each group.
    accounts : int
        Number of accounts A.
    elsewhere : sequence of (Book, tuple of str)
        At each clearing house outside the programme: its book, whose rows are groups, and the
        futures that move with the Treasury curve there.
    rules : AgreementRules
        An offset rate from a table does not depend on what the models see of a hedge.

    Returns
    -------
    Caveats
    """
    without_basis = holds(book, CME, np.isin(universe.root, roots_without_basis))
    by_models = rules.offset_method == LOWER_OF_MODELS
    held = holds(book, CME, np.isin(universe.root, roots_without_spread)).any(axis=1)
    spread_not_modelled = np.zeros(accounts, dtype=bool)
    spread_not_modelled[group_account[held]] = True
    for own, roots in elsewhere:
        group = row_of(own)[np.isin(universe.root, roots)[own.column]]
        spread_not_modelled[group_account[group]] = True
    return Caveats(without_basis[:accounts, FUTURES] & by_models, spread_not_modelled)


def account_status(
    saving: Saving, required: Requirements, *, eligible: Mask, rows_rejected: Integer
) -> Integer:
    """Return the number of each account's status among `STATUSES`, [A].

    Parameters
    ----------
    saving : Saving
        [A].
    required : Requirements
        [A].
    eligible : ndarray of bool, [A]
        Whether the account may be cross-margined.
    rows_rejected : ndarray of int64, [A]
        Rejected rows that name the account.

    Returns
    -------
    ndarray of int64
        Incomplete if a row is rejected or anything is unpriced.
    """
    unpriced = ~required.requirement.known | (saving.reason == "INCOMPLETE")
    status = np.where(eligible, STATUSES.index("complete"), STATUSES.index("not_eligible"))
    incomplete = (rows_rejected > 0) | unpriced
    return np.where(incomplete, STATUSES.index("incomplete"), status)
