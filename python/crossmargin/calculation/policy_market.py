"""The market as a policy sees it: with the factors that its tables derive from the histories."""

from __future__ import annotations

from crossmargin.market import Market
from crossmargin.policies import Policy


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
    del policy  # No table derives factors yet.
    return market
