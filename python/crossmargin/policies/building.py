"""Build checked dataclasses from TOML tables: each field present, of its type, and sensible."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Protocol, TypeVar, cast

from crossmargin.exceptions import InputError

EVIDENCE = {
    "confirmed": "read in the named source",
    "inferred": "concluded from confirmed facts",
    "unconfirmed": "remembered or assumed; no text could be read",
    "ours": "a choice of this project, or of whoever wrote the file",
}
"""Kinds of evidence for a value, and what they mean."""


class Checked(Protocol):
    """A dataclass that states the rules for its values."""

    def rules(self) -> Mapping[str, bool]:
        """Return a message for each rule, beginning with a field's name; and whether it holds."""
        ...


T = TypeVar("T", bound=Checked)


def build(cls: type[T], values: object, where: str) -> T:
    """Return a checked dataclass built from the values of a table.

    Parameters
    ----------
    cls : type
        A dataclass with fields of float, int, bool, str or tuples of them, and a method `rules`.
    values : object
        A mapping with a value for each field, as read from TOML.
    where : str
        Name of the table in error messages: `policy NAME: TABLE`.

    Returns
    -------
    cls

    Raises
    ------
    InputError
        It is not a mapping, lacks a field, has an unknown one, a value has the wrong type, or a
        rule does not hold; the message names the field.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: must be a table of parameters")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cast(Any, cls))]
    for key in values:
        if key not in names:
            raise InputError(f"{where}.{key}: unknown parameter; known: {', '.join(names)}")
    built = {}
    for key in names:
        if key not in values:
            raise InputError(f"{where}.{key}: the parameter is missing")
        built[key] = convert(hints[key], values[key], f"{where}.{key}")
    made = cls(**built)
    check(made, where)
    return made


def check(made: Checked, where: str) -> None:
    """Raise InputError if a rule does not hold.

    Parameters
    ----------
    made : Checked
    where : str
        Name of the table in error messages.
    """
    for message, holds in made.rules().items():
        if not holds:
            raise InputError(f"{where}.{message}")


def entries(table: object, where: str) -> Iterator[tuple[str, Any, str, str]]:
    """Yield the parameters of a table: name, value, evidence, source.

    Parameters
    ----------
    table : object
        `{parameter: {value, evidence, source}}`.
    where : str
        Name of the table in error messages.

    Yields
    ------
    tuple of (str, object, str, str)

    Raises
    ------
    InputError
        It does not have this form.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: the table is missing")
    for key, entry in table.items():
        if not isinstance(entry, Mapping) or set(entry) != {"value", "evidence", "source"}:
            raise InputError(f"{where}.{key}: give exactly value, evidence and source")
        check_origin(entry["evidence"], entry["source"], f"{where}.{key}")
        yield key, entry["value"], entry["evidence"], entry["source"]


def check_origin(evidence: object, source: object, where: str) -> None:
    """Raise InputError unless a parameter has a known kind of evidence and a source.

    Parameters
    ----------
    evidence, source : object
        As read from TOML.
    where : str
        Name of the parameter in error messages.
    """
    if evidence not in EVIDENCE:
        raise InputError(f"{where}: evidence {evidence!r} is not one of " + ", ".join(EVIDENCE))
    if not isinstance(source, str) or not source.strip():
        raise InputError(f"{where}: source must be a text that says where the value comes from")


def convert(hint: Any, value: Any, where: str) -> Any:
    """Return a TOML value converted to the type of a field.

    Parameters
    ----------
    hint : type
        float, int, bool, str or tuples of them.
    value : object
    where : str
        Name of the parameter in error messages.

    Returns
    -------
    object

    Raises
    ------
    InputError
        The value is not of that type.
    """
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list):
            raise InputError(f"{where}: must be a list")
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return tuple(convert(inner[0], item, where) for item in value)
        if len(value) != len(inner):
            raise InputError(f"{where}: each entry needs {len(inner)} parts")
        return tuple(convert(one, item, where) for one, item in zip(inner, value, strict=True))
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{where}: {value!r} is not of type {hint.__name__}")
    if hint is float and not math.isfinite(value):
        raise InputError(f"{where}: {value!r} is not finite")
    return value
