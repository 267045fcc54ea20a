"""Which images a model was trained on, so that an experiment can tell whether it knows its stimuli already.

A run folder holds the list, `training_images.csv`: source and SHA-256 of the decoded pixels of every image.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from pathlib import Path

from data.sources import Source
from data.stimuli.lists import Stimulus, StimulusList
from storage.model_paths import is_named
from storage.run_folder import RunFolderError
from storage.tables import read_table, write_table

IMAGES = "training_images.csv"
EARLIER = "training_pictures.csv"
"""The name of the list in run folders of earlier versions, whose models are still used."""


def write_training_images(run: Path, sources: Iterable[Source]) -> None:
    """List the images among `sources`, which were found by `data.media.catalogue`, in the folder `run`."""
    images = ({"source": source.name, "sha256": source.sha256} for source in sources if source.kind == "image")
    write_table(run / IMAGES, images, ["source", "sha256"])


def trained_images(stimuli: StimulusList, model: Path, training_data: Callable[[Path], Path]) -> tuple[Stimulus, ...]:
    """Return the images of a list that a model was trained on, as far as its run folder tells.

    It tells by `training_images.csv`; where there is none, by the folder of training data that the run was asked to
    train on, if that holds the list or is a part of it.

    Args:
        stimuli: the list.
        model: a run folder, or a model folder in one.
        training_data: returns the folder of training data of the run in a folder; it raises RunFolderError where that
            is no run of the command that trains such models.

    Raises:
        ValueError: the list of training images is damaged.
    """
    if is_named(model):
        return ()  # whatever run the command may be given in is another
    for folder in (model, *model.absolute().parents[:2]):
        for path in (folder / IMAGES, folder / EARLIER):
            if path.exists():
                return shared_images(stimuli, {row["sha256"] for row in read_table(path, ["sha256"])})
        try:
            data = training_data(folder).resolve()
        except RunFolderError:
            continue
        return tuple(image for image in stimuli.images if (stimuli.root / image.path).resolve().is_relative_to(data))
    return ()


def shared_images(stimuli: StimulusList, digests: Container[str]) -> tuple[Stimulus, ...]:
    """Return the images of a list whose digests (`data.images.pixel_digest`) are among others."""
    return tuple(image for image in stimuli.images if image.sha256 in digests)
