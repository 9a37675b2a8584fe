"""What holds while FICC or CME is late: the offset rate by each of three rules.

Only the offset rate differs. The margin of each account in both models is still computed, since
the positions and both models are here; what is missing is the share that the late clearing house
would have granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.requirement import Requirements
from crossmargin.arrays import Dates, Float, Mask, Text
from crossmargin.book.programme import LAST_GOOD
from crossmargin.calculation.offset_rates import (
    GivenRates,
    read_by_account,
    replaced,
    rows_of,
    with_given_rates,
)
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.conventions import CME, CYCLES, FICC
from crossmargin.exceptions import InputError
from crossmargin.io.parse import ROW
from crossmargin.io.tables import Source
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import FallbackRules
from crossmargin.policies.sections import LOWER_OF_MODELS
from crossmargin.policies.sections.cycles import (
    FALLBACKS,
    LAST_GOOD_FACTOR,
    OTHER_SIDE_FACTOR,
    WITHOUT_TABLE,
)
from crossmargin.results.schemas.fallback import FALLBACK_TABLE
from crossmargin.results.table import Table, money

CCP_LATE, BOTH_LATE, NO_LAST_GOOD = "CCP_LATE", "BOTH_LATE", "NO_LAST_GOOD"
NO_SAVING, BELOW_MINIMUM = "NO_SAVING", "BELOW_MINIMUM"
"""Reasons of an offset rate of zero, beside those of the agreement."""


@dataclass(frozen=True)
class LastGood:
    """Each account's last offset rate that both clearing houses gave, as columns of length A.

    Attributes
    ----------
    rate : ndarray of float64
        NaN where there is none.
    day : ndarray of datetime64[D]
        NaT where there is none.
    cycle : ndarray of str
        None where there is none.
    described : dict
        What the manifest says of the table.
    """

    rate: Float
    day: Dates
    cycle: Text
    described: dict[str, Any]


def fallbacks(
    run: RunResult, *, late: str | Sequence[str], last_good: Source | None = None
) -> Table:
    """Return what each account would have to pay by each rule for a clearing house that is late.

    Parameters
    ----------
    run : RunResult
        With its stages: all positions in both models, as always.
    late : str or sequence of str
        FICC, CME or both.
    last_good : path or table, optional
        `account`, `offset_rate`, `day`, `cycle`: each account's last offset rate that both clearing
        houses gave, at most one row an account. Accounts that are not in the run do not matter.

    Returns
    -------
    Table
        A row per account with the offset rate, the reason why it is zero, and the requirement, by
        each rule. Its columns are those of `crossmargin.results.schemas.fallback.FALLBACK_TABLE`.

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind; the run has no stages, or offset rates that were given.
    InputError
        The table cannot be read, names an account twice, or has a rate from after the run.

    Notes
    -----
    `zero_benefit`: no offset. `last_good_factor`: the last good rate, at most today's cap; zero if
    it is under today's minimum, or older than the policy's `last_good_days`. `other_side_factor`:
    the saving in the model of the clearing house that is there, at most the cap, zero under the
    minimum; zero if both are late. Under an offset method by a table of the policy the other side
    has that table, so its rate is ours. An account that is not eligible, incomplete or one-sided
    today has no benefit by any rule.
    """
    stages, missing = _checked(run, late)
    good = None if last_good is None else _last_good(last_good, stages)
    own = stages.agreement
    cells: dict[str, columns.Column] = {
        "account": columns.plain(stages.parsed.accounts["account"]),
        "offset_rate": columns.column(own.saving.offset_rate),
        "requirement": _requirement(stages.requirements),
    }
    size = own.saving.offset_rate.size
    for rule in FALLBACKS:
        if rule == LAST_GOOD_FACTOR and good is None:
            nothing = {"offset_rate": pa.float64(), "reason": pa.string()}
            cells |= {f"{name}_{rule}": pa.nulls(size, kind) for name, kind in nothing.items()}
            unknown = np.zeros(size, dtype=bool)
            cells[f"requirement_{rule}"] = money(np.zeros(size, dtype=np.int64), unknown)
            continue
        saving, required, _ = replaced(stages, _rates(rule, stages, missing, good))
        cells[f"offset_rate_{rule}"] = columns.column(saving.offset_rate)
        cells[f"reason_{rule}"] = columns.text_column([text or None for text in saving.reason])
        cells[f"requirement_{rule}"] = _requirement(required)
    rule = columns.scalar(fallback_rules(run).rule)
    cells |= {**_given(good, size), "rule": columns.repeated(rule, size)}
    return Table(FALLBACK_TABLE.table(cells))


def apply_fallback(
    run: RunResult,
    *,
    late: str | Sequence[str],
    last_good: Source | None = None,
    rule: str | None = None,
) -> RunResult:
    """Return a run with the offset rates of the policy's rule for a clearing house that is late.

    Parameters
    ----------
    run, late, last_good
        As in `fallbacks`.
    rule : {"zero_benefit", "last_good_factor", "other_side_factor"}, optional
        In place of the policy's.

    Returns
    -------
    RunResult
        As from `with_offset_rates`; `reason` says why a rate is zero, and the manifest's
        `offset_rates` which rule was applied, and who was late.

    Raises
    ------
    TypeError, ValueError, InputError
        As in `fallbacks`; the rule is unknown, or needs the last good rates and has none.
    """
    stages, missing = _checked(run, late)
    applied = fallback_rules(run).rule if rule is None else rule
    if applied not in FALLBACKS:
        raise ValueError(f"rule: {applied!r} is not one of {', '.join(FALLBACKS)}")
    described: dict[str, Any] = {"source": "fallback", "late": list(missing), "rule": applied}
    good = None
    if applied == LAST_GOOD_FACTOR:
        if last_good is None:
            raise InputError(f"{LAST_GOOD.name}: {applied} needs them; give the table")
        good = _last_good(last_good, stages)
        described |= good.described
    return with_given_rates(run, _rates(applied, stages, missing, good), described)


def fallback_rules(run: RunResult) -> FallbackRules:
    """Return the rule of a run's policy, zero benefit if it has none."""
    return stages_of(run).models.policy.get(FallbackRules) or WITHOUT_TABLE


