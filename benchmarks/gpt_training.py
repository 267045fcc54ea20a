"""Training steps of our GPT against those of a GPT with its attention and its loss written out.

    python benchmarks/gpt_training.py
    python benchmarks/gpt_training.py --sides rotary "plain rotary" legacy --layers 2 --batch 1 --vocab-size 2048 \
        --threads 1 --clock processor --runs 15

The reference is what minGPT (Karpathy 2020) computes: separate queries, keys and values, masked softmax over all pairs
of tokens, and logits of the whole batch; without dropout. Ours is trained in both variants. The legacy variant begins
with the reference's weights, so the two losses must agree. The plain rotary one has its norms, gates and rotations as
formulas whose gradients autograd derives, and begins as the rotary one does. The share of the machine's matrix rate
counts six operations per matrix weight and token, plus attention, once as MFU counts it (all pairs of tokens) and once
only the pairs that a causal model needs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
import tyro
from accelerate import Accelerator
from einops import rearrange
from timing import medians
from torch import Tensor, nn

from gpt.config import GPTConfig
from gpt.flops import flops_per_token, matrix_parameters
from gpt.model import GPT, Attention, Block, SwiGLU
from gpt.train import build_optimizer, train_step
from gpt.written_gradients import rotate, split

RATE = 3e-4
PRODUCTS = 20
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
Side = Literal["rotary", "plain rotary", "legacy", "reference"]


@dataclass
class Options:
    """Time training steps."""

    layers: int = 8
    """Number of transformer blocks."""
    heads: int = 8
    """Attention heads per block."""
    width: int = 512
    """Width of the residual stream."""
    grid: tuple[int, int, int] = (4, 16, 16)
    """Grid of the tokens."""
    vocab_size: int = 16384
    """Number of codes."""
    batch: int = 4
    """Sequences per step."""
    threads: int = 2
    """CPU threads."""
    runs: int = 5
    """Rounds; medians are printed."""
    sides: tuple[Side, ...] = ("rotary", "plain rotary", "legacy", "reference")
    """Models to train."""
    clock: Literal["wall", "processor"] = "wall"
    """Seconds that pass, or those that the processor works for this process: of use beside other work."""


class WrittenOut(nn.Module):
    """The legacy variant as minGPT writes it, with the weights of one of ours."""

    def __init__(self, gpt: GPT) -> None:
        super().__init__()
        width = gpt.config.width
        self.gpt = gpt
        self.projections = nn.ModuleList(
            nn.ModuleList(nn.Linear(width, width) for _ in range(3)) for _ in range(gpt.config.layers)
        )
        for block, projections in zip(gpt.blocks, self.projections, strict=True):
            whole = block.attention.qkv
            for projection, weight, bias in zip(projections, whole.weight.chunk(3), whole.bias.chunk(3), strict=True):
                projection.weight, projection.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
            del block.attention.qkv
        self.register_buffer("mask", torch.ones(gpt.config.window, gpt.config.window).tril().bool())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (B, L, V) of the token that follows each of `tokens`."""
        x = self.gpt.positions.embed(self.gpt.embedding(tokens), torch.arange(tokens.shape[1]))
        for block, projections in zip(self.gpt.blocks, self.projections, strict=True):
            x = x + self._attend(block, projections, block.attention_norm(x))
            x = x + block.feed_forward(block.feed_forward_norm(x))
        return self.gpt.head(self.gpt.norm(x))

    def _attend(self, block: Block, projections: nn.ModuleList, x: Tensor) -> Tensor:
        heads, length = block.attention.heads, x.shape[1]
        q, k, v = (linear(x).unflatten(-1, (heads, -1)).transpose(1, 2) for linear in projections)
        scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        scores = scores.masked_fill(~self.mask[:length, :length], float("-inf"))
        return block.attention.out((F.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2))


def reference_step(model: WrittenOut, optimizer: torch.optim.Optimizer, tokens: Tensor) -> Tensor:
    """Take one optimizer step as minGPT does, and return the loss."""
    logits = model(model.gpt.with_bos(tokens[:, :-1]))
    loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, model.gpt.first_scored :].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


class PlainSwiGLU(SwiGLU):
    """The gated layer as its formula stands in the paper."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, width) of (B, L, width)."""
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * value)


class PlainAttention(Attention):
    """Attention whose queries and keys are rotated as the formula says."""

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], cache: None, layer: int) -> Tensor:
        """Return (B, L, width) of (B, L, width)."""
        q, k, v = split(self.qkv(x), self.heads)
        attended = F.scaled_dot_product_attention(rotate(q, *rotation), rotate(k, *rotation), v, is_causal=True)
        return self.out(rearrange(attended, "B N L K -> B L (N K)"))


