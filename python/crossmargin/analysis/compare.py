"""A comparison of two runs, account by account: two policies on one book, or two days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossmargin import columns
from crossmargin.calculation.result import RunResult
from crossmargin.exceptions import InputError
from crossmargin.io.results import read_results
from crossmargin.results.schemas.compare import COMPARE, COMPARED, has_difference
from crossmargin.results.schemas.run import ACCOUNTS
from crossmargin.results.table import Table


@dataclass(frozen=True)
class Margined:
    """What a comparison needs from a run: its accounts and its manifest."""

    accounts: pa.Table
    manifest: Mapping[str, Any]


def compare(run_a: RunResult | str | Path, run_b: RunResult | str | Path) -> Table:
    """Return both runs' figures of each account, and their differences.

    Parameters
    ----------
    run_a, run_b : RunResult, or path
        Runs, or directories of their results: of two policies, two days, two books.

    Returns
    -------
    Table
        A row per account: those of `run_a` in its order, then those only in `run_b` in its order.
        Its columns are those of `crossmargin.results.schema.COMPARE`; differences are B minus A.

    Raises
    ------
    InputError
        A directory holds no results, or they are not as the run wrote them.

    Examples
    --------
    >>> compare(run, "yesterday").to_pandas()  # doctest: +SKIP
    """
    return Table(differences(margined(run_a), margined(run_b)))


def margined(run: RunResult | str | Path) -> Margined:
    """Return the accounts and the manifest of a run, or of the results in a directory."""
    if isinstance(run, RunResult):
        return Margined(run.accounts.to_arrow(), run.manifest)
    tables, manifest = read_results(run, "accounts")
    _check_whole(run, tables["accounts"], manifest)
    return Margined(tables["accounts"], manifest)


def _check_whole(run: str | Path, accounts: pa.Table, manifest: Mapping[str, Any]) -> None:
    """Refuse results that are not as a run wrote them."""
    named = accounts.column_names
    needed = [ACCOUNTS[name] for name in ("account", *COMPARED)]
    wrong = [c.name for c in needed if c.name not in named or accounts[c.name].type != c.type]
    if wrong or accounts["account"].null_count:
        raise InputError(
            f"{run}: accounts.parquet has no usable column {', '.join(wrong) or 'account'}; run "
            "the book again"
        )
    try:
        said = [manifest["as_of"], manifest["cycle"], manifest["policy"]["name"]]
        said += [entry["hash"] for entry in manifest["inputs"].values()]
        said += [manifest.get("market", {}).get("curve_date", "")]
    except (KeyError, TypeError, AttributeError):
        said = [None]
    if not all(isinstance(text, str) for text in said):
        raise InputError(
            f"{run}: manifest.json lacks the as-of date, cycle, policy or hashes of the inputs; "
            "run the book again"
        )
    number, different = columns.encoded(accounts["account"])
    if len(different) < len(accounts):
        name = different[int(np.argmax(np.bincount(number)))]
        raise InputError(
            f"{run}: accounts.parquet has account {name} more than once; run the book again"
        )


def differences(a: Margined, b: Margined) -> pa.Table:
    """Return the table of `compare`."""
    at_b = pc.index_in(b.accounts["account"], value_set=a.accounts["account"])
    only_b = columns.column(np.flatnonzero(~columns.is_known(at_b)))
    account = pa.chunked_array(
        [*a.accounts["account"].chunks, *b.accounts["account"].take(only_b).chunks], pa.string()
    )
    rows = [pc.index_in(account, value_set=run.accounts["account"]) for run in (a, b)]
    in_a, in_b, in_both = columns.scalar("a"), columns.scalar("b"), columns.nothing(pa.string())
    only_in = pc.if_else(rows[1].is_null(), in_a, pc.if_else(rows[0].is_null(), in_b, in_both))
    cells = {"account": account, "only_in": only_in}
    for name in COMPARED:
        one, other = (run.accounts[name].take(row) for run, row in zip((a, b), rows, strict=True))
        cells |= {f"{name}_a": one, f"{name}_b": other}
        if has_difference(ACCOUNTS[name]):
            difference = f"{name}_difference"
            cells[difference] = pc.subtract(other, one).cast(COMPARE[difference].type)
    return COMPARE.table(cells)


def inputs_that_differ(a: Margined, b: Margined) -> list[str]:
    """Return the names of the inputs that differ, or that only one of the runs had."""
    hashes = [
        {name: entry["hash"] for name, entry in run.manifest["inputs"].items()} for run in (a, b)
    ]
    return sorted(
        name for name in hashes[0] | hashes[1] if hashes[0].get(name) != hashes[1].get(name)
    )
