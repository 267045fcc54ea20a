"""Recall: from the upper half of an image, does the learner complete the lower half as it was?

Only the upper half is encoded, alone, so the prompt cannot know the lower one. Foils are completed too: what a learner
does for them it knows from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.decode import sample
from sampling.options import SamplingOptions
from sampling.sampled import FREE
from storage.tables import write_rows
from vqgan.tokenizer import Tokenizer

BATCH = 16
"""Images that are completed at once."""
SAMPLING = SamplingOptions(noise="inverse")
"""How they are: with the noise that every version has, so that runs which go on, and those that are merged, are judged
alike."""


@dataclass(frozen=True)
class Cue:
    """An image whose lower half is to be recalled."""

    item: str
    """Name of its trial."""
    condition: str
    image: str
    """Path relative to the list."""
    studied: bool
    """Whether it was studied; else it is a foil."""


@dataclass(frozen=True)
class RecallRow:
    """How well the lower half of an image was recalled.

    Distances are root mean square differences of pixels on the scale [0, 1], 1 being black against white, to the
    tokenizer's own reconstruction of the image, so that no learner is charged for what the tokens cannot show.
    """

    item: str
    """Name of the trial."""
    condition: str
    """Test condition of the list."""
    image: str
    """File that was to be recalled."""
    studied: Literal["yes", "no"]
    """`no` for a foil."""
    completions: int
    """Completions that were drawn."""
    distance: float
    """Mean over the completions: what the nearest of one is expected to have."""
    best_of_2_distance: float
    """Mean of the nearer of every two completions; the more one draws, the nearer the nearest."""
    best_of_all_distance: float
    """Of the nearest of all `completions`."""
    identified: float
    """Share of the completions that are nearer to this image than to any other image tested; one that shows the
    same lower half as another image is never identified."""


def recall(
    gpt: GPT, tokenizer: Tokenizer, cues: Sequence[Cue], clips: Tensor, tokens: Tensor, n: int = 4, seed: int = 0
) -> list[RecallRow]:
    """Complete the lower half of every image `n` times from its upper half, and compare with the truth.

    Args:
        gpt: the learner, put into evaluation mode.
        tokenizer: whose tokens it reads.
        cues: the P images, studied ones and foils.
        clips: (P, 3, 1, H, W) in [-1, 1], as the tokenizer sees them; on the device of the models, like `tokens`.
        tokens: (P, L) int64, of the whole images.
        n: completions of each image, drawn at temperature 1.
        seed: the same seed gives the same completions.

    Raises:
        ValueError: the upper half does not divide into tokens, or there is only one image, among which none can be
            identified.
    """
    if len(cues) < 2:
        raise ValueError(f"recall compares images with each other: give at least 2, not {len(cues)}")
    gpt.eval()
    height = clips.shape[3] // 2
    completed = torch.cat(
        [
            _complete(gpt, tokenizer, clips[start : start + BATCH, ..., :height, :], tokens.shape[1], start, n, seed)
            for start in range(0, len(clips), BATCH)
        ]
    )
    truths = _lower_half(tokenizer, tokens, clips.shape[3:])
    lower = _lower_half(tokenizer, completed.flatten(0, 1), clips.shape[3:])
    # Half, because pixels span [-1, 1].
    distances = (torch.cdist(lower, truths) / (2 * truths.shape[1] ** 0.5)).unflatten(0, (len(cues), n))
    return [_row(cue, distances[index], index) for index, cue in enumerate(cues)]


def write_recall(path: Path, rows: Iterable[RecallRow]) -> None:
    """Write a `recall.csv`."""
    write_rows(path, rows, RecallRow)


def _complete(gpt: GPT, tokenizer: Tokenizer, upper: Tensor, length: int, start: int, n: int, seed: int) -> Tensor:
    """Return `n` completions (B, n, L) of upper halves, the first of which has the index `start` among all."""
    prompt = tokenizer.encode(upper).flatten(1)
    free = prompt.new_full((len(prompt), length - prompt.shape[1]), FREE)
    items = range(start, start + len(prompt))
    given = torch.cat([prompt, free], dim=1)
    return sample(gpt, given, n, SAMPLING, seed, items, precision="fp32").tokens


def _lower_half(tokenizer: Tokenizer, tokens: Tensor, size: Sequence[int]) -> Tensor:
    """Return the pixels (B, 3 * H / 2 * W) of the lower halves that tokens (B, L) show."""
    grids = tokens.unflatten(1, tokenizer.grid(1, *size))
    return torch.cat([tokenizer.decode(batch)[:, :, :1, size[0] // 2 :] for batch in grids.split(BATCH)]).flatten(1)


def _row(cue: Cue, distances: Tensor, index: int) -> RecallRow:
    """Judge the completions of the image at `index` by their distances (n, P) to all images."""
    own = distances[:, index]
    others = torch.cat([distances[:, :index], distances[:, index + 1 :]], dim=1)
    identified = (own < others.amin(dim=1)).float().mean()
    return RecallRow(
        item=cue.item,
        condition=cue.condition,
        image=cue.image,
        studied="yes" if cue.studied else "no",
        completions=len(own),
        distance=float(own.mean()),
        best_of_2_distance=nearer_of_two(own),
        best_of_all_distance=float(own.min()),
        identified=float(identified),
    )


def nearer_of_two(distances: Tensor) -> float:
    """Return the mean over all pairs of distances (n,) of the smaller; of one, itself."""
    n = len(distances)
    if n == 1:
        return float(distances[0])
    nearest_in = torch.arange(n - 1, -1, -1, device=distances.device)  # pairs in which the i-th smallest is the smaller
    return float((distances.sort().values * nearest_in).sum() / (n * (n - 1) / 2))
