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
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from storage.checksums import check_is_file
from storage.config_file import COMMAND, config_of, values_of
from storage.files import to_json, write_text
from storage.naming import naming
from storage.options import Options, leaves

Resume = Literal["no", "auto"]
AnyOptions = TypeVar("AnyOptions", bound=Options)


class RunFolderError(ValueError):
    """The run folder cannot be used as asked; the message says what to do."""


def open_run(out: Path, options: Options, resume: Resume = "no", overwrite: bool = False) -> Path:
    """Create the run folder `out`, or check that it may be continued.

    Returns:
        `out`, holding `config.json` and `environment.json`.

    Raises:
        RunFolderError: `out` holds a run and neither `--resume auto` nor `--overwrite` was given, or the run
            it holds is another command's or was started with other options (the differing ones are named).
    """
    wanted = config_of(options)
    recorded = out / "config.json"
    if recorded.exists() and not overwrite:
        if resume == "no":
            raise RunFolderError(
                f"{out} already holds a run: continue it with --resume auto, replace it with --overwrite, "
                "or choose another --out"
            )
        _refuse_changes(_read_config(out), wanted, type(options), out)
    if overwrite:
        _discard_run(out)
    write_text(recorded, to_json(wanted))
    write_text(out / "environment.json", to_json(environment()))
    return out


def read_options(run: Path, kind: type[AnyOptions]) -> AnyOptions:
    """Return the options of the run in a folder.

    Raises:
        RunFolderError: the folder holds no run of that command, or its `config.json` is damaged or of an older version.
    """
    content = _read_config(run)
    _check_command(content, kind, run)
    content.pop(COMMAND)
    try:
        return kind.of(**values_of(content, kind))
    except (TypeError, ValueError) as error:
        raise RunFolderError(f"the config.json in {run} is damaged, or of an older version: {error}") from error


def _read_config(run: Path) -> dict[str, Any]:
    path = run / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{run} holds no run: its config.json cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is damaged: it holds a {type(content).__name__}, not options by name")
    return content


def _check_command(content: Mapping[str, Any], kind: type[Options], run: Path) -> None:
    if COMMAND not in content:
        raise RunFolderError(
            f"{run} holds a model, or a run of an older version, which can neither be continued nor reported: choose "
            "another --out, begin anew with --overwrite, or repeat the run"
        )
    if content[COMMAND] != kind.command:
        raise RunFolderError(f"{run} holds a run of `{content[COMMAND]}`, not of `{kind.command}`")


def _discard_run(out: Path) -> None:
    """Removes what a run is resumed from or judged by: later checkpoints of an old run would outlive new ones."""
    (out / "metrics.jsonl").unlink(missing_ok=True)
    for folder in ("checkpoints", "final"):
        shutil.rmtree(out / folder, ignore_errors=True)


def _refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], kind: type[Options], out: Path) -> None:
    _check_command(before, kind, out)
    telling = [name for name, leaf in leaves(kind).items() if leaf.identity != "none"]
    changed = [
        f"{name}: {before.get(name)!r} -> {now.get(name)!r}"
        for name in sorted(telling)
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise RunFolderError(f"the run in {out} was started with other options ({'; '.join(changed)})")


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

    Damaged lines are dropped too, and counted on stderr; the half that a killed process leaves at the end is not.

    Raises:
        DamageError: it is a folder, a pipe or a device.
    """
    path = out / "metrics.jsonl"
    if not path.exists():
        return
    check_is_file(path)
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    steps = [_step_of(line) for line in lines]
    damaged = steps.count(None)
    if damaged:
        print(f"{path}: {damaged} damaged line{' is' if damaged == 1 else 's are'} dropped", file=sys.stderr)
    kept = [line for line, at in zip(lines, steps, strict=True) if at is not None and at < step]
    write_text(path, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int | float | None:
    """Return the step of a line of metrics; None if it is no such line."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = values.get("step") if isinstance(values, dict) else None
    return step if isinstance(step, int | float) else None


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
