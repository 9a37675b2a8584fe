"""V_C in columns and in plain numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.margin.cme import _scalar
from crossmargin.margin.cme.rule import v_cme, v_cme_stressed
from crossmargin.margin.portfolios import Portfolios

measures = st.tuples(*[st.floats(-1e10, 1e10)] * 5)


def test_v_is_the_mean_of_both_but_never_negative() -> None:
    hvar, svar = (8.0, 4.0, 0.0, -8.0, -4.0), (4.0, 8.0, 12.0, 4.0, 16.0)
    assert v_cme_stressed(0.75, np.array(hvar), np.array(svar)).tolist() == [
        7.0,
        5.0,
        3.0,
        0.0,
        1.0,
    ]
    assert _scalar.v_cme_stressed(0.75, hvar, svar) == (7.0, 5.0, 3.0, 0.0, 1.0)
    assert v_cme(np.array(hvar)).tolist() == [8.0, 4.0, 0.0, 0.0, 0.0]
    assert _scalar.v_cme(hvar) == (8.0, 4.0, 0.0, 0.0, 0.0)


@given(measures, measures, st.sampled_from([0.0, 0.75, 1.0]))
def test_one_account_is_the_row_of_the_columns(
    hvar: Portfolios, svar: Portfolios, weight: float
) -> None:
    h, s = np.array(hvar), np.array(svar)
    stressed = v_cme_stressed(weight, h, s)
    assert _scalar.v_cme_stressed(weight, hvar, svar) == tuple(stressed.tolist())
    assert _scalar.v_cme(hvar) == tuple(v_cme(h).tolist())
