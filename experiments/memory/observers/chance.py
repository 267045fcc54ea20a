"""An observer that guesses."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Chance:
    """Says any number of any image.

    What it says depends on what it has studied, so that both versions of a list are guessed anew, and on nothing else.

    Args:
        seed: of the run.
    """

    size = 8

    def __init__(self, seed: int = 0) -> None:
        self.digest = hashlib.sha256(f"{seed}".encode()).digest()

    def study(self, images: Tensor) -> None:
        """Forget what it would have said before."""
        self.digest = hashlib.sha256(self.digest + images.numpy().tobytes()).digest()

    def score(self, images: Tensor) -> Tensor:
        """Return numbers that are uniform in [0, 1)."""
        generator = torch.Generator().manual_seed(int.from_bytes(self.digest[:8], "little"))
        return torch.rand(len(images), generator=generator, dtype=torch.float64)

    def state(self) -> dict[str, Tensor]:
        """Return what the next numbers depend on."""
        return {"digest": torch.tensor(list(self.digest), dtype=torch.uint8)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take it back."""
        self.digest = bytes(state["digest"].tolist())
