"""Where a run keeps its checkpoints, and where tensors lie: in one file, or in parts. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from storage.checked_files import DamageError

INDEX = ".parts.json"
"""How the name of the index ends."""


def list_checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first. Folders still being written do not count."""
    # From a million steps on, names are longer and no longer in alphabetical order.
    complete = (path for path in (run / "checkpoints").glob("*") if path.name.isdecimal() and path.name.isascii())
    return sorted(complete, key=lambda path: int(path.name))


def is_checkpoint(checkpoint: Path) -> bool:
    """Whether a folder has the name of a checkpoint, its step."""
    return checkpoint.parent.name == "checkpoints" and checkpoint.name.isdecimal() and checkpoint.name.isascii()


def part_path(path: Path, process: int, processes: int) -> Path:
    """Return where a process puts its part of the tensors that are asked for as `path`, a .safetensors."""
    return path.with_name(f"{path.stem}.{process:05d}-of-{processes:05d}{path.suffix}")


def index_path(path: Path) -> Path:
    """Return where the index of those parts is."""
    return path.with_name(path.stem + INDEX)


def is_in_parts(path: Path) -> bool:
    """Whether the tensors that are asked for as `path` lie there in parts."""
    return not path.exists() and index_path(path).exists()


def is_there(path: Path) -> bool:
    """Whether there is a file at `path`, or the parts that stand for it; whether all of them are is not looked at."""
    return path.exists() or index_path(path).exists()


def check_index(path: Path) -> None:
    """Refuse parts of the tensors that are asked for as `path` where nothing says any more how they are joined.

    Raises:
        DamageError: parts are there, and neither their index nor a whole file.
    """
    if is_there(path):
        return
    part = next(iter(sorted(path.parent.glob(f"{path.stem}.*-of-*{path.suffix}"))), None)
    if part is not None:
        raise DamageError(f"there is no {index_path(path)}, the index that joins the parts there, such as {part.name}")
