"""How large a GPT is, and how much arithmetic its training takes: counted on the model itself, without its weights."""

from __future__ import annotations

from functools import lru_cache

import torch

from gpt.config import GPTConfig
from gpt.model import GPT

LOOKED_UP = ("embedding.", "positions.")
"""Beginnings of the names of weights that are looked up, not multiplied with."""


@lru_cache(maxsize=8)
def describe_weights(config: GPTConfig) -> dict[str, torch.Size]:
    """Return the shape of every parameter by name; no memory is taken for them."""
    with torch.device("meta"):
        return {name: parameter.shape for name, parameter in GPT(config).named_parameters()}


def parameter_count(config: GPTConfig) -> int:
    """Return the number of parameters."""
    return sum(shape.numel() for shape in describe_weights(config).values())


def matrix_parameters(config: GPTConfig) -> int:
    """Return the number of weights that every token is multiplied with: projections, feed-forward layers and head.

    Embeddings are looked up, not multiplied; norms and biases are vectors.
    """
    shapes = describe_weights(config).items()
    return sum(shape.numel() for name, shape in shapes if len(shape) > 1 and not name.startswith(LOOKED_UP))


def flops_per_token(config: GPTConfig) -> int:
    """Return the floating-point operations, forward and backward, of training on one token of a full window.

    Six per matrix weight and 12 * layers * width * window for attention (Chowdhery et al. 2022, PaLM, appendix B, whose
    convention it is that model FLOPs utilisation, MFU, counts attention as if it were not causal and recomputation not
    at all).
    """
    attention = 12 * config.layers * config.width * config.window
    return 6 * matrix_parameters(config) + attention
