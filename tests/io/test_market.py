from __future__ import annotations

import datetime
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossmargin.exceptions import InputError
from crossmargin.io.market import as_of_date, read_market, read_markets
from crossmargin.market.curve import TENORS
from crossmargin.sample import write_sample


@pytest.mark.parametrize(
    "day", ["2025-03-13", datetime.date(2025, 3, 13), np.datetime64("2025-03-13T00:00", "s")]
)
def test_as_of_dates(day: str | datetime.date | np.datetime64) -> None:
    assert as_of_date(day) == np.datetime64("2025-03-13", "D")


@pytest.mark.parametrize(
    "day",
    ["", "2025-02-29", "13/03/2025", "20250313", "2025-W11-4", "today", np.datetime64("NaT", "D")],
)
def test_what_is_no_day_is_refused(day: str | np.datetime64) -> None:
    with pytest.raises(InputError, match="YYYY-MM-DD"):
        as_of_date(day)


def test_a_market_of_real_files(real_data: Callable[[str], Path]) -> None:
    fixings = pa.table(
        {"date": ["2025-03-12", "2025-03-13"], "index": ["SOFR"] * 2, "rate_pct": ["4.31", ""]}
    )
    market = read_market(
        real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13", fixings=fixings
    )
    assert market.history.date[-1] == np.datetime64("2025-03-13")
    dates, rates = market.fixings["SOFR"]
    assert (dates.tolist(), rates.tolist()) == ([datetime.date(2025, 3, 12)], [0.0431])


