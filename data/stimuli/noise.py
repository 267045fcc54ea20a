"""Random noise as stimuli: token sequences without any structure, of which nothing can be known but by heart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from data.stimuli.lists import Stimulus, StimulusList, Trial


def noise_list(
    items: int, tested: int, length: int, vocab_size: int, seed: int
) -> tuple[StimulusList, dict[str, Tensor]]:
    """Draw the random-noise condition of Orhan (2022, arXiv 2204.13061), which needs no images.

    Args:
        items: sequences that are studied.
        tested: how many of them are tested, each against a foil drawn likewise.
        length: tokens of a sequence.
        vocab_size: tokens are drawn uniformly from [0, vocab_size).
        seed: of the draw.

    Returns:
        The list, called `noise_<seed>`, with one condition `noise`, and the (length,) int64 tokens of each of its
        "images" by path.

    Raises:
        ValueError: more are tested than studied, or sequences are so short that two are equal.
    """
    if not 1 <= tested <= items:
        raise ValueError(f"of {items} random sequences, {tested} cannot be tested: choose between 1 and {items}")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(vocab_size, (items + tested, length), generator=generator)
    if len(drawn.unique(dim=0)) < len(drawn):
        raise ValueError(
            f"of {len(drawn)} random sequences of {length} tokens out of {vocab_size} some are equal: "
            "make them longer or fewer"
        )
    names = [f"study/noise_{number:05d}" for number in range(items)]
    names += [f"test/noise_unseen/noise_{number:05d}" for number in range(tested)]
    tokens = dict(zip(names, drawn, strict=True))
    images = [Stimulus(path, hashlib.sha256(row.numpy().tobytes()).hexdigest()) for path, row in tokens.items()]
    study = images[:items]
    foils = images[items:]
    trials = [
        Trial(f"noise/{number:05d}", "noise", studied, foil)
        for number, (studied, foil) in enumerate(zip(study, foils, strict=False))
    ]
    return StimulusList(Path(f"noise_{seed}"), tuple(study), tuple(trials)), tokens
