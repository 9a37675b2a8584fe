"""Deliverable baskets against published ones, and each rule by itself."""

from __future__ import annotations

import csv
import datetime
from collections import defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest

from crossmargin.instruments.baskets import deliverable, parse_resold
from crossmargin.instruments.contracts import Contract
from crossmargin.io.baskets import deliverable_basket

AS_OF = "2025-03-13"


@pytest.fixture
def master(real_data):
    return pa.csv.read_csv(real_data("fixed_coupon_master.csv"))


def test_every_published_basket(real_data, master):
    # The file holds 15 baskets of ZT, ZF, ZN and ZB (none of Z3N, TN, TWE, UB), each complete. Each
    # must be met as a set, neither more nor less, factors included.
    published = defaultdict(dict)
    with real_data("conversion_factors.csv").open() as file:
        for r in csv.DictReader(file):
            published[r["product"], r["delivery_month"]][r["cusip"]] = float(r["conversion_factor"])
    assert len(published) == 15
    for (root, month), expected in published.items():
        basket = deliverable_basket(
            root=root, delivery_month=month, securities=master, as_of=AS_OF
        ).to_pydict()
        ours = dict(zip(basket["cusip"], basket["conversion_factor"], strict=True))
        assert ours == expected, (root, month)


def test_resold_notes_are_in_only_by_their_later_sale(master):
    def cusips(root, securities):
        basket = deliverable_basket(
            root=root, delivery_month="2025-03", securities=securities, as_of=AS_OF
        )
        return set(basket["cusip"].to_pylist())

    # Sold again on 2025-02-28 as a five-year note.
    assert "91282CGQ8" in cusips("ZF", master)
    assert "91282CGQ8" not in cusips("ZF", master.drop_columns("resold_as"))


def one(root, month, issue, maturity, as_of=AS_OF, **more):
    contract = Contract(root, np.datetime64(month))
    mask = deliverable(contract, issue_date=[issue], maturity_date=[maturity], as_of=as_of, **more)
    return bool(mask[0])


@pytest.mark.parametrize(
    ("root", "issue", "maturity", "expected"),
    [
        # Two years from the last day of June 2025, one year and nine months from its first.
        ("ZT", "2025-06-30", "2027-06-30", True),
        ("ZT", "2025-06-30", "2027-07-01", False),
        ("ZT", "2024-03-01", "2027-03-01", True),
        ("ZT", "2024-03-01", "2027-02-28", False),
        # A seven-year note never.
        ("ZT", "2020-04-30", "2027-04-30", False),
        ("Z3N", "2021-04-30", "2028-04-30", True),
        ("Z3N", "2018-04-30", "2028-04-30", False),
        ("Z3N", "2025-06-30", "2028-06-30", True),
        ("Z3N", "2025-06-30", "2028-07-15", False),
        # Four years and two months from 1 June 2025.
        ("ZF", "2024-08-01", "2029-08-01", True),
        ("ZF", "2024-07-31", "2029-07-31", False),
        # Six and a half years or more, less than eight.
        ("ZN", "2024-11-30", "2031-11-30", False),
        ("ZN", "2024-12-01", "2031-12-01", True),
        ("ZN", "2023-05-31", "2033-05-31", True),
        ("ZN", "2023-06-01", "2033-06-01", False),
        ("TN", "2025-02-15", "2034-11-01", True),
        ("TN", "2025-02-15", "2034-10-31", False),
        ("TWE", "2025-02-15", "2044-08-01", True),
        ("TWE", "2025-02-15", "2044-07-31", False),
        ("TWE", "2025-02-15", "2045-05-01", False),
        ("ZB", "2010-06-01", "2040-06-01", True),
        ("ZB", "2010-05-31", "2040-05-31", False),
        ("ZB", "2020-05-31", "2050-05-31", True),
        ("ZB", "2020-06-01", "2050-06-01", False),
        ("UB", "2020-06-01", "2050-06-01", True),
        ("UB", "2020-05-31", "2050-05-31", False),
    ],
)
def test_terms(root, issue, maturity, expected):
    assert one(root, "2025-06", issue, maturity, as_of="2025-06-30") is expected


def test_a_bond_grown_old_is_no_note():
    assert one("ZN", "2025-06", "2002-06-15", "2032-06-15") is False
    # Before the September 2023 contract a new ten-year note was in the ten-year basket.
    assert one("ZN", "2023-06", "2023-02-15", "2033-02-15", as_of="2023-03-13") is True
    assert one("ZN", "2023-09", "2023-02-15", "2033-02-15", as_of="2023-03-13") is False


