"""A replay of a book: every day is a run on its market, and nothing is done twice."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossmargin as xm
from crossmargin.agreement.eligibility import eligible_securities
from crossmargin.calculation.input_tables import BookInputs, read_tables
from crossmargin.exceptions import InputError
from crossmargin.io.market_tables import market_from_tables
from crossmargin.margin.ccps import clearing_houses
from crossmargin.market.curve import Curve
from crossmargin.policies import DeliveryMonthRules, ObservedMarginRules, read_policy
from crossmargin.results.schemas.replay import REPLAY
from crossmargin.sample import sample_tables

pytestmark = pytest.mark.filterwarnings("ignore::crossmargin.InputWarning")
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "policies"
SAME = (
    *("account", "status", "rows_rejected", "offset_rate", "binding", "capped", "reason"),
    *("requirement_ficc", "requirement_cme", "other_ficc", "other_cme", "other_ccps"),
    *("requirement", "house_requirement", "programme_saving", "standalone_requirement", "saving"),
)
"""Columns that a day has in common with a run's accounts."""


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return sample_tables(accounts=40)


@pytest.fixture(scope="module")
def book(tables: dict[str, pa.Table]) -> dict[str, Any]:
    return {name: tables[name] for name in ("positions", "accounts", "securities")}


def market_of(tables: dict[str, pa.Table], day: str) -> xm.Market:
    return market_from_tables(
        par_yields=tables["par_yields"], basis=tables["basis"], as_of=day, synthetic=True
    )


def moved(market: xm.Market, by: float) -> xm.Market:
    return market.with_curve(Curve(market.as_of, market.curve.log_df * by))


@pytest.fixture(scope="module")
def markets(tables: dict[str, pa.Table]) -> list[xm.Market]:
    """Return days on which repos start and end, a contract expires, and the curve moves."""
    first, later, last = (market_of(tables, d) for d in ("2026-05-27", "2026-06-08", "2026-06-10"))
    return [first, moved(first, 1.01), later, moved(later, 0.97), moved(later, 1.2), last]


def assert_same(day: xm.Day, run: xm.RunResult) -> None:
    table = day.table()
    for name in SAME:
        assert table[name].equals(run.accounts[name]), name


POLICIES = (
    *("cme-ficc-2026-11-30", "cme-ficc-2026-04-30", "cme-ficc-2026-11-30-span"),
    *("cme-ficc-2026-11-30-charges", EXAMPLES / "example-third-ccp.toml"),
    *(EXAMPLES / "example-class-disallowance.toml", EXAMPLES / "example-spread-credit.toml"),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: Path(policy).stem)
def test_each_day_is_a_run_on_its_market(
    book: dict[str, Any], markets: list[xm.Market], policy: str | Path
) -> None:
    days = list(xm.replay(**book, markets=markets, policy=policy))
    assert [day.as_of for day in days] == [market.as_of for market in markets]
    for day, market in zip(days, markets, strict=True):
        assert_same(day, xm.run(**book, market=market, policy=policy))
    totals = {day.requirements.requirement.cents.sum() for day in days}
    assert len(totals) == len(days)


@pytest.fixture(scope="module")
def ahead() -> tuple[dict[str, Any], list[xm.Market]]:
    """Return a book and later days: repos end, June contracts expire, securities mature."""
    own = sample_tables(accounts=40, as_of="2026-06-04")
    later = sample_tables(accounts=10, as_of="2026-09-30")
    days = ("2026-06-04", "2026-06-05", "2026-06-18", "2026-07-01", "2026-09-30")
    book = {name: own[name] for name in ("positions", "accounts", "securities")}
    return book, [market_of(later, day) for day in days]


def test_a_future_that_leaves_before_delivery_is_no_longer_where_it_was(
    tables: dict[str, pa.Table],
) -> None:
    later = sample_tables(accounts=10, as_of="2026-09-30")
    book = {name: tables[name] for name in ("accounts", "securities")}
    name = tables["accounts"]["account"].to_pylist()[:2]
    note = pc.equal(tables["securities"]["type"].cast(pa.string()), "note")
    own = tables["securities"].filter(note)
    priced = own.filter(pc.greater(own["maturity_date"], pa.scalar(datetime.date(2030, 1, 1))))
    cusip = priced["cusip"][0].as_py()
    book["positions"] = pa.table(
        {
            "account": [*name, *name],
            "kind": ["cash", "cash", "future", "future"],
            "instrument": [cusip, cusip, "ZNU26", "ZNZ26"],
            "quantity": [1e6, 1e6, -8.0, -8.0],
            "xm": [True] * 4,
        }
    )
    policy = read_policy().with_sections(DeliveryMonthRules("first_intention_day"))
    # Nothing settles from one day to the other: only the future leaves.
    markets = [market_of(later, day) for day in ("2026-08-27", "2026-08-28")]
    days = list(xm.replay(**book, markets=markets, policy=policy))
    for day, market in zip(days, markets, strict=True):
        assert_same(day, xm.run(**book, market=market, policy=policy))
    rates = [day.saving.reason[:2].tolist() for day in days]
    assert rates[0][0] != rates[1][0] == "ONE_SIDED"
    assert rates[0][1] == rates[1][1]


