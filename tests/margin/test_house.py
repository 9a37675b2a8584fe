"""The house model by hand on a small cube, and against plain NumPy on a whole book."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.arrays import Float
from crossmargin.calculation.result import Stages, stages_of
from crossmargin.engine import Book, Cube, Execution, Measure, revalue
from crossmargin.exceptions import InputError
from crossmargin.margin.house import PreparedHouseModel, one_pot, prepare_house_model
from crossmargin.margin.model import AmountError, ModelInputs
from crossmargin.market.scenarios import HistoryShortError
from crossmargin.policies import HouseModelRules

ALONE = Execution(threads=1)
WINDOWS = (("2008-07-01", "2009-06-30"), ("2020-02-24", "2020-03-31"))
RULES = HouseModelRules(
    level=0.99,
    horizon=2,
    tail="es",
    look_back=500,
    minimum_rows=500,
    stress_windows=WINDOWS,
    stress_weight=0.25,
)
# Two instruments in two rows of stress, then four of the look-back; the third row is in both.
PNL = [[-8.0, 1.0, -6.0, -1.0, 2.0, 3.0], [4.0, -2.0, 1.0, -5.0, 0.0, 1.0]]


def by_hand(tail: str, weight: float, level: float = 0.5) -> PreparedHouseModel:
    cube = Cube(PNL)
    look_back, stress = Measure(cube, level, slice(2, 6)), Measure(cube, level, [0, 1, 2])
    rules = replace(RULES, tail=tail, stress_weight=weight, level=level)
    unpriced = np.array(["", ""], dtype=object)
    measures, weights = (look_back, stress), (1.0 - weight, weight)
    return PreparedHouseModel(rules, measures, weights, unpriced, ())


def book(*rows: dict[int, int]) -> Book:
    """Return a book of rows of quantities by instrument."""
    cells = [sorted(row.items()) for row in rows]
    ptr = np.cumsum([0, *map(len, cells)])
    flat = [cell for row in cells for cell in row]
    return Book.from_arrays(ptr, [c for c, _ in flat], [q for _, q in flat], 2)


def margin(model: PreparedHouseModel, *rows: dict[int, int], accounts: Any = (0,)) -> Float:
    found = model.margin(book(*rows), {}, np.asarray(accounts), ALONE)
    assert not found.unknown.any()
    return found.v


def test_the_segments_of_an_account_are_one_portfolio() -> None:
    # At both clearing houses, in both accounts: 1 + 1 of the first, 2 - 1 of the second.
    rows = ({0: 1}, {1: 2}, {0: 1}, {1: -1})
    # 2 a + b: look-back -11, -7, 4, 7; stress -12, 0, -11.
    # VaR at 50%: the 2nd largest of 4 losses, and of 3 (w = 1.5).
    assert margin(by_hand("var", 0.25), *rows) == 0.75 * 7.0 + 0.25 * 11.0
    # ES: (11 + 7) / 2; (12 + 0.5 * 11) / 1.5.
    assert margin(by_hand("es", 0.25), *rows) == pytest.approx(0.75 * 9.0 + 0.25 * 17.5 / 1.5)
    assert margin(by_hand("var", 0.0), *rows) == 7.0
    assert margin(by_hand("var", 1.0), *rows) == 11.0


def test_a_gain_of_one_tail_is_weighed_against_the_other() -> None:
    rows = ({0: -1}, {}, {}, {})
    # Look-back P&L 6, 1, -2, -3: VaR 2. Stress P&L 8, -1, 6: the 2nd largest loss is -6.
    assert margin(by_hand("var", 0.1), *rows) == pytest.approx(0.9 * 2.0 - 0.1 * 6.0)
    # Never below zero.
    assert margin(by_hand("var", 0.9), *rows) == 0.0
    assert not np.signbit(margin(by_hand("var", 0.9), *rows)).any()


def test_no_account_is_netted_with_another() -> None:
    model = by_hand("var", 0.25)
    rows = ({0: 1}, {}, {}, {}, {0: -1}, {}, {}, {})
    both = margin(model, *rows, accounts=(0, 1))
    apart = [margin(model, *rows, accounts=(number,))[0] for number in (0, 1)]
    assert both.tolist() == apart
    # In the order asked for, and only those.
    assert margin(model, *rows, accounts=(1, 0)).tolist() == apart[::-1]


def test_other_clearing_houses_are_in_and_other_firms_are_not() -> None:
    # Two accounts, and a third group: positions of the first one at another firm.
    own = ({0: 1}, {}, {}, {}, {}, {1: 3}, {}, {}, {0: 100}, {}, {}, {})
    elsewhere = {"XYZ": book({1: 1}, {0: -2}, {1: 100})}
    pots, segments = one_pot(book(*own), elsewhere, np.array([1, 0]))
    assert segments == 5
    assert np.diff(pots.row_ptr).tolist() == [0, 1, 0, 0, 1, 1, 0, 0, 0, 1]
    assert pots.column.tolist() == [1, 0, 0, 1]
    assert pots.quantity.tolist() == [3.0, -2.0, 1.0, 1.0]
    model = by_hand("var", 0.25)
    found = model.margin(book(*own), elsewhere, np.array([0, 1]), ALONE)
    assert found.v.tolist() == [
        margin(model, {0: 1, 1: 1}, {}, {}, {})[0],
        margin(model, {0: -2, 1: 3}, {}, {}, {})[0],
    ]


def test_an_instrument_without_a_price_makes_its_account_unknown() -> None:
    model = replace(by_hand("var", 0.25), unpriced=np.array(["", "NO_MODEL"], dtype=object))
    rows = ({0: 1}, {}, {}, {}, {}, {1: 3}, {}, {}, {0: 1}, {}, {}, {})
    found = model.margin(book(*rows), {}, np.array([0, 1, 2]), ALONE)
    assert found.unknown.tolist() == [False, True, False]


def test_an_absurd_margin_names_its_account() -> None:
    rows = ({0: 1}, {}, {}, {}, {0: 10**12}, {}, {}, {})
    with pytest.raises(AmountError, match="house model") as raised:
        margin(by_hand("var", 1.0), *rows, accounts=(0, 1))
    assert raised.value.group == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"level": 1.0}, "level must"),
        ({"horizon": 0}, "horizon must"),
        ({"tail": "cvar"}, "tail must"),
        ({"look_back": 0}, "look_back and minimum_rows"),
        ({"stress_windows": (("2009-06-30", "2008-07-01"),)}, "stress_windows must be pairs"),
        ({"stress_windows": ()}, "stress_windows must not be empty"),
        ({"stress_weight": 1.5}, "stress_weight must"),
        ({"stress_weight": float("nan")}, "stress_weight must"),
    ],
)
def test_bad_parameters_are_refused(change: dict[str, Any], complaint: str) -> None:
    wrong = [text for text, holds in replace(RULES, **change).rules().items() if not holds]
    assert len(wrong) == 1
    assert wrong[0].startswith(complaint)
    assert all(replace(RULES, stress_weight=0.0, stress_windows=()).rules().values())


def inputs_of(stages: Stages) -> ModelInputs:
    parsed, models = stages.parsed, stages.models
    return ModelInputs(
        universe=models.universe,
        held=parsed.securities.take(parsed.trades.held),
        market=models.market,
        scenarios=RULES.scenarios,
        eligible=models.eligible,
        store=stages.kept.scenarios,
    )


def tail_of(pnl: Float, level: float, tail: str) -> float:
    """Return VaR or ES of P&L as methodology, section 1, has it."""
    w = (1.0 - level) * pnl.size
    w = float(round(w)) if abs(w - round(w)) <= 1e-9 else w
    k = max(1, int(np.ceil(w)))
    worst = np.sort(-pnl)[::-1][:k]
    if tail == "var":
        return float(worst[-1])
    total = 0.0
    for place, loss in enumerate(worst):
        total += loss * (w - (k - 1) if place == k - 1 else 1.0)
    return max(float(total / w), float(worst[-1]))


@pytest.mark.parametrize(
    ("tail", "weight", "horizon"),
    [("es", 0.25, 2), ("var", 0.25, 1), ("es", 0.0, 3), ("var", 1, 5)],
)
def test_a_whole_book_against_plain_numpy(
    sample_run: xm.RunResult, tail: str, weight: float, horizon: int
) -> None:
    stages = stages_of(sample_run)
    rules = replace(RULES, tail=tail, stress_weight=float(weight), horizon=horizon)
    model = prepare_house_model(rules, inputs_of(stages), ALONE)
    accounts = np.arange(0, len(sample_run.accounts), 37)
    found = model.margin(stages.netted.book, stages.netted.elsewhere, accounts, ALONE)

    # Scenarios from the history itself: differences of its rows, by date.
    history = stages.models.market.history
    change, _ = history.factor_change(horizon)
    date = history.date[horizon:]
    stressed = np.zeros(date.size, bool)
    for first, last in WINDOWS:
        stressed |= (date >= np.datetime64(first)) & (date <= np.datetime64(last))
    universe = stages.models.universe
    look_back = revalue(universe.terms, np.ascontiguousarray(change[-500:]))
    stress = revalue(universe.terms, np.ascontiguousarray(change[stressed]))
    # Positions from the table of results: what is at the account's own firm.
    named = {name: number for number, name in enumerate(universe.name.tolist())}
    own_firm = {row["account"]: row["clearing_firm"] for row in sample_run.accounts}
    held: dict[str, dict[int, float]] = {name: {} for name in own_firm}
    for row in sample_run.positions:
        if row["clearing_firm"] == own_firm[row["account"]]:
            lots = row["quantity"] / (1 if row["kind"] == "future" else 100)
            at = named[row["instrument"]]
            held[row["account"]][at] = held[row["account"]].get(at, 0.0) + lots
    names = sample_run.accounts["account"].to_pylist()
    for place, number in enumerate(accounts.tolist()):
        lines = held[names[number]]
        unpriced = any(universe.unpriced[at] != "" for at in lines)
        assert found.unknown[place] == unpriced
        if unpriced:
            continue
        parts = []
        for share, pnl in ((1.0 - weight, look_back), (weight, stress)):
            total = sum((q * pnl[at] for at, q in lines.items()), np.zeros(pnl.shape[1]))
            parts.append(share * tail_of(total, rules.level, tail) if share else 0.0)
        assert found.v[place] == max(sum(parts), 0.0)


def test_without_rows_in_the_periods_of_stress_their_weight_is_refused(
    sample_run: xm.RunResult,
) -> None:
    inputs = inputs_of(stages_of(sample_run))
    rules = replace(RULES, stress_windows=(("1987-10-01", "1987-10-31"),))
    with pytest.raises(InputError, match="stress_weight to 0"):
        prepare_house_model(rules, inputs, ALONE)
    assert len(prepare_house_model(replace(rules, stress_weight=0.0), inputs, ALONE).measures) == 1


def test_a_period_that_begins_before_the_history_is_noted(sample_run: xm.RunResult) -> None:
    inputs = inputs_of(stages_of(sample_run))
    rules = replace(RULES, stress_windows=(("1987-10-01", "2008-12-31"),))
    (note,) = prepare_house_model(rules, inputs, ALONE).notes
    assert (note.code, note.file) == ("STRESS_CUT", "par_yields")


def test_a_short_history_is_refused(sample_run: xm.RunResult) -> None:
    rules = replace(RULES, look_back=10**6, minimum_rows=10**6)
    with pytest.raises(HistoryShortError):
        prepare_house_model(rules, inputs_of(stages_of(sample_run)), ALONE)
