"""What there is to check of the delivery baskets of a run: what they lack, and what is cheapest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.arrays import Float, Integer, Mask
from crossmargin.instruments.auctions import Issues, complete_from, issue_keys, issues_into
from crossmargin.instruments.baskets import ANNOUNCED_DAYS
from crossmargin.instruments.benchmarks import front_contracts
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe

FEWEST = 3
"""Fewest priced members whose median says anything about one of them."""
BASIS_POINTS = 1e4


@dataclass(frozen=True)
class ByCalendar:
    """What the calendar of auctions says of a basket.

    Attributes
    ----------
    expected : Issues
        Deliverable issues dated up to the as-of date.
    missing : Issues
        Of these, the ones that no security is, by term and maturity.
    later : Issues
        Issues of later dates that will be deliverable, and that no announced security is.
    """

    expected: Issues
    missing: Issues
    later: Issues


@dataclass(frozen=True)
class BasketCheck:
    """The basket of a Treasury future, beside what it should hold.

    Attributes
    ----------
    contract : Contract
    members : Securities
        What can be delivered, by CUSIP, [N].
    factor : ndarray of float64, [N]
        Conversion factors.
    value : ndarray of float64, [N]
        Forward clean price over conversion factor, price points.
    spread : ndarray of float64, [N]
        Continuous z-spreads, decimal; zero without a market price.
    later_month : bool or None
        Whether a nearer contract of the root is not yet in its delivery month; None where the root
        has no listed one.
    calendar : ByCalendar or None
        None where the calendar does not reach back so far.
    shared : tuple of str
        Other contracts of the run of the same month with the same cheapest security.
    """

    contract: Contract
    members: Securities
    factor: Float
    value: Float
    spread: Float
    later_month: bool | None
    calendar: ByCalendar | None
    shared: tuple[str, ...] = ()

    @property
    def ranked(self) -> Integer:
        """The members from the cheapest on; equal ones by CUSIP, [N]."""
        return np.argsort(self.value, kind="stable")

    @property
    def gap(self) -> float | None:
        """Points between the cheapest and the next; None for fewer than two members."""
        if self.value.size < 2:
            return None
        first, second = self.value[self.ranked[:2]]
        return float(second - first)

    @property
    def priced(self) -> Mask:
        """Whether a member has a market price, [N]."""
        return ~np.isnan(self.members.price)

    @property
    def mixed(self) -> bool:
        """Whether some members have a market price, and others have none."""
        return bool(self.priced.any() and not self.priced.all())

    @property
    def from_median(self) -> Float:
        """Basis points from the median z-spread of the priced members to each one's own, [N].

        Above zero is cheap. NaN without a price, or where fewer than `FEWEST` have one.
        """
        found = np.full(self.spread.size, np.nan)
        own = self.spread[self.priced]
        if own.size >= FEWEST:
            rising = np.sort(own)
            middle = (rising[(own.size - 1) // 2] + rising[own.size // 2]) / 2.0
            found[self.priced] = (own - middle) * BASIS_POINTS
        return found


def check_baskets(
    universe: Universe,
    securities: Securities,
    contracts: Sequence[Contract],
    as_of: np.datetime64,
    store: BasketStore,
) -> list[BasketCheck]:
    """Return what there is to check of each Treasury future.

    Parameters
    ----------
    universe : Universe
    securities : Securities
        All known securities, with which the universe was built.
    contracts : sequence of Contract
        Futures of the universe, its last instruments, in their order.
    as_of : datetime64[D]
    store : BasketStore
        Holds the baskets that the universe was built with.

    Returns
    -------
    list of BasketCheck
        In the order of the contracts, without short-rate futures.
    """
    known = securities.take(np.flatnonzero(securities.nominal & (securities.maturity_date > as_of)))
    treasury = [contract for contract in contracts if contract.rule.kind == "treasury"]
    front = {c.root: c for c in front_contracts(sorted({c.root for c in treasury}), as_of)}
    first = universe.name.size - len(contracts)
    value = universe.terms.line_value
    announced = as_of + np.timedelta64(ANNOUNCED_DAYS, "D")
    keys = set(issue_keys(known, announced).tolist())
    checks = []
    for number, contract in enumerate(contracts, start=first):
        if contract.rule.kind != "treasury":
            continue
        basket = store.of(securities, contract, known, as_of)
        at = universe.terms.instrument_ptr[number]
        lines = slice(at, at + basket.bond.size)
        nearest = front.get(contract.root)
        checks.append(
            BasketCheck(
                contract,
                known.take(basket.bond),
                basket.factor,
                value[lines],
                universe.line_spread[lines],
                None if nearest is None else bool(contract.month > nearest.month),
                _by_calendar(contract, keys, as_of),
            )
        )
    return _with_shared(checks)


def _by_calendar(contract: Contract, keys: set[int], as_of: np.datetime64) -> ByCalendar | None:
    """Return the issues that a basket should hold, beside the keys of those that are known."""
    if as_of < complete_from():
        return None
    issues = issues_into(contract)
    issued = issues.issue_date <= as_of
    there = np.array([key in keys for key in issues.key.tolist()], dtype=np.bool_)
    return ByCalendar(
        issues.take(issued), issues.take(issued & ~there), issues.take(~issued & ~there)
    )


def _with_shared(checks: list[BasketCheck]) -> list[BasketCheck]:
    """Return the checks with the contracts that share a cheapest security."""
    alike: dict[tuple[np.datetime64, str], list[str]] = {}
    for check in checks:
        if check.value.size:
            cheapest = check.members.cusip[check.ranked[0]]
            alike.setdefault((check.contract.month, cheapest), []).append(check.contract.symbol)
    shared = {
        name: tuple(other for other in names if other != name)
        for names in alike.values()
        for name in names
    }
    return [replace(c, shared=shared.get(c.contract.symbol, ())) for c in checks]
