"""Chance in sampling: which token is drawn, as a function of seed, item, continuation, position and code alone.

| noise | chance of a position | what it decides |
|---|---|---|
| gumbel | a number for every code | the code with the largest sum of log-probability and Gumbel noise is drawn |
| inverse | one number | inverts the cumulative distribution over the codes |

Both draw a code exactly as often as it is probable (Maddison et al. 2014, "A* sampling", section 2). With Gumbel noise
the token seldom changes when the logits change a little, so that what a model will draw can be drafted and checked:
`sampling.parallel`.

Axes: B items, n continuations of each, R = B * n rows, M places (a row and a position each), C candidates among the V
codes of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sampling.filters import filter_logits, surely_kept
from sampling.options import NoiseKind, SamplingOptions

GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
"""The odd constant by which SplitMix64 counts, as int64."""
MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
"""Of SplitMix64's mixing function, variant 13 of Stafford, as int64."""


class Noise(Protocol):
    """Decides which tokens are drawn for the rows of a sample."""

    def draw_first(self, position: int, vocab_size: int) -> Tensor:
        """Return a token (R,) int64 for every row, all codes being equally likely."""

    def draw(self, position: int, logits: Tensor, options: SamplingOptions) -> Tensor:
        """Return the token (R,) int64 of every row at a position, given logits (R, V)."""


def make_noise(
    kind: NoiseKind, seed: int, items: Sequence[int], n: int, first: int, length: int, device: torch.device
) -> Noise:
    """Return the noise of a kind.

    Args:
        kind: see the module.
        seed: the same seed gives the same noise.
        items: index of each item among all those of a run.
        n: continuations of each.
        first: the first position that is sampled, from which `inverse` counts.
        length: of the sequences; positions lie below it.
        device: that samples.
    """
    if kind == "inverse":
        return InverseNoise(uniform_numbers(seed, items, n, length - first).to(device), first)
    return GumbelNoise(row_keys(seed, items, n).to(device))


class GumbelNoise:
    """Noise for every code of every place, made by a counter-based generator where it is needed.

    Of standard exponential noise E, minus the logarithm is Gumbel noise, so the code with the largest p / E is drawn.

    Args:
        keys: (R,) int64, of the rows: see `row_keys`.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys

    def draw_first(self, position: int, vocab_size: int) -> Tensor:
        """See `Noise`."""
        places = place_keys(self.keys, torch.full_like(self.keys, position))
        return exponential_noise(places, torch.arange(vocab_size, device=places.device)).argmin(dim=-1)

    def draw(self, position: int, logits: Tensor, options: SamplingOptions) -> Tensor:
        """See `Noise`."""
        return draw_gumbel(place_keys(self.keys, torch.full_like(self.keys, position)), logits, options)

    def draw_at(
        self, positions: Tensor, logits: Tensor, options: SamplingOptions, tolerance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens at several positions of every row, and whether slightly other logits would give the same.

        Args:
            positions: (R, W) int64.
            logits: (R, W, V).
            options: how to filter.
            tolerance: (R, W), how far each logit may be off.

        Returns:
            (R, W) int64 and (R, W) bool.
        """
        places = place_keys(self.keys[:, None], positions).flatten()
        tokens, sure = draw_surely(places, logits.flatten(0, 1), options, tolerance.flatten())
        return tokens.view(positions.shape), sure.view(positions.shape)


class InverseNoise:
    """One uniform number for every place, with which the cumulative distribution is inverted.

    Args:
        uniform: (R, L - p) float64 in [0, 1), for the positions from p on.
        first: p.
    """

    def __init__(self, uniform: Tensor, first: int) -> None:
        self.uniform = uniform
        self.first = first

    def draw_first(self, position: int, vocab_size: int) -> Tensor:
        """See `Noise`."""
        return (self.uniform[:, position - self.first] * vocab_size).long()

    def draw(self, position: int, logits: Tensor, options: SamplingOptions) -> Tensor:
        """See `Noise`."""
        return draw_inverse(self.uniform[:, position - self.first], logits, options)


def draw_gumbel(places: Tensor, logits: Tensor, options: SamplingOptions) -> Tensor:
    """Return the token (M,) int64 of every place, given its key (M,) int64 and its logits (M, V)."""
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    scores, codes = _scores(places, logits, options)
    best = scores.argmax(dim=-1, keepdim=True)
    return (best if codes is None else codes.gather(1, best)).squeeze(-1)


