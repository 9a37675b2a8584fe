from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossmargin.agreement.requirement import AMOUNTS, Requirements, require
from crossmargin.agreement.savings import Saving
from crossmargin.margin.charges import Charged
from crossmargin.margin.portfolios import CcpMargin


def margin_at(name: str, *groups: tuple[float | None, ...]) -> CcpMargin:
    """Return V of cash, futures, both, other and all at a clearing house; None is unknown."""
    values = np.array([[np.nan if v is None else v for v in group] for group in groups])
    unknown = np.isnan(values)
    return CcpMargin(name, np.where(unknown, 5e12, values), unknown, {})


def with_share(*p: float) -> Saving:
    share = np.array(p)
    mask, text = np.ones(share.size, dtype=bool), np.full(share.size, "", dtype=object)
    return Saving(share, mask, share, mask, share, text, mask, text)


def charged(ccp: str, amount: list[list[float]], *, reducible: bool) -> Charged:
    due = np.array(amount)
    return Charged("x", ccp, reducible, due)


def required(
    ficc: CcpMargin,
    cme: CcpMargin,
    *p: float,
    charges: list[Charged] | None = None,
    group_account: list[int] | None = None,
    multiplier: float = 1.0,
    floor: float = 0.0,
    minimum: float = 0.0,
    elsewhere: Sequence[CcpMargin] = (),
) -> Requirements:
    size = len(p)
    return require(
        ficc,
        cme,
        with_share(*p),
        charges or [],
        group_account=np.array(group_account or list(range(size))),
        multiplier=np.full(size, multiplier),
        floor=np.full(size, floor),
        minimum=np.full(size, minimum),
        elsewhere=elsewhere,
    )


def cents(result: Requirements, account: int = 0) -> dict[str, int | None]:
    amounts = {name: getattr(result, name) for name in AMOUNTS}
    return {n: int(a.cents[account]) if a.known[account] else None for n, a in amounts.items()}


FICC = margin_at("FICC", (1000.0, 800.0, 900.0, 50.0, 1020.0))
CME = margin_at("CME", (700.0, 600.0, 650.0, 40.0, 610.0))


@pytest.mark.parametrize("futures", [0.0, 143.24, 171.62])
def test_published_example_of_the_largest_reduction(futures: float) -> None:
    # CFTC proposal, 90 FR 58525: 343.24 million stand-alone, 80% less, leaves 68.648 million. The
    # split between the clearing houses is ours, and makes no difference.
    cash = 343.24 - futures
    found = cents(
        required(
            margin_at("FICC", (cash * 1e6, 0.0, 0.0, 0.0, cash * 1e6)),
            margin_at("CME", (0.0, futures * 1e6, 0.0, 0.0, futures * 1e6)),
            0.8,
        )
    )
    assert found["standalone_requirement"] == 343_240_000_00
    assert found["requirement"] == 68_648_000_00
    assert found["saving"] == found["programme_saving"] == 274_592_000_00


def test_requirement_by_hand() -> None:
    # A quarter off 1,000 and 600; 50 and 40 apart. Without the programme 1,020 and 610.
    assert cents(required(FICC, CME, 0.25)) == {
        "requirement_ficc": 750_00,
        "requirement_cme": 450_00,
        "other_ficc": 50_00,
        "other_cme": 40_00,
        "other_ccps": 0,
        "requirement": 1290_00,
        "house_requirement": 1290_00,
        "programme_saving": 400_00,
        "standalone_requirement": 1630_00,
        "saving": 340_00,
    }


def test_without_a_share_nothing_is_taken_off() -> None:
    result = cents(required(FICC, CME, 0.0))
    assert (result["requirement_ficc"], result["requirement_cme"]) == (1000_00, 600_00)
    assert result["programme_saving"] == 0
    # 1,630 less 1,690: moving futures has cost netting in the ordinary account.
    assert result["saving"] == -60_00


def test_each_component_is_rounded_half_up_and_totals_are_their_sums() -> None:
    # Half a cent each, exact in binary at 1/8: 0.125 -> 0.13. Four times 0.13, not round(0.50).
    tiny = (0.125, 0.125, 0.125, 0.125, 0.125)
    result = cents(required(margin_at("FICC", tiny), margin_at("CME", tiny), 0.0))
    assert result["requirement_ficc"] == result["other_cme"] == 13
    assert result["requirement"] == 52
    assert result["standalone_requirement"] == 26
    # 1 - p = 0.5: 0.0625 -> 0.06; 0.06 + 0.06.
    result = cents(required(margin_at("FICC", tiny), margin_at("CME", tiny), 0.5))
    assert (result["requirement_ficc"], result["requirement_cme"]) == (6, 6)
    assert result["programme_saving"] == 12
    assert result["requirement"] == 6 + 6 + 13 + 13


