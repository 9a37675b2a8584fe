"""Rows that real files hold beside good ones: uncovered holdings, edge cases, and bad rows."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import numpy as np
import pyarrow as pa

from crossmargin.instruments.securities import Securities
from crossmargin.market.calendars import MONTH, add_business_days
from crossmargin.market.draws import Draws
from crossmargin.sample.book import Accounts
from crossmargin.sample.market import symbol

Row = dict[str, Any]

ACCOUNTS_PER_HOLDER = 100
"""One in this many accounts holds a security that no model covers."""
ACCOUNTS_PER_FLAW = 5000
"""Each kind of bad row appears once, and once more for each time this many accounts."""
ROWS_PER_VICTIM = 2
"""Number of bad rows that share an account, so that few accounts are incomplete."""
UNKNOWN_ACCOUNT, UNKNOWN_CUSIP = "999999", "SYN000000"
INVALID_ACCOUNT, DUPLICATE_ACCOUNT = "900001", "900002"
INVALID_CUSIP, DUPLICATE_CUSIP = "SYN999998", "SYN999999"
UNKNOWN_FIRM = "Synthetic Unknown Firm"


def flawed_accounts(accounts: pa.Table) -> pa.Table:
    """Return accounts with an unreadable row and a repeated row added at the end."""
    row = accounts.slice(len(accounts) - 1).to_pylist()[0]
    more = [
        row | {"account": INVALID_ACCOUNT, "origin": "broker"},
        row | {"account": DUPLICATE_ACCOUNT, "multiplier": 1.0},
        row | {"account": DUPLICATE_ACCOUNT, "multiplier": 1.5},
    ]
    return pa.concat_tables([accounts, pa.Table.from_pylist(more, schema=accounts.schema)])


def flawed_securities(securities: pa.Table, matured: pa.Table) -> pa.Table:
    """Return securities with a matured, an unreadable and a repeated row added."""
    row = matured.to_pylist()[0] | {"maturity_date": securities["maturity_date"][-1].as_py()}
    more = [
        row | {"cusip": INVALID_CUSIP, "coupon_pct": 418.75},
        row | {"cusip": DUPLICATE_CUSIP, "coupon_pct": 4.0},
        row | {"cusip": DUPLICATE_CUSIP, "coupon_pct": 4.125},
    ]
    bad = pa.Table.from_pylist(more, schema=securities.schema)
    return pa.concat_tables([securities, matured, bad])


def flawed_positions(
    draws: Draws,
    positions: pa.Table,
    accounts: Accounts,
    securities: Securities,
    matured: str,
    as_of: np.datetime64,
) -> pa.Table:
    """Return positions with edge cases and bad rows added, in the order of the accounts.

    Parameters
    ----------
    draws : Draws
        Consumed.
    positions : pyarrow.Table
        Good rows.
    accounts : Accounts
        The added rows go to customers among them.
    securities : Securities
        The outstanding securities.
    matured : str
        CUSIP of a note that has matured.
    as_of : datetime64[D]
        The margin date.

    Returns
    -------
    pyarrow.Table
        The columns of `positions`.
    """
    customers = accounts.name[~accounts.house]
    rows = _uncovered(draws, securities, customers, accounts.name.size, as_of)
    copies = 1 + accounts.name.size // ACCOUNTS_PER_FLAW
    bad = list(_flaws(securities, matured, as_of).values()) * copies
    victims = customers[draws.below(customers.size, 1 + len(bad) // ROWS_PER_VICTIM)]
    for n, row in enumerate(bad):
        rows.append({"account": victims[n // ROWS_PER_VICTIM]} | row)
    more = pa.Table.from_pylist(rows, schema=positions.schema)
    everything = pa.concat_tables([positions, more])
    order = np.argsort(everything["account"].to_numpy().astype(str), kind="stable")
    return everything.take(pa.array(order)).combine_chunks()


def _cash(day: date, instrument: str, **changes: Any) -> Row:
    """Return an unsettled purchase, with some cells changed."""
    row = {"kind": "cash", "instrument": instrument, "quantity": 1e6, "xm": True}
    return row | {"settle_date": day, "failed": False} | changes


def _uncovered(
    draws: Draws, securities: Securities, customers: Any, count: int, as_of: np.datetime64
) -> list[Row]:
    """Return purchases of TIPS, floaters, bills, strips and mortgage pools."""
    cusip = securities.cusip[~securities.nominal]
    day = _business_day(as_of, 1)
    holders = 1 + count // ACCOUNTS_PER_HOLDER
    account = customers[draws.below(customers.size, holders)]
    bought = cusip[draws.below(cusip.size, holders)]
    xm = draws.uniform(holders) < 0.5
    size = 1e6 * (1.0 + draws.below(20, holders))
    return [
        {"account": a} | _cash(day, c, quantity=float(q), xm=bool(x))
        for a, c, q, x in zip(account, bought, size, xm, strict=True)
    ]


def _flaws(securities: Securities, matured: str, as_of: np.datetime64) -> dict[str, Row]:
    """Return a row without its account for each exception that a positions file can raise."""
    month = as_of.astype("datetime64[M]")
    quarter = month - int(month.astype(np.int64) + 1) % 3 * MONTH  # the last of March, June, ...
    note = securities.cusip[securities.type == "note"][-1]
    day = {n: _business_day(as_of, n) for n in (-3, 0, 1, 5)}
    cash = _cash(day[1], note)
    repo = _cash(day[1], note) | {
        "kind": "repo",
        "settle_date": None,
        "start_date": day[0],
        "end_date": day[5],
        "repo_rate": 4.0,
    }
    front = symbol("ZN", quarter + 3 * MONTH)
    future: Row = {"kind": "future", "instrument": front, "quantity": -10.0, "xm": True}
    return {
        # Good rows that look bad.
        "one-digit year": future | {"instrument": front[:-2] + front[-1]},
        "failed purchase": cash | {"settle_date": day[-3], "failed": True},
        "failed repo": repo | {"start_date": day[-3], "failed": True},
        "another firm": cash | {"clearing_firm": UNKNOWN_FIRM},
        "account twice": cash | {"account": DUPLICATE_ACCOUNT},
        "security twice": cash | {"instrument": DUPLICATE_CUSIP},
        # Bad ones.
        "ACCOUNT_UNKNOWN": cash | {"account": UNKNOWN_ACCOUNT},
        "account unreadable": cash | {"account": INVALID_ACCOUNT},
        "INSTRUMENT_UNKNOWN": cash | {"instrument": UNKNOWN_CUSIP},
        "security unreadable": cash | {"instrument": INVALID_CUSIP},
        "SECURITY_MATURED": cash | {"instrument": matured},
        "CONTRACT_UNKNOWN": future | {"instrument": symbol("ZN", quarter + 4 * MONTH)},
        "CONTRACT_EXPIRED": future | {"instrument": symbol("ZN", quarter - 3 * MONTH)},
        "contract not listed yet": future | {"instrument": symbol("TN", quarter + 15 * MONTH)},
        "KIND_UNKNOWN": cash | {"kind": "swap"},
        "QUANTITY_INVALID": cash | {"quantity": np.inf},
        "side told twice": repo | {"quantity": -1e6},
        "QUANTITY_NOT_WHOLE_LOT": cash | {"quantity": 1_000_050.0},
        "half a contract": future | {"quantity": 12.5},
        "XM_UNREADABLE": cash | {"xm": None},
        "DATE_INVALID": repo | {"start_date": day[5], "end_date": day[1]},
        "VALUE_INVALID": repo | {"repo_rate": 430.0},
        "SETTLED": cash | {"settle_date": day[0]},
        "repo over": repo | {"start_date": day[-3], "end_date": day[0]},
    }


def _business_day(as_of: np.datetime64, n: int) -> date:
    """Return the n-th business day after `as_of`."""
    return cast(date, add_business_days(as_of, n, "bond").item())
