"""Faults: the four integers that a kernel of any backend returns when a number is out of range."""

from __future__ import annotations

from typing import TypeAlias

Fault: TypeAlias = tuple[int, int, int, int]
"""Kind, then the element: account and union, spread or pair, or exponent or instrument and 0; then
scenario."""

NONE = 0
SUM_NOT_FINITE = 1
EXPONENT_RANGE = 2
PNL_RANGE = 3
AMOUNT_RANGE = 4

OK: Fault = (NONE, 0, 0, 0)


class PnlError(ValueError):
    """A sum of P&L that is not finite.

    Attributes
    ----------
    account : int
        Index among all accounts of the call; in batches, among the accounts of all batches.
    union : tuple of int
        The segments that were netted.
    measure, scenario : int
        Index of the measure, and of the scenario in its cube.
    """

    def __init__(
        self, account: int, union: tuple[int, ...], measure: int, scenario: int, place: str = ""
    ) -> None:
        super().__init__(account, union, measure, scenario, place)
        self.account = account
        self.union = union
        self.measure = measure
        self.scenario = scenario
        self._place = place or f"account {account}"

    def __str__(self) -> str:
        return (
            f"{self._place}, union {list(self.union)}, measure {self.measure}, scenario "
            f"{self.scenario}: the sum of its P&L is not finite; check its quantities and the cube"
        )
