"""V_F in columns and in plain numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.margin.ficc import _scalar
from crossmargin.margin.ficc.rule import v_ficc
from crossmargin.margin.portfolios import Portfolios

usd = st.one_of(st.sampled_from([0.0, 1.0, 100.0]), st.floats(2.0**-20, 1e11))
portfolios = st.tuples(*[usd] * 5)


def test_v_is_the_largest_of_the_three() -> None:
    var, minimum, floor = (
        (5.0, 1.0, 2.0, -3.0, 4.0),
        (1.0, 5.0, 2.0, -4.0, 4.0),
        (0.0,) * 4 + (9.0,),
    )
    expected = [5.0, 5.0, 2.0, 0.0, 9.0]
    assert v_ficc(np.array(var), np.array(minimum), np.array(floor)).tolist() == expected
    assert list(_scalar.v_ficc(var, minimum, floor)) == expected


@given(portfolios, portfolios, portfolios)
def test_one_account_is_the_row_of_the_columns(
    var: Portfolios, minimum: Portfolios, floor: Portfolios
) -> None:
    expected = v_ficc(np.array(var), np.array(minimum), np.array(floor))
    assert np.array(_scalar.v_ficc(var, minimum, floor)).tobytes() == expected.tobytes()
    lower = tuple(-x - 1.0 for x in var)
    assert _scalar.v_ficc(lower, lower, floor) == floor  # type: ignore[arg-type]
