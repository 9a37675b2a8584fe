"""Which contract stands for a Treasury in CME's models, and how many of it make up a lot.

Methodology, section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmargin.arrays import Float, Integer, Mask, bucket_of
from crossmargin.book.trades import LOT
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract, was_listed
from crossmargin.instruments.universe import TREASURY, Universe
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.policies import Cme, CmeEquivalents

FACE = 1000.0
"""USD of face that a factor of a SPAN file is for."""
PLAUSIBLE = 4.0
"""Most that a file's factor may differ from the ratio of DV01s, up or down."""
BY_FACTOR, BY_DV01 = "by_factor", "by_dv01"
SEVERAL, OTHER_CONTRACT, IMPLAUSIBLE = "several_contracts", "other_contract", "implausible"
"""Why a factor of a SPAN file is not used."""


@dataclass(frozen=True)
class StandIn:
    """The contract that stands for the Treasuries of some remaining years.

    Attributes
    ----------
    up_to : float
        Upper end in remaining years, included; the lower one is that of the stand-in before.
    bucket : str
        The root that the policy names for these years.
    contract : Contract or None
        None where the root was not listed yet.
    reason : str
        Why it is not the bucket's own contract; empty if it is.
    """

    up_to: float
    bucket: str
    contract: Contract | None
    reason: str = ""


@dataclass(frozen=True)
class Equivalents:
    """The futures-equivalents of a universe's Treasuries, which are its first instruments.

    Attributes
    ----------
    stand_ins : tuple of StandIn
    contract : ndarray of int64, [T]
        The number of the contract in the universe; -1 for none.
    ratio : ndarray of float64, [T]
        Contracts a lot; zero for a Treasury that is not covered.
    priced : ndarray of bool, [I]
        The instruments of the universe that are covered.
    from_file : mapping of str to int, optional
        Of the Treasuries that a SPAN file names: how many enter by its factor, and why others do
        not. None without a file.
    """

    stand_ins: tuple[StandIn, ...]
    contract: Integer
    ratio: Float
    priced: Mask
    from_file: Mapping[str, int] | None = None

    def describe(self) -> dict[str, Any]:
        """Return what stands for what, and why, as plain values."""
        rows = [
            {
                "up_to_years": one.up_to,
                "bucket": one.bucket,
                "contract": None if one.contract is None else one.contract.symbol,
                "reason": one.reason or None,
            }
            for one in self.stand_ins
        ]
        if self.from_file is None:
            return {"equivalents": rows}
        return {"equivalents": rows, "equivalents_from_file": dict(self.from_file)}


def equivalent_contracts(rules: Cme, as_of: np.datetime64) -> list[Contract | None]:
    """Return the contracts that may stand for cash: of each root the first not yet deliverable.

    Parameters
    ----------
    rules : Cme
        The roots by remaining years.
    as_of : datetime64[D]
        A contract's delivery month begins after it.

    Returns
    -------
    list of Contract
        One for each bucket of `rules.equivalent_roots`; None where the root was not listed yet.
    """
    return [front_contract(root, as_of) for _, root in rules.equivalent_roots]


def front_contract(root: str, as_of: np.datetime64) -> Contract | None:
    """Return the first contract of a root whose delivery month begins after a date, if listed."""
    for ahead in range(1, 13):
        with suppress(ValueError):
            month = as_of.astype("datetime64[M]") + np.timedelta64(ahead, "M")
            contract = Contract(root, month)
            if was_listed(contract, as_of):
                return contract
    return None


def stand_ins(
    rules: Cme,
    as_of: np.datetime64,
    table: CmeEquivalents | None = None,
    volumes: Mapping[str, float] | None = None,
) -> tuple[StandIn, ...]:
    """Return the contract that stands for each bucket, or for each part of one.

    Parameters
    ----------
    rules : Cme
        The roots by remaining years.
    as_of : datetime64[D]
    table : CmeEquivalents, optional
        Which contracts are not liquid; without it each stands for its own bucket.
    volumes : mapping of str to float, optional
        Contracts a day, by contract or root.

    Returns
    -------
    tuple of StandIn
        By remaining years.

    Raises
    ------
    InputError
        No contract is liquid.

    Notes
    -----
    Neighbouring buckets without a liquid contract are cut in the middle of their years: up to it,
    included, the next shorter liquid contract stands for them, beyond it the next longer one. At an
    end of the table there is only one.
    """
    contracts = equivalent_contracts(rules, as_of)
    own = [
        StandIn(up_to, root, contract)
        for (up_to, root), contract in zip(rules.equivalent_roots, contracts, strict=True)
    ]
    if table is None:
        return tuple(own)
    lacking = [_not_liquid(one, table, volumes or {}) for one in own]
    liquid = [at for at, reason in enumerate(lacking) if not reason]
    if not liquid:
        raise InputError(
            "equivalents: none of cme.equivalent_roots is liquid: " + "; ".join(lacking)
        )
    found: list[StandIn] = []
    for at, (one, reason) in enumerate(zip(own, lacking, strict=True)):
        if not reason:
            found.append(one)
            continue
        shorter = max((n for n in liquid if n < at), default=None)
        longer = min((n for n in liquid if n > at), default=None)
        if shorter is None or longer is None:
            nearest = own[liquid[0] if shorter is None else shorter]
            found.append(StandIn(one.up_to, one.bucket, nearest.contract, reason))
            continue
        middle = (own[shorter].up_to + own[longer - 1].up_to) / 2.0
        first = own[at - 1].up_to
        if first < middle:
            up_to = min(middle, one.up_to)
            found.append(StandIn(up_to, one.bucket, own[shorter].contract, reason))
        if one.up_to > middle:
            found.append(StandIn(one.up_to, one.bucket, own[longer].contract, reason))
    return tuple(found)


