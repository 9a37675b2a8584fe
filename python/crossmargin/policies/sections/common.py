"""The form that all tables of a policy have, and checks that several tables share."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, ClassVar, Protocol, cast

from crossmargin.book.schemas import SECURITIES, Schema
from crossmargin.instruments.contracts import roots

HIGHEST_LEVEL = 0.9999
"""Highest level; above it a tail may hold no scenario (methodology, section 1)."""

MOST_USD = 1e9
"""Largest charge a contract, USD."""

Rules = dict[str, bool]
"""Rules for a table's values: the message of each, and whether it holds."""

MaturityGroup = tuple[str, tuple[str, ...], int]
"""Name, types of securities, and last month of remaining term, included."""


class Section(Protocol):
    """A table of a policy: a frozen dataclass whose fields are its parameters.

    The type of each field is `Annotated` with the meaning of the parameter, in words.

    Attributes
    ----------
    table : str
        Its name in the file.
    purpose : str
        A sentence that says what the table is for.
    """

    table: ClassVar[str]
    purpose: ClassVar[str]

    def rules(self) -> Rules:
        """Return the rules for the values; each message begins with a parameter's name."""
        ...


def meanings(section: type) -> dict[str, str]:
    """Return the meaning of each parameter of a table.

    Parameters
    ----------
    section : type
        A dataclass, some of whose fields are annotated.

    Returns
    -------
    dict of str to str
        By parameter, in their order.
    """
    hints = typing.get_type_hints(section, include_extras=True)
    annotated = {field.name: hints[field.name] for field in fields(cast(Any, section))}
    return {
        name: hint.__metadata__[0]
        for name, hint in annotated.items()
        if hasattr(hint, "__metadata__")
    }


def shares(values: Iterable[float]) -> bool:
    """Tell whether all values lie between 0 and 1."""
    return all(0.0 <= value <= 1.0 for value in values)


def by_root(amounts: tuple[tuple[str, float], ...], most: float = MOST_USD) -> bool:
    """Tell whether each root is known and named once, with an amount that is not too large."""
    names = [root for root, _ in amounts]
    return (
        len(set(names)) == len(names)
        and set(names) <= set(roots())
        and all(0.0 <= usd <= most for _, usd in amounts)
    )


def codes_ok(codes: tuple[tuple[str, str, str], ...]) -> bool:
    """Tell whether each root is known and named once, and each exchange and product once."""
    names = [root for root, _, _ in codes]
    return (
        set(names) <= set(roots())
        and len(set(names)) == len(names)
        and len({code[1:] for code in codes}) == len(codes)
    )


def all_choices(values: tuple[str, ...], schema: Schema, name: str) -> bool:
    """Tell whether all values are choices of a column of an input table."""
    return all(set(values) <= set(c.choices) for c in schema.columns if c.name == name)


def group_rules(name: str, groups: tuple[MaturityGroup, ...]) -> Rules:
    """Return the rules for maturity groups given as the parameter `name`."""
    names = [group for group, _, _ in groups]
    return {
        f"{name} must have names, each once": len(names) > 0 and len(set(names)) == len(names),
        f"{name} holds an unknown type": all(
            types and all_choices(types, SECURITIES, "type") for _, types, _ in groups
        ),
        f"{name} must have a last month from 1 to 1200": all(
            1 <= months <= 1200 for _, _, months in groups
        ),
    }
