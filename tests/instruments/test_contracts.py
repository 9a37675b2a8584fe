"""Contract names, rules and dates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import (
    MONTH_CODES,
    Contract,
    _listings,
    contract_rule,
    delivery_months,
    first_intention_day,
    last_day,
    last_delivery_day,
    last_listed,
    last_trading_day,
    reference_period,
    roots,
)
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.market.calendars import DAY

AS_OF = "2025-03-13"


def month(value):
    return np.datetime64(value, "M")


def test_what_has_no_rule_or_no_such_month_is_no_contract():
    with pytest.raises(ValueError, match="ZN has no contract of 2025-05; its months: H, M, U, Z"):
        Contract("ZN", month("2025-05"))
    with pytest.raises(ValueError, match="TWE has no rule for 2020-06; the first is 2022-06"):
        Contract("TWE", month("2020-06"))


@given(
    root=st.sampled_from(roots()),
    year=st.integers(2023, 2070),
    number=st.integers(1, 12),
)
def test_symbols_have_root_month_and_year(root, year, number):
    delivery = month(f"{year}-{number:02d}")
    if number not in delivery_months(root):
        return
    contract = Contract(root, delivery)
    assert contract.symbol == f"{root}{MONTH_CODES[number - 1]}{year % 100:02d}"
    assert last_trading_day(contract) <= last_day(contract)


# ZNM25 trades until 2025-06-18, SR3Z24 until 2025-03-18, ZQ and SR1 to the end of their month.
@pytest.mark.parametrize(
    ("root", "number", "as_of", "last"),
    [
        ("ZN", 9, "2025-06-17", "2025-09"),
        ("ZN", 12, "2025-06-17", "2025-12"),
        ("ZN", 3, "2025-06-17", "2025-03"),
        ("ZN", 3, "2025-06-18", "2026-03"),
        ("SR3", 6, "2025-03-17", "2034-06"),
        ("SR3", 9, "2025-03-17", "2033-09"),
        ("SR3", 9, "2025-03-18", "2034-09"),
        # January and February are open too, then April, May, July, August.
        ("SR3", 8, "2025-03-17", "2025-08"),
        ("SR3", 10, "2025-03-17", "2024-10"),
        # Twenty quarters from June 2018.
        ("SR3", 3, "2018-06-05", "2023-03"),
        ("SR3", 6, "2018-06-05", "2022-06"),
        ("SR1", 2, "2025-02-27", "2026-02"),
        ("SR1", 3, "2025-02-27", "2025-03"),
        ("ZQ", 1, "2026-02-26", "2031-01"),
        ("ZN", 1, "2025-06-17", None),
        ("SR3", 6, "2018-01-02", None),
        ("TWE", 3, "2022-04-01", None),
    ],
)
def test_the_last_contract_listed(root, number, as_of, last):
    found = last_listed(root, number, np.datetime64(as_of))
    assert found == (None if last is None else month(last))


@given(
    root=st.sampled_from(roots()),
    number=st.integers(1, 12),
    day=st.integers(0, 9000).map(lambda n: np.datetime64("2005-01-01") + n * DAY),
    later=st.integers(1, 400),
)
def test_listing_only_grows(root, number, day, later):
    before, after = (last_listed(root, number, d) for d in (day, day + later * DAY))
    assert before is None or (after is not None and before <= after)


def test_every_listing_says_where_it_is_from():
    assert {root for listing in _listings() for root in listing.roots} == set(roots())
    for listing in _listings():
        assert listing.source
        assert listing.evidence in ("confirmed", "inferred", "unconfirmed")
        assert set(listing.months) <= set(range(1, 13))


def test_roots_by_kind():
    assert roots("treasury") == ("ZT", "Z3N", "ZF", "ZN", "TN", "TWE", "ZB", "UB")
    assert roots()[8:] == ("SR3", "SR1", "ZQ")


# Days of the exchange's calendars for these months.
@pytest.mark.parametrize(
    ("name", "trading", "delivery"),
    [
        # June 2025 has its last business day on Monday the 30th; the seventh before it is the
        # 18th, as the 19th is a holiday.
        ("ZNM25", "2025-06-18", "2025-06-30"),
        ("UBM25", "2025-06-18", "2025-06-30"),
        ("ZNH25", "2025-03-20", "2025-03-31"),
        ("TNZ24", "2024-12-19", "2024-12-31"),
        # 29 March 2024 was Good Friday.
        ("ZBH24", "2024-03-19", "2024-03-28"),
        ("ZTM25", "2025-06-30", "2025-07-03"),
        ("ZFH25", "2025-03-31", "2025-04-03"),
        ("Z3NZ24", "2024-12-31", "2025-01-06"),
    ],
)
def test_last_days_of_treasury_futures(name, trading, delivery):
    contract = parse_contract(name, AS_OF)
    assert str(last_trading_day(contract)) == trading
    assert str(last_delivery_day(contract)) == delivery
    assert last_day(contract) == last_delivery_day(contract)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        # The first business day of the month is the 3rd, a Monday.
        ("ZNH25", "2025-02-27"),
        # 1 June 2025 is a Sunday.
        ("ZBM25", "2025-05-29"),
        ("ZTU25", "2025-08-28"),  # 1 September is Labor Day
        # 1 December 2024 is a Sunday, 28 November Thanksgiving.
        ("UBZ24", "2024-11-27"),
    ],
)
def test_intention_comes_two_business_days_before_the_month(name, day):
    assert str(first_intention_day(parse_contract(name, np.datetime64(AS_OF)))) == day


@pytest.mark.parametrize(
    ("name", "start", "end", "trading"),
    [
        ("SR3H25", "2025-03-19", "2025-06-18", "2025-06-17"),
        ("SR3Z24", "2024-12-18", "2025-03-19", "2025-03-18"),
        # A serial month.
        ("SR3J25", "2025-04-16", "2025-07-16", "2025-07-15"),
        ("SR1M25", "2025-06-01", "2025-07-01", "2025-06-30"),
        ("ZQX24", "2024-11-01", "2024-12-01", "2024-11-29"),
    ],
)
def test_reference_periods(name, start, end, trading):
    contract = parse_contract(name, AS_OF)
    assert [str(d) for d in reference_period(contract)] == [start, end]
    assert str(last_trading_day(contract)) == trading
    assert last_day(contract) == last_trading_day(contract)


def test_the_ten_year_basket_rule_changed_with_september_2023():
    before = contract_rule("ZN", month("2023-06"))
    after = contract_rule("ZN", month("2023-09"))
    assert (before.remaining_max_months, before.remaining_max_inclusive) == (120, True)
    assert (after.remaining_max_months, after.remaining_max_inclusive) == (96, False)


@pytest.mark.parametrize("delivery", ["2010-06", "2025-06"])
def test_every_rule_says_what_the_code_knows(delivery):
    for root in roots():
        try:
            rule = contract_rule(root, month(delivery))
        except ValueError:
            assert delivery == "2010-06"
            continue
        assert rule.source
        assert rule.evidence in ("confirmed", "inferred", "unconfirmed")
        assert rule.last_trading in ("last", "eighth_last", "before_reference_end")
        if rule.kind == "treasury":
            assert rule.last_delivery in ("last", "third_after")
            assert rule.factor_rounding in ("months", "quarters")
            assert rule.remaining_max_from in ("first", "last")
            assert rule.remaining_min_months > 0
        else:
            assert rule.kind in ("compounded_quarter", "averaged_month")
            assert rule.last_delivery is None


def test_point_values():
    value = {r: contract_rule(r, month("2025-06")).usd_per_point for r in roots()}
    assert value["ZT"] == value["Z3N"] == 2000.0
    assert {value[r] for r in ("ZF", "ZN", "TN", "TWE", "ZB", "UB")} == {1000.0}
    # $25 and $41.67 for a basis point of 0.01.
    assert (value["SR3"], value["SR1"], value["ZQ"]) == (2500.0, 4167.0, 4167.0)


def test_questions_that_do_not_apply_are_refused():
    with pytest.raises(ValueError, match="SR3M25 settles in cash"):
        last_delivery_day(Contract("SR3", month("2025-06")))
    with pytest.raises(ValueError, match="SR3M25 settles in cash"):
        first_intention_day(Contract("SR3", month("2025-06")))
    with pytest.raises(ValueError, match="ZNM25 is settled by delivery"):
        reference_period(Contract("ZN", month("2025-06")))
    with pytest.raises(ValueError, match="unknown contract root 'FV'"):
        contract_rule("FV", month("2025-06"))
