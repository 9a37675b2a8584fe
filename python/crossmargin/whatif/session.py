"""What hypothetical trades and moves would change in an account's margin, exact to the bit."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crossmargin import columns
from crossmargin.book.accounts import members_of, omnibus_of
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.extended import extended_models, widened
from crossmargin.calculation.result import RunResult, stages_of
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.benchmarks import benchmarks, front_contracts
from crossmargin.instruments.contracts import Contract
from crossmargin.results.schemas.whatif import IMPACT_TABLE
from crossmargin.results.table import Table
from crossmargin.whatif.cap import ToCap, to_cap
from crossmargin.whatif.impact import Impact, impact_of, impacts_of
from crossmargin.whatif.parts import Leg
from crossmargin.whatif.scope import (
    Quantities,
    Scope,
    find_instrument,
    scope_of,
    with_empty_account,
)

Question = tuple[str, Quantities] | tuple[str, Quantities, Quantities]
"""An account, trades, and moves if there are any."""

MEMORY = 2**30
"""Default memory for a session's cached accounts, bytes: enough for several thousand."""
BENCHMARK_FACE, FRONT_CONTRACTS = 100_000_000, 100
"""What the impact table trades: USD of face of each benchmark, contracts of each front future."""
SEARCHED = 10_000
"""Contracts, long and short, up to which `to_cap` looks."""
NOTHING: Quantities = {}


