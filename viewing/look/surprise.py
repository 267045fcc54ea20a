"""How surprising a GPT finds the items of a page: bits of every token, exactly, as `gpt eval` counts them.

Of a run the checkpoints tell how the surprise at each item fell while the GPT learned. All of it is computed in fp32.

Axes: N items, L tokens of an item.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpt.config import GPTConfig, MismatchError
from gpt.model import GPT
from gpt.scoring import score_tokens
from gpt.trained_on import trained_on
from storage.checked_files import read_json
from storage.model_paths import CheckpointError, find_of_kind
from storage.places import is_checkpoint, list_checkpoints
from training.processes import best_device
from training.progress import Progress
from viewing.look.contents import CHUNK, Checkpoints, Number, Surprise, write_chunk

MOST_CHECKPOINTS = 8
"""Checkpoints of a run that score all items, at most: evenly chosen, the first and the last among them."""

SHOWN = 0.999
"""Share of the tokens that the scale of surprise on the frames tells apart; the rest has the colour of its end."""


@dataclass(frozen=True)
class Scorer:
    """A GPT that scores the items."""

    path: Path
    """Its model folder, or its name."""
    label: str
    """For people."""
    step: int | None
    """Steps it was trained for; None where that is not known."""


@dataclass(frozen=True)
class SurpriseFound:
    """What GPTs find of the items of a page."""

    surprise: Surprise
    """Of the last of them, token by token."""
    checkpoints: Checkpoints | None
    """Of all of them; None where there is one."""
    numbers: tuple[Number, ...]
    """To sort and filter by."""


def find_scorers(gpts: Sequence[Path]) -> list[Scorer]:
    """Return the GPTs that score: those named, or some checkpoints of the one run that is named, oldest first.

    Args:
        gpts: model folders, runs, checkpoints, or names of the hub.

    Raises:
        CheckpointError: there is no such GPT.
    """
    if len(gpts) == 1 and len(checkpoints := list_checkpoints(gpts[0])) > 1:
        chosen = [checkpoints[index] for index in _spread(len(checkpoints), MOST_CHECKPOINTS)]
        return [Scorer(path, f"step {int(path.name):,}", int(path.name)) for path in chosen]
    known = trained_on(gpts)
    return [Scorer(path, str(path), of.step) for path, of in zip(gpts, known, strict=True)]


def check_scorers(scorers: Sequence[Scorer], grid: tuple[int, int, int], vocabulary: int, tokenizer: str) -> None:
    """Refuse GPTs that do not know the tokens of a page, before anything takes long.

    Args:
        scorers: the GPTs.
        grid: of an item (t, h, w).
        vocabulary: number of codes.
        tokenizer: fingerprint of the tokenizer that made the tokens.

    Raises:
        CheckpointError: there is no such GPT.
        MismatchError: tokenizer, vocabulary or grid are others than those a GPT learned, as of stills and clips.
    """
    for scorer in scorers:
        content = read_json(find_of_kind(scorer.path, GPT.kind) / "config.json", "config of a GPT")
        config: GPTConfig = GPT.read_config(content, scorer.path)
        try:
            config.check_tokens(grid, vocabulary, tokenizer)
        except MismatchError as error:
            raise MismatchError(f"--gpt {scorer.path}: {error}") from error


def measure_surprise(
    folder: Path,
    grids: NDArray[Any],
    scorers: Sequence[Scorer],
    splits: Sequence[str | None],
    batch: int | None = None,
) -> SurpriseFound:
    """Let GPTs score the items of a page, and write the surprise of the last one at each token beside the page.

    Args:
        folder: of the page.
        grids: (N, t, h, w) integers, which `check_scorers` let pass.
        scorers: one or more, oldest first.
        splits: of each item, `train`, `validation` or None for none.
        batch: items of a forward pass, at most: see `gpt.scoring.score_tokens`.

    Returns:
        Bits; the first token of a model without a BOS token is not scored, and shown as 0 bits. Checkpoints that their
        training, which goes on, has removed meanwhile are left out.

    Raises:
        CheckpointError: none is left, or one cannot be read.
    """
    tokens = grids.reshape(len(grids), -1)
    asked: list[Scorer] = []
    means: list[NDArray[np.float64]] = []
    with Progress("Scoring items", len(scorers) * len(tokens)) as progress:
        for number, scorer in enumerate(scorers):
            gpt = _open(scorer)
            if gpt is None:
                continue
            bits, first = _score(gpt, tokens, batch, progress, number * len(tokens))
            asked.append(scorer)
            means.append(bits[:, first:].mean(axis=1, dtype=np.float64))
    if not asked:
        raise CheckpointError(
            f"the training that writes {scorers[0].path} has removed all its checkpoints of before meanwhile: ask "
            "again, or let it keep more of them (--keep)"
        )
    shown, most_bits = _quantised(bits)
    files = [
        write_chunk(folder, "surprise", number, shown[start : start + CHUNK])
        for number, start in enumerate(range(0, len(shown), CHUNK))
    ]
    surprise = Surprise(tuple(files), most_bits, asked[-1].label)
    return SurpriseFound(surprise, _checkpoints(asked, means), _numbers(asked, means, splits))


def _open(scorer: Scorer) -> GPT | None:
    """Return a GPT on the device that scores; None of a checkpoint that its training has removed meanwhile.

    Raises:
        CheckpointError: it is there, and cannot be read.
    """
    try:
        return GPT.from_pretrained(scorer.path).to(best_device())
    except CheckpointError:
        if is_checkpoint(scorer.path) and not scorer.path.exists():
            return None
        raise


def _score(
    gpt: GPT, tokens: NDArray[Any], batch: int | None, progress: Progress, done: int
) -> tuple[NDArray[np.float32], int]:
    """Return the bits (N, L) of all tokens under a GPT, and the first token that it scores."""
    bits = np.empty(tokens.shape, np.float32)
    for start in range(0, len(tokens), CHUNK):
        part = torch.from_numpy(tokens[start : start + CHUNK].astype(np.int64))
        bits[start : start + CHUNK] = _bits(score_tokens(gpt, part, batch))
        progress.show(done + start + len(part))
    return bits, gpt.first_scored


def _bits(nll: Tensor) -> NDArray[np.float32]:
    bits: NDArray[np.float32] = (nll / math.log(2)).numpy()
    return bits


def _quantised(bits: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Return bits as (N, L) bytes, and the bits that 255 stands for, or more."""
    most = max(0.1, math.ceil(10 * float(np.quantile(bits, SHOWN))) / 10)
    return np.rint(np.clip(bits / most, 0, 1) * 255).astype(np.uint8), most


