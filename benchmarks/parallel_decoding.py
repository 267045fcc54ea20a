"""How much faster is sampling when a pass of the model reads a window of drafts?

    python benchmarks/parallel_decoding.py --gpt demo/gpt --tokens demo/tokens
    python benchmarks/parallel_decoding.py --gpt demo/gpt --tokens demo/tokens --n 6 --windows 4 8
    python benchmarks/parallel_decoding.py --gpt demo/gpt --tokens demo/tokens --grow-to 12 768
    python benchmarks/parallel_decoding.py --gpt RUN --tokens TOKENS --precision bf16       on a GPU

The second halves of held-out items are continued, one item at a time. Every window must draw the tokens that one token
a pass draws, which is compared, and times of all windows are taken in turn. `--naive` times single steps of the whole
model run again, too, and multiplies them. `--grow-to` embeds the GPT in one of more layers and width that predicts the
same (Net2Net, Chen et al. 2016): what a well-trained model of that size costs, without training it.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from torch import Tensor

from data.tokens import TokenStore
from gpt.model import GPT
from sampling.counting import describe_counts
from sampling.decode import sample
from sampling.engine import RecomputingEngine
from sampling.options import SamplingOptions, SamplingPrecision, WindowOption
from sampling.parallel import DecodingCounts
from sampling.sampled import FREE
from training.processes import best_device


@dataclass(frozen=True)
class Options:
    """What is continued, and how."""

    gpt: Path
    """The GPT: a run or a model folder."""
    tokens: Path
    """Its token store."""
    items: int = 4
    """Held-out items that are continued, one after another."""
    n: int = 1
    """Continuations of each."""
    windows: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Besides 1 and auto."""
    runs: int = 3
    """Rounds over all items; medians over rounds and items count."""
    given: float = 0.5
    """Share of the tokens that is given."""
    precision: SamplingPrecision = "fp32"
    """Numbers that the blocks compute with."""
    sampling: SamplingOptions = SamplingOptions()
    grow_to: tuple[int, int] | None = None
    """Layers and width of a larger GPT that predicts the same; of the variant rotary."""
    naive: bool = False
    """Time the whole model run again as well, at 8 positions."""


def prompts(options: Options, device: torch.device) -> list[Tensor]:
    """Return rows (1, L) int64 of held-out items, free from `given` on."""
    store = TokenStore(options.tokens)
    rows = store.read(store.split("validation")[: options.items]).to(device)
    begin = round(options.given * rows.shape[1])
    return list(rows.masked_fill(torch.arange(rows.shape[1], device=device) >= begin, FREE).split(1))


@torch.no_grad()
def grow(gpt: GPT, layers: int, width: int) -> GPT:
    """Return a GPT of more layers, width and heads, all of whose new features are 0."""
    heads = width // (gpt.config.width // gpt.config.heads)
    grown = GPT(replace(gpt.config, layers=layers, width=width, heads=heads)).eval()
    for parameter in grown.parameters():
        parameter.zero_()
    # A norm divides by the mean of more squares now.
    scale = (gpt.config.width / width) ** 0.5
    pairs = [(grown.norm, gpt.norm)]
    for large, small in zip(grown.blocks, gpt.blocks, strict=False):
        pairs += [(large.attention_norm, small.attention_norm), (large.feed_forward_norm, small.feed_forward_norm)]
        put(large.attention.qkv.weight, small.attention.qkv.weight, parts=3)
        put(large.attention.out.weight, small.attention.out.weight)
        put(large.feed_forward.gate_and_value.weight, small.feed_forward.gate_and_value.weight, parts=2)
        put(large.feed_forward.out.weight, small.feed_forward.out.weight)
    for large, small in pairs:
        large.weight[: gpt.config.width] = scale * small.weight
        large.eps = scale**2 * small.eps
    put(grown.embedding.weight, gpt.embedding.weight)
    put(grown.head.weight, gpt.head.weight)
    return grown


def put(large: Tensor, small: Tensor, parts: int = 1) -> None:
    """Write `small` into the upper left corner of each of the parts, below one another, of `large`."""
    for to, of in zip(large.chunk(parts), small.chunk(parts), strict=True):
        to[: of.shape[0], : of.shape[1]] = of


def naive_seconds(gpt: GPT, row: Tensor, n: int) -> float:
    """Return the seconds of drawing all free tokens of a row (1, L) by running the whole model again for each."""
    free = (row[0] == FREE).nonzero()[:, 0].tolist()
    chosen = free[:: max(1, len(free) // 8)]
    filled = row.clamp(min=0).expand(n, -1)
    began = time.perf_counter()
    with torch.no_grad():
        for position in chosen:
            RecomputingEngine(gpt).prefill(filled[:, :position], 1, 1)
    return (time.perf_counter() - began) / len(chosen) * len(free)


def main(options: Options) -> None:
    """Print passes, acceptance, medians and ratios of every window."""
    device = best_device()
    gpt = GPT.from_pretrained(options.gpt).to(device).eval()
    if options.grow_to is not None:
        gpt = grow(gpt.cpu(), *options.grow_to).to(device)
    rows = prompts(options, device)
    windows: list[WindowOption] = [1, "auto", *options.windows]
    seconds: dict[WindowOption, list[float]] = {window: [] for window in windows}
    counts = {window: DecodingCounts() for window in windows}
    different = dict.fromkeys(windows, 0)
    for turn in range(options.runs + 1):  # the first does not count
        for item, row in enumerate(rows):
            alone: Tensor | None = None
            for window in windows:
                count = counts[window] if turn == 0 else DecodingCounts()
                began = time.perf_counter()
                found = sample(
                    gpt, row, options.n, options.sampling, items=[item], precision=options.precision, window=window,
                    counts=count,
                ).tokens.cpu()  # fmt: skip
                if turn:
                    seconds[window].append(time.perf_counter() - began)
                alone = found if alone is None else alone
                different[window] += int((found != alone).sum())
    print(options, gpt.config.describe(), f"{torch.get_num_threads()} threads", sep="\n")
    median = {window: statistics.median(values) for window, values in seconds.items()}
    for window in windows:
        count = counts[window]
        ahead = [f"{right / more:.2f}" for more, right in zip(count.offered, count.accepted, strict=True)][:8]
        print(
            f"window {window}: {median[window]:.3f} s, {median[1] / median[window]:.2f}x as fast as 1; "
            f"{counts[1].passes / count.passes:.2f}x fewer passes: {describe_counts(count)}; drafts right by how far "
            f"ahead: {' '.join(ahead)}; tokens that differ: {different[window]}"
        )
    if options.naive:
        naive = statistics.median(naive_seconds(gpt, row, options.n) for row in rows)
        print(f"the whole model again: {naive:.1f} s, {naive / median['auto']:.1f}x as long as auto")


if __name__ == "__main__":
    main(tyro.cli(Options))
