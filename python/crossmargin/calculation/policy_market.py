"""The market as a policy sees it: with the factors that its tables derive from the histories."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.market import Market
from crossmargin.market.specific import SpecificRisk
from crossmargin.policies import BasisProcessRules, Policy, SpreadRules


def policy_market(policy: Policy, market: Market) -> Market:
    """Return a market with the factors that a policy derives from its histories.

    Parameters
    ----------
    policy : Policy
    market : Market
        As read, or derived for this policy or for another one.

    Returns
    -------
    Market
        The same object if nothing changes, so that its scenarios are kept.
    """
    return _with_specific_risk(policy, market)


def _with_specific_risk(policy: Policy, market: Market) -> Market:
    """Return the market with the policy's spreads of securities and assumed bases."""
    spreads, basis = policy.get(SpreadRules), policy.get(BasisProcessRules)
    specific = None
    if spreads is not None or basis is not None:
        specific = SpecificRisk(
            spreads=None if spreads is None else spreads.groups(policy.scenarios),
            basis=None if basis is None else basis.process(policy.scenarios),
        )
    if specific == market.history.specific:
        return market
    return replace(market, history=replace(market.history, specific=specific))
