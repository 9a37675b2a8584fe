"""How long one question to a session takes, from Python, in accounts of 30 and of 200 lines.

``python benchmarks/latency.py`` prints: the time from a trade to its answer, median and
99th percentile, by kind of trade; the time to cache an account; a question's share of a
call of `what_ifs`; the same on the sample's accounts under each policy. Accounts are drawn at
random from more than any processor cache holds, every trade is new, and some answers are compared
with those of `what_ifs`. Nothing fails for being slow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

import crossmargin as xm
from crossmargin.engine import info
from crossmargin.policies import shipped_policies
from crossmargin.sample import sample_tables

LINES = {30: 2_000, 200: 400}
"""Lines of each account, and the accounts that are cached: 0.3 and 0.06 GB."""
QUESTIONS, BATCH = 20_000, 10_000
SEED = 30
POLICIES = (
    *sorted(shipped_policies()),
    *sorted((Path(__file__).resolve().parents[1] / "docs/policies").glob("*.toml")),
)
BY_POLICY = 3_000
"""Questions under each policy."""
Question = tuple[str, dict[str, float]]


def book(lines: int, accounts: int) -> dict[str, pa.Table]:
    """Return input tables: accounts of exactly so many lines, from the sample's trades in turn."""
    tables = sample_tables(accounts=accounts * lines // 3)
    trades = tables["positions"].select(["kind", "instrument", "quantity", "xm"]).to_pylist()
    kind = dict(zip(*(tables["securities"][c].to_pylist() for c in ("cusip", "type")), strict=True))
    notes = sorted(cusip for cusip in kind if kind[cusip] in ("note", "bond"))
    rng = np.random.default_rng(SEED)
    lot = {"cash": 100.0, "future": 1.0}
    usable = [
        trade
        for trade in trades
        if trade["kind"] in lot
        and trade["quantity"]
        and trade["quantity"] % lot[trade["kind"]] == 0.0
        and (trade["kind"] == "future" or kind.get(trade["instrument"]) in ("note", "bond"))
    ]
    rows = []
    for number in range(accounts):
        held = set()
        for row in usable[number * lines : (number + 1) * lines]:
            # A second line of an instrument becomes another note, 100,000 USD for a contract.
            face = row["quantity"] * (1e5 if row["kind"] == "future" else 1.0)
            while (line := (row["instrument"], row["xm"])) in held:
                note = notes[rng.integers(len(notes))]
                row = row | {"kind": "cash", "instrument": note, "quantity": face}
            held.add(line)
            rows.append(row | {"account": f"A{number}"})
    assert len(rows) == accounts * lines
    names = [f"A{n}" for n in range(accounts)]
    positions = pa.Table.from_pylist(rows)
    given = pa.table(
        {
            "account": names,
            "origin": ["customer"] * accounts,
            "ficc_role": ["sponsored_member"] * accounts,
            "opted_in": [True] * accounts,
            "clearing_firm": ["F1"] * accounts,
        }
    )
    return {"positions": positions, "accounts": given, "securities": tables["securities"]}


@cache
def finished_run(lines: int) -> xm.RunResult:
    """Return the run of a book of accounts with so many lines."""
    run = xm.run(**book(lines, LINES[lines]), market=xm.sample_market())
    assert run.manifest["rows"]["rejected"] < 0.01 * run.manifest["rows"]["read"]
    return run


def make_questions(session: xm.Session, kind: str, count: int, seed: int) -> list[Question]:
    """Return questions about accounts drawn at random; no two trades need be equal."""
    rng = np.random.default_rng([SEED, seed])
    futures = [name for name in session.instruments if name[:2] in ("ZT", "ZF", "ZN", "TN", "ZB")]
    notes = [name for name in session.instruments if name.startswith("SYN")]

    def contracts(most: int) -> Iterator[int]:
        size = rng.integers(1, most + 1, count) * rng.choice([-1, 1], count)
        return iter(size.tolist())

    def names(of: list[str]) -> Iterator[str]:
        return iter(rng.choice(of, count).tolist())

    accounts = names(list(session.accounts))
    if kind == "10 contracts":
        side = contracts(1)
        return [(a, {f: 10 * n}) for a, f, n in zip(accounts, names(futures), side, strict=True)]
    if kind == "1 to 99 contracts":
        lots = contracts(99)
        return [(a, {f: n}) for a, f, n in zip(accounts, names(futures), lots, strict=True)]
    if kind == "0.1 to 50 million of a note":
        face = contracts(500)
        return [(a, {c: 1e5 * n}) for a, c, n in zip(accounts, names(notes), face, strict=True)]
    legs = zip(accounts, names(notes), names(futures), contracts(99), strict=True)
    return [(a, {c: -1e5 * n, f: n}) for a, c, f, n in legs]


KINDS = (
    "10 contracts",
    "1 to 99 contracts",
    "0.1 to 50 million of a note",
    "a note against a future",
)


def time_each(session: xm.Session, questions: list[Question]) -> np.ndarray:
    """Return how long each question takes, microseconds."""
    taken, clock = np.empty(len(questions)), time.perf_counter_ns
    for number, (account, trades) in enumerate(questions):
        begin = clock()
        session.what_if(account, trades)
        taken[number] = clock() - begin
    return taken / 1e3


def time_caching(session: xm.Session) -> np.ndarray:
    """Return how long the first question to each account takes, microseconds; all stay cached."""
    return time_each(session, [(account, {}) for account in session.accounts])


def check(session: xm.Session, questions: list[Question]) -> None:
    """Compare some answers with those of the columnar models."""
    some = questions[:: len(questions) // 20]
    expected = session.what_ifs(some).to_arrow().to_pylist()
    assert [session.what_if(*question) for question in some] == expected


def sample_run(policy: str | Path) -> xm.RunResult:
    """Return the run of the sample's book under a policy."""
    tables = sample_tables()
    positions = tables["positions"]
    # Where a further clearing house clears cash, it has a quarter of these positions.
    name = Path(policy).stem
    if name == "example-third-ccp":
        ccp = [
            "XYZ" if kind in ("cash", "repo", "reverse") and number % 4 == 0 else None
            for number, kind in enumerate(positions["kind"].to_pylist())
        ]
        positions = positions.append_column("ccp", pa.array(ccp, pa.string()))
    volumes = pa.table({"contract": ["ZT", "ZF", "ZN"], "adv": [4_000.0, 3_000.0, 2_000.0]})
    return xm.run(
        positions=positions,
        accounts=tables["accounts"],
        securities=tables["securities"],
        market=xm.sample_market(),
        policy=policy,
        volumes=volumes if name == "example-charges" else None,
    )


def measure_policies() -> dict[str, float]:
    """Time questions under each policy; the names of the figures carry the units."""
    figures = {}
    for policy in POLICIES:
        session = xm.Session(sample_run(policy), threads=1)
        caching = time_caching(session)
        name = Path(policy).stem
        for seed, kind in enumerate(("1 to 99 contracts", "a note against a future")):
            questions = make_questions(session, kind, BY_POLICY, seed)
            check(session, questions)
            taken = time_each(session, questions)
            figures[f"{name}: {kind}, median, us"] = float(np.median(taken))
            figures[f"{name}: {kind}, 99th percentile, us"] = float(np.percentile(taken, 99))
        figures[f"{name}: cache an account, median, us"] = float(np.median(caching))
        begin = time.perf_counter()
        for question in questions[:200]:
            session.what_ifs([question])
        figures[f"{name}: the same question by columns, us"] = (
            (time.perf_counter() - begin) / 200 * 1e6
        )
    return figures


def measure() -> dict[str, float]:
    """Time questions of each kind; the names of the figures carry the units."""
    figures = {}
    for lines, accounts in LINES.items():
        run = finished_run(lines)
        session = xm.Session(run)

        def note(what: str, taken: np.ndarray, lines: int = lines) -> None:
            figures[f"{lines} lines: {what}, median, us"] = float(np.median(taken))
            figures[f"{lines} lines: {what}, 99th percentile, us"] = float(np.percentile(taken, 99))

        note(f"cache one of {accounts:,} accounts", time_caching(session))
        for seed, kind in enumerate(KINDS):
            questions = make_questions(session, kind, QUESTIONS, seed)
            check(session, questions)
            note(kind, time_each(session, questions))
        questions = make_questions(session, "1 to 99 contracts", BATCH, len(KINDS))
        single = xm.Session(run, threads=1)
        begin = time.perf_counter()
        single.what_ifs(questions)
        each = (time.perf_counter() - begin) / BATCH * 1e6
        figures[f"{lines} lines: a question of {BATCH:,} in `what_ifs`, us"] = each
    return figures | measure_policies()


def main() -> None:
    """Measure and print."""
    here = info()
    print(f"Engine {here.backend}, {here.instruction_set}; one thread.\n")
    for name, value in measure().items():
        print(f"{name:80}{value:10.1f}")


if __name__ == "__main__":
    main()
