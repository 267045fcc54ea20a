"""Reading tokens to learn what comes next: with a cache, or all over again for every token.

Axes: P prompts, n continuations of each, L tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gpt.cache import KVCache, StaticKVCache
from gpt.model import GPT
from sampling.fast_layers import with_fast_layers


class Reader(Protocol):
    """Reads prompts, then one token of every continuation at a time, and returns the logits of what comes next."""

    def read(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """Begin anew with (P, L) int64 prompts, each continued `copies` times by at most `steps` tokens.

        Returns:
            (P * copies, V) logits.
        """

    def add(self, tokens: Tensor) -> Tensor:
        """Go on with the next token (P * copies,) int64 of every continuation; return (P * copies, V) logits."""


class CachedReader:
    """Reads every token once, with the layers that are fastest on the device: what `sample` uses.

    On a GPU a step is recorded as a CUDA graph, since its some thousand small kernels take longer to launch than to
    run.

    Args:
        gpt: the model.
        rows: continuations that are sampled side by side.
    """

    def __init__(self, gpt: GPT, rows: int) -> None:
        self.gpt = with_fast_layers(gpt, rows)

    def read(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """See `Reader`."""
        # The token that is sampled last is not read.
        cache = (StaticKVCache if prompts.is_cuda else KVCache)(copies, steps - 1)
        logits = self.gpt(self.gpt.with_start(prompts), cache)[:, -1]
        self.step = RecordedStep(self.gpt, cache) if isinstance(cache, StaticKVCache) else Step(self.gpt, cache)
        return logits.repeat_interleave(copies, dim=0)

    def add(self, tokens: Tensor) -> Tensor:
        """See `Reader`."""
        return self.step(tokens[:, None])


class NaiveReader:
    """Runs the whole model again over everything for every token: the reference for speed and for tokens."""

    def __init__(self, gpt: GPT) -> None:
        self.gpt = gpt

    def read(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """See `Reader`."""
        self.tokens = prompts.repeat_interleave(copies, dim=0)
        return self.gpt(self.gpt.with_start(self.tokens))[:, -1]

    def add(self, tokens: Tensor) -> Tensor:
        """See `Reader`."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)
        return self.gpt(self.gpt.with_start(self.tokens))[:, -1]


class Step:
    """Reads the next token (R, 1) of every continuation and returns (R, V) logits of what comes next."""

    def __init__(self, gpt: GPT, cache: KVCache) -> None:
        self.gpt = gpt
        self.cache = cache

    def __call__(self, tokens: Tensor) -> Tensor:
        """Read tokens."""
        return self.gpt(tokens, self.cache)[:, -1]


class RecordedStep(Step):
    """A step as one CUDA graph, recorded at its first call.

    A graph reads and writes the same memory at every replay, so tokens go through a buffer.
    """

    cache: StaticKVCache
    graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """Read tokens; the logits are overwritten by the next call."""
        if self.graph is None:
            self.tokens = tokens.clone()
            self.graph = self._record()
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.logits

    def _record(self) -> torch.cuda.CUDAGraph:
        # Libraries set themselves up in their first calls, which must not be recorded.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            super().__call__(self.tokens)
        torch.cuda.current_stream().wait_stream(side)
        self.cache.rewind()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.logits = super().__call__(self.tokens)
        return graph
