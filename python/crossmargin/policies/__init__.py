"""Dated policies: the parameters of the agreement and the models, each with source and standing."""

from crossmargin.policies.policy import Parameter, Policy, read_policy, shipped_policies
from crossmargin.policies.sections import (
    Agreement,
    Charge,
    ClassDisallowance,
    Cme,
    Eligibility,
    Ficc,
    ScenarioRules,
    SpreadCredit,
)

__all__ = [
    "Agreement",
    "Charge",
    "ClassDisallowance",
    "Cme",
    "Eligibility",
    "Ficc",
    "Parameter",
    "Policy",
    "ScenarioRules",
    "SpreadCredit",
    "read_policy",
    "shipped_policies",
]
