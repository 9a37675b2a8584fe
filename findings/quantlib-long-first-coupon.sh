#!/usr/bin/env bash
# QuantLib 1.44: SimpleThenCompounded is the Treasury's convention but for a long first period.
#
# The regulation (31 CFR 356, Appendix B, II) takes simple interest over the fraction of a half-year
# before the next half-yearly date, then compounds. SimpleThenCompounded takes it over all the time
# to the first payment, which is more than a half-year after the issue of a bond with a long first
# period. Short and regular first periods agree with the regulation to the sixth decimal.
# Seen:
#   II.A regular first period: QuantLib  99.057893, the regulation  99.057893
#   II.B short first period:   QuantLib  99.838183, the regulation  99.838183
#   II.C long first period:    QuantLib  99.876065, the regulation  99.805118
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check QuantLib==1.44
"$work/venv/bin/python" -W ignore - <<'PY'
import QuantLib as ql

examples = (
    ("II.A regular first period:", 8.75, 8.84, (15, 5, 1990), (15, 11, 1990), (15, 5, 2020), 99.057893),
    ("II.B short first period:  ", 8.50, 8.59, (2, 4, 1990), (30, 9, 1990), (31, 3, 1992), 99.838183),
    ("II.C long first period:   ", 8.50, 8.53, (1, 3, 1990), (15, 11, 1990), (15, 5, 1995), 99.805118),
)
theirs = []
for name, coupon, rate, *dates, regulation in examples:
    issue, first, maturity = (ql.Date(*d) for d in dates)
    month_end = ql.Date.isEndOfMonth(maturity)
    schedule = ql.Schedule(
        issue, maturity, ql.Period(ql.Semiannual), ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted,
        ql.DateGeneration.Backward, month_end, first,
    )
    days = ql.ActualActual(ql.ActualActual.ISMA, schedule)
    bond = ql.FixedRateBond(0, 100.0, schedule, [coupon / 100], days)
    price = bond.cleanPrice(rate / 100, days, ql.SimpleThenCompounded, ql.Semiannual, issue)
    theirs.append(round(price, 6))
    print(f"{name} QuantLib {price:10.6f}, the regulation {regulation:10.6f}")
raise SystemExit(theirs != [99.057893, 99.838183, 99.876065])
PY
