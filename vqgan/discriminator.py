"""Discriminators: networks that learn to tell reconstructions from originals, patch by patch.

Patch discriminators after Isola et al. (2017), on single frames and, as in Ge et al. (2022, TATS), on whole clips.
Group norm in place of their batch norm: it needs no other clips and no other processes to agree with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.processes import mean_across_processes, own_part, process_count
from training.transfer import to_device
from vqgan.options import AdversaryOptions

LECAM_WEIGHT = 0.05
LECAM_DECAY = 0.99


class DiscriminatorOutput(NamedTuple):
    """What a discriminator makes of images or clips."""

    scores: Tensor
    """One per patch (N, 1, ...): positive for original, negative for reconstruction."""
    features: list[Tensor]
    """What every layer but the last saw (N, C, ...)."""


class PatchDiscriminator(nn.Module):
    """Strided convolutions to one score per patch.

    Args:
        axes: 2 for images (N, 3, H, W), 3 for clips (N, 3, T, H, W).
        width: channels after the first layer; they double at every further one.
        layers: layers that halve rows, columns and frames.
    """

    def __init__(self, axes: int, width: int, layers: int) -> None:
        super().__init__()
        conv: Any = nn.Conv2d if axes == 2 else nn.Conv3d
        # Over time a kernel of three keeps at least one frame, however short the clip.
        kernel = (4, 4) if axes == 2 else (3, 4, 4)
        widths = [3, *(width * 2 ** min(layer, 3) for layer in range(layers))]
        self.layers = nn.ModuleList()
        for layer in range(layers):
            norm = nn.GroupNorm(min(32, widths[layer + 1]), widths[layer + 1]) if layer else nn.Identity()
            down = conv(widths[layer], widths[layer + 1], kernel_size=kernel, stride=2, padding=1)
            self.layers.append(nn.Sequential(down, norm, nn.LeakyReLU(0.2)))
        self.score = conv(widths[-1], 1, kernel_size=3, padding=1)
        if axes == 2:
            self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """Judge images (N, 3, H, W) or clips (N, 3, T, H, W) in [-1, 1]."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput(self.score(x).float(), features)


class Adversary(nn.Module):
    """Judges reconstructions: one frame of every clip, and whole clips where there is more than one frame.

    Args:
        options: sizes of its discriminators.
        frames: frames of the clips; stills are judged as images alone.
    """

    mean_scores: Tensor

    def __init__(self, options: AdversaryOptions, frames: int) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(axes, options.discriminator_width, options.discriminator_layers)
            for axes in ((2, 3) if frames > 1 else (2,))
        )
        # Moving averages of the scores of originals and reconstructions, per discriminator.
        self.register_buffer("mean_scores", torch.zeros(len(self.discriminators), 2))

    def forward(self, decoded: Tensor, clips: Tensor) -> Tensor:
        """Return the loss of the discriminators, a scalar: hinge loss and LeCam regularisation.

        LeCam (Tseng et al. 2021, equation 5) holds the scores of either side near the other side's moving average,
        so that discriminators with little data, or a long head start, do not run away.

        Args:
            decoded: reconstructions (B, 3, T, H, W), detached.
            clips: originals (B, 3, T, H, W).
        """
        losses = []
        for number, (fake, real) in enumerate(self._judge(decoded, clips)):
            hinge = F.relu(1 - real.scores).mean() + F.relu(1 + fake.scores).mean()
            mean_real, mean_fake = self.mean_scores[number].clone()
            lecam = F.relu(real.scores - mean_fake).square().mean() + F.relu(mean_real - fake.scores).square().mean()
            losses.append(hinge / 2 + LECAM_WEIGHT * lecam)
            means = mean_across_processes(torch.stack([real.scores.detach().mean(), fake.scores.detach().mean()]))
            if self.training:
                kept = self.mean_scores[number]
                kept.copy_(torch.where(means.isfinite().all(), kept.lerp(means, 1 - LECAM_DECAY), kept))
        return torch.stack(losses).mean()

    def generator_loss(self, decoded: Tensor, clips: Tensor, matching: float) -> Tensor:
        """Return what the tokenizer gains by looking original: a scalar.

        Args:
            decoded: reconstructions (B, 3, T, H, W), with their gradient.
            clips: originals (B, 3, T, H, W).
            matching: weight of feature matching (Wang et al. 2018), the mean absolute difference of the features
                of reconstruction and original.
        """
        losses = []
        for fake, real in self._judge(decoded, clips):
            pairs = zip(fake.features, real.features, strict=True)
            differences = torch.stack([(a - b.detach()).abs().mean() for a, b in pairs])
            losses.append(matching * differences.mean() - fake.scores.mean())
        return torch.stack(losses).mean()

    def _judge(self, decoded: Tensor, clips: Tensor) -> list[tuple[DiscriminatorOutput, DiscriminatorOutput]]:
        """Return the outputs on reconstruction and original of every discriminator."""
        drawn = own_part(torch.randint(clips.shape[2], (len(clips) * process_count(),)))
        chosen = to_device(drawn, clips.device)
        rows = torch.arange(len(clips), device=clips.device)
        views = [(decoded[rows, :, chosen], clips[rows, :, chosen]), (decoded, clips)]
        return [
            (discriminator(fake), discriminator(real))
            for discriminator, (fake, real) in zip(self.discriminators, views, strict=False)
        ]
