"""What a run records about itself: versions, policy, inputs, models, counts and hashes."""

from __future__ import annotations

import hashlib
import platform
from typing import Any

import numpy as np
import pyarrow as pa

from crossmargin import engine
from crossmargin.arrays import Integer
from crossmargin.book.schemas import ACCOUNTS, POSITIONS
from crossmargin.calculation.classified import ClassifiedTrades
from crossmargin.calculation.inputs import ParsedInputs
from crossmargin.calculation.prepared import PreparedModels
from crossmargin.engine import Cube, Execution
from crossmargin.io.parse import describe_file
from crossmargin.margin.ccps import clearing_houses
from crossmargin.market import Market
from crossmargin.policies import Policy
from crossmargin.version import __version__


def describe_run(
    parsed: ParsedInputs,
    classified: ClassifiedTrades,
    models: PreparedModels,
    rejected: Integer,
    execution: Execution,
) -> dict[str, Any]:
    """Return what the manifest records about inputs and models.

    Parameters
    ----------
    parsed : ParsedInputs
    classified : ClassifiedTrades
    models : PreparedModels
    rejected : ndarray of int64, [A]
        Rejected rows that name each account.
    execution : Execution

    Returns
    -------
    dict
        Plain values.
    """
    read, used = parsed.source[POSITIONS.name]["rows_read"], parsed.trades.row.size
    size = len(parsed.accounts)
    assignment = classified.assignment
    margined = assignment.group_account[assignment.group]
    held = [parsed.trades.account, margined, np.flatnonzero(rejected)]
    kernels = engine.info(execution.backend)
    return {
        "synthetic": models.market.synthetic,
        "versions": {
            "crossmargin": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "backend": kernels.backend,
        "instruction_set": kernels.instruction_set,
        "policy": _describe_policy(models.policy),
        "inputs": {**parsed.source, **models.market.source},
        "market": _describe_market(models.market),
        "ccps": describe_ccps(models),
        "rows": {"read": read, "used": used, "rejected": read - used},
        "accounts": {
            "read": parsed.source[ACCOUNTS.name]["rows_read"],
            "margined": size,
            "without_positions": size - np.unique(np.concatenate(held)).size,
        },
    }


def _describe_policy(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        **describe_file(policy.path, policy.hash),
        "effective_from": policy.effective_from,
        "extends": policy.extends or None,
        "offset_method": policy.agreement.offset_method,
        "unconfirmed": [p.name for p in policy.parameters if p.evidence == "unconfirmed"],
    }


def _describe_market(market: Market) -> dict[str, Any]:
    history = market.history
    fixings_to = {index: market.fixings_to(index) for index in market.fixings}
    return {
        "curve_date": str(history.date[-1]),
        "curve_hash": hashlib.sha256(market.curve.log_df.tobytes()).hexdigest(),
        "sofr_curve_date": None if history.sofr is None else str(history.sofr.date[-1]),
        "fixings_to": {
            index: None if day is None else str(day) for index, day in fixings_to.items()
        },
        "history_from": str(history.date[0]),
        "history_rows": int(history.date.size),
        "rows_skipped": history.skipped_rows,
    }


def describe_ccps(models: PreparedModels) -> dict[str, dict[str, Any]]:
    """Return of each clearing house its model, the P&L it measures, and what the model says.

    Parameters
    ----------
    models : PreparedModels

    Returns
    -------
    dict
        Plain values, by clearing house.
    """
    return {
        clearing_house.ccp: {
            "model": clearing_house.model.name,
            "cubes": {
                name: _describe_cube(cube)
                for name, cube in models.ccps[clearing_house.ccp].scenario_pnl().items()
            },
            **models.ccps[clearing_house.ccp].describe(),
        }
        for clearing_house in clearing_houses(models.policy)
    }


def _describe_cube(cube: Cube) -> dict[str, Any]:
    names = cube.scenario
    return {
        "hash": cube.hash,
        "instruments": cube.instruments,
        "scenarios": cube.scenarios,
        "first": None if names is None else str(names[0]),
        "last": None if names is None else str(names[-1]),
    }
