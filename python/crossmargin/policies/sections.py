"""The tables of a policy file: what each holds, and the rules its values keep."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from crossmargin.book.schemas import ACCOUNTS, SECURITIES, Schema
from crossmargin.instruments.contracts import roots
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.scenarios import StressWindow

HIGHEST_LEVEL = 0.9999
"""Beyond it a tail can come to nothing (methodology, section 1)."""

MOST_USD, MOST_RATIO = 1e9, 1e6
"""No charge a contract, and no delta ratio of a spread, is beyond them."""
MOST_COST = 1e4
"""No cost of closing a contract, USD, is beyond it."""

SPAN = "span"
"""The value of `cme.model` that asks for the table of that name."""

OWN_CHARGES = ("repo rate", "liquidity adjustment", "holiday")
"""Charges that have tables of their own."""

Rules = dict[str, bool]
"""What must hold of a table's values, and whether it does."""


LOWER_OF_MODELS, CLASS_DISALLOWANCE, SPREAD_CREDIT = (
    "lower_of_models",
    "class_disallowance",
    "spread_credit",
)
OFFSET_METHODS = (LOWER_OF_MODELS, CLASS_DISALLOWANCE, SPREAD_CREDIT)
"""How the share comes about; all but the first are tables of that name."""


@dataclass(frozen=True)
class Agreement:
    """How much the requirements are reduced by."""

    offset_method: str
    cap: float
    minimum_saving: float

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            f"offset_method must be one of {', '.join(OFFSET_METHODS)}": self.offset_method
            in OFFSET_METHODS,
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
            "pnl must be 'sensitivity', 'full' or 'proxy'": (
                self.pnl in ("sensitivity", "full", "proxy")
            ),
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

    model: str
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
            "model must be 'hvar' or 'span'": self.model in ("hvar", SPAN),
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
class Span:
    """The CME-like model by scan ranges and spreads; a combined commodity is a root.

    Attributes
    ----------
    scan_ranges : tuple of (root, USD per contract)
        As supplied; a root that is not named is calibrated from the history.
    extreme_multiple, extreme_cover : float
        The extreme move as a multiple of the scan range, and the share of its loss that counts.
    tiers : tuple of (root, first, last)
        Months after the as-of month, both included. A root's tiers are numbered from 1 as listed.
    intra_spreads : tuple of (root, tier, tier, USD per spread)
        In order of priority.
    delivery_charges : tuple of (root, USD per delta)
        For contracts whose delivery month has begun.
    spreads : tuple of tuple of (root, delta ratio, side)
        The legs of each inter-commodity spread, in order of priority; side A or B.
    spread_rates : tuple of float
        The credit of each spread as a share of its legs' scan risk; empty: all are calibrated.
    calibration_rows : int
        Look-back of what is calibrated.
    calibration_level : float
    product_codes : tuple of (root, exchange, product)
        What a SPAN parameter file calls the futures, where one is given.
    """

    scan_ranges: tuple[tuple[str, float], ...]
    extreme_multiple: float
    extreme_cover: float
    tiers: tuple[tuple[str, int, int], ...]
    intra_spreads: tuple[tuple[str, int, int, float], ...]
    delivery_charges: tuple[tuple[str, float], ...]
    spreads: tuple[tuple[tuple[str, float, str], ...], ...]
    spread_rates: tuple[float, ...]
    calibration_rows: int
    calibration_level: float
    product_codes: tuple[tuple[str, str, str], ...]

    def tiers_of(self, root: str) -> list[tuple[int, int]]:
        """Return the first and last month of each tier of a root."""
        return [(first, last) for name, first, last in self.tiers if name == root]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        tiers = {root: self.tiers_of(root) for root, _, _ in self.tiers}
        return {
            "scan_ranges must name each root once, above 0 USD": (
                _by_root(self.scan_ranges) and all(usd > 0.0 for _, usd in self.scan_ranges)
            ),
            "extreme_multiple must be at least 1": 1.0 <= self.extreme_multiple <= 100.0,
            "extreme_cover must lie between 0 and 1": 0.0 <= self.extreme_cover <= 1.0,
            "tiers must name known roots, and months that ascend without overlap": (
                set(tiers) <= set(roots()) and all(map(_tiers_ok, tiers.values()))
            ),
            "intra_spreads must name tiers of a root, and not a negative charge": all(
                1 <= min(a, b) <= max(a, b) <= len(tiers.get(root, [])) and 0.0 <= usd <= MOST_USD
                for root, a, b, usd in self.intra_spreads
            ),
            "delivery_charges must name each root once, not below 0 USD": _by_root(
                self.delivery_charges
            ),
            "spreads need legs on sides A and B, each of another known root, ratio above 0": (
                all(map(_legs_ok, self.spreads))
            ),
            "spread_rates must be empty, or a rate between 0 and 1 for each spread": (
                len(self.spread_rates) in (0, len(self.spreads)) and _shares(self.spread_rates)
            ),
            "calibration_rows must be positive": self.calibration_rows >= 1,
            f"calibration_level must lie above 0 and be at most {HIGHEST_LEVEL}": (
                0.0 < self.calibration_level <= HIGHEST_LEVEL
            ),
            "product_codes must name each root and each product once": (
                {root for root, _, _ in self.product_codes} <= set(roots())
                and len({root for root, _, _ in self.product_codes}) == len(self.product_codes)
                and len({code[1:] for code in self.product_codes}) == len(self.product_codes)
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
class CmeCorrelation:
    """How far the CME-like model's scenarios take on the correlation of recent days."""

    weight: float
    decay: float

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "weight must lie between 0 and 1": 0.0 <= self.weight <= 1.0,
            "decay must lie between 0 and 1": 0.0 < self.decay < 1.0,
        }


@dataclass(frozen=True)
class CmeLiquidity:
    """CME's charge for closing out across bid and ask: USD a contract, by root."""

    name: ClassVar[str] = "liquidity"
    ccp: ClassVar[str] = "CME"
    cost: tuple[tuple[str, float], ...]
    reducible: bool

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "cost must give known roots, once each, 0 to 10,000 USD": (
                len(self.cost) > 0 and _by_root(self.cost, MOST_COST)
            )
        }


