"""What a firm collects for each account, and how what is on deposit stands against it.

All amounts are whole cents, and each rule is a function of columns of accounts. Nothing is ever
taken from one account for another: the accounts of a customer are apart. That is separate account
treatment, which a firm elects and may do only under conditions (17 CFR 1.44); without it `at_most`
is what a customer may be paid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from crossmargin.agreement.requirement import Amount
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.exact import cents
from crossmargin.margin.model import AmountError
from crossmargin.policies.sections.customers import DECIMALS

TERMS = ("ccps", "multiplier", "floor", "minimum", "house_model")
"""What can decide the amount that is collected, by number."""
CCPS, MULTIPLIER, FLOOR, MINIMUM, HOUSE_MODEL = range(len(TERMS))
LARGEST = 9e13
"""USD; whole cents of less fit into 53 bits."""


@dataclass(frozen=True)
class Terms:
    """The firm's own terms, [A].

    Attributes
    ----------
    multiplier, floor, minimum : ndarray of float64
        As in the accounts.
    heightened : ndarray of bool
        Whether the risk profile is heightened.
    heightened_multiplier : float
        Times what CME requires, where it is.
    """

    multiplier: Float
    floor: Float
    minimum: Float
    heightened: Mask
    heightened_multiplier: float


@dataclass(frozen=True)
class Collection:
    """What is collected, [A].

    Attributes
    ----------
    heightened : Amount
        What a heightened risk profile adds to the requirement; zero for others.
    collected : Amount
    by : ndarray of int64
        The term that decides, as a number in `TERMS`: the first of those that ask for as much.
    """

    heightened: Amount
    collected: Amount
    by: Integer


def collect(required: Amount, required_cme: Amount, terms: Terms, house: Amount) -> Collection:
    """Return what a firm collects for each account.

    Parameters
    ----------
    required : Amount
        The sum of what the clearing houses require.
    required_cme : Amount
        CME's part of it.
    terms : Terms
    house : Amount
        Margin by the house model; zero for accounts without it.

    Returns
    -------
    Collection

    Raises
    ------
    AmountError
        An amount is absurdly large.

    Notes
    -----
    With R the sum of the clearing houses and H = (heightened_multiplier - 1) * CME's part, rounded
    to the cent half up: max(R + H, multiplier * (R + H), floor, minimum, house model). It is never
    below R + H, whatever the multiplier.
    """
    added = _added(required_cme.cents, terms.heightened_multiplier)
    extra = Amount(np.where(terms.heightened, added, 0), required_cme.known | ~terms.heightened)
    base = required + extra
    multiple = terms.multiplier * (base.cents / 100.0)
    absurd = np.flatnonzero(multiple >= LARGEST)
    if absurd.size:
        raise AmountError(int(absurd[0]), f"what is collected is beyond {LARGEST:,.0f} USD")
    each = np.stack(
        [
            base.cents,
            cents(multiple),
            cents(terms.floor),
            cents(terms.minimum),
            house.cents,
        ]
    )
    # The first of equal terms decides.
    by = np.argmax(each, axis=0)
    return Collection(extra, Amount(each.max(axis=0), base.known & house.known), by)


def _added(amount: Integer, multiplier: float) -> Integer:
    """Return (multiplier - 1) * amount, exactly as decimal arithmetic would; whole cents."""
    unit = 10**DECIMALS
    share = round(multiplier * unit) - unit
    # In two parts, so that no product is beyond 63 bits.
    whole, part = np.divmod(amount, unit)
    return np.asarray(whole * share + (part * share + unit // 2) // unit)


@dataclass(frozen=True)
class Standing:
    """How deposits stand against what is required and collected, [A].

    Attributes
    ----------
    deposits : Amount
        At both clearing houses.
    excess_ficc, excess_cme, excess : Amount
        On deposit beyond what FICC and CME require, and in all beyond what is collected; negative
        for a shortfall.
    call_ficc, call_cme, call : Amount
        The shortfalls.
    withdrawable_ficc, withdrawable_cme, withdrawable : Amount
        What may be paid out; the first two add up to the third.
    """

    deposits: Amount
    excess_ficc: Amount
    excess_cme: Amount
    excess: Amount
    call_ficc: Amount
    call_cme: Amount
    call: Amount
    withdrawable_ficc: Amount
    withdrawable_cme: Amount
    withdrawable: Amount


STANDING = tuple(column.name for column in fields(Standing))
"""Names of these amounts."""


def stand(
    required_ficc: Amount,
    required_cme: Amount,
    collected: Amount,
    deposit_ficc: Amount,
    deposit_cme: Amount,
    complete: Mask,
) -> Standing:
    """Return how deposits stand against what is required and collected.

    Parameters
    ----------
    required_ficc, required_cme : Amount
        What each clearing house requires.
    collected : Amount
        At least what all clearing houses require together.
    deposit_ficc, deposit_cme : Amount
        What is on deposit for each.
    complete : ndarray of bool
        Whether no position of the account was rejected: else it requires more than is known, and
        nothing is known to be free.

    Returns
    -------
    Standing

    Notes
    -----
    What is withdrawable leaves at least `collected` in all, and at each clearing house at least
    what it requires; where one of the three falls short already, it is zero. What could come from
    either clearing house is taken at FICC first.
    """
    deposits = deposit_ficc + deposit_cme
    excess_ficc = _beyond(deposit_ficc, required_ficc)
    excess_cme = _beyond(deposit_cme, required_cme)
    excess = _beyond(deposits, collected)
    free = np.minimum(excess.cents, excess_ficc.cents + excess_cme.cents)
    covered = (excess_ficc.cents >= 0) & (excess_cme.cents >= 0) & (excess.cents >= 0)
    free = np.where(covered, free, 0)
    at_ficc = np.minimum(free, np.maximum(excess_ficc.cents, 0))
    known = excess_ficc.known & excess_cme.known & excess.known & complete
    return Standing(
        deposits,
        excess_ficc,
        excess_cme,
        excess,
        _short(excess_ficc),
        _short(excess_cme),
        _short(excess),
        Amount(at_ficc, known),
        Amount(free - at_ficc, known),
        Amount(free, known),
    )


def at_most(withdrawable: Amount, excess: Amount) -> Amount:
    """Return what customers may be paid if the accounts of each are taken as one.

    Parameters
    ----------
    withdrawable, excess : Amount
        The sums over the accounts of each customer. An excess is negative for a shortfall.

    Returns
    -------
    Amount
        The shortfall of one account is first met by the excess of the others.
    """
    free = np.minimum(withdrawable.cents, np.maximum(excess.cents, 0))
    return Amount(free, withdrawable.known & excess.known)


def _beyond(amount: Amount, needed: Amount) -> Amount:
    return Amount(amount.cents - needed.cents, amount.known & needed.known)


def _short(excess: Amount) -> Amount:
    return Amount(np.maximum(-excess.cents, 0), excess.known)


def uncovered(after: Amount, now: Amount, deposit: Amount) -> Amount:
    """Return what of a rise in a requirement is not met by what is on deposit beyond it, [A].

    Parameters
    ----------
    after, now : Amount
        The requirement after the rise and before.
    deposit : Amount
        What is on deposit.

    Returns
    -------
    Amount
        max(0, after - max(now, deposit)): what falls short now already is not counted.
    """
    left = np.maximum(after.cents - np.maximum(now.cents, deposit.cents), 0)
    return Amount(left, after.known & now.known & deposit.known)
