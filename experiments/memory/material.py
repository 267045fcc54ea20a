"""The material of a memory experiment: lists of images, or of random sequences, as tokens.

Every image is read and encoded once, some at a time; from then on the experiment knows tokens only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt, prod
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from data.errors import StimulusError
from data.frames import resize_and_crop
from data.images import image_to_clip, load_image
from data.stimuli.lists import StimulusList, read_stimuli
from data.stimuli.noise import noise_list
from experiments.memory.changes import CHANGES
from experiments.memory.options import MemoryOptions, Resize
from experiments.memory.recognition import tested_paths
from gpt.config import MismatchError
from gpt.model import GPT
from storage.model_paths import brought_tokenizer
from training.processes import best_device
from training.progress import Progress
from vqgan.model import load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer

IMAGES_AT_ONCE = 32
NOISE_TESTED = 300
"""Random sequences that are tested, at most, as in the published experiment."""

Clips = dict[str, dict[str, Tensor]]
"""(3, 1, size, size) clips in [-1, 1] of images, by change and by path."""
Tokens = dict[str, dict[str, Tensor]]
"""(L,) int64 tokens of images, by change and by path."""


@dataclass(frozen=True)
class Lists:
    """What is studied and tested."""

    first: StimulusList
    second: StimulusList | None = None
    """Studied after the first, as interference; its own trials are not taken."""
    noise: dict[str, Tensor] | None = None
    """(L,) int64 tokens of each item of the first list, where they are random."""


@dataclass(frozen=True)
class Material:
    """What is studied and tested, as tokens."""

    tokens: Tokens
    """Of all items of the first list unchanged (`none`), and of its tested images under each change."""
    afterwards: Tensor
    """(M, L) int64 tokens of the second list's study; M is 0 without one."""
    grid: tuple[int, int, int]
    """(t, h, w) of every item."""
    vocab_size: int
    tokenizer: Tokenizer | None
    """None for random sequences."""

    @property
    def fingerprint(self) -> str:
        """Of the tokenizer; empty for random sequences."""
        return self.tokenizer.fingerprint if self.tokenizer else ""

    @property
    def digest(self) -> str:
        """SHA-256 of all tokens, and of what they are."""
        what = f"{self.grid} {self.vocab_size} {self.fingerprint}"
        digest = hashlib.sha256(what.encode() + self.afterwards.numpy().tobytes())
        for change, of_change in sorted(self.tokens.items()):
            for path, tokens in sorted(of_change.items()):
                digest.update(f"\0{change}\0{path}\0".encode("utf-8", "surrogateescape") + tokens.numpy().tobytes())
        return digest.hexdigest()

    def check(self, gpt: GPT) -> None:
        """Refuse a GPT that does not know these tokens.

        Raises:
            MismatchError: vocabulary, grid or tokenizer differ.
        """
        if self.tokenizer is not None:
            gpt.config.check_tokens(self.grid, self.vocab_size, self.fingerprint)
        elif gpt.config.vocab_size < self.vocab_size or gpt.config.window != prod(self.grid):
            raise MismatchError(
                f"the GPT knows {gpt.config.vocab_size} tokens and sequences of {gpt.config.window}: "
                f"give at most so many --noise-codes and exactly that --noise-length"
            )


def read_lists(options: MemoryOptions) -> Lists:
    """Read and check the lists that the options name.

    Raises:
        StimulusError: a list has defects, or what is tested is also studied with the second list.
    """
    if options.material.noise is not None:
        tested = min(options.material.noise, NOISE_TESTED)
        stimuli, tokens = noise_list(
            options.material.noise,
            tested,
            options.material.noise_length,
            options.material.noise_codes,
            options.learning.seed,
        )
        return Lists(stimuli, noise=tokens)
    assert options.stimuli is not None, "the options ask for one or the other"
    first = read_stimuli(options.stimuli, options.material.exclude_defects)
    if options.material.fillers is not None:
        first = first.with_fillers(options.material.fillers)
    second = read_stimuli(options.learning.then, options.material.exclude_defects) if options.learning.then else None
    if second is not None:
        _check_apart(first, second)
    return Lists(first, second)


