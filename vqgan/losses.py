"""Losses of the tokenizer. The adversarial ones belong here too, beside the perceptual one."""

from __future__ import annotations

from torch import Tensor, nn

from vqgan.perceptual import frame_distance


def reconstruction_loss(decoded: Tensor, clips: Tensor, perceptual: nn.Module | None, weight: float) -> Tensor:
    """Return the pixel error plus `weight` times the perceptual distance, a scalar.

    The pixel error is the mean of |e| + 2 e^2: absolute, so that edges stay sharp, and squared, because large
    errors are what people see and PSNR counts.

    Args:
        decoded: (B, 3, T, H, W), about [-1, 1]; for a still, the frames it was decoded to.
        clips: (B, 3, T, H, W) in [-1, 1].
        perceptual: network that compares pictures, or None.
        weight: weight of the perceptual distance.
    """
    error = decoded - clips
    loss = (error.abs() + 2 * error.square()).mean()
    if perceptual is not None:
        loss = loss + weight * frame_distance(perceptual, decoded, clips).mean()
    return loss
