"""Fourth stage: the models and charges of a policy, with one market's P&L and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crossmargin import columns
from crossmargin.agreement.eligibility import eligible_instruments
from crossmargin.arrays import Mask
from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.book.schemas import OBSERVED_MARGINS, POSITIONS, SPREADS, VOLUMES
from crossmargin.calculation.inputs import ParsedInputs, market_notes
from crossmargin.calculation.kept import Kept
from crossmargin.calculation.netted import NettedBook, universe_on
from crossmargin.calculation.policy_market import policy_market
from crossmargin.conventions import CME, FICC
from crossmargin.engine import Execution
from crossmargin.engine.execution import DEFAULT_EXECUTION
from crossmargin.exceptions import CODES, ExceptionLog, InputError
from crossmargin.instruments.securities import Securities
from crossmargin.instruments.universe import Universe
from crossmargin.margin.ccps import clearing_houses
from crossmargin.margin.charges import Charge, ChargeInputs, prepare_charges
from crossmargin.margin.cme.span_file import SpanFile
from crossmargin.margin.model import ModelInputs, OwnCube, PreparedModel
from crossmargin.market import Market
from crossmargin.market.scenarios import CorrelationError, HistoryShortError, ScenarioStore
from crossmargin.policies import CmeEquivalents, ObservedMarginRules, Policy, SpreadRules
from crossmargin.policies.sections.charges import CmeConcentration
from crossmargin.policies.sections.cme import SHOW


@dataclass(frozen=True)
class PreparedModels:
    """Everything that turns a book into margin.

    Attributes
    ----------
    policy : Policy
    market : Market
        With the basis from settlement prices.
    universe : Universe
        The instruments on this market, [I].
    eligible : ndarray of bool, [I]
        The instrument may be cross-margined.
    ccps : dict of str to PreparedModel
        By clearing house.
    charges : tuple of Charge
        On top of the models' margin.
    """

    policy: Policy
    market: Market
    universe: Universe
    eligible: Mask
    ccps: Mapping[str, PreparedModel]
    charges: tuple[Charge, ...]


def prepare_models(
    policy: Policy,
    market: Market,
    universe: Universe,
    held: Securities,
    *,
    cubes: Mapping[str, OwnCube] | None = None,
    span_file: SpanFile | None = None,
    volumes: Mapping[str, float] | None = None,
    observed: tuple[ObservedMargin, ...] = (),
    store: ScenarioStore | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> PreparedModels:
    """Return the models and charges of a policy, prepared for a market.

    Parameters
    ----------
    policy : Policy
    market : Market
    universe : Universe
        The instruments on that market; its first ones are the securities of the book.
    held : Securities
        Those securities, in the same order.
    cubes : mapping of str to OwnCube, optional
        P&L that the user brings, by clearing house.
    span_file : SpanFile, optional
    volumes : mapping of str to float, optional
        Contracts a day, by contract or root.
    observed : tuple of ObservedMargin
    store : ScenarioStore, optional
        Keeps the scenarios for the next call: they stay the same when the market moves.
    execution : Execution

    Returns
    -------
    PreparedModels

    Raises
    ------
    InputError
        The history is too short, or what the user brought does not fit.
    """
    store = store or ScenarioStore()
    eligible = eligible_instruments(universe, held, market, policy)
    prepared = {}
    try:
        # First, so that a missing volume is reported before anything large is computed.
        charges = prepare_charges(
            ChargeInputs(universe, held, market, policy, volumes or {}, store)
        )
        for clearing_house in clearing_houses(policy):
            inputs = ModelInputs(
                universe=universe,
                held=held,
                market=market,
                scenarios=policy.scenarios_of(clearing_house.ccp),
                eligible=eligible,
                store=store,
                cube=(cubes or {}).get(clearing_house.ccp),
                span_file=span_file,
                volumes=volumes or {},
                observed=observed,
            )
            prepared[clearing_house.ccp] = clearing_house.model.prepare(inputs, execution)
    except (HistoryShortError, CorrelationError) as error:
        raise InputError(f"par yields: {error}") from None
    return PreparedModels(policy, market, universe, eligible, prepared, charges)


def prepare_for_book(
    parsed: ParsedInputs,
    netted: NettedBook,
    policy: Policy,
    market: Market,
    kept: Kept,
    execution: Execution,
) -> tuple[PreparedModels, pa.Table]:
    """Return the models for a netted book, on its own market or another one of the same day.

    Parameters
    ----------
    parsed, netted
        The earlier stages.
    policy : Policy
    market : Market
        With the factors that the policy derives, or without them.
    kept : Kept
        What earlier runs of the book left for later ones; this one adds to it.
    execution : Execution

    Returns
    -------
    models : PreparedModels
    exceptions : pyarrow.Table
        What the models do not cover, and notes on the market and the inputs they use.

    Raises
    ------
    InputError
        As `prepare_models`.
    """
    universe = netted.universe
    market = policy_market(policy, market)
    if market is not parsed.market:
        universe = universe_on(market, parsed, netted.contracts, kept.baskets)
    models = models_on(universe, parsed, policy, market, kept, execution)
    log = ExceptionLog(parsed.trades.files)
    log.extend(market_notes(market, parsed.trades.contracts))
    _note_inputs(parsed, policy, market, log)
    for model in models.ccps.values():
        for note in model.notes():
            log.add(note.code, file=note.file, message=note.message)
    _log_unpriced(parsed, netted, models, log)
    return models, log.table()


def models_on(
    universe: Universe,
    parsed: ParsedInputs,
    policy: Policy,
    market: Market,
    kept: Kept,
    execution: Execution,
) -> PreparedModels:
    """Return the models for a book whose instruments have been valued; see `prepare_models`."""
    return prepare_models(
        policy,
        market,
        universe,
        parsed.securities.take(parsed.trades.held),
        cubes=parsed.cubes,
        span_file=parsed.span_file,
        volumes=parsed.volumes,
        observed=parsed.observed_margins,
        store=kept.scenarios,
        execution=execution,
    )


def _note_inputs(parsed: ParsedInputs, policy: Policy, market: Market, log: ExceptionLog) -> None:
    """Log inputs that have no use, and a history that begins later than a period of stress."""
    stands_in = policy.get(CmeEquivalents)
    if (
        policy.get(CmeConcentration) is None
        and (stands_in is None or stands_in.minimum_volume == 0.0)
        and VOLUMES.name in parsed.source
        and not parsed.open_interest
    ):
        log.add(
            "INPUT_NOT_USED",
            file=VOLUMES.name,
            message="volumes were given, but the policy has no cme_concentration: nothing is "
            "charged for large positions",
        )
    if market.history.spreads is not None and policy.get(SpreadRules) is None:
        log.add(
            "INPUT_NOT_USED",
            file=SPREADS.name,
            message="spreads were given, but the policy has no table spreads: securities move with "
            "the curve alone",
        )
    rules = policy.get(ObservedMarginRules)
    if rules is not None and rules.use != SHOW and not parsed.observed_margins:
        log.add(
            "OBSERVED_NOT_USED",
            file=OBSERVED_MARGINS.name,
            message="the policy scales CME's model to observed margins, but none are given "
            "(observed_margins=, --observed-margins): the model stands as it is",
        )
    windows = (w for ccp in (FICC, CME) for w in policy.scenarios_of(ccp).stress)
    for window in {(w.first, w.last): w for w in windows}.values():
        if window.first < market.history.date[0]:
            log.add(
                "STRESS_CUT",
                file="par_yields",
                message=f"the history begins on {market.history.date[0]}, later than the period of "
                f"stress from {window.first} to {window.last}: days of it give no scenarios; give "
                "earlier yields",
            )


def _log_unpriced(
    parsed: ParsedInputs,
    netted: NettedBook,
    models: PreparedModels,
    log: ExceptionLog,
) -> None:
    """Log each row with an instrument that a model does not cover, and assumed start cash."""
    trades, legs, name = parsed.trades, netted.legs, models.universe.name
    account = parsed.accounts["account"]
    at = trades.ccp[legs.trade]
    done = np.zeros(name.size, dtype=bool)
    for ccp, model in models.ccps.items():
        unpriced = model.unpriced
        if ccp in trades.ccps:
            new, there = unpriced != "", at == trades.ccps.index(ccp)
        else:
            # An instrument that neither FICC nor CME covers is reported once.
            new, there = (unpriced != "") & ~done, at < 0
            done |= new
        leg = np.flatnonzero(new[legs.instrument] & there)
        # Both legs of a forward-starting repo have the same instrument.
        pair = np.unique(np.column_stack([legs.trade[leg], legs.instrument[leg]]), axis=0)
        for code in sorted(set(unpriced[new])):
            trade, instrument = pair[unpriced[pair[:, 1]] == code].T
            log.add(
                code,
                file=POSITIONS.name,
                row=trades.row[trade],
                account=account.take(columns.column(trades.account[trade])),
                instrument=name[instrument],
                message=[
                    f"{text}: {CODES[code].meaning}; V at {ccp} is null where it is held"
                    for text in name[instrument]
                ],
            )
    log.add(
        "START_CASH_ASSUMED",
        file=POSITIONS.name,
        row=trades.row[legs.assumed],
        account=account.take(columns.column(trades.account[legs.assumed])),
        instrument=trades.instrument.take(columns.column(legs.assumed)),
        message="start cash was blank: taken as face times the model's dirty price",
    )
