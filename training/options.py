"""What every training can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.options import LARGEST_RATE, LARGEST_SEED, MANY, OptionError, Options, option
from storage.run_folder import check_run_folder

Precision = Literal["fp32", "tf32", "bf16", "bf16!", "auto"]
"""Numbers that layers compute with while they learn: see `training.precision`."""

InferencePrecision = Literal["fp32", "bf16", "bf16!", "auto"]
"""Numbers that layers compute with where nothing is learned, and in memory runs: see `training.precision`."""

Sharing = Literal["none", "full", "node"]
"""Among which processes a model is shared out: none, all, or those of a node."""


@dataclass(frozen=True)
class TrainingOptions(Options):
    """How it is trained."""

    steps: int = option(2000, at_least=1, at_most=MANY, may_change=True)
    """Optimizer steps."""
    batch: int = option(8, at_least=1, at_most=10**6)
    """Items per optimizer step, over all processes."""
    learning_rate: float = option(1e-3, above=0, at_most=LARGEST_RATE)
    """Peak learning rate."""
    warmup: int = option(50, at_least=0, at_most=MANY)
    """Optimizer steps of linear warm-up."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """Learning rate after the warm-up: a cosine down to a tenth of the peak, the peak to the end, or (wsd) the peak
    until --decay-steps before the end and then a decay to 0."""
    decay_steps: int = option(0, at_least=0, at_most=MANY, may_change=True)
    """Last optimizer steps of --schedule wsd, in which the rate falls to 0 as 1 - sqrt; 0 means a tenth of --steps."""
    trunk: Path | None = option(None, identity="none", must_hold=check_run_folder)
    """A run of --schedule wsd or constant with the same options: begin with its checkpoint of the step where the decay
    of this run begins, and end as if everything up to there had been done here."""
    grad_clip: float = option(1.0, at_least=0, at_most=MANY)
    """Largest norm of the gradient; 0 does not clip it."""
    precision: Precision = "fp32"
    """Numbers that layers compute with; weights, and what needs the digits, stay in fp32. `tf32` rounds what enters
    products on NVIDIA GPUs, `bf16` all layers; `auto` is bf16 where that is measured to be faster, or what the run
    began with; `bf16!` is bf16 also on processors that are slower in it."""
    validation_items: int = option(256, at_least=1, at_most=MANY, may_change=True)
    """Held-out items that are scored at every checkpoint."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the weights and of the data order."""
    log_every: int = option(20, at_least=1, at_most=MANY, identity="none")
    """Optimizer steps between two lines of metrics."""
    save_every: int = option(500, at_least=1, at_most=MANY, identity="none")
    """Optimizer steps between two checkpoints."""
    keep: int = option(2, at_least=1, at_most=MANY, identity="none")
    """Newest checkpoints that are kept; the one with the best validation score is kept too."""
    keep_at: tuple[int, ...] = option((), at_least=1, at_most=MANY, identity="none")
    """Optimizer steps after which a checkpoint is saved and kept for good, besides that where a decay begins."""
    checkpoints: Literal["whole", "sharded"] = option("whole", identity="none")
    """`sharded`: of a model that processes share, each writes the part that it holds, into a folder that all machines
    share; any other model is written whole. Any number of processes can go on from either."""
    save_in_background: bool = option(False, identity="none")
    """Write checkpoints while the training goes on; takes memory of the CPU for a copy of weights and optimizer."""
    trackers: Literal["none", "tensorboard", "wandb"] = option("none", identity="none")
    """Where metrics go besides metrics.jsonl; the package of that name must be installed."""
    tracker_project: str = option("secondsight", identity="none")
    """Project that a tracker files the run under."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` continues the run in --out from its newest checkpoint, or starts it."""
    overwrite: bool = option(False, identity="none")
    """Replace the run that --out holds."""

    def check(self) -> None:
        """Check the name of the project, and that the parts of the schedule fit together.

        Raises:
            OptionError: the name cannot be that of a folder, or the parts do not fit; the options are named.
        """
        if not self.tracker_project or set(self.tracker_project) & set("/\\#?%:") or self.tracker_project[0] == ".":
            raise OptionError(
                f"--tracker-project {self.tracker_project!r} must be a name without / \\ # ? % : and no dot in front"
            )
        if self.schedule == "wsd":
            self._check_decay()
        elif self.decay_steps:
            raise OptionError(f"--decay-steps {self.decay_steps} needs --schedule wsd: {self.schedule} has no such end")
        elif self.trunk is not None:
            raise OptionError(f"--trunk {self.trunk} needs --schedule wsd: {self.schedule} has no trunk to go on from")
        late = [step for step in self.keep_at if step > self.steps]
        if late:
            raise OptionError(f"--keep-at {late[0]} lies beyond --steps {self.steps}: no checkpoint comes about there")

    def _check_decay(self) -> None:
        decay = self.decay_steps or max(1, self.steps // 10)
        if decay + self.warmup > self.steps:
            of = (
                f"--decay-steps {self.decay_steps}"
                if self.decay_steps
                else f"a decay of {decay}, a tenth of the steps,"
            )
            raise OptionError(
                f"--warmup {self.warmup} and {of} do not fit into --steps {self.steps}: give fewer of the first two or "
                "more of the last"
            )
        if self.trunk is not None and decay == self.steps:
            raise OptionError(f"--decay-steps {decay} of --steps {self.steps} leave no trunk: give fewer")
