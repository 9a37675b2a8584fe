"""Accounts of a run cached in memory, so that a question about one takes microseconds.

An answer from here is exact. Where there is none, `Session` asks the columnar models.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crossmargin.agreement._scalar import together
from crossmargin.agreement.caveats import SPREAD_NOT_MODELLED
from crossmargin.agreement.clients import Clients
from crossmargin.agreement.offset_methods import scheme
from crossmargin.agreement.rule import due
from crossmargin.agreement.single import (
    NOTHING,
    Alone,
    Client,
    Further,
    OneCharge,
    alone_with,
    settle,
)
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS, UNIONS
from crossmargin.engine import Book, Execution
from crossmargin.engine.whatif import AskedBook, can_be_asked
from crossmargin.margin.charges import Charge
from crossmargin.margin.model import LARGEST_MARGIN, Incremental
from crossmargin.margin.portfolios import Flags, Portfolios, rows_of
from crossmargin.margin.single import Held, traded
from crossmargin.whatif.parts import CachedParts, Leg, Parts

if TYPE_CHECKING:
    from crossmargin.engine._core import Answer, KeptAccount

HELD, NO_FICC, NO_CME, NO_BASIS, NO_SPREAD = 1, 2, 4, 8, 16
"""Marks of an instrument: every one has the first; FICC's model does not cover it; CME's does not;
it moves without its basis; it moves with the Treasury curve instead of SOFR's."""
_KNOWN: Flags = (False, False, False, False, False)


