"""The bonds of a run that can be delivered into its Treasury futures, and their value there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.instruments.baskets import deliverable
from crossmargin.instruments.contracts import Contract, last_delivery_day
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.securities import (
    CashFlows,
    Schedule,
    Securities,
    accrued,
    schedule_of,
)
from crossmargin.instruments.terms import NOTHING, Line
from crossmargin.market.curve import Curve, years_between


@dataclass(frozen=True)
class Basket:
    """The N securities that can be delivered into a Treasury future.

    Attributes
    ----------
    bond : ndarray of int64, [N]
        Indices into the nominal securities that have not matured.
    factor : ndarray of float64, [N]
        Conversion factors.
    offset : ndarray of float64, [N]
        Minus the interest accrued at delivery, over the conversion factor; price points.
    delivery : datetime64[D]
        The last day of delivery.
    """

    bond: Integer
    factor: Float
    offset: Float
    delivery: np.datetime64


@dataclass(frozen=True)
class Bonds:
    """The nominal securities that have not matured, B of them, and their schedule.

    Attributes
    ----------
    alive : ndarray of int64, [B]
        Their indices among all securities.
    securities : Securities, [B]
    schedule : Schedule, [B]
    """

    alive: Integer
    securities: Securities
    schedule: Schedule


class BasketStore:
    """A cache of the schedules of bonds and the baskets of futures, of the curve only the latest.

    Securities are compared by identity: a copy counts as different.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[Securities, Contract, np.datetime64], Basket] = {}
        self._bonds: dict[tuple[Securities, np.datetime64], Bonds] = {}
        self._flows: tuple[Bonds | None, Curve | None, CashFlows | None] = (None, None, None)
        self._factors: dict[Contract, dict[tuple[object, ...], tuple[float, float]]] = {}

    def for_another_day(self) -> BasketStore:
        """Return an empty cache that still knows conversion factors, which depend on no day."""
        store = BasketStore()
        store._factors = self._factors
        return store

    def bonds(self, securities: Securities, as_of: np.datetime64) -> Bonds:
        """Return the nominal securities that have not matured on a day."""
        key = (securities, as_of)
        if key not in self._bonds:
            alive = np.flatnonzero(securities.nominal & (securities.maturity_date > as_of))
            own = securities.take(alive)
            self._bonds[key] = Bonds(alive, own, schedule_of(own, as_of))
        return self._bonds[key]

    def flows(self, bonds: Bonds, curve: Curve) -> CashFlows:
        """Return the cash flows of bonds with their z-spreads over a curve."""
        of, over, found = self._flows
        if of is not bonds or over is not curve or found is None:
            found = bonds.schedule.on(curve)
            self._flows = bonds, curve, found
        return found

    def of(
        self, securities: Securities, contract: Contract, bonds: Securities, as_of: np.datetime64
    ) -> Basket:
        """Return the basket of a Treasury future.

        Parameters
        ----------
        securities : Securities
            All known securities.
        contract : Contract
        bonds : Securities
            Those that are nominal and have not matured.
        as_of : datetime64[D]

        Returns
        -------
        Basket
        """
        key = (securities, contract, as_of)
        if key not in self._found:
            known = self._factors.setdefault(contract, {})
            self._found[key] = find_basket(contract, bonds, as_of, known)
        return self._found[key]


def find_basket(
    contract: Contract,
    bonds: Securities,
    as_of: np.datetime64,
    known: dict[tuple[object, ...], tuple[float, float]],
) -> Basket:
    """Return the bonds that can be delivered into a Treasury future, with their factors.

    Parameters
    ----------
    contract : Contract
    bonds : Securities
        Nominal, not matured.
    as_of : datetime64[D]
    known : dict
        Conversion factor and offset by all terms that they depend on; new ones are added.
    """
    into = deliverable(
        contract,
        issue_date=bonds.issue_date,
        maturity_date=bonds.maturity_date,
        as_of=as_of,
        resold_as=bonds.resold_as,
    )
    bond = np.flatnonzero(into)
    chosen = bonds.take(bond)
    delivery = last_delivery_day(contract)
    days = (chosen.issue_date, chosen.maturity_date, chosen.first_coupon_date)
    terms = list(
        zip(chosen.coupon.tolist(), *(day.astype(np.int64).tolist() for day in days), strict=True)
    )
    new = np.flatnonzero([key not in known for key in terms])
    if new.size:
        fresh = chosen.take(new)
        factor = conversion_factors(contract, fresh.coupon, fresh.maturity_date)
        offset = -accrued(fresh, delivery) / factor
        found = zip(factor.tolist(), offset.tolist(), strict=True)
        known.update(zip((terms[n] for n in new.tolist()), found, strict=True))
    pairs = np.array([known[key] for key in terms], dtype=np.float64).reshape(-1, 2)
    factor, offset = np.ascontiguousarray(pairs.T)
    return Basket(bond, factor, offset, delivery)


def basket_lines(
    basket: Basket, flows: CashFlows, as_of: np.datetime64
) -> tuple[list[Line], Integer]:
    """Return a line for each deliverable bond: its forward clean price over its factor.

    Forward clean price = sum of flows after delivery, cf DF(t) / DF(d), minus interest accrued at
    d (methodology, section 4).
    """
    if basket.bond.size == 0:
        return [NOTHING], np.array([-1])
    horizon = float(years_between(as_of, np.array(basket.delivery)))
    lines = []
    for b, cf, constant in zip(basket.bond, basket.factor, basket.offset, strict=True):
        own = slice(flows.ptr[b], flows.ptr[b + 1])
        later = flows.date[own] > basket.delivery
        time = flows.time[own][later]
        lines.append(
            Line(
                flows.amount[own][later] / cf,
                time,
                np.full(time.size, horizon),
                float(flows.spread[b]),
                float(constant),
            )
        )
    return lines, basket.bond
