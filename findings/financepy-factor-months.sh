#!/usr/bin/env bash
# financepy 1.1.2: a conversion factor for a bond that is a month shorter than it says.
#
# The exchange counts whole months from the first day of the delivery month: from 1 March 2026 to
# 30 November 2032 there are 6 years and 8, cut to 6 years and 2 quarters. BondFuture counts
# ACT/ACT years, which give 6.75, that is 9 months and a third quarter. The same note maturing two
# weeks earlier, on the 15th, gets the exchange's factor.
# Seen (coupon 4%, the ten-year contract of March 2026):
#   maturity 2032-11-15: financepy 0.8937, the exchange's formula 0.8937
#   maturity 2032-11-30: financepy 0.8902, the exchange's formula 0.8937
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check financepy==1.1.2
"$work/venv/bin/python" -W ignore - <<'PY'
from financepy.products.bonds.bond import Bond
from financepy.products.bonds.bond_future import BondFuture
from financepy.utils import Date, DayCountTypes, FrequencyTypes


def formula(coupon, years, months):
    # CBOT's: months cut to quarters, a price at 6% less accrued interest.
    z = months - months % 3
    v = 3 if z >= 7 else z
    k = 1.03 ** -(2 * years + (z >= 7))
    price = 1.03 ** (-v / 6) * (coupon / 2 + k + coupon / 0.06 * (1 - k))
    return round(price - coupon / 2 * (6 - v) / 6, 4)


contract = BondFuture("ZN", Date(1, 3, 2026), Date(31, 3, 2026), 100_000, 0.06)
theirs = []
for day in (15, 30):
    terms = Date(day, 11, 2025), Date(day, 11, 2032), 0.04
    bond = Bond(*terms, FrequencyTypes.SEMI_ANNUAL, DayCountTypes.ACT_ACT_ICMA)
    theirs.append(float(contract.conversion_factor(bond)))
    print(f"maturity 2032-11-{day}: financepy {theirs[-1]}, the exchange's formula {formula(0.04, 6, 8)}")
raise SystemExit(theirs != [0.8937, 0.8902])
PY
