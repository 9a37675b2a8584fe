"""The main job: a book and a market in; every account's requirement, and why, out.

The way of the data, one direction: read -> trades -> universe -> netted book -> cubes -> V of each
portfolio -> agreement -> requirement -> tables.
"""

from __future__ import annotations

import datetime
import platform
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns, engine
from crossmargin.agreement.eligibility import (
    account_ineligibility,
    assign,
    eligible_instruments,
    log_assignment,
)
from crossmargin.agreement.outcome import AmountError, Clients, Models, margin_book
from crossmargin.arrays import Integer, Mask
from crossmargin.book.netting import Legs, net, open_legs, to_book
from crossmargin.book.schemas import ACCOUNTS, POSITIONS, VOLUMES
from crossmargin.book.sizes import market_size, note_sizes
from crossmargin.book.trades import Trades, canonical_order
from crossmargin.calculation.inputs import read_inputs, rejected_rows
from crossmargin.columns import column, numbers, texts
from crossmargin.conventions import CME, FICC
from crossmargin.engine import Book, Cube
from crossmargin.engine.executor import check_threads, run_blocks
from crossmargin.exceptions import CODES, ExceptionLog, InputError, InputWarning
from crossmargin.instruments.contracts import Contract, roots
from crossmargin.instruments.universe import TREASURY, Universe, build_universe
from crossmargin.io.column_map import ColumnsSource
from crossmargin.io.hashes import table_hash
from crossmargin.io.results import write_results
from crossmargin.io.tables import Source
from crossmargin.margin.charges import charge_rules, volumes_of
from crossmargin.margin.cme.historical import equivalent_contracts, front_contract
from crossmargin.margin.cubes import HouseCubes, house_cubes
from crossmargin.margin.ficc.haircuts import Haircuts, haircut_method, without
from crossmargin.margin.ficc.var import PROXY, floor_rates
from crossmargin.market import Market
from crossmargin.market.scenarios import CorrelationError, HistoryShortError, ScenarioStore
from crossmargin.policies import Policy, read_policy
from crossmargin.policies.sections import LOWER_OF_MODELS, SPAN
from crossmargin.results.table import Table
from crossmargin.results.tables import (
    STAMPS,
    account_table,
    breakdown_table,
    component_table,
    position_table,
    spread_not_modelled,
    without_basis,
)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class State:
    """What a run leaves in memory for questions about it.

    Attributes
    ----------
    models, clients, book
        As the run margined them.
    eligible_instrument : ndarray of bool, [I]
        May be cross-margined.
    as_of : datetime64[D]
    market : Market
        With the basis that settlement prices gave.
    """

    models: Models
    clients: Clients
    book: Book
    eligible_instrument: Mask
    as_of: np.datetime64
    market: Market


@dataclass(frozen=True)
class Run:
    """The results of a run.

    Attributes
    ----------
    accounts : Table
        A row per account: both models' numbers, the saving, the requirement.
    components : Table
        What each V is made of, a row per account, clearing firm, house, portfolio and component.
    breakdown : Table
        What those components are made of that have parts: scan risk by root, credits by spread,
        a reduction by offset. Empty under a policy with none of these.
    positions : Table
        Netted lines: where each is margined, and why.
    exceptions : Table
        Rows set aside, reassigned or unpriced, and notes.
    manifest : dict
        What went in and what came out: versions, hashes, counts.
    state : State, optional
        The models and the netted book, for `Session`.
    """

    accounts: Table
    components: Table
    breakdown: Table
    positions: Table
    exceptions: Table
    manifest: dict[str, Any]
    state: State | None = field(default=None, repr=False, compare=False)

    def write(self, out: str | Path) -> Path:
        """Write the tables (Parquet) and the manifest to a directory, whole or not at all.

        Raises
        ------
        InputError
            The directory holds something else, or cannot be written.
        """
        tables = {name: getattr(self, name).to_arrow() for name in _TABLES}
        return write_results(out, tables, self.manifest)

    def __repr__(self) -> str:
        """Tell the run's date and size."""
        mark = " (synthetic)" if self.manifest["synthetic"] else ""
        return (
            f"<Run {self.manifest['as_of']} {self.manifest['cycle']}{mark}: "
            f"{len(self.accounts):,} accounts, {len(self.exceptions):,} exceptions>"
        )


