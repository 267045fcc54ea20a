"""Which images a model was trained on, so that an experiment can tell whether it knows its stimuli already.

A run folder holds the list, `training_images.csv`: source and SHA-256 of the decoded pixels of every image.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from pathlib import Path

from data.media import Source
from data.stimuli.lists import Stimulus, StimulusList
from storage.tables import read_table, write_table

IMAGES = "training_images.csv"


def write_training_images(run: Path, sources: Iterable[Source]) -> None:
    """List the images among `sources`, which were found by `data.media.catalogue`, in the folder `run`."""
    images = ({"source": source.name, "sha256": source.sha256} for source in sources if source.kind == "image")
    write_table(run / IMAGES, images, ["source", "sha256"])


def trained_images(stimuli: StimulusList, model: Path) -> tuple[Stimulus, ...]:
    """Return the images of a list that a model was trained on, as far as its run folder tells.

    It tells by `training_images.csv`; where there is none, by the folder of training data in the run's
    `config.json`, if that holds the list or is a part of it.

    Args:
        stimuli: the list.
        model: a run folder, or a model folder in one.

    Raises:
        ValueError: the list of training images is damaged.
    """
    for folder in (model, *model.absolute().parents[:2]):
        if (folder / IMAGES).exists():
            rows = read_table(folder / IMAGES, ["sha256"])
            return shared_images(stimuli, {row["sha256"] for row in rows})
        if data := _training_folder(folder / "config.json"):
            return tuple(
                image
                for image in stimuli.images
                if (stimuli.root / image.path).resolve().is_relative_to(data.resolve())
            )
    return ()


def shared_images(stimuli: StimulusList, digests: Container[str]) -> tuple[Stimulus, ...]:
    """Return the images of a list whose digests (`data.images.pixel_digest`) are among others."""
    return tuple(image for image in stimuli.images if image.sha256 in digests)


def _training_folder(config: Path) -> Path | None:
    """The data that a run was asked to train on; None where `config` is not the config of such a run."""
    try:
        data = json.loads(config.read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Path(data) if isinstance(data, str) else None
