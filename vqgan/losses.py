"""Losses of the tokenizer: pixels and perception, and the weight of the adversary beside them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data.frames import LUMA
from training.processes import mean_across_processes
from training.transfer import to_device
from vqgan.metrics.perceptual import frame_distance
from vqgan.options import AdversaryOptions

# Frames of a clip look alike, and a feature network costs more than the tokenizer itself.
PERCEPTUAL_FRAMES = 2


def reconstruction_loss(
    decoded: Tensor,
    clips: Tensor,
    perceptual: nn.Module | None,
    weight: float,
    chroma_weight: float = 0.0,
    gradient_weight: float = 0.0,
) -> Tensor:
    """Return the pixel error plus weighted errors of a few random frames' perception, of chroma and edges, a scalar.

    The pixel error is the mean of |e| + 2 e^2: absolute, so that edges stay sharp, and squared, because large
    errors are what people see and PSNR counts. That of chroma is the same of what luma leaves of e.

    Args:
        decoded: (B, 3, T, H, W), about [-1, 1].
        clips: (B, 3, T, H, W) in [-1, 1].
        perceptual: network that compares images, or None.
        weight: weight of the perceptual distance.
        chroma_weight: weight of the error of chroma.
        gradient_weight: weight of the error of differences between neighbouring pixels.
    """
    error = decoded - clips
    loss = _size(error)
    if chroma_weight:
        loss = loss + chroma_weight * _size(error - _luma(error))
    if gradient_weight:
        loss = loss + gradient_weight * _mean_gradient(error)
    if perceptual is not None:
        chosen = to_device(torch.randperm(clips.shape[2])[:PERCEPTUAL_FRAMES], clips.device)
        loss = loss + weight * frame_distance(perceptual, decoded[:, :, chosen], clips[:, :, chosen]).mean()
    return loss


def _size(error: Tensor) -> Tensor:
    return (error.abs() + 2 * error.square()).mean()


def _luma(error: Tensor) -> Tensor:
    """Return the luma (B, 1, T, H, W) of errors (B, 3, T, H, W), without a product that autocast would round."""
    red, green, blue = (share * channel for share, channel in zip(LUMA, error.split(1, dim=1), strict=True))
    return red + green + blue


def _mean_gradient(error: Tensor) -> Tensor:
    """Return the mean over pixels of the absolute differences to the next in row and column, none beyond the edge."""
    beside = error[..., 1:] - error[..., :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    return (beside.abs().sum() + below.abs().sum()) / error.numel()


def adversarial_share(step: int, options: AdversaryOptions) -> float:
    """Return how much of the adversary's weight holds at `step`: 0 until it begins to learn, then rising to 1."""
    return min(1.0, max(0.0, (step - options.adversarial_start) / options.adversarial_ramp))


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """Return the factor that gives both losses gradients of the same length at the decoder's last layer.

    The lengths are those of the gradients over the global batch, so all processes get the same factor.
    Esser et al. (2021), equation 7, with the bounds of their code.

    Args:
        reconstruction: loss, a scalar.
        adversarial: loss, a scalar.
        last: weight of the decoder's last layer.
    """
    (wanted,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (given,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    wanted, given = mean_across_processes(torch.stack([wanted, given]))
    return (wanted.norm() / (given.norm() + 1e-4)).clamp(0, 1e4).detach()
