"""The agreement: the offset method, and the tables of the methods that need one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.instruments.contracts import roots
from crossmargin.policies.sections.common import Rules, shares

LOWER_OF_MODELS, CLASS_DISALLOWANCE, SPREAD_CREDIT = (
    "lower_of_models",
    "class_disallowance",
    "spread_credit",
)
OFFSET_METHODS = (LOWER_OF_MODELS, CLASS_DISALLOWANCE, SPREAD_CREDIT)
"""Offset methods; all but the first have a table of the same name."""


@dataclass(frozen=True)
class AgreementRules:
    """By how much the requirements are reduced."""

    table: ClassVar[str] = "agreement"
    purpose: ClassVar[str] = (
        "The offset rate is the share by which both clearing houses reduce the cross-margined "
        "requirements: how it is found, and its limits."
    )
    offset_method: Annotated[
        str,
        "lower_of_models: the smaller of the two models' savings; class_disallowance and "
        "spread_credit: by the table of that name",
    ]
    cap: Annotated[float, "largest offset rate"]
    minimum_saving: Annotated[float, "a smaller offset rate counts as zero"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            f"offset_method must be one of {', '.join(OFFSET_METHODS)}": self.offset_method
            in OFFSET_METHODS,
            "cap must be above 0, at most 1": 0.0 < self.cap <= 1.0,
            "minimum_saving must lie between 0 and 1": 0.0 <= self.minimum_saving <= 1.0,
        }


@dataclass(frozen=True)
class ClassDisallowance:
    """The earlier scheme: offsets within and across classes of remaining years."""

    table: ClassVar[str] = CLASS_DISALLOWANCE
    purpose: ClassVar[str] = (
        "Cash and futures offset each other within classes of remaining years, then across them; "
        "a share of each offset is disallowed."
    )
    classes: Annotated[
        tuple[tuple[str, float], ...],
        "name of each class and its upper end in remaining years; the last has no upper end",
    ]
    within: Annotated[tuple[float, ...], "share of an offset within each class that is disallowed"]
    across: Annotated[
        tuple[tuple[str, str, float], ...],
        "pairs of classes, in the order in which they offset, and the share disallowed",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        names = {name for name, _ in self.classes}
        pairs = [frozenset(pair) for *pair, _ in self.across]
        return {
            "classes must have names that differ and years that ascend": _classes_ok(self.classes),
            "within must be a share for each class, 0 to 1": (
                len(self.within) == len(self.classes) and shares(self.within)
            ),
            "across must name two different classes, each pair once, and a share of 0 to 1": (
                set().union(*pairs) <= names
                and all(len(pair) == 2 for pair in pairs)
                and len(set(pairs)) == len(pairs)
                and shares(share for *_, share in self.across)
            ),
        }


@dataclass(frozen=True)
class SpreadCredit:
    """Credits for spreads between a class of cash and futures, in a fixed order."""

    table: ClassVar[str] = SPREAD_CREDIT
    purpose: ClassVar[str] = (
        "Cash of a class and futures offset each other spread by spread, each at its credit rate."
    )
    classes: Annotated[
        tuple[tuple[str, float], ...],
        "name of each class of cash and its upper end in remaining years; the last has none",
    ]
    spreads: Annotated[
        tuple[tuple[str, tuple[str, ...], float], ...],
        "class of cash, futures, credit rate; in the order in which they offset",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        names = {name for name, _ in self.classes}
        legs = [(name, root) for name, named, _ in self.spreads for root in named]
        return {
            "classes must have names that differ and years that ascend": _classes_ok(self.classes),
            "spreads must name a class, at least one root, and a rate of 0 to 1": (
                len(self.spreads) > 0
                and all(name in names and len(named) > 0 for name, named, _ in self.spreads)
                and shares(rate for *_, rate in self.spreads)
            ),
            "spreads holds an unknown root": {root for _, root in legs} <= set(roots()),
            "spreads must not name a class and a root together twice": len(set(legs)) == len(legs),
        }


def _classes_ok(classes: tuple[tuple[str, float], ...]) -> bool:
    names, years = [name for name, _ in classes], [limit for _, limit in classes]
    return len(set(names)) == len(names) > 0 and years == sorted(set(years)) and years[0] > 0.0
