from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.conventions import CASH, COMBINED, FICC, FUTURES, OTHER
from crossmargin.engine import Book, Cube
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ficc.haircuts import (
    Haircuts,
    haircut_amount,
    haircut_method,
    maturity_group,
    without,
    worst_moves,
)
from crossmargin.margin.ficc.model import PreparedFicc
from crossmargin.margin.ficc.var import ficc_margin
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import HaircutRules, read_policy

PLAIN, CHARGES = "cme-ficc-2026-11-30", "cme-ficc-2026-11-30-charges"
AS_OF = np.datetime64("2025-03-13")
RULES = HaircutRules(
    short_months=12,
    buckets=(
        ("short", ("bill", "note"), 6),
        ("year", ("bill", "note"), 12),
        ("TIPS", ("tips",), 1200),
    ),
    nodes=("1/2", "1", "5"),
    uncorrelated=("TIPS",),
    rates=(0.01, 0.02, 0.04),
    correlations=((1.0, 0.5, 0.9), (0.5, 1.0, 0.9), (0.9, 0.9, 1.0)),
)
HELD = (
    # CUSIP, type, maturity, price
    ("BILL00006", "bill", "2025-09-13", 98.0),
    ("BILL00007", "bill", "2025-09-14", 97.5),
    ("BILL0NONE", "bill", "2025-06-13", np.nan),
    ("MBS000001", "mbs", "2040-03-15", 90.0),
    ("NOTE00012", "note", "2026-03-13", np.nan),
    ("NOTE00013", "note", "2026-03-14", np.nan),
    ("TIPS00001", "tips", "2034-01-15", 110.0),
)


@pytest.fixture
def securities(make_securities: Any) -> Securities:
    keys = ("cusip", "type", "maturity_date", "price")
    made: Securities = make_securities(
        *({"issue_date": "2024-03-13"} | dict(zip(keys, row, strict=True)) for row in HELD)
    )
    return made


@pytest.fixture
def universe(by_hand: Any) -> Universe:
    """Return the securities above: the curve values notes, the others are worth their price."""
    flows: list[Any] = [[(1.0, 100.0)] if r[1] == "note" else [] for r in HELD]
    names = [(r[0], flow, 1.0) for r, flow in zip(HELD, flows, strict=True)]
    prices = [row[3] for row in HELD]
    value = [100.0 if f else np.nan_to_num(p) for f, p in zip(flows, prices, strict=True)]
    found: Universe = by_hand(*names, market_value=value)
    return found


@pytest.fixture
def method(universe: Universe, securities: Securities, market: Any, scenario_rules: Any) -> Any:
    """Return a function from rules to what the method covers of the universe above."""

    def method(rules: HaircutRules = RULES, **other: Any) -> Haircuts:
        return haircut_method(
            universe,
            securities,
            universe.unpriced,
            market,
            rules,
            read_policy().ficc,
            scenario_rules,
            **other,
        )

    return method


def test_first_group_that_holds_type_and_term(securities: Securities) -> None:
    found = maturity_group(securities, RULES.buckets, AS_OF)
    assert found.tolist() == [0, 1, 0, -1, 1, -1, 2]