@pytest.mark.parametrize("policy", ["cme-ficc-2026-11-30", "cme-ficc-2026-04-30-span"])
def test_what_settles_matures_and_expires_is_left_out(
    ahead: tuple[dict[str, Any], list[xm.Market]], policy: str
) -> None:
    book, markets = ahead
    days = list(xm.replay(**book, markets=markets, policy=policy))
    for day, market in zip(days, markets, strict=True):
        assert_same(day, xm.run(**book, market=market, policy=policy))
    rejected = [int(day.rows_rejected.sum()) for day in days]
    assert rejected == sorted(rejected)
    assert rejected[0] < rejected[1] < rejected[-1]


def refuse(*args: Any, **options: Any) -> None:
    raise AssertionError("done again")


NOT_AGAIN = (
    "calculation.inputs.read_trades",
    "calculation.days.classify_trades",
    "book.netting.Netting.__init__",
    "calculation.input_tables.parse",
    "instruments.deliverables.conversion_factors",
)
"""What a day leaves alone on which the same of the book is open as on the day before."""


def test_nothing_is_read_or_sorted_again_while_the_same_is_open(
    tables: dict[str, pa.Table], book: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (market_of(tables, day) for day in ("2026-01-06", "2026-01-07"))
    markets = [first, moved(first, 1.01), moved(first, 0.99), second, moved(second, 1.01)]
    days = xm.replay(**book, markets=markets)
    found = [next(days), next(days)]  # With the first move the legs are sorted.
    with monkeypatch.context() as patched:
        for name in NOT_AGAIN:
            patched.setattr(f"crossmargin.{name}", refuse)
        found += days
    assert len(found) == len(markets)
    for day, market in zip(found, markets, strict=True):
        assert_same(day, xm.run(**book, market=market))


def test_a_book_follows_its_blank_start_cash(book: dict[str, Any], tables: Any) -> None:
    market = market_of(tables, "2026-06-10")
    run = xm.run(**book, market=market)
    assert run.stages is not None
    assert run.stages.netted.legs.assumed.size
    day = list(xm.replay(**book, markets=[market, moved(market, 1.5)]))[1]
    assert_same(day, xm.run(**book, market=moved(market, 1.5)))


def further(tables: dict[str, pa.Table]) -> dict[str, dict[str, Any]]:
    """Return inputs beside the three tables, and policies that use them, by name."""
    days = tables["par_yields"]["date"].to_numpy().astype("datetime64[D]")[-65:]
    settlements = pa.table(
        {
            "date": pa.array(days, pa.date32()),
            "contract": ["ZNU26"] * days.size,
            "price": 110.0 + np.arange(days.size) / 64.0,
        }
    )
    volumes = pa.table(
        {"contract": ["ZT", "ZF", "ZN", "TN", "ZB", "UB", "SR3", "SR1", "ZQ"], "adv": [500.0] * 9}
    )
    observed = pa.table(
        {
            "instrument": ["ZN", "ZN", "ZT"],
            "date": ["2026-01-05", "2026-06-08", "2026-03-02"],
            "maintenance": [1400.0, 2100.0, 850.0],
        }
    )
    scale = xm.read_policy().with_sections(ObservedMarginRules("scale"))
    charges = "cme-ficc-2026-11-30-charges"
    return {
        "settlements": {"settlements": settlements},
        "volumes": {"volumes": volumes, "policy": charges},
        "observed margins": {"observed_margins": observed, "policy": scale},
        "intraday": {"cycle": "ITD"},
        "reference": {"backend": "reference", "threads": 1},
        "two threads": {"threads": 2},
    }


@pytest.mark.parametrize("name", further(sample_tables(accounts=10)))
def test_a_day_honours_what_a_run_honours(
    tables: dict[str, pa.Table], markets: list[xm.Market], name: str
) -> None:
    small = sample_tables(accounts=15)
    own = further(tables)[name]
    inputs = {n: small[n] for n in ("positions", "accounts", "securities")} | own
    given = markets[1:]
    if name == "settlements":  # They give the basis, which the market then does not have.
        given = [replace(m, history=replace(m.history, basis={})) for m in given]
    for day, market in zip(xm.replay(**inputs, markets=given), given, strict=True):
        assert_same(day, xm.run(**inputs, market=market))


def test_p_and_l_of_the_user_stays_what_it_is(markets: list[xm.Market]) -> None:
    small = sample_tables(accounts=15)
    book = {n: small[n] for n in ("positions", "accounts", "securities")}
    run = xm.run(**book, market=markets[0])
    assert run.stages is not None
    models = run.stages.models
    cube = models.ccps["FICC"].scenario_pnl()["pnl"]
    given = pa.table(
        {
            "instrument": models.universe.name.tolist(),
            **{f"s{number}": cube.pnl[:, number] for number in range(500)},
        }
    )
    for day, market in zip(
        xm.replay(**book, markets=markets[:3], ficc_cube=given), markets, strict=False
    ):
        assert_same(day, xm.run(**book, market=market, ficc_cube=given))


def test_a_price_that_no_curve_meets_is_judged_on_each_day(
    tables: dict[str, pa.Table], book: dict[str, Any]
) -> None:
    market = market_of(tables, "2026-06-10")
    far = moved(market, 50.0)  # Values near zero: no spread within 100% gives the prices.
    given = {"policy": "cme-ficc-2026-04-30", **book}  # Without short rates, which fail first.
    markets = [market, far, moved(far, 1.01), market]
    days = list(xm.replay(**given, markets=markets))
    for day, each in zip(days, markets, strict=True):
        assert_same(day, xm.run(**given, market=each))
    assert days[1].rows_rejected.sum() > days[0].rows_rejected.sum()
    np.testing.assert_array_equal(days[3].rows_rejected, days[0].rows_rejected)


def test_a_day_is_margined_when_it_is_asked_for(
    book: dict[str, Any], markets: list[xm.Market]
) -> None:
    asked = []

    def given() -> Iterator[xm.Market]:
        for market in markets:
            asked.append(market.as_of)
            yield market

    told: list[tuple[str, float]] = []
    days = xm.replay(**book, markets=given(), progress=lambda *stage: told.append(stage))
    assert asked == []
    assert told == [("reading", 0.0)]
    first = next(days)
    assert asked == [first.as_of]
    assert told[-1] == (str(first.as_of), 0.0)


def test_progress_tells_the_share_of_a_list(book: dict[str, Any], markets: list[xm.Market]) -> None:
    told: list[tuple[str, float]] = []
    days = xm.replay(**book, markets=markets[:2], progress=lambda *stage: told.append(stage))
    assert len(list(days)) == 2
    day = str(markets[0].as_of)
    assert told == [("reading", 0.0), (day, 0.0), (day, 0.5), ("done", 1.0)]


def test_calls_and_reductions_add_up(book: dict[str, Any], markets: list[xm.Market]) -> None:
    policy = "cme-ficc-2026-11-30-charges"
    first, second, third = xm.replay(**book, markets=markets[1:4], policy=policy)
    assert not first.call.known.any()
    for before, after in ((first, second), (second, third)):
        one, other = (day.requirements.house_requirement for day in (before, after))
        np.testing.assert_array_equal(after.call.known, one.known & other.known)
        np.testing.assert_array_equal(after.call.cents, other.cents - one.cents)
    table = third.table()
    assert table.to_arrow().schema == REPLAY.arrow
    for row in table:
        if row["reduction"] is not None:
            after = row["requirement_ficc"] + row["requirement_cme"]
            assert row["before_ficc"] + row["before_cme"] - after == row["reduction"]
            if row["offset_rate"] == 0.0:
                assert row["reduction"] == 0
    assert (third.reduction.cents > 0).any()


def arrays_in(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    for field in fields(value):
        own = getattr(value, field.name)
        if isinstance(own, np.ndarray):
            yield own
        elif is_dataclass(own):
            yield from arrays_in(own)


def test_nobody_can_write_into_a_day(book: dict[str, Any], markets: list[xm.Market]) -> None:
    # Eligible accounts, rejected rows and requirements are what the days to come begin with.
    for day in xm.replay(**book, markets=markets[:3]):
        arrays = [*arrays_in(day)]
        assert len(arrays) > 20
        assert not any(array.flags.writeable for array in arrays)


def test_columns_of_days_can_be_stacked(book: dict[str, Any], markets: list[xm.Market]) -> None:
    days = list(xm.replay(**book, markets=markets))
    cents = np.stack([day.requirements.requirement.cents for day in days])
    assert cents.shape == (len(markets), len(days[0].account))
    whole = pa.concat_tables([day.table().to_arrow() for day in days])
    assert len(whole) == cents.size


def test_unusable_arguments_are_refused(book: dict[str, Any], markets: list[xm.Market]) -> None:
    with pytest.raises(TypeError, match="markets: a list or iterator of markets expected"):
        xm.replay(**book, markets=markets[0])  # type: ignore[arg-type]
    days = xm.replay(**book, markets=[markets[0], "yesterday"])  # type: ignore[list-item]
    next(days)
    with pytest.raises(TypeError, match="market: got 'yesterday'") as refused:
        next(days)
    assert refused.value.__notes__ == ["on market 1 of the replay, 'yesterday'"]
    with pytest.raises(TypeError, match="max_rejected"):
        xm.replay(**book, markets=markets, max_rejected="many")  # type: ignore[arg-type]


def test_a_refused_day_ends_the_replay(ahead: tuple[dict[str, Any], list[xm.Market]]) -> None:
    book, markets = ahead
    allowed = xm.run(**book, market=markets[0]).manifest["rows"]["rejected"] + 10
    days = xm.replay(**book, markets=markets, max_rejected=allowed)
    next(days)
    with pytest.raises(InputError, match=f"rows rejected, {allowed} allowed") as refused:
        list(days)
    (note,) = refused.value.__notes__
    assert re.match(r"on market [1-4] of the replay, <Market 2026-0[6-9]-\d\d", note)


def test_a_low_repo_rate_is_refused_once_the_market_shows_the_unit(
    tables: dict[str, pa.Table], book: dict[str, Any]
) -> None:
    positions = book["positions"]
    rate = positions.column_names.index("repo_rate")
    tiny = pc.add(pc.multiply(positions["repo_rate"], pa.scalar(0.0)), pa.scalar(0.05))
    low = book | {"positions": positions.set_column(rate, "repo_rate", tiny)}
    market = market_of(tables, "2026-06-10")
    near_zero = replace(
        market, history=replace(market.history, zero_rate=market.history.zero_rate * 0.0)
    )
    days = xm.replay(**low, markets=[near_zero, market], policy="cme-ficc-2026-04-30")
    next(days)
    with pytest.raises(InputError, match="they look like decimals"):
        next(days)


@pytest.fixture(scope="module")
def pool(ahead: tuple[dict[str, Any], list[xm.Market]]) -> list[tuple[xm.Market, xm.RunResult]]:
    """Return markets before and after the day of a small book, each with a run on it."""
    book, (_, _, *later) = ahead
    before = xm.sample_market(as_of="2026-05-29")
    markets = [before, moved(before, 0.9), xm.sample_market(as_of="2026-05-28"), *later]
    return [(market, xm.run(**book, market=market)) for market in markets]


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=5))
def test_days_may_come_in_any_order(
    ahead: tuple[dict[str, Any], list[xm.Market]],
    pool: list[tuple[xm.Market, xm.RunResult]],
    order: list[int],
) -> None:
    chosen = [pool[number] for number in order]
    days = xm.replay(**ahead[0], markets=[market for market, _ in chosen])
    for day, (_, run) in zip(days, chosen, strict=True):
        assert_same(day, run)


