"""Metrics go to the trackers that were asked for, and these are closed whatever happens."""

import json
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from PIL import Image
from tiny import GPT_SHORT, SHORT, make_gpt, make_store, make_tokenizer, make_videos

from gpt.options import TrainOptions
from sampling.watch import train_and_watch
from training import loop, trackers
from training.trackers import TrackerError, track_picture, tracker_name, tracking, wandb_run
from vqgan.options import TrainOptions as TokenizerOptions
from vqgan.train import train as train_tokenizer


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

    def log_images(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        self.lines.append((step, {name: images.shape for name, images in values.items()}, kwargs))


OPTIONS = TrainOptions.of(tokens=Path("tokens"), out=Path("runs/one"), steps=3)
SHORTLY = {"steps": 2, "batch": 2, "warmup": 1, "log_every": 1, "save_every": 2}


def tokenizer_options(folder: Path) -> TokenizerOptions:
    videos = make_videos(folder / "videos", size=16)
    return TokenizerOptions.of(data=videos, out=folder / "tokenizer", **{**SHORT.flat(), **SHORTLY})


def gpt_options(folder: Path, **changes: Any) -> TrainOptions:
    """Of a training that takes samples at every step, with a tokenizer that shows them."""
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(folder / "shows")
    store = make_store(folder / "store", tokenizer=tokenizer.fingerprint)
    chosen = {**GPT_SHORT.flat(), **SHORTLY, "sample_every": 1, "tokenizer": folder / "shows"}
    return TrainOptions.of(tokens=store, out=folder / "gpt", **{**chosen, **changes})


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


@pytest.mark.parametrize("overwrite", [False, True])
def test_trackers_of_a_run_go_with_it_when_it_is_replaced(tmp_path: Path, overwrite: bool) -> None:
    options = OPTIONS.changed(out=tmp_path, overwrite=overwrite)
    old = tmp_path / "trackers" / "secondsight" / "events.out.tfevents.1"
    old.parent.mkdir(parents=True)
    old.touch()
    with tracking(Accelerator(log_with=Notes()), options):
        assert old.exists() is not overwrite


# Pictures


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (5, 3)).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_a_picture_is_shown_once_with_its_step(picture: Path) -> None:
    notes = Notes()
    accelerator = Accelerator(log_with=notes)
    with tracking(accelerator, OPTIONS):
        track_picture(accelerator, "samples", picture, 7)
    assert notes.lines[1:] == [(7, {"samples": (1, 3, 5, 3)}, {}), "finished"]


def test_a_picture_that_was_not_drawn_is_not_shown(tmp_path: Path) -> None:
    notes = Notes()
    accelerator = Accelerator(log_with=notes)
    with tracking(accelerator, OPTIONS):
        track_picture(accelerator, "samples", tmp_path / "none.png", 7)
    assert notes.lines[1:] == ["finished"]


def test_a_tokenizer_shows_its_reconstructions(tmp_path: Path, notes_of_training: Notes) -> None:
    options = tokenizer_options(tmp_path)
    train_tokenizer(options)
    with Image.open(options.out / "samples" / "000002.png") as image:
        shape = (1, image.height, image.width, 3)
    assert (1, {"reconstructions": shape}, {}) in notes_of_training.lines


def test_a_gpt_shows_its_samples(tmp_path: Path, notes_of_training: Notes) -> None:
    train_and_watch(gpt_options(tmp_path))
    shown = [(line[0], set(line[1])) for line in notes_of_training.lines if len(line) == 3]
    assert shown == [(0, {"samples"}), (1, {"samples"})]


@pytest.fixture
def notes_of_training(monkeypatch: pytest.MonkeyPatch) -> Notes:
    """What a training tells a tracker, which stands where an installed one would."""
    notes = Notes()
    monkeypatch.setattr(loop, "tracker_name", lambda name: notes)
    return notes


# Weights & Biases knows a run again


def wandb_options(out: Path, **changes: Any) -> TrainOptions:
    return OPTIONS.changed(out=out, trackers="wandb", **changes)


def test_a_run_that_goes_on_goes_on_there(tmp_path: Path) -> None:
    first, second = (wandb_run(wandb_options(tmp_path)) for _ in range(2))
    assert first == second
    assert (first["name"], first["resume"], first["dir"]) == (tmp_path.name, "allow", str(tmp_path / "trackers"))


@pytest.mark.parametrize("change", [{"overwrite": True}, {"tracker_project": "other"}])
def test_a_new_run_is_a_new_one_there(tmp_path: Path, change: dict[str, Any]) -> None:
    before = wandb_run(wandb_options(tmp_path))
    assert wandb_run(wandb_options(tmp_path, **change))["id"] != before["id"]


@pytest.mark.parametrize("content", ["{", "[]", '{"project": "secondsight"}', '{"project": "secondsight", "id": 3}'])
def test_a_damaged_record_begins_a_new_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "trackers").mkdir()
    (tmp_path / "trackers" / "wandb.json").write_text(content)
    assert wandb_run(wandb_options(tmp_path)) == wandb_run(wandb_options(tmp_path))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a?b", "a\\b"])
def test_a_project_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"--tracker-project .* must be a name without"):
        OPTIONS.changed(tracker_project=name)


# The trackers themselves, where they are installed


def test_tensorboard_gets_metrics_and_pictures_of_a_run_that_went_on(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = gpt_options(tmp_path, trackers="tensorboard", tracker_project="study", steps=3)
    train_and_watch(options.changed(steps=2))
    train_and_watch(options.changed(resume="auto"))
    found = events.EventAccumulator(str(options.out / "trackers" / "study"), size_guidance={"images": 0}).Reload()
    assert [event.step for event in found.Scalars("loss")] == [0, 1, 2]
    assert [event.step for event in found.Images("samples")] == [0, 1, 2]


def test_tensorboard_gets_the_scores_of_before_the_first_step(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    make_gpt().save_pretrained(tmp_path / "model")
    options = gpt_options(tmp_path, trackers="tensorboard", tracker_project="study", steps=3, save_every=1)
    options = options.changed(init=tmp_path / "model")
    train_and_watch(options.changed(steps=2))
    train_and_watch(options.changed(resume="auto"))
    found = events.EventAccumulator(str(options.out / "trackers" / "study")).Reload()
    assert [event.step for event in found.Scalars("validation_nll")] == [-1, 0, 1, 2]


def test_wandb_keeps_one_run_when_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = gpt_options(tmp_path, trackers="wandb", steps=3)
    train_and_watch(options.changed(steps=2))
    train_and_watch(options.changed(resume="auto"))
    runs = list((options.out / "trackers" / "wandb").glob("offline-run-*"))
    known = json.loads((options.out / "trackers" / "wandb.json").read_text())["id"]
    assert len(runs) == 2
    assert all(run.name.endswith(known) for run in runs)
    assert all(list(run.glob("files/media/images/samples_*.png")) for run in runs)
