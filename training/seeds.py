"""Random numbers as a pure function of seed, step and process: there is no random state to save or to lose."""

from __future__ import annotations

import numpy as np
import torch


def seed_step(seed: int, step: int, process: int = 0) -> None:
    """Seed torch's generators, those of GPUs included, for one optimizer step.

    Args:
        seed: of the run.
        step: optimizer steps done before.
        process: which of several processes draws numbers of its own, as for dropout; 0 where all must draw alike.
    """
    (word,) = np.random.SeedSequence((seed % (1 << 64), step, process)).generate_state(1, np.uint64)
    torch.manual_seed(int(word))
