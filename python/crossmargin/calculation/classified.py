"""Second stage: where each trade is margined, and why."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from crossmargin.agreement.eligibility import (
    Assignment,
    account_ineligibility,
    assign,
    log_assignment,
)
from crossmargin.arrays import Text
from crossmargin.book.schemas import ACCOUNTS, POSITIONS
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.exceptions import ExceptionLog
from crossmargin.policies import DeliveryMonthRules, Policy


@dataclass(frozen=True)
class ClassifiedTrades:
    """The trades, each with its group and segment.

    Attributes
    ----------
    ineligibility_reason : ndarray of str, [A]
        Why an account may not be cross-margined; empty where it may.
    assignment : Assignment
        Where each trade is margined, and the groups.
    exceptions : pyarrow.Table
        What was reassigned, and what will have to be soon.
    """

    ineligibility_reason: Text
    assignment: Assignment
    exceptions: pa.Table


def classify_trades(parsed: ParsedInputs, policy: Policy) -> ClassifiedTrades:
    """Return every trade with its group and segment.

    Parameters
    ----------
    parsed : ParsedInputs
    policy : Policy
        Who and what may be cross-margined.

    Returns
    -------
    ClassifiedTrades
    """
    rules, as_of = policy.eligibility, parsed.market.as_of
    reason = account_ineligibility(parsed.accounts, parsed.firms, rules)
    assignment = assign(
        parsed.trades,
        accounts=parsed.accounts,
        ineligibility_reason=reason,
        securities=parsed.securities,
        as_of=as_of,
        rules=rules,
        delivery=policy.get(DeliveryMonthRules),
    )
    log = ExceptionLog(parsed.trades.files)
    log_assignment(
        assignment,
        parsed.trades,
        accounts=parsed.accounts,
        securities=parsed.securities,
        as_of=as_of,
        rules=rules,
        file=POSITIONS.name,
        accounts_file=ACCOUNTS.name,
        log=log,
    )
    return ClassifiedTrades(reason, assignment, log.table())
