"""Training steps of our GPT against those of a GPT with its attention and its loss written out.

    python benchmarks/gpt_training.py

The reference is what minGPT (Karpathy 2020) computes: separate queries, keys and values, masked softmax over all pairs
of tokens, and logits of the whole batch; without dropout. Ours is trained in both variants. The legacy variant begins
with the reference's weights, so the two losses must agree. The share of the machine's matrix rate counts six operations
per matrix weight and token, plus attention, once as MFU counts it (all pairs of tokens) and once only the pairs that a
causal model needs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
import tyro
from accelerate import Accelerator
from timing import medians
from torch import Tensor, nn

from gpt.config import GPTConfig
from gpt.flops import flops_per_token, matrix_parameters
from gpt.model import GPT, Block
from gpt.train import build_optimizer, train_step

RATE = 3e-4


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


def make_sides(options: Options, tokens: Tensor) -> tuple[dict[str, Callable[[], object]], dict[str, list[float]]]:
    """Return a training step of every side by name, and the losses that they will append to."""
    config = GPTConfig(options.layers, options.heads, options.width, options.grid, options.vocab_size)
    legacy = replace(config, variant="legacy")
    accelerator, losses = Accelerator(cpu=True), {"rotary": [], "legacy": [], "reference": []}

    def ours(name: str, config: GPTConfig) -> Callable[[], None]:
        torch.manual_seed(0)
        model = GPT(config)
        optimizer = build_optimizer(model, RATE, 0.05)
        return lambda: losses[name].append(float(train_step(accelerator, model, optimizer, tokens, RATE, 1.0)))

    torch.manual_seed(0)
    reference = WrittenOut(GPT(legacy))
    # Its optimizer too is as it was then: not fused.
    optimizer = torch.optim.AdamW(build_optimizer(reference, RATE, 0.05).param_groups, lr=RATE, betas=(0.9, 0.95))
    sides = {
        "rotary": ours("rotary", config),
        "legacy": ours("legacy", legacy),
        "reference": lambda: losses["reference"].append(float(reference_step(reference, optimizer, tokens))),
    }
    rows, inside = options.batch * config.window, 4 * options.width
    x, weight, out = torch.randn(rows, options.width), torch.randn(options.width, inside), torch.empty(rows, inside)
    return sides | {"matrix product": lambda: [torch.mm(x, weight, out=out) for _ in range(20)]}, losses


def main(options: Options) -> None:
    """Print medians, their ratios, the shares of the matrix rate, and how far the losses are apart."""
    torch.set_num_threads(options.threads)
    config = GPTConfig(options.layers, options.heads, options.width, options.grid, options.vocab_size)
    torch.manual_seed(1)
    tokens = torch.randint(options.vocab_size, (options.batch, config.window))
    sides, losses = make_sides(options, tokens)
    seconds = medians(sides, options.runs)
    rows = options.batch * config.window
    rate = 20 * 2 * rows * options.width * 4 * options.width / seconds.pop("matrix product")
    print(f"matrix rate {rate / 1e9:.0f} GFLOP/s")
    for name, value in seconds.items():
        whole = config if name == "rotary" else replace(config, variant="legacy")
        full, matrices = flops_per_token(whole), 6 * matrix_parameters(whole)
        causal = matrices + (full - matrices) / 2
        shares = " and ".join(f"{100 * rows * flops / value / rate:.0f} %" for flops in (full, causal))
        print(
            f"{name}: {value:.2f} s a step, {rows / value:.0f} tokens/s, {seconds['reference'] / value:.2f} times the "
            f"reference, {shares} of the matrix rate (attention over all pairs, and causal)"
        )
    apart = [abs(a - b) for a, b in zip(losses["legacy"], losses["reference"], strict=True)]
    print(f"losses of legacy and reference apart by {max(apart):.1e} at most; mean {statistics.mean(apart):.1e}")


if __name__ == "__main__":
    main(tyro.cli(Options))
