"""What may be cross-margined, and where everything else is margined (methodology, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns
from crossmargin.arrays import Dates, Integer, Mask, Text
from crossmargin.book.accounts import members_of, omnibus_of
from crossmargin.book.trades import FUTURE, NEAR, Trades
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.exceptions import ExceptionLog
from crossmargin.instruments.contracts import Contract, first_intention_day
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.instruments.schedule import add_months
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import FUTURE as FUTURES
from crossmargin.instruments.universe import TREASURY, Universe
from crossmargin.market import Market
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import DeliveryMonthRules, Eligibility, Policy
from crossmargin.policies.sections.delivery import FIRST_DAY, NEVER

CROSS_MARGINED, NOT_XM, CLEARED_ELSEWHERE = "CROSS_MARGINED", "NOT_XM", "CLEARED_ELSEWHERE"
IN_OMNIBUS = "IN_OMNIBUS"
INELIGIBILITY_REASONS = {
    IN_OMNIBUS: "its positions at FICC are margined in an omnibus account",
    "ROLE_NOT_ELIGIBLE": "the policy does not allow its origin this role at FICC",
    "NOT_OPTED_IN": "it has not opted in",
    "FIRM_NOT_COMMON_MEMBER": "its clearing firm is not a common member",
}
"""Why an account cannot be cross-margined."""
ASSIGNMENT_REASONS = (
    CROSS_MARGINED,
    NOT_XM,
    "OTHER_FIRM",
    *INELIGIBILITY_REASONS,
    "CONTRACT_INELIGIBLE",
    "SECURITY_INELIGIBLE",
    CLEARED_ELSEWHERE,
)
"""Why a trade is margined where it is: as booked, or the code of its reassignment."""


def account_ineligibility(accounts: pa.Table, firms: pa.Table | None, rules: Eligibility) -> Text:
    """Return each account's ineligibility reason, empty where it may be cross-margined, [A].

    Parameters
    ----------
    accounts : pyarrow.Table
        `account`, `origin`, `ficc_role`, `opted_in`, `clearing_firm`, `omnibus`.
    firms : pyarrow.Table, optional
        Memberships. If not given, every firm counts as a common member.
    rules : Eligibility
        Roles by origin.

    Returns
    -------
    ndarray of str, [A]
        The first that applies of `IN_OMNIBUS`, `ROLE_NOT_ELIGIBLE`, `NOT_OPTED_IN`,
        `FIRM_NOT_COMMON_MEMBER`; else empty.

    Notes
    -----
    91 FR 4994: the firm is a broker-dealer, an FCM and a common member of both clearing houses;
    the customer is a Sponsored Member or Executing Firm Customer and has opted in.
    """
    role_fits = np.where(
        _among(accounts["origin"], ("house",)),
        _among(accounts["ficc_role"], rules.house_roles),
        _among(accounts["ficc_role"], rules.customer_roles),
    )
    opted_in = columns.flags(accounts["opted_in"])
    member = np.ones(len(accounts), dtype=bool)
    if firms is not None:
        needed = ("broker_dealer", "fcm", "cme_member", "ficc_member")
        common = np.logical_and.reduce([columns.flags(firms[name]) for name in needed])
        name, firm = columns.texts(firms["clearing_firm"]), accounts["clearing_firm"]
        # If a firm has several rows, all of them must say so.
        member = _among(firm, name[common]) & ~_among(firm, name[~common])
    ineligibility_reason = np.where(member, "", "FIRM_NOT_COMMON_MEMBER").astype(object)
    ineligibility_reason[~opted_in] = "NOT_OPTED_IN"
    ineligibility_reason[~role_fits] = "ROLE_NOT_ELIGIBLE"
    ineligibility_reason[members_of(omnibus_of(accounts))] = IN_OMNIBUS
    return ineligibility_reason


def eligible_securities(securities: Securities, as_of: np.datetime64, rules: Eligibility) -> Mask:
    """Return which securities may be cross-margined, [N]: by type and remaining term."""
    limit = add_months(as_of, rules.remaining_months)
    return np.isin(securities.type, rules.security_types) & (securities.maturity_date > limit)


def leaves_on(contracts: Sequence[Contract], delivery: DeliveryMonthRules | None) -> Dates:
    """Return the first day on which each contract may no longer be cross-margined; NaT for none.

    Parameters
    ----------
    contracts : sequence of Contract, [C]
    delivery : DeliveryMonthRules, optional
        Without them futures stay up to their last day.
    """
    day = np.full(len(contracts), np.datetime64("NaT", "D"))
    if delivery is not None and delivery.futures_leave != NEVER:
        for number, contract in enumerate(contracts):
            if contract.rule.kind == "treasury":
                first = contract.month.astype("datetime64[D]")
                by_month = delivery.futures_leave == FIRST_DAY
                day[number] = first if by_month else first_intention_day(contract)
    return day


def eligible_contracts(
    contracts: Sequence[Contract],
    as_of: np.datetime64,
    rules: Eligibility,
    delivery: DeliveryMonthRules | None,
) -> Mask:
    """Return which contracts may be cross-margined, [C]: by root, and before delivery."""
    known = np.array([contract.root in rules.roots for contract in contracts], dtype=bool)
    return known & ~(leaves_on(contracts, delivery) <= as_of)


def eligible_instruments(
    universe: Universe, securities: Securities, market: Market, policy: Policy
) -> Mask:
    """Return which instruments may be cross-margined, [I]; a forward cash leg never may."""
    rules, as_of = policy.eligibility, market.as_of
    names = securities.cusip[eligible_securities(securities, as_of, rules)]
    treasury = (universe.kind == TREASURY) & np.isin(universe.name, names)
    eligible = treasury | np.isin(universe.root, rules.roots)
    delivery = policy.get(DeliveryMonthRules)
    if delivery is not None and delivery.futures_leave != NEVER:
        future = np.flatnonzero(eligible & (universe.kind == FUTURES))
        contracts = [parse_contract(name, as_of) for name in universe.name[future].tolist()]
        eligible[future] = eligible_contracts(contracts, as_of, rules, delivery)
    return np.asarray(eligible)


@dataclass(frozen=True)
class Assignment:
    """Where each trade is margined, as columns of length R.

    Attributes
    ----------
    group : ndarray of int64
        Number of the (account, clearing firm) pair; the first A groups are the accounts.
    segment : ndarray of int64
        A number in `conventions.SEGMENTS`; beyond these, in `Trades.ccps`.
    assignment_reason : ndarray of int64
        A number in `ASSIGNMENT_REASONS`.
    group_account : ndarray of int64, [G]
    group_firm : ndarray of str, [G]
    """

    group: Integer
    segment: Integer
    assignment_reason: Integer
    group_account: Integer
    group_firm: Text


def assign(
    trades: Trades,
    *,
    accounts: pa.Table,
    ineligibility_reason: Text,
    securities: Securities,
    as_of: np.datetime64,
    rules: Eligibility,
    delivery: DeliveryMonthRules | None = None,
) -> Assignment:
    """Return the group and the segment of every trade.

    Parameters
    ----------
    trades : Trades
        Accepted rows.
    accounts : pyarrow.Table
        [A].
    ineligibility_reason : ndarray of str, [A]
        From `account_ineligibility`.
    securities : Securities
        The securities of the trades.
    as_of : datetime64[D]
        A security is eligible if it matures later than `rules.remaining_months` after this date.
    rules : Eligibility
        Types and roots.
    delivery : DeliveryMonthRules, optional
        When Treasury futures leave.

    Returns
    -------
    Assignment
    """
    future = trades.kind == FUTURE
    eligible_security = eligible_securities(securities, as_of, rules)
    eligible_contract = eligible_contracts(trades.contracts, as_of, rules, delivery)
    assignment_reason = np.zeros(trades.row.size, dtype=np.int64)
    assignment_reason[~future & ~_pick(eligible_security, trades.security)] = (
        ASSIGNMENT_REASONS.index("SECURITY_INELIGIBLE")
    )
    assignment_reason[future & ~_pick(eligible_contract, trades.contract)] = (
        ASSIGNMENT_REASONS.index("CONTRACT_INELIGIBLE")
    )
    for code in INELIGIBILITY_REASONS:
        assignment_reason[(ineligibility_reason == code)[trades.account]] = (
            ASSIGNMENT_REASONS.index(code)
        )
    away = trades.firm >= 0
    assignment_reason[away] = ASSIGNMENT_REASONS.index("OTHER_FIRM")
    assignment_reason[~trades.xm] = ASSIGNMENT_REASONS.index(NOT_XM)
    elsewhere = trades.ccp >= 0
    omnibus = omnibus_of(accounts)[trades.account]
    # All of an omnibus account's own too: what nets together has one reason.
    netted = ~future & ~away & ~elsewhere & (omnibus >= 0)
    assignment_reason[netted] = ASSIGNMENT_REASONS.index(IN_OMNIBUS)

    crossed = assignment_reason == ASSIGNMENT_REASONS.index(CROSS_MARGINED)
    segment = np.where(
        future, np.where(crossed, CME_XM, CME_OTHER), np.where(crossed, FICC_XM, FICC_OTHER)
    )
    assignment_reason[elsewhere] = ASSIGNMENT_REASONS.index(CLEARED_ELSEWHERE)
    segment = np.where(elsewhere, len(SEGMENTS) + trades.ccp, segment)
    firms = max(len(trades.firms), 1)
    pair, extra = np.unique(trades.account[away] * firms + trades.firm[away], return_inverse=True)
    group = np.where(netted, omnibus, trades.account)
    group[away] = len(accounts) + extra
    own = columns.texts(accounts["clearing_firm"])
    others = np.array(trades.firms, dtype=object)[pair % firms]
    return Assignment(
        group=group,
        segment=segment,
        assignment_reason=assignment_reason,
        group_account=np.concatenate([np.arange(len(accounts)), pair // firms]),
        group_firm=np.concatenate([own, others]),
    )


def log_assignment(
    assignment: Assignment,
    trades: Trades,
    *,
    accounts: pa.Table,
    securities: Securities,
    as_of: np.datetime64,
    rules: Eligibility,
    file: str,
    accounts_file: str,
    log: ExceptionLog,
) -> None:
    """Log each account or row that was reassigned, and each row that will have to be soon."""
    symbol = np.array([c.symbol for c in trades.contracts], dtype=object)

    def add(code: str, mask: Mask, message: str) -> None:
        """Log trades; `message` has a place for the instrument's name."""
        at = np.flatnonzero(mask)
        name = np.where(
            trades.kind[at] == FUTURE,
            _pick(symbol, trades.contract[at]),
            _pick(securities.cusip, trades.security[at]),
        )
        log.add(
            code,
            file=file,
            row=trades.row[at],
            account=accounts["account"].take(columns.column(trades.account[at])),
            instrument=name,
            message=[message.format(text) for text in name],
        )

    for code, message in (
        ("SECURITY_INELIGIBLE", "may not be cross-margined by type or remaining term"),
        ("CONTRACT_INELIGIBLE", "may not be cross-margined"),
        ("OTHER_FIRM", "is at another clearing firm than the account's"),
    ):
        add(
            code,
            assignment.assignment_reason == ASSIGNMENT_REASONS.index(code),
            f"{{}} {message}: margined apart",
        )
    _log_omnibus(assignment, trades, accounts=accounts, file=accounts_file, log=log)
    for code, message in INELIGIBILITY_REASONS.items():
        if code == IN_OMNIBUS:
            continue  # said already, with how much of the account is there
        at = np.unique(
            trades.account[assignment.assignment_reason == ASSIGNMENT_REASONS.index(code)]
        )
        log.add(
            code,
            file=accounts_file,
            row=columns.integers(accounts["row"])[at],
            account=accounts["account"].take(columns.column(at)),
            message=[f"not cross-margined: {message}"] * at.size,
        )
    crossed = assignment.assignment_reason == ASSIGNMENT_REASONS.index(CROSS_MARGINED)
    soon = add_business_days(as_of, NEAR, "bond")
    limit = add_months(soon, rules.remaining_months)
    add(
        "MATURITY_NEAR",
        crossed & _pick(securities.maturity_date <= limit, trades.security),
        f"{{}} is no longer eligible within {NEAR} business days",
    )
    begins = np.array(
        [
            c.rule.kind == "treasury" and c.month.astype("datetime64[D]") <= soon
            for c in trades.contracts
        ],
        dtype=bool,
    )
    add(
        "DELIVERY_MONTH",
        _pick(begins, trades.contract),
        f"the delivery month of {{}} begins within {NEAR} business days, or has begun",
    )


