"""A small convolutional autoencoder that is trained on line: what it has seen it redraws better."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.memory.observers.optimizer_state import load_tensors_of, tensors_of
from training.processes import best_device


class Autoencoder:
    """Takes a gradient step for every few images it studies; an image is as unfamiliar as it is badly redrawn.

    Args:
        size: pixels a side, a multiple of 4.
        width: channels of its first layer; the next has twice as many.
        code: numbers that an image must pass through.
        learning_rate: of Adam (Kingma and Ba 2015), constant.
        steps: gradient steps in a row on what it is given to study.

    Raises:
        ValueError: the size is no multiple of 4, or a number is not positive.
    """

    def __init__(
        self, size: int = 32, width: int = 16, code: int = 128, learning_rate: float = 1e-3, steps: int = 1
    ) -> None:
        if size < 4 or size % 4:
            raise ValueError(f"size={size} must be a multiple of 4")
        if min(width, code, steps) < 1 or learning_rate < 0:
            raise ValueError("width, code and steps must be positive, and learning_rate not negative")
        self.size = size
        self.steps = steps
        self.device = best_device()
        self.network = _network(size, width, code).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)

    def study(self, images: Tensor) -> None:
        """Take the steps that make these images (N, 3, H, W) redrawn better."""
        shown = images.to(self.device)
        for _ in range(self.steps):
            self.optimizer.zero_grad()
            self._errors(shown).mean().backward()
            self.optimizer.step()

    def score(self, images: Tensor) -> Tensor:
        """Return the mean squared differences (N,) to what it makes of the images."""
        return torch.cat([self._errors(part.to(self.device)) for part in images.split(64)])

    def state(self) -> dict[str, Tensor]:
        """Return weights and moments."""
        return tensors_of(self.network, self.optimizer)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take them back."""
        load_tensors_of(self.network, self.optimizer, state)

    def _errors(self, images: Tensor) -> Tensor:
        return (self.network(images) - images).square().mean(dim=(1, 2, 3))


def _network(size: int, width: int, code: int) -> nn.Sequential:
    """Return the layers: two that halve the sides, the code, and two that double them again."""
    side = size // 4
    inner = 2 * width * side * side
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.GELU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(inner, code),
        nn.Linear(code, inner),
        nn.GELU(),
        nn.Unflatten(1, (2 * width, side, side)),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.GELU(),
        nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1),
    )
