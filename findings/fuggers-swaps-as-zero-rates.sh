#!/usr/bin/env bash
# fuggers-py 0.3.0: a curve fitted to swap rates takes them for zero rates and reports a perfect fit.
#
# YieldCurve.fit with SwapQuote builds no swap: the par rate of n years becomes the continuously
# compounded zero rate of n years, whatever the index and coupon frequency of the quote. The
# calibration report says "converged" with a residual of zero. The library's own SwapPricer then
# finds other par rates on the curve: 9 basis points lower at 30 years, where a swap at the quoted
# rate, worth nothing by the market, comes out at minus 1.6 million USD per 100 million.
# Seen (SOFR swaps, annual, actual/360 on both legs):
#   report: converged True, largest residual 0.0
#   years  quoted  par rate of the curve  value per 100 million
#       1  3.6000                 3.6154                 15,034
#       2  3.4500                 3.4648                 28,427
#       5  3.5000                 3.5123                 56,125
#      10  3.8500                 3.8315               -154,400
#      30  4.2000                 4.1069             -1,623,506
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check fuggers-py==0.3.0
"$work/venv/bin/python" -W ignore - <<'PY'
from types import SimpleNamespace

from fuggers_py import Currency, Date
from fuggers_py.curves import CurveSpec, YieldCurve
from fuggers_py.rates import FixedLegSpec, FloatingLegSpec, Ois, ScheduleDefinition, SwapPricer, SwapQuote

as_of = Date.from_ymd(2026, 1, 15)
spec = CurveSpec(
    name="sofr", reference_date=as_of, day_count="ACT_365_FIXED", currency="USD",
    type="overnight_discount", extrapolation_policy="hold_last_zero_rate",
)
par = {1: 0.0360, 2: 0.0345, 5: 0.0350, 10: 0.0385, 30: 0.0420}
common = dict(as_of=as_of, currency=Currency.USD, floating_index="SOFR", fixed_frequency="ANNUAL")
quotes = [SwapQuote(f"USD-SOFR-{n}Y", rate=rate, tenor=f"{n}Y", **common) for n, rate in par.items()]
curve = YieldCurve.fit(quotes, spec=spec)
report = curve.calibration_report
print(f"report: converged {report.converged}, largest residual {report.max_abs_residual}")

market = SimpleNamespace(
    discount_curve=curve, forward_curve=None, collateral_curve=None, projection_curves={},
    multicurve_environment=None,
)
legs = dict(notional=100_000_000, day_count_convention="ACT_360", schedule=ScheduleDefinition("ANNUAL"))
print("years  quoted  par rate of the curve  value per 100 million")
seen = {}
for n, rate in par.items():
    paid = FixedLegSpec("PAY", fixed_rate=rate, **legs)
    received = FloatingLegSpec("RECEIVE", index_name="SOFR", index_tenor="1Y", **legs)
    swap = SwapPricer().price(Ois(as_of, Date.from_ymd(2026 + n, 1, 15), paid, received), market)
    seen[n] = round(100 * float(swap.par_rate), 4)
    print(f"{n:5}  {100 * rate:.4f}  {seen[n]:21.4f}  {float(swap.present_value):21,.0f}")
raise SystemExit(report.max_abs_residual != 0 or (seen[1], seen[10], seen[30]) != (3.6154, 3.8315, 4.1069))
PY
