"""The tables of a policy file: what each holds, and the rules its values keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crossmargin.book.schemas import ACCOUNTS, SECURITIES, Schema
from crossmargin.instruments.contracts import roots
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.scenarios import StressWindow

HIGHEST_LEVEL = 0.9999
"""Beyond it a tail can come to nothing (methodology, section 1)."""

Rules = dict[str, bool]
"""What must hold of a table's values, and whether it does."""


MODEL_MIN, CLASS_DISALLOWANCE, SPREAD_CREDIT = "model_min", "class_disallowance", "spread_credit"
REDUCERS = (MODEL_MIN, CLASS_DISALLOWANCE, SPREAD_CREDIT)
"""How the share comes about; all but the first are tables of that name."""


@dataclass(frozen=True)
class Agreement:
    """How much the requirements are reduced by."""

    reducer: str
    cap: float
    minimum_saving: float

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            f"reducer must be one of {', '.join(REDUCERS)}": self.reducer in REDUCERS,
            "cap must be above 0, at most 1": 0.0 < self.cap <= 1.0,
            "minimum_saving must lie between 0 and 1": 0.0 <= self.minimum_saving <= 1.0,
        }


@dataclass(frozen=True)
class Eligibility:
    """Who and what may be cross-margined."""

    security_types: tuple[str, ...]
    remaining_months: int
    roots: tuple[str, ...]
    house_roles: tuple[str, ...]
    customer_roles: tuple[str, ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "security_types holds an unknown type": _all_choices(
                self.security_types, SECURITIES, "type"
            ),
            "house_roles or customer_roles holds an unknown role": _all_choices(
                self.house_roles + self.customer_roles, ACCOUNTS, "ficc_role"
            ),
            "remaining_months must be 0 to 1200": 0 <= self.remaining_months <= 1200,
            "roots holds an unknown root": set(self.roots) <= set(roots()),
        }


@dataclass(frozen=True)
class ScenarioRules:
    """Which rows of the history are scenarios."""

    look_back: int
    minimum_rows: int
    stress_windows: tuple[tuple[str, str], ...]

    @property
    def stress(self) -> tuple[StressWindow, ...]:
        """The windows as dates."""
        return tuple(
            StressWindow(np.datetime64(a, "D"), np.datetime64(b, "D"))
            for a, b in self.stress_windows
        )

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "look_back and minimum_rows must be positive, the minimum not the larger": (
                1 <= self.minimum_rows <= self.look_back
            ),
            "stress_windows must be pairs of dates, the first not later": _windows_ok(self),
        }


@dataclass(frozen=True)
class Ficc:
    """The FICC-like model."""

    pnl: str
    level: float
    horizon: int
    minimum_margin_rows: int
    floor_share: float
    floor_rows: int
    floor_bucket_years: tuple[float, ...]
    floor_bucket_nodes: tuple[str, ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        years = self.floor_bucket_years
        return {
            "pnl must be 'sensitivity' or 'full'": self.pnl in ("sensitivity", "full"),
            f"level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.level <= HIGHEST_LEVEL
            ),
            "horizon must be 1 to 60": 1 <= self.horizon <= 60,
            "minimum_margin_rows must be positive, floor_rows at least 2": (
                self.minimum_margin_rows >= 1 and self.floor_rows >= 2
            ),
            "floor_share must not be negative": 0.0 <= self.floor_share < 10.0,
            "floor_bucket_years must ascend": list(years) == sorted(set(years)),
            "floor_bucket_nodes must name a node for each bucket": (
                len(self.floor_bucket_nodes) == len(years) > 0
                and set(self.floor_bucket_nodes) <= set(NODE_NAMES)
            ),
        }


