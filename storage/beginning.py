"""What is refused of a command before it is imported, with torch and all else that takes seconds.

It is what the options tell: paths that are not there, a folder that cannot be written or holds another run. Whatever
passes is looked at again by the command itself.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from storage.files import unwritable
from storage.lock import find_owner
from storage.options import Options, leaves, value_at
from storage.run_folder import check_run, has_begun


def check_beginning(options: Options) -> None:
    """Refuse options with which a command cannot begin.

    Nothing is asked of the paths of a run that may go on, as it need not read again what it began with.

    Raises:
        OSError: `--out` cannot be written.
        RunFolderError: it holds a run that is neither to be continued nor replaced.
        ValueError: there is not what another option names.
    """
    values = options.flat()
    out = values.get("out")
    if isinstance(out, Path):
        check_writable(out)
        goes_on = values.get("resume", "auto") == "auto" and not values.get("overwrite", False)
        if goes_on and (out / "config.json").exists():
            return
        if not goes_on:
            _check_run(out, options, bool(values.get("overwrite")))
    # Jobs of Slurm may run where paths are that are not here.
    if not values.get("slurm"):
        _check_inputs(options)


def _check_inputs(options: Options) -> None:
    """Refuse paths where there is not what the command needs to begin."""
    for leaf in leaves(type(options)).values():
        check = leaf.metadata.get("must_hold")
        value = value_at(options, leaf.path)
        if check is not None and value is not None:
            for each in value if isinstance(value, tuple) else (value,):
                check(each)


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written into, as far as that shows without writing.

    Raises:
        OSError: there is a file in its place or above it, it cannot be called so, or this user may not write there.
    """
    try:
        _find_hindrance(folder.absolute())
    except OSError as error:
        raise unwritable(folder, error) from error


def _find_hindrance(folder: Path) -> None:
    """Raise what the system would say if a folder were made or written into."""
    missing = []
    there = folder
    while not _is_there(there):
        missing.append(there.name)
        there = there.parent
    for name in missing:
        _is_there(there / name)  # which names that are too long are not, wherever they are
    if not there.is_dir():
        raise _error(errno.ENOTDIR if missing else errno.EEXIST)
    if not os.access(there, os.W_OK | os.X_OK):
        raise _error(errno.EACCES)


def _is_there(path: Path) -> bool:
    """Whether there is something at a path.

    Raises:
        OSError: that cannot be found out, as of links that lead to themselves and names that are too long.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _check_run(out: Path, options: Options, overwrite: bool) -> None:
    """Refuse a folder with another run, unless somebody is writing into it, which the command says better."""
    kind = type(options)
    if (kind.keeps_checkpoints or kind.begun_with) and find_owner(out) is None:
        check_run(out, options, "no", overwrite, begun=None if kind.keeps_checkpoints else has_begun(out, kind))
