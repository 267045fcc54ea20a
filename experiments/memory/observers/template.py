"""Pixel template matching: an observer that keeps what it has seen, pixel by pixel, and forgets nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

AT_ONCE = 64
"""Images that are compared with all that is stored at a time."""


class NearestStored(ABC):
    """Keeps a vector of every image it has studied; an image is as unfamiliar as it is far from the nearest of them.

    A vector that is stored already is not stored again. As long as nothing is stored all images are equally unfamiliar.
    """

    stored: Tensor | None = None
    """(M, D) float32."""

    @abstractmethod
    def describe(self, images: Tensor) -> Tensor:
        """Return the vectors (N, D) float32 that images (N, 3, H, W) are kept as."""

    def study(self, images: Tensor) -> None:
        """Store the vectors of images that are not stored yet."""
        vectors = self.describe(images)
        if self.stored is None:
            self.stored = vectors[:0]
        for vector in vectors:
            if len(self.stored) == 0 or float(self.distances(vector[None])) > 0:
                self.stored = torch.cat([self.stored, vector[None]])

    def score(self, images: Tensor) -> Tensor:
        """Return the distances (N,) to the nearest vector that is stored; 0 for what was seen exactly so."""
        return torch.cat([self.distances(self.describe(part)) for part in images.split(AT_ONCE)])

    def distances(self, vectors: Tensor) -> Tensor:
        """Return root mean square differences (N,) of vectors (N, D) to the nearest that is stored."""
        if self.stored is None or not len(self.stored):
            return torch.zeros(len(vectors))
        # Differences are squared one by one: by way of products equal vectors would lie apart.
        apart = torch.cdist(vectors, self.stored, compute_mode="donot_use_mm_for_euclid_dist")
        return apart.amin(dim=1) / vectors.shape[1] ** 0.5

    def reset(self) -> None:
        """Forget everything."""
        self.stored = None

    def state(self) -> dict[str, Tensor]:
        """Return all that is stored."""
        return {} if self.stored is None else {"stored": self.stored}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take it back."""
        self.stored = state.get("stored")


class Template(NearestStored):
    """Keeps pixels: distances are root mean square differences of levels in [-1, 1]."""

    def describe(self, images: Tensor) -> Tensor:
        """Return all levels of an image, one after another."""
        return images.flatten(1)
