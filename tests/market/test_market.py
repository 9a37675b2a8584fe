"""A market of tables: which rows are used, and what the real figures give."""

from __future__ import annotations

import copy
import datetime
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.io.market_tables import market_from_tables
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.tables import read_table
from crossmargin.market.calendars import is_business_day
from crossmargin.market.curve import TENORS, Curve
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.sample import sample_market


def business_days(first, last):
    span = np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))
    return span[is_business_day(span, "bond")]


def par_yields(date, level=4.0, missing=()):
    """Flat par yields, a basis point higher each row; `missing` are (row, column)."""
    percent = level + 0.01 * np.arange(date.size)[:, None] + np.zeros(11)
    for row, column in missing:
        percent[row, column] = np.nan
    columns = {name: pa.array(percent[:, k], from_pandas=True) for k, name in enumerate(TENORS)}
    return pa.table({"date": pa.array(date.astype("datetime64[D]")), **columns})


MARCH = business_days("2025-03-03", "2025-03-31")


@pytest.mark.parametrize("as_of", ["2025-03-13", np.datetime64("2025-03-13")])
def test_later_rows_are_not_looked_at(as_of):
    market = market_from_tables(par_yields(MARCH), as_of=as_of)
    assert market.as_of == np.datetime64("2025-03-13")
    assert market.as_of.dtype == market.curve.as_of.dtype == np.dtype("datetime64[D]")
    assert market.history.date.tolist() == MARCH[:9].tolist()
    # Eight rows before it a basis point each: 4.08%, compounded half-yearly.
    assert market.history.zero_rate[-1, -1] == pytest.approx(2 * np.log(1.0204), abs=1e-15)
    cut = market_from_tables(par_yields(MARCH[:9]), as_of=as_of)
    assert np.array_equal(cut.curve.log_df, market.curve.log_df)
    assert not market.synthetic
    assert (market.history.basis, market.fixings) == ({}, {})


@pytest.mark.parametrize(
    "how", [copy.copy, copy.deepcopy, replace, lambda market: pickle.loads(pickle.dumps(market))]
)
def test_neither_a_history_nor_its_scenarios_can_be_written_to(how):
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-31")
    chosen = ScenarioStore().of(market.history, horizon=1, look_back=5, minimum=1)
    for other in (market, how(market)):
        again = ScenarioStore().of(other.history, horizon=1, look_back=5, minimum=1)
        assert again.shock.tolist() == chosen.shock.tolist()
        assert again.factor == chosen.factor
        history = other.history
        held = (history.date, history.zero_rate, history.par_yield, other.curve.log_df)
        for array in (*held, again.shock, again.date, again.tag):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[-1]


@pytest.mark.parametrize("how", [copy.deepcopy, lambda market: pickle.loads(pickle.dumps(market))])
def test_neither_basis_nor_fixings_can_be_written_to(how):
    sample = sample_market()
    rate = (np.array(["2026-06-09"], "datetime64[D]"), np.array([0.04]))
    market = replace(sample, fixings={"SOFR": rate})
    for other in (market, how(market)):
        arrays = [a for basis in other.history.basis.values() for a in (basis.date, basis.level)]
        for array in (*arrays, *other.fixings["SOFR"]):
            assert not array.flags.writeable


def test_rows_that_lack_a_node_are_skipped_and_counted():
    table = par_yields(MARCH, missing=[(2, 0), (2, 5), (4, 10), (12, 3)])
    market = market_from_tables(table, as_of="2025-03-13")
    # Rows 2 and 4; row 12 is after the as-of date.
    assert market.history.skipped_rows == 2
    assert market.history.date.tolist() == MARCH[[0, 1, 3, 5, 6, 7, 8]].tolist()
    # A change runs over usable rows: from row 3 to row 5 are two basis points of par yield.
    change = market.history.zero_rate_change(1)[2, -1]
    assert change == pytest.approx(2 * np.log(1.02025 / 1.02015), abs=1e-15)


def test_an_as_of_date_without_a_row_takes_the_last_one_before_it():
    table = par_yields(MARCH[:9])
    market = market_from_tables(table, as_of="2025-03-16")
    assert market.as_of == np.datetime64("2025-03-16")
    assert market.history.date[-1] == np.datetime64("2025-03-13")
    # Time runs from the as-of date, not from the row's.
    assert float(market.discount_factor("2025-03-16")) == 1.0


