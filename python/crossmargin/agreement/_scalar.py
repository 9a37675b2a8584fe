# Written by tools/scalar.py from rule.py; do not edit.
# fmt: off
# ruff: noqa
"""What `crossmargin.agreement.rule` says of one account, in plain numbers."""

from __future__ import annotations

from crossmargin.agreement.rule import BELOW_MINIMUM, BY_CME, BY_FICC, INCOMPLETE, NEITHER, NOT_ELIGIBLE, NO_SAVING, ONE_SIDED, SAVES
from crossmargin.conventions import ALL, CASH, COMBINED, FUTURES, OTHER
from crossmargin.exact import cents_of
from crossmargin.margin.portfolios import Flags, Portfolios


def standing_alone(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
) -> tuple[int, int, int, bool, bool, bool]:
    return (cents_of(0.0 if no_ficc[OTHER] else ficc[OTHER]), cents_of(0.0 if no_cme[OTHER] else cme[OTHER]), cents_of(0.0 if no_ficc[ALL] else ficc[ALL]) + cents_of(0.0 if no_cme[ALL] else cme[ALL]), not no_ficc[OTHER], not no_cme[OTHER], not (no_ficc[ALL] or no_cme[ALL]))


def together(
    one: tuple[int, int, int, bool, bool, bool],
    other: tuple[int, int, int, bool, bool, bool],
) -> tuple[int, int, int, bool, bool, bool]:
    other_ficc, other_cme, whole, knows_other_ficc, knows_other_cme, knows_whole = one
    more_ficc, more_cme, more, knows_more_ficc, knows_more_cme, knows_more = other
    return (other_ficc + more_ficc, other_cme + more_cme, whole + more, knows_other_ficc and knows_more_ficc, knows_other_cme and knows_more_cme, knows_whole and knows_more)


def settled(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    eligible: bool,
    complete: bool,
    two_sided: bool,
    elsewhere: tuple[int, int, int, bool, bool, bool],
    beside: tuple[int, int, int, bool],
    terms: tuple[float, float, float],
    cap: float,
    minimum_saving: float,
) -> tuple[float, bool, float, bool, float, int, bool, int, tuple[tuple[int, ...], tuple[bool, ...]]]:
    lower_of_models_apart_ficc = ficc[CASH] + ficc[FUTURES]
    lower_of_models_apart_cme = cme[CASH] + cme[FUTURES]
    known_ficc = lower_of_models_apart_ficc > 0.0 and (not no_ficc[COMBINED])
    known_cme = lower_of_models_apart_cme > 0.0 and (not no_cme[COMBINED])
    rate_ficc = 1.0 - (ficc[COMBINED] if known_ficc else 1.0) / (lower_of_models_apart_ficc if known_ficc else 1.0)
    rate_cme = 1.0 - (cme[COMBINED] if known_cme else 1.0) / (lower_of_models_apart_cme if known_cme else 1.0)
    offered = rate_ficc if rate_ficc <= rate_cme else rate_cme
    lower = BY_FICC if rate_ficc <= rate_cme else BY_CME
    known = known_ficc and known_cme
    reason = NOT_ELIGIBLE if not eligible else INCOMPLETE if not complete or (((no_ficc[CASH] or no_ficc[FUTURES]) or no_cme[CASH]) or no_cme[FUTURES]) else ONE_SIDED if not (two_sided and known) else NO_SAVING if offered <= 0.0 else BELOW_MINIMUM if offered < minimum_saving else SAVES
    agreed_saves = reason == SAVES
    rate = (offered if offered <= cap else cap) if agreed_saves else 0.0
    capped = agreed_saves and offered > cap
    binding = lower if rate > 0.0 else NEITHER
    required_cash = ficc[CASH]
    required_futures = cme[FUTURES]
    required_no_cash = no_ficc[CASH]
    required_no_futures = no_cme[FUTURES]
    together_other_ficc = cents_of(0.0 if no_ficc[OTHER] else ficc[OTHER])
    together_other_cme = cents_of(0.0 if no_cme[OTHER] else cme[OTHER])
    together_whole = cents_of(0.0 if no_ficc[ALL] else ficc[ALL]) + cents_of(0.0 if no_cme[ALL] else cme[ALL])
    together_knows_other_ficc = not no_ficc[OTHER]
    together_knows_other_cme = not no_cme[OTHER]
    together_knows_whole = not (no_ficc[ALL] or no_cme[ALL])
    together_more_ficc, together_more_cme, together_more, together_knows_more_ficc, together_knows_more_cme, together_knows_more = elsewhere
    required_other_ficc = together_other_ficc + together_more_ficc
    required_other_cme = together_other_cme + together_more_cme
    required_standalone = together_whole + together_more
    required_knows_other_ficc = together_knows_other_ficc and together_knows_more_ficc
    required_knows_other_cme = together_knows_other_cme and together_knows_more_cme
    required_knows_standalone = together_knows_whole and together_knows_more
    required_charges_ficc, required_charges_cme, required_further, required_knows_further = beside
    required_multiplier, required_floor, required_minimum = terms
    required_due_ficc = cents_of(0.0 if required_no_cash else required_cash * (1.0 - rate)) + required_charges_ficc
    required_due_cme = cents_of(0.0 if required_no_futures else required_futures * (1.0 - rate)) + required_charges_cme
    required_total = required_due_ficc + required_due_cme + required_other_ficc + required_other_cme + required_further
    required_multiple = required_multiplier * (required_total / 100.0)
    required_at_least = required_multiple if required_multiple > required_floor else required_floor
    required_house = cents_of(required_at_least if required_at_least > required_minimum else required_minimum)
    required_saved = cents_of(0.0 if required_no_cash else rate * required_cash) + cents_of(0.0 if required_no_futures else rate * required_futures)
    required_whole = required_standalone + required_further
    required_knows_saved = not required_no_cash and (not required_no_futures)
    required_knows = ((required_knows_saved and required_knows_other_ficc) and required_knows_other_cme) and required_knows_further
    required_knows_whole = required_knows_standalone and required_knows_further
    amounts = ((required_due_ficc, required_due_cme, required_other_ficc, required_other_cme, required_further, required_total, required_house, required_saved, required_whole, required_whole - required_total), (not required_no_cash, not required_no_futures, required_knows_other_ficc, required_knows_other_cme, required_knows_further, required_knows, required_knows, required_knows_saved, required_knows_whole, required_knows and required_knows_whole))
    return (rate_ficc, known_ficc, rate_cme, known_cme, rate, binding, capped, reason, amounts)


