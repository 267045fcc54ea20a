"""Frechet distance between originals and reconstructions: rFID for images, rFVD for clips.

What the features of images come from is named by a spec:

    none                        no Frechet distance
    inception:<file>            rFID: the Inception-v3 of the published numbers, its weights from a local file
                                (pt_inception-2015-12-05-6726825d.pth or weights-inception-2015-12-05-6726825d.pth)
    efficientnet-lite0          what the classifier of EfficientNet-Lite0 would see (likewise -lite1 and -lite2)
    timm:<model>:<file>         what the classifier of a timm model would see, its weights from a local file

The last two are told in vqgan/metrics/features.py.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from training.processes import best_device
from vqgan.metrics.features import LITE, PooledNetwork, WeightsMissingError, find_weights, read_tensors
from vqgan.metrics.i3d import MIN_FRAMES, load_i3d


class FrechetDistance:
    """The Frechet distance between the features of two sets, gathered batch by batch."""

    def __init__(self, key: str, features: nn.Module, unit: Literal["images", "clips"]) -> None:
        """Begin with empty sets.

        Args:
            key: what the distance is called among the metrics.
            features: maps images (B, 3, H, W) or clips (B, 3, T, H, W) in [-1, 1] to (B, `num_features`).
            unit: what a set consists of; all frames of clips count as images.
        """
        self.key = key
        self.unit = unit
        self.metric = FrechetInceptionDistance(features, normalize=True).to(best_device())

    @torch.no_grad()
    def add(self, decoded: Tensor, clips: Tensor) -> None:
        """Add reconstructions and originals, both (B, 3, T, H, W) in [-1, 1]."""
        for batch, real in ((decoded, False), (clips, True)):
            images = rearrange(batch, "B C T H W -> (B T) C H W") if self.unit == "images" else batch
            self.metric.update(images.to(self.metric.device), real=real)

    def check(self, clips: int, frames: int) -> None:
        """Check, before the work, that so many clips are enough to have a spread.

        Args:
            clips: how many there are.
            frames: of each.

        Raises:
            ValueError: there are fewer than two images or clips.
        """
        self._check_count(clips if self.unit == "clips" else clips * frames)

    def compute(self) -> float:
        """Return the distance; say so on stderr where the sets are too small to trust it.

        Raises:
            ValueError: there are fewer than two images or clips.
        """
        count = int(self.metric.real_features_num_samples)
        dimensions = len(self.metric.real_features_sum)
        self._check_count(count)
        if count <= dimensions:
            print(
                f"warning: {self.key} of {count} {self.unit} is biased: "
                f"features of {dimensions} dimensions need more than {dimensions} {self.unit}",
                file=sys.stderr,
            )
        # Rounding makes the distance of equal sets a little less than nothing.
        return float(self.metric.compute().clamp(min=0))

    def _check_count(self, count: int) -> None:
        if count < 2:
            raise ValueError(
                f"{self.key} compares spreads and needs at least 2 {self.unit}, not {count}: "
                "use more data, or leave it out"
            )


class InceptionFeatures(nn.Module):
    """The features of published Frechet inception distances, as torch-fidelity computes them."""

    num_features = 2048

    def __init__(self, weights: Path) -> None:
        """Load the network.

        Raises:
            WeightsMissingError: the file or the package torch-fidelity is missing.
            ValueError: the file does not hold these weights.
        """
        super().__init__()
        if not weights.is_file():
            raise WeightsMissingError(f"there is no weights file {weights} for the inception network")
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-untyped]
                FeatureExtractorInceptionV3,
            )
        except ImportError as error:
            raise WeightsMissingError(
                "--frechet inception:<weights file> needs a package: pip install torch-fidelity"
            ) from error
        # The package unpickles whatever it is given, so it gets a copy of the tensors instead of the file.
        copy = io.BytesIO()
        torch.save(read_tensors(weights), copy)
        copy.seek(0)
        try:
            self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
        except RuntimeError as error:
            raise ValueError(f"{weights} does not hold the inception network of FID: {str(error)[:500]}") from error

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1] to (B, 2048)."""
        return self.network(((x + 1) * 127.5).round().clamp(0, 255).byte())[0]


def build_frechet(spec: str) -> FrechetDistance | None:
    """Return the distance between images that `spec` names (see above), or None for "none".

    Only inception's is called `rfid`, so that no other is ever taken for a published number.

    Raises:
        WeightsMissingError: weights, or a package, are not on this machine.
        ValueError: `spec` names none of them, or the file does not hold the weights of its network.
    """
    if spec == "none":
        return None
    kind, _, file = spec.partition(":")
    if kind == "inception" and file:
        return FrechetDistance("rfid", InceptionFeatures(Path(file)), "images")
    weights = find_weights(spec)
    if weights is None:
        raise ValueError(
            f"--frechet {spec!r} is not one of none, inception:<weights file>, {', '.join(LITE)}, "
            "timm:<model>:<weights file>"
        )
    name = spec if spec in LITE else weights.model
    return FrechetDistance(f"frechet_{name}", PooledNetwork(weights), "images")


def build_fvd(weights: Path, frames: int) -> FrechetDistance:
    """Return the Frechet video distance (Unterthiner et al. 2018) for clips of `frames` frames.

    Args:
        weights: file of I3D's weights for Kinetics-400.
        frames: 1 for stills.

    Raises:
        WeightsMissingError: there is no such file.
        ValueError: the clips are too short for I3D, or the file does not hold its weights.
    """
    if frames < MIN_FRAMES:
        clips = "stills" if frames == 1 else f"clips of {frames} frames"
        raise ValueError(f"--fvd compares clips of at least {MIN_FRAMES} frames, and these are {clips}: leave it out")
    return FrechetDistance("rfvd", load_i3d(weights), "clips")
