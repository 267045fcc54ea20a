"""A question to a model, and its answer: exactly what `complete` would make of the same."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sampling.complete import Work, sample_items
from sampling.completion import Completion, assemble
from sampling.options import CompleteOptions, Prompt, Request, SamplingOptions
from sampling.parallel import DecodingCounts
from sampling.prompts import Layout, lay_out, size_of
from sampling.sampled import FREE, Sampled
from viewing.app.examples import Example
from viewing.app.jobs import Job
from viewing.app.models import Pair

SHOWN_EVERY = 0.16
"""Seconds from one look at the tokens to the next, at least; drawing them takes less."""
MOST_CONTINUATIONS = 8
"""Continuations that are asked for at once, at most."""


@dataclass(frozen=True)
class Question:
    """What is asked of every model alike."""

    example: Example
    prompt: Prompt
    n: int
    sampling: SamplingOptions
    seed: int

    def options(self, pair: Pair, out: Path) -> CompleteOptions:
        """Return the options of `complete` that ask for the same.

        Raises:
            ValueError: there can be no such options.
        """
        return CompleteOptions.of(
            gpt=pair.gpt_path,
            tokenizer=pair.tokenizer_path,
            out=out,
            input=self.example.inputs,
            prompt=self.prompt.kind,
            given=self.prompt.given,
            n=self.n,
            items=self.example.items,
            seed=self.seed,
            sampling_precision=pair.precision,
            **self.sampling.flat(),
        )


@dataclass(frozen=True)
class Look:
    """How far the continuations of a model are."""

    pair: Pair
    layout: Layout
    clip: Tensor | None
    """(3, T, H, W) in [-1, 1]; None where nothing is given."""
    tokens: Tensor
    """(n, t, h, w) int64, `FREE` where none is drawn yet; on the CPU."""

    @property
    def share(self) -> float:
        """Of the tokens that are to be drawn, those that are."""
        free = ~self.layout.given
        return float((self.tokens[:, free] != FREE).float().mean())


@dataclass(frozen=True)
class Answer:
    """What a model made of a question."""

    pair: Pair
    question: Question
    work: Work
    clips: Tensor | None
    """(1, 3, T, H, W) in [-1, 1]; None where nothing is given."""
    sampled: Sampled
    """(1, n, t, h, w), on the CPU."""
    counts: DecodingCounts
    completion: Completion
    seconds: float
    """That sampling took."""

    @property
    def digest(self) -> str:
        """Of the tokens: the same digits are the same tokens."""
        return hashlib.sha256(self.sampled.tokens.numpy().tobytes()).hexdigest()[:8]


def prepare(pair: Pair, question: Question, clips: Tensor | None) -> Work:
    """Return what `complete` prepares for the same question.

    Args:
        pair: the models.
        question: to them.
        clips: (1, 3, T, H, W) in [-1, 1] of its example; None where nothing is given.

    Raises:
        MismatchError: the model does not know grids of this size.
        ValueError: what is given does not fit.
    """
    options = question.options(pair, Path())
    request: Request = options.request()
    layout = lay_out(pair.gpt, pair.tokenizer, None if clips is None else size_of(clips), request)
    return Work(
        gpt=pair.gpt,
        tokenizer=pair.tokenizer,
        form=pair.clip_format,
        items=[question.example.item],
        skipped=[],
        request=request,
        layout=layout,
        batch=options.batch,
        precision=pair.precision,
        window=options.window,
    )


def ask(pair: Pair, question: Question, job: Job[Look, list[Answer]]) -> Answer:
    """Return a model's answer, which is shown while it is made.

    Raises:
        MediaError: the example cannot be read any more.
        StoppedError: it is to end.
        ValueError: the question has no answer; `MismatchError` is one.
    """
    clips = question.example.read(pair.clip_format)
    work = prepare(pair, question, clips)
    counts = DecodingCounts()
    watch = _Watch(pair, work.layout, None if clips is None else clips[0], job)
    begin = time.perf_counter()
    sampled = sample_items(work, work.items, clips, counts, watch)
    seconds = time.perf_counter() - begin
    job.check()
    completion = assemble(pair.tokenizer, watch.clip, work.layout, sampled[0])
    return Answer(pair, question, work, clips, sampled, counts, completion, seconds)


def ask_all(pairs: Sequence[Pair], question: Question, job: Job[Look, list[Answer]]) -> list[Answer]:
    """Return the answers of several models to the same question, one after another: see `ask`."""
    return [ask(pair, question, job) for pair in pairs]


@dataclass
class _Watch:
    """Shows the tokens as they are drawn, now and then."""

    pair: Pair
    layout: Layout
    clip: Tensor | None
    job: Job[Look, list[Answer]]
    last: float = -math.inf

    def __call__(self, rows: Sampled) -> None:
        self.job.check()
        now = time.monotonic()
        if now - self.last >= SHOWN_EVERY:
            self.last = now
            tokens = rows.tokens.cpu().clone().unflatten(-1, self.layout.grid)
            self.job.show(Look(self.pair, self.layout, self.clip, tokens))
