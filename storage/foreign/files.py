"""The files of weights that other programs wrote, before they are opened. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from storage.checked_files import check_file, on_one_line
from storage.model_paths import CheckpointError

WHAT = "checkpoint file"
"""What messages call one."""

USUAL_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of the weights in a folder of transformers."""

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
"""How names of weights files end."""

NAMED = 5
"""Files that a message lists, at most."""


def check_weights_file(path: Path) -> None:
    """Refuse what is no file.

    Raises:
        CheckpointError: it is a folder; the weights files in it are named.
        RefusedFileError: there is none, or it is a pipe, a socket or a device.
    """
    if path.is_dir():
        raise CheckpointError(
            f"the {WHAT} {path} is a folder, and only files are read: give the path of a file{_weights_files(path)}"
        )
    check_file(path, WHAT)


def _weights_files(folder: Path) -> str:
    """Return the weights files in a folder, or of several the usual ones, as the end of a sentence."""
    try:
        held = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    except OSError:  # that it is a folder is what must be said
        return ""
    named = [on_one_line(name) for name in held if name in USUAL_FILES] or [on_one_line(name) for name in held]
    if not named:
        return ""
    more = f" or one of {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f": {' or '.join(named[:NAMED])}{more} in it"