@dataclass(frozen=True)
class Cme:
    """The CME-like model."""

    level: float
    horizon: int
    historical_weight: float
    volatility_decay: float
    volatility_seed_rows: int
    volatility_limit: float
    equivalent_roots: tuple[tuple[float, str], ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        limits = [limit for limit, _ in self.equivalent_roots]
        return {
            f"level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.level <= HIGHEST_LEVEL
            ),
            "horizon must be 1 to 60": 1 <= self.horizon <= 60,
            "historical_weight must lie between 0 and 1": 0.0 <= self.historical_weight <= 1.0,
            "volatility_decay must lie between 0 and 1": 0.0 < self.volatility_decay < 1.0,
            "volatility_seed_rows must be positive": self.volatility_seed_rows >= 1,
            "volatility_limit must be at least 1": self.volatility_limit >= 1.0,
            "equivalent_roots must ascend and name Treasury futures": (
                limits == sorted(set(limits))
                and len(limits) > 0
                and {root for _, root in self.equivalent_roots} <= set(roots("treasury"))
            ),
        }


@dataclass(frozen=True)
class ClassDisallowance:
    """The earlier scheme: offsets within and across classes of remaining years.

    Attributes
    ----------
    classes : tuple of (str, float)
        Name and upper end in remaining years; the last one takes all beyond.
    within : tuple of float
        The share of an offset within each class that is disallowed.
    across : tuple of (str, str, float)
        Pairs of classes in the order of their offsets, and the share disallowed.
    """

    classes: tuple[tuple[str, float], ...]
    within: tuple[float, ...]
    across: tuple[tuple[str, str, float], ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        names = {name for name, _ in self.classes}
        pairs = [frozenset(pair) for *pair, _ in self.across]
        return {
            "classes must have names that differ and years that ascend": _classes_ok(self.classes),
            "within must be a share for each class, 0 to 1": (
                len(self.within) == len(self.classes) and _shares(self.within)
            ),
            "across must name two different classes, each pair once, and a share of 0 to 1": (
                set().union(*pairs) <= names
                and all(len(pair) == 2 for pair in pairs)
                and len(set(pairs)) == len(pairs)
                and _shares(share for *_, share in self.across)
            ),
        }


@dataclass(frozen=True)
class SpreadCredit:
    """Credits for spreads of a class of cash against futures, in their order.

    Attributes
    ----------
    classes : tuple of (str, float)
        Name and upper end in remaining years; the last one takes all beyond.
    spreads : tuple of (str, tuple of str, float)
        The class of cash, the futures roots, the credit rate.
    """

    classes: tuple[tuple[str, float], ...]
    spreads: tuple[tuple[str, tuple[str, ...], float], ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        names = {name for name, _ in self.classes}
        legs = [(name, root) for name, named, _ in self.spreads for root in named]
        return {
            "classes must have names that differ and years that ascend": _classes_ok(self.classes),
            "spreads must name a class, at least one root, and a rate of 0 to 1": (
                len(self.spreads) > 0
                and all(name in names and len(named) > 0 for name, named, _ in self.spreads)
                and _shares(rate for *_, rate in self.spreads)
            ),
            "spreads holds an unknown root": {root for _, root in legs} <= set(roots()),
            "spreads must not name a class and a root together twice": len(set(legs)) == len(legs),
        }


@dataclass(frozen=True)
class Charge:
    """A charge beside V: a rate on the gross market value of a pot."""

    name: str
    house: str
    rate: float
    inside: bool
    standing: str
    source: str

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "house must be FICC or CME": self.house in ("FICC", "CME"),
            "rate must lie between 0 and 1": 0.0 <= self.rate <= 1.0,
        }


def _all_choices(values: tuple[str, ...], schema: Schema, name: str) -> bool:
    """Tell whether all values may stand in a column of an input table."""
    return all(set(values) <= set(c.choices) for c in schema.columns if c.name == name)


def _classes_ok(classes: tuple[tuple[str, float], ...]) -> bool:
    names, years = [name for name, _ in classes], [limit for _, limit in classes]
    return len(set(names)) == len(names) > 0 and years == sorted(set(years)) and years[0] > 0.0


def _shares(values: Iterable[float]) -> bool:
    return all(0.0 <= value <= 1.0 for value in values)


def _windows_ok(rules: ScenarioRules) -> bool:
    try:
        windows = rules.stress
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    written = tuple((str(window.first), str(window.last)) for window in windows)
    return written == rules.stress_windows and all(w.first <= w.last for w in windows)
