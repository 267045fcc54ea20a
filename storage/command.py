"""The command that means given options."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from typing import Any


def command_line(command: str, options: Any) -> str:
    """Return what to type to do it again: `command` with `options` (a dataclass), but from the beginning."""
    return shlex.join(["secondsight", *arguments(command, replace(options, resume="no", overwrite=False))])


def arguments(command: str, options: Any) -> list[str]:
    """Return the arguments of `secondsight` that mean `command` with `options` (a dataclass), defaults left out."""
    words = command.split()
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if not isinstance(value, bool):  # flags are off by default
            words += [str(part) for part in (value if isinstance(value, tuple) else (value,))]
    return words
