from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.par_yields import join_par_yields, read_par_yields
from crossmargin.io.parse import Parsed
from crossmargin.io.tables import Given, read_table
from crossmargin.market.curve import TENORS

OFFICIAL = (
    'Date,"1 Mo","1.5 Month","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr","7 Yr",'
    '"10 Yr","20 Yr","30 Yr"\n'
    "{0},4.37,,4.36,4.33,4.31,4.25,4.08,3.94,3.93,4.03,4.16,4.27,4.64,4.59\n"
    "{1},4.37,,4.36,4.34,4.31,4.26,4.10,4.01,4.01,4.10,4.22,4.31,4.67,4.62\n"
)
LEVELS = [4.37, 4.33, 4.25, 4.08, 3.94, 3.93, 4.03, 4.16, 4.27, 4.64, 4.59]
DAYS = [datetime.date(2025, 3, 12), datetime.date(2025, 3, 13)]


def plain(*rows: str) -> str:
    return "date," + ",".join(TENORS) + "\n" + "".join(f"{row}\n" for row in rows)


def row(day: str, **cells: str) -> str:
    values = dict(zip(TENORS, (f"{v}" for v in LEVELS), strict=True))
    values.update({name.strip("_"): cell for name, cell in cells.items()})
    return ",".join([day, *values.values()])


def read(path: Path) -> Parsed:
    return read_par_yields(read_table(path, name="par yields"))


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "yields.csv"
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("first", "second"),
    [("03/13/2025", "03/12/2025"), ("3/13/25", "3/12/25"), ("2025-03-13", "2025-03-12")],
)
def test_the_official_download_in_any_date_style_and_either_order(
    text: Callable[[str], Path], first: str, second: str
) -> None:
    parsed = read(text(OFFICIAL.format(first, second)))
    assert parsed.table.column_names == ["date", *TENORS]
    assert parsed.table["date"].to_pylist() == DAYS
    assert parsed.table["10y"].to_pylist() == [4.31, 4.27]
    assert parsed.extra_columns == ("1.5 Month", "2 Mo", "4 Mo")
    turned = read(text(OFFICIAL.format(second, first)))
    assert turned.table["10y"].to_pylist() == [4.27, 4.31]


def test_the_plain_form_and_typed_tables(text: Callable[[str], Path]) -> None:
    content = plain(row("2025-03-12"), row("2025-03-13"))
    parsed = read(text(content))
    assert [parsed.table[node].to_pylist()[0] for node in TENORS] == LEVELS
    assert parsed.table.schema.field("1mo").type == pa.float64()
    again = read_par_yields(Given(parsed.table, ""))
    assert again.table == parsed.table


@pytest.mark.parametrize("cell", ["", "N/A", "null", "0.0", "0"])
def test_missing_yields(text: Callable[[str], Path], cell: str) -> None:
    parsed = read(text(plain(row("2025-03-12", _30y=cell), row("2025-03-13"))))
    assert parsed.table["30y"].to_pylist() == [None, 4.59]


def test_a_zero_bill_is_true_only_where_the_next_node_is_low(text: Callable[[str], Path]) -> None:
    parsed = read(
        text(
            plain(
                row("2011-08-04", _1mo="0.00", _3mo="0.00", _6mo="0.08"),
                row("2025-03-12", _1mo="0.00"),
                row("2025-03-13", _1mo="0.0", _3mo="0.0"),
            )
        )
    )
    assert parsed.table["1mo"].to_pylist() == [0.0, None, None]
    assert parsed.table["3mo"].to_pylist() == [0.0, 4.33, None]


def test_blank_rows_are_left_out(text: Callable[[str], Path]) -> None:
    parsed = read(text(plain(row("2025-03-12"), "," * 11, row("2025-03-13"))))
    assert parsed.table["date"].to_pylist() == DAYS
    assert parsed.rows_read == 2


