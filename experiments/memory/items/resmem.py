"""ResMem: a network that predicts how memorable people find a picture (Needell and Bainbridge 2022).

It is no people. Its authors report a rank correlation of .64 to .67 with the scores of LaMem and MemCat, on pictures of
which it was trained on others, and that it predicts nothing below about .41; of objects on plain ground its predictions
hardly vary. It stands in where there are no people, and is named as a predictor wherever it appears.

The package `resmem` brings the weights along, under a licence for non-commercial use. Nothing of the package is run:
its file of weights, a pickle, is read as data (`storage.foreign`), into the network below. That has two parts, an
AlexNet of its own and a ResNet-152 with its thousand classes, whose outputs a chain of linear layers joins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet152

from data.errors import MediaError
from data.images import load_image
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.sources import Source, Unused, score_source
from storage.foreign.checkpoint import check_weights, read_foreign
from storage.model_paths import CheckpointError
from training.progress import Progress

NAME = "ResMem (a predictor, not people)"
PACKAGE = "resmem"
WEIGHTS = "model.pt"
SIDES = (256, 227)
"""Pixels a side to which a picture is scaled, and of the square in its middle that the network sees."""
WIDTHS = (10_216, 4096, 4096, 2048, 1024, 512, 256, 1)
"""Inputs of the linear layers fc6 to fc12, and the output of the last."""
BATCH = 16
"""Pictures that are computed together."""


class ResMem(nn.Module):
    """The network, with the names of its published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.features = resnet152(weights=None)
        self.conv1 = nn.Conv2d(3, 48, 11, stride=4)
        self.conv2 = nn.Conv2d(48, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1, groups=2)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        for number, (inputs, outputs) in enumerate(pairwise(WIDTHS), start=6):
            self.add_module(f"fc{number}", nn.Linear(inputs, outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Return predictions (B,) in (0, 1) of images (B, 3, 227, 227) float32 in [0, 1]."""
        own = F.max_pool2d(F.relu(self.conv1(images)), 3, 2)
        own = F.local_response_norm(own, 5)
        own = F.max_pool2d(F.relu(self.conv2(own)), 3, 2)
        own = F.relu(self.conv4(F.relu(self.conv3(own))))
        own = F.max_pool2d(F.relu(self.conv5(own)), 3, 2)
        joined = torch.cat([own.flatten(1), self.features(images)], dim=1)
        for number in range(6, 12):
            joined = F.relu(self.get_submodule(f"fc{number}")(joined))
        return torch.sigmoid(self.get_submodule("fc12")(joined)).flatten()


def find_weights() -> Path:
    """Return the file of weights in the package `resmem`, which is not imported.

    Raises:
        ValueError: the package, or the file in it, is not there.
    """
    spec = find_spec(PACKAGE)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    if not folders:
        raise ValueError(
            "--resmem needs the package resmem, which is not installed: `pip install resmem` (489 MB; its "
            "licence allows non-commercial use only)"
        )
    return folders[0] / WEIGHTS


def load_resmem(path: Path) -> ResMem:
    """Return the network with published weights, for prediction.

    Raises:
        CheckpointError: the file is missing or damaged, is no plain checkpoint, or has the weights of something else.
    """
    weights = read_foreign(path)
    check_weights(weights, path)
    with torch.device("meta"):  # without memory for weights that are replaced at once
        model = ResMem()
    try:
        model.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} does not hold the weights of ResMem: install resmem 1.1.6 again") from error
    return model.eval()


def predict(pictures: Pictures, folders: Mapping[str, Path]) -> tuple[Source, list[Unused]]:
    """Return the predictions for pictures as a source, and the pictures that cannot be read.

    Args:
        pictures: N of them.
        folders: of the lists, by name, as far as they are there.

    Raises:
        CheckpointError: see `load_resmem`.
        ValueError: the package is not installed, or no picture is there.
    """
    model = load_resmem(find_weights())
    keys = [key for key in pictures.places if key[0] in folders]
    values = np.full(len(pictures), np.nan)
    unused = []
    with Progress("Predicting", len(keys)) as progress:
        for start in range(0, len(keys), BATCH):
            read = []
            for of_list, path in keys[start : start + BATCH]:
                try:
                    read.append(((of_list, path), prepare(folders[of_list] / path)))
                except MediaError as error:
                    unused.append(Unused(of_list, path, 1, f"it has no prediction: {error}"))
            for (key, _), prediction in zip(read, _predictions(model, [image for _, image in read]), strict=True):
                values[list(pictures.places[key])] = prediction
            progress.show(min(start + BATCH, len(keys)))
    if not np.isfinite(values).any():
        raise ValueError("--resmem needs the images of the lists, and none is there: give their folders with --stimuli")
    return score_source(NAME, "predictor", values), unused


def prepare(path: Path) -> Tensor:
    """Return an image as the network takes it, (3, 227, 227) float32 in [0, 1].

    Raises:
        MediaError: it cannot be read.
    """
    scaled, side = SIDES
    begin = (scaled - side) // 2
    image = load_image(path).resize((scaled, scaled), Image.Resampling.BILINEAR)
    square = image.crop((begin, begin, begin + side, begin + side))
    return torch.from_numpy(np.asarray(square, dtype=np.float32) / 255).permute(2, 0, 1)


@torch.inference_mode()
def _predictions(model: ResMem, images: Sequence[Tensor]) -> list[float]:
    if not images:
        return []
    predictions: list[float] = model(torch.stack(list(images))).double().tolist()
    return predictions
