"""A recognition experiment in the app: a person and a model study the same pictures and take the same test.

The model studies as in `secondsight memory run`: a copy of it takes optimizer steps, a pass over the list is an
exposure, and in a trial the picture with the lower NLL per token is its choice. Both versions of the list are run, with
studied pictures and foils exchanged, so that a model that has studied nothing is right in one half of the trials.

Axes: H rows, W columns of a picture.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import StimulusError
from data.images import clip_to_image, image_to_clip, pixel_digest
from data.playroom.make import Toy, plan_trials, render_object
from data.stimuli.lists import Stimulus, StimulusList, Trial
from data.synthetic.chance import stream
from experiments.memory.learner import Learner
from experiments.memory.options import MemoryOptions
from experiments.memory.recognition import Session, tested_paths
from experiments.statistics.outcomes import CHANCE
from experiments.statistics.trials import TrialRow
from viewing.app.jobs import Job
from viewing.app.models import Pair

FEWEST_TRIALS = 2
MOST_TRIALS = 16
MOST_EXPOSURES = 20
SMALLEST_TOY, LARGEST_TOY = 32, 128
"""Pixels a side at which toys are rendered, at least and at most; they are scaled for models of other pictures."""
NOWHERE = Path("no-folder")
"""In place of the folders of a run, which the app has none of."""
AS_GIVEN, SWAPPED = "as_given", "swapped"


@dataclass(frozen=True)
class StudyList:
    """What is studied, and how it is tested."""

    stimuli: StimulusList
    """The version that the person studies."""
    pictures: Mapping[str, Tensor]
    """(3, 1, H, W) in [-1, 1] of every picture that is studied or tested, by its path."""
    studied_left: tuple[bool, ...]
    """Of each trial, whether the studied picture stands on the left."""
    seed: int
    """Of the list, and of the order in which the model studies."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """In the order in which they are taken."""
        return self.stimuli.trials

    def is_correct(self, trial: int, chose_left: bool) -> bool:
        """Whether the studied picture is the one that was chosen."""
        return self.studied_left[trial] == chose_left


def render_list(condition: str, trials: int, seed: int, size: int) -> StudyList:
    """Return a list of rendered toys.

    Args:
        condition: one of `CONDITIONS`: how a foil differs from what is studied.
        trials: how many; as many toys are studied.
        seed: of the toys, and of the list.
        size: pixels a side, H = W.

    Raises:
        StimulusError: there are too few or too many.
    """
    _check_count(trials)
    planned = [trial for trial in plan_trials(trials, seed) if trial.condition == condition]
    pairs = [(_render(trial.seen, seed, size), _render(trial.foil, seed, size)) for trial in planned]
    return _make_list("playroom", condition, pairs, seed)


def upload_list(pictures: Sequence[Tensor], seed: int) -> StudyList:
    """Return a list of pictures that somebody brought: one half is studied, each with one of the others as its foil.

    Args:
        pictures: (3, 1, H, W) in [-1, 1] each; of an odd number the last drawn is left out.
        seed: decides which are studied, and which is tested against which.

    Raises:
        StimulusError: there are too few or too many, or two are the same.
    """
    trials = len(pictures) // 2
    _check_count(trials)
    order = stream("app pairs", seed).permutation(len(pictures)).tolist()
    pairs = [(pictures[order[2 * index]], pictures[order[2 * index + 1]]) for index in range(trials)]
    return _make_list("uploads", "novel", pairs, seed)


def learning_options(exposures: int, learning_rate: float) -> MemoryOptions:
    """Return the options of `memory run` that say how the model learns."""
    return MemoryOptions.of(stimuli=NOWHERE, gpt=NOWHERE, out=NOWHERE, exposures=exposures, learning_rate=learning_rate)


def take_test(
    pair: Pair, study: StudyList, options: MemoryOptions, job: Job[int, tuple[TrialRow, ...]]
) -> tuple[TrialRow, ...]:
    """Let copies of a model study both versions of a list, and return its trials before it studies and after.

    Args:
        pair: the model, whose weights stay as they are.
        study: the list.
        options: how it learns: see `learning_options`.
        job: is shown how many passes are done, over both versions.

    Raises:
        FloatingPointError: the learner has diverged.
        StoppedError: it is to end.
    """
    tokens = _encode(pair, study)
    swapped = study.stimuli.counterbalanced()
    versions = {AS_GIVEN: study.stimuli} | ({SWAPPED: swapped} if swapped else {})
    rows: list[TrialRow] = []
    for done, (version, stimuli) in enumerate(versions.items()):
        learner = Learner(copy.deepcopy(pair.gpt), options, study.seed)
        pixels = pair.clip_format.size**2
        session = Session.prepare(
            stimuli, {"none": tokens}, version, study.seed, learner.device, model=pair.name, pixels=pixels
        )
        items = torch.stack([tokens[image.path] for image in stimuli.study]).to(learner.device)
        rows += session.test(learner.gpt, None, 0, 0)
        for number in range(1, options.learning.exposures + 1):
            job.check()
            everything = torch.arange(len(items))
            learner.study(items, everything, torch.full((len(items),), number > 1), number)
            job.show(done * options.learning.exposures + number)
        job.check()
        rows += session.test(learner.gpt, None, options.learning.exposures, 0)
    return tuple(rows)


def share_correct(rows: Sequence[TrialRow], exposure: int, *versions: str) -> float:
    """Return the share of trials after some exposures that the model was right in, a tie counting one half."""
    correct = [row.correct for row in rows if row.exposure == exposure and row.version in versions]
    return sum(correct) / len(correct)


def chance_of(correct: int, trials: int) -> float:
    """Return the probability that guessing is right in so many trials, or more."""
    return sum(math.comb(trials, number) for number in range(correct, trials + 1)) * CHANCE**trials


def _check_count(trials: int) -> None:
    if trials < FEWEST_TRIALS:
        raise StimulusError(f"{trials} to study are too few: a test needs {2 * FEWEST_TRIALS} pictures")
    if trials > MOST_TRIALS:
        raise StimulusError(f"{trials} to study are too many for a test at once: at most {MOST_TRIALS}")


def _render(toy: Toy, seed: int, size: int) -> Tensor:
    drawn = render_object(*toy, seed=seed, size=max(SMALLEST_TOY, min(LARGEST_TOY, size)))
    return image_to_clip(clip_to_image(drawn), size)


def _make_list(name: str, condition: str, pairs: Sequence[tuple[Tensor, Tensor]], seed: int) -> StudyList:
    """Return a list of pairs of pictures, the first of which is studied."""
    pictures: dict[str, Tensor] = {}
    trials = []
    for index, sides in enumerate(pairs):
        item = f"{condition}_{index:02d}"
        of_trial = []
        for side, picture in zip("ab", sides, strict=True):
            path = f"{item}_{side}"
            pictures[path] = picture
            of_trial.append(Stimulus(path, pixel_digest(clip_to_image(picture))))
        trials.append(Trial(item, condition, *of_trial))
    digests = [image.sha256 for trial in trials for image in (trial.studied, trial.foil)]
    if len(set(digests)) < len(digests):
        raise StimulusError("two of the pictures are the same: one would be studied, and be its own foil")
    chance = stream("app sides", seed)
    trials = [trials[index] for index in chance.permutation(len(trials)).tolist()]
    left = chance.permutation(np.arange(len(trials)) % 2 == 0).tolist()
    study = tuple(trial.studied for trial in sorted(trials, key=lambda trial: trial.item))
    return StudyList(StimulusList(Path(name), study, tuple(trials)), pictures, tuple(left), seed)


@torch.no_grad()
def _encode(pair: Pair, study: StudyList) -> dict[str, Tensor]:
    """Return the tokens (L,) int64 of every picture on the CPU, by its path.

    A model of clips sees a picture as the first latent frame of a clip, which it has learned to tell from nothing.
    """
    tokenizer = pair.tokenizer
    paths = tested_paths(study.trials)
    clips = torch.stack([study.pictures[path] for path in paths]).to(tokenizer.device)
    return dict(zip(paths, tokenizer.encode(clips).flatten(1).cpu(), strict=True))
