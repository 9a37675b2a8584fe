"""Clearing houses beside FICC and CME, as a policy describes them."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from crossmargin.book.schemas import POSITION_KINDS
from crossmargin.conventions import CME, FICC
from crossmargin.exceptions import InputError
from crossmargin.policies.building import check, convert
from crossmargin.policies.sections.common import Rules, meanings

_NAME = re.compile(r"[A-Z][A-Z0-9]{1,11}")
_KNOWN = ("title", "model", "clears")


@dataclass(frozen=True)
class CcpTable:
    """The tables `[ccp.NAME.parameter]` of one clearing house.

    Attributes
    ----------
    name : str
        A capital letter, then 1 to 11 capital letters or digits; not FICC or CME.
    title, model : str
    clears : tuple of str
        Some of `cash`, `repo`, `reverse` and `future`.
    parameters : mapping of str to object
        Parameters of its model, as read from TOML; the model checks them with `policies.build`.
    """

    name: str
    title: Annotated[str, "full name of the clearing house"]
    model: Annotated[str, "name of its margin model"]
    clears: Annotated[tuple[str, ...], "kinds of positions that it clears"]
    parameters: Mapping[str, Any]

    @property
    def purpose(self) -> str:
        """A sentence that says what the tables are for."""
        return f"{self.title}: a clearing house that is margined by the model {self.model}."

    def meaning(self, parameter: str) -> str:
        """Return the meaning of one of its parameters.

        Parameters
        ----------
        parameter : str

        Returns
        -------
        str
        """
        return meanings(CcpTable).get(parameter, f"parameter of the model {self.model}")

    def rules(self) -> Rules:
        """Return the rules for the values."""
        return {
            "title must not be blank": self.title.strip() != "",
            "model must not be blank": self.model.strip() != "",
            f"clears must name kinds of positions, each once: {', '.join(POSITION_KINDS)}": (
                len(self.clears) > 0
                and len(set(self.clears)) == len(self.clears)
                and set(self.clears) <= set(POSITION_KINDS)
            ),
        }


def build_ccp(name: str, values: Mapping[str, Any], where: str) -> CcpTable:
    """Return a clearing house built from the values of its parameters.

    Parameters
    ----------
    name : str
    values : mapping of str to object
        As read from TOML.
    where : str
        Its name in error messages.

    Returns
    -------
    CcpTable

    Raises
    ------
    InputError
        Title, model or kinds of positions are missing or make no sense.
    """
    hints = typing.get_type_hints(CcpTable)
    known = {}
    for key in _KNOWN:
        if key not in values:
            raise InputError(f"{where}.{key}: the parameter is missing")
        known[key] = convert(hints[key], values[key], f"{where}.{key}")
    rest = {key: value for key, value in values.items() if key not in _KNOWN}
    made = CcpTable(name=name, parameters=rest, **known)
    check(made, where)
    return made


def check_ccp_name(name: str, where: str) -> None:
    """Raise InputError unless a clearing house may have this name.

    Parameters
    ----------
    name : str
    where : str
        Name of the policy in error messages.
    """
    if name in (FICC, CME):
        raise InputError(f"{where}: ccp.{name}: {name} has its own table; use [{name.lower()}]")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: ccp.{name[:100]}: the name of a clearing house must be 2 to 12 capital "
            "letters or digits and begin with a letter"
        )
