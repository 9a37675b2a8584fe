"""The market as a policy sees it: with the factors that its tables derive from the histories."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from crossmargin.exceptions import InputError
from crossmargin.market import Market
from crossmargin.market.history import History
from crossmargin.market.short_rates import ShortRateRule, ShortRates, funds_rates
from crossmargin.policies import Policy, ShortRateTable


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

    Raises
    ------
    InputError
        The market gives no such factors.
    """
    return _with_short_rates(policy, market)


def _with_short_rates(policy: Policy, market: Market) -> Market:
    """Return the market with the short rates of the policy, or without any."""
    history, table = market.history, policy.get(ShortRateTable)
    if table is None:
        if history.short_rates is None:
            return market
        return replace(market, history=replace(history, short_rates=None))
    rule = table.rule
    funds = funds_rates(rule, history.date, market.fixings)
    now = history.short_rates
    if now is None or now.rule != rule or not np.array_equal(now.funds, funds, equal_nan=True):
        market = replace(market, history=_derived(history, rule, funds.tobytes()))
    try:
        # Both are kept. Here the par yields can still be named as what is wrong.
        _ = market.history.node_zero_rate, market.short_rate_curve
    except ValueError as error:
        raise InputError(str(error)) from error
    return market


@lru_cache(maxsize=1)
def _derived(history: History, rule: ShortRateRule, funds: bytes) -> History:
    """Return a history with short rates, the same one again for the next run on a market."""
    rates = np.frombuffer(funds).reshape(history.date.size, -1)
    return replace(history, short_rates=ShortRates(rule, rates))
