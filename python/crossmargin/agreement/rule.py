"""The rule of the agreement, stated once (methodology, sections 1 and 6).

The functions here work element by element, on columns of accounts. `tools/scalar.py` writes the
same functions for one account in plain numbers, as `_scalar.py`: run it after every change. Its
docstring lists the expressions that can be used here.
"""

from __future__ import annotations

import numpy as np

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import ALL, CASH, CME, COMBINED, FICC, FUTURES, OTHER
from crossmargin.exact import cents
from crossmargin.margin.portfolios import FlagColumns, PortfolioColumns

REASONS = ("", "NOT_ELIGIBLE", "INCOMPLETE", "ONE_SIDED", "NO_SAVING", "BELOW_MINIMUM")
"""Why the offset rate is zero, by number; empty where it is not zero."""
SAVES, NOT_ELIGIBLE, INCOMPLETE, ONE_SIDED, NO_SAVING, BELOW_MINIMUM = range(len(REASONS))

BINDING = ("", FICC, CME)
"""The clearing house with the smaller saving, by number; empty where neither decides."""
NEITHER, BY_FICC, BY_CME = range(len(BINDING))

Alone = tuple[Integer, Integer, Integer, Mask, Mask, Mask]
"""What positions need without a reduction: cents of those that are not cross-margined at FICC and
at CME, cents of all without the programme; then whether each amount is known."""
Beside = tuple[Integer, Integer, Integer, Mask]
"""Cents of charges on cross-margined positions at FICC and at CME; cents due at clearing houses
without an agreement, and whether they are known."""
Amounts = tuple[tuple[Integer, ...], tuple[Mask, ...]]
"""Cents of each amount of a `Requirements`, in its order, and whether it is known."""


def lower_of_models(
    ficc: PortfolioColumns, cme: PortfolioColumns, no_ficc: FlagColumns, no_cme: FlagColumns
) -> tuple[Float, Mask, Float, Mask, Float, Mask, Integer]:
    """Return the share that each model saves, and the smaller of the two.

    Parameters
    ----------
    ficc, cme : ndarray of float64, [5 x A]
        V in both models, USD.
    no_ficc, no_cme : ndarray of bool, [5 x A]
        The portfolio holds an instrument the model does not cover; its V is then meaningless.

    Returns
    -------
    rate_ficc, known_ficc, rate_cme, known_cme
        1 - V(combined) / (V(cash) + V(futures)) in each model, and whether it exists.
    offered, known
        The smaller rate, and whether both exist.
    lower : ndarray of int64
        The clearing house with it, as a number in `BINDING`; FICC on a tie.
    """
    apart_ficc = ficc[CASH] + ficc[FUTURES]
    apart_cme = cme[CASH] + cme[FUTURES]
    known_ficc = (apart_ficc > 0.0) & ~no_ficc[COMBINED]
    known_cme = (apart_cme > 0.0) & ~no_cme[COMBINED]
    rate_ficc = _saved(ficc[COMBINED], apart_ficc, known_ficc)
    rate_cme = _saved(cme[COMBINED], apart_cme, known_cme)
    offered = np.minimum(rate_ficc, rate_cme)
    lower = np.where(rate_ficc <= rate_cme, BY_FICC, BY_CME)
    return rate_ficc, known_ficc, rate_cme, known_cme, offered, known_ficc & known_cme, lower


def by_reduction(
    ficc: PortfolioColumns, cme: PortfolioColumns, reduction: Float
) -> tuple[Float, Mask, Integer]:
    """Return the offset rate of a reduction by the policy's tables, before the conditions.

    Parameters
    ----------
    ficc, cme : ndarray of float64, [5 x A]
        V in both models, USD.
    reduction : ndarray of float64, [A]
        USD, at each clearing house.

    Returns
    -------
    offered, known
        2 * reduction / (V_F(cash) + V_C(futures)), and whether it exists.
    lower
        NEITHER: no clearing house's saving decides.
    """
    apart = ficc[CASH] + cme[FUTURES]
    known = apart > 0.0
    offered = np.where(known, 2.0 * reduction, 0.0) / np.where(known, apart, 1.0)
    return offered, known, np.asarray(NEITHER)


