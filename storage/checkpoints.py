"""The checkpoints of a run folder: which are there, which is the newest and which the best.

`training.state` writes them, as `checkpoints/<step>`; folders whose names are no number are still being written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast


def list_checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first. Folders still being written do not count."""
    # From a million steps on, names are longer and no longer in alphabetical order.
    complete = (path for path in (run / "checkpoints").glob("*") if path.name.isdigit())
    return sorted(complete, key=lambda path: int(path.name))


def newest_checkpoint(run: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None before the first."""
    return next(reversed(list_checkpoints(run)), None)


def best_checkpoint(run: Path) -> Path | None:
    """Return the complete checkpoint of the best validation score, the oldest of equals; None if none has a score."""
    scored = {path: score for path in list_checkpoints(run) if (score := _score(path)) is not None}
    return max(scored, key=scored.__getitem__, default=None)


def _score(checkpoint: Path) -> float | None:
    state = json.loads((checkpoint / "training_state" / "state.json").read_text(encoding="utf-8"))
    return cast("float | None", state.get("score"))  # absent where there was no validation
