from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmargin.conventions import CME, FICC
from crossmargin.instruments.securities import Securities
from crossmargin.margin.charges import ChargeInputs
from crossmargin.margin.portfolios import CcpMargin
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import Policy, ScenarioRules, read_policy
from crossmargin.policies.sections.charges import GrossValueCharge

FIRST = "cme-ficc-2026-04-30"
"""Without periods of stress, whose days the small market does not reach."""
InputsOf = Callable[..., ChargeInputs]
Margins = Callable[..., dict[str, CcpMargin]]


@pytest.fixture
def inputs_of(
    make_securities: Callable[..., Securities], market: Market, scenario_rules: ScenarioRules
) -> InputsOf:
    """Return a function from instruments and tables of a policy to what charges are made of."""

    def make(
        universe: Any,
        *sections: object,
        charges: tuple[GrossValueCharge, ...] = (),
        held: Securities | None = None,
        as_of: str | None = None,
        volumes: Mapping[str, float] | None = None,
    ) -> ChargeInputs:
        policy: Policy = replace(read_policy(FIRST), scenarios=scenario_rules, charges=charges)
        day = market if as_of is None else replace(market, as_of=np.datetime64(as_of))
        return ChargeInputs(
            universe,
            make_securities() if held is None else held,
            day,
            policy.with_sections(*sections),
            volumes or {},
            ScenarioStore(),
        )

    return make


@pytest.fixture
def margins() -> Margins:
    """Return a function from V, the same everywhere, to the margins of so many groups."""

    def make(v: float = 0.0, *, groups: int = 1) -> dict[str, CcpMargin]:
        unknown = np.zeros((groups, 5), dtype=bool)
        return {ccp: CcpMargin(ccp, np.full((groups, 5), v), unknown, {}) for ccp in (FICC, CME)}

    return make


@pytest.fixture
def futures(by_hand: Any) -> Any:
    """Return a note, forward cash leg and futures: two months of ZN, one of ZT, one of SR3."""
    names = ["NOTE00000", "USD 2025-05-01", "SR3M25", "ZNM25", "ZNU25", "ZTM25"]
    return by_hand(*((name, [(1.0, 100.0)], 1.0) for name in names))
