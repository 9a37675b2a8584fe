from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crossmargin.book.schemas import FIXINGS
from crossmargin.exceptions import ExceptionLog, InputError
from crossmargin.io.parse import Parsed, parse
from crossmargin.io.sources import read_source
from crossmargin.io.tables import Given

NEW_YORK_FED = (
    "Effective Date,Rate Type,Rate (%),1st Percentile (%),25th Percentile (%),"
    "75th Percentile (%),99th Percentile (%),Volume ($Billions),Target Rate From (%),"
    "Target Rate To (%),Footnote ID\n"
    "03/12/2025,SOFR,4.31,4.25,4.28,4.34,4.42,2431,,,\n"
    "03/12/2025,TGCR,4.29,4.25,4.28,4.30,4.40,1011,,,\n"
    "03/12/2025,EFFR,4.33,4.31,4.32,4.33,4.35,107,4.25,4.50,\n"
    "03/11/2025,SOFR,4.32,4.25,4.28,4.34,4.42,2431,,,\n"
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[Given, Parsed]]:
    def read(content: str) -> tuple[Given, Parsed]:
        path = tmp_path / "fixings.csv"
        path.write_text(content)
        given = read_source(path, name="fixings")
        return given, parse(given.table, FIXINGS, file="fixings", log=ExceptionLog())

    return read


def rows(parsed: Parsed) -> list[tuple[str, str, float | None]]:
    listed = parsed.table.to_pylist()
    return [(str(row["date"]), row["index"], row["rate_pct"]) for row in listed]


def test_the_new_york_feds_download(read: Callable[[str], tuple[Given, Parsed]]) -> None:
    given, parsed = read(NEW_YORK_FED)
    assert rows(parsed) == [
        ("2025-03-12", "SOFR", 4.31),
        ("2025-03-12", "EFFR", 4.33),
        ("2025-03-11", "SOFR", 4.32),
    ]
    assert parsed.table["row"].to_pylist() == [1, 3, 4]
    assert given.notes == (
        "read as the New York Fed's download of reference rates; 1 rows of other rates left out",
    )


def test_footnotes_of_the_new_york_feds_download_are_no_rows(
    read: Callable[[str], tuple[Given, Parsed]],
) -> None:
    footnote = "Footnotes: revised rates are marked,,,,,,,,,,\n"
    assert rows(read(NEW_YORK_FED + footnote)[1]) == rows(read(NEW_YORK_FED)[1])
    with pytest.raises(InputError, match="fixings, row 5: `index` is blank"):
        read(NEW_YORK_FED + "03/10/2025,,4.33,,,,,,,,\n")


def test_a_rate_type_that_is_not_known_is_refused_by_row(
    read: Callable[[str], tuple[Given, Parsed]],
) -> None:
    with pytest.raises(InputError, match='fixings, row 4: `index` is "SOFT": not one of SOFR'):
        read(NEW_YORK_FED.replace("03/11/2025,SOFR", "03/11/2025,SOFT"))


def test_the_new_york_feds_interface_as_a_table() -> None:
    frame = pd.DataFrame(
        {
            "effectiveDate": ["2025-03-12", "2025-03-12"],
            "type": ["SOFR", "BGCR"],
            "percentRate": [4.31, 4.29],
            "volumeInBillions": [2431, 1011],
        }
    )
    given = read_source(pa.Table.from_pandas(frame), name="fixings")
    parsed = parse(given.table, FIXINGS, file="fixings", log=ExceptionLog())
    assert rows(parsed) == [("2025-03-12", "SOFR", 4.31)]


@pytest.mark.parametrize("date", ["observation_date", "DATE"])
def test_freds_download(read: Callable[[str], tuple[Given, Parsed]], date: str) -> None:
    given, parsed = read(f"{date},SOFR,EFFR\n2025-03-12,4.31,4.33\n2025-03-13,.,4.33\n")
    assert rows(parsed) == [
        ("2025-03-12", "SOFR", 4.31),
        ("2025-03-13", "SOFR", None),
        ("2025-03-12", "EFFR", 4.33),
        ("2025-03-13", "EFFR", 4.33),
    ]
    assert given.notes == ("read as FRED's download of SOFR, EFFR",)


def test_dff_is_effr_of_every_calendar_day(read: Callable[[str], tuple[Given, Parsed]]) -> None:
    _, parsed = read("observation_date,DFF\n2025-03-14,4.33\n2025-03-15,4.33\n")
    assert rows(parsed) == [("2025-03-14", "EFFR", 4.33), ("2025-03-15", "EFFR", 4.33)]
    with pytest.raises(InputError, match="EFFR and DFF are the same rate"):
        read("observation_date,DFF,EFFR\n2025-03-14,4.33,4.33\n")


def test_freds_sofr_is_the_published_one(real_data: Callable[[str], Path]) -> None:
    given = read_source(real_data("sofr.csv"), name="fixings")
    parsed = parse(given.table, FIXINGS, file="fixings", log=ExceptionLog())
    assert parsed.table["index"].unique().to_pylist() == ["SOFR"]
    assert rows(parsed)[0] == ("2018-04-03", "SOFR", 1.83)
    assert np.count_nonzero(parsed.table["rate_pct"].is_valid()) > 2000


def test_our_own_form_stays_as_it_is(read: Callable[[str], tuple[Given, Parsed]]) -> None:
    given, parsed = read("date,index,rate_pct\n2025-03-12,SOFR,4.31\n")
    assert rows(parsed) == [("2025-03-12", "SOFR", 4.31)]
    assert given.notes == ()
