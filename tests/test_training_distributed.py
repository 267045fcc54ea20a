"""Several processes learn what one learns, stop together when asked to, and go on to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import make_store, make_videos
from trainer import CPU, TESTS, Trainer, job, metrics, start_two

from storage.checkpoints import list_checkpoints
from training.order import DataOrder

LAUNCHER = (
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
    "--main_process_port",
    "0",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def runs(store: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of both models by one process and by two."""
    folder = tmp_path_factory.mktemp("runs")
    data = {"gpt": store, "tokenizer": videos}
    one = Trainer([job(kind, path, folder / f"{kind} one") for kind, path in data.items()], folder / "one.log")
    jobs = [job(kind, path, folder / f"{kind} two") for kind, path in data.items()]
    two = start_two([*jobs, job("gpt", store, folder / "gpt sharded", sharded=True)], folder / "two.log")
    for trainer in (one, *two):
        trainer.finish()
    return folder


def assert_same_metrics(first: Path, second: Path) -> None:
    assert [set(line) for line in metrics(first)] == [set(line) for line in metrics(second)]
    for one, other in zip(metrics(first), metrics(second), strict=True):
        assert one == pytest.approx(other, rel=1e-5), one["step"]


@pytest.mark.parametrize("kind", ["gpt", "tokenizer"])
def test_two_processes_learn_what_one_learns(runs: Path, kind: str) -> None:
    assert len(metrics(runs / f"{kind} one")) == 8
    assert_same_metrics(runs / f"{kind} one", runs / f"{kind} two")


def test_a_sharded_gpt_learns_what_a_whole_one_learns(runs: Path) -> None:
    assert_same_metrics(runs / "gpt one", runs / "gpt sharded")


def test_a_sharded_gpt_is_saved_whole(runs: Path) -> None:
    whole, sharded = (load_file(runs / name / "final" / "model.safetensors") for name in ("gpt one", "gpt sharded"))
    assert set(whole) == set(sharded)
    for name, tensor in whole.items():
        torch.testing.assert_close(sharded[name], tensor, rtol=1e-3, atol=1e-5)


def same_weights(first: Path, second: Path) -> bool:
    one, other = (load_file(run / "final" / "model.safetensors") for run in (first, second))
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_signal_to_one_process_stops_both_and_the_run_goes_on_to_the_same_bits(
    runs: Path, store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trainers = start_two([job("gpt", store, run, step_seconds=0.1)], tmp_path / "stopped.log")
    assert trainers[1].wait_for(lambda: len(metrics(run)) > 0)
    trainers[1].send(signal.SIGUSR1)
    said = "".join(trainer.finish() for trainer in trainers)
    done = int(list_checkpoints(run)[-1].name)
    assert f"Stopped by SIGUSR1 after step {done}, which is saved: --resume auto continues" in said
    assert 0 < done < 6
    for trainer in start_two([job("gpt", store, run, resume="auto")], tmp_path / "resumed.log"):
        trainer.finish()
    assert same_weights(run, runs / "gpt two")
    assert metrics(run) == metrics(runs / "gpt two")


def test_a_launched_run_with_readers_survives_a_signal_to_all_its_processes(
    runs: Path, videos: Path, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    jobs = json.dumps([job("tokenizer", videos, run, step_seconds=0.2, workers=1)])
    with log.open("w") as said:
        launcher = subprocess.Popen(
            [sys.executable, *LAUNCHER, str(TESTS / "trainer.py"), jobs],
            env={**os.environ, **CPU},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    while not metrics(run):
        assert launcher.poll() is None, log.read_text()
        time.sleep(0.01)
    os.killpg(launcher.pid, signal.SIGTERM)
    launcher.wait(60)
    done = int(list_checkpoints(run)[-1].name)
    assert f"Stopped by SIGTERM after step {done}, which is saved" in log.read_text()
    assert 0 < done < 6
    for trainer in start_two([job("tokenizer", videos, run, resume="auto")], tmp_path / "resumed.log"):
        trainer.finish()
    assert same_weights(run, runs / "tokenizer two")
    assert metrics(run) == metrics(runs / "tokenizer two")


def test_one_process_goes_on_where_two_stopped_and_says_what_that_means(
    runs: Path, store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "gpt sharded", run)
    shutil.rmtree(run / "final")
    shutil.rmtree(run / "checkpoints" / "000006")
    config = run / "config.json"
    config.write_text(config.read_text().replace(str(runs / "gpt sharded"), str(run)))
    said = Trainer([job("gpt", store, run, resume="auto")], tmp_path / "log").finish()
    assert "was saved by 2 processes and 1 go on: they read the same samples" in said
    assert_same_metrics(runs / "gpt one", run)


def test_a_loss_that_is_not_finite_on_one_process_ends_both_and_names_what_that_one_read(
    store: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trainers = start_two([job("gpt", store, run, broken=1)], tmp_path / "log")
    assert [trainer.end() for trainer in trainers] == [1, 1]
    samples = DataOrder(9, 4, 0, 0, 6, rank=1, processes=2).samples(0)
    read = ", ".join(f"film_{sample.index}.mp4 at 0 s" for sample in samples)
    for trainer in trainers:
        assert f"the loss is not finite at step 0, on {read}; the last checkpoint is kept" in trainer.log.read_text()
    assert list_checkpoints(run) == []


def test_an_error_of_the_first_process_ends_the_other_without_a_word(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints" / "000003").mkdir(parents=True)
    (run / "config.json").write_text("{")
    trainers = start_two([job("gpt", store, run)], tmp_path / "log")
    assert [trainer.end() for trainer in trainers] == [1, 1]
    assert "already holds a run" in trainers[0].log.read_text()
    assert "Traceback" not in trainers[1].log.read_text()


def test_a_tokenizer_is_not_sharded(videos: Path, tmp_path: Path) -> None:
    trainers = start_two([job("tokenizer", videos, tmp_path / "run", sharded=True)], tmp_path / "log")
    assert [trainer.end() for trainer in trainers] == [1, 1]
    assert "launch without --use_fsdp" in trainers[0].log.read_text()
