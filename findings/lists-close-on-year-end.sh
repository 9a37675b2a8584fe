#!/usr/bin/env bash
# stock-exchange-holidays 0.2.0 and nysecalendar 0.0.4: shut on year-end, and on Juneteenth 2019.
#
# The list of CME in stock-exchange-holidays has 31 December, "Last day of year", for a holiday,
# though futures settle and repos roll on it, and leaves a holiday on the Sunday it falls on: Monday
# 26 December 2022 and Monday 2 January 2023 are open. nysecalendar knows Juneteenth as a
# holiday since 2022, but decides so once for the range asked for: the day in 2019 is a holiday
# if the range ends in 2022 and none if it ends in 2021. The other words of each line are those of
# pandas_market_calendars 5.5.0, whose CME_Rate is for interest-rate futures.
# Seen:
#   2020-12-31  stock-exchange-holidays shut  CME_Rate open
#   2021-12-31  stock-exchange-holidays shut  CME_Rate open
#   2022-12-26  stock-exchange-holidays open  CME_Rate shut
#   2023-01-02  stock-exchange-holidays open  CME_Rate shut
#   2019-06-19  nysecalendar to 2021 open, to 2022 shut  NYSE open
#   2020-06-19  nysecalendar to 2021 open, to 2022 shut  NYSE open
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    stock-exchange-holidays==0.2.0 nysecalendar==0.0.4 python-dateutil==2.9.0.post0 pandas_market_calendars==5.5.0
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import date

import pandas_market_calendars as mcal
from nysecalendar.nysecalendar import NYSE_holidays
from stock.stock_exchange_holidays import CME, Holidays

WORD = {True: "open", False: "shut"}
names = "CME_Rate", "NYSE"
rate, stocks = ({str(d)[:10] for d in mcal.get_calendar(n).valid_days("2019-01-01", "2022-12-31")} for n in names)
listed = Holidays(CME)
seen = []
for day in ("2020-12-31", "2021-12-31", "2022-12-26", "2023-01-02"):
    row = [WORD[not listed.is_date_holiday(date.fromisoformat(day))], WORD[day in rate]]
    print(f"{day}  stock-exchange-holidays {row[0]}  CME_Rate {row[1]}")
    seen.append(row)
shut = {y: {str(d)[:10] for d in NYSE_holidays(date(2019, 1, 1), date(y, 12, 31))} for y in (2021, 2022)}
for day in ("2019-06-19", "2020-06-19"):
    row = [WORD[day not in shut[2021]], WORD[day not in shut[2022]], WORD[day in stocks]]
    print(f"{day}  nysecalendar to 2021 {row[0]}, to 2022 {row[1]}  NYSE {row[2]}")
    seen.append(row)
wanted = [["shut", "open"]] * 2 + [["open", "shut"]] * 2 + [["open", "shut", "open"]] * 2
raise SystemExit(seen != wanted)
PY
