"""Testing recognition: which image of a pair a learner finds the more familiar one.

A trial is correct when the studied image has the lower score: the mean NLL per token (Orhan 2022, arXiv 2204.13061),
or what an episodic store makes of it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.errors import StimulusError
from data.stimuli.lists import StimulusList, Trial
from experiments.memory.episodic import EpisodicStore
from experiments.memory.options import Half, Ties
from experiments.statistics.trials import TrialRow, correctness
from gpt.likelihood import bits_per_pixel
from gpt.model import GPT
from gpt.scoring import score_tokens

LIKELIHOODS = ("weights", "weights+store")
"""Readouts that are a mean NLL per token, and so have bits per pixel."""


@dataclass(frozen=True)
class Session:
    """Trials that are taken again and again, with the tokens of their images."""

    name: str
    """Of the list."""
    version: str
    seed: int
    trials: Sequence[Trial]
    paths: Sequence[str]
    """Every tested image once, in order of path, so that both versions of a list score the same batches."""
    tokens: Mapping[str, Tensor]
    """(P, L) int64 tokens of the tested images under each change."""
    model: str = ""
    """Name of the learner, for the rows."""
    pixels: int | None = None
    """Of an image before the tokenizer; None for random sequences, which stand for none."""
    ties: Ties = "half"
    """What a trial counts in which both images have the same score."""
    length: int = 0
    """Tokens of an image; 0 where scores are of no tokens."""

    @classmethod
    def prepare(
        cls,
        stimuli: StimulusList,
        tokens: Mapping[str, Mapping[str, Tensor]],
        version: str,
        seed: int,
        device: torch.device,
        *,
        model: str = "",
        pixels: int | None = None,
        ties: Ties = "half",
    ) -> Session:
        """Gather what the tests of a list need.

        Args:
            stimuli: the list.
            tokens: (L,) int64 tokens of each image under each change, `none` among them.
            version: of the list, for the rows.
            seed: of the run, for the rows.
            device: where the learner is.
            model: name of the learner, for the rows.
            pixels: of an image before the tokenizer; None for random sequences.
            ties: what a trial counts in which both images have the same score.
        """
        paths = tested_paths(stimuli.trials)
        stacked = {change: torch.stack([of[path] for path in paths]).to(device) for change, of in tokens.items()}
        return cls(
            name=stimuli.root.name,
            version=version,
            seed=seed,
            trials=stimuli.trials,
            paths=paths,
            tokens=stacked,
            model=model,
            pixels=pixels,
            ties=ties,
            length=stacked["none"].shape[1],
        )

    def test(
        self,
        gpt: GPT,
        store: EpisodicStore | None,
        exposure: int,
        interference: int,
        keyed: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> list[TrialRow]:
        """Return a row for every trial, change and readout.

        Args:
            gpt: the learner.
            store: what an episodic store holds beside its weights; None where there is none.
            exposure: passes over the list so far.
            interference: passes over another list after those.
            keyed: (P,) judgements by stores of pictures, in the order of `paths`, by readout and change.

        Raises:
            FloatingPointError: a score is not a number, because the learner has diverged.
        """
        rows = []
        for change, tokens in self.tokens.items():
            beside = {readout: of_change[change] for readout, of_change in (keyed or {}).items()}
            for readout, scores in (score(gpt, store, tokens) | beside).items():
                if not scores.isfinite().all():
                    raise FloatingPointError(
                        f"after {exposure} exposures the learner's scores are not finite: "
                        "study with a lower --learning-rate"
                    )
                rows += self.rows(scores, readout, change, exposure, interference)
        return rows

    def rows(self, scores: Tensor, readout: str, change: str, exposure: int, interference: int) -> list[TrialRow]:
        """Return a row for every trial, as it is decided by the scores (P,) of the tested images."""
        by_path = dict(zip(self.paths, scores.tolist(), strict=True))
        return [self._row(trial, by_path, readout, change, exposure, interference) for trial in self.trials]

    def _row(
        self, trial: Trial, scores: Mapping[str, float], readout: str, change: str, exposure: int, interference: int
    ) -> TrialRow:
        nll_studied = scores[trial.studied.path]
        nll_foil = scores[trial.foil.path]
        bits_studied, bits_foil = (self._bits_per_pixel(nll, readout) for nll in (nll_studied, nll_foil))
        return TrialRow(
            model=self.model,
            list=self.name,
            version=self.version,
            seed=self.seed,
            readout=readout,
            change=change,
            item=trial.item,
            condition=trial.condition,
            exposure=exposure,
            interference=interference,
            studied=trial.studied.path,
            foil=trial.foil.path,
            nll_studied=nll_studied,
            nll_foil=nll_foil,
            correct=correctness(nll_studied, nll_foil) if self.ties == "half" else float(nll_studied < nll_foil),
            bits_per_pixel_studied=bits_studied,
            bits_per_pixel_foil=bits_foil,
        )

    def _bits_per_pixel(self, score: float, readout: str) -> float | None:
        if self.pixels is None or readout not in LIKELIHOODS:
            return None
        return bits_per_pixel(score, self.length, self.pixels)


def half_of(trials: tuple[Trial, ...], half: Half) -> tuple[Trial, ...]:
    """Return all trials, or one half of every condition, which depends on nothing but the names of the items.

    Raises:
        StimulusError: there is nothing in that half.
    """
    if half == "all":
        return trials
    by_condition: dict[str, list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: hashlib.sha256(trial.item.encode()).digest()):
        by_condition[trial.condition].append(trial)
    chosen = set()
    for of_condition in by_condition.values():
        middle = (len(of_condition) + 1) // 2
        chosen |= {t.item for t in (of_condition[:middle] if half == "first" else of_condition[middle:])}
    if not chosen:
        raise StimulusError(f"--half {half} holds none of the {len(trials)} trials: each condition needs two")
    return tuple(trial for trial in trials if trial.item in chosen)


def tested_paths(trials: Sequence[Trial]) -> list[str]:
    """Return the paths of all images that take part in trials, each once, in order."""
    return sorted({image.path for trial in trials for image in (trial.studied, trial.foil)})


def score(gpt: GPT, store: EpisodicStore | None, tokens: Tensor) -> dict[str, Tensor]:
    """Return how unfamiliar each of (P, L) token sequences is: (P,) float32 on the CPU, by readout."""
    scores = {"weights": score_tokens(gpt, tokens)[:, gpt.first_scored :].mean(dim=1)}
    if store is not None:
        judged = store.score(tokens)
        scores |= {"weights+store": judged.nll, "familiarity": judged.familiarity}
    return scores
