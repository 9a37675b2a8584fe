from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.instruments.contracts import (
    Contract,
    delivery_months,
    last_day,
    last_trading_day,
    roots,
)
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.io.layouts.contracts import Expiries, Row, instrument_of

AS_OF = "2025-03-13"
NOTHING = Row("", "", "", "", "", "202506", ("ZN",))


def symbol(root: str, text: str, *others: str, header: str = "contractexpiry") -> str | None:
    return Expiries([text, *others], header).symbol(root, text)


@pytest.mark.parametrize(
    ("root", "text", "name"),
    [
        ("ZN", "202506", "ZNM25"),
        ("ZN", "2025-06", "ZNM25"),
        ("ZN", "202506.0", "ZNM25"),
        ("ZN", "20250600", "ZNM25"),
        ("ZN", "JUN-25", "ZNM25"),
        ("ZN", "JUN25", "ZNM25"),
        ("ZN", "JUNE 2025", "ZNM25"),
        ("ZN", "M5", "ZNM5"),
        ("ZN", "M2025", "ZNM2025"),
        ("ZN", "20250618", "ZNM25"),  # its last trading day
        ("ZN", "20250630", "ZNM25"),  # its last delivery day
        ("ZN", "2025-06-30 00:00:00", "ZNM25"),
        ("ZN", "06/30/2025", "ZNM25"),
        ("ZN", "30/06/2025", "ZNM25"),
        ("ZN", "20250605", "ZNM25"),  # some day of its month
        ("ZT", "20250703", "ZTM25"),  # its last delivery is in July
        ("SR3", "202506", "SR3M25"),
        ("SR3", "20250916", "SR3M25"),  # named June, ends in September
        ("SR3", "20250917", None),
        ("SR1", "20250630", "SR1M25"),
        ("SR1", "20250701", None),  # the June contract settles then; July begins then
        ("ZQ", "20250615", None),
        ("ZN", "25-JUN", None),  # as a spreadsheet shows Jun-25, or the 25th of June
        ("ZN", "20250632", None),
        ("ZN", "202506W1", None),
        ("ZN", "2506", None),
        ("ZN", "XYZ-25", None),
        ("ZN", "", None),
    ],
)
def test_expiries(root: str, text: str, name: str | None) -> None:
    assert symbol(root, text) == name


def test_the_first_of_a_month_may_stand_for_the_month() -> None:
    assert symbol("SR3", "20250601", "20250901", header="contractmonth") == "SR3M25"
    assert symbol("ZQ", "20250601", "20250901", header="contractmonth") == "ZQM25"
    assert symbol("ZQ", "20250601", "20250930", header="contractmonth") is None
    assert symbol("ZQ", "20250601", header="expirationdate") is None


@given(st.sampled_from(roots()), st.integers(0, 95), st.booleans())
def test_the_last_day_of_a_contract_names_it(root: str, ahead: int, trading: bool) -> None:
    month = np.datetime64("2022-01", "M") + ahead
    if int(month.astype(np.int64)) % 12 + 1 not in delivery_months(root):
        return
    try:
        contract = Contract(root, month)
    except ValueError:
        return
    day = last_trading_day(contract) if trading else last_day(contract)
    for text in (str(day), str(day).replace("-", "")):
        assert symbol(root, text) == contract.symbol
    assert symbol(root, str(month).replace("-", "")) == contract.symbol


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (NOTHING, ("ZNM25", "")),
        (NOTHING._replace(codes=("21",)), ("ZNM25", "")),
        (NOTHING._replace(codes=("21.0",)), ("ZNM25", "")),
        (NOTHING._replace(codes=("", "TY")), ("ZNM25", "")),
        (NOTHING._replace(codes=("21", "ZB")), ("ZN or ZB 202506", "")),
        (NOTHING._replace(codes=("21", "10-YEAR")), ("ZNM25", "")),
        (NOTHING._replace(codes=("ZNM5",)), ("ZNM25", "")),
        (NOTHING._replace(codes=("TYM25 COMDTY", "21")), ("ZNM25", "")),
        (NOTHING._replace(codes=("ZNU5",)), ("ZNU5 202506", "")),
        (NOTHING._replace(codes=("ZNM6", "21")), ("ZNM6 or 21 202506", "")),
        (NOTHING._replace(codes=("ZNM5", "17")), ("ZB or ZN 202506", "")),
        (NOTHING._replace(codes=("ES",)), ("", "ES")),
        (NOTHING._replace(codes=("ES", "SPX")), ("", "ES")),
        (NOTHING._replace(codes=("ZNX",)), ("ZNX 202506", "")),
        (NOTHING._replace(codes=("",)), ("", "")),
        (NOTHING._replace(exchange="CBOT", type="FUT", currency="USD"), ("ZNM25", "")),
        (NOTHING._replace(exchange="XEUR"), ("ZNM25 on XEUR", "")),
        (NOTHING._replace(currency="EUR"), ("ZNM25 in EUR", "")),
        (NOTHING._replace(type="SWAP"), ("ZNM25 of type SWAP", "")),
        (NOTHING._replace(put_call="C", strike="110.5"), ("ZNM25 C110.5", "")),
        (NOTHING._replace(put_call="0", strike="110.5"), ("ZNM25 P110.5", "")),
        (NOTHING._replace(type="PUT", strike="110"), ("ZNM25 P110", "")),
        (NOTHING._replace(type="OOF"), ("ZNM25 C0", "")),
        (NOTHING._replace(type="FUT", strike="0.0"), ("ZNM25", "")),
        (NOTHING._replace(strike="0"), ("ZNM25", "")),
        (NOTHING._replace(strike="110"), ("ZNM25 of strike 110", "")),
        (NOTHING._replace(expiry="JUNK"), ("ZN JUNK", "")),
    ],
)
def test_instruments(row: Row, found: tuple[str, str]) -> None:
    assert instrument_of(row, Expiries([row.expiry], "expiry").symbol) == found
    name, _ = found
    if name and name != "ZNM25":
        with pytest.raises(ValueError, match=r"option|not a known"):
            parse_contract(name, AS_OF)
