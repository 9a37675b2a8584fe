from __future__ import annotations

import numpy as np
import pytest

from crossmargin.instruments.contracts import last_trading_day
from crossmargin.instruments.identifiers import parse_contract
from crossmargin.sample import AS_OF
from crossmargin.sample.market import make_history
from crossmargin.sample.securities import make_securities
from crossmargin.sample.tradable import Tradable, make_tradable

HISTORY = make_history(2026, AS_OF)


@pytest.fixture(scope="module")
def tradable() -> Tradable:
    return make_tradable(make_securities(2026, HISTORY), HISTORY)


def test_sensitivities_are_those_of_the_market(tradable: Tradable) -> None:
    dv01 = dict(zip(tradable.name.tolist(), tradable.dv01.tolist(), strict=True))
    # A ten-year note near par and 5% has a duration of about 7.8; so 0.078 USD per 100.
    assert 0.072 < dv01["SYN360510"] < 0.084
    # The cheapest bond of ZN has some 6.5 years left: 5.5 of duration, on 100,000 USD a contract.
    assert 50.0 < dv01["ZNU26"] < 75.0
    assert 30.0 < dv01["ZTU26"] < 45.0
    assert 150.0 < dv01["UBU26"] < 260.0
    assert dv01["SR3Z26"] == 25.0
    assert dv01["ZQU26"] == 41.67
    assert (tradable.dv01 > 0.0).all()


def test_contracts_in_use_are_open(tradable: Tradable) -> None:
    names = tradable.name[tradable.bonds :].tolist()
    # The June contracts trade until the end of June; September is the first quarter, then December.
    for name in ("ZNM26", "ZNU26", "ZNZ26", "SR3U26", "SR1N26", "ZQN26"):
        assert name in names
    assert "ZNH27" not in names
    for name in names:
        assert last_trading_day(parse_contract(name, AS_OF)) > AS_OF


def test_every_treasury_contract_in_use_has_a_basket(tradable: Tradable) -> None:
    traded = np.flatnonzero(tradable.weight["treasury"])
    assert traded.size == 24
    assert (tradable.basket[traded].sum(axis=1) >= 1.0).all()
    # ZN takes 6.5 to 8 years from 1 September 2026: maturities of March 2033 to August 2034.
    ten = np.flatnonzero(tradable.name == "ZNU26")[0]
    into = tradable.name[np.flatnonzero(tradable.basket[ten])]
    assert {name[3:7] for name in into} <= {
        "3303",
        "3304",
        "3305",
        "3308",
        "3311",
        "3402",
        "3405",
    } | {"3408"}


def test_a_contract_without_a_basket_is_refused() -> None:
    securities = make_securities(2026, HISTORY)
    short = securities.take(np.flatnonzero(securities.type == "note"))
    with pytest.raises(ValueError, match="no security deliverable into TWEU26"):
        make_tradable(short, HISTORY)
