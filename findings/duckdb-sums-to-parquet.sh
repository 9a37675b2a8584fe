#!/usr/bin/env bash
# duckdb 2.0.1: a sum of integer cents is exact in SQL and a double in the Parquet file.
#
# sum() of any integer is a HUGEINT. What becomes of it depends on the way out: COPY to Parquet,
# df() and fetchnumpy() make it a double, whatever its size; CSV and JSON come back as integers;
# Arrow and polars get decimal(38, 0). Beyond 2**53 cents (90 trillion USD, the size of turnovers
# summed, not of one account) cents are lost: books that differ by one cent agree in the file. The
# same table, written to Parquet through Arrow, keeps the cent.
# Seen:
#   in SQL:                    HUGEINT  A 9007199254740993, B -9007199254740992, difference 1
#   COPY to Parquet:           DOUBLE  A 9007199254740992, B -9007199254740992, difference 0
#   COPY to CSV:               BIGINT  A 9007199254740993, B -9007199254740992, difference 1
#   COPY to JSON:              HUGEINT  A 9007199254740993, B -9007199254740992, difference 1
#   pyarrow's Parquet:         DECIMAL(38,0)  A 9007199254740993, B -9007199254740992, difference 1
#   df():                      float64
#   pl():                      Decimal(precision=38, scale=0)
#   two accounts of one cent:  DOUBLE in Parquet
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==2.3.3
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import duckdb
import pyarrow.parquet as pq

con = duckdb.connect()
con.execute("create table ledger (book varchar, cents bigint)")
con.execute(f"insert into ledger values ('A', {2**53}), ('A', 1), ('B', {-(2**53)})")
SUMS = "select book, sum(cents) as total from ledger group by book order by book"
for name in ("parquet", "csv", "json"):
    con.execute(f"copy ({SUMS}) to 'sums.{name}'")
pq.write_table(con.sql(SUMS).to_arrow_table(), "arrow.parquet")


def row(title, source):
    type_ = con.sql(f"select any_value(typeof(total)) from {source}").fetchall()[0][0]
    books = ", ".join(f"{book} {int(total)}" for book, total in con.sql(f"select * from {source}").fetchall())
    difference = con.sql(f"select sum(total) from {source}").fetchall()[0][0]
    print(f"{title:26} {type_}  {books}, difference {int(difference)}")
    return type_, int(difference)


seen = [row("in SQL:", f"({SUMS})"), row("COPY to Parquet:", "'sums.parquet'"), row("COPY to CSV:", "'sums.csv'")]
seen += [row("COPY to JSON:", "'sums.json'"), row("pyarrow's Parquet:", "'arrow.parquet'")]
frames = [str(con.sql(SUMS).df()["total"].dtype), str(con.sql(SUMS).pl()["total"].dtype)]
print(f"{'df():':26} {frames[0]}\n{'pl():':26} {frames[1]}")
con.execute("copy (select sum(x::integer) as total from (values (1), (1)) v(x)) to 'small.parquet'")
small = con.sql("select typeof(total) from 'small.parquet'").fetchall()[0][0]
print(f"{'two accounts of one cent:':26} {small} in Parquet")
wanted = [("HUGEINT", 1), ("DOUBLE", 0), ("BIGINT", 1), ("HUGEINT", 1), ("DECIMAL(38,0)", 1)]
raise SystemExit(seen != wanted or frames != ["float64", "Decimal(precision=38, scale=0)"] or small != "DOUBLE")
PY
