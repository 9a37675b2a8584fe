"""A run made again from the inputs that its manifest names, where its stages were not kept."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossmargin.book import schemas
from crossmargin.calculation.result import GIVEN_RATES, RunResult
from crossmargin.calculation.run import run
from crossmargin.calculation.store import as_written, read_tables
from crossmargin.calculation.unused import UNUSED
from crossmargin.exceptions import InputError
from crossmargin.io.market import read_market
from crossmargin.io.tables import Source, is_file_of
from crossmargin.market import Market
from crossmargin.policies import Policy, read_policy

YIELDS = "par_yields"
OF_THE_MARKET = (
    *(YIELDS, schemas.BASIS.name, schemas.FIXINGS.name, schemas.SOFR.name),
    schemas.SPREADS.name,
)
"""The inputs that make a market."""
REQUIRED = (schemas.POSITIONS.name, schemas.ACCOUNTS.name, schemas.SECURITIES.name)
OF_THE_BOOK = (
    *(*REQUIRED, schemas.FIRMS.name, schemas.SETTLEMENTS.name, schemas.VOLUMES.name),
    *(schemas.OBSERVED_MARGINS.name, "ficc_cube", "cme_cube", "span_file", "columns"),
)
"""The other inputs of a run."""


def rebuild_run(
    directory: str | Path,
    *,
    market: Market | None = None,
    inputs: Mapping[str, Any] | None = None,
    threads: int | None = None,
    backend: str = "auto",
) -> RunResult:
    """Return a run from its results, its stages made anew from the files that it read.

    The manifest has the path and the hash of each. What comes out must equal the results.

    Parameters
    ----------
    directory : str or Path
        Where `write_run`, `RunResult.write` or the command put them.
    market : Market, optional
        The run's market, if it was not read from files that are still in their place.
    inputs : mapping of str to path or table, optional
        Inputs that were given as tables, or lie elsewhere now, by their names in `crossmargin.run`
        and `read_market`.
    threads, backend
        As in `crossmargin.run`.

    Returns
    -------
    RunResult
        The tables and the manifest in the directory, and the stages.

    Raises
    ------
    InputError
        The directory holds no results, an input is gone or was changed, or another result comes
        out of the inputs.
    """
    tables, manifest = read_tables(directory)
    if GIVEN_RATES in manifest:
        raise InputError(
            f"{directory}: its offset rates were given and do not follow from the inputs; rebuild "
            "the run that they were given to"
        )
    given = dict(inputs or {})
    policy = _policy(manifest, given.pop("policy", None))
    named = {
        name: entry
        for name, entry in _named(directory, manifest).items()
        if market is None or name not in OF_THE_MARKET
    }
    unknown = sorted(given.keys() - named.keys())
    if unknown:
        raise InputError(f"inputs: the run had no {', '.join(unknown)} of its own to replace")
    sources: dict[str, Any] = {
        name: given[name] if name in given else _lying(name, entry) for name, entry in named.items()
    }
    history = {name: sources.pop(name) for name in OF_THE_MARKET if name in sources}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The run has warned.
        if market is None:
            market = read_market(**history, as_of=manifest["as_of"], columns=sources.get("columns"))
        again = run(
            **sources,
            market=market,
            policy=policy,
            cycle=manifest["cycle"],
            unused=manifest.get(UNUSED) is not False,
            allow_empty=True,
            threads=threads,
            backend=backend,
        )
    _check_same(directory, manifest, again.manifest)
    return RunResult(**tables, manifest=manifest, stages=again.stages)


def _named(directory: str | Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a manifest says of each input."""
    inputs = manifest.get("inputs")
    known = {*OF_THE_BOOK, *OF_THE_MARKET}
    if (
        not isinstance(inputs, dict)
        or not all(isinstance(entry, dict) for entry in inputs.values())
        or not {*REQUIRED, YIELDS} <= inputs.keys() <= known
    ):
        raise InputError(f"{directory}: manifest.json does not name the inputs; run the book again")
    return inputs


def _policy(manifest: Mapping[str, Any], given: str | Path | Policy | None) -> Policy:
    """Return the policy of a run: the one given, else the shipped one or the file it names."""
    if isinstance(given, Policy):
        return given
    said = manifest.get("policy")
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise InputError("policy: manifest.json does not name it; run the book again")
    policy = read_policy(given or _path("policy", said.get("path") or said["name"]))
    if policy.hash != said.get("hash"):
        raise _changed("policy", policy.path or policy.name)
    return policy


def _lying(name: str, entry: Mapping[str, Any]) -> Source | list[Source]:
    """Return where an input of a run lies, if it is there unchanged."""
    paths, hashes = entry.get("paths"), entry.get("files")
    if not isinstance(paths, list) or not isinstance(hashes, list) or len(paths) != len(hashes):
        return _unchanged(name, entry.get("path"), entry.get("hash"))
    return [_unchanged(name, path, digest) for path, digest in zip(paths, hashes, strict=True)]


def _unchanged(name: str, path: object, digest: object) -> str:
    """Return the path of a file that has the hash in the manifest, or raise."""
    if path is None:
        raise InputError(
            f"{name}: the run took a table, and no file holds it; run the book again, or give it "
            "to xm.rebuild_run"
        )
    there = _path(name, path)
    if not is_file_of(there, str(digest), name=name):
        raise _changed(name, there)
    return there


def _path(name: str, path: object) -> str:
    if not isinstance(path, str):
        raise InputError(f"{name}: manifest.json has no path of it; run the book again")
    return path


def _changed(name: str, path: str) -> InputError:
    return InputError(
        f"{name}: {path} was changed after the run (its hash is not the one in manifest.json); "
        "run the book again"
    )


def _check_same(
    directory: str | Path, manifest: Mapping[str, Any], again: Mapping[str, Any]
) -> None:
    """Refuse stages that are not those of the results."""
    for name, entry in again["inputs"].items():
        said = manifest["inputs"].get(name, {}).get("hash")
        if said is not None and said != entry["hash"]:
            raise InputError(f"{name}: is not what the run read; give that, or run the book again")
    if as_written(again["results"]) != manifest["results"] or (
        as_written(again["ccps"]) != manifest.get("ccps")
    ):
        raise InputError(
            f"{directory}: the inputs give other results than these, of another version, market "
            "or policy; run the book again"
        )