class CachedAccounts:
    """The cached accounts of a run: those last asked about, within a limit on memory.

    Several threads may ask at once. A lock guards the cache while an account is added. An account
    that is dropped while another thread asks about it stays until that thread has its answer. A
    forked process may ask as well: the child gets its own lock.

    Parameters
    ----------
    book, elsewhere, models, clients
        As the run margined them.
    names : sequence of str
        Names of the accounts.
    memory : int
        Bytes that all cached accounts may take together; a larger account is not cached.
    """

    def __init__(
        self,
        book: Book,
        elsewhere: Mapping[str, Book],
        models: PreparedModels,
        clients: Clients,
        *,
        names: Sequence[str],
        memory: int,
    ) -> None:
        terms = {ccp: _incremental(models, ccp) for ccp in (FICC, CME)}
        self._asked = asked_book(book, models, terms, UNIONS)
        self._book, self._models, self._further = book, models, elsewhere
        self._clients = clients
        self._names = names
        # The groups that hold an account's positions at other clearing firms.
        self._elsewhere: dict[int, list[int]] = {}
        for group in range(len(names), clients.group_account.size):
            self._elsewhere.setdefault(int(clients.group_account[group]), []).append(group)
        self._agreement = models.policy.agreement
        self._v_ficc, self._v_cme = terms[FICC].v, terms[CME].v
        # An answer has the tails of FICC, those of CME, then FICC's sums.
        count = len(terms[FICC].measures)
        self._of_ficc = itemgetter(*range(count), -1)
        self._of_cme = itemgetter(slice(count, -1))
        # What V is found from beside the tails and sums: the positions themselves.
        self._beside_ficc, self._beside_cme = terms[FICC].single, terms[CME].single
        self._charges = [(c.ccp, c.reducible, _single(c)) for c in models.charges]
        rules = scheme(models.policy, models.universe)
        self._parts: CachedParts | None = None
        if rules is not None:
            self._parts = CachedParts(
                rules,
                book,
                len(names),
                lambda parts, unions: asked_book(parts, models, terms, unions),
                self._v,
            )
        self._by_lines = bool(self._beside_ficc or self._beside_cme or self._charges or self._parts)
        self._memory = memory
        self._kept: OrderedDict[int, _Cached] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()
        # Positions at other firms are in memory for a moment while their account is added.
        size = self._asked.bytes
        self._bytes = size[: len(names)].copy()
        np.maximum.at(self._bytes, clients.group_account, size)
        if self._parts is not None:
            self._bytes += self._parts.bytes
        # Accounts that are not cached: too large for the memory, or for exact sums.
        self._refused: set[int] = set(np.flatnonzero(self._bytes > memory).tolist())
        _stores.add(self)

    def ask(self, account: int, legs: list[Leg]) -> dict[str, object] | None:
        """Return the margin of an account after some legs, or None if it cannot be found here.

        Parameters
        ----------
        account : int
        legs : list of Leg

        Returns
        -------
        dict, optional
            A row of `Session.what_ifs`.
        """
        with self._lock:
            cached = self._kept.get(account)
            if cached is not None:
                self._kept.move_to_end(account)
            elif account in self._refused:
                return None
            else:
                cached = self._add(account)
        if cached is None:
            return None
        if len(legs) > 1:
            legs = _merged(legs)
        answer = cached.kept.ask(legs)
        if answer is None:
            return None
        held = _after(cached.held, legs) if self._by_lines else cached.held
        ficc, cme = self._v(answer, held)
        # The gross P&L bounds all measures of tails, far below this limit.
        if not (max(ficc) <= LARGEST_MARGIN and max(cme) <= LARGEST_MARGIN):
            return None
        charges = self._charged(held, ficc, cme)
        if charges is None:
            return None
        reduction = None
        if self._parts is not None and cached.parts is not None:
            reduction = self._parts.reduction(cached.parts, held, legs, ficc, cme)
            if reduction is None:
                return None
        no_ficc, no_cme = _flags(answer)
        mark = answer[1]
        row = settle(
            ficc,
            cme,
            no_ficc,
            no_cme,
            mark[FICC_XM] != 0 and mark[CME_XM] != 0,
            cached.client,
            self._agreement,
            charges,
            reduction,
        )
        row["saving_is_upper_bound"] = mark[CME_XM] & NO_BASIS != 0 and self._parts is None
        spread = (mark[CME_XM] | mark[CME_OTHER]) & NO_SPREAD or cached.spread_elsewhere
        row["spread_risk"] = SPREAD_NOT_MODELLED if spread else None
        return row

    def after_fork(self) -> None:
        """Repair the cache in a forked child, where the thread that held the lock is missing."""
        self._lock = threading.Lock()
        # That thread may have added an account but not yet its bytes.
        self._used = sum(int(self._bytes[account]) for account in self._kept)

    def _v(self, answer: Answer, held: Held) -> tuple[Portfolios, Portfolios]:
        """Return V of each portfolio in both models."""
        measured, _ = answer
        if not self._by_lines:
            return self._v_ficc(*self._of_ficc(measured)), self._v_cme(*self._of_cme(measured))
        ficc, cme = self._beside_ficc, self._beside_cme
        return (
            self._v_ficc(*self._of_ficc(measured), *(() if ficc is None else (ficc(held),))),
            self._v_cme(*self._of_cme(measured), *(() if cme is None else (cme(held),))),
        )

    def _charged(self, held: Held, ficc: Portfolios, cme: Portfolios) -> list[OneCharge] | None:
        """Return the charges, or None if one is too large for any account."""
        found = []
        for ccp, reducible, amount in self._charges:
            charged = amount(held, {FICC: ficc, CME: cme}[ccp])
            if not max(charged) <= LARGEST_MARGIN:
                return None
            found.append((ccp, reducible, charged))
        return found

    def _add(self, account: int) -> _Cached | None:
        """Cache an account in place of those not asked about for longest; None if it cannot be."""
        size = int(self._bytes[account])
        while self._kept and self._used + size > self._memory:
            dropped, _ = self._kept.popitem(last=False)
            self._used -= int(self._bytes[dropped])
        cached = self._made(account)
        if cached is None:
            self._refused.add(account)
            return None
        self._kept[account] = cached
        self._used += size
        return cached

    def _made(self, account: int) -> _Cached | None:
        """Return an account as it is cached; None if it cannot be."""
        there = self._there(account)
        kept = None if there is None else self._asked.keep(account)
        if there is None or kept is None:
            return None
        held = self._held(account)
        parts = None
        if self._parts is not None:
            parts = self._parts.keep(account, held)
            if parts is None:
                return None
        alone, spread = there
        further, spread_there = self._owed_elsewhere(account)
        clients = self._clients
        client = Client(
            name=self._names[account],
            eligible=bool(clients.eligible[account]),
            complete=bool(clients.complete[account]),
            terms=(
                float(clients.multiplier[account]),
                float(clients.floor[account]),
                float(clients.minimum[account]),
            ),
            elsewhere=alone,
            further=further,
        )
        return _Cached(kept, client, spread or spread_there, held, parts)

    def _held(self, group: int) -> Held:
        """Return the positions of a group, where anything is found from them."""
        if not self._by_lines:
            return NO_LINES
        ptr = self._book.row_ptr[group * len(SEGMENTS) :][: len(SEGMENTS) + 1]
        lines = slice(int(ptr[0]), int(ptr[-1]))
        column, quantity = self._book.column[lines].tolist(), self._book.quantity[lines].tolist()
        every = list(zip(column, quantity, strict=True))
        ends = (ptr - ptr[0]).tolist()
        return tuple(every[begin:end] for begin, end in pairwise(ends))

    def _there(self, account: int) -> tuple[Alone, bool] | None:
        """Return what positions at other clearing firms need, or None if sums may be rounded.

        The flag says whether spread risk of these positions is not modelled.
        """
        there, spread = NOTHING, False
        for group in self._elsewhere.get(account, ()):
            kept = self._asked.keep(group)
            answer = None if kept is None else kept.ask([])
            if answer is None:
                return None
            held = self._held(group)
            ficc, cme = self._v(answer, held)
            charges = self._charged(held, ficc, cme)
            if charges is None or not (max(ficc) <= LARGEST_MARGIN and max(cme) <= LARGEST_MARGIN):
                return None
            there = together(there, alone_with(ficc, cme, *_flags(answer), charges))
            spread |= any(mark & NO_SPREAD for mark in answer[1])
            del kept  # Before the next one: the memory has room for one.
        return there, spread

    def _owed_elsewhere(self, account: int) -> tuple[Further, bool]:
        """Return what an account owes at clearing houses without an agreement.

        No question trades there. The flag is as in `_there`.
        """
        cents, known, spread = 0, True, False
        groups = np.array([account, *self._elsewhere.get(account, ())])
        for ccp, book in self._further.items():
            own, model = rows_of(book, groups), self._models.ccps[ccp]
            margin = model.margin(own, Execution(1))
            unknown = margin.unknown[:, 0]
            cents += int(due(margin.v[:, 0], unknown).sum())
            known &= not unknown.any()
            roots = self._models.universe.root[own.column]
            spread |= bool(np.isin(roots, model.without_spread).any())
        return (cents, known), spread


