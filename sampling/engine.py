"""Engines: they ask a GPT what comes next, with a cache, or all over again for every token.

First the prompts are read at once (prefill), then one token of every continuation at a time (decode steps), with layers
that are fast for so few rows: there reading the weights takes all the time.

Axes: P prompts, n continuations of each, R = P * n rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gpt.cache import KVCache, StaticKVCache
from gpt.fast_layers import with_fast_layers
from gpt.model import GPT
from sampling.options import SamplingPrecision
from training.precision import is_bf16
from training.processes import is_shared


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
        half = is_bf16(precision, gpt.device)
        # Of weights that several processes share, this one has no room for a copy, and a graph cannot gather them.
        self.gpt = gpt if self.shared else with_fast_layers(gpt, rows, half)

    def prefill(self, prompts: Tensor, copies: int, steps: int) -> Tensor:
        """See `Engine`; a prompt is read once for all its copies."""
        # The token that is sampled last is not read.
        cache = (StaticKVCache if prompts.is_cuda else KVCache)(copies, steps - 1)
        logits = self.gpt(self.gpt.with_bos(prompts), cache)[:, -1]
        graphed = isinstance(cache, StaticKVCache) and not self.shared
        self.decode_step = CUDAGraphStep(self.gpt, cache) if graphed else DecodeStep(self.gpt, cache)
        return logits.repeat_interleave(copies, dim=0)

    def step(self, tokens: Tensor) -> Tensor:
        """See `Engine`; on a GPU the logits are overwritten by the next step."""
        return self.decode_step(tokens[:, None])


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
