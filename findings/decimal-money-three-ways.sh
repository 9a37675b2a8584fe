#!/usr/bin/env bash
# pyarrow 26.0.1, polars 2.1.0, duckdb 2.0.1: three answers to the same decimal arithmetic on money.
#
# A table of amounts goes from one to the other as Arrow without a copy, and a product of two
# columns of cents, or a cast to cents, changes its value on the way: pyarrow keeps four places and
# cuts, polars rounds the product itself to cents, half to even, and duckdb rounds half away
# from zero.
# Seen:
#   0.05 * 0.10 of decimal(15, 2): pyarrow 0.0050, polars 0.00, duckdb 0.0050
#   0.145 cast to two places:      pyarrow 0.14, polars 0.14, duckdb 0.15
#   2.675 cast to two places:      pyarrow 2.67, polars 2.68, duckdb 2.68
#   2.00 / 3.00:                   pyarrow 0.6666666666666666, polars 0.67, duckdb 0.6666666666666666
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
"$work/venv/bin/python" -W ignore - <<'PY'
from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc


def row(title, *answers):
    print(f"{title:30} pyarrow {answers[0]}, polars {answers[1]}, duckdb {answers[2]}")
    return [str(a) for a in answers]


def both(number, type_):
    array = pa.array([Decimal(number)], type_)
    return array, polars.from_arrow(array)


def sql(text):
    return duckdb.sql(f"select {text}").fetchall()[0][0]


def cast(number):
    array, series = both(number, pa.decimal128(15, 3))
    cut = pc.cast(array, pa.decimal128(15, 2), safe=False)[0].as_py()
    rounded = series.cast(polars.Decimal(15, 2))[0]
    return row(f"{number} cast to two places:", cut, rounded, sql(f"{number}::decimal(15,3)::decimal(15,2)"))


cents = pa.decimal128(15, 2)
(a, x), (b, y) = both("0.05", cents), both("0.10", cents)
product = sql("0.05::decimal(15,2) * 0.10::decimal(15,2)")
seen = [row("0.05 * 0.10 of decimal(15, 2):", pc.multiply(a, b)[0], (x * y)[0], product)]
seen += [cast("0.145"), cast("2.675")]
(a, x), (b, y) = both("2.00", cents), both("3.00", cents)
row("2.00 / 3.00:", pc.divide(a, b)[0], (x / y)[0], sql("2.00::decimal(15,2) / 3.00::decimal(15,2)"))
wanted = [["0.0050", "0.00", "0.0050"], ["0.14", "0.14", "0.15"], ["2.67", "2.68", "2.68"]]
raise SystemExit(seen != wanted)
PY
