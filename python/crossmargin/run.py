"""The main job: a book and a market in; every account's requirement, and why, out.

The way of the data, one direction: read -> trades -> universe -> netted book -> cubes -> V of each
pot -> agreement -> requirement -> tables.
"""

from __future__ import annotations

import datetime
import platform
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns, engine
from crossmargin.agreement.eligibility import (
    account_barrier,
    assign,
    eligible_instruments,
    log_assignment,
)
from crossmargin.agreement.outcome import AmountError, Clients, Models, margin_book
from crossmargin.book.accounts import read_accounts
from crossmargin.book.exceptions import CODES, ExceptionLog, InputError
from crossmargin.book.netting import Legs, net, open_legs, to_book
from crossmargin.book.schemas import ACCOUNTS, FIRMS, POSITIONS, SECURITIES, VOLUMES, Schema
from crossmargin.book.securities import read_securities
from crossmargin.book.trades import Trades, canonical_order, read_trades
from crossmargin.book.volumes import read_volumes
from crossmargin.engine import Book, Cube
from crossmargin.engine.executor import run_blocks
from crossmargin.instruments.contracts import roots
from crossmargin.instruments.universe import TREASURY, Universe, build_universe
from crossmargin.io.cubes import read_cube
from crossmargin.io.hashes import table_hash
from crossmargin.io.parse import describe_input, parse
from crossmargin.io.results import write_results
from crossmargin.io.span_pa2 import SpanFile, read_span_pa2
from crossmargin.io.tables import Source, read_table
from crossmargin.margin.charges import charge_rules, volumes_of
from crossmargin.margin.cme import equivalent_contracts, front_contract
from crossmargin.margin.cubes import HouseCubes, OwnCube, house_cubes
from crossmargin.margin.ficc import PROXY, floor_rates
from crossmargin.margin.haircuts import Haircuts, haircut_method, without
from crossmargin.margin.pots import CME, FICC
from crossmargin.market import Market
from crossmargin.market.scenarios import CorrelationError, HistoryShortError
from crossmargin.policies import Policy, read_policy
from crossmargin.policies.sections import MODEL_MIN, SPAN
from crossmargin.report.tables import (
    STAMPS,
    account_table,
    breakdown_table,
    component_table,
    position_table,
    spread_not_modelled,
    without_basis,
)
from crossmargin.results.table import Table

