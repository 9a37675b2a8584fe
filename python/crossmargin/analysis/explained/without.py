"""What the account would pay, and save, without one of its lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.agreement.requirement import Requirements
from crossmargin.agreement.savings import Saving
from crossmargin.analysis.explained.asked import Asked
from crossmargin.arrays import Integer
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import agree_offsets, margin_accounts, require_accounts
from crossmargin.conventions import SEGMENTS
from crossmargin.engine import Book
from crossmargin.margin.portfolios import row_of


@dataclass(frozen=True)
class Without:
    """The account without each of some lines, [N].

    Attributes
    ----------
    line : ndarray of int64, [N]
    saving : Saving
    required : Requirements
    """

    line: Integer
    saving: Saving
    required: Requirements


def without(asked: Asked, line: Integer) -> Without:
    """Return what the account would pay without each of some lines, one at a time.

    Parameters
    ----------
    asked : Asked
    line : ndarray of int64, [N]
        Numbers of its lines.

    Returns
    -------
    Without
    """
    stages, lines = asked.stages, asked.lines
    netted, models = stages.netted, stages.models
    many = np.full(line.size, asked.number)
    batch = Batch(netted.book, netted.elsewhere, stages.clients).take(many)
    # Groups: the N accounts, then of each its positions at other firms.
    others = len(asked.firm) - 1
    number = np.arange(line.size)
    group = np.where(
        lines.group[line] == 0, number, line.size + number * others + lines.group[line] - 1
    )
    place, instrument = lines.place[line], lines.instrument[line]
    own = place < len(SEGMENTS)
    book = _without(batch.book, (group * len(SEGMENTS) + place)[own], instrument[own])
    elsewhere = {
        ccp: _without(there, group[place == segment], instrument[place == segment])
        for segment, (ccp, there) in enumerate(batch.elsewhere.items(), start=len(SEGMENTS))
    }
    margins = margin_accounts(book, elsewhere, models, asked.execution)
    agreement = agree_offsets(book, models, margins, batch.clients, asked.execution)
    required = require_accounts(margins, agreement, batch.clients)
    return Without(line, agreement.saving, required)


def _without(book: Book, row: Integer, instrument: Integer) -> Book:
    """Return a book without some elements, named by row and instrument."""
    key = row_of(book) * book.columns + book.column
    kept = ~np.isin(key, row * book.columns + instrument)
    count = np.bincount(row_of(book)[kept], minlength=book.rows)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    return Book.from_arrays(ptr, book.column[kept], book.quantity[kept], book.columns)
