#!/usr/bin/env bash
# duckdb 2.0.1 and polars 2.1.0: a column of changes with plus signs is text, its maximum a fall.
#
# Settlement files write the change of the day with its sign. One plus makes duckdb's reader take
# the whole column for text, and in text a minus is above a plus: the largest change is a fall.
# polars does so with whole numbers only (+5), so that the changes in basis points of one file
# are text and those of prices in another are numbers. pyarrow and pandas read both, and duckdb
# itself casts the text to the right numbers.
# Seen:
#   changes          duckdb           polars           pyarrow          pandas           duckdb, cast
#   +.5 -.75 +.25    max of text -.75 max 0.5          max 0.5          max 0.5          max 0.5
#   +5 -75 +25       max of text -75  max of text -75  max 25           max 25           max 25
#   5 -75 25         max 25           max 25           max 25           max 25           max 25
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.compute as pc
import pyarrow.csv

READERS = {
    "duckdb": lambda: duckdb.sql("select max(change) from 'changes.csv'").fetchall()[0][0],
    "polars": lambda: polars.read_csv("changes.csv")["change"].max(),
    "pyarrow": lambda: pc.max(pyarrow.csv.read_csv("changes.csv")["change"]).as_py(),
    "pandas": lambda: pandas.read_csv("changes.csv")["change"].max(),
    "duckdb, cast": lambda: duckdb.sql("select max(change::double) from 'changes.csv'").fetchall()[0][0],
}


def line(title, answers):
    return f"{title:16} " + " ".join(f"{a:16}" for a in answers).rstrip()


print(line("changes", READERS))
seen = []
for changes in ("+.5 -.75 +.25", "+5 -75 +25", "5 -75 25"):
    rows = [f"ZN,DEC-26,{change}" for change in changes.split()]
    Path("changes.csv").write_text("\n".join(["product,month,change", *rows, ""]))
    found = [reader() for reader in READERS.values()]
    seen.append(line(changes, [f"max of text {x}" if isinstance(x, str) else f"max {x:g}" for x in found]))
    print(seen[-1])
wanted = """
+.5 -.75 +.25    max of text -.75 max 0.5          max 0.5          max 0.5          max 0.5
+5 -75 +25       max of text -75  max of text -75  max 25           max 25           max 25
5 -75 25         max 25           max 25           max 25           max 25           max 25
"""
raise SystemExit(seen != wanted.strip().splitlines())
PY
