"""What each account has to pay, in whole cents (methodology, sections 1 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from crossmargin import exact
from crossmargin.agreement import rule
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
        """Return the sum; it is known where both amounts are."""
        return Amount(self.cents + other.cents, self.known & other.known)


def unknown_amount(accounts: int) -> Amount:
    """Return an amount that is known for no account, [A]."""
    return Amount(np.zeros(accounts, dtype=np.int64), np.zeros(accounts, dtype=bool))


@dataclass(frozen=True)
class Requirements:
    """The money columns of the accounts table. Each sums components that are rounded once.

    `other_ccps` is the total due at clearing houses without an agreement. It is part of
    `requirement` and of `standalone_requirement`.
    """

    requirement_ficc: Amount
    requirement_cme: Amount
    other_ficc: Amount
    other_cme: Amount
    other_ccps: Amount
    requirement: Amount
    house_requirement: Amount
    programme_saving: Amount
    standalone_requirement: Amount
    saving: Amount


AMOUNTS = tuple(column.name for column in fields(Requirements))
"""Names of the amounts."""


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
    elsewhere: Sequence[CcpMargin] = (),
) -> Requirements:
    """Return what each account has to pay after its offset rate.

    Parameters
    ----------
    ficc, cme : CcpMargin
        [G x 5]; the first A groups are the accounts, the others an account's positions at another
        clearing firm.
    saving : Saving
        [A].
    charges : list of Charged
        On top of V; the reducible ones are reduced with it.
    group_account : ndarray of int64, [G]
        The account of each group.
    multiplier, floor, minimum : ndarray of float64, [A]
        The firm's own terms.
    elsewhere : sequence of CcpMargin
        [G x 1], of clearing houses without an agreement; neither V nor charges are reduced there.

    Returns
    -------
    Requirements
    """
    accounts = saving.offset_rate.size
    groups = group_account.size
    by_account = partial(_by_account, group_account, accounts)
    other_ficc, other_cme, whole, knows_other_ficc, knows_other_cme, knows_whole = (
        rule.standing_alone(ficc.v.T, cme.v.T, ficc.unknown.T, cme.unknown.T)
    )
    for margin in (ficc, cme):
        whole = whole + _charged(charges, margin.ccp, ALL, groups)
    alone = (
        by_account(other_ficc + _charged(charges, ficc.ccp, OTHER, groups), knows_other_ficc),
        by_account(other_cme + _charged(charges, cme.ccp, OTHER, groups), knows_other_cme),
        by_account(whole, knows_whole),
    )
    further = Amount(np.zeros(accounts, dtype=np.int64), np.ones(accounts, dtype=bool))
    for margin in elsewhere:
        unknown = margin.unknown[:, 0]
        owed = rule.due(margin.v[:, 0], unknown) + _charged(charges, margin.ccp, 0, groups)
        further += by_account(owed, ~unknown)
    cents, known = rule.required(
        saving.offset_rate,
        ficc.v[:accounts].T,
        cme.v[:accounts].T,
        ficc.unknown[:accounts].T,
        cme.unknown[:accounts].T,
        (
            *(alone[0].cents, alone[1].cents, alone[2].cents),
            *(alone[0].known, alone[1].known, alone[2].known),
        ),
        (
            _charged(charges, ficc.ccp, CASH, accounts, saving.offset_rate),
            _charged(charges, cme.ccp, FUTURES, accounts, saving.offset_rate),
            further.cents,
            further.known,
        ),
        (multiplier, floor, minimum),
    )
    money: dict[str, Any] = dict(zip(AMOUNTS, map(Amount, cents, known), strict=True))
    return Requirements(**money)


def ordinary(margin: CcpMargin, charges: list[Charged], accounts: int) -> Amount:
    """Return what one clearing house would require without the programme.

    Parameters
    ----------
    margin : CcpMargin
        [G x 5]; the first A groups are the accounts.
    charges : list of Charged
        On top of V.
    accounts : int
        Number of accounts A.

    Returns
    -------
    Amount
        [A], of the accounts' positions at their own firms.
    """
    unknown = margin.unknown[:accounts, ALL]
    owed = rule.due(margin.v[:accounts, ALL], unknown)
    return Amount(owed + _charged(charges, margin.ccp, ALL, accounts), ~unknown)


def _by_account(group_account: Integer, accounts: int, cents: Integer, known: Mask) -> Amount:
    """Return the amounts of the groups, summed by account, [A]."""
    total = np.zeros(accounts, dtype=np.int64)
    np.add.at(total, group_account, cents)
    all_known = np.ones(accounts, dtype=bool)
    all_known[group_account[~known]] = False
    return Amount(total, all_known)


def _charged(
    charges: list[Charged], ccp: str, portfolio: int, groups: int, rate: Float | None = None
) -> Integer:
    """Return the charges on a portfolio of the first groups, each rounded to the cent, [groups].

    A rate reduces the reducible ones.
    """
    total = np.zeros(groups, dtype=np.int64)
    for charged in charges:
        if charged.ccp == ccp:
            amount = charged.amount[:groups, portfolio]
            if rate is not None and charged.reducible:
                amount = rule.reduced(amount, rate)
            total += exact.cents(amount)
    return total
