"""An explanation is the run's own numbers, shared out to the cent."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

import crossmargin as xm
from crossmargin.analysis.explained import tables
from crossmargin.analysis.explained.asked import Asked, ask
from crossmargin.analysis.explained.contributions import Decomposed, decompose
from crossmargin.analysis.explained.episodes import episodes
from crossmargin.analysis.explained.requirement import contributions
from crossmargin.analysis.explained.sentences import ordinal
from crossmargin.calculation.result import Stages, stages_of
from crossmargin.conventions import CME_OTHER, CME_XM, FICC_OTHER, FICC_XM, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.exact import cents_of
from crossmargin.instruments.universe import FUTURE
from crossmargin.margin.historical_var import PreparedHistoricalVar
from crossmargin.market.curve import Curve
from crossmargin.policies.files import shipped_policies
from crossmargin.results.table import Table
from crossmargin.sample import sample_tables

EXAMPLES = Path(__file__).parents[2] / "docs" / "policies"
POLICIES = [*shipped_policies(), *sorted(path.stem for path in EXAMPLES.glob("*.toml"))]
ACCOUNTS = 25
SUMS = {
    "requirement": "requirement",
    "at_fixed_rate": "requirement",
    "programme_saving": "programme_saving",
    "standalone_requirement": "standalone_requirement",
}


@cache
def run_of(policy: str) -> xm.RunResult:
    own = EXAMPLES / f"{policy}.toml"
    given = sample_tables(accounts=ACCOUNTS)
    volumes = {"volumes": pa.table({"contract": ["ZT", "ZF", "ZN"], "adv": [100.0, 200.0, 300.0]})}
    return xm.run(
        **{name: given[name] for name in ("positions", "accounts", "securities")},
        market=xm.sample_market(),
        policy=own if own.exists() else policy,
        **(volumes if policy == "example-charges" else {}),
    )


def row_of(run: xm.RunResult, account: str) -> dict[str, Any]:
    return next(row for row in run.accounts if row["account"] == account)


def total(table: Table, column: str) -> Decimal | None:
    values = table[column]
    return None if values.null_count else sum(values.to_pylist(), Decimal(0))


def check(asked: Asked, decomposed: list[Decomposed]) -> None:
    """Check that everything sums to the cent, and that cents only round."""
    described = asked.described
    shared = tables.contributions_table(asked, decomposed, described).to_arrow()
    for one in decomposed:
        mine = shared.filter(
            pc.and_(
                pc.and_(pc.equal(shared["ccp"], one.ccp), pc.equal(shared["portfolio"], one.name)),
                pc.equal(shared["clearing_firm"], asked.firm[one.group]),
            )
        )
        for level in tables.LEVELS:
            rows = mine.filter(pc.equal(mine["level"], level))
            if not one.known:
                assert rows["amount"].null_count == len(rows)
                continue
            v = Decimal(cents_of(one.v)) / 100
            assert pc.sum(rows["amount"]).as_py() == v
            assert pc.sum(rows["smoothed"]).as_py() == v
            if one.shortfall is not None:
                es = Decimal(cents_of(one.es)) / 100
                assert pc.sum(rows["expected_shortfall"]).as_py() == es
                if all(part.measure is not None for part, weight in one.parts if weight):
                    assert es >= v
        if one.known:
            assert one.rest == 0.0
            size = float(np.abs(one.amount).sum())
            assert float(one.amount.sum()) == pytest.approx(one.v, abs=1e-12 * size + 1e-9)
            assert float(one.smoothed.sum()) == pytest.approx(one.v, abs=1e-12 * size + 1e-9)
    found = contributions(asked, decomposed)
    table = tables.positions_table(asked, found, described)
    for name, of in SUMS.items():
        amount = getattr(asked.required, of)
        if not amount.known[0]:
            assert table[name].null_count == len(table)
            continue
        assert sum(table[name].to_pylist(), Decimal(0)) == Decimal(int(amount.cents[0])) / 100
    for name, each in (
        ("requirement", found.requirement),
        ("requirement", found.at_fixed_rate),
        ("programme_saving", found.programme_saving),
        ("standalone_requirement", found.standalone),
    ):
        amount = getattr(asked.required, name)
        if amount.known[0]:
            # Each of a dozen components is rounded by half a cent.
            slack = 0.06 + 1e-11 * float(np.abs(each).sum())
            assert float(each.sum()) == pytest.approx(int(amount.cents[0]) / 100.0, abs=slack)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_account_sums_to_the_cent(policy: str) -> None:
    run = run_of(policy)
    for account in run.accounts["account"].to_pylist():
        asked = ask(stages_of(run), account, Execution(1))
        check(asked, decompose(asked))
        row = row_of(run, account)
        for name in set(SUMS.values()):
            amount = getattr(asked.required, name)
            cents = Decimal(int(amount.cents[0])) / 100 if amount.known[0] else None
            assert row[name] == cents


def random_stages(stages: Stages, lots: list[tuple[int, int, bool]]) -> Stages:
    """Return the stages of a book whose first account has these lots, by instrument."""
    universe, eligible = stages.models.universe, stages.models.eligible
    net: dict[tuple[int, int], int] = {}
    for number, quantity, crossed in lots:
        instrument = number % universe.name.size
        future = universe.kind[instrument] == FUTURE
        crossed &= bool(eligible[instrument])
        own = (CME_XM if crossed else CME_OTHER) if future else FICC_XM if crossed else FICC_OTHER
        key = (own, instrument)
        net[key] = net.get(key, 0) + quantity * (1 if future else 10_000)
    kept = sorted((key, quantity) for key, quantity in net.items() if quantity)
    rows = np.array([segment for (segment, _), _ in kept], dtype=np.int64)
    count = np.bincount(rows, minlength=stages.netted.book.rows)
    book = Book.from_arrays(
        np.concatenate([[0], np.cumsum(count)]),
        [instrument for (_, instrument), _ in kept],
        [quantity for _, quantity in kept],
        columns=universe.name.size,
    )
    assert book.rows % len(SEGMENTS) == 0
    return replace(stages, netted=replace(stages.netted, book=book))


LOTS = st.tuples(st.integers(0, 10_000), st.integers(-300, 300), st.booleans())


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=15, deadline=None)
@given(lots=st.lists(LOTS, max_size=12))
def test_random_books_sum_to_the_cent(policy: str, lots: list[tuple[int, int, bool]]) -> None:
    run = run_of(policy)
    stages = random_stages(stages_of(run), lots)
    asked = ask(stages, run.accounts["account"][0].as_py(), Execution(1))
    check(asked, decompose(asked))


def test_the_offset_rate_moves_with_the_positions() -> None:
    """The derivative of the requirement by the largest line, from a book 3,000 times as large."""
    run = run_of("cme-ficc-2026-04-30")
    account = next(
        row["account"]
        for row in run.accounts
        if row["binding"] == "FICC" and not row["capped"] and row["status"] == "complete"
    )
    stages = stages_of(run)
    asked = ask(stages, account, Execution(1))
    found = contributions(asked, decompose(asked))
    assert found.rate_moves
    lines, book = asked.lines, stages.netted.book
    line = int(np.argmax(np.abs(found.requirement[:-1]) * (lines.place < 2)))
    row = asked.number * len(SEGMENTS) + int(lines.place[line])
    start, end = book.row_ptr[row : row + 2]
    at = start + int(np.flatnonzero(book.column[start:end] == lines.instrument[line])[0])
    scale = 3000
    priced: list[float] = []
    for step in (-1, 1):
        quantity = book.quantity * scale
        quantity[at] += step * abs(book.quantity[at])
        moved = Book.from_arrays(book.row_ptr, book.column, quantity, book.columns)
        again = replace(stages, netted=replace(stages.netted, book=moved))
        margin = ask(again, account, Execution(1))
        rate = float(margin.agreement.saving.offset_rate[0])
        v = margin.margins.ficc.v[0, 0] + margin.margins.cme.v[0, 1]
        priced.append((1.0 - rate) * v + margin.margins.ficc.v[0, 3] + margin.margins.cme.v[0, 3])
    slope = (priced[1] - priced[0]) / 2.0 * np.sign(book.quantity[at])
    assert slope == pytest.approx(found.requirement[line], rel=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_explanation_is_whole_under_every_policy(policy: str) -> None:
    run = run_of(policy)
    row = max(run.accounts, key=lambda row: row["offset_rate"])
    told = xm.explain(run, row["account"])
    assert total(told.positions, "requirement") == row["requirement"]
    assert f"{row['requirement']:,}" in told.text
    assert "synthetic" in told.sentences[0]
    assert repr(told) == told.text
    # V by the models prepared again for the account alone is V to the bit.
    v = {
        (r["clearing_firm"], r["ccp"], r["portfolio"]): r["amount"]
        for r in told.components
        if r["component"] == "V"
    }
    again = [r for r in told.alternatives if r["kind"] == "horizon" and r["in_use"]]
    assert len(again) == len(v)
    for r in again:
        key = (r["clearing_firm"], r["ccp"], r["portfolio"])
        assert round(Decimal(r["amount"]), 2) == v[key]
    # What is in use is the component itself.
    component = {(r["ccp"], r["portfolio"], r["component"]): r["amount"] for r in told.components}
    for r in told.alternatives:
        if r["in_use"] and r["kind"] == "definition" and policy != "cme-ficc-2026-04-30-charges":
            expected = component[r["ccp"], r["portfolio"], r["component"]]
            if "haircut" not in {c for *_, c in component}:
                assert round(Decimal(r["amount"]), 2) == expected


def test_the_tail_decides(sample_run: xm.RunResult) -> None:
    account = sample_run.accounts["account"][1].as_py()
    told = xm.explain(sample_run, account)
    decisive = [r for r in told.tails if r["weight"] != 0.0]
    for r in decisive:
        amounts = [
            c["amount"]
            for c in told.components
            if (c["ccp"], c["portfolio"], c["component"])
            == (r["ccp"], r["portfolio"], r["component"])
        ]
        assert round(Decimal(-r["pnl"]), 2) == amounts[0]
    assert {r["tag"] for r in told.tails if r["component"] == "SVaR"} == {"stress"}
    by_tail: dict[tuple[str, ...], float] = {}
    for r in told.tails:
        key = (r["ccp"], r["portfolio"], r["component"])
        by_tail[key] = by_tail.get(key, 0.0) + r["es_weight"]
    assert list(by_tail.values()) == pytest.approx([1.0] * len(by_tail))


def test_the_period_that_decides_is_told() -> None:
    run = run_of("cme-ficc-2026-11-30")
    models = stages_of(run).models
    periods = models.policy.scenarios_of("CME").stress
    counts = set()
    for account in run.accounts["account"].to_pylist():
        told = xm.explain(run, account)
        amount = {
            (row["clearing_firm"], row["portfolio"]): row["amount"]
            for row in told.components
            if row["component"] == "SVaR" and row["amount"] is not None
        }
        tails = [row for row in told.tails if row["component"] == "SVaR"]
        for row in tails:
            assert row["tag"] == "stress"
            if row["rank"] == max(
                other["rank"]
                for other in tails
                if (other["clearing_firm"], other["portfolio"])
                == (row["clearing_firm"], row["portfolio"])
            ):
                # The tail is that of the largest stressed VaR.
                lost = amount.pop((row["clearing_firm"], row["portfolio"]))
                assert -row["pnl"] == pytest.approx(float(lost), abs=0.006)
                day = np.datetime64(row["scenario"])
                counts.add(next(n for n, p in enumerate(periods) if p.first <= day <= p.last))
        assert not amount
    assert len(counts) > 1


def test_without_a_line_is_the_run_without_it(sample_inputs: dict[str, Any]) -> None:
    run = run_of("cme-ficc-2026-04-30")
    row = next(r for r in run.accounts if r["binding"] and r["status"] == "complete")
    told = xm.explain(run, row["account"])
    session = xm.Session(run)
    for line in told.without.head(4):
        xm_line = line["segment"].endswith("cross-margined")
        if line["instrument"].startswith("USD "):
            continue
        asked = session.what_if(row["account"], {line["instrument"]: -line["quantity"]}, xm=xm_line)
        assert asked["requirement"] == line["requirement"]
        assert asked["offset_rate"] == line["offset_rate"]
        assert line["difference"] == line["requirement"] - row["requirement"]


def test_episodes_have_sources_and_a_history_may_not_reach_them() -> None:
    assert [e.name for e in episodes()] == [
        "September 2008",
        "March 2020",
        "March 2023",
        "April 2025",
    ]
    assert all(e.first < e.last and e.source for e in episodes())
    # A policy without factors beside the curve, of whose models the explanation makes no others.
    run = run_of("cme-ficc-2026-04-30")
    account = run.accounts["account"][1].as_py()
    stages = stages_of(run)
    history = stages.models.market.history
    at = int(np.searchsorted(history.date, np.datetime64("2020-03-10")))
    late = replace(
        history,
        date=history.date[at:],
        par_yield=history.par_yield[at:],
        zero_rate=history.zero_rate[at:],
    )
    models = replace(stages.models, market=replace(stages.models.market, history=late))
    told = xm.explain(replace(run, stages=replace(stages, models=models)), account)
    covered = {r["episode"]: r["covered"] for r in told.episodes}
    assert covered["September 2008"] == "none"
    assert covered["March 2020"] == "part"
    assert covered["April 2025"] == "whole"
    assert "The history does not cover September 2008." in told.sentences
    assert all(
        (r["pnl"] is None) == (r["date"] is None) == (r["covered"] == "none") for r in told.episodes
    )


def test_no_positions_and_no_price(sample_run: xm.RunResult) -> None:
    run = run_of("cme-ficc-2026-04-30")
    stages = random_stages(stages_of(run), [])
    account = run.accounts["account"][0].as_py()
    told = xm.explain(replace(run, stages=stages), account)
    assert told.sentences[1] == f"Account {account} has no open positions and no margin to pay."
    assert len(told.positions) == len(told.contributions) == len(told.without) == 0
    unknown = [r["account"] for r in sample_run.accounts if r["requirement"] is None]
    told = xm.explain(sample_run, unknown[0])
    assert told.positions["requirement"].null_count == len(told.positions)
    assert "is not known" in told.text


@pytest.mark.filterwarnings("ignore::crossmargin.exceptions.InputWarning")
def test_an_account_without_usable_rows_is_told_what_is_left_out_and_asked(
    sample_inputs: dict[str, Any],
) -> None:
    accounts, positions = sample_inputs["accounts"], sample_inputs["positions"]
    account = accounts["account"][0].as_py()
    own = [{**row, "minimum": 5000.0} for row in accounts.to_pylist() if row["account"] == account]
    rows = [row for row in positions.to_pylist() if row["account"] == account]
    rows = [{**rows[0], "instrument": "NOTHING"}]
    schema = accounts.schema
    if "minimum" not in schema.names:
        schema = schema.append(pa.field("minimum", pa.float64()))
    run = xm.run(
        **{
            **sample_inputs,
            "accounts": pa.Table.from_pylist(own, schema),
            "positions": pa.Table.from_pylist(rows, positions.schema),
            "allow_empty": True,
        }
    )
    assert xm.explain(run, account).sentences[1:] == (
        f"Account {account} has no open positions and no margin to pay.",
        "By the firm's own terms it is 5,000.00 USD.",
        "One rejected row is left out, so the amounts may be wrong.",
    )


def test_sentences_say_ranks_and_what_is_unknown(sample_run: xm.RunResult) -> None:
    account = sample_run.accounts["account"][1].as_py()
    assert ", the 28th worst of 2,750: " in xm.explain(sample_run, account).text
    ranks = [1, 2, 3, 4, 11, 12, 13, 21, 111, 1022]
    assert [ordinal(rank) for rank in ranks] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th", "1,022nd"]
    )
    unknown = next(r["account"] for r in sample_run.accounts if r["requirement"] is None)
    assert "It is made up of " in xm.explain(sample_run, unknown).text


def test_savings_are_told_apart_and_an_unused_one_is_named(sample_run: xm.RunResult) -> None:
    """Each is said where there is something to say, to the cent."""
    seen = set()
    rows = [row for row in sample_run.accounts if row["saving"] is not None]
    chosen = (
        next(row for row in rows if row["saving"] < 0),
        next(row for row in rows if row["unused_saving"]),
        next(row for row in rows if row["saving"] == row["programme_saving"] > 0),
    )
    for row in chosen:
        saved, taken, unused = row["saving"], row["programme_saving"], row["unused_saving"]
        text = xm.explain(sample_run, row["account"]).text
        differ = abs(saved - taken) >= 1
        assert ("positions in ordinary accounts" in text) == differ
        assert ("crossmargin optimise" in text) == bool(unused)
        if differ:
            head = f"{abs(saved):,.2f} USD {'less' if saved > 0 else 'more'} than" if saved else ""
            assert f"The account pays {head or 'as much as'} with all positions" in text
        if unused:
            assert (
                f"At least {unused:,.2f} USD less would be due with other futures in the "
                f"cross-margin account; `crossmargin optimise {row['account']}` says which." in text
            )
        seen |= {("differ", differ), ("unused", bool(unused))}
    assert len(seen) == 4


def test_an_instrument_of_several_lines_is_named_with_its_place(
    sample_inputs: dict[str, Any],
) -> None:
    account = sample_inputs["accounts"]["account"][0].as_py()
    given = next(
        row
        for row in sample_inputs["positions"].to_pylist()
        if row["account"] == account and row["kind"] == "future"
    )
    rows = [
        {**given, "xm": xm_, "quantity": quantity, "clearing_firm": firm}
        for xm_, quantity, firm in ((True, 70, None), (False, 500, None), (False, -90, "Elsewhere"))
    ]
    positions = pa.Table.from_pylist(rows, sample_inputs["positions"].schema)
    text = xm.explain(xm.run(**{**sample_inputs, "positions": positions}), account).text
    name = given["instrument"]
    assert f"{name} in the cross-margin account at CME with" in text
    assert f"{name} in the ordinary account at CME with" in text
    assert f"{name} in the ordinary account at CME through Elsewhere with" in text
    alone = pa.Table.from_pylist(rows[:1], positions.schema)
    text = xm.explain(xm.run(**{**sample_inputs, "positions": alone}), account).text
    assert f"{name} with" in text


def test_what_is_not_decomposed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("example-third-ccp")
    parts = PreparedHistoricalVar.parts

    def without_parts(self: PreparedHistoricalVar, *given: Any) -> Any:
        return [replace(part, measure=None) for part in parts(self, *given)]

    stages = stages_of(run)
    there = replace(
        stages.netted,
        elsewhere={
            ccp: Book.from_arrays(
                np.minimum(np.arange(book.rows + 1), 1), [0], [1000], book.columns
            )
            for ccp, book in stages.netted.elsewhere.items()
        },
    )
    stages = replace(stages, netted=there)
    account = run.accounts["account"][0].as_py()
    whole = xm.explain(replace(run, stages=stages), account)
    assert any(r["ccp"] == "XYZ" for r in whole.tails)
    monkeypatch.setattr(PreparedHistoricalVar, "parts", without_parts)
    told = xm.explain(replace(run, stages=stages), account)
    at = [r for r in told.contributions if r["ccp"] == "XYZ" and r["level"] == "position"]
    assert [r["amount"] for r in at if r["item"] == "not decomposed"] == [
        r["amount"] for r in told.components if r["ccp"] == "XYZ" and r["component"] == "V"
    ]
    assert total(told.positions, "requirement") == total(whole.positions, "requirement")
    last = told.positions.to_arrow().to_pylist()[-1]
    assert (last["instrument"], last["segment"]) == ("not decomposed", None)


def test_names_cannot_be_markup(sample_inputs: dict[str, Any]) -> None:
    name = "<script>alert(1)</script>"
    accounts = sample_inputs["accounts"]
    first = accounts["account"][1].as_py()
    renamed = {}
    for table in ("accounts", "positions"):
        given = sample_inputs[table]
        column = pc.if_else(pc.equal(given["account"], first), name, given["account"])
        renamed[table] = given.set_column(0, "account", column)
        assert given.column_names[0] == "account"
    run = xm.run(**{**sample_inputs, **renamed})
    told = xm.explain(run, next(a for a in run.accounts["account"].to_pylist() if "<" in a))
    html = told._repr_html_()
    assert "script&gt;" in html
    assert "<script" not in html


def test_bad_arguments_are_named(sample_run: xm.RunResult) -> None:
    with pytest.raises(ValueError, match=r"account 'nobody' is not in the run; see run\.accounts"):
        xm.explain(sample_run, "nobody")
    with pytest.raises(TypeError, match=r"a run, from xm\.run"):
        xm.explain("results", "000003")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no stages"):
        xm.explain(replace(sample_run, stages=None), "000003")


def test_own_cubes_have_one_horizon_and_names_without_a_tag(
    sample_inputs: dict[str, Any], sample_run: xm.RunResult
) -> None:
    models = stages_of(sample_run).models
    cubes = {}
    for name, ccp in (("ficc_cube", "FICC"), ("cme_cube", "CME")):
        cube = next(iter(models.ccps[ccp].scenario_pnl().values()))
        latest = {f"day {n}": cube.pnl[:, -1 - n] for n in range(30)}
        cubes[name] = pa.table({"instrument": models.universe.name.tolist(), **latest})
    run = xm.run(**sample_inputs, **cubes)
    row = next(r for r in run.accounts if r["binding"])
    told = xm.explain(run, row["account"])
    assert total(told.positions, "requirement") == row["requirement"]
    assert {r["tag"] for r in told.tails} == {None}
    assert {r["component"] for r in told.tails} == {"VaR", "MMA", "HVaR"}
    longer = [r for r in told.alternatives if r["kind"] == "horizon"]
    assert longer
    assert all(r["amount"] is None and not r["in_use"] for r in longer)
    assert {r["horizon"] for r in told.episodes} == {1}
    assert "is the loss in the scenario day" in told.text


def test_a_rerun_is_explained_on_its_own_market() -> None:
    run = run_of("cme-ficc-2026-04-30")
    market = stages_of(run).models.market
    moved = xm.rerun(run, market.with_curve(Curve(market.as_of, market.curve.log_df * 1.05)))
    account = run.accounts["account"][1].as_py()
    told = xm.explain(moved, account)
    assert total(told.positions, "requirement") == row_of(moved, account)["requirement"]
    assert row_of(moved, account)["requirement"] != row_of(run, account)["requirement"]
    again = {
        (r["ccp"], r["portfolio"]): round(Decimal(r["amount"]), 2)
        for r in told.alternatives
        if r["kind"] == "horizon" and r["in_use"]
    }
    v = {(r["ccp"], r["portfolio"]): r["amount"] for r in told.components if r["component"] == "V"}
    assert again == v


def test_real_figures(real_data: Callable[[str], Path]) -> None:
    market = xm.read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13")
    text = real_data("fixed_coupon_master.csv").read_text().splitlines()
    rows = [",".join([*line.split(",")[:4], "", line.split(",")[4]]) for line in text[1:]]
    header = "cusip,coupon_pct,issue_date,maturity_date,type,resold_as"

    def table(*lines: str) -> pa.Table:
        names = lines[0].split(",")
        options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        return csv.read_csv(io.BytesIO("\n".join(lines).encode()), convert_options=options)

    run = xm.run(
        positions=table(
            "account,kind,instrument,quantity,xm",
            "A,cash,91282CMM0,100000000,true",
            "A,future,ZNM25,-1100,true",
        ),
        accounts=table(
            "account,origin,ficc_role,opted_in,clearing_firm",
            "A,customer,sponsored_member,true,FCM",
        ),
        securities=table(header, *rows),
        market=market,
    )
    told = xm.explain(run, "A")
    assert total(told.positions, "requirement") == row_of(run, "A")["requirement"]
    worst = {(r["episode"], r["horizon"], r["leg"]): r for r in told.episodes}
    assert worst["September 2008", 1, "both"]["covered"] == "whole"
    # The history of the run ends before.
    assert worst["April 2025", 1, "cash"]["pnl"] is None
    cash, futures = (worst["March 2020", 3, leg]["pnl"] for leg in ("cash", "futures"))
    assert cash < 0.0 < 1e6 < -futures
