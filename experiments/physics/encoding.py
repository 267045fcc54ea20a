"""Films as tokens, made once for all models: tokens, what controls say of them, and where event and object are.

Matched films are read together. What comes of them is kept in a file, from which an interrupted run continues.

Axes: T frames, H rows, W columns of a clip; t, h, w of its token grid.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.errors import MediaError
from experiments.physics.checks import CheckedFilm, CheckedSet
from experiments.physics.controls import CONTROLS, Material
from experiments.physics.erasure import Shown, least_kept
from experiments.physics.footage import Footage, whole_frames
from experiments.physics.manifest import OBJECT, Box, Film
from experiments.physics.places import Scale, event_window, object_cells, object_pixels
from sampling.completion import render
from storage.arrays import load_arrays, save_arrays
from storage.records import digest_of
from storage.terminal import count
from training.parallel import side_by_side
from training.progress import Progress
from vqgan.stretches import encode_in_stretches
from vqgan.tokenizer import Tokenizer

MOST_PIXELS = 2**26
"""Pixels of all frames of the matched films that are encoded at once, about: they take 24 bytes each."""

SAME_RATE = 0.01
"""Share by which the rate of a film may be another than the tokenizer's and counts as the same: 29.97 is 30."""


@dataclass(frozen=True)
class EncodedFilm:
    """A film as the models are given it."""

    checked: CheckedFilm
    scale: Scale
    tokens: Tensor
    """(t, h, w) int64."""
    controls: dict[str, Tensor]
    """(t, h, w) float32 of every control, by its name."""
    cells: Tensor
    """(t, h, w) bool: tokens that stand for the object of the event, in this film or one that it is matched with."""
    window: tuple[int, int] | None
    """First latent frame of the event, and one past the last; None where it is not known."""
    kept: float | None
    """Share of the difference between the matched films that the tokenizer keeps; None where they are not matched."""

    @property
    def film(self) -> Film:
        """What the manifest says of it."""
        return self.checked.film