def draw_surely(places: Tensor, logits: Tensor, options: SamplingOptions, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `draw_gumbel` returns, and where logits that are off by the tolerance would give the same.

    Args:
        places: (M,) int64 keys.
        logits: (M, V).
        options: how to filter.
        tolerance: (M,), how far each logit may be off.

    Returns:
        (M,) int64 and (M,) bool.
    """
    if logits.shape[-1] == 1:
        return logits.argmax(dim=-1), torch.ones_like(places, dtype=torch.bool)
    if options.temperature == 0:
        largest = logits.topk(2)
        return largest.indices[:, 0], largest.values[:, 0] - largest.values[:, 1] > 2 * tolerance
    slack = 2 * tolerance.double() / options.temperature
    scores, codes = _scores(places, logits, options)
    if codes is None:
        largest = scores.topk(2)
        return largest.indices[:, 0], largest.values[:, 0] > largest.values[:, 1] * slack.exp()
    score, best = scores.max(dim=-1, keepdim=True)
    tokens = codes.gather(1, best)
    kept = surely_kept(logits, options, slack)
    own = kept.codes == tokens
    rivals = (kept.probabilities / exponential_noise(places, kept.codes)).masked_fill(~kept.possible | own, 0.0)
    ahead = score[:, 0] > rivals.amax(dim=-1) * slack.exp()
    return tokens[:, 0], ahead & (kept.certain & own).any(dim=-1) & kept.complete


def _scores(places: Tensor, logits: Tensor, options: SamplingOptions) -> tuple[Tensor, Tensor | None]:
    """Return p / E of the candidates, (M, C) float64, and the codes (M, C) they belong to; None where those are all."""
    probabilities, codes = filter_logits(logits, options)
    candidates = torch.arange(logits.shape[-1], device=logits.device) if codes is None else codes
    return probabilities / exponential_noise(places, candidates), codes


def draw_inverse(uniform: Tensor, logits: Tensor, options: SamplingOptions) -> Tensor:
    """Return one token per row by inverting the cumulative distribution.

    Args:
        uniform: (R,) float64 in [0, 1).
        logits: (R, V).
        options: how to filter.

    Returns:
        (R,) int64.
    """
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities, tokens = filter_logits(logits, options)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the last value, because filters and rounding leave it below one.
    target = uniform[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1)
    return (index if tokens is None else tokens.gather(1, index)).squeeze(-1)


def row_keys(seed: int, items: Sequence[int], n: int) -> Tensor:
    """Return a key for every continuation of every item, on which all its noise depends: (B * n,) int64."""
    keys = [
        np.random.SeedSequence(seed, spawn_key=(item, continuation)).generate_state(1, np.uint64)
        for item in items
        for continuation in range(n)
    ]
    return torch.from_numpy(np.concatenate(keys).view(np.int64))


def place_keys(keys: Tensor, positions: Tensor) -> Tensor:
    """Return the key int64 of every place: of a row with a key, and a position int64; both broadcast."""
    return _mix(keys + GOLDEN_GAMMA * (positions + 1))


def exponential_noise(places: Tensor, codes: Tensor) -> Tensor:
    """Return standard exponential noise of every code at every place: the generator SplitMix64, entered at the code.

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

    Args:
        places: (M,) int64 keys.
        codes: (M, C) or (C,) int64.

    Returns:
        (M, C) float64, above 0.
    """
    bits = _mix(places[:, None] + GOLDEN_GAMMA * (codes + 1))
    # The middles of 2^52 equal parts of the unit interval, of which neither end can be rounded to 0 or 1.
    uniform = _shift_right(bits, 12).double().mul_(2.0**-52).add_(2.0**-53)
    return uniform.log_().neg_()


def _mix(x: Tensor) -> Tensor:
    """Return int64 numbers of which every bit depends on every bit of `x`, which is overwritten."""
    x ^= _shift_right(x, 30)
    x *= MULTIPLIERS[0]
    x ^= _shift_right(x, 27)
    x *= MULTIPLIERS[1]
    x ^= _shift_right(x, 31)
    return x


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Return `x` int64, taken as 64 bits without a sign, divided by 2^bits."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def uniform_numbers(seed: int, items: Sequence[int], n: int, length: int) -> Tensor:
    """Return uniform numbers of which each row depends on the seed, its item and its continuation only.

    Returns:
        (B * n, length) float64 in [0, 1).
    """
    rows = [
        np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, item, continuation)))).random(length)
        for item in items
        for continuation in range(n)
    ]
    return torch.from_numpy(np.stack(rows))
