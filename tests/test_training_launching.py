"""What a launcher did is noticed: one process where several were meant, a model sharded behind the trainer's back."""

import pytest

from training.launching import alone_sentence, check_command, check_launch

ALONE = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "ACCELERATE_MIXED_PRECISION": "no"}
"""What accelerate 1.15 leaves to the only process of `launch --cpu --num_processes 2`."""


def test_a_launcher_that_started_one_process_in_place_of_several_is_noticed() -> None:
    sentence = alone_sentence(1, ALONE)
    assert sentence is not None
    assert "asked for several processes and started one" in sentence
    assert "--multi_gpu" in sentence


def test_slurm_tasks_that_work_alone_are_noticed() -> None:
    sentence = alone_sentence(1, {"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"})
    assert sentence is not None
    assert "8 tasks, and this process works alone" in sentence


@pytest.mark.parametrize(
    ("processes", "environment"),
    [
        (1, {}),
        (1, {"ACCELERATE_MIXED_PRECISION": "no"}),
        (1, {**ALONE, "WORLD_SIZE": "1"}),
        (2, {**ALONE, "WORLD_SIZE": "2", "SLURM_NTASKS": "2"}),
        (1, {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "8"}),
        (1, {"SLURM_NTASKS": "1"}),
        (1, {"SLURM_NTASKS": "?"}),
    ],
)
def test_nothing_is_said_where_all_is_as_it_was_meant(processes: int, environment: dict[str, str]) -> None:
    assert alone_sentence(processes, environment) is None


def test_a_launcher_that_shards_is_refused() -> None:
    with pytest.raises(ValueError, match=r"launch without --use_fsdp .* --shard full or --shard node"):
        check_launch({"ACCELERATE_USE_FSDP": "true"})


@pytest.mark.parametrize("environment", [{}, {"ACCELERATE_USE_FSDP": "false"}])
def test_a_launcher_that_does_not_is_not(environment: dict[str, str]) -> None:
    check_launch(environment)


@pytest.mark.parametrize("command", ["complete", "memory run", "gpt eval", "vqgan fit"])
def test_several_processes_of_a_command_that_runs_in_one_are_refused(command: str) -> None:
    message = f"^{command} runs in one process: start it without accelerate launch \\(or with slurm/run.sbatch\\)$"
    with pytest.raises(ValueError, match=message):
        check_command(command, {"WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("command", "size"),
    [("gpt train", "2"), ("vqgan train", "2"), ("vqgan encode", "2"), ("complete", "1"), ("complete", "?")],
)
def test_commands_that_share_their_work_and_single_processes_are_not(command: str, size: str) -> None:
    check_command(command, {"WORLD_SIZE": size})
    check_command(command, {})
