"""What people name as data, and what is refused before anything is read: paths, lists, stores.

Options refer to these checks: what they need beyond Python is imported when it is needed, so that help is instant.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path

from data.errors import MediaError, StimulusError, TokenStoreError
from data.folders import FoundFile, look_at
from data.prepared_paths import check_finished

WILD = re.compile("[*?]")
"""What stands for any characters of a name, or for one."""


def check_data(path: Path) -> None:
    """Refuse what names no videos or images, as far as that shows without looking for them.

    Args:
        path: see `data.media.catalogue`. Of a pattern the first path and the last are looked at.

    Raises:
        MediaError: there is no such path, the pattern is none, it holds prepared shards that are not finished, or it is
            a CSV that lists no clips.
    """
    if is_there(path, stat.S_ISDIR):
        check_finished(path)
    elif is_clip_list(path):
        from data.clip_list import check_columns

        check_columns(path)
    else:
        paths = named_paths(path)
        for one in (paths[0], paths[-1]):
            look_at_named(one)


def check_tokens(folder: Path) -> None:
    """Refuse a folder that is no token store.

    Raises:
        TokenStoreError: a file is missing without which it is none.
    """
    for name in ("metadata.json", "items.jsonl"):
        if not (folder / name).exists():
            raise TokenStoreError(f"{folder} is no token store (no {name}): write one with `secondsight vqgan encode`")


def check_stimuli(root: Path) -> None:
    """Refuse a folder that is no list in the study/test layout, as nothing in it is studied.

    Raises:
        StimulusError: there is no folder `study`.
    """
    if not (root / "study").is_dir():
        raise no_images(root / "study")


def check_folder(folder: Path) -> None:
    """Refuse what is no folder of images.

    Raises:
        StimulusError: it is a file, or not there.
    """
    if not folder.is_dir():
        unpack = ": unpack it first" if folder.is_file() else ""
        raise StimulusError(f"{folder} is not a folder{unpack}")


def no_images(folder: Path) -> StimulusError:
    """Return what is said of a folder of a list that is empty, or not there."""
    return StimulusError(f"{folder} holds no images")


def is_clip_list(path: Path) -> bool:
    """Whether a path is that of a CSV."""
    return path.suffix.lower() == ".csv" and is_there(path, stat.S_ISREG)


def is_there(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether there is something of a kind (`stat.S_ISDIR`); not of a path too long to be one, as patterns may be."""
    status = look_at(path).status
    return status is not None and kind(status.st_mode)


def named_paths(path: Path) -> list[Path]:
    """Return the paths that one stands for: itself, or those of its pattern, each once, in order.

    Braces in a pattern stand for every text between them, `*` and `?` for the names that are there.

    Raises:
        MediaError: it is neither there nor a pattern, or nothing that is there has such a name.
    """
    if look_at(path).status:
        return [path]
    from data.braces import expand_braces

    return list(dict.fromkeys(found for one in expand_braces(str(path)) for found in _found(one)))


def _found(named: str) -> list[Path]:
    """Return what `*` and `?` in a path stand for, in order of the names; what has neither, or is called so, itself.

    Raises:
        MediaError: nothing has such a name.
    """
    if not WILD.search(named) or look_at(Path(named)).status:
        return [Path(named)]
    path = Path(named)
    pattern = str(path.relative_to(path.anchor)).replace("[", "[[]")  # brackets are characters of names
    try:
        found = sorted(one for one in Path(path.anchor).glob(pattern) if not one.name.startswith("."))
    except OSError as error:  # a name is longer than names can be, say
        raise MediaError(f"{named} cannot be looked for: {error.strerror}") from error
    if not found:
        raise MediaError(f"{named} stands for no file and no folder that is there")
    return found


def look_at_named(path: Path) -> tuple[FoundFile, bool]:
    """Return what is at a path that was named, and whether it is a folder.

    Raises:
        MediaError: there is nothing, or it cannot be looked at.
    """
    found = look_at(path)
    if found.status is None:
        raise MediaError(f"{path} {found.problem}")
    return found, stat.S_ISDIR(found.status.st_mode)
