"""Find policy files, and merge them over the policies that they extend."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from crossmargin.exceptions import InputError
from crossmargin.files import MAX_TOML, parse_toml, read_file

SHIPPED = Path(__file__).parent
DEEPEST = 8
"""Most links in a chain of policies that extend each other."""
MOST_FILES = 64
"""Most policies that one policy extends, those that they extend included."""


def shipped_policies() -> tuple[str, ...]:
    """Return the names of the policies that come with the package.

    Returns
    -------
    tuple of str
    """
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def policy_bytes(name: str, folder: Path) -> bytes:
    """Return the bytes of a policy file: a shipped one by its name, any other by its path.

    Parameters
    ----------
    name : str
        Name of a shipped policy, or the path of a file.
    folder : Path
        Folder to which a path is relative.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        The file cannot be read.
    """
    if name in shipped_policies():
        return (SHIPPED / f"{name}.toml").read_bytes()
    try:
        return read_file(folder / name, limit=MAX_TOML, label=f"policy {name}")
    except InputError as error:
        raise InputError(
            f"{error}; give a file or one of {', '.join(shipped_policies())}"
        ) from None


def policy_folder(name: str, folder: Path) -> Path:
    """Return the folder to which the paths of the policies it extends are relative.

    Parameters
    ----------
    name, folder
        As in `policy_bytes`.

    Returns
    -------
    Path
    """
    return folder if name in shipped_policies() else (folder / name).parent


def merged(text: bytes, name: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Return a policy's entries merged over those of the policies it extends, and its hash.

    Parameters
    ----------
    text : bytes
        The file.
    name : str
        Its name in error messages.
    folder : Path
        Folder of the files that it extends.

    Returns
    -------
    data : dict
        The entries as read from TOML.
    hash : str
        SHA-256 of the hashes of the policies it extends, in order, and of the file.

    Raises
    ------
    InputError
        A file cannot be read, or the policy has the name of one that it extends, or none.

    Notes
    -----
    A policy's own entries are merged over those of the policies it extends, one after the other.
    A policy that is reached several times counts once, where it is reached first: two policies
    that extend the same one bring what each of them changes, and neither undoes the other.
    """
    family = _Family()
    digest = family.add(text, name, folder, DEEPEST)
    data: dict[str, Any] = {}
    for own in family.entries.values():
        for key, entry in own.items():
            # A table is merged by its parameters; `ccp` holds a table for each clearing house.
            data[key] = _over(entry, data.get(key), 2 if key == "ccp" else 1)
    return data, digest


class _Family:
    """A policy with all that it extends.

    Attributes
    ----------
    entries : dict
        Each policy's own entries by its hash, in the order in which they are merged.
    """

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self._left = MOST_FILES

    def add(self, text: bytes, name: str, folder: Path, links: int) -> str:
        """Add a policy after those that it extends, and return its hash."""
        own = parse_toml(text, label=f"policy {name}")
        digests = []
        for parent in parents_of(own, name):
            if links == 0:
                raise InputError(f"policy {name}: more than {DEEPEST} policies extend each other")
            if self._left == 0:
                raise InputError(f"policy {name}: more than {MOST_FILES} policies are extended")
            self._left -= 1
            digests.append(
                self.add(
                    policy_bytes(parent, folder), parent, policy_folder(parent, folder), links - 1
                )
            )
        names = {self.entries[digest].get("name") for digest in digests}
        if digests and str(own.get("name", "")).strip() in {"", *names}:
            raise InputError(
                f"policy {name}: give it a name, other than that of the policy it extends"
            )
        digest = hashlib.sha256("".join(digests).encode() + text).hexdigest()
        self.entries.setdefault(digest, own)
        return digest


def parents_of(own: dict[str, Any], name: str) -> list[str]:
    """Return the names of the policies that a policy extends.

    Parameters
    ----------
    own : dict
        Its entries as read from TOML.
    name : str
        Its name in error messages.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        `extends` is neither a name nor a list of different names.
    """
    extends = own.get("extends", [])
    parents = [extends] if isinstance(extends, str) else extends
    if (
        not isinstance(parents, list)
        or not all(isinstance(parent, str) for parent in parents)
        or len(set(parents)) < len(parents)
        or (not parents and "extends" in own)
    ):
        raise InputError(
            f"policy {name}: extends must be the name of a policy, or a list of names, each once"
        )
    return parents


def _over(entry: Any, inherited: Any, depth: int) -> Any:
    """Return an entry merged over an inherited one; tables are merged down to a depth."""
    if depth == 0 or not isinstance(entry, dict) or not isinstance(inherited, dict):
        return entry
    return inherited | {
        key: _over(value, inherited.get(key), depth - 1) for key, value in entry.items()
    }
