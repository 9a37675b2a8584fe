#!/usr/bin/env bash
# riskfolio-lib 7.4.0, skfolio 1.12.2, empyrical-reloaded 0.7.1, polars 2.1.0: four
# answers to the 99% historical VaR of 500 scenarios.
#
# The k-th worst scenario loses 501 - k, so that an answer tells its rank. 1% of 500 is 5 exactly:
# the fifth worst loss, the sixth, or one between them; polars gives the fifth or the sixth by the
# sign of the column.
# Seen:
#   riskfolio VaR_Hist(alpha=0.01)             496.00  rank 5
#   skfolio value_at_risk(beta=0.99)           495.00  rank 6
#   empyrical value_at_risk(cutoff=0.01)       495.01  rank 5.99
#   polars P&L quantile 0.01, "lower"          496.00  rank 5
#   polars losses quantile 0.99, "lower"       495.00  rank 6
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check riskfolio-lib==7.4.0 skfolio==1.12.2 empyrical-reloaded==0.7.1 polars==2.1.0
"$work/venv/bin/python" -W ignore - <<'PY'
import empyrical
import numpy as np
import polars
import riskfolio
from skfolio import measures

pnl = -np.random.default_rng(1).permutation(np.arange(1.0, 501.0))
answers = {
    "riskfolio VaR_Hist(alpha=0.01)": riskfolio.VaR_Hist(pnl, alpha=0.01),
    "skfolio value_at_risk(beta=0.99)": measures.value_at_risk(pnl, beta=0.99),
    "empyrical value_at_risk(cutoff=0.01)": -empyrical.value_at_risk(pnl, cutoff=0.01),
    'polars P&L quantile 0.01, "lower"': -polars.Series(pnl).quantile(0.01, "lower"),
    'polars losses quantile 0.99, "lower"': polars.Series(-pnl).quantile(0.99, "lower"),
}
for name, loss in answers.items():
    print(f"{name:42} {loss:.2f}  rank {501 - loss:.6g}")
ranks = [round(float(501 - loss), 2) for loss in answers.values()]
raise SystemExit(ranks != [5, 6, 5.99, 5, 6])
PY
