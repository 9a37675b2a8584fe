"""Why requirements changed: one cause after the other, each a whole run."""

from __future__ import annotations

import shutil
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

import crossmargin as xm
from crossmargin import cli
from crossmargin.analysis import attribution, hybrids
from crossmargin.analysis.hybrids import STEPS, rolled_in, rolled_out
from crossmargin.cli.output import output
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.io.market_tables import market_from_tables
from crossmargin.market import Market
from crossmargin.market.calendars import is_business_day
from crossmargin.market.curve import Curve
from crossmargin.market.scenarios import Scenarios
from crossmargin.policies import CmeFloor
from crossmargin.policies.files import shipped_policies
from crossmargin.report.attribution import print_account_attribution
from crossmargin.sample import sample_tables

DAYS = (np.datetime64("2026-06-09"), np.datetime64("2026-06-10"))
ZERO = Decimal(0)
FIRST, SECOND = "cme-ficc-2026-04-30", "cme-ficc-2026-11-30"
SHIPPED = shipped_policies()
THIRD_CCP = Path(__file__).resolve().parents[2] / "docs/policies/example-third-ccp.toml"


@cache
def tables() -> dict[str, pa.Table]:
    """Return the sample's tables; of its repos those that no step opens or settles."""
    given = sample_tables(accounts=14)
    rows = given["positions"]
    start, end = (rows[name].cast(pa.date32()) for name in ("start_date", "end_date"))
    lasting = pc.and_(
        pc.less(start, pa.scalar(DAYS[0].item())), pc.greater(end, pa.scalar(DAYS[1].item()))
    )
    outright = pc.is_in(rows["kind"].cast(pa.string()), value_set=pa.array(["cash", "future"]))
    kept = pc.or_(outright, pc.and_(lasting, rows["start_cash"].is_valid()).fill_null(False))
    return {**given, "positions": rows.filter(kept)}


@cache
def market(day: int) -> Market:
    """Return one of two successive days of the sample's history."""
    given = tables()
    return market_from_tables(
        par_yields=given["par_yields"], basis=given["basis"], as_of=DAYS[day], synthetic=True
    )


def scaled(positions: pa.Table, by: int, without: str = "") -> pa.Table:
    """Return positions with futures so many times as large, and without an account."""
    quantity = positions["quantity"]
    future = pc.equal(positions["kind"].cast(pa.string()), "future")
    larger = pc.if_else(future, pc.multiply(quantity, by), quantity)
    place = positions.column_names.index("quantity")
    changed = positions.set_column(place, "quantity", larger)
    return changed.filter(pc.not_equal(changed["account"].cast(pa.string()), without))


def priced(securities: pa.Table, price: float) -> pa.Table:
    """Return securities of which the notes have a market price."""
    note = pc.equal(securities["type"].cast(pa.string()), "note")
    column = pc.if_else(note.fill_null(False), price, pa.scalar(None, pa.float64()))
    if "price" in securities.column_names:
        securities = securities.drop_columns(["price"])
    return securities.append_column("price", column)


def run(day: int = 0, **changed: Any) -> xm.RunResult:
    given = tables()
    inputs = {name: given[name] for name in ("positions", "accounts", "securities")}
    return xm.run(**{**inputs, "market": market(day), "threads": 1, **changed})


def requirements(result: xm.RunResult) -> dict[str, Decimal | None]:
    table = result.accounts.to_arrow()
    return dict(zip(table["account"].to_pylist(), table["requirement"].to_pylist(), strict=True))


def total(found: xm.Attribution, step: str) -> Decimal:
    [amount] = [row["requirement"] for row in found.book if row["step"] == step]
    assert isinstance(amount, Decimal)
    return amount


def nonzero(found: xm.Attribution) -> set[str]:
    """Return the steps in which any account's requirement changes."""
    return {row["step"] for row in found.steps if row["requirement"]}


