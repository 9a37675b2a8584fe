"""A market move: new cubes of both models from a new curve, for the whole universe."""

from __future__ import annotations

import numpy as np
import pytest

import crossmargin as xm
from crossmargin.book.exceptions import ExceptionLog
from crossmargin.book.schemas import SECURITIES
from crossmargin.book.securities import read_securities
from crossmargin.book.trades import canonical_order
from crossmargin.instruments.contracts import parse_contract
from crossmargin.instruments.universe import build_universe
from crossmargin.io.parse import parse
from crossmargin.margin.cme import equivalent_contracts
from crossmargin.margin.cubes import house_cubes
from crossmargin.market.curve import Curve
from crossmargin.sample import sample_tables

NAMES = ("ZTZ26", "ZNZ26", "TWEU26", "UBZ26", "SR3U26", "SR3Z26", "SR3H27", "SR1N26", "ZQN26")


@pytest.fixture(scope="module")
def market():
    return xm.Market.sample()


@pytest.fixture(scope="module")
def securities(market):
    table = parse(sample_tables()["securities"], SECURITIES, file="", log=ExceptionLog()).table
    return read_securities(table, curve=market.curve, file="", log=ExceptionLog())


def test_market_move(benchmark, market, securities):
    policy = xm.read_policy()
    named = {parse_contract(name, market.as_of) for name in NAMES}
    contracts = canonical_order(
        named | {c for c in equivalent_contracts(policy.cme, market.as_of) if c}
    )

    def move():
        moved = market.with_curve(Curve(market.as_of, market.curve.log_df * 1.001))
        universe = build_universe(
            securities=securities,
            held=np.arange(securities.cusip.size),
            cash_dates=np.arange(market.as_of + 1, market.as_of + 31),
            contracts=contracts,
            market=moved,
        )
        return house_cubes(universe, moved, policy)

    cubes = benchmark.pedantic(move, rounds=5, warmup_rounds=1)
    benchmark.extra_info["instruments"] = cubes.ficc.instruments
    again = move()
    assert (cubes.ficc.hash, cubes.cme.hash) == (again.ficc.hash, again.cme.hash)
