"""A decoder-only transformer over raster-ordered token grids.

Axes: B batch, L tokens, D width, N heads, K head dimensions, V vocabulary.
Pre-norm throughout. The rotary variant has RMS norm, rotary positions factorised over (t, h, w), SwiGLU, a BOS token
and no biases; the legacy variant, for imported weights, has the parts of GPT-2, and the variant imagegpt those of
OpenAI's Image GPT. `VARIANTS` names the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gpt.cache import KVCache
from gpt.config import GPTConfig
from gpt.loss import cross_entropy, token_nll
from gpt.sampling_settings import SAMPLING, SamplingSettings, read_settings
from gpt.written_gradients import RMSNorm, Rotation, gated, split, split_and_rotate
from storage.pretrained import Pretrained


def rotary_angles(config: GPTConfig) -> Tensor:
    """Return the rotation angle of every position id and head dimension pair: (1 + window, K / 2) float32.

    Rotary positions (Su et al. 2021, equation 34) with the pairs divided among the axes t, h and w. The BOS
    token lies at the origin and the grid begins at (1, 1, 1), so that its key also tells absolute position.
    """
    t, h, w = config.grid
    axes = torch.stack(torch.meshgrid(*(torch.arange(1, n + 1) for n in (t, h, w)), indexing="ij"), dim=-1)
    positions = torch.cat([torch.zeros(1, 3), rearrange(axes, "t h w three -> (t h w) three").float()])
    pairs = config.width // config.heads // 2
    shares = (pairs - 2 * ((pairs - pairs // 4) // 2), (pairs - pairs // 4) // 2, (pairs - pairs // 4) // 2)
    angles = []
    for axis, share in enumerate(shares):
        frequencies = 100.0 ** (-torch.arange(share) / max(1, share))
        angles.append(positions[:, axis, None] * frequencies)
    return torch.cat(angles, dim=-1)


class RotaryPositions(nn.Module):
    """Positions as rotations of queries and keys; embeddings stay as they are."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        # On the meta device torch computes in Python, and takes as long to import what it needs for that as itself.
        with torch.device("cpu"):
            angles = rotary_angles(config)
            cosine, sine = angles.cos(), angles.sin()
        self.count = len(angles)
        device = torch.get_default_device()
        self.register_buffer("cosine", cosine.to(device), persistent=False)
        self.register_buffer("sine", sine.to(device), persistent=False)

    def embed(self, x: Tensor, position_ids: Tensor) -> Tensor:
        """Add positions to embeddings (B, L, D) of the position ids (L,) or (B, L) int64."""
        return x

    def rotation(self, position_ids: Tensor) -> Rotation:
        """Return the cosine and sine that rotate queries and keys of the position ids (L,) or (B, L) int64."""
        return self.cosine[position_ids], self.sine[position_ids]


