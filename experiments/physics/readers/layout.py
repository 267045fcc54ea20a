"""What the readers of published sets share: what lies in a folder, and how it is said that it lies otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NoReturn

from data.media import is_litter
from experiments.physics.manifest import MANIFEST, ManifestError
from experiments.physics.options import SetKind

NAMES: dict[SetKind, str] = {
    "manifest": "a set with a manifest",
    "intphys": "IntPhys",
    "intphys2": "IntPhys 2",
    "inflevel": "InfLevel",
    "grasp": "level 2 of GRASP",
    "adept": "the test set of ADEPT",
    "likephys": "LikePhys",
}
"""What sets are called."""
METADATA = "metadata.csv"
"""Table of IntPhys 2."""
BLOCK = re.compile(r"O\d+")
"""Names of the folders of IntPhys, one for each principle."""
CATEGORIES = ("continuity", "solidity", "gravity")
"""Folders of InfLevel."""
TEST = re.compile(r"(I?P)_(.+)")
"""Names of the folders of GRASP: P_ or IP_, for plausible and implausible, and the test."""
CASE = re.compile(r"human_(disappear_fixed|disappear|overturn|discontinuous|delay|block)_(.+)_(\d)")
"""Names of the films of ADEPT: the case, the shape of the object, and which of the case's films it is."""
SCENARIO = "_videos"
"""How the names of the folders of LikePhys end."""
NOT_SAID = "the set does not say of every event whether it is hidden; those films stand as visible: look at `both`"
"""Said of sets from which it does not follow whether events are hidden."""

_SIGNS: dict[SetKind, Callable[[Path], bool]] = {
    "manifest": lambda path: (path / MANIFEST).is_file(),
    "intphys": lambda path: any(BLOCK.fullmatch(name) for name in _folder_names(path)),
    "intphys2": lambda path: (path / METADATA).is_file(),
    "inflevel": lambda path: any(name in CATEGORIES for name in _folder_names(path)),
    "grasp": lambda path: any(TEST.fullmatch(name) for name in _folder_names(path)),
    "adept": lambda path: any(CASE.fullmatch(child.stem) for child in path.iterdir()),
    "likephys": lambda path: any(name.endswith(SCENARIO) for name in _folder_names(path)),
}
"""By what a set of each kind is known at a glance."""


def folders_in(path: Path) -> list[Path]:
    """Return the folders in a folder, by name; hidden ones, and those that operating systems leave, do not count."""
    return sorted(child for child in path.iterdir() if child.is_dir() and not _is_left(child))


def videos_in(path: Path) -> list[Path]:
    """Return the MP4 files in a folder, by name."""
    return sorted(child for child in path.iterdir() if child.suffix.lower() == ".mp4" and not _is_left(child))


def check_folder(path: Path, kind: SetKind) -> None:
    """Refuse what is no folder.

    Raises:
        ManifestError: it is something else.
    """
    if not path.is_dir():
        raise ManifestError(f"{path} is no folder: --kind {kind} needs the folder of {NAMES[kind]}")


def looks_like(path: Path) -> SetKind | None:
    """Return the kind of set that a folder looks like; None if it looks like none."""
    if not path.is_dir():
        return None
    return next((kind for kind, is_so in _SIGNS.items() if is_so(path)), None)


def hint(path: Path, kind: SetKind) -> str:
    """Return what to do where a folder is no set of a kind: empty, or a clause that begins with a semicolon."""
    other = looks_like(path)
    if other is not None and other != kind:
        return f"; this looks like {NAMES[other]}: give --kind {other}"
    inner = next((folder for folder in folders_in(path) if looks_like(folder) == kind), None) if path.is_dir() else None
    return "" if inner is None else f"; {inner} looks like it: give --films {inner}"


def refuse(path: Path, kind: SetKind, wrong: str) -> NoReturn:
    """Say that a folder is not laid out as a set of its kind, and what it looks like instead.

    Args:
        path: of the folder.
        kind: that was asked for.
        wrong: what was looked for and not found, as a clause.

    Raises:
        ManifestError: always.
    """
    raise ManifestError(f"{path} is not laid out as {NAMES[kind]} is: {wrong}{hint(path, kind)}")


def inside(root: Path, name: str, said_by: Path) -> str:
    """Return a path that a table of a set gives, if it stays in the folder of the set.

    Raises:
        ManifestError: it is empty or leads out of it.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or not _stays(root, root / path):
        raise ManifestError(f"{said_by} names the film {name!r}: give paths that stay in {root}")
    return path.as_posix()


def _stays(root: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _folder_names(path: Path) -> list[str]:
    return [folder.name for folder in folders_in(path)]


def _is_left(path: Path) -> bool:
    return path.name.startswith(".") or is_litter(Path(path.name))
