"""Metrics go to the trackers that were asked for, and these are closed whatever happens."""

from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from gpt.options import TrainOptions
from training import trackers
from training.trackers import TrackerError, tracker_name, tracking


class Notes(GeneralTracker):
    """A tracker that keeps what it is told."""

    name = "notes"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self) -> None:
        super().__init__(_blank=True)
        self.lines: list[Any] = []

    @property
    def tracker(self) -> list[Any]:
        return self.lines

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.lines.append(values)

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        self.lines.append((step, values))

    def finish(self) -> None:
        self.lines.append("finished")


OPTIONS = TrainOptions.of(tokens=Path("tokens"), out=Path("runs/one"), steps=3)


def test_no_tracker_is_none() -> None:
    assert tracker_name("none") is None


def test_an_installed_tracker_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: object())
    assert tracker_name("wandb") == "wandb"


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(TrackerError, match=f"--trackers {name} needs the package {name}.*: pip install {name}"):
        tracker_name(name)


def test_options_and_metrics_are_noted() -> None:
    notes = Notes()
    accelerator = Accelerator(log_with=notes)
    with tracking(accelerator, OPTIONS):
        accelerator.log({"loss": 1.0}, 7)
    config, *others = notes.lines
    assert (config["out"], config["steps"], config["layers"]) == (str(Path("runs/one")), 3, 6)
    assert others == [(7, {"loss": 1.0}), "finished"]


def test_trackers_are_closed_when_the_run_fails() -> None:
    notes = Notes()
    with pytest.raises(RuntimeError, match="out of memory"), tracking(Accelerator(log_with=notes), OPTIONS):
        raise RuntimeError("out of memory")
    assert notes.lines[-1] == "finished"
