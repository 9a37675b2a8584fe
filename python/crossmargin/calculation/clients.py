"""What the agreement has to know of the accounts of a run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.agreement.clients import Clients
from crossmargin.arrays import Integer
from crossmargin.book.accounts import members_of, omnibus_of
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs, rejected_rows


def rows_rejected(parsed: ParsedInputs, exceptions: pa.Table) -> Integer:
    """Return how many rejected rows name each account, or a member if it is an omnibus, [A].

    Parameters
    ----------
    parsed : ParsedInputs
    exceptions : pyarrow.Table
        Of all stages so far; rows are rejected by the first.

    Returns
    -------
    ndarray of int64
    """
    account = columns.plain(parsed.accounts["account"])
    at = columns.integers(pc.index_in(rejected_rows(exceptions)["account"], value_set=account))
    count = np.bincount(at[at >= 0], minlength=len(account)).astype(np.int64)
    omnibus = omnibus_of(parsed.accounts)
    inside = members_of(omnibus)
    total = count.copy()
    np.add.at(total, omnibus[inside], count[inside])
    return total


def clients_of(parsed: ParsedInputs, classified: ClassifiedTrades, rejected: Integer) -> Clients:
    """Return what the agreement has to know of the accounts.

    Parameters
    ----------
    parsed : ParsedInputs
    classified : ClassifiedTrades
    rejected : ndarray of int64, [A]
        From `rows_rejected`.

    Returns
    -------
    Clients
    """
    accounts = parsed.accounts
    return Clients(
        eligible=classified.ineligibility_reason == "",
        complete=rejected == 0,
        multiplier=columns.numbers(accounts["multiplier"]),
        floor=columns.numbers(accounts["floor"]),
        minimum=columns.numbers(accounts["minimum"]),
        group_account=classified.assignment.group_account,
    )