def check_sums(found: xm.Attribution) -> None:
    """Check that steps sum to changes: of accounts, of the book, at each clearing house."""
    names = [name.replace(" ", "_") for name in attribution.ROWS]
    book = dict.fromkeys(attribution.ROWS, ZERO)
    for row in found.accounts:
        parts = [row[name] for name in names]
        assert (row["change"] is None) == (row["before"] is None or row["after"] is None)
        if row["change"] is not None:
            assert row["change"] == row["after"] - row["before"]
            assert sum((part for part in parts if part is not None), ZERO) == row["change"]
            for name, part in zip(attribution.ROWS, parts, strict=True):
                book[name] += part or ZERO
    assert {row["step"]: row["requirement"] for row in found.book} == book
    for table in (found.book, found.steps):
        for row in table:
            if row["requirement"] is not None:
                assert row["requirement"] == row["ficc"] + row["cme"] + row["other_ccps"]


def test_each_step_is_the_run_that_it_stands_for() -> None:
    """The order that is stated is what is computed: every run between is made independently."""
    given = tables()
    new = given["accounts"]["account"].cast(pa.string())[6].as_py()
    gone = given["accounts"]["account"].cast(pa.string())[1].as_py()
    rows, accounts = given["positions"], given["accounts"]
    name = accounts["account"].cast(pa.string())
    earlier_accounts = accounts.filter(pc.not_equal(name, new))
    known = accounts.filter(pc.not_equal(name, gone))
    place = known.column_names.index("opted_in")
    opted = known["opted_in"]
    fourth = pa.array(np.arange(len(known)) == 3)
    later_accounts = known.set_column(
        place, "opted_in", pc.if_else(fourth, pc.invert(opted), opted)
    )
    old = {
        "positions": scaled(rows, 1, new),
        "accounts": earlier_accounts,
        "securities": priced(given["securities"], 99.0),
    }
    positions = scaled(rows, 2, gone)
    span = "cme-ficc-2026-04-30-span"
    securities = priced(given["securities"], 98.5)
    before = run(0, **old)
    after = run(1, positions=positions, accounts=later_accounts, securities=securities, policy=span)
    m0, m1 = market(0), market(1)
    aged = replace(m0, as_of=m1.as_of, curve=Curve(m1.as_of, m0.curve.log_df))
    moved = replace(aged, curve=m1.curve)
    between = {
        "positions": run(0, **{**old, "positions": positions, "accounts": known}),
        "time": run(**{**old, "positions": positions, "accounts": known, "market": aged}),
        "market": run(positions=positions, accounts=known, securities=securities, market=moved),
        "scenario sizes": run(1, positions=positions, accounts=known, securities=securities),
        "other inputs": run(1, positions=positions, accounts=later_accounts, securities=securities),
        "policy": after,
    }
    found = xm.attribute(before, after, threads=1)
    check_sums(found)
    assert set(between) <= nonzero(found)
    for row in found.accounts:
        amount = row["before"]
        for step in STEPS:
            part = row[step.replace(" ", "_")]
            amount = None if part is None or amount is None else amount + part
            if step in between and amount is not None:
                assert amount == requirements(between[step]).get(row["account"], ZERO), step
    by_name = {row["account"]: row for row in found.accounts}
    assert by_name[gone]["only_in"] == "before"
    assert by_name[gone]["after"] == 0
    assert by_name[gone]["positions"] == -by_name[gone]["before"]
    assert by_name[new]["only_in"] == "after"
    assert by_name[new]["before"] == 0


@pytest.mark.parametrize("policy", SHIPPED)
def test_the_last_run_between_is_the_later_run(policy: str) -> None:
    """No part of the later run is forgotten, which the sums alone would not show."""
    before = run(0, policy=policy)
    after = run(1, policy=policy, positions=scaled(tables()["positions"], 3))
    assert before.stages is not None
    assert after.stages is not None
    sides = hybrids.hybrid_of(before.stages), hybrids.hybrid_of(after.stages)
    last = hybrids.between(*sides)["policy"]
    found = hybrids.required(last, BasketStore(), Execution(1)).requirement
    wanted = after.stages.requirements.requirement
    assert np.array_equal(found.cents, wanted.cents)
    assert np.array_equal(found.known, wanted.known)


