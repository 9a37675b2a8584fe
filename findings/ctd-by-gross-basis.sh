#!/usr/bin/env bash
# financepy 1.1.2 and fuggers-py 0.3.0: the cheapest bond to deliver is picked without its carry.
#
# The cheapest to deliver is the bond that earns most when bought, financed and delivered: the
# highest implied repo rate. Both libraries take the lowest gross basis, which leaves coupons and
# financing out and so favours low coupons months before delivery. On the ten-year contract of June
# 2025, all bonds at a yield of 4.25%, they name the 1 7/8% of February 2032, whose implied repo is
# 1.4 percentage points below that of the 4 1/2% of December 2031. rateslib names the latter.
# Seen (settlement 2025-03-14, delivery 2025-06-30, futures price 110.20):
#   coupon  price     factor  gross basis  implied repo
#   4.5     101.4570  0.9202       0.0510        4.2058
#   1.875    85.8790  0.7807      -0.1541        2.7650
#   cheapest: financepy 1.875, fuggers 1.875, rateslib 4.5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check financepy==1.1.2 fuggers-py==0.3.0 rateslib==2.7.1
"$work/venv/bin/python" -W ignore - <<'PY'
import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):
    from financepy.products.bonds import bond as fp
    from financepy.products.bonds.bond_future import BondFuture as FinancepyFuture
from datetime import date, datetime

import fuggers_py
from financepy.utils import Date, DayCountTypes, FrequencyTypes
from fuggers_py.rates import DeliverableBasket, DeliverableBond, GovernmentBondFuture
from fuggers_py.rates.futures.ctd import cheapest_to_deliver
from rateslib import BondFuture, FixedRateBond

settlement, first, last, quote = date(2025, 3, 14), date(2025, 6, 1), date(2025, 6, 30), 110.20
notes = {
    4.5: (date(2024, 12, 31), date(2031, 12, 31), 0.9202),
    1.875: (date(2022, 2, 15), date(2032, 2, 15), 0.7807),
}


def dt(day):
    return datetime(day.year, day.month, day.day)


def fpd(day):
    return Date(day.day, day.month, day.year)


def fgd(day):
    return fuggers_py.Date.from_ymd(day.year, day.month, day.day)


bonds = [FixedRateBond(dt(i), dt(m), fixed_rate=c, spec="us_gb") for c, (i, m, _) in notes.items()]
prices = [round(float(b.price(4.25, dt(settlement))), 4) for b in bonds]
contract = BondFuture(delivery=(dt(first), dt(last)), basket=tuple(bonds), spec="us_gb_10y")
factors = [float(f) for f in contract.cfs]
repo = [round(float(r), 4) for r in contract.implied_repo(quote, prices, dt(settlement))]
best = [[*notes][contract.ctd_index(quote, prices, dt(settlement))]]

terms = FrequencyTypes.SEMI_ANNUAL, DayCountTypes.ACT_ACT_ICMA
theirs = {c: fp.Bond(fpd(i), fpd(m), c / 100, *terms) for c, (i, m, _) in notes.items()}
future = FinancepyFuture("ZN", fpd(first), fpd(last), 100_000, 0.06)
picked = future.ctd([*theirs.values()], prices, quote)
best.insert(0, next(c for c, b in theirs.items() if b is picked))

deliverables = tuple(
    DeliverableBond(f"NOTE-{c}", fgd(i), fgd(m), c / 100, price, published_conversion_factor=f)
    for (c, (i, m, f)), price in zip(notes.items(), prices)
)
june = GovernmentBondFuture(
    instrument_id="ZNM5", delivery_month="2025-06", delivery_date=fgd(last), standard_coupon_rate="0.06"
)
found = cheapest_to_deliver(june, DeliverableBasket(fgd(settlement), deliverables), quote)
best.insert(1, float(found.cheapest_to_deliver.as_str().split("-")[1]))

print("coupon  price     factor  gross basis  implied repo")
for c, price, factor, rate in zip(notes, prices, factors, repo):
    print(f"{c:<6} {price:9.4f}  {factor:.4f}  {price - factor * quote:11.4f}  {rate:12.4f}")
print("cheapest: financepy {}, fuggers {}, rateslib {}".format(*best))
raise SystemExit(best != [1.875, 1.875, 4.5] or repo != [4.2058, 2.765])
PY
