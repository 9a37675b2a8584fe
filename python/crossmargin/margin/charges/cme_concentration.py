"""CME's charge on contracts beyond a share of average daily volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from crossmargin.arrays import Float, Integer
from crossmargin.conventions import PORTFOLIOS, SEGMENTS
from crossmargin.engine import Book
from crossmargin.exceptions import InputError
from crossmargin.instruments.universe import Universe
from crossmargin.margin.charges import _scalar
from crossmargin.margin.charges.amounts import net_positions, of_root, side_of_positions
from crossmargin.margin.charges.charge import Charge, ChargeInputs
from crossmargin.margin.charges.rule import beyond_volume
from crossmargin.margin.parts import share_of
from crossmargin.margin.portfolios import CcpMargin, Portfolios
from crossmargin.margin.single import Held, Lines, NetPositions, of_each
from crossmargin.policies.sections.charges import CmeConcentration


@dataclass(frozen=True)
class Volumes:
    """The average daily volumes that apply to the instruments of a universe.

    Attributes
    ----------
    adv : ndarray of float64, [N]
        Contracts a day.
    number : ndarray of int64, [I]
        The number of each instrument's volume. Contracts with the same number are counted
        together. Number 0 is for all instruments without a charge.
    """

    adv: Float
    number: Integer


def prepare(inputs: ChargeInputs) -> list[Charge]:
    """Return the charge: the root's rate for each contract beyond threshold * volume.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    list of Charge
        Empty if the policy has no table `cme_concentration`. A root it does not name is not
        charged.

    Raises
    ------
    InputError
        A contract that may be charged has no volume; the message names it and its root.
    """
    rules = inputs.policy.get(CmeConcentration)
    if rules is None:
        return []
    volumes = volumes_of(inputs.universe, inputs.volumes, rules)
    rate = np.zeros(volumes.adv.size)
    rate[volumes.number] = of_root(rules.rate, inputs.universe)
    return [
        Charge(
            rules.name,
            rules.ccp,
            rules.reducible,
            partial(_amount, volumes, rules.threshold, rate),
            partial(_per_lot, volumes, rules.threshold, rate),
            _Single(rules.ccp, volumes, rules.threshold, rate),
        )
    ]


def volumes_of(universe: Universe, adv: Mapping[str, float], rules: CmeConcentration) -> Volumes:
    """Return the volume of every contract that the policy charges.

    Parameters
    ----------
    universe : Universe
        Names and roots of the contracts.
    adv : mapping of str to float
        Contracts a day, by contract (`ZNM25`) or root; a contract's own comes before its root's.
    rules : CmeConcentration
        The roots that are charged.

    Returns
    -------
    Volumes

    Raises
    ------
    InputError
        A contract that may be charged has no volume; the message names it and its root.
    """
    charged = {root for root, _ in rules.rate}
    place: dict[str, int] = {}
    number = np.zeros(universe.name.size, dtype=np.int64)
    for i, (name, root) in enumerate(zip(universe.name, universe.root, strict=True)):
        if root not in charged:
            continue
        key = name if name in adv else root
        if key not in adv:
            raise InputError(
                f"volumes: {root} is charged by its average daily volume, and {name} has none; "
                f"give a row for {root} or {name} (volumes=, --volumes)"
            )
        number[i] = place.setdefault(key, len(place) + 1)
    return Volumes(np.array([0.0, *(adv[key] for key in place)]), number)


def _amount(
    volumes: Volumes, threshold: float, rate: Float, book: Book, margin: CcpMargin
) -> Float:
    """Return the charge, [G x 5]; contracts that share a volume are counted together.

    The sum is of |contracts|, long and short alike (methodology, section 5).
    """
    held = _held(volumes, book, margin)
    return beyond_volume(np.moveaxis(held, -1, 0), volumes.adv, rate, threshold)


def _per_lot(
    volumes: Volumes, threshold: float, rate: Float, book: Book, margin: CcpMargin, _: Float
) -> Float:
    """Return what a contract adds: contracts that share a volume bear the charge alike."""
    held = _held(volumes, book, margin)
    charged = rate * np.maximum(held - threshold * volumes.adv, 0.0)
    each = share_of(charged, held)
    return side_of_positions(book, margin.ccp) * each[:, :, volumes.number]


def _held(volumes: Volumes, book: Book, margin: CcpMargin) -> Float:
    """Return |contracts| of each volume, [G x 5 x N]."""
    groups = book.rows // len(SEGMENTS)
    held = np.zeros((groups, len(PORTFOLIOS), volumes.adv.size))
    for portfolio, group, instrument, net in net_positions(book, margin.ccp):
        cell = group * volumes.adv.size + volumes.number[instrument]
        counted = np.bincount(cell, np.abs(net), groups * volumes.adv.size)
        held[:, portfolio] = counted.reshape(groups, -1)
    return held


class _Single:
    """`_amount` of one account."""

    def __init__(self, ccp: str, volumes: Volumes, threshold: float, rate: Float) -> None:
        self._net = NetPositions(ccp)
        self._number: list[int] = volumes.number.tolist()
        self._adv: list[float] = volumes.adv.tolist()
        self._rate: list[float] = rate.tolist()
        self._threshold = threshold

    def __call__(self, held: Held, v: Portfolios) -> Portfolios:
        return of_each(self._net(held), self._amount)

    def _amount(self, lines: Lines) -> float:
        contracts: dict[int, float] = {}
        for instrument, net in lines:
            n = self._number[instrument]
            contracts[n] = contracts.get(n, 0.0) + abs(net)
        at = sorted(contracts)
        return _scalar.beyond_volume(
            [contracts[n] for n in at],
            [self._adv[n] for n in at],
            [self._rate[n] for n in at],
            self._threshold,
        )
