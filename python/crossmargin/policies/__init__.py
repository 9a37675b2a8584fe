"""Dated policies: the parameters of the agreement and the models, each with source and standing."""

from crossmargin.policies.policy import Parameter, Policy, read_policy, shipped_policies
from crossmargin.policies.sections import (
    Agreement,
    Charge,
    Cme,
    Eligibility,
    Ficc,
    ScenarioRules,
)

__all__ = [
    "Agreement",
    "Charge",
    "Cme",
    "Eligibility",
    "Ficc",
    "Parameter",
    "Policy",
    "ScenarioRules",
    "read_policy",
    "shipped_policies",
]
