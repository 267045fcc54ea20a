"""Sampling from a GPT: a ladder of small pure functions.

logits -> filtered probabilities -> token; opening; prefill; one step; n steps; continuations. All chance comes from a
matrix of uniform numbers that depends only on the seed, the prompt's place and the continuation's place, so that
continuation i of prompt j is the same whatever else is sampled beside it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gpt.model import GPT, KVCache
from sampling.config import SamplingOptions


def filtered_probabilities(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Return (B, V) float64 probabilities after temperature, top-k and top-p, in that order."""
    logits = logits.double() / options.temperature
    if options.top_k and options.top_k < logits.shape[-1]:
        kth = logits.topk(options.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    probabilities = logits.softmax(dim=-1)
    if options.top_p < 1:
        ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(dim=-1) - ranked
        ranked = ranked.masked_fill(before >= options.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ranked)
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities


def choose_token(logits: Tensor, uniform: Tensor, options: SamplingOptions) -> Tensor:
    """Return one token per row by inverting the cumulative distribution.

    Args:
        logits: (B, V).
        uniform: (B,) float64 in [0, 1).
        options: how to filter.

    Returns:
        (B,) int64.
    """
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    cumulative = filtered_probabilities(logits, options).cumsum(dim=-1)
    # Scaled by the last value, because rounding leaves it a little off one.
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def uniform_numbers(seed: int, prompts: int, n: int, length: int) -> Tensor:
    """Return (prompts * n, length) float64 uniforms; row (j, i) depends on the seed, j and i only."""
    rows = [
        np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, prompt, continuation)))).random(length)
        for prompt in range(prompts)
        for continuation in range(n)
    ]
    return torch.from_numpy(np.stack(rows))


@torch.no_grad()
def generate(
    gpt: GPT,
    prompt: Tensor,
    length: int,
    n: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Continue every prompt `n` times with a key-value cache; a prompt is read once for all its continuations.

    Args:
        gpt: the model.
        prompt: (B, p) int64; p may be 0.
        length: tokens of the result, prompt included.
        n: continuations per prompt.
        temperature: divides the logits; 0 is greedy.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens reaching this probability.
        seed: the same seed gives the same tokens.

    Returns:
        (B, n, length) int64, prompt included.

    Raises:
        ValueError: an option is out of range, or prompt, length and window do not fit.
    """
    options = SamplingOptions(temperature, top_k, top_p)
    _check_lengths(gpt, prompt, length, n)
    B, p = prompt.shape
    uniform = uniform_numbers(seed, B, n, length - p).to(prompt.device)
    prompt, copies, uniform = opening(gpt, prompt, n, uniform)
    steps = uniform.shape[1]
    tokens = torch.cat([prompt.repeat_interleave(copies, dim=0), prompt.new_zeros(B * n, steps)], dim=1)
    if steps:
        logits, cache = prefill(gpt, prompt, length)
        logits, cache = logits.repeat_interleave(copies, dim=0), cache.expand(copies)
        for step, position in enumerate(range(length - steps, length)):
            tokens[:, position] = choose_token(logits, uniform[:, step], options)
            if position + 1 < length:
                logits = gpt(tokens[:, position, None], cache)[:, -1]
    return tokens.unflatten(0, (B, n))


def opening(gpt: GPT, prompt: Tensor, n: int, uniform: Tensor) -> tuple[Tensor, int, Tensor]:
    """Return what is continued: prompts, the number of continuations of each, and their uniform numbers.

    A model without a start token cannot predict a first token. Where nothing is given, the first token of every
    continuation is drawn uniformly over the vocabulary, whatever the options are (as the programs do that such
    models come from), and becomes a prompt of its own.

    Args:
        gpt: the model.
        prompt: (B, p) int64.
        n: continuations per prompt.
        uniform: (B * n, length - p) in [0, 1).
    """
    if gpt.config.start_token or prompt.shape[1] or not uniform.shape[1]:
        return prompt, n, uniform
    first = (uniform[:, :1] * gpt.config.vocab_size).long()
    return first, 1, uniform[:, 1:]


def prefill(gpt: GPT, prompt: Tensor, length: int) -> tuple[Tensor, KVCache]:
    """Read (B, p) prompts into a cache for `length` tokens; return the logits (B, V) of what comes next, and it."""
    cache = KVCache(gpt.config, len(prompt), length + 1, like=gpt.head.weight)
    return gpt(gpt.with_start(prompt), cache)[:, -1], cache


@torch.no_grad()
def generate_naive(gpt: GPT, prompt: Tensor, length: int, n: int, options: SamplingOptions, seed: int) -> Tensor:
    """Do what `generate` does by running the whole model again for every token: the reference it is held to."""
    _check_lengths(gpt, prompt, length, n)
    B, p = prompt.shape
    uniform = uniform_numbers(seed, B, n, length - p).to(prompt.device)
    prompt, copies, uniform = opening(gpt, prompt, n, uniform)
    tokens = prompt.repeat_interleave(copies, dim=0)
    for column in range(uniform.shape[1]):
        logits = gpt(gpt.with_start(tokens))[:, -1]
        tokens = torch.cat([tokens, choose_token(logits, uniform[:, column], options)[:, None]], dim=1)
    return tokens.unflatten(0, (B, n))


def _check_lengths(gpt: GPT, prompt: Tensor, length: int, n: int) -> None:
    if prompt.shape[1] > length:
        raise ValueError(f"the prompt of {prompt.shape[1]} tokens is longer than the result of {length}")
    if length > gpt.config.window:
        raise ValueError(f"{length} tokens do not fit the window of {gpt.config.window}")
    if n < 1:
        raise ValueError(f"--n {n} must be at least 1")
