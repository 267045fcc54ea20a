"""Saving the checkpoints of a run as its options ask: whole or in parts, at once or in the background.

In the background a thread of every process copies, checks and writes the tensors while the next steps are taken. An
optimizer does not step before they are copied (see `training.snapshots.Staging`); that is mostly so by the time that it
has gradients. Where processes write together, the threads agree in a group of their own, so that the training's own
exchanges are not disturbed. At most one checkpoint is being written. What went wrong is raised at the next step, on all
processes together.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist

from storage.pretrained import Pretrained
from training.options import TrainingOptions
from training.processes import is_shared, process_index
from training.schedule import kept_steps
from training.snapshots import Modules, Optimizers, Snapshot, Staging, take_snapshot
from training.writing import Together, write_checkpoint


class CheckpointSaver:
    """Writes the checkpoints of a run; a context manager, and all processes call everything together.

    Args:
        run: the run folder.
        training: how it is saved: `checkpoints`, `save_in_background`, `keep`, `keep_at`.
        check: raises an error if the run folder is no longer this run's; called on the first process, also in the
            background, so that it must not ask other processes.
    """

    def __init__(self, run: Path, training: TrainingOptions, check: Callable[[], object] = lambda: None) -> None:
        self._run = run
        self._training = training
        self._check = check
        background = training.save_in_background
        self._staging = Staging() if background else None
        # Threads of one process may not share a group: their exchanges would be taken for one another's.
        self._together = Together(_new_group() if background else None)
        self._steps = _new_group() if background else None
        self._writing: _Writing | None = None
        self._leaving = False
        self._hooks: dict[int, Any] = {}
        self.waited = 0.0
        """Seconds that the training has waited for its checkpoints."""

    def __enter__(self) -> CheckpointSaver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks.values():
            hook.remove()
        if error is None:
            self.wait()
            return
        self._leaving = isinstance(error, KeyboardInterrupt)
        if self._writing is not None:
            self._writing.join()
            failure = self._writing.failure
            if failure is not None and not self._leaving and process_index() == 0:
                print(f"the checkpoint that was being written is lost: {failure}", file=sys.stderr)

    def save(
        self,
        step: int,
        model: Pretrained,
        optimizers: Optimizers,
        modules: Modules | None = None,
        score: float | None = None,
        wait: bool = False,
    ) -> None:
        """Save a checkpoint: see `training.state.save_checkpoint`. In the background it may not be there yet.

        Args:
            step: optimizer steps done.
            model: what is trained, or an average of it.
            optimizers: their states are saved, by name.
            modules: whatever else the training needs to go on, by name.
            score: how good the model is on held-out data, higher for better; None if it was not measured.
            wait: until it is there.

        Raises:
            CheckpointWriteError, FloatingPointError, FolderLockError: see `check`; also of the save before.
        """
        self.wait()
        with self._waiting():
            # Of what no process holds a part of its own, one whole file is what other programs can read too.
            in_parts = self._training.checkpoints == "sharded" and is_shared(model)
            if self._staging is not None:
                self._hold_back(optimizers)
            snapshot = take_snapshot(step, model, optimizers, modules, score, in_parts, self._staging)
            if self._staging is None:
                self._write(snapshot)
                return
            self._writing = _Writing(lambda: self._write(snapshot))
        if wait:
            self.wait()

    @property
    def busy(self) -> bool:
        """Whether this process is writing a checkpoint in the background."""
        return self._writing is not None and not self._writing.done

    def check(self) -> None:
        """Raise what went wrong in the background, if a save has come to its end; to be called at every step.

        Raises:
            CheckpointWriteError: the disk is full; the last checkpoint stays.
            FloatingPointError: a weight or a moment is not finite.
            FolderLockError: the run folder was taken by another process.
            SystemExit: one of them on the first process, which says so.
        """
        if self._writing is not None and self._all(self._writing.done):
            self.wait()

    def wait(self) -> None:
        """Wait until what is being written is there.

        Raises:
            CheckpointWriteError, FloatingPointError, FolderLockError, SystemExit: see `check`.
        """
        if self._writing is not None:
            writing = self._writing
            with self._waiting():
                writing.join()
            self._writing = None
            if writing.failure is not None:
                raise writing.failure

    def _write(self, snapshot: Snapshot) -> None:
        training = self._training
        kept = kept_steps(training)
        write_checkpoint(self._run, snapshot, training.keep, self._together, self._may_write, kept)

    def _hold_back(self, optimizers: Optimizers) -> None:
        """Have optimizers wait, before they step, until what they change is copied."""

        def wait(*arguments: Any) -> None:
            assert self._staging is not None
            with self._waiting():
                self._staging.wait()

        for optimizer in optimizers.values():
            # Accelerate's wrappers have no hooks of their own.
            plain = getattr(optimizer, "optimizer", optimizer)
            if id(plain) not in self._hooks:
                self._hooks[id(plain)] = plain.register_step_pre_hook(wait)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Count the time within this context."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.waited += time.perf_counter() - began

    def _may_write(self) -> None:
        if self._leaving:
            raise RuntimeError("the run was stopped")
        self._check()

    def _all(self, done: bool) -> bool:
        """Whether something is so on all processes, which then know it at the same step."""
        if self._steps is None:
            return done
        flag = torch.tensor(int(done))
        dist.all_reduce(flag, dist.ReduceOp.MIN, group=self._steps)
        return bool(flag)


class _Writing:
    """Something that is done in a thread of its own, and how it ended."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.failure: BaseException | None = None
        self._action = action
        # A person who presses Ctrl-C a third time does not wait for a disk.
        self._thread = threading.Thread(target=self._do, name="saving", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _do(self) -> None:
        try:
            self._action()
        except BaseException as error:
            self.failure = error


def _new_group() -> Any:
    """Return a group of all processes, on their CPUs; None for a process alone."""
    return dist.new_group(backend="gloo") if dist.is_initialized() else None
