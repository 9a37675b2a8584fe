"""What is collected and called, by hand for every rule and by Hypothesis for what must hold."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.agreement.collection import (
    LARGEST,
    TERMS,
    Collection,
    Standing,
    Terms,
    at_most,
    collect,
    stand,
    uncovered,
)
from crossmargin.agreement.requirement import Amount
from crossmargin.margin.model import AmountError


def amount(*usd: float | None) -> Amount:
    known = np.array([one is not None for one in usd])
    return Amount(np.array([round((one or 0.0) * 100) for one in usd], np.int64), known)


def collected(
    required: float | None,
    cme: float | None = 0.0,
    *,
    multiplier: float = 1.0,
    floor: float = 0.0,
    minimum: float = 0.0,
    heightened: bool = False,
    rate: float = 1.1,
    house: float | None = 0.0,
) -> tuple[int | None, str, int | None]:
    """Return what is collected of one account, what decides it, and the addition; cents."""
    one = collect(
        amount(required),
        amount(cme),
        Terms(
            np.array([multiplier]),
            np.array([floor]),
            np.array([minimum]),
            np.array([heightened]),
            rate,
        ),
        amount(house),
    )
    total, extra = (
        int(part.cents[0]) if part.known[0] else None for part in (one.collected, one.heightened)
    )
    return total, TERMS[one.by[0]], extra


@pytest.mark.parametrize(
    ("terms", "cents", "by"),
    [
        ({}, 100_00, "ccps"),
        ({"multiplier": 1.25}, 125_00, "multiplier"),
        # A cent and a half is rounded half up, as house_requirement is.
        ({"multiplier": 1.00005}, 100_01, "multiplier"),
        # Never below what the clearing houses require.
        ({"multiplier": 0.5}, 100_00, "ccps"),
        ({"multiplier": 0.0}, 100_00, "ccps"),
        ({"floor": 150.0}, 150_00, "floor"),
        ({"floor": 99.99}, 100_00, "ccps"),
        ({"minimum": 200.0, "floor": 150.0}, 200_00, "minimum"),
        ({"house": 100.01}, 100_01, "house_model"),
        ({"house": 99.99}, 100_00, "ccps"),
        ({"multiplier": 2.0, "house": 250.0, "floor": 240.0}, 250_00, "house_model"),
        # The first of equal terms decides.
        ({"floor": 100.0, "minimum": 100.0, "house": 100.0}, 100_00, "ccps"),
        ({"multiplier": 1.5, "floor": 150.0}, 150_00, "multiplier"),
        ({"floor": 150.0, "minimum": 150.0}, 150_00, "floor"),
        ({"minimum": 150.0, "house": 150.0}, 150_00, "minimum"),
    ],
)
def test_the_largest_term_is_collected(terms: dict[str, Any], cents: int, by: str) -> None:
    assert collected(100.0, **terms) == (cents, by, 0)


def test_a_heightened_risk_profile_adds_to_cmes_part() -> None:
    # 10% of CME's 40.
    assert collected(100.0, 40.0, heightened=True) == (104_00, "ccps", 4_00)
    # The multiplier is on top of the addition.
    assert collected(100.0, 40.0, heightened=True, multiplier=1.5) == (156_00, "multiplier", 4_00)
    assert collected(100.0, 40.0) == (100_00, "ccps", 0)
    # A tenth of five cents is half a cent, and half a cent of a large amount is one too.
    assert collected(652382.95, 652382.95, heightened=True)[2] == 65238_30
    assert collected(1.0, 0.05, heightened=True) == (1_01, "ccps", 1)
    assert collected(100.0, 40.0, heightened=True, rate=1.0) == (100_00, "ccps", 0)


def test_what_is_not_known_is_not_collected() -> None:
    assert collected(None, None)[0] is None
    # A floor above it does not make it known: the requirement may be larger still.
    assert collected(None, floor=1e6)[0] is None
    assert collected(100.0, house=None)[0] is None
    assert collected(None, None, heightened=True)[2] is None
    assert collected(None, None)[2] == 0


def test_an_amount_that_does_not_fit_names_the_account() -> None:
    terms = Terms(np.array([1.0, 100.0]), np.zeros(2), np.zeros(2), np.zeros(2, bool), 1.1)
    large = amount(1.0, 9e11)
    with pytest.raises(AmountError, match="beyond") as raised:
        collect(large, large, terms, amount(0.0, 0.0))
    assert raised.value.group == 1
    assert LARGEST == 9e13


def standing(
    required: tuple[float | None, float | None],
    total: float | None,
    deposit: tuple[float | None, float | None],
    *,
    complete: bool = True,
) -> dict[str, float | None]:
    """Return the amounts of one account, USD."""
    made = stand(
        amount(required[0]),
        amount(required[1]),
        amount(total),
        amount(deposit[0]),
        amount(deposit[1]),
        np.array([complete]),
    )
    return {
        name: int(part.cents[0]) / 100 if part.known[0] else None
        for name, part in vars(made).items()
    }


def test_excess_is_withdrawable_down_to_what_is_collected() -> None:
    # 60 and 40 are required, 120 collected: of an excess of 30 + 20 there are 30 in all.
    found = standing((60.0, 40.0), 120.0, (90.0, 60.0))
    assert (found["excess_ficc"], found["excess_cme"], found["excess"]) == (30.0, 20.0, 30.0)
    assert found["call"] == found["call_ficc"] == found["call_cme"] == 0.0
    assert (found["withdrawable_ficc"], found["withdrawable_cme"]) == (30.0, 0.0)
    assert found["withdrawable"] == 30.0


def test_excess_is_withdrawable_down_to_what_each_clearing_house_requires() -> None:
    found = standing((60.0, 40.0), 100.0, (90.0, 60.0))
    assert (found["withdrawable_ficc"], found["withdrawable_cme"]) == (30.0, 20.0)
    assert found["withdrawable"] == found["excess"] == 50.0


def test_a_shortfall_is_called() -> None:
    found = standing((60.0, 40.0), 120.0, (50.0, 30.0))
    assert (found["call"], found["call_ficc"], found["call_cme"]) == (40.0, 10.0, 10.0)
    assert (found["excess"], found["withdrawable"]) == (-40.0, 0.0)


def test_nothing_is_withdrawable_beside_a_shortfall_at_one_clearing_house() -> None:
    # 200 in all are enough, and FICC lacks 10.
    found = standing((60.0, 40.0), 100.0, (50.0, 150.0))
    assert (found["call"], found["call_ficc"], found["call_cme"]) == (0.0, 10.0, 0.0)
    assert (found["excess"], found["withdrawable"], found["withdrawable_cme"]) == (100.0, 0.0, 0.0)


def test_what_is_required_elsewhere_is_met_in_all() -> None:
    # 60 at FICC, 40 at CME, and 30 at a third clearing house.
    found = standing((60.0, 40.0), 130.0, (80.0, 60.0))
    assert (found["excess"], found["withdrawable"]) == (10.0, 10.0)


def test_with_rejected_positions_nothing_is_known_to_be_free() -> None:
    found = standing((60.0, 40.0), 100.0, (90.0, 60.0), complete=False)
    assert found["excess"] == 50.0
    assert found["withdrawable"] is found["withdrawable_ficc"] is found["withdrawable_cme"] is None


@pytest.mark.parametrize(
    ("lacking", "unknown"),
    [
        (((None, 40.0), None, (90.0, 60.0)), {"excess_ficc", "call_ficc", "excess", "call"}),
        (((60.0, 40.0), None, (90.0, 60.0)), {"excess", "call"}),
        (
            ((60.0, 40.0), 100.0, (None, 60.0)),
            {"deposits", "excess_ficc", "call_ficc", "excess", "call"},
        ),
    ],
)
def test_what_is_not_known_stays_unknown(lacking: Any, unknown: set[str]) -> None:
    found = standing(*lacking)
    free = {"withdrawable", "withdrawable_ficc", "withdrawable_cme"}
    assert {name for name, value in found.items() if value is None} == unknown | free


def test_taken_as_one_a_shortfall_of_one_account_is_met_by_the_others() -> None:
    # Free in some accounts, and what is left of it after a shortfall of others.
    free, excess = amount(50.0, 50.0, 50.0, 0.0, None, 50.0), amount(50.0, 20.0, -5.0, 9.0, 1, None)
    found = at_most(free, excess)
    assert found.cents[:4].tolist() == [5000, 2000, 0, 0]
    assert found.known.tolist() == [True] * 4 + [False] * 2


def test_deposits_beyond_a_requirement_meet_its_rise() -> None:
    after, now = amount(100.0, 100.0, 100.0, 30.0), amount(40.0, 40.0, 40.0, 40.0)
    left = uncovered(after, now, amount(70.0, 10.0, 200.0, 0.0))
    # A shortfall of today is not part of the rise; a fall leaves nothing.
    assert left.cents.tolist() == [30_00, 60_00, 0, 0]
    assert uncovered(after, now, amount(70.0, None, 200.0, 0.0)).known.tolist() == [
        *(True, False, True, True)
    ]


CENTS = st.integers(0, 10**13)


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    """Return columns of some accounts, all known or not."""
    size = draw(st.integers(1, 6))

    def money() -> Amount:
        cents = draw(st.lists(CENTS, min_size=size, max_size=size))
        known = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return Amount(np.array(cents), np.array(known))

    def number(low: float, high: float) -> Any:
        values = st.floats(low, high, allow_nan=False)
        return np.array(draw(st.lists(values, min_size=size, max_size=size)))

    return {
        "ficc": money(),
        "cme": money(),
        "other": money(),
        "house": money(),
        "deposit_ficc": money(),
        "deposit_cme": money(),
        "complete": np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))),
        "terms": Terms(
            number(0.0, 100.0),
            number(0.0, 1e9),
            number(0.0, 1e9),
            np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))),
            draw(st.integers(10**6, 10**7)) / 10**6,
        ),
    }


def judged(given_: dict[str, Any]) -> tuple[Amount, Collection, Standing]:
    required = given_["ficc"] + given_["cme"] + given_["other"]
    collection = collect(required, given_["cme"], given_["terms"], given_["house"])
    deposits = given_["deposit_ficc"], given_["deposit_cme"]
    made = stand(given_["ficc"], given_["cme"], collection.collected, *deposits, given_["complete"])
    return required, collection, made


@given(columns())
def test_collected_is_never_below_what_the_clearing_houses_require(book: dict[str, Any]) -> None:
    try:
        required, collection, _ = judged(book)
    except AmountError:
        return
    assert (collection.heightened.cents >= 0).all()
    assert (collection.collected.cents >= required.cents + collection.heightened.cents).all()
    assert (collection.collected.cents >= book["house"].cents).all()
    assert not (collection.collected.known & ~required.known).any()


# Ten times as much is still less than what can be collected.
@given(st.integers(0, 8 * 10**14), st.integers(10**6, 10**7))
def test_the_addition_is_exact(cents: int, millionths: int) -> None:
    rate = millionths / 10**6
    one = Terms(np.ones(1), np.zeros(1), np.zeros(1), np.ones(1, bool), rate)
    part = Amount(np.array([cents]), np.array([True]))
    zero = Amount(np.zeros(1, np.int64), np.ones(1, bool))
    share = (Decimal(cents) * (millionths - 10**6) / 10**6).quantize(Decimal(1), ROUND_HALF_UP)
    assert collect(part, part, one, zero).heightened.cents[0] == share


@given(columns())
def test_withdrawing_leaves_everything_covered(book: dict[str, Any]) -> None:
    try:
        _, collection, made = judged(book)
    except AmountError:
        return
    ficc, cme, total = made.withdrawable_ficc, made.withdrawable_cme, made.withdrawable
    assert (ficc.cents + cme.cents == total.cents).all()
    assert (ficc.cents >= 0).all()
    assert (cme.cents >= 0).all()
    taken = total.cents > 0
    left = made.deposits.cents - total.cents
    assert (left >= collection.collected.cents)[taken].all()
    assert (book["deposit_ficc"].cents - ficc.cents >= book["ficc"].cents)[taken].all()
    assert (book["deposit_cme"].cents - cme.cents >= book["cme"].cents)[taken].all()
    # Nothing more could be taken from an account that is covered.
    covered = (made.excess.cents >= 0) & (made.call_ficc.cents + made.call_cme.cents == 0)
    room = np.minimum(made.excess.cents, made.excess_ficc.cents + made.excess_cme.cents)
    assert (total.cents == np.where(covered, room, 0)).all()
    assert not (total.known & ~(collection.collected.known & made.deposits.known)).any()


@given(columns(), st.data())
def test_no_account_changes_anything_of_another(book: dict[str, Any], data: st.DataObject) -> None:
    """One account alone has the same amounts as among others."""
    size = book["complete"].size
    at = data.draw(st.integers(0, size - 1))

    def alone(value: Any) -> Any:
        if isinstance(value, Amount):
            return Amount(value.cents[[at]], value.known[[at]])
        if isinstance(value, Terms):
            own = (value.multiplier, value.floor, value.minimum, value.heightened)
            return Terms(*(part[[at]] for part in own), value.heightened_multiplier)
        return value[[at]]

    try:
        _, collection, made = judged(book)
    except AmountError:
        return
    _, of_one, stands = judged({name: alone(value) for name, value in book.items()})
    assert of_one.collected.cents[0] == collection.collected.cents[at]
    for name, part in vars(stands).items():
        whole = getattr(made, name)
        assert (part.cents[0], part.known[0]) == (whole.cents[at], whole.known[at])
