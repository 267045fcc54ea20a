"""Scoring token grids: how likely every token of many sequences was, with the layers that are fastest for that.

Axes: P sequences, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gpt.fast_layers import with_fast_layers
from gpt.model import GPT
from training.processes import is_shared

CPU_TOKENS = 2**10
"""Tokens of a forward pass on a CPU, as many as its caches hold."""
GPU_TOKENS = 2**14
"""The same on a GPU, as many as keep it busy."""
WORTH_PACKING = 2**10
"""Tokens from which on packing the layers takes less time than it saves; it takes that of about 50 tokens."""


@torch.no_grad()
def score_tokens(gpt: GPT, tokens: Tensor, batch: int | None = None, capability: str | None = None) -> Tensor:
    """Return the NLL of every token of (P, L) int64 sequences: (P, L) float32, nats, on the CPU.

    The first token of a model without a BOS token is not scored; its column is 0. The model is put into evaluation
    mode for the scoring and back afterwards.

    Args:
        gpt: the model.
        tokens: on any device.
        batch: sequences of a forward pass at most; on a CPU there are no more than its caches hold in any case.
        capability: see `layers_for_scoring`.
    """
    device, training = gpt.device, gpt.training
    rows = max(1, (CPU_TOKENS if device.type == "cpu" else GPU_TOKENS) // tokens.shape[1])
    if batch is not None:
        rows = min(rows, batch) if device.type == "cpu" else batch
    gpt.eval()
    fast = layers_for_scoring(gpt, tokens.numel(), min(rows, len(tokens)) * tokens.shape[1], capability)
    scores = [fast.nll(part.to(device)).float().cpu() for part in tokens.split(rows)]
    gpt.train(training)
    return torch.cat(scores)


def layers_for_scoring(gpt: GPT, tokens: int, rows: int, capability: str | None = None) -> GPT:
    """Return a GPT whose scores are those of `gpt` to rounding, with packed layers where these are faster.

    They are twice as fast on processors with AVX512 and slower on those with AVX2. What decides is the kind of
    processor and not a measurement, so that the same command on the same machine computes the same bits.

    Args:
        gpt: the model, in evaluation mode. If its weights are shared out, or it computes in bf16, it is returned.
        tokens: that are scored in all.
        rows: of a forward pass, tokens of all sequences together.
        capability: vector instructions that torch uses; by default those of this processor.
    """
    known = torch.backends.cpu.get_cpu_capability() if capability is None else capability
    # A GPT that is being trained in bf16 has a forward pass of accelerate's before its own, with autocast in it.
    lowered = "forward" in gpt.__dict__ or torch.is_autocast_enabled(gpt.device.type)
    if gpt.device.type != "cpu" or not known.startswith("AVX512") or tokens < WORTH_PACKING:
        return gpt
    return gpt if lowered or is_shared(gpt) else with_fast_layers(gpt, rows)