def test_how_files_were_read_is_among_the_notes(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "fixings.csv"
    path.write_text("Fixings\n\nDate;Index;Rate_Pct\n13/03/2025;SOFR;4,31%\n04/03/2025;SOFR;4,3\n")
    market = read_market(
        real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13", fixings=path
    )
    dates, rates = market.fixings["SOFR"]
    assert dates.tolist() == [datetime.date(2025, 3, 4), datetime.date(2025, 3, 13)]
    np.testing.assert_array_equal(rates, np.array([0.043, 0.0431]))
    assert [note.message[:30] for note in market.notes if note.code == "READ_AS"] == [
        "lines 1 to 2 are before the he",
        "column `Date` is read as `date",
        "column `Index` is read as `ind",
        "column `Rate_Pct` is read as `",
        "dates with slashes have the da",
        '`rate_pct`: "4,31%" is read as',
    ]


def test_yields_that_do_not_reach_the_as_of_date_are_refused(
    real_data: Callable[[str], Path],
) -> None:
    with pytest.raises(InputError, match="business days earlier"):
        read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2027-03-15")


def test_a_history_that_says_two_things_of_a_day_is_refused(
    real_data: Callable[[str], Path],
) -> None:
    basis = pa.table(
        {
            "date": ["2025-03-12", "2025-03-13", "2025-03-12"],
            "root": ["ZN"] * 3,
            "contract": ["ZNM25"] * 3,
            "basis": ["0.1", "0.2", "0.3"],
        }
    )
    with pytest.raises(InputError, match=r"basis, row 3: date, root, contract .* 2025-03-12"):
        read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13", basis=basis)


DAYS = np.busday_offset("2025-03-13", np.arange(-20, 1), roll="backward").astype(str).tolist()
YIELDS = pa.table({"date": DAYS, **{name: np.full(21, 4.0) for name in TENORS}})


def swaps(**columns: list[str]) -> pa.Table:
    return pa.table({"date": DAYS} | columns)


def test_a_sofr_history_has_some_tenors() -> None:
    rates = [f"{4.3 + n / 100:.2f}" for n in range(21)]
    rates[5] = ""
    given = swaps(**{"3mo": rates, "2y": ["3.9"] * 21, "overnight": ["4.3"] * 21})
    market = read_market(YIELDS, as_of="2025-03-13", sofr=given)
    assert market.history.sofr is not None
    assert market.history.sofr.factor == ("sofr:1/4", "sofr:2")
    assert market.history.sofr.date.size == 20
    assert market.history.factor[11:] == ("sofr:1/4", "sofr:2")
    assert market.source["sofr"]["extra_columns"] == ["overnight"]
    assert read_market(YIELDS, as_of="2025-03-13").history.sofr is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (swaps(**{"3mo": ["4.3"] * 21}), "sofr: give rates of at least two tenors"),
        (swaps(**{"3mo": ["0.043"] * 21, "1y": ["0.042"] * 21}), "looks like a decimal"),
        (swaps(**{"3mo": ["4.3"] * 21, "1y": ["-500"] * 21}), "sofr, row 1"),
        (
            swaps(**{"3mo": ["4.3"] * 21, "1y": ["4.3"] * 11 + [""] * 10}),
            "sofr: the last complete row .* 5",
        ),
        (
            pa.concat_tables([swaps(**{"3mo": ["4.3"] * 21, "1y": ["4.2"] * 21})] * 2),
            "sofr, row [0-9]+: date appear more than once",
        ),
    ],
)
def test_a_sofr_history_that_cannot_be_used_is_refused(given: pa.Table, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_market(YIELDS, as_of="2025-03-13", sofr=given)


def test_par_yields_in_several_files_are_one_history(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    with gzip.open(real_data("us_treasury_par_yields.csv.gz"), "rt") as lines:
        head, *rows = lines.read().splitlines()
    files = []
    for year in ("2023", "2024", "2025"):
        files.append(tmp_path / f"{year}.csv")
        own = [row for row in rows if row.startswith(year)]
        files[-1].write_text("\n".join([head, *own]) + "\n")
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join([head, *(r for r in rows if "2023" <= r[:4] <= "2025")]) + "\n")
    one, joined = (read_market(given, as_of="2025-03-13") for given in (whole, files))
    assert np.array_equal(one.history.zero_rate, joined.history.zero_rate)
    assert np.array_equal(one.history.date, joined.history.date)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert joined.source["par_yields"]["files"] == hashes
    turned = read_market(files[::-1], as_of="2025-03-13")
    assert turned.source["par_yields"]["hash"] == joined.source["par_yields"]["hash"]
    assert "files" not in one.source["par_yields"]
    text = files[2].read_text().replace("2025-03-12", "2024-12-31", 1)
    files[2].write_text(text)
    with pytest.raises(InputError, match=r"2024\.csv and .*2025\.csv: different yields"):
        read_market(files, as_of="2025-03-13")
    with pytest.raises(InputError, match="no file is given"):
        read_market([], as_of="2025-03-13")


def fixings(days: list[str], rates: list[str]) -> pa.Table:
    return pa.table({"date": days, "index": ["SOFR"] * len(days), "rate_pct": rates})


@pytest.mark.parametrize("rate", ["0.0433", "0", "-0.01"])
def test_fixings_far_below_the_par_yields_are_refused(rate: str) -> None:
    given = fixings(DAYS[:3], ["4.31", rate, "4.33"])
    with pytest.raises(InputError, match=rf"fixings, row 2: .* on {DAYS[1]}, .* 4%; .*1 of 3"):
        read_market(YIELDS, as_of="2025-03-13", fixings=given)


def test_low_fixings_are_right_where_the_par_yields_are_low_or_not_known() -> None:
    low = pa.table({"date": DAYS, **{name: np.full(21, 0.05) for name in TENORS}})
    low = low.set_column(low.column_names.index("30y"), "30y", pa.array(np.full(21, 2.0)))
    rates = ["0.01"] * 21
    assert read_market(low, as_of="2025-03-13", fixings=fixings(DAYS, rates)).fixings
    both = swaps(**{"3mo": rates, "1y": rates})
    assert read_market(low, as_of="2025-03-13", sofr=both).history.sofr
    early = fixings(["2021-03-12"], ["0.01"])
    assert read_market(YIELDS, as_of="2025-03-13", fixings=early).fixings


def test_every_real_fixing_is_plausible(real_data: Callable[[str], Path]) -> None:
    with real_data("sofr.csv").open() as file:
        rows = [line.strip().split(",") for line in file][1:]
    days, rates = zip(*rows, strict=True)
    assert sum(bool(rate) and float(rate) < 0.25 for rate in rates) > 400
    market = read_market(
        real_data("us_treasury_par_yields.csv.gz"),
        as_of="2025-03-13",
        fixings=fixings(list(days), list(rates)),
    )
    assert market.fixings["SOFR"][0].size > 2000


def test_a_term_of_sofr_in_decimals_is_refused(real_data: Callable[[str], Path]) -> None:
    day = [datetime.date(2025, 3, 12), datetime.date(2025, 3, 13)]
    sofr = pa.table({"date": day, "1y": [4.08, 4.10], "2y": [0.0390, 0.0392], "5y": [3.8, 3.81]})
    with pytest.raises(InputError, match=r"^sofr, row 1: 2y is 0\.039.* \(2 of 2 rows do\)"):
        read_market(real_data("us_treasury_par_yields.csv.gz"), as_of="2025-03-13", sofr=sofr)


def test_the_markets_of_many_days_are_those_of_each(tmp_path: Path) -> None:
    write_sample(tmp_path, accounts=10)
    files = {name: tmp_path / f"{name}.csv" for name in ("par_yields", "basis")}
    days = ["2026-06-10", "2025-01-03", "2026-06-09"]
    markets = read_markets(**files, days=days)
    for path in files.values():
        path.rename(path.with_suffix(".gone"))  # Each file is read once, before the first day.
    found = list(markets)
    for path in files.values():
        path.with_suffix(".gone").rename(path)
    for market, day in zip(found, days, strict=True):
        alone = read_market(**files, as_of=day)
        assert market.as_of == alone.as_of == as_of_date(day)
        assert market.source == alone.source
        np.testing.assert_array_equal(market.curve.log_df, alone.curve.log_df)
        np.testing.assert_array_equal(market.history.zero_rate, alone.history.zero_rate)
        own, other = (each.history.factor_change(3) for each in (market, alone))
        np.testing.assert_array_equal(own[0], other[0])
        np.testing.assert_array_equal(own[1], other[1])


@pytest.mark.parametrize("day", ["2026-06-10", b"2026-06-10", datetime.date(2026, 6, 10), None])
def test_one_day_where_many_are_expected_is_refused_at_once(day: Any) -> None:
    with pytest.raises(TypeError, match="days: a list or iterator of days expected, got"):
        read_markets("no such file", days=day)


def test_a_day_without_a_market_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    write_sample(tmp_path, accounts=10)
    markets = read_markets(tmp_path / "par_yields.csv", days=["2026-06-10", "1990-01-02"])
    next(markets)
    with pytest.raises(InputError, match="no complete row on or before 1990-01-02"):
        next(markets)