def test_a_warning_is_not_said_again_for_the_same_rows(
    ahead: tuple[dict[str, Any], list[xm.Market]],
) -> None:
    book, markets = ahead
    last = markets[-1]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        list(xm.replay(**book, markets=[last, moved(last, 1.01), moved(last, 0.99)]))
    told = [str(one.message) for one in said if one.category is xm.InputWarning]
    assert len(told) == 1
    assert told[0].endswith("xm.run on the market of 2026-09-30 lists them")


@pytest.mark.parametrize("policy", ["cme-ficc-2026-11-30", "cme-ficc-2026-11-30-span"])
def test_models_may_need_other_contracts_while_the_same_is_open(
    tables: dict[str, pa.Table], book: dict[str, Any], policy: str
) -> None:
    given = {"policy": xm.read_policy(policy), **book}
    first, second, third, fourth = (
        np.datetime64(day) for day in ("2026-02-13", "2026-02-17", "2026-02-27", "2026-03-02")
    )
    read = read_tables(BookInputs(**given))
    rules = given["policy"].eligibility
    own = read.securities.securities
    houses = clearing_houses(given["policy"])
    assert read.same_open(first, second)
    assert (eligible_securities(own, first, rules) != eligible_securities(own, second, rules)).any()
    assert read.same_open(third, fourth)
    needed = [{c for h in houses for c in h.model.contracts(day)} for day in (third, fourth)]
    assert needed[0] != needed[1]
    markets = [market_of(tables, str(day)) for day in (first, second, third, fourth)]
    for day, market in zip(xm.replay(**given, markets=markets), markets, strict=True):
        assert_same(day, xm.run(**given, market=market))
