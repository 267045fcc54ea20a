"""What is remembered of each image: a table that joins with data on people by path, or by item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from experiments.statistics.outcomes import run_of


@dataclass(frozen=True)
class Item:
    """An image that was studied and tested in a condition, over all runs in which it was studied."""

    model: str
    list: str
    condition: str
    item: str
    """Name of the trial."""
    path: str
    """Of the image, in its list."""
    runs: int
    """In which it was studied."""
    exposure: int
    """After which the figures hold: the last."""
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


def items(trials: Sequence[dict[str, str]]) -> list[Item]:
    """Return what the weights alone remember of each image, unchanged and before any interference."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for trial in trials:
        if (trial["learner"], trial["change"], trial["interference"]) == ("weights", "none", "0"):
            key = ("list", "condition", "item", "studied")
            groups[trial.get("model", ""), *(trial[name] for name in key)].append(trial)
    return [_item(key, groups[key]) for key in sorted(groups)]


def _item(key: tuple[str, ...], trials: Sequence[dict[str, str]]) -> Item:
    model, of_list, condition, item, path = key
    last = max(int(trial["exposure"]) for trial in trials)
    before = [float(trial["nll_studied"]) for trial in trials if trial["exposure"] == "0"]
    after = [trial for trial in trials if int(trial["exposure"]) == last]
    studied = [float(trial["correct"]) for trial in trials if trial["exposure"] != "0"]
    nll_before, nll_after = fmean(before) if before else None, fmean(float(trial["nll_studied"]) for trial in after)
    accuracy = fmean(float(trial["correct"]) for trial in after)
    return Item(
        model, of_list, condition, item, path, len({run_of(trial) for trial in trials}), last, accuracy,
        fmean(studied) if studied else accuracy, nll_before, nll_after,
        None if nll_before is None else nll_before - nll_after,
    )  # fmt: skip
