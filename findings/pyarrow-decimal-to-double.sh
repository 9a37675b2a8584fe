#!/usr/bin/env bash
# pyarrow 26.0.1: a cast of decimals to doubles misses the nearest one in one amount of eight.
#
# 14415.96 becomes 14415.960000000001: the whole number 1441596 is multiplied by 0.01, which is
# not exact, where a division by 100 would be. A comparison with a double casts first and so
# does not find the amount. polars and duckdb give the double that Python reads from the
# same digits, for every one of 100,000 amounts, and so does pyarrow's own cast of the text.
# Seen:
#   14415.96 as a double:  pyarrow 14415.960000000001, polars 14415.96, duckdb 14415.96
#   equal to 14415.96:     pyarrow False, duckdb True
#   off, of 100,000:       pyarrow 13811, polars 0, duckdb 0, pyarrow from text 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
"$work/venv/bin/python" -W ignore - <<'PY'
from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc

CENTS = [1441596, *range(37, 99_999 * 997, 997)]
texts = [str(Decimal(cents).scaleb(-2)) for cents in CENTS]
right = [float(text) for text in texts]
amounts = pa.table({"x": pa.array([Decimal(text) for text in texts], pa.decimal128(15, 2))})
array, series = amounts["x"].combine_chunks(), polars.from_arrow(amounts)["x"]
doubles = {
    "pyarrow": pc.cast(array, pa.float64()).to_pylist(),
    "polars": series.cast(polars.Float64).to_list(),
    "duckdb": [x for (x,) in duckdb.sql("select x::double from amounts").fetchall()],
    "pyarrow from text": pc.cast(pa.array(texts), pa.float64()).to_pylist(),
}
equal = [
    pc.equal(array[:1], right[0])[0].as_py(),
    duckdb.sql("select 14415.96::decimal(15, 2) = 14415.96::double").fetchall()[0][0],
]
names = "pyarrow", "polars", "duckdb"
print("14415.96 as a double: ", ", ".join(f"{name} {doubles[name][0]!r}" for name in names))
print("equal to 14415.96:    ", ", ".join(f"{name} {answer}" for name, answer in zip(("pyarrow", "duckdb"), equal)))
off = {name: sum(x != y for x, y in zip(found, right)) for name, found in doubles.items()}
print(f"off, of {len(right):,}:      ", ", ".join(f"{name} {number}" for name, number in off.items()))
first = [doubles[name][0] for name in names]
wanted = [14415.960000000001, 14415.96, 14415.96]
wrong = first != wanted or equal != [False, True]
raise SystemExit(wrong or list(off.values()) != [13811, 0, 0, 0])
PY