def plain(gpt: GPT) -> GPT:
    """Return a GPT of the rotary variant whose gradients are all derived by autograd; its weights stay."""
    config, weights = gpt.config, gpt.state_dict()
    for block in gpt.blocks:
        block.attention_norm = nn.RMSNorm(config.width, eps=1e-6)
        block.attention = PlainAttention(config)
        block.feed_forward_norm = nn.RMSNorm(config.width, eps=1e-6)
        block.feed_forward = PlainSwiGLU(config.width, config.feed_forward_width)
    gpt.norm = nn.RMSNorm(config.width, eps=1e-6)
    gpt.load_state_dict(weights)
    return gpt


def configuration(options: Options, side: Side) -> GPTConfig:
    """Return the configuration of a side."""
    variant = "rotary" if side in ("rotary", "plain rotary") else "legacy"
    return GPTConfig(options.layers, options.heads, options.width, options.grid, options.vocab_size, variant=variant)


def make_step(options: Options, side: Side, tokens: Tensor) -> Callable[[], Tensor]:
    """Return a function that takes a training step of a side and returns its loss."""
    torch.manual_seed(0)
    model = GPT(configuration(options, side))
    if side == "reference":
        reference = WrittenOut(model)
        # Its optimizer too is as it was then: not fused.
        groups = build_optimizer(reference, RATE, 0.05).param_groups
        optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))
        return lambda: reference_step(reference, optimizer, tokens)
    if side == "plain rotary":
        model = plain(model)
    accelerator, fused = Accelerator(cpu=True), build_optimizer(model, RATE, 0.05)
    return lambda: train_step(accelerator, model, fused, tokens, RATE, 1.0)


def make_sides(options: Options, tokens: Tensor) -> tuple[dict[str, Callable[[], object]], dict[Side, list[float]]]:
    """Return a training step of every side by name, and the losses that they will append to."""
    losses: dict[Side, list[float]] = {side: [] for side in options.sides}

    def appending(side: Side) -> Callable[[], None]:
        step = make_step(options, side, tokens)
        return lambda: losses[side].append(float(step()))

    sides: dict[str, Callable[[], object]] = {side: appending(side) for side in options.sides}
    rows, inside = tokens.numel(), 4 * options.width
    x, weight, out = torch.randn(rows, options.width), torch.randn(options.width, inside), torch.empty(rows, inside)
    return sides | {"matrix product": lambda: [torch.mm(x, weight, out=out) for _ in range(PRODUCTS)]}, losses


def shares(config: GPTConfig, tokens_per_second: float, rate: float) -> str:
    """Return the shares of the matrix rate that a training has, attention counted whole and causal."""
    full, matrices = flops_per_token(config), 6 * matrix_parameters(config)
    causal = matrices + (full - matrices) / 2
    return " and ".join(f"{100 * tokens_per_second * flops / rate:.0f} %" for flops in (full, causal))


def main(options: Options) -> None:
    """Print medians, their ratios, the shares of the matrix rate, and how far the losses are apart."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    tokens = torch.randint(options.vocab_size, (options.batch, options.grid[0] * options.grid[1] * options.grid[2]))
    sides, losses = make_sides(options, tokens)
    seconds = medians(sides, options.runs, CLOCKS[options.clock])
    rows = tokens.numel()
    rate = PRODUCTS * 2 * rows * options.width * 4 * options.width / seconds.pop("matrix product")
    print(f"matrix rate {rate / 1e9:.0f} GFLOP/s")
    for side in options.sides:
        speed = rows / seconds[side]
        share = shares(configuration(options, side), speed, rate)
        print(
            f"{side}: {seconds[side]:.2f} s a step, {speed:.0f} tokens/s, "
            f"{share} of the matrix rate (attention over all pairs, and causal)"
        )
    print_comparisons(seconds, losses)


def print_comparisons(seconds: Mapping[str, float], losses: Mapping[Side, list[float]]) -> None:
    """Print how much longer each side takes than the last one, and how far the losses of equal models are apart."""
    *others, last = losses
    for side in others:
        print(f"{side} / {last}: {seconds[side] / seconds[last]:.3f}")
    pairs: tuple[tuple[Side, Side], ...] = (("rotary", "plain rotary"), ("legacy", "reference"))
    for one, other in pairs:
        if one in losses and other in losses:
            apart = [abs(a - b) for a, b in zip(losses[one], losses[other], strict=True)]
            print(f"losses of {one} and {other} apart by {max(apart):.1e} at most; mean {statistics.mean(apart):.1e}")


if __name__ == "__main__":
    main(tyro.cli(Options))
