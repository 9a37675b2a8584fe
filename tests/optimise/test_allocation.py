"""The futures chosen against every choice there is, and against the obvious rules."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import crossmargin as xm
from crossmargin.arrays import Integer
from crossmargin.calculation.moves import margin_after, simple_choices
from crossmargin.conventions import FICC_XM, PORTFOLIOS, SEGMENTS
from crossmargin.engine import Execution
from crossmargin.margin.ficc.var import floor_buckets
from crossmargin.margin.portfolios import row_of
from crossmargin.policies.files import shipped_policies

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")

Row = dict[str, Any]
SHIPPED = shipped_policies()
EXAMPLES = (
    "example-charges",
    "example-class-disallowance",
    "example-spread-credit",
    "example-span",
    "example-third-ccp",
)
OWN = ("own cubes", "own cubes off the grid")
MADE_UP = ("no cap", "low cap", "high minimum", "many charges", "half level")
every_policy = pytest.mark.parametrize("policy", [*SHIPPED, *EXAMPLES, *OWN, *MADE_UP])
NEAR, NEAR_CENTS = 1e-4, 20


def cents(amount: Decimal) -> int:
    return int(amount * 100)


def rows_of(table: Any) -> list[Row]:
    rows: list[Row] = table.to_arrow().to_pylist()
    return rows


def choice_of(allocation: xm.Allocation) -> dict[tuple[str, str], int]:
    return {
        (row["account"], row["instrument"]): row["crossed_after"]
        for row in rows_of(allocation.lines)
    }


@every_policy
def test_small_accounts_are_solved_as_by_trying_every_choice(
    policy: str, small_run: Any, small_book: Any, judged: Any
) -> None:
    run = small_run(small_book(5, 16, policy=policy), policy)
    book = judged(run)
    few, many = (xm.allocate(run, boxes=boxes, threads=1) for boxes in (48, 10**4))
    kept = set()
    for account in book.accounts.tolist():
        choices, calls = book.every(account)
        at = book.lines.lines_of(np.array([account]))
        if not book.lines.free[account]:
            # Nothing to set off against: now or nothing.
            now = book.lines.crossed[at]
            kept_or_none = (choices == now).all(axis=1) | (choices == 0).all(axis=1)
            choices, calls = choices[kept_or_none], calls[kept_or_none]
        least = int(calls.min())
        # The bound is on choices in range; a line that is out of it now may stay as it is.
        inside = (choices >= book.lines.lower[at]) & (choices <= book.lines.upper[at])
        in_range = int(calls[inside.all(axis=1)].min())
        for allocation in (few, many):
            found = rows_of(allocation.accounts)[account]
            after = cents(found["requirement_after"])
            assert least <= after <= cents(found["requirement"])
            if not book.lines.free[account]:
                assert found["outcome"] == ("moved" if found["transfers"] else "NO_CASH")
                assert found["lower_bound"] is found["gap"] is found["optimal"] is None
                continue
            assert cents(found["lower_bound"]) <= in_range
            near = after - in_range <= max(NEAR_CENTS, NEAR * after)
            assert near or not found["optimal"]
        assert found["optimal"] or not book.lines.free[account]
        kept.add(after <= in_range)
    assert kept == {True}


@every_policy
def test_a_choice_is_margined_as_a_run_of_the_moved_book(
    policy: str, small_run: Any, small_book: Any, judged: Any
) -> None:
    rows = small_book(8, 16, policy=policy)
    book = judged(small_run(rows, policy))
    lines, models = book.lines, book.stages.models
    rng = np.random.default_rng(3)
    choice = rng.integers(lines.lower, lines.upper + 1)
    accounts = np.flatnonzero(lines.count > 0)
    moved = margin_after(lines, models, accounts, choice[lines.lines_of(accounts)], Execution(1))
    names = sorted({row["account"] for row in rows})
    movable = set(
        zip(lines.account.tolist(), models.universe.name[lines.instrument].tolist(), strict=True)
    )
    stay = [
        row
        for row in rows
        if (names.index(row["account"]), row["instrument"]) not in movable
        or row.get("clearing_firm")
    ]
    for line in range(choice.size):
        future = {
            "account": names[lines.account[line]],
            "kind": "future",
            "instrument": models.universe.name[lines.instrument[line]],
        }
        crossed, total = int(choice[line]), int(lines.total[line])
        for quantity, place in ((crossed, "yes"), (total - crossed, "no")):
            if quantity:
                stay.append(future | {"quantity": quantity, "xm": place})
    after = small_run(stay, policy).accounts.to_arrow().to_pylist()
    saving, required = moved.agreement.saving, moved.requirements.requirement
    changed = 0
    for place, account in enumerate(accounts.tolist()):
        row = after[account]
        assert row["account"] == names[account]
        if required.known[place]:
            assert cents(row["requirement"]) == required.cents[place]
        else:
            assert row["requirement"] is None
        assert row["offset_rate"] == saving.offset_rate[place]
        assert (row["reason"] or "") == saving.reason[place]
        for ccp, margin in (("ficc", moved.margins.ficc), ("cme", moved.margins.cme)):
            for portfolio, name in enumerate(PORTFOLIOS[:3]):
                if not margin.unknown[place, portfolio]:
                    assert row[f"v_{ccp}_{name}"] == margin.v[place, portfolio]
        changed += required.cents[place] != book.stages.requirements.requirement.cents[account]
    # At half the level no account has much margin.
    assert changed > accounts.size / 4 or policy == "half level"


def test_an_account_for_each_choice_finds_the_same_best_one(small_run: Any) -> None:
    """By another way: a run of as many accounts as there are choices."""
    cash = {"kind": "cash", "instrument": "ZN0000001", "quantity": 900_000, "xm": "yes"}
    total = {"ZFM25": -3, "ZNM25": -5, "ZTM25": 2}
    rows = []
    every = list(product(*(range(min(n, 0), max(n, 0) + 1) for n in total.values())))
    for number, choice in enumerate(every):
        account = {"account": f"C{number:03d}"}
        rows.append(account | cash)
        for (name, contracts), crossed in zip(total.items(), choice, strict=True):
            future = account | {"kind": "future", "instrument": name}
            rows.append(future | {"quantity": crossed, "xm": "yes"})
            rows.append(future | {"quantity": contracts - crossed, "xm": "no"})
    run = small_run([row for row in rows if row["quantity"]])
    required = [row["requirement"] for row in rows_of(run.accounts)]
    assert len(required) == len(every) == 4 * 6 * 3
    allocation = xm.allocate(run, boxes=1000)
    # From wherever the account begins.
    assert {row["requirement_after"] for row in rows_of(allocation.accounts)} == {min(required)}
    assert all(row["optimal"] for row in rows_of(allocation.accounts))
    assert len(set(required)) > 60


def matched_by_bucket(book: Any) -> Integer:
    """Return futures against the cash of each maturity bucket, up to the DV01 of that cash, [M]."""
    lines, models = book.lines, book.stages.models
    dv01 = np.nan_to_num(models.universe.sensitivities.dv01)
    bucket = floor_buckets(models.universe, models.policy.ficc)
    places = lines.places.book
    row = row_of(places)
    at = np.flatnonzero(row % len(SEGMENTS) == FICC_XM)
    cash = np.zeros((places.rows // len(SEGMENTS), int(bucket.max()) + 1))
    held = (row[at] // len(SEGMENTS), bucket[places.column[at]])
    np.add.at(cash, held, lines.lots[at] * dv01[places.column[at]])
    futures = dv01[lines.instrument] * lines.total
    own = (lines.account, bucket[lines.instrument])
    against = lines.free[lines.account] & (futures * cash[own] < 0.0)
    hedge = np.zeros_like(cash)
    np.add.at(hedge, own, np.where(against, np.abs(futures), 0.0))
    share = np.ones(lines.total.size)
    np.divide(np.abs(cash[own]), hedge[own], out=share, where=hedge[own] > np.abs(cash[own]))
    return np.where(against, np.rint(share * lines.total), 0.0).astype(np.int64)


def line_by_line(book: Any, account: int) -> int:
    """Return the call when each line in turn, by DV01, gets the best of nine quantities."""
    lines = book.lines
    at = lines.lines_of(np.array([account]))
    dv01 = book.stages.models.universe.sensitivities.dv01[lines.instrument[at]]
    span = lines.upper[at] - lines.lower[at]
    choice, least = np.zeros(at.size, dtype=np.int64), None
    for line in np.argsort(-np.abs(dv01 * span), kind="stable"):
        values = lines.lower[at[line]] + span[line] * np.arange(9) // 8
        tried = np.repeat(choice[None], values.size, axis=0)
        tried[:, line] = values
        calls = book.requirements(np.full(values.size, account), tried.ravel())
        if least is None or calls.min() < least:
            choice, least = tried[calls.argmin()], int(calls.min())
    assert least is not None
    return least


@pytest.mark.parametrize("policy", [*SHIPPED, "example-spread-credit", "own cubes", "low cap"])
def test_no_obvious_rule_does_better_on_any_account(
    policy: str, small_run: Any, small_book: Any, judged: Any
) -> None:
    run = small_run(small_book(2, 12, lines=5, contracts=100, policy=policy), policy)
    book = judged(run)
    accounts = book.accounts
    at = book.lines.lines_of(accounts)
    allocation = rows_of(xm.allocate(run, boxes=8, threads=1).accounts)
    after = np.array([cents(allocation[account]["requirement_after"]) for account in accounts])
    # Now, nothing, everything, hedges by DV01, whole and scaled.
    rules = [*simple_choices(book.lines, book.stages.models), matched_by_bucket(book)]
    assert len(rules) == 6
    free = book.lines.free[accounts]
    for number, choice in enumerate(rules):
        cost = book.requirements(accounts, choice[at])
        assert (after <= cost)[free | (number < 5)].all()
    for account in accounts[free].tolist():
        assert cents(allocation[account]["requirement_after"]) <= line_by_line(book, account)
    now = book.stages.requirements.requirement.cents[accounts]
    assert (after < now).sum() > accounts.size / 2


def test_the_order_of_accounts_and_positions_and_the_threads_do_not_matter(
    small_run: Any, small_book: Any
) -> None:
    rows = small_book(4, 16, lines=4, contracts=40)
    allocation = xm.allocate(small_run(rows), threads=1)
    renamed = {row["account"]: f"Z{999 - int(row['account'][1:]):03d}" for row in rows}
    turned = [row | {"account": renamed[row["account"]]} for row in reversed(rows)]
    other = xm.allocate(small_run(turned), threads=3)
    assert choice_of(other) == {
        (renamed[account], name): crossed
        for (account, name), crossed in choice_of(allocation).items()
    }
    by_name = {row["account"]: row for row in rows_of(other.accounts)}
    for row in rows_of(allocation.accounts):
        assert by_name[renamed[row["account"]]] == row | {"account": renamed[row["account"]]}


def test_accounts_asked_for_alone_get_the_same_answer(small_run: Any, small_book: Any) -> None:
    run = small_run(small_book(4, 12, lines=3, contracts=20))
    everything = rows_of(xm.allocate(run).accounts)
    for names in (["A003"], ["A010", "A001"]):
        some = xm.allocate(run, accounts=names)
        assert rows_of(some.accounts) == [r for r in everything if r["account"] in names]
        assert {row["account"] for row in rows_of(some.lines)} <= set(names)


def test_the_moved_book_of_the_sample_pays_what_was_said_and_proposes_nothing_new(
    sample_book: Callable[[int], dict[str, pa.Table]],
) -> None:
    tables, market = sample_book(30), xm.sample_market()
    run = xm.run(**tables, market=market)
    first = xm.allocate(run)
    rows = []
    for row in rows_of(first.transfers):
        side = 1.0 if row["cross_margin_side"] == "BUY" else -1.0
        for quantity, crossed in ((side, True), (-side, False)):
            future = {"account": row["account"], "kind": "future", "instrument": row["instrument"]}
            rows.append(future | {"quantity": quantity * row["contracts"], "xm": crossed})
    assert rows
    positions = tables["positions"]
    further = [{name: row.get(name) for name in positions.column_names} for row in rows]
    added = pa.Table.from_pylist(further, positions.schema)
    after = xm.run(**tables | {"positions": pa.concat_tables([positions, added])}, market=market)
    said = {row["account"]: row["requirement_after"] for row in rows_of(first.accounts)}
    assert {row["account"]: row["requirement"] for row in rows_of(after.accounts)} == said
    assert len(xm.allocate(after).transfers) == 0


# --- Hand-worked accounts: VaR is the worst of four made-up scenarios in both models.


def hedged(*futures: tuple[str, int, int], pnl: dict[str, list[float]]) -> tuple[list[Row], Any]:
    """Return an account long 100,000 of a note, with futures (name, crossed, ordinary).

    The note loses 4,000 and 1,000 USD in the first and third scenario, and gains as much in the
    second and fourth. V of the cash is 4,000 in both models.
    """
    rows: list[Row] = [
        {
            "account": "A",
            "kind": "cash",
            "instrument": "ZN0000001",
            "quantity": 100_000,
            "xm": "yes",
        }
    ]
    for name, crossed, ordinary in futures:
        future = {"account": "A", "kind": "future", "instrument": name}
        for quantity, place in ((crossed, "yes"), (ordinary, "no")):
            if quantity:
                rows.append(future | {"quantity": quantity, "xm": place})
    every = {"ZN0000001": [-4.0, 4.0, -1.0, 1.0]} | pnl
    cube = pa.table(
        {"instrument": list(every)}
        | {f"s{n}": [values[n] for values in every.values()] for n in range(4)}
    )
    return rows, {"ficc_cube": cube, "cme_cube": cube}


ZN = [-1000.0, 1000.0, 0.0, 0.0]
ZT = [-500.0, 500.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def one_line(small_run: Callable[..., xm.RunResult]) -> xm.RunResult:
    # Now: V of the cash is 4,000, that of four short contracts in the ordinary account 4,000.
    # With all four moved the worst scenario is the third: 1 - 1,000 / 8,000 is beyond the cap of
    # 80%, and 20% of 8,000 is left. With three moved: 1,000 + 20% of 7,000.
    rows, cubes = hedged(("ZNM25", 0, -4), pnl={"ZNM25": ZN})
    return small_run(rows, **cubes)


def test_one_line_by_hand(one_line: xm.RunResult) -> None:
    allocation = xm.allocate(one_line)
    (row,) = rows_of(allocation.accounts)
    assert row["requirement"] == row["requirement_none"] == Decimal("8000.00")
    assert row["requirement_after"] == Decimal("1600.00")
    assert row["unused_saving"] == Decimal("6400.00")
    assert row["optimal"]
    assert row["outcome"] == "moved"
    assert row["offset_rate_after"] == 0.8
    assert row["capped_after"]
    (line,) = rows_of(allocation.lines)
    assert line["crossed_after"] == -4
    assert line["one_more"] is None
    assert line["one_less"] == Decimal("800.00")
    (transfer,) = rows_of(allocation.transfers)
    assert transfer == {
        "account": "A",
        "instrument": "ZNM25",
        "contracts": 4,
        "moves": "in",
        "cross_margin_side": "SELL",
        "ordinary_side": "BUY",
        "saves": Decimal("6400.00"),
    }


@pytest.mark.parametrize(
    ("options", "crossed"),
    [
        ({}, -4),
        ({"transfer_cost": 6399.99}, -4),
        # A transfer must save more than it costs.
        ({"transfer_cost": 6400.0}, 0),
        ({"minimum_gain": 6400.0}, -4),
        ({"minimum_gain": 6400.01}, 0),
        ({"transfer_cost": 400.0, "minimum_gain": 6000.0}, -4),
        ({"transfer_cost": 400.0, "minimum_gain": 6000.01}, 0),
        ({"most_transfers": 0}, 0),
        ({"most_transfers": 1}, -4),
    ],
)
def test_costs_and_limits_by_hand(
    one_line: xm.RunResult, options: dict[str, Any], crossed: int
) -> None:
    allocation = xm.allocate(one_line, **options)
    assert list(choice_of(allocation).values()) == [crossed]
    (row,) = rows_of(allocation.accounts)
    assert row["transfers"] == len(allocation.transfers) == (crossed != 0)
    # The bound is on every choice, whatever the options forbid.
    assert row["lower_bound"] <= Decimal("1600.00")


def test_the_most_transfers_are_those_that_save_most(small_run: Any) -> None:
    # All moved: 20% of 8,000. ZN alone: 1,000 for ZT in the ordinary account, 20% of 7,000. ZT
    # alone: 3,000 for ZN; the worst with it is 3,000 in the first scenario, of 5,000 apart.
    rows, cubes = hedged(("ZNM25", 0, -3), ("ZTM25", 0, -2), pnl={"ZNM25": ZN, "ZTM25": ZT})
    run = small_run(rows, **cubes)
    for most, crossed, after in (
        (None, [-3, -2], "1600.00"),
        (2, [-3, -2], "1600.00"),
        (1, [-3, 0], "2400.00"),
        (0, [0, 0], "8000.00"),
    ):
        allocation = xm.allocate(run, most_transfers=most)
        names = [("A", "ZNM25"), ("A", "ZTM25")]
        assert [choice_of(allocation)[name] for name in names] == crossed
        assert rows_of(allocation.accounts)[0]["requirement_after"] == Decimal(after)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_account_has_more_transfers_than_the_most(
    most: int, small_run: Any, small_book: Any
) -> None:
    run = small_run(small_book(1, 12, lines=5, contracts=40))
    transfers = [
        row["transfers"] for row in rows_of(xm.allocate(run, most_transfers=most).accounts)
    ]
    assert max(transfers) == most


def test_months_that_may_not_be_moved_stay(small_run: Any) -> None:
    # On 13 March 2025 the March contract is the front one, and is being rolled.
    pnl = {"ZNH25": ZN, "ZNM25": ZN, "ZNU25": ZN}
    rows, cubes = hedged(("ZNH25", 0, -1), ("ZNM25", 0, -1), ("ZNU25", -1, 0), pnl=pnl)
    run = small_run(rows, **cubes)
    for options, moved in (
        ({}, {"ZNH25", "ZNM25"}),
        ({"front_month": True}, {"ZNH25"}),
        ({"exclude_roll": True}, {"ZNM25"}),
        ({"front_month": True, "exclude_roll": True}, {"ZNM25"}),
    ):
        allocation = xm.allocate(run, **options)
        assert {row["instrument"] for row in rows_of(allocation.transfers)} == moved
        # Three against the note: the first scenario loses 1,000, and the third one too: 20% of
        # 7,000. Two against it: the first loses 2,000 of 6,000, and the third future 1,000.
        after = {2: "1400.00", 1: "3000.00"}[len(moved)]
        assert rows_of(allocation.accounts)[0]["requirement_after"] == Decimal(after)


def test_what_makes_no_difference_stays_where_it_is(small_run: Any) -> None:
    # ZT and ZF never move in price.
    flat = [0.0, 0.0, 0.0, 0.0]
    rows, cubes = hedged(
        ("ZFM25", 3, 2),
        ("ZNM25", 0, -4),
        ("ZTM25", 0, 7),
        pnl={"ZFM25": flat, "ZNM25": ZN, "ZTM25": flat},
    )
    run = small_run(rows, **cubes)
    allocation = xm.allocate(run)
    assert choice_of(allocation) == {("A", "ZFM25"): 3, ("A", "ZNM25"): -4, ("A", "ZTM25"): 0}
    assert len(allocation.transfers) == 1


def test_a_future_that_adds_to_the_risk_is_moved_out(small_run: Any) -> None:
    # Long beside a long note: together they lose 8,000 at once, and nothing is saved.
    # Apart they cost 4,000 each as well, so that it makes no difference where it is.
    rows, cubes = hedged(("ZNM25", 4, 0), pnl={"ZNM25": ZN})
    assert choice_of(xm.allocate(small_run(rows, **cubes))) == {("A", "ZNM25"): 4}
    # With six short ZT beside, which hedge it in the ordinary account: 4,000 - 3,000.
    rows, cubes = hedged(("ZNM25", 4, 0), ("ZTM25", 0, -6), pnl={"ZNM25": ZN, "ZTM25": ZT})
    allocation = xm.allocate(small_run(rows, **cubes))
    (row,) = rows_of(allocation.accounts)
    assert row["requirement"] == Decimal("11000.00")
    # All out: 4,000 for the note, 1,000 for what nets. The six ZT in instead: 20% of 7,000, but
    # 4,000 for ZN in the ordinary account.
    assert row["requirement_after"] == Decimal("5000.00")
    assert choice_of(allocation) == {("A", "ZNM25"): 0, ("A", "ZTM25"): 0}
    (transfer,) = rows_of(allocation.transfers)
    assert transfer["moves"] == "out"
    assert transfer["cross_margin_side"] == "SELL"


def test_without_cross_margined_cash_nothing_is_called_optimal(small_run: Any) -> None:
    rows, cubes = hedged(("ZNM25", 0, -4), pnl={"ZNM25": ZN, "ZTM25": ZT})
    ordinary = [row | {"xm": "no"} for row in rows]
    # Long ZN hedges the short one where it is; in the other account it costs 2,000 more.
    apart = [
        {"account": "B", "kind": "future", "instrument": "ZNM25", "quantity": quantity, "xm": place}
        for quantity, place in ((2, "yes"), (-6, "no"))
    ]
    found = xm.allocate(small_run([*ordinary, *apart], **cubes))
    told = {row["account"]: row for row in rows_of(found.accounts)}
    assert [told[name]["outcome"] for name in "AB"] == ["NO_CASH", "moved"]
    assert told["A"]["unused_saving"] == 0
    # 2,000 and 6,000 apart, 4,000 together.
    assert told["B"]["unused_saving"] == Decimal("4000.00")
    for row in told.values():
        assert row["lower_bound"] is row["gap"] is row["optimal"] is None


def test_the_caveats_are_those_of_the_book_after_the_transfers(
    sample_book: Callable[[int], dict[str, pa.Table]],
) -> None:
    book = {**sample_book(60), "market": xm.sample_market()}
    run = xm.run(**book)
    found = xm.allocate(run, boxes=1)
    trades = found.trades().to_arrow()
    positions = pa.concat_tables([book["positions"], trades], promote_options="default")
    after = xm.run(**book | {"positions": positions})
    changed = False
    for name in ("saving_is_upper_bound", "spread_risk"):
        assert found.accounts[name].to_pylist() == after.accounts[name].to_pylist()
        changed |= found.accounts[name].to_pylist() != run.accounts[name].to_pylist()
    assert changed


def test_as_many_accounts_are_not_eligible_as_by_status(
    sample_book: Callable[[int], dict[str, pa.Table]],
) -> None:
    book = sample_book(20)
    names = book["accounts"]["account"].to_pylist()
    run = xm.run(**book, market=xm.sample_market())
    barred = next(row["account"] for row in run.accounts if row["status"] == "not_eligible")
    assert barred in names
    bad = {"account": barred, "kind": "future", "instrument": "ZNU26", "quantity": None}
    row = {name: bad.get(name) for name in book["positions"].column_names}
    further = pa.Table.from_pylist([row], book["positions"].schema)
    book["positions"] = pa.concat_tables([book["positions"], further])
    run = xm.run(**book, market=xm.sample_market())
    outcomes = xm.allocate(run, boxes=1).accounts["outcome"].to_pylist()
    status = run.accounts["status"].to_pylist()
    assert status[names.index(barred)] == "incomplete"
    assert outcomes[names.index(barred)] == "INCOMPLETE"
    assert outcomes.count("NOT_ELIGIBLE") == status.count("not_eligible")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"accounts": "A"}, TypeError, "accounts: names expected"),
        ({"accounts": ["B"]}, ValueError, "account 'B' is not in the run"),
        ({"most_transfers": -1}, ValueError, "most_transfers: -1 is less than 0"),
        ({"most_transfers": 1.0}, TypeError, "most_transfers: a whole number"),
        ({"boxes": 0}, ValueError, "boxes: 0 is less than 1"),
        ({"boxes": True}, TypeError, "boxes: a whole number"),
        ({"transfer_cost": "1"}, TypeError, "transfer_cost: an amount in USD"),
        ({"transfer_cost": float("nan")}, ValueError, "transfer_cost: nan is not an amount"),
        ({"minimum_gain": -0.01}, ValueError, "minimum_gain: -0.01 is not an amount"),
    ],
)
def test_wrong_arguments_are_refused(
    one_line: xm.RunResult, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        xm.allocate(one_line, **arguments)


def test_only_a_run_can_be_allocated() -> None:
    with pytest.raises(TypeError, match="run: a run"):
        xm.allocate("results")  # type: ignore[arg-type]
