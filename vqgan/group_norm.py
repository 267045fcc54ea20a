"""Group norm that is as exact for every layout in memory."""

from __future__ import annotations

from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """torch's group norm, but for one thing on a CPU.

    There torch computes the variance of batches in channels-last memory as a difference of two large numbers: where the
    mean of a group is a hundred times its deviation, results of size 1 are off by 0.03. Such batches are copied first.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised (B, C, ...) of (B, C, ...)."""
        return super().forward(x.contiguous() if x.device.type == "cpu" else x)
