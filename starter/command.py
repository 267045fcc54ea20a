"""How the modules of this room are run from the command line: options of a dataclass, and errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tyro

from storage.endings import what_happened
from storage.terminal import visible


def run(name: str, work: Callable[[Any], object], options: type, description: str | None) -> None:
    """Do what the command line asks for.

    Args:
        name: of the module, which errors begin with.
        work: what to do, a function of the options.
        options: the dataclass whose fields they are.
        description: for `--help`.

    Raises:
        SystemExit: with 2 if they mean nothing, with 1 if it cannot be done, which is said in one line.
    """
    parsed: object = tyro.cli(options, description=description)
    try:
        work(parsed)
    except Exception as error:
        said = what_happened(error, None)
        if said is None:
            raise
        sys.exit(f"{name}: {visible(said)}")
