"""A decoder-only transformer over raster-ordered token grids.

Axes: B batch, L tokens, D width, N heads, K head dimensions, V vocabulary.
Pre-norm with RMS norm, rotary positions factorised over (t, h, w), a start token, no biases.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from gpt.config import GPTConfig
from training.pretrained import Pretrained


class KVCache:
    """Keys and values of the tokens a GPT has read, in buffers of fixed size.

    Args:
        config: the GPT's config.
        batch: sequences.
        length: most tokens it will hold, the start token included.
        like: a tensor whose dtype and device the buffers take.
    """

    def __init__(self, config: GPTConfig, batch: int, length: int, like: Tensor) -> None:
        shape = (config.layers, 2, batch, config.heads, length, config.width // config.heads)
        self.buffer = like.new_empty(shape)
        self.filled = 0

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, N, L, K) keys and values of new tokens; return those of all tokens so far."""
        end = self.filled + key.shape[2]
        self.buffer[layer, 0, :, :, self.filled : end] = key
        self.buffer[layer, 1, :, :, self.filled : end] = value
        return self.buffer[layer, 0, :, :, :end], self.buffer[layer, 1, :, :, :end]

    def expand(self, n: int) -> KVCache:
        """Return a cache in which every sequence stands `n` times in a row: one prefill, n continuations."""
        copy = object.__new__(KVCache)
        copy.buffer = self.buffer.repeat_interleave(n, dim=2)
        copy.filled = self.filled
        return copy


def rotary_angles(config: GPTConfig) -> Tensor:
    """Return the rotation angle of every slot and head dimension pair: (1 + window, K / 2) float32.

    Rotary positions (Su et al. 2021, equation 34) with the pairs divided among the axes t, h and w. The start
    token sits at the origin and the grid begins at (1, 1, 1), so that its key also tells absolute position.
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


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate pairs of head dimensions of `x` (B, N, L, K) by the angles whose (L, K / 2) cosine and sine are given."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Attention(nn.Module):
    """Causal self-attention through torch's fused kernel."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "B L (three N K) -> three B N L K", three=3, N=self.heads)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        causal = True
        if cache is not None:
            k, v = cache.append(layer, k, v)
            # One new token may see everything stored; a whole prompt is causal and comes into an empty cache.
            causal = cache.filled == 0
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out(rearrange(attended, "B N L K -> B L (N K)"))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020): two thirds of the usual four-fold width, rounded up to a multiple of 64."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        hidden = 64 * -(-8 * config.width // (3 * 64))
        self.gate_and_value = nn.Linear(config.width, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * value)


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised residual branch."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), cosine, sine, cache, layer))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class GPT(Pretrained):
    """A GPT over the tokens of one grid, in raster order (t, then h, then w)."""

    kind = "gpt"
    config_class = GPTConfig
    config: GPTConfig
    cosine: Tensor
    sine: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size + 1, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        angles = rotary_angles(config)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        """Normal(0, 0.02), the branches' last layers scaled down by depth as in GPT-2 (Radford et al. 2019)."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, Attention | FeedForward):
            nn.init.normal_(module.out.weight, std=0.02 / (2 * self.config.layers) ** 0.5)

    @property
    def start_token(self) -> int:
        """Index of the token that every sequence begins with."""
        return self.config.vocab_size

    def forward(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the logits of the token that follows each of `tokens`.

        Args:
            tokens: (B, L) int64, beginning with the start token (or, with a filled cache, what comes next).
            cache: keys and values of the tokens before; `tokens` are added to it.

        Returns:
            (B, L, V) logits.

        Raises:
            ValueError: the sequence would be longer than the window.
        """
        before = 0 if cache is None else cache.filled
        assert before == 0 or tokens.shape[1] == 1, "a filled cache takes one token at a time"
        end = before + tokens.shape[1]
        if end > self.cosine.shape[0]:
            raise ValueError(f"{end - 1} tokens do not fit the window of {self.config.window}")
        x = self.embedding(tokens)
        cosine, sine = self.cosine[before:end], self.sine[before:end]
        for layer, block in enumerate(self.blocks):
            x = block(x, cosine, sine, cache, layer)
        if cache is not None:
            cache.filled = end
        return self.head(self.norm(x))

    def with_start(self, tokens: Tensor) -> Tensor:
        """Put the start token in front of (B, L) tokens."""
        return F.pad(tokens, (1, 0), value=self.start_token)

    def nll(self, tokens: Tensor) -> Tensor:
        """Return the negative log-likelihood of every token given those before it: (B, L), in nats."""
        logits = self(self.with_start(tokens[:, :-1]))
        return F.cross_entropy(logits.float().transpose(1, 2), tokens, reduction="none")
