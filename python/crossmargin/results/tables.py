"""The result tables as Arrow columns: what each account owes, and the parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossmargin import columns, exact
from crossmargin.agreement.caveats import (
    SPREAD_NOT_MODELLED,
    STATUSES,
    Caveats,
    account_status,
)
from crossmargin.agreement.eligibility import ASSIGNMENT_REASONS, Assignment
from crossmargin.agreement.requirement import AMOUNTS, Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Integer, Mask, Text
from crossmargin.book import schemas
from crossmargin.book.netting import Lines
from crossmargin.book.trades import LOT
from crossmargin.conventions import CASH, CME, COMBINED, FICC, FUTURES, PORTFOLIOS, SEGMENTS
from crossmargin.instruments.universe import FUTURE, Universe
from crossmargin.margin.charges import Charged
from crossmargin.margin.portfolios import CcpMargin, Items
from crossmargin.results.schemas.run import (
    ACCOUNTS,
    BREAKDOWN,
    CARRIED,
    COMPONENTS,
    EXCEPTIONS,
    POSITIONS,
)
from crossmargin.results.schemas.shared import STAMPS
from crossmargin.results.table import money


def account_table(
    accounts: pa.Table,
    *,
    ficc: CcpMargin,
    cme: CcpMargin,
    saving: Saving,
    required: Requirements,
    unused: Amount,
    caveats: Caveats,
    eligible: Mask,
    rows_rejected: Integer,
) -> pa.Table:
    """Return the accounts table, a row per account.

    Parameters
    ----------
    accounts : pyarrow.Table
        The accounts as read; columns we do not know are carried along.
    ficc, cme, saving, required, unused, caveats
        From the models and the agreement.
    eligible : ndarray of bool, [A]
        Whether the account may be cross-margined.
    rows_rejected : ndarray of int64, [A]
        Rejected rows that name the account.

    Returns
    -------
    pyarrow.Table
        V and offset rates unrounded, money as decimal; null where unknown.
    """
    size = len(accounts)
    v = {
        f"v_{margin.ccp.lower()}_{PORTFOLIOS[portfolio]}": columns.column(
            margin.v[:size, portfolio], ~margin.unknown[:size, portfolio]
        )
        for margin in (ficc, cme)
        for portfolio in (CASH, FUTURES, COMBINED)
    }
    status = account_status(saving, required, eligible=eligible, rows_rejected=rows_rejected)
    cells = {
        "account": columns.plain(accounts["account"]),
        "status": columns.chosen(STATUSES, status),
        "rows_rejected": columns.column(rows_rejected),
        **v,
        **saving_columns(saving),
        **money_columns(required),
        "unused_saving": _money(unused),
        **caveat_columns(caveats),
        **{column.name: columns.plain(accounts[column.name]) for column in CARRIED},
    }
    return ACCOUNTS.table(cells, _of_the_user(accounts))


def _of_the_user(accounts: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the user's own columns of the accounts, under names that do not clash with ours."""
    given = set(accounts.column_names)
    read = {column.name for column in schemas.ACCOUNTS.columns} | {"row"}
    taken = {column.name for column in (*ACCOUNTS.columns, *STAMPS)}
    carried: dict[str, pa.ChunkedArray] = {}
    for name in accounts.column_names:
        if name not in read:
            # A user's column with a name of ours is carried under another name.
            free = name
            while free in taken or free in carried or (free != name and free in given):
                free = f"input_{free}"
            carried[free] = accounts[name]
    return carried


def saving_columns(saving: Saving) -> dict[str, pa.Array]:
    """Return the columns of savings and agreement; unrounded, null where unknown."""
    return {
        "offset_rate_ficc": columns.column(saving.offset_rate_ficc, saving.known_ficc),
        "offset_rate_cme": columns.column(saving.offset_rate_cme, saving.known_cme),
        "offset_rate": columns.column(saving.offset_rate),
        "binding": _text(saving.binding),
        "capped": columns.column(saving.capped),
        "reason": _text(saving.reason),
    }


def caveat_columns(caveats: Caveats) -> dict[str, pa.Array]:
    """Return the columns of each account's caveats."""
    return {
        "saving_is_upper_bound": columns.column(caveats.saving_is_upper_bound),
        "spread_risk": columns.chosen(
            [SPREAD_NOT_MODELLED], caveats.spread_not_modelled.astype(np.int64) - 1
        ),
    }


def money_columns(required: Requirements) -> dict[str, pa.Array]:
    """Return the columns of a requirement's amounts as decimals, null where unknown."""
    return {name: _money(getattr(required, name)) for name in AMOUNTS}


