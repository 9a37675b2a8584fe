#!/usr/bin/env bash
# pandas_market_calendars 5.5.0: SIFMA_US is the right calendar since 2021 only.
#
# The Treasury's own daily par yields tell on which days its market was open. SIFMA_US knows that
# it opens on a Good Friday with a jobs report in 2021, 2023 and 2026 but shuts it in 2007, 2010,
# 2012 and 2015 (QuantLib's GovernmentBond has all seven), and trades through 2004-06-11,
# 2012-10-30 (hurricane Sandy) and 2018-12-05, days without a Treasury yield. A three-day move
# over such a date comes from the wrong rows.
# Seen:
#   Good Fridays with a jobs report closed: ['2007-04-06', '2010-04-02', '2012-04-06', '2015-04-03']
#   closes it trades through: ['2004-06-11', '2012-10-30', '2018-12-05']
#   QuantLib: all Good Fridays open True, all closes closed True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pandas_market_calendars==5.5.0 QuantLib==1.44
"$work/venv/bin/python" -W ignore - <<'PY'
import pandas_market_calendars as mcal
import QuantLib as ql

fridays = ["2007-04-06", "2010-04-02", "2012-04-06", "2015-04-03", "2021-04-02", "2023-04-07", "2026-04-03"]
closes = ["2004-06-11", "2012-10-30", "2018-12-05"]
days = mcal.get_calendar("SIFMA_US").valid_days("2004-01-01", "2026-12-31")
theirs = {str(d)[:10] for d in days}
other = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
is_open = {d: other.isBusinessDay(ql.DateParser.parseISO(d)) for d in fridays + closes}
shut = [d for d in fridays if d not in theirs]
through = [d for d in closes if d in theirs]
print("Good Fridays with a jobs report closed:", shut)
print("closes it trades through:", through)
all_open, all_closed = all(is_open[d] for d in fridays), not any(is_open[d] for d in closes)
print(f"QuantLib: all Good Fridays open {all_open}, all closes closed {all_closed}")
raise SystemExit(shut != fridays[:4] or through != closes or not (all_open and all_closed))
PY
