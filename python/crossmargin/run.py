"""The main job: a book and a market in; every account's requirement, and why, out.

The way of the data, one direction: read -> trades -> universe -> netted book -> cubes -> V of each
pot -> agreement -> requirement -> tables.
"""

from __future__ import annotations

import datetime
import platform
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import engine
from crossmargin.agreement.eligibility import account_barrier, assign, log_assignment
from crossmargin.agreement.requirement import require
from crossmargin.agreement.savings import agree
from crossmargin.book.exceptions import CODES, ExceptionLog, InputError
from crossmargin.book.netting import Legs, net, open_legs, to_book
from crossmargin.book.schemas import ACCOUNTS, FIRMS, POSITIONS, SECURITIES, Schema
from crossmargin.book.securities import read_securities
from crossmargin.book.trades import Trades, canonical_order, read_trades
from crossmargin.engine import Cube
from crossmargin.instruments.contracts import parse_contract
from crossmargin.instruments.universe import DATED_CASH, FUTURE, Universe, build_universe
from crossmargin.io.cubes import read_cube
from crossmargin.io.parse import describe_input, parse
from crossmargin.io.results import Table, table_hash, write_results
from crossmargin.io.tables import Source, to_arrow
from crossmargin.margin import ficc as ficc_model
from crossmargin.margin.charges import charge
from crossmargin.margin.cme import cme_cubes, cme_margin, equivalent_contracts
from crossmargin.margin.ficc import ficc_margin, floor_rates
from crossmargin.margin.pots import CASH, FICC, FUTURES, UNIONS, holds
from crossmargin.market import Market
from crossmargin.market.scenarios import HistoryShortError
from crossmargin.policies import Policy, read_policy
from crossmargin.report.tables import (
    account_table,
    component_table,
    position_table,
    spread_not_modelled,
    without_basis,
)

Mask = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Run:
    """The results of a run.

    Attributes
    ----------
    accounts : Table
        A row per account: both models' numbers, the saving, the requirement.
    components : Table
        What each V is made of, a row per account, clearing firm, house, pot and component.
    positions : Table
        Netted lines: where each is margined, and why.
    exceptions : Table
        Rows set aside, reassigned or unpriced, and notes.
    manifest : dict
        What went in and what came out: versions, hashes, counts.
    """

    accounts: Table
    components: Table
    positions: Table
    exceptions: Table
    manifest: dict[str, Any]

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


