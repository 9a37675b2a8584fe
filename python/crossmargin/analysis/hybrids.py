"""Runs between two runs: one part after the other is taken from the later run.

Each hybrid is a whole set of inputs, so that the stages of a run can be computed on it.
Methodology, "Attribution", has the order and the reasons for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import columns, exact
from crossmargin.agreement.requirement import Requirements
from crossmargin.arrays import Dates, Integer
from crossmargin.book.schemas import ACCOUNTS, FIRMS, Schema
from crossmargin.calculation.classified import classify_trades
from crossmargin.calculation.clients import clients_of
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.margins import agree_offsets, margin_accounts, require_accounts
from crossmargin.calculation.netted import net_trades
from crossmargin.calculation.policy_market import policy_market
from crossmargin.calculation.prepared import prepare_models
from crossmargin.calculation.result import Stages
from crossmargin.calculation.store import stage_bytes
from crossmargin.engine import Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.deliverables import BasketStore
from crossmargin.instruments.securities import Securities, cash_flows
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.model import AmountError
from crossmargin.market.curve import Curve
from crossmargin.market.history import History
from crossmargin.market.scenarios import (
    DEFAULT_STRESS,
    LOOK_BACK,
    CorrelationScaling,
    Scenarios,
    ScenarioStore,
    StressWindow,
    VolatilityScaling,
)
from crossmargin.policies import Policy

POSITIONS, TIME, MARKET = "positions", "time", "market"
OUT, IN, SIZES = "scenarios out", "scenarios in", "scenario sizes"
INPUTS, POLICY = "other inputs", "policy"
STEPS = (POSITIONS, TIME, MARKET, OUT, IN, SIZES, INPUTS, POLICY)
"""What is taken from the later run, in this order."""


@dataclass(frozen=True)
class Hybrid:
    """What the requirements of a run, or of one between two runs, are computed from.

    Attributes
    ----------
    parsed : ParsedInputs
        Its market is the one that is used, with the factors that the policy derives. They are not
        derived again: later fixings must not change earlier scenarios. No start cash is blank.
    policy : Policy
    rejected : ndarray of int64, [A]
        Rejected rows that name each account.
    scenarios : ScenarioStore
        Chooses the scenarios.
    """

    parsed: ParsedInputs
    policy: Policy
    rejected: Integer
    scenarios: ScenarioStore = field(default_factory=ScenarioStore)


def hybrid_of(stages: Stages) -> Hybrid:
    """Return what a run was computed from.

    Start cash that was blank has the value that the run gave it: it belongs to the positions.
    """
    parsed, netted = stages.parsed, stages.netted
    trades, assumed = parsed.trades, netted.legs.assumed
    security = np.searchsorted(trades.held, trades.security[assumed])
    start_cash = trades.start_cash.copy()
    start_cash[assumed] = exact.cents(trades.lots[assumed] * netted.universe.price[security]) / 100
    parsed = replace(
        parsed, market=stages.models.market, trades=replace(trades, start_cash=start_cash)
    )
    return Hybrid(parsed, stages.models.policy, stages.rows_rejected)


def between(before: Hybrid, after: Hybrid) -> dict[str, Hybrid]:
    """Return the run after each step, by step; the same object as before it if nothing changes.

    Parameters
    ----------
    before, after : Hybrid
        Of two runs; `before` is of the same day or an earlier one.

    Returns
    -------
    dict of str to Hybrid
        In the order of `STEPS`. The last one has the inputs of `after`.
    """
    # The later policy, and the factors that it derives, come last.
    market = policy_market(before.policy, after.parsed.market)
    later, history = replace(after.parsed, market=market), before.parsed.market.history
    made: dict[str, Hybrid] = {}
    now = replace(before, parsed=_with_positions(before.parsed, later), rejected=after.rejected)
    made[POSITIONS] = now
    now = made[TIME] = _changed(now, _on_day(now.parsed, later.market.as_of))
    now = made[MARKET] = _changed(now, _on_curve(now.parsed, later))
    moved = now
    if np.array_equal(history.date, market.history.date):
        made[OUT] = made[IN] = now
    else:
        rolls = (before.scenarios, after.scenarios, market.history)
        made[OUT] = replace(moved, scenarios=Rolled(*rolls, came=False))
        now = made[IN] = replace(moved, scenarios=Rolled(*rolls, came=True))
    if now is not moved or not same(moved.parsed.market.history, market.history):
        now = replace(
            moved,
            parsed=replace(moved.parsed, market=market),
            scenarios=after.scenarios,
        )
    made[SIZES] = now
    now = made[INPUTS] = _changed(now, _with_inputs(now.parsed, later))
    made[POLICY] = now if now.policy == after.policy else after
    return made


def same(one: object, other: object) -> bool:
    """Tell whether two parts of stages have the same values."""
    return one is other or stage_bytes(one) == stage_bytes(other)


def required(hybrid: Hybrid, baskets: BasketStore, execution: Execution) -> Requirements:
    """Return the requirements of a hybrid: all stages after reading.

    Raises
    ------
    InputError
        The parts do not go together.
    """
    parsed, policy = hybrid.parsed, hybrid.policy
    houses = clearing_houses(policy)
    lacking = sorted(set(parsed.trades.ccps) - {house.ccp for house in houses})
    if lacking:
        raise InputError(f"policy {policy.name} has no clearing house {', '.join(lacking)}")
    classified = classify_trades(parsed, policy)
    netted = net_trades(parsed, classified, houses, baskets)
    models = prepare_models(
        policy,
        parsed.market,
        netted.universe,
        parsed.securities.take(parsed.trades.held),
        cubes=parsed.cubes,
        span_file=parsed.span_file,
        volumes=parsed.volumes,
        observed=parsed.observed_margins,
        store=hybrid.scenarios,
        execution=execution,
    )
    clients = clients_of(parsed, classified, hybrid.rejected)
    try:
        margins = margin_accounts(netted.book, netted.elsewhere, models, execution)
        agreement = agree_offsets(netted.book, models, margins, clients, execution)
    except AmountError as error:
        raise InputError(str(error)) from None
    return require_accounts(margins, agreement, clients)


class Rolled(ScenarioStore):
    """The scenarios of a run without those that the next run no longer has, or with its new ones.

    Parameters
    ----------
    before, after : ScenarioStore
        Choose the scenarios of the two runs.
    later : History
        That of the next run.
    came : bool
        Whether the new scenarios have come. They have the size that the next run gives them; all
        others keep theirs.
    """

    def __init__(
        self, before: ScenarioStore, after: ScenarioStore, later: History, *, came: bool
    ) -> None:
        super().__init__()
        self.left: dict[int, Dates] = {}
        self.new: dict[int, Dates] = {}
        """By horizon, the dates of scenarios that are in one of the two runs only."""
        self._before, self._after, self._later, self._came = before, after, later, came

    def of(
        self,
        history: History,
        *,
        horizon: int,
        look_back: int = LOOK_BACK,
        minimum: int = LOOK_BACK,
        stress: Sequence[StressWindow] = DEFAULT_STRESS,
        scaling: VolatilityScaling | None = None,
        correlation: CorrelationScaling | None = None,
    ) -> Scenarios:
        """Return the scenarios of `history`, rolled; see `ScenarioStore.of`.

        Raises
        ------
        InputError
            The two runs have no scenario in common, or other factors.
        """
        rules: dict[str, Any] = {
            "horizon": horizon,
            "look_back": look_back,
            "minimum": minimum,
            "stress": stress,
            "scaling": scaling,
            "correlation": correlation,
        }
        old, new = self._before.of(history, **rules), self._after.of(self._later, **rules)
        self.left[horizon] = np.setdiff1d(old.date, new.date)
        self.new[horizon] = np.setdiff1d(new.date, old.date)
        return rolled_in(old, new) if self._came else rolled_out(old, new)


def rolled_out(old: Scenarios, new: Scenarios) -> Scenarios:
    """Return those of the old scenarios whose dates the new set has too, in their order.

    Raises
    ------
    InputError
        There is none, or the sets have other factors.
    """
    if old.factor != new.factor:
        raise InputError("the scenarios of the two runs have other factors")
    kept = np.isin(old.date, new.date)
    if not kept.any():
        raise InputError("the two runs have no scenario in common")
    return replace(old, shock=old.shock[kept], date=old.date[kept], tag=old.tag[kept])


def rolled_in(old: Scenarios, new: Scenarios) -> Scenarios:
    """Return the new set in its order; scenarios that the old set has too keep their old size.

    Raises
    ------
    InputError
        As `rolled_out`.
    """
    kept = rolled_out(old, new)
    order = np.argsort(kept.date)
    common = np.isin(new.date, kept.date)
    shock = new.shock.copy()
    shock[common] = kept.shock[order[np.searchsorted(kept.date[order], new.date[common])]]
    return replace(new, shock=shock)


def _changed(now: Hybrid, parsed: ParsedInputs) -> Hybrid:
    return now if parsed is now.parsed else replace(now, parsed=parsed)


def _with_positions(earlier: ParsedInputs, later: ParsedInputs) -> ParsedInputs:
    """Return the later trades with the earlier terms of accounts and securities.

    What the earlier run does not know, as a new account, comes with the later run's terms.
    """
    securities, security = _both(earlier.securities, later.securities, later.trades.held)
    names = ["row", *(column.name for column in ACCOUNTS.columns)]
    accounts = _first_known(earlier.accounts, later.accounts, "account", names)
    accounts = accounts.take(_places(later.accounts["account"], accounts["account"]))
    firms = earlier.firms
    if firms is not None and later.firms is not None:
        names = [column.name for column in FIRMS.columns]
        firms = _first_known(firms, later.firms, "clearing_firm", names)
    # The last element is for trades without a security.
    place = np.append(security, -1)[later.trades.security]
    return replace(
        earlier,
        trades=replace(later.trades, security=place),
        securities=_priced_by(securities, earlier.market.curve),
        accounts=accounts,
        firms=firms,
    )


def _both(earlier: Securities, later: Securities, held: Integer) -> tuple[Securities, Integer]:
    """Return the earlier securities and those held that they lack; the place of each later one.

    Places are -1 for later securities that are neither known earlier nor held.
    """
    new = held[~np.isin(later.cusip[held], earlier.cusip)]
    whole = earlier
    if new.size:
        added = later.take(new)
        joined = {
            name: np.concatenate([getattr(earlier, name), getattr(added, name)])
            for name in Securities.__dataclass_fields__
        }
        whole = Securities(**joined)
        whole = whole.take(np.argsort(whole.cusip, kind="stable"))
    number = {cusip: place for place, cusip in enumerate(whole.cusip.tolist())}
    return whole, np.array([number.get(cusip, -1) for cusip in later.cusip.tolist()], np.int64)


def _first_known(earlier: pa.Table, later: pa.Table, key: str, names: Sequence[str]) -> pa.Table:
    """Return the earlier rows, then those later ones whose key they lack."""
    new = ~np.isin(columns.texts(later[key]).astype(str), columns.texts(earlier[key]).astype(str))
    parts = [earlier, later.filter(columns.column(new))]
    return pa.table(
        {
            name: pa.concat_arrays([columns.one_array(columns.plain(part[name])) for part in parts])
            for name in names
        }
    )


def _places(wanted: columns.Column, known: columns.Column) -> pa.Array:
    """Return the row of each wanted text among the known ones."""
    number = {text: place for place, text in enumerate(columns.texts(known).tolist())}
    return columns.column(np.array([number[text] for text in columns.texts(wanted)], np.int64))


def _priced_by(securities: Securities, curve: Curve) -> Securities:
    """Return securities without the prices that no spread over a curve reproduces."""
    priced = securities.nominal & (securities.maturity_date > curve.as_of)
    priced &= ~np.isnan(securities.price)
    at = np.flatnonzero(priced)
    if at.size == 0:
        return securities
    lost = at[np.isnan(cash_flows(securities.take(at), curve).spread)]
    if lost.size == 0:
        return securities
    price = securities.price.copy()
    price[lost] = np.nan
    return replace(securities, price=price)


def _on_day(parsed: ParsedInputs, as_of: np.datetime64) -> ParsedInputs:
    """Return the same market on another day: the curve by time to maturity, and the history."""
    market = parsed.market
    if market.as_of == as_of:
        return parsed
    history, sofr = market.history, market.history.sofr
    if sofr is not None:
        sofr = replace(sofr, curve=Curve(as_of, sofr.curve.log_df))
        history = replace(history, sofr=sofr)
    curve = Curve(as_of, market.curve.log_df)
    file = parsed.span_file
    return replace(
        parsed,
        market=replace(market, as_of=as_of, curve=curve, history=history),
        securities=_priced_by(parsed.securities, curve),
        # The file's figures are kept; its date only says whether it is too old for a run.
        span_file=None if file is None else replace(file, business_date=as_of),
    )


def _on_curve(parsed: ParsedInputs, later: ParsedInputs) -> ParsedInputs:
    """Return the later curves, fixings and prices of securities, with the earlier history."""
    market, to = parsed.market, later.market
    history = market.history
    old, new = history.sofr, to.history.sofr
    if old is not None and new is not None and not same(old.curve, new.curve):
        history = replace(history, sofr=replace(old, curve=new.curve))
    securities = _with_prices(parsed.securities, later.securities, to.curve)
    if (
        history is market.history
        and securities is parsed.securities
        and same((market.curve, market.fixings), (to.curve, to.fixings))
    ):
        return parsed
    return replace(
        parsed,
        market=replace(market, curve=to.curve, fixings=to.fixings, history=history),
        securities=securities,
    )


def _with_prices(securities: Securities, later: Securities, curve: Curve) -> Securities:
    """Return securities with the later prices of those that the later run knows."""
    number = {cusip: place for place, cusip in enumerate(later.cusip.tolist())}
    at = np.array([number.get(cusip, -1) for cusip in securities.cusip.tolist()], np.int64)
    price = np.where(at >= 0, np.append(later.price, np.nan)[at], securities.price)
    if np.array_equal(price, securities.price, equal_nan=True):
        return securities
    return _priced_by(replace(securities, price=price), curve)


def _with_inputs(parsed: ParsedInputs, later: ParsedInputs) -> ParsedInputs:
    """Return the later run's inputs; volumes that it lacks stay while the policy may need them."""
    if not inputs_that_change(parsed, later):
        return parsed
    return replace(later, volumes=later.volumes or parsed.volumes)


