"""A set of films with a manifest, as `secondsight physics stimuli` and people write it."""

from __future__ import annotations

from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.manifest import BOXES, ManifestError, manifest_path, read_boxes, read_manifest
from experiments.physics.readers.layout import hint


def read(path: Path) -> FilmSet:
    """Return the films of a manifest, and the boxes beside it if there are any.

    Raises:
        ManifestError: either cannot be read.
    """
    manifest = manifest_path(path)
    try:
        films = read_manifest(manifest)
    except ManifestError as error:
        raise ManifestError(f"{error}{'' if manifest.exists() else hint(path, 'manifest')}") from error
    boxes = manifest.parent / BOXES
    return FilmSet(manifest.parent, tuple(films), tuple(read_boxes(boxes)) if boxes.exists() else ())