def test_short_securities_and_those_without_a_model_take_it(method: Any) -> None:
    haircuts = method()
    assert haircuts.bucket.tolist() == [0, 1, -1, -1, 1, -1, 2]
    assert haircuts.no_price.tolist() == [False, False, True, False, False, False, False]
    # TIPS have no correlation, whatever the matrix says.
    assert haircuts.correlation.tolist() == [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert haircuts.rate.tolist() == [0.01, 0.02, 0.04]
    own = method(short=False)
    assert own.bucket.tolist() == [0, 1, -1, -1, -1, -1, 2]


def test_calibrated_figures_come_from_the_model_s_scenarios(
    method: Any, market: Any, scenario_rules: Any
) -> None:
    haircuts = method(replace(RULES, rates=(), correlations=()))
    shock = (
        ScenarioStore()
        .of(market.history, horizon=3, look_back=100, minimum=100, stress=scenario_rules.stress)
        .shock[:, [2, 3, 6]]
    )
    # 140 scenarios: 1% of them are 1.4, so the second largest move; times 1/2, 1 and 5 years.
    second = np.sort(np.abs(shock), axis=0)[-2]
    np.testing.assert_array_equal(haircuts.rate, [0.5, 1.0, 5.0] * second)
    expected = np.corrcoef(shock.T)
    assert haircuts.correlation[0, 1] == pytest.approx(expected[0, 1], rel=1e-12)
    assert haircuts.correlation[2].tolist() == [0.0, 0.0, 1.0]


def test_worst_move_is_chosen_as_var_is() -> None:
    move = np.array([[-5.0], [1.0], [4.0], [-2.0]])
    assert worst_moves(move, 0.5).tolist() == [4.0]
    assert worst_moves(move, 0.6).tolist() == [4.0]
    assert worst_moves(move, 0.99).tolist() == [5.0]


@pytest.mark.parametrize(
    ("held", "amount"),
    [
        # 100 of 98 at 1%.
        ({0: 100}, 98.0),
        ({0: -100}, 98.0),
        # 98 and 2% of 9,750, correlated by a half: 98^2 + 98 * 195 + 195^2 = 66,739.
        ({0: 100, 1: 100}, 66739.0**0.5),
        ({0: 100, 1: -100}, (66739.0 - 2.0 * 98.0 * 195.0) ** 0.5),
        # Within a bucket positions net: 97.5 - 100 of market value at 2%.
        ({1: 100, 4: -100}, 5.0),
        # TIPS add as squares: 4% of 110 is 4.4, 1% of 98 is 0.98.
        ({0: 1, 6: 1}, (4.4**2 + 0.98**2) ** 0.5),
        # What does not take the method has no haircut.
        ({5: 7, 3: 7, 2: 7}, 0.0),
        ({}, 0.0),
    ],
)
def test_amount_by_hand(
    method: Any, universe: Universe, book_of: Any, held: dict[int, int], amount: float
) -> None:
    haircuts = method()
    book = replace_columns(book_of([held, {}, {}, {0: 1}]))
    found = haircut_amount(book, universe, haircuts)
    assert found[0, CASH] == pytest.approx(amount, rel=1e-14)
    assert found[0, [COMBINED, FUTURES, OTHER]].tolist() == [found[0, CASH], 0.0, 0.0]


def replace_columns(book: Book) -> Book:
    return Book.from_arrays(book.row_ptr, book.column, book.quantity, columns=len(HELD))


def test_perfect_offset_is_zero_not_a_rounding_error(
    method: Any, universe: Universe, book_of: Any
) -> None:
    # Two buckets of one benchmark: correlation 1, and the same rate after the market values.
    rules = replace(RULES, rates=(0.01, 0.01, 0.0), correlations=((1, 1, 0), (1, 1, 0), (0, 0, 1)))
    haircuts = method(rules)
    universe = replace(universe, market_value=np.array([0.1] * 3 + [0.0] * 4))
    book = replace_columns(book_of([{0: 3, 1: -3}, {}, {}, {}]))
    assert haircut_amount(book, universe, haircuts)[0, CASH] == 0.0


def test_v_adds_the_haircut_to_both_measures_but_not_to_the_floor(
    method: Any, universe: Universe, book_of: Any
) -> None:
    haircuts = method()
    pnl = np.zeros((7, 4))
    pnl[5] = [-30.0, -20.0, 1.0, 2.0]
    cube = without(Cube(pnl - 1.0), haircuts.covered)
    assert cube.pnl[[0, 4, 5]].tolist() == [[0.0] * 4, [0.0] * 4, [-31.0, -21.0, 0.0, 1.0]]
    rules = replace(read_policy().ficc, level=0.75, minimum_margin_rows=2)

    def v(held: dict[int, int], rate: float) -> tuple[float, dict[str, float]]:
        book = replace_columns(book_of([held, {}, {}, {}]))
        found = ficc_margin(
            book,
            cube,
            universe,
            np.ones(7, dtype=bool),
            np.full(8, rate),
            rules,
            haircut=haircut_amount(book, universe, haircuts),
        )
        return float(found.v[0, CASH]), {n: c[0, CASH] for n, c in found.component.items()}

    total, parts = v({0: 100, 5: 1}, 0.0)
    # w = 1 of 4: the worst loss, 31, and of the last two, 0. 100 bills at 98 and 1%.
    assert parts == {"VaR": 31.0, "floor": 0.0, "MMA": 98.0, "haircut": 98.0}
    assert total == 129.0
    # 100 bills at 98 are in the floor's first bucket, the note in the first too (years 0).
    total, parts = v({0: 100, 5: 1}, 0.5)
    assert parts["floor"] == total == 0.5 * 9900.0
    # A gain of the note does not pay for the bills.
    total, parts = v({0: 100, 5: -1}, 0.0)
    assert (parts["VaR"], total) == (1.0, 99.0)


@given(
    st.lists(st.integers(-50, 50), min_size=7, max_size=7),
    st.integers(1, 9),
    st.lists(st.floats(-1, 1), min_size=9, max_size=9),
)
@settings(deadline=None, derandomize=True, database=None)
def test_amount_is_a_norm(held: list[int], scale: int, mix: list[float]) -> None:
    loading = np.array(mix).reshape(3, 3) + 2.0 * np.eye(3)
    size = np.sqrt((loading**2).sum(axis=1))
    correlation = (loading / size[:, None]) @ (loading / size[:, None]).T
    haircuts = Haircuts(
        np.array([0, 1, -1, -1, 1, -1, 2]),
        np.zeros(7, dtype=bool),
        np.array(RULES.rates),
        correlation,
    )
    value = np.array([98.0, 97.5, 0.0, 0.0, 100.0, 100.0, 110.0])
    universe = type("U", (), {"market_value": value})()

    def amount(lots: list[int]) -> float:
        book = Book.from_arrays(np.array([0, 7, 7, 7, 7]), np.arange(7), np.array(lots), columns=7)
        return float(haircut_amount(book, universe, haircuts)[0, CASH])

    full = amount(held)
    assert full >= 0.0
    assert amount([-n for n in held]) == full
    assert amount([4 * n for n in held]) == 4.0 * full
    assert amount([scale * n for n in held]) == pytest.approx(scale * full, rel=1e-12, abs=1e-6)
    parts = [[n if i == k else 0 for i, n in enumerate(held)] for k in range(7)]
    assert full <= sum(amount(part) for part in parts) * (1.0 + 1e-12) + 1e-6


def with_prices(table: pa.Table) -> pa.Table:
    """Return the sample's securities, those without a model at 95."""
    kind = table["type"]
    nominal = pc.is_in(kind, value_set=pa.array(["note", "bond"]))
    at = table.schema.get_field_index("price")
    price = pc.if_else(nominal, table["price"], pa.scalar(95.0).cast(table["price"].type))
    return table.set_column(at, "price", price)


@pytest.fixture(scope="module")
def full(sample_inputs: dict[str, Any]) -> xm.RunResult:
    """Return the run in which everything has a price."""
    known = {"securities": with_prices(sample_inputs["securities"])}
    return xm.run(**sample_inputs | known, policy=CHARGES)


def test_whole_run_prices_what_has_a_price(
    sample_inputs: dict[str, Any], sample_run: xm.RunResult, full: xm.RunResult
) -> None:
    plain = sample_run
    assert plain.manifest["policy"]["name"] == PLAIN
    bare = xm.run(**sample_inputs, policy=CHARGES)
    assert plain.manifest["exceptions"]["NO_MODEL"] > 0
    # Without a price it stays null, and the message says what is lacking.
    assert bare.manifest["exceptions"]["NO_PRICE"] > 0
    unknown = [r.accounts.to_arrow()["other_ficc"].null_count for r in (plain, bare, full)]
    assert unknown[0] == unknown[1] > unknown[2]
    assert "NO_PRICE" not in full.manifest["exceptions"]
    # The cross-margined accounts hold nothing short, so that nothing of theirs moves.
    columns = [
        "offset_rate_ficc",
        "offset_rate_cme",
        "offset_rate",
        "v_ficc_combined",
        "v_cme_combined",
    ]
    was, now = (r.accounts.to_arrow().select(columns) for r in (plain, full))
    assert was.equals(now)
    parts = full.components.to_arrow()
    haircut = parts.filter(pc.equal(parts["component"], "haircut"))
    assert set(haircut["ccp"].to_pylist()) == {"FICC"}
    assert pc.sum(pc.greater(haircut["amount"], 0)).as_py() > 0
    inside = haircut.filter(pc.equal(haircut["portfolio"], "cash"))
    assert pc.max(inside["amount"]).as_py() == 0


def test_session_asks_by_the_haircut_method_too(full: xm.RunResult) -> None:
    session = xm.Session(full)
    accounts = full.accounts.to_arrow()
    columns = ["requirement", "requirement_ficc", "other_ficc", "standalone_requirement", "saving"]
    as_they_are = session.what_ifs((name, {}) for name in session.accounts).to_arrow()
    assert as_they_are.select(columns).equals(accounts.select(columns))
    assert full.stages is not None
    universe, ficc = full.stages.models.universe, full.stages.models.ccps[FICC]
    assert isinstance(ficc, PreparedFicc)
    haircuts = ficc.haircuts
    assert haircuts is not None
    bill = str(universe.name[haircuts.covered & ~universe.priced][0])
    known = accounts.filter(pc.is_valid(accounts["requirement"]))
    account = known["account"][0].as_py()
    before, after = (session.what_if(account, {bill: lots}) for lots in (0, 10**9))
    assert after["other_ficc"] > before["other_ficc"]  # type: ignore[operator]
    assert after["offset_rate"] == before["offset_rate"]
