"""Continuations, finished and in the making: their tokens, and how sure the model was of each.

Axes: B prompts, n continuations of each, R = B * n rows, L tokens, W places of a window, V vocabulary; t, h, w of the
token grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

FREE = -1
"""Stands for a token that is not given."""

Watch = Callable[["Sampled"], None]
"""What is shown the rows (R, L) after every pass of the model that drew tokens: tokens not drawn yet are `FREE`, their
scores NaN. It must change nothing and keep nothing but copies; an error that it raises ends the sampling."""


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


class SampleBuffer:
    """The rows that are being filled in, and the scores of what was filled in.

    Args:
        tokens: (R, L) int64 with `FREE` where tokens are to be sampled.
        watch: who is shown what was filled in.
    """

    def __init__(self, tokens: Tensor, watch: Watch | None = None) -> None:
        self.rows = Sampled.without_scores(tokens)
        self.watch = watch

    def put(self, position: int, tokens: Tensor) -> Tensor:
        """Put tokens (R,) at a position unless others are given there; return what stands there now, (R,)."""
        there = self.rows.tokens[:, position]
        kept = torch.where(there == FREE, tokens, there)
        self.rows.tokens[:, position] = kept
        return kept

    def fill(self, position: int, drawn: Tensor, logits: Tensor) -> Tensor:
        """Put tokens (R,) that were drawn from (R, V) logits, score and return what stands there now (R,)."""
        tokens = self.put(position, drawn)
        log_probability, entropy = score(logits, tokens)
        self.rows.log_probability[:, position] = log_probability
        self.rows.entropy[:, position] = entropy
        self._show()
        return tokens

    def fill_some(self, positions: Tensor, tokens: Tensor, logits: Tensor, taken: Tensor) -> None:
        """Put and score tokens at the places of a window that are taken.

        Args:
            positions: (R, W) int64, all different in a row.
            tokens: (R, W) int64.
            logits: (R, W, V) that they were drawn from.
            taken: (R, W) bool.
        """
        log_probability, entropy = score(logits[taken], tokens[taken])
        rows = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(positions)
        index = (rows[taken], positions[taken])
        self.rows.tokens[index] = tokens[taken]
        self.rows.log_probability[index] = log_probability
        self.rows.entropy[index] = entropy
        self._show()

    def _show(self) -> None:
        if self.watch is not None:
            self.watch(self.rows)


def score(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probability of tokens (M,) int64 under logits (M, V), and the entropy of these: (M,), in nats."""
    log_probabilities = logits.float().log_softmax(dim=-1)
    chosen = log_probabilities.gather(1, tokens[:, None])[:, 0]
    return chosen, -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
