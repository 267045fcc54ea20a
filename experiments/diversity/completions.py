"""How varied a handful of completions are: the measures in pixels and tokens alone, with no data set around them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch

from experiments.diversity.measures import embed_truths, measure
from experiments.diversity.spaces import Generated, build_spaces
from experiments.diversity.tables import MODEL
from sampling.completion import Completion

FIGURES = {
    "pairwise": "pairwise_pixel",
    "to_truth": "truth_pixel",
    "pairwise_tokens": "pairwise_token",
    "to_truth_tokens": "truth_token",
    "identified": "identified_pixel",
}


def measure_completions(completions: Sequence[Completion]) -> dict[str, float]:
    """Return means over items of what `measures.measure` says, under the names in `FIGURES`.

    The truth is the tokenizer's reconstruction, so that what the tokenizer cannot say does not count.

    Args:
        completions: at least two of each item, with the same part given and as long as the original. Of a single item
            `identified` is missing: there is none that it could be mistaken for.

    Raises:
        ValueError: there is no truth, or only one continuation.
    """
    continuations, truths = [], []
    for completion in completions:
        if completion.reconstruction is None or completion.truth is None:
            raise ValueError("there is no truth to compare with: nothing was given")
        if len(completion.tokens) < 2:
            raise ValueError("the distance between continuations takes at least two of each prompt")
        continuations.append(_generated(completion, completion.continuations, completion.tokens))
        truths.append(_generated(completion, completion.reconstruction[None], completion.truth[None]))
    spaces = build_spaces("none", "none", torch.device("cpu"))
    together = Generated(*(torch.cat(parts) for parts in zip(*truths, strict=True)))
    several = len(truths) > 1
    embedded = embed_truths(spaces, together) if several else {}
    measured = [
        measure(spaces, {MODEL: made}, truth, embedded, number)[MODEL]
        for number, (made, truth) in enumerate(zip(continuations, truths, strict=True))
    ]
    names = [name for name in FIGURES if several or name != "identified"]
    return {name: fmean(getattr(one, FIGURES[name]) for one in measured) for name in names}


def _generated(completion: Completion, clips: torch.Tensor, tokens: torch.Tensor) -> Generated:
    """Cut what was generated out of clips (N, 3, T, H, W) and token grids (N, t, h, w)."""
    given = completion.given_pixels
    frames = int(given.all(dim=2).all(dim=1).sum())
    rows = int(given[frames].all(dim=1).sum())
    return Generated(clips[:, :, frames:, rows:], tokens[:, ~completion.given])
