"""Help with names that do not exist. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return a message for people: there is no such name, which there are, and which may have been meant."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"there is no {kind} {name!r}; there are {', '.join(names)}{meant}"
