"""Weights files of networks for tests: real files of random weights, and a pickle that does harm."""

import os
from pathlib import Path

import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn


class Malice:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def make_vgg(torch_home: Path) -> Path:
    """A VGG-16 of random weights, convolutions only, where LPIPS looks for it under a `TORCH_HOME`."""
    with torch.device("meta"):
        names = torchvision.models.vgg16().features.state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        f"features.{name}": torch.randn(tensor.shape, generator=generator) * tensor[0].numel() ** -0.5
        for name, tensor in names.items()
    }
    path = torch_home / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    return path


def make_network(path: Path, model: str = "test_resnet", seed: int = 0) -> Path:
    """A file with random weights of a timm model."""
    torch.manual_seed(seed)
    return save_network(path, timm.create_model(model, pretrained=False))


def save_network(path: Path, network: nn.Module) -> Path:
    """A file with the weights of a network, each on its own where layers share them."""
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, path)
    return path