def share_left(total: Float, whole: Float) -> Float:
    """Return what to multiply parts by, so that their total is not above that of the whole."""
    above = total > whole
    return np.asarray(np.where(above, whole, 1.0) / np.where(above, total, 1.0))


def _saved(combined: Float, apart: Float, known: Mask) -> Float:
    """Return the share saved by margining two portfolios as one; 0 where it is not known."""
    return 1.0 - np.where(known, combined, 1.0) / np.where(known, apart, 1.0)


def unpriced(no_ficc: FlagColumns, no_cme: FlagColumns) -> Mask:
    """Return whether a model leaves cross-margined positions of an account unpriced, [A]."""
    return np.asarray(no_ficc[CASH] | no_ficc[FUTURES] | no_cme[CASH] | no_cme[FUTURES])


def agreed(
    offered: Float,
    known: Mask,
    lower: Integer,
    no_ficc: FlagColumns,
    no_cme: FlagColumns,
    eligible: Mask,
    complete: Mask,
    two_sided: Mask,
    cap: float,
    minimum_saving: float,
) -> tuple[Float, Integer, Mask, Integer]:
    """Return the offset rate that both clearing houses apply, and how it came about.

    Parameters
    ----------
    offered, known : ndarray of float64 and of bool, [A]
        The offset rate before the conditions, and whether there is one.
    lower : ndarray of int64, [A]
        The clearing house whose saving it is, as a number in `BINDING`.
    no_ficc, no_cme
        As in `lower_of_models`.
    eligible, complete, two_sided : ndarray of bool, [A]
        The account may be cross-margined; none of its rows was rejected; it has both cash and
        futures in the cross-margin account.
    cap, minimum_saving : float
        The largest offset rate, and the smallest one that counts.

    Returns
    -------
    rate : ndarray of float64, [A]
    binding : ndarray of int64, [A]
        A number in `BINDING`; NEITHER where the rate is zero.
    capped : ndarray of bool, [A]
    reason : ndarray of int64, [A]
        A number in `REASONS`: the first that applies.
    """
    reason = np.select(
        [
            ~eligible,
            ~complete | unpriced(no_ficc, no_cme),
            ~(two_sided & known),
            offered <= 0.0,
            offered < minimum_saving,
        ],
        [NOT_ELIGIBLE, INCOMPLETE, ONE_SIDED, NO_SAVING, BELOW_MINIMUM],
        SAVES,
    )
    saves = reason == SAVES
    rate = np.where(saves, np.minimum(offered, cap), 0.0)
    capped = saves & (offered > cap)
    return rate, np.where(rate > 0.0, lower, NEITHER), capped, reason


def due(amount: Float, unknown: Mask) -> Integer:
    """Return a component in whole cents, 0 where it is unknown."""
    return cents(np.where(unknown, 0.0, amount))


def reduced(amount: Float, rate: Float) -> Float:
    """Return what is left of an amount after an offset rate."""
    return amount * (1.0 - rate)


def standing_alone(
    ficc: PortfolioColumns, cme: PortfolioColumns, no_ficc: FlagColumns, no_cme: FlagColumns
) -> Alone:
    """Return what the positions at one clearing firm need without a reduction, [G].

    Arguments as in `lower_of_models`, [5 x G].
    """
    return (
        due(ficc[OTHER], no_ficc[OTHER]),
        due(cme[OTHER], no_cme[OTHER]),
        due(ficc[ALL], no_ficc[ALL]) + due(cme[ALL], no_cme[ALL]),
        ~no_ficc[OTHER],
        ~no_cme[OTHER],
        ~(no_ficc[ALL] | no_cme[ALL]),
    )


def together(one: Alone, other: Alone) -> Alone:
    """Return the sum of both; an amount is known if both its parts are."""
    other_ficc, other_cme, whole, knows_other_ficc, knows_other_cme, knows_whole = one
    more_ficc, more_cme, more, knows_more_ficc, knows_more_cme, knows_more = other
    return (
        other_ficc + more_ficc,
        other_cme + more_cme,
        whole + more,
        knows_other_ficc & knows_more_ficc,
        knows_other_cme & knows_more_cme,
        knows_whole & knows_more,
    )


