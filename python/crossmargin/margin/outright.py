"""A model's margin of one contract, long and short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossmargin.arrays import Float
from crossmargin.book.observed_margins import ObservedMargin
from crossmargin.book.schemas import OBSERVED_MARGINS
from crossmargin.conventions import CME_XM, FUTURES, SEGMENTS
from crossmargin.engine import Book, Execution
from crossmargin.exceptions import InputError
from crossmargin.instruments.contracts import Contract, last_day, was_listed
from crossmargin.instruments.universe import Universe
from crossmargin.margin.cme.equivalents import front_contract
from crossmargin.margin.model import PreparedModel
from crossmargin.margin.observed import Outright
from crossmargin.policies.sections.cme import FLOOR, SCALE

PLAUSIBLE = 100.0
"""Times that an observed margin may differ from the model's, up or down."""


def outright_margins(
    model: PreparedModel, instrument: Sequence[int], instruments: int, execution: Execution
) -> Float:
    """Return the margin of one contract long and one short, each alone in an account.

    Parameters
    ----------
    model : PreparedModel
        Of a clearing house of the programme.
    instrument : sequence of int, [N]
        Futures, as numbers of the model's instruments.
    instruments : int
        How many instruments the model has.
    execution : Execution

    Returns
    -------
    ndarray of float64, [N x 2]
        V of the cross-margined futures, USD: long, short. NaN where the model does not cover the
        contract.
    """
    margin = model.margin(outright_book(instrument, instruments), execution)
    v = np.where(margin.unknown[:, FUTURES], np.nan, margin.v[:, FUTURES])
    return np.asarray(v.reshape(-1, 2))


def outright_book(instrument: Sequence[int], instruments: int) -> Book:
    """Return a book with two groups for each instrument: one contract long, then one short.

    Parameters
    ----------
    instrument : sequence of int, [N]
    instruments : int
        How many instruments there are.

    Returns
    -------
    Book
        Rows are group * 4 + segment; the contracts are cross-margined futures.
    """
    held = np.repeat(np.asarray(instrument, np.int32), 2)
    # Of each group's rows only that of the cross-margined futures holds a contract.
    size = np.zeros(held.size * len(SEGMENTS), np.int64)
    size[CME_XM :: len(SEGMENTS)] = 1
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    side = np.tile([1.0, -1.0], len(instrument))
    return Book.from_arrays(ptr, held, side, instruments)


def compared_contract(margin: ObservedMargin, as_of: np.datetime64) -> Contract | None:
    """Return the contract of an observed margin, of a root the front one; None if none is open."""
    contract = margin.contract
    if contract is None:
        return front_contract(margin.instrument, as_of)
    return contract if was_listed(contract, as_of) and last_day(contract) >= as_of else None


def compared_contracts(observed: Sequence[ObservedMargin], as_of: np.datetime64) -> list[Contract]:
    """Return the contracts that a model has to margin to be compared with observed margins."""
    found = (compared_contract(margin, as_of) for margin in observed)
    return [contract for contract in found if contract is not None]


def compare(
    model: PreparedModel,
    observed: Sequence[ObservedMargin],
    universe: Universe,
    as_of: np.datetime64,
    use: str,
    fixed: Mapping[str, str],
    execution: Execution,
) -> tuple[Outright, ...]:
    """Return a model's own margins of single contracts beside the observed ones.

    Parameters
    ----------
    model : PreparedModel
        Not scaled.
    observed : sequence of ObservedMargin
    universe : Universe
        The model's instruments. A contract that it lacks has no margin.
    as_of : datetime64[D]
    use : {"show", "floor", "scale"}
        What the policy does with the ratio.
    fixed : mapping of str to str
        Instruments to which the model is never scaled, and why.
    execution : Execution

    Returns
    -------
    tuple of Outright
        One for each observed margin, in their order.

    Raises
    ------
    InputError
        The model would be scaled to a margin that is `PLAUSIBLE` times its own, or a fraction.

    Notes
    -----
    Methodology, section 5: with the larger m of the two margins and the observed a, the factor is
    a / m for `scale` and max(1, a / m) for `floor`.
    """
    if not observed:
        return ()
    number = {name: i for i, name in enumerate(universe.name.tolist())}
    contracts = [compared_contract(margin, as_of) for margin in observed]
    symbols = ["" if contract is None else contract.symbol for contract in contracts]
    at = {symbol: number[symbol] for symbol in symbols if symbol in number}
    margins = outright_margins(model, list(at.values()), universe.name.size, execution)
    of = dict(zip(at, margins.tolist(), strict=True))
    found = []
    for margin, symbol in zip(observed, symbols, strict=True):
        long, short = of.get(symbol, (np.nan, np.nan))
        reason, factor = "", 1.0
        larger = max(long, short)
        if not symbol:
            reason = "no such contract can be held; there is nothing to compare with"
        elif not larger > 0.0:
            what = "is zero" if larger == 0.0 else "is unknown"
            reason = f"the model's margin of {symbol} {what}; there is no ratio"
        elif use in (FLOOR, SCALE):
            reason = fixed.get(margin.instrument, "")
            if not reason:
                factor = _factor(margin, symbol, larger, use)
        found.append(Outright(margin, symbol, long, short, use, factor, reason))
    return tuple(found)


def _factor(margin: ObservedMargin, symbol: str, own: float, use: str) -> float:
    """Return by how much the model is multiplied; refuse an observed margin of another unit."""
    factor = margin.maintenance / own
    if not 1.0 / PLAUSIBLE <= factor <= PLAUSIBLE:
        raise InputError(
            f"{OBSERVED_MARGINS.name}: {margin.instrument} has a `maintenance` of "
            f"{margin.maintenance:g} from {margin.date}, but the model's margin of {symbol} is "
            f"{own:,.6g} USD: more than {PLAUSIBLE:g} times apart, the model is not scaled; check "
            "that it is USD a contract, remove it, or set observed_margins.use to 'show'"
        )
    return max(1.0, factor) if use == FLOOR else factor
