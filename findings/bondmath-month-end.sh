#!/usr/bin/env bash
# bondmath 0.1.3: coupons of month-end Treasuries fall on the 28th and the 30th.
#
# A note that matures on the last day of a month pays on last days (31 CFR 356, Appendix B, table 1).
# coupon_schedule keeps the day of maturity: a note of 28 February pays on 28 August, three days
# early, and interest accrues over 181 days in place of 184.
# Seen (maturity 2027-02-28):
#   bondmath 2025-08-28 2026-02-28 2026-08-28 2027-02-28
#   QuantLib 2025-08-31 2026-02-28 2026-08-31 2027-02-28
#   accrued on 2025-03-31 at 4 5/8%: bondmath 0.396064, 31 days of 184 are 0.389606
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check bondmath==0.1.3 QuantLib==1.44
"$work/venv/bin/python" -W ignore - <<'PY'
from datetime import date

import bondmath
import QuantLib as ql

issue, maturity = date(2025, 2, 28), date(2027, 2, 28)
theirs = [str(d) for d in bondmath.coupon_schedule(issue, maturity, 2)[1:]]
ql_dates = ql.Date(28, 2, 2025), ql.Date(28, 2, 2027), ql.Period(ql.Semiannual), ql.NullCalendar()
month_end = ql.Schedule(*ql_dates, ql.Unadjusted, ql.Unadjusted, ql.DateGeneration.Backward, True)
print("bondmath", *theirs)
print("QuantLib", *(d.ISO() for d in list(month_end)[1:]))
bond = bondmath.Bond(100.0, 0.04625, 2, issue, maturity)
accrued = round(bondmath.accrued_interest(bond, date(2025, 3, 31)).amount, 6)
right = round(100 * 0.04625 / 2 * 31 / 184, 6)
print(f"accrued on 2025-03-31 at 4 5/8%: bondmath {accrued}, 31 days of 184 are {right}")
raise SystemExit(theirs[0] != "2025-08-28" or accrued != 0.396064)
PY
