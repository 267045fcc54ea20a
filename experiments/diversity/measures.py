"""Figures of the continuations of one item: how varied they are, how near to the truth, whether they are the truth.

What the figures mean stands beside the columns of `experiments.diversity.tables.Measures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.diversity.spaces import Generated, Space
from experiments.diversity.tables import Measures


def embed_truths(spaces: Sequence[Space], truths: Generated) -> dict[str, Tensor]:
    """Return the vectors (N, D) of what followed in all N items of a run, in every space but `perceptual`.

    They are those of the tokenizer's reconstructions: beside originals, which are sharp, whatever a tokenizer makes
    looks alike to a network.

    Perceptual vectors are too large to keep: several numbers for every pixel.

    Raises:
        ValueError: there is only one item, so that none can be mistaken for it.
    """
    if len(truths.tokens) < 2:
        raise ValueError("continuations are identified among at least 2 items: raise --items")
    return {space.name: space.embed(truths) for space in spaces if space.name != "perceptual"}


def measure(
    spaces: Sequence[Space],
    made: Mapping[str, Generated],
    truth: Generated,
    truths: Mapping[str, Tensor],
    number: int,
) -> dict[str, Measures]:
    """Measure the continuations of one item, by whom they were made.

    Distances to the truth are to the original. A continuation counts as identified if it is nearer to its own truth
    than to every other one, all of them as the tokenizer shows them; where two items have the same truth, none is.

    Args:
        spaces: where distances are measured, those of pixels and tokens among them.
        made: by each name, of the model or of a baseline, N continuations, at least one.
        truth: the original of the item, N = 1.
        truths: of all items, from `embed_truths`.
        number: row of the item in `truths`.
    """
    figures: dict[str, dict[str, Any]] = {name: dict.fromkeys(Measures.__dataclass_fields__) for name in made}
    together = Generated(*(torch.cat(parts) for parts in zip(*made.values(), truth, strict=True)))
    counts = [len(continuations.tokens) for continuations in made.values()]
    for space in spaces:
        # All at once, since networks take nearly as long for few images as for many.
        *vectors, own = space.embed(together).split([*counts, 1])
        for name, of_name in zip(made, vectors, strict=True):
            figures[name] |= _distances(space, of_name, own)
            if space.name in truths:
                to_truths = space.distances(of_name, truths[space.name])
                figures[name][f"identified_{space.name}"] = _share_identified(to_truths, number)
    for name, continuations in made.items():
        matching = continuations.tokens.eq(truth.tokens).sum(dim=1)
        figures[name]["retrieved"] = _share(10 * matching >= 9 * truth.tokens.shape[1])
        figures[name]["exact"] = _share(matching == truth.tokens.shape[1])
    return {name: Measures(**of_name) for name, of_name in figures.items()}


def _distances(space: Space, vectors: Tensor, truth: Tensor) -> dict[str, float | None]:
    """Return the distances among continuations (N, D), and to the truth (1, D)."""
    distances = space.distances(vectors, torch.cat([vectors, truth]))
    return {
        f"pairwise_{space.name}": _mean_of_pairs(distances[:, :-1]),
        f"truth_{space.name}": float(distances[:, -1].mean()),
        f"best_{space.name}": float(distances[:, -1].min()),
    }


def _mean_of_pairs(distances: Tensor) -> float | None:
    """Return the mean of symmetric distances (N, N) over unordered pairs, None if there is none."""
    first, second = torch.triu_indices(len(distances), len(distances), offset=1)
    return float(distances[first, second].mean()) if len(first) else None


def _share_identified(distances: Tensor, number: int) -> float:
    """Return how often, in distances (N, M) to the truths, that to truth `number` is the smallest."""
    others = torch.cat([distances[:, :number], distances[:, number + 1 :]], dim=1)
    return _share(distances[:, number] < others.amin(dim=1))


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())
