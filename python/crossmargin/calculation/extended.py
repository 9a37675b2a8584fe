"""The models of a run for more instruments than its book holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossmargin.arrays import Integer
from crossmargin.book.trades import canonical_order
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.prepared import PreparedModels, prepare_models
from crossmargin.calculation.result import Stages
from crossmargin.engine import Book, Execution
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.universe import build_universe


def extended_models(
    stages: Stages,
    securities: Integer,
    contracts: Sequence[Contract],
    execution: Execution,
) -> PreparedModels:
    """Return the models of a run, prepared for its instruments and some more.

    They are those of a run whose book holds these instruments too: the order of the universe is the
    same, so every figure is the same to the bit.

    Parameters
    ----------
    stages : Stages
        Of the run.
    securities : ndarray of int64
        Numbers of further securities in `stages.parsed.securities`.
    contracts : sequence of Contract
        Further futures.
    execution : Execution

    Returns
    -------
    PreparedModels

    Raises
    ------
    InputError
        As `prepare_models`: the run's inputs lack what a new instrument needs, such as a volume.
    """
    parsed, models = stages.parsed, stages.models
    held = np.union1d(parsed.trades.held, securities)
    universe = build_universe(
        securities=parsed.securities,
        held=held,
        cash_dates=parsed.trades.cash_dates,
        contracts=canonical_order({*stages.netted.contracts, *contracts}),
        market=models.market,
        baskets=stages.kept.baskets,
    )
    return prepare_models(
        models.policy,
        models.market,
        universe,
        parsed.securities.take(held),
        cubes=parsed.cubes,
        span_file=parsed.span_file,
        volumes=parsed.volumes,
        observed=parsed.observed_margins,
        store=stages.kept.scenarios,
        execution=execution,
    )


def widened(batch: Batch, before: PreparedModels, after: PreparedModels) -> Batch:
    """Return a batch with the columns of its books renumbered for a larger universe.

    Parameters
    ----------
    batch : Batch
        Its columns are the instruments of `before`.
    before, after : PreparedModels
        `after` has all instruments of `before`, in the same order, and others between them.

    Returns
    -------
    Batch
    """
    size = after.universe.name.size
    place = {name: number for number, name in enumerate(after.universe.name.tolist())}
    column = np.array([place[name] for name in before.universe.name.tolist()], dtype=np.int32)

    def moved(book: Book) -> Book:
        return Book.from_arrays(book.row_ptr, column[book.column], book.quantity, columns=size)

    return replace(
        batch,
        book=moved(batch.book),
        elsewhere={ccp: moved(book) for ccp, book in batch.elsewhere.items()},
    )
