"""Random draws that give the same bits on every machine and with every version of NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossmargin import exact
from crossmargin.arrays import Float, Integer

UNIFORMS_PER_NORMAL = 12


class Draws:
    """A seeded stream of draws for one purpose.

    It uses exact arithmetic and the raw 64-bit output of PCG64, which NumPy promises never to
    change. NumPy's own distributions may change between versions.

    Parameters
    ----------
    seed : int
        Zero or more.
    purpose : str
        Streams of different purposes are independent: a larger table does not change another.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence((seed, *purpose.encode())))

    def uniform(self, *shape: int) -> Float:
        """Return multiples of 2^-53 in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return np.asarray((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)

    def normal(self, *shape: int) -> Float:
        """Return standard normal draws, as the sum of twelve uniforms less six: within +-6."""
        return exact.ordered_sum(self.uniform(*shape, UNIFORMS_PER_NORMAL)) - 6.0

    def lognormal(self, sigma: float, *shape: int) -> Float:
        """Return exp(sigma * normal): median 1."""
        return exact.exp(sigma * self.normal(*shape))

    def below(self, bound: int | Integer, *shape: int) -> Integer:
        """Return whole numbers in [0, bound); `bound` broadcasts against `shape`."""
        return np.asarray(np.floor(self.uniform(*shape) * bound)).astype(np.int64)

    def pick(self, weights: npt.ArrayLike, *shape: int) -> Integer:
        """Return indices drawn in proportion to `weights`, [W]."""
        edge = np.cumsum(np.asarray(weights, np.float64))
        drawn = np.searchsorted(edge, self.uniform(*shape) * edge[-1], side="right")
        return np.asarray(np.minimum(drawn, edge.size - 1))
