"""Engines: they ask a GPT what comes next, with a cache, or all over again for every token.

First the prompts are read at once (prefill), then one token of every continuation at a time (decode steps), with layers
that are fast for so few rows: there reading the weights takes all the time.

Axes: P prompts, n continuations of each, R = P * n rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gpt.cache import KVCache, StaticKVCache
from gpt.fast_layers import with_fast_layers
from gpt.model import GPT
from sampling.options import SamplingPrecision
from training.precision import is_bf16
from training.processes import is_shared

FEWEST_ROWS = 16
"""Rows for which weights are packed, at least: packed for a single row they would be 5 % faster there, but up to a
quarter slower in windows of several tokens, and round otherwise."""


class Engine(Protocol):
    """Reads prompts, then one token of every continuation at a time, and returns the logits of what comes next."""

    def prefill(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """Begin anew with (P, L) int64 prompts, each continued `copies` times by at most `steps` tokens.

        Returns:
            (P * copies, V) logits.
        """

    def step(self, tokens: Tensor) -> Tensor:
        """Go on with the next token (P * copies,) int64 of every continuation; return (P * copies, V) logits."""


class CachedEngine:
    """Reads every token once, with the layers that are fastest on the device: what `sample` uses.

    On a GPU a decode step is recorded as a CUDA graph, since its some thousand small kernels take longer to launch than
    to run.

    Args:
        gpt: the model.
        rows: continuations that are sampled side by side.
        precision: of the blocks' linear layers; see `training.precision.is_bf16`.
    """

    def __init__(self, gpt: GPT, rows: int, precision: SamplingPrecision | None = None) -> None:
        self.shared = is_shared(gpt)
        self.half = is_bf16(precision, gpt.device)
        self.repeats = not self.half
        """Whether tokens that are read one at a time again leave the same in the cache, to the last bit."""
        # Of weights that several processes share, this one has no room for a copy, and a graph cannot gather them.
        self.gpt = gpt if self.shared else with_fast_layers(gpt, max(rows, FEWEST_ROWS), self.half)

    def prefill(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """See `Engine`; a prompt is read once for all its copies."""
        # The token that is sampled last is not read.
        cache = (StaticKVCache if prompts.is_cuda else KVCache)(copies, steps - 1)
        logits = self.gpt(self.gpt.with_bos(prompts), cache)[:, -1]
        graphed = isinstance(cache, StaticKVCache) and not self.shared
        self.cache = cache
        self.decode_step = CUDAGraphStep(self.gpt, cache) if graphed else DecodeStep(self.gpt, cache)
        self.window_step = CUDAGraphWindowStep(self.gpt, cache) if graphed else WindowStep(self.gpt, cache)
        return logits.repeat_interleave(copies, dim=0)

    def step(self, tokens: Tensor) -> Tensor:
        """See `Engine`; on a GPU the logits are overwritten by the next step."""
        return self.decode_step(tokens[:, None])

    def step_window(self, tokens: Tensor, slots: Tensor, furthest: int) -> Tensor:
        """Read a window of tokens of every continuation; what it holds before the window must have been read.

        Args:
            tokens: (R, W) int64.
            slots: (R, W) int64, W in succession: how many tokens of the continuation stand before each.
            furthest: the largest first slot of a window.

        Returns:
            (R, W, V) logits of what follows each token; on a GPU they are overwritten by the next window.
        """
        return self.window_step(tokens, slots, furthest)

    def rewind(self, slot: int) -> None:
        """Let the next step read the tokens that stand behind so many of every continuation."""
        self.cache.rewind(slot)


class RecomputingEngine:
    """Runs the whole model again over everything for every token: the reference for speed and for tokens."""

    def __init__(self, gpt: GPT) -> None:
        self.gpt = gpt

    def prefill(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """See `Engine`."""
        self.tokens = prompts.repeat_interleave(copies, dim=0)
        return self.gpt(self.gpt.with_bos(self.tokens))[:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        """See `Engine`."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)
        return self.gpt(self.gpt.with_bos(self.tokens))[:, -1]


class DecodeStep:
    """Reads the next token (R, 1) int64 of every continuation and returns (R, V) logits of what comes next."""

    def __init__(self, gpt: GPT, cache: KVCache) -> None:
        self.gpt = gpt
        self.cache = cache

    def __call__(self, tokens: Tensor) -> Tensor:
        """Read tokens."""
        return self.gpt(tokens, self.cache)[:, -1]


class CUDAGraphStep(DecodeStep):
    """A decode step as one CUDA graph, recorded at its first call.

    A graph reads and writes the same memory at every replay, so tokens go through a buffer.
    """

    cache: StaticKVCache
    graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """Read tokens; the logits are overwritten by the next call."""
        if self.graph is None:
            self.tokens = tokens.clone()
            again = partial(self.cache.rewind, self.cache.filled - self.cache.prompt_length)
            self.graph, self.logits = record_graph(partial(super().__call__, self.tokens), again)
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.logits


class WindowStep:
    """Reads a window of tokens (R, W) int64 of every continuation and returns (R, W, V) logits of what follows each."""

    def __init__(self, gpt: GPT, cache: KVCache) -> None:
        self.gpt = gpt
        self.cache = cache

    def __call__(self, tokens: Tensor, slots: Tensor, furthest: int) -> Tensor:
        """See `CachedEngine.step_window`."""
        self.cache.open_window(slots, furthest)
        return self.gpt(tokens, self.cache)


class RecordedWindow(NamedTuple):
    """A CUDA graph that reads a window, and the tensors through which it takes and gives."""

    graph: torch.cuda.CUDAGraph
    tokens: Tensor
    slots: Tensor
    logits: Tensor


class CUDAGraphWindowStep(WindowStep):
    """A step over a window as one CUDA graph, recorded at the first call of every width."""

    def __init__(self, gpt: GPT, cache: KVCache) -> None:
        super().__init__(gpt, cache)
        self.recorded: dict[int, RecordedWindow] = {}

    def __call__(self, tokens: Tensor, slots: Tensor, furthest: int) -> Tensor:
        """See `CachedEngine.step_window`; the logits are overwritten by the next call of this width."""
        width = tokens.shape[1]
        if width not in self.recorded:
            kept = tokens.clone(), slots.clone()
            graph, logits = record_graph(partial(super().__call__, *kept, furthest), again=lambda: None)
            self.recorded[width] = RecordedWindow(graph, *kept, logits)
        window = self.recorded[width]
        window.tokens.copy_(tokens)
        window.slots.copy_(slots)
        window.graph.replay()
        return window.logits


def record_graph(read: Callable[[], Tensor], again: Callable[[], None]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Return a CUDA graph of what `read` does, and the tensor that it writes its result into at every replay.

    Args:
        read: what is recorded. It runs once before, because libraries set themselves up in their first calls.
        again: undoes what that first call changed.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        read()
    torch.cuda.current_stream().wait_stream(side)
    again()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = read()
    return graph, result
