"""A model's margin of single contracts beside the margins that the exchange has set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmargin.arrays import Float
from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.book.schemas import OBSERVED_MARGINS
from crossmargin.instruments.universe import Universe
from crossmargin.market.market import Note


@dataclass(frozen=True)
class Outright:
    """The margin of one contract: the model's own, and the observed one.

    Attributes
    ----------
    observed : ObservedMargin
    contract : str
        The contract that the model margins: the one observed, or its root's front contract. Empty
        where none is listed.
    long, short : float
        The model's margin of one contract, USD, before it is scaled; NaN where it has none.
    use : str
        What the policy does with it: `show`, `floor` or `scale`.
    factor : float
        By which the model's P&L is multiplied; 1 where it is not scaled.
    reason : str
        Why there is no ratio, or why the model is not scaled although the policy asks for it;
        empty otherwise.
    """

    observed: ObservedMargin
    contract: str
    long: float
    short: float
    use: str
    factor: float
    reason: str = ""

    @property
    def ratio(self) -> float:
        """The larger of the model's two margins over the observed one; NaN where unknown."""
        return max(self.long, self.short) / self.observed.maintenance

    def describe(self) -> dict[str, Any]:
        """Return plain values for the manifest, None for what is unknown."""
        amounts = {"model_long": self.long, "model_short": self.short, "ratio": self.ratio}
        return {
            "instrument": self.observed.instrument,
            "date": str(self.observed.date),
            "maintenance": self.observed.maintenance,
            "contract": self.contract or None,
            **{name: None if math.isnan(usd) else usd for name, usd in amounts.items()},
            "use": self.use,
            "factor": self.factor,
        }


def factors(outrights: Sequence[Outright], universe: Universe) -> Float:
    """Return the factor of every instrument's P&L, [I]: its own, else its root's, else 1."""
    of = {one.observed.instrument: one.factor for one in outrights}
    return np.array(
        [
            of.get(name, of.get(root, 1.0)) if root else 1.0
            for name, root in zip(universe.name.tolist(), universe.root.tolist(), strict=True)
        ]
    )


def described(outrights: Sequence[Outright]) -> dict[str, Any]:
    """Return what the manifest records about a model's outrights; empty without any."""
    return {OBSERVED_MARGINS.name: [one.describe() for one in outrights]} if outrights else {}


def notes_on(outrights: Sequence[Outright]) -> list[Note]:
    """Return a note on each reason for which margins are not used, with their instruments."""
    named: dict[str, list[str]] = {}
    for one in outrights:
        if one.reason:
            named.setdefault(one.reason, []).append(one.observed.instrument)
    return [
        Note("OBSERVED_NOT_USED", OBSERVED_MARGINS.name, f"{', '.join(names)}: {reason}")
        for reason, names in named.items()
    ]
