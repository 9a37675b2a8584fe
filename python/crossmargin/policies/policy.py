"""The policy: every parameter of the agreement and the models, dated, with source and evidence."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from crossmargin.exceptions import InputError
from crossmargin.files import absolute
from crossmargin.policies.building import build, check_origin, entries
from crossmargin.policies.ccps import CcpTable, build_ccp, check_ccp_name
from crossmargin.policies.files import (
    merged,
    parents_of,
    policy_bytes,
    policy_folder,
    shipped_policies,
)
from crossmargin.policies.sections import REQUIRED, SECTIONS, SPAN, charges
from crossmargin.policies.sections.agreement import AgreementRules
from crossmargin.policies.sections.charges import GrossValueCharge
from crossmargin.policies.sections.cme import Cme
from crossmargin.policies.sections.common import Section
from crossmargin.policies.sections.eligibility import Eligibility
from crossmargin.policies.sections.ficc import Ficc
from crossmargin.policies.sections.scenarios import HouseScenarios, ScenarioRules, Stress
from crossmargin.policies.sections.span import SpanTiers

T = TypeVar("T")

DEFAULT = "cme-ficc-2026-11-30"


@dataclass(frozen=True)
class Parameter:
    """One parameter as written in the file, for reports.

    Attributes
    ----------
    name : str
        Name with its table: `agreement.cap`, `ccp.NAME.title`, `charge.CCP.NAME`.
    value : object
        As read from TOML; the rate for an entry `[[charge]]`.
    evidence, source : str
    """

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
        SHA-256 of the file, and of the hashes of the policies it extends.
    extends : str
        Names of the policies that give all other entries, with commas; empty for none.
    agreement, eligibility, scenarios, ficc, cme
        The required tables.
    optional : mapping of type to Section
        The optional tables by class; see `get`.
    ccps : tuple of CcpTable
        Clearing houses beside FICC and CME.
    charges : tuple of GrossValueCharge
        The entries `[[charge]]`.
    parameters : tuple of Parameter
        All parameters, with source and evidence.
    path : str
        Absolute path of the file; empty for a shipped policy.
    """

    name: str
    title: str
    authority: str
    effective_from: str
    hash: str
    extends: str
    agreement: AgreementRules
    eligibility: Eligibility
    scenarios: ScenarioRules
    ficc: Ficc
    cme: Cme
    optional: Mapping[type, Section]
    ccps: tuple[CcpTable, ...]
    charges: tuple[GrossValueCharge, ...]
    parameters: tuple[Parameter, ...]
    path: str = ""

    def get(self, section: type[T]) -> T | None:
        """Return an optional table by its class; None if the policy lacks it.

        Parameters
        ----------
        section : type
            For example `HolidayRules`.

        Returns
        -------
        section or None
        """
        return cast("T | None", self.optional.get(section))

    def scenarios_of(self, ccp: str) -> ScenarioRules:
        """Return which days are scenarios at a clearing house, with its own periods of stress.

        Parameters
        ----------
        ccp : str
            FICC or CME; another one of the policy has them among its parameters.

        Returns
        -------
        ScenarioRules
        """
        stress = self.get(Stress)
        if stress is None:
            return self.scenarios
        rules = self.scenarios
        return HouseScenarios(
            look_back=rules.look_back,
            minimum_rows=rules.minimum_rows,
            stress_windows=rules.stress_windows,
            periods=stress.of(ccp),
            cash_roots=self.cme.equivalent_roots,
        )

    def with_sections(self, *sections: Section) -> Policy:
        """Return the policy with these optional tables, which replace its own of the same class.

        Parameters
        ----------
        *sections : Section
            For example `HolidayRules(0.1)`. Their values are not checked.

        Returns
        -------
        Policy
            Name, hash and parameters are still those of the file.
        """
        given = {type(section): section for section in sections}
        return replace(self, optional={**self.optional, **given})

    def without_sections(self, *sections: type[Section]) -> Policy:
        """Return the policy without some of its optional tables.

        Parameters
        ----------
        *sections : type
            For example `HolidayRules`. A table that it does not have makes no difference.

        Returns
        -------
        Policy
            Name, hash and parameters are still those of the file.
        """
        left = {key: value for key, value in self.optional.items() if key not in sections}
        return replace(self, optional=left)


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file, or a policy that comes with the package.

    Parameters
    ----------
    path : str or Path, optional
        A TOML file, or the name of a shipped policy; the default is the customer programme with
        the second version of our models, `cme-ficc-2026-11-30`. A file has all required tables
        with all their keys, or names in `extends` one or several policies that have the others:
        shipped ones, or files in the same folder.

    Returns
    -------
    Policy

    Raises
    ------
    InputError
        The file cannot be read, lacks a parameter, has an unknown one, or a value makes no sense;
        the message names the parameter.
    """
    name = DEFAULT if path is None else str(path)
    text, folder = policy_bytes(name, Path()), policy_folder(name, Path())
    policy = parse_policy(text, name=name, folder=folder)
    return policy if name in shipped_policies() else replace(policy, path=absolute(name))


def parse_policy(text: bytes, *, name: str, folder: Path | None = None) -> Policy:
    """Return the policy in a TOML text.

    Parameters
    ----------
    text : bytes
        The file.
    name : str
        Its name in error messages.
    folder : Path, optional
        Folder of the files that it extends.

    Returns
    -------
    Policy
    """
    data, digest = merged(text, name, Path() if folder is None else folder)
    where = f"policy {name}"
    _check_heads(data, where)
    parameters: list[Parameter] = []
    built: dict[str, Any] = {}
    for key, cls in SECTIONS.items():
        if key in REQUIRED or key in data:
            values = _values(data.get(key), key, where, parameters)
            built[key] = build(cls, values, f"{where}: {key}")
    _check_tables(built, where)
    ccps = _ccps(data.get("ccp", {}), where, parameters)
    rates = _rates(data.get("charge", []), where, parameters)
    own = [section for section in built.values() if isinstance(section, charges.SECTIONS)]
    names = {(charge.ccp, charge.name) for charge in (*rates, *own)}
    if len(names) < len(rates) + len(own):
        raise InputError(
            f"{where}: charge.name must differ between the charges of a clearing house"
        )
    return Policy(
        name=data["name"],
        title=data["title"],
        authority=data["authority"],
        effective_from=str(data["effective_from"]),
        hash=digest,
        extends=", ".join(parents_of(data, name)),
        optional={type(built[key]): built[key] for key in built if key not in REQUIRED},
        ccps=ccps,
        charges=rates,
        parameters=tuple(parameters),
        **{key: built[key] for key in REQUIRED},
    )


def _check_heads(data: Mapping[str, Any], where: str) -> None:
    """Raise unless all entries are known and the headings are given."""
    known = ["name", "title", "authority", "effective_from", "extends", "charge", "ccp", *SECTIONS]
    unknown = sorted(set(data) - set(known))
    if unknown:
        import difflib  # only a mistake needs it

        near = difflib.get_close_matches(unknown[0][:100], known, n=1)
        advice = f"do you mean {near[0]}?" if near else "remove it"
        raise InputError(f"{where}: unknown entry {unknown[0][:100]!r}; {advice}")
    for key in ("name", "title", "authority"):
        if not isinstance(data.get(key), str):
            raise InputError(f"{where}: {key} must be a text")
    if type(data.get("effective_from")) is not datetime.date:
        raise InputError(f"{where}: effective_from must be a date, YYYY-MM-DD")


def _check_tables(built: Mapping[str, Any], where: str) -> None:
    """Raise if a table that another table needs is missing."""
    offset_method = built["agreement"].offset_method
    if offset_method in SECTIONS and offset_method not in built:
        raise InputError(
            f"{where}: agreement.offset_method is {offset_method!r}, and the table "
            f"{offset_method} is missing"
        )
    if built["cme"].model == SPAN and SPAN not in built:
        raise InputError(f"{where}: {SPAN}: the table is missing, and cme.model needs it")
    tiers, span = built.get(SpanTiers.table), built.get(SPAN)
    if tiers is not None and span is not None:
        for root, _ in span.scan_ranges:
            if tiers.tiers_of(root):
                raise InputError(
                    f"{where}: {SPAN}.scan_ranges names {root}, which has ranges by tier; give "
                    f"them in {SpanTiers.table}.ranges, or take its tiers out"
                )


def _values(table: object, name: str, where: str, parameters: list[Parameter]) -> dict[str, Any]:
    """Return the values of a table, and add its parameters to the list."""
    values = {}
    for key, value, evidence, source in entries(table, f"{where}: {name}"):
        values[key] = value
        parameters.append(Parameter(f"{name}.{key}", value, evidence, source))
    return values


def _ccps(data: object, where: str, parameters: list[Parameter]) -> tuple[CcpTable, ...]:
    """Return the clearing houses beside FICC and CME, and add their parameters to the list."""
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: ccp must hold tables: [ccp.NAME.parameter]")
    ccps = []
    for name, table in data.items():
        check_ccp_name(name, where)
        values = _values(table, f"ccp.{name}", where, parameters)
        ccps.append(build_ccp(name, values, f"{where}: ccp.{name}"))
    return tuple(ccps)


def _rates(data: object, where: str, parameters: list[Parameter]) -> tuple[GrossValueCharge, ...]:
    """Return the entries `[[charge]]`, and add them to the list of parameters."""
    if not isinstance(data, list):
        raise InputError(f"{where}: charge must be a list of tables: [[charge]]")
    rates = []
    for number, entry in enumerate(data, start=1):
        charge = build(GrossValueCharge, entry, f"{where}: charge {number}")
        check_origin(charge.evidence, charge.source, f"{where}: charge {number}")
        rates.append(charge)
        parameters.append(
            Parameter(
                f"charge.{charge.ccp}.{charge.name}", charge.rate, charge.evidence, charge.source
            )
        )
    return tuple(rates)
