"""What the days to come change, and what it costs: against runs on books changed by hand."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.calculation.result import stages_of
from crossmargin.instruments.contracts import last_day
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.market.calendars import add_business_days
from crossmargin.policies import DeliveryMonthRules, read_policy
from crossmargin.sample import sample_tables

AS_OF = datetime.date(2026, 6, 10)
"""The day of the sample's market, a Wednesday; 19 June is a holiday."""
THIRD = Path(__file__).resolve().parents[2] / "docs/policies/example-third-ccp.toml"
COLUMNS = {
    "account": pa.string(),
    "kind": pa.string(),
    "instrument": pa.string(),
    "quantity": pa.float64(),
    "xm": pa.bool_(),
    "settle_date": pa.date32(),
    "start_date": pa.date32(),
    "end_date": pa.date32(),
    "repo_rate": pa.float64(),
    "failed": pa.bool_(),
    "clearing_firm": pa.string(),
    "ccp": pa.string(),
}


def day(number: int) -> datetime.date:
    """Return a business day after the as-of date."""
    found = add_business_days(np.datetime64(AS_OF), number, "bond").item()
    assert isinstance(found, datetime.date)
    return found


@pytest.fixture(scope="module")
def securities() -> pa.Table:
    return sample_tables(accounts=10)["securities"]


@pytest.fixture(scope="module")
def matures(securities: pa.Table) -> dict[str, datetime.date]:
    return dict(
        zip(securities["cusip"].to_pylist(), securities["maturity_date"].to_pylist(), strict=True)
    )


@pytest.fixture(scope="module")
def notes(securities: pa.Table) -> list[str]:
    """Return notes: two of several years, and one whose term falls to a year within days."""
    kind = np.array(securities["type"].to_pylist())
    when = np.array(securities["maturity_date"].to_pylist(), "datetime64[D]")
    cusip = np.array(securities["cusip"].to_pylist())
    far = cusip[(kind == "note") & (when > np.datetime64("2030-01-01"))]
    near = (when > np.datetime64("2027-06-10")) & (when <= np.datetime64("2027-06-24"))
    return [str(far[0]), str(far[1]), str(cusip[(kind == "note") & near][0])]


Margined = Callable[..., xm.RunResult]


@pytest.fixture(scope="module")
def margined(securities: pa.Table) -> Margined:
    market = xm.sample_market()

    def run(rows: list[dict[str, Any]], accounts: list[str] | None = None, **more: Any) -> Any:
        names = accounts or sorted({str(row["account"]) for row in rows})
        table = {
            name: pa.array([row.get(name) for row in rows], kind) for name, kind in COLUMNS.items()
        }
        size = len(names)
        people = pa.table(
            {
                "account": names,
                "origin": ["customer"] * size,
                "ficc_role": [more.get("role", {}).get(n, "sponsored_member") for n in names],
                "opted_in": [True] * size,
                "clearing_firm": ["F"] * size,
                "omnibus": pa.array([more.get("omnibus", {}).get(n) for n in names], pa.string()),
            }
        )
        return xm.run(
            positions=pa.table(table),
            accounts=people,
            securities=securities,
            market=market,
            policy=more.get("policy"),
            cycle=more.get("cycle", "EOD"),
            allow_empty=True,
        )

    return run


def row(kind: str, instrument: str, quantity: float, **more: Any) -> dict[str, Any]:
    return {
        "account": "A",
        "kind": kind,
        "instrument": instrument,
        "quantity": quantity,
        "xm": True,
        **({"repo_rate": 0.0} if kind in ("repo", "reverse") else {}),
        **more,
    }


def required(run: xm.RunResult) -> dict[str, Decimal]:
    return {own["account"]: own["requirement"] for own in run.accounts}


