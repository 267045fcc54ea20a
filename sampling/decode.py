"""Sampling from a GPT: a ladder of small functions.

logits -> filtered probabilities -> token; steps of a window; windows of a sequence; continuations. All chance comes
from uniform numbers that depend only on the seed, the item's index, the continuation's index and the token's position,
so that continuation i of item j is the same whatever else is sampled beside it.

Sequences longer than the model's window are sampled by sliding it over whole latent frames.

Axes: B prompts, n continuations of each, R = B * n rows, L tokens, V vocabulary; t, h, w of the token grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.engine import CachedEngine, Engine
from sampling.options import SamplingOptions, SamplingPrecision
from training.products import exact_products

FREE = -1
"""Stands for a token that is not given."""


@dataclass(frozen=True)
class Sampled:
    """Continuations, and how sure the model was.

    All three have the same shape: (B, n, L), of one prompt (n, L), or with (t, h, w) in the place of L. Scores are
    those of the model itself, before temperature and filters, in nats. They are NaN where it was not asked: for the
    tokens that are given at the beginning, and for the first token of a model without a BOS token.
    """

    tokens: Tensor
    """int64, given ones included."""
    log_probability: Tensor
    """float32: log-probability of the token."""
    entropy: Tensor
    """float32: entropy of the distribution it was drawn from."""

    @classmethod
    def without_scores(cls, tokens: Tensor) -> Sampled:
        """Take tokens (..., L) of which no scores are known."""
        unknown = torch.full(tokens.shape, torch.nan, device=tokens.device)
        return cls(tokens, unknown, unknown.clone())

    def __len__(self) -> int:
        """Return how many there are along the first axis."""
        return len(self.tokens)

    def __getitem__(self, index: int) -> Sampled:
        """Return what stands at an index of the first axis: the continuations of one prompt."""
        return self.map(lambda part: part[index])

    def __iter__(self) -> Iterator[Sampled]:
        """Go through the first axis: prompt by prompt."""
        return (self[index] for index in range(len(self)))

    def map(self, change: Callable[[Tensor], Tensor]) -> Sampled:
        """Change tokens and scores alike, from one shape (..., L) to another."""
        return Sampled(change(self.tokens), change(self.log_probability), change(self.entropy))

    def cpu(self) -> Sampled:
        """Return the same on the CPU."""
        return self.map(Tensor.cpu)

    def unflatten(self, grid: tuple[int, int, int]) -> Sampled:
        """Give sequences (..., L) the shape of their grids (..., t, h, w)."""
        return self.map(lambda part: part.unflatten(-1, grid))

    def hide_scores(self, given: Tensor) -> Sampled:
        """Make scores NaN where a bool mask (t, h, w) or (L,) says that tokens were given."""
        log_probability = self.log_probability.masked_fill(given, torch.nan)
        return Sampled(self.tokens, log_probability, self.entropy.masked_fill(given, torch.nan))


@torch.no_grad()
def sample(
    gpt: GPT,
    given: Tensor,
    n: int = 1,
    options: SamplingOptions | None = None,
    seed: int = 0,
    items: Sequence[int] | None = None,
    overlap: int | None = None,
    engine: Engine | None = None,
    precision: SamplingPrecision | None = None,
) -> Sampled:
    """Continue every prompt `n` times with a key-value cache; a prompt is read once for all its continuations.

    Args:
        gpt: the model.
        given: (B, L) int64, `FREE` where a token is to be sampled, at the same positions in every row. What is given
            behind free tokens is known to the model only once it gets there.
        n: continuations per prompt.
        options: how tokens are drawn.
        seed: the same seed gives the same tokens.
        items: index of each prompt among all those of a run; by default 0 to B - 1.
        overlap: latent frames that a new window keeps of those before; by default half of the window's.
        engine: how the model is asked; by default with a cache. `RecomputingEngine` is the reference.
        precision: of the default engine; see `training.precision.is_bf16`.

    Returns:
        (B, n, L) tokens and scores.

    Raises:
        ValueError: an option is out of range, or what is given and the window do not fit.
    """
    options = options or SamplingOptions()
    items = range(len(given)) if items is None else items
    _check(gpt, given, n, options)
    prompt = _given_prefix(given)
    length = given.shape[1]
    todo = windows(gpt.config, prompt, length, overlap)
    engine = engine or CachedEngine(gpt, len(given) * n, precision)
    uniform = uniform_numbers(seed, items, n, length - prompt).to(given.device)
    buffer = SampleBuffer(given.repeat_interleave(n, dim=0), uniform, options)
    with exact_products():
        for window in todo:
            _fill_window(engine, gpt, buffer, window, shared=n if window.first == 0 else 1)
    return buffer.rows.map(lambda part: part.unflatten(0, (len(given), n)))


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
    precision: SamplingPrecision | None = None,
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
        precision: see `sample`.

    Returns:
        (B, n, length) int64, prompt included.

    Raises:
        ValueError: see `sample`.
    """
    if prompt.shape[1] > length:
        raise ValueError(f"the prompt of {prompt.shape[1]} tokens is longer than the result of {length}")
    free = prompt.new_full((len(prompt), length - prompt.shape[1]), FREE)
    options = SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    return sample(gpt, torch.cat([prompt, free], dim=1), n, options, seed, precision=precision).tokens


@dataclass(frozen=True)
class Window:
    """Where a model looks while it samples a stretch of a sequence; all are positions in the sequence."""

    first: int
    """The first token that it sees."""
    start: int
    """The first token that it samples."""
    stop: int
    """One past the last token that it samples."""


