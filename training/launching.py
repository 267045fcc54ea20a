"""What the launcher of a command did, where that is not what was meant. Imports no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

SEVERAL = 'accelerate launch --multi_gpu --num_processes N "$(command -v secondsight)" ...'
SHARED = ("gpt train", "vqgan train", "vqgan encode")
"""The commands whose work several processes share."""


def check_command(command: str, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a launcher of several processes for a command that runs in one: each would do all of the work.

    Args:
        command: such as "gpt train".
        environment: variables of this process; launchers say in WORLD_SIZE how many there are.

    Raises:
        ValueError: they are several.
    """
    size = environment.get("WORLD_SIZE", "1")
    if command not in SHARED and size.isdecimal() and int(size) > 1:
        raise ValueError(
            f"{command} runs in one process: start it without accelerate launch (or with slurm/run.sbatch)"
        )


def check_launch(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a launcher that would shard models itself.

    Raises:
        ValueError: it was told to.
    """
    if environment.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true", "yes"):
        raise ValueError(
            "accelerate was told to shard the model: launch without --use_fsdp (and without FSDP in accelerate's "
            "config file), with --multi_gpu in its place; gpt train shards with --shard full or --shard node, and "
            "tokenizers are too small to be sharded"
        )


def say_if_alone(processes: int) -> None:
    """Say on stderr if one process runs where the launcher, or Slurm, was asked for several.

    Args:
        processes: that run together.
    """
    sentence = alone_sentence(processes, os.environ)
    if sentence:
        print(sentence, file=sys.stderr)


def alone_sentence(processes: int, environment: Mapping[str, str]) -> str | None:
    """Return a line for people if one process runs where several were meant; None otherwise.

    accelerate starts one process where it is not told `--multi_gpu`, whatever `--num_processes` is; all it leaves then
    is the address at which processes would have met. Slurm says of how many tasks a process is one, or could be.

    Args:
        processes: that run together.
        environment: variables of this process.
    """
    if processes > 1:
        return None
    if "MASTER_ADDR" in environment and "WORLD_SIZE" not in environment and "ACCELERATE_MIXED_PRECISION" in environment:
        return (
            "accelerate launch was asked for several processes and started one, which trains alone: give it "
            f"--multi_gpu, on CPUs too (with ACCELERATE_USE_CPU=true and without --cpu): {SEVERAL}"
        )
    tasks = environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", "1"))
    if tasks.isdecimal() and int(tasks) > 1:
        return (
            f"Slurm gave this step or job {tasks} tasks, and this process works alone: start one launcher per node, "
            f"which starts a process for each GPU: {SEVERAL}"
        )
    return None
