"""One run of the memory experiment: a version of a list under a seed, from before the first exposure to the last test.

A position in it is a number of passes: those over the first list, then those over the second. A run that is stopped
leaves `state/` behind, the learner and the rows so far, and goes on from there with the same bits. A record beside them
says which run they are of and has digests of all of them; a state that is damaged, or of another run, is not used, and
the run begins anew.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from data.stimuli.lists import StimulusList, Trial
from experiments.memory.episodic import EpisodicStore
from experiments.memory.keyed import KeyedPictures
from experiments.memory.learner import Learner, begin_learner, image_folder_order
from experiments.memory.material import Material, read_clips
from experiments.memory.options import MemoryOptions, without_before
from experiments.memory.recall import Cue, RecallRow, recall, write_recall
from experiments.memory.recognition import Session
from experiments.statistics.trials import TrialRow, read_trials, write_trials
from gpt.scoring import score_tokens
from storage.checked_files import FaultError, parse_json, read_bytes
from storage.checkpoints import newest_checkpoint
from storage.checksums import fingerprint
from storage.files import atomic_write, to_json, write_text
from storage.options import leaves
from storage.records import digest_of, open_seal, read_record, seal
from storage.run_folder import RunFolderError
from training.progress import Progress
from training.stopping import Stopping

LARGEST_FILE = 1 << 32
"""Bytes of a file of the state, at most."""
FREE = ("exposures", "seeds")
"""Options that say how long, or how many runs, and not which run it is."""


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
    origin: str = ""
    """Fingerprint of the GPT that it begins with; empty for a new one."""
    keys: Sequence[KeyedPictures] = ()
    """The pictures of the lists by every key of `--store-key`."""

    @cached_property
    def identity(self) -> str:
        """Digest of what decides the results: options, lists, tokens, version, seed and the GPT."""
        return digest_of(
            {
                "options": _plain(without_before({name: self.options.flat()[name] for name in _telling()})),
                "list": [asdict(image) for image in self.stimuli.study],
                "trials": [asdict(trial) for trial in self.stimuli.trials],
                "tokens": self.material.digest,
                "version": self.version,
                "seed": self.seed,
                "gpt": self.origin,
                **({"keys": {keyed.key: keyed.fingerprint for keyed in self.keys}} if self.keys else {}),
            }
        )

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
        """Return whether its rows are there, which are written last.

        Raises:
            RunFolderError: they, or the maps or recall beside them, are not what this run wrote.
        """
        if not (self.folder / "trials.csv").exists():
            return False
        try:
            record = self._open_record(self.folder / "finished.json")
            if record is not None:
                self._check_files(record["files"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"the finished run in {self.folder} cannot be used: {error}; remove that folder and continue with "
                "--resume auto, which makes it again"
            ) from error
        return True

    def carry_out(self) -> None:
        """Study and test, from the beginning or from the state that an interrupted run left.

        Raises:
            FloatingPointError: the learner has diverged.
            CheckpointWriteError: the disk is full.
            SystemExit: a signal asked the run to end, and its state was saved.
        """
        learner, session, done, rows = self._begin()
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
                    self._save(learner, rows, number)
                    if stopped:
                        stopping.leave(number, visible=True)
            self._finish(rows)
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
        store = self._store(learner, number)
        return session.test(learner.gpt, store, exposure, interference, self._by_keys(session, number))

    def _by_keys(self, session: Session, number: int) -> dict[str, dict[str, Tensor]]:
        """Return what stores of the pictures studied in `number` passes say, by readout and change."""
        studied = [image.path for image in self.stimuli.study] if number > 0 else []
        second = number > self.options.learning.exposures
        return {keyed.readout: keyed.familiarity(studied, session.paths, second) for keyed in self.keys}

    def _store(self, learner: Learner, number: int) -> EpisodicStore | None:
        """Return a store of what has been studied in `number` passes, as the learner represents it now."""
        if self.options.test.store_layer is None:
            return None
        store = EpisodicStore(learner.gpt, self.options.test.store_layer)
        if number > 0:
            studied = self.items if number > self.options.learning.exposures else self.items[: len(self.stimuli.study)]
            store.write(studied.to(learner.device))
        return store

    def _begin(self) -> tuple[Learner, Session, int, list[TrialRow]]:
        """Return the learner, what the tests need, the passes done, and the rows so far."""
        state = self.folder / "state"
        if newest_checkpoint(state) is not None:
            try:
                learner, done = begin_learner(self.options, self.material, self.seed, state)
                return learner, self._prepare(learner.device), done, self._rows_so_far(learner, done)
            except (LookupError, OSError, SafetensorError, TypeError, ValueError) as error:
                print(f"{state} cannot be continued ({error}): this run begins anew", file=sys.stderr)
        shutil.rmtree(state, ignore_errors=True)
        learner, _ = begin_learner(self.options, self.material, self.seed, state)
        session = self._prepare(learner.device)
        return learner, session, 0, self._before_study(learner, session)

    def _before_study(self, learner: Learner, session: Session) -> list[TrialRow]:
        before = io.BytesIO()
        np.save(before, _map(learner, session))
        atomic_write(self.folder / "state" / "before.npy", lambda file: file.write(before.getvalue()))
        return self._test(learner, session, 0)

    def _save(self, learner: Learner, rows: list[TrialRow], number: int) -> None:
        """Write the state after pass `number`: rows, record, learner.

        Rows and record may be ahead of the learner, if the process is killed between them: the record knows the rows
        of the learner before, too.
        """
        state = self.folder / "state"
        write_trials(state / "trials.csv", rows)
        content = (state / "trials.csv").read_bytes()
        passes = {
            str(number): {
                "bytes": len(content),
                "rows": hashlib.sha256(content).hexdigest(),
                "weights": _weights(learner),
            }
        }
        before = newest_checkpoint(state)
        try:
            known = self._open_record(state / "record.json")
        except FaultError:
            known = None
        if before is not None and known is not None:
            passes |= {name: facts for name, facts in known["passes"].items() if name == str(int(before.name))}
        files = self._digests("state/before.npy", "maps.npz", "recall.csv")
        self._write_record(state / "record.json", {"passes": passes, "files": files})
        learner.save(state, number)

    def _rows_so_far(self, learner: Learner, done: int) -> list[TrialRow]:
        """Return the rows of the state of pass `done`.

        Raises:
            KeyError, OSError, TypeError, ValueError: the state is damaged, or of another run.
        """
        if not 0 < done < self.passes:
            raise FaultError(f"a state after {done} of {self.passes} passes is none of this run")
        state = self.folder / "state"
        content = read_bytes(state / "trials.csv", LARGEST_FILE)
        record = self._open_record(state / "record.json")
        if record is not None:
            facts = record["passes"][str(done)]
            if hashlib.sha256(content[: facts["bytes"]]).hexdigest() != facts["rows"]:
                raise FaultError("trials.csv does not hold the rows that were written")
            if _weights(learner) != facts["weights"]:
                raise FaultError("the weights are not those that were written")
            files = record["files"]
            self._check_files({name: sha for name, sha in files.items() if _is_due(name, done, self.options)})
        return [row for row in read_trials(state / "trials.csv") if row.exposure + row.interference <= done]

    def _finish(self, rows: list[TrialRow]) -> None:
        """Write the rows, whose being there says that the run is finished, and remove the state."""
        state = self.folder / "state"
        write_trials(state / "trials.csv", rows)
        digest = hashlib.sha256((state / "trials.csv").read_bytes()).hexdigest()
        files = self._digests("maps.npz", "recall.csv")
        self._write_record(self.folder / "finished.json", {"files": {"trials.csv": digest, **files}})
        os.replace(state / "trials.csv", self.folder / "trials.csv")
        shutil.rmtree(state)

    def _write_record(self, path: Path, content: Mapping[str, Any]) -> None:
        write_text(path, to_json(seal({"run": self.identity, **content})))

    def _open_record(self, path: Path) -> dict[str, Any] | None:
        """Return a record of this run; None if there is none, as in earlier versions.

        Raises:
            FaultError: it is damaged, or of another run.
        """
        try:
            record = open_seal(read_record(path))
        except FileNotFoundError:
            return None
        except FaultError as error:
            raise FaultError(f"{path.name}: {error}") from error
        if record.get("run") != self.identity:
            raise FaultError(f"{path.name} is that of another run")
        return record

    def _digests(self, *names: str) -> dict[str, str]:
        """Return the SHA-256 of those of these files that are there, by name."""
        paths = {name: self.folder / name for name in names}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.exists()}

    def _check_files(self, digests: Mapping[str, str]) -> None:
        """Check that files hold what was written.

        Raises:
            FaultError: one does not; it is named.
        """
        for name, digest in digests.items():
            try:
                content = read_bytes(self.folder / name, LARGEST_FILE)
            except (FileNotFoundError, FaultError) as error:
                raise FaultError(f"{name} cannot be read") from error
            if hashlib.sha256(content).hexdigest() != digest:
                raise FaultError(f"{name} does not hold what was written")

    def _after_exposures(self, learner: Learner, session: Session) -> None:
        """Write what is looked at once, after the last exposure and before any interference."""
        before = np.load(self.folder / "state" / "before.npy", allow_pickle=False)
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


def _telling() -> list[str]:
    """Return the names of the options that tell runs apart, where they lie on disk aside."""
    return [
        name
        for name, leaf in leaves(MemoryOptions).items()
        if leaf.identity != "none" and name not in FREE and "Path" not in str(leaf.annotation)
    ]


def _plain(value: Any) -> Any:
    """Return a value in types of JSON."""
    return parse_json(to_json(value, indent=None))


def _weights(learner: Learner) -> str:
    return fingerprint(learner.gpt.description, learner.gpt.state_dict())


def _is_due(name: str, done: int, options: MemoryOptions) -> bool:
    """Whether a file was written before pass `done` was over, and will not be written again."""
    return name == "state/before.npy" or done >= options.learning.exposures


def _cue(trial: Trial, studied: bool) -> Cue:
    image = trial.studied if studied else trial.foil
    return Cue(item=trial.item, condition=trial.condition, image=image.path, studied=studied)


def _map(learner: Learner, session: Session) -> np.ndarray[Any, Any]:
    """Return the NLL of every token of the tested images, (P, L) float16, in nats."""
    return score_tokens(learner.gpt, session.tokens["none"]).numpy().astype(np.float16)


def _accuracy(rows: list[TrialRow]) -> float:
    """Return the share of correct trials of the weights alone, on images as they were studied."""
    correct = [row.correct for row in rows if (row.readout, row.change) == ("weights", "none")]
    return sum(correct) / len(correct)
