"""The run folder: what was asked, on what machine, and how it went.

config.json        the merged options, written before step 0
environment.json   versions, device, git commit
metrics.jsonl      one JSON object a line
checkpoints/       see `storage.model_folder`
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch

from storage.files import to_json, write_text

Resume = Literal["no", "auto"]

# Options that say where or how often, not what is learned, may differ between a run and its continuation.
HARMLESS = frozenset(
    {"out", "resume", "overwrite", "workers", "log_every", "save_every", "sample_every", "keep", "trackers"}
)


class RunFolderError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


def open_run(out: Path, config: Any, resume: Resume = "no", overwrite: bool = False) -> Path:
    """Create the run folder `out` for `config` (a dataclass), or check that it may be continued.

    Returns:
        `out`, holding `config.json` and `environment.json`.

    Raises:
        RunFolderError: `out` holds a run and neither `--resume auto` nor `--overwrite` was given, or the run
            it holds was started with other options (the differing ones are named).
    """
    wanted = json.loads(to_json(asdict(config)))
    recorded = out / "config.json"
    if recorded.exists() and not overwrite:
        if resume == "no":
            raise RunFolderError(
                f"{out} already holds a run: continue it with --resume auto, replace it with --overwrite, "
                "or choose another --out"
            )
        _refuse_changes(json.loads(recorded.read_text(encoding="utf-8")), wanted, out)
    if overwrite:
        _discard_run(out)
    write_text(recorded, to_json(wanted))
    write_text(out / "environment.json", to_json(environment()))
    return out


def _discard_run(out: Path) -> None:
    """Removes what a run is resumed from or judged by: later checkpoints of an old run would outlive new ones."""
    (out / "metrics.jsonl").unlink(missing_ok=True)
    for folder in ("checkpoints", "final"):
        shutil.rmtree(out / folder, ignore_errors=True)


def _refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    changed = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if key not in HARMLESS and before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(f"the run in {out} was started with other options ({'; '.join(changed)})")


def log_metrics(out: Path, **values: Any) -> None:
    """Append one line of metrics to `out/metrics.jsonl`."""
    with (out / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(to_json(values, indent=None) + "\n")


def truncate_metrics(out: Path, step: int) -> None:
    """Drop the lines of `metrics.jsonl` from `step` on: a resumed run will write them again."""
    path = out / "metrics.jsonl"
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        write_text(path, "".join(f"{line}\n" for line in lines if _is_before(line, step)))


def _is_before(line: str, step: int) -> bool:
    try:
        return bool(json.loads(line)["step"] < step)
    except json.JSONDecodeError:
        return False  # a killed process leaves half a line


def environment() -> dict[str, Any]:
    """Return versions, device and git commit of this process."""
    names = ("secondsight", "torch", "torchvision", "accelerate", "av", "decord", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in names},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "commit": _git_commit(),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
