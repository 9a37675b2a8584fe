"""The tables of a policy: each owns its parameters, its checks and their explanations."""

from __future__ import annotations

from crossmargin.policies.sections import charges
from crossmargin.policies.sections.agreement import (
    CLASS_DISALLOWANCE,
    LOWER_OF_MODELS,
    SPREAD_CREDIT,
    AgreementRules,
    ClassDisallowance,
    SpreadCredit,
)
from crossmargin.policies.sections.baskets import BasketRules
from crossmargin.policies.sections.cme import (
    Cme,
    CmeCorrelation,
    CmeEquivalents,
    CmeFloor,
    ObservedMarginRules,
)
from crossmargin.policies.sections.common import Section
from crossmargin.policies.sections.customers import CustomerRules, HouseModelRules
from crossmargin.policies.sections.cycles import BacktestingRules, FallbackRules, HigherOfRules
from crossmargin.policies.sections.delivery import DeliveryMonthRules
from crossmargin.policies.sections.eligibility import Eligibility
from crossmargin.policies.sections.ficc import Ficc, HaircutRules
from crossmargin.policies.sections.scenarios import ScenarioRules, Stress
from crossmargin.policies.sections.short_rates import ShortRateTable
from crossmargin.policies.sections.span import SPAN, Span, SpanTiers
from crossmargin.policies.sections.specific import BasisProcessRules, SpreadRules

_ALL: tuple[type[Section], ...] = (
    AgreementRules,
    Eligibility,
    DeliveryMonthRules,
    ScenarioRules,
    ShortRateTable,
    Stress,
    Ficc,
    Cme,
    ClassDisallowance,
    SpreadCredit,
    HaircutRules,
    CmeEquivalents,
    CmeFloor,
    CmeCorrelation,
    SpreadRules,
    BasisProcessRules,
    ObservedMarginRules,
    Span,
    SpanTiers,
    *charges.SECTIONS,
    BacktestingRules,
    HigherOfRules,
    FallbackRules,
    BasketRules,
    CustomerRules,
    HouseModelRules,
)
SECTIONS = {section.table: section for section in _ALL}
"""All tables by name, in the order in which a policy is shown."""

REQUIRED = ("agreement", "eligibility", "scenarios", "ficc", "cme")
"""Required tables, its own or inherited: attributes of `Policy`."""

__all__ = [
    "CLASS_DISALLOWANCE",
    "LOWER_OF_MODELS",
    "REQUIRED",
    "SECTIONS",
    "SPAN",
    "SPREAD_CREDIT",
]