@dataclass(frozen=True)
class CmeConcentration:
    """CME's charge on contracts beyond a share of average daily volume: USD each, by root."""

    name: ClassVar[str] = "concentration"
    ccp: ClassVar[str] = "CME"
    threshold: float
    rate: tuple[tuple[str, float], ...]
    reducible: bool

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "threshold must lie between 0 and 1000": 0.0 <= self.threshold <= 1000.0,
            "rate must give known roots, once each, 0 to 10,000 USD": (
                len(self.rate) > 0 and _by_root(self.rate, MOST_COST)
            ),
        }


@dataclass(frozen=True)
class GrossValueCharge:
    """A charge beside V: a rate on the gross market value of a portfolio."""

    name: str
    ccp: str
    rate: float
    reducible: bool
    evidence: str
    source: str

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "ccp must be FICC or CME": self.ccp in ("FICC", "CME"),
            f"name must not be one of {', '.join(OWN_CHARGES)}": self.name not in OWN_CHARGES,
            "rate must lie between 0 and 1": 0.0 <= self.rate <= 1.0,
        }


MaturityGroup = tuple[str, tuple[str, ...], int]
"""Name, types of securities, and the last month of remaining term that is in."""


@dataclass(frozen=True)
class HaircutRules:
    """FICC's haircut method: by maturity bucket, for what is short or has no sensitivities.

    Attributes
    ----------
    short_months
        Securities that mature within so many months take the method, with a model or without.
    buckets
        The first that holds a security's type and term is its bucket; what none holds stays
        unpriced if no model covers it.
    nodes
        Each bucket's benchmark, for what is calibrated.
    uncorrelated
        Names of buckets that have no correlation with any other.
    rates
        Share of net market value of each bucket; empty: calibrated.
    correlations
        Rows of the matrix; empty: calibrated.
    """

    short_months: int
    buckets: tuple[MaturityGroup, ...]
    nodes: tuple[str, ...]
    uncorrelated: tuple[str, ...]
    rates: tuple[float, ...]
    correlations: tuple[tuple[float, ...], ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        size = len(self.buckets)
        return {
            "short_months must be 0 to 1200": 0 <= self.short_months <= 1200,
            **_group_rules("buckets", self.buckets),
            "nodes must name a node for each bucket": (
                len(self.nodes) == size and set(self.nodes) <= set(NODE_NAMES)
            ),
            "uncorrelated must name buckets": (
                set(self.uncorrelated) <= {name for name, _, _ in self.buckets}
            ),
            "rates must be empty, or one for each bucket, 0 to 1": (
                len(self.rates) in (0, size) and _shares(self.rates)
            ),
            "correlations must be empty, or a correlation matrix of the buckets": (
                not self.correlations or _is_correlation(self.correlations, size)
            ),
        }


@dataclass(frozen=True)
class RepoRateRules:
    """A charge on the repo rate of forward cash leg, by term.

    Attributes
    ----------
    term_months
        The last month of each bucket of term, ascending; later cash is in the last one.
    nodes
        Each bucket's benchmark, for what is calibrated.
    rates
        Move of the repo rate of each bucket, decimal; empty: calibrated.
    """

    name: ClassVar[str] = "repo rate"
    ccp: ClassVar[str] = "FICC"
    term_months: tuple[int, ...]
    nodes: tuple[str, ...]
    rates: tuple[float, ...]

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        size = len(self.term_months)
        return {
            "term_months must ascend from above 0 to 1200": (
                size > 0
                and list(self.term_months) == sorted(set(self.term_months))
                and self.term_months[0] > 0
                and self.term_months[-1] <= 1200
            ),
            "nodes must name a node for each bucket": (
                len(self.nodes) == size and set(self.nodes) <= set(NODE_NAMES)
            ),
            "rates must be empty, or one for each bucket, 0 to 1": (
                len(self.rates) in (0, size) and _shares(self.rates)
            ),
        }


@dataclass(frozen=True)
class LiquidityRules:
    """FICC's margin liquidity adjustment: the cost of selling by maturity group.

    Attributes
    ----------
    groups
        The first that holds a security's type and term is its group.
    rates
        Market impact of each group, share of its net market value.
    threshold
        Charged where the cost is more than this share of V.
    """

    name: ClassVar[str] = "liquidity adjustment"
    ccp: ClassVar[str] = "FICC"
    groups: tuple[MaturityGroup, ...]
    rates: tuple[float, ...]
    threshold: float

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            **_group_rules("groups", self.groups),
            "rates must be one for each group, 0 to 1": (
                len(self.rates) == len(self.groups) and _shares(self.rates)
            ),
            "threshold must not be negative": 0.0 <= self.threshold <= 1e6,
        }


