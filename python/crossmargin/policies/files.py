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


def merged(
    text: bytes, name: str, folder: Path, *, links: int = DEEPEST
) -> tuple[dict[str, Any], str]:
    """Return a policy's entries merged over those of the policy it extends, and its hash.

    Parameters
    ----------
    text : bytes
        The file.
    name : str
        Its name in error messages.
    folder : Path
        Folder of the file that it extends.
    links : int
        Number of further policies that may be extended.

    Returns
    -------
    data : dict
        The entries as read from TOML.
    hash : str
        SHA-256 of the file, and of the hash of the policy it extends.

    Raises
    ------
    InputError
        A file cannot be read, or the policy has the name of the one it extends, or none.
    """
    data = parse_toml(text, label=f"policy {name}")
    if "extends" not in data:
        return data, hashlib.sha256(text).hexdigest()
    parent = data["extends"]
    if not isinstance(parent, str):
        raise InputError(f"policy {name}: extends must be the name of a policy")
    if links == 0:
        raise InputError(f"policy {name}: more than {DEEPEST} policies extend each other")
    inherited, digest = merged(
        policy_bytes(parent, folder), parent, policy_folder(parent, folder), links=links - 1
    )
    if str(data.get("name", "")).strip() in ("", inherited.get("name")):
        raise InputError(f"policy {name}: give it a name, other than that of the policy it extends")
    for key, entry in data.items():
        # A table is merged by its parameters; `ccp` holds a table for each clearing house.
        inherited[key] = _over(entry, inherited.get(key), 2 if key == "ccp" else 1)
    return inherited, hashlib.sha256(digest.encode() + text).hexdigest()


def _over(entry: Any, inherited: Any, depth: int) -> Any:
    """Return an entry merged over an inherited one; tables are merged down to a depth."""
    if depth == 0 or not isinstance(entry, dict) or not isinstance(inherited, dict):
        return entry
    return inherited | {
        key: _over(value, inherited.get(key), depth - 1) for key, value in entry.items()
    }