def by_hand(
    rows: list[dict[str, Any]], later: datetime.date, matures: dict[str, datetime.date]
) -> list[dict[str, Any]]:
    """Return what is left of rows on a later day, written for a run on the as-of date.

    A repo that has started is one that started today: at a rate of zero its cash is the same.
    """
    left = []
    for own in rows:
        given = dict(own)
        kind, name = own["kind"], own["instrument"]
        if kind == "future":
            if last_day(parse_contract(name, np.datetime64(AS_OF))) < np.datetime64(later):
                continue
        else:
            if matures[name] <= later:
                continue
            limit = matures[name].replace(year=matures[name].year - 1)
            given["xm"] = bool(own["xm"]) and limit > later
        if not own.get("failed"):
            ends = own.get("settle_date") if kind == "cash" else own.get("end_date")
            if ends is not None and ends <= later:
                continue
            if own.get("start_date") is not None and AS_OF < own["start_date"] <= later:
                given["start_date"] = AS_OF
        left.append(given)
    return left


def check(
    run: xm.RunResult,
    rows: list[dict[str, Any]],
    matures: dict[str, datetime.date],
    margined: Margined,
    days: int,
    **more: Any,
) -> xm.Upcoming:
    """Check every cost against runs on the book of each day; return what was found."""
    found = xm.upcoming(run, days)
    now, costs = required(run), list(found.costs)
    names, first = list(now), dict(now)
    for number in range(1, days + 1):
        left = by_hand(rows, day(number), matures)
        then = required(margined(left, names, **more))
        rows_of_day = {own["account"]: own for own in costs if own["day"] == day(number)}
        for name in names:
            if name in rows_of_day:
                own = rows_of_day[name]
                assert own["requirement_before"] == now[name]
                assert own["requirement_after"] == then[name]
                assert own["cost"] == then[name] - now[name]
                assert own["cost_so_far"] == then[name] - first[name]
            else:
                assert then[name] == now[name]
        now = then
    return found


def test_each_event_is_named_with_its_day_and_quantity(
    margined: Margined, matures: dict[str, datetime.date], notes: list[str]
) -> None:
    rows = [
        row("cash", notes[0], 5e6, settle_date=day(1)),
        row("cash", notes[0], -1e6, settle_date=day(1)),
        # Due on a Saturday: gone on the Monday.
        row("repo", notes[1], 7e6, start_date=day(-1), end_date=datetime.date(2026, 6, 13)),
        row("reverse", notes[1], 3e6, start_date=day(2), end_date=day(5)),
        row("cash", notes[2], 9e6),
        row("future", "ZNU26", -40),
        # Its last day is 16 June: the day before the third Wednesday of June, three months on.
        row("future", "SR3H26", 10),
        row("future", "ZTM26", 4),
    ]
    found = check(margined(rows), rows, matures, margined, 16)
    told = [
        (own["day"], own["instrument"], own["event"], own["quantity"], own["trades"])
        for own in found.events
    ]
    crosses = matures[notes[2]].replace(year=2026)
    while not np.is_busday(crosses) or crosses == datetime.date(2026, 6, 19):
        crosses += datetime.timedelta(1)
    assert sorted(told) == sorted(
        [
            (day(1), notes[0], "CASH_SETTLES", 4_000_000, 2),
            (day(2), notes[1], "REPO_STARTS", -3_000_000, 1),
            (datetime.date(2026, 6, 15), notes[1], "REPO_ENDS", 7_000_000, 1),
            (datetime.date(2026, 6, 17), notes[1], "REPO_ENDS", -3_000_000, 1),
            (datetime.date(2026, 6, 17), "SR3H26", "CONTRACT_EXPIRES", 10, 1),
            (crosses, notes[2], "SECURITY_INELIGIBLE", 9_000_000, 1),
        ]
    )
    assert told == sorted(told, key=lambda own: own[0])
    assert found.manifest["undated"] == 1
    assert found.manifest["days"][0] == str(day(1))


