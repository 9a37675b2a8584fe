"""Fifth to seventh stage: margin at each clearing house, the agreement, the requirement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin.agreement.caveats import Caveats, account_caveats
from crossmargin.agreement.clients import Clients
from crossmargin.agreement.offset_methods import scheme
from crossmargin.agreement.requirement import Requirements, require
from crossmargin.agreement.savings import Saving, agree
from crossmargin.arrays import Float, Mask
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CASH, CME, FICC, FUTURES, UNIONS
from crossmargin.engine import Book, Execution, PnlError
from crossmargin.exceptions import InputError
from crossmargin.margin.charges import Charged, charge_book
from crossmargin.margin.model import LARGEST_MARGIN, AmountError
from crossmargin.margin.portfolios import CcpMargin, Items, holds


@dataclass(frozen=True)
class AccountMargins:
    """The margin of the models, and the charges on top of it.

    Attributes
    ----------
    ficc, cme : CcpMargin
        [G x 5].
    charged : tuple of Charged
    occupied : dict of str to ndarray of bool, [G x 5]
        By clearing house, the margin portfolios that hold any position.
    elsewhere : tuple of CcpMargin
        [G x 1], of the clearing houses outside the programme.
    """

    ficc: CcpMargin
    cme: CcpMargin
    charged: tuple[Charged, ...]
    occupied: dict[str, Mask]
    elsewhere: tuple[CcpMargin, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """The share that both clearing houses take off.

    Attributes
    ----------
    saving : Saving
        [A].
    offsets : Items, optional
        The parts of a reduction by tables of the policy.
    """

    saving: Saving
    offsets: Items | None


def margin_accounts(
    book: Book, elsewhere: Mapping[str, Book], models: PreparedModels, execution: Execution
) -> AccountMargins:
    """Return the margin of a netted book at every clearing house.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment, columns the universe's instruments.
    elsewhere : mapping of str to Book
        By clearing house outside the programme; rows are groups.
    models : PreparedModels
    execution : Execution

    Returns
    -------
    AccountMargins

    Raises
    ------
    AmountError
        A margin or charge is absurdly large, or a sum of P&L is not finite.
    """
    ficc, cme = _both_ccps(book, models, execution)
    charges = charge_book(book, models.charges, {FICC: ficc, CME: cme})
    for charged in charges:
        what = f"its charge {charged.name} at {charged.ccp}"
        _refuse_absurd(charged.amount, what)
    occupied = {ccp: holds(book, ccp) for ccp in UNIONS}
    occupied |= {ccp: np.diff(own.row_ptr)[:, None] > 0 for ccp, own in elsewhere.items()}
    further = tuple(_at_ccp(ccp, own, models, execution) for ccp, own in elsewhere.items())
    return AccountMargins(ficc, cme, tuple(charges), occupied, further)


def agree_offsets(
    book: Book,
    models: PreparedModels,
    margins: AccountMargins,
    clients: Clients,
    execution: Execution,
) -> Agreement:
    """Return the share that both clearing houses take off.

    Parameters
    ----------
    book : Book
        As for `margin_accounts`.
    models : PreparedModels
    margins : AccountMargins
        Of that book.
    clients : Clients
        The accounts behind the groups.
    execution : Execution

    Returns
    -------
    Agreement
    """
    own = margins.occupied[FICC][: clients.eligible.size]
    reduction, offsets = _reduction(book, models, margins, own.shape[0], execution)
    saving = agree(
        margins.ficc,
        margins.cme,
        eligible=clients.eligible,
        complete=clients.complete,
        two_sided=own[:, CASH] & own[:, FUTURES],
        rules=models.policy.agreement,
        reduction=reduction,
    )
    return Agreement(saving, offsets)


@contextmanager
def naming_accounts(accounts: pa.Table, clients: Clients) -> Iterator[None]:
    """Raise InputError, with the name of the account, for an amount too large for any account."""
    try:
        yield
    except AmountError as error:
        number = int(clients.group_account[error.group])
        name = accounts["account"][number].as_py()
        raise InputError(f"account {name}: {error}; check the units of its quantities") from None


def require_accounts(
    margins: AccountMargins, agreement: Agreement, clients: Clients
) -> Requirements:
    """Return what each account has to pay.

    Parameters
    ----------
    margins : AccountMargins
    agreement : Agreement
    clients : Clients

    Returns
    -------
    Requirements
    """
    return require(
        margins.ficc,
        margins.cme,
        agreement.saving,
        list(margins.charged),
        group_account=clients.group_account,
        multiplier=clients.multiplier,
        floor=clients.floor,
        minimum=clients.minimum,
        elsewhere=margins.elsewhere,
    )


def caveats_of(
    book: Book, elsewhere: Mapping[str, Book], models: PreparedModels, clients: Clients
) -> Caveats:
    """Return the caveats on each account's figures.

    Parameters
    ----------
    book, elsewhere
        As for `margin_accounts`.
    models : PreparedModels
    clients : Clients

    Returns
    -------
    Caveats
    """
    ficc = models.ccps[FICC]
    return account_caveats(
        book,
        models.universe,
        roots_without_basis=ficc.without_basis,
        roots_without_spread=ficc.without_spread,
        group_account=clients.group_account,
        accounts=clients.eligible.size,
        elsewhere=[(own, models.ccps[ccp].without_spread) for ccp, own in elsewhere.items()],
        rules=models.policy.agreement,
    )


def _both_ccps(
    book: Book, models: PreparedModels, execution: Execution
) -> tuple[CcpMargin, CcpMargin]:
    """Return the margin of a book at FICC and at CME."""
    ficc, cme = (_at_ccp(ccp, book, models, execution) for ccp in (FICC, CME))
    return ficc, cme


def _at_ccp(ccp: str, book: Book, models: PreparedModels, execution: Execution) -> CcpMargin:
    """Return the margin of a book at one clearing house."""
    with _sums_at(ccp):
        margin = models.ccps[ccp].margin(book, execution)
    for amount in (margin.v, *margin.component.values()):
        _refuse_absurd(np.abs(amount), f"its margin at {ccp}")
    return margin


def _refuse_absurd(amount: Float, what: str) -> None:
    """Raise if an amount is too large for any account."""
    group, _ = np.nonzero(amount > LARGEST_MARGIN)
    if group.size:
        raise AmountError(int(group[0]), f"{what} is beyond {LARGEST_MARGIN:,.0f} USD")


def _reduction(
    book: Book,
    models: PreparedModels,
    margins: AccountMargins,
    accounts: int,
    execution: Execution,
) -> tuple[Float | None, Items | None]:
    """Return the reduction by the policy's tables, [A], and its parts; else None."""
    rules = scheme(models.policy, models.universe)
    if rules is None:
        return None, None
    parts = rules.cut(book, accounts)
    try:
        apart = _both_ccps(parts, models, execution)
    except AmountError as error:
        raise AmountError(error.group // rules.buckets, str(error)) from None
    whole = (margins.ficc, margins.cme)
    return rules.reduction(parts, apart, whole, accounts, execution)


@contextmanager
def _sums_at(ccp: str) -> Iterator[None]:
    """Raise for a sum that is not finite, with its group and clearing house."""
    try:
        yield
    except PnlError as error:
        raise AmountError(
            error.account,
            f"the sum of its P&L at {ccp} in scenario {error.scenario} is not finite",
        ) from error
