"""The pictures of a list as points in learned spaces, one for each key, and how familiar stored ones make them.

A space is learned from pictures that are not tested: the fillers of the list, which both versions of it study alike, or
those of a folder, of which those are left out that are tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from data.images import load_image
from data.media import catalogue
from data.sources import Source
from data.stimuli.lists import StimulusList
from experiments.memory.changes import CHANGES
from experiments.memory.features import PictureFeatures, build_key
from experiments.memory.key_names import readout_of
from experiments.memory.key_space import KeySpace, PictureStore
from experiments.memory.material import scale_image
from experiments.memory.options import Resize
from experiments.memory.recognition import tested_paths
from storage.records import digest_of
from training.processes import best_device
from training.progress import Progress, count, say_found

PICTURES_AT_ONCE = 32
MOST = 2_000
"""Pictures of a folder that a space is learned from, at most, evenly spread over it."""

Vectors = dict[str, dict[str, Tensor]]
"""(D,) float32 features of pictures, by change and by path."""


@dataclass(frozen=True)
class KeyedPictures:
    """Pictures as points in the space of one key, on the CPU."""

    key: str
    """See `experiments.memory.key_names`."""
    points: Mapping[str, Mapping[str, Tensor]]
    """(K,) float32 of length 1: of all pictures of the first list unchanged (`none`), of tested ones under each change,
    by change and by path."""
    afterwards: Tensor
    """(M, K) points of the second list's study; M is 0 without one."""
    fingerprint: str
    """Of the weights that made them, and of the pictures of a folder that the space was learned from."""

    @property
    def readout(self) -> str:
        """What judgements by this key are called."""
        return readout_of(self.key)

    def stacked(self, change: str, paths: Sequence[str]) -> Tensor:
        """Return the points (P, K) of pictures under a change."""
        return torch.stack([self.points[change][path] for path in paths])

    def familiarity(self, studied: Sequence[str], paths: Sequence[str], second: bool = False) -> dict[str, Tensor]:
        """Return how unfamiliar pictures are under each change: (P,) float32, by change.

        Args:
            studied: paths of the pictures that have been stored; none leaves all equally familiar.
            paths: of the pictures that are judged.
            second: whether the second list has been stored as well.
        """
        store = PictureStore()
        if studied:
            store.write(self.stacked("none", studied))
        if second:
            store.write(self.afterwards)
        return {change: store.score(self.stacked(change, paths)) for change in self.points}

    def nearest(self, studied: Sequence[str], paths: Sequence[str]) -> dict[str, list[str]]:
        """Return the path of the stored picture nearest to each of `paths`, by change."""
        store = PictureStore()
        store.write(self.stacked("none", studied))
        nearest = {change: store.nearest(self.stacked(change, paths)).tolist() for change in self.points}
        return {change: [studied[index] for index in indices] for change, indices in nearest.items()}


@dataclass(frozen=True)
class Seen:
    """How pictures are brought to those who look at them."""

    size: int
    """Pixels a side at which the learner sees them, which some changes go by."""
    resize: Resize
    changes: Sequence[str]


def key_pictures(
    names: Sequence[str], first: StimulusList, second: StimulusList | None, seen: Seen, data: Path | None
) -> list[KeyedPictures]:
    """Make the points of both lists for every key; each picture is decoded once for all of them.

    Args:
        names: of the keys.
        first: what is studied and tested.
        second: what is studied afterwards; None for nothing.
        seen: how it is seen.
        data: pictures that the spaces are learned from, see `data.media.catalogue`; the fillers if None.

    Raises:
        CheckpointError, WeightsMissingError: the model of a key is not there, or has no features.
        MediaError: `data` holds no pictures.
        ValueError: there are too few pictures to learn a space from.
    """
    networks = {name: build_key(name).to(best_device()) for name in names}
    if not networks:
        return []
    fillers = sorted({image.path for image in first.study} - set(tested_paths(first.trials)))
    sources = [] if data is None else _untested(data, first)
    others = None if data is None else _look_at_data(networks, sources, seen.resize)
    looked = _look(networks, first, seen)
    after = None if second is None else _look(networks, second, Seen(seen.size, seen.resize, ()))
    keyed = []
    for name, network in networks.items():
        none = looked[name]["none"]
        learned_from = [none[path] for path in fillers] if others is None else others[name]
        space = KeySpace.fit(torch.stack(learned_from) if learned_from else torch.zeros(0, 1))
        points = {change: _project(space, of_change) for change, of_change in looked[name].items()}
        studied = list(after[name]["none"].values()) if after is not None else []
        afterwards = space.project(torch.stack(studied)) if studied else torch.zeros(0, space.directions.shape[1])
        learned = f" {digest_of([source.sha256 for source in sources])}" if sources else ""
        keyed.append(KeyedPictures(name, points, afterwards, f"{network.fingerprint}{learned}"))
    return keyed