def windows(config: GPTConfig, prompt: int, length: int, overlap: int | None = None) -> list[Window]:
    """Return the windows that sample a sequence, one after another.

    Args:
        config: of the model.
        prompt: tokens at the beginning that are given.
        length: tokens of the whole sequence.
        overlap: latent frames that a new window keeps of those before; by default half of the window's.

    Raises:
        ValueError: the prompt is longer than the window or the sequence, or the sequence is longer than the window
            and does not consist of whole latent frames, or the overlap does not fit.
    """
    frames = config.grid[0]
    frame = config.grid[1] * config.grid[2]
    if prompt > length:
        raise ValueError(f"the prompt of {prompt} tokens is longer than the result of {length}")
    if length <= config.window:
        return [Window(0, prompt, length)]
    if prompt > config.window:
        raise ValueError(f"a prompt of {prompt} tokens is longer than the window of {config.window}: give less")
    if frames == 1 or length % frame:
        raise ValueError(
            f"{length} tokens do not fit the window of {config.window}, which slides over whole latent frames "
            f"of {frame} tokens" + (" and holds only one" if frames == 1 else "")
        )
    overlap = frames // 2 if overlap is None else overlap
    if not 0 < overlap < frames:
        raise ValueError(f"--overlap {overlap} must lie in 1 to {frames - 1}: the window has {frames} latent frames")
    starts = [start * frame for start in window_starts(frames, length // frame, overlap)]
    later = [
        Window(start - overlap * frame, start, min(start + (frames - overlap) * frame, length)) for start in starts
    ]
    return [Window(0, prompt, config.window), *later]


def window_starts(window_frames: int, frames: int, overlap: int) -> tuple[int, ...]:
    """Return the latent frames at which a new window begins to sample.

    Args:
        window_frames: latent frames that the model sees at once.
        frames: latent frames of the whole sequence.
        overlap: latent frames that a new window keeps of those before.
    """
    return tuple(range(window_frames, frames, window_frames - overlap))


class SampleBuffer:
    """The rows that are being filled in, and the scores of what was filled in.

    Args:
        tokens: (R, L) int64 with `FREE` where tokens are to be sampled.
        uniform: (R, L - p) uniform numbers for all but the first p tokens.
        options: how tokens are drawn.
    """

    def __init__(self, tokens: Tensor, uniform: Tensor, options: SamplingOptions) -> None:
        self.rows = Sampled.without_scores(tokens)
        self.options = options
        self.uniform = uniform

    def uniform_at(self, position: int) -> Tensor:
        """Return the uniform numbers (R,) that decide about the tokens at a position."""
        return self.uniform[:, position - self.rows.tokens.shape[1]]

    def put(self, position: int, tokens: Tensor) -> Tensor:
        """Put tokens (R,) at a position unless others are given there; return what stands there now, (R,)."""
        there = self.rows.tokens[:, position]
        kept = torch.where(there == FREE, tokens, there)
        self.rows.tokens[:, position] = kept
        return kept

    def fill(self, position: int, logits: Tensor) -> Tensor:
        """Sample the tokens of a position from (R, V) logits unless they are given, score and return them (R,)."""
        tokens = self.put(position, sample_token(logits, self.uniform_at(position), self.options))
        log_probabilities = logits.float().log_softmax(dim=-1)
        self.rows.log_probability[:, position] = log_probabilities.gather(1, tokens[:, None])[:, 0]
        self.rows.entropy[:, position] = -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
        return tokens


def check_options(gpt: GPT, options: SamplingOptions) -> None:
    """Refuse options that a model cannot follow.

    Raises:
        ValueError: top-k is above its vocabulary.
    """
    if options.top_k > gpt.config.vocab_size:
        raise ValueError(f"--top-k {options.top_k} is above the {gpt.config.vocab_size} tokens of the vocabulary")


def sample_token(logits: Tensor, uniform: Tensor, options: SamplingOptions) -> Tensor:
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
    probabilities, tokens = filter_logits(logits, options)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the last value, because filters and rounding leave it below one.
    target = uniform[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1)
    return (index if tokens is None else tokens.gather(1, index)).squeeze(-1)


def filter_logits(logits: Tensor, options: SamplingOptions) -> tuple[Tensor, Tensor | None]:
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
    """Return uniform numbers of which each row depends on the seed, its item and its continuation only.

    Returns:
        (B * n, length) float64 in [0, 1).
    """
    rows = [
        np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, item, continuation)))).random(length)
        for item in items
        for continuation in range(n)
    ]
    return torch.from_numpy(np.stack(rows))


def _fill_window(engine: Engine, gpt: GPT, buffer: SampleBuffer, window: Window, shared: int) -> None:
    """Sample the tokens of a window; `shared` rows in succession have the same prompt, which is read once."""
    start = window.start
    if start < window.stop and start == window.first and not gpt.config.bos:
        # Nothing to predict a first token from: it is drawn uniformly over the vocabulary, whatever the options are
        # (as the programs do that such models come from), and becomes a prompt of its own.
        buffer.put(start, (buffer.uniform_at(start) * gpt.config.vocab_size).long())
        start += 1
        shared = 1
    if start == window.stop:
        return
    prompts = buffer.rows.tokens[::shared, window.first : start]
    logits = engine.prefill(prompts, shared, window.stop - start)
    for position in range(start, window.stop):
        tokens = buffer.fill(position, logits)
        if position + 1 < window.stop:
            logits = engine.step(tokens)


def _given_prefix(given: Tensor) -> int:
    free = given == FREE
    return int(free.any(dim=0).int().argmax()) if bool(free.any()) else given.shape[1]


def _check(gpt: GPT, given: Tensor, n: int, options: SamplingOptions) -> None:
    free = given == FREE
    if not bool((free == free[:1]).all()):
        raise ValueError("prompts sampled together must be given at the same positions")
    if n < 1:
        raise ValueError(f"--n {n} must be at least 1")
    check_options(gpt, options)
