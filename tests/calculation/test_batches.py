from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.agreement.requirement import AMOUNTS
from crossmargin.calculation.batches import Batch
from crossmargin.calculation.margins import agree_offsets, margin_accounts, require_accounts
from crossmargin.engine import Execution


@pytest.fixture(scope="module")
def stages(sample_run: xm.RunResult) -> Any:
    assert sample_run.stages is not None
    return sample_run.stages


def test_accounts_taken_in_any_order_owe_what_they_owe_in_the_book(stages: Any) -> None:
    clients = stages.clients
    whole = Batch(stages.netted.book, stages.netted.elsewhere, clients)
    # Some accounts have positions at other firms: their groups come along.
    abroad = np.unique(clients.group_account[clients.eligible.size :])
    assert abroad.size > 3
    draw = np.random.default_rng(3)
    accounts = draw.permutation(clients.eligible.size)[:200]
    accounts = np.concatenate([accounts, abroad[:3], accounts[:2], abroad[:1]])
    batch = whole.take(accounts)
    margins = margin_accounts(batch.book, batch.elsewhere, stages.models, Execution(1))
    agreement = agree_offsets(batch.book, stages.models, margins, batch.clients, Execution(1))
    required = require_accounts(margins, agreement, batch.clients)
    assert np.array_equal(
        agreement.saving.offset_rate, stages.agreement.saving.offset_rate[accounts]
    )
    for name in AMOUNTS:
        own, given = getattr(required, name), getattr(stages.requirements, name)
        assert np.array_equal(own.known, given.known[accounts])
        assert np.array_equal(own.cents, given.cents[accounts])


def test_no_account_is_an_empty_batch(stages: Any) -> None:
    whole = Batch(stages.netted.book, stages.netted.elsewhere, stages.clients)
    batch = whole.take(np.zeros(0, np.int64))
    assert (batch.book.rows, batch.clients.group_account.size) == (0, 0)
