#!/usr/bin/env bash
# financepy 1.1.2: its United States calendar closes on two days for one New Year.
#
# 1 January 2022 was a Saturday. CalendarTypes.UNITED_STATES moves the holiday back to Friday
# 31 December 2021 and on to Monday 3 January 2022 as well. The Federal Reserve Banks, by their
# published rule, open on the Friday before a Saturday holiday, and no one closed on the Monday:
# the Treasury published yields on both days. QuantLib's three US calendars that could be meant
# have at most one of the two.
# Seen:
#   2021-12-31 financepy closed  {'FederalReserve': 'open', 'GovernmentBond': 'open', 'Settlement': 'closed'}
#   2022-01-03 financepy closed  {'FederalReserve': 'open', 'GovernmentBond': 'open', 'Settlement': 'open'}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check financepy==1.1.2 QuantLib==1.44
"$work/venv/bin/python" -W ignore - <<'PY'
import QuantLib as ql
from financepy.utils import Calendar, CalendarTypes, Date

theirs = Calendar(CalendarTypes.UNITED_STATES)
word = {True: "open", False: "closed"}
closed = []
for day, month, year in ((31, 12, 2021), (3, 1, 2022)):
    is_open = theirs.is_business_day(Date(day, month, year))
    others = {
        name: word[ql.UnitedStates(getattr(ql.UnitedStates, name)).isBusinessDay(ql.Date(day, month, year))]
        for name in ("FederalReserve", "GovernmentBond", "Settlement")
    }
    print(f"{year}-{month:02}-{day:02} financepy {word[is_open]} ", others)
    closed.append(not is_open)
raise SystemExit(closed != [True, True])
PY