def test_equal_repeats_are_dropped_and_different_ones_refused(text: Callable[[str], Path]) -> None:
    parsed = read(text(plain(row("2025-03-12"), row("3/12/25"), row("2025-03-13"))))
    assert parsed.table["date"].to_pylist() == DAYS
    assert parsed.warnings == ("1 repeated rows dropped",)
    with pytest.raises(InputError, match="rows 1 and 2: different yields for 2025-03-12"):
        read(text(plain(row("2025-03-12"), row("2025-03-12", _2y="3.95"))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (plain(row("2025-03-12"), row("2025-03-13", _5y="-500")), "row 2: 5y is -500 percent"),
        (plain(row("2025-03-12", _5y="400")), "row 1: 5y is 400 percent, outside -5 to 30"),
        (plain(row("2025-03-12", _5y="abc")), 'row 1: `5y` is "abc": cannot be read as a number'),
        (plain(row("2025-02-30")), 'row 1: `date` is "2025-02-30": cannot be read as a date'),
        (plain(row("")), 'row 1: `date` is "": has yields and no date'),
        ("date,1mo\n2025-03-12,4.3\n", "`3mo`, `6mo`"),
        (OFFICIAL.replace("2 Mo", "3 mo").format("3/12/25", "3/13/25"), "are both 3mo"),
        (OFFICIAL.replace("Date", "Day").format("3/12/25", "3/13/25"), "`date` is missing"),
    ],
)
def test_what_is_implausible_or_unreadable_is_refused(
    text: Callable[[str], Path], content: str, message: str
) -> None:
    with pytest.raises(InputError) as raised:
        read(text(content))
    assert message in str(raised.value)


def test_decimals_are_not_taken_for_percent(text: Callable[[str], Path]) -> None:
    decimal = ",".join(["2025-03-13", *(f"{v / 100:.4f}" for v in LEVELS)])
    with pytest.raises(InputError, match="look like decimals: give percent"):
        read(text(plain(decimal)))
    with pytest.raises(InputError, match=r"row 3: .* looks like decimals"):
        read(text(plain(row("2025-03-11"), row("2025-03-12"), decimal)))


@pytest.mark.parametrize("terms", [("10y",), ("7y", "10y"), ("20y", "30y"), ("3mo",)])
def test_a_term_in_decimals_is_not_taken_for_percent(
    text: Callable[[str], Path], terms: tuple[str, ...]
) -> None:
    decimal = {f"_{term}": f"{LEVELS[TENORS.index(term)] / 100:.4f}" for term in terms}
    with pytest.raises(InputError, match=rf"row 2: {terms[0]} is 0\.04.* looks like a decimal"):
        read(text(plain(row("2025-03-11"), row("2025-03-12", **decimal), row("2025-03-13"))))


def test_bills_may_fall_alone(text: Callable[[str], Path]) -> None:
    # The Treasury's yields of 2008-09-17.
    panic = "2008-09-17,0.07,0.03,1.03,1.50,1.64,1.91,2.52,2.93,3.41,4.12,4.08"
    assert read(text(plain(panic))).table["3mo"].to_pylist() == [0.03]


def test_a_file_of_a_term_in_decimals_is_named() -> None:
    others = {"date": DAYS, **{t: [v] * 2 for t, v in zip(TENORS, LEVELS, strict=True)}}
    del others["10y"]
    ten = {"date": DAYS, "10y": [0.0427, 0.0431]}
    with pytest.raises(InputError, match=r"^ten, row 1: 10y .* \(2 of 2 days do\)"):
        join_par_yields([("all", Given(pa.table(others), "")), ("ten", Given(pa.table(ten), ""))])


def test_weekends_are_left_out(text: Callable[[str], Path]) -> None:
    days = ("2025-03-07", "2025-03-08", "2025-03-09", "2025-03-10")
    parsed = read(text(plain(*map(row, days))))
    assert [f"{day}" for day in parsed.table["date"].to_pylist()] == ["2025-03-07", "2025-03-10"]
    assert parsed.notes == (
        "2 rows of Saturdays and Sundays left out: the Treasury publishes no yields for them",
    )


def test_an_absurd_typed_date_is_refused(text: Callable[[str], Path]) -> None:
    table = read(text(plain(row("2025-03-12")))).table
    absurd = table.set_column(0, "date", pa.array([2**31 - 1], pa.int32()).cast(pa.date32()))
    with pytest.raises(InputError, match="cannot be read as a date"):
        read_par_yields(Given(absurd, ""))


