"""Everything that lies in a folder: each file once, linked folders too."""

from __future__ import annotations

import heapq
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data.prepared_paths import METADATA

Place = tuple[int, int | str]
"""What makes two paths the same file: device and inode, or the path behind all links where there are no inodes."""


class FoundFile(NamedTuple):
    """A file, or a folder or link that is not searched."""

    path: Path
    """As it was reached, links included."""
    status: os.stat_result | None
    """Size, kind and times; None if `problem` says why it is not to be read."""
    problem: str = ""
    """Why it is not to be read."""
    is_media: bool | None = None
    """Whether what `problem` keeps from being read may be a video or image; None if its name tells."""
    linked: bool = False
    """Whether a link led there."""


def search_folder(root: Path) -> list[FoundFile]:
    """Return all files in a folder and in the folders in it, in order of their paths.

    Linked folders are searched as well, each once and under its own name rather than a link's: a link to a folder that
    is searched anyway, for instance to one that holds the link, is returned with that as its problem.
    """
    found: list[FoundFile] = []
    seen: dict[Place, Path] = {}
    folders = deque([look_at(root)])
    links: list[tuple[tuple[str, ...], Path]] = []
    while folders or links:
        if folders:
            entries = list(_enter(folders.popleft(), root, seen, links))
        else:
            _, link = heapq.heappop(links)
            entries = [look_at(link, linked=True)]
        for entry in entries:
            is_folder = entry.status is not None and stat.S_ISDIR(entry.status.st_mode)
            (folders if is_folder else found).append(entry)
    return sorted(found, key=lambda file: file.path.parts)


def look_at(path: Path, linked: bool = False) -> FoundFile:
    """Return what is at a path, links followed."""
    try:
        return FoundFile(path, path.stat(), linked=linked)
    except FileNotFoundError:
        gone = ": it is a link to a file that is gone" if path.is_symlink() else ""
        return FoundFile(path, None, f"does not exist{gone}")
    except OSError as error:
        return FoundFile(path, None, f"cannot be read: {error.strerror}")


def place_of(file: FoundFile) -> Place:
    """Return what a file has in common with its other names."""
    if file.status is not None and file.status.st_ino:
        return file.status.st_dev, file.status.st_ino
    return 0, os.path.realpath(file.path)


def _enter(
    folder: FoundFile, root: Path, seen: dict[Place, Path], links: list[tuple[tuple[str, ...], Path]]
) -> Iterator[FoundFile]:
    """Yield what is in a folder, except links, which are put off until everything else was seen."""
    known = seen.setdefault(place_of(folder), folder.path)
    if known != folder.path:
        name = "the folder that is searched" if known == root else known.relative_to(root)
        yield _not_searched(folder, f"is a link to {name}: not searched twice")
        return
    try:
        with os.scandir(folder.path) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        yield _not_searched(folder, f"is a folder that cannot be searched: {error.strerror}", is_media=True)
        return
    if folder.path != root and any(entry.name == METADATA for entry in entries):
        yield _not_searched(folder, "is a folder of prepared shards, which are used if it alone is given as the data")
        return
    for entry in entries:
        path = folder.path / entry.name
        if entry.is_symlink():
            heapq.heappush(links, (path.parts, path))
        else:
            yield look_at(path, folder.linked)


def _not_searched(folder: FoundFile, problem: str, is_media: bool = False) -> FoundFile:
    return folder._replace(status=None, problem=problem, is_media=is_media)
