"""Accounts of a run cached in memory, so that a question about one takes microseconds.

An answer from here is exact. Where there is none, `Session` asks the columnar models.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crossmargin.agreement._scalar import standing_alone, together
from crossmargin.agreement.caveats import SPREAD_NOT_MODELLED
from crossmargin.agreement.clients import Clients
from crossmargin.agreement.single import NOTHING, Alone, Client, settle
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, CME_OTHER, CME_XM, FICC, FICC_XM, SEGMENTS, UNIONS
from crossmargin.engine import Book
from crossmargin.engine.whatif import AskedBook, can_be_asked
from crossmargin.margin.model import LARGEST_MARGIN, Incremental
from crossmargin.margin.portfolios import Flags, Portfolios
from crossmargin.policies.sections import LOWER_OF_MODELS

if TYPE_CHECKING:
    from crossmargin.engine._core import Answer, KeptAccount

Leg = tuple[int, int, int]
"""Segment, number of the instrument, and lots."""

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
    book, models, clients
        As the run margined them.
    names : sequence of str
        Names of the accounts.
    memory : int
        Bytes that all cached accounts may take together; a larger account is not cached.
    """

    def __init__(
        self,
        book: Book,
        models: PreparedModels,
        clients: Clients,
        *,
        names: Sequence[str],
        memory: int,
    ) -> None:
        terms = {ccp: _incremental(models, ccp) for ccp in (FICC, CME)}
        self._asked = asked_book(book, models, terms)
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
        self._memory = memory
        self._kept: OrderedDict[int, _Cached] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()
        # Positions at other firms are in memory for a moment while their account is added.
        size = self._asked.bytes
        self._bytes = size[: len(names)].copy()
        np.maximum.at(self._bytes, clients.group_account, size)
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
        ficc, cme, no_ficc, no_cme = self._margins(answer)
        # The gross P&L bounds all measures but the floor, far below this limit.
        if max(ficc) > LARGEST_MARGIN:
            return None
        mark = answer[1]
        row = settle(
            ficc,
            cme,
            no_ficc,
            no_cme,
            mark[FICC_XM] != 0 and mark[CME_XM] != 0,
            cached.client,
            self._agreement,
        )
        row["saving_is_upper_bound"] = mark[CME_XM] & NO_BASIS != 0
        spread = (mark[CME_XM] | mark[CME_OTHER]) & NO_SPREAD or cached.spread_elsewhere
        row["spread_risk"] = SPREAD_NOT_MODELLED if spread else None
        return row

    def after_fork(self) -> None:
        """Repair the cache in a forked child, where the thread that held the lock is missing."""
        self._lock = threading.Lock()
        # That thread may have added an account but not yet its bytes.
        self._used = sum(int(self._bytes[account]) for account in self._kept)

    def _margins(self, answer: Answer) -> tuple[Portfolios, Portfolios, Flags, Flags]:
        """Return V of each portfolio in both models, and where they are unknown."""
        measured, mark = answer
        ficc = self._v_ficc(*self._of_ficc(measured))
        cme = self._v_cme(*self._of_cme(measured))
        a, b, c, d = mark
        if not (a | b | c | d) & (NO_FICC | NO_CME):
            return ficc, cme, _KNOWN, _KNOWN
        return ficc, cme, _unknown(mark, FICC, NO_FICC), _unknown(mark, CME, NO_CME)

    def _add(self, account: int) -> _Cached | None:
        """Cache an account in place of those not asked about for longest; None if it cannot be."""
        size = int(self._bytes[account])
        while self._kept and self._used + size > self._memory:
            dropped, _ = self._kept.popitem(last=False)
            self._used -= int(self._bytes[dropped])
        there = self._there(account)
        kept = None if there is None else self._asked.keep(account)
        if there is None or kept is None:
            self._refused.add(account)
            return None
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
            elsewhere=there[0],
        )
        cached = _Cached(kept, client, spread_elsewhere=there[1])
        self._kept[account] = cached
        self._used += size
        return cached

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
            there = together(there, standing_alone(*self._margins(answer)))
            spread |= any(mark & NO_SPREAD for mark in answer[1])
            del kept  # Before the next one: the memory has room for one.
        return there, spread


_stores: weakref.WeakSet[CachedAccounts] = weakref.WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Cached(NamedTuple):
    """A cached account."""

    kept: KeptAccount
    client: Client
    spread_elsewhere: bool


def can_be_cached(models: PreparedModels) -> bool:
    """Return whether accounts can be cached: every model has to say that it allows this."""
    if set(models.ccps) != {FICC, CME} or models.charges:
        return False
    if models.policy.agreement.offset_method != LOWER_OF_MODELS:
        return False
    ficc, cme = (models.ccps[ccp].incremental for ccp in (FICC, CME))
    # An answer holds the sums of FICC's model, and no others.
    if ficc is None or ficc.sums is None or cme is None or cme.sums is not None:
        return False
    return can_be_asked([measure.cube for measure in (*ficc.measures, *cme.measures)])


def asked_book(book: Book, models: PreparedModels, terms: Mapping[str, Incremental]) -> AskedBook:
    """Return the book with everything that both models measure on it.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    models : PreparedModels
        Cubes on the grid.
    terms : mapping of str to Incremental
        How to add to the models of FICC and CME, in this order.

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
        tails=[(measure, UNIONS[ccp]) for ccp, part in terms.items() for measure in part.measures],
        sums=sums,
        mark=mark.astype(np.uint8),
    )


def _incremental(models: PreparedModels, ccp: str) -> Incremental:
    """Return how to add to a model for which `can_be_cached` holds."""
    part = models.ccps[ccp].incremental
    assert part is not None
    return part


def _merged(legs: list[Leg]) -> list[Leg]:
    """Return legs in order, summed by segment and instrument, without zeros."""
    total: dict[tuple[int, int], int] = {}
    for segment, instrument, lots in legs:
        key = segment, instrument
        total[key] = total.get(key, 0) + lots
    return [(*key, lots) for key, lots in sorted(total.items()) if lots]


def _unknown(mark: tuple[int, ...], ccp: str, lacks: int) -> Flags:
    """Return which portfolios hold an instrument with this mark."""
    cash, futures, both, other, whole = (
        any(mark[g] & lacks for g in union) for union in UNIONS[ccp]
    )
    return cash, futures, both, other, whole