def _checkpoints(scorers: Sequence[Scorer], means: Sequence[NDArray[np.float64]]) -> Checkpoints | None:
    if len(scorers) == 1:
        return None
    steps = [scorer.step for scorer in scorers]
    known = [step for step in steps if step is not None]
    # Of GPTs that are not of one run, or whose steps nobody knows, the order in which they were named has to do.
    rising = known if len(known) == len(steps) and known == sorted(set(known)) else list(range(1, len(steps) + 1))
    return Checkpoints(
        labels=tuple(scorer.label for scorer in scorers),
        steps=tuple(rising),
        bits=tuple(_rounded(mean) for mean in means),
    )


def _numbers(
    scorers: Sequence[Scorer], means: Sequence[NDArray[np.float64]], splits: Sequence[str | None]
) -> tuple[Number, ...]:
    last = scorers[-1].label
    unit = "bits per token"
    numbers = [
        Number("bits", "surprise", unit, f"Mean bits per token under {last}.", 3, _rounded(means[-1])),
        Number(
            "bits_above_split",
            "surprise against its split",
            unit,
            "Surprise less the median of the items of the same split, train or validation.",
            3,
            _above_split(means[-1], splits),
        ),
    ]
    if len(scorers) > 1:
        help = f"Surprise under {scorers[0].label} less that under {last}: how much was learned of the item."
        numbers.append(Number("fall", "fall of surprise", unit, help, 3, _rounded(means[0] - means[-1])))
    return tuple(numbers)


def _above_split(bits: NDArray[np.float64], splits: Sequence[str | None]) -> tuple[float | None, ...]:
    """Return how much more surprising each item is than the median of its split; None without a split."""
    of = np.array([split or "" for split in splits])
    medians = {split: float(np.median(bits[of == split])) for split in set(of.tolist()) - {""}}
    return tuple(
        round(float(value) - medians[split], 6) if split else None
        for value, split in zip(bits, of.tolist(), strict=True)
    )


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values.tolist())


def _spread(count: int, most: int) -> list[int]:
    """Return up to so many indices, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(index * (count - 1) / (most - 1)) for index in range(most)]
