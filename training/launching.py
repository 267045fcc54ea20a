"""What the launcher of a training did, where that is not what was meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from training.processes import process_count

SEVERAL = 'accelerate launch --multi_gpu --num_processes N "$(command -v secondsight)" ...'


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


def say_if_alone() -> None:
    """Say on stderr if one process runs where the launcher, or Slurm, was asked for several."""
    sentence = alone_sentence(process_count(), os.environ)
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
