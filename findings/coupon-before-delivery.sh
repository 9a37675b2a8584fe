#!/usr/bin/env bash
# financepy 1.1.2 and cedardev-fixed-income 1.0.1: implied repo with a coupon before delivery.
#
# A note is bought, pays a coupon and is delivered. The implied repo rate is the one at which that
# leaves nothing, so the futures price here is made from a repo rate of 4.30%, with each library's
# own conversion factor. A coupon paid d days before delivery shortens the loan for d days;
# financepy takes the days from purchase to coupon instead, and its own net_basis at its own
# rate is not zero. cedardev takes the fall of the accrued interest for carry and drops the coupon:
# the rate is 15 percentage points lower, the net basis two points higher, so that a note which
# pays before delivery is hardly ever its cheapest.
# Seen (4 1/8% of 2032-11-15 at 98.75, settlement 2025-05-12, delivery 2025-06-30):
#   rateslib   implied repo   4.3000%  net basis at 4.30%: 0.0000
#   financepy  implied repo   4.2227%  net basis at 4.30%: 0.0000, at its own rate: -0.0104
#   cedardev   implied repo -10.8186%  net basis at 4.30%: 2.0738
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check financepy==1.1.2 cedardev-fixed-income==1.0.1 rateslib==2.7.1
"$work/venv/bin/python" -W ignore - <<'PY'
import contextlib
import io
import logging

logging.disable(logging.CRITICAL)
with contextlib.redirect_stdout(io.StringIO()):
    from financepy.products.bonds.bond import Bond
    from financepy.products.bonds.bond_future import BondFuture as FinancepyFuture
from datetime import date

from cedardev.fixed_income import treasury_futures as cedardev
from cedardev.fixed_income.ust_pricer import USTBond, USTBondPricer
from financepy.utils import Date, DayCountTypes, FrequencyTypes
from rateslib import BondFuture, FixedRateBond, dt

bought, paid, delivered = date(2025, 5, 12), date(2025, 5, 15), date(2025, 6, 30)
before, after = date(2024, 11, 15), date(2025, 11, 15)
clean, coupon, repo = 98.75, 4.125 / 2, 0.043
dirty = clean + coupon * (bought - before).days / (paid - before).days
accrued = coupon * (delivered - paid).days / (after - paid).days
owed = dirty * (1 + repo * (delivered - bought).days / 360)
owed -= coupon * (1 + repo * (delivered - paid).days / 360)
forward = owed - accrued

note = FixedRateBond(dt(2022, 11, 15), dt(2032, 11, 15), fixed_rate=4.125, spec="us_gb")
contract = BondFuture(delivery=(dt(2025, 6, 1), dt(2025, 6, 30)), basket=(note,), spec="us_gb_10y")
quote = forward / float(contract.cfs[0])
rates = {"rateslib": float(contract.implied_repo(quote, [clean], dt(2025, 5, 12))[0])}
bases = {"rateslib": float(contract.net_basis(quote, [clean], [100 * repo], dt(2025, 5, 12))[0])}

terms = FrequencyTypes.SEMI_ANNUAL, DayCountTypes.ACT_ACT_ICMA
note = Bond(Date(15, 11, 2022), Date(15, 11, 2032), 0.04125, *terms)
contract = FinancepyFuture("ZN", Date(1, 6, 2025), Date(30, 6, 2025), 100_000, 0.06)
quote, settle = forward / float(contract.conversion_factor(note)), Date(12, 5, 2025)
own = contract.implied_repo_rate(note, settle, clean, quote)
rates["financepy"] = 100 * own
bases["financepy"] = contract.net_basis(note, settle, clean, quote, repo)
at_own = round(float(contract.net_basis(note, settle, clean, quote, own)), 4)

note = USTBond("-", date(2022, 11, 15), date(2032, 11, 15), 0.04125)
factor = cedardev.ConversionFactorCalculator().calculate(note, date(2025, 6, 1))
future = cedardev.FuturesPosition(cedardev.FuturesContract.ZN, delivered, forward / factor, 1, delivered)
found, _ = cedardev.CTDEngine(USTBondPricer()).find_ctd(future, [(note, clean)], repo, bought)
rates["cedardev"], bases["cedardev"] = 100 * found.implied_repo, found.net_basis / 32

seen = []
for name in rates:
    rate, basis = round(float(rates[name]), 4), abs(round(float(bases[name]), 4))
    more = f", at its own rate: {at_own}" if name == "financepy" else ""
    print(f"{name:10} implied repo {rate:8.4f}%  net basis at 4.30%: {basis:.4f}{more}")
    seen.append((rate, basis))
raise SystemExit(seen != [(4.3, 0.0), (4.2227, 0.0), (-10.8186, 2.0738)] or at_own != -0.0104)
PY
