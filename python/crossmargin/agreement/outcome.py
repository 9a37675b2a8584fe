"""From a netted book to what each account owes: both models, the agreement, the requirement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.offset_methods import scheme
from crossmargin.agreement.requirement import Requirement, require
from crossmargin.agreement.savings import Saving, agree
from crossmargin.arrays import Float, Integer, Mask
from crossmargin.conventions import CASH, CME, FICC, FUTURES, UNIONS
from crossmargin.engine import Book, PnlError
from crossmargin.instruments.universe import Universe
from crossmargin.margin.charges import Charge, Charged, charge_book
from crossmargin.margin.cme.historical import cme_margin
from crossmargin.margin.cme.span import span_margin
from crossmargin.margin.cubes import HouseCubes
from crossmargin.margin.ficc.haircuts import Haircuts, haircut_amount
from crossmargin.margin.ficc.var import ficc_margin
from crossmargin.margin.portfolios import CcpMargin, Items, holds
from crossmargin.policies import Policy

LARGEST_MARGIN = 1e11
"""USD; more than FICC asks of all its members together."""


class AmountError(ValueError):
    """An amount that no account can have; a total of such could not be held in cents.

    Attributes
    ----------
    group : int
        The group of the book it belongs to.
    """

    def __init__(self, group: int, problem: str) -> None:
        super().__init__(group, problem)
        self.group = group

    def __str__(self) -> str:
        return str(self.args[1])


@dataclass(frozen=True)
class Models:
    """All that turns a book into margin: instruments, cubes, rates, parameters, charges."""

    universe: Universe
    cubes: HouseCubes
    floor_rate: Float
    policy: Policy
    haircuts: Haircuts | None = None
    charges: tuple[Charge, ...] = ()


@dataclass(frozen=True)
class Clients:
    """What the agreement has to know of the accounts.

    Attributes
    ----------
    eligible, complete : ndarray of bool, [A]
        May be cross-margined; none of its rows was rejected.
    multiplier, floor, minimum : ndarray of float64, [A]
        The firm's own terms.
    group_account : ndarray of int64, [G]
        The account of each group of the book; the first A groups are the accounts themselves.
    """

    eligible: Mask
    complete: Mask
    multiplier: Float
    floor: Float
    minimum: Float
    group_account: Integer


@dataclass(frozen=True)
class Outcome:
    """What the models and the agreement say of a book.

    Attributes
    ----------
    ficc, cme : CcpMargin
        [G x 5].
    charges : list of Charged
    occupied : dict of str to ndarray of bool, [G x 5]
        By house, the portfolios that hold anything.
    saving, required
        [A].
    offsets : Items, optional
        What a reduction by tables of the policy is made of.
    """

    ficc: CcpMargin
    cme: CcpMargin
    charges: list[Charged]
    occupied: dict[str, Mask]
    saving: Saving
    required: Requirement
    offsets: Items | None


def margin_book(
    book: Book,
    models: Models,
    clients: Clients,
    *,
    threads: int | None = None,
    backend: str = "auto",
) -> Outcome:
    """Margin a netted book.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment, columns the universe's instruments.
    models : Models
        Cubes and parameters.
    clients : Clients
        The accounts behind the groups.
    threads, backend
        As in `engine.segment_tails`.

    Returns
    -------
    Outcome

    Raises
    ------
    AmountError
        A margin is absurdly large, or a sum of P&L not even finite.
    """
    ficc, cme = _both_houses(book, models, threads=threads, backend=backend)
    charges = charge_book(book, models.charges, {FICC: ficc, CME: cme})
    for charged in charges:
        group, _ = np.nonzero(charged.amount > LARGEST_MARGIN)
        if group.size:
            raise AmountError(
                int(group[0]),
                f"its charge {charged.charge.name} at {charged.charge.ccp} is beyond "
                f"{LARGEST_MARGIN:,.0f} USD",
            )
    occupied = {house: holds(book, house) for house in UNIONS}
    own = occupied[FICC][: clients.eligible.size]
    reduction, offsets = _reduction(
        book, models, ficc, cme, own.shape[0], threads=threads, backend=backend
    )
    saving = agree(
        ficc,
        cme,
        eligible=clients.eligible,
        complete=clients.complete,
        two_sided=own[:, CASH] & own[:, FUTURES],
        rules=models.policy.agreement,
        reduction=reduction,
    )
    required = require(
        ficc,
        cme,
        saving,
        charges,
        group_account=clients.group_account,
        multiplier=clients.multiplier,
        floor=clients.floor,
        minimum=clients.minimum,
    )
    return Outcome(ficc, cme, charges, occupied, saving, required, offsets)


def _both_houses(
    book: Book, models: Models, *, threads: int | None, backend: str
) -> tuple[CcpMargin, CcpMargin]:
    """Return what each house's model says of a book."""
    universe, cubes, policy = models.universe, models.cubes, models.policy
    haircuts = models.haircuts
    with _sums_at(FICC):
        ficc = ficc_margin(
            book,
            cubes.ficc,
            universe,
            cubes.unpriced_ficc == "",
            models.floor_rate,
            policy.ficc,
            haircut=None if haircuts is None else haircut_amount(book, universe, haircuts),
            threads=threads,
            backend=backend,
        )
    with _sums_at(CME):
        if cubes.span is not None:
            cme = span_margin(book, cubes.span, threads=threads, backend=backend)
        else:
            assert cubes.cme is not None
            cme = cme_margin(
                book,
                cubes.cme,
                cubes.stressed,
                cubes.unpriced_cme == "",
                policy.cme,
                threads=threads,
                backend=backend,
            )
    for margin in (ficc, cme):
        for amount in (margin.v, *margin.component.values()):
            group, _ = np.nonzero(np.abs(amount) > LARGEST_MARGIN)
            if group.size:
                raise AmountError(
                    int(group[0]),
                    f"its margin at {margin.ccp} is beyond {LARGEST_MARGIN:,.0f} USD",
                )
    return ficc, cme


def _reduction(
    book: Book,
    models: Models,
    ficc: CcpMargin,
    cme: CcpMargin,
    accounts: int,
    *,
    threads: int | None,
    backend: str,
) -> tuple[Float | None, Items | None]:
    """Return the reduction by the policy's tables, [A]; None where the models' savings rule."""
    rules = scheme(models.policy, models.universe)
    if rules is None:
        return None, None
    parts = rules.cut(book, accounts)
    try:
        apart = _both_houses(parts, models, threads=threads, backend=backend)
    except AmountError as error:
        raise AmountError(error.group // rules.buckets, str(error)) from None
    return rules.reduction(parts, apart, (ficc, cme), accounts, threads=threads, backend=backend)


@contextmanager
def _sums_at(house: str) -> Iterator[None]:
    """Say of a sum that is not finite whose it is, and at which house."""
    try:
        yield
    except PnlError as error:
        raise AmountError(
            error.account,
            f"the sum of its P&L at {house} in scenario {error.scenario} is not finite",
        ) from error
