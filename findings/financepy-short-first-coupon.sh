#!/usr/bin/env bash
# financepy 1.1.2: interest in a short first period accrues as if the period were a full one.
#
# Bond takes the issue date for a coupon date, so the days since issue are divided by the days from
# issue to the first coupon and half the annual coupon is earned in them. The regulation (31 CFR
# 356, Appendix B) divides by the days of the whole half-year. Its example II.F: 10 1/2% of
# 1991-05-15, issued 1983-05-16 (a day late), settled 1983-08-15; II.B pays a first coupon of
# 181 days of 183.
# Seen:
#   II.F accrued interest: financepy 2.610656, the regulation 2.596467
#   II.B price at 8.59%:   financepy 99.837784, the regulation 99.838183
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check financepy==1.1.2
"$work/venv/bin/python" -W ignore - <<'PY'
from financepy.products.bonds.bond import Bond, YTMCalcType
from financepy.utils import Date, DayCountTypes, FrequencyTypes


def bond(issue, maturity, coupon):
    return Bond(issue, maturity, coupon, FrequencyTypes.SEMI_ANNUAL, DayCountTypes.ACT_ACT_ICMA)


f = bond(Date(16, 5, 1983), Date(15, 5, 1991), 0.105)
accrued = round(float(f.accrued_interest(Date(15, 8, 1983), 100.0)), 6)
b = bond(Date(2, 4, 1990), Date(31, 3, 1992), 0.085)
price = round(float(b.clean_price_from_ytm(Date(2, 4, 1990), 0.0859, YTMCalcType.US_TREASURY)), 6)
print(f"II.F accrued interest: financepy {accrued}, the regulation 2.596467")
print(f"II.B price at 8.59%:   financepy {price}, the regulation 99.838183")
raise SystemExit((accrued, price) != (2.610656, 99.837784))
PY
