"""The metrics of a run, `metrics.jsonl`: one JSON object a line, appended, and cut back when the run is resumed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from storage.checked_files import check_file
from storage.files import to_json, write_text
from storage.naming import naming


def log_metrics(out: Path, **values: Any) -> None:
    """Append one line of metrics to `out/metrics.jsonl`.

    Raises:
        OSError: the disk is full, or the folder is gone; it names the file.
    """
    path = out / "metrics.jsonl"
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(to_json(values, indent=None) + "\n")


def truncate_metrics(out: Path, step: int) -> None:
    """Drop the lines of `metrics.jsonl` from `step` on: a resumed run will write them again.

    The line of step -1, of before the first step, is written again by a run that has done none.

    Damaged lines are dropped too, and counted on stderr; the half that a killed process leaves at the end is not.

    Raises:
        DamageError: it is a folder, a pipe or a device.
    """
    path = out / "metrics.jsonl"
    if not path.exists():
        return
    check_file(path, "metrics")
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    steps = [_step_of(line) for line in lines]
    damaged = steps.count(None)
    if damaged:
        print(f"{path}: {damaged} damaged line{' is' if damaged == 1 else 's are'} dropped", file=sys.stderr)
    kept = [line for line, at in zip(lines, steps, strict=True) if at is not None and at < step and step > 0]
    write_text(path, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int | float | None:
    """Return the step of a line of metrics; None if it is no such line."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = values.get("step") if isinstance(values, dict) else None
    return step if isinstance(step, int | float) else None
