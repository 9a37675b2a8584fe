"""The basket of a Treasury future from a table of securities, as a function of its own."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin.instruments.baskets import DELIVERABLE_KINDS, deliverable
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.conversion import conversion_factors
from crossmargin.instruments.schedule import as_dates
from crossmargin.market.rates import check_coupons


def deliverable_basket(
    *, root: str, delivery_month: Any, securities: Any, as_of: npt.ArrayLike
) -> pa.Table:
    """Return the securities deliverable into a Treasury future, with their conversion factors.

    Parameters
    ----------
    root : str
        ZT, Z3N, ZF, ZN, TN, TWE, ZB or UB.
    delivery_month : date_like
        Such as "2025-06".
    securities : table
        Any table with the Arrow PyCapsule protocol (Arrow, pandas, polars), with columns cusip,
        coupon_pct, issue_date, maturity_date and, optionally, type and resold_as.
    as_of : date_like
        Issues dated up to seven days later count, if they are issued by last delivery.

    Returns
    -------
    pyarrow.Table
        cusip, coupon_pct (percent), issue_date, maturity_date, conversion_factor; by maturity, then
        cusip.

    Raises
    ------
    ValueError
        The contract was never listed or is not a Treasury future; a column is missing or
        unreadable; or a coupon looks like a decimal.
    """
    month = cast(np.datetime64, as_dates(delivery_month, "delivery_month")[()])
    contract = Contract(root, month)
    source = pa.table(securities)
    table = pa.table(
        {
            "cusip": _column(source, "cusip", pa.string()),
            "coupon_pct": _column(source, "coupon_pct", pa.float64()),
            "issue_date": _column(source, "issue_date", pa.date32()),
            "maturity_date": _column(source, "maturity_date", pa.date32()),
        }
    )
    kind = _optional_text(source, "type")
    nominal = [k is None or k in DELIVERABLE_KINDS for k in kind or [None] * len(table)]
    check_coupons(table["coupon_pct"].to_numpy()[np.array(nominal, np.bool_)])
    mask = deliverable(
        contract,
        issue_date=table["issue_date"].to_numpy(),
        maturity_date=table["maturity_date"].to_numpy(),
        as_of=as_of,
        resold_as=_optional_text(source, "resold_as"),
        kind=kind,
    )
    basket = table.filter(pa.array(mask)).sort_by(
        [("maturity_date", "ascending"), ("cusip", "ascending")]
    )
    factors = conversion_factors(
        contract, basket["coupon_pct"].to_numpy() / 100.0, basket["maturity_date"].to_numpy()
    )
    return basket.append_column("conversion_factor", pa.array(factors, pa.float64()))


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a required column, cast to a type."""
    if name not in table.column_names:
        raise ValueError(f"securities: column {name!r} is missing; given: {table.column_names}")
    try:
        column = pc.cast(table[name], kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"securities: column {name!r}: {error}") from None
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise ValueError(f"securities: column {name!r} is blank in row {row + 1}; give a value")
    return column


def _optional_text(table: pa.Table, name: str) -> list[str | None] | None:
    """Return an optional text column, with blanks as None."""
    if name not in table.column_names:
        return None
    return [text or None for text in table[name].cast(pa.string()).to_pylist()]
