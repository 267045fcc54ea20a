"""Files that people name and others may have made: opened only if they are files, and read only up to a size.

A named pipe would wait for ever, a device may never end, and a JSON text of a few kilobytes can be nested deeper than
Python can follow. What is refused is said in one line. Imports no torch, so that `--help` is instant.
"""

from __future__ import annotations

import json
import os
import reprlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

MOST_JSON = 16 * 2**20
"""Bytes of a JSON file, at most: those of this project are a thousand times as small."""

MOST_BYTES = 1 << 26
"""Bytes of any other file that is read into memory as a whole, at most, unless more are expected."""

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


class FaultError(ValueError):
    """A file cannot be used; the message, which begins with "it", says why, not which file nor what to do."""


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
    with _refusing(path, what):
        return _open(path)


def check_file(path: Path, what: str) -> None:
    """Refuse what is no regular file; nothing is opened.

    Raises:
        RefusedFileError: there is none, it cannot be looked at, or it is a folder, a pipe, a socket or a device.
    """
    with _refusing(path, what):
        check_size(path)


def read_text(path: Path, what: str, at_most: int) -> str:
    """Return the UTF-8 text of a file.

    Raises:
        RefusedFileError: see `open_file`; or it is larger than `at_most` bytes, or no UTF-8.
    """
    with _refusing(path, what):
        return _decoded(read_bytes(path, at_most))


def read_json(path: Path, what: str, at_most: int = MOST_JSON, *, finite: bool = True) -> Any:
    """Return what a JSON file holds: see `parse_json`.

    Args:
        path: of the file.
        what: what it should be, for the message.
        at_most: bytes of it.
        finite: see `parse_json`.

    Raises:
        RefusedFileError: see `read_text`; or it is no such JSON.
    """
    with _refusing(path, what):
        return parse_json(read_bytes(path, at_most), finite=finite)


def read_bytes(path: Path, at_most: int = MOST_BYTES) -> bytes:
    """Return the content of a file, before memory is taken for more than `at_most` bytes.

    Raises:
        FileNotFoundError: it is not there.
        FaultError: it is no file, too large, or cannot be read.
    """
    check_size(path, at_most)
    with _open(path) as file:
        return _at_most(file.read(at_most + 1), at_most)


def check_size(path: Path, at_most: int | None = None) -> None:
    """Check that something is a regular file, of at most so many bytes; nothing is opened.

    Raises:
        FileNotFoundError: it is not there.
        FaultError: it is no file, too large, or cannot be looked at.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise FaultError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    _check_kind(status.st_mode)
    if at_most is not None and status.st_size > at_most:
        raise FaultError(_too_large(at_most))


def parse_json(text: bytes | str, *, finite: bool = True) -> Any:
    """Return what JSON says: with every name once, at most `DEEPEST` levels deep.

    Args:
        text: as UTF-8, or decoded.
        finite: whether NaN and infinity, which are no JSON, are refused here; if not, whoever asked looks at them.

    Raises:
        FaultError: it is no such JSON.
    """
    decoder = _FINITE if finite else _ANY
    text = _decoded(text) if isinstance(text, bytes) else text
    try:
        content = decoder.decode(text)
    except RecursionError as error:
        raise FaultError(_TOO_DEEP) from error
    except FaultError:
        raise
    except ValueError as error:
        raise FaultError(f"it is damaged, or no JSON: {error}") from error
    if text.count("[") + text.count("{") > DEEPEST and _depth_exceeds(content, DEEPEST):
        raise FaultError(_TOO_DEEP)
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


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    """Make whole sentences of what is wrong with a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise RefusedFileError(f"there is no {what} {path}") from error
    except FaultError as error:
        raise RefusedFileError(f"the {what} {path} {str(error).removeprefix('it ')}") from error


def _open(path: Path) -> BinaryIO:
    check_size(path)
    try:
        # A pipe that takes the place of the file in the meantime must not hold up the opening either.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FaultError(f"it cannot be read: {error.strerror}") from error
    file = os.fdopen(descriptor, "rb")
    try:
        _check_kind(os.fstat(descriptor).st_mode)
    except FaultError:
        file.close()
        raise
    return file


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _OTHERS.items() if test(mode)), "no file")
        raise FaultError(f"it is {kind}, and only files are read: give the path of a file")


def _at_most(content: bytes, at_most: int) -> bytes:
    if len(content) > at_most:
        raise FaultError(_too_large(at_most))
    return content


def _too_large(at_most: int) -> str:
    return f"it is larger than {at_most:,} bytes, as none is: give the right file"


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FaultError(f"it is no UTF-8 text ({error.reason}): give the right file") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the entry {shortly(twice)} twice")
    return content


# Made once: lists of a million lines are read by it.
_FINITE = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_named_once)
_ANY = json.JSONDecoder(object_pairs_hook=_named_once)
_TOO_DEEP = f"it is nested deeper than {DEEPEST} levels, as none is: give the right file"


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
