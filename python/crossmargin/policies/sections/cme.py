"""CME's model by historical simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from crossmargin.instruments.contracts import roots
from crossmargin.policies.sections.common import HIGHEST_LEVEL, Rules, codes_ok
from crossmargin.policies.sections.span import SPAN

SHOW, FLOOR, SCALE = "show", "floor", "scale"
"""Uses of observed margins."""


@dataclass(frozen=True)
class Cme:
    """The CME-like model."""

    table: ClassVar[str] = "cme"
    purpose: ClassVar[str] = (
        "The CME-like model: historical VaR mixed with stressed VaR, or scan ranges and spreads; "
        "cash enters as futures."
    )
    model: Annotated[
        str, "hvar: historical simulation; span: scan ranges and spreads, by that table"
    ]
    level: Annotated[float, "confidence of both VaRs"]
    horizon: Annotated[int, "business days a move takes"]
    historical_weight: Annotated[float, "weight of historical VaR; stressed VaR has the rest"]
    volatility_decay: Annotated[float, "daily decay of the volatility that scales the scenarios"]
    volatility_seed_rows: Annotated[int, "number of first rows that start the volatility"]
    volatility_limit: Annotated[float, "largest factor by which scenarios are scaled up or down"]
    equivalent_roots: Annotated[
        tuple[tuple[float, str], ...],
        "upper end in remaining years, and the future that represents cash up to it",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
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
class CmeEquivalents:
    """Which futures may stand for cash in the CME-like model, beside `Cme.equivalent_roots`."""

    table: ClassVar[str] = "equivalents"
    purpose: ClassVar[str] = (
        "Which futures may stand for cash in the CME-like model, and factors from a SPAN file."
    )
    illiquid: Annotated[
        tuple[str, ...],
        "futures of cme.equivalent_roots that are not liquid; the liquid ones next to them stand "
        "for their cash",
    ]
    minimum_volume: Annotated[
        float, "contracts a day; where volumes are given, a future with fewer is not liquid"
    ]
    from_span_file: Annotated[
        bool, "whether securities that a SPAN file names enter by the file's factors"
    ]
    product_codes: Annotated[
        tuple[tuple[str, str, str], ...],
        "futures, with their exchange and product in a SPAN parameter file",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "illiquid must name Treasury futures, once each": (
                len(set(self.illiquid)) == len(self.illiquid)
                and set(self.illiquid) <= set(roots("treasury"))
            ),
            "minimum_volume must be 0 or more": 0.0 <= self.minimum_volume <= 1e12,
            "product_codes must name each root and each product once": codes_ok(self.product_codes),
            "product_codes must not be empty where from_span_file is true": (
                len(self.product_codes) > 0 or not self.from_span_file
            ),
        }


@dataclass(frozen=True)
class CmeFloor:
    """A floor for calm markets under the volatility that scales the scenarios."""

    table: ClassVar[str] = "cme_floor"
    purpose: ClassVar[str] = (
        "In calm markets the CME-like model's scenarios are scaled to more than today's volatility."
    )
    buffer: Annotated[
        float, "share by which today's volatility is raised, up to that of the look-back"
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {"buffer must lie between 0 and 1": 0.0 <= self.buffer <= 1.0}


@dataclass(frozen=True)
class CmeCorrelation:
    """How far the CME-like model's scenarios take on the correlation of recent days."""

    table: ClassVar[str] = "cme_correlation"
    purpose: ClassVar[str] = (
        "The CME-like model's scenarios take on the correlation of recent days."
    )
    weight: Annotated[float, "of the recent correlation; the rest is the look-back's"]
    decay: Annotated[float, "daily decay of the recent correlation"]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "weight must lie between 0 and 1": 0.0 <= self.weight <= 1.0,
            "decay must lie between 0 and 1": 0.0 < self.decay < 1.0,
        }


@dataclass(frozen=True)
class ObservedMarginRules:
    """What observed maintenance margins are used for; see `Outright`."""

    table: ClassVar[str] = "observed_margins"
    purpose: ClassVar[str] = "What the maintenance margins given with a run are used for."
    use: Annotated[
        str,
        "show: set beside the CME-like model's own; scale: the model is multiplied to give them; "
        "floor: it is multiplied where it gives less",
    ]

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {"use must be 'show', 'floor' or 'scale'": self.use in (SHOW, FLOOR, SCALE)}
