from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.market.components import jacobi, mean_products, principal_components, whitened


def test_one_direction_has_one_component() -> None:
    """Moves of (3, 4) and back: one standard deviation is that move."""
    found = principal_components(np.array([[3.0, 4.0], [-3.0, -4.0]]), 2)
    np.testing.assert_allclose(found.move, [[3.0, 4.0]], rtol=1e-15)
    assert found.share.tolist() == [1.0]


def test_two_correlated_factors_by_hand() -> None:
    """[[2, 1], [1, 2]] has the eigenvalues 3 along (1, 1) and 1 along (1, -1)."""
    variance, vector = jacobi(np.array([[2.0, 1.0], [1.0, 2.0]]))
    np.testing.assert_allclose(sorted(variance), [1.0, 3.0], rtol=1e-15)
    along = vector[:, int(variance.argmax())]
    np.testing.assert_allclose(np.abs(along), [0.5**0.5] * 2, rtol=1e-15)
    assert along[0] * along[1] > 0.0


def test_the_largest_entry_of_a_component_is_positive() -> None:
    found = principal_components(np.array([[-1.0, -5.0], [1.0, 5.1], [0.5, -0.1]]), 2)
    assert (np.take_along_axis(found.move, np.abs(found.move).argmax(1)[:, None], 1) > 0.0).all()
    assert found.share[0] > found.share[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14))
def test_eigenvectors_are_those_of_lapack(seed: int, factors: int) -> None:
    shock = np.random.default_rng(seed).normal(size=(40, factors)) * 1e-3
    matrix = mean_products(shock)
    variance, vector = jacobi(matrix)
    np.testing.assert_allclose(np.sort(variance), np.linalg.eigvalsh(matrix), rtol=1e-9)
    np.testing.assert_allclose(vector.T @ vector, np.eye(factors), atol=1e-13)
    np.testing.assert_allclose(matrix @ vector, vector * variance, atol=1e-18)


def test_lengths_are_mahalanobis_and_dependent_factors_add_nothing() -> None:
    shock = np.random.default_rng(7).normal(size=(200, 4)) * [1.0, 2.0, 0.5, 3.0]
    inverse = np.linalg.inv(mean_products(shock))
    expected = np.sqrt(np.einsum("sk,kl,sl->s", shock, inverse, shock))
    length = np.sqrt((whitened(shock) ** 2).sum(axis=0))
    np.testing.assert_allclose(length, expected, rtol=1e-12)
    more = np.column_stack([shock, shock[:, 0] - shock[:, 2], np.zeros(200)])
    assert whitened(more).shape == (4, 200)
    np.testing.assert_allclose((whitened(more) ** 2).sum(axis=0), expected**2, rtol=1e-12)


def test_moves_that_are_all_zero_have_no_coordinates() -> None:
    assert whitened(np.zeros((5, 2))).shape == (0, 5)
    assert principal_components(np.zeros((5, 2)), 3).move.shape == (0, 2)
