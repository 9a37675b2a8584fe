"""Reports of the clearing houses: told by their headers, units never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.book.programme import MARGIN_SAVINGS, REPORTS
from crossmargin.exceptions import InputError
from crossmargin.io.observed import Observed, read_observed

AS_OF = np.datetime64("2026-06-10")
SAVINGS = (
    "BusDate,Cycle,Run,Account,FICCCash,FICCFutures,FICCCombined,FICCSavingPct,CMEFutures,CMECash,"
    "CMECombined,CMESavingPct,CapPct,MinimumPct,AppliedPct,Binding,Reason,FICCRequirement,"
    "CMERequirement,FICCSaving,CMESaving"
)
LINE = (
    "06/10/2026,EOD,1,A,10000.00,5000.00,5000.00,66.67,3000.00,10000.00,7000.00,46.15,80,1,46.15,"
    "CME,,5384.62,1615.38,4615.38,1384.62"
)


def read(given: Any) -> Observed:
    return read_observed(given, as_of=AS_OF, cycle="EOD")


def rows(**columns: Any) -> pa.Table:
    head = {"BusDate": "06/10/2026", "Cycle": "EOD", "Account": "A"}
    cells = {**head, **columns}
    size = max(len(value) for value in cells.values() if isinstance(value, list))
    return pa.table(
        {
            name: value if isinstance(value, list) else [value] * size
            for name, value in cells.items()
        }
    )


def codes(found: Observed) -> list[tuple[str, int | None]]:
    return [(row["code"], row["row"]) for row in found.exceptions.to_pylist()]


def test_the_savings_report(tmp_path: Path) -> None:
    file = tmp_path / "XMFICCMARGINSAVINGS.csv"
    file.write_text(f"{SAVINGS}\n{LINE}\n")
    found = read(file)
    assert found.report is MARGIN_SAVINGS
    row = found.table.to_pylist()[0]
    assert row["account"] == "A"
    assert (row["v_ficc_cash"], row["v_cme_combined"]) == (10000.0, 7000.0)
    assert (row["offset_rate_ficc"], row["offset_rate_cme"]) == (0.6667, 0.4615)
    assert (row["cap"], row["minimum"], row["offset_rate"]) == (0.8, 0.01, 0.4615)
    assert (row["requirement_ficc"], row["saving_cme"], row["reason"]) == (5384.62, 1384.62, None)
    assert found.source["path"] == str(file)
    assert codes(found) == [("COLUMNS_NOT_READ", None)]


@pytest.mark.parametrize(
    "header",
    [
        ("Bus Date", "CYCLE", "Account ID", "FICC Cash", "Applied %"),
        ("busdate", "cycle", "acct", "ficc_cash_margin", "APPLIED_PERCENT"),
        ("BusinessDate", "Cycle Code", "XM Account", "FICC-Cash", "Applied Reduction Pct"),
    ],
)
def test_other_spellings_of_the_headers(header: tuple[str, ...]) -> None:
    cells = ("06/10/2026", "eod", "A", "10,000.00", "46.15%")
    found = read(pa.table(dict(zip(header, ([cell] for cell in cells), strict=True))))
    row = found.table.to_pylist()[0]
    assert (row["account"], row["v_ficc_cash"], row["offset_rate"]) == ("A", 10000.0, 0.4615)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (("Account", "CUSIP", "Coupon", "MaturityDate", "Position"), "XMFICCCUSIP"),
        (("Account", "CUSIP", "Product", "ContractMonth", "Position"), "XMFICCPOSN"),
        (("Account", "AppliedPct"), "XMFICCMARGINSAVINGS"),
        (("account", "offset_rate"), "a table in our columns"),
        (("account", "as_of", "cycle", "v_ficc_cash", "customer"), "a table in our columns"),
    ],
)
def test_which_report_it_is(header: tuple[str, ...], name: str) -> None:
    values = {
        **{"CUSIP": "91282CMM0", "Product": "21", "ContractMonth": "202609", "Position": "1"},
        **{"AppliedPct": "46", "offset_rate": "0.46", "v_ficc_cash": "1", "Account": "A"},
        **{"account": "A", "as_of": "2026-06-10", "cycle": "EOD"},
    }
    own = name.startswith("a table")
    head = {} if own else {"BusDate": ["06/10/2026"], "Cycle": ["EOD"]}
    table = pa.table({**head, **{column: [values.get(column, "x")] for column in header}})
    assert read(table).report.name == name


def test_a_product_goes_by_any_of_its_names() -> None:
    found = read(
        rows(
            Product=["21", "ZN", "TY", "TN", "XX", "21", "21", "21"],
            ContractMonth=[
                "202609",
                "2026-09",
                "202609",
                "202612",
                "202609",
                "202613",
                "SEP26",
                "212609",
            ],
            Position=["1.5", "-2", "0.25", "(3)", "1", "1", "1", "1"],
        )
    )
    kept = found.table.to_pylist()
    assert [(row["contract"], row["position"]) for row in kept] == [
        ("ZNU26", 1.5),
        ("ZNU26", -2.0),
        ("ZNU26", 0.25),
        ("TNZ26", -3.0),
    ]
    rejected = [row for code, row in codes(found) if code == "CONTRACT_UNKNOWN"]
    assert rejected == [5, 6, 7, 8]
    assert found.set_aside == ("A",)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        # What a header does not say is not guessed.
        ({"AppliedRate": ["46.15"], "FICCCash": ["1"]}, "`AppliedRate` does not say"),
        ({"Applied Factor": ["0.46"], "FICCCash": ["1"]}, "`Applied Factor` does not say"),
        ({"CapRatio": ["80"], "AppliedPct": ["46"]}, "`CapRatio` does not say"),
        # Shares under a name that says percent.
        ({"AppliedPct": ["0.4615", "0.8"]}, "offset_rate is nowhere above 1, though its name"),
        ({"AppliedPct": ["0.4615"], "CapPct": ["80"]}, "offset_rate is nowhere above 1"),
        ({"AppliedPct": ["46.15"], "CapPct": ["0.8"]}, "cap is nowhere above 1"),
        ({"FICCSavingPct": ["0.66"], "CMESavingPct": ["0.46"]}, "offset_rate_ficc is nowhere"),
        # One figure under two names.
        ({"AppliedPct": ["46"], "Applied %": ["46"]}, "`AppliedPct` and `Applied %` are both"),
        # Another day, cycle, or more than one run.
        ({"AppliedPct": ["46"], "BusDate": "06/09/2026"}, "row 1: is of 2026-06-09, the run of"),
        (
            {"AppliedPct": ["46"] * 2, "BusDate": ["06/10/2026", "06/11/2026"]},
            "row 2: is of 2026-06-11",
        ),
        ({"AppliedPct": ["46"], "Cycle": "ITD"}, "row 1: is of cycle ITD, the run of EOD"),
        (
            {"AppliedPct": ["46"] * 2, "Cycle": ["EOD", "EODXM"]},
            "row 2: is of cycle EODXM, the run of EOD; give the rows of one cycle",
        ),
        ({"AppliedPct": ["46"] * 2, "Run": ["1", "2"]}, "has rows of runs 1 and 2"),
        ({"AppliedPct": ["?"]}, "XMFICCMARGINSAVINGS has no usable row"),
        ({"Balance": ["1"]}, "is none of XMFICCPOSN, XMFICCCUSIP, XMFICCMARGINSAVINGS, a table"),
    ],
)
def test_what_is_refused(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(rows(**columns))


def test_a_table_in_our_columns_has_shares() -> None:
    found = read(pa.table({"account": ["A", "B"], "offset_rate": [0.8, 0.0]}))
    assert found.table["offset_rate"].to_pylist() == [0.8, 0.0]
    for shares in ([46.15, 0.0], [1.01, 0.5]):
        with pytest.raises(InputError, match="give shares from 0 to 1, or percent under a name"):
            read(pa.table({"account": ["A", "B"], "offset_rate": shares}))
    for wrong in ({"as_of": "2026-06-09"}, {"cycle": "ITD"}):
        cells = {name: [text] for name, text in wrong.items()}
        with pytest.raises(InputError, match="is of"):
            read(pa.table({"account": ["A"], "offset_rate": [0.5], **cells}))


def test_small_rates_beside_a_cap_in_percent_are_percent() -> None:
    # A saving under one percent is possible, as long as the unit shows elsewhere.
    found = read(rows(FICCSavingPct=["0.66"], CMESavingPct=["0.5"], CapPct=["80"]))
    assert found.table["offset_rate_ficc"].to_pylist() == [0.0066]
    nothing = read(rows(AppliedPct=["0", "0"], Account=["A", "B"]))
    assert nothing.table["offset_rate"].to_pylist() == [0.0, 0.0]


def test_a_column_of_theirs_with_one_of_our_names_is_not_ours() -> None:
    for name in ("offset_rate", "Offset-Rate", "OFFSET RATE"):
        found = read(rows(AppliedPct=["46"], **{name: ["0.99"]}))
        assert found.table["offset_rate"].to_pylist() == [0.46]
        found = read(rows(FICCCash=["1"], **{name: ["0.99"]}))
        assert found.table["offset_rate"].null_count == 1


def test_rows_are_set_aside_with_their_account() -> None:
    found = read(
        rows(
            Account=["A", "B", "", "C", "C", "D", "E"],
            AppliedPct=["46", "4O", "46", "46", "46", "46", "46"],
            BusDate=["06/10/2026"] * 5 + ["soon", "06/10/2026"],
        )
    )
    assert found.table["account"].to_pylist() == ["A", "E"]
    assert found.set_aside == ("B", "C", "D")
    assert sorted(codes(found), key=str) == [
        ("ACCOUNT_DUPLICATE", 4),
        ("ACCOUNT_DUPLICATE", 5),
        ("ACCOUNT_INVALID", 3),
        ("DATE_INVALID", 6),
        ("VALUE_INVALID", 2),
    ]


def test_headers_are_known_by_one_column_of_a_report() -> None:
    for report in REPORTS:
        headers = [header for names in report.headers.values() for header in names]
        assert len(set(headers)) == len(headers), report.name
        assert set(report.headers) == {column.name for column in report.columns} - (
            {"run"} if "run" not in report.headers else set()
        )