def component_table(
    ccps: Sequence[CcpMargin],
    charges: list[Charged],
    *,
    account: Text,
    firm: Text,
    occupied: dict[str, Mask],
) -> pa.Table:
    """Return the components table, a row per group, ccp, portfolio and component.

    Parameters
    ----------
    ccps : sequence of CcpMargin
        [G x P] each.
    charges : list of Charged
        On top of V.
    account, firm : ndarray of str, [G]
        Of each group.
    occupied : dict of str to ndarray of bool, [G x 5]
        By ccp, the portfolios that hold any position; the others are left out.

    Returns
    -------
    pyarrow.Table
        Amounts to the cent; null where an instrument is unpriced. A negative measure is a gain.
    """
    parts = []
    accounts, firms = columns.text_column(account), columns.text_column(firm)
    for margin in ccps:
        at_ccp = [c for c in charges if c.ccp == margin.ccp]
        amounts = {**margin.component, "V": margin.v}
        # No agreement reduces what a clearing house outside the programme asks for.
        reducible = dict.fromkeys(amounts, margin.portfolios == PORTFOLIOS)
        for charged in at_ccp:
            name = f"charge: {charged.name}"
            amounts[name], reducible[name] = charged.amount, charged.reducible
        group, portfolio = np.nonzero(occupied[margin.ccp])
        known = ~margin.unknown[group, portfolio]
        account_of, firm_of = (names.take(columns.column(group)) for names in (accounts, firms))
        ccp = columns.repeated(columns.scalar(margin.ccp), group.size)
        name_of = columns.chosen(margin.portfolios, portfolio)
        for name, amount in amounts.items():
            value = np.where(known, amount[group, portfolio], 0.0)
            # Amounts owed are rounded half up, and a gain like the other side's loss.
            cents = np.sign(value).astype(np.int64) * exact.cents(np.abs(value))
            parts.append(
                COMPONENTS.table(
                    {
                        "account": account_of,
                        "clearing_firm": firm_of,
                        "ccp": ccp,
                        "portfolio": name_of,
                        "component": columns.repeated(columns.scalar(name), group.size),
                        "amount": money(cents, known),
                        "reducible": columns.repeated(columns.scalar(reducible[name]), group.size),
                    }
                )
            )
    return pa.concat_tables(parts)


def breakdown_table(
    margins: tuple[CcpMargin, CcpMargin], offsets: Items | None, *, account: Text, firm: Text
) -> pa.Table:
    """Return the breakdown table: parts of components and reductions by root, spread, offset.

    Parameters
    ----------
    margins : pair of CcpMargin
        [G x 5] each.
    offsets : Items, optional
        Of a reduction by tables of the policy.
    account, firm : ndarray of str, [G]
        Of each group.

    Returns
    -------
    pyarrow.Table
        Unrounded, without the parts that an unpriced instrument makes unknown. Ccp and portfolio
        are null for a reduction.
    """
    parts = [] if offsets is None else [_part(offsets, None, account, firm)]
    for margin in margins:
        parts += [_part(items, margin, account, firm) for items in margin.items]
    return pa.concat_tables(parts) if parts else pa.Table.from_batches([], BREAKDOWN.arrow)


def _part(items: Items, margin: CcpMargin | None, account: Text, firm: Text) -> pa.Table:
    """Return the rows of one component."""
    size = items.group.size
    known = np.ones(size, dtype=bool)
    portfolio = np.full(size, -1)
    if margin is not None and items.portfolio is not None:
        portfolio, known = items.portfolio, ~margin.unknown[items.group, items.portfolio]
    quantity, scenario = items.quantity, items.scenario
    ccp = columns.nothing(pa.string()) if margin is None else columns.scalar(margin.ccp)
    cells = {
        "account": columns.chosen(account, items.group),
        "clearing_firm": columns.chosen(firm, items.group),
        "ccp": columns.repeated(ccp, size),
        "portfolio": columns.chosen(PORTFOLIOS, portfolio),
        "component": columns.repeated(columns.scalar(items.component), size),
        "item": columns.chosen(items.name, items.item),
        "quantity": columns.repeated(columns.nothing(pa.float64()), size)
        if quantity is None
        else columns.column(quantity),
        "scenario": columns.repeated(columns.nothing(pa.int64()), size)
        if scenario is None
        else columns.column(scenario),
        "amount": columns.column(items.amount),
    }
    return BREAKDOWN.table(cells).filter(columns.column(known))


def position_table(
    lines: Lines,
    universe: Universe,
    assignment: Assignment,
    account: Text,
    ccps: Sequence[str] = (),
) -> pa.Table:
    """Return the positions table: each netted line, its segment, its assignment reason.

    Parameters
    ----------
    lines : Lines
        [N].
    universe : Universe
        Names of the instruments.
    assignment : Assignment
        Account and firm of the groups.
    account : ndarray of str, [A]
        Names of the accounts.
    ccps : sequence of str
        Clearing houses outside the programme.

    Returns
    -------
    pyarrow.Table
        Quantities in USD of face, USD of a forward cash leg, or contracts; long is positive.
    """
    future = (universe.kind == FUTURE)[lines.instrument]
    group, instrument = lines.group, lines.instrument
    return POSITIONS.table(
        {
            "account": columns.chosen(account, assignment.group_account[group]),
            "clearing_firm": columns.chosen(assignment.group_firm, group),
            "ccp": columns.chosen((FICC, CME, FICC, CME, *ccps), lines.segment),
            "xm": columns.column(lines.xm),
            "segment": columns.chosen((*SEGMENTS, *ccps), lines.segment),
            "instrument": columns.chosen(universe.name, instrument),
            "kind": columns.chosen(universe.kind, instrument),
            "quantity": columns.column(lines.lots * np.where(future, 1, LOT)),
            "assignment_reason": columns.chosen(ASSIGNMENT_REASONS, lines.assignment_reason),
        }
    )


def exception_table(table: pa.Table) -> pa.Table:
    """Return the table of an `ExceptionLog`, checked."""
    return EXCEPTIONS.table(dict(zip(table.column_names, table.columns, strict=True)))


def stamped(table: pa.Table, *, as_of: np.datetime64, cycle: str, run_id: str) -> pa.Table:
    """Return a table of a run with the columns that all such tables end with."""
    day = columns.column(np.array([as_of]))[0]
    values = (day, columns.scalar(cycle), columns.scalar(run_id))
    for stamp, value in zip(STAMPS, values, strict=True):
        table = table.append_column(stamp.name, columns.repeated(value, len(table)))
    return table


def _money(amount: Amount) -> pa.Array:
    return money(amount.cents, amount.known)


def _text(value: npt.NDArray[np.generic]) -> pa.Array:
    """Return texts, empty ones as null."""
    return columns.text_column([text or None for text in value.tolist()])
