"""What a policy says, in words: all its wording for people is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossmargin.policies.policy import OPTIONAL, SECTIONS, Parameter, Policy

PURPOSE = {
    "agreement": "How the share is found that both houses take off the cross-margined "
    "requirements, and its limits.",
    "eligibility": "Whose accounts, which securities and which futures may be cross-margined.",
    "scenarios": "Which days of the history make up the scenarios of both models.",
    "ficc": "The FICC-like model: VaR of moves over its horizon, never below a floor and a "
    "minimum margin amount.",
    "cme": "The CME-like model: historical VaR mixed with stressed VaR, or scan ranges and "
    "spreads; cash enters as futures.",
    "class_disallowance": "Cash and futures offset each other within classes of remaining years, "
    "then across them; a share of each offset is disallowed.",
    "spread_credit": "Cash of a class and futures offset each other spread by spread, at a "
    "credit rate each.",
    "haircuts": "FICC's haircut method: by maturity bucket, for what is short or has no model.",
    "repo_rate": "FICC's charge on the repo rate of cash with a date, by term.",
    "liquidity": "FICC's margin liquidity adjustment: the cost of selling, by maturity group.",
    "holiday": "FICC's charge on the last business day before a holiday.",
    "backtesting": "FICC's charge after backtests that failed; from results of earlier days.",
    "higher_of": "FICC's higher-of rule for indirect participants; from figures of earlier days.",
    "span": "The CME-like model by scan ranges and spreads; a combined commodity is a root.",
    "cme_correlation": "The CME-like model's scenarios take on the correlation of recent days.",
    "cme_liquidity": "CME's charge for closing out across bid and ask.",
    "cme_concentration": "CME's charge on contracts beyond a share of average daily volume.",
    "charge": "Charges beside the models' margin, as rates on the gross market value.",
}
"""A sentence for each table of a policy file."""

MEANING = {
    "agreement.offset_method": "lower_of_models: the smaller of both models' savings; "
    "class_disallowance and spread_credit: by the table of that name",
    "agreement.cap": "the share is never larger",
    "agreement.minimum_saving": "a smaller share counts as none",
    "eligibility.security_types": "types of Treasuries",
    "eligibility.remaining_months": "a security has to mature later than so many months ahead",
    "eligibility.roots": "futures contracts",
    "eligibility.house_roles": "roles at FICC of house accounts",
    "eligibility.customer_roles": "roles at FICC of customers",
    "scenarios.look_back": "the latest rows of the history that are scenarios",
    "scenarios.minimum_rows": "a shorter history is an error",
    "scenarios.stress_windows": "rows of these periods are scenarios too, and stressed ones",
    "ficc.pnl": "sensitivity: second order in the yields; full: revaluation; proxy: FICC's margin "
    "proxy, returns of benchmarks by maturity bucket",
    "ficc.level": "confidence of the VaR",
    "ficc.horizon": "business days a move takes",
    "ficc.minimum_margin_rows": "the minimum margin amount is the VaR of so many latest scenarios",
    "ficc.floor_share": "share of the smallest volatility seen that net market value is charged",
    "ficc.floor_rows": "rows that volatility is taken over",
    "ficc.floor_bucket_years": "upper ends of the floor's buckets, remaining years",
    "ficc.floor_bucket_nodes": "yield whose volatility each bucket takes",
    "cme.model": "hvar: historical simulation; span: scan ranges and spreads, by that table",
    "cme.level": "confidence of both VaRs",
    "cme.horizon": "business days a move takes",
    "cme.historical_weight": "weight of historical VaR; the rest is that of stressed VaR",
    "cme.volatility_decay": "daily decay of the volatility that scales the scenarios",
    "cme.volatility_seed_rows": "rows that volatility begins with",
    "cme.volatility_limit": "scenarios are scaled up or down by no more than this factor",
    "cme.equivalent_roots": "up to so many remaining years, the future that stands for cash",
    "class_disallowance.classes": "name of each class and its upper end, remaining years",
    "class_disallowance.within": "share of an offset within each class that is disallowed",
    "class_disallowance.across": "pairs of classes in the order of offsets, the share disallowed",
    "spread_credit.classes": "name of each class of cash and its upper end, remaining years",
    "spread_credit.spreads": "class of cash, futures, credit rate; in the order of offsets",
    "haircuts.short_months": "what matures within so many months takes the method, model or not",
    "haircuts.buckets": "name, types of securities, last month of remaining term; the first that "
    "holds a security is its own",
    "haircuts.nodes": "yield that each bucket is calibrated on",
    "haircuts.uncorrelated": "buckets that have no correlation with any other",
    "haircuts.rates": "share of net market value of each bucket; none: calibrated",
    "haircuts.correlations": "correlation matrix of the buckets; none: calibrated",
    "repo_rate.term_months": "the last month of each bucket of term",
    "repo_rate.nodes": "yield that each bucket is calibrated on",
    "repo_rate.rates": "move of the repo rate of each bucket, decimal; none: calibrated",
    "liquidity.groups": "name, types of securities, last month of remaining term; the first that "
    "holds a security is its own",
    "liquidity.rates": "market impact of each group, share of net market value",
    "liquidity.threshold": "charged where the cost is more than this share of V",
    "holiday.rate": "share of V",
    "backtesting.months": "months of results looked back on",
    "backtesting.coverage": "due where a smaller share of the days had enough margin",
    "backtesting.rank": "1: the largest deficiency of those months, 2: the second largest, ...",
    "higher_of.business_days": "for so many days an account is subject after an excess",
    "span.scan_ranges": "futures and USD a contract; calibrated for those not named",
    "span.extreme_multiple": "the extreme move in scan ranges",
    "span.extreme_cover": "share of the extreme move's loss that counts",
    "span.tiers": "futures, first and last month after the as-of month; numbered from 1 as listed",
    "span.intra_spreads": "futures, tier, tier, USD a spread; in the order of priority",
    "span.delivery_charges": "futures and USD a delta, once the delivery month has begun",
    "span.spreads": "legs of each spread: futures, delta ratio, side; in the order of priority",
    "span.spread_rates": "credit of each spread, share of its legs' scan risk; none: calibrated",
    "span.calibration_rows": "latest rows of the history that are calibrated on",
    "span.calibration_level": "confidence of what is calibrated",
    "span.product_codes": "futures, and their exchange and product in a SPAN parameter file",
    "cme_correlation.weight": "of the recent correlation; the rest is the look-back's",
    "cme_correlation.decay": "daily decay of the recent correlation",
    "cme_liquidity.cost": "futures and USD a contract",
    "cme_liquidity.reducible": "whether it is reduced with the margin",
    "cme_concentration.threshold": "charged beyond this share of a day's volume",
    "cme_concentration.rate": "futures and USD for each contract beyond",
    "cme_concentration.reducible": "whether it is reduced with the margin",
}
"""What each parameter does."""

EVIDENCE_MEANS = {
    "confirmed": "read in the named source",
    "inferred": "concluded from confirmed facts",
    "unconfirmed": "recollected or assumed; no text could be read",
    "ours": "a choice of this project, or of whoever wrote the file",
}
"""What each evidence means."""


@dataclass(frozen=True)
class Entry:
    """A parameter in words.

    Attributes
    ----------
    name : str
        With its table: `agreement.cap`.
    value, meaning, evidence, source : str
    """

    name: str
    value: str
    meaning: str
    evidence: str
    source: str


@dataclass(frozen=True)
class Section:
    """A table of a policy in words: its name, what it is for, its parameters."""

    name: str
    purpose: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Difference:
    """What two policies say of one thing; None where one of them has none."""

    name: str
    value_a: str | None
    evidence_a: str | None
    value_b: str | None
    evidence_b: str | None


def explain(policy: Policy) -> tuple[Section, ...]:
    """Return all tables of a policy in words, in the order of the embedded one.

    Parameters
    ----------
    policy : Policy

    Returns
    -------
    tuple of Section
        The charges come last, if there are any.
    """
    entries = [_entry(p) for p in policy.parameters if not p.name.startswith("charge.")]
    sections = [
        Section(key, PURPOSE[key], tuple(e for e in entries if e.name.startswith(f"{key}.")))
        for key in (*SECTIONS, *OPTIONAL)
    ]
    charges = tuple(
        Entry(
            f"charge.{c.ccp}.{c.name}",
            f"{_words(c.rate)} {'reducible' if c.reducible else 'not reducible'}",
            f"rate on the gross market value at {c.ccp}; "
            + ("reduced with the margin" if c.reducible else "not reduced"),
            c.evidence,
            c.source,
        )
        for c in policy.charges
    )
    sections.append(Section("charge", PURPOSE["charge"], charges))
    return tuple(section for section in sections if section.entries)


def unconfirmed(policy: Policy) -> tuple[str, ...]:
    """Return the names of the parameters for which no text could be read.

    Parameters
    ----------
    policy : Policy

    Returns
    -------
    tuple of str
    """
    entries = (entry for section in explain(policy) for entry in section.entries)
    return tuple(entry.name for entry in entries if entry.evidence == "unconfirmed")


def differences(a: Policy, b: Policy) -> tuple[Difference, ...]:
    """Return what two policies differ in: what they are, values and evidence.

    Parameters
    ----------
    a, b : Policy

    Returns
    -------
    tuple of Difference
        What they are called first; parameters in the order of `explain`, those of `b` alone last.
    """
    heads = ("name", "title", "authority", "effective_from", "extends")
    found = [
        Difference(key, getattr(a, key), None, getattr(b, key), None)
        for key in heads
        if getattr(a, key) != getattr(b, key)
    ]
    one, other = (
        {entry.name: entry for section in explain(policy) for entry in section.entries}
        for policy in (a, b)
    )
    for name in dict.fromkeys([*one, *other]):
        x, y = one.get(name), other.get(name)
        pair = [(e.value, e.evidence) if e else (None, None) for e in (x, y)]
        if pair[0] != pair[1]:
            found.append(Difference(name, *pair[0], *pair[1]))
    return tuple(found)


def _entry(parameter: Parameter) -> Entry:
    return Entry(
        parameter.name,
        _words(parameter.value),
        MEANING[parameter.name],
        parameter.evidence,
        parameter.source,
    )


def _words(value: Any) -> str:
    """Return a value as people write it: lists with commas, lists of lists with semicolons."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        nested = any(isinstance(item, list) and len(item) > 0 for item in value)
        if nested and all(isinstance(part, list) for item in value for part in item):
            return "; ".join(
                ", ".join(" ".join(map(_words, leg)) for leg in item) for item in value
            )
        return ("; " if nested else ", ").join(
            " ".join(map(_words, item)) if isinstance(item, list) else _words(item)
            for item in value
        ) or "none"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