_stores: weakref.WeakSet[CachedAccounts] = weakref.WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


NO_LINES: Held = tuple([] for _ in SEGMENTS)


class _Cached(NamedTuple):
    """A cached account; its positions and their buckets only where something is found from them."""

    kept: KeptAccount
    client: Client
    spread_elsewhere: bool
    held: Held
    parts: Parts | None


def can_be_cached(models: PreparedModels) -> bool:
    """Return whether accounts can be cached: every model and charge has to say how.

    Clearing houses outside the programme need not: no question trades there.
    """
    if any(charge.single is None or charge.ccp not in (FICC, CME) for charge in models.charges):
        return False
    ficc, cme = (models.ccps[ccp].incremental for ccp in (FICC, CME))
    # An answer holds the sums of FICC's model, and no others.
    if ficc is None or ficc.sums is None or cme is None or cme.sums is not None:
        return False
    return can_be_asked([measure.cube for measure in (*ficc.measures, *cme.measures)])


def asked_book(
    book: Book,
    models: PreparedModels,
    terms: Mapping[str, Incremental],
    unions: Mapping[str, list[list[int]]],
) -> AskedBook:
    """Return the book with everything that both models measure on it.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    models : PreparedModels
        Cubes on the grid.
    terms : mapping of str to Incremental
        How to add to the models of FICC and CME, in this order.
    unions : mapping of str to list of list of int
        By clearing house the segments of each portfolio that is asked about.

    Returns
    -------
    AskedBook
        An answer holds, by portfolio, VaR by each measure of FICC and of CME, then FICC's sums.
    """
    universe = models.universe
    ficc, cme = models.ccps[FICC], models.ccps[CME]
    mark = (
        HELD
        + NO_FICC * (ficc.unpriced != "").astype(np.uint8)
        + NO_CME * (cme.unpriced != "").astype(np.uint8)
        + NO_BASIS * np.isin(universe.root, ficc.without_basis).astype(np.uint8)
        + NO_SPREAD * np.isin(universe.root, ficc.without_spread).astype(np.uint8)
    )
    sums = terms[FICC].sums
    assert sums is not None
    assert terms[CME].sums is None
    return AskedBook(
        book,
        segments=len(SEGMENTS),
        tails=[(measure, unions[ccp]) for ccp, part in terms.items() for measure in part.measures],
        sums=replace(sums, unions=unions[FICC]),
        mark=mark.astype(np.uint8),
    )


def _incremental(models: PreparedModels, ccp: str) -> Incremental:
    """Return how to add to a model for which `can_be_cached` holds."""
    part = models.ccps[ccp].incremental
    assert part is not None
    return part


def _merged(legs: list[Leg]) -> list[Leg]:
    """Return legs in order, summed by segment and instrument, without sums of zero."""
    ordered = sorted(legs)
    before: tuple[int, int] | None = None
    for segment, instrument, _ in ordered:
        if (segment, instrument) == before:
            break
        before = segment, instrument
    else:
        return ordered  # Most trades have each instrument once.
    total: dict[tuple[int, int], int] = {}
    for segment, instrument, lots in legs:
        key = segment, instrument
        total[key] = total.get(key, 0) + lots
    return [(*key, lots) for key, lots in sorted(total.items()) if lots]


def _single(charge: Charge) -> Callable[[Held, Portfolios], Portfolios]:
    """Return a charge for one account; `can_be_cached` holds."""
    assert charge.single is not None
    return charge.single


def _after(held: Held, legs: Sequence[Leg]) -> Held:
    """Return positions after some legs."""
    if not legs:
        return held
    by_segment = list(held)
    for segment in {leg[0] for leg in legs}:
        trades = [(number, float(lots)) for of, number, lots in legs if of == segment]
        by_segment[segment] = traded(held[segment], trades)
    return by_segment


def _flags(answer: Answer) -> tuple[Flags, Flags]:
    """Return where V is unknown in both models."""
    mark = answer[1]
    a, b, c, d = mark
    if not (a | b | c | d) & (NO_FICC | NO_CME):
        return _KNOWN, _KNOWN
    return _unknown(mark, FICC, NO_FICC), _unknown(mark, CME, NO_CME)


def _unknown(mark: tuple[int, ...], ccp: str, lacks: int) -> Flags:
    """Return which portfolios hold an instrument with this mark."""
    cash, futures, both, other, whole = (
        any(mark[g] & lacks for g in union) for union in UNIONS[ccp]
    )
    return cash, futures, both, other, whole
