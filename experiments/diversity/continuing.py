"""Continuing some items in one way, and measuring what comes of it.

Axes: b items, n continuations of each, P given and G generated of L tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.diversity.baselines import Baselines
from experiments.diversity.matches import TrainingTokens
from experiments.diversity.measures import measure
from experiments.diversity.parts import Part
from experiments.diversity.spaces import Generated, Space
from experiments.diversity.stage import Stage
from experiments.diversity.tables import MODEL, AuditRow, ItemRow
from gpt.model import GPT
from sampling.decode import Sampled, sample
from sampling.options import PromptEncoding, SamplingOptions
from vqgan.tokenizer import Tokenizer

NO_SAMPLING = {"temperature": None, "top_k": None, "top_p": None, "min_p": None}
"""The sampling options of baselines."""


@dataclass(frozen=True)
class Subject:
    """Who continues, and what it is judged by."""

    gpt: GPT
    tokenizer: Tokenizer
    training: TrainingTokens
    spaces: Sequence[Space]
    label: Mapping[str, Any]
    """The columns of `Way` that are the same in all rows of a run."""
    n: int
    seed: int


class Continuing:
    """Continues and measures the items of one stage.

    Args:
        subject: who continues.
        stage: the amount given.
        truths: what followed in all items, as `measures.embed_truths` returns it.
    """

    def __init__(self, subject: Subject, stage: Stage, truths: Mapping[str, Tensor]) -> None:
        self.subject = subject
        self.stage = stage
        self.truths = truths
        self.baselines = Baselines(stage, subject.tokenizer, subject.training, subject.n)

    def with_model(self, numbers: Sequence[int], encoding: PromptEncoding, setting: SamplingOptions) -> Part:
        """Let the model continue items."""
        sampled = self._sample(numbers, encoding, setting)
        truth_bits = self._truth_bits(numbers, encoding)
        entropy_bits = sampled.entropy[..., self.stage.generated_places].double().mean(dim=1) / math.log(2)
        rows: list[ItemRow] = []
        audit: list[AuditRow] = []
        for place, number in enumerate(numbers):
            grids = sampled.tokens[place].unflatten(1, self.stage.layout.grid)
            continuations = self.stage.decode(self.subject.tokenizer, grids)
            scores = {"entropy_bits": float(entropy_bits[place].sum()), "truth_bits": float(truth_bits[place].sum())}
            rows += self._rows(number, encoding, asdict(setting), {MODEL: continuations}, scores)
            audit += self._audit(number, encoding, setting, continuations.tokens)
        return Part(tuple(rows), tuple(audit), sampled.tokens, entropy_bits, truth_bits)

    def without_model(self, numbers: Sequence[int], encoding: PromptEncoding) -> Part:
        """Measure the baselines of items."""
        scores = {"entropy_bits": None, "truth_bits": None}
        rows: list[ItemRow] = []
        for number in numbers:
            rows += self._rows(number, encoding, NO_SAMPLING, self.baselines.of(number, encoding), scores)
        nothing = torch.empty(len(numbers), 0, dtype=torch.float64)
        return Part(tuple(rows), (), torch.empty(len(numbers), 0, 0, dtype=torch.int64), nothing, nothing)

    def _sample(self, numbers: Sequence[int], encoding: PromptEncoding, setting: SamplingOptions) -> Sampled:
        subject = self.subject
        given = self.stage.layout.place(self.stage.prompts[encoding][numbers]).to(subject.gpt.device)
        sampled = sample(subject.gpt, given, subject.n, setting, subject.seed, numbers)
        return Sampled(sampled.tokens.cpu(), sampled.log_probability.cpu(), sampled.entropy.cpu())

    @torch.no_grad()
    def _truth_bits(self, numbers: Sequence[int], encoding: PromptEncoding) -> Tensor:
        """Return minus the binary logarithm of the probability of each token that really followed: (b, G) float64."""
        prompts = self.stage.prompts[encoding][numbers].flatten(1)
        tokens = torch.cat([prompts, self.stage.truths.tokens[numbers]], dim=1)
        nats = self.subject.gpt.nll(tokens.to(self.subject.gpt.device)).cpu()
        return nats[:, self.stage.generated_places].double() / math.log(2)

    def _way(self, number: int, encoding: PromptEncoding, setting: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that say which item was continued, and how."""
        item = self.stage.material.items[number]
        return {
            **self.subject.label,
            "group": self.stage.material.groups[number],
            "encoding": encoding,
            "given": self.stage.given,
            "given_share": self.stage.given_share,
            **setting,
            "item": number,
            "source": item.source.name,
            "start": item.start,
        }

    def _rows(
        self,
        number: int,
        encoding: PromptEncoding,
        setting: Mapping[str, Any],
        made: Mapping[str, Generated],
        scores: Mapping[str, Any],
    ) -> list[ItemRow]:
        """Measure what the model or the baselines made of an item."""
        measured = measure(self.subject.spaces, made, self.stage.truth(number), self.truths, number)
        return [
            ItemRow(
                **self._way(number, encoding, setting),
                continuation=name,
                n=len(continuations.tokens),
                generated_tokens=continuations.tokens.shape[1],
                prompt_tokens_changed=int(self.stage.changed[number]),
                **asdict(measured[name]),
                **scores,
            )
            for name, continuations in made.items()
        ]

    def _audit(self, number: int, encoding: PromptEncoding, setting: SamplingOptions, tokens: Tensor) -> list[AuditRow]:
        """Look for the continuations (n, G) of an item in the training tokens."""
        training, places = self.subject.training, self.stage.generated_places
        item = self.stage.material.items[number]
        itself = item.source.name, item.start
        truth = training.nearest(self.stage.truth(number).tokens, places, excluded=itself)[0]
        rows = []
        for place, match in enumerate(training.nearest(tokens, places)):
            nearest = training.item(match.index)
            rows.append(
                AuditRow(
                    **self._way(number, encoding, asdict(setting)),
                    number=place,
                    nearest_source=nearest.source,
                    nearest_start=nearest.start,
                    matching=match.matching,
                    own=(nearest.source, nearest.start) == itself,
                    truth_matching=truth.matching,
                )
            )
        return rows
