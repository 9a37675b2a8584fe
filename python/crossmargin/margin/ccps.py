"""The clearing houses of a policy: which model margins what is cleared where."""

from __future__ import annotations

from crossmargin.conventions import CME, FICC
from crossmargin.margin.cme.model import CmeHvar, CmeSpan
from crossmargin.margin.ficc.model import FiccVar
from crossmargin.margin.model import ClearingHouse, MarginModel
from crossmargin.policies import CmeCorrelation, HaircutRules, Policy, Span
from crossmargin.policies.sections import SPAN


def clearing_houses(policy: Policy) -> tuple[ClearingHouse, ...]:
    """Return the clearing houses of a policy: FICC and CME, then the others.

    Parameters
    ----------
    policy : Policy

    Returns
    -------
    tuple of ClearingHouse
    """
    cme: MarginModel = CmeHvar(policy.cme, policy.get(CmeCorrelation))
    span = policy.get(Span)
    if policy.cme.model == SPAN and span is not None:
        cme = CmeSpan(policy.cme, span)
    return (
        ClearingHouse(
            FICC, FiccVar(policy.ficc, policy.get(HaircutRules)), ("cash", "repo", "reverse")
        ),
        ClearingHouse(CME, cme, ("future",)),
    )
