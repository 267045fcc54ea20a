"""One run of an observer: a version of a list under a seed, from before the first exposure to the last test.

    runs/<version>_<seed>/scores/<exposure>.npz   scores of the test after so many exposures, written when it is over
    runs/<version>_<seed>/state/                  what the observer had learned then, where it has a `state`

A run that ends early, by a signal or because the observer fails, has lost nothing of the exposures before: it goes on
from the state, or studies again what it had studied, under the same random numbers, without being tested again.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.stimuli.lists import StimulusList
from experiments.memory.material import Clips
from experiments.memory.observers.examinee import Examinee
from experiments.memory.observers.judged import Judged, Judgement
from experiments.memory.observers.options import ObserveOptions
from experiments.memory.recognition import tested_paths
from storage.arrays import load_arrays, save_arrays
from storage.model_folder import load_model_folder, save_model_folder
from storage.records import digest_of
from training.order import epoch_order
from training.progress import Progress
from training.stopping import Stopping

STATE = "state of an observer"
"""What the config.json of a saved state says that it is."""
SEPARATOR = "\t"
"""Between change and readout in the name of an array; neither has one."""


@dataclass(frozen=True)
class ObserverRun:
    """What a run studies and tests, and where it writes."""

    folder: Path
    clips: Clips
    """(3, 1, H, W) of all images in order of path, `none` for as they are, and of tested ones under each change."""
    stimuli: StimulusList
    """The list in this version, with the trials that are taken."""
    version: str
    seed: int
    options: ObserveOptions
    fingerprint: str
    """Of the observer of the first run; empty where it says nothing."""

    @cached_property
    def identity(self) -> str:
        """Digest of what decides the scores."""
        return digest_of(
            {
                "model": self.options.settings_of_model(),
                "fingerprint": self.fingerprint,
                "list": [asdict(image) for image in self.stimuli.study],
                "trials": [asdict(trial) for trial in self.stimuli.trials],
                "version": self.version,
                "seed": self.seed,
            }
        )

    @cached_property
    def tested(self) -> list[str]:
        """Paths of the images that are tested."""
        return tested_paths(self.stimuli.trials)

    def finished(self) -> int:
        """Return how many tests are finished, that before study included; the first that is not ends them."""
        exposures = self.options.exposures
        return next((number for number in range(exposures + 1) if self._read(number) is None), exposures + 1)

    def judged(self) -> Judged:
        """Return the scores of all tests, which are finished."""
        found = {}
        for number in range(self.options.exposures + 1):
            for name, scores in (self._read(number) or {}).items():
                change, _, readout = name.partition(SEPARATOR)
                found[Judgement(number, change, readout)] = scores
        return found

    def carry_out(self, examinee: Examinee, done: int) -> None:
        """Study and test, after what is finished.

        Args:
            examinee: an observer that has studied nothing.
            done: finished tests; fewer than there are to be.

        Raises:
            ObserverError: the observer fails, or says what is no score.
            OSError: the disk is full.
            SystemExit: a signal asked the run to end, and what is finished was kept.
        """
        examinee.prepare(torch.stack(list(self.clips["none"].values()))[:, :, 0])
        exposures = self.options.exposures
        title = f"{examinee.name} {self.version} {self.seed}"
        with Progress(title, exposures, max(0, done - 1)) as progress, Stopping() as stopping:
            if done == 0:
                self._test(examinee, 0)
            for number in range(self._restore(examinee, done - 1) + 1, exposures + 1):
                self._study(examinee, number)
                if number >= done:
                    self._test(examinee, number)
                    progress.show(number)
                if stopping.agreed():
                    stopping.leave(number, visible=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def _study(self, examinee: Examinee, number: int) -> None:
        """Present the list in pass `number`, in an order of its own."""
        examinee.begin_pass(number)
        for chosen in epoch_order(len(self._studied), self.seed, number).split(self.options.batch):
            examinee.study(self._studied[chosen], number)

    @cached_property
    def _studied(self) -> Tensor:
        """(M, 3, H, W) the studied images, in the order of the list."""
        return torch.stack([self.clips["none"][image.path] for image in self.stimuli.study])[:, :, 0]

    def _test(self, examinee: Examinee, number: int) -> None:
        """Take and write the tests after pass `number`, then the state."""
        scores = {
            f"{change}{SEPARATOR}{readout}": of_readout.numpy()
            for change, images in self._tests()
            for readout, of_readout in examinee.score(images, self.tested, number).items()
        }
        save_arrays(self._path(number), scores, self.identity)
        if examinee.keeps_state and number:
            config = {"kind": STATE, "of": self.identity, "exposure": number}
            save_model_folder(self.folder / "state", config, examinee.state())

    def _tests(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tested images (P, 3, H, W), as they are and under each change."""
        for change in ("none", *self.options.changes):
            yield change, torch.stack([self.clips[change][path] for path in self.tested])[:, :, 0]

    def _restore(self, examinee: Examinee, last: int) -> int:
        """Give an observer back what it had learned by pass `last` at the latest; return after which pass that was."""
        folder = self.folder / "state"
        if not examinee.keeps_state or last < 1 or not folder.exists():
            return 0
        try:
            config, state = load_model_folder(folder)
            number = config["exposure"]
            if config["kind"] != STATE or config["of"] != self.identity or not 0 < number <= last:
                raise ValueError("it is of another run")
        except (KeyError, OSError, TypeError, ValueError) as error:
            print(f"{folder} cannot be gone on from ({error}): what was studied is studied again", file=sys.stderr)
            return 0
        examinee.load_state(state)
        return int(number)

    def _path(self, number: int) -> Path:
        return self.folder / "scores" / f"{number:06d}.npz"

    def _read(self, number: int) -> Mapping[str, Tensor] | None:
        """Return the scores of a test that is finished, by change and readout; None where it is not."""
        path = self._path(number)
        try:
            arrays = load_arrays(path, self.identity)
        except FileNotFoundError:
            return None
        except ValueError as error:
            print(f"{path} cannot be used ({error}): it is made again", file=sys.stderr)
            return None
        if any(scores.shape != (len(self.tested),) or scores.dtype != np.float64 for scores in arrays.values()):
            print(f"{path} holds no score for each image: it is made again", file=sys.stderr)
            return None
        return {name: torch.from_numpy(scores.copy()) for name, scores in arrays.items()}
