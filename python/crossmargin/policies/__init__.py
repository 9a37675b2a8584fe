"""Dated policies: the parameters of the agreement and the models, each with source and standing."""

from crossmargin.policies.policy import Parameter, Policy, read_policy, shipped_policies
from crossmargin.policies.sections import (
    Agreement,
    BacktestingRules,
    Charge,
    ClassDisallowance,
    Cme,
    Eligibility,
    Ficc,
    HaircutRules,
    HigherOfRules,
    HolidayRules,
    LiquidityRules,
    MaturityGroup,
    RepoRateRules,
    ScenarioRules,
    Span,
    SpreadCredit,
)

__all__ = [
    "Agreement",
    "BacktestingRules",
    "Charge",
    "ClassDisallowance",
    "Cme",
    "Eligibility",
    "Ficc",
    "HaircutRules",
    "HigherOfRules",
    "HolidayRules",
    "LiquidityRules",
    "MaturityGroup",
    "Parameter",
    "Policy",
    "RepoRateRules",
    "ScenarioRules",
    "Span",
    "SpreadCredit",
    "read_policy",
    "shipped_policies",
]
