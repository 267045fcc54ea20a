"""Which sampling settings are tried, and which of them a model recommends.

Were continuations drawn from what really follows a prompt, the truth would be one draw more: two continuations would
differ from each other as much as one of them from the truth. So `spread`, the first distance divided by the second,
is 1 where continuations are as diverse as what is natural, below 1 where they are too alike, and above 1 where they
are too varied.

The choice rests on the energy score (Gneiting and Raftery 2007, Journal of the American Statistical Association 102,
359-378, section 4.3): the mean distance of continuations to the truth, less half of that between continuations. It is
lowest, on average, for continuations drawn from what really follows, so that neither the most likely continuation
several times nor mere noise wins. Its distance must be a metric: it is the root of the perceptual distance, which is a
square.

The rule: of all settings whose energy score lies within one standard error of the lowest, that with the least
perceptual distance to the truth. The standard error is that of the difference from the setting with the lowest, over
items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sampling.options import SamplingOptions
from storage.options import MANY, Options, option

BEST = 2
"""Temperatures, and values of top-p, that are combined: those of the lowest energy scores."""
RESAMPLES = 2000
"""Of the items, for an interval."""
MEASURES = (
    "identified",
    "truth_perceptual",
    "truth_pixel",
    "between_perceptual",
    "between_pixel",
    "energy",
)
"""Columns of `ItemRow` that are measured."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SettingGrid(Options):
    """Values of the sampling options that are tried one by one."""

    temperatures: tuple[float, ...] = option((1.0, 0.9, 0.8, 0.7), at_least=0, at_most=1000)
    """Divide the logits; the best of those below 1 are combined with the best of --top-ps."""
    top_ks: tuple[int, ...] = option((256, 64, 16), at_least=0, at_most=MANY)
    """Numbers of likeliest tokens that are kept; those above the vocabulary are left out."""
    top_ps: tuple[float, ...] = option((0.95, 0.9, 0.8, 0.7, 0.6, 0.5), above=0, at_most=1)
    """Probabilities that are kept."""
    min_ps: tuple[float, ...] = option((0.02, 0.05, 0.1, 0.2), at_least=0, at_most=1)
    """Shares of the likeliest token's probability from which on tokens are kept."""


@dataclass(frozen=True)
class SettingColumns:
    """The columns that say how tokens were drawn."""

    temperature: float
    """Divides the logits."""
    top_k: int
    """Likeliest tokens that are kept; 0 keeps all."""
    top_p: float
    """Probability that is kept; 1 keeps all."""
    min_p: float
    """Share of the likeliest token's probability from which on tokens are kept; 0 keeps all."""

    @property
    def setting(self) -> SamplingOptions:
        """How the tokens were drawn."""
        return SamplingOptions(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p)


@dataclass(frozen=True)
class ItemRow(SettingColumns):
    """What the continuations of one item under one setting were measured to be."""

    item: int
    """Index of the item among those of the study."""
    source: str
    """The file that it comes from."""
    identified: float
    """Share of continuations whose pixels are nearer to their own truth than to that of any other item."""
    truth_perceptual: float
    """Perceptual distance of a continuation to the truth."""
    truth_pixel: float
    """Root mean square difference of pixels from the truth; 1 is black against white."""
    between_perceptual: float
    """Perceptual distance between two continuations."""
    between_pixel: float
    """Root mean square difference of pixels between two continuations."""
    energy: float
    """Energy score: root of the perceptual distance to the truth, less half of that between two continuations."""


@dataclass(frozen=True)
class SettingRow(SettingColumns):
    """Means over items under one setting; ends of 95 % intervals are those of a bootstrap over items."""

    items: int
    """Items that were completed."""
    identified: float
    """Share of continuations whose pixels are nearer to their own truth than to that of any other item."""
    identified_low: float
    """Lower end of its interval."""
    identified_high: float
    """Upper end of its interval."""
    truth_perceptual: float
    """Perceptual distance of a continuation to the truth."""
    truth_perceptual_low: float
    """Lower end of its interval."""
    truth_perceptual_high: float
    """Upper end of its interval."""
    truth_pixel: float
    """Root mean square difference of pixels from the truth; 1 is black against white."""
    truth_pixel_low: float
    """Lower end of its interval."""
    truth_pixel_high: float
    """Upper end of its interval."""
    between_perceptual: float
    """Perceptual distance between two continuations."""
    between_perceptual_low: float
    """Lower end of its interval."""
    between_perceptual_high: float
    """Upper end of its interval."""
    between_pixel: float
    """Root mean square difference of pixels between two continuations."""
    between_pixel_low: float
    """Lower end of its interval."""
    between_pixel_high: float
    """Upper end of its interval."""
    energy: float
    """Energy score, see above; lower is better."""
    energy_low: float
    """Lower end of its interval."""
    energy_high: float
    """Upper end of its interval."""
    spread_perceptual: float
    """Perceptual distance between continuations divided by that to the truth; 1 is as diverse as natural."""
    spread_pixel: float
    """The same of pixels."""
    behind: float
    """How much the energy score lies above the lowest, in standard errors of the difference."""
    chosen: bool
    """Whether this is the setting that is recommended."""


