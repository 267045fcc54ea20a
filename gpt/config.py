"""What a GPT is and how it is trained. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.nearest import unknown_name


@dataclass(frozen=True)
class GPTConfig:
    """The architecture of a GPT over token grids."""

    layers: int = 6
    """Number of transformer blocks."""
    heads: int = 4
    """Attention heads per block."""
    width: int = 256
    """Width of the residual stream."""
    grid: tuple[int, int, int] = (4, 16, 16)
    """Latent frames, rows and columns of the largest grid; their product is the window."""
    vocab_size: int = 1024
    """Number of codes; the start token is one more."""
    dropout: float = 0.0
    """Dropout on the residual branches (not in attention, where it disables the fast kernels)."""
    tokenizer: str = ""
    """Fingerprint of the tokenizer whose tokens it learned; empty where that is not known."""
    flavour: Literal["rotary", "legacy"] = "rotary"
    """`rotary`: RMS norm, rotary positions, SwiGLU, no biases. `legacy`, for imported weights: the parts of GPT-2,
    which are layer norm, learned absolute positions, GELU and biases."""
    start_token: bool = True
    """Whether sequences begin with a start token; without one the first token of a grid is neither modelled nor
    scored (legacy only)."""

    def __post_init__(self) -> None:
        """Check that the numbers fit together."""
        for name in ("layers", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.flavour == "rotary":
            self._check_rotary()
        elif self.flavour != "legacy":
            raise ValueError(f"flavour {self.flavour!r} must be rotary or legacy")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must split into {self.heads} heads")
        if len(self.grid) != 3 or min(self.grid) < 1:
            raise ValueError(f"grid {self.grid} must be three positive numbers (latent frames, rows, columns)")
        if self.vocab_size < 2:
            raise ValueError(f"vocab_size {self.vocab_size} must be at least 2")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must lie in [0, 1)")
        if not self.start_token and self.window < 2:
            raise ValueError(f"grid {self.grid} without a start token leaves no token to predict")

    def _check_rotary(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must split into {self.heads} heads of even size")
        if self.width // self.heads < 6:
            raise ValueError(f"heads of {self.width // self.heads} dimensions are too narrow for three axes")
        if not self.start_token:
            raise ValueError("start_token False needs flavour legacy: rotary positions count from the start token")

    @property
    def window(self) -> int:
        """Tokens of one full grid."""
        return math.prod(self.grid)

    @property
    def feed_forward_width(self) -> int:
        """Width inside a feed-forward layer: four-fold; two thirds of that, in multiples of 64, where it is gated."""
        return 4 * self.width if self.flavour == "legacy" else 64 * math.ceil(8 * self.width / (3 * 64))


# Layers, heads and widths of the published models: vqgan-gpt (alef to dalet) and Image GPT.
PRESETS: dict[str, GPTConfig] = {
    "demo": GPTConfig(layers=4, heads=4, width=128),
    "tiny": GPTConfig(layers=6, heads=4, width=256),
    "alef": GPTConfig(layers=12, heads=12, width=768),
    "bet": GPTConfig(layers=24, heads=16, width=1024),
    "gimel": GPTConfig(layers=36, heads=20, width=1280),
    "dalet": GPTConfig(layers=48, heads=25, width=1600),
    "igpt-mini": GPTConfig(layers=6, heads=2, width=512, grid=(1, 64, 64), vocab_size=512),
    "igpt-s": GPTConfig(layers=24, heads=8, width=512, grid=(1, 64, 64), vocab_size=512),
}


def preset(
    name: str, grid: tuple[int, int, int], vocab_size: int, tokenizer: str = "", dropout: float = 0.0
) -> GPTConfig:
    """Return preset `name` for the grid, vocabulary and fingerprint of a tokenizer.

    Raises:
        ValueError: no preset has that name.
    """
    if name not in PRESETS:
        raise ValueError(unknown_name("GPT preset", name, PRESETS))
    base = PRESETS[name]
    return replace(base, grid=grid, vocab_size=vocab_size, tokenizer=tokenizer, dropout=dropout)


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
