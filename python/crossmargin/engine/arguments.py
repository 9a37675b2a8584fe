"""The arrays that kernels read and fill, grouped.

The functions of the engine check them; the kernels do not check again.
"""

from __future__ import annotations

from typing import NamedTuple

from crossmargin.arrays import Float, Int8, Int32, Integer


class Unions(NamedTuple):
    """Unions of the segments of an account.

    Attributes
    ----------
    segments : int
        Segments G of an account; a book's rows are account * segments + segment.
    ptr : ndarray of int64 [U + 1]
        Where the members of each union begin.
    segment : ndarray of int32
        The segments of each union, ascending.
    """

    segments: int
    ptr: Integer
    segment: Int32

    @property
    def size(self) -> int:
        """The number of unions U."""
        return len(self.ptr) - 1

    def members(self, union: int) -> Int32:
        """Return the segments of a union, ascending."""
        return self.segment[self.ptr[union] : self.ptr[union + 1]]


class TailArrays(NamedTuple):
    """The tails of one measure.

    Attributes
    ----------
    var : ndarray of float64 [A x U]
        USD, loss positive.
    es : ndarray of float64 [A x U]
        USD, loss positive; [A x 0] if not wanted.
    scenario : ndarray of int32 [A x U x k]
        Indices into the measure's scenarios, worst first; [A x U x 0] if not wanted.
    """

    var: Float
    es: Float
    scenario: Int32


class TermArrays(NamedTuple):
    """Instruments as minima of lines, lines as sums of amounts times exponentials.

    Attributes
    ----------
    exponent_ptr, exponent_factor, exponent_weight : ndarray
        u[m, s] = sum of weight * shock[s, factor], in stored order from +0.0; E = exp(-u).
    line_ptr, term_exponent, term_amount, line_offset : ndarray
        A line is (sum of amount * E, in stored order from +0.0) + offset; its base has E = 1.
    instrument_ptr : ndarray of int64 [I + 1]
        The lines of each instrument; its value is their minimum.
    scale : ndarray [I]
    linear_ptr, linear_factor, linear_loading : ndarray
        P = scale * (value - base value), to which each loading * shock[s, factor] of the instrument
        is added in stored order.
    """

    exponent_ptr: Integer
    exponent_factor: Int32
    exponent_weight: Float
    line_ptr: Integer
    term_exponent: Int32
    term_amount: Float
    line_offset: Float
    instrument_ptr: Integer
    scale: Float
    linear_ptr: Integer
    linear_factor: Int32
    linear_loading: Float

    @property
    def instruments(self) -> int:
        """The number of instruments I."""
        return len(self.scale)


class Polynomials(NamedTuple):
    """A polynomial of second order for each instrument.

    Attributes
    ----------
    poly_ptr, poly_feature, poly_coefficient : ndarray
        P = sum of coefficient * feature, in stored order from +0.0. Feature f < K is shock_f; then
        come the products shock_k * shock_l, k <= l, in lexicographic order.
    """

    poly_ptr: Integer
    poly_feature: Int32
    poly_coefficient: Float

    @property
    def instruments(self) -> int:
        """The number of instruments I."""
        return len(self.poly_ptr) - 1


class Spreads(NamedTuple):
    """Inter-commodity spreads in order of priority.

    Attributes
    ----------
    leg_ptr : ndarray of int64 [P + 1]
        Spread p has legs leg_ptr[p]:leg_ptr[p+1]: on both sides, no commodity twice.
    leg_commodity, leg_ratio, leg_side : ndarray [L]
        A leg's commodity, its delta in one spread (> 0), and its side: +1 or -1 (int8).
    rate : ndarray of float64 [P]
        The share of the scan risk that is credited, 0 to 1.
    """

    leg_ptr: Integer
    leg_commodity: Int32
    leg_ratio: Float
    leg_side: Int8
    rate: Float


class SpreadArrays(NamedTuple):
    """The spreads formed, and their credits.

    Attributes
    ----------
    formed, credit : ndarray of float64 [A x P]
        Number of each spread, and its credit in USD.
    remaining : ndarray of float64 [A x C]
        The delta that no spread has used.
    """

    formed: Float
    credit: Float
    remaining: Float


class Pairs(NamedTuple):
    """Pairs of columns in order: longs in one offset shorts in the other.

    Attributes
    ----------
    a, b : ndarray of int32 [Q]
        The columns of each pair; both may be the same.
    weight : ndarray of float64 [Q]
        USD for each unit offset.
    """

    a: Int32
    b: Int32
    weight: Float


class PairArrays(NamedTuple):
    """The offsets of pairs, and what is left.

    Attributes
    ----------
    offset, amount : ndarray of float64 [A x Q]
        Units offset, and units * weight.
    long_left, short_left : ndarray of float64 [A x T]
        Holdings that no pair has offset.
    """

    offset: Float
    amount: Float
    long_left: Float
    short_left: Float


class Windows(NamedTuple):
    """Contiguous scenarios of a cube, and the tail measured in each.

    Attributes
    ----------
    start, size : ndarray of int64 [M]
        The scenarios start to start + size.
    k : ndarray of int64 [M]
        VaR is the k-th largest loss of a window.
    """

    start: Integer
    size: Integer
    k: Integer


class Boxes(NamedTuple):
    """Boxes of quantities.

    Attributes
    ----------
    row : ndarray of int32 [N]
        The row of the base whose P&L is fixed.
    ptr : ndarray of int64 [N + 1]
        The lines of each box.
    instrument : ndarray of int32 [L]
    middle, half : ndarray of float64 [L]
        A line's quantity lies within middle - half and middle + half, long positive.
    bounds : ndarray of int8 [N]
        0 leaves a box out, 1 asks for `low`, 2 for `high` too.
    """

    row: Int32
    ptr: Integer
    instrument: Int32
    middle: Float
    half: Float
    bounds: Int8


class BoxArrays(NamedTuple):
    """VaR in the middle of boxes, and bounds; what is not asked for is not written.

    Attributes
    ----------
    middle : ndarray of float64 [N x M]
        USD, loss positive.
    scenario : ndarray of int32 [N x M]
        The cube's scenario of which `middle` is the loss.
    low, high : ndarray of float64 [N x M]
        USD, loss positive.
    """

    middle: Float
    scenario: Int32
    low: Float
    high: Float
