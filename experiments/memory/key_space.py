"""A space learned on pictures that are not tested, and a store of the pictures that were studied, as points in it.

Features of pictures lie in a narrow cone and vary most in what nearly all pictures have: how large the object is, how
dark. Centred and whitened on other pictures, what is rare counts as much. Directions in which those hardly vary are
noise of the sample; they are left out, and shrunk.

Axes: B pictures, N stored ones, D features, K dimensions of the space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

DIMENSIONS = 128
"""Directions of a space at most: those in which the pictures that it is learned from vary most."""
SHRINKAGE = 0.1
"""Of the mean variance over all directions that is added to each before it is divided by."""
LEAST = 8
"""Pictures that a space is learned from, at least."""
AT_ONCE = 256
"""Pictures that are compared with all stored ones at a time."""


@dataclass(frozen=True)
class KeySpace:
    """Features, centred and whitened."""

    mean: Tensor
    """(D,) float32."""
    directions: Tensor
    """(D, K) float32, each divided by the standard deviation along it."""

    @classmethod
    def fit(cls, features: Tensor) -> KeySpace:
        """Learn a space from features (M, D) of pictures that are not tested.

        Raises:
            ValueError: they are fewer than `LEAST`, or all the same.
        """
        count = len(features)
        if count < LEAST:
            raise ValueError(
                f"the space of keys is learned from {count} pictures that are not tested, and needs {LEAST}: give a "
                "list with more fillers, or other pictures with --key-data"
            )
        mean = features.mean(dim=0)
        centred = (features - mean).double()
        # The smaller of the two matrices of products has the same variances.
        _, spread, directions = torch.linalg.svd(centred / (count - 1) ** 0.5, full_matrices=False)
        kept = min(DIMENSIONS, count - 1, int((spread > spread[0] * 1e-6).sum()))
        if not float(spread[0]) > 0:
            raise ValueError("the pictures that the space of keys is learned from all look the same: give others")
        variances = spread.square()
        added = SHRINKAGE * variances.sum() / min(count - 1, features.shape[1])
        scaled = directions[:kept].T / (variances[:kept] + added).sqrt()
        return cls(mean, scaled.float())

    def project(self, features: Tensor) -> Tensor:
        """Map features (B, D) to points (B, K) of length 1."""
        return F.normalize((features - self.mean) @ self.directions, dim=1)


class PictureStore:
    """Points of studied pictures; a picture is as familiar as the nearest of them is near.

    It takes 4 * K bytes a picture: 1.3 MB for 2,500 of them.
    """

    def __init__(self) -> None:
        self.points = torch.zeros(0, 0)
        """(N, K) float32, of length 1."""

    def write(self, points: Tensor) -> None:
        """Store points (B, K)."""
        self.points = torch.cat([self.points, points]) if len(self.points) else points

    def score(self, points: Tensor) -> Tensor:
        """Return squared distances (B,) of points (B, K) to the nearest stored one, 0 to 4, lower is more familiar.

        As long as nothing is stored all pictures are equally familiar, with 0.
        """
        if not len(self.points):
            return torch.zeros(len(points))
        # Two minus twice the product would cancel where points are near.
        return (points - self.points[self.nearest(points)]).square().sum(dim=1)

    def nearest(self, points: Tensor) -> Tensor:
        """Return the index (B,) int64, as they were written, of the stored point nearest to each of points (B, K)."""
        return torch.cat([(part @ self.points.T).argmax(dim=1) for part in points.split(AT_ONCE)])