MANY_REJECTED = 0.05
"""Share of the rows of positions; more are worth a warning."""
_TABLES = ("accounts", "components", "breakdown", "positions", "exceptions")


def run(
    *,
    positions: Source,
    accounts: Source,
    securities: Source,
    market: Market,
    firms: Source | None = None,
    policy: str | Path | Policy | None = None,
    ficc_cube: Source | None = None,
    cme_cube: Source | None = None,
    span_file: str | Path | None = None,
    settlements: Source | None = None,
    volumes: Source | None = None,
    columns: ColumnsSource | None = None,
    cycle: str = "EOD",
    threads: int | None = None,
    max_rejected: int | None = None,
    allow_empty: bool = False,
    backend: str = "auto",
    progress: Progress | None = None,
) -> Run:
    """Recompute the margin of a whole client book under cross-margining.

    Parameters
    ----------
    positions, accounts, securities, firms : path or table
        CSV, Parquet or Excel files, or a table of pandas, polars or anything else that speaks the
        Arrow PyCapsule protocol; the columns are those of `crossmargin.book.schemas`. A frame gives
        the run of the file it was read from; a column that is wholly blank may have any type.
    market : Market
        `read_market(...)` or `sample_market()`; it carries the as-of date.
    policy : path or Policy, optional
        The default is the customer programme of 30 April 2026.
    ficc_cube, cme_cube : path or table, optional
        P&L to use instead of ours: `instrument` and one column a scenario, USD per 100 face or per
        contract, gain positive. Columns of the CME cube whose names are dates in a stress window
        are the stress scenarios; without any V_C is HVaR alone.
    span_file : str or Path, optional
        A SPAN risk parameter file (.pa2) of the as-of date or up to five business days before;
        where the policy's model is `span`, what it holds takes the place of its parameters.
    settlements : path or table, optional
        Settlement prices of Treasury futures (date, contract, price) up to the as-of date: they
        give the basis by our own model price of each day, in place of a basis history.
    volumes : path or table, optional
        Average daily volumes, for a policy that charges concentration.
    columns : path or dict, optional
        What our columns are called in your files, with their units: a TOML file, or what stands in
        one. `read_market` takes it for the market's.
    cycle : {"EOD", "EODXM", "ITD", "CUR"}
        Recorded in every table; in ITD a leg dated on the as-of date is still open.
    threads : int, optional
        All the process may use if not given. The results do not depend on it.
    max_rejected : int, optional
        More rejected rows make the input unusable.
    allow_empty : bool
        Positions, accounts, firms, volumes or (where securities are held) securities may have no
        usable row; otherwise that makes the input unusable.
    backend : {"auto", "native", "numba", "reference"}
        Which kernels; the results do not depend on it.
    progress : callable, optional
        Called with the name of each stage and the share done.

    Returns
    -------
    Run

    Raises
    ------
    TypeError
        An argument is of another kind; the message says what to give.
    InputError
        An input cannot be used; the message names it and what to do.

    Warns
    -----
    InputWarning
        More than one row of positions in twenty was rejected, or every one is there twice.
    """
    started = _now()
    _check_arguments(market, policy, span_file, threads, max_rejected, backend, progress)
    tell = progress or (lambda stage, done: None)
    rules = policy if isinstance(policy, Policy) else read_policy(policy)
    tell("reading", 0.0)
    inputs = read_inputs(
        positions=positions,
        accounts=accounts,
        securities=securities,
        market=market,
        firms=firms,
        settlements=settlements,
        volumes=volumes,
        ficc_cube=ficc_cube,
        cme_cube=cme_cube,
        span_file=span_file,
        column_map=columns,
        cycle=cycle,
        max_rejected=max_rejected,
        allow_empty=allow_empty,
    )
    market, log = inputs.market, inputs.log
    _warn(inputs.source[POSITIONS.name]["rows_read"], inputs.trades.row.size, log)
    known, trades = inputs.securities, inputs.trades

    tell("netting", 0.2)
    ineligibility_reason = account_ineligibility(inputs.accounts, inputs.firms, rules.eligibility)
    assignment = assign(
        trades,
        accounts=inputs.accounts,
        ineligibility_reason=ineligibility_reason,
        securities=known,
        as_of=market.as_of,
        rules=rules.eligibility,
    )
    log_assignment(
        assignment,
        trades,
        accounts=inputs.accounts,
        securities=known,
        as_of=market.as_of,
        rules=rules.eligibility,
        file=POSITIONS.name,
        accounts_file=ACCOUNTS.name,
        log=log,
    )
    contracts = _contracts(trades, rules, market.as_of)
    universe = build_universe(
        securities=known,
        held=trades.held,
        cash_dates=trades.cash_dates,
        contracts=contracts,
        market=market,
    )
    first_contract = universe.name.size - len(contracts)
    legs = open_legs(
        trades,
        held=trades.held,
        contract_at=first_contract
        + np.array([contracts.index(c) for c in trades.contracts], dtype=np.int64),
        price=universe.price,
    )
    lines = net(
        group=assignment.group[legs.trade],
        segment=assignment.segment[legs.trade],
        instrument=legs.instrument,
        lots=legs.lots,
        xm=trades.xm[legs.trade],
        assignment_reason=assignment.assignment_reason[legs.trade],
    )
    note_sizes(
        lines,
        universe,
        market_size(universe, known.outstanding[trades.held], inputs.open_interest),
        inputs.accounts["account"].take(column(assignment.group_account[lines.group])),
        POSITIONS.name,
        log,
    )
    groups = assignment.group_account.size
    book = to_book(lines, groups=groups, instruments=universe.name.size)

    if universe.name.size == 0:
        raise InputError("there is no instrument to margin; check positions and the as-of date")

    charged = rules.cme_concentration
    daily = None if charged is None else volumes_of(universe, inputs.volumes, charged)
    if charged is None and volumes is not None and not inputs.open_interest:
        log.add(
            "INPUT_NOT_USED",
            file=VOLUMES.name,
            message="volumes were given, but the policy has no cme_concentration: nothing is "
            "charged for large positions",
        )

    tell("scenarios", 0.35)
    store = ScenarioStore()
    work: Work = {"threads": threads, "backend": backend}
    try:
        floor = floor_rates(market, rules.ficc)
        cubes = house_cubes(
            universe,
            market,
            rules,
            own_ficc=inputs.ficc_cube,
            own_cme=inputs.cme_cube,
            span_file=inputs.span_file,
            store=store,
            **work,
        )
        haircuts = None
        held = known.take(trades.held)
        eligible = eligible_instruments(universe, known, market, rules)
        if rules.haircuts is not None:
            haircuts = haircut_method(
                universe,
                held,
                cubes.unpriced_ficc,
                market,
                rules.haircuts,
                rules.ficc,
                rules.scenarios,
                # P&L of the user's own stands.
                short=ficc_cube is None,
                store=store,
            )
            cubes = _with_haircuts(cubes, haircuts, eligible)
        cubes = _without_price(cubes, universe)
        of_ficc = charge_rules(universe, held, market, rules, store)
    except (HistoryShortError, CorrelationError) as error:
        raise InputError(f"par yields: {error}") from None
    begin = market.history.date[0]
    for window in rules.scenarios.stress:
        if window.first < begin <= window.last:
            log.add(
                "STRESS_CUT",
                file="par_yields",
                message=f"the history begins on {begin}, within the period of stress from "
                f"{window.first} to {window.last}: its first days are no scenarios; give earlier "
                "yields",
            )
    if rules.ficc.pnl == PROXY and ficc_cube is None:
        log.add(
            "MARGIN_PROXY",
            file="par_yields",
            message=f"V_F is the margin proxy's, over {cubes.ficc.scenarios} scenarios: returns of "
            "benchmarks by maturity bucket, not the P&L of each instrument",
        )
    _log_unpriced(legs, trades, universe, cubes, inputs.accounts, log)

    tell("margin", 0.6)
    account = texts(inputs.accounts["account"])
    exceptions = log.table()
    rejected = _rejected_rows(exceptions, inputs.accounts)
    models = Models(universe, cubes, floor, rules, haircuts, of_ficc, daily)
    clients = Clients(
        eligible=ineligibility_reason == "",
        complete=rejected == 0,
        multiplier=numbers(inputs.accounts["multiplier"]),
        floor=numbers(inputs.accounts["floor"]),
        minimum=numbers(inputs.accounts["minimum"]),
        group_account=assignment.group_account,
    )
    try:
        outcome = margin_book(book, models, clients, **work)
    except AmountError as error:
        name = account[assignment.group_account[error.group]]
        raise InputError(f"account {name}: {error}; check the units of its quantities") from None

    tell("agreement", 0.9)
    size = len(inputs.accounts)
    builders: dict[str, Callable[[], pa.Table]] = {
        "accounts": lambda: account_table(
            inputs.accounts,
            ficc=outcome.ficc,
            cme=outcome.cme,
            saving=outcome.saving,
            required=outcome.required,
            eligible=clients.eligible,
            rows_rejected=rejected,
            # A share by tables of the policy does not come from what the models see of a hedge.
            upper_bound=without_basis(book, universe, cubes.roots_without_basis, size)
            & (rules.agreement.offset_method == LOWER_OF_MODELS),
            spread_not_modelled=spread_not_modelled(
                book, universe, cubes.roots_without_spread, assignment.group_account, size
            ),
        ),
        "components": lambda: component_table(
            (outcome.ficc, outcome.cme),
            outcome.charges,
            account=account[assignment.group_account],
            firm=assignment.group_firm,
            occupied=outcome.occupied,
        ),
        "breakdown": lambda: breakdown_table(
            (outcome.ficc, outcome.cme),
            outcome.offsets,
            account=account[assignment.group_account],
            firm=assignment.group_firm,
        ),
        "positions": lambda: position_table(lines, universe, assignment, account),
        "exceptions": lambda: exceptions,
    }
    run_id = uuid.uuid4().hex
    stamped: dict[str, pa.Table] = {}
    results: dict[str, dict[str, Any]] = {}

    def finish(first: int, last: int) -> None:
        for name in _TABLES[first:last]:
            table = builders[name]()
            stamped[name] = _stamp(table, as_of=market.as_of, cycle=cycle, run_id=run_id)
            digest = table_hash(stamped[name], without=("run_id",))
            results[name] = {"rows": len(table), "hash": digest}

    # Building and hashing run outside the interpreter's lock for the most part.
    run_blocks(finish, range(len(_TABLES) + 1), threads=threads, unit="tables")
    manifest = {
        "run_id": run_id,
        "started": started,
        "finished": _now(),
        "as_of": str(market.as_of),
        "cycle": cycle,
        "synthetic": market.synthetic,
        "versions": _versions(),
        "backend": engine.info(backend).backend,
        "instruction_set": engine.info(backend).instruction_set,
        "policy": _describe_policy(rules),
        "inputs": inputs.source,
        "market": _describe_market(market, cubes),
        "cme_model": rules.cme.model,
        "span": None if cubes.span is None else cubes.span.describe(),
        "cubes": {
            "ficc": _describe_cube(cubes.ficc),
            "cme_historical": None if cubes.cme is None else _describe_cube(cubes.cme),
            "cme_stressed": None if cubes.stressed is None else _describe_cube(cubes.stressed),
        },
        "rows": {
            "read": inputs.source[POSITIONS.name]["rows_read"],
            "used": int(trades.row.size),
            "rejected": int(inputs.source[POSITIONS.name]["rows_read"] - trades.row.size),
        },
        "accounts": {
            "read": inputs.source[ACCOUNTS.name]["rows_read"],
            "margined": size,
            "without_positions": size - np.union1d(trades.account, np.flatnonzero(rejected)).size,
        },
        "exceptions": log.counts(),
        "results": {name: results[name] for name in _TABLES},
    }
    tell("agreement", 1.0)
    return Run(
        manifest=manifest,
        state=State(
            models,
            clients,
            book,
            eligible,
            market.as_of,
            market,
        ),
        **{name: Table(stamped[name]) for name in _TABLES},
    )


