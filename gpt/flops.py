"""How much arithmetic training a GPT takes. Imports no torch."""

from __future__ import annotations

from gpt.config import GPTConfig


def matrix_parameters(config: GPTConfig) -> int:
    """Return the number of weights that every token is multiplied with: projections, feed-forward layers and head.

    Embeddings are looked up, not multiplied; norms and biases are vectors.
    """
    matrices = {"rotary": 3, "legacy": 2}[config.flavour]  # of the feed-forward layer: SwiGLU has a gate as well
    block = 4 * config.width**2 + matrices * config.width * config.feed_forward_width
    return config.layers * block + config.width * config.vocab_size


def flops_per_token(config: GPTConfig) -> int:
    """Return the floating-point operations, forward and backward, of training on one token of a full window.

    Six per matrix weight and 12 * layers * width * window for attention (Chowdhery et al. 2022, PaLM, appendix B, whose
    convention it is that model FLOPs utilisation, MFU, counts attention as if it were not causal and recomputation not
    at all).
    """
    attention = 12 * config.layers * config.width * config.window
    return 6 * matrix_parameters(config) + attention
