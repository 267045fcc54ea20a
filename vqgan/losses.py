"""Losses of the tokenizer: pixels and perception, and the weight of the adversary beside them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.processes import mean_across_processes
from training.transfer import to_device
from vqgan.metrics.perceptual import frame_distance
from vqgan.options import AdversaryOptions

# Frames of a clip look alike, and a feature network costs more than the tokenizer itself.
PERCEPTUAL_FRAMES = 2


def reconstruction_loss(decoded: Tensor, clips: Tensor, perceptual: nn.Module | None, weight: float) -> Tensor:
    """Return the pixel error plus `weight` times the perceptual distance of a few random frames, a scalar.

    The pixel error is the mean of |e| + 2 e^2: absolute, so that edges stay sharp, and squared, because large
    errors are what people see and PSNR counts.

    Args:
        decoded: (B, 3, T, H, W), about [-1, 1].
        clips: (B, 3, T, H, W) in [-1, 1].
        perceptual: network that compares images, or None.
        weight: weight of the perceptual distance.
    """
    error = decoded - clips
    loss = (error.abs() + 2 * error.square()).mean()
    if perceptual is not None:
        chosen = to_device(torch.randperm(clips.shape[2])[:PERCEPTUAL_FRAMES], clips.device)
        loss = loss + weight * frame_distance(perceptual, decoded[:, :, chosen], clips[:, :, chosen]).mean()
    return loss


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
