"""People who remember some pictures better than others, and models that remember the same ones, or others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.people.table import Response
from experiments.statistics.trials import TrialRow, correctness

Floats = NDArray[np.float64]
VERSIONS = ("as_given", "swapped")


def pictures_of(items: int, conditions: Sequence[str] = ("novel", "state")) -> list[tuple[str, str, str]]:
    """Condition, item and version of every picture, in order."""
    names = [(condition, f"{condition}/{item}") for condition in conditions for item in range(items)]
    return [(*name, version) for name in names for version in VERSIONS]


def path_of(item: str, version: str) -> str:
    """The picture of a trial that is studied in a version."""
    folder = "seen" if version == "as_given" else "unseen"
    condition, number = item.split("/")
    return f"test/{condition}_{folder}/{condition}_{number}.png"


def answers(
    memorability: Sequence[float], items: int, participants: int, seed: int = 0, list_name: str = "list"
) -> list[Response]:
    """Choices of participants, half of whom take either version; each picture is known with its own probability."""
    generator = np.random.default_rng(seed)
    chance = dict(zip(pictures_of(items), memorability, strict=True))
    rows = []
    for person in range(participants):
        version = VERSIONS[person % 2]
        shown = [(condition, item) for condition, item, other in chance if other == version]
        for number, (condition, item) in enumerate(shown):
            right = bool(generator.random() < chance[condition, item, version])
            rows.append(
                Response(
                    participant=f"p{person:03}",
                    list=list_name,
                    version=version,
                    task="2afc",
                    trial=number,
                    item=item,
                    condition=condition,
                    response="studied" if right else "foil",
                    correct=float(right),
                    reaction_time=1.0,
                    lag=None,
                    side="left",
                )
            )
    return rows


def learned(
    gains: Sequence[float], items: int, seeds: int = 1, exposures: int = 2, noise: float = 0.0, before: float = 0.5
) -> list[TrialRow]:
    """Trials of a model whose scores fall by a picture's own gain with every exposure.

    Args:
        gains: of every picture.
        items: of a condition.
        seeds: runs.
        exposures: after exposure 0.
        noise: standard deviation of what each run adds to every gain.
        before: standard deviation of scores before study, the same in every run: how likely pictures are in themselves.
    """
    generator = np.random.default_rng(7)
    pictures = pictures_of(items)
    simple = dict(zip(pictures, 3 + before * generator.standard_normal(len(pictures)), strict=True))
    by_run = [
        dict(zip(pictures, np.asarray(gains) + noise * generator.standard_normal(len(gains)), strict=True))
        for _ in range(seeds)
    ]
    return [
        trial
        for seed, gain in enumerate(by_run)
        for version in VERSIONS
        for exposure in range(exposures + 1)
        for trial in _test(pictures, simple, gain, version, seed, exposure)
    ]


def _test(
    pictures: Sequence[tuple[str, str, str]],
    simple: dict[tuple[str, str, str], float],
    gain: dict[tuple[str, str, str], float],
    version: str,
    seed: int,
    exposure: int,
) -> Iterator[TrialRow]:
    other = VERSIONS[1 - VERSIONS.index(version)]
    for condition, item, studied in pictures:
        if studied == version:
            nll_studied = float(simple[condition, item, version] - exposure * gain[condition, item, version])
            nll_foil = float(simple[condition, item, other])
            yield TrialRow(
                list="list",
                version=version,
                seed=seed,
                readout="weights",
                change="none",
                item=item,
                condition=condition,
                exposure=exposure,
                interference=0,
                studied=path_of(item, version),
                foil=path_of(item, other),
                nll_studied=nll_studied,
                nll_foil=nll_foil,
                correct=correctness(nll_studied, nll_foil),
                bits_per_pixel_studied=nll_studied / math.log(2),
                bits_per_pixel_foil=nll_foil / math.log(2),
            )


def write_pictures(folder: Path, items: int, side: int = 32) -> Path:
    """The images of all pictures, each with more stripes than the one before it."""
    from PIL import Image

    for number, (_, item, version) in enumerate(pictures_of(items), start=1):
        path = folder / path_of(item, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        stripes = (np.arange(side) * number // side % 2 * 255).astype(np.uint8)
        Image.fromarray(np.broadcast_to(stripes, (side, side)).copy()).convert("RGB").save(path)
    return folder