def _log_omnibus(
    assignment: Assignment, trades: Trades, *, accounts: pa.Table, file: str, log: ExceptionLog
) -> None:
    """Log each account of which something is margined, or not cross-margined, for an omnibus."""
    size, omnibus = len(accounts), omnibus_of(accounts)
    said = assignment.assignment_reason == ASSIGNMENT_REASONS.index(IN_OMNIBUS)
    at_ficc = said & (trades.kind != FUTURE)
    rows = np.bincount(trades.account[at_ficc], minlength=size)
    futures = np.bincount(trades.account[said & ~at_ficc], minlength=size)
    member = np.zeros(size, dtype=bool)
    member[members_of(omnibus)] = True
    members = np.bincount(omnibus[member & (rows > 0)], minlength=size)
    name = columns.texts(accounts["account"])
    # An omnibus account is named even if all that nets there comes from its members.
    at = np.flatnonzero((rows + futures + members) > 0)
    message = []
    for number in at.tolist():
        into = name[omnibus[number]]
        if not member[number]:
            text = f"margined at FICC with {_counted(members[number], 'member')} as one portfolio"
        else:
            text = f"{_counted(rows[number], 'row')} at FICC margined in the omnibus account {into}"
            if futures[number]:
                text += f", {_counted(futures[number], 'row')} of futures not cross-margined"
        message.append(text)
    log.add(
        IN_OMNIBUS,
        file=file,
        row=columns.integers(accounts["row"])[at],
        account=name[at],
        message=message,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _among(text: pa.ChunkedArray, known: Sequence[str] | Text) -> Mask:
    """Return which texts are among the known ones, [N]."""
    number, different = columns.encoded(text)
    return np.isin(columns.texts(different), known)[number]


def _pick(value: npt.NDArray[Any], index: Integer) -> npt.NDArray[Any]:
    """Return `value[index]`; false (or None) where the index is -1."""
    nothing = np.zeros(1, dtype=value.dtype)
    return np.concatenate([value, nothing])[index]
