"""What the GPT commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpt.config import PRESETS
from storage.nearest import unknown_name


@dataclass(frozen=True)
class TrainOptions:
    """Train a GPT on a token store."""

    tokens: Path
    """Token store written by `secondsight vqgan encode`."""
    out: Path
    """Run folder."""
    preset: str = "tiny"
    """Size of the model: demo, tiny, alef, bet, gimel, dalet, igpt-mini or igpt-s."""
    steps: int = 2000
    """Optimizer steps."""
    batch: int = 8
    """Sequences per optimizer step, over all processes."""
    accumulate: int = 1
    """Parts that the batch is computed in, one after another: less memory, the same result up to rounding."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that layers compute with; weights, norms and the softmax of the loss stay in fp32."""
    compile: bool = False
    """Compile the model with torch.compile: minutes at the start, faster steps on GPUs."""
    checkpointing: bool = False
    """Compute what is inside a block again in the backward pass: less memory, a third more arithmetic."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    warmup: int = 50
    """Optimizer steps of linear warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: a cosine down to a tenth of the peak, or the peak to the end."""
    weight_decay: float = 0.05
    """Decoupled weight decay, on matrices only."""
    dropout: float = 0.0
    """Dropout on the residual branches."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    log_every: int = 20
    """Optimizer steps between two lines of metrics."""
    save_every: int = 500
    """Optimizer steps between two checkpoints."""
    keep: int = 2
    """Newest checkpoints that are kept; the one with the best validation score is kept too."""
    sample_every: int = 0
    """Optimizer steps between two sets of samples, token grids in samples/<step>.npy; 0 draws none."""
    trackers: Literal["none", "tensorboard", "wandb"] = "none"
    """Where metrics go besides metrics.jsonl; the package of that name must be installed."""
    validation_items: int = 256
    """Held-out sequences scored at every checkpoint."""
    seed: int = 0
    """Seed of the weights and of the data order."""
    resume: Literal["no", "auto"] = "no"
    """`auto` continues the run in --out from its newest checkpoint, or starts it."""
    overwrite: bool = False
    """Replace the run that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("steps", "batch", "accumulate", "log_every", "save_every", "keep", "validation_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)} must be at least 1")
        if self.batch % self.accumulate:
            raise ValueError(f"--batch {self.batch} must be a multiple of --accumulate {self.accumulate}")
        if self.sample_every < 0:
            raise ValueError(f"--sample-every {self.sample_every} must not be negative (0 draws no samples)")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning-rate {self.learning_rate} must be positive")
        if self.preset not in PRESETS:
            raise ValueError(unknown_name("GPT preset", self.preset, PRESETS))


@dataclass(frozen=True)
class EvaluateOptions:
    """Score held-out token grids with a GPT."""

    gpt: Path
    """Folder of the GPT: a model folder or a run."""
    tokens: Path
    """Token store to score; its validation part, or all of it where it has none."""
    batch: int = 8
    """Sequences per forward pass."""


@dataclass(frozen=True)
class ImportOptions:
    """Make a GPT of weights that another program trained."""

    kind: Literal["vqgan-gpt", "igpt", "tats"]
    """Where the weights come from: `vqgan-gpt` (images in the codes of a VQGAN), `igpt` (pixels in the colours of a
    palette, which is imported too), or `tats` (clips in the codes of a 3D VQGAN)."""
    weights: Path
    """Checkpoint of that program, .pt, .ckpt or .safetensors; nothing it holds is run."""
    out: Path
    """Folder of the GPT; a palette goes into its subfolder tokenizer."""
    heads: int | None = None
    """Attention heads, where the checkpoint does not say; by default heads of 64 dimensions, but at least two."""
    tokenizer: Path | None = None
    """Folder of the tokenizer whose tokens the GPT learned, which also gives the grid; needed for tats."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        if self.heads is not None and self.heads < 1:
            raise ValueError(f"--heads {self.heads} must be at least 1")
        if self.kind == "tats" and self.tokenizer is None:
            raise ValueError(
                "--kind tats needs --tokenizer: its weights do not tell latent frames, rows and columns, "
                "nor how many codes there are. Import the VQGAN first, with secondsight vqgan import --kind tats"
            )


@dataclass(frozen=True)
class PlanOptions:
    """Say what a training would take: parameters, memory, arithmetic and hours. Nothing is run."""

    preset: str = "gimel"
    """Size of the model: demo, tiny, alef, bet, gimel, dalet, igpt-mini or igpt-s."""
    grid: tuple[int, int, int] = (4, 16, 16)
    """Latent frames, rows and columns of the token grids."""
    vocab_size: int = 16384
    """Number of codes of the tokenizer."""
    tokens: float = 1e10
    """Tokens to train on, repetitions included."""
    batch: int = 256
    """Sequences per optimizer step, over all GPUs."""
    accumulate: int = 1
    """Parts that the batch is computed in, one after another."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Numbers that layers compute with."""
    gpus: int = 8
    """Number of GPUs."""
    gpu: str = "h200"
    """Kind of GPU: a100-40, a100-80, h100, h200, b200, l40s, rtx4090 or v100."""
    mfu: float = 0.45
    """Share of the GPUs' peak arithmetic that the training attains (model FLOPs utilisation)."""

    def __post_init__(self) -> None:
        """Check what can be checked without knowing GPUs."""
        for name in ("tokens", "batch", "accumulate", "gpus"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} must be at least 1")
        if self.batch % (self.gpus * self.accumulate):
            raise ValueError(
                f"--batch {self.batch} must be a multiple of --gpus {self.gpus} times --accumulate {self.accumulate}"
            )
        if not 0 < self.mfu <= 1:
            raise ValueError(f"--mfu {self.mfu} must lie in (0, 1]")
