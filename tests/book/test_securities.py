"""Rows of the securities table: what is taken, and each reason why one is not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import parse
from crossmargin.market.curve import POINTS, Curve

CURVE = Curve(np.datetime64("2025-03-13"), -0.04 * POINTS)
GOOD = {
    "cusip": "91282CMM0",
    "coupon_pct": "4.625",
    "issue_date": "2025-02-18",
    "maturity_date": "2035-02-15",
    "type": "note",
}


def read(*rows, columns=()):
    """Return the securities of rows of text and the exceptions."""
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    table = pa.table({n: pa.array([row.get(n) for row in rows], pa.string()) for n in names})
    log = ExceptionLog()
    typed = parse(table, SECURITIES, file="securities", log=log).table
    return read_securities(typed, curve=CURVE, file="securities", log=log), log.table().to_pylist()


def test_a_good_row():
    found, exceptions = read(GOOD)
    assert exceptions == []
    assert found.cusip.tolist() == ["91282CMM0"]
    assert found.type.tolist() == ["note"]
    assert found.coupon.tolist() == [0.04625]
    assert str(found.issue_date[0]) == "2025-02-18"
    assert str(found.maturity_date[0]) == "2035-02-15"
    assert np.isnat(found.first_coupon_date[0])
    assert np.isnan(found.price[0])
    assert found.resold_as.tolist() == [""]


def test_every_column_is_read():
    full = GOOD | {
        "type": "BOND",
        "first_coupon_date": "8/15/2025",
        "price": "101.5",
        "resold_as": "2030-02-15:5-Year",
    }
    found, exceptions = read(full)
    assert exceptions == []
    assert found.type.tolist() == ["bond"]
    assert str(found.first_coupon_date[0]) == "2025-08-15"
    assert found.price.tolist() == [101.5]
    assert found.resold_as.tolist() == ["2030-02-15:5-Year"]


def test_securities_are_sorted_by_cusip_and_cusips_are_text():
    cusips = ["91282CMM0", "00123", "912828E14", "123"]
    found, exceptions = read(*(GOOD | {"cusip": c} for c in cusips))
    assert exceptions == []
    assert found.cusip.tolist() == ["00123", "123", "912828E14", "91282CMM0"]


BAD = [
    (
        {"maturity_date": "2025-02-18"},
        "maturity_date 2025-02-18 is not after issue_date 2025-02-18",
    ),
    ({"maturity_date": "2024-02-15"}, "is not after issue_date"),
    (
        {"issue_date": "1960-02-15", "maturity_date": "2035-02-15"},
        "issue_date 1960-02-15 is outside",
    ),
    (
        {"issue_date": "2120-02-15", "maturity_date": "2130-02-15"},
        "issue_date 2120-02-15 is outside",
    ),
    ({"resold_as": "2030-02-15:five"}, "resold_as '2030-02-15:five' is unreadable"),
    ({"resold_as": "2030-02-15:5-Year;2030-02-31:2-Year"}, "2030-02-31:2-Year' is unreadable"),
    (
        {"first_coupon_date": "2025-08-16"},
        "first_coupon_date 2025-08-16 must be a semi-annual date",
    ),
    ({"first_coupon_date": "2025-02-15"}, "after dated_date 2025-02-15"),
    ({"first_coupon_date": "2035-08-15"}, "must be a semi-annual date"),
    (
        {"issue_date": "2020-03-15", "maturity_date": "2025-03-15", "price": "10"},
        "no z-spread within 100% of the curve reproduces the price",
    ),
    ({"coupon_pct": "abc"}, "abc"),
    ({"coupon_pct": "-1"}, "-1"),
    ({"maturity_date": "2035-02-30"}, "2035-02-30"),
    ({"type": "gilt"}, "gilt"),
    ({"price": "0"}, "price"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_row_that_makes_no_sense_is_set_aside(change, message):
    good = GOOD | {"cusip": "91282CZZ7"}
    found, exceptions = read(good, GOOD | change)
    assert found.cusip.tolist() == ["91282CZZ7"]
    (only,) = exceptions
    assert only["file"] == "securities"
    assert only["row"] == 2
    assert only["instrument"] == "91282CMM0"
    assert only["severity"] == "rejected"
    assert only["code"] == "SECURITY_INVALID"
    assert message in only["message"]


def test_of_equal_rows_of_a_cusip_the_first_good_one_is_used():
    rows = [
        GOOD | {"maturity_date": "2020-01-01"},
        GOOD | {"coupon_pct": "1"},
        GOOD | {"cusip": "91282CAA9"},
        GOOD | {"coupon_pct": "1"},
    ]
    found, exceptions = read(*rows)
    assert found.cusip.tolist() == ["91282CAA9", "91282CMM0"]
    assert found.coupon.tolist() == [0.04625, 0.01]
    assert [(e["row"], e["code"]) for e in exceptions] == [
        (1, "SECURITY_INVALID"),
        (4, "SECURITY_DUPLICATE"),
    ]
    assert "has an equal earlier row" in exceptions[1]["message"]


def test_of_rows_of_a_cusip_that_differ_none_is_used():
    # Whichever came first would otherwise decide the numbers.
    rows = [GOOD | {"coupon_pct": "1"}, GOOD | {"cusip": "91282CAA9"}, GOOD | {"coupon_pct": "2"}]
    for given in (rows, rows[::-1]):
        found, exceptions = read(*given)
        assert found.cusip.tolist() == ["91282CAA9"]
        assert [(e["row"], e["code"]) for e in exceptions] == [
            (1, "SECURITY_DUPLICATE"),
            (3, "SECURITY_DUPLICATE"),
        ]


def test_rows_of_one_security_a_sale_say_which_to_keep():
    found, exceptions = read(GOOD, GOOD | {"issue_date": "2025-03-17"})
    assert found.cusip.size == 0
    assert [e["code"] for e in exceptions] == ["SECURITY_DUPLICATE"] * 2
    assert "keep the row with the earliest issue date" in exceptions[0]["message"]
    _, exceptions = read(GOOD, GOOD | {"issue_date": "2025-03-17", "coupon_pct": "1"})
    assert "keep the right one" in exceptions[0]["message"]


def test_each_bad_row_is_rejected_once():
    both = GOOD | {
        "maturity_date": "2020-02-15",
        "resold_as": "?",
        "first_coupon_date": "2019-01-01",
    }
    found, exceptions = read(both)
    assert found.cusip.size == 0
    assert len(exceptions) == 1


def test_a_price_matters_only_where_a_model_uses_it():
    rows = [
        GOOD | {"cusip": "TIPS", "type": "tips", "price": "1000"},
        GOOD | {"cusip": "MATURED", "maturity_date": "2025-03-13", "price": "500"},
        GOOD | {"cusip": "PRICED", "price": "99"},
    ]
    found, exceptions = read(*rows)
    assert exceptions == []
    assert found.cusip.tolist() == ["MATURED", "PRICED", "TIPS"]


def test_an_empty_table_has_no_securities():
    found, exceptions = read(columns=GOOD)
    assert found.cusip.size == 0
    assert exceptions == []


def test_blank_types_are_noted_once():
    row = {name: value for name, value in GOOD.items() if name != "type"}
    found, exceptions = read(row, GOOD | {"cusip": "91282CAA9"}, row | {"cusip": "91282CAB7"})
    assert found.type.tolist() == ["note"] * 3
    (only,) = exceptions
    assert (only["code"], only["severity"], only["row"]) == ("TYPE_ASSUMED", "note", None)
    assert "2 of 3 rows" in only["message"]


def test_a_coupon_off_the_grid_is_rejected():
    found, exceptions = read(
        GOOD,
        GOOD | {"cusip": "91282CAA9", "coupon_pct": "0.04625"},
        GOOD | {"cusip": "91282CAB7", "coupon_pct": "4.62"},
        GOOD | {"cusip": "TIPS", "coupon_pct": "0.13", "type": "tips"},
        GOOD | {"cusip": "FLOATER", "coupon_pct": "0.182", "type": "frn"},
        GOOD | {"cusip": "LOW", "coupon_pct": "0.125"},
        GOOD | {"cusip": "LOWER", "coupon_pct": "0"},
    )
    assert found.cusip.tolist() == ["91282CMM0", "FLOATER", "LOW", "LOWER"]
    assert [(e["row"], e["code"]) for e in exceptions] == [
        (n, "SECURITY_INVALID") for n in (2, 3, 4)
    ]
    assert exceptions[0]["message"] == (
        "coupon_pct 0.04625 is not a multiple of 1/8 percent; it looks like the decimal of 4.625: "
        "give that"
    )
    assert "looks like a rounded 4.625" in exceptions[1]["message"]


def test_a_file_of_decimal_coupons_is_refused():
    with pytest.raises(InputError, match=r"row 2: coupon_pct 0.04625 .* 2 of 3 coupons"):
        read(
            GOOD,
            GOOD | {"cusip": "91282CAA9", "coupon_pct": "0.04625"},
            GOOD | {"cusip": "91282CAB7", "coupon_pct": "0.01125"},
        )


def test_spellings_of_one_cusip_are_one_security():
    found, exceptions = read(GOOD, GOOD | {"cusip": "91282cmm0"}, GOOD | {"cusip": "91282CMM"})
    assert found.cusip.tolist() == ["91282CMM0"]
    assert [(e["row"], e["code"], e["instrument"]) for e in exceptions] == [
        (2, "SECURITY_DUPLICATE", "91282cmm0"),
        (3, "SECURITY_DUPLICATE", "91282CMM"),
    ]
    found, exceptions = read(GOOD, GOOD | {"cusip": "91282cmm0", "coupon_pct": "1"})
    assert found.cusip.size == 0
    assert [e["code"] for e in exceptions] == ["SECURITY_DUPLICATE"] * 2


def test_an_isin_is_resolved_and_noted():
    found, exceptions = read(GOOD | {"cusip": "US91282CMM00"})
    assert found.cusip.tolist() == ["91282CMM0"]
    assert [(e["row"], e["code"]) for e in exceptions] == [(None, "NAME_RESOLVED")]
    assert "US91282CMM00 is 91282CMM0" in exceptions[0]["message"]


@pytest.mark.parametrize(
    ("cusip", "says"), [("91282CMM9", "the check digit is 0, not 9"), ("9.1E+08", "a spreadsheet")]
)
def test_what_is_no_cusip_is_rejected(cusip, says):
    found, exceptions = read(GOOD | {"cusip": cusip}, GOOD)
    assert found.cusip.tolist() == ["91282CMM0"]
    assert [(e["row"], e["code"]) for e in exceptions] == [(1, "SECURITY_INVALID")]
    assert says in exceptions[0]["message"]
