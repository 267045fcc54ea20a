"""Sending metrics to TensorBoard or Weights & Biases as well, through Accelerate. `metrics.jsonl` is written anyway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from accelerate import Accelerator


class TrackerError(ValueError):
    """Metrics cannot be sent where they were asked to go."""


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
def tracking(accelerator: Accelerator, options: Any) -> Iterator[None]:
    """Open the trackers that `accelerator` was made with, note the options (a dataclass), and close them at the end."""
    plain = (bool, int, float, str)
    config = {name: value if isinstance(value, plain) else str(value) for name, value in asdict(options).items()}
    accelerator.init_trackers("secondsight", config, {"wandb": {"name": options.out.name}})
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