def _check_arguments(
    market: object,
    policy: object,
    span_file: object,
    threads: int | None,
    max_rejected: object,
    backend: str,
    progress: object,
) -> None:
    """Refuse what cannot be used, before any file is read."""
    if not isinstance(market, Market):
        raise TypeError(
            f"market: got {market!r:.60}; give xm.read_market('yields.csv', as_of='2025-03-13')"
        )
    if not isinstance(policy, str | Path | Policy | None):
        raise TypeError(f"policy: a name, a path or a Policy expected, got {policy!r:.60}")
    if not isinstance(span_file, str | Path | None):
        raise TypeError(f"span_file: a path expected, got {type(span_file).__name__}")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: a function of stage and share expected, got {progress!r:.60}")
    if not isinstance(max_rejected, int | None):
        raise TypeError(f"max_rejected: a whole number expected, got {max_rejected!r:.60}")
    if max_rejected is not None and max_rejected < 0:
        raise InputError(f"max_rejected: {max_rejected} is negative; give 0 or more")
    check_threads(threads)
    engine.info(backend)


class Work(TypedDict):
    """How the kernels run; the results do not depend on it."""

    threads: int | None
    backend: str


def _warn(read: int, used: int, log: ExceptionLog) -> None:
    """Warn of a book that is likely not the one that was meant, before the time is spent on it."""
    if read - used > MANY_REJECTED * read:
        warnings.warn(
            f"{read - used:,} of {read:,} rows of positions are rejected: the amounts of their "
            "accounts are too low; see run.exceptions",
            InputWarning,
            stacklevel=3,
        )
    if "FILE_REPEATED" in log.counts():
        warnings.warn(
            "every row of positions is there more than once, as if the file had been given twice; "
            "each is counted",
            InputWarning,
            stacklevel=3,
        )


