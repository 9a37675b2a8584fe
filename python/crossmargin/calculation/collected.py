"""What calls start from: what is required at each account's own firm, and what is on deposit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.agreement.requirement import Amount, Requirements, require
from crossmargin.arrays import Float
from crossmargin.book.deposits import Deposits, sum_deposits
from crossmargin.book.plausible import note_repeats
from crossmargin.book.schemas import DEPOSITS
from crossmargin.calculation.result import GIVEN_RATES, Stages
from crossmargin.exceptions import ExceptionLog, InputError, InputWarning
from crossmargin.io.column_map import ColumnsSource, read_column_map
from crossmargin.io.parse import describe_file, describe_input, parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Source
from crossmargin.margin.portfolios import CcpMargin

TOLD = ("run_id", "as_of", "cycle", "synthetic", "policy", GIVEN_RATES)
"""What a manifest repeats of the run's; only a run with given offset rates has the last."""


@dataclass(frozen=True)
class GivenDeposits:
    """The deposits of a file or table, for the accounts of a run.

    Attributes
    ----------
    deposits : Deposits
        [A].
    exceptions : pyarrow.Table
        Rows that were rejected, and notes.
    source : dict
        What the manifest says of the input, and of a columns file.
    """

    deposits: Deposits
    exceptions: pa.Table
    source: dict[str, dict[str, Any]]


def read_deposits(
    source: Source, accounts: pa.Table, column_map: ColumnsSource | None = None
) -> GivenDeposits:
    """Return the deposits of the accounts of a run.

    Parameters
    ----------
    source : path or table
        Its columns are those of `crossmargin.book.schemas.DEPOSITS`.
    accounts : pyarrow.Table
        The accounts of the run as read, such as `stages.parsed.accounts`.
    column_map : path or dict, optional
        Names and units of our columns in the file.

    Returns
    -------
    GivenDeposits

    Raises
    ------
    InputError
        The file cannot be read, has no row that can be used, or its values are absurdly large.

    Warns
    -----
    InputWarning
        Every row occurs more than once.
    """
    log = ExceptionLog()
    mapping = None if column_map is None else read_column_map(column_map)
    given = read_source(source, name=DEPOSITS.name, column_map=mapping)
    for text in given.notes:
        log.add("READ_AS", file=DEPOSITS.name, message=text)
    parsed = parse(given.table, DEPOSITS, file=DEPOSITS.name, log=log, point=given.point)
    deposits = sum_deposits(parsed.table, accounts["account"], log)
    rejected = log.table().filter(pc.equal(log.table()["severity"], columns.scalar("rejected")))
    if parsed.rows_read == len(pc.unique(rejected["row"])):
        first = "".join(
            f"; the first, row {row['row']}: {row['message']}"
            for row in rejected.slice(0, 1).to_pylist()
        )
        raise InputError(
            f"{DEPOSITS.name}: has no row that can be used{first}; give the whole table, with a "
            "row of 0 where nothing is on deposit, or leave it out"
        )
    note_repeats(parsed.table, DEPOSITS, log, what="deposit")
    exceptions = log.table()
    if pc.any(pc.equal(exceptions["code"], columns.scalar("FILE_REPEATED"))).as_py():
        warnings.warn(
            f"every row of {DEPOSITS.name} occurs more than once, as if the file had been given "
            "twice; each is counted",
            InputWarning,
            stacklevel=3,
        )
    described = {DEPOSITS.name: describe_input(given, parsed)}
    if mapping is not None:
        described["columns"] = describe_file(mapping.path, mapping.hash)
    return GivenDeposits(deposits, exceptions, described)


def own_requirements(stages: Stages, offset_rate: Float | None = None) -> Requirements:
    """Return what is required for each account's positions at its own clearing firm.

    Parameters
    ----------
    stages : Stages
    offset_rate : ndarray of float64, [A], optional
        In place of the one that was agreed.

    Returns
    -------
    Requirements
        [A].
    """
    clients, margins = stages.clients, stages.margins
    accounts, saving = clients.eligible.size, stages.agreement.saving
    if offset_rate is None and clients.group_account.size == accounts:
        return stages.requirements
    if offset_rate is not None:
        saving = replace(saving, offset_rate=offset_rate)

    def own(margin: CcpMargin) -> CcpMargin:
        return replace(
            margin, v=margin.v[:accounts], unknown=margin.unknown[:accounts], component={}, items=()
        )

    return require(
        own(margins.ficc),
        own(margins.cme),
        saving,
        list(margins.charged),
        group_account=np.arange(accounts),
        multiplier=clients.multiplier,
        floor=clients.floor,
        minimum=clients.minimum,
        elsewhere=[own(margin) for margin in margins.elsewhere],
    )


def deposited(given: GivenDeposits | None, accounts: int) -> tuple[Amount, Amount]:
    """Return what is on deposit for FICC and for CME, [A]; unknown where nothing is given."""
    if given is None:
        nothing = Amount(np.zeros(accounts, np.int64), np.zeros(accounts, bool))
        return nothing, nothing
    deposits = given.deposits
    return Amount(deposits.ficc, deposits.known), Amount(deposits.cme, deposits.known)
