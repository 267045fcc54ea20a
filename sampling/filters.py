"""Which tokens may be drawn: temperature, top-k, top-p and min-p.

Axes: M places, C candidates among the V codes of the vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sampling.options import SamplingOptions

BEYOND = 8
"""Codes beyond the k likeliest of which is known whether rounding could bring them among these."""


def filter_logits(logits: Tensor, options: SamplingOptions) -> tuple[Tensor, Tensor | None]:
    """Return what is left after temperature, top-k, top-p and min-p, in that order.

    Each filter looks at the probabilities that the one before it left, rescaled to sum to one.

    Args:
        logits: (M, V).
        options: with a temperature above 0.

    Returns:
        (M, C) float64 probabilities up to a factor, 0 for what was filtered out, and the tokens (M, C) they belong to;
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


class Kept(NamedTuple):
    """What filters keep of every place whose logits are not known exactly; ranked by likelihood, C of V codes."""

    codes: Tensor
    """(M, C) int64."""
    probabilities: Tensor
    """(M, C) float64, up to the factor of `filter_logits`, of codes that are filtered out as well."""
    certain: Tensor
    """(M, C) bool: kept whatever the logits are."""
    possible: Tensor
    """(M, C) bool: kept by some logits."""
    complete: Tensor
    """(M,) bool: whether all codes that are possible are among these."""


def surely_kept(logits: Tensor, options: SamplingOptions, slack: Tensor) -> Kept:
    """Return what `filter_logits` keeps for all logits, and for some, that are as far from the given as rounding goes.

    All three filters keep the likeliest codes up to some rank. Codes on either side of that border whose logits differ
    by less than the slack could change sides.

    Args:
        logits: (M, V).
        options: with a temperature above 0 and a filter.
        slack: (M,) float64, how far the difference of two logits may be off, after the division by the temperature.
    """
    logits = logits.double() / options.temperature
    vocab_size = logits.shape[-1]
    top_k = options.top_k or vocab_size
    ranked, codes = logits.topk(min(vocab_size, top_k + BEYOND))
    probabilities = (ranked - ranked[:, :top_k].logsumexp(dim=-1, keepdim=True)).exp()
    slack = slack[:, None]
    fewest = _kept_count(probabilities, top_k, options, -slack)
    most = _kept_count(probabilities, top_k, options, slack)
    beyond = torch.cat([ranked, torch.full_like(ranked[:, :1], -torch.inf)], dim=-1)
    certain = ranked > beyond.gather(1, fewest) + slack
    possible = ranked >= ranked.gather(1, most - 1) - slack
    complete = ~possible[:, -1] | (ranked.shape[-1] == vocab_size)
    return Kept(codes, probabilities, certain, possible, complete)


def _kept_count(probabilities: Tensor, top_k: int, options: SamplingOptions, slack: Tensor) -> Tensor:
    """Return how many of ranked codes (M, C) are kept if thresholds are moved by a slack (M, 1): (M, 1), at least 1."""
    before = probabilities.cumsum(dim=-1) - probabilities
    kept = (before < options.top_p * (1 + 2 * slack)) | (options.top_p == 1)
    kept &= probabilities >= options.min_p * probabilities[:, :1] * (-slack).exp()
    kept &= torch.arange(probabilities.shape[-1], device=probabilities.device) < top_k
    return kept.sum(dim=-1, keepdim=True).clamp(min=1)
