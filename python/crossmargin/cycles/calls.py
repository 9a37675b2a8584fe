"""What to call from each account, what is in excess, and what may be paid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.caveats import STATUSES, account_status
from crossmargin.agreement.collection import (
    STANDING,
    TERMS,
    Collection,
    Terms,
    at_most,
    collect,
    stand,
)
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.arrays import Integer, Mask
from crossmargin.calculation.collected import (
    TOLD,
    GivenDeposits,
    deposited,
    own_requirements,
    read_deposits,
)
from crossmargin.calculation.margins import naming_accounts
from crossmargin.calculation.result import RunResult, Stages, stages_of
from crossmargin.engine import Execution
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.exact import cents
from crossmargin.exceptions import ExceptionLog, InputError, counts
from crossmargin.io.column_map import ColumnsSource
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import CALLS as CALLS_DIRECTORY
from crossmargin.io.results import write_results
from crossmargin.io.tables import Source
from crossmargin.margin.house import prepare_house_model
from crossmargin.margin.model import ModelInputs
from crossmargin.market.scenarios import HistoryShortError
from crossmargin.policies import CustomerRules, HouseModelRules
from crossmargin.results.schemas.calls import CALLS, CUSTOMERS
from crossmargin.results.table import Table, money
from crossmargin.results.tables import exception_table, stamped

TABLES = ("accounts", "customers", "exceptions")
HEIGHTENED = "heightened"


@dataclass(frozen=True)
class Calls:
    """What is collected for each account of a run, and how deposits stand against it.

    Attributes
    ----------
    accounts : Table
        A row per account; the columns are those of `crossmargin.results.schemas.calls.CALLS`.
    customers : Table
        A row per customer, its accounts summed, and what it may be paid if they are taken as one.
    exceptions : Table
        Rows of the deposits that were set aside, and notes.
    manifest : dict
        The run and the policy they belong to, and what was read.
    """

    accounts: Table
    customers: Table
    exceptions: Table
    manifest: dict[str, Any]

    def write(self, out: str | Path) -> Path:
        """Write accounts, customers and exceptions (Parquet) and the manifest, all or nothing.

        Parameters
        ----------
        out : str or Path
            The directory. Earlier calls there are replaced.

        Returns
        -------
        Path
            The directory.

        Raises
        ------
        InputError
            The directory holds something else, such as results of a run, or cannot be written.
        """
        tables = {name: getattr(self, name).to_arrow() for name in TABLES}
        return write_results(out, tables, self.manifest, what=CALLS_DIRECTORY)

    def __repr__(self) -> str:
        """Return the day and the number of accounts as text."""
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        return (
            f"<Calls {self.manifest['as_of']} {self.manifest['cycle']}{mark}: "
            f"{len(self.accounts):,} accounts, {len(self.customers):,} customers>"
        )

    def _repr_html_(self) -> str:
        """Return the size, and the first rows of the accounts."""
        return f"<p>{escape(repr(self))}</p>{self.accounts._repr_html_()}"


def calls(
    run: RunResult,
    deposits: Source | None = None,
    columns: ColumnsSource | None = None,
    threads: int | None = None,
) -> Calls:
    """Return what to call from each account of a run, what is in excess, what may be paid out.

    Parameters
    ----------
    run : RunResult
        With its stages. Its offset rates may be those of `with_offset_rates`.
    deposits : path or table, optional
        What is on deposit by account and clearing house, USD after haircuts; its columns are those
        of `crossmargin.book.schemas.DEPOSITS`. Without it only what is collected is known.
    columns : path or dict, optional
        Names and units of our columns in the deposits, as for `crossmargin.run`.
    threads : int, optional
        As many as the process may use if not given. The answer does not depend on it.

    Returns
    -------
    Calls

    Raises
    ------
    TypeError, ValueError
        `run` is of another kind or has no stages.
    InputError
        The deposits cannot be used; an account asks for the house model, and the policy has none
        or the history is too short for it; a risk profile is heightened, and the policy has no
        table `customers`.

    Notes
    -----
    Collected is the largest of R, multiplier * R, floor, minimum and the house model's margin; R is
    what the clearing houses require at the account's own firm, with the addition of a heightened
    risk profile. Accounts of one customer are apart: no account's excess covers another's call.
    That is separate account treatment, which a firm elects (17 CFR 1.44). For one that has not,
    `customers` has what a customer may be paid if its accounts are taken as one. What is not known
    is null: an account with a rejected row of deposits has no call.

    Examples
    --------
    >>> called = calls(run, "deposits.csv")  # doctest: +SKIP
    >>> called.accounts["call"]  # doctest: +SKIP
    """
    stages = stages_of(run, given_rates=True)
    given = None
    if deposits is not None:
        given = read_deposits(deposits, stages.parsed.accounts, columns)
    return calls_of(stages, run.manifest, given, Execution(threads))


def calls_of(
    stages: Stages,
    manifest: Mapping[str, Any],
    deposits: GivenDeposits | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> Calls:
    """Return the calls of a run's stages; see `calls`.

    Parameters
    ----------
    stages : Stages
    manifest : mapping
        Of the run; what `TOLD` names is repeated.
    deposits : GivenDeposits, optional
        From `read_deposits`, for these accounts.
    execution : Execution

    Returns
    -------
    Calls
    """
    required = own_requirements(stages)
    log = ExceptionLog()
    if deposits is not None:
        log.extend(deposits.exceptions)
    parts = _parts(stages, required)
    with naming_accounts(stages.parsed.accounts, stages.clients):
        house = _house_margin(stages, log, execution)
        collection = collect(
            required.requirement,
            required.requirement_cme + required.other_cme,
            _terms(stages),
            Amount(house.cents, house.known | ~_asks(stages)),
        )
    at_ficc, at_cme = deposited(deposits, stages.clients.eligible.size)
    standing = stand(
        parts["required_ficc"],
        parts["required_cme"],
        collection.collected,
        at_ficc,
        at_cme,
        stages.clients.complete,
    )
    parts |= {
        "heightened_addition": collection.heightened,
        "house_margin": house,
        "collected": collection.collected,
        "deposit_ficc": at_ficc,
        "deposit_cme": at_cme,
        **{name: getattr(standing, name) for name in STANDING},
    }
    told = {name: manifest[name] for name in TOLD if name in manifest}
    tables = {
        "accounts": _account_table(stages, parts, collection),
        "customers": _customer_table(stages, parts),
        "exceptions": exception_table(log.table()),
    }
    stamps = {"as_of": stages.models.market.as_of, "cycle": told["cycle"], "run_id": told["run_id"]}
    tables = {name: stamped(table, **stamps) for name, table in tables.items()}
    return Calls(
        **{name: Table(table) for name, table in tables.items()},
        manifest={
            **told,
            "inputs": {} if deposits is None else deposits.source,
            "house_model_accounts": int(np.count_nonzero(_asks(stages))),
            "exceptions": counts(log.table()),
            "results": {
                name: {"rows": len(table), "hash": table_hash(table, without=("run_id",))}
                for name, table in tables.items()
            },
        },
    )


def _parts(stages: Stages, required: Requirements) -> dict[str, Amount]:
    """Return what each clearing house requires at the account's own firm, and other firms'."""
    whole = stages.requirements.requirement
    own = required.requirement
    # Unknown at the own firm does not make the rest unknown, but their difference is then.
    elsewhere = Amount(whole.cents - own.cents, whole.known & own.known)
    return {
        "required_ficc": required.requirement_ficc + required.other_ficc,
        "required_cme": required.requirement_cme + required.other_cme,
        "required_other_ccps": required.other_ccps,
        "required_elsewhere": elsewhere,
    }


def _asks(stages: Stages) -> Mask:
    """Return which accounts ask for the house model."""
    return columns.flags(stages.parsed.accounts["house_model"])


def _terms(stages: Stages) -> Terms:
    """Return the firm's own terms.

    Raises
    ------
    InputError
        A risk profile is heightened, and the policy does not say what that adds.
    """
    clients, policy = stages.clients, stages.models.policy
    heightened = columns.texts(stages.parsed.accounts["risk_profile"]) == HEIGHTENED
    rules = policy.get(CustomerRules)
    if rules is None and heightened.any():
        name = stages.parsed.accounts["account"][int(np.argmax(heightened))].as_py()
        raise InputError(
            f"account {name}: its risk_profile is {HEIGHTENED}, and policy {policy.name} has no "
            f"table {CustomerRules.table}; add it"
        )
    return Terms(
        clients.multiplier,
        clients.floor,
        clients.minimum,
        heightened,
        1.0 if rules is None else rules.heightened_multiplier,
    )


def _house_margin(stages: Stages, log: ExceptionLog, execution: Execution) -> Amount:
    """Return the margin of the house model; unknown where an account does not ask for it.

    Raises
    ------
    InputError
        An account asks for it, and the policy has none, or the history is too short.
    """
    asks = _asks(stages)
    margin = Amount(np.zeros(asks.size, np.int64), np.zeros(asks.size, bool))
    accounts = np.flatnonzero(asks)
    if not accounts.size:
        return margin
    models, parsed = stages.models, stages.parsed
    rules = models.policy.get(HouseModelRules)
    if rules is None:
        name = parsed.accounts["account"][int(accounts[0])].as_py()
        raise InputError(
            f"account {name}: it asks for the house model, and policy {models.policy.name} has no "
            f"table {HouseModelRules.table}; add it"
        )
    inputs = ModelInputs(
        universe=models.universe,
        held=parsed.securities.take(parsed.trades.held),
        market=models.market,
        scenarios=rules.scenarios,
        eligible=models.eligible,
        store=stages.kept.scenarios,
    )
    try:
        model = prepare_house_model(rules, inputs, execution)
    except HistoryShortError as error:
        raise InputError(f"{HouseModelRules.table}: {error}") from None
    for note in model.notes:
        log.add(note.code, file=note.file, message=note.message)
    found = model.margin(stages.netted.book, stages.netted.elsewhere, accounts, execution)
    margin.cents[accounts] = cents(np.where(found.unknown, 0.0, found.v))
    margin.known[accounts] = ~found.unknown
    return margin


def _account_table(stages: Stages, parts: Mapping[str, Amount], collection: Collection) -> pa.Table:
    """Return the table of accounts."""
    accounts, clients = stages.parsed.accounts, stages.clients
    status = account_status(
        stages.agreement.saving,
        stages.requirements,
        eligible=clients.eligible,
        rows_rejected=stages.rows_rejected,
    )
    decided = np.where(collection.collected.known, collection.by, -1)
    given = ("account", "customer", "origin", "clearing_firm", "risk_profile")
    return CALLS.table(
        {
            **{name: columns.plain(accounts[name]) for name in given},
            "status": columns.chosen(STATUSES, status),
            **{name: money(part.cents, part.known) for name, part in parts.items()},
            "collected_by": columns.chosen(TERMS, decided),
        }
    )


def _customer_table(stages: Stages, parts: Mapping[str, Amount]) -> pa.Table:
    """Return the table of customers: sums over their accounts, in the order of their first one."""
    accounts = stages.parsed.accounts
    keys = ("clearing_firm", "origin", "customer")
    number = np.column_stack([columns.encoded(accounts[name])[0] for name in keys])
    _, first, group = np.unique(number, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)[group.ravel()]
    size = first.size
    rows = columns.column(first[order])
    summed = {
        column.name: _summed(parts[column.name], place, size, column.name)
        for column in CUSTOMERS.columns
        if column.name in parts
    }
    # Accounts without a customer are not those of one.
    named = columns.is_known(columns.plain(accounts["customer"]).take(rows))
    as_one = at_most(summed["withdrawable"], summed["excess"])
    return CUSTOMERS.table(
        {
            **{name: columns.plain(accounts[name]).take(rows) for name in keys},
            "accounts": columns.column(np.bincount(place, minlength=size)),
            "accounts_unknown": columns.column(
                np.bincount(place[~parts["call"].known], minlength=size)
            ),
            "accounts_incomplete": columns.column(
                np.bincount(place[~stages.clients.complete], minlength=size)
            ),
            **{name: money(part.cents, part.known) for name, part in summed.items()},
            "withdrawable_as_one": money(as_one.cents, as_one.known & named),
        }
    )


def _summed(part: Amount, place: Integer, size: int, name: str) -> Amount:
    """Return the sums of an amount by customer, known where all parts are."""
    value = np.where(part.known, part.cents, 0)
    if float(np.abs(value).sum(dtype=np.float64)) >= 2.0**62:
        raise InputError(f"the sum of `{name}` is too large for whole cents; check floors")
    total = np.zeros(size, np.int64)
    np.add.at(total, place, value)
    known = np.ones(size, bool)
    known[place[~part.known]] = False
    return Amount(total, known)