def lower_of_models(
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
) -> tuple[float, bool, float, bool, float, bool, int]:
    apart_ficc = ficc[CASH] + ficc[FUTURES]
    apart_cme = cme[CASH] + cme[FUTURES]
    known_ficc = apart_ficc > 0.0 and (not no_ficc[COMBINED])
    known_cme = apart_cme > 0.0 and (not no_cme[COMBINED])
    rate_ficc = 1.0 - (ficc[COMBINED] if known_ficc else 1.0) / (apart_ficc if known_ficc else 1.0)
    rate_cme = 1.0 - (cme[COMBINED] if known_cme else 1.0) / (apart_cme if known_cme else 1.0)
    offered = rate_ficc if rate_ficc <= rate_cme else rate_cme
    lower = BY_FICC if rate_ficc <= rate_cme else BY_CME
    return (rate_ficc, known_ficc, rate_cme, known_cme, offered, known_ficc and known_cme, lower)


def by_reduction(
    ficc: Portfolios,
    cme: Portfolios,
    reduction: float,
) -> tuple[float, bool, int]:
    apart = ficc[CASH] + cme[FUTURES]
    known = apart > 0.0
    offered = (2.0 * reduction if known else 0.0) / (apart if known else 1.0)
    return (offered, known, NEITHER)


def agreed(
    offered: float,
    known: bool,
    lower: int,
    no_ficc: Flags,
    no_cme: Flags,
    eligible: bool,
    complete: bool,
    two_sided: bool,
    cap: float,
    minimum_saving: float,
) -> tuple[float, int, bool, int]:
    reason = NOT_ELIGIBLE if not eligible else INCOMPLETE if not complete or (((no_ficc[CASH] or no_ficc[FUTURES]) or no_cme[CASH]) or no_cme[FUTURES]) else ONE_SIDED if not (two_sided and known) else NO_SAVING if offered <= 0.0 else BELOW_MINIMUM if offered < minimum_saving else SAVES
    saves = reason == SAVES
    rate = (offered if offered <= cap else cap) if saves else 0.0
    capped = saves and offered > cap
    return (rate, lower if rate > 0.0 else NEITHER, capped, reason)


def reduced(
    amount: float,
    rate: float,
) -> float:
    return amount * (1.0 - rate)


def required(
    rate: float,
    ficc: Portfolios,
    cme: Portfolios,
    no_ficc: Flags,
    no_cme: Flags,
    alone: tuple[int, int, int, bool, bool, bool],
    beside: tuple[int, int, int, bool],
    terms: tuple[float, float, float],
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    cash = ficc[CASH]
    futures = cme[FUTURES]
    no_cash = no_ficc[CASH]
    no_futures = no_cme[FUTURES]
    other_ficc, other_cme, standalone, knows_other_ficc, knows_other_cme, knows_standalone = alone
    charges_ficc, charges_cme, further, knows_further = beside
    multiplier, floor, minimum = terms
    due_ficc = cents_of(0.0 if no_cash else cash * (1.0 - rate)) + charges_ficc
    due_cme = cents_of(0.0 if no_futures else futures * (1.0 - rate)) + charges_cme
    total = due_ficc + due_cme + other_ficc + other_cme + further
    multiple = multiplier * (total / 100.0)
    at_least = multiple if multiple > floor else floor
    house = cents_of(at_least if at_least > minimum else minimum)
    saved = cents_of(0.0 if no_cash else rate * cash) + cents_of(0.0 if no_futures else rate * futures)
    whole = standalone + further
    knows_saved = not no_cash and (not no_futures)
    knows = ((knows_saved and knows_other_ficc) and knows_other_cme) and knows_further
    knows_whole = knows_standalone and knows_further
    return ((due_ficc, due_cme, other_ficc, other_cme, further, total, house, saved, whole, whole - total), (not no_cash, not no_futures, knows_other_ficc, knows_other_cme, knows_further, knows, knows, knows_saved, knows_whole, knows and knows_whole))


def share_left(
    total: float,
    whole: float,
) -> float:
    above = total > whole
    return (whole if above else 1.0) / (total if above else 1.0)
