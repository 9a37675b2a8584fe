"""A model's margin of one contract beside the observed one, and the model scaled to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.conventions import COMBINED, FUTURES
from crossmargin.engine import Book, Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.universe import Universe
from crossmargin.margin.cme.equivalents import equivalents
from crossmargin.margin.cme.model import CmeHvar, CmeSpan, PreparedHvar
from crossmargin.margin.model import MarginModel, ModelInputs, OwnCube, PreparedModel
from crossmargin.margin.outright import outright_margins
from crossmargin.market import Market
from crossmargin.market.scenarios import ScenarioStore
from crossmargin.policies import ScenarioRules, Span, read_policy
from crossmargin.policies.sections.cme import FLOOR, SCALE, SHOW

DAY = np.datetime64("2025-02-03")
EXECUTION = Execution(1)
CME = replace(read_policy().cme, equivalent_roots=((3.0, "ZT"), (100.0, "ZN")))
SPAN = read_policy("cme-ficc-2026-04-30-span").get(Span)
NAMES = ("ZTM25", "ZNM25")

Prepare = Callable[..., tuple[PreparedModel, Universe]]


def root(name: str, usd: float) -> ObservedMargin:
    return ObservedMargin(name, DAY, usd)


def zn_june(usd: float) -> ObservedMargin:
    return ObservedMargin("ZNM25", DAY, usd, Contract("ZN", np.datetime64("2025-06")))


def span() -> Span:
    assert SPAN is not None
    return replace(SPAN, calibration_rows=100, spreads=(), spread_rates=())


@pytest.fixture(scope="module")
def prepare(
    build: Callable[[Market], Universe], market: Market, scenario_rules: ScenarioRules
) -> Prepare:
    """Return a function that prepares a model for the small market."""
    universe, store = build(market), ScenarioStore()

    def prepare(
        model: MarginModel, *observed: ObservedMargin, **more: Any
    ) -> tuple[PreparedModel, Universe]:
        inputs = ModelInputs(
            universe=universe,
            held=None,  # type: ignore[arg-type]  # these models do not look at it
            market=market,
            scenarios=scenario_rules,
            eligible=np.ones(universe.name.size, bool),
            store=store,
            observed=observed,
            **more,
        )
        return model.prepare(inputs, EXECUTION), universe

    return prepare


def outrights(model: PreparedModel, universe: Universe) -> list[list[float]]:
    at = [universe.name.tolist().index(name) for name in NAMES]
    found: list[list[float]] = outright_margins(model, at, universe.name.size, EXECUTION).tolist()
    return found


def test_one_contract_is_margined_alone_on_each_side(prepare: Prepare) -> None:
    """P&L of four scenarios by hand; at 99% VaR is the worst: gains of the long, of the short."""
    own = OwnCube("cme_cube", ["ZNM25"], np.array([[-300.0, 100.0, 250.0, -5.0]]), list("abcd"))
    model, universe = prepare(CmeHvar(CME), zn_june(400.0), root("ZT", 90.0), cube=own)
    zt, zn = outrights(model, universe)
    assert zn == [300.0, 250.0]
    assert np.isnan(zt).all()
    told, unknown = (one.describe() for one in model.outrights)
    assert told == {
        "instrument": "ZNM25",
        "date": "2025-02-03",
        "maintenance": 400.0,
        "contract": "ZNM25",
        "model_long": 300.0,
        "model_short": 250.0,
        "ratio": 0.75,
        "use": "show",
        "factor": 1.0,
    }
    assert (unknown["contract"], unknown["ratio"], unknown["factor"]) == ("ZTM25", None, 1.0)
    [note] = model.notes()
    assert note.code == "OBSERVED_NOT_USED"
    assert note.message == "ZT: the model's margin of ZTM25 is unknown; there is no ratio"
    assert model.describe()["observed_margins"] == [told, unknown]


@pytest.mark.parametrize("name", ["hvar", "span"])
def test_scaling_gives_the_observed_margin_and_nothing_else_moves(
    prepare: Prepare, name: str
) -> None:
    make: Callable[[str], MarginModel] = (
        (lambda use: CmeHvar(CME, use=use))
        if name == "hvar"
        else (lambda use: CmeSpan(CME, span(), use))
    )
    plain, universe = prepare(make(SCALE))
    (zt, _), (zn, _) = before = outrights(plain, universe)
    larger = max(before[1])
    shown, _ = prepare(make(SHOW), root("ZN", 2.0 * larger))
    assert outrights(shown, universe) == before
    assert [one.ratio for one in shown.outrights] == [0.5]
    for use, observed, factor in (
        (SCALE, 2.0 * larger, 2.0),
        (SCALE, 0.25 * larger, 0.25),
        (FLOOR, 2.0 * larger, 2.0),
        (FLOOR, 0.25 * larger, 1.0),
    ):
        scaled, _ = prepare(make(use), root("ZN", observed))
        assert [one.factor for one in scaled.outrights] == [factor]
        after = outrights(scaled, universe)
        assert after[0] == before[0]
        assert max(after[1]) == pytest.approx(factor * larger, abs=1e-5)
        assert after[1] == pytest.approx([factor * side for side in before[1]], abs=1e-5)
    assert zt > 0.0
    assert zn > 0.0


@pytest.mark.parametrize("use", [SCALE, FLOOR])
@pytest.mark.parametrize("share", [0.001, 101.0])
def test_a_margin_in_another_unit_is_refused(prepare: Prepare, use: str, share: float) -> None:
    """Thousands of USD: a floor would do nothing, a scale would leave nothing."""
    shown, _ = prepare(CmeHvar(CME), root("ZN", 1000.0))
    [one] = shown.outrights
    usd = share * 1000.0 * one.ratio
    with pytest.raises(InputError, match="more than 100 times apart, the model is not scaled"):
        prepare(CmeHvar(CME, use=use), root("ZN", usd))
    shown, _ = prepare(CmeHvar(CME), root("ZN", usd))
    assert shown.outrights[0].ratio == pytest.approx(1.0 / share)


def test_cash_moves_with_the_contract_that_stands_for_it(prepare: Prepare, market: Market) -> None:
    plain, universe = prepare(CmeHvar(CME))
    scaled, _ = prepare(CmeHvar(CME, use=SCALE), root("ZN", 1234.5))
    assert isinstance(plain, PreparedHvar)
    assert isinstance(scaled, PreparedHvar)
    assert plain.stressed is not None
    assert scaled.stressed is not None
    [one] = scaled.outrights
    own = equivalents(universe, CME, market.as_of)
    contract, ratio = own.contract, own.ratio
    zn = universe.name.tolist().index("ZNM25")
    for before, after in (
        (plain.historical, scaled.historical),
        (plain.stressed.cube, scaled.stressed.cube),
    ):
        # Python rounds half to even, as the grid does.
        steps = [round(one.factor * usd * 2**20) / 2**20 for usd in before.pnl[zn].tolist()]
        assert after.pnl[zn].tolist() == steps
        for cash in range(contract.size):
            if contract[cash] == zn:
                wanted = [round(ratio[cash] * usd * 2**20) / 2**20 for usd in steps]
                assert after.pnl[cash].tolist() == wanted
            else:
                assert np.array_equal(after.pnl[cash], before.pnl[cash])
        assert after.on_grid
        assert after.scenario is not None
        assert np.array_equal(after.scenario, before.scenario)
    assert {0, 1, 2} == set(np.flatnonzero(contract == zn))


def test_a_contracts_own_margin_comes_before_its_roots(prepare: Prepare) -> None:
    model, universe = prepare(CmeHvar(CME, use=SCALE), root("ZN", 500.0), zn_june(800.0))
    assert max(outrights(model, universe)[1]) == pytest.approx(800.0, abs=1e-5)
    factor = {one.observed.instrument: one.factor for one in model.outrights}
    assert factor["ZN"] == pytest.approx(factor["ZNM25"] * 500.0 / 800.0)


def test_scan_ranges_are_the_roots(prepare: Prepare) -> None:
    model, universe = prepare(CmeSpan(CME, span(), SCALE), root("ZN", 500.0), zn_june(800.0))
    assert outrights(model, universe)[1] == pytest.approx([500.0, 500.0], abs=1e-9)
    [note] = model.notes()
    assert note.message.startswith("ZNM25: a scan range is that of all contracts of a root or tier")
    shown, _ = prepare(CmeSpan(CME, span()), zn_june(800.0))
    assert not shown.notes()


def test_what_has_no_ratio_is_not_scaled_and_noted(prepare: Prepare) -> None:
    # UB is not among the instruments, and no contract of a root without any is listed.
    model, universe = prepare(CmeHvar(CME, use=SCALE), root("UB", 5000.0))
    assert [one.factor for one in model.outrights] == [1.0]
    assert outrights(model, universe) == outrights(*prepare(CmeHvar(CME)))
    [note] = model.notes()
    assert note.message == "UB: the model's margin of UBM25 is unknown; there is no ratio"
    zeros = OwnCube("cme_cube", list(NAMES), np.zeros((2, 4)), list("abcd"))
    flat, _ = prepare(CmeHvar(CME), root("ZN", 5000.0), cube=zeros)
    assert flat.notes()[0].message == "ZN: the model's margin of ZNM25 is zero; there is no ratio"
    gone = ObservedMargin("ZNH24", DAY, 900.0, Contract("ZN", np.datetime64("2024-03")))
    left, _ = prepare(CmeHvar(CME, use=SCALE), gone)
    assert left.notes()[0].message.startswith("ZNH24: no such contract can be held")


def test_pnl_of_the_users_own_is_shown_and_stands(prepare: Prepare) -> None:
    own = OwnCube("cme_cube", ["ZTM25", "ZNM25"], np.array([[5.0, -4.0], [9.0, -7.0]]), ["a", "b"])
    model, universe = prepare(CmeHvar(CME, use=SCALE), root("ZT", 10.0), root("ZN", 18.0), cube=own)
    assert outrights(model, universe) == [[4.0, 5.0], [7.0, 9.0]]
    assert [(one.ratio, one.factor) for one in model.outrights] == [(0.5, 1.0), (0.5, 1.0)]
    [note] = model.notes()
    assert note.message.startswith("ZT, ZN: the P&L given for CME stands as it is")


def test_factors_found_before_are_used_again(prepare: Prepare) -> None:
    model, universe = prepare(CmeHvar(CME, use=SCALE), root("ZN", 1500.0))
    again, _ = prepare(CmeHvar(CME, use=SCALE), outrights=model.outrights)
    assert outrights(again, universe) == outrights(model, universe)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(10.0, 5e3),
    st.floats(10.0, 5e3),
    st.sampled_from(["hvar", "span"]),
    st.lists(st.integers(-40, 40), min_size=7, max_size=7),
)
def test_a_scaled_model_is_a_model(
    prepare: Prepare, zt: float, zn: float, name: str, lots: list[int]
) -> None:
    """It gives the observed margins, is homogeneous, and a union needs at most its parts."""
    model: MarginModel = CmeHvar(CME, use=SCALE) if name == "hvar" else CmeSpan(CME, span(), SCALE)
    scaled, universe = prepare(model, root("ZT", zt), root("ZN", zn))
    found = outrights(scaled, universe)
    assert [max(sides) for sides in found] == pytest.approx([zt, zn], abs=1e-5)
    size = universe.name.size
    quantity = np.array(lots[:size], float)

    def v(cash: float, futures: float) -> np.ndarray:
        held = np.concatenate([cash * quantity[:4], futures * quantity[size - 2 :]])
        column = np.array([*range(4), size - 2, size - 1])
        ptr = np.array([0, 4, 6, 6, 6])
        margin = scaled.margin(Book.from_arrays(ptr, column, held, size), EXECUTION)
        assert np.isfinite(margin.v).all()
        return margin.v[0]

    once, twice = v(100.0, 1.0), v(200.0, 2.0)
    assert np.array_equal(twice, 2.0 * once)
    assert (once >= 0.0).all()
    if name == "span":
        assert once[COMBINED] <= (once[0] + once[FUTURES]) * (1.0 + 1e-12)