def test_the_delivery_month_begins_and_the_future_expires(
    margined: Margined, matures: dict[str, datetime.date], notes: list[str]
) -> None:
    rows = [row("cash", notes[0], 30e6), row("future", "ZNU26", -300)]
    run = margined(rows)
    found = check(run, rows, matures, margined, 3)
    assert len(found.events) == len(found.costs) == 0
    ahead = xm.upcoming(run, 100)
    told = [(own["day"], own["event"], own["quantity"]) for own in ahead.events]
    # 1 September 2026 is a Tuesday; the last delivery day is 30 September.
    assert told == [
        (datetime.date(2026, 9, 1), "DELIVERY_MONTH", -300),
        (datetime.date(2026, 10, 1), "CONTRACT_EXPIRES", -300),
    ]
    # That the month begins costs nothing: no row of costs is about it.
    only = [own["day"] for own in ahead.costs]
    assert only == [datetime.date(2026, 10, 1)]
    alone = required(margined(rows[:1]))["A"]
    assert ahead.costs[0:1].to_arrow()["requirement_after"].to_pylist() == [alone]


@pytest.mark.parametrize(
    ("leave", "on"),
    [
        ("first_day", datetime.date(2026, 9, 1)),
        # Two business days before it: 28 August is a Friday.
        ("first_intention_day", datetime.date(2026, 8, 28)),
    ],
)
def test_futures_that_leave_by_the_policy_cost_the_benefit(
    margined: Margined, notes: list[str], leave: str, on: datetime.date
) -> None:
    rows = [row("cash", notes[0], 30e6), row("future", "ZNU26", -300)]
    policy = read_policy().with_sections(DeliveryMonthRules(leave))
    run = margined(rows, policy=policy)
    assert required(run) == required(margined(rows))
    found = xm.upcoming(run, 60)
    events = {own["event"]: own["day"] for own in found.events}
    assert events["CONTRACT_INELIGIBLE"] == on
    assert events["DELIVERY_MONTH"] == datetime.date(2026, 9, 1)
    (cost,) = list(found.costs)
    apart = required(margined([rows[0], {**rows[1], "xm": False}]))["A"]
    assert (cost["day"], cost["requirement_after"]) == (on, apart)
    assert cost["cost"] > 0


def test_a_hedge_whose_security_falls_to_a_year_costs_the_saving(
    margined: Margined, matures: dict[str, datetime.date], notes: list[str]
) -> None:
    rows = [row("cash", notes[2], 100e6), row("future", "ZTU26", -45)]
    run = margined(rows)
    (account,) = list(run.accounts)
    found = check(run, rows, matures, margined, 12)
    (cost,) = list(found.costs)
    assert cost["requirement_before"] == account["requirement"]
    # By hand: the cash moves from one FICC portfolio to another, and both pay in full.
    without = margined([{**rows[0], "xm": False}, rows[1]])
    (apart,) = list(without.accounts)
    assert apart["offset_rate"] == 0
    assert cost["requirement_after"] == apart["other_ficc"] + apart["requirement_cme"]


BOOK = st.lists(
    st.tuples(
        st.sampled_from(["cash", "repo", "reverse", "future", "failed"]),
        st.integers(0, 2),
        st.integers(-30, 30).filter(bool),
        st.integers(-3, 6),
        st.integers(1, 6),
        st.booleans(),
        st.sampled_from("AB"),
    ),
    min_size=1,
    max_size=8,
)


# A book may hold the same rows twice.
@pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")
@given(BOOK, st.sampled_from(["EOD", "CUR"]))
@settings(max_examples=8, deadline=None)
def test_costs_are_those_of_runs_on_what_is_left(
    margined: Margined,
    matures: dict[str, datetime.date],
    notes: list[str],
    book: list[tuple[Any, ...]],
    cycle: str,
) -> None:
    rows = []
    for kind, number, lots, start, length, crossed, name in book:
        own: dict[str, Any] = {"account": name, "xm": crossed}
        if kind == "future":
            rows.append(row(kind, ("ZTM26", "SR3H26", "ZNU26")[number], lots, **own))
            continue
        settles = None if start == 0 else day(max(start, 1))
        if kind == "cash":
            rows.append(row(kind, notes[number], lots * 1e6, settle_date=settles, **own))
        elif kind == "failed":
            own |= {"failed": True, "settle_date": day(start)}
            rows.append(row("cash", notes[number], lots * 1e6, **own))
        else:
            own |= {"start_date": day(start), "end_date": day(max(start, 0) + length)}
            rows.append(row(kind, notes[number], abs(lots) * 1e6, **own))
    check(margined(rows, ["A", "B"], cycle=cycle), rows, matures, margined, 4, cycle=cycle)