def _contracts(trades: Trades, rules: Policy, as_of: np.datetime64) -> list[Contract]:
    """Return the contracts of a book with those that CME's model needs beside them."""
    calibrated = roots() if rules.cme.model == SPAN else ()
    needed = [
        *equivalent_contracts(rules.cme, as_of),
        *(front_contract(root, as_of) for root in calibrated),
    ]
    return canonical_order({*trades.contracts, *filter(None, needed)})


def _with_haircuts(cubes: HouseCubes, haircuts: Haircuts, eligible: Mask) -> HouseCubes:
    """Return the cubes of a run in which the haircut method covers some instruments."""
    covered = haircuts.covered
    # What may not be cross-margined never meets CME's model.
    return replace(
        cubes,
        ficc=without(cubes.ficc, covered),
        unpriced_ficc=np.where(
            covered, "", np.where(haircuts.no_price, "NO_PRICE", cubes.unpriced_ficc)
        ),
        unpriced_cme=np.where(covered & ~eligible, "", cubes.unpriced_cme),
    )


def _without_price(cubes: HouseCubes, universe: Universe) -> HouseCubes:
    """Return the cubes of a run, without securities of no market value: V has a floor on it."""
    # A user's cube may have the P&L of what no curve values and no price is given for.
    bare = (universe.kind == TREASURY) & (universe.market_value == 0.0)
    bare &= cubes.unpriced_ficc == ""
    return replace(cubes, unpriced_ficc=np.where(bare, "NO_PRICE", cubes.unpriced_ficc))


