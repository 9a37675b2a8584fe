"""The policy: every parameter of the agreement and the models, dated, with source and standing."""

from __future__ import annotations

import datetime
import hashlib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from crossmargin.book.exceptions import InputError
from crossmargin.book.schemas import ACCOUNTS, SECURITIES, Schema
from crossmargin.instruments.contracts import roots
from crossmargin.market.curve import NODE_NAMES
from crossmargin.market.scenarios import StressWindow

DEFAULT = "cme-ficc-2026-04-30"
STANDINGS = ("confirmed", "inferred", "unconfirmed", "ours")
HIGHEST_LEVEL = 0.9999
"""Beyond it a tail can come to nothing (methodology, section 1)."""


@dataclass(frozen=True)
class Agreement:
    """How the two savings become one."""

    cap: float
    minimum_saving: float


@dataclass(frozen=True)
class Eligibility:
    """Who and what may be cross-margined."""

    security_types: tuple[str, ...]
    remaining_months: int
    roots: tuple[str, ...]
    house_roles: tuple[str, ...]
    customer_roles: tuple[str, ...]


@dataclass(frozen=True)
class ScenarioRules:
    """Which rows of the history are scenarios."""

    look_back: int
    minimum_rows: int
    stress_windows: tuple[tuple[str, str], ...]

    @property
    def stress(self) -> tuple[StressWindow, ...]:
        """The windows as dates."""
        return tuple(
            StressWindow(np.datetime64(a, "D"), np.datetime64(b, "D"))
            for a, b in self.stress_windows
        )


@dataclass(frozen=True)
class Ficc:
    """The FICC-like model."""

    pnl: str
    level: float
    horizon: int
    minimum_margin_rows: int
    floor_share: float
    floor_rows: int
    floor_bucket_years: tuple[float, ...]
    floor_bucket_nodes: tuple[str, ...]


@dataclass(frozen=True)
class Cme:
    """The CME-like model."""

    level: float
    horizon: int
    historical_weight: float
    volatility_decay: float
    volatility_seed_rows: int
    volatility_limit: float
    equivalent_roots: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Charge:
    """A charge beside V: a rate on the gross market value of a pot."""

    name: str
    house: str
    rate: float
    inside: bool
    standing: str
    source: str


@dataclass(frozen=True)
class Parameter:
    """One parameter as the file has it, for reports."""

    name: str
    value: Any
    standing: str
    source: str