def test_in_the_cycle_itd_legs_of_the_day_are_still_open(
    margined: Margined, notes: list[str]
) -> None:
    rows = [row("cash", notes[0], 5e6, settle_date=AS_OF)]
    rows.append(row("cash", notes[1], 5e6, settle_date=day(1)))
    found = xm.upcoming(margined(rows, cycle="ITD"), 3)
    assert [(own["day"], own["instrument"]) for own in found.events] == [
        (day(1), notes[0]),
        (day(2), notes[1]),
    ]


def test_positions_elsewhere_come_to_their_end_too(
    margined: Margined, matures: dict[str, datetime.date], notes: list[str]
) -> None:
    rows = [
        row("cash", notes[0], 5e6, settle_date=day(1), ccp="XYZ"),
        row("cash", notes[1], 5e6, ccp="XYZ"),
        row("cash", notes[1], 6e6, settle_date=day(2), clearing_firm="G"),
        row("future", "SR3H26", 10, clearing_firm="G"),
        row("cash", notes[1], 1e6, settle_date=day(3)),
    ]
    found = check(margined(rows, policy=THIRD), rows, matures, margined, 5, policy=THIRD)
    assert [own["day"] for own in found.costs] == [day(1), day(2), day(3), day(5)]


def test_repos_that_are_renewed_stay(margined: Margined, notes: list[str]) -> None:
    rows = [
        row("repo", notes[0], 7e6, start_date=day(-1), end_date=day(1)),
        row("cash", notes[1], 5e6, settle_date=day(2)),
    ]
    run = margined(rows)
    assert [own["event"] for own in xm.upcoming(run).events] == ["REPO_ENDS", "CASH_SETTLES"]
    found = xm.upcoming(run, repos_renewed=True)
    assert [own["event"] for own in found.events] == ["CASH_SETTLES"]
    (cost,) = list(found.costs)
    assert cost["requirement_after"] == required(margined(rows[:1]))["A"]


def test_a_members_events_cost_its_omnibus_account(margined: Margined, notes: list[str]) -> None:
    rows = [
        row("cash", notes[0], 5e6, settle_date=day(1)),
        row("cash", notes[0], -8e6, account="B"),
        row("future", "SR3H26", 10, account="B"),
    ]
    more: dict[str, Any] = {
        "role": {"P": "omnibus", "A": "executing_firm_customer", "B": "none"},
        "omnibus": {"A": "P", "B": "P"},
    }
    run = margined(rows, ["A", "B", "P"], **more)
    found = xm.upcoming(run, 6)
    told = [(own["account"], own["margined_in"], own["event"]) for own in found.events]
    assert told == [("A", "P", "CASH_SETTLES"), ("B", "B", "CONTRACT_EXPIRES")]
    after = required(margined(rows[1:2], ["A", "B", "P"], **more))
    assert [(own["account"], own["requirement_after"]) for own in found.costs] == [
        ("P", after["P"]),
        ("B", Decimal(0)),
    ]
    # Asked about the member alone: what it does to the omnibus account.
    alone = xm.upcoming(run, 6, accounts=["A"])
    assert [own["account"] for own in alone.costs] == ["P"]
    assert [own["account"] for own in alone.events] == ["A"]
    assert [own["account"] for own in xm.upcoming(run, 6, accounts=["P"]).events] == ["A"]