class LearnedPositions(nn.Module):
    """Positions as learned vectors that are added to the embeddings; queries and keys stay as they are.

    The last token of a grid is only ever predicted, so it has no position.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.count = config.window - 1 + config.bos
        self.table = nn.Embedding(self.count, config.width)

    def embed(self, x: Tensor, position_ids: Tensor) -> Tensor:
        """Add positions to embeddings (B, L, D) of the position ids (L,) or (B, L) int64."""
        return x + self.table(position_ids)

    def rotation(self, position_ids: Tensor) -> None:
        """Return that queries and keys of position ids (L,) or (B, L) are not rotated."""


Positions = RotaryPositions | LearnedPositions


class SwiGLU(nn.Module):
    """The gated feed-forward layer of Shazeer (2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_and_value = nn.Linear(width, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) of (B, L, width)."""
        return self.out(gated(self.gate_and_value(x)))


def gelu_by_sigmoid(x: Tensor) -> Tensor:
    """Return x * sigmoid(1.702 x), the fast approximation of GELU (Hendrycks and Gimpel 2016), for any shape.

    Written with SiLU, it keeps one tensor for its backward pass and not two.
    """
    return F.silu(1.702 * x) / 1.702


class FeedForward(nn.Module):
    """The feed-forward layer of GPT-2, with the exact GELU (Hendrycks and Gimpel 2016) or another function."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) of (B, L, width)."""
        return self.out(self.activation(self.hidden(x)))


@dataclass(frozen=True)
class Variant:
    """The parts in which models differ."""

    norm: Callable[[int], nn.Module]
    """Made for a width."""
    positions: Callable[[GPTConfig], Positions]
    feed_forward: Callable[[int, int], SwiGLU | FeedForward]
    """Made for a width and the width inside."""
    bias: bool
    """Whether the projections of attention have biases."""


VARIANTS = {
    "rotary": Variant(partial(RMSNorm, eps=1e-6), RotaryPositions, SwiGLU, bias=False),
    "legacy": Variant(partial(nn.LayerNorm, eps=1e-5), LearnedPositions, FeedForward, bias=True),
    "imagegpt": Variant(
        partial(RMSNorm, eps=1e-5), LearnedPositions, partial(FeedForward, activation=gelu_by_sigmoid), bias=True
    ),
}


class Attention(nn.Module):
    """Causal self-attention through torch's fused kernel."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        bias = VARIANTS[config.variant].bias
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=bias)
        self.out = nn.Linear(config.width, config.width, bias=bias)

    def forward(self, x: Tensor, rotation: Rotation | None, cache: KVCache | None, layer: int) -> Tensor:
        """Return what (B, L, width) positions have seen of one another and of the cache: (B, L, width)."""
        qkv = self.qkv(x)
        q, k, v = split(qkv, self.heads) if rotation is None else split_and_rotate(qkv, self.heads, rotation)
        if cache is None:
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            attended = cache.attend(layer, q, k, v)
        return self.out(rearrange(attended, "B N L K -> B L (N K)"))


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised residual branch."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        variant = VARIANTS[config.variant]
        self.attention_norm = variant.norm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = variant.norm(config.width)
        self.feed_forward = variant.feed_forward(config.width, config.feed_forward_width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotation: Rotation | None, cache: KVCache | None, layer: int) -> Tensor:
        """Return (B, L, width) of (B, L, width); `layer` is the index of the block, by which the cache knows it."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rotation, cache, layer))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


USAGE = """\
import torch
from gpt.model import GPT
from sampling.decode import generate

gpt = GPT.from_pretrained("{name}")
tokens = torch.randint(gpt.config.vocab_size, (1, gpt.config.window))  # (B, L) token grids in raster order: yours
nll = gpt.nll(tokens)  # (B, L) nats per token
half = tokens[:, : gpt.config.window // 2]
continued = generate(gpt, half, length=gpt.config.window, n=4, seed=0)  # (B, n, L), what was given included"""


class GPT(Pretrained):
    """A GPT over the tokens of one grid, in raster order (t, then h, then w)."""

    kind = "gpt"
    renamed: ClassVar[dict[str, str]] = {"flavour": "variant", "start_token": "bos"}
    summary = "A GPT over the token grids of images or clips: it scores them, and continues them from any prompt."
    usage = USAGE
    tags = ("gpt",)
    config_class = GPTConfig
    config: GPTConfig

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.sampling: SamplingSettings | None = None
        """How it is best sampled from, where somebody found that out."""
        self.activation_checkpointing = False
        """Whether training keeps only what enters a block and computes the rest again: less memory, a third slower."""
        variant = VARIANTS[config.variant]
        self.embedding = nn.Embedding(config.vocab_size + config.bos, config.width)
        self.positions = variant.positions(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = variant.norm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        """Normal(0, 0.02), the branches' last layers scaled down by depth as in GPT-2 (Radford et al. 2019)."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, Attention | SwiGLU | FeedForward):
            nn.init.normal_(module.out.weight, std=0.02 / (2 * self.config.layers) ** 0.5)

    @property
    def description(self) -> dict[str, Any]:
        """What its config.json holds: a condition only where it has one, so that fingerprints of others stay."""
        described = super().description
        if self.config.condition is None:
            del described["condition"]
        return described

    @property
    def content(self) -> dict[str, Any]:
        """What its config.json holds: its description, and the sampling settings that it recommends, if it does.

        The settings are no part of the description: whichever are recommended, the GPT is the same.
        """
        return self.description | ({SAMPLING: asdict(self.sampling)} if self.sampling else {})

    @classmethod
    def from_content(cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path | str) -> Self:
        """Build a GPT, in evaluation mode, of what `load_model_folder` returned for a folder.

        Raises:
            CheckpointError: it is of another class, weights and config disagree, or it recommends what cannot be.
        """
        model = super().from_content(values, tensors, folder)
        model.sampling = read_settings(values, f"the config.json of {folder}")
        return model

    @classmethod
    def read_config(cls, values: Mapping[str, Any], folder: Path | str) -> GPTConfig:
        """Return the config that the content of a config.json describes.

        Raises:
            CheckpointError: it is of another class, or describes no GPT.
        """
        architecture = {name: value for name, value in values.items() if name != SAMPLING}
        config: GPTConfig = super().read_config(architecture, folder)
        return config

    @property
    def bos_token(self) -> int:
        """Index of the token that every sequence begins with, in models that have one."""
        return self.config.vocab_size

    @property
    def first_scored(self) -> int:
        """Position of the first token of a grid that is modelled: 0, or 1 without a BOS token."""
        return 0 if self.config.bos else 1

    def forward(
        self,
        tokens: Tensor,
        cache: KVCache | None = None,
        targets: Tensor | None = None,
        reduction: Literal["mean", "none"] = "mean",
    ) -> Tensor:
        """Return the logits of the token that follows each of `tokens`, or how well they predict `targets`.

        Args:
            tokens: see `features`.
            cache: see `features`.
            targets: (B, L) int64, what does follow. The loss is part of `forward` because what shares weights out
                among processes acts around it.
            reduction: of the loss; `none` leaves that of every token.

        Returns:
            (B, L, V) logits; with targets their mean NLL, a scalar in nats, or the NLL of each, (B, L) float32, for
            which no full logits are made where they need no gradients.
        """
        features = self.features(tokens, cache)
        if targets is None:
            return self.head(features)
        if reduction == "none":
            return token_nll(features.flatten(0, 1), self.head, targets.flatten(), self.config.vocab_size).view_as(
                targets
            )
        return cross_entropy(features.flatten(0, 1), self.head.weight, targets.flatten())

    def features(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return what the head makes logits of.

        Args:
            tokens: (B, L) int64, beginning with the BOS token if there is one; or, with a filled cache, the next
                token (B, 1) of every continuation, or the tokens (B, W) of the window that was opened in it.
            cache: what was read before; `tokens` are added to it.

        Returns:
            (B, L, D) features.

        Raises:
            ValueError: the sequence would be longer than the model has positions.
        """
        count = tokens.shape[1]
        end = count + (cache.filled if cache is not None else 0)
        if end > self.positions.count:
            raise ValueError(f"a sequence of {end} tokens does not fit the {self.positions.count} positions of the GPT")
        position_ids = (
            torch.arange(count, device=tokens.device) if cache is None else cache.position_ids(count, tokens.device)
        )
        x = self.positions.embed(self.embedding(tokens), position_ids)
        rotation = self.positions.rotation(position_ids)
        for layer, block in enumerate(self.blocks):
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, rotation, cache, layer, use_reentrant=False)
            else:
                x = block(x, rotation, cache, layer)
        if cache is not None:
            cache.advance(count)
        return self.norm(x)

    def with_bos(self, tokens: Tensor) -> Tensor:
        """Put the BOS token, if the model has one, in front of (B, L) tokens."""
        return F.pad(tokens, (int(self.config.bos), 0), value=self.bos_token)

    def nll(self, tokens: Tensor) -> Tensor:
        """Return the negative log-likelihood of every token given those before it: (B, L), in nats.

        Without a BOS token the first token is not modelled, and its column is 0.
        """
        scored = self(self.with_bos(tokens[:, :-1]), targets=tokens[:, self.first_scored :], reduction="none")
        return F.pad(scored, (self.first_scored, 0))
