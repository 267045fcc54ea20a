"""What a GPT is and how it is trained. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from storage.nearest import unknown_name


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
