"""All charges, in the order of their rows in the components table."""

from __future__ import annotations

from collections.abc import Mapping

from crossmargin.engine import Book
from crossmargin.margin.charges import (
    cme_concentration,
    cme_liquidity,
    gross_value,
    holiday,
    liquidity,
    repo_rate,
)
from crossmargin.margin.charges.charge import Charge, Charged, ChargeInputs
from crossmargin.margin.portfolios import CcpMargin

CHARGES = (gross_value, repo_rate, liquidity, holiday, cme_liquidity, cme_concentration)
"""Modules with a function `prepare`, which returns no charge if the policy has no table for it."""


def prepare_charges(inputs: ChargeInputs) -> tuple[Charge, ...]:
    """Return the charges of a policy, prepared for the instruments of a run.

    Parameters
    ----------
    inputs : ChargeInputs

    Returns
    -------
    tuple of Charge
        In the order of `CHARGES`.

    Raises
    ------
    InputError
        A contract that is charged by its volume has no volume.
    HistoryShortError
        The history is too short for the rates that are calibrated.
    """
    return tuple(charge for module in CHARGES for charge in module.prepare(inputs))


def charge_book(
    book: Book, charges: tuple[Charge, ...], margins: Mapping[str, CcpMargin]
) -> list[Charged]:
    """Return the amounts of each charge.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment.
    charges : tuple of Charge
        From `prepare_charges`.
    margins : mapping of str to CcpMargin
        By ccp, the margin of the same book.

    Returns
    -------
    list of Charged
        One for each charge, in the same order.
    """
    return [Charged(c.name, c.ccp, c.reducible, c.amount(book, margins[c.ccp])) for c in charges]
