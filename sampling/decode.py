"""Sampling from a GPT: a ladder of small functions.

logits -> filtered probabilities -> token; steps of a window; windows of a sequence; continuations. All chance is a
function of the seed, the item's index, the continuation's index, the token's position and the code (`sampling.noise`),
so that continuation i of item j is the same whatever else is sampled beside it.

Sequences longer than the model's window are sampled by sliding it over whole latent frames.

Axes: B prompts, n continuations of each, R = B * n rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.engine import CachedEngine, Engine
from sampling.noise import GumbelNoise, Noise, make_noise
from sampling.options import NoiseKind, SamplingOptions, SamplingPrecision, WindowOption
from sampling.parallel import DecodingCounts, ParallelDecoder, choose_window
from sampling.sampled import FREE, SampleBuffer, Sampled, Watch
from sampling.sliding import Stretch, windows
from training.products import exact_products


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
    window: WindowOption = "auto",
    counts: DecodingCounts | None = None,
    watch: Watch | None = None,
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
        window: tokens of a continuation that are read in one pass of the model, which changes no token
            (`sampling.parallel`); `auto` is what pays, and 1 with an engine that reads one at a time.
        counts: where passes are counted.
        watch: who is shown the tokens as they are drawn, which changes none of them.

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
    filling = _Filling(
        gpt=gpt,
        engine=engine,
        buffer=SampleBuffer(given.repeat_interleave(n, dim=0), watch),
        noise=make_noise(options.noise, seed, items, n, prompt, length, given.device),
        options=options,
        window=choose_window(window, engine, len(given) * n, length - prompt, options),
        adapts=window == "auto",
        counts=DecodingCounts() if counts is None else counts,
    )
    with exact_products():
        for stretch in todo:
            filling.fill(stretch, shared=n if stretch.first == 0 else 1)
    return filling.buffer.rows.map(lambda part: part.unflatten(0, (len(given), n)))


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
    window: WindowOption = "auto",
    noise: NoiseKind = "gumbel",
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
        window: see `sample`.
        noise: how chance decides; `inverse` gives the tokens of versions before 0.2.

    Returns:
        (B, n, length) int64, prompt included.

    Raises:
        ValueError: see `sample`.
    """
    if prompt.shape[1] > length:
        raise ValueError(f"the prompt of {prompt.shape[1]} tokens is longer than the result of {length}")
    free = prompt.new_full((len(prompt), length - prompt.shape[1]), FREE)
    options = SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, noise=noise)
    return sample(gpt, torch.cat([prompt, free], dim=1), n, options, seed, precision=precision, window=window).tokens


def check_options(gpt: GPT, options: SamplingOptions) -> None:
    """Refuse options that a model cannot follow.

    Raises:
        ValueError: top-k is above its vocabulary.
    """
    if options.top_k > gpt.config.vocab_size:
        raise ValueError(f"--top-k {options.top_k} is above the {gpt.config.vocab_size} tokens of the vocabulary")


@dataclass(frozen=True)
class _Filling:
    """Fills in the free tokens of rows, stretch by stretch."""

    gpt: GPT
    engine: Engine
    buffer: SampleBuffer
    noise: Noise
    options: SamplingOptions
    window: int
    adapts: bool
    counts: DecodingCounts

    def fill(self, stretch: Stretch, shared: int) -> None:
        """Sample the tokens of a stretch; `shared` rows in succession have the same prompt, which is read once."""
        start = stretch.start
        if start < stretch.stop and start == stretch.first and not self.gpt.config.bos:
            # Nothing to predict a first token from: all codes are equally likely, whatever the options are (as in the
            # programs that such models come from), and what is drawn becomes a prompt of its own.
            self.counts.tokens += self._free(start)
            self.buffer.put(start, self.noise.draw_first(start, self.gpt.config.vocab_size))
            start += 1
            shared = 1
        if start == stretch.stop:
            return
        prompts = self.buffer.rows.tokens[::shared, stretch.first : start]
        logits = self.engine.prefill(prompts, shared, stretch.stop - start)
        tokens = self._draw(start, logits)
        if self.window > 1:
            assert isinstance(self.engine, CachedEngine)
            assert isinstance(self.noise, GumbelNoise)
            ParallelDecoder(
                engine=self.engine,
                buffer=self.buffer,
                noise=self.noise,
                options=self.options,
                width=self.window,
                start=start,
                stop=stretch.stop,
                counts=self.counts,
                adapts=self.adapts,
            ).decode()
            return
        for position in range(start + 1, stretch.stop):
            tokens = self._draw(position, self.engine.step(tokens))

    def _draw(self, position: int, logits: Tensor) -> Tensor:
        """Draw the tokens (R,) of a position from logits (R, V), unless they are given; return what stands there."""
        self.counts.add_pass(self._free(position))
        return self.buffer.fill(position, self.noise.draw(position, logits, self.options), logits)

    def _free(self, position: int) -> int:
        """Return in how many rows the token at a position is not given."""
        return int((self.buffer.rows.tokens[:, position] == FREE).sum())


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
