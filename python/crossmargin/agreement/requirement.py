"""What each account has to pay, in whole cents (methodology, sections 1 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin import exact
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import ALL, CASH, FUTURES, OTHER
from crossmargin.margin.charges import Charged
from crossmargin.margin.portfolios import CcpMargin


@dataclass(frozen=True)
class Amount:
    """Whole cents, and where they are known, [A]."""

    cents: Integer
    known: Mask

    def __add__(self, other: Amount) -> Amount:
        """Return the sum; what lacks a part is not known."""
        return Amount(self.cents + other.cents, self.known & other.known)

    def __sub__(self, other: Amount) -> Amount:
        """Return the difference; what lacks a part is not known."""
        return Amount(self.cents - other.cents, self.known & other.known)


@dataclass(frozen=True)
class Requirement:
    """The money columns of the accounts table; each is the sum of components rounded once."""

    requirement_ficc: Amount
    requirement_cme: Amount
    other_ficc: Amount
    other_cme: Amount
    requirement: Amount
    house_requirement: Amount
    programme_saving: Amount
    standalone_requirement: Amount
    saving: Amount


def require(
    ficc: CcpMargin,
    cme: CcpMargin,
    saving: Saving,
    charges: list[Charged],
    *,
    group_account: Integer,
    multiplier: Float,
    floor: Float,
    minimum: Float,
) -> Requirement:
    """Return what the percentages leave to be paid.

    Parameters
    ----------
    ficc, cme : CcpMargin
        [G x 5]; the first A groups are the accounts, the others an account's positions at another
        clearing firm.
    saving : Saving
        [A].
    charges : list of Charged
        Beside V; those inside are reduced with it.
    group_account : ndarray of int64, [G]
        The account of each group.
    multiplier, floor, minimum : ndarray of float64, [A]
        The firm's own terms.

    Returns
    -------
    Requirement
    """
    accounts = saving.offset_rate.size
    left = 1.0 - saving.offset_rate

    def whole(margin: CcpMargin, portfolio: int, share: Float | None = None) -> Amount:
        """Round V and each charge of a portfolio to the cent, and add them up by account."""
        amount = margin.v[:, portfolio] if share is None else margin.v[:accounts, portfolio] * share
        groups = amount.size
        unknown = margin.unknown[:groups, portfolio]
        total = exact.cents(np.where(unknown, 0.0, amount))
        for charged in charges:
            if charged.charge.ccp == margin.ccp:
                due = charged.amount[:groups, portfolio]
                if share is not None and charged.charge.reducible:
                    due = due * share
                total = np.add(total, exact.cents(due))
        cents = np.zeros(accounts, dtype=np.int64)
        np.add.at(cents, group_account[:groups], total)
        known = np.ones(accounts, dtype=bool)
        known[group_account[:groups][unknown]] = False
        return Amount(cents, known)

    requirement_ficc, requirement_cme = whole(ficc, CASH, left), whole(cme, FUTURES, left)
    other_ficc, other_cme = whole(ficc, OTHER), whole(cme, OTHER)
    requirement = requirement_ficc + requirement_cme + other_ficc + other_cme
    own_terms = np.maximum(np.maximum(multiplier * (requirement.cents / 100.0), floor), minimum)
    saved = [
        Amount(
            exact.cents(
                np.where(
                    m.unknown[:accounts, portfolio],
                    0.0,
                    saving.offset_rate * m.v[:accounts, portfolio],
                )
            ),
            ~m.unknown[:accounts, portfolio],
        )
        for m, portfolio in ((ficc, CASH), (cme, FUTURES))
    ]
    standalone_requirement = whole(ficc, ALL) + whole(cme, ALL)
    return Requirement(
        requirement_ficc=requirement_ficc,
        requirement_cme=requirement_cme,
        other_ficc=other_ficc,
        other_cme=other_cme,
        requirement=requirement,
        house_requirement=Amount(exact.cents(own_terms), requirement.known),
        programme_saving=saved[0] + saved[1],
        standalone_requirement=standalone_requirement,
        saving=standalone_requirement - requirement,
    )