@dataclass(frozen=True)
class Policy:
    """A policy file, checked.

    Attributes
    ----------
    name, title, authority, effective_from : str
    hash : str
        SHA-256 of the file.
    parameters : tuple of Parameter
        All of them with source and standing.
    """

    name: str
    title: str
    authority: str
    effective_from: str
    hash: str
    agreement: Agreement
    eligibility: Eligibility
    scenarios: ScenarioRules
    ficc: Ficc
    cme: Cme
    charges: tuple[Charge, ...]
    parameters: tuple[Parameter, ...]


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file, or the default one.

    Parameters
    ----------
    path : str or Path, optional
        A TOML file with the tables and keys of the default policy, all of them.

    Returns
    -------
    Policy

    Raises
    ------
    InputError
        The file cannot be read, lacks a parameter, has one we do not know, or a value makes no
        sense; the message names the parameter.
    """
    if path is None:
        file = Path(__file__).with_name(f"{DEFAULT}.toml")
        return parse_policy(file.read_bytes(), name=DEFAULT)
    try:
        return parse_policy(Path(path).read_bytes(), name=str(path))
    except OSError as error:
        raise InputError(f"policy {path}: {error.strerror}") from None


def parse_policy(text: bytes, *, name: str) -> Policy:
    """Return the policy a TOML text holds; `name` is what errors call it."""
    try:
        data = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"policy {name}: not TOML: {error}") from None
    known = {"name", "title", "authority", "effective_from", "charge"}
    sections: dict[str, type] = {
        "agreement": Agreement,
        "eligibility": Eligibility,
        "scenarios": ScenarioRules,
        "ficc": Ficc,
        "cme": Cme,
    }
    unknown = sorted(set(data) - known - set(sections))
    if unknown:
        raise InputError(f"policy {name}: unknown entry {unknown[0]!r}; remove it")
    parameters: list[Parameter] = []
    built: dict[str, Any] = {
        key: _section(cls, data.get(key), f"policy {name}: {key}", parameters)
        for key, cls in sections.items()
    }
    charges = []
    entries = data.get("charge", [])
    if not isinstance(entries, list):
        raise InputError(f"policy {name}: charge must be a list of tables: [[charge]]")
    for number, entry in enumerate(entries, start=1):
        where = f"policy {name}: charge {number}"
        charge = _build(Charge, entry, where)
        _check_origin(charge.standing, charge.source, where)
        parameters.append(
            Parameter(f"charge.{charge.name}", charge.rate, charge.standing, charge.source)
        )
        charges.append(charge)
    for key in ("name", "title", "authority"):
        if not isinstance(data.get(key), str):
            raise InputError(f"policy {name}: {key} must be a text")
    if type(data.get("effective_from")) is not datetime.date:
        raise InputError(f"policy {name}: effective_from must be a date, YYYY-MM-DD")
    policy = Policy(
        name=data["name"],
        title=data["title"],
        authority=data["authority"],
        effective_from=str(data["effective_from"]),
        hash=hashlib.sha256(text).hexdigest(),
        charges=tuple(charges),
        parameters=tuple(parameters),
        **built,
    )
    _check(policy, f"policy {name}")
    return policy


def _section(cls: type, data: object, where: str, parameters: list[Parameter]) -> Any:
    """Build one section from `{parameter: {value, standing, source}}`."""
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: the table is missing")
    values = {}
    for key, entry in data.items():
        if not isinstance(entry, Mapping) or set(entry) != {"value", "standing", "source"}:
            raise InputError(f"{where}.{key}: needs value, standing and source, nothing else")
        _check_origin(entry["standing"], entry["source"], f"{where}.{key}")
        values[key] = entry["value"]
        section = where.rsplit(" ", 1)[-1]
        parameters.append(
            Parameter(f"{section}.{key}", entry["value"], entry["standing"], entry["source"])
        )
    return _build(cls, values, where)


def _check_origin(standing: object, source: object, where: str) -> None:
    """Raise unless a parameter says how sure it is and where it comes from."""
    if standing not in STANDINGS:
        raise InputError(f"{where}: standing {standing!r} is not one of " + ", ".join(STANDINGS))
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


def _check(policy: Policy, where: str) -> None:
    """Raise unless every value makes sense."""
    a, e, s, f, c = (
        policy.agreement,
        policy.eligibility,
        policy.scenarios,
        policy.ficc,
        policy.cme,
    )
    years, equivalents = f.floor_bucket_years, [limit for limit, _ in c.equivalent_roots]
    rules = {
        "agreement.cap must be above 0, at most 1": 0.0 < a.cap <= 1.0,
        "agreement.minimum_saving must lie between 0 and 1": 0.0 <= a.minimum_saving <= 1.0,
        "eligibility.security_types holds an unknown type": _all_choices(
            e.security_types, SECURITIES, "type"
        ),
        "eligibility.house_roles or customer_roles holds an unknown role": _all_choices(
            e.house_roles + e.customer_roles, ACCOUNTS, "ficc_role"
        ),
        "eligibility.remaining_months must be 0 to 1200": 0 <= e.remaining_months <= 1200,
        "eligibility.roots holds an unknown root": set(e.roots) <= set(roots()),
        "scenarios.look_back and minimum_rows must be positive, the minimum not the larger": (
            1 <= s.minimum_rows <= s.look_back
        ),
        "scenarios.stress_windows must be pairs of dates, the first not later": _windows_ok(s),
        "ficc.pnl must be 'sensitivity' or 'full'": f.pnl in ("sensitivity", "full"),
        f"ficc.level and cme.level must lie above 0 and be at most {HIGHEST_LEVEL}": (
            0.0 < f.level <= HIGHEST_LEVEL and 0.0 < c.level <= HIGHEST_LEVEL
        ),
        "ficc.horizon and cme.horizon must be 1 to 60": (
            1 <= f.horizon <= 60 and 1 <= c.horizon <= 60
        ),
        "ficc.minimum_margin_rows and floor_rows must be positive": (
            f.minimum_margin_rows >= 1 and f.floor_rows >= 2
        ),
        "ficc.floor_share must not be negative": 0.0 <= f.floor_share < 10.0,
        "ficc.floor_bucket_years must ascend": list(years) == sorted(set(years)),
        "ficc.floor_bucket_nodes must name a node for each bucket": (
            len(f.floor_bucket_nodes) == len(years) > 0
            and set(f.floor_bucket_nodes) <= set(NODE_NAMES)
        ),
        "cme.historical_weight must lie between 0 and 1": 0.0 <= c.historical_weight <= 1.0,
        "cme.volatility_decay must lie between 0 and 1": 0.0 < c.volatility_decay < 1.0,
        "cme.volatility_seed_rows must be positive": c.volatility_seed_rows >= 1,
        "cme.volatility_limit must be at least 1": c.volatility_limit >= 1.0,
        "cme.equivalent_roots must ascend and name Treasury futures": (
            equivalents == sorted(set(equivalents))
            and len(equivalents) > 0
            and {root for _, root in c.equivalent_roots} <= set(roots("treasury"))
        ),
        "charge.house must be FICC or CME": all(x.house in ("FICC", "CME") for x in policy.charges),
        "charge.name must differ for each charge of a house": (
            len({(x.house, x.name) for x in policy.charges}) == len(policy.charges)
        ),
        "charge.rate must lie between 0 and 1": all(0.0 <= x.rate <= 1.0 for x in policy.charges),
    }
    for message, holds in rules.items():
        if not holds:
            raise InputError(f"{where}: {message}")


def _all_choices(values: tuple[str, ...], schema: Schema, name: str) -> bool:
    """Tell whether all values may stand in a column of an input table."""
    return all(set(values) <= set(c.choices) for c in schema.columns if c.name == name)


def _windows_ok(rules: ScenarioRules) -> bool:
    try:
        windows = rules.stress
    except ValueError:
        return False
    # NumPy would also take a bare year, or `today`.
    written = tuple((str(window.first), str(window.last)) for window in windows)
    return written == rules.stress_windows and all(w.first <= w.last for w in windows)