def test_identical_runs_give_zeros_and_nothing_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(attribution, "required", refuse)
    found = xm.attribute(run(), run())
    assert nonzero(found) == set()
    assert [row["what"] for row in found.book] == [None] * 9
    assert len(found.positions) == len(found.scenarios) == 0
    # A single cause is the whole change.
    for changed, step in (
        ({"policy": "cme-ficc-2026-04-30-span"}, "policy"),
        ({"positions": scaled(tables()["positions"], 2)}, "positions"),
    ):
        found = xm.attribute(run(), run(**changed))
        check_sums(found)
        assert nonzero(found) == {step}


def test_a_moved_curve_is_the_market(sample_book: Callable[..., dict[str, Any]]) -> None:
    first = run()
    curve = first.stages.models.market.curve if first.stages else None
    assert curve is not None
    moved = market(0).with_curve(Curve(curve.as_of, curve.log_df * 1.01))
    found = xm.attribute(first, xm.rerun(first, moved))
    check_sums(found)
    assert nonzero(found) == {"market"}
    [row] = [row for row in found.book if row["step"] == "market"]
    assert row["what"].startswith("zero rates at 2, 5, 10, 30 years +")


def test_lines_that_differ_are_told_by_account_the_largest_dv01_first() -> None:
    """Thrice the futures: the change of each line is twice what it was."""
    found = xm.attribute(run(), run(positions=scaled(tables()["positions"], 3)))
    rows = list(found.positions)
    assert rows
    assert {row["kind"] for row in rows} == {"future"}
    assert all(row["change"] == 2 * row["before"] for row in rows)
    assert all(row["change"] == row["after"] - row["before"] for row in rows)
    name = rows[0]["account"]
    own = found.account(name)
    size = [abs(row["change_dv01"]) for row in own.positions]
    assert size == sorted(size, reverse=True)
    assert len(size) > 1
    check_sums(own)
    assert total(own, "positions") == next(iter(own.accounts))["change"]
    with pytest.raises(InputError, match="account 'X' is in neither run"):
        found.account("X")


def test_two_days_roll_one_scenario() -> None:
    found = xm.attribute(run(0), run(1))
    check_sums(found)
    assert nonzero(found) <= {"time", "market", "scenarios out", "scenarios in", "scenario sizes"}
    dates = [(str(r["date"]), r["change"], r["horizon"]) for r in found.scenarios]
    assert [(change, horizon) for _, change, horizon in dates] == [
        ("left", 1), ("left", 3), ("came", 1), ("came", 3),
    ]  # fmt: skip
    assert dates[-1][0] == "2026-06-10"


def made(*rows: tuple[str, float]) -> Scenarios:
    date = np.array([day for day, _ in rows], "datetime64[D]")
    shock = np.array([[move] for _, move in rows])
    return Scenarios(shock, ("treasury:10",), date, np.array(["" for _ in rows]), {})


def test_scenarios_roll_by_date() -> None:
    old = made(("2008-09-15", 9.0), ("2025-03-11", 1.0), ("2025-03-12", 2.0), ("2025-03-13", 3.0))
    new = made(("2008-09-15", 9.5), ("2025-03-12", 2.5), ("2025-03-13", 3.5), ("2025-03-14", 4.5))
    out = rolled_out(old, new)
    assert out.date.astype(str).tolist() == ["2008-09-15", "2025-03-12", "2025-03-13"]
    assert out.shock.ravel().tolist() == [9.0, 2.0, 3.0]
    into = rolled_in(old, new)
    assert into.date.tolist() == new.date.tolist()
    # The new scenario has its own size; the others keep theirs until the next step.
    assert into.shock.ravel().tolist() == [9.0, 2.0, 3.0, 4.5]
    with pytest.raises(InputError, match="no scenario in common"):
        rolled_out(made(("2001-01-02", 1.0)), new)
    with pytest.raises(InputError, match="other factors"):
        rolled_out(replace(old, factor=("treasury:2",)), new)


