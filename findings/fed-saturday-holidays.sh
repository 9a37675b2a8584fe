#!/usr/bin/env bash
# workalendar 17.0.0 and fuggers-py 0.3.0: holidays on a Saturday close the Fed on the Friday before.
#
# The Federal Reserve Banks (and with them Fedwire, on which Treasuries settle, and the EFFR) stay
# open on the Friday before a Saturday holiday: their published rule. workalendar's
# FederalReserveSystem and fuggers' SIFMA calendar move the holiday to the Friday as federal
# employees do, so that a trade of Thursday settles on Monday. QuantLib has the rule.
# Seen:
#   2021-12-31 (New Year 2022):    workalendar closed, fuggers closed, QuantLib open
#   2023-11-10 (Veterans Day):     workalendar closed, fuggers closed, QuantLib open
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check workalendar==17.0.0 fuggers-py==0.3.0 QuantLib==1.44
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import date

import fuggers_py
import QuantLib as ql
from workalendar.usa import FederalReserveSystem

word = {True: "open", False: "closed"}
fed, sifma = FederalReserveSystem(), fuggers_py.CalendarId.sifma().to_calendar()
bank = ql.UnitedStates(ql.UnitedStates.FederalReserve)
seen = []
for day, name in ((date(2021, 12, 31), "New Year 2022"), (date(2023, 11, 10), "Veterans Day")):
    ymd = day.year, day.month, day.day
    row = [fed.is_working_day(day), sifma.is_business_day(fuggers_py.Date.from_ymd(*ymd))]
    row.append(bank.isBusinessDay(ql.Date(*reversed(ymd))))
    words = [word[bool(x)] for x in row]
    print(f"{day} ({name + '):':15} workalendar {words[0]}, fuggers {words[1]}, QuantLib {words[2]}")
    seen.append(words)
raise SystemExit(seen != [["closed", "closed", "open"]] * 2)
PY
