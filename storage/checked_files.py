"""Files that people name and others may have made: opened only if they are files, and read only up to a size.

A named pipe would wait for ever, a device may never end, and a JSON text of a few kilobytes can be nested deeper than
Python can follow. What is refused is said in one line. Imports no torch, so that `--help` is instant.
"""

from __future__ import annotations

import json
import os
import reprlib
import stat
from pathlib import Path
from typing import Any, BinaryIO

MOST_JSON = 16 * 2**20
"""Bytes of a JSON file, at most: those of this project are a thousand times as small."""

DEEPEST = 64
"""Lists and objects within one another, at most."""

LONGEST_SHOWN = 400
"""Characters of a value in a message, at most."""

_OTHERS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class DamageError(ValueError):
    """A file is not what was written; the message names it and says what is wrong."""


class RefusedFileError(DamageError):
    """A file cannot be read or is not what it should be; the message names it, the reason and what to do."""


def open_file(path: Path, what: str) -> BinaryIO:
    """Open a file for reading, without waiting for anything.

    Args:
        path: of the file; links are followed.
        what: what it should be, for the message: `checkpoint file`.

    Raises:
        RefusedFileError: there is none, it may not be read, or it is a folder, a pipe, a socket or a device.
    """
    check_file(path, what)
    try:
        # A pipe that takes the place of the file in the meantime must not hold up the opening either.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise RefusedFileError(f"the {what} {path} cannot be read: {error.strerror}") from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise RefusedFileError(_not_a_file(path, what, path.stat().st_mode))
    return file


def check_file(path: Path, what: str) -> None:
    """Refuse what is no regular file; nothing is opened.

    Raises:
        RefusedFileError: there is none, it cannot be looked at, or it is a folder, a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise RefusedFileError(f"there is no {what} {path}") from error
    except (OSError, ValueError) as error:
        raise RefusedFileError(f"the {what} {path} cannot be read: {error}") from error
    if not stat.S_ISREG(mode):
        raise RefusedFileError(_not_a_file(path, what, mode))


def read_text(path: Path, what: str, at_most: int) -> str:
    """Return the UTF-8 text of a file.

    Raises:
        RefusedFileError: see `open_file`; or it is larger than `at_most` bytes, or no UTF-8.
    """
    with open_file(path, what) as file:
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise RefusedFileError(f"the {what} {path} is larger than {at_most:,} bytes, as none is: give the right file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedFileError(f"the {what} {path} is no UTF-8 text ({error.reason}): give the right file") from error


def read_json(path: Path, what: str, at_most: int = MOST_JSON, *, finite: bool = True) -> Any:
    """Return what a JSON file holds: of finite numbers, with every name once, at most `DEEPEST` levels deep.

    Args:
        path: of the file.
        what: what it should be, for the message.
        at_most: bytes of it.
        finite: whether NaN and infinity, which are no JSON, are refused here; if not, whoever asked looks at them.

    Raises:
        RefusedFileError: see `read_text`; or it is no such JSON.
    """
    text = read_text(path, what, at_most)
    try:
        constant = _refuse_constant if finite else None
        content = json.loads(text, parse_constant=constant, object_pairs_hook=_named_once)
    except RecursionError as error:
        raise RefusedFileError(_too_deep(path, what)) from error
    except ValueError as error:
        raise RefusedFileError(f"the {what} {path} is damaged, or no JSON: {error}") from error
    if _depth_exceeds(content, DEEPEST):
        raise RefusedFileError(_too_deep(path, what))
    return content


def shortly(value: Any) -> str:
    """Return a value as Python writes it, on one line and cut where it is long or deep: for messages."""
    writer = reprlib.Repr()
    writer.maxstring = writer.maxother = 120
    writer.maxlist = writer.maxtuple = writer.maxdict = writer.maxset = 8
    writer.maxlevel = 3
    try:
        text = writer.repr(value)
        return (" ".join(text.split()) if "\n" in text else text)[:LONGEST_SHOWN]
    except ValueError:  # Python writes no whole numbers of more than some thousand digits
        return f"a {type(value).__name__} too long to be written"


def on_one_line(text: str) -> str:
    """Return text of others for a message: on one line, without what steers a terminal, at most 200 characters."""
    return " ".join(text.split()).encode("unicode_escape").decode("ascii")[:200]


def _not_a_file(path: Path, what: str, mode: int) -> str:
    kind = next((name for test, name in _OTHERS.items() if test(mode)), "no file")
    return f"the {what} {path} is {kind}, and only files are read: give the path of a file"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the entry {shortly(twice)} twice")
    return content


def _too_deep(path: Path, what: str) -> str:
    return f"the {what} {path} is nested deeper than {DEEPEST} levels, as none is: give the right file"


def _depth_exceeds(content: Any, deepest: int) -> bool:
    level = [content]
    for _ in range(deepest):
        level = [
            inner
            for each in level
            if isinstance(each, list | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