def test_what_no_run_between_can_compute_is_not_told_apart() -> None:
    """Positions at a clearing house that only the later policy knows."""
    rows = tables()["positions"]
    cash = pc.equal(rows["kind"].cast(pa.string()), "cash")
    name = "H00002"
    there = pc.and_(cash, pc.equal(rows["account"].cast(pa.string()), name))
    policy = xm.read_policy(THIRD_CCP)
    [house] = [table.name for table in policy.ccps]
    ccp = pc.if_else(there, house, pa.scalar(None, pa.string()))
    moved = rows.append_column("ccp", ccp)
    found = xm.attribute(run(), run(positions=moved, policy=policy))
    check_sums(found)
    assert nonzero(found) == {"not told apart"}
    [row] = [row for row in found.book if row["step"] == "not told apart"]
    assert f"has no clearing house {house}" in row["what"]
    assert row["other_ccps"] > 0
    by_name = {row["account"]: row for row in found.accounts}
    assert by_name[name]["positions"] is None
    assert by_name[name]["not_told_apart"] is not None


def firms(member: bool) -> pa.Table:
    names = tables()["accounts"]["clearing_firm"].cast(pa.string()).unique()
    yes = pa.array([True] * len(names))
    flags = dict.fromkeys(("broker_dealer", "fcm", "cme_member"), yes)
    known = pa.array([member, *[True] * (len(names) - 1)])
    return pa.table({"clearing_firm": names, **flags, "ficc_member": known, "desk": names})


def cube(times: float, without: str = "") -> pa.Table:
    """Return P&L of a user at FICC: two scenarios of every instrument."""
    names = {name for name in run().positions["instrument"].to_pylist() if name != without}
    move = np.full(len(names), times)
    return pa.table({"instrument": sorted(names), "a": -move, "b": move})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (lambda: {"firms": firms(True)}, lambda: {"firms": firms(False)}, "firms"),
        (dict, lambda: {"firms": firms(False).drop_columns(["desk"])}, "firms"),
        (lambda: {"ficc_cube": cube(0.5)}, lambda: {"ficc_cube": cube(0.75)}, "cubes"),
        (lambda: {"ficc_cube": cube(0.5)}, dict, "cubes"),
    ],
)
def test_other_inputs_are_a_step_of_their_own(
    before: Callable[[], Any], after: Callable[[], Any], told: str
) -> None:
    one, other = run(**before()), run(**after())
    found = xm.attribute(one, other)
    check_sums(found)
    assert nonzero(found) == {"other inputs"}
    [row] = [row for row in found.book if row["step"] == "other inputs"]
    assert row["what"] == told
    # The same, with a step before it and one after it that do not get in its way.
    span = "cme-ficc-2026-04-30-span"
    rows = scaled(tables()["positions"], 2)
    found = xm.attribute(one, run(1, positions=rows, policy=span, **after()))
    check_sums(found)
    assert {"positions", "time", "other inputs", "policy"} <= nonzero(found)


def test_an_instrument_that_a_cube_lacks_is_told_together() -> None:
    """Before's cube lacks an instrument that only after holds: the run between is unknown."""
    rows = tables()["positions"]
    mine = pc.equal(rows["account"].cast(pa.string()), "H00002")
    cash = rows.filter(pc.and_(mine, pc.equal(rows["kind"].cast(pa.string()), "cash")))
    held = set(rows["instrument"].cast(pa.string()).to_pylist())
    known = tables()["securities"].to_pylist()
    new = next(
        row["cusip"]
        for row in known
        if row["type"] == "note" and row["cusip"] not in held and str(row["maturity_date"]) > "2029"
    )
    at = rows.column_names.index("instrument")
    added = cash.slice(0, 1).set_column(at, "instrument", pa.array([new], rows["instrument"].type))
    later = run(positions=pa.concat_tables([rows, added]))
    found = xm.attribute(run(ficc_cube=cube(0.5)), later)
    check_sums(found)
    by_name = {row["account"]: row for row in found.accounts}
    row = by_name["H00002"]
    assert row["positions"] is None
    assert row["other_inputs"] is None
    assert row["not_told_apart"] == row["change"] != 0
    assert all(
        other["not_told_apart"] in (ZERO, None)
        for name, other in by_name.items()
        if name != "H00002"
    )


