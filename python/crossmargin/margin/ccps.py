"""The clearing houses of a policy: which model margins what is cleared where."""

from __future__ import annotations

from typing import Any

from crossmargin.conventions import CLEARS, CME, FICC
from crossmargin.exceptions import InputError
from crossmargin.margin.cme.model import CmeHvar, CmeSpan
from crossmargin.margin.cme.span_ranges import NO_TIERS
from crossmargin.margin.ficc.model import FiccVar
from crossmargin.margin.historical_var import HistoricalVar
from crossmargin.margin.model import ClearingHouse, MarginModel
from crossmargin.policies import (
    CcpTable,
    CmeCorrelation,
    CmeEquivalents,
    CmeFloor,
    HaircutRules,
    ObservedMarginRules,
    Policy,
    Span,
    SpanTiers,
    build,
)
from crossmargin.policies.sections import SPAN
from crossmargin.policies.sections.cme import SHOW

MODELS = {HistoricalVar.name: HistoricalVar}
"""Models for clearing houses that a policy adds to FICC and CME, by name."""


def clearing_houses(policy: Policy) -> tuple[ClearingHouse, ...]:
    """Return the clearing houses of a policy: FICC and CME, then the others.

    Parameters
    ----------
    policy : Policy

    Returns
    -------
    tuple of ClearingHouse

    Raises
    ------
    InputError
        There is no such model, or its parameters make no sense.
    """
    observed = policy.get(ObservedMarginRules)
    use = SHOW if observed is None else observed.use
    stands_in = policy.get(CmeEquivalents)
    correlation, floor = policy.get(CmeCorrelation), policy.get(CmeFloor)
    cme: MarginModel = CmeHvar(policy.cme, correlation, floor, use, stands_in)
    span = policy.get(Span)
    if policy.cme.model == SPAN and span is not None:
        cme = CmeSpan(policy.cme, span, use, policy.get(SpanTiers) or NO_TIERS, stands_in)
    ficc = FiccVar(policy.ficc, policy.get(HaircutRules))
    return (
        ClearingHouse(FICC, ficc, CLEARS[FICC]),
        ClearingHouse(CME, cme, CLEARS[CME]),
        *(_further(table, f"policy {policy.name}: ccp.{table.name}") for table in policy.ccps),
    )


def _further(table: CcpTable, where: str) -> ClearingHouse:
    """Return a clearing house that a policy adds to FICC and CME."""
    if table.model not in MODELS:
        raise InputError(f"{where}.model: {table.model!r} is not one of {', '.join(MODELS)}")
    model = MODELS[table.model]
    rules: Any = build(model.parameters, table.parameters, where)
    return ClearingHouse(table.name, model(table.name, rules), table.clears)
