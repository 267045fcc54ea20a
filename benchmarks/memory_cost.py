"""An exposure of the memory experiment, tests included, against its training steps alone.

    python benchmarks/memory_cost.py

Both sides study the same random sequences with the same model in the same batches: by default as many as a list of
Brady et al. (2008) has, and one side then scores its 600 test images. A list is encoded once and held as tokens, so
that what an exposure costs beyond its training steps is one forward pass over what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from timing import medians

from data.stimuli.noise import noise_list
from experiments.memory.learner import Learner
from experiments.memory.options import MemoryOptions
from experiments.memory.recognition import Session
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.train import train_step
from training.order import epoch_order


@dataclass
class Options:
    """Time exposures."""

    layers: int = 4
    """Number of transformer blocks."""
    heads: int = 4
    """Attention heads per block."""
    width: int = 128
    """Width of the residual stream."""
    side: int = 4
    """Tokens a side of an image."""
    vocab_size: int = 512
    """Number of codes."""
    studied: int = 2500
    """Images of the study list."""
    tested: int = 300
    """Trials, of two images each."""
    batch: int = 16
    """Images per optimizer step."""
    runs: int = 5
    """Rounds; medians are printed."""


def main(options: Options) -> None:
    """Print the medians and their ratio."""
    length = options.side**2
    stimuli, tokens = noise_list(options.studied, options.tested, length, options.vocab_size, seed=0)
    config = GPTConfig(
        layers=options.layers,
        heads=options.heads,
        width=options.width,
        grid=(1, options.side, options.side),
        vocab_size=options.vocab_size,
    )
    study = MemoryOptions(stimuli=Path("list"), out=Path("out"), batch=options.batch)
    learners = []
    for _ in range(2):
        torch.manual_seed(0)
        learners.append(Learner(GPT(config), study, seed=0))
    one, other = learners
    items = torch.stack([tokens[image.path] for image in stimuli.study]).to(one.device)
    index = torch.arange(len(items))
    known = torch.ones(len(items), dtype=torch.bool)
    session = Session.prepare(stimuli, {"none": tokens}, "as_given", 0, one.device)

    def exposure() -> None:
        one.study(items, index, known, number=2)
        session.test(one.gpt, None, exposure=2, interference=0)

    def steps() -> None:
        other.gpt.train()
        for chosen in epoch_order(len(items), 0, 2).split(options.batch):
            train_step(
                other.accelerator,
                other.model,
                other.optimizer,
                items[chosen],
                study.learning_rate,
                study.learning.grad_clip,
            )

    seconds = medians({"exposure": exposure, "steps": steps}, options.runs)
    print(
        f"exposure with tests {seconds['exposure']:.2f} s, its training steps alone {seconds['steps']:.2f} s: "
        f"{seconds['exposure'] / seconds['steps']:.3f} times as long"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