def test_an_account_unknown_in_one_run_is_in_no_sum() -> None:
    given = tables()
    kind = given["securities"]["type"].cast(pa.string())
    note = given["securities"].filter(pc.equal(kind, "frn"))["cusip"][-1].as_py()
    rows, name = given["positions"], "H00002"
    mine = pc.equal(rows["account"].cast(pa.string()), name)
    cash = rows.filter(pc.and_(mine, pc.equal(rows["kind"].cast(pa.string()), "cash"))).slice(0, 1)
    at = cash.column_names.index("instrument")
    held = cash.set_column(at, "instrument", pa.array([note], rows["instrument"].type))
    found = xm.attribute(run(), run(positions=pa.concat_tables([rows, held])))
    check_sums(found)
    [row] = [row for row in found.accounts if row["account"] == name]
    assert row["after"] is None
    assert row["change"] is None
    assert row["before"] is not None
    assert found.unknown >= 1


@pytest.mark.filterwarnings("ignore:.*rows of positions are rejected:crossmargin.InputWarning")
def test_an_offset_that_a_rejected_row_loses_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    given, before = tables()["positions"], run()
    clean = [row for row in before.accounts if row["binding"] and not row["rows_rejected"]]
    name, gone = clean[0]["account"], clean[1]["account"]
    place = given.column_names.index("instrument")
    own = given["account"].cast(pa.string())
    bad = given.filter(pc.equal(own, name)).slice(0, 1)
    bad = bad.set_column(place, "instrument", pa.array(["NOTHING"], given["instrument"].type))
    kept = given.filter(pc.not_equal(own, gone))
    accounts = tables()["accounts"]
    accounts = accounts.filter(pc.not_equal(accounts["account"].cast(pa.string()), gone))
    after = run(positions=pa.concat_tables([kept, bad]), accounts=accounts)
    found = xm.attribute(before, after)
    rows = {row["account"]: row for row in found.accounts}
    for side, result in (("before", before), ("after", after)):
        for agreed in result.accounts:
            for cell in ("offset_rate", "binding", "capped", "reason", "rows_rejected"):
                assert rows[agreed["account"]][f"{cell}_{side}"] == agreed[cell]
    assert rows[gone]["offset_rate_after"] is None
    assert rows[gone]["rows_rejected_after"] is None
    print_account_attribution(found.account(name), output())
    text = capsys.readouterr().out
    rate, binding = clean[0]["offset_rate"], clean[0]["binding"]
    capped = ", capped" if clean[0]["capped"] else ""
    told = f"offset rate {rate:.1%} ({binding} binds{capped}) -> 0.0% (INCOMPLETE: 1 row rejected)"
    assert told in " ".join(text.split())
    assert "rejected rows 0 -> 1" in text
    print_account_attribution(found.account(gone), output())
    assert "-> none (no such account)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.filterwarnings("ignore:.*rows of positions are rejected:crossmargin.InputWarning")
@settings(max_examples=6, deadline=None)
@given(st.data())
def test_steps_sum_to_the_cent_on_random_books(data: st.DataObject) -> None:
    policies = st.sampled_from(SHIPPED)
    names = tables()["accounts"]["account"].cast(pa.string()).to_pylist()

    def drawn(day: int) -> xm.RunResult:
        rows = tables()["positions"]
        seed = data.draw(st.integers(0, 2**16), label="seed")
        kept = np.random.default_rng(seed).random(len(rows)) < 0.5
        part = scaled(rows.filter(pa.array(kept)), data.draw(st.integers(1, 5)))
        without = data.draw(st.sampled_from(["", *names]))
        return run(day, positions=scaled(part, 1, without), policy=data.draw(policies))

    days = data.draw(st.sampled_from([(0, 0), (0, 1), (1, 1)]))
    check_sums(xm.attribute(drawn(days[0]), drawn(days[1]), threads=1))


