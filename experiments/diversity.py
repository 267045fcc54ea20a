"""How diverse are continuations, and how near to the truth?

Question: given half of an image or half of a clip, do continuations differ, and do they hit what really followed?
Method: n continuations of each prompt; distances over the generated part only. `pairwise` is the mean distance between
two continuations of one prompt, `to_truth` the mean distance of a continuation to the tokenizer's reconstruction of the
truth, so that what the tokenizer cannot say does not count. Distances are root mean square differences of pixels on the
scale [0, 1]; token distances are shares of differing tokens.
Output: one row of measures per item.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

from sampling.completion import Completion
from sampling.distance import distances_to_truth, imagined_pixels, pixel_distance


@dataclass(frozen=True)
class Diversity:
    """Distances among the continuations of one prompt, and to the truth."""

    pairwise: float
    to_truth: float
    pairwise_tokens: float
    to_truth_tokens: float


def measure_diversity(completion: Completion) -> Diversity:
    """Measure the continuations of one prompt.

    Where they are longer than the original, only the common part is compared with it.

    Raises:
        ValueError: there is one continuation, which differs from no other, or no truth in what was imagined.
    """
    n, truth = len(completion.tokens), completion.truth
    if n < 2:
        raise ValueError("the distance between continuations takes at least two of each prompt")
    to_truth = distances_to_truth(completion)
    if truth is None or not to_truth:
        raise ValueError("there is no truth to compare with: the original ends where the prompt does")
    free = ~completion.given
    clips = [imagined_pixels(clip, completion.given_pixels) for clip in completion.continuations]
    tokens = completion.tokens[:, free]
    known = completion.tokens[:, : len(truth)][:, free[: len(truth)]]
    pairs = list(combinations(range(n), 2))
    return Diversity(
        pairwise=_mean(pixel_distance(clips[i], clips[j]) for i, j in pairs),
        to_truth=_mean(to_truth),
        pairwise_tokens=_mean(float(tokens[i].ne(tokens[j]).float().mean()) for i, j in pairs),
        to_truth_tokens=_mean(float(row.ne(truth[free[: len(truth)]]).float().mean()) for row in known),
    )


def mean_diversity(measures: Sequence[Diversity]) -> dict[str, float]:
    """Return the mean of each measure over items."""
    return {name: _mean(asdict(measure)[name] for measure in measures) for name in Diversity.__dataclass_fields__}


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)
