"""Networks that observers train: what they have learned, as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

MODEL = "model."
OPTIMIZER = "optimizer."
"""How the names of tensors begin."""


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the weights of a model and the moments of its optimizer, by name."""
    tensors = {f"{MODEL}{name}": tensor for name, tensor in model.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    return tensors


def load_tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a model and its optimizer back what `tensors_of` returned.

    Raises:
        RuntimeError: they are of another model.
    """
    model.load_state_dict({name.removeprefix(MODEL): t for name, t in tensors.items() if name.startswith(MODEL)})
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            number, moment = name.removeprefix(OPTIMIZER).split(".", 1)
            moments.setdefault(int(number), {})[moment] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
