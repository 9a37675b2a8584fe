"""Offset methods by tables of the policy: offset classes, or credits for spreads.

Methodology, section 6. The current rule, `lower_of_models`, needs neither: see `agreement.savings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmargin import exact
from crossmargin.agreement import rule
from crossmargin.arrays import Float, Integer, bucket_of
from crossmargin.conventions import CASH, CME_XM, FICC_XM, FUTURES, SEGMENTS
from crossmargin.engine import Book, Execution, tier_charges
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.instruments.universe import FUTURE, TREASURY, Universe
from crossmargin.margin.portfolios import CcpMargin, Items, row_of
from crossmargin.policies import ClassDisallowance, Policy, SpreadCredit
from crossmargin.policies.sections import CLASS_DISALLOWANCE, SPREAD_CREDIT

NONE = -1
"""The bucket of what is left out: cash legs, what has no value, futures without a spread."""

Offset = tuple[int, int, float]
"""Bucket of cash, bucket of futures, and the share of their offset that is credited."""


@dataclass(frozen=True)
class Scheme:
    """Which positions offset each other, in what order, and for how much.

    Attributes
    ----------
    bucket : ndarray of int64, [I]
        The bucket of each Treasury (of cash) and of each future (of futures); -1 for none.
    dv01 : ndarray of float64, [I]
        USD per lot or contract. The sign of dv01 * position is the direction.
    offsets : tuple of Offset
        In the order of use.
    name : tuple of str
        Name of each offset, such as ``2Y : ZT``, with the bucket of cash first.
    buckets : int
        Number of buckets of cash or of futures, whichever is larger.
    """

    bucket: Integer
    dv01: Float
    offsets: tuple[Offset, ...]
    name: tuple[str, ...]
    buckets: int

    def cut(self, book: Book, accounts: int) -> Book:
        """Return the cross-margined positions of each account, bucket by bucket.

        Parameters
        ----------
        book : Book
            Rows are group * 4 + segment; the first groups are the accounts.
        accounts : int
            A.

        Returns
        -------
        Book
            Rows are (account * buckets + bucket) * 4 + segment.
        """
        row, bucket = row_of(book), self.bucket[book.column]
        group, segment = row // len(SEGMENTS), row % len(SEGMENTS)
        crossed = (segment == FICC_XM) | (segment == CME_XM)
        kept = np.flatnonzero((group < accounts) & crossed & (bucket != NONE))
        part = (group[kept] * self.buckets + bucket[kept]) * len(SEGMENTS) + segment[kept]
        # A stable sort: instruments ascend within a row of the book, and so within its parts.
        order = kept[np.argsort(part, kind="stable")]
        count = np.bincount(part, minlength=accounts * self.buckets * len(SEGMENTS))
        return Book.from_arrays(
            np.concatenate([np.zeros(1, np.int64), np.cumsum(count)]),
            book.column[order],
            book.quantity[order],
            columns=book.columns,
        )

    def reduction(
        self,
        parts: Book,
        apart: tuple[CcpMargin, CcpMargin],
        whole: tuple[CcpMargin, CcpMargin],
        accounts: int,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> tuple[Float, Items]:
        """Return the reduction of each clearing house's margin that the offsets earn.

        Parameters
        ----------
        parts : Book
            From `cut`.
        apart, whole : pair of CcpMargin
            FICC's and CME's model of these parts, and of the whole book.
        accounts : int
            A.
        execution : Execution

        Returns
        -------
        total : ndarray of float64, [A]
            USD, at most the cross-margined margin at either clearing house.
        items : Items
            A part for each offset; the quantity is the margin that is offset, USD. Accounts with
            an unknown margin have none.
        """
        dv01 = np.bincount(row_of(parts), parts.quantity * self.dv01[parts.column], parts.rows)
        side = np.sign(dv01).reshape(-1, self.buckets, len(SEGMENTS))
        cash, futures = (
            shared_out(
                of_parts.v[:, portfolio].reshape(-1, self.buckets), of_whole.v[:accounts, portfolio]
            )
            for of_parts, of_whole, portfolio in zip(apart, whole, (CASH, FUTURES), strict=True)
        )
        used, credit = credited(
            cash * side[:, :, FICC_XM], futures * side[:, :, CME_XM], self.offsets, execution
        )
        unknown = rule.unpriced(*(margin.unknown[:accounts].T for margin in whole))
        at = np.nonzero(np.where(unknown[:, None], 0.0, credit))
        items = Items(
            "reduction", self.name, group=at[0], item=at[1], amount=credit[at], quantity=used[at]
        )
        return exact.ordered_sum(credit), items


def scheme(policy: Policy, universe: Universe) -> Scheme | None:
    """Return the scheme of a policy's offset method; None for `lower_of_models`.

    Parameters
    ----------
    policy : Policy
        `agreement.offset_method` and the table of that name.
    universe : Universe
        Remaining years, roots and DV01 of the instruments.

    Returns
    -------
    Scheme or None
    """
    by_class, by_spread = policy.get(ClassDisallowance), policy.get(SpreadCredit)
    if policy.agreement.offset_method == CLASS_DISALLOWANCE and by_class is not None:
        return _by_class(by_class, universe)
    if policy.agreement.offset_method == SPREAD_CREDIT and by_spread is not None:
        return _by_spread(by_spread, universe)
    return None


def shared_out(apart: Float, whole: Float) -> Float:
    """Return the margins of an account's buckets, scaled to at most that of the account.

    Parameters
    ----------
    apart : ndarray of float64, [A x B]
        Margin of each bucket by itself, USD.
    whole : ndarray of float64, [A]
        Margin of the account, USD.

    Returns
    -------
    ndarray of float64, [A x B]
        In proportion to `apart`. Buckets that hedge each other have less left to offset.

    Examples
    --------
    >>> shared_out(np.array([[30.0, 10.0], [3.0, 1.0]]), np.array([20.0, 7.0]))
    array([[15.,  5.],
           [ 3.,  1.]])
    """
    return apart * rule.share_left(exact.ordered_sum(apart), whole)[:, None]


def credited(
    cash: Float, futures: Float, offsets: Sequence[Offset], execution: Execution = DEFAULT_EXECUTION
) -> tuple[Float, Float]:
    """Return the margin that each offset uses, and its credit, one offset after the other.

    Parameters
    ----------
    cash : ndarray of float64, [A x B]
        Margin of each bucket by itself, USD; negative for a short bucket.
    futures : ndarray of float64, [A x B]
        Likewise.
    offsets : sequence of Offset
        Q of them, in the order of use.
    execution : Execution

    Returns
    -------
    used, credit : ndarray of float64, [A x Q]
        The smaller margin of two legs with opposite directions, and the share of it that is
        credited. Later offsets have only the margin that earlier ones leave.

    Examples
    --------
    >>> used, credit = credited(
    ...     np.array([[30.0, 50.0]]), np.array([[-40.0, 0.0]]), [(0, 0, 0.5), (1, 0, 0.25)]
    ... )
    >>> credit
    array([[15. ,  2.5]])
    """
    # Each bucket of cash and of futures is a tier that is only long or only short.
    margin = np.concatenate([cash, futures], axis=1)
    found = tier_charges(
        np.maximum(margin, 0.0),
        np.maximum(-margin, 0.0),
        **as_pairs(offsets, cash.shape[1]),
        **execution.kernels,
    )
    return found.count, found.charge


def as_pairs(offsets: Sequence[Offset], buckets: int) -> dict[str, Any]:
    """Return offsets as arguments of `tier_charges`: tiers are buckets of cash, then of futures."""
    return {
        "tier_a": np.array([i for i, _, _ in offsets], np.int64),
        "tier_b": np.array([buckets + j for _, j, _ in offsets], np.int64),
        "charge": np.array([share for _, _, share in offsets], np.float64),
    }


def _by_class(rules: ClassDisallowance, universe: Universe) -> Scheme:
    """Return the scheme of offsets within classes, then across pairs of them, both ways."""
    number = {name: i for i, (name, _) in enumerate(rules.classes)}
    offsets = [(i, i, 1.0 - share) for i, share in enumerate(rules.within)]
    for one, other, share in rules.across:
        i, j = number[one], number[other]
        offsets += [(i, j, 1.0 - share), (j, i, 1.0 - share)]
    names = [name for name, _ in rules.classes]
    return Scheme(
        bucket=_classes(rules.classes, universe),
        dv01=universe.sensitivities.dv01,
        offsets=tuple(offsets),
        name=tuple(f"{names[i]} : {names[j]}" for i, j, _ in offsets),
        buckets=len(names),
    )


def _by_spread(rules: SpreadCredit, universe: Universe) -> Scheme:
    """Return the scheme of offsets of each spread's class of cash with its futures, by root."""
    number = {name: i for i, (name, _) in enumerate(rules.classes)}
    named = list(dict.fromkeys(root for _, roots, _ in rules.spreads for root in roots))
    offsets = [
        (number[name], named.index(root), rate)
        for name, roots, rate in rules.spreads
        for root in roots
    ]
    bucket = _classes(rules.classes, universe)
    bucket[universe.kind == FUTURE] = NONE
    for i, root in enumerate(named):
        bucket[universe.priced & (universe.root == root)] = i
    return Scheme(
        bucket=bucket,
        dv01=universe.sensitivities.dv01,
        offsets=tuple(offsets),
        name=tuple(f"{name} : {root}" for name, roots, _ in rules.spreads for root in roots),
        buckets=max(len(rules.classes), len(named)),
    )


def _classes(classes: tuple[tuple[str, float], ...], universe: Universe) -> Integer:
    """Return the class of each Treasury and future by its remaining years, [I]; -1 for the rest."""
    limit = np.array([years for _, years in classes])
    number = bucket_of(universe.years, limit)
    takes_part = (universe.kind == TREASURY) | (universe.kind == FUTURE)
    # Without our own value, whatever a user's cube says, there is no term and no direction.
    takes_part &= universe.priced
    return np.where(takes_part, number, NONE).astype(np.int64)
