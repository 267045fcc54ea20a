"""Plots of single items: those remembered best and least, and where in an image the memory lies.

They show stimuli, which may not be free to pass on: they are made for a page that stays with the results, and are not
written as files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import ImageOps

from data.images import load_image
from experiments.statistics.items import Item
from experiments.statistics.outcomes import Floats
from experiments.statistics.trials import read_trials
from storage.arrays import READING, load_arrays
from training.figures import literal

COLUMNS = 8
"""Images of a row."""
FOILS = 2
"""Of them, in the maps, images that were not studied."""
GAINS = "cividis"
"""Colours of maps: blue below zero, grey at zero, yellow above; they grow lighter, so that signs stay apart in grey."""
SIDE = 96
"""Pixels a side of an image."""


class Drawing(NamedTuple):
    """A plot of images, and what there is to see for those who cannot see it."""

    figure: Figure
    words: str


@dataclass(frozen=True)
class Maps:
    """What study has changed at every grid position of the tested images of one run."""

    paths: tuple[str, ...]
    studied: frozenset[str]
    gains: Floats
    """(P, h, w) float64, NLL of each token before study minus that after it, in nats."""


def read_maps(folder: Path) -> Maps | None:
    """Read `maps.npz` and `trials.csv` of one version and seed; None if there are no maps.

    Raises:
        ValueError: a file is damaged; the message names it.
    """
    path = folder / "maps.npz"
    if not path.exists():
        return None
    try:
        arrays = load_arrays(path)
        paths = tuple(str(name) for name in arrays["paths"])
        grid = tuple(int(size) for size in arrays["grid"])
        gains = arrays["before"].astype(np.float64) - arrays["after"].astype(np.float64)
        maps = gains.reshape(len(paths), *grid)[:, 0]
    except READING as error:
        raise ValueError(f"{path} is damaged ({error}): repeat the run with --overwrite") from error
    return Maps(paths, frozenset(trial.studied for trial in read_trials(folder / "trials.csv")), maps)


def show_items(items: Sequence[Item], folders: Mapping[str, Path]) -> Drawing | None:
    """Show the images that are remembered best and least, two rows for each condition.

    They are ranked by how soon they are told from their foils, and by likelihood ratio where that is the same.

    Args:
        items: the table of items.
        folders: the stimuli, by name of the list.

    Returns:
        The plot, or None if the images are no longer where they were.
    """
    there = [item for item in items if item.list in folders and (folders[item.list] / item.path).exists()]
    conditions = sorted({item.condition for item in there})
    if not conditions:
        return None
    rows: dict[tuple[str, str], Sequence[Item]] = {}
    for condition in conditions:
        ranked = sorted((item for item in there if item.condition == condition), key=_memorability)
        shown = min(COLUMNS, max(1, len(ranked) // 2))
        rows[condition, "best"] = ranked[::-1][:shown]
        rows[condition, "least"] = ranked[:shown]
    figure, axes = _canvas(len(rows))
    for panels, ((condition, end), chosen) in zip(axes, rows.items(), strict=True):
        name = f"{literal(condition)}\n{end}"
        for panel, item in zip(panels, chosen, strict=False):
            panel.imshow(_thumbnail(folders[item.list] / item.path))
            panel.set_title(_caption(item), fontsize=6)
        panels[0].text(-0.1, 0.5, name, fontsize=8, ha="right", va="center", transform=panels[0].transAxes)
    said = (f"{condition}, {end}: {_in_words(chosen)}." for (condition, end), chosen in rows.items())
    return Drawing(figure, " ".join(["Images remembered best and least.", *said]))


def show_maps(maps: Maps, folder: Path) -> Drawing | None:
    """Show images and, below each, what study has changed at every grid position; the last ones were not studied.

    Args:
        maps: of one run.
        folder: the stimuli.

    Returns:
        The plot, or None if the images are no longer where they were.
    """
    there = [index for index, path in enumerate(maps.paths) if (folder / path).exists()]
    studied = sorted(
        (index for index in there if maps.paths[index] in maps.studied),
        key=lambda index: -float(maps.gains[index].mean()),
    )
    foils = [index for index in there if maps.paths[index] not in maps.studied]
    chosen = _spread(studied, COLUMNS - FOILS) + _spread(foils, FOILS)
    if not chosen:
        return None
    figure, axes = _canvas(2)
    limit = max(float(np.abs(maps.gains[chosen]).max()), 1e-6)
    for column, index in enumerate(chosen):
        axes[0][column].imshow(_thumbnail(folder / maps.paths[index]))
        kind = "studied" if maps.paths[index] in maps.studied else "not studied"
        axes[0][column].set_title(kind, fontsize=7)
        heat = axes[1][column].imshow(maps.gains[index], cmap=GAINS, vmin=-limit, vmax=limit)
        axes[1][column].set_title(f"{maps.gains[index].mean():+.2f}", fontsize=7)
    figure.colorbar(heat, ax=list(axes[1]), label="nats", shrink=0.8)
    return Drawing(figure, _maps_in_words(maps, chosen))


def _memorability(item: Item) -> tuple[float, float]:
    return item.accuracy_over_exposures, item.likelihood_ratio or 0.0


def _caption(item: Item) -> str:
    ratio = "" if item.likelihood_ratio is None else f", {item.likelihood_ratio:+.2f}"
    return f"{100 * item.accuracy_over_exposures:.0f} %{ratio}"


def _in_words(items: Sequence[Item]) -> str:
    return "; ".join(f"{item.path} ({_caption(item)})" for item in items)


def _maps_in_words(maps: Maps, chosen: Sequence[int]) -> str:
    """Return by how much study has raised the likelihood of images, in all and where it did most and least."""
    said = []
    for index in chosen:
        kind = "studied" if maps.paths[index] in maps.studied else "not studied"
        gains = maps.gains[index]
        said.append(f"{kind}: {gains.mean():+.2f} on average, from {gains.min():+.2f} to {gains.max():+.2f}")
    return f"Images, and NLL of their tokens before study minus NLL after it, in nats. {'; '.join(said)}."


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """Return up to `count` of the indices, evenly from the first to the last."""
    chosen = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return [indices[index] for index in chosen]


def _canvas(rows: int) -> tuple[Figure, NDArray[Any]]:
    """Return an empty plot and its (rows, COLUMNS) panels."""
    figure = Figure(figsize=(1.15 * COLUMNS + 1, 1.3 * rows), layout="constrained")
    axes: NDArray[Any] = figure.subplots(rows, COLUMNS, squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    return figure, axes


def _thumbnail(path: Path) -> NDArray[np.uint8]:
    """Return the square in the middle of an image, (SIDE, SIDE, 3)."""
    return np.asarray(ImageOps.fit(load_image(path), (SIDE, SIDE)))
