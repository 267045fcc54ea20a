"""Several processes learn what one learns, stop together when asked to, and go on to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import make_store, make_videos
from trainer import CPU, TESTS, Trainer, free_port, job, metrics, read_by, start, start_two

from storage.places import list_checkpoints
from training.order import DataOrder

LAUNCH = ("-m", "accelerate.commands.launch", "--num_processes", "2", "--mixed_precision", "no")
LAUNCHER = (*LAUNCH, "--multi_gpu", "--num_machines", "1", "--dynamo_backend", "no", "--main_process_port", "0")

OURS = {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(TESTS.parent)}


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
    variants = {
        "gpt sharded": {"shard": "full"},
        "gpt bf16": {"precision": "bf16!"},
        "gpt bf16 sharded": {"precision": "bf16!", "shard": "full", "sample_every": 3},
        "gpt compiled": {"compile": True, "backend": "eager", "shard": "full"},
    }
    jobs += [job("gpt", store, folder / name, **options) for name, options in variants.items()]
    two = start_two(jobs, folder / "two.log")
    replicas = job("gpt", store, folder / "gpt replicas", shard="node", grad_accumulation=1, sample_every=3)
    parts = job("gpt", store, folder / "gpt parts", shard="node", batch=8, grad_accumulation=2)
    whole = job("gpt", store, folder / "gpt whole", batch=8)
    four = start(4, [replicas, parts, whole], folder / "four.log", per_node=2)
    for trainer in (one, *two, *four):
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


def test_replicas_of_a_sharded_gpt_learn_what_a_whole_one_learns(runs: Path) -> None:
    assert_same_metrics(runs / "gpt one", runs / "gpt replicas")


def test_replicas_that_compute_a_batch_in_parts_learn_what_whole_ones_learn(runs: Path) -> None:
    assert_same_metrics(runs / "gpt whole", runs / "gpt parts")


@pytest.mark.parametrize("name", ["gpt replicas", "gpt bf16 sharded"])
def test_a_sharded_gpt_is_sampled_while_it_is_trained(runs: Path, name: str) -> None:
    assert (runs / name / "samples" / "000003.npy").exists()


def test_a_compiled_sharded_gpt_is_scored_and_learns_what_a_whole_one_learns(runs: Path) -> None:
    assert_same_metrics(runs / "gpt one", runs / "gpt compiled")


def test_a_sharded_gpt_in_bf16_learns_what_autocast_teaches_a_whole_one(runs: Path) -> None:
    assert_same_metrics(runs / "gpt bf16", runs / "gpt bf16 sharded")
    one, sharded = (metrics(runs / name) for name in ("gpt one", "gpt bf16 sharded"))
    for line, lowered in zip(one, sharded, strict=True):
        assert line == pytest.approx(lowered, abs=2e-3)


def test_the_losses_of_a_sharded_gpt_in_bf16_have_the_digits_of_fp32(runs: Path) -> None:
    losses = torch.tensor([line["loss"] for line in metrics(runs / "gpt bf16 sharded") if "loss" in line])
    assert (losses.bfloat16().float() != losses).all()


def test_gradients_of_a_sharded_gpt_in_bf16_are_summed_in_fp32(runs: Path) -> None:
    whole, sharded = (
        load_file(runs / name / "final" / "model.safetensors") for name in ("gpt bf16", "gpt bf16 sharded")
    )
    for name, tensor in whole.items():
        torch.testing.assert_close(sharded[name], tensor, rtol=0, atol=1e-6)


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
    launcher.wait(200)
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


@pytest.mark.parametrize("processes", [1, 4])
def test_another_number_of_processes_goes_on_with_the_same_samples_where_replicas_were_stopped(
    store: Path, runs: Path, tmp_path: Path, processes: int
) -> None:
    run, read = tmp_path / "run", tmp_path / "read"
    trainers = start(4, [job("gpt", store, run, shard="node", read=str(read), step_seconds=0.1)], tmp_path / "a", 2)
    assert trainers[2].wait_for(lambda: len(metrics(run)) > 0)
    trainers[2].send(signal.SIGTERM)
    for trainer in trainers:
        trainer.finish()
    done = int(list_checkpoints(run)[-1].name)
    assert 0 < done < 6
    shard = "none" if processes == 1 else "full"
    job_resumed = job("gpt", store, run, shard=shard, read=str(read), resume="auto")
    resumed = start(processes, [job_resumed], tmp_path / "b", per_node=1)
    for trainer in resumed:
        trainer.finish()
    every = tmp_path / "every"
    Trainer([job("gpt", store, tmp_path / "whole", read=str(every))], tmp_path / "c").finish()
    assert read_by(read) == read_by(every)
    assert_same_metrics(runs / "gpt one", run)


@pytest.mark.parametrize(
    ("processes", "per_node", "shard", "says"),
    [
        (
            1,
            1,
            "full",
            "--shard full shares the model among processes, and there is one: start several with accelerate",
        ),
        (2, 1, "node", "every node runs one: use --shard full"),
    ],
)
def test_a_model_that_nobody_shares_is_not_sharded(
    store: Path, tmp_path: Path, processes: int, per_node: int, shard: str, says: str
) -> None:
    trainers = start(processes, [job("gpt", store, tmp_path / "run", shard=shard)], tmp_path / "log", per_node)
    assert [trainer.end() for trainer in trainers] == [1] * processes
    assert says in trainers[0].log.read_text()
    assert not (tmp_path / "run").exists()


def test_nodes_of_unequal_size_hold_no_replicas(store: Path, tmp_path: Path) -> None:
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "3"}
    trainers = [
        Trainer(
            [job("gpt", store, tmp_path / "run", shard="node", batch=3)],
            tmp_path / f"log.{rank}",
            **together,
            RANK=str(rank),
            LOCAL_RANK=str(rank % 2),
            LOCAL_WORLD_SIZE=str(1 + (rank < 2)),
        )
        for rank in range(3)
    ]
    assert [trainer.end() for trainer in trainers] == [1] * 3
    assert "there are nodes of 1 and 2: start the same number on each" in trainers[0].log.read_text()


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def trained(python: tuple[str, ...], store: Path, tmp_path: Path) -> Start:
    """A function that starts the command under accelerate's launcher on CPUs; what it says goes into a log."""
    shape = {"layers": 2, "heads": 2, "width": 16, "steps": 2, "batch": 4, "warmup": 1, "log_every": 1}

    def start(*launcher: str, shard: str, log: str = "log") -> subprocess.Popen[bytes]:
        options = {"tokens": store, "out": tmp_path / "run", "shard": shard, **shape}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [*python, "launch", *LAUNCH[2:], *launcher, *python[2:], "secondsight", "gpt", "train"]
        with (tmp_path / log).open("w") as said:
            return subprocess.Popen([*command, *flags], env={**os.environ, **CPU, **OURS}, stdout=said, stderr=said)

    return start


