"""One run of the memory experiment: a version of a list under a seed, from before the first exposure to the last test.

A position in it is a number of passes: those over the first list, then those over the second. A run that is stopped
leaves `state/` behind, the learner and the rows so far, and goes on from there with the same bits.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.stimuli.lists import StimulusList, Trial
from experiments.memory.episodic import EpisodicStore
from experiments.memory.learner import Learner, begin_learner, image_folder_order
from experiments.memory.material import Material, read_clips
from experiments.memory.options import MemoryOptions
from experiments.memory.recall import Cue, RecallRow, recall, write_recall
from experiments.memory.recognition import Session, token_nll
from experiments.statistics.trials import TrialRow, read_trials, write_trials
from storage.files import atomic_write
from training.progress import Progress
from training.stopping import Stopping


@dataclass(frozen=True)
class MemoryRun:
    """What a run studies and tests, and where it writes."""

    folder: Path
    """For trials.csv, recall.csv and maps.npz; and for state/ until they are there."""
    material: Material
    stimuli: StimulusList
    """The first list, in this version, with the trials that are taken."""
    version: str
    seed: int
    options: MemoryOptions

    @property
    def passes(self) -> int:
        """Passes over both lists."""
        return self.options.learning.exposures + (
            self.options.learning.then_exposures if len(self.material.afterwards) else 0
        )

    @cached_property
    def items(self) -> Tensor:
        """(N, L) int64 tokens of the first list, then of the second."""
        first = [self.material.tokens["none"][image.path] for image in self.stimuli.study]
        return torch.cat([torch.stack(first), self.material.afterwards])

    def is_finished(self) -> bool:
        """Return whether its rows are there, which are written last."""
        return (self.folder / "trials.csv").exists()

    def carry_out(self) -> None:
        """Study and test, from the beginning or from the state that an interrupted run left.

        Raises:
            FloatingPointError: the learner has diverged.
            CheckpointWriteError: the disk is full.
            SystemExit: a signal asked the run to end, and its state was saved.
        """
        learner, done = begin_learner(self.options, self.material, self.seed, self.folder / "state")
        session = self._prepare(learner.device)
        rows = self._rows_so_far(done) if done else self._before_study(learner, session)
        title = f"Memory {self.version} {self.seed}"
        with Progress(title, self.passes, done) as progress, Stopping() as stopping:
            for number in range(done + 1, self.passes + 1):
                self.present(learner, number)
                rows += (taken := self._test(learner, session, number))
                if number == self.options.learning.exposures:
                    self._after_exposures(learner, session)
                progress.show(number, accuracy=_accuracy(taken))
                stopped = stopping.agreed()
                if number < self.passes and (stopped or number % self.options.learning.save_every == 0):
                    write_trials(self.folder / "state" / "trials.csv", rows)
                    learner.save(self.folder / "state", number)
                    if stopped:
                        stopping.leave(number, visible=True)
            write_trials(self.folder / "trials.csv", rows)
            shutil.rmtree(self.folder / "state")
            if stopping.agreed():
                stopping.leave(self.passes, visible=True)

    def present(self, learner: Learner, number: int) -> None:
        """Present the list whose turn it is in pass `number`."""
        first = len(self.stimuli.study)
        exposures = self.options.learning.exposures
        index = torch.arange(len(self.items))
        listed = self._listed if number <= exposures else index[first:]
        known = (index < first) & (number > 1) | (index >= first) & (number > exposures + 1)
        learner.study(self.items.to(learner.device), listed, known, number)

    @cached_property
    def _listed(self) -> Tensor:
        """(M,) int64 indices of the first list's study, as it is shuffled."""
        if self.options.learning.order == "igpt2022":
            return torch.tensor(image_folder_order(self.stimuli))
        return torch.arange(len(self.stimuli.study))

    def _prepare(self, device: torch.device) -> Session:
        """Gather what the tests need; `device` is the learner's."""
        tokenizer = self.material.tokenizer
        pixels = tokenizer.size**2 if tokenizer else None
        return Session.prepare(
            self.stimuli,
            self.material.tokens,
            self.version,
            self.seed,
            device,
            model=self.options.model_name(),
            pixels=pixels,
            ties=self.options.test.ties,
        )

    def _test(self, learner: Learner, session: Session, number: int) -> list[TrialRow]:
        """Take the tests after pass `number`; 0 is before the first."""
        exposure = min(number, self.options.learning.exposures)
        interference = number - exposure
        return session.test(learner.gpt, self._store(learner, number), exposure, interference)

    def _store(self, learner: Learner, number: int) -> EpisodicStore | None:
        """Return a store of what has been studied in `number` passes, as the learner represents it now."""
        if self.options.test.store_layer is None:
            return None
        store = EpisodicStore(learner.gpt, self.options.test.store_layer)
        if number > 0:
            studied = self.items if number > self.options.learning.exposures else self.items[: len(self.stimuli.study)]
            store.write(studied.to(learner.device))
        return store

    def _before_study(self, learner: Learner, session: Session) -> list[TrialRow]:
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        np.save(state / "before.npy", _map(learner, session))
        return self._test(learner, session, 0)

    def _rows_so_far(self, done: int) -> list[TrialRow]:
        rows = read_trials(self.folder / "state" / "trials.csv")
        return [row for row in rows if row.exposure + row.interference <= done]

    def _after_exposures(self, learner: Learner, session: Session) -> None:
        """Write what is looked at once, after the last exposure and before any interference."""
        before = np.load(self.folder / "state" / "before.npy")
        paths = np.array(session.paths)
        grid = np.array(self.material.grid)
        save = partial(np.savez_compressed, paths=paths, before=before, after=_map(learner, session), grid=grid)
        atomic_write(self.folder / "maps.npz", save)
        if self.options.test.recall:
            write_recall(self.folder / "recall.csv", self._recall(learner))

    def _recall(self, learner: Learner) -> list[RecallRow]:
        """Let the learner complete some studied images, evenly spread over the trials, and their foils."""
        trials = self.stimuli.trials
        tokenizer = self.material.tokenizer
        assert tokenizer is not None, "the options ask for images"
        count = min(self.options.test.recall, len(trials))
        chosen = [trials[index * len(trials) // count] for index in range(count)]
        cues = [_cue(trial, studied=True) for trial in chosen]
        cues += [_cue(trial, studied=False) for trial in chosen]
        clips = read_clips(self.stimuli.root, [cue.image for cue in cues], tokenizer.size, self.options.material.resize)
        tokens = torch.stack([self.material.tokens["none"][cue.image] for cue in cues])
        device = learner.device
        return recall(learner.gpt, tokenizer.to(device), cues, clips.to(device), tokens.to(device), seed=self.seed)


def _cue(trial: Trial, studied: bool) -> Cue:
    image = trial.studied if studied else trial.foil
    return Cue(item=trial.item, condition=trial.condition, image=image.path, studied=studied)


def _map(learner: Learner, session: Session) -> np.ndarray[Any, Any]:
    """Return the NLL of every token of the tested images, (P, L) float16, in nats."""
    return token_nll(learner.gpt, session.tokens["none"]).numpy().astype(np.float16)


def _accuracy(rows: list[TrialRow]) -> float:
    """Return the share of correct trials of the weights alone, on images as they were studied."""
    correct = [row.correct for row in rows if (row.readout, row.change) == ("weights", "none")]
    return sum(correct) / len(correct)
