#!/usr/bin/env bash
# cedardev-fixed-income 1.0.1: a quarter of a year is discounted twice in conversion factors.
#
# Where two months are left over after whole quarters, the routine adds a quarter to the term,
# discounts each flow for it, and then multiplies by another half-period. The factor is some 2.6%
# too low, 2,660 USD on the invoice of one 100,000 USD contract at a price of 100.
# Seen (the ten-year contract of March 2025, 4 1/8% of 2031-11-30, and a month later):
#   maturity 2031-11-30: cedardev 0.8737, the exchange's formula 0.9003
#   maturity 2031-12-31: cedardev 0.8972, the exchange's formula 0.8971
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check cedardev-fixed-income==1.0.1
"$work/venv/bin/python" -W ignore - <<'PY'
import logging
from datetime import date

logging.disable(logging.CRITICAL)
from cedardev.fixed_income.treasury_futures import ConversionFactorCalculator
from cedardev.fixed_income.ust_pricer import USTBond


def formula(coupon, years, months):
    # CBOT's: months cut to quarters, a price at 6% less accrued interest.
    z = months - months % 3
    v = 3 if z >= 7 else z
    k = 1.03 ** -(2 * years + (z >= 7))
    price = 1.03 ** (-v / 6) * (coupon / 2 + k + coupon / 0.06 * (1 - k))
    return round(price - coupon / 2 * (6 - v) / 6, 4)


theirs = []
for maturity, months in ((date(2031, 11, 30), 8), (date(2031, 12, 31), 9)):
    bond = USTBond("-", date(2024, 12, 2), maturity, 0.04125)
    theirs.append(ConversionFactorCalculator().calculate(bond, date(2025, 3, 1)))
    ours = formula(0.04125, 6, months)
    print(f"maturity {maturity}: cedardev {theirs[-1]}, the exchange's formula {ours}")
raise SystemExit(theirs != [0.8737, 0.8972])
PY