def test_a_row_more_than_five_business_days_back_is_too_old():
    table = par_yields(MARCH[:9])
    # Thursday 13 March; five business days on is Thursday 20 March.
    assert market_from_tables(table, as_of="2025-03-20").history.date[-1] == MARCH[8]
    with pytest.raises(
        ValueError, match="2025-03-21 is dated 2025-03-13, more than 5 business days"
    ):
        market_from_tables(table, as_of="2025-03-21")
    # A row that lacks a node is none.
    with pytest.raises(ValueError, match="more than 5 business days"):
        market_from_tables(
            par_yields(MARCH[:9], missing=[(8, 4)]), as_of=np.datetime64("2025-03-20")
        )
    with pytest.raises(ValueError, match="no complete row on or before 2025-03-02"):
        market_from_tables(table, as_of="2025-03-02")


@pytest.mark.parametrize(("hole", "kept"), [(10, 9), (11, 5)])
def test_the_history_begins_after_the_last_hole_of_more_than_ten_days(hole, kept):
    date = np.arange(np.datetime64("2025-03-01"), np.datetime64("2025-03-10"))
    date[4:] += np.timedelta64(hole - 1, "D")
    assert np.diff(date).max() == np.timedelta64(hole, "D")
    market = market_from_tables(par_yields(date), as_of=date[-1])
    assert market.history.date.size == kept
    assert market.history.zero_rate.shape == (kept, 11)


def test_only_the_last_of_several_holes_counts_and_skipped_rows_make_holes():
    date = np.arange(np.datetime64("2025-01-01"), np.datetime64("2025-03-11"))
    missing = [(row, 10) for row in [*range(3, 15), *range(30, 41)]]
    market = market_from_tables(par_yields(date, missing=missing), as_of=date[-1])
    assert market.history.date[0] == date[41]
    # None is missing in the history that is used.
    assert market.history.skipped_rows == 0


def test_discount_factors_of_dates():
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-13")
    dates = ["2025-03-13", "2027-03-15"]
    days = np.array([0, 732])
    # Beyond half a year a flat par curve at 4.08% has one forward rate.
    expected = np.array([1.0, 1.0204 ** (-2 * days[1] / 365.25)])
    np.testing.assert_allclose(market.discount_factor(dates), expected, rtol=1e-14)
    as_objects = [datetime.date.fromisoformat(d) for d in dates]
    assert np.array_equal(market.discount_factor(as_objects), market.discount_factor(dates))
    with pytest.raises(ValueError, match="on or after the as-of date"):
        market.discount_factor("2025-03-12")


def test_yields_without_a_curve_name_their_date():
    table = par_yields(MARCH[:9])
    steep = pa.array([4.0] * 5 + [30.0] + [4.0] * 3)
    zero = pa.array([4.0] * 5 + [0.0] + [4.0] * 3)
    table = table.set_column(11, "30y", steep).set_column(10, "20y", zero)
    with pytest.raises(ValueError, match="2025-03-10 do not give positive"):
        market_from_tables(table, as_of="2025-03-13")


def test_fixings_are_sorted_by_index_and_date():
    fixings = pa.table(
        {
            "date": pa.array(np.array(["2025-03-12", "2025-03-11", "2025-03-12"], "M8[D]")),
            "index": ["SOFR", "SOFR", "EFFR"],
            "rate_pct": [4.31, 4.32, 4.33],
        }
    )
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-13", fixings=fixings)
    assert sorted(market.fixings) == ["EFFR", "SOFR"]
    date, rate = market.fixings["SOFR"]
    assert np.datetime_as_string(date).tolist() == ["2025-03-11", "2025-03-12"]
    np.testing.assert_allclose(rate, [0.0432, 0.0431], rtol=1e-15)


def test_basis_rows_after_the_as_of_date_are_not_looked_at():
    basis = pa.table(
        {
            "date": pa.array(MARCH),
            "root": ["ZN"] * MARCH.size,
            "contract": ["ZNM25"] * MARCH.size,
            "basis": np.arange(MARCH.size) / 8.0,
        }
    )
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-13", basis=basis)
    assert market.history.factor[-1] == "basis:ZN"
    assert market.history.basis["ZN"].date[-1] == np.datetime64("2025-03-13")
    scenarios = ScenarioStore().of(market.history, horizon=2, minimum=1)
    assert scenarios.shock[:, -1].tolist() == [0.25] * 7
    assert scenarios.no_basis == {"ZN": 0}