_TABLES = ("accounts", "components", "positions", "exceptions")


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
        CSV or Parquet, plain or gzip, or anything that speaks the Arrow PyCapsule protocol; the
        columns are those of `crossmargin.book.schemas`.
    market : Market
        `Market.read(...)` or `Market.sample()`; it carries the as-of date.
    policy : path or Policy, optional
        The default is the customer programme of 30 April 2026.
    ficc_cube, cme_cube : path or table, optional
        P&L to use instead of ours: `instrument` and one column a scenario, USD per 100 face or per
        contract, gain positive. Columns of the CME cube whose names are dates in a stress window
        are the stress scenarios; without any V_C is HVaR alone.
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
    tell = progress or (lambda stage, done: None)
    rules = policy if isinstance(policy, Policy) else read_policy(policy)
    log = ExceptionLog()
    tell("reading", 0.0)
    read = _Reader(log)
    accounts_read = _first_rows(read(accounts, ACCOUNTS), log)
    firms_read = None if firms is None else read(firms, FIRMS)
    known = read_securities(
        read(securities, SECURITIES), curve=market.curve, file=SECURITIES.name, log=log
    )
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
    contracts = canonical_order({*trades.contracts, *filter(None, equivalents)})
    held = np.unique(trades.security[trades.security >= 0])
    universe = build_universe(
        securities=known,
        held=held,
        cash_dates=trades.cash_dates,
        contracts=contracts,
        market=market,
    )
    first_contract = universe.name.size - len(contracts)
    legs = open_legs(
        trades,
        held=held,
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

    tell("scenarios", 0.35)
    work: Work = {"threads": threads, "backend": backend}
    stressed: Cube | None
    try:
        floor = floor_rates(market, rules.ficc)
        if ficc_cube is None:
            ficc_pnl = ficc_model.ficc_cube(universe, market, rules.ficc, rules.scenarios, **work)
            ficc_priced = universe.priced
        else:
            ficc_pnl, ficc_priced = _own_cube(ficc_cube, "ficc_cube", universe, market.as_of)
        if cme_cube is None:
            cme_pnl, stressed, cme_priced = cme_cubes(
                universe, market, rules.cme, rules.scenarios, **work
            )
        else:
            cme_pnl, cme_priced = _own_cube(cme_cube, "cme_cube", universe, market.as_of)
            # Dated cash does not enter V_C, so the cube need not have it.
            cme_priced = cme_priced | (universe.kind == DATED_CASH)
            stressed = _stressed(cme_pnl, rules)
    except HistoryShortError as error:
        raise InputError(f"par yields: {error}") from None
    _log_unpriced(legs, trades, universe, ficc_priced, cme_priced, accounts_read, log)

    tell("margin", 0.6)
    ficc = ficc_margin(book, ficc_pnl, universe, ficc_priced, floor, rules.ficc, **work)
    cme = cme_margin(book, cme_pnl, stressed, cme_priced, rules.cme, **work)
    charges = charge(book, universe, rules.charges)

    tell("agreement", 0.9)
    size = len(accounts_read)
    exceptions = log.table()
    rejected = _rejected_rows(exceptions, accounts_read)
    eligible = barrier == ""
    occupied = {
        house: holds(book, house, np.ones(universe.name.size, dtype=bool)) for house in UNIONS
    }
    saving = agree(
        ficc,
        cme,
        eligible=eligible,
        complete=rejected == 0,
        two_sided=occupied[FICC][:size, CASH] & occupied[FICC][:size, FUTURES],
        rules=rules.agreement,
    )
    required = require(
        ficc,
        cme,
        saving,
        charges,
        group_account=assignment.group_account,
        multiplier=accounts_read["multiplier"].to_numpy(),
        floor=accounts_read["floor"].to_numpy(),
        minimum=accounts_read["minimum"].to_numpy(),
    )
    account = np.asarray(accounts_read["account"].to_pylist(), dtype=object)
    tables = {
        "accounts": account_table(
            accounts_read,
            ficc=ficc,
            cme=cme,
            saving=saving,
            required=required,
            eligible=eligible,
            rows_rejected=rejected,
            upper_bound=without_basis(book, universe, size),
            spread_not_modelled=spread_not_modelled(book, universe, assignment.group_account, size),
        ),
        "components": component_table(
            (ficc, cme),
            charges,
            account=account[assignment.group_account],
            firm=assignment.group_firm,
            occupied=occupied,
        ),
        "positions": position_table(lines, universe, assignment, account),
        "exceptions": exceptions,
    }
    run_id = uuid.uuid4().hex
    stamped = {
        name: _stamp(table, as_of=market.as_of, cycle=cycle, run_id=run_id)
        for name, table in tables.items()
    }
    manifest = {
        "run_id": run_id,
        "started": started,
        "finished": _now(),
        "as_of": str(market.as_of),
        "cycle": cycle,
        "synthetic": market.synthetic,
        "versions": {
            "crossmargin": version("crossmargin"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "backend": engine.info(backend).backend,
        "instruction_set": engine.info(backend).instruction_set,
        "policy": {
            "name": rules.name,
            "hash": rules.hash,
            "effective_from": rules.effective_from,
            "unconfirmed": [p.name for p in rules.parameters if p.standing == "unconfirmed"],
        },
        "inputs": {**read.inputs, **market.source},
        "market": {
            "curve_date": str(market.date[-1]),
            "history_from": str(market.date[0]),
            "history_rows": int(market.date.size),
            "rows_skipped": market.skipped_rows,
            "roots_with_basis": sorted(market.basis),
        },
        "cubes": {
            "ficc": _describe(ficc_pnl),
            "cme_historical": _describe(cme_pnl),
            "cme_stressed": None if stressed is None else _describe(stressed),
        },
        "rows": {
            "read": read.inputs[POSITIONS.name]["rows_read"],
            "used": int(trades.row.size),
            "rejected": int(read.inputs[POSITIONS.name]["rows_read"] - trades.row.size),
        },
        "exceptions": log.counts(),
        "results": {
            name: {"rows": len(table), "hash": table_hash(table, without=("run_id",))}
            for name, table in stamped.items()
        },
    }
    tell("agreement", 1.0)
    return Run(manifest=manifest, **{name: Table(table) for name, table in stamped.items()})


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
        table = to_arrow(source, name=schema.name)
        parsed = parse(table, schema, file=schema.name, log=self._log)
        self.inputs[schema.name] = describe_input(table, parsed)
        return parsed.table


def _first_rows(accounts: pa.Table, log: ExceptionLog) -> pa.Table:
    """Keep the first row of each account and reject the others."""
    name = np.asarray(accounts["account"].to_pylist(), dtype=str)
    _, first = np.unique(name, return_index=True)
    again = np.setdiff1d(np.arange(name.size), first)
    log.add(
        "ACCOUNT_DUPLICATE",
        file=ACCOUNTS.name,
        row=accounts["row"].to_numpy()[again],
        account=name[again],
        message=[f"account {name[i]} has an earlier row, which is used; keep one" for i in again],
    )
    return accounts.take(np.sort(first))


def _check_rejected(log: ExceptionLog, most: int | None) -> None:
    """Refuse an input with more rejected rows than the user allows."""
    table = log.table()
    rejected = len(_distinct_rows(table.filter(pc.equal(table["severity"], "rejected"))))
    if most is not None and rejected > most:
        first = table.filter(pc.equal(table["severity"], "rejected")).slice(0, 1).to_pylist()[0]
        raise InputError(
            f"{rejected} rows rejected, {most} allowed; the first: {first['file']}, row "
            f"{first['row']}: {first['message']}"
        )


def _distinct_rows(exceptions: pa.Table) -> pa.Table:
    return exceptions.group_by(["file", "row", "account"]).aggregate([])


def _rejected_rows(exceptions: pa.Table, accounts: pa.Table) -> npt.NDArray[np.int64]:
    """Return how many rejected rows name each account, [A]."""
    rows = _distinct_rows(exceptions.filter(pc.equal(exceptions["severity"], "rejected")))
    at = pc.index_in(rows["account"], value_set=accounts["account"]).drop_null()
    return np.bincount(at.to_numpy(), minlength=len(accounts)).astype(np.int64)


def _own_cube(
    source: Source, name: str, universe: Universe, as_of: np.datetime64
) -> tuple[Cube, Mask]:
    """Return the user's cube in the universe's order, and which instruments it covers."""
    given, pnl, scenario = read_cube(source, name=name)
    row = {_canonical(text, as_of): number for number, text in enumerate(given)}
    at = np.array([row.get(text, -1) for text in universe.name.tolist()], dtype=np.int64)
    covered = at >= 0
    return Cube(np.where(covered[:, None], pnl[at], 0.0), scenario=list(scenario)), covered


def _canonical(text: str, as_of: np.datetime64) -> str:
    """Return the symbol of a contract however it is written; another name as it is."""
    try:
        return parse_contract(text, as_of).symbol
    except ValueError:
        return text


def _stressed(cube: Cube, rules: Policy) -> Cube | None:
    """Return the scenarios of a user's cube whose names are dates in a stress window."""
    names = [] if cube.scenario is None else [str(name) for name in cube.scenario]
    inside = []
    for number, name in enumerate(names):
        try:
            day = np.datetime64(name, "D")
        except ValueError:
            continue
        if any(window.first <= day <= window.last for window in rules.scenarios.stress):
            inside.append(number)
    if not inside:
        return None
    return Cube(cube.pnl[:, inside], scenario=[names[n] for n in inside])


def _log_unpriced(
    legs: Legs,
    trades: Trades,
    universe: Universe,
    ficc_priced: Mask,
    cme_priced: Mask,
    accounts: pa.Table,
    log: ExceptionLog,
) -> None:
    """Log the rows whose instrument a model does not cover, and note assumed start cash."""
    name = np.asarray(accounts["account"].to_pylist(), dtype=object)
    at_cme = universe.kind == FUTURE
    missing = ~ficc_priced | ~cme_priced
    code = np.where(universe.unpriced != "", universe.unpriced, "NOT_IN_CUBE")
    # Cash without a future to stand for it lacks the CME side alone.
    code[missing & ~at_cme & universe.priced & ficc_priced] = "NO_BASKET"
    for this in ("NO_MODEL", "NO_BASKET", "NOT_IN_CUBE"):
        leg = np.flatnonzero((missing & (code == this))[legs.instrument])
        instrument = universe.name[legs.instrument[leg]]
        trade = legs.trade[leg]
        log.add(
            this,
            file=POSITIONS.name,
            row=trades.row[trade],
            account=name[trades.account[trade]],
            instrument=instrument,
            message=[f"{text}: {CODES[this].meaning}; its V is null" for text in instrument],
        )
    log.add(
        "START_CASH_ASSUMED",
        file=POSITIONS.name,
        row=trades.row[legs.assumed],
        account=name[trades.account[legs.assumed]],
        message=["start cash was blank: taken as face times the model's dirty price"]
        * legs.assumed.size,
    )


def _stamp(table: pa.Table, *, as_of: np.datetime64, cycle: str, run_id: str) -> pa.Table:
    """Add the columns that every table carries."""
    day = pa.scalar(as_of.astype(datetime.date), pa.date32())
    for name, value in (("as_of", day), ("cycle", cycle), ("run_id", run_id)):
        table = table.append_column(name, pa.repeat(value, len(table)))
    return table.combine_chunks()


def _describe(cube: Cube) -> dict[str, Any]:
    names = cube.scenario
    return {
        "hash": cube.hash,
        "instruments": int(cube.pnl.shape[0]),
        "scenarios": int(cube.pnl.shape[1]),
        "first": str(names[0]) if names is not None else None,
        "last": str(names[-1]) if names is not None else None,
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
