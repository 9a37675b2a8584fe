"""Dated policies: the parameters of the agreement and the models, each with source and standing."""

from crossmargin.policies.policy import (
    Agreement,
    Charge,
    Cme,
    Eligibility,
    Ficc,
    Parameter,
    Policy,
    ScenarioRules,
    read_policy,
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
]
