from __future__ import annotations

import numpy as np
import pytest

from crossmargin.market.calendars import is_business_day
from crossmargin.market.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.sample import AS_OF, sample_market
from crossmargin.sample.market import (
    BASIS_ROOTS,
    EARLIEST_AS_OF,
    History,
    make_basis,
    make_history,
    symbol,
)

SEEDS = (2026, 1, 7)
TEN_YEARS = 8


@pytest.fixture(scope="module", params=SEEDS)
def history(request: pytest.FixtureRequest) -> History:
    return make_history(request.param, AS_OF)


def moves(history: History) -> np.ndarray:
    """Daily changes, basis points."""
    return np.diff(history.par_yield, axis=0) * 100.0


def window(history: History) -> np.ndarray:
    start, end = np.datetime64("2008-07-01"), np.datetime64("2009-06-30")
    return (history.date[1:] >= start) & (history.date[1:] <= end)


def test_history_covers_look_back_and_stress_window(history: History) -> None:
    date = history.date
    assert date[-1] == AS_OF
    assert is_business_day(date, "bond").all()
    assert (np.diff(date).astype(int) <= 5).all()
    # 2,500 look-back rows and three more, a year of stress, and 250 rows before it for volatility.
    assert date.size > 2_503 + 250 + 250
    assert window(history).sum() >= 245
    assert (date < np.datetime64("2008-07-01")).sum() > 500


def test_yields_are_plausible_and_in_hundredths(history: History) -> None:
    percent = history.par_yield
    assert percent.min() >= 0.01
    assert percent.max() < 9.0
    assert np.array_equal(percent, np.rint(percent * 100.0) / 100.0)
    # No corner of the curve is absurd: neighbours lie within two and a half percent.
    assert np.abs(np.diff(percent, axis=1)).max() < 2.5


def test_moves_are_of_the_size_of_the_last_decades(history: History) -> None:
    # Standard deviations of real daily moves, 2006 to 2026: 2 years 5.2, 10 years 5.7 and 30 years
    # 5.4 basis points.
    deviation = moves(history).std(axis=0)
    assert 4.0 < deviation[4] < 7.0
    assert 4.5 < deviation[TEN_YEARS] < 7.5
    assert 4.0 < deviation[10] < 7.5
    assert np.abs(moves(history)).max() < 120.0


def test_the_stress_window_is_a_crisis(history: History) -> None:
    # The real 10-year moved 10.0 basis points a day in it, against 5.7 over all.
    ten = moves(history)[:, TEN_YEARS]
    assert ten[window(history)].std() > 1.3 * ten.std()


def test_moves_have_fat_tails_and_volatility_clusters(history: History) -> None:
    ten = moves(history)[:, TEN_YEARS]
    ten = ten - ten.mean()
    assert (ten**4).mean() / (ten**2).mean() ** 2 - 3.0 > 1.0
    square = np.abs(ten) - np.abs(ten).mean()
    # The size of a move says something of the next one's: far above 4 / sqrt(5,000) = 0.06.
    assert (square[1:] * square[:-1]).mean() / square.var() > 0.1


def test_neighbours_move_together_more_than_distant_nodes(history: History) -> None:
    correlation = np.corrcoef(moves(history).T)
    for node in range(1, 10):
        assert (np.diff(correlation[node, node:]) < 0.0).all()
    assert correlation[TEN_YEARS, 10] > 0.85
    assert correlation[1, 10] < 0.5


def test_a_seed_gives_one_history() -> None:
    one, again, other = (make_history(seed, AS_OF) for seed in (5, 5, 6))
    assert np.array_equal(one.par_yield, again.par_yield)
    assert not np.array_equal(one.par_yield, other.par_yield)


@pytest.mark.parametrize("day", ["2022-12-30", "2050-01-03"])
def test_as_of_out_of_range_is_refused(day: str) -> None:
    with pytest.raises(ValueError, match=f"as_of {day} is out of range; give a day from 2023"):
        make_history(1, np.datetime64(day))


def test_as_of_must_be_a_business_day() -> None:
    with pytest.raises(ValueError, match="2026-07-03 is not a business day"):
        make_history(1, np.datetime64("2026-07-03"))


@pytest.mark.parametrize(("seed", "as_of"), [(1, "2026-06-05"), (2026, "2026-06-09")])
def test_no_row_looks_like_decimals(seed: int, as_of: str) -> None:
    """Readers refuse a row whose yields are all below 0.25 percent."""
    assert make_history(seed, np.datetime64(as_of)).par_yield.max(axis=1).min() >= 0.5


def test_basis_has_one_row_a_day_and_contract(history: History) -> None:
    basis = make_basis(1, history).to_pandas()
    assert basis.columns.tolist() == ["date", "root", "contract", "basis"]
    assert not basis.duplicated(["date", "contract"]).any()
    assert set(basis["root"]) == {root for root, _, _ in BASIS_ROOTS}
    assert np.isin(basis["date"].to_numpy("datetime64[D]"), history.date).all()
    # Where two contracts are followed at once, they are neighbours at a roll.
    assert basis.groupby(["date", "root"]).size().max() == 2


def test_basis_rolls_before_the_delivery_month() -> None:
    history = make_history(1, AS_OF)
    basis = make_basis(1, history).to_pandas()
    notes = basis[basis["root"] == "ZN"].groupby("contract")["date"].agg(["min", "max"])
    # Delivery starts on 2026-03-01, a Sunday. ZNM26 is followed from ten business days before
    # ZNH26 ends: 16 February is a holiday.
    assert str(notes.loc["ZNH26", "max"]) == "2026-02-27"
    assert str(notes.loc["ZNM26", "min"]) == "2026-02-12"
    assert str(notes.loc["ZNM26", "max"]) == "2026-05-29"
    assert str(notes.loc["ZNU26", "max"]) == str(AS_OF)
    assert "ZNZ26" not in notes.index
    # Listed since: no basis before.
    first = basis.groupby("root")["date"].min().astype(str)
    assert first["TWE"] > "2022-01"
    assert first["TN"] > "2015-11"


def test_basis_is_small_and_grows_with_the_contract(history: History) -> None:
    basis = make_basis(1, history).to_pandas()
    size = basis.groupby("root")["basis"].std()
    assert size["ZT"] < size["ZF"] < size["ZN"] < size["UB"] < 0.5
    assert (basis.groupby("root")["basis"].mean() < 0.0).all()


@pytest.mark.parametrize("as_of", [EARLIEST_AS_OF, AS_OF, np.datetime64("2049-12-31")])
def test_every_allowed_day_has_its_scenarios(as_of: np.datetime64) -> None:
    market = sample_market(as_of=as_of)
    assert isinstance(market, Market)
    assert market.synthetic
    scenarios = ScenarioStore().of(market.history, horizon=3)
    assert scenarios.shock.shape[0] >= 2_745
    assert np.isfinite(scenarios.shock).all()
    assert market.history.factor[-1].startswith("basis:")


def test_symbols_have_two_digits_of_the_year() -> None:
    assert symbol("ZN", np.datetime64("2025-06")) == "ZNM25"
    assert symbol("SR3", np.datetime64("2008-12-17")) == "SR3Z08"