def first_settings(grid: SettingGrid, vocab_size: int) -> list[SamplingOptions]:
    """Return the setting that changes nothing, and those that change one option each, for so many codes."""
    settings = [
        SamplingOptions(),
        *(SamplingOptions(temperature=value) for value in grid.temperatures),
        *(SamplingOptions(top_k=value) for value in grid.top_ks if value < vocab_size),
        *(SamplingOptions(top_p=value) for value in grid.top_ps),
        *(SamplingOptions(min_p=value) for value in grid.min_ps),
    ]
    return list(dict.fromkeys(settings))


def combined_settings(measured: Mapping[SamplingOptions, Sequence[ItemRow]]) -> list[SamplingOptions]:
    """Return the combinations of the best temperatures below 1 with the best values of top-p.

    Args:
        measured: what `first_settings` were measured to be.
    """
    by_energy = sorted(measured, key=lambda setting: float(_column(measured[setting], "energy").mean()))
    temperatures = [each.temperature for each in by_energy if each.temperature < 1][:BEST]
    top_ps = [each.top_p for each in by_energy if each.top_p < 1][:BEST]
    return [SamplingOptions(temperature=t, top_p=p) for t in temperatures for p in top_ps]


def summarise(measured: Mapping[SamplingOptions, Sequence[ItemRow]], seed: int) -> list[SettingRow]:
    """Return a row for each setting, in the order of `measured`; exactly one is chosen.

    Args:
        measured: the same items, at least two, under every setting.
        seed: of the bootstrap.
    """
    behind = standard_errors_behind({setting: _column(rows, "energy") for setting, rows in measured.items()})
    near = [setting for setting in measured if behind[setting] <= 1]
    chosen = min(near, key=lambda setting: float(_column(measured[setting], "truth_perceptual").mean()))
    return [_summarise_one(rows, seed, behind[setting], setting == chosen) for setting, rows in measured.items()]


def standard_errors_behind(energies: Mapping[SamplingOptions, Floats]) -> dict[SamplingOptions, float]:
    """Return by how many standard errors, over items, the mean of each lies above the lowest mean.

    Args:
        energies: (I,) of each setting, the same items, at least two, in the same order.
    """
    best = min(energies.values(), key=lambda values: float(values.mean()))
    return {setting: _errors_of(values - best) for setting, values in energies.items()}


def interval(values: Floats, seed: int) -> tuple[float, float]:
    """Return both ends of the 95 % interval of the mean of values (I,), by a bootstrap over them."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def describe_setting(setting: SamplingOptions) -> str:
    """Return what a setting changes, in the words of the command line: `temperature 0.9, top-p 0.8`."""
    said = [
        f"temperature {setting.temperature:g}" if setting.temperature != 1 else "",
        f"top-k {setting.top_k}" if setting.top_k else "",
        f"top-p {setting.top_p:g}" if setting.top_p != 1 else "",
        f"min-p {setting.min_p:g}" if setting.min_p else "",
    ]
    return ", ".join(filter(None, said)) or "no change"


def _errors_of(difference: Floats) -> float:
    """Return the mean of differences (I,) in standard errors of it."""
    if not difference.any():
        return 0.0
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    return float(difference.mean()) / error if error else np.inf


def _summarise_one(rows: Sequence[ItemRow], seed: int, behind: float, chosen: bool) -> SettingRow:
    columns = {name: _column(rows, name) for name in MEASURES}
    means = {name: float(values.mean()) for name, values in columns.items()}
    ends = {name: interval(values, seed) for name, values in columns.items()}
    setting = rows[0].setting
    return SettingRow(
        temperature=setting.temperature,
        top_k=setting.top_k,
        top_p=setting.top_p,
        min_p=setting.min_p,
        items=len(rows),
        **means,
        **{f"{name}_low": low for name, (low, _) in ends.items()},
        **{f"{name}_high": high for name, (_, high) in ends.items()},
        spread_perceptual=_ratio(means["between_perceptual"], means["truth_perceptual"]),
        spread_pixel=_ratio(means["between_pixel"], means["truth_pixel"]),
        behind=behind,
        chosen=chosen,
    )


def _ratio(between: float, truth: float) -> float:
    """Return the spread; 1 where continuations are all the truth."""
    return between / truth if truth else 1.0


def _column(rows: Sequence[ItemRow], name: str) -> Floats:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)
