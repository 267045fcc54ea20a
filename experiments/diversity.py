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
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations

from torch import Tensor

from sampling.completion import Completion
from sampling.config import PromptKind


@dataclass(frozen=True)
class Diversity:
    """Distances among the continuations of one prompt, and to the truth."""

    pairwise: float
    to_truth: float
    pairwise_tokens: float
    to_truth_tokens: float


def measure_diversity(completion: Completion, reconstructions: Tensor, kind: PromptKind) -> list[Diversity]:
    """Measure each prompt's continuations.

    Args:
        completion: at least two continuations per prompt.
        reconstructions: (B, 3, T, H, W), what the tokenizer makes of the originals.
        kind: what was given, and so is left out of the comparison.

    Raises:
        ValueError: there is one continuation, which differs from no other.
    """
    n = completion.tokens.shape[1]
    if n < 2:
        raise ValueError("the distance between continuations takes at least two of each prompt")
    results = []
    for number in range(len(completion.tokens)):
        clips = _generated(completion.continuations[number], kind)
        truth = _generated(reconstructions[number], kind)
        tokens = completion.tokens[number, :, completion.given :]
        true_tokens = completion.truth[number, completion.given :]
        pairs = list(combinations(range(n), 2))
        results.append(
            Diversity(
                pairwise=_mean(_pixel_distance(clips[i], clips[j]) for i, j in pairs),
                to_truth=_mean(_pixel_distance(clip, truth) for clip in clips),
                pairwise_tokens=_mean(float(tokens[i].ne(tokens[j]).float().mean()) for i, j in pairs),
                to_truth_tokens=_mean(float(row.ne(true_tokens).float().mean()) for row in tokens),
            )
        )
    return results


def mean_diversity(measures: list[Diversity]) -> dict[str, float]:
    """Return the mean of each measure over items."""
    return {name: _mean(asdict(measure)[name] for measure in measures) for name in Diversity.__dataclass_fields__}


def _generated(clips: Tensor, kind: PromptKind) -> Tensor:
    """Return the part of clips (..., 3, T, H, W) that was not given."""
    if kind == "half-image":
        return clips[..., clips.shape[-2] // 2 :, :]
    if kind == "half-clip":
        return clips[..., clips.shape[-3] // 2 :, :, :]
    return clips


def _pixel_distance(a: Tensor, b: Tensor) -> float:
    return float(((a - b) / 2).square().mean().sqrt())


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)
