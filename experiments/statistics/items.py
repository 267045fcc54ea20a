"""What is remembered of each image: a table that joins with data on people by path, or by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from experiments.statistics.trials import TrialRow


@dataclass(frozen=True)
class Item:
    """An image that was studied and tested in a condition, over all runs in which it was studied."""

    model: str
    """Name of the model where several are compared."""
    list: str
    """Name of the study list."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    item: str
    """Name of the trial."""
    path: str
    """Of the image, in its list."""
    runs: int
    """In which it was studied."""
    exposure: int
    """After which what follows holds: the last."""
    accuracy: float
    """Share of runs in which it was told from its foil."""
    accuracy_over_exposures: float
    """The same over all exposures from the first on: the sooner it is told from its foil, the higher."""
    nll_before: float | None
    """Mean NLL per token before study, in nats; None without a test before study."""
    nll_after: float
    """The same after the last exposure."""
    likelihood_ratio: float | None
    """nll_before - nll_after: the log likelihood ratio per token between the models after and before study."""
    bits_per_pixel_before: float | None
    """`nll_before` in bits per pixel of the image before the tokenizer; empty where a run does not tell."""
    bits_per_pixel_after: float | None
    """`nll_after` in bits per pixel."""


def items(trials: Sequence[TrialRow]) -> list[Item]:
    """Return what the weights alone remember of each image, unchanged and before any interference."""
    groups: dict[tuple[str, ...], list[TrialRow]] = defaultdict(list)
    for trial in trials:
        if (trial.readout, trial.change, trial.interference) == ("weights", "none", 0):
            groups[trial.model, trial.list, trial.condition, trial.item, trial.studied].append(trial)
    return [_item(groups[key]) for key in sorted(groups)]


def _item(trials: Sequence[TrialRow]) -> Item:
    first = trials[0]
    last = max(trial.exposure for trial in trials)
    before = [trial for trial in trials if trial.exposure == 0]
    after = [trial for trial in trials if trial.exposure == last]
    studied = [trial.correct for trial in trials if trial.exposure > 0]
    nll_before = fmean(trial.nll_studied for trial in before) if before else None
    nll_after = fmean(trial.nll_studied for trial in after)
    accuracy = fmean(trial.correct for trial in after)
    return Item(
        model=first.model,
        list=first.list,
        condition=first.condition,
        item=first.item,
        path=first.studied,
        runs=len({trial.run for trial in trials}),
        exposure=last,
        accuracy=accuracy,
        accuracy_over_exposures=fmean(studied) if studied else accuracy,
        nll_before=nll_before,
        nll_after=nll_after,
        likelihood_ratio=None if nll_before is None else nll_before - nll_after,
        bits_per_pixel_before=_bits_per_pixel(before),
        bits_per_pixel_after=_bits_per_pixel(after),
    )


def _bits_per_pixel(trials: Sequence[TrialRow]) -> float | None:
    """Return the mean over trials; None where there are none, or one of them does not tell."""
    bits = [trial.bits_per_pixel_studied for trial in trials if trial.bits_per_pixel_studied is not None]
    return fmean(bits) if bits and len(bits) == len(trials) else None