class Session:
    """Answers to what trades and moves would change in the accounts of a finished run.

    The first question about an account caches its P&L; `what_if` then answers in microseconds. Once
    `memory` is full, the accounts not asked about for longest are dropped. The answers are the same
    with and without the cache, and equal a run's. An account is not cached if

    - its sums might not be exact: a user's cube off the grid, or gross P&L from 2^33 USD on;
    - a charge or model of the policy does not say what it is for one account; all of ours do;
    - there are no native kernels;
    - it takes more than `memory` by itself.

    `what_if` then takes as long as `what_ifs` with one question. Several threads may ask the same
    session.

    An instrument that the run does not hold is priced when it is first asked about: a security of
    the run's securities table, or any contract that is listed. The models are then prepared once
    more, and the accounts cached anew. The answers are those of a run with that position.

    Parameters
    ----------
    run : RunResult
        With its stages: from `crossmargin.run`, `read_run` or `rebuild_run`.
    memory : int
        Bytes for cached accounts; 1 GiB if not given, 0 to cache none. In addition a session holds
        a copy of the models' P&L, or two under an offset method by tables.
    threads : int, optional
        For `what_ifs`; default: as many as the process may use. A single question takes one.

    Attributes
    ----------
    instruments : tuple of str
        What is priced already: CUSIPs and contracts.
    accounts : tuple of str
        The accounts that can be asked about: those of the run, then those added.

    Raises
    ------
    TypeError
        `run` is not a run.
    ValueError
        The run has no stages, or `memory` is not a number of bytes.

    Examples
    --------
    >>> session = Session(run)  # doctest: +SKIP
    >>> session.what_if("ACC1", {"ZNM25": -10})["requirement"]  # doctest: +SKIP
    """

    def __init__(self, run: RunResult, *, memory: int = MEMORY, threads: int | None = None) -> None:
        if not isinstance(run, RunResult):
            raise TypeError(f"a session needs a run, from xm.run(...), not {type(run).__name__}")
        stages = stages_of(run)
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
            raise ValueError(f"memory: a number of bytes expected, got {memory!r}")
        self._stages = stages
        self._memory = memory
        self._execution = Execution(threads)
        self._securities: frozenset[int] = frozenset()
        self._contracts: frozenset[Contract] = frozenset()
        omnibus = omnibus_of(stages.parsed.accounts)
        name = run.accounts.to_arrow()["account"].to_pylist()
        self._omnibus = {at: name[omnibus[at]] for at in members_of(omnibus).tolist()}
        # Held while the scope is replaced by a larger one.
        self._lock = threading.Lock()
        self._scope = scope_of(
            stages.models,
            Batch(stages.netted.book, stages.netted.elsewhere, stages.clients),
            name,
            memory=memory,
            omnibus=self._omnibus,
        )
        _sessions.add(self)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that can be asked about."""
        return tuple(self._scope.accounts)

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments that are priced already."""
        return tuple(self._scope.instruments)

    def __repr__(self) -> str:
        """Return the run's date, and how much can be asked about, as text."""
        scope = self._scope
        return (
            f"<Session {scope.models.market.as_of}: {len(scope.accounts):,} accounts, "
            f"{len(scope.instruments):,} instruments>"
        )

    def what_if(
        self,
        account: str,
        trades: Quantities = NOTHING,
        *,
        moves: Quantities = NOTHING,
        xm: bool = True,
    ) -> dict[str, Any]:
        """Return the margin of one account after some hypothetical trades and moves.

        Parameters
        ----------
        account : str
            One of `accounts`.
        trades : mapping of str to number
            USD of face by CUSIP, and lots by contract: signed whole numbers, as ints, floats,
            Decimals or NumPy numbers. Empty: the account as it is.
        moves : mapping of str to number
            What goes from the ordinary account into the cross-margin account, in the same units and
            with the sign of the position: -300 moves 300 contracts of a short position in. The
            opposite sign moves it out again. At most what is held before the trades. An account
            holds as much after a move as before it.
        xm : bool
            Whether the trades are booked in the cross-margin account; eligible ones are then
            cross-margined.

        Returns
        -------
        dict
            The columns of `what_ifs`, as Python values.

        Raises
        ------
        TypeError
            The trades or moves are not a mapping.
        ValueError
            An unknown account or instrument, a quantity that is not a whole number of lots, a
            move of what is not held or may not be cross-margined, or a trade at FICC of an account
            in an omnibus account, which changes that one; the message says what to do.
        """
        number = self._scope.account(account)
        scope = self.scope(trades, moves)
        legs = scope.trade_legs(number, trades, xm=xm)
        if moves:
            legs += scope.move_legs(number, moves)
        return scope.answer(number, legs)

    def what_ifs(self, questions: Iterable[Question], *, xm: bool = True) -> Table:
        """Return the margin after each of many hypothetical trades, taken one at a time.

        Parameters
        ----------
        questions : iterable of (account, trades) or (account, trades, moves)
            As in `what_if`.
        xm : bool
            As in `what_if`.

        Returns
        -------
        Table
            A row per question; its columns are those of
            `crossmargin.results.schemas.whatif.WHAT_IFS`.

        Raises
        ------
        TypeError, ValueError
            As in `what_if`.
        """
        scope, numbers, legs = self._resolved(questions, xm)
        return Table(scope.answers(numbers, legs, self._execution))

    def impacts(self, questions: Iterable[Question], *, xm: bool = True) -> Table:
        """Return each account before and after each of many questions, and the difference.

        Parameters
        ----------
        questions, xm
            As in `what_ifs`.

        Returns
        -------
        Table
            A row per question; its columns are those of
            `crossmargin.results.schemas.whatif.IMPACTS`.

        Raises
        ------
        TypeError, ValueError
            As in `what_if`.
        """
        scope, numbers, legs = self._resolved(questions, xm)
        names = [str(number) for number in range(1, len(numbers) + 1)]
        return Table(impacts_of(scope, names, numbers, legs, self._execution))

    def impact(
        self,
        account: str,
        trades: Quantities = NOTHING,
        *,
        moves: Quantities = NOTHING,
        xm: bool = True,
    ) -> Impact:
        """Return an account before and after trades and moves, and what each of them changes.

        Parameters
        ----------
        account, trades, moves, xm
            As in `what_if`. The questions asked grow with the square of their number.

        Returns
        -------
        Impact

        Raises
        ------
        TypeError, ValueError
            As in `what_if`.
        """
        number = self._scope.account(account)
        scope = self.scope(trades, moves)
        return impact_of(scope, number, trades, moves, xm=xm, execution=self._execution)

    def impact_table(self, account: str) -> Table:
        """Return what a round trade of each benchmark and front future does to an account.

        Parameters
        ----------
        account : str

        Returns
        -------
        Table
            Its columns are those of `crossmargin.results.schemas.whatif.IMPACT_TABLE`: 100 million
            USD of face, long and short, of the latest note or bond of each tenor in the run's
            securities; and 100 contracts of the front contract of each root that the policy
            cross-margins.

        Raises
        ------
        ValueError
            The account is unknown.
        """
        parsed, models = self._stages.parsed, self._stages.models
        as_of = models.market.as_of
        cusip = parsed.securities.cusip
        found = benchmarks(parsed.securities, as_of)
        fronts = front_contracts(models.policy.eligibility.roots, as_of)
        traded = [(f"{n}-Year", str(cusip[at]), BENCHMARK_FACE) for n, at in found.items()]
        traded += [(front.root, front.symbol, FRONT_CONTRACTS) for front in fronts]
        rows = [(tenor, name, sign * size) for tenor, name, size in traded for sign in (1, -1)]
        asked = self.impacts([(account, {name: size}) for _, name, size in rows]).to_arrow()
        cells = {
            "tenor": columns.text_column([tenor for tenor, _, _ in rows]),
            "instrument": columns.text_column([name for _, name, _ in rows]),
            "quantity": columns.column(np.array([size for *_, size in rows], np.int64)),
        }
        shared = [c.name for c in IMPACT_TABLE.columns if c.name not in cells]
        return Table(IMPACT_TABLE.table(cells | {name: asked[name] for name in shared}))

    def to_cap(
        self, account: str, instrument: str, *, move: bool = False, limit: int = SEARCHED
    ) -> ToCap:
        """Return the smallest number of contracts that brings the offset rate to the cap.

        Every number up to the limit is asked, so no smaller one reaches the cap, although the
        offset rate may rise and fall. Of the same number long and short, long counts first.

        Parameters
        ----------
        account, instrument : str
            The instrument is a future.
        move : bool
            Move contracts from the ordinary into the cross-margin account, up to what it holds.
            By default contracts are traded, long and short.
        limit : int
            Contracts to trade at most.

        Returns
        -------
        ToCap

        Raises
        ------
        ValueError
            The account or the instrument is unknown, or it is not a future, or `limit` is not a
            number of contracts.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MOST:
            raise ValueError(f"limit: 1 to {_MOST:,} contracts expected, got {limit!r}")
        number = self._scope.account(account)
        scope = self.scope({instrument: 1})
        future = scope.instrument(instrument)
        assert future is not None
        if not scope.future[future]:
            raise InputError(f"{scope.symbol(future)} is not a future: to_cap counts contracts")
        return to_cap(scope, number, future, move=move, limit=limit, execution=self._execution)

    def add_account(
        self,
        name: str,
        *,
        eligible: bool = True,
        multiplier: float = 1.0,
        floor: float = 0.0,
        minimum: float = 0.0,
    ) -> None:
        """Add a hypothetical account, which holds nothing, to those that can be asked about.

        Parameters
        ----------
        name : str
            Not the name of another account, and without blanks around it, as in a book.
        eligible : bool
            Whether it may be cross-margined.
        multiplier, floor, minimum : float
            The firm's own terms: house requirement = max(multiplier * requirement, floor, minimum).

        Raises
        ------
        TypeError
            The name is not a text.
        ValueError
            The name is empty, has blanks around it or is taken, or a term is not a finite number of
            zero or more.
        """
        if not isinstance(name, str):
            raise TypeError(f"name: a text expected, got {name!r:.60}")
        terms = {"multiplier": multiplier, "floor": floor, "minimum": minimum}
        for term, value in terms.items():
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{term}: a number of zero or more expected, got {value!r}")
        if not name or name != name.strip():
            raise InputError(f"account {name!r}: a name without blanks around it expected")
        with self._lock:
            scope = self._scope
            if name in scope.accounts:
                raise ValueError(f"account {name!r} is in the session already")
            batch = with_empty_account(
                scope.batch,
                eligible=bool(eligible),
                multiplier=float(multiplier),
                floor=float(floor),
                minimum=float(minimum),
            )
            names = [*scope.accounts, name]
            self._scope = scope_of(
                scope.models, batch, names, memory=self._memory, omnibus=self._omnibus
            )

    def scope(self, *quantities: Quantities) -> Scope:
        """Return what can be asked about, with the instruments of some trades and moves.

        Those that are not priced yet are priced now, all at once.

        Raises
        ------
        TypeError
            The quantities are not mappings.
        ValueError
            An instrument is unknown, or has matured or expired.
        InputError
            The run's inputs lack what a new instrument needs.
        """
        scope = self._scope
        lacking = []
        for given in quantities:
            _check_mapping(given)
            for name in given:
                if name not in scope.instruments and scope.instrument(name) is None:
                    lacking.append(name)
        return self._with_instruments(lacking) if lacking else scope

    def trouble_with(self, names: Iterable[str]) -> dict[str, str]:
        """Return the names that no instrument has, each with what is wrong with it."""
        scope, stages = self._scope, self._stages
        found: dict[str, str] = {}
        for name in names:
            if scope.instrument(name) is None:
                try:
                    find_instrument(name, stages.parsed.securities, scope.models.market.as_of)
                except ValueError as error:
                    found[name] = str(error)
        return found

    def after_fork(self) -> None:
        """Replace the lock in a forked child, where the thread that held it is missing."""
        self._lock = threading.Lock()

    def _with_instruments(self, names: Sequence[str]) -> Scope:
        """Return the scope with further instruments, priced now."""
        stages = self._stages
        parsed, as_of = stages.parsed, stages.models.market.as_of
        found = [find_instrument(name, parsed.securities, as_of) for name in names]
        with self._lock:
            scope = self._scope
            securities = self._securities | {one for one in found if isinstance(one, int)}
            contracts = self._contracts | {one for one in found if isinstance(one, Contract)}
            if (securities, contracts) == (self._securities, self._contracts):
                return scope
            models = extended_models(
                stages, np.array(sorted(securities), np.int64), list(contracts), self._execution
            )
            self._scope = scope_of(
                models,
                widened(scope.batch, scope.models, models),
                list(scope.accounts),
                memory=self._memory,
                omnibus=self._omnibus,
            )
            self._securities, self._contracts = securities, contracts
            return self._scope

    def _resolved(
        self, questions: Iterable[Question], xm: bool
    ) -> tuple[Scope, list[int], list[list[Leg]]]:
        """Return the accounts and the legs of questions."""
        asked = [_checked(question) for question in questions]
        numbers = [self._scope.account(account) for account, _, _ in asked]
        scope = self.scope(*(given for _, *both in asked for given in both))
        legs = [
            [*scope.trade_legs(number, trades, xm=xm), *scope.move_legs(number, moves)]
            for number, (_, trades, moves) in zip(numbers, asked, strict=True)
        ]
        return scope, numbers, legs


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in _sessions:
        session.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_MOST = 100_000
"""Largest limit of `to_cap`, contracts: some tens of seconds."""


def _checked(question: Question) -> tuple[str, Quantities, Quantities]:
    """Return a question with its moves."""
    if not isinstance(question, tuple | list) or len(question) not in (2, 3):
        raise TypeError(
            f'questions: pairs expected, such as ("ACC1", {{"ZNM25": -10}}), or with moves as a '
            f"third, got {question!r:.60}"
        )
    account, trades, *rest = question
    moves = rest[0] if rest else NOTHING
    for given in (trades, moves):
        _check_mapping(given)
    return account, trades, moves


def _check_mapping(given: object) -> None:
    # The test for any mapping takes as long as the rest.
    if type(given) is not dict and not isinstance(given, Mapping):
        raise TypeError(
            'trades or moves: quantities by instrument expected, such as {"ZNM25": -10}, got '
            f"{type(given).__name__}"
        )