def test_the_launcher_of_one_node_starts_processes_that_share_a_gpt(trained: Start, tmp_path: Path) -> None:
    launcher = trained("--multi_gpu", "--num_machines", "1", "--main_process_port", "0", shard="full")
    assert launcher.wait(200) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "run" / "final" / "model.safetensors").exists()


def test_the_launchers_of_two_nodes_start_processes_that_share_a_gpt(trained: Start, tmp_path: Path) -> None:
    meeting = ("--main_process_ip", "127.0.0.1", "--main_process_port", str(free_port()))
    nodes = [
        trained(
            "--multi_gpu",
            *("--num_processes", "4", "--num_machines", "2", "--machine_rank", str(node), *meeting),
            shard="node",
            log=f"node{node}",
        )
        for node in range(2)
    ]
    codes = [node.wait(200) for node in nodes]
    assert codes == [0, 0], [(tmp_path / f"node{node}").read_text() for node in range(2)]
    assert "4 processes" in (tmp_path / "node0").read_text()
    assert (tmp_path / "run" / "final" / "model.safetensors").exists()


def test_a_launcher_that_starts_one_process_where_two_were_meant_is_noticed(trained: Start, tmp_path: Path) -> None:
    launcher = trained("--cpu", "--num_machines", "1", shard="none")
    assert launcher.wait(200) == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()
    assert "accelerate launch was asked for several processes and started one, which trains alone" in said


@pytest.mark.parametrize("kind", ["gpt", "tokenizer"])
def test_the_sharding_of_accelerate_is_refused(store: Path, videos: Path, tmp_path: Path, kind: str) -> None:
    asked = job(kind, store if kind == "gpt" else videos, tmp_path / "run")
    trainer = Trainer([asked], tmp_path / "log", ACCELERATE_USE_FSDP="true")
    assert trainer.end() == 1
    assert "launch without --use_fsdp" in trainer.said()
    assert not (tmp_path / "run").exists()
