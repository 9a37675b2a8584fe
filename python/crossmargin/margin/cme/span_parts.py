"""What V_C by scan ranges is the sum of, shared out over the positions of each root."""

from __future__ import annotations

import numpy as np

from crossmargin import exact
from crossmargin.arrays import Float
from crossmargin.conventions import CME, CREDIT, DELIVERY, INTRA, SCAN
from crossmargin.engine import Book, Execution
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.margin.cme.span import SpanDetail, SpanModel, span_detail
from crossmargin.margin.parts import Part, share_of
from crossmargin.margin.portfolios import CcpMargin, portfolio_sums


def span_parts(
    book: Book,
    model: SpanModel,
    margin: CcpMargin,
    horizon: int,
    *,
    execution: Execution = DEFAULT_EXECUTION,
) -> list[Part]:
    """Return scan risk, intra-commodity and delivery charges, and credits.

    Parameters
    ----------
    book : Book
        Rows are group * 4 + segment, few groups.
    model : SpanModel
    margin : CcpMargin
        Of that book.
    horizon : int
        Of the moves that ranges and rates are calibrated on.
    execution : Execution

    Returns
    -------
    list of Part

    Notes
    -----
    A root's scan risk, and its share of the credits, go to its positions in proportion to their
    signed delta, times the range of each where the root has several. Its intra-commodity charge
    goes to contracts in proportion to the size of their net delta. A delivery charge goes to the
    contracts that it is for.
    """
    detail = span_detail(book, model, execution=execution)
    weight = (margin.v > 0.0).astype(np.float64)
    own = portfolio_sums(book, CME, model.delta, model.contract, max(1, model.root.size))
    side, size = np.sign(own), np.abs(own)
    root, delivered = model.root, model.month <= 0
    charge = dict(model.rules.delivery_charges)
    rate = np.array([charge.get(name, 0.0) for name in model.ranges.roots])
    gross = np.zeros(detail.intra.shape)
    for k in range(len(model.ranges.roots)):
        gross[..., k] = exact.ordered_sum(size[..., : root.size][..., root == k])
    side = side[..., : root.size]
    # With one range only deltas matter; with several, what each contract gains over its range.
    several = np.array([len(own) > 1 for own in model.ranges.by_root])
    total = np.where(several, detail.gain, detail.net_delta)
    each = np.where(several[root], np.nan_to_num(model.ranges.usd)[model.scan_range], 1.0)
    by_contract = {
        SCAN: share_of(detail.scan, total)[..., root] * each,
        INTRA: side * share_of(detail.intra, gross)[..., root],
        DELIVERY: side * np.where(delivered, rate[root], 0.0),
        CREDIT: -share_of(credit_by_root(detail, model), total)[..., root] * each,
    }
    return [
        Part(name, weight, horizon=horizon, per_lot=_by_instrument(each, model))
        for name, each in by_contract.items()
    ]


def credit_by_root(detail: SpanDetail, model: SpanModel) -> Float:
    """Return the credit that the legs of each root earn, [R x 5 x K], USD."""
    each = share_of(detail.scan, np.abs(detail.net_delta))
    earned = np.zeros(detail.scan.shape)
    for number, spread in enumerate(model.spreads):
        for root, ratio in zip(spread.root, spread.ratio, strict=True):
            used = detail.spreads[..., number] * abs(ratio)
            earned[..., root] += used * each[..., root] * spread.rate
    return earned


def _by_instrument(each: Float, model: SpanModel) -> Float:
    """Return USD a lot from USD a contract, [R x 5 x I]."""
    if not model.root.size:
        return np.zeros((*each.shape[:2], model.contract.size))
    return np.where(model.contract >= 0, each[..., np.maximum(model.contract, 0)], 0.0) * (
        model.delta
    )
