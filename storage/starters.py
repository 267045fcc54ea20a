"""Models that come with the package: each a GPT and the tokenizer that it brings along. Imports no torch."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

PACKAGE = "starter"
"""The package that holds them, a folder for each."""
STARTERS = {"starter-clips": "clips", "starter-stills": "stills"}
"""The folder of each, by what it is asked for by."""
NEAR = 0.75
"""Share of the characters in which a text agrees with a name that was probably meant, at least."""


def is_starter(name: Path | str) -> bool:
    """Whether what names a model asks for one that comes with the package; a path that is there is a path."""
    return Path(name).as_posix() in STARTERS and not Path(name).exists()


def starter_folder(name: Path | str) -> Path | None:
    """Return the model folder that a name asks for; None where this installation has no such package.

    Args:
        name: one of `STARTERS`.
    """
    try:
        package = resources.files(PACKAGE)
    except (ModuleNotFoundError, TypeError):  # TypeError: something else is called so, and is no package
        return None
    return Path(str(package)) / STARTERS[Path(name).as_posix()]


def nearest_starter(name: Path | str) -> str | None:
    """Return the name that was probably meant by another one; None if none was."""
    near = get_close_matches(Path(name).as_posix().lower().replace("_", "-"), STARTERS, n=1, cutoff=NEAR)
    return near[0] if near else None