def inputs_that_change(parsed: ParsedInputs, later: ParsedInputs) -> list[str]:
    """Return the names of the inputs whose terms or figures differ, beside trades and market."""
    pairs: dict[str, tuple[object, object]] = {
        "accounts": (_plain(parsed.accounts, ACCOUNTS), _plain(later.accounts, ACCOUNTS)),
        "firms": (_firms(parsed), _firms(later)),
        "securities": (parsed.securities, later.securities),
        "volumes": (parsed.volumes, later.volumes or parsed.volumes),
        "observed_margins": (parsed.observed_margins, later.observed_margins),
        "cubes": (parsed.cubes, later.cubes),
        "span_file": (_hash(parsed), _hash(later)),
    }
    return [name for name, (one, other) in pairs.items() if not same(one, other)]


def _plain(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of a schema, each as one plain array."""
    return pa.table(
        {
            column.name: columns.one_array(columns.plain(table[column.name]))
            for column in schema.columns
        }
    )


def _firms(parsed: ParsedInputs) -> pa.Table | None:
    return None if parsed.firms is None else _plain(parsed.firms, FIRMS)


def _hash(parsed: ParsedInputs) -> str | None:
    return None if parsed.span_file is None else parsed.span_file.hash


def incomplete(hybrid: Hybrid) -> dict[str, bool]:
    """Return whether a row of each account was rejected, by account."""
    name = columns.texts(hybrid.parsed.accounts["account"]).tolist()
    return dict(zip(name, (hybrid.rejected > 0).tolist(), strict=True))