def test_the_real_history(real_data: Callable[[str], Path]) -> None:
    parsed = read(real_data("us_treasury_par_yields.csv.gz"))
    table = parsed.table
    assert len(table) == parsed.rows_read == 9044
    assert table["date"][0].as_py() == datetime.date(1990, 1, 2)
    assert table["date"][-1].as_py() == datetime.date(2026, 2, 27)
    # 121 true zeros of bills stay zeros: 100 or so days between 2008 and 2021.
    zeros = [pc.sum(pc.equal(table[node], 0.0)).as_py() for node in TENORS]
    assert sum(zeros[:3]) == 121
    assert sum(zeros[3:]) == 0
    # 30y is missing from 2002-02-19 to 2006-02-08, 20y before 1993-10.
    hole = table.filter(pc.is_null(table["30y"]))["date"]
    assert hole[0].as_py() == datetime.date(2002, 2, 19)
    assert hole[-1].as_py() == datetime.date(2006, 2, 8)
    at = table["date"].index(datetime.date(2025, 3, 13)).as_py()
    assert [table[node][at].as_py() for node in ("1mo", "10y", "30y")] == [4.37, 4.27, 4.59]


def test_the_embedded_history_is_read_as_it_is_written(tmp_path: Path) -> None:
    sample = pytest.importorskip("crossmargin.sample")
    table = sample.sample_tables(accounts=10)["par_yields"]
    assert read_par_yields(Given(table, "")).table["10y"].to_pylist() == table["10y"].to_pylist()


def test_files_of_a_year_each_are_joined(text: Callable[[str], Path]) -> None:
    files = [
        ("a.csv", OFFICIAL.format("03/12/2025", "03/13/2025")),
        ("b.csv", plain(row("2025-03-12"), row("2024-12-31"))),
    ]
    given = [(name, read_table(text(content), name=name)) for name, content in files]
    parsed = join_par_yields(given)
    assert parsed.table["date"].to_pylist() == [datetime.date(2024, 12, 31), *DAYS]
    assert parsed.table["10y"].to_pylist() == [4.27, 4.27, 4.31]


def test_files_of_a_tenor_each_are_joined_by_date() -> None:
    def series(node: str, level: float) -> Given:
        table = pa.table({"date": ["2025-03-12", "2025-03-13"], node: [f"{level}", "."]})
        return Given(table, "")

    given = [(node, series(node, level)) for node, level in zip(TENORS, LEVELS, strict=True)]
    parsed = join_par_yields(given[::-1])
    assert [parsed.table[node].to_pylist() for node in TENORS] == [[v, None] for v in LEVELS]
    with pytest.raises(InputError, match="par yields: column `20y` is missing"):
        join_par_yields(given[:9] + given[10:])


def test_files_that_differ_are_both_named(text: Callable[[str], Path]) -> None:
    first = read_table(text(plain(row("2025-03-12"))), name="first")
    other = read_table(text(plain(row("2025-03-12", _2y="3.95"))), name="other")
    blank = read_table(text(plain(row("2025-03-12", _2y=""))), name="blank")
    for table in (other, blank):
        with pytest.raises(InputError, match="a and b: different yields for 2025-03-12; keep one"):
            join_par_yields([("a", first), ("b", table)])
    parsed = join_par_yields([("a", first), ("b", first)])
    assert parsed.warnings == ("1 repeated rows dropped",)
    assert parsed.table == join_par_yields([("a", first)]).table


def test_a_file_of_decimals_among_others_is_named(text: Callable[[str], Path]) -> None:
    decimal = ",".join(["2025-03-13", *(f"{v / 100:.4f}" for v in LEVELS)])
    one = read_table(text(plain(row("2025-03-11"), row("2025-03-12"))), name="one")
    two = read_table(text(plain(decimal)), name="two")
    with pytest.raises(InputError, match=r"^two, row 1: .* looks like decimals"):
        join_par_yields([("one", one), ("two", two)])


def test_dates_with_the_day_first_and_percent_signs_are_read_and_told() -> None:
    row = dict.fromkeys(TENORS, "4.25%")
    table = pa.table({"date": ["04/03/2025", "17/03/2025"], **{k: [v] * 2 for k, v in row.items()}})
    parsed = read_par_yields(Given(table, ""))
    assert parsed.table["date"].to_pylist() == [
        datetime.date(2025, 3, 4),
        datetime.date(2025, 3, 17),
    ]
    assert parsed.table["10y"].to_pylist() == [4.25, 4.25]
    assert parsed.notes[0].startswith("dates with slashes have the day first: `date` has 1")
    assert '`1mo`: "4.25%" is read as 4.25' in parsed.notes
