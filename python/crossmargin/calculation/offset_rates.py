"""A run with offset rates that do not come from its models: observed ones, or a fallback's."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.arrays import Float, Integer, Mask, Text
from crossmargin.book.programme import OFFSET_RATES
from crossmargin.book.schemas import Schema
from crossmargin.calculation.margins import Agreement, require_accounts
from crossmargin.calculation.result import GIVEN_RATES, RunResult, Stages, stages_of
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.hashes import table_hash
from crossmargin.io.parse import ROW, describe_file, parse
from crossmargin.io.tables import Source, read_table
from crossmargin.results.table import Table, money
from crossmargin.results.tables import money_columns, saving_columns

GIVEN_ZERO = "GIVEN"
"""Reason of an offset rate of zero that was given."""
WITHOUT_BENEFIT = ("NOT_ELIGIBLE", "INCOMPLETE", "ONE_SIDED")
"""Reasons why an account has no benefit today, whatever rate anybody gives."""


@dataclass(frozen=True)
class GivenRates:
    """Offset rates for the accounts of a run, as columns of length A.

    Attributes
    ----------
    given : ndarray of bool
        Whether the account has one; if not, it keeps the rate of the models.
    rate : ndarray of float64
        Zero where none is given.
    reason : ndarray of str
        Why a given rate is zero; not used elsewhere.
    """

    given: Mask
    rate: Float
    reason: Text


def with_offset_rates(run: RunResult, rates: Source, *, source: str) -> RunResult:
    """Return a run with offset rates that are given, in place of those of its models.

    The margin of all positions in both models stays as it is. The offset rates, and with them the
    requirements, are replaced.

    Parameters
    ----------
    run : RunResult
        With its stages.
    rates : path or table
        `account` and `offset_rate`, a share from 0 to the policy's cap. Accounts without a row keep
        the rate of the models.
    source : str
        Where the rates come from, for the manifest.

    Returns
    -------
    RunResult
        A run of its own, whose id follows from the run's, the rates and the source. An account that
        is not eligible, incomplete or one-sided today keeps a rate of zero and its reason. Where a
        rate was given, `binding` is null, `capped` says whether the rate is the cap, and
        `unused_saving` is null, since nobody knows the rate of another choice of futures.

    Raises
    ------
    TypeError
        `run` is no run, or `source` no text.
    ValueError
        The run has no stages, or has rates that were given already.
    InputError
        The table cannot be read, has no row, names an account twice or one that is not in the run,
        or has a rate above the cap.

    Notes
    -----
    Sessions, allocations and explanations refuse the result: they would go back to the models.
    """
    stages = stages_of(run)
    if not isinstance(source, str) or not source.strip():
        raise TypeError(f"source: a text that says where the rates come from, got {source!r:.60}")
    table, described = read_by_account(rates, OFFSET_RATES)
    if not len(table):
        raise InputError(f"{OFFSET_RATES.name}: has no row; give the rate of at least one account")
    at = rows_of(table, stages)
    lacking = np.setdiff1d(np.arange(len(table)), at)
    if lacking.size:
        name = table["account"][int(lacking[0])].as_py()
        raise InputError(
            f"{OFFSET_RATES.name}: account {name} is not in the run; {lacking.size} such rows"
        )
    offered = columns.numbers(table["offset_rate"])
    cap = stages.models.policy.agreement.cap
    if (offered > cap).any():
        row = int(np.argmax(offered > cap))
        raise InputError(
            f"{OFFSET_RATES.name}, row {table[ROW][row]}: {offered[row]:g} is above the cap of "
            f"{cap:g}; correct it, or run the book under a policy with another cap"
        )
    given = at >= 0
    rate = np.zeros(at.size)
    rate[given] = offered[at[given]] + 0.0  # No zero has a sign.
    rates_of = GivenRates(given, rate, np.full(at.size, GIVEN_ZERO, dtype=object))
    return with_given_rates(run, rates_of, {"source": source, **described, "rows": len(table)})


def with_given_rates(run: RunResult, rates: GivenRates, described: dict[str, Any]) -> RunResult:
    """Return a run with these offset rates; see `with_offset_rates`.

    Parameters
    ----------
    run : RunResult
    rates : GivenRates
        None above the cap.
    described : dict
        What the manifest says of them: plain values, which also make the id of the result.

    Returns
    -------
    RunResult
    """
    stages = stages_of(run)
    saving, required, used = replaced(stages, rates)
    unused = Amount(stages.unused.cents, stages.unused.known & ~used)
    refused = Counter(stages.agreement.saving.reason[rates.given & ~used].tolist())
    entry = {
        **described,
        "used": int(np.count_nonzero(used)),
        "without_benefit": {name: refused[name] for name in WITHOUT_BENEFIT if refused[name]},
    }
    told = sorted(item for item in entry.items() if item[0] != "path")  # Content, not place.
    seed = f"{run.manifest['run_id']}\n{told}\n{_digest(rates)}"
    run_id = hashlib.sha256(seed.encode()).hexdigest()[:32]
    cells = {
        **saving_columns(saving),
        **money_columns(required),
        "unused_saving": money(unused.cents, unused.known),
    }
    accounts = run.accounts.to_arrow()
    for name, column in cells.items():
        accounts = _with_column(accounts, name, column)
    tables = {name: getattr(run, name).to_arrow() for name in run.manifest["results"]}
    tables["accounts"] = accounts
    stamp = columns.scalar(run_id)
    stamped = {
        name: _with_column(table, "run_id", columns.repeated(stamp, len(table)))
        for name, table in tables.items()
    }
    digest = table_hash(stamped["accounts"], without=("run_id",))
    results = {
        **run.manifest["results"],
        "accounts": {"rows": len(accounts), "hash": digest},
    }
    return RunResult(
        **{name: Table(table) for name, table in stamped.items()},
        manifest={**run.manifest, "run_id": run_id, GIVEN_RATES: entry, "results": results},
        stages=replace(
            stages,
            agreement=Agreement(saving, stages.agreement.offsets),
            requirements=required,
            unused=unused,
        ),
    )


def replaced(stages: Stages, rates: GivenRates) -> tuple[Saving, Requirements, Mask]:
    """Return the agreement and the requirements of a run with these offset rates.

    Parameters
    ----------
    stages : Stages
        Of the run.
    rates : GivenRates

    Returns
    -------
    saving : Saving
    required : Requirements
    used : ndarray of bool, [A]
        Where a given rate counts: the account may have a benefit today.
    """
    own = stages.agreement.saving
    used = rates.given & may_benefit(own)
    rate = np.where(used, rates.rate, own.offset_rate)
    zero = used & (rate == 0.0)
    saving = replace(
        own,
        offset_rate=rate,
        binding=np.where(used, "", own.binding).astype(object),
        capped=np.where(used, rate == stages.models.policy.agreement.cap, own.capped),
        reason=np.where(zero, rates.reason, np.where(used, "", own.reason)).astype(object),
    )
    agreement = Agreement(saving, stages.agreement.offsets)
    return saving, require_accounts(stages.margins, agreement, stages.clients), used


def may_benefit(saving: Saving) -> Mask:
    """Return which accounts can have a benefit today, [A]."""
    return np.asarray(~np.isin(saving.reason.astype(str), WITHOUT_BENEFIT))


def read_by_account(source: Source, schema: Schema) -> tuple[pa.Table, dict[str, Any]]:
    """Return a table with one row an account, typed, and what the manifest says of it.

    Raises
    ------
    InputError
        It cannot be read, or names an account twice.
    """
    given = read_table(source, name=schema.name)
    parsed = parse(
        given.table, schema, file=schema.name, log=ExceptionLog(), point=given.point
    ).table
    number, different = columns.encoded(parsed["account"])
    count = np.bincount(number, minlength=1)
    if count.max() > 1:
        name = different[int(np.argmax(count))]
        raise InputError(f"{schema.name}: account {name} has more than one row; keep one")
    return parsed, describe_file(given.path, given.hash)


def rows_of(table: pa.Table, stages: Stages) -> Integer:
    """Return the row of each account of a run in a table, -1 where it has none, [A]."""
    account = columns.plain(stages.parsed.accounts["account"])
    return columns.integers(pc.index_in(account, value_set=columns.plain(table["account"])))


def _digest(rates: GivenRates) -> str:
    digest = hashlib.sha256(rates.given.tobytes() + rates.rate.tobytes())
    digest.update("\n".join(rates.reason.tolist()).encode())
    return digest.hexdigest()


def _with_column(table: pa.Table, name: str, column: columns.Column) -> pa.Table:
    """Return a table with the cells of one column replaced."""
    return table.set_column(table.schema.get_field_index(name), name, column)
