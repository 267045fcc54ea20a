"""Run folders of the memory experiment as `secondsight memory run` writes them, with simulated judgements."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.memory.options import MemoryOptions
from experiments.statistics.accuracy import POOLED, Accuracy
from experiments.statistics.psychometric import Psychometric
from experiments.statistics.trials import Moment, TrialRow, correctness, write_trials
from storage.config_file import config_of
from storage.files import to_json, write_text

LEARNING = Psychometric(scale=4.0, slope=2.0, lapse=0.0)


def make_trials(
    items: int = 6,
    exposures: int = 4,
    conditions: Sequence[str] = ("novel", "state"),
    versions: Sequence[str] = ("as_given", "swapped"),
    seeds: Sequence[int] = (0,),
    readouts: Sequence[str] = ("weights",),
    changes: Sequence[str] = ("none",),
    interference: int = 0,
    list_name: str = "list",
) -> list[TrialRow]:
    """Trials of a learner whose accuracy grows as `LEARNING` says."""
    moments = [Moment(exposure, 0) for exposure in range(exposures + 1)]
    moments += [Moment(exposures, after) for after in range(1, interference + 1)]
    names = [(condition, f"{condition}/{item}") for condition in conditions for item in range(items)]
    return [
        trial
        for version in versions
        for seed in seeds
        for trial in _trials_of_run(list_name, version, seed, names, moments, readouts, changes)
    ]


def make_accuracy(accuracy: float, low_images: float, high_images: float, **others: Any) -> Accuracy:
    """Accuracy of one run of 100 trials after 10 exposures, with its interval over images."""
    row: dict[str, Any] = {
        "version": POOLED,
        "condition": "novel",
        "exposure": 10,
        "chance": 0.5,
        "low": None,
        "high": None,
        "trials": 100,
        "images": 100,
        "runs": 1,
    }
    return Accuracy(accuracy=accuracy, low_images=low_images, high_images=high_images, **(row | others))


def make_run(folder: Path, trials: list[TrialRow], **options: Any) -> Path:
    """A run folder with these trials, whose config.json holds these options."""
    settings = {"stimuli": Path("list"), "learning_rate": 1e-3}
    write_text(folder / "config.json", to_json(config_of(MemoryOptions.of(out=folder, **(settings | options)))))
    write_trials(folder / "trials.csv", trials)
    return folder


def make_stimuli(folder: Path, trials: list[TrialRow], side: int = 24) -> Path:
    """The images that trials name, of random colours."""
    generator = np.random.default_rng(0)
    for path in _paths(trials):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side), 0).save(folder / path)
    return folder


def make_maps(folder: Path, trials: list[TrialRow], side: int = 4) -> None:
    """`maps.npz` and `trials.csv` of one version and seed: the studied images gain in their upper half."""
    write_trials(folder / "trials.csv", trials)
    paths = _paths(trials)
    studied = {trial.studied for trial in trials}
    before = np.full((len(paths), side * side), 4.0, dtype=np.float16)
    after = before.copy()
    after[[path in studied for path in paths], : side * side // 2] = 1.0
    np.savez_compressed(folder / "maps.npz", paths=np.array(paths), before=before, after=after, grid=[1, side, side])


def _trials_of_run(
    list_name: str,
    version: str,
    seed: int,
    names: Sequence[tuple[str, str]],
    moments: Sequence[Moment],
    readouts: Sequence[str],
    changes: Sequence[str],
) -> Iterator[TrialRow]:
    """The trials of one run; `names` are those of condition and item."""
    generator = np.random.default_rng([seed, version == "swapped"])
    before = [generator.normal(3, 0.5, 2) for _ in names]
    for moment in moments:
        for readout in readouts:
            for change in changes:
                for (condition, item), (studied_before, foil_before) in zip(names, before, strict=True):
                    gain = 4 * (LEARNING(moment.exposure) - 0.5) - 0.2 * moment.interference
                    noise = generator.normal(0, 0.1, 2) * (moment.exposure > 0)
                    nll_studied = float(studied_before - gain + noise[0])
                    nll_foil = float(foil_before + noise[1])
                    paths = [f"study/{item.replace('/', '_')}.png"]
                    paths.append(f"test/{condition}_unseen/{item.replace('/', '_')}.png")
                    yield TrialRow(
                        list=list_name,
                        version=version,
                        seed=seed,
                        readout=readout,
                        change=change,
                        item=item,
                        condition=condition,
                        exposure=moment.exposure,
                        interference=moment.interference,
                        studied=paths[version == "swapped"],
                        foil=paths[version != "swapped"],
                        nll_studied=nll_studied,
                        nll_foil=nll_foil,
                        correct=correctness(nll_studied, nll_foil),
                    )


def _paths(trials: list[TrialRow]) -> list[str]:
    return sorted({path for trial in trials for path in (trial.studied, trial.foil)})
