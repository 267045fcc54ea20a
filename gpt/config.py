"""What a GPT is: its architecture, and the presets. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from storage.fingerprints import same_fingerprint
from storage.options import Options, option
from storage.terminal import count

MOST_TOKENS = 2**20
"""Tokens of a grid, at most. Rotary positions have no weights that could contradict a config."""

MOST_ANGLES = 2**26
"""Tokens of a grid times dimensions of a head of rotary positions, at most: 256 MiB of angles."""


VariantName = Literal["rotary", "legacy", "imagegpt"]
"""Which parts a GPT is made of."""


class MismatchError(ValueError):
    """A GPT, a tokenizer and tokens do not belong together; the message says in what."""


@dataclass(frozen=True)
class GPTConfig(Options):
    """The architecture of a GPT over token grids."""

    layers: int = option(6, at_least=1, at_most=1000)
    """Number of transformer blocks."""
    heads: int = option(4, at_least=1, at_most=1000)
    """Attention heads per block."""
    width: int = option(256, at_least=1, at_most=65_536)
    """Width of the residual stream."""
    grid: tuple[int, int, int] = option((4, 16, 16), asked=False)
    """Latent frames, rows and columns of the largest grid; their product is the window."""
    vocab_size: int = option(1024, asked=False, at_least=2)
    """Number of codes; the BOS token is one more."""
    dropout: float = option(0.0, at_least=0, below=1)
    """Dropout on the residual branches (not in attention, where it disables the fast kernels)."""
    tokenizer: str = option("", asked=False)
    """Fingerprint of the tokenizer whose tokens it learned; empty where that is not known."""
    variant: VariantName = "rotary"
    """`rotary`: RMS norm, rotary positions, SwiGLU, no biases. `legacy`: the parts of GPT-2, which are layer norm,
    learned absolute positions, GELU and biases. `imagegpt`: those of OpenAI's Image GPT, which has RMS norm and a GELU
    written with a sigmoid in their place."""
    bos: bool = True
    """Whether sequences begin with a BOS token; without one the first token of a grid is neither modelled nor scored
    (not with rotary)."""
    condition: int | None = option(None, asked=False, at_least=0, at_most=10**6)
    """Class that the BOS token stands for in a GPT that was trained with classes, chosen at import; null without."""

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            ValueError: they do not; the options are named.
        """
        if self.variant not in get_args(VariantName):
            raise ValueError(f"--variant {self.variant!r} must be one of {', '.join(get_args(VariantName))}")
        if self.width % self.heads:
            raise ValueError(f"--width {self.width} must split into --heads {self.heads}")
        if self.variant == "rotary":
            self._check_rotary()
        axes: tuple[int, ...] = self.grid  # of a config.json, and so of any length
        if len(axes) != 3 or min(axes) < 1:
            raise ValueError(f"grid {self.grid} must be three positive numbers (latent frames, rows, columns)")
        if self.window > MOST_TOKENS:
            raise ValueError(f"grid {self.grid} has {self.window:,} tokens, more than the {MOST_TOKENS:,} that can be")
        if self.variant == "rotary" and self.window * (self.width // self.heads) > MOST_ANGLES:
            raise ValueError(
                f"grid {self.grid} with heads of {self.width // self.heads} dimensions takes a table of more than "
                f"{MOST_ANGLES:,} angles"
            )
        if self.condition is not None and not self.bos:
            raise ValueError(f"condition {self.condition} without a BOS token, which alone stands for it")
        if not self.bos and self.window < 2:
            raise ValueError(f"grid {self.grid} without a BOS token leaves no token to predict")

    def _check_rotary(self) -> None:
        size = self.width // self.heads
        if size % 2:
            raise ValueError(f"--width {self.width} must split into --heads {self.heads} of even size")
        if size < 6:
            raise ValueError(
                f"--width {self.width} in --heads {self.heads} makes heads of {size} dimensions, too narrow for the "
                "three axes of rotary positions"
            )
        if not self.bos:
            raise ValueError("--no-bos needs --variant legacy or imagegpt: rotary positions count from the BOS token")

    @property
    def window(self) -> int:
        """Tokens of one full grid."""
        return math.prod(self.grid)

    @property
    def feed_forward_width(self) -> int:
        """Width inside a feed-forward layer: four-fold; two thirds of that, in multiples of 64, where it is gated."""
        return 64 * math.ceil(8 * self.width / (3 * 64)) if self.variant == "rotary" else 4 * self.width

    def for_tokens(self, grid: tuple[int, int, int], vocab_size: int, tokenizer: str = "") -> Self:
        """Return the same architecture for token grids (t, h, w) of a vocabulary, made by a tokenizer."""
        return replace(self, grid=grid, vocab_size=vocab_size, tokenizer=tokenizer)

    def check_tokens(
        self, grid: tuple[int, int, int], vocab_size: int, tokenizer: str, *, longer: bool = False
    ) -> None:
        """Refuse tokens that a GPT of this config does not know.

        An imported GPT may not know its tokenizer; then vocabulary and grid decide.

        Args:
            grid: latent frames, rows and columns (t, h, w) of the tokens.
            vocab_size: how many codes they are of.
            tokenizer: fingerprint of the tokenizer that made them; empty where that is not known.
            longer: whether clips of more latent frames will do too, over which the window slides.

        Raises:
            MismatchError: vocabulary, tokenizer or grid are others.
        """
        advice = "give the tokenizer, and the tokens of the tokenizer, that the GPT was trained on"
        if vocab_size != self.vocab_size:
            raise MismatchError(f"the GPT knows {self.vocab_size} tokens, these are of {vocab_size}: {advice}")
        if self.tokenizer and not same_fingerprint(tokenizer, self.tokenizer):
            raise MismatchError(
                f"the GPT learned the tokens of tokenizer {self.tokenizer}, these are of {tokenizer or 'another'}: "
                f"{advice}"
            )
        fits = grid[0] <= self.grid[0] or self.grid[0] > 1 if longer else grid[0] == self.grid[0]
        if grid[1:] != self.grid[1:] or not fits:
            raise MismatchError(f"the GPT learned grids of {self.grid}, these are of {grid}: {advice}")

    def describe(self) -> str:
        """Return its size in words."""
        return f"{count(self.layers, 'layer')}, {count(self.heads, 'head')}, {self.width} wide"


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
