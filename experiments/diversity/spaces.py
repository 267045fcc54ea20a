"""Where continuations are compared: in pixels, in tokens, and in what networks see.

    pixel        root mean square difference on the scale [0, 1]: 1 is black against white
    token        share of differing tokens
    perceptual   LPIPS (Zhang et al. 2018) or the feature distance of vqgan.metrics.perceptual, mean over frames
    feature      one minus the cosine similarity of a network's coarsest features, averaged over the image: what a
                 image is of, rather than where; mean over frames, between 0 and 2

Only what was generated is compared. Each image goes through a network once, not once for every pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from vqgan.metrics.features import FeatureNetwork, build_features
from vqgan.metrics.perceptual import FeatureDistance, build_perceptual

MIN_SIDE = 32
"""Pixels of the shorter side below which networks see an enlarged image. One row of tokens may be 4 pixels high, VGG
halves images four times and EfficientNet five times: below 32 pixels the coarsest level would be padding, or gone."""
PIXELS_AT_ONCE = 2**17
"""Pixels that go through a network together, 32 frames of 64 x 64: memory stays bounded, and CPUs are no faster with
more."""
COLUMNS_AT_ONCE = 2**12


class Generated(NamedTuple):
    """What was generated of N continuations, or what is there of N originals."""

    pixels: Tensor
    """(N, 3, T, H, W) float32 in [-1, 1]: the generated box only."""
    tokens: Tensor
    """(N, L) int64: the generated tokens only."""


class Space(Protocol):
    """A distance, as that of vectors."""

    name: str
    """One of `experiments.diversity.tables.SPACES`."""

    def embed(self, generated: Generated) -> Tensor:
        """Return vectors (N, D) on the CPU."""

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D)."""


def build_spaces(perceptual: str, features: str, device: torch.device) -> list[Space]:
    """Return the spaces of pixels and tokens, and those of the networks that are not "none".

    Args:
        perceptual: what `vqgan.metrics.perceptual.build_perceptual` takes.
        features: "none", or what `vqgan.metrics.features.build_features` takes.
        device: where the networks run.

    Raises:
        WeightsMissingError: the weights of a network are not on this machine.
        ValueError: a network has no such name, or the file does not hold its weights.
    """
    distance = build_perceptual(perceptual)
    network = None if features == "none" else build_features(features)
    if network is None and features != "none":
        raise ValueError(f"--features {features!r} is not one of none, efficientnet-lite0, timm:<model>:<weights file>")
    spaces: list[Space] = [PixelSpace(), TokenSpace()]
    if isinstance(distance, FeatureDistance) and network is not None and features == perceptual:
        sight = Sight(partial(_look_once, distance.to(device)), device)
        return [*spaces, NetworkSpace("perceptual", sight), NetworkSpace("feature", sight, 1)]
    if distance is not None:
        spaces.append(NetworkSpace("perceptual", Sight(_single(distance.to(device).embed), device)))
    if network is not None:
        spaces.append(NetworkSpace("feature", Sight(_single(partial(_unit_features, network.to(device))), device)))
    return spaces


class PixelSpace:
    """Pixels, compared by the root of their mean square difference on the scale [0, 1]."""

    name = "pixel"

    def embed(self, generated: Generated) -> Tensor:
        """Return the pixels (N, 3 * T * H * W), scaled so that the distance of vectors is that of images."""
        flat = generated.pixels.flatten(1).cpu()
        return flat / (2 * math.sqrt(flat.shape[1]))

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D), between 0 and 1."""
        return _squared_distances(a, b).sqrt()


class TokenSpace:
    """Tokens, compared by the share that differs."""

    name = "token"

    def embed(self, generated: Generated) -> Tensor:
        """Return the tokens themselves, (N, L) int64."""
        return generated.tokens.cpu()

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of tokens (A, L) from tokens (B, L), between 0 and 1."""
        return torch.stack([(b != row).float().mean(dim=1) for row in a])


class Sight:
    """What networks see of the frames of continuations; what they saw last is remembered.

    So an image goes through a network once, also where two spaces use it.

    Args:
        look: maps images (B, 3, H, W) in [-1, 1] to vectors (B, D) of each space, whose squared distances are meant.
        device: where it runs.
    """

    def __init__(self, look: Callable[[Tensor], Sequence[Tensor]], device: torch.device) -> None:
        self.look = look
        self.device = device
        self._last: tuple[Tensor, list[Tensor]] | None = None

    def see(self, pixels: Tensor) -> list[Tensor]:
        """Return the vectors (N * T, D) of all frames of clips (N, 3, T, H, W), for each space, on the CPU."""
        if self._last is None or self._last[0] is not pixels:
            frames = rearrange(pixels, "N C T H W -> (N T) C H W")
            scale = max(1.0, MIN_SIDE / min(frames.shape[2:]))
            height, width = (round(side * scale) for side in frames.shape[2:])
            chunks = frames.split(max(1, PIXELS_AT_ONCE // (height * width)))
            seen = zip(*(self._look(chunk, height, width) for chunk in chunks), strict=True)
            self._last = pixels, [torch.cat(of_space) for of_space in seen]
        return self._last[1]

    @torch.no_grad()
    def _look(self, frames: Tensor, height: int, width: int) -> list[Tensor]:
        # With channels last, convolutions take half the time on CPUs.
        images = frames.to(self.device, memory_format=torch.channels_last)
        if images.shape[2:] != (height, width):
            images = functional.interpolate(images, (height, width), mode="bilinear")
        return [vectors.cpu() for vectors in self.look(images)]


class NetworkSpace:
    """What a network sees of every frame, compared by squared distance, mean over frames.

    Args:
        name: of the space.
        sight: looks at the frames.
        place: of this space among those that `sight` serves.
    """

    def __init__(self, name: str, sight: Sight, place: int = 0) -> None:
        self.name = name
        self.sight = sight
        self.place = place

    def embed(self, generated: Generated) -> Tensor:
        """Return the vectors of all frames side by side, (N, T * D), scaled so that their distance is the mean."""
        seen = self.sight.see(generated.pixels)[self.place]
        vectors = rearrange(seen, "(N T) D -> N (T D)", N=len(generated.pixels))
        return vectors / math.sqrt(generated.pixels.shape[2])

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D)."""
        return _squared_distances(a, b)


def _single(look: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Sequence[Tensor]]:
    return lambda images: (look(images),)


def _look_once(distance: FeatureDistance, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vectors of the perceptual distance and of the feature space of one network."""
    levels = distance.network(images)
    return distance.join(levels), _coarsest(levels)


def _unit_features(network: FeatureNetwork, images: Tensor) -> Tensor:
    return _coarsest(network(images))


def _coarsest(levels: Sequence[Tensor]) -> Tensor:
    """Return the mean coarsest features (B, C) of images, so long that squared distances are 1 - cosine."""
    return functional.normalize(levels[-1].mean(dim=(2, 3)), dim=1) / math.sqrt(2)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared Euclidean distances (A, B) of vectors (A, D) from vectors (B, D).

    Vectors are subtracted before they are squared: |a|^2 - 2ab + |b|^2 would lose the digits of near-equal ones. They
    are taken in blocks of columns, because cdist adds up millions of columns one after the other and loses digits, too.
    """
    blocks = zip(a.split(COLUMNS_AT_ONCE, dim=1), b.split(COLUMNS_AT_ONCE, dim=1), strict=True)
    exact = "donot_use_mm_for_euclid_dist"
    return torch.stack([torch.cdist(x, y, compute_mode=exact).square() for x, y in blocks]).sum(dim=0)
