"""Last stage: the result tables of a run, stamped and hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.clients import Clients
from crossmargin.agreement.requirement import Amount, Requirements
from crossmargin.arrays import Integer
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.margins import AccountMargins, Agreement, caveats_of
from crossmargin.calculation.netted import NettedBook
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.engine.executor import run_blocks
from crossmargin.exceptions import InputError
from crossmargin.instruments.basket_checks import BasketCheck
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import write_results
from crossmargin.policies.sections.baskets import BasketRules
from crossmargin.results.baskets import basket_table
from crossmargin.results.schemas.run import RUN_TABLES
from crossmargin.results.table import Table
from crossmargin.results.tables import (
    account_table,
    breakdown_table,
    component_table,
    exception_table,
    position_table,
    stamped,
)

STAGES = "stages.bin"
"""The file of a run's stages, where they are kept."""
TABLES = tuple(schema.name for schema in RUN_TABLES)
GIVEN_RATES = "offset_rates"
"""The manifest's entry on offset rates that were given; only a run that has some has it."""


@dataclass(frozen=True)
class Stages:
    """The stages of a run, kept in memory for further questions about it.

    Attributes
    ----------
    parsed, classified, netted, models, margins, agreement, requirements
        What each stage returned, in order.
    clients : Clients
        What the agreement needs to know about the accounts.
    unused : Amount
        What each account would pay less by a simple choice of its futures; see `unused_saving`.
    rows_rejected : ndarray of int64, [A]
        Rejected rows that name each account.
    kept : Kept
        What reruns on a moved market can reuse.
    """

    parsed: ParsedInputs
    classified: ClassifiedTrades
    netted: NettedBook
    models: PreparedModels
    clients: Clients
    margins: AccountMargins
    agreement: Agreement
    requirements: Requirements
    unused: Amount
    rows_rejected: Integer
    kept: Kept


@dataclass(frozen=True)
class RunResult:
    """The results of a run.

    Attributes
    ----------
    accounts : Table
        A row per account: both models' numbers, the saving, the requirement.
    components : Table
        What each V is made of, a row per account, clearing firm, ccp, margin portfolio and
        component.
    breakdown : Table
        The parts of components that have parts: scan risk by root, credits by spread, a reduction
        by offset. Empty under a policy with none of these.
    positions : Table
        Netted lines, and the assignment reason of each.
    baskets : Table
        A row per Treasury future: what can be delivered, what the basket lacks, the cheapest.
    exceptions : Table
        Rows set aside, reassigned or unpriced, and notes.
    manifest : dict
        What went in and what came out: versions, hashes, counts.
    stages : Stages, optional
        What `Session` and `rerun` continue from.
    """

    accounts: Table
    components: Table
    breakdown: Table
    positions: Table
    baskets: Table
    exceptions: Table
    manifest: dict[str, Any]
    stages: Stages | None = field(default=None, repr=False, compare=False)

    def write(
        self, out: str | Path, files: Mapping[str, bytes | Callable[[], bytes]] | None = None
    ) -> Path:
        """Write the tables (Parquet) and the manifest to a directory, all or nothing.

        Parameters
        ----------
        out : str or Path
            The directory.
        files : mapping of str to bytes or callable, optional
            Other files beside them, by name, or what makes their bytes; see `write_run`.

        Raises
        ------
        InputError
            The directory holds something else, or cannot be written.
        """
        tables = {name: getattr(self, name).to_arrow() for name in TABLES}
        return write_results(out, tables, self.manifest, files)

    def __repr__(self) -> str:
        """Return the run's date and size as text."""
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        return (
            f"<RunResult {self.manifest['as_of']} {self.manifest['cycle']}{mark}: "
            f"{len(self.accounts):,} accounts, {len(self.exceptions):,} exceptions>"
        )


def stages_of(result: RunResult, *, given_rates: bool = False) -> Stages:
    """Return the stages of a run.

    Parameters
    ----------
    result : RunResult
    given_rates : bool
        Whether its offset rates may have been given. What continues from a run goes back to its
        models, and would not find those rates again.

    Raises
    ------
    TypeError, ValueError
        It is no run, or has none.
    InputError
        Its offset rates were given.
    """
    if not isinstance(result, RunResult):
        raise TypeError(f"run: a run, from xm.run(...), expected, got {result!r:.60}")
    if result.stages is None:
        raise ValueError(
            "this run has no stages; give one made in this process, or written by `write_run`"
        )
    if GIVEN_RATES in result.manifest and not given_rates:
        raise InputError(
            "the offset rates of this run were given, and its models know nothing of them; give "
            "the run that they were given to"
        )
    return result.stages


def result_tables(
    stages: Stages,
    exceptions: pa.Table,
    baskets: Sequence[BasketCheck],
    *,
    run_id: str,
    threads: int | None,
) -> tuple[dict[str, pa.Table], dict[str, dict[str, Any]]]:
    """Return the result tables, and what the manifest records about them.

    Parameters
    ----------
    stages : Stages
    exceptions : pyarrow.Table
        Of all stages.
    baskets : sequence of BasketCheck
        Of the Treasury futures.
    run_id : str
    threads : int, optional

    Returns
    -------
    tables : dict of str to pyarrow.Table
    described : dict of str to dict
        What the manifest records about each: its rows, and the hash of its values.
    """
    builders = _builders(stages, exceptions, baskets)
    built: dict[str, pa.Table] = {}
    described: dict[str, dict[str, Any]] = {}

    def finish(first: int, last: int) -> None:
        for name in TABLES[first:last]:
            table = stamped(
                builders[name](),
                as_of=stages.models.market.as_of,
                cycle=stages.parsed.cycle,
                run_id=run_id,
            )
            built[name] = table
            described[name] = {"rows": len(table), "hash": table_hash(table, without=("run_id",))}

    # Building and hashing mostly release the interpreter's lock.
    run_blocks(finish, range(len(TABLES) + 1), threads=threads, unit="tables")
    return {name: built[name] for name in TABLES}, {name: described[name] for name in TABLES}


def _builders(
    stages: Stages, exceptions: pa.Table, baskets: Sequence[BasketCheck]
) -> dict[str, Callable[[], pa.Table]]:
    """Return the function that builds each table."""
    accounts, assignment = stages.parsed.accounts, stages.classified.assignment
    margins, models = stages.margins, stages.models
    book = stages.netted.book
    name = columns.texts(accounts["account"])
    noted = models.policy.get(BasketRules)
    both = (margins.ficc, margins.cme)
    every = (*both, *margins.elsewhere)
    group_name, firm = name[assignment.group_account], assignment.group_firm
    return {
        "accounts": lambda: account_table(
            accounts,
            ficc=margins.ficc,
            cme=margins.cme,
            saving=stages.agreement.saving,
            required=stages.requirements,
            unused=stages.unused,
            eligible=stages.clients.eligible,
            rows_rejected=stages.rows_rejected,
            caveats=caveats_of(book, stages.netted.elsewhere, models, stages.clients),
        ),
        "components": lambda: component_table(
            every,
            list(margins.charged),
            account=group_name,
            firm=firm,
            occupied=margins.occupied,
        ),
        "breakdown": lambda: breakdown_table(
            both, stages.agreement.offsets, account=group_name, firm=firm
        ),
        "positions": lambda: position_table(
            stages.netted.lines,
            models.universe,
            assignment,
            name,
            stages.parsed.trades.ccps,
        ),
        "baskets": lambda: basket_table(baskets, None if noted is None else noted.spread_bp),
        "exceptions": lambda: exception_table(exceptions),
    }