def encode_lists(lists: Lists, options: MemoryOptions) -> Material:
    """Encode every image once; a palette that is made for the purpose goes into `options.out`/tokenizer.

    Raises:
        CheckpointError: `--tokenizer` holds none.
        ValueError: the images have fewer colours than the palette is to have, or there is no tokenizer and no palette
            is to be made.
    """
    if lists.noise is not None:
        side = isqrt(options.material.noise_length)
        nothing = torch.zeros(0, options.material.noise_length, dtype=torch.int64)
        return Material(
            tokens={"none": lists.noise},
            afterwards=nothing,
            grid=(1, side, side),
            vocab_size=options.material.noise_codes,
            tokenizer=None,
        )
    tokenizer = _find_tokenizer(options)
    size = tokenizer.size if tokenizer else options.material.size
    resize = options.material.resize
    batches: Iterable[Clips] = read_scaled(lists.first, size, resize, options.test.changes)
    if tokenizer is None:
        if not options.material.fit_palette:
            raise ValueError(f"--gpt {options.gpt} has no tokenizer beside it: give --tokenizer, or --fit-palette")
        batches = list(batches)
        tokenizer = _fit_palette(batches, options)
    tokenizer = tokenizer.to(best_device())
    grid = tokenizer.grid(1, size, size)
    afterwards = torch.zeros(0, prod(grid), dtype=torch.int64)
    if lists.second is not None:
        studied = _encode(tokenizer, read_scaled(replace(lists.second, trials=()), size, resize))["none"]
        afterwards = torch.stack(list(studied.values()))
    return Material(
        tokens=_encode(tokenizer, batches),
        afterwards=afterwards,
        grid=grid,
        vocab_size=tokenizer.vocab_size,
        tokenizer=tokenizer,
    )


def read_clips(root: Path, paths: Sequence[str], size: int, resize: Resize) -> Tensor:
    """Return images of a list as clips (P, 3, 1, size, size) in [-1, 1], the square in their middle cut out."""
    return torch.stack([scale_image(load_image(root / path), size, resize) for path in paths])


def scale_image(image: Image.Image, size: int, resize: Resize) -> Tensor:
    """Return an RGB image as a clip (3, 1, size, size) in [-1, 1], the square in its middle cut out.

    Args:
        image: of any shape; its short side is scaled to `size`.
        size: pixels a side.
        resize: `exact` keeps fractions of levels; `pillow` gives whole levels, for square images those of
            torchvision's `Resize(size)`.
    """
    if resize == "exact":
        return image_to_clip(image, size)
    short = min(image.size)
    width, height = (int(size * side / short) for side in image.size)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return resize_and_crop(torch.from_numpy(np.array(scaled))[None], size)


def read_scaled(stimuli: StimulusList, size: int, resize: Resize, changes: Sequence[str] = ()) -> Iterator[Clips]:
    """Yield the images of a list, some at a time; each is decoded once, also where it is changed for the test."""
    paths = [image.path for image in stimuli.images]
    tested = set(tested_paths(stimuli.trials))
    with Progress("Reading images", len(paths)) as progress:
        for start in range(0, len(paths), IMAGES_AT_ONCE):
            clips: Clips = {change: {} for change in ("none", *changes)}
            for path in paths[start : start + IMAGES_AT_ONCE]:
                loaded = load_image(stimuli.root / path)
                clips["none"][path] = scale_image(loaded, size, resize)
                for change in changes if path in tested else ():
                    clips[change][path] = scale_image(CHANGES[change](loaded, size), size, resize)
            yield clips
            progress.show(min(len(paths), start + IMAGES_AT_ONCE))


def _encode(tokenizer: Tokenizer, batches: Iterable[Clips]) -> Tokens:
    tokens: Tokens = {}
    for batch in batches:
        for change, clips in batch.items():
            of_change = tokens.setdefault(change, {})
            if clips:
                encoded = tokenizer.encode(torch.stack(list(clips.values())).to(best_device()))
                of_change |= zip(clips, encoded.flatten(1).cpu(), strict=True)
    return tokens


def _find_tokenizer(options: MemoryOptions) -> Tokenizer | None:
    folder = options.material.tokenizer or (brought_tokenizer(options.gpt) if options.gpt else None)
    return load_tokenizer(folder) if folder else None


def _fit_palette(batches: Iterable[Clips], options: MemoryOptions) -> Palette:
    """Make a palette of studied images and foils alike, so that it favours neither."""
    clips = torch.stack([clip for batch in batches for clip in batch["none"].values()])
    palette = Palette.fit(
        rearrange(clips, "P C T H W -> (P T H W) C"),
        options.material.colours,
        options.material.size,
        options.learning.seed,
    )
    palette.save_pretrained(options.out / "tokenizer")
    return palette


def _check_apart(first: StimulusList, second: StimulusList) -> None:
    studied = {image.sha256: image.path for image in second.study}
    tested = [image for trial in first.trials for image in (trial.studied, trial.foil) if image.sha256 in studied]
    if tested:
        raise StimulusError(
            f"{len(tested)} tested images of {first.root} are also studied in {second.root}, for instance "
            f"{tested[0].path} as {studied[tested[0].sha256]}: what --then studies must not be tested"
        )
