"""Accounts are kept only where every part of the run says that it can be added to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import crossmargin as xm
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.conventions import CME, FICC
from crossmargin.margin.charges import Charge
from crossmargin.sample import sample_tables
from crossmargin.whatif.cached import can_be_cached


@pytest.fixture(scope="module")
def models() -> PreparedModels:
    tables = sample_tables(accounts=10)
    book = {name: tables[name] for name in ("positions", "accounts", "securities")}
    stages = xm.run(**book, market=xm.sample_market()).stages
    assert stages is not None
    return stages.models


class Otherwise:
    """A model that says something else of how it can be added to."""

    def __init__(self, model: Any, incremental: Any) -> None:
        self._model = model
        self.incremental = incremental

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def test_the_models_of_the_default_policy_can_be_added_to(models: PreparedModels) -> None:
    assert can_be_cached(models)


@pytest.mark.parametrize("ccp", [FICC, CME])
@pytest.mark.parametrize("how", [None, "of the other"])
def test_a_model_that_cannot_be_added_to_so_is_asked_itself(
    models: PreparedModels, ccp: str, how: str | None
) -> None:
    (other,) = {FICC, CME} - {ccp}
    incremental = None if how is None else models.ccps[other].incremental
    changed: dict[str, Any] = {ccp: Otherwise(models.ccps[ccp], incremental)}
    assert not can_be_cached(replace(models, ccps={**models.ccps, **changed}))


def test_a_charge_has_to_say_what_it_is_for_one_account(models: PreparedModels) -> None:
    charge = Charge("any", CME, False, lambda book, margin: margin.v)
    assert not can_be_cached(replace(models, charges=(charge,)))
    single = replace(charge, single=lambda held, v: v)
    assert can_be_cached(replace(models, charges=(single,)))
    assert not can_be_cached(replace(models, charges=(single, replace(single, ccp="XYZ"))))


def test_a_further_clearing_house_need_not_say_anything(models: PreparedModels) -> None:
    other = Otherwise(models.ccps[CME], None)
    assert can_be_cached(replace(models, ccps={**models.ccps, "XYZ": other}))
