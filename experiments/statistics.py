"""Accuracy and intervals from `trials.csv` alone."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scipy.stats import norm

# One row per trial: see `experiments.memory`.
TRIAL_COLUMNS = (
    "list", "version", "seed", "item", "condition", "exposure",
    "studied", "foil", "nll_studied", "nll_foil", "correct",
)  # fmt: skip
POOLED = "pooled"


@dataclass(frozen=True)
class Accuracy:
    """Share of correct trials of a condition after some exposures, with its 95 % interval."""

    version: str
    """`as_given`, `swapped`, or `pooled` over both."""
    condition: str
    exposure: int
    accuracy: float
    low: float
    high: float
    trials: int


def correctness(nll_studied: float, nll_foil: float) -> float:
    """Return 1 when the studied picture is the more likely one, 0 when the foil is, one half for a tie."""
    return 0.5 + 0.5 * ((nll_studied < nll_foil) - (nll_studied > nll_foil))


def wilson_interval(share: float, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a share of `count` trials (Wilson 1927), which allows for half-correct ties.

    Unlike the normal interval it stays within [0, 1] and has width at 0 and 1.
    """
    z = float(norm.ppf(0.5 + confidence / 2))
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracies(trials: Sequence[dict[str, str]]) -> list[Accuracy]:
    """Return the accuracy of each condition and exposure, per version and pooled.

    Intervals count items, not trials: the same picture pair under two versions or seeds is one item.
    """
    groups: dict[tuple[str, str, int], list[dict[str, str]]] = defaultdict(list)
    for trial in trials:
        for version in (trial["version"], POOLED):
            groups[version, trial["condition"], int(trial["exposure"])].append(trial)
    results = []
    for (version, condition, exposure), group in sorted(groups.items()):
        share = math.fsum(float(trial["correct"]) for trial in group) / len(group)
        items = len({(trial["list"], trial["item"]) for trial in group})
        results.append(Accuracy(version, condition, exposure, share, *wilson_interval(share, items), len(group)))
    return results


def pooled(results: Iterable[Accuracy]) -> dict[str, list[Accuracy]]:
    """Return the pooled accuracies of each condition, in order of exposure."""
    curves: dict[str, list[Accuracy]] = defaultdict(list)
    for result in results:
        if result.version == POOLED:
            curves[result.condition].append(result)
    return {name: sorted(curve, key=lambda point: point.exposure) for name, curve in sorted(curves.items())}


def read_trials(path: Path) -> list[dict[str, str]]:
    """Read a `trials.csv`.

    Raises:
        ValueError: a column is missing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(TRIAL_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}")
        return list(reader)


def write_trials(path: Path, trials: Iterable[dict[str, str]]) -> None:
    """Write a `trials.csv`, beside and renamed, so that a file that is there is whole."""
    _write(path, trials, TRIAL_COLUMNS)


def write_accuracies(path: Path, results: Iterable[Accuracy]) -> None:
    """Write an `accuracy.csv`."""
    _write(path, (asdict(result) for result in results), tuple(Accuracy.__dataclass_fields__))


def _write(path: Path, rows: Iterable[dict[str, str]], columns: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)