def test_issues_count_a_week_ahead_and_until_last_delivery():
    assert one("ZF", "2025-06", "2025-03-20", "2030-03-20") is True
    assert one("ZF", "2025-06", "2025-03-21", "2030-03-21") is False
    # Within the delivery month, but after the last delivery on 2025-07-03.
    assert one("ZF", "2025-06", "2025-06-30", "2030-06-30", as_of="2025-06-28") is True
    assert one("ZF", "2025-06", "2025-07-04", "2030-07-04", as_of="2025-06-28") is False


def test_an_issue_of_the_delivery_month_is_deliverable(master):
    basket = deliverable_basket(
        root="Z3N", delivery_month="2025-03", securities=master, as_of=AS_OF
    )
    assert "91282CMS7" in basket["cusip"].to_pylist()  # issued 2025-03-17


def test_later_sales_obey_the_same_dates_and_terms():
    seven = ("ZT", "2025-06", "2020-04-30", "2027-04-30")
    assert one(*seven, resold_as=["2022-04-30:5-Year"]) is True
    assert one(*seven, resold_as=["2022-04-30:7-Year"]) is False
    assert one(*seven, resold_as=["2025-03-31:2-Year"]) is False
    assert one(*seven, resold_as=[None]) is False


@pytest.mark.parametrize("kind", ["tips", "frn", "bill", "strip", "mbs"])
def test_only_nominal_notes_and_bonds(kind):
    assert one("ZF", "2025-06", "2025-02-28", "2030-02-28", kind=["note"]) is True
    assert one("ZF", "2025-06", "2025-02-28", "2030-02-28", kind=[None]) is True
    assert one("ZF", "2025-06", "2025-02-28", "2030-02-28", kind=[kind]) is False


def test_tables_of_any_kind_and_text_columns_give_the_same(master):
    arguments = {"root": "ZN", "delivery_month": "2025-06", "as_of": datetime.date(2025, 3, 13)}
    expected = deliverable_basket(securities=master, **arguments)
    text = pa.table({name: master[name].cast(pa.string()) for name in master.column_names})
    for securities in (
        text,
        pl.from_arrow(master),
        pd.DataFrame(master.to_pydict()),
        master.to_reader(),
    ):
        assert deliverable_basket(securities=securities, **arguments).equals(expected)
    assert expected["maturity_date"].to_pylist() == sorted(expected["maturity_date"].to_pylist())


def test_an_empty_table_gives_an_empty_basket(master):
    basket = deliverable_basket(
        root="ZN", delivery_month="2025-06", securities=master.slice(0, 0), as_of=AS_OF
    )
    assert basket.num_rows == 0
    assert basket.column_names[-1] == "conversion_factor"


def test_bad_tables_are_named():
    good = {
        "cusip": ["A"],
        "coupon_pct": ["4.5"],
        "issue_date": ["2025-02-28"],
        "maturity_date": ["2030-02-28"],
    }

    def basket(**change):
        table = pa.table({k: v for k, v in (good | change).items() if v is not None})
        return deliverable_basket(
            root="ZF", delivery_month="2025-06", securities=table, as_of=AS_OF
        )

    assert basket().num_rows == 1
    with pytest.raises(ValueError, match="column 'issue_date' is missing; given"):
        basket(issue_date=None)
    with pytest.raises(ValueError, match=r"column 'coupon_pct': .*'4,5'"):
        basket(coupon_pct=["4,5"])
    with pytest.raises(ValueError, match="column 'maturity_date' is blank in row 1"):
        basket(maturity_date=pa.array([None], pa.date32()))
    with pytest.raises(ValueError, match="settles in cash"):
        deliverable_basket(
            root="SR3", delivery_month="2025-06", securities=pa.table(good), as_of=AS_OF
        )


def test_parse_resold():
    assert parse_resold("") == []
    assert parse_resold("2022-01-31:5-Year; 2025-02-28:2-Year;") == [
        (datetime.date(2022, 1, 31), 5),
        (datetime.date(2025, 2, 28), 2),
    ]


@pytest.mark.parametrize("text", ["2022-01-31", "2022-02-30:5-Year", "5-Year", "2022-01-31:5"])
def test_parse_resold_refuses(text):
    with pytest.raises(ValueError, match="is unreadable; expected a date and a term"):
        parse_resold(text)
