#!/usr/bin/env bash
# cedardev-fixed-income 1.0.1: a fair futures price that includes the bond's accrued interest.
#
# The long pays futures price times conversion factor plus the interest accrued at delivery (the
# exchange's invoice amount). theoretical_futures_price divides the whole forward price by the
# factor, accrued interest and all, though its text speaks of the price at which the net basis is
# zero. It is too high by that interest over the factor, 579 USD a contract of 100,000 USD here.
# Seen (4 1/8% of 2032-11-15 at 98.75, factor 0.8910, repo 4.30%, 2025-05-12 to 2025-06-30):
#   cedardev 111.4414, fair 110.8627
#   paid at delivery for the fair price 99.2943, at cedardev's 99.8099; the bond has cost 99.2943
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check cedardev-fixed-income==1.0.1
"$work/venv/bin/python" -W ignore - <<'PY'
import logging
from datetime import date

logging.disable(logging.CRITICAL)
from cedardev.fixed_income.treasury_futures import theoretical_futures_price
from cedardev.fixed_income.ust_pricer import USTBond

bought, paid, delivered = date(2025, 5, 12), date(2025, 5, 15), date(2025, 6, 30)
before, after = date(2024, 11, 15), date(2025, 11, 15)
clean, coupon, factor, repo = 98.75, 4.125 / 2, 0.8910, 0.043
dirty = clean + coupon * (bought - before).days / (paid - before).days
accrued = coupon * (delivered - paid).days / (after - paid).days
cost = dirty * (1 + repo * (delivered - bought).days / 360)
cost -= coupon * (1 + repo * (delivered - paid).days / 360)

bond = USTBond("-", date(2022, 11, 15), date(2032, 11, 15), 0.04125)
theirs = theoretical_futures_price(bond, factor, clean, bought, delivered, repo)
fair = (cost - accrued) / factor
print(f"cedardev {theirs:.4f}, fair {fair:.4f}")
invoices = [round(quote * factor + accrued, 4) for quote in (fair, theirs)]
print("paid at delivery for the fair price {}, at cedardev's {};".format(*invoices), f"the bond has cost {cost:.4f}")
raise SystemExit(round(theirs, 4) != 111.4414)
PY
