"""Where prepared shards lie, and whether they are finished: see `data.prepared`. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from data.errors import MediaError

METADATA = "prepared.json"


def holds_prepared(folder: Path) -> bool:
    """Whether a folder holds finished prepared shards."""
    try:
        return (folder / METADATA).is_file()
    except OSError:
        return False  # a pattern of many shards is longer than the name of a file may be


def check_finished(folder: Path) -> None:
    """Check that a folder does not hold shards of which some are still to be prepared.

    Raises:
        MediaError: it does.
    """
    if not holds_prepared(folder) and (folder / "plan.json").is_file() and (folder / shard_name(0)).is_file():
        raise MediaError(
            f"{folder} holds prepared shards that are not finished: continue `secondsight data prepare` with"
            " --resume auto"
        )


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:05d}.tar"