def encode_films(films: CheckedSet, tokenizer: Tokenizer, folder: Path) -> list[EncodedFilm]:
    """Encode all films, or read what is finished of it, in the order of the set.

    Args:
        films: that were checked.
        tokenizer: on its device.
        folder: for what is finished.

    Raises:
        MediaError: a film is too short for a latent frame, or cannot be decoded.
    """
    encoded: dict[str, EncodedFilm] = {}
    groups = _groups(films)
    boxes: dict[str, list[Box]] = defaultdict(list)
    for box in films.boxes:
        if box.object == OBJECT:
            boxes[box.film].append(box)

    def encode(group: list[CheckedFilm]) -> list[EncodedFilm]:
        return _encode_group(group, [boxes.get(film.film.film, []) for film in group], tokenizer, folder)

    largest = max(sum(film.footage.frames for film in group) for group in groups) * tokenizer.size**2
    with Progress("Encoding", len(groups)) as progress:
        made = side_by_side(encode, groups, tokenizer.device, max(1, MOST_PIXELS // largest))
        for done, group in enumerate(made, start=1):
            encoded.update((film.checked.digest, film) for film in group)
            progress.show(done)
    return [encoded[film.digest] for film in films.films]


def latent_frames_of(footage: Footage, tokenizer: Tokenizer) -> int:
    """Return how many whole latent frames a film has at the tokenizer's rate.

    Raises:
        MediaError: it has none.
    """
    frames = whole_frames(footage.duration, tokenizer.fps)
    latent_frames = 0
    while tokenizer.frames_of(latent_frames + 1) <= frames:
        latent_frames += 1
    if not latent_frames:
        least = tokenizer.frames_of(1) / tokenizer.fps
        raise MediaError(
            f"{footage.path} lasts {footage.duration:.2f} s, a latent frame of the tokenizer {least:.2f} s: "
            "give longer films"
        )
    return latent_frames


def notices(films: CheckedSet, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield in words in what films are not taken as they are, and what should be known of them."""
    yield from films.notes
    every = [film.footage for film in films.films]
    rates = Counter(f"{footage.fps:.4g}" for footage in every if _differs(footage.fps, tokenizer.fps))
    for rate, number in sorted(rates.items()):
        yield f"{count(number, 'film')} of {rate} frames a second, resampled to the tokenizer's {tokenizer.fps:g}"
    size = tokenizer.size
    sizes = Counter((footage.width, footage.height) for footage in every)
    for (width, height), number in sorted(sizes.items()):
        shown = f"{count(number, 'film')} of {width}x{height} pixels"
        if min(width, height) < size:
            yield f"{shown}, smaller than the tokenizer's {size}: enlarged, which adds nothing to be seen"
        if width != height:
            yield f"{shown}: the middle {min(width, height)}x{min(width, height)} is looked at"
    unequal = [group for group in films.matched().values() if len({film.footage.frames for film in group}) > 1]
    if unequal:
        yield f"{count(len(unequal), 'group')} of matched films of unequal length: the longer are cut at their end"
    left = [_left_over(footage, tokenizer) for footage in every]
    if any(left):
        number = sum(frames > 0 for frames in left)
        yield f"{count(number, 'film')} with up to {count(max(left), 'frame')} at the end that fill no latent frame"


def early_differences(films: Sequence[EncodedFilm]) -> tuple[int, int]:
    """Return how many tokens before the event differ between films of the same beginning, and how many there are.

    Of a causal tokenizer, and films stored without loss, none do.
    """
    beginnings: dict[tuple[str, str], list[EncodedFilm]] = {}
    for film in films:
        if film.film.beginning and film.window is not None:
            beginnings.setdefault((film.film.quadruple, film.film.beginning), []).append(film)
    different = tokens = 0
    for first, second in (group for group in beginnings.values() if len(group) == 2):
        assert first.window is not None
        before = first.window[0]
        different += int((first.tokens[:before] != second.tokens[:before]).sum())
        tokens += first.tokens[:before].numel()
    return different, tokens


def _differs(rate: float, wanted: float) -> bool:
    return abs(rate / wanted - 1) > SAME_RATE


def _left_over(footage: Footage, tokenizer: Tokenizer) -> int:
    used = tokenizer.frames_of(latent_frames_of(footage, tokenizer))
    return whole_frames(footage.duration, tokenizer.fps) - used


def _groups(films: CheckedSet) -> list[list[CheckedFilm]]:
    """Return films that are matched together, and each of the others by itself."""
    groups: dict[str, list[CheckedFilm]] = {}
    for film in films.films:
        groups.setdefault(f"matched {film.film.quadruple}" if film.film.quadruple else film.digest, []).append(film)
    return list(groups.values())


def _encode_group(
    group: Sequence[CheckedFilm], boxes: Sequence[Sequence[Box]], tokenizer: Tokenizer, folder: Path
) -> list[EncodedFilm]:
    """Return matched films encoded; make what is not finished."""
    shortest = min((film.footage for film in group), key=lambda footage: footage.duration)
    scale = Scale.of(tokenizer, latent_frames_of(shortest, tokenizer))
    identity = digest_of([tokenizer.fingerprint, [_facts(film, of) for film, of in zip(group, boxes, strict=True)]])
    path = folder / f"{identity[:16]}.npz"
    try:
        arrays = load_arrays(path, identity)
    except FileNotFoundError:
        arrays = None
    except ValueError as error:
        print(f"{path} is damaged ({error}): it is made again", file=sys.stderr)
        arrays = None
    if arrays is None:
        arrays = _make(group, boxes, tokenizer, scale)
        save_arrays(path, arrays, identity)
    window = event_window(scale, [film.film for film in group])
    kept = float(arrays["kept"])
    return [
        EncodedFilm(
            checked=film,
            scale=scale,
            tokens=torch.from_numpy(arrays[f"tokens_{index}"]),
            controls={name: torch.from_numpy(arrays[f"{name}_{index}"]) for name in CONTROLS},
            cells=torch.from_numpy(arrays["cells"]),
            window=window,
            kept=None if np.isnan(kept) else kept,
        )
        for index, film in enumerate(group)
    ]


def _facts(film: CheckedFilm, boxes: Sequence[Box]) -> dict[str, Any]:
    """Return what decides how a film is encoded, but for its name and that of its scene."""
    said = film.film
    names = ("possible", "beginning", "ending", "event_s")
    places = [[box.frame, box.left, box.top, box.right, box.bottom] for box in boxes]
    return {"film": film.digest, "boxes": sorted(places), **{name: asdict(said)[name] for name in names}}


@torch.no_grad()
def _make(
    group: Sequence[CheckedFilm], boxes: Sequence[Sequence[Box]], tokenizer: Tokenizer, scale: Scale
) -> dict[str, NDArray[Any]]:
    """Read, encode and decode matched films, each by itself, so that nothing depends on what it is matched with."""
    frames = scale.frames[-1]
    arrays: dict[str, NDArray[Any]] = {}
    shown: list[Shown] = []
    where = torch.zeros(frames, scale.size, scale.size, dtype=torch.bool)
    for index, (film, of_film) in enumerate(zip(group, boxes, strict=True)):
        levels = film.footage.clip(frames, scale.fps, scale.size)
        tokens = encode_in_stretches(tokenizer, levels)
        material = Material(scale, levels, tokens, render(tokenizer, tokens, frames))
        arrays[f"tokens_{index}"] = tokens.numpy()
        arrays |= {f"{name}_{index}": control.measure(material).numpy() for name, control in CONTROLS.items()}
        shown.append(Shown(film.film, material.pixels, (material.shown + 1) / 2))
        sides = film.footage.height, film.footage.width
        where |= object_pixels(scale, of_film, film.footage.indices(frames, scale.fps), sides)
    kept = least_kept(shown, where, _event_frame(group[0].film, scale)) if len(group) > 1 else None
    return {**arrays, "cells": object_cells(scale, where).numpy(), "kept": np.array(np.nan if kept is None else kept)}


def _event_frame(film: Film, scale: Scale) -> int | None:
    return None if film.event_s is None else scale.frame(film.event_s)
