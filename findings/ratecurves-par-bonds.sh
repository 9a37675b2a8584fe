#!/usr/bin/env bash
# ratecurves 0.1.1: a curve bootstrapped from par rates does not price its own par bonds at par.
#
# bootstrap_from_par_rates solves for one rate a maturity, with the coupons in the gap before it (ten
# years of them before the 30-year) discounted at the last rate found; the finished curve interpolates
# there instead. On the rates of its own docstring the 30-year par bond is worth 100.27,
# off by more than a basis point of yield; only up to a year, where the grid has no gap, is it 100.
# Seen:
#   1y 100.0000  2y 100.0055  5y 100.0284  10y 100.0424  20y 100.2570  30y 100.2748
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check ratecurves==0.1.1
"$work/venv/bin/python" -W ignore - <<'PY'
from ratecurves import bootstrap_from_par_rates

years = [0.5, 1, 2, 3, 5, 7, 10, 20, 30]
par = [0.052, 0.050, 0.047, 0.045, 0.043, 0.042, 0.041, 0.040, 0.039]
curve = bootstrap_from_par_rates(years, par)
worth = {}
for n, rate in zip(years, par):
    discount = [curve.discount(0.5 * k) for k in range(1, int(2 * n) + 1)]
    worth[n] = float(round(100 * (rate / 2 * sum(discount) + discount[-1]), 4))
print("  ".join(f"{n}y {worth[n]:.4f}" for n in (1, 2, 5, 10, 20, 30)))
raise SystemExit(worth[1] != 100.0 or worth[30] != 100.2748)
PY