Mask = npt.NDArray[np.bool_]
Text = npt.NDArray[np.object_]
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
    """

    models: Models
    clients: Clients
    book: Book
    eligible_instrument: Mask
    as_of: np.datetime64


@dataclass(frozen=True)
class Run:
    """The results of a run.

    Attributes
    ----------
    accounts : Table
        A row per account: both models' numbers, the saving, the requirement.
    components : Table
        What each V is made of, a row per account, clearing firm, house, pot and component.
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
    volumes: Source | None = None,
    cycle: str = "EOD",
    threads: int | None = None,
    max_rejected: int | None = None,
    backend: str = "auto",
    progress: Progress | None = None,
) -> Run:
    """Recompute the margin of a whole client book under cross-margining.

    Parameters
    ----------
    positions, accounts, securities, firms : path or table
        CSV, Parquet or Excel files, or anything that speaks the Arrow PyCapsule protocol; the
        columns are those of `crossmargin.book.schemas`.
    market : Market
        `Market.read(...)` or `Market.sample()`; it carries the as-of date.
    policy : path or Policy, optional
        The default is the customer programme of 30 April 2026.
    ficc_cube, cme_cube : path or table, optional
        P&L to use instead of ours: `instrument` and one column a scenario, USD per 100 face or per
        contract, gain positive. Columns of the CME cube whose names are dates in a stress window
        are the stress scenarios; without any V_C is HVaR alone.
    span_file : str or Path, optional
        A SPAN risk parameter file (.pa2) of the as-of date or up to five business days before;
        where the policy's model is `span`, what it holds takes the place of its parameters.
    volumes : path or table, optional
        Average daily volumes, for a policy that charges concentration.
    cycle : {"EOD", "EODXM", "ITD", "CUR"}
        Recorded in every table; in ITD a leg dated on the as-of date is still open.
    threads : int, optional
        All the process may use if not given. The results do not depend on it.
    max_rejected : int, optional
        More rejected rows make the input unusable.
    backend : {"auto", "native", "numba", "reference"}
        Which kernels; the results do not depend on it.
    progress : callable, optional
        Called with the name of each stage and the share done.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        An input cannot be used; the message names it and what to do.
    """
    started = _now()
    if max_rejected is not None and max_rejected < 0:
        raise InputError(f"max_rejected: {max_rejected} is negative; give 0 or more")
    tell = progress or (lambda stage, done: None)
    rules = policy if isinstance(policy, Policy) else read_policy(policy)
    log = ExceptionLog()
    tell("reading", 0.0)
    read = _Reader(log)
    accounts_read = read_accounts(read(accounts, ACCOUNTS), file=ACCOUNTS.name, log=log)
    firms_read = None if firms is None else read(firms, FIRMS)
    known = read_securities(
        read(securities, SECURITIES), curve=market.curve, file=SECURITIES.name, log=log
    )
    adv = {} if volumes is None else read_volumes(read(volumes, VOLUMES), as_of=market.as_of)
    trades = read_trades(
        read(positions, POSITIONS),
        accounts=accounts_read,
        securities=known,
        as_of=market.as_of,
        cycle=cycle,
        file=POSITIONS.name,
        log=log,
    )
    _check_rejected(log, max_rejected)

    if market.date[-1] != market.as_of:
        log.add(
            "CURVE_EARLIER",
            file="par_yields",
            message=f"no complete row on {market.as_of}: the curve is that of {market.date[-1]}",
        )

    for note in market.notes:
        log.add(note.code, file=note.file, message=note.message)

    tell("netting", 0.2)
    barrier = account_barrier(accounts_read, firms_read, rules.eligibility)
    assignment = assign(
        trades,
        accounts=accounts_read,
        barrier=barrier,
        securities=known,
        as_of=market.as_of,
        rules=rules.eligibility,
    )
    log_assignment(
        assignment,
        trades,
        accounts=accounts_read,
        securities=known,
        as_of=market.as_of,
        rules=rules.eligibility,
        file=POSITIONS.name,
        accounts_file=ACCOUNTS.name,
        log=log,
    )
    equivalents = equivalent_contracts(rules.cme, market.as_of)
    calibrated = roots() if rules.cme.model == SPAN else ()
    fronts = [front_contract(root, market.as_of) for root in calibrated]
    contracts = canonical_order({*trades.contracts, *filter(None, [*equivalents, *fronts])})
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
        why=assignment.why[legs.trade],
    )
    groups = assignment.group_account.size
    book = to_book(lines, groups=groups, instruments=universe.name.size)

    if universe.name.size == 0:
        raise InputError("there is no instrument to margin; check positions and the as-of date")

    charged = rules.cme_concentration
    daily = None if charged is None else volumes_of(universe, adv, charged)
    if charged is None and volumes is not None:
        log.add(
            "INPUT_NOT_USED",
            file=VOLUMES.name,
            message="volumes were given, but the policy has no cme_concentration: nothing is "
            "charged for large positions",
        )

    tell("scenarios", 0.35)
    work: Work = {"threads": threads, "backend": backend}
    try:
        floor = floor_rates(market, rules.ficc)
        cubes = house_cubes(
            universe,
            market,
            rules,
            own_ficc=read.cube(ficc_cube, "ficc_cube"),
            own_cme=read.cube(cme_cube, "cme_cube"),
            span_file=read.span_file(span_file),
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
            )
            cubes = _with_haircuts(cubes, haircuts, eligible)
        cubes = _without_price(cubes, universe)
        of_ficc = charge_rules(universe, held, market, rules)
    except (HistoryShortError, CorrelationError) as error:
        raise InputError(f"par yields: {error}") from None
    if rules.ficc.pnl == PROXY and ficc_cube is None:
        log.add(
            "MARGIN_PROXY",
            file="par_yields",
            message=f"V_F is the margin proxy's, over {cubes.ficc.scenarios} scenarios: returns of "
            "benchmarks by maturity bucket, not the P&L of each instrument",
        )
    _log_unpriced(legs, trades, universe, cubes, accounts_read, log)

    tell("margin", 0.6)
    account = columns.texts(accounts_read["account"])
    exceptions = log.table()
    rejected = _rejected_rows(exceptions, accounts_read)
    models = Models(universe, cubes, floor, rules, haircuts, of_ficc, daily)
    clients = Clients(
        eligible=barrier == "",
        complete=rejected == 0,
        multiplier=columns.numbers(accounts_read["multiplier"]),
        floor=columns.numbers(accounts_read["floor"]),
        minimum=columns.numbers(accounts_read["minimum"]),
        group_account=assignment.group_account,
    )
    try:
        outcome = margin_book(book, models, clients, **work)
    except AmountError as error:
        name = account[assignment.group_account[error.group]]
        raise InputError(f"account {name}: {error}; check the units of its quantities") from None

    tell("agreement", 0.9)
    size = len(accounts_read)
    builders: dict[str, Callable[[], pa.Table]] = {
        "accounts": lambda: account_table(
            accounts_read,
            ficc=outcome.ficc,
            cme=outcome.cme,
            saving=outcome.saving,
            required=outcome.required,
            eligible=clients.eligible,
            rows_rejected=rejected,
            # A share by tables of the policy does not come from what the models see of a hedge.
            upper_bound=without_basis(book, universe, cubes.roots_without_basis, size)
            & (rules.agreement.reducer == MODEL_MIN),
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
        "inputs": {**read.inputs, **market.source},
        "market": _describe_market(market, cubes),
        "cme_model": rules.cme.model,
        "span": None if cubes.span is None else cubes.span.describe(),
        "cubes": {
            "ficc": _describe_cube(cubes.ficc),
            "cme_historical": None if cubes.cme is None else _describe_cube(cubes.cme),
            "cme_stressed": None if cubes.stressed is None else _describe_cube(cubes.stressed),
        },
        "rows": {
            "read": read.inputs[POSITIONS.name]["rows_read"],
            "used": int(trades.row.size),
            "rejected": int(read.inputs[POSITIONS.name]["rows_read"] - trades.row.size),
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
        ),
        **{name: Table(stamped[name]) for name in _TABLES},
    )


class Work(TypedDict):
    """How the kernels run; the results do not depend on it."""

    threads: int | None
    backend: str


class _Reader:
    """Reads input tables, and keeps what the manifest says of them."""

    def __init__(self, log: ExceptionLog) -> None:
        self.inputs: dict[str, dict[str, Any]] = {}
        self._log = log

    def __call__(self, source: Source, schema: Schema) -> pa.Table:
        given = read_table(source, name=schema.name)
        for text in given.notes:
            self._log.add("READ_AS", file=schema.name, message=text)
        parsed = parse(given.table, schema, file=schema.name, log=self._log, point=given.point)
        self.inputs[schema.name] = describe_input(given, parsed)
        return parsed.table

    def cube(self, source: Source | None, name: str) -> OwnCube | None:
        if source is None:
            return None
        given = read_table(source, name=name)
        for text in given.notes:
            self._log.add("READ_AS", file=name, message=text)
        self.inputs[name] = {"hash": given.hash, "rows_read": len(given.table)}
        return OwnCube(name, *read_cube(given.table, name=name, point=given.point))

    def span_file(self, path: str | Path | None) -> SpanFile | None:
        if path is None:
            return None
        file = read_span_pa2(path)
        self.inputs["span_file"] = {
            "hash": file.hash,
            "business_date": str(file.business_date),
            "not_decoded": file.not_decoded,
        }
        return file


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


def _check_rejected(log: ExceptionLog, most: int | None) -> None:
    """Refuse an input with more rejected rows than the user allows."""
    if most is None:
        return
    table = _rejected(log.table())
    rejected = len(_distinct_rows(table))
    if rejected > most:
        first = table.slice(0, 1).to_pylist()[0]
        raise InputError(
            f"{rejected} rows rejected, {most} allowed; the first: {first['file']}, row "
            f"{first['row']}: {first['message']}"
        )


def _rejected(exceptions: pa.Table) -> pa.Table:
    return exceptions.filter(pc.equal(exceptions["severity"], columns.scalar("rejected")))


def _distinct_rows(exceptions: pa.Table) -> pa.Table:
    """Return the exceptions without those that name a row again, with its account."""
    numbers = [columns.encoded(exceptions[name])[0] for name in ("file", "row", "account")]
    _, first = np.unique(np.column_stack(numbers), axis=0, return_index=True)
    return exceptions.take(columns.column(first))


def _rejected_rows(exceptions: pa.Table, accounts: pa.Table) -> npt.NDArray[np.int64]:
    """Return how many rejected rows name each account, [A]."""
    rows = _distinct_rows(_rejected(exceptions))
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
        "reducer": rules.agreement.reducer,
        "unconfirmed": [p.name for p in rules.parameters if p.standing == "unconfirmed"],
    }


def _describe_market(market: Market, cubes: HouseCubes) -> dict[str, Any]:
    return {
        "curve_date": str(market.date[-1]),
        "history_from": str(market.date[0]),
        "history_rows": int(market.date.size),
        "rows_skipped": market.skipped_rows,
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
