"""Distances between continuations: of pixels, of tokens, and of what networks see in them.

    pixel        root mean square difference on the scale [0, 1]: 1 is black against white
    token        share of differing tokens
    perceptual   LPIPS (Zhang et al. 2018) or the feature distance of vqgan.metrics.perceptual, mean over frames
    feature      one minus the cosine similarity of a network's coarsest features, averaged over the image: what an
                 image is of, rather than where; mean over frames, between 0 and 2

Each embeds continuations as vectors and compares these. Only what was generated is compared. Each image goes through a
network once, not once for every pair.

Axes: N continuations, T frames, H rows, W columns of pixels, L generated tokens; D dimensions of a vector.
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

EmbedImages = Callable[[Tensor], Sequence[Tensor]]
"""Maps images (B, 3, H, W) in [-1, 1] to vectors (B, D), a tensor of them for each distance that uses the network."""


class Generated(NamedTuple):
    """What was generated of N continuations, or what is there of N originals."""

    pixels: Tensor
    """(N, 3, T, H, W) float32 in [-1, 1]: the generated box only."""
    tokens: Tensor
    """(N, L) int64: the generated tokens only."""


class EmbeddingDistance(Protocol):
    """A distance between continuations, as that of vectors that stand for them."""

    name: str
    """One of `experiments.diversity.tables.DISTANCES`."""

    def embed(self, generated: Generated) -> Tensor:
        """Return vectors (N, D) on the CPU."""

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D)."""


def build_distances(perceptual: str, features: str, device: torch.device) -> list[EmbeddingDistance]:
    """Return the distances of pixels and of tokens, and those of the networks that are not "none".

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
    distances: list[EmbeddingDistance] = [PixelDistance(), TokenDistance()]
    if isinstance(distance, FeatureDistance) and network is not None and features == perceptual:
        shared = CachedFeatures(partial(_perceptual_and_coarsest, distance.to(device)), device)
        return [*distances, NetworkDistance("perceptual", shared, 0), NetworkDistance("feature", shared, 1)]
    if distance is not None:
        perceptual_only = CachedFeatures(partial(_perceptual, distance.to(device).embed), device)
        distances.append(NetworkDistance("perceptual", perceptual_only))
    if network is not None:
        coarsest_only = CachedFeatures(partial(_coarsest, network.to(device)), device)
        distances.append(NetworkDistance("feature", coarsest_only))
    return distances


class PixelDistance:
    """The root of the mean square difference of pixels, on the scale [0, 1]."""

    name = "pixel"

    def embed(self, generated: Generated) -> Tensor:
        """Return the pixels (N, 3 * T * H * W), scaled so that the distance of vectors is that of images."""
        flat = generated.pixels.flatten(1).cpu()
        return flat / (2 * math.sqrt(flat.shape[1]))

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D), between 0 and 1."""
        return _squared_distances(a, b).sqrt()


class TokenDistance:
    """The share of tokens that differ."""

    name = "token"

    def embed(self, generated: Generated) -> Tensor:
        """Return the tokens themselves, (N, L) int64."""
        return generated.tokens.cpu()

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of tokens (A, L) from tokens (B, L), between 0 and 1."""
        return torch.stack([(b != row).float().mean(dim=1) for row in a])


class NetworkDistance:
    """The squared distance of what a network makes of every frame, mean over frames.

    Args:
        name: of the distance.
        features: embeds the frames.
        index: of this distance's vectors among those that `features` returns.
    """

    def __init__(self, name: str, features: CachedFeatures, index: int = 0) -> None:
        self.name = name
        self.features = features
        self.index = index

    def embed(self, generated: Generated) -> Tensor:
        """Return the vectors of all frames side by side, (N, T * D), scaled so that their distance is the mean."""
        of_frames = self.features.of_frames(generated.pixels)[self.index]
        vectors = rearrange(of_frames, "(N T) D -> N (T D)", N=len(generated.pixels))
        return vectors / math.sqrt(generated.pixels.shape[2])

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (A, B) of vectors (A, D) from vectors (B, D)."""
        return _squared_distances(a, b)


class CachedFeatures:
    """What a network makes of the frames of continuations; the last continuations are remembered.

    So an image goes through a network once, also where two distances use it.

    Args:
        embed_images: the network, and what is made of its levels.
        device: where it runs.
    """

    def __init__(self, embed_images: EmbedImages, device: torch.device) -> None:
        self.embed_images = embed_images
        self.device = device
        self._last: tuple[Tensor, list[Tensor]] | None = None

    def of_frames(self, pixels: Tensor) -> list[Tensor]:
        """Return the vectors (N * T, D) of all frames of clips (N, 3, T, H, W), for each distance, on the CPU."""
        if self._last is None or self._last[0] is not pixels:
            frames = rearrange(pixels, "N C T H W -> (N T) C H W")
            scale = max(1.0, MIN_SIDE / min(frames.shape[2:]))
            height, width = (round(side * scale) for side in frames.shape[2:])
            chunks = frames.split(max(1, PIXELS_AT_ONCE // (height * width)))
            embedded = zip(*(self._embed(chunk, height, width) for chunk in chunks), strict=True)
            self._last = pixels, [torch.cat(of_distance) for of_distance in embedded]
        return self._last[1]

    @torch.no_grad()
    def _embed(self, frames: Tensor, height: int, width: int) -> list[Tensor]:
        # With channels last, convolutions take half the time on CPUs.
        images = frames.to(self.device, memory_format=torch.channels_last)
        if images.shape[2:] != (height, width):
            images = functional.interpolate(images, (height, width), mode="bilinear")
        return [vectors.cpu() for vectors in self.embed_images(images)]


def _perceptual_and_coarsest(distance: FeatureDistance, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vectors of the perceptual distance and of the distance of features of one network."""
    levels = distance.network(images)
    return distance.join(levels), _pooled(levels[-1])


def _perceptual(embed: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor]:
    return (embed(images),)


def _coarsest(network: FeatureNetwork, images: Tensor) -> tuple[Tensor]:
    return (_pooled(network(images)[-1]),)


def _pooled(features: Tensor) -> Tensor:
    """Return means (B, C) of features (B, C, H, W), so long that squared distances are 1 - cosine."""
    return functional.normalize(features.mean(dim=(2, 3)), dim=1) / math.sqrt(2)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared Euclidean distances (A, B) of vectors (A, D) from vectors (B, D).

    Vectors are subtracted before they are squared: |a|^2 - 2ab + |b|^2 would lose the digits of near-equal ones. They
    are taken in blocks of columns, because cdist adds up millions of columns one after the other and loses digits, too.
    """
    blocks = zip(a.split(COLUMNS_AT_ONCE, dim=1), b.split(COLUMNS_AT_ONCE, dim=1), strict=True)
    exact = "donot_use_mm_for_euclid_dist"
    return torch.stack([torch.cdist(x, y, compute_mode=exact).square() for x, y in blocks]).sum(dim=0)
