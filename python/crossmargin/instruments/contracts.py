"""Futures contracts: rules by delivery month, names and dates.

The rules are data, dated and sourced, in contracts.toml beside this module.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from crossmargin.market.calendars import MONTH, add_business_days

MONTH_CODES = "FGHJKMNQUVXZ"
WEDNESDAY = 2

Kind = Literal["treasury", "compounded_quarter", "averaged_month"]


@dataclass(frozen=True)
class ContractRule:
    """The rule of a root from one delivery month on; contracts.toml explains the fields."""

    root: str
    first_month: np.datetime64
    kind: Kind
    usd_per_point: float
    months: tuple[int, ...]
    last_trading: str
    source: str
    evidence: str
    last_delivery: str | None = None
    original_max_months: int | None = None
    remaining_min_months: int = 0
    remaining_max_months: int | None = None
    remaining_max_from: str = "first"
    remaining_max_inclusive: bool = True
    factor_rounding: str = "months"


@dataclass(frozen=True)
class Listing:
    """How many contracts of some roots trade at a time; contracts.toml explains the fields."""

    roots: tuple[str, ...]
    first_day: np.datetime64
    months: tuple[int, ...]
    count: int
    source: str
    evidence: str


@dataclass(frozen=True)
class Contract:
    """A futures contract: a root and its delivery (or reference) month.

    Parameters
    ----------
    root : str
        One of `roots()`.
    month : datetime64[M]
        A month in which the root has a contract.

    Raises
    ------
    ValueError
        The root is unknown, or has no contract of that month.
    """

    root: str
    month: np.datetime64

    def __post_init__(self) -> None:
        """Refuse a month in which the root has no contract."""
        object.__setattr__(self, "month", self.month.astype("datetime64[M]"))
        listed = self.rule.months
        if month_number(self.month) not in listed:
            letters = ", ".join(MONTH_CODES[m - 1] for m in listed)
            raise ValueError(f"{self.root} has no contract of {self.month}; its months: {letters}")

    @property
    def rule(self) -> ContractRule:
        """The rule in force for this delivery month."""
        return contract_rule(self.root, self.month)

    @property
    def symbol(self) -> str:
        """The name with a two-digit year, such as ZNM25."""
        year, number = str(self.month)[:4], month_number(self.month)
        return f"{self.root}{MONTH_CODES[number - 1]}{year[2:]}"


def month_number(month: np.datetime64) -> int:
    """Return 1 for January to 12 for December."""
    return int(month.astype(np.int64)) % 12 + 1


def _data() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("contracts.toml").read_text("utf-8"))


@cache
def _rules() -> dict[str, tuple[ContractRule, ...]]:
    """Return the rules of each root, oldest first."""
    rules: dict[str, list[ContractRule]] = {}
    for entry in _data()["rule"]:
        fields: dict[str, Any] = dict(entry)
        fields["first_month"] = np.datetime64(fields.pop("from"), "M")
        fields["months"] = tuple(fields["months"])
        rules.setdefault(fields["root"], []).append(ContractRule(**fields))
    return {r: tuple(sorted(rs, key=lambda x: x.first_month)) for r, rs in rules.items()}


@cache
def _listings() -> tuple[Listing, ...]:
    """Return the listings, oldest first."""
    listings = [
        Listing(
            tuple(entry["roots"]),
            np.datetime64(entry["from"], "D"),
            tuple(entry["months"]),
            entry["count"],
            entry["source"],
            entry["evidence"],
        )
        for entry in _data()["listing"]
    ]
    return tuple(sorted(listings, key=lambda x: x.first_day))


def roots(kind: Kind | None = None) -> tuple[str, ...]:
    """Return the known roots, in the order of contracts.toml.

    Parameters
    ----------
    kind : {"treasury", "compounded_quarter", "averaged_month"}, optional
        Return the roots of this kind only.

    Returns
    -------
    tuple of str
    """
    return tuple(r for r, rules in _rules().items() if kind is None or rules[-1].kind == kind)


def first_month(root: str) -> np.datetime64:
    """Return the delivery month of the first known contract of a root."""
    return _rules()[root][0].first_month


def delivery_months(root: str) -> tuple[int, ...]:
    """Return the numbers of the months in which a root has contracts, 1 for January."""
    return _rules()[root][-1].months


def contract_rule(root: str, month: np.datetime64) -> ContractRule:
    """Return the rule in force for a delivery month.

    Parameters
    ----------
    root : str
        One of `roots()`.
    month : datetime64[M]
        Delivery (or reference) month.

    Returns
    -------
    ContractRule

    Raises
    ------
    ValueError
        The root is unknown, or the month lies before its first rule.
    """
    if root not in _rules():
        raise ValueError(f"unknown contract root {root!r}; known: {', '.join(roots())}")
    rules = _rules()[root]
    in_force = [rule for rule in rules if rule.first_month <= month]
    if not in_force:
        raise ValueError(f"{root} has no rule for {month}; the first is {rules[0].first_month}")
    return in_force[-1]


def _first_day(month: np.datetime64) -> np.datetime64:
    """Return the first calendar day of a month."""
    return cast(np.datetime64, month.astype("datetime64[D]"))


def _business_days_on(date: np.datetime64, n: int) -> np.datetime64:
    """Return the n-th CME business day after a date, before it for a negative n."""
    return cast(np.datetime64, add_business_days(date, n, "cme")[()])


def _third_wednesday(month: np.datetime64) -> np.datetime64:
    """Return the third Wednesday of a month."""
    # 1970-01-01 was a Thursday, weekday 3.
    first = _first_day(month)
    weekday = (int(first.astype(np.int64)) + 3) % 7
    return first + np.timedelta64((WEDNESDAY - weekday) % 7 + 14, "D")


@cache
def _last_business_day(month: np.datetime64) -> np.datetime64:
    """Return the last CME business day of a month."""
    return _business_days_on(_first_day(month + MONTH), -1)


def last_trading_day(contract: Contract) -> np.datetime64:
    """Return the last day on which a contract trades.

    Parameters
    ----------
    contract : Contract
        Any contract.

    Returns
    -------
    datetime64[D]

    Notes
    -----
    CBOT rules: the last business day of the month for ZT, Z3N and ZF; the seventh business day
    before it for the other Treasury futures. CME rules: the business day before the end of the
    reference quarter for SR3; the last business day of the month for SR1 and ZQ.
    """
    rule = contract.rule.last_trading
    if rule == "before_reference_end":
        return _business_days_on(reference_period(contract)[1], -1)
    last = _last_business_day(contract.month)
    return last if rule == "last" else _business_days_on(last, -7)


def last_delivery_day(contract: Contract) -> np.datetime64:
    """Return the last day on which a Treasury future can be delivered.

    Parameters
    ----------
    contract : Contract
        A Treasury future.

    Returns
    -------
    datetime64[D]

    Raises
    ------
    ValueError
        The contract settles in cash.

    Notes
    -----
    CBOT rules: the third business day after the last trading day for ZT, Z3N and ZF, else the last
    business day of the delivery month.
    """
    rule = contract.rule.last_delivery
    if rule is None:
        raise ValueError(f"{contract.symbol} settles in cash: it has no delivery day")
    last = _last_business_day(contract.month)
    return last if rule == "last" else _business_days_on(last, 3)


def last_day(contract: Contract) -> np.datetime64:
    """Return the last day of a position: last delivery, or last trading day if it settles in cash.

    Parameters
    ----------
    contract : Contract
        Any contract.

    Returns
    -------
    datetime64[D]
    """
    if contract.rule.kind == "treasury":
        return last_delivery_day(contract)
    return last_trading_day(contract)


def first_intention_day(contract: Contract) -> np.datetime64:
    """Return the first day on which the short side of a Treasury future may announce delivery.

    Parameters
    ----------
    contract : Contract
        A Treasury future.

    Returns
    -------
    datetime64[D]

    Raises
    ------
    ValueError
        The contract settles in cash.

    Notes
    -----
    CBOT rules: the second business day before the first business day of the delivery month.
    """
    if contract.rule.last_delivery is None:
        raise ValueError(f"{contract.symbol} settles in cash: nothing is delivered")
    return _business_days_on(_first_day(contract.month), -2)


def last_listed(root: str, number: int, as_of: np.datetime64) -> np.datetime64 | None:
    """Return the last delivery month that the exchange had listed by a given day.

    Parameters
    ----------
    root : str
        One of `roots()`.
    number : int
        1 for January to 12 for December. SR3 lists quarterly months further ahead than others.
    as_of : datetime64[D]
        The day.

    Returns
    -------
    datetime64[M] or None
        The last month with this number; None if the root has no such month, or none is listed yet.
    """
    in_force = [
        listing
        for listing in _listings()
        if root in listing.roots and number in listing.months and listing.first_day <= as_of
    ]
    if not in_force:
        return None
    last = _last_month(root, in_force[-1], as_of)
    last -= (month_number(last) - number) % 12 * MONTH
    return last if last >= first_month(root) else None


def was_listed(contract: Contract, as_of: np.datetime64) -> bool:
    """Return whether the exchange had listed a contract by a day; it may have expired by then."""
    last = last_listed(contract.root, month_number(contract.month), as_of)
    return last is not None and bool(contract.month <= last)


def listed_contracts(root: str, as_of: np.datetime64) -> list[Contract]:
    """Return the contracts of a root that are listed on a day and still trade after it.

    Parameters
    ----------
    root : str
        One of `roots()`.
    as_of : datetime64[D]
        The day.

    Returns
    -------
    list of Contract
        In the order of their months.
    """
    this_month = as_of.astype("datetime64[M]")
    ends = [last_listed(root, number, as_of) for number in delivery_months(root)]
    last = max((end for end in ends if end is not None), default=this_month - MONTH)
    found = []
    # A contract trades for at most three months after the first day of its month.
    for month in np.arange(max(this_month - 3 * MONTH, first_month(root)), last + MONTH):
        if month_number(month) in delivery_months(root):
            contract = Contract(root, month)
            if was_listed(contract, as_of) and last_trading_day(contract) > as_of:
                found.append(contract)
    return found


@cache
def _last_month(root: str, listing: Listing, as_of: np.datetime64) -> np.datetime64:
    """Return the last month of a listing: the `count`-th month that trades after a day."""
    this_month = as_of.astype("datetime64[M]")
    first = max(this_month - 3 * MONTH, first_month(root))
    left, month = listing.count, first - MONTH
    while left:
        month += MONTH
        # On the last day of a contract the next one may already trade.
        if month_number(month) in listing.months and (
            month > this_month or last_trading_day(Contract(root, month)) > as_of
        ):
            left -= 1
    return cast(np.datetime64, month)


def reference_period(contract: Contract) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last day of the period whose overnight rates settle a future.

    Parameters
    ----------
    contract : Contract
        SR3, SR1 or ZQ.

    Returns
    -------
    start, end : datetime64[D]
        Interest runs from `start` to `end`: the rate of `start` is the first, the rate of the day
        before `end` the last. SR3: from the third Wednesday of the named month to the third
        Wednesday three months later. SR1, ZQ: from the first of the month to the first of the next.

    Raises
    ------
    ValueError
        The contract is a Treasury future.
    """
    kind, month = contract.rule.kind, contract.month
    if kind == "treasury":
        raise ValueError(f"{contract.symbol} is settled by delivery: it has no reference period")
    if kind == "compounded_quarter":
        return _third_wednesday(month), _third_wednesday(month + np.timedelta64(3, "M"))
    return _first_day(month), _first_day(month + MONTH)