@dataclass(frozen=True)
class HolidayRules:
    """FICC's holiday charge: a share of V on the last business day before a holiday."""

    name: ClassVar[str] = "holiday"
    ccp: ClassVar[str] = "FICC"
    rate: float

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {"rate must lie between 0 and 10": 0.0 <= self.rate <= 10.0}


@dataclass(frozen=True)
class BacktestingRules:
    """FICC's backtesting charge: when it is due, and which deficiency it is.

    Attributes
    ----------
    months
        Months of results looked back on.
    coverage
        Due where a smaller share of the days had enough margin.
    rank
        It is the rank-th largest deficiency of those months.
    """

    months: int
    coverage: float
    rank: int

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {
            "months must be 1 to 1200": 1 <= self.months <= 1200,
            "coverage must lie between 0 and 1": 0.0 <= self.coverage <= 1.0,
            "rank must be positive": self.rank >= 1,
        }


@dataclass(frozen=True)
class HigherOfRules:
    """FICC's higher-of rule: for how many business days after an excess an account is subject."""

    business_days: int

    def rules(self) -> Rules:
        """Return what must hold of the values."""
        return {"business_days must be 1 to 2500": 1 <= self.business_days <= 2500}


def _group_rules(name: str, groups: tuple[MaturityGroup, ...]) -> Rules:
    """Return what must hold of maturity groups."""
    names = [group for group, _, _ in groups]
    return {
        f"{name} must have names, each once": len(names) > 0 and len(set(names)) == len(names),
        f"{name} holds an unknown type": all(
            types and _all_choices(types, SECURITIES, "type") for _, types, _ in groups
        ),
        f"{name} must have a last month from 1 to 1200": all(
            1 <= months <= 1200 for _, _, months in groups
        ),
    }


def _is_correlation(rows: tuple[tuple[float, ...], ...], size: int) -> bool:
    """Tell whether rows are a correlation matrix: unit diagonal, symmetric, no negative square."""
    if len(rows) != size or any(len(row) != size for row in rows):
        return False
    matrix = np.array(rows)
    return bool(
        np.all(np.diag(matrix) == 1.0)
        and np.array_equal(matrix, matrix.T)
        and np.linalg.eigvalsh(matrix)[0] >= -1e-9
    )


def _by_root(amounts: tuple[tuple[str, float], ...], most: float = MOST_USD) -> bool:
    """Tell whether each root is known and named once, with an amount that is not too large."""
    names = [root for root, _ in amounts]
    return (
        len(set(names)) == len(names)
        and set(names) <= set(roots())
        and all(0.0 <= usd <= most for _, usd in amounts)
    )


def _all_choices(values: tuple[str, ...], schema: Schema, name: str) -> bool:
    """Tell whether all values may stand in a column of an input table."""
    return all(set(values) <= set(c.choices) for c in schema.columns if c.name == name)


def _classes_ok(classes: tuple[tuple[str, float], ...]) -> bool:
    names, years = [name for name, _ in classes], [limit for _, limit in classes]
    return len(set(names)) == len(names) > 0 and years == sorted(set(years)) and years[0] > 0.0


def _shares(values: Iterable[float]) -> bool:
    return all(0.0 <= value <= 1.0 for value in values)


def _tiers_ok(tiers: list[tuple[int, int]]) -> bool:
    """Tell whether the tiers of one root ascend."""
    months = [month for tier in tiers for month in tier]
    apart = all(after > last for (_, last), (after, _) in itertools.pairwise(tiers))
    return months == sorted(months) and apart


def _legs_ok(legs: tuple[tuple[str, float, str], ...]) -> bool:
    """Tell whether the legs of an inter-commodity spread make one."""
    named = [root for root, _, _ in legs]
    return (
        {side for _, _, side in legs} == {"A", "B"}
        and len(set(named)) == len(named)
        and set(named) <= set(roots())
        and all(0.0 < ratio <= MOST_RATIO for _, ratio, _ in legs)
    )


def _windows_ok(rules: ScenarioRules) -> bool:
    try:
        windows = rules.stress
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    written = tuple((str(window.first), str(window.last)) for window in windows)
    return written == rules.stress_windows and all(w.first <= w.last for w in windows)
