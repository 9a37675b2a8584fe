#!/usr/bin/env bash
# duckdb 2.0.1: a quantile of decimal profits and losses depends on the decimal's width.
#
# quantile_cont (and so median) of a decimal interpolates within the column's own scale and cuts
# the rest: towards zero up to a width of 18, down from 19 on. sum() makes decimal(38, 2) of any
# width, so the same losses have another VaR if they went through a sum() of one row each, and of
# losses the wide one is always the larger. No answer is rounded: -7.02 and -3.05, with -5.035
# between them, give -5.03 or -5.04, and 1.00 and 1.99 give 1.49. polars and pyarrow return the
# number itself as a double.
# Seen:
#   median of -10.01 -7.02 -3.05 4.00:    decimal(15, 2) -5.03, decimal(38, 2) -5.04, double -5.035
#   its 10% quantile:                     decimal(15, 2) -9.11, decimal(38, 2) -9.12, double -9.113
#   the same after sum(), one row each:   decimal(38, 2) -9.12
#   median of 1.00 1.99:                  decimal(15, 2) 1.49, decimal(38, 2) 1.49, double 1.495
#   median of the four:                   polars -5.035, pyarrow -5.035
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$work/venv/bin/python" -W ignore - <<'PY'
from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc

LOSSES = ["-10.01", "-7.02", "-3.05", "4.00"]
TYPES = "decimal(15, 2)", "decimal(38, 2)", "double"


def quantile(level, numbers, type_):
    rows = ", ".join(f"({number})" for number in numbers)
    query = f"select quantile_cont(x::{type_}, {level}) from (values {rows}) v(x)"
    return str(duckdb.sql(query).fetchall()[0][0])


def row(title, level, numbers):
    answers = [quantile(level, numbers, type_) for type_ in TYPES]
    print(f"{title:37}", ", ".join(f"{t} {a}" for t, a in zip(TYPES, answers)))
    return answers


seen = [row("median of -10.01 -7.02 -3.05 4.00:", 0.5, LOSSES), row("its 10% quantile:", 0.1, LOSSES)]
rows = ", ".join(f"({i}, {x}::decimal(15, 2))" for i, x in enumerate(LOSSES))
each = f"select sum(x) total from (values {rows}) v(scenario, x) group by scenario"
query = f"select any_value(typeof(total)), quantile_cont(total, 0.1) from ({each})"
summed = [str(x) for x in duckdb.sql(query).fetchall()[0]]
print(f"{'the same after sum(), one row each:':37}", summed[0].lower().replace(",", ", "), summed[1])
seen.append(row("median of 1.00 1.99:", 0.5, ["1.00", "1.99"]))
array = pa.array([Decimal(x) for x in LOSSES], pa.decimal128(15, 2))
others = [polars.from_arrow(array).median(), pc.quantile(array, 0.5)[0].as_py()]
print(f"{'median of the four:':37}", "polars {}, pyarrow {}".format(*others))
wanted = [["-5.03", "-5.04", "-5.035"], ["-9.11", "-9.12", "-9.113"], ["1.49", "1.49", "1.495"]]
raise SystemExit(seen != wanted or summed != ["DECIMAL(38,2)", "-9.12"] or others != [-5.035, -5.035])
PY
