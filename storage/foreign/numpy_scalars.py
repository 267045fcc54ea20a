"""Numbers of numpy that lie in pickles, read as Python's own numbers and texts; numpy itself takes no part.

In a pickle such a number is a type, whose byte order follows as its state, and the bytes of the number.
"""

from __future__ import annotations

import struct
from typing import Any

from storage.checked_files import shortly
from storage.foreign.pickles import Buildable, PickleError, Settings

_FORMATS = {
    **{"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"},
    **{"f2": "e", "f4": "f", "f8": "d"},
}
"""Formats of `struct` by the names that numpy gives to its types in pickles."""

_COMPLEX = {"c8": "ff", "c16": "dd"}


class NumpyType(Buildable):
    """The type of a number of numpy, by its name.

    Args:
        name: a letter and a count, such as `f8`: of bytes, and of characters for texts, `U3`.
    """

    def __init__(self, name: Any = None, *others: Any) -> None:
        if not isinstance(name, str):
            raise PickleError(f"it has a type of numpy with the name {shortly(name)}, which is no text")
        self.name = name
        self.order = "<"

    def take(self, state: Any) -> None:
        """Take the byte order; fields and what else a state may hold are not kept."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"


def numpy_scalar(kind: Any = None, content: Any = b"", *others: Any) -> Any:
    """Return a number of numpy as a Python number, or a text; other types (dates, records) become inert.

    Args:
        kind: its type.
        content: its bytes, also as the text of latin-1 characters that Python 2 wrote.
        others: what a version of numpy may add, which is not used.

    Raises:
        PickleError: its type is none, or has another size.
    """
    if not isinstance(kind, NumpyType):
        raise PickleError("it has a number of numpy without a type")
    if isinstance(content, str):
        content = content.encode("latin-1")
    if kind.name[:1] == "U" and isinstance(content, bytes):
        return content.decode("utf-32-le" if kind.order == "<" else "utf-32-be").rstrip("\0")
    layout = _FORMATS.get(kind.name) or _COMPLEX.get(kind.name)
    if layout is None:
        return Settings()
    if not isinstance(content, bytes) or len(content) != struct.calcsize(f"={layout}"):
        raise PickleError(f"it has a number of numpy's type {kind.name} made of {shortly(content)}")
    parts = struct.unpack(kind.order + layout, content)
    return parts[0] if kind.name in _FORMATS else complex(*parts)