def _project(space: KeySpace, vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not vectors:
        return {}
    return dict(zip(vectors, space.project(torch.stack(list(vectors.values()))), strict=True))


def _look(networks: Mapping[str, PictureFeatures], stimuli: StimulusList, seen: Seen) -> dict[str, Vectors]:
    """Return the features of a list by key: of all its pictures, and of tested ones under each change."""
    paths = [image.path for image in stimuli.images]
    tested = set(tested_paths(stimuli.trials))
    looked: dict[str, Vectors] = {name: {change: {} for change in ("none", *seen.changes)} for name in networks}
    with Progress("Making keys", len(paths)) as progress:
        for start in range(0, len(paths), PICTURES_AT_ONCE):
            batch = paths[start : start + PICTURES_AT_ONCE]
            loaded = {path: load_image(stimuli.root / path) for path in batch}
            pictures = {"none": loaded}
            for change in seen.changes:
                changed = {path: CHANGES[change](loaded[path], seen.size) for path in batch if path in tested}
                pictures[change] = changed
            for change, of_change in pictures.items():
                for name, network in networks.items():
                    clips = [scale_image(image, network.size, seen.resize) for image in of_change.values()]
                    looked[name][change] |= zip(of_change, _features(network, clips), strict=True)
            progress.show(min(len(paths), start + PICTURES_AT_ONCE))
    return looked


def _untested(data: Path, stimuli: StimulusList) -> list[Source]:
    """Return pictures of a folder to learn from: those that are not tested, and of many some."""
    found = catalogue(data)
    tested = {image.sha256 for trial in stimuli.trials for image in (trial.studied, trial.foil)}
    images = [source for source in found.sources if source.kind == "image"]
    sources = [source for source in images if source.sha256 not in tested]
    chosen = [sources[index * len(sources) // MOST] for index in range(MOST)] if len(sources) > MOST else sources
    say_found(
        key_data=f"{count(len(chosen), 'picture')} of {len(images):,}, {len(images) - len(sources):,} left out that "
        f"are tested, {len(found.skipped):,} skipped"
    )
    return chosen


def _look_at_data(
    networks: Mapping[str, PictureFeatures], sources: Sequence[Source], resize: Resize
) -> dict[str, list[Tensor]]:
    """Return the features of pictures of a folder, by key."""
    features: dict[str, list[Tensor]] = {name: [] for name in networks}
    for images in _batches(sources):
        for name, network in networks.items():
            features[name] += _features(network, [scale_image(image, network.size, resize) for image in images])
    return features


def _features(network: PictureFeatures, clips: Sequence[Tensor]) -> list[Tensor]:
    """Return the features (D,) of clips (3, 1, size, size), on the CPU."""
    if not clips:
        return []
    return list(network(torch.stack(list(clips)).to(best_device())).cpu())


def _batches(sources: Sequence[Source]) -> Iterator[list[Image.Image]]:
    """Read pictures, some at a time; sources were looked at before, so that what fails now is an error."""
    with Progress("Reading key data", len(sources)) as progress:
        for start in range(0, len(sources), PICTURES_AT_ONCE):
            yield [load_image(source.image_bytes()) for source in sources[start : start + PICTURES_AT_ONCE]]
            progress.show(min(len(sources), start + PICTURES_AT_ONCE))
