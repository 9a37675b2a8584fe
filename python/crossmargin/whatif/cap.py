"""How many contracts bring the offset rate of an account to the cap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmargin import columns
from crossmargin.arrays import Float
from crossmargin.engine import Execution
from crossmargin.whatif.parts import Leg
from crossmargin.whatif.scope import Scope

FIRST_BLOCK, LARGEST_BLOCK = 64, 4096
"""Questions asked at a time: few at first, for most searches end soon."""


@dataclass(frozen=True)
class ToCap:
    """The smallest number of contracts after which the offset rate is the cap.

    Attributes
    ----------
    account, instrument : str
    move : bool
        Whether contracts are moved from the ordinary account, not traded.
    contracts : int, optional
        Long is positive; None if no number within the limit does.
    reason : str, optional
        Why there is none.
    answer : dict, optional
        The account after these contracts, as `Session.what_if` returns it.
    highest_rate : float
        The highest offset rate that was found, and the number of contracts it was found at first.
    highest_at : int
    """

    account: str
    instrument: str
    move: bool
    contracts: int | None
    reason: str | None
    answer: dict[str, Any] | None
    highest_rate: float
    highest_at: int


@dataclass(frozen=True)
class Found:
    """The end of a search: the number that reaches the cap, if any, and the highest rate."""

    contracts: int | None
    rate: float
    at: int


def to_cap(
    scope: Scope, account: int, future: int, *, move: bool, limit: int, execution: Execution
) -> ToCap:
    """Return the smallest number of contracts that brings an account to the cap.

    Parameters
    ----------
    scope : Scope
    account, future : int
        Numbers of the account and of the contract.
    move, limit
        As in `Session.to_cap`.
    execution : Execution
    """
    inside, outside = scope.crossed[future], scope.other[future]

    def legs(lots: int) -> list[Leg]:
        moved = [(outside, future, -lots)] if move else []
        return [(inside, future, lots), *moved] if lots else []

    def rates(numbers: list[int]) -> Float:
        asked = [legs(lots) for lots in numbers]
        answers = scope.answers([account] * len(asked), asked, execution)
        return columns.numbers(answers["offset_rate"])

    numbers = [0]
    barred = _why_not(scope, account, future)
    # Where no number of contracts changes the offset rate, only today's is asked.
    if barred is None:
        held = scope.held(account, outside, future)
        sign = 1 if held >= 0 else -1
        numbers = list(range(0, held + sign, sign)) if move else both_ways(limit)
    cap = scope.models.policy.agreement.cap
    found = smallest(rates, numbers, cap)
    reason = None
    if found.contracts is None:
        searched = f"{len(numbers) - 1:,} that the ordinary account holds" if move else f"{limit:,}"
        code = scope.answer(account, legs(found.at))["reason"]
        why = f" ({code})" if code else ""
        reason = barred or (
            f"no number of contracts up to {searched} does: the offset rate is at most "
            f"{found.rate:.2%}, at {found.at:,}{why}, and the cap is {cap:.0%}"
        )
    return ToCap(
        account=list(scope.accounts)[account],
        instrument=scope.symbol(future),
        move=move,
        contracts=found.contracts,
        reason=reason,
        answer=None if reason else scope.answer(account, legs(found.at)),
        highest_rate=found.rate,
        highest_at=found.at,
    )


def smallest(rates: Callable[[list[int]], Float], numbers: Sequence[int], cap: float) -> Found:
    """Return the first of some numbers of contracts whose offset rate is the cap.

    Every number before it is asked, because the offset rate may go down before it goes up.

    Parameters
    ----------
    rates : callable
        Returns the offset rates after some numbers of contracts.
    numbers : sequence of int
        In the order in which they are preferred; not empty.
    cap : float

    Returns
    -------
    Found
    """
    best, at = -1.0, 0
    for block in _blocks(numbers):
        rate = rates(block)
        reached = np.flatnonzero(rate >= cap)
        if reached.size:
            first = int(reached[0])
            return Found(block[first], float(rate[first]), block[first])
        top = int(np.argmax(rate))
        if rate[top] > best:
            best, at = float(rate[top]), block[top]
    return Found(None, best, at)


def both_ways(limit: int) -> list[int]:
    """Return 0, 1, -1, 2, -2 and so on up to a limit."""
    return [0, *(sign * size for size in range(1, limit + 1) for sign in (1, -1))]


def _blocks(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers in blocks that grow."""
    first, size = 0, FIRST_BLOCK
    while first < len(numbers):
        yield list(numbers[first : first + size])
        first, size = first + size, min(2 * size, LARGEST_BLOCK)


def _why_not(scope: Scope, account: int, instrument: int) -> str | None:
    """Return why nothing can bring an account to the cap, if so."""
    if not scope.eligible[account]:
        return "the account may not be cross-margined"
    if not scope.batch.clients.complete[account]:
        return "rows of the account are rejected, so it gets no offset"
    if scope.crossed[instrument] == scope.other[instrument]:
        return f"{scope.symbol(instrument)} may not be cross-margined"
    return None