def _rejected_rows(exceptions: pa.Table, accounts: pa.Table) -> Integer:
    """Return how many rejected rows name each account, [A]."""
    rows = rejected_rows(exceptions)
    at = columns.integers(
        pc.index_in(rows["account"], value_set=columns.plain(accounts["account"]))
    )
    return np.bincount(at[at >= 0], minlength=len(accounts)).astype(np.int64)


def _log_unpriced(
    legs: Legs,
    trades: Trades,
    universe: Universe,
    cubes: HouseCubes,
    accounts: pa.Table,
    log: ExceptionLog,
) -> None:
    """Log the rows whose instrument a model does not cover, each once, and assumed start cash."""
    done = np.zeros(universe.name.size, dtype=bool)
    for house, why in ((FICC, cubes.unpriced_ficc), (CME, cubes.unpriced_cme)):
        new = (why != "") & ~done
        done |= new
        leg = np.flatnonzero(new[legs.instrument])
        # Both legs of a forward-starting repo have one instrument.
        pair = np.unique(np.column_stack([legs.trade[leg], legs.instrument[leg]]), axis=0)
        for code in sorted(set(why[new])):
            trade, instrument = pair[why[pair[:, 1]] == code].T
            log.add(
                code,
                file=POSITIONS.name,
                row=trades.row[trade],
                account=accounts["account"].take(columns.column(trades.account[trade])),
                instrument=universe.name[instrument],
                message=[
                    f"{text}: {CODES[code].meaning}; V at {house} of what holds it is null"
                    for text in universe.name[instrument]
                ],
            )
    log.add(
        "START_CASH_ASSUMED",
        file=POSITIONS.name,
        row=trades.row[legs.assumed],
        account=accounts["account"].take(columns.column(trades.account[legs.assumed])),
        instrument=trades.instrument.take(columns.column(legs.assumed)),
        message="start cash was blank: taken as face times the model's dirty price",
    )


