"""Names of contracts and CUSIPs as files have them."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import (
    MONTH_CODES,
    Contract,
    delivery_months,
    last_listed,
    roots,
    was_listed,
)
from crossmargin.instruments.identifiers import (
    canonical_cusip,
    canonical_name,
    cusip_digit,
    is_plain,
    isin_digit,
    parse_contract,
    resolved_message,
)
from crossmargin.market.calendars import DAY, MONTH

AS_OF = "2025-03-13"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("ZNM5", "ZNM25"),
        ("ZNM25", "ZNM25"),
        (" znm25 ", "ZNM25"),
        # March 2034 is not listed yet, so it is the one that has expired.
        ("ZNH4", "ZNH24"),
        ("ZNH24", "ZNH24"),
        ("Z3NU5", "Z3NU25"),
        # December is listed only once March has traded for the last time, on 2025-03-20.
        ("TWEZ4", "TWEZ24"),
        ("SR3U25", "SR3U25"),
        # The quarter from December 2024 ends on 2025-03-19: still open.
        ("SR3Z4", "SR3Z24"),
        # June 2034 is among the 39 quarters listed, but June 2024 not long gone.
        ("SR3M34", "SR3M34"),
        ("SR3M4", "SR3M24"),
        ("SR3M3", "SR3M23"),
        ("SR3M2", "SR3M32"),
        ("SR1G6", "SR1G26"),
        ("ZQF99", "ZQF99"),
        ("ZQF0", "ZQF30"),
    ],
)
def test_names_of_contracts(name, symbol):
    contract = parse_contract(name, AS_OF)
    assert contract.symbol == symbol
    assert parse_contract(contract.symbol, AS_OF) == contract


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("TYM5", "ZNM25"),
        ("TYM5 Comdty", "ZNM25"),
        ("tym5  comdty", "ZNM25"),
        ("TYM25 Comdty", "ZNM25"),
        ("TUM5", "ZTM25"),
        ("3YM5", "Z3NM25"),
        ("FVM5", "ZFM25"),
        ("UXYM5", "TNM25"),
        ("TWEM5", "TWEM25"),
        ("USM5", "ZBM25"),
        ("WNM5", "UBM25"),
        ("SFRM5", "SR3M25"),
        ("SERM5", "SR1M25"),
        ("FFM5", "ZQM25"),
        ("FFF6", "ZQF26"),
        ("ZN M5", "ZNM25"),
        ("ZN-M5", "ZNM25"),
        ("ZNM25-CBT", "ZNM25"),
        ("SR3M25.CME", "SR3M25"),
        ("ZNM5 COMB", "ZNM25"),
        ("ZNM5 COMB Comdty", "ZNM25"),
        ("ZNM2025", "ZNM25"),
        ("ZN 202506", "ZNM25"),
        ("ZN 2025-06", "ZNM25"),
        ("21M5", "ZNM25"),
        ("UBE 202506", "UBM25"),
    ],
)
def test_spellings_of_vendors(name, symbol):
    contract = parse_contract(name, AS_OF)
    assert contract.symbol == symbol
    assert not is_plain(name, contract, np.datetime64(AS_OF)) or name == "TWEM5"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("912828E1", "'912828E1' is not a known futures contract"),
        ("", "'' is not a known futures contract"),
        ("ZNM", "one or two digits of the year, such as ZNM25"),
        ("ZNM025", "is not a known futures contract"),
        ("ZNA5", "is not a known futures contract"),
        ("ZNK5", "ZNK5: ZN has no contract of month K; its months: H, M, U, Z"),
        ("TWEM20", "TWE begins with 2022-06, and of month M the last is TWEM25"),
        # As of 2025-03-13 the 39th quarter is that of June 2034.
        ("SR3H46", "'SR3H46' is not listed yet on 2025-03-13; .* of month H the last is SR3H34"),
        ("SR3U34", "not listed yet on 2025-03-13; .* SR3U33"),
        ("SR1Z40", "not listed yet on 2025-03-13; .* SR1Z25"),
        ("ZQF75", "not listed yet on 2025-03-13; .* ZQF30"),
        ("ZNM2035", "not listed yet on 2025-03-13"),
        ("TWEH7", "not listed yet on 2025-03-13"),
        ("TYM5C 110", "'TYM5C 110' is an option: options are not margined here"),
        ("TYM5P 109.5 Comdty", "is an option"),
        ("OZNM5", "is an option"),
        ("OZNM5 C1100", "is an option"),
        ("SR3M5 C9600", "is an option"),
        ("ZNM5-ZNU5", "'ZNM5-ZNU5' is a spread: give one row for each of its contracts"),
        ("ZNM5-U5", "is a spread"),
        ("TYM5TYU5 Comdty", "is a spread"),
        ("ZN:BF M5-U5-Z5", "is a spread"),
    ],
)
def test_what_is_no_listed_contract_is_named_for_what_it_is(name, message):
    with pytest.raises(ValueError, match=message):
        parse_contract(name, AS_OF)


def test_nothing_is_listed_before_the_first_contract():
    with pytest.raises(ValueError, match=r"not listed yet on 2017-03-13; .* none is listed"):
        parse_contract("SR3M8", "2017-03-13")


def test_a_stale_name_is_the_contract_that_expired():
    assert parse_contract("ZBH5", "2026-02-27") == parse_contract("ZBH25", "2026-02-27")
    # SR3M35 is listed by then, but a book that names SR3M5 is more likely old.
    assert parse_contract("SR3M5", "2026-02-27").symbol == "SR3M25"
    assert parse_contract("SR3M35", "2026-02-27").symbol == "SR3M35"
    assert parse_contract("SR3M5", "2027-06-30").symbol == "SR3M35"


def test_a_contract_far_ahead_needs_a_word_for_one_digit():
    far = parse_contract("SR3M2", "2026-02-27")
    assert far.symbol == "SR3M32"
    assert not is_plain("SR3M2", far, np.datetime64("2026-02-27"))
    assert is_plain("sr3m32", far, np.datetime64("2026-02-27"))


@given(
    root=st.sampled_from(roots()),
    number=st.integers(1, 12),
    year=st.integers(0, 99),
    short=st.booleans(),
    first=st.integers(0, 9000).map(lambda n: np.datetime64("2005-01-01") + n * DAY),
)
def test_a_name_changes_its_meaning_only_when_a_contract_is_listed(
    root, number, year, short, first
):
    if number not in delivery_months(root):
        return
    digits = str(year % 10) if short else f"{year:02d}"
    name = f"{root}{MONTH_CODES[number - 1]}{digits}"
    before = None
    for day in np.arange(first, first + 400 * DAY, 9 * DAY):
        try:
            contract = parse_contract(name, day)
        except ValueError:
            assert before is None
            continue
        assert was_listed(contract, day)
        if before not in (None, contract):
            assert contract.month > before.month
            if short:  # ten years on, once the old one is out of mind for two years
                assert contract.month <= day.astype("datetime64[M]") + 96 * MONTH
                assert contract.month > min(
                    last_listed(root, number, day - 9 * DAY),
                    (day - 9 * DAY).astype("datetime64[M]") + 96 * MONTH,
                )
            else:  # another one has been listed since
                assert contract.month > last_listed(root, number, day - 9 * DAY)
        before = contract


@given(
    root=st.sampled_from(roots()),
    ahead=st.integers(-60, 120),
    day=st.integers(0, 9000).map(lambda n: np.datetime64("2005-01-01") + n * DAY),
)
def test_symbols_read_back_once_listed(root, ahead, day):
    try:
        contract = Contract(root, day.astype("datetime64[M]") + ahead * MONTH)
    except ValueError:
        return
    if was_listed(contract, day):
        assert parse_contract(contract.symbol, day) == contract
    else:
        with pytest.raises(ValueError, match="not listed yet"):
            parse_contract(contract.symbol, day)


@pytest.mark.parametrize(
    ("name", "before", "launched"),
    [
        ("TNH16", "2016-01-08", "2016-01-11"),
        ("UBH10", "2010-01-08", "2010-01-11"),
        ("TWEM22", "2022-03-04", "2022-03-07"),
        ("SR3M18", "2018-04-30", "2018-05-07"),
    ],
)
def test_no_contract_is_listed_before_its_root_was(name, before, launched):
    with pytest.raises(ValueError, match="none is listed"):
        parse_contract(name, before)
    assert parse_contract(name, launched).symbol == name


def test_check_digits_of_every_real_cusip(real_data):
    with real_data("fixed_coupon_master.csv").open() as file:
        cusips = [row["cusip"] for row in csv.DictReader(file)]
    assert len(cusips) == 416
    for cusip in cusips:
        assert canonical_cusip(cusip) == canonical_cusip(cusip[:-1]) == cusip
        isin = f"US{cusip}"
        assert canonical_cusip(isin + isin_digit(isin)) == cusip


# Published identifiers.
@pytest.mark.parametrize(
    ("cusip", "isin"), [("037833100", "US0378331005"), ("912810TM0", "US912810TM09")]
)
def test_check_digits(cusip, isin):
    assert cusip_digit(cusip[:-1]) == cusip[-1]
    assert isin_digit(isin[:-1]) == isin[-1]


@pytest.mark.parametrize(
    ("text", "cusip"),
    [
        ("91282CMM0", "91282CMM0"),
        (" 91282cmm0 ", "91282CMM0"),
        ("91282CMM", "91282CMM0"),
        ("us91282cmm00", "91282CMM0"),
        # Names of the user's own.
        ("123", "123"),
        ("note a", "NOTE A"),
        ("SYN360210", "SYN360210"),
        ("USD 2025-03-20", "USD 2025-03-20"),
    ],
)
def test_cusips(text, cusip):
    assert canonical_cusip(text) == cusip
    assert canonical_name(text, np.datetime64(AS_OF)) == cusip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("91282CMM9", "after 91282CMM the check digit is 0, not 9"),
        ("US91282CMM09", "not a valid ISIN: after US91282CMM0 the check digit is 0, not 9"),
        ("GB00B16NNR78", "an ISIN of GB"),
        ("9.1282E+08", "a CUSIP that a spreadsheet has turned into a number"),
        ("9E+08", "turned into a number"),
        # 037833100 without its zero, or a CUSIP without its check digit.
        ("37833100", r"lacks a check digit \(378331003\) or a leading zero \(037833100\)"),
    ],
)
def test_what_is_no_cusip_is_named_for_what_it_is(text, message):
    with pytest.raises(ValueError, match=message):
        canonical_cusip(text)


def test_a_note_lists_a_few_names():
    names = {f"TYM{n}": f"ZNM2{n}" for n in range(7)}
    assert resolved_message(names) == (
        "7 names are written in another way: TYM0 is ZNM20, TYM1 is ZNM21, TYM2 is ZNM22, "
        "TYM3 is ZNM23, TYM4 is ZNM24 and 2 more"
    )


def test_a_note_on_one_name_is_in_the_singular():
    assert resolved_message({"TYM5": "ZNM25"}) == "1 name is written in another way: TYM5 is ZNM25"


def test_names_of_contracts_come_first():
    assert canonical_name("TYM5 Comdty", np.datetime64(AS_OF)) == "ZNM25"
