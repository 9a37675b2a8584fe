#!/usr/bin/env bash
# rateslib 2.7.1: a one-month SOFR future leaves out the weekend that its month begins on.
#
# The contract (CME 461) settles to the average of SOFR over every calendar day of its month; a day
# without a fixing takes the one before. STIRFuture with spec "usd_stir1" moves the first and the
# last day to business days. November 2025 began on a Saturday, whose rate was Friday's month-end
# 4.22%: 28 days are averaged in place of 30, and the price is 1.6 basis points too high, six
# ticks or 66 USD a contract. May 2025 ended on a Saturday: 1 June counts as a day of it. With
# modifier "none", which would leave the days as they are, the rate is refused.
# Seen (November 2025 on a curve of the New York Fed's fixings):
#   rateslib 2025-11-03 to 2025-12-01: 96.0193
#   the contract's rule:               96.0033
#   rateslib for May 2025: 2025-05-01 to 2025-06-02
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check rateslib==2.7.1
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import datetime, timedelta

from rateslib import Curve, STIRFuture

november = """3 4.13 4 4.00 5 3.91 6 3.92 7 3.93 10 3.95 12 3.98 13 4.00 14 3.95 17 4.00
18 3.94 19 3.91 20 3.91 21 3.93 24 3.96 25 4.01 26 4.05 28 4.12""".split()
sofr = {datetime(2025, 10, 31): 4.22}
sofr |= {datetime(2025, 11, int(d)): float(r) for d, r in zip(november[::2], november[1::2])}

ends = [*sorted(sofr), datetime(2025, 12, 1)]
nodes = {ends[0]: 1.0}
for start, end in zip(ends, ends[1:]):
    nodes[end] = nodes[start] / (1 + sofr[start] / 100 * (end - start).days / 360)
curve = Curve(nodes, interpolation="log_linear", convention="act360", calendar="nyc")


def future(start, end):
    contract = STIRFuture(start, end, spec="usd_stir1", curves=[curve])
    period = contract.leg2.periods[0].period_params
    return contract, f"{period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}"


contract, days = future(datetime(2025, 11, 1), datetime(2025, 12, 1))
price = round(float(contract.rate(metric="price")), 4)
month = [datetime(2025, 11, 1) + timedelta(n) for n in range(30)]
average = sum(sofr[max(d for d in sofr if d <= day)] for day in month) / 30
may = future(datetime(2025, 5, 1), datetime(2025, 6, 1))[1]
print(f"rateslib {days}: {price}")
print(f"the contract's rule:               {100 - average:.4f}")
print(f"rateslib for May 2025: {may}")
raise SystemExit((price, days, may) != (96.0193, "2025-11-03 to 2025-12-01", "2025-05-01 to 2025-06-02"))
PY
