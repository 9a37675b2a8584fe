from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.par_yields import read_par_yields
from crossmargin.io.sources import read_source

SERIES = "DGS1MO,DGS3MO,DGS6MO,DGS1,DGS2,DGS3,DGS5,DGS7,DGS10,DGS20,DGS30"
LEVELS = [4.37, 4.33, 4.25, 4.08, 3.94, 3.93, 4.03, 4.16, 4.27, 4.64, 4.59]
NAMES = (
    *(f"{n}MONTH" for n in (1, 3, 6)),
    *(f"{n}YEAR" for n in (1, 2, 3, 5, 7, 10, 20, 30)),
)
DATA = "http://schemas.microsoft.com/ado/2007/08/dataservices"


def feed(*days: str, levels: list[float] = LEVELS, head: str = "") -> str:
    """Return the Treasury's feed of these days, with a tenor that was not there yet."""
    cells = "".join(
        f'<d:BC_{name} m:type="Edm.Double">{level}</d:BC_{name}>'
        for name, level in zip(NAMES, levels, strict=True)
    )
    entries = "".join(
        f'<entry><id>x</id><content type="application/xml"><m:properties>'
        f'<d:NEW_DATE m:type="Edm.DateTime">{day}T00:00:00</d:NEW_DATE>{cells}'
        f'<d:BC_2MONTH m:type="Edm.Double" m:null="true" />'
        f'<d:BC_30YEARDISPLAY m:type="Edm.Double">0</d:BC_30YEARDISPLAY>'
        f"</m:properties></content></entry>"
        for day in days
    )
    return (
        f'<?xml version="1.0" encoding="utf-8" standalone="yes" ?>\n{head}'
        f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:d="{DATA}" xmlns:m="{DATA}/metadata">'
        f"<title>DailyTreasuryYieldCurveRateData</title>{entries}</feed>"
    )


def test_freds_download(tmp_path: Path) -> None:
    path = tmp_path / "fred.csv"
    levels = ",".join(map(str, LEVELS))
    path.write_text(f"observation_date,{SERIES}\n2025-03-12,{levels}\n2025-03-13,{'.,' * 10}.\n")
    given = read_source(path, name="par yields")
    assert given.notes == (f"read as FRED's download of {SERIES.replace(',', ', ')}",)
    table = read_par_yields(given).table
    assert [table[k][0].as_py() for k in range(1, 12)] == LEVELS
    assert table["10y"][1].as_py() is None


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_treasurys_feed(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "yields.xml"
    path.write_text(mark + feed("2025-03-12", "2025-03-13"), encoding="utf-8")
    given = read_source(path, name="par yields")
    assert given.notes == ("read as the Treasury's XML feed of par yields",)
    parsed = read_par_yields(given)
    assert parsed.table["date"].to_pylist() == [datetime.date(2025, 3, d) for d in (12, 13)]
    assert [parsed.table[k][0].as_py() for k in range(1, 12)] == LEVELS
    assert parsed.extra_columns == ("2mo", "BC_30YEARDISPLAY")


def test_another_feed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yields.xml"
    path.write_text(feed("2025-03-12").replace("BC_", "TC_"), encoding="utf-8")
    with pytest.raises(InputError, match=r"columns `date`, `1mo`.* are missing"):
        read_par_yields(read_source(path, name="par yields"))
