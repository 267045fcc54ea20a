"""Where models run when nobody launched several processes."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
