"""Explain a policy in words, with the wording that its tables provide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crossmargin.policies.policy import Policy
from crossmargin.policies.sections import SECTIONS
from crossmargin.policies.sections.charges import GrossValueCharge
from crossmargin.policies.sections.common import meanings
from crossmargin.policies.sections.scenarios import ScenarioRules, Stress


@dataclass(frozen=True)
class Entry:
    """A parameter in words.

    Attributes
    ----------
    name : str
        Name with its table: `agreement.cap`.
    value, meaning, evidence, source : str
    """

    name: str
    value: str
    meaning: str
    evidence: str
    source: str


@dataclass(frozen=True)
class Explanation:
    """A table of a policy in words: its name, its purpose and its parameters."""

    name: str
    purpose: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Difference:
    """A value that differs between two policies; None for a policy that lacks it."""

    name: str
    value_a: str | None
    evidence_a: str | None
    value_b: str | None
    evidence_b: str | None


def explain(policy: Policy) -> tuple[Explanation, ...]:
    """Return the tables of a policy in words.

    Parameters
    ----------
    policy : Policy

    Returns
    -------
    tuple of Explanation
        In the order of `SECTIONS`, then the other clearing houses, the entries `[[charge]]` last.
    """
    explained = []
    for key, section in SECTIONS.items():
        means = meanings(section)
        explained.append(_explanation(policy, key, section.purpose, means.__getitem__))
    for ccp in policy.ccps:
        explained.append(_explanation(policy, f"ccp.{ccp.name}", ccp.purpose, ccp.meaning))
    charges = tuple(
        Entry(
            f"charge.{c.ccp}.{c.name}",
            f"{_words(c.rate)} {'reducible' if c.reducible else 'not reducible'}",
            c.meaning,
            c.evidence,
            c.source,
        )
        for c in policy.charges
    )
    explained.append(Explanation(GrossValueCharge.table, GrossValueCharge.purpose, charges))
    return tuple(one for one in explained if one.entries)


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
    # Periods by clearing house replace these windows.
    unused = () if policy.get(Stress) is None else (f"{ScenarioRules.table}.stress_windows",)
    return tuple(
        entry.name
        for entry in entries
        if entry.evidence == "unconfirmed" and entry.name not in unused
    )


def differences(a: Policy, b: Policy) -> tuple[Difference, ...]:
    """Return the differences between two policies: headings, values and evidence.

    Parameters
    ----------
    a, b : Policy

    Returns
    -------
    tuple of Difference
        Headings first, then parameters in the order of `explain`; those only in `b` last.
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


def _explanation(
    policy: Policy, table: str, purpose: str, meaning: Callable[[str], str]
) -> Explanation:
    """Return one table in words; it has no entries if the policy lacks the table."""
    own = [p for p in policy.parameters if p.name.startswith(f"{table}.")]
    return Explanation(
        table,
        purpose,
        tuple(
            Entry(
                p.name,
                _words(p.value),
                meaning(p.name.removeprefix(f"{table}.")),
                p.evidence,
                p.source,
            )
            for p in own
        ),
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
            # An empty list inside an entry stands for all, as its parameter says.
            " ".join(_words(part) for part in item if part != [])
            if isinstance(item, list)
            else _words(item)
            for item in value
        ) or "none"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
