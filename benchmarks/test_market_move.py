"""A market move: new cubes of both models from a new curve, for the whole universe."""

from __future__ import annotations

import generator
import market_move


def test_market_move(benchmark):
    desk = market_move.Desk()
    _, cubes = benchmark.pedantic(lambda: desk.move(1), rounds=5, warmup_rounds=1)
    benchmark.extra_info["instruments"] = cubes.ficc.instruments
    assert cubes.ficc.instruments == generator.INSTRUMENTS
    _, again = desk.move(1)
    assert (cubes.ficc.hash, cubes.cme.hash) == (again.ficc.hash, again.cme.hash)
    _, other = desk.move(2)
    assert cubes.ficc.hash != other.ficc.hash
