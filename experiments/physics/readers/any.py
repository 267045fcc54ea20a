"""Which reader reads which kind of set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.options import SetKind
from experiments.physics.readers import adept, grasp, inflevel, intphys, intphys2, likephys, manifest

READERS: dict[SetKind, Callable[[Path], FilmSet]] = {
    "manifest": manifest.read,
    "intphys": intphys.read,
    "intphys2": intphys2.read,
    "inflevel": inflevel.read,
    "grasp": grasp.read,
    "adept": adept.read,
    "likephys": likephys.read,
}


def read_set(path: Path, kind: SetKind) -> FilmSet:
    """Return the films of a set.

    Args:
        path: folder of the set, or its manifest.
        kind: how it is laid out.

    Raises:
        ManifestError: it is laid out otherwise.
    """
    return READERS[kind](path)