@pytest.fixture(scope="module")
def real_yields(real_data):
    return read_par_yields(
        read_table(real_data("us_treasury_par_yields.csv.gz"), name="par yields")
    ).table


def test_the_real_history_gives_2750_scenarios(real_yields):
    market = market_from_tables(real_yields, as_of="2025-03-13")
    # The 30-year yield came back on 2006-02-09, after a hole of four years.
    assert str(market.history.date[0]) == "2006-02-09"
    for horizon in (1, 3):
        scenarios = ScenarioStore().of(market.history, horizon=horizon)
        assert scenarios.shock.shape == (2750, 11)
        assert scenarios.stressed.tolist() == list(range(250))
        assert np.all(np.diff(scenarios.date[:250]).astype(int) > 0)
        assert np.all(np.diff(scenarios.date[250:]).astype(int) > 0)
        ends = [str(scenarios.date[n]) for n in (0, 249, 2749)]
        assert ends == ["2008-07-01", "2009-06-30", "2025-03-13"]
        # An independent reading: the change that ended on the last row.
        change = market.history.zero_rate[-1] - market.history.zero_rate[-1 - horizon]
        assert np.array_equal(scenarios.shock[-1], change)
        worst = market.history.date.tolist().index(datetime.date(2008, 9, 29))
        at = scenarios.date.tolist().index(datetime.date(2008, 9, 29))
        change = market.history.zero_rate[worst] - market.history.zero_rate[worst - horizon]
        assert np.array_equal(scenarios.shock[at], change)


def test_an_earlier_as_of_date_keeps_the_crisis_within_its_look_back(real_yields):
    market = market_from_tables(real_yields, as_of="2016-03-11")
    scenarios = ScenarioStore().of(market.history, horizon=1)
    # 2,500 rows reach back to 2006: the crisis is tagged where it stands.
    assert scenarios.shock.shape == (2500, 11)
    assert scenarios.stressed.size == 250
    assert np.all(np.diff(scenarios.date).astype(int) > 0)


def test_too_short_a_real_history_says_so(real_yields):
    market = market_from_tables(real_yields, as_of="2010-03-12")
    with pytest.raises(ValueError, match="HISTORY_SHORT"):
        ScenarioStore().of(market.history, horizon=3)


def test_the_real_curve_reprices_its_par_yields(real_yields):
    market = market_from_tables(real_yields, as_of="2025-03-13")
    # Published on 2025-03-13, percent.
    row = real_yields.filter(pa.compute.equal(real_yields["date"], datetime.date(2025, 3, 13)))
    df = np.exp(market.curve.log_df)
    for years, column in ((2, "2y"), (5, "5y"), (10, "10y"), (30, "30y")):
        par = row[column][0].as_py()
        price = sum(par / 2 * df[3 : 3 + 2 * years]) + 100 * df[2 + 2 * years]
        assert price == pytest.approx(100.0, abs=1e-11)


def test_another_curve_keeps_the_history():
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-13")
    steeper = Curve(market.as_of, market.curve.log_df * 1.1)
    moved, store = market.with_curve(steeper), ScenarioStore()
    assert moved.curve is steeper
    assert moved.history is market.history
    options = {"horizon": 1, "look_back": 3, "minimum": 1, "stress": ()}
    # Scenarios are chosen once, for both.
    chosen = store.of(market.history, **options)
    assert store.of(moved.history, **options) is chosen
    assert store.of(market.history, **options | {"horizon": 2}) is not chosen
    assert not chosen.shock.flags.writeable
    with pytest.raises(ValueError, match="the curve is for 2025-03-14, the market for 2025-03-13"):
        market.with_curve(Curve(np.datetime64("2025-03-14"), steeper.log_df))


def test_another_history_has_scenarios_of_its_own():
    market = market_from_tables(par_yields(MARCH), as_of="2025-03-13")
    options = {"horizon": 1, "look_back": 3, "minimum": 1, "stress": ()}
    store, history = ScenarioStore(), market.history
    before = store.of(history, **options)
    other = replace(history, zero_rate=history.zero_rate * 2.0)
    after = store.of(other, **options)
    assert after.shock.tolist() == (before.shock * 2.0).tolist()
    # Those of the latest history are kept.
    assert store.of(other, **options) is after
    again = store.of(history, **options)
    assert again is not before
    assert again.shock.tolist() == before.shock.tolist()
