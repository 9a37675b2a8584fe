"""What an account would save if nothing moved securities and futures apart."""

from __future__ import annotations

from crossmargin.agreement.savings import Saving
from crossmargin.analysis.explained.asked import Asked
from crossmargin.analysis.explained.subset import subset
from crossmargin.calculation.margins import agree_offsets, margin_accounts
from crossmargin.calculation.policy_market import policy_market
from crossmargin.calculation.prepared import prepare_models
from crossmargin.policies import BasisProcessRules, SpreadRules


def curve_alone(asked: Asked) -> Saving | None:
    """Return the account's saving without the policy's spreads and assumed bases.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Saving or None
        Of this account, its instruments margined by themselves. None if the policy has no such
        tables, or if a clearing house's P&L is the user's own.
    """
    models, parsed = asked.stages.models, asked.stages.parsed
    policy = models.policy.without_sections(SpreadRules, BasisProcessRules)
    if policy.optional == models.policy.optional or parsed.cubes:
        return None
    market = policy_market(policy, models.market)
    own = subset(asked, market)
    alone = prepare_models(
        policy,
        market,
        own.universe,
        own.held,
        span_file=parsed.span_file,
        volumes=parsed.volumes,
        observed=parsed.observed_margins,
        execution=asked.execution,
    )
    book = own.book(asked.batch.book)
    elsewhere = {ccp: own.book(other) for ccp, other in asked.batch.elsewhere.items()}
    margins = margin_accounts(book, elsewhere, alone, asked.execution)
    return agree_offsets(book, alone, margins, asked.batch.clients, asked.execution).saving
