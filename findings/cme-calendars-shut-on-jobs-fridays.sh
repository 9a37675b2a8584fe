#!/usr/bin/env bash
# exchange_calendars 4.13.2 and holidays 0.109: CME is shut where its rate futures trade.
#
# Both keep one calendar for all of CME, after its equity products. Interest-rate futures trade (to
# late morning) on a Good Friday that has a jobs report, and traded on 2025-01-09, a day
# of mourning for stocks. pandas_market_calendars has a calendar for rates besides, which knows the
# Good Fridays and not the day of mourning.
# Seen:
#   day         CMES of exchange_calendars  XCME of holidays  CME_Rate of pandas_market_calendars
#   2021-04-02  shut                        shut              open
#   2023-04-07  shut                        shut              open
#   2025-01-09  shut                        shut              shut
#   2026-04-03  shut                        shut              open
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check exchange_calendars==4.13.2 holidays==0.109 pandas_market_calendars==5.5.0
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import date

import exchange_calendars
import holidays
import pandas_market_calendars as mcal

word = {True: "open", False: "shut"}
cmes = exchange_calendars.get_calendar("CMES", start="2021-01-01", end="2026-12-31")
xcme = holidays.financial_holidays("XCME", years=range(2021, 2027))
rate = {str(d)[:10] for d in mcal.get_calendar("CME_Rate").valid_days("2021-01-01", "2026-12-31")}
print("day         CMES of exchange_calendars  XCME of holidays  CME_Rate of pandas_market_calendars")
seen = []
for day in ("2021-04-02", "2023-04-07", "2025-01-09", "2026-04-03"):
    row = [cmes.is_session(day), date.fromisoformat(day) not in xcme, day in rate]
    seen.append([word[bool(x)] for x in row])
    print(f"{day}  {seen[-1][0]:28}{seen[-1][1]:18}{seen[-1][2]}")
wanted = [["shut", "shut", "open"]] * 2 + [["shut"] * 3, ["shut", "shut", "open"]]
raise SystemExit(seen != wanted)
PY
