"""A run that is killed anywhere, and resumed as often as it takes, ends with the bits of one that was not."""

import random
import signal
import time
from pathlib import Path

import pytest
from tiny import make_store, make_videos
from trainer import Job, Trainer, job, metrics

from storage.checkpoints import newest_checkpoint
from storage.model_folder import load_model_folder
from storage.places import list_checkpoints

KILLS = 4


@pytest.fixture(scope="module", params=["gpt", "tokenizer"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    # Nine training items and four a step: the checkpoints of steps 1 and 2 lie within one epoch.
    return make_store(folder) if kind == "gpt" else make_videos(folder, count=10)


@pytest.fixture(scope="module")
def whole(kind: str, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    Trainer([task(kind, data, folder / "run")], folder / "log").finish()
    return folder / "run"


def task(kind: str, data: Path, run: Path, **options: object) -> Job:
    chosen = {"steps": 9, "save_every": 1, **({"dropout": 0.1} if kind == "gpt" else {})}
    return job(kind, data, run, **{**chosen, **options})


def unfinished(run: Path) -> bool:
    return any(path.name.endswith(".tmp") for path in (run / "checkpoints").glob("*"))


def assert_same_run(run: Path, whole: Path) -> None:
    for file in ("final/model.safetensors", "metrics.jsonl"):
        assert (run / file).read_bytes() == (whole / file).read_bytes(), file


def test_killed_at_random(kind: str, data: Path, whole: Path, tmp_path: Path) -> None:
    moments = random.Random(7)
    run = tmp_path / "run"
    for _ in range(KILLS):
        trainer = Trainer(
            [task(kind, data, run, resume="auto", save_seconds=0.03, step_seconds=0.03)], tmp_path / "log"
        )
        lines = len(metrics(run)) + moments.randint(1, 3)
        assert trainer.wait_for(lambda lines=lines: len(metrics(run)) > lines)
        time.sleep(0.1 * moments.random())
        trainer.send(signal.SIGKILL)
        assert trainer.end() == -signal.SIGKILL
    Trainer([task(kind, data, run, resume="auto")], tmp_path / "log").finish()
    assert_same_run(run, whole)


def test_killed_while_it_saves_in_the_background(kind: str, data: Path, whole: Path, tmp_path: Path) -> None:
    moments = random.Random(11)
    run = tmp_path / "run"
    options = {"resume": "auto", "save_in_background": True}
    for kill in range(KILLS):
        trainer = Trainer([task(kind, data, run, **options, save_seconds=0.05, step_seconds=0.02)], tmp_path / "log")
        lines = len(metrics(run)) + moments.randint(1, 3)
        saving = kill % 2 == 0
        assert trainer.wait_for(
            lambda lines=lines, saving=saving: len(metrics(run)) > lines and unfinished(run) >= saving
        )
        time.sleep(0.03 * moments.random())
        trainer.send(signal.SIGKILL)
        assert trainer.end() == -signal.SIGKILL
        newest = newest_checkpoint(run)
        assert newest == next(reversed(list_checkpoints(run)), None)
        if newest is not None:
            load_model_folder(newest)
    Trainer([task(kind, data, run, **options)], tmp_path / "log").finish()
    assert not unfinished(run)
    assert_same_run(run, whole)


def test_killed_twice_while_saving(kind: str, data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in range(2):
        trainer = Trainer([task(kind, data, run, resume="auto", save_seconds=0.1)], tmp_path / "log")
        before = len(metrics(run))
        assert trainer.wait_for(lambda before=before: len(metrics(run)) > before + 2 and unfinished(run))
        trainer.send(signal.SIGKILL)
        assert trainer.end() == -signal.SIGKILL
        assert unfinished(run)
    Trainer([task(kind, data, run, resume="auto")], tmp_path / "log").finish()
    assert not unfinished(run)
    assert_same_run(run, whole)
