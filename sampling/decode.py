"""Sampling from a GPT: a ladder of small pure functions.

logits -> candidates -> token; what to continue; steps of a window; windows of a sequence; continuations. All chance
comes from uniform numbers that depend only on the seed, the item's number, the continuation's number and the token's
place, so that continuation i of item j is the same whatever else is sampled beside it.

Axes: B prompts, n continuations of each, R = B * n rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpt.model import GPT
from sampling.options import SamplingOptions
from sampling.readers import CachedReader, Reader
from sampling.windows import Window, windows

FREE = -1
"""Stands for a token that is not given."""


@dataclass(frozen=True)
class Sampled:
    """Continuations, and how sure the model was.

    Scores are those of the model itself, before temperature and filters. They are NaN where it was not asked: for
    the tokens that are given at the beginning, and for the first token of a model without a start token.
    """

    tokens: Tensor
    """(B, n, L) int64, given ones included."""
    log_probability: Tensor
    """(B, n, L) float32: log-probability of the token, in nats."""
    entropy: Tensor
    """(B, n, L) float32: entropy of the distribution it was drawn from, in nats."""


@torch.no_grad()
def sample(
    gpt: GPT,
    given: Tensor,
    n: int = 1,
    options: SamplingOptions | None = None,
    seed: int = 0,
    items: Sequence[int] | None = None,
    overlap: int | None = None,
    reader: Reader | None = None,
) -> Sampled:
    """Continue every prompt `n` times with a key-value cache; a prompt is read once for all its continuations.

    Sequences longer than the window are sampled by sliding it over latent frames: see `sampling.windows`.

    Args:
        gpt: the model.
        given: (B, L) int64, `FREE` where a token is to be sampled, at the same places in every row. What is given
            behind free tokens is known to the model only once it gets there.
        n: continuations per prompt.
        options: how tokens are drawn.
        seed: the same seed gives the same tokens.
        items: number of each prompt among all those of a run; by default 0 to B - 1.
        overlap: latent frames that a new window keeps of those before; by default half of the window's.
        reader: how the model is asked; by default with a cache. `NaiveReader` is the reference.

    Raises:
        ValueError: an option is out of range, or what is given and the window do not fit.
    """
    options, items = options or SamplingOptions(), range(len(given)) if items is None else items
    _check(gpt, given, n, options)
    prompt, length = _given_prefix(given), given.shape[1]
    todo = windows(gpt.config, prompt, length, overlap)
    reader = reader or CachedReader(gpt, len(given) * n)
    uniform = uniform_numbers(seed, items, n, length - prompt).to(given.device)
    sheet = Sheet(given.repeat_interleave(n, dim=0), uniform, options)
    for window in todo:
        _fill_window(reader, gpt, sheet, window, shared=n if window.first == 0 else 1)
    filled = (sheet.tokens, sheet.log_probability, sheet.entropy)
    return Sampled(*(part.unflatten(0, (len(given), n)) for part in filled))


def generate(
    gpt: GPT,
    prompt: Tensor,
    length: int,
    n: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    min_p: float = 0.0,
) -> Tensor:
    """Continue every prompt `n` times: `sample` for prompts that are a beginning.

    Args:
        gpt: the model.
        prompt: (B, p) int64; p may be 0.
        length: tokens of the result, prompt included.
        n: continuations per prompt.
        temperature: divides the logits; 0 is greedy.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens reaching this probability.
        seed: the same seed gives the same tokens.
        min_p: keep tokens at least this share as likely as the likeliest.

    Returns:
        (B, n, length) int64, prompt included.

    Raises:
        ValueError: see `sample`.
    """
    if prompt.shape[1] > length:
        raise ValueError(f"the prompt of {prompt.shape[1]} tokens is longer than the result of {length}")
    free = prompt.new_full((len(prompt), length - prompt.shape[1]), FREE)
    options = SamplingOptions(temperature, top_k, top_p, min_p)
    return sample(gpt, torch.cat([prompt, free], dim=1), n, options, seed).tokens


class Sheet:
    """The rows that are being filled in, (R, L), and the scores of what was filled in.

    Args:
        tokens: (R, L) int64 with `FREE` where tokens are to be sampled.
        uniform: (R, L - p) uniform numbers for all but the first p tokens.
        options: how tokens are drawn.
    """

    def __init__(self, tokens: Tensor, uniform: Tensor, options: SamplingOptions) -> None:
        self.tokens = tokens
        self.log_probability = torch.full(tokens.shape, torch.nan, device=tokens.device)
        self.entropy = self.log_probability.clone()
        self.options = options
        self.uniform = uniform

    def uniform_at(self, position: int) -> Tensor:
        """Return the uniform numbers (R,) that decide about the tokens at a position."""
        return self.uniform[:, position - self.tokens.shape[1]]

    def fill(self, position: int, logits: Tensor) -> Tensor:
        """Sample the tokens of a position from (R, V) logits unless they are given, score and return them (R,)."""
        chosen = choose_token(logits, self.uniform_at(position), self.options)
        chosen = torch.where(self.tokens[:, position] == FREE, chosen, self.tokens[:, position])
        log_probabilities = logits.float().log_softmax(dim=-1)
        self.tokens[:, position] = chosen
        self.log_probability[:, position] = log_probabilities.gather(1, chosen[:, None])[:, 0]
        self.entropy[:, position] = -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
        return chosen


def _fill_window(reader: Reader, gpt: GPT, sheet: Sheet, window: Window, shared: int) -> None:
    """Sample the tokens of a window; `shared` rows in succession have the same prompt, which is read once."""
    start = window.start
    if start < window.stop and start == window.first and not gpt.config.start_token:
        # Nothing to predict a first token from: it is drawn uniformly over the vocabulary, whatever the options are
        # (as the programs do that such models come from), and becomes a prompt of its own.
        drawn = (sheet.uniform_at(start) * gpt.config.vocab_size).long()
        sheet.tokens[:, start] = torch.where(sheet.tokens[:, start] == FREE, drawn, sheet.tokens[:, start])
        start, shared = start + 1, 1
    if start == window.stop:
        return
    prompts = sheet.tokens[::shared, window.first : start]
    logits = reader.read(prompts, shared, window.stop - start)
    for position in range(start, window.stop):
        chosen = sheet.fill(position, logits)
        if position + 1 < window.stop:
            logits = reader.add(chosen)


def _given_prefix(given: Tensor) -> int:
    free = given == FREE
    return int(free.any(dim=0).int().argmax()) if bool(free.any()) else given.shape[1]


def _check(gpt: GPT, given: Tensor, n: int, options: SamplingOptions) -> None:
    free = given == FREE
    if not bool((free == free[:1]).all()):
        raise ValueError("prompts sampled together must be given at the same places")
    if n < 1:
        raise ValueError(f"--n {n} must be at least 1")
    check_options(gpt, options)


def check_options(gpt: GPT, options: SamplingOptions) -> None:
    """Refuse options that a model cannot follow.

    Raises:
        ValueError: top-k is above its vocabulary.
    """
    if options.top_k > gpt.config.vocab_size:
        raise ValueError(f"--top-k {options.top_k} is above the {gpt.config.vocab_size} tokens of the vocabulary")


def choose_token(logits: Tensor, uniform: Tensor, options: SamplingOptions) -> Tensor:
    """Return one token per row by inverting the cumulative distribution.

    Args:
        logits: (R, V).
        uniform: (R,) float64 in [0, 1).
        options: how to filter.

    Returns:
        (R,) int64.
    """
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities, tokens = candidates(logits, options)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the last value, because filters and rounding leave it below one.
    target = uniform[:, None] * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1)
    return (place if tokens is None else tokens.gather(1, place)).squeeze(-1)


def candidates(logits: Tensor, options: SamplingOptions) -> tuple[Tensor, Tensor | None]:
    """Return what is left after temperature, top-k, top-p and min-p, in that order.

    Each filter looks at the probabilities that the one before it left, rescaled to sum to one.

    Args:
        logits: (R, V).
        options: with a temperature above 0.

    Returns:
        (R, C) float64 probabilities up to a factor, 0 for what was filtered out, and the tokens (R, C) they belong to;
        None where those are 0 to V - 1.
    """
    logits = logits.double() / options.temperature
    if not options.top_k and options.top_p == 1 and not options.min_p:
        return logits.softmax(dim=-1), None
    ranked, tokens = logits.topk(options.top_k) if options.top_k else logits.sort(descending=True, stable=True)
    probabilities = ranked.softmax(dim=-1)
    if options.top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.masked_fill(before >= options.top_p, 0.0)
    return probabilities.masked_fill(probabilities < options.min_p * probabilities[:, :1], 0.0), tokens


def uniform_numbers(seed: int, items: Sequence[int], n: int, length: int) -> Tensor:
    """Return (B * n, length) float64 uniforms in [0, 1); a row depends on the seed, its item and its number only."""
    rows = [
        np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, item, continuation)))).random(length)
        for item in items
        for continuation in range(n)
    ]
    return torch.from_numpy(np.stack(rows))