def _not_liquid(one: StandIn, table: CmeEquivalents, volumes: Mapping[str, float]) -> str:
    """Return why a bucket's contract is not liquid; empty if it is."""
    if one.contract is None:
        return f"{one.bucket} is not listed"
    if one.bucket in table.illiquid:
        return f"the policy says that {one.bucket} is not liquid"
    name = one.contract.symbol
    volume = volumes.get(name, volumes.get(one.bucket))
    if volume is not None and volume < table.minimum_volume:
        return (
            f"{name} trades {volume:,.10g} contracts a day, fewer than {table.minimum_volume:,.10g}"
        )
    return ""


def equivalents(
    universe: Universe,
    rules: Cme,
    as_of: np.datetime64,
    table: CmeEquivalents | None = None,
    *,
    volumes: Mapping[str, float] | None = None,
    file: SpanFile | None = None,
) -> Equivalents:
    """Return the contract that stands for each Treasury, and how many of it make up a lot.

    Parameters
    ----------
    universe : Universe
        It holds the contracts of `equivalent_contracts`.
    rules : Cme
        The roots by remaining years.
    as_of : datetime64[D]
    table, volumes
        As in `stand_ins`.
    file : SpanFile, optional
        Names Treasuries with the contract and factor of each. A Treasury that it names once, with a
        contract of `equivalent_contracts` and a plausible factor, enters by that.

    Returns
    -------
    Equivalents

    Raises
    ------
    InputError
        No contract is liquid.
    """
    by_years = stand_ins(rules, as_of, table, volumes)
    number = {name: i for i, name in enumerate(universe.name.tolist())}
    of_bucket = np.array([number[s.contract.symbol] if s.contract else -1 for s in by_years])
    treasury = np.flatnonzero(universe.kind == TREASURY)
    limits = [one.up_to for one in by_years]
    contract = of_bucket[bucket_of(universe.years[treasury], limits)]
    dv01 = universe.sensitivities.dv01
    priced = universe.priced.copy()
    priced[treasury] &= (contract >= 0) & priced[contract] & (dv01[contract] > 0.0)
    ratio = np.zeros(treasury.size)
    np.divide(dv01[treasury], dv01[contract], out=ratio, where=priced[treasury])
    if file is None or table is None or not table.from_span_file:
        return Equivalents(by_years, contract, ratio, priced)
    named = _Named(file, table, equivalent_contracts(rules, as_of))
    seen: Counter[str] = Counter()
    for t in treasury[universe.priced[treasury]].tolist():
        how, symbol, factor = named.of(str(universe.name[t]))
        if how == BY_FACTOR:
            at = number[symbol]
            how = _check_factor(factor, float(dv01[t]), float(dv01[at]))
            if how == BY_FACTOR and universe.priced[at]:
                contract[t], ratio[t], priced[t] = at, factor, True
        seen[how] += 1
    return Equivalents(by_years, contract, ratio, priced, dict(sorted(seen.items())))


def _check_factor(factor: float, security: float, contract: float) -> str:
    """Tell whether contracts a lot are near the ratio of DV01s."""
    least, most = security / PLAUSIBLE, security * PLAUSIBLE
    return BY_FACTOR if 0.0 < least <= factor * contract <= most else IMPLAUSIBLE


class _Named:
    """The Treasuries that a SPAN file names."""

    def __init__(
        self, file: SpanFile, table: CmeEquivalents, contracts: Sequence[Contract | None]
    ) -> None:
        root = {(exchange, product): root for root, exchange, product in table.product_codes}
        self._symbol = {
            (key, contract.month): contract.symbol
            for key, of in root.items()
            for contract in contracts
            if contract is not None and contract.root == of
        }
        self._securities = file.securities

    def of(self, cusip: str) -> tuple[str, str, float]:
        """Return how a Treasury enters, its contract, and contracts a lot."""
        records = self._securities.get(cusip, ())
        if not records:
            return BY_DV01, "", 0.0
        if len(records) > 1:
            return SEVERAL, "", 0.0
        (one,) = records
        symbol = self._symbol.get((one.target, one.month), "")
        if not symbol:
            return OTHER_CONTRACT, "", 0.0
        return BY_FACTOR, symbol, one.factor * LOT / FACE
