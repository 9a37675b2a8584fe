"""The table of the fallbacks while a clearing house is late."""

from __future__ import annotations

from dataclasses import replace

from crossmargin.policies.sections.cycles import (
    LAST_GOOD_FACTOR,
    OTHER_SIDE_FACTOR,
    ZERO_BENEFIT,
)
from crossmargin.results.schema import DATE, NUMBER, TEXT, Column, Schema
from crossmargin.results.schemas.shared import ACCOUNT, ANY_UNPRICED, SAVING, amount

_RATE = next(column for column in SAVING if column.name == "offset_rate")
_MEANING = {
    ZERO_BENEFIT: ("no benefit", "`CCP_LATE`"),
    LAST_GOOD_FACTOR: (
        "the last good one, at most today's cap",
        "`NO_LAST_GOOD`, none was given or it is too old; `NO_SAVING`, it was zero; "
        "`BELOW_MINIMUM`",
    ),
    OTHER_SIDE_FACTOR: (
        "the saving of the clearing house that is there, at most the cap",
        "`BOTH_LATE`; `NO_SAVING`; `BELOW_MINIMUM`",
    ),
}
_NONE_GIVEN = "no table of last good rates was given"


def _of_rule(rule: str) -> tuple[Column, ...]:
    """Return the columns of one rule."""
    what, reasons = _MEANING[rule]
    given = rule != LAST_GOOD_FACTOR
    return (
        Column(
            f"offset_rate_{rule}",
            NUMBER,
            f"The offset rate by `{rule}`: {what}. Zero without an eligible, complete, two-sided "
            "account.",
            null="" if given else _NONE_GIVEN,
        ),
        Column(
            f"reason_{rule}",
            TEXT,
            f"Why that is zero: `NOT_ELIGIBLE`, `INCOMPLETE`, `ONE_SIDED`; {reasons}.",
            null="it is not zero" if given else f"it is not zero, or {_NONE_GIVEN}",
        ),
        amount(
            f"requirement_{rule}",
            f"The account's `requirement` at the offset rate by `{rule}`.",
            ANY_UNPRICED if given else f"{ANY_UNPRICED}, or {_NONE_GIVEN}",
        ),
    )


FALLBACK_TABLE = Schema(
    "fallbacks",
    (
        ACCOUNT,
        replace(_RATE, meaning="By the models of both clearing houses, as if neither was late."),
        amount("requirement", "The account's `requirement` at that rate.", ANY_UNPRICED),
        *(column for rule in _MEANING for column in _of_rule(rule)),
        Column(
            "last_good_rate",
            NUMBER,
            "The last good offset rate as it was given.",
            null="the account has none",
        ),
        Column("last_good_day", DATE, "Its day.", null="the account has none"),
        Column("last_good_cycle", TEXT, "Its cycle.", null="the account has none"),
        Column("rule", TEXT, "The rule that the policy applies."),
    ),
)
