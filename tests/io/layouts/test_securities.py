"""Auction results and debt lists of the real shape; figures made up or plainly public."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from crossmargin.book.schemas import SECURITIES
from crossmargin.exceptions import ExceptionLog, InputError, counts
from crossmargin.io.parse import parse
from crossmargin.io.sources import read_source

QUERY = (
    "CUSIP,Security Type,Security Term,Auction Date,Issue Date,Maturity Date,Interest Rate,"
    "High Yield,Price per $100,Reopening,Inflation Index Security,Floating Rate\n"
    "91282CMM0,Note,9-Year 11-Month,03/12/2025,03/17/2025,02/15/2035,4.625%,4.310,102.5,Yes,No,No\n"
    "91282CMM0,Note,10-Year,02/12/2025,02/18/2025,02/15/2035,4.625%,4.632,99.94,No,No,No\n"
    "912828Z78,Note,5-Year,01/26/2022,01/31/2022,01/31/2027,1.500%,1.533,99.84,No,No,No\n"
    "912828Z78,Note,7-Year,01/30/2020,01/31/2020,01/31/2027,1.500%,1.570,99.54,No,No,No\n"
    "912797NX4,Bill,13-Week,03/10/2025,03/13/2025,06/12/2025,,,98.94,Yes,No,No\n"
    "912797NX4,Bill,26-Week,12/09/2024,12/12/2024,06/12/2025,,,97.87,No,No,No\n"
    "91282CML2,Note,10-Year,01/23/2025,01/31/2025,01/15/2035,2.125%,2.243,98.9,No,Yes,No\n"
    "91282CMJ7,Note,2-Year,01/28/2025,01/31/2025,01/31/2027,,,100,No,No,Yes\n"
    "91282CMU2,Note,5-Year,03/26/2025,03/31/2025,03/31/2030,,,,No,No,No\n"
)
API = (
    "record_date,cusip,security_type,security_term,auction_date,issue_date,maturity_date,"
    "int_rate,high_yield,reopening,original_issue_date,inflation_index_security,floating_rate\n"
    "2025-03-17,91282CMM0,Note,9-Year 11-Month,2025-03-12,2025-03-17,2035-02-15,4.625,4.31,"
    "Yes,2025-02-18,No,No\n"
    "2025-03-31,91282CMP3,Note,2-Year,2025-02-25,2025-02-28,2027-02-28,4.125,4.169,No,null,No,No\n"
)
DEBT = (
    "record_date,security_type_desc,security_class1_desc,security_class2_desc,series_cd,"
    "interest_rate_pct,yield_pct,issue_date,maturity_date,issued_amt,outstanding_amt\n"
    "2025-03-31,Marketable,Bills Maturity Value,912797NX4,null,null,4.3,2024-12-12,2025-06-12,1,2\n"
    "2025-03-31,Marketable,Notes,91282CMM0,B-2035,4.625,4.6,2025-02-18,2035-02-15,48000.1,null\n"
    "2025-03-31,Marketable,Notes,91282CMM0,B-2035,4.625,4.6,2025-03-17,2035-02-15,43000,91000.1\n"
    "2025-03-31,Marketable,Bonds,912810UG1,null,4.625,4.6,2025-02-18,2055-02-15,28000,28000\n"
    "2025-03-31,Marketable,Inflation-Protected Securities,91282CML2,null,2.125,2.2,2025-01-31,"
    "2035-01-15,20000,20300\n"
    "2025-03-31,Marketable,Notes,Total Treasury Notes,null,null,null,null,null,null,1439000\n"
    "2025-03-31,Nonmarketable,Government Account Series,Abandoned,null,2.5,null,null,null,null,5\n"
    "2025-02-28,Marketable,Notes,91282CMM0,B-2035,4.625,4.6,2025-02-18,2035-02-15,48000,48000\n"
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[dict[str, Any], tuple[str, ...], ExceptionLog]]:
    def read(content: str) -> tuple[dict[str, Any], tuple[str, ...], ExceptionLog]:
        path = tmp_path / "securities.csv"
        path.write_text(content)
        given, log = read_source(path, name="securities"), ExceptionLog()
        table = parse(given.table, SECURITIES, file="securities", log=log).table
        return {row["cusip"]: row for row in table.to_pylist()}, given.notes, log

    return read


def test_auction_results_give_the_first_sale(read: Callable[[str], Any]) -> None:
    rows, (note,), log = read(QUERY)
    assert list(rows) == ["91282CMM0", "912828Z78", "912797NX4", "91282CML2", "91282CMJ7"]
    assert str(rows["91282CMM0"]["issue_date"]) == "2025-02-18"
    assert rows["91282CMM0"]["row"] == 2
    assert rows["91282CMM0"]["coupon_pct"] == 4.625
    assert rows["91282CMM0"]["resold_as"] is None
    assert rows["912828Z78"]["resold_as"] == "2022-01-31:5-Year"
    assert str(rows["912828Z78"]["issue_date"]) == "2020-01-31"
    types = [row["type"] for row in rows.values()]
    assert types == ["note", "note", "bill", "tips", "frn"]
    assert rows["912797NX4"]["coupon_pct"] == 0.0
    assert "3 later sales of a security" in note
    assert "1 sales of an old security as a new, shorter issue" in note
    assert "1 rows without an interest rate yet left out" in note
    assert counts(log.table()) == {}


def test_auction_results_of_the_interface_name_the_original_issue(
    read: Callable[[str], Any],
) -> None:
    rows, (note,), _ = read(API)
    assert str(rows["91282CMM0"]["issue_date"]) == "2025-02-18"
    assert str(rows["91282CMP3"]["issue_date"]) == "2025-02-28"
    assert "1 securities with reopenings only" not in note
    first = API.splitlines()[1].replace("9-Year 11-Month", "10-Year").replace("Yes,", "No,")
    rows, (note,), _ = read(API + first.replace("2025-03-17", "2025-02-18") + "\n")
    assert rows["91282CMM0"]["resold_as"] is None
    assert "1 later sales of a security" in note


@pytest.mark.parametrize("reopening", ["Yes", "No"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_new_issue_under_an_old_cusip_keeps_the_date_of_its_sale(
    read: Callable[[str], Any], reopening: str, order: int
) -> None:
    head, *_ = API.splitlines(keepends=True)
    sales = [
        "2020-01-31,912828Z78,Note,7-Year,2020-01-30,2020-01-31,2027-01-31,1.5,1.57,No,,No,No\n",
        "2022-01-31,912828Z78,Note,5-Year,2022-01-26,2022-01-31,2027-01-31,1.5,1.533,"
        f"{reopening},2020-01-31,No,No\n",
    ]
    rows, _, _ = read(head + "".join(sales[::order]))
    assert str(rows["912828Z78"]["issue_date"]) == "2020-01-31"
    assert rows["912828Z78"]["resold_as"] == "2022-01-31:5-Year"


def test_reopenings_alone_are_told(read: Callable[[str], Any]) -> None:
    lines = QUERY.splitlines(keepends=True)
    _, (note,), _ = read("".join(lines[:2]))
    assert "1 securities with reopenings only" in note


def test_a_bad_row_of_auction_results_is_rejected_by_its_number(read: Callable[[str], Any]) -> None:
    _, _, log = read(QUERY.replace("Note,2-Year", "Nought,2-Year").replace("No,No,Yes", "No,No,No"))
    assert set(log.table()["row"].to_pylist()) == {8}
    assert set(counts(log.table())) == {"SECURITY_INVALID"}


def test_the_list_of_the_public_debt(read: Callable[[str], Any]) -> None:
    rows, (note,), log = read(DEBT)
    assert [row["type"] for row in rows.values()] == ["bill", "note", "bond", "tips"]
    assert str(rows["91282CMM0"]["issue_date"]) == "2025-02-18"
    assert rows["91282CMM0"]["outstanding"] == 91_000_100_000.0
    assert rows["912797NX4"]["coupon_pct"] == 0.0
    assert note == (
        "read as the Monthly Statement of the Public Debt, amounts in millions; "
        "1 more rows of a security: its earliest issue date is used; "
        "2 rows that are not a security (totals) left out; 1 rows of earlier months left out"
    )
    assert counts(log.table()) == {}


def test_our_own_table_stays_as_it_is(read: Callable[[str], Any]) -> None:
    rows, notes, _ = read(
        "cusip,coupon_pct,issue_date,maturity_date,outstanding\n"
        "91282CMM0,4.625,2025-02-18,2035-02-15,91000100000\n"
    )
    assert rows["91282CMM0"]["outstanding"] == 91_000_100_000.0
    assert notes == ()


def test_a_column_that_no_text_can_show_is_refused() -> None:
    row = dict.fromkeys(("cusip", "issue_date", "maturity_date", "security_type", "int_rate"), "x")
    term = pa.array([0], pa.timestamp("s", "?"))
    table = pa.table({**{name: [cell] for name, cell in row.items()}, "security_term": term})
    with pytest.raises(InputError, match=r"securities table: cannot be read: .*timezone"):
        read_source(table, name="securities")


def test_rows_of_one_security_that_contradict_each_other_are_told(
    read: Callable[[str], Any],
) -> None:
    changes = (
        (QUERY, "03/17/2025,02/15/2035,4.625%", "03/17/2025,02/15/2045,4.625%"),
        (QUERY, "03/17/2025,02/15/2035,4.625%", "03/17/2025,02/15/2035,4.125%"),
        (DEBT, "4.625,4.6,2025-03-17", "4.125,4.6,2025-03-17"),
    )
    for content, old, new in changes:
        rows, (plain,), _ = read(content)
        changed, (note,), _ = read(content.replace(old, new))
        assert changed == rows
        assert "another coupon or maturity" not in plain
        assert "; 1 rows with another coupon or maturity than the one used" in note
