"""The days ahead say what reading and placing the same rows on each of those days says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.agreement.eligibility import assign
from crossmargin.book.positions import read_trades
from crossmargin.calculation.events import EVENTS, LaterBooks, look_ahead
from crossmargin.calculation.input_tables import BookInputs, read_tables
from crossmargin.calculation.result import Stages, stages_of
from crossmargin.exceptions import ExceptionLog
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import DeliveryMonthRules, Policy, read_policy

POLICIES = {
    "shipped": read_policy(),
    "futures leave": read_policy().with_sections(DeliveryMonthRules("first_intention_day")),
}


def days_after(stages: Stages, number: int) -> Any:
    as_of = stages.models.market.as_of
    return add_business_days(as_of, np.arange(1, number + 1), "bond")


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("cycle", ["EOD", "ITD"])
def test_each_day_holds_what_reading_the_rows_on_that_day_accepts(
    sample_book: Callable[..., dict[str, Any]], policy: str, cycle: str
) -> None:
    rules: Policy = POLICIES[policy]
    book = sample_book(60)
    run = xm.run(**book, market=xm.sample_market(), policy=rules, cycle=cycle)
    stages = stages_of(run)
    tables = read_tables(BookInputs(**book, policy=rules, cycle=cycle))
    # 260 business days: securities mature, contracts expire, terms fall below a year.
    ahead = look_ahead(stages, days_after(stages, 260))
    trades = stages.parsed.trades
    place = {row: at for at, row in enumerate(trades.row.tolist())}
    for number in (0, 1, 2, 5, 9, 20, 60, 61, 130, 259):
        day = ahead.days[number]
        later = read_trades(
            tables.positions,
            accounts=tables.accounts,
            securities=stages.parsed.securities,
            as_of=day,
            short_rate_pct=4.0,
            cycle=cycle,
            file="positions",
            log=ExceptionLog(),
        )
        assignment = assign(
            later,
            accounts=stages.parsed.accounts,
            ineligibility_reason=stages.classified.ineligibility_reason,
            securities=stages.parsed.securities,
            as_of=day,
            rules=rules.eligibility,
            delivery=rules.get(DeliveryMonthRules),
        )
        at = np.array([place[row] for row in later.row.tolist() if row in place], np.int64)
        here = np.array([row in place for row in later.row.tolist()])
        kept = (ahead.ends > number) & ~ahead.undated
        assert at[~ahead.undated[at]].tolist() == np.flatnonzero(kept).tolist()
        dated = ~ahead.undated[at]
        waits = trades.start_open & (ahead.starts > number)
        assert np.array_equal(later.start_open[here][dated], waits[at][dated])
        left = ahead.leaves[at] <= number
        segment = stages.classified.assignment.segment[at]
        # The ordinary segments come two after the cross-margined ones.
        assert np.array_equal(assignment.segment[here], segment + 2 * left)
    # The book has something of everything that these dates can be about.
    happened = {EVENTS[why] for why in ahead.why[ahead.ends < 260].tolist()}
    assert {"CASH_SETTLES", "REPO_ENDS", "CONTRACT_EXPIRES"} <= happened
    assert np.count_nonzero(ahead.leaves < ahead.ends) > 0


def test_the_book_of_no_day_at_all_is_the_book_of_the_run(sample_run: xm.RunResult) -> None:
    stages = stages_of(sample_run)
    ahead = look_ahead(stages, days_after(stages, 3))
    never = np.full(ahead.ends.size, ahead.days.size)
    ahead = replace(ahead, ends=never, starts=never, leaves=never)
    everyone = np.arange(stages.clients.eligible.size)
    batch = LaterBooks(ahead).on(0, everyone)
    for name in ("row_ptr", "column", "quantity"):
        assert np.array_equal(getattr(batch.book, name), getattr(stages.netted.book, name))


def test_a_trade_without_a_day_stays(sample_run: xm.RunResult) -> None:
    stages = stages_of(sample_run)
    ahead = look_ahead(stages, days_after(stages, 260))
    assert ahead.undated.any()
    assert not np.isin(
        ahead.why[ahead.undated & (ahead.ends < 260)],
        [EVENTS.index("CASH_SETTLES"), EVENTS.index("REPO_ENDS")],
    ).any()
    failed = ahead.undated & stages.parsed.trades.failed
    assert np.all(ahead.starts[failed] == 260)
