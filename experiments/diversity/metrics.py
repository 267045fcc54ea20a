"""Metrics of continuations: how varied they are, how near to the truth, whether they are the truth.

What each of them means stands beside the columns of `experiments.diversity.tables.ContinuationMetrics`.

Axes: N continuations of an item, I items, T frames, H rows, W columns of pixels; D dimensions of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from experiments.diversity.distances import EmbeddingDistance, Generated, build_distances
from experiments.diversity.tables import DISTANCES, MODEL, BestOfSome, ContinuationMetrics
from sampling.completion import Completion

RETRIEVED_PERCENT = 90
"""Of the truth's tokens, from which on a continuation counts as retrieved."""

COMPLETION_METRICS = {
    "pairwise": "pairwise_pixel",
    "to_truth": "truth_pixel",
    "pairwise_tokens": "pairwise_token",
    "to_truth_tokens": "truth_token",
    "identified": "identified_pixel",
}
"""What `measure_completions` calls columns of `ContinuationMetrics`."""


def embed_truths(distances: Sequence[EmbeddingDistance], truths: Generated) -> dict[str, Tensor]:
    """Return the vectors (I, D) of what followed in all I items of a run, for every distance but `perceptual`.

    They are those of the tokenizer's reconstructions: beside originals, which are sharp, whatever a tokenizer makes
    looks alike to a network.

    Perceptual vectors are too large to keep: several numbers for every pixel.

    Raises:
        ValueError: there is only one item, so that none can be mistaken for it.
    """
    if len(truths.tokens) < 2:
        raise ValueError("continuations are identified among at least 2 items: raise --items")
    return {distance.name: distance.embed(truths) for distance in distances if distance.name != "perceptual"}


@dataclass(frozen=True)
class Measured:
    """What the continuations of one item, by one model or baseline, were measured to be."""

    metrics: ContinuationMetrics
    """Of all of them."""
    best: tuple[BestOfSome, ...]
    """Of the best of 1, 2, 4 ... of them."""


def measure(
    distances: Sequence[EmbeddingDistance],
    continuations: Mapping[str, Generated],
    truth: Generated,
    truths: Mapping[str, Tensor],
    item: int,
) -> dict[str, Measured]:
    """Measure the continuations of one item, by whom they were made.

    Distances to the truth are to the original. A continuation counts as identified if it is nearer to its own truth
    than to every other one, all of them as the tokenizer shows them; where two items have the same truth, none is.

    Args:
        distances: what they are compared by, pixels and tokens among them.
        continuations: of the model or of a baseline, by its name; N of each, at least one.
        truth: the original of the item, N = 1.
        truths: of all items, from `embed_truths`.
        item: row of the item in `truths`.
    """
    found: dict[str, dict[str, Any]] = {
        name: dict.fromkeys(ContinuationMetrics.__dataclass_fields__) for name in continuations
    }
    to_truth: dict[str, dict[str, Tensor]] = {name: {} for name in continuations}
    together = _concatenated([*continuations.values(), truth])
    counts = [len(made.tokens) for made in continuations.values()]
    for distance in distances:
        # All at once, since networks take nearly as long for few images as for many.
        *vectors, own_truth = distance.embed(together).split([*counts, 1])
        for name, vectors_of_name in zip(continuations, vectors, strict=True):
            distances_of_name = distance.between(vectors_of_name, torch.cat([vectors_of_name, own_truth]))
            to_truth[name][distance.name] = distances_of_name[:, -1]
            found[name] |= _distance_metrics(distance.name, distances_of_name)
            if distance.name in truths:
                to_truths = distance.between(vectors_of_name, truths[distance.name])
                found[name][f"identified_{distance.name}"] = _share_identified(to_truths, item)
    length = truth.tokens.shape[1]
    for name, made in continuations.items():
        matching = made.tokens.eq(truth.tokens).sum(dim=1)
        found[name]["retrieved"] = _share(100 * matching >= RETRIEVED_PERCENT * length)
        found[name]["exact"] = _share(matching == length)
    return {
        name: Measured(metrics=ContinuationMetrics(**metrics), best=best_of_some(to_truth[name]))
        for name, metrics in found.items()
    }


