"""Where metrics and pictures of a training go besides its run folder: TensorBoard, or Weights & Biases.

trackers/<project>/    what TensorBoard reads
trackers/wandb.json    the run there, so that one that is continued, or queued again, goes on in the same
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from accelerate import Accelerator
from PIL import Image

from storage.files import to_json, write_text
from training.options import TrainingOptions

FOLDER = "trackers"


class TrackerError(ValueError):
    """Metrics cannot be sent where they were asked to go."""


class TrainOptions(Protocol):
    """The options of a command that trains."""

    @property
    def out(self) -> Path: ...

    @property
    def training(self) -> TrainingOptions: ...

    def flat(self) -> dict[str, Any]:
        """See `storage.options.Options.flat`."""


def tracker_name(name: str) -> str | None:
    """Return what Accelerate calls the tracker of that name: None for `none`.

    Raises:
        TrackerError: its package is not installed.
    """
    if name == "none":
        return None
    if find_spec(name) is None:
        raise TrackerError(f"--trackers {name} needs the package {name}, which is not installed: pip install {name}")
    return name


@contextmanager
def tracking(accelerator: Accelerator, options: TrainOptions, first: int = 0) -> Iterator[None]:
    """Open the trackers that `accelerator` was made with, note the options, and close them at the end.

    What they have of a run that is replaced is removed.

    Args:
        accelerator: runs the training.
        options: of the command.
        first: steps done. What TensorBoard was told of later ones, by a run that was killed, is hidden there.
    """
    if options.training.overwrite and accelerator.is_main_process:
        # Otherwise TensorBoard would draw the curves of the run that is replaced and of this one as one.
        shutil.rmtree(options.out / FOLDER, ignore_errors=True)
    plain = (bool, int, float, str)
    config = {name: value if isinstance(value, plain) else str(value) for name, value in options.flat().items()}
    special = {"wandb": {}, "tensorboard": {"purge_step": first}}
    if options.training.trackers == "wandb" and accelerator.is_main_process:
        special["wandb"] = wandb_run(options)
    accelerator.init_trackers(options.training.tracker_project, config, special)
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


def wandb_run(options: TrainOptions) -> dict[str, Any]:
    """Return by which name and id Weights & Biases knows the run, which is new unless one is continued."""
    folder = options.out / FOLDER
    training = options.training
    record = folder / "wandb.json"
    known = {} if training.overwrite else _read(record)
    if known.get("project") != training.tracker_project or not isinstance(known.get("id"), str):
        known = {"project": training.tracker_project, "id": secrets.token_hex(8)}
        folder.mkdir(parents=True, exist_ok=True)
        write_text(record, to_json(known))
    return {"name": options.out.resolve().name, "id": known["id"], "resume": "allow", "dir": str(folder)}


def track_picture(accelerator: Accelerator, name: str, path: Path, step: int) -> None:
    """Show a PNG to the trackers; processes but the first do nothing.

    Args:
        accelerator: runs the training, within `tracking`.
        name: of the picture.
        path: of the file; nothing is shown where it is not there.
        step: that was taken last.
    """
    if not accelerator.is_main_process or not accelerator.trackers or not path.exists():
        return
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))[None]
    for tracker in accelerator.trackers:
        show = getattr(tracker, "log_images", None)
        if show is not None:
            # TensorBoard wants to be told that colours come last.
            show({name: pixels}, step, **({"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}))


def _read(record: Path) -> dict[str, Any]:
    """Return what a record holds; nothing where it is not there or damaged: then a new run begins."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
