"""What every training can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.options import LARGEST_RATE, LARGEST_SEED, MANY, Options, option

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
    grad_clip: float = option(1.0, at_least=0, at_most=MANY)
    """Largest norm of the gradient; 0 does not clip it."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that layers compute with; weights, and what needs the digits, stay in fp32."""
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
    trackers: Literal["none", "tensorboard", "wandb"] = option("none", identity="none")
    """Where metrics go besides metrics.jsonl; the package of that name must be installed."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` continues the run in --out from its newest checkpoint, or starts it."""
    overwrite: bool = option(False, identity="none")
    """Replace the run that --out holds."""
