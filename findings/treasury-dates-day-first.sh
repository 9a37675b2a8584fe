#!/usr/bin/env bash
# polars 2.1.0 and duckdb 2.0.1: the first days of the Treasury's yield download become months.
#
# The official download of daily par yields writes month/day/year. Until the 12th of a month both
# readers, asked to find dates, take the day first: trading days of 2 to 8 January 2025 become the
# first days of February to August. With a row of the 13th the same file is read right by duckdb
# and stays text in polars; pandas reads the month first.
# Seen:
#   duckdb to the 8th:  2025-02-01 2025-03-01 2025-06-01
#   polars to the 8th:  2025-02-01 2025-03-01 2025-06-01
#   pandas to the 8th:  2025-01-02 2025-01-03 2025-01-06
#   duckdb to the 13th: 2025-01-02 2025-01-03 2025-01-06
#   polars to the 13th: 01/02/2025 01/03/2025 01/06/2025 (text)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check polars==2.1.0 duckdb==2.0.1 pandas==2.3.3
"$work/venv/bin/python" -W ignore - <<'PY'
import tempfile
from pathlib import Path

import duckdb
import pandas
import polars

rows = ["01/08/2025,4.43,4.67", "01/06/2025,4.44,4.62", "01/03/2025,4.44,4.60", "01/02/2025,4.45,4.57"]
late = ["01/13/2025,4.40,4.79", *rows]
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "yields.csv"


def first_dates(name, lines):
    path.write_text("\n".join(['Date,"1 Mo","10 Yr"', *lines]))
    if name == "duckdb":
        dates = [row[0] for row in duckdb.sql(f"select * from read_csv('{path}')").fetchall()]
    elif name == "polars":
        dates = polars.read_csv(path, try_parse_dates=True)["Date"].to_list()
    else:
        dates = pandas.read_csv(path, parse_dates=["Date"])["Date"].dt.date.tolist()
    return " ".join(str(d) for d in dates[::-1][:3])


seen = {}
for name, day, lines in (
    ("duckdb", "8th: ", rows), ("polars", "8th: ", rows), ("pandas", "8th: ", rows),
    ("duckdb", "13th:", late), ("polars", "13th:", late),
):
    seen[name, day] = first_dates(name, lines)
    print(name, "to the", day, seen[name, day])
wrong, right = "2025-02-01 2025-03-01 2025-06-01", "2025-01-02 2025-01-03 2025-01-06"
raise SystemExit([*seen.values()][:4] != [wrong, wrong, right, right])
PY
