"""Which beginning and ending the films of a quadruple have, told from the frames that they share.

A film that cannot happen begins as one that can, frame for frame, and ends as the other. Where it begins and ends as
the same one, with the other in between, or where it begins or ends as both, no beginning and ending are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.physics.manifest import Version

Versions = tuple[Version, Version]
WHOLE: list[Versions] = [("A", "A"), ("B", "B")]
QUADRUPLE: list[Versions] = [("A", "A"), ("A", "B"), ("B", "A"), ("B", "B")]


class Told(NamedTuple):
    """What the frames of four films tell."""

    versions: tuple[Versions, ...]
    """Beginning and ending of each film, in their order; empty ones where they are not told."""
    event: int | None
    """First frame in which a film is no longer the one that it begins as; None where none begins as another."""


def tell(pictures: Sequence[Sequence[str]], possible: Sequence[bool]) -> Told:
    """Return the beginnings and endings of four films, and where the endings begin.

    Args:
        pictures: what the frames of each film are known by, such as digests.
        possible: whether each film can happen: two can.
    """
    first, second = (film for film, can in zip(pictures, possible, strict=True) if can)
    impossible = [film for film, can in zip(pictures, possible, strict=True) if not can]
    crossed = iter([_versions(film, first, second) for film in impossible])
    whole = iter(WHOLE)
    versions = tuple(next(whole if can else crossed) for can in possible)
    event = min(max(_alike(film, first), _alike(film, second)) for film in impossible)
    return Told(
        versions if sorted(versions) == QUADRUPLE else (("", ""),) * len(versions),
        event if 0 < event < len(first) else None,
    )


def _versions(film: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Versions:
    return _nearer(film, first, second), _nearer(film[::-1], first[::-1], second[::-1])


def _nearer(film: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Version:
    """Return A or B, for the film with which this one begins for longer; an empty text if for equally long."""
    as_first, as_second = _alike(film, first), _alike(film, second)
    if as_first == as_second:
        return ""
    return "A" if as_first > as_second else "B"


def _alike(film: Sequence[str], other: Sequence[str]) -> int:
    """Return how many frames are the same from the beginning on."""
    differing = (index for index, (one, two) in enumerate(zip(film, other, strict=False)) if one != two)
    return next(differing, min(len(film), len(other)))
