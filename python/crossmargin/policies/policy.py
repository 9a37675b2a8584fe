"""The policy: every parameter of the agreement and the models, dated, with source and evidence."""

from __future__ import annotations

import datetime
import difflib
import hashlib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from crossmargin.exceptions import InputError
from crossmargin.files import MAX_TOML, parse_toml, read_file
from crossmargin.policies.sections import (
    CLASS_DISALLOWANCE,
    SPAN,
    SPREAD_CREDIT,
    Agreement,
    BacktestingRules,
    Charge,
    ClassDisallowance,
    Cme,
    CmeConcentration,
    CmeCorrelation,
    CmeLiquidity,
    Eligibility,
    Ficc,
    HaircutRules,
    HigherOfRules,
    HolidayRules,
    LiquidityRules,
    RepoRateRules,
    ScenarioRules,
    Span,
    SpreadCredit,
)

DEFAULT = "cme-ficc-2026-04-30"
SHIPPED = Path(__file__).parent
EVIDENCE = ("confirmed", "inferred", "unconfirmed", "ours")
SECTIONS: dict[str, type] = {
    "agreement": Agreement,
    "eligibility": Eligibility,
    "scenarios": ScenarioRules,
    "ficc": Ficc,
    "cme": Cme,
}
"""Tables that every policy has, its own or by what it extends."""
OPTIONAL: dict[str, type] = {
    CLASS_DISALLOWANCE: ClassDisallowance,
    SPREAD_CREDIT: SpreadCredit,
    "haircuts": HaircutRules,
    "repo_rate": RepoRateRules,
    "liquidity": LiquidityRules,
    "holiday": HolidayRules,
    "backtesting": BacktestingRules,
    "higher_of": HigherOfRules,
    SPAN: Span,
    "cme_correlation": CmeCorrelation,
    "cme_liquidity": CmeLiquidity,
    "cme_concentration": CmeConcentration,
}
"""Tables that a policy has where it uses what they are for; None otherwise."""
DEEPEST = 8
"""A chain of policies that extend each other may have so many links."""


@dataclass(frozen=True)
class Parameter:
    """One parameter as the file has it, for reports."""

    name: str
    value: Any
    evidence: str
    source: str


@dataclass(frozen=True)
class Policy:
    """A policy file, checked.

    Attributes
    ----------
    name, title, authority, effective_from : str
    hash : str
        SHA-256 of the file, and of the hash of the policy it extends.
    extends : str
        The policy whose entries hold where this one is silent; empty for none.
    class_disallowance, spread_credit : ClassDisallowance, SpreadCredit or None
        The tables of the offset_methods; there is one where `agreement.offset_method` names it.
    parameters : tuple of Parameter
        All of them with source and evidence.
    """

    name: str
    title: str
    authority: str
    effective_from: str
    hash: str
    extends: str
    agreement: Agreement
    eligibility: Eligibility
    scenarios: ScenarioRules
    ficc: Ficc
    cme: Cme
    class_disallowance: ClassDisallowance | None
    spread_credit: SpreadCredit | None
    haircuts: HaircutRules | None
    repo_rate: RepoRateRules | None
    liquidity: LiquidityRules | None
    holiday: HolidayRules | None
    backtesting: BacktestingRules | None
    higher_of: HigherOfRules | None
    span: Span | None
    cme_correlation: CmeCorrelation | None
    cme_liquidity: CmeLiquidity | None
    cme_concentration: CmeConcentration | None
    charges: tuple[Charge, ...]
    parameters: tuple[Parameter, ...]


