"""Perceptual distance between pictures, from a feature network whose weights are really there.

    none                        no perceptual distance
    lpips                       LPIPS (Zhang et al. 2018) on the VGG-16 trunk in torch's hub cache
    timm:<model>:<file>         unit-normalised features of a timm model with weights from a local file

Nothing is downloaded and nothing ever runs on random weights: compute nodes have no internet, and a distance in random
features looks like a distance.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import lpips
import timm
import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor, nn

VGG_FILE = "vgg16-397923af.pth"
# Channel statistics of ImageNet, which the feature networks were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class WeightsMissingError(FileNotFoundError):
    """The weights of a perceptual network are not on this machine; the message says where to put them."""


class LPIPS(nn.Module):
    """LPIPS with its published linear heads."""

    def __init__(self, trunk: Path) -> None:
        super().__init__()
        if not trunk.exists():
            raise WeightsMissingError(
                f"LPIPS needs the VGG-16 weights of torchvision as {trunk}: put {VGG_FILE} there, "
                "or pass --perceptual timm:<model>:<weights file> or --perceptual none"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls torchvision by a name it has since renamed
            # pnet_rand keeps the package from downloading the trunk, which is loaded right below instead.
            self.distance = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
        names = {name: "features." + name.split(".", 1)[1] for name in self.distance.net.state_dict()}
        _load_named(self.distance.net, _read_weights(trunk), names, trunk)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (B,) of pictures (B, 3, H, W) in [-1, 1]."""
        return self.distance(x, y).flatten()


class FeatureDistance(nn.Module):
    """Mean squared difference of unit-normalised features at every level of a timm model."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: str, weights: Path) -> None:
        super().__init__()
        if not weights.exists():
            raise WeightsMissingError(f"there is no weights file {weights} for the feature network {model}")
        self.network = timm.create_model(model, pretrained=False, features_only=True)
        state = {_flat(name): tensor for name, tensor in _read_weights(weights).items()}
        names = {name: _flat(name) for name in self.network.state_dict()}
        _load_named(self.network, state, names, weights)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (B,) of pictures (B, 3, H, W) in [-1, 1]."""
        levels = zip(self._features(x), self._features(y), strict=True)
        per_level = [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in levels]
        return torch.stack(per_level).mean(dim=0)

    def _features(self, x: Tensor) -> list[Tensor]:
        features = self.network(((x + 1) / 2 - self.mean) / self.std)
        return [nn.functional.normalize(level, dim=1) for level in features]


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is refused: it holds more than tensors, or is damaged") from error


def _flat(name: str) -> str:
    """Return a name as it is in all of timm's feature networks, some of which turn `stages.0` into `stages_0`."""
    return name.removeprefix("model.").replace("_", ".")


def _load_named(network: nn.Module, state: dict[str, Tensor], names: dict[str, str], path: Path) -> None:
    """Load the tensors of `state` that stand there under the values of `names` into those of its keys."""
    missing = [name for name in names.values() if name not in state]
    if missing:
        raise ValueError(f"{path} holds weights of another network: {', '.join(missing[:10])} missing")
    network.load_state_dict({name: state[theirs] for name, theirs in names.items()}, strict=True)


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
    kind, _, rest = spec.partition(":")
    model, _, file = rest.partition(":")
    if kind == "timm" and model and file:
        return FeatureDistance(model, Path(file))
    raise ValueError(f"--perceptual {spec!r} is not one of none, lpips, timm:<model>:<weights file>")


def frame_distance(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the distance (B,) of clips (B, 3, T, H, W) in [-1, 1], averaged over their frames."""
    pair = (rearrange(clip, "B C T H W -> (B T) C H W") for clip in (x, y))
    return rearrange(network(*pair), "(B T) -> B T", B=len(x)).mean(dim=1)
