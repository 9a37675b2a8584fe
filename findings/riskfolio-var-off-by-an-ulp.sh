#!/usr/bin/env bash
# riskfolio-lib 7.4.0: VaR of the same share of scenarios is one scenario apart by rounding.
#
# VaR_Hist takes the loss number ceil(alpha * T). 0.07 * 100 is 7.000000000000001 in binary, so the
# tail of 7 in 100 has 8 scenarios, while 0.06 * 100 is 6 and has 6.
# Seen (the k-th worst scenario loses T + 1 - k):
#   7% of 100: rank 8, not 7
#   6% of 100: rank 6
#   55% of 100: rank 56, not 55
#   1% of 500: rank 5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check riskfolio-lib==7.4.0
"$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import riskfolio

ranks = []
for percent, size in ((7, 100), (6, 100), (55, 100), (1, 500)):
    loss = riskfolio.VaR_Hist(-np.arange(1.0, size + 1), alpha=percent / 100)
    ranks.append(round(float(size + 1 - loss)))
    right = percent * size // 100
    print(f"{percent}% of {size}: rank {ranks[-1]}" + (f", not {right}" if ranks[-1] != right else ""))
raise SystemExit(ranks != [8, 6, 56, 5])
PY