def shipped_policies() -> tuple[str, ...]:
    """Return the names of the policies that come with the package.

    Returns
    -------
    tuple of str
    """
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file, or one that comes with the package.

    Parameters
    ----------
    path : str or Path, optional
        A TOML file, or the name of a shipped policy; the default is the customer programme of
        30 April 2026. A file has the tables and keys of the default policy, all of them, or names
        in `extends` the policy (shipped, or a file beside it) that has the others.

    Returns
    -------
    Policy

    Raises
    ------
    InputError
        The file cannot be read, lacks a parameter, has one we do not know, or a value makes no
        sense; the message names the parameter.
    """
    name = DEFAULT if path is None else str(path)
    return parse_policy(_bytes(name, Path()), name=name, folder=_folder(name, Path()))


def parse_policy(text: bytes, *, name: str, folder: Path | None = None) -> Policy:
    """Return the policy a TOML text holds.

    Parameters
    ----------
    text : bytes
        The file.
    name : str
        What errors call it.
    folder : Path, optional
        Where a file that it extends is looked for.

    Returns
    -------
    Policy
    """
    data, digest = _merged(text, name, Path() if folder is None else folder, DEEPEST)
    known = {"name", "title", "authority", "effective_from", "extends", "charge"}
    unknown = sorted(set(data) - known - set(SECTIONS) - set(OPTIONAL))
    if unknown:
        near = difflib.get_close_matches(unknown[0][:100], [*known, *SECTIONS, *OPTIONAL], n=1)
        advice = f"is {near[0]} meant?" if near else "remove it"
        raise InputError(f"policy {name}: unknown entry {unknown[0][:100]!r}; {advice}")
    parameters: list[Parameter] = []
    built: dict[str, Any] = dict.fromkeys(OPTIONAL)
    for key, cls in {**SECTIONS, **OPTIONAL}.items():
        if key in SECTIONS or key in data:
            built[key] = _section(cls, data.get(key), key, name, parameters)
    offset_method = built["agreement"].offset_method
    if offset_method in OPTIONAL and built[offset_method] is None:
        raise InputError(
            f"policy {name}: agreement.offset_method is {offset_method!r}, and the table "
            f"{offset_method} is missing"
        )
    if built["cme"].model == SPAN and built[SPAN] is None:
        raise InputError(f"policy {name}: {SPAN}: the table is missing; cme.model asks for it")
    charges = []
    entries = data.get("charge", [])
    if not isinstance(entries, list):
        raise InputError(f"policy {name}: charge must be a list of tables: [[charge]]")
    for number, entry in enumerate(entries, start=1):
        where = f"policy {name}: charge {number}"
        charge = _build(Charge, entry, where)
        _check_origin(charge.evidence, charge.source, where)
        _check(charge.rules(), f"policy {name}: charge")
        parameters.append(
            Parameter(f"charge.{charge.name}", charge.rate, charge.evidence, charge.source)
        )
        charges.append(charge)
    named = [
        *charges,
        *(built[key] for key in ("cme_liquidity", "cme_concentration") if built[key]),
    ]
    if len({(x.ccp, x.name) for x in named}) < len(named):
        raise InputError(f"policy {name}: charge.name must differ for each charge of a house")
    for key in ("name", "title", "authority"):
        if not isinstance(data.get(key), str):
            raise InputError(f"policy {name}: {key} must be a text")
    if type(data.get("effective_from")) is not datetime.date:
        raise InputError(f"policy {name}: effective_from must be a date, YYYY-MM-DD")
    return Policy(
        name=data["name"],
        title=data["title"],
        authority=data["authority"],
        effective_from=str(data["effective_from"]),
        hash=digest,
        extends=data.get("extends", ""),
        charges=tuple(charges),
        parameters=tuple(parameters),
        **built,
    )


def _bytes(name: str, folder: Path) -> bytes:
    """Return a policy file: a shipped one by its name, any other by its path."""
    if name in shipped_policies():
        return (SHIPPED / f"{name}.toml").read_bytes()
    try:
        return read_file(folder / name, limit=MAX_TOML, label=f"policy {name}")
    except InputError as error:
        raise InputError(
            f"{error}; give a file or one of {', '.join(shipped_policies())}"
        ) from None


def _folder(name: str, folder: Path) -> Path:
    """Return where a policy's neighbours are."""
    return folder if name in shipped_policies() else (folder / name).parent


def _merged(text: bytes, name: str, folder: Path, links: int) -> tuple[dict[str, Any], str]:
    """Return a policy's entries over those of what it extends, and its hash."""
    data = parse_toml(text, label=f"policy {name}")
    if "extends" not in data:
        return data, hashlib.sha256(text).hexdigest()
    parent = data["extends"]
    if not isinstance(parent, str):
        raise InputError(f"policy {name}: extends must be the name of a policy")
    if links == 0:
        raise InputError(f"policy {name}: extends goes on for more than {DEEPEST} policies")
    inherited, digest = _merged(_bytes(parent, folder), parent, _folder(parent, folder), links - 1)
    if str(data.get("name", "")).strip() in ("", inherited.get("name")):
        raise InputError(f"policy {name}: needs a name of its own, other than what it extends has")
    for key, entry in data.items():
        whole = not isinstance(entry, dict) or not isinstance(inherited.get(key), dict)
        inherited[key] = entry if whole else {**inherited[key], **entry}
    return inherited, hashlib.sha256(digest.encode() + text).hexdigest()


def _section(
    cls: type, data: object, section: str, policy: str, parameters: list[Parameter]
) -> Any:
    """Build one section from `{parameter: {value, evidence, source}}`; list its parameters."""
    where = f"policy {policy}: {section}"
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: the table is missing")
    values = {}
    for key, entry in data.items():
        if not isinstance(entry, Mapping) or set(entry) != {"value", "evidence", "source"}:
            raise InputError(f"{where}.{key}: needs value, evidence and source, nothing else")
        _check_origin(entry["evidence"], entry["source"], f"{where}.{key}")
        values[key] = entry["value"]
        parameters.append(
            Parameter(f"{section}.{key}", entry["value"], entry["evidence"], entry["source"])
        )
    built = _build(cls, values, where)
    _check(built.rules(), where)
    return built


def _check(rules: Mapping[str, bool], where: str) -> None:
    """Raise unless every value makes sense."""
    for message, holds in rules.items():
        if not holds:
            raise InputError(f"{where}.{message}")


def _check_origin(evidence: object, source: object, where: str) -> None:
    """Raise unless a parameter says how sure it is and where it comes from."""
    if evidence not in EVIDENCE:
        raise InputError(f"{where}: evidence {evidence!r} is not one of " + ", ".join(EVIDENCE))
    if not isinstance(source, str) or not source.strip():
        raise InputError(f"{where}: source must be a text that says where the value comes from")


def _build(cls: type, values: object, where: str) -> Any:
    """Build a dataclass from a mapping, every field present and of its type."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: must be a table")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    for key in values:
        if key not in names:
            raise InputError(f"{where}.{key}: unknown parameter; known: {', '.join(names)}")
    built = {}
    for key in names:
        if key not in values:
            raise InputError(f"{where}.{key}: missing")
        built[key] = _convert(hints[key], values[key], f"{where}.{key}")
    return cls(**built)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return a TOML value as the type of a field: float, int, bool, str or tuples of them."""
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list):
            raise InputError(f"{where}: must be a list")
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return tuple(_convert(inner[0], item, where) for item in value)
        if len(value) != len(inner):
            raise InputError(f"{where}: each entry needs {len(inner)} parts")
        return tuple(_convert(one, item, where) for one, item in zip(inner, value, strict=True))
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{where}: {value!r} is not of type {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise InputError(f"{where}: {value!r} is not finite")
    return value
