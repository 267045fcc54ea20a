"""Run folders of the memory experiment as `secondsight memory run` writes them, with simulated judgements."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.statistics.accuracy import TRIAL_COLUMNS, correctness, write_trials
from experiments.statistics.psychometric import Psychometric

LEARNING = Psychometric(scale=4.0, slope=2.0, lapse=0.0)


def make_trials(
    items: int = 6,
    exposures: int = 4,
    conditions: Sequence[str] = ("novel", "state"),
    versions: Sequence[str] = ("as_given", "swapped"),
    seeds: Sequence[int] = (0,),
    learners: Sequence[str] = ("weights",),
    changes: Sequence[str] = ("none",),
    interference: int = 0,
    list_name: str = "list",
) -> list[dict[str, str]]:
    """Rows of `trials.csv` of a learner whose accuracy grows as `LEARNING` says."""
    moments = [(exposure, 0) for exposure in range(exposures + 1)]
    moments += [(exposures, after) for after in range(1, interference + 1)]
    rows = []
    for version in versions:
        for seed in seeds:
            generator = np.random.default_rng([seed, version == "swapped"])
            base = {(c, i): generator.normal(3, 0.5, 2) for c in conditions for i in range(items)}
            for exposure, after in moments:
                for learner in learners:
                    for change in changes:
                        for (condition, item), before in base.items():
                            gain = 4 * (LEARNING(exposure) - 0.5) - 0.2 * after
                            noise = generator.normal(0, 0.1, 2) * (exposure > 0)
                            studied, foil = float(before[0] - gain + noise[0]), float(before[1] + noise[1])
                            paths = [f"study/{condition}_{item}.png", f"test/{condition}_unseen/{condition}_{item}.png"]
                            if version == "swapped":
                                paths.reverse()
                            values = (
                                list_name, version, seed, learner, change, f"{condition}/{item}", condition, exposure,
                                after, *paths, repr(studied), repr(foil), correctness(studied, foil),
                            )  # fmt: skip
                            rows.append(dict(zip(TRIAL_COLUMNS, map(str, values), strict=True)))
    return rows


def make_run(folder: Path, trials: list[dict[str, str]], **options: Any) -> Path:
    """A run folder with these trials, whose config.json holds these options."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"preset": "tiny", "learning_rate": 1e-3} | options))
    write_trials(folder / "trials.csv", trials)
    return folder


def make_stimuli(folder: Path, trials: list[dict[str, str]], side: int = 24) -> Path:
    """The images that trials name, of random colours."""
    generator = np.random.default_rng(0)
    for path in sorted({row[name] for row in trials for name in ("studied", "foil")}):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side), 0).save(folder / path)
    return folder


def make_maps(folder: Path, trials: list[dict[str, str]], side: int = 4) -> None:
    """`maps.npz` and `trials.csv` of one version and seed: the studied images gain in their upper half."""
    folder.mkdir(parents=True)
    write_trials(folder / "trials.csv", trials)
    paths = sorted({row[name] for row in trials for name in ("studied", "foil")})
    studied = {row["studied"] for row in trials}
    before = np.full((len(paths), side * side), 4.0, dtype=np.float16)
    after = before.copy()
    after[[path in studied for path in paths], : side * side // 2] = 1.0
    np.savez_compressed(folder / "maps.npz", paths=np.array(paths), before=before, after=after, grid=[1, side, side])
