"""Two real processes with one --out: one trains, the other is refused, waits, or takes over."""

import json
import signal
from pathlib import Path

import pytest
from tiny import make_store, make_videos
from trainer import Job, Trainer, job, metrics, start_two


@pytest.fixture(scope="module", params=["gpt", "tokenizer"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return make_store(folder) if kind == "gpt" else make_videos(folder)


@pytest.fixture(scope="module")
def whole(kind: str, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that had its folder for itself."""
    folder = tmp_path_factory.mktemp("whole")
    Trainer([task(kind, data, folder / "run")], folder / "log").finish()
    return folder / "run"


def task(kind: str, data: Path, run: Path, **options: object) -> Job:
    return job(kind, data, run, **{"steps": 8, "save_every": 2, **options})


def ending(run: Path) -> bool:
    """Whether the owner of a folder has said that it ends."""
    try:
        return bool(json.loads((run / "writing.lock").read_text())["ending"])
    except (OSError, ValueError):
        return False


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """While this file is there, the first process waits between two steps."""
    path = tmp_path / "hold"
    path.touch()
    return path


def assert_same_run(run: Path, whole: Path) -> None:
    for file in ("final/model.safetensors", "metrics.jsonl"):
        assert (run / file).read_bytes() == (whole / file).read_bytes(), file


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_a_second_process_is_refused_and_disturbs_nothing(
    kind: str, data: Path, whole: Path, tmp_path: Path, hold: Path, resume: str
) -> None:
    run = tmp_path / "run"
    first = Trainer([task(kind, data, run, hold=str(hold))], tmp_path / "first")
    assert first.wait_for(lambda: len(metrics(run)) > 0)
    second = Trainer([task(kind, data, run, resume=resume)], tmp_path / "second")
    assert second.end() == 1
    said = second.said()
    assert f"{run} is being written into by process {first.process.pid} on " in said
    assert f"type: secondsight unlock {run} --owner " in said
    hold.unlink()
    first.finish()
    assert_same_run(run, whole)


def test_two_that_start_at_once_make_one_run(kind: str, data: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    both = [Trainer([task(kind, data, run)], tmp_path / str(number)) for number in range(2)]
    codes = sorted(trainer.end() or 0 for trainer in both)
    assert codes == [0, 1]
    assert_same_run(run, whole)


def test_a_process_that_is_saving_and_ending_is_waited_for(
    kind: str, data: Path, whole: Path, tmp_path: Path, hold: Path
) -> None:
    run = tmp_path / "run"
    saving = tmp_path / "saving"
    saving.touch()
    first = Trainer([task(kind, data, run, hold=str(hold), hold_saving=str(saving))], tmp_path / "first")
    assert first.wait_for(lambda: len(metrics(run)) > 0)
    first.send(signal.SIGTERM)
    hold.unlink()
    assert first.wait_for(lambda: ending(run))
    second = Trainer([task(kind, data, run, resume="auto")], tmp_path / "second")
    waits = f"{run} is held by process {first.process.pid} on "
    assert second.wait_for(lambda: waits in second.said())
    saving.unlink()
    second.finish()
    assert "Stopped by SIGTERM" in first.finish()
    assert_same_run(run, whole)


def test_a_process_that_was_killed_is_taken_over_from(
    kind: str, data: Path, whole: Path, tmp_path: Path, hold: Path
) -> None:
    run = tmp_path / "run"
    first = Trainer([task(kind, data, run, hold=str(hold), hold_after=3)], tmp_path / "first")
    assert first.wait_for(lambda: len(metrics(run)) > 2)
    first.send(signal.SIGKILL)
    assert first.end() == -signal.SIGKILL
    assert (run / "writing.lock").exists()
    Trainer([task(kind, data, run, resume="auto")], tmp_path / "second").finish()
    assert_same_run(run, whole)
    assert not (run / "writing.lock").exists()


def test_of_processes_that_train_together_all_end_when_the_folder_is_held(
    kind: str, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "writing.lock").write_text(json.dumps({"host": "node", "process": 7, "since": "now", "id": "abc"}))
    both = start_two([task(kind, data, run)], tmp_path / "log")
    assert [trainer.end() for trainer in both] == [1, 1]
    assert "process 7 on node" in both[0].log.read_text()
    assert "Traceback" not in both[1].log.read_text()
    assert [path.name for path in run.iterdir()] == ["writing.lock"]