def test_reduced_requirement_is_never_above_the_stand_alone_one() -> None:
    rng = np.random.default_rng(3)
    for v, p in zip(rng.random(200) * 1e6, rng.random(200) * 0.8, strict=True):
        one = (v, v, v, 0.0, v)
        reduced = cents(required(margin_at("FICC", one), margin_at("CME", one), p))
        alone = cents(required(margin_at("FICC", one), margin_at("CME", one), 0.0))
        for name in ("requirement_ficc", "requirement_cme", "requirement"):
            assert 0 <= reduced[name] <= alone[name]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("portfolio", "lost"),
    [
        (0, {"requirement_ficc", "programme_saving"}),
        (3, {"other_ficc"}),
        (4, {"standalone_requirement"}),
    ],
)
def test_unknown_ficc_portfolio_reaches_every_total_above_it(
    portfolio: int, lost: set[str]
) -> None:
    values: list[float | None] = [1000.0, 800.0, 900.0, 50.0, 1020.0]
    values[portfolio] = None
    result = cents(required(margin_at("FICC", tuple(values)), CME, 0.0))
    above = {"saving"} if portfolio == 4 else {"requirement", "house_requirement", "saving"}
    assert {name for name, value in result.items() if value is None} == lost | above


@pytest.mark.parametrize(
    ("portfolio", "lost"),
    [
        (1, {"requirement_cme", "programme_saving"}),
        (3, {"other_cme"}),
        (4, {"standalone_requirement"}),
    ],
)
def test_unknown_cme_portfolio_reaches_every_total_above_it(portfolio: int, lost: set[str]) -> None:
    values: list[float | None] = [700.0, 600.0, 650.0, 40.0, 610.0]
    values[portfolio] = None
    result = cents(required(FICC, margin_at("CME", tuple(values)), 0.0))
    above = {"saving"} if portfolio == 4 else {"requirement", "house_requirement", "saving"}
    assert {name for name, value in result.items() if value is None} == lost | above


@pytest.mark.parametrize(("of", "portfolio"), [("FICC", 1), ("FICC", 2), ("CME", 0), ("CME", 2)])
def test_portfolios_that_only_make_the_share_leave_the_money_known(of: str, portfolio: int) -> None:
    values: list[float | None] = [1000.0, 800.0, 900.0, 50.0, 1020.0]
    values[portfolio] = None
    bad = margin_at(of, tuple(values))
    result = required(bad, CME, 0.0) if of == "FICC" else required(FICC, bad, 0.0)
    assert None not in cents(result).values()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, 1290_00),
        ({"multiplier": 1.5}, 1935_00),
        ({"multiplier": 0.5}, 645_00),
        ({"multiplier": 0.5, "floor": 700.0}, 700_00),
        ({"multiplier": 0.5, "minimum": 900.0, "floor": 700.0}, 900_00),
        ({"multiplier": 1.5, "minimum": 900.0, "floor": 700.0}, 1935_00),
        ({"multiplier": 0.0}, 0),
        # 1,290 * 1.00005 = 1,290.0645.
        ({"multiplier": 1.00005}, 1290_06),
    ],
)
def test_house_requirement_is_the_largest_of_the_firms_terms(
    terms: dict[str, Any], expected: int
) -> None:
    result = cents(required(FICC, CME, 0.25, **terms))
    assert result["house_requirement"] == expected
    assert result["requirement"] == 1290_00


def test_large_amounts_keep_their_cents() -> None:
    v = 12_345_678_901.23
    one = (v, v, v, 0.0, v)
    result = cents(required(margin_at("FICC", one), margin_at("CME", one), 0.0))
    assert result["requirement_ficc"] == 1_234_567_890_123
    assert result["house_requirement"] == 2_469_135_780_246


def test_positions_at_another_firm_stand_alone_and_are_added_up() -> None:
    # Groups 2 and 3 are account 0's at two other firms: nothing of them is cross-margined.
    ficc = margin_at(
        "FICC", *([(100.0, 90.0, 95.0, 10.0, 105.0)] * 2), *([(0, 0, 0, 7.0, 7.0)] * 2)
    )
    cme = margin_at(
        "CME", *([(60.0, 50.0, 55.0, 20.0, 65.0)] * 2), *([(0, 0, 0, 3.125, 3.125)] * 2)
    )
    result = required(ficc, cme, 0.5, 0.0, group_account=[0, 1, 0, 0])
    first, second = cents(result), cents(result, 1)
    assert (first["other_ficc"], second["other_ficc"]) == (10_00 + 14_00, 10_00)
    # Each firm's amount is rounded by itself: 3.125 -> 3.13, twice.
    assert (first["other_cme"], second["other_cme"]) == (20_00 + 6_26, 20_00)
    assert first["requirement"] == 50_00 + 25_00 + 24_00 + 26_26
    assert first["standalone_requirement"] == 105_00 + 65_00 + 14_00 + 6_26
    assert second["requirement"] == 100_00 + 50_00 + 10_00 + 20_00


