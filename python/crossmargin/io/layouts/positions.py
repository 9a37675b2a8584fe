"""Positions as exchanges and back offices report them, in our columns.

A report is recognised by its header; case, spaces and underscores of the names do not matter. What
a position's `xm` is comes from a column, if there is one. Else the cross-margin report holds
cross-margined positions only, and positions in listed products are taken as not cross-margined.
"""

from __future__ import annotations

import pyarrow as pa

from crossmargin.exceptions import InputError
from crossmargin.io.layouts.headers import plain_names
from crossmargin.io.layouts.listed import is_listed, listed
from crossmargin.io.layouts.reports import blank_rows, column_of, constant, made, stamp_of
from crossmargin.io.tables import Given

OURS = ("account", "kind", "instrument", "quantity")
"""A file with these columns is in our own form."""
_XM_CUSIP = ("account", "cusip", "position", "business_date", "cycle")
"""Columns of the cross-margin report by CUSIP."""


def from_positions_report(given: Given) -> Given:
    """Return a report of positions in our columns; a file in our own form unchanged.

    Parameters
    ----------
    given : Given
        The table as read.

    Returns
    -------
    Given
        With notes on what was read.

    Raises
    ------
    InputError
        The report is of a kind that holds no positions to margin, or of several cycles.
    """
    if set(OURS) <= plain_names(given.table).keys():
        return given
    _refuse_equivalents(given.table)
    for layout in (xm_cusip, listed):
        read = layout(given)
        if read is not None:
            return read
    return given


def is_known(table: pa.Table) -> bool:
    """Tell whether positions are in our own form, or in that of a known report."""
    return set(OURS) <= plain_names(table).keys() or _is_xm_cusip(table) or is_listed(table)


def xm_cusip(given: Given) -> Given | None:
    """Read the exchange's cross-margin report by CUSIP: what FICC has allocated to each account.

    Each row is taken as an unsettled purchase or sale of its face, cross-margined unless a column
    says otherwise.
    """
    table = given.table
    if not _is_xm_cusip(table):
        return None
    found = {name: column_of(table, name) or "" for name in _XM_CUSIP}
    blank = blank_rows(table)
    cells: dict[str, pa.Array] = {
        "account": table[found["account"]],
        "kind": constant("cash", blank),
        "instrument": table[found["cusip"]],
        "quantity": table[found["position"]],
    }
    xm = column_of(table, "xm")
    cells["xm"] = constant("true", blank) if xm is None else table[xm]
    says = "cross-margined" if xm is None else f"cross-margined where `{xm}` says so"
    stamp = stamp_of(table)
    note = f"read as the cross-margin report by CUSIP of {stamp}: unsettled positions, {says}"
    used = [name for name in (*found.values(), column_of(table, "run"), xm) if name]
    return made(given, cells, used, note, stamp)


def _is_xm_cusip(table: pa.Table) -> bool:
    return all(column_of(table, name) is not None for name in _XM_CUSIP)


def _refuse_equivalents(table: pa.Table) -> None:
    """Refuse the report of the same Treasury positions as futures-equivalents.

    In doubt too: futures that are none would be margined, and offset the positions that they are.
    """

    def has(*names: str) -> bool:
        return all(column_of(table, name) is not None for name in names)

    of_contracts = has("product", "month", "position")
    if of_contracts and (has("cusip") or has("business_date", "cycle")):
        raise InputError(
            "positions: these are the columns of the exchange's report of Treasury positions as "
            "futures-equivalents (XMFICCPOSN), whose rows are no futures. Give the report by CUSIP "
            "(XMFICCCUSIP), whose positions are the same; if these are futures, name the columns "
            "in a columns file, with a constant `kind`"
        )