def required(
    rate: Float,
    ficc: PortfolioColumns,
    cme: PortfolioColumns,
    no_ficc: FlagColumns,
    no_cme: FlagColumns,
    alone: Alone,
    beside: Beside,
    terms: tuple[Float, Float, Float],
) -> Amounts:
    """Return what each account has to pay.

    Parameters
    ----------
    rate : ndarray of float64, [A]
        From `agreed`.
    ficc, cme, no_ficc, no_cme
        As in `lower_of_models`.
    alone
        From `standing_alone`, summed by account, with the charges on these positions.
    beside
        Charges on the cross-margined positions, and what is due at other clearing houses.
    terms
        The firm's own multiplier, floor and minimum, [A].

    Returns
    -------
    Amounts
        [A].
    """
    cash, futures = ficc[CASH], cme[FUTURES]
    no_cash, no_futures = no_ficc[CASH], no_cme[FUTURES]
    other_ficc, other_cme, standalone, knows_other_ficc, knows_other_cme, knows_standalone = alone
    charges_ficc, charges_cme, further, knows_further = beside
    multiplier, floor, minimum = terms

    due_ficc = due(reduced(cash, rate), no_cash) + charges_ficc
    due_cme = due(reduced(futures, rate), no_futures) + charges_cme
    total = due_ficc + due_cme + other_ficc + other_cme + further
    multiple = multiplier * (total / 100.0)
    at_least = np.maximum(multiple, floor)
    house = cents(np.maximum(at_least, minimum))
    saved = due(rate * cash, no_cash) + due(rate * futures, no_futures)
    whole = standalone + further

    knows_saved = ~no_cash & ~no_futures
    knows = knows_saved & knows_other_ficc & knows_other_cme & knows_further
    knows_whole = knows_standalone & knows_further
    return (
        (
            due_ficc,
            due_cme,
            other_ficc,
            other_cme,
            further,
            total,
            house,
            saved,
            whole,
            whole - total,
        ),
        (
            ~no_cash,
            ~no_futures,
            knows_other_ficc,
            knows_other_cme,
            knows_further,
            knows,
            knows,
            knows_saved,
            knows_whole,
            knows & knows_whole,
        ),
    )


def settled(
    ficc: PortfolioColumns,
    cme: PortfolioColumns,
    no_ficc: FlagColumns,
    no_cme: FlagColumns,
    eligible: Mask,
    complete: Mask,
    two_sided: Mask,
    elsewhere: Alone,
    beside: Beside,
    terms: tuple[Float, Float, Float],
    cap: float,
    minimum_saving: float,
) -> tuple[Float, Mask, Float, Mask, Float, Integer, Mask, Integer, Amounts]:
    """Return the agreement and the requirement in one call, by the smaller saving.

    Parameters
    ----------
    ficc, cme, no_ficc, no_cme, eligible, complete, two_sided, cap, minimum_saving
        As in `agreed`.
    elsewhere
        From `standing_alone`, of each account's positions at other clearing firms.
    beside, terms
        As in `required`.

    Returns
    -------
    rate_ficc, known_ficc, rate_cme, known_cme
        From `lower_of_models`.
    rate, binding, capped, reason
        From `agreed`.
    amounts
        From `required`.
    """
    rate_ficc, known_ficc, rate_cme, known_cme, offered, known, lower = lower_of_models(
        ficc, cme, no_ficc, no_cme
    )
    rate, binding, capped, reason = agreed(
        offered,
        known,
        lower,
        no_ficc,
        no_cme,
        eligible,
        complete,
        two_sided,
        cap,
        minimum_saving,
    )
    amounts = required(
        rate,
        ficc,
        cme,
        no_ficc,
        no_cme,
        together(standing_alone(ficc, cme, no_ficc, no_cme), elsewhere),
        beside,
        terms,
    )
    return rate_ficc, known_ficc, rate_cme, known_cme, rate, binding, capped, reason, amounts
