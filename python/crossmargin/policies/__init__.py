"""Dated policies: the parameters of agreement and models, each with its source and evidence.

The tables of the charges are in `policies.sections.charges`.
"""

from crossmargin.policies.building import build
from crossmargin.policies.ccps import CcpTable
from crossmargin.policies.files import shipped_policies
from crossmargin.policies.policy import Parameter, Policy, read_policy
from crossmargin.policies.sections.agreement import AgreementRules, ClassDisallowance, SpreadCredit
from crossmargin.policies.sections.cme import (
    Cme,
    CmeCorrelation,
    CmeEquivalents,
    CmeFloor,
    ObservedMarginRules,
)
from crossmargin.policies.sections.common import MaturityGroup
from crossmargin.policies.sections.customers import CustomerRules, HouseModelRules
from crossmargin.policies.sections.cycles import BacktestingRules, FallbackRules, HigherOfRules
from crossmargin.policies.sections.delivery import DeliveryMonthRules
from crossmargin.policies.sections.eligibility import Eligibility
from crossmargin.policies.sections.ficc import Ficc, HaircutRules
from crossmargin.policies.sections.scenarios import ScenarioRules, Stress
from crossmargin.policies.sections.short_rates import ShortRateTable
from crossmargin.policies.sections.span import Span, SpanTiers
from crossmargin.policies.sections.specific import BasisProcessRules, SpreadRules

__all__ = [
    "AgreementRules",
    "BacktestingRules",
    "BasisProcessRules",
    "CcpTable",
    "ClassDisallowance",
    "Cme",
    "CmeCorrelation",
    "CmeEquivalents",
    "CmeFloor",
    "CustomerRules",
    "DeliveryMonthRules",
    "Eligibility",
    "FallbackRules",
    "Ficc",
    "HaircutRules",
    "HigherOfRules",
    "HouseModelRules",
    "MaturityGroup",
    "ObservedMarginRules",
    "Parameter",
    "Policy",
    "ScenarioRules",
    "ShortRateTable",
    "Span",
    "SpanTiers",
    "SpreadCredit",
    "SpreadRules",
    "Stress",
    "build",
    "read_policy",
    "shipped_policies",
]
