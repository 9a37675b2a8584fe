"""The scan ranges of the CME-like model: one for each root, or one for each tier of a root.

Methodology, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from crossmargin.arrays import Float
from crossmargin.engine import tail_size
from crossmargin.instruments.contracts import Contract, listed_contracts, month_number
from crossmargin.instruments.universe import Universe
from crossmargin.policies import Span, SpanTiers

SUPPLIED, CALIBRATED, FROM_FILE = "supplied", "calibrated", "file"
NO_TIERS = SpanTiers((), ())
QUARTERLY = (3, 6, 9, 12)
"""The months on which tiers are calibrated."""


@dataclass(frozen=True)
class ScanRanges:
    """The scan ranges, and the VaR of the contract that each is calibrated on.

    Attributes
    ----------
    root : tuple of str, [T]
        The roots in their order; a root has one range, or one for each of its tiers.
    months : tuple of (int, int) or None, [T]
        First and last month of a tier after the as-of month; None for a root's only range.
    usd : ndarray of float64, [T]
        Per contract; NaN where it is not supplied and cannot be calibrated.
    origin : tuple of str, [T]
        `supplied`, `calibrated`, `file`, or empty.
    contract : tuple of str, [T]
        The front contract, of a tier the one with the largest range; empty where none is priced.
    var_long, var_short : ndarray of float64, [T]
        One-row VaR of one such contract over the calibration's rows at its level, USD.
    """

    root: tuple[str, ...]
    months: tuple[tuple[int, int] | None, ...]
    usd: Float
    origin: tuple[str, ...]
    contract: tuple[str, ...]
    var_long: Float
    var_short: Float

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Each root once, [K]."""
        return tuple(dict.fromkeys(self.root))

    @cached_property
    def by_root(self) -> list[list[int]]:
        """The numbers of each root's ranges, [K]."""
        return [[t for t, own in enumerate(self.root) if own == root] for root in self.roots]

    def number(self, root: str, month: int) -> int:
        """Return the number of the range of a contract.

        Parameters
        ----------
        root : str
        month : int
            Its delivery in months after the as-of month.

        Returns
        -------
        int
            Of the first tier that does not end before that month, or of the last tier.
        """
        own = self.by_root[self.roots.index(root)]
        for t in own:
            tier = self.months[t]
            if tier is None or month <= tier[1]:
                return t
        return own[-1]

    def describe(self) -> list[dict[str, Any]]:
        """Return a row per range of plain values, None for what is empty or NaN."""
        first = [own[0] for own in self.by_root for _ in own]
        tier = [
            None if months is None else t - first[t] + 1 for t, months in enumerate(self.months)
        ]
        values: dict[str, Sequence[Any]] = {
            "root": self.root,
            "tier": tier,
            "first_month": [None if months is None else months[0] for months in self.months],
            "last_month": [None if months is None else months[1] for months in self.months],
            "contract": self.contract,
            "scan_range": self.usd.tolist(),
            "origin": self.origin,
            "var_long": self.var_long.tolist(),
            "var_short": self.var_short.tolist(),
        }
        # Only NaN differs from itself.
        return [
            {name: None if x == "" or x != x else x for name, x in zip(values, row, strict=True)}
            for row in zip(*values.values(), strict=True)
        ]


def tier_contracts(tiers: SpanTiers, as_of: np.datetime64) -> list[Contract]:
    """Return the contracts on which scan ranges by tier are calibrated.

    Parameters
    ----------
    tiers : SpanTiers
    as_of : datetime64[D]

    Returns
    -------
    list of Contract
        All listed contracts of the roots that have tiers: what else the book holds must not matter.
    """
    names = dict.fromkeys(root for root, _, _ in tiers.scan_tiers)
    return [contract for root in names for contract in listed_contracts(root, as_of)]


