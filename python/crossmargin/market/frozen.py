"""Arrays that nobody can change behind the back of what was computed from them."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class Frozen:
    """A frozen dataclass with arrays of its own that are read-only, also in copies and pickles."""

    def __post_init__(self) -> None:
        """Take copies of the arrays given."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, read_only(value))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """Copy and unpickle through the constructor."""
        given = (field for field in dataclasses.fields(self) if field.init)  # type: ignore[arg-type]
        return type(self), tuple(getattr(self, field.name) for field in given)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array that owns its memory and cannot be written to; a copy where it is not one."""
    if array.flags.writeable or not array.flags.owndata:
        array = array.copy()
        array.setflags(write=False)
    return array
