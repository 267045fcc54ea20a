"""Scores of tested images, wherever they come from: as arrays, as rows of `scores.csv`, and as trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from data.stimuli.lists import StimulusList
from experiments.memory.observers.examinee import WEIGHTS
from experiments.memory.options import Ties
from experiments.memory.recognition import Session, tested_paths
from experiments.statistics.trials import TrialRow


class Judgement(NamedTuple):
    """What all tested images are judged by: after how many exposures, changed in which way, by which readout."""

    exposure: int
    change: str
    readout: str


Judged = Mapping[Judgement, Tensor]
"""(P,) float64 scores of the tested images, in order of path, in the order in which they were taken."""


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """A row of `scores.csv`: how unfamiliar an observer found an image."""

    path: str
    """Path of the image in the list."""
    exposure: int
    """Passes over the study list before the test."""
    score: float
    """Lower for more familiar, on a scale of the observer's own."""
    version: str = "as_given"
    """`as_given`, or `swapped`: with studied images and foils exchanged."""
    seed: int = 0
    """Of the run."""
    change: str = "none"
    """Change made to the test images; `none` is without one."""
    readout: str = WEIGHTS
    """What judges, where an observer has several scores."""


@dataclass(frozen=True)
class Sitting:
    """A version of the list under a seed, as one observer sat it."""

    version: str
    seed: int
    model: str
    judged: Judged
    tokens: int = 0
    """Of an image, where scores are nats per token."""
    pixels: int | None = None
    """Of an image, where scores are nats per token."""

    def trials(self, stimuli: StimulusList, ties: Ties) -> Iterator[TrialRow]:
        """Yield the trials that the scores decide; `stimuli` is the list in this version."""
        session = Session(
            name=stimuli.root.name,
            version=self.version,
            seed=self.seed,
            trials=stimuli.trials,
            paths=tested_paths(stimuli.trials),
            tokens={},
            model=self.model,
            pixels=self.pixels,
            ties=ties,
            length=self.tokens,
        )
        for judgement, scores in self.judged.items():
            yield from session.rows(scores, judgement.readout, judgement.change, judgement.exposure, interference=0)

    def scores(self, stimuli: StimulusList) -> Iterator[ImageScore]:
        """Yield a row for each score."""
        paths = tested_paths(stimuli.trials)
        for judgement, scores in self.judged.items():
            for path, score in zip(paths, scores.tolist(), strict=True):
                yield ImageScore(path=path, score=score, version=self.version, seed=self.seed, **judgement._asdict())


def in_order(judged: Mapping[Judgement, Mapping[str, float]], stimuli: StimulusList) -> Judged:
    """Return scores by path as tensors in order of path, in order of exposure."""
    paths = tested_paths(stimuli.trials)
    return {
        judgement: torch.tensor([judged[judgement][path] for path in paths], dtype=torch.float64)
        for judgement in sorted(judged, key=lambda judgement: judgement.exposure)
    }