def scan_ranges(
    front: Mapping[str, int],
    pnl: Float,
    universe: Universe,
    as_of: np.datetime64,
    rules: Span,
    tiers: SpanTiers,
    from_file: Sequence[str],
) -> ScanRanges:
    """Return the scan ranges: supplied ones, else those of the contracts' moves.

    Parameters
    ----------
    front : mapping of str to int
        The number of each root's front contract in the universe; -1 where it is not priced.
    pnl : ndarray of float64, [I x S]
        P&L over the rows of the calibration, USD.
    universe : Universe
        It holds the contracts of `tier_contracts`.
    as_of : datetime64[D]
    rules, tiers : Span, SpanTiers
    from_file : sequence of str
        Names of the parameters that came from a SPAN file.

    Returns
    -------
    ScanRanges
    """
    find = _Finder(pnl, universe, rules, tiers, from_file)
    number = {name: i for i, name in enumerate(universe.name.tolist())}
    rows: list[_Row] = []
    for root, at in front.items():
        own = tiers.tiers_of(root)
        whole = find.row(root, None, 0, [at] if at >= 0 else [])
        if not own:
            rows.append(whole)
            continue
        listed = listed_contracts(root, as_of)
        for tier, months in enumerate(own, start=1):
            within = [c for c in listed if months[0] <= months_ahead(c.month, as_of) <= months[1]]
            held = [(c, number.get(c.symbol, -1)) for c in within]
            held = [(c, i) for c, i in held if i >= 0 and universe.priced[i]]
            quarterly = [i for c, i in held if month_number(c.month) in QUARTERLY]
            row = find.row(root, months, tier, quarterly or [i for _, i in held])
            # Without a contract of its own a tier has the range of the root's front contract.
            rows.append(row if row.origin else whole._replace(months=months))
    return ScanRanges(
        root=tuple(row.root for row in rows),
        months=tuple(row.months for row in rows),
        usd=np.array([row.usd for row in rows]),
        origin=tuple(row.origin for row in rows),
        contract=tuple(row.contract for row in rows),
        var_long=np.array([row.var_long for row in rows]),
        var_short=np.array([row.var_short for row in rows]),
    )


def months_ahead(month: np.datetime64, as_of: np.datetime64) -> int:
    """Return a delivery month in months after the as-of month."""
    return int((month - as_of.astype("datetime64[M]")).astype(np.int64))


def loss(losses: Float, level: float) -> float:
    """Return the k-th largest loss (methodology, section 1), NaN if all are."""
    _, k = tail_size(level, losses.size)
    return float(np.sort(losses)[-k])


class _Row(NamedTuple):
    """One range; see `ScanRanges`."""

    root: str
    months: tuple[int, int] | None
    usd: float
    origin: str
    contract: str
    var_long: float
    var_short: float


class _Finder:
    """Finds a range among what is supplied and what contracts' moves show."""

    def __init__(
        self,
        pnl: Float,
        universe: Universe,
        rules: Span,
        tiers: SpanTiers,
        from_file: Sequence[str],
    ) -> None:
        self._pnl, self._name = pnl, universe.name
        self._level = rules.calibration_level
        # Tier 0 is the whole root.
        self._supplied = {(root, 0): usd for root, usd in rules.scan_ranges}
        self._supplied |= {(root, tier): usd for root, tier, usd in tiers.ranges}
        self._from_file = from_file

    def row(
        self, root: str, months: tuple[int, int] | None, tier: int, contracts: Sequence[int]
    ) -> _Row:
        """Return the range of a tier from the contract with the largest; the first on a tie."""
        seen = long = short = float("nan")
        contract = ""
        for at in contracts:
            move = self._pnl[at]
            found = loss(np.abs(move), self._level)
            if not found <= seen:
                seen, contract = found, str(self._name[at])
                long, short = loss(-move, self._level), loss(move, self._level)
        usd = self._supplied.get((root, tier))
        if usd is None:
            origin = CALIBRATED if contract else ""
            return _Row(root, months, seen, origin, contract, long, short)
        origin = FROM_FILE if range_name(root, tier) in self._from_file else SUPPLIED
        return _Row(root, months, usd, origin, contract, long, short)


def range_name(root: str, tier: int) -> str:
    """Return the name of a range among the parameters from a SPAN file; tier 0: the whole root."""
    return f"scan_ranges.{root}.{tier}" if tier else f"scan_ranges.{root}"