def best_of_some(to_truth: Mapping[str, Tensor]) -> tuple[BestOfSome, ...]:
    """Return the smallest distance to the truth of 1, 2, 4 ... and of all of N continuations.

    Args:
        to_truth: (N,) distances of the continuations to the truth, by the name of the distance; pixels and tokens are
            among them.
    """
    drawn = len(to_truth["pixel"])
    sizes = [size for size in (2**power for power in range(drawn.bit_length())) if size < drawn]
    best: list[BestOfSome] = []
    for size in [*sizes, drawn]:
        found: dict[str, Any] = dict.fromkeys(f"best_{name}" for name in DISTANCES)
        found |= {f"best_{name}": expected_best(distances, size) for name, distances in to_truth.items()}
        best.append(BestOfSome(best_of=size, **found))
    return tuple(best)


def expected_best(distances: Tensor, size: int) -> float:
    """Return the mean, over all ways to choose `size` of N distances (N,), of the smallest one chosen.

    The i-th smallest of all is the smallest of those chosen in C(N - i, size - 1) of the C(N, size) ways.
    """
    ordered = distances.double().sort().values.tolist()
    last = len(ordered) - 1
    ways = [comb(last - index, size - 1) for index in range(len(ordered))]
    return sum(way * distance for way, distance in zip(ways, ordered, strict=True)) / comb(len(ordered), size)


def measure_completions(completions: Sequence[Completion]) -> dict[str, float]:
    """Return means over items of metrics in pixels and tokens, under the names in `COMPLETION_METRICS`.

    The truth is the tokenizer's reconstruction, so that what the tokenizer cannot say does not count.

    Args:
        completions: at least two of each item, with the same part given and as long as the original. Of a single item
            `identified` is missing: there is none that it could be mistaken for.

    Raises:
        ValueError: there is no truth, or only one continuation.
    """
    continuations: list[Generated] = []
    truths: list[Generated] = []
    for completion in completions:
        if completion.reconstruction is None or completion.truth is None:
            raise ValueError("there is no truth to compare with: nothing was given")
        if len(completion.sampled) < 2:
            raise ValueError("the distance between continuations takes at least two of each prompt")
        continuations.append(_generated(completion, completion.continuations, completion.sampled.tokens))
        truths.append(_generated(completion, completion.reconstruction[None], completion.truth[None]))
    distances = build_distances("none", "none", torch.device("cpu"))
    several = len(truths) > 1
    embedded = embed_truths(distances, _concatenated(truths)) if several else {}
    measured = [
        measure(distances, {MODEL: made}, truth, embedded, item)[MODEL].metrics
        for item, (made, truth) in enumerate(zip(continuations, truths, strict=True))
    ]
    names = [name for name in COMPLETION_METRICS if several or name != "identified"]
    return {name: fmean(getattr(one, COMPLETION_METRICS[name]) for one in measured) for name in names}


def _concatenated(several: Sequence[Generated]) -> Generated:
    """Put continuations below one another."""
    return Generated(
        pixels=torch.cat([made.pixels for made in several]),
        tokens=torch.cat([made.tokens for made in several]),
    )


def _distance_metrics(name: str, distances: Tensor) -> dict[str, float | None]:
    """Return the means of distances (N, N + 1) of continuations among each other and to the truth, which is last."""
    return {
        f"pairwise_{name}": _mean_of_pairs(distances[:, :-1]),
        f"truth_{name}": float(distances[:, -1].mean()),
        f"best_{name}": float(distances[:, -1].min()),
    }


def _mean_of_pairs(distances: Tensor) -> float | None:
    """Return the mean of symmetric distances (N, N) over unordered pairs, None if there is none."""
    first, second = torch.triu_indices(len(distances), len(distances), offset=1)
    return float(distances[first, second].mean()) if len(first) else None


def _share_identified(distances: Tensor, item: int) -> float:
    """Return how often, in distances (N, I) to the truths, that to the item's own is the smallest."""
    others = torch.cat([distances[:, :item], distances[:, item + 1 :]], dim=1)
    return _share(distances[:, item] < others.amin(dim=1))


def _share(hits: Tensor) -> float:
    """Return the share of true values among (N,) bool."""
    return float(hits.double().mean())


def _generated(completion: Completion, clips: Tensor, tokens: Tensor) -> Generated:
    """Cut what was generated out of clips (N, 3, T, H, W) and token grids (N, t, h, w)."""
    given = completion.given_pixels
    frames = int(given.all(dim=2).all(dim=1).sum())
    rows = int(given[frames].all(dim=1).sum())
    return Generated(pixels=clips[:, :, frames:, rows:], tokens=tokens[:, ~completion.given])
