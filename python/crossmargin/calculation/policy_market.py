"""The market as a policy sees it: with the factors that its tables derive from the histories."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from crossmargin.book.schemas import SPREADS
from crossmargin.conventions import CME, FICC
from crossmargin.exceptions import InputError
from crossmargin.market import Market
from crossmargin.market.history import History
from crossmargin.market.short_rates import ShortRateRule, ShortRates, funds_rates
from crossmargin.market.specific import SpecificRisk
from crossmargin.policies import BasisProcessRules, Policy, ShortRateTable, SpreadRules


def policy_market(policy: Policy, market: Market, earlier: History | None = None) -> Market:
    """Return a market with the factors that a policy derives from its histories.

    Parameters
    ----------
    policy : Policy
    market : Market
        As read, or derived for this policy or for another one.
    earlier : History, optional
        Derived for another day: what it has computed row by row is not computed again.

    Returns
    -------
    Market
        The same object if nothing changes, so that its scenarios are kept.

    Raises
    ------
    InputError
        The market gives no such factors.
    """
    history, table = market.history, policy.get(ShortRateTable)
    rule = None if table is None else table.rule
    funds = b"" if rule is None else funds_rates(rule, history.date, market.fixings).tobytes()
    specific = _specific_risk(policy)
    if (rule, funds, specific) != _derived_by(history):
        market = replace(market, history=_derived(history, rule, funds, specific))
    if rule is not None:
        try:
            if earlier is not None and earlier is not market.history:
                market.history.continue_from(earlier)
            # Both are kept. Here the par yields can still be named as what is wrong.
            _ = market.history.node_zero_rate, market.short_rate_curve
        except ValueError as error:
            raise InputError(str(error)) from error
    return market


def check_groups(market: Market) -> None:
    """Refuse observed spreads of a group that the policy of a derived market does not have.

    Raises
    ------
    InputError
        With the groups that it has.
    """
    history = market.history
    if history.spreads is None or history.specific is None or history.specific.spreads is None:
        return
    known = history.specific.spreads.name
    unknown = sorted(set(history.spreads.group) - set(known))
    if unknown:
        raise InputError(
            f"{SPREADS.name}: the policy has no group {unknown[0][:100]!r}; known: "
            f"{', '.join(known)}"
        )


def _specific_risk(policy: Policy) -> SpecificRisk | None:
    """Return the policy's spreads of securities and assumed bases, if it has any."""
    spreads, basis = policy.get(SpreadRules), policy.get(BasisProcessRules)
    if spreads is None and basis is None:
        return None
    windows = (window for ccp in (FICC, CME) for window in policy.scenarios_of(ccp).stress)
    stress = tuple(sorted({(str(window.first), str(window.last)) for window in windows}))
    return SpecificRisk(
        spreads=None if spreads is None else spreads.groups(stress),
        basis=None if basis is None else basis.process(stress),
    )


def _derived_by(history: History) -> tuple[ShortRateRule | None, bytes, SpecificRisk | None]:
    """Return what the factors of a history were derived by: rule, funds rates, specific risk."""
    rates = history.short_rates
    if rates is None:
        return None, b"", history.specific
    return rates.rule, rates.funds.tobytes(), history.specific


@lru_cache(maxsize=1)
def _derived(
    history: History, rule: ShortRateRule | None, funds: bytes, specific: SpecificRisk | None
) -> History:
    """Return a history with derived factors, the same one again for the next run on a market."""
    rates = None
    if rule is not None:
        rates = ShortRates(rule, np.frombuffer(funds).reshape(history.date.size, -1))
    return replace(history, short_rates=rates, specific=specific)