def test_unknown_at_another_firm_makes_its_account_unknown() -> None:
    ficc = margin_at("FICC", *([(1.0, 1.0, 1.0, 1.0, 1.0)] * 2), (0, 0, 0, None, None))
    cme = margin_at("CME", *([(1.0, 1.0, 1.0, 1.0, 1.0)] * 3))
    result = required(ficc, cme, 0.0, 0.0, group_account=[0, 1, 1])
    assert result.other_ficc.known.tolist() == [True, False]
    assert result.requirement.known.tolist() == [True, False]
    assert result.requirement_ficc.known.tolist() == [True, True]


def test_charges_inside_are_reduced_and_those_outside_are_not() -> None:
    amount = [[10.0, 0.0, 10.0, 4.0, 14.0]]
    plain = cents(required(FICC, CME, 0.25))
    for inside, due in ((True, 7_50), (False, 10_00)):
        charge = charged("FICC", amount, reducible=inside)
        result = cents(required(FICC, CME, 0.25, charges=[charge]))
        more = {n: result[n] - plain[n] for n in AMOUNTS}  # type: ignore[operator]
        assert more["requirement_ficc"] == due
        assert (more["other_ficc"], more["standalone_requirement"]) == (4_00, 14_00)
        assert more["requirement"] == due + 4_00
        assert more["saving"] == 14_00 - due - 4_00
        # The clearing houses report the saving on V alone.
        assert more["requirement_cme"] == more["other_cme"] == more["programme_saving"] == 0


def test_charges_are_rounded_one_by_one() -> None:
    amount = [[0.125, 0.125, 0.125, 0.0, 0.0]]
    both = [charged("CME", amount, reducible=False), charged("CME", amount, reducible=True)]
    result = cents(required(FICC, CME, 0.0, charges=both))
    assert result["requirement_cme"] == 600_00 + 13 + 13
    assert result["requirement_ficc"] == 1000_00


def test_further_clearing_houses_are_added_without_a_reduction() -> None:
    # Account 0 has 40.005 and, at another firm, 2.5 at the third one; account 1 has 10 there.
    ficc = margin_at("FICC", *([(1000.0, 800.0, 900.0, 50.0, 1020.0)] * 2), (0, 0, 0, 0, 0))
    cme = margin_at("CME", *([(700.0, 600.0, 650.0, 40.0, 610.0)] * 2), (0, 0, 0, 0, 0))
    third = margin_at("ICE", (40.005,), (10.0,), (2.5,))
    fourth = margin_at("CMESC", (0.0,), (7.0,), (0.0,))
    charge = charged("ICE", [[1.125], [0.0], [4.0]], reducible=True)
    result = required(
        ficc,
        cme,
        *(0.25, 0.25),
        charges=[charge],
        group_account=[0, 1, 0],
        multiplier=2.0,
        elsewhere=[third, fourth],
    )
    # 40.01 + 1.13 + 2.50 + 4.00, each rounded by itself; the charge is not reduced.
    assert result.other_ccps.cents.tolist() == [47_64, 17_00]
    first, second = cents(result), cents(result, 1)
    assert first == {
        "requirement_ficc": 750_00,
        "requirement_cme": 450_00,
        "other_ficc": 50_00,
        "other_cme": 40_00,
        "other_ccps": 47_64,
        "requirement": 1290_00 + 47_64,
        "house_requirement": 2 * (1290_00 + 47_64),
        "programme_saving": 400_00,
        "standalone_requirement": 1630_00 + 47_64,
        "saving": 340_00,
    }
    assert (second["requirement"], second["saving"]) == (1290_00 + 17_00, 340_00)
    assert not required(FICC, CME, 0.25).other_ccps.cents.any()


def test_unknown_at_a_further_clearing_house_reaches_the_totals() -> None:
    ficc, cme = (margin_at(name, *([(1.0, 1.0, 1.0, 1.0, 1.0)] * 3)) for name in ("FICC", "CME"))
    third = margin_at("ICE", (1.0,), (1.0,), (None,))
    result = required(ficc, cme, 0.0, 0.0, group_account=[0, 1, 1], elsewhere=[third])
    assert result.other_ccps.known.tolist() == [True, False]
    lost = {name for name, value in cents(result, 1).items() if value is None}
    totals = {"requirement", "house_requirement", "standalone_requirement", "saving"}
    assert lost == {"other_ccps", *totals}
    assert None not in cents(result).values()
