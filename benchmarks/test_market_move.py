"""A market move: new cubes of both models from a new curve, for the whole universe."""

from __future__ import annotations

from universe import HEADLINE, Desk

from crossmargin.conventions import CME, FICC


def hashes(models):
    return models.ccps[FICC].cube.hash, models.ccps[CME].historical.hash


def test_market_move(benchmark):
    desk = Desk()
    models = benchmark.pedantic(lambda: desk.move(1), rounds=5, warmup_rounds=1)
    benchmark.extra_info["instruments"] = models.universe.name.size
    assert models.universe.name.size == HEADLINE.instruments
    assert hashes(desk.move(1)) == hashes(models)
    assert not set(hashes(desk.move(2))) & set(hashes(models))
