"""Contract names, rules and dates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import (
    MONTH_CODES,
    Contract,
    contract_rule,
    last_day,
    last_delivery_day,
    last_trading_day,
    parse_contract,
    reference_period,
    roots,
)

AS_OF = "2025-03-13"


def month(value):
    return np.datetime64(value, "M")


@pytest.mark.parametrize(
    ("name", "symbol", "delivery"),
    [
        ("ZNM5", "ZNM25", "2025-06"),
        ("ZNM25", "ZNM25", "2025-06"),
        (" znm25 ", "ZNM25", "2025-06"),
        ("ZNH4", "ZNH34", "2034-03"),
        ("ZNH24", "ZNH24", "2024-03"),
        ("Z3NU5", "Z3NU25", "2025-09"),
        ("TWEZ5", "TWEZ25", "2025-12"),
        ("SR3U25", "SR3U25", "2025-09"),
        # The quarter from December 2024 ends on 2025-03-19: still open.
        ("SR3Z4", "SR3Z24", "2024-12"),
        ("SR1G6", "SR1G26", "2026-02"),
        ("ZQF99", "ZQF99", "1999-01"),
        ("ZQF74", "ZQF74", "2074-01"),
    ],
)
def test_names(name, symbol, delivery):
    contract = parse_contract(name, AS_OF)
    assert contract.symbol == symbol
    assert contract.month == month(delivery)
    assert parse_contract(contract.symbol, AS_OF) == contract


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("912828E1", "'912828E1' is no futures contract we know"),
        ("", "'' is no futures contract"),
        ("ZNM", "one or two digits of the year, such as ZNM25"),
        ("ZNM2025", "is no futures contract"),
        ("ZNA5", "is no futures contract"),
        ("ZNK5", "ZN has no contract of 2025-05; its months: H, M, U, Z"),
        ("TWEM20", "TWE has no rule for 2020-06; the first is 2022-06"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        parse_contract(name, AS_OF)


@given(
    root=st.sampled_from(roots()),
    year=st.integers(2023, 2070),
    number=st.integers(1, 12),
)
def test_symbols_read_back(root, year, number):
    delivery = month(f"{year}-{number:02d}")
    if number not in contract_rule(root, delivery).months:
        return
    contract = Contract(root, delivery)
    assert contract.symbol == f"{root}{MONTH_CODES[number - 1]}{year % 100:02d}"
    assert parse_contract(contract.symbol, AS_OF) == contract
    assert last_trading_day(contract) <= last_day(contract)


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
        assert rule.standing in ("confirmed", "inferred", "unconfirmed")
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
    with pytest.raises(ValueError, match="ZNM25 is settled by delivery"):
        reference_period(Contract("ZN", month("2025-06")))
    with pytest.raises(ValueError, match="unknown contract root 'FV'"):
        contract_rule("FV", month("2025-06"))