def _stamp(table: pa.Table, *, as_of: np.datetime64, cycle: str, run_id: str) -> pa.Table:
    """Add the columns that every table carries."""
    day = columns.column(np.array([as_of]))[0]
    stamps = (day, columns.scalar(cycle), columns.scalar(run_id))
    for name, value in zip(STAMPS, stamps, strict=True):
        table = table.append_column(name, columns.repeated(value, len(table)))
    return table


def _versions() -> dict[str, str]:
    return {
        "crossmargin": version("crossmargin"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }


def _describe_policy(rules: Policy) -> dict[str, Any]:
    return {
        "name": rules.name,
        "hash": rules.hash,
        "effective_from": rules.effective_from,
        "extends": rules.extends or None,
        "offset_method": rules.agreement.offset_method,
        "unconfirmed": [p.name for p in rules.parameters if p.evidence == "unconfirmed"],
    }


def _describe_market(market: Market, cubes: HouseCubes) -> dict[str, Any]:
    history = market.history
    return {
        "curve_date": str(history.date[-1]),
        "sofr_curve_date": None if history.sofr is None else str(history.sofr.date[-1]),
        "fixings_to": {
            index: None if market.fixings_to(index) is None else str(market.fixings_to(index))
            for index in market.fixings
        },
        "history_from": str(history.date[0]),
        "history_rows": int(history.date.size),
        "rows_skipped": history.skipped_rows,
        "scenarios_without_basis": cubes.without_basis,
        "scenarios_without_sofr": cubes.without_sofr,
    }


def _describe_cube(cube: Cube) -> dict[str, Any]:
    names = cube.scenario
    return {
        "hash": cube.hash,
        "instruments": cube.instruments,
        "scenarios": cube.scenarios,
        "first": None if names is None else str(names[0]),
        "last": None if names is None else str(names[-1]),
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