def test_another_seed_is_another_book_and_market() -> None:
    one, other = (
        xm.run(
            **{name: sample_tables(accounts=12, seed=seed)[name] for name in list(given)},
            market=xm.sample_market(seed=seed),
        )
        for seed in (1, 2)
        for given in [("positions", "accounts", "securities")]
    )
    found = xm.attribute(one, other)
    check_sums(found)
    assert {"positions", "market", "scenario sizes"} <= nonzero(found)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    result = run()
    with pytest.raises(TypeError, match="after: a run or a directory"):
        xm.attribute(result, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no stages"):
        xm.attribute(replace(result, stages=None), result)
    with pytest.raises(InputError, match="give the earlier run first"):
        xm.attribute(run(1), result)
    result.write(tmp_path / "bare")
    with pytest.raises(InputError, match="does not name the inputs"):
        xm.attribute(tmp_path / "bare", result)
    with pytest.raises(InputError, match="holds no results"):
        xm.attribute(result, tmp_path / "nowhere")


def test_factors_of_a_policy_come_and_go_with_it() -> None:
    old, new = FIRST, SECOND
    added = xm.attribute(run(policy=old), run(policy=new))
    assert nonzero(added) == {"policy"}
    assert total(added, "policy") > ZERO
    check_sums(added)
    before, later = run(policy=new), run(1, policy=old)
    rolled = xm.attribute(before, later)
    check_sums(rolled)
    assert total(rolled, "not told apart") == ZERO
    # All steps but the last are those of the new policy.
    same = xm.attribute(before, run(1, policy=new))
    for step in ("time", "market", "scenarios in", "scenario sizes"):
        assert total(rolled, step) == total(same, step), step


def test_fixings_that_come_are_sizes_of_scenarios_as_far_as_they_move_the_funds_rate() -> None:
    days = np.arange("2018-04-03", "2026-06-10", dtype="datetime64[D]")
    days = days[is_business_day(days, "sofr")]
    rate = 0.04 + 1e-4 * np.random.default_rng(3).integers(-9, 10, days.size).cumsum() / 10.0
    given = tables()["positions"]
    # Its period has not begun, so that fixings are no part of its price.
    short = pc.equal(given["instrument"].cast(pa.string()), "SR3U26")
    inputs = {"positions": given.filter(short), "policy": "cme-ficc-2026-11-30"}
    assert inputs["positions"].num_rows > 0
    without = run(**inputs)
    found = xm.attribute(
        without, run(**inputs, market=replace(market(0), fixings={"SOFR": (days, rate)}))
    )
    check_sums(found)
    assert nonzero(found) == {"scenario sizes"}


def test_texts_of_users_are_escaped_in_notebooks() -> None:
    policy = replace(xm.read_policy("cme-ficc-2026-04-30-span"), name="<script>")
    found = xm.attribute(run(policy=policy), run())
    html = found._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_command_explains_a_book_and_an_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tables()["positions"]
    earlier, later = (str(xm.write_run(result, tmp_path / name)) for result, name in (
        (run(0), "a"), (run(1, positions=scaled(rows, 2)), "b"),
    ))  # fmt: skip
    found = xm.attribute(earlier, later)
    out = tmp_path / "all.csv"
    assert cli.main(["attribute", earlier, later, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "scenarios out" in text
    assert "Accounts that moved most" in text
    assert f"{total(found, 'positions'):+,.2f}" in text
    assert len(out.read_text().splitlines()) == 1 + len(found.accounts)
    name = next(iter(found.positions))["account"]
    assert cli.main(["attribute", earlier, later, "--account", name]) == 0
    text = capsys.readouterr().out
    assert f"account {name}" in text
    assert "Largest changes" in text
    for arguments, message in (
        ([earlier, later, "--account", "X\x1b[1m"], "is in neither run"),
        ([later, earlier], "give the earlier run first"),
        ([earlier, str(tmp_path)], "holds no results"),
    ):
        assert cli.main(["attribute", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
        assert "\x1b" not in error
    shutil.rmtree(tmp_path / "b")
    assert cli.main(["attribute", earlier, later]) == 2


def test_scenarios_that_leave_are_those_of_a_shorter_look_back(
    real_data: Callable[[str], Path],
) -> None:
    """On real yields the run without the scenarios that leave is one of a shorter look-back."""
    yields = real_data("us_treasury_par_yields.csv.gz")
    first, last = (xm.read_market(yields, as_of=day) for day in ("2025-02-27", "2025-03-13"))
    book = {
        "positions": pa.table(
            {
                "account": ["A", "A", "B", "B", "C"],
                "kind": ["cash", "future", "cash", "future", "future"],
                "instrument": ["91282CMB4", "ZNM25", "91282CMB4", "ZTM25", "UBM25"],
                "quantity": [50_000_000, -400, -90_000_000, 300, 250],
                "xm": [True, True, True, True, False],
            }
        ),
        "accounts": pa.table(
            {
                "account": ["A", "B", "C"],
                "origin": ["customer"] * 3,
                "ficc_role": ["sponsored_member"] * 3,
                "opted_in": [True] * 3,
                "clearing_firm": ["F1"] * 3,
            }
        ),
        "securities": real_data("fixed_coupon_master.csv"),
        "threads": 1,
    }
    # A floor by the volatility of the look-back changes the size of scenarios with its length.
    policy = xm.read_policy().without_sections(CmeFloor)
    earlier, later = (xm.run(**book, market=day, policy=policy) for day in (first, last))
    found = xm.attribute(earlier, later, threads=1)
    check_sums(found)
    left = {row["horizon"]: 0 for row in found.scenarios}
    for row in found.scenarios:
        left[row["horizon"]] += row["change"] == "left"
    assert left == {1: 10, 3: 10}
    rows = policy.scenarios.look_back - 10
    shorter = replace(
        policy, scenarios=replace(policy.scenarios, look_back=rows, minimum_rows=rows)
    )
    moved = replace(first, as_of=last.as_of, curve=last.curve)
    without = requirements(xm.run(**book, market=moved, policy=shorter))
    with_all = requirements(xm.run(**book, market=moved, policy=policy))
    for row in found.accounts:
        amount = row["before"] + row["positions"] + row["time"] + row["market"]
        assert amount == with_all[row["account"]]
        assert amount + row["scenarios_out"] == without[row["account"]]
    assert total(found, "scenarios out")
    assert total(found, "scenarios in")


def test_two_real_days_are_told_apart(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    yields = real_data("us_treasury_par_yields.csv.gz")
    accounts = pa.table(
        {
            "account": ["A", "B"],
            "origin": ["customer"] * 2,
            "ficc_role": ["sponsored_member"] * 2,
            "opted_in": [True] * 2,
            "clearing_firm": ["F1"] * 2,
        }
    )
    positions = pa.table(
        {
            "account": ["A", "A", "B"],
            "kind": ["cash", "future", "cash"],
            "instrument": ["91282CMB4", "ZNM26", "91282CMB4"],
            "quantity": [50_000_000, -400, 10_000_000],
            "xm": [True, True, False],
        }
    )
    results = [
        xm.run(
            positions=positions,
            accounts=accounts,
            securities=real_data("fixed_coupon_master.csv"),
            market=xm.read_market(yields, as_of=day),
        )
        for day in ("2026-02-26", "2026-02-27")
    ]
    paths = [xm.write_run(one, tmp_path / str(n)) for n, one in enumerate(results)]
    found = xm.attribute(*paths)
    check_sums(found)
    assert nonzero(found) == {"time", "market", "scenario sizes"}
    assert {(str(r["date"]), r["change"]) for r in found.scenarios} == {
        ("2016-02-26", "left"),
        ("2026-02-27", "came"),
    }
    [moved] = [row for row in found.book if row["step"] == "market"]
    assert moved["what"] == "zero rates at 2, 5, 10, 30 years -3.9, -5.9, -4.8, -2.5 bp"
    assert cli.main(["attribute", *map(str, paths), "--account", "A"]) == 0