def _checked(run: RunResult, late: str | Sequence[str]) -> tuple[Stages, tuple[str, ...]]:
    """Return the stages of a run, and who is late in the order of the programme."""
    stages = stages_of(run)
    named = [late] if isinstance(late, str) else list(late)
    missing = tuple(ccp for ccp in (FICC, CME) if ccp in named)
    if not named or len(missing) < len(set(named)):
        raise ValueError(f"late: {FICC}, {CME} or both expected, got {late!r:.60}")
    return stages, missing


def _rates(
    rule: str, stages: Stages, missing: tuple[str, ...], good: LastGood | None
) -> GivenRates:
    """Return each account's offset rate by a rule, before today's conditions on the account."""
    saving, agreement = stages.agreement.saving, stages.models.policy.agreement
    size = saving.offset_rate.size
    if rule == LAST_GOOD_FACTOR and good is not None:
        oldest = _oldest(stages)
        known = ~np.isnan(good.rate) & (good.day >= oldest)
        return _limited(good.rate, known, NO_LAST_GOOD, stages)
    if rule == OTHER_SIDE_FACTOR and len(missing) == 1:
        if agreement.offset_method != LOWER_OF_MODELS:
            return GivenRates(np.ones(size, dtype=bool), saving.offset_rate, saving.reason)
        other = saving.offset_rate_cme if missing == (FICC,) else saving.offset_rate_ficc
        known = saving.known_cme if missing == (FICC,) else saving.known_ficc
        return _limited(other, known, "ONE_SIDED", stages)
    reason = BOTH_LATE if rule == OTHER_SIDE_FACTOR else CCP_LATE
    return _limited(np.zeros(size), np.zeros(size, dtype=bool), reason, stages)


def _limited(offered: Float, known: Mask, otherwise: str, stages: Stages) -> GivenRates:
    """Return offered rates within today's cap and minimum; zero for a reason where not known."""
    rules = stages.models.policy.agreement
    value = np.where(known, offered, 0.0)
    reason = np.select(
        [~known, value <= 0.0, value < rules.minimum_saving],
        [otherwise, NO_SAVING, BELOW_MINIMUM],
        "",
    ).astype(object)
    rate = np.where(reason == "", np.minimum(value, rules.cap), 0.0)
    return GivenRates(np.ones(value.size, dtype=bool), rate, reason)


def _oldest(stages: Stages) -> Dates:
    """Return the first day whose offset rates still count as good."""
    rules = stages.models.policy.get(FallbackRules) or WITHOUT_TABLE
    as_of = stages.models.market.as_of
    # On a day that is no business day its own rates are good too.
    return np.minimum(add_business_days(as_of, -rules.last_good_days, "bond"), as_of)


def _last_good(source: Source, stages: Stages) -> LastGood:
    """Return the last good rate of each account, from a table."""
    table, described = read_by_account(source, LAST_GOOD)
    day, cycle = columns.dates(table["day"]), columns.texts(columns.plain(table["cycle"]))
    as_of, now = stages.models.market.as_of, CYCLES.index(stages.parsed.cycle)
    place = np.array([CYCLES.index(name) for name in cycle], dtype=np.int64)
    later = (day > as_of) | ((day == as_of) & (place > now))
    if later.any():
        row = int(np.argmax(later))
        raise InputError(
            f"{LAST_GOOD.name}, row {table[ROW][row]}: {day[row]} {cycle[row]} comes after the run "
            f"of {as_of} {stages.parsed.cycle}; give rates from before it"
        )
    at = rows_of(table, stages)
    there = at >= 0
    rate = np.full(at.size, np.nan)
    when: npt.NDArray[np.datetime64] = np.full(at.size, np.datetime64("NaT", "D"))
    named = np.full(at.size, None, dtype=object)
    rate[there] = columns.numbers(table["offset_rate"])[at[there]]
    when[there], named[there] = day[at[there]], cycle[at[there]]
    return LastGood(rate, when, named, described)


def _given(good: LastGood | None, size: int) -> dict[str, columns.Column]:
    """Return the columns of the last good rates as they were given."""
    if good is None:
        kinds = {"rate": pa.float64(), "day": pa.date32(), "cycle": pa.string()}
        return {f"last_good_{name}": pa.nulls(size, kind) for name, kind in kinds.items()}
    known = ~np.isnan(good.rate)
    return {
        "last_good_rate": columns.column(good.rate, known),
        "last_good_day": columns.column(good.day),
        "last_good_cycle": columns.text_column(good.cycle),
    }


def _requirement(required: Requirements) -> columns.Column:
    return money(required.requirement.cents, required.requirement.known)