def test_what_cannot_be_priced_is_not_known(margined: Margined, securities: pa.Table) -> None:
    kind = np.array(securities["type"].to_pylist())
    price = np.array(securities["price"].to_pylist(), dtype=np.float64)
    cusip = np.array(securities["cusip"].to_pylist())
    tips = [str(name) for name in cusip[np.isin(kind, ("tips", "mbs")) & np.isnan(price)]]
    if not tips:
        pytest.skip("the sample prices everything")
    rows = [row("cash", tips[0], 5e6, settle_date=day(2)), row("future", "ZNU26", 3)]
    rows.append(row("future", "SR3H26", 10))
    run = margined(rows)
    assert required(run) == {"A": None}
    first, second = list(xm.upcoming(run, 6).costs)
    assert (first["requirement_before"], first["cost"], first["cost_so_far"]) == (None,) * 3
    assert first["requirement_after"] == second["requirement_before"] > 0
    assert second["cost"] is not None
    assert second["cost_so_far"] is None


def test_the_samples_book_holds_together(
    sample_book: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run = xm.run(**sample_book(120), market=xm.sample_market())
    found = xm.upcoming(run, threads=1)
    costs = found.costs.to_arrow()
    assert len(costs) > 100
    assert costs.equals(xm.upcoming(run, threads=2).costs.to_arrow())
    today = required(run)
    last: dict[str, Any] = {}
    total: dict[str, Decimal] = {}
    for own in found.costs:
        name = own["account"]
        assert own["requirement_before"] == last.get(name, today[name])
        last[name] = own["requirement_after"]
        if own["cost"] is not None and own["cost_so_far"] is not None:
            total[name] = total.get(name, Decimal(0)) + own["cost"]
            assert own["cost_so_far"] == total[name]
    # Fewer days are the first of more.
    short = xm.upcoming(run, 3)
    assert short.costs.to_arrow().equals(costs.slice(0, len(short.costs)))
    some = list(today)[10:20]
    part = xm.upcoming(run, accounts=some)
    assert list(part.costs) == [own for own in found.costs if own["account"] in some]
    assert list(part.events) == [own for own in found.events if own["account"] in some]
    # Every day's change has an event of that day.
    about = {(own["day"], own["margined_in"]) for own in found.events}
    assert {(own["day"], own["account"]) for own in found.costs} <= about
    xm.write_run(run, tmp_path / "run")
    again = xm.upcoming(xm.read_run(tmp_path / "run"))
    assert again.costs.to_arrow().equals(costs)
    assert again.events.to_arrow().equals(found.events.to_arrow())
    found.write(tmp_path / "out")
    written = json.loads((tmp_path / "out/manifest.json").read_text())
    assert written["run_id"] == run.manifest["run_id"]
    assert written["undated"] == found.manifest["undated"]
    with pytest.raises(xm.exceptions.InputError, match="holds crossmargin results"):
        found.write(tmp_path / "run")
    assert repr(found).startswith("<Upcoming 2026-06-11 to 2026-06-25 (synthetic): ")


def test_arguments_are_checked(sample_run: xm.RunResult) -> None:
    name: Any = sample_run.accounts["account"][0].as_py()
    for wrong in (0, 261, -1):
        with pytest.raises(ValueError, match="days: 1 to 260"):
            xm.upcoming(sample_run, wrong)
    for odd in (True, 2.0, "3", None):
        with pytest.raises(TypeError, match="days: a whole number"):
            xm.upcoming(sample_run, odd)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one text"):
        xm.upcoming(sample_run, accounts=name)
    with pytest.raises(ValueError, match="not in the run"):
        xm.upcoming(sample_run, accounts=["?"])
    with pytest.raises(TypeError, match=r"a run, from xm\.run"):
        xm.upcoming(None)  # type: ignore[arg-type]
    assert len(xm.upcoming(sample_run, accounts=[]).costs) == 0
    assert stages_of(sample_run).requirements is not None
