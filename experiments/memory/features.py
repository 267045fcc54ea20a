"""Pictures as vectors that change little when a picture is brighter, smaller or somewhere else: keys of a store.

Tokens cannot be such keys. A palette gives a brighter picture other colours, so that the share of tokens that stay is
near zero, and whatever reads tokens reads another picture. So the picture is normalised before anything looks at it;
what looks is continuous, and is averaged over places and over the picture and its mirror image.

Axes: B pictures, C channels, h, w places, D numbers in a vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.model import GPT
from storage.checksums import fingerprint
from storage.model_paths import CheckpointError
from vqgan.metrics.features import build_features
from vqgan.model import VQGAN, load_tokenizer

PIXELS = 16
"""Pixels a side of the picture that is a key itself."""
NETWORK_SIZE = 96
"""Pixels a side at which networks of timm see a picture: less than they were trained on is enough, and faster."""
SPREAD = 0.5
"""Standard deviation of the pixels of a normalised picture, all channels together, on the scale of [-1, 1]."""
FLAT = 1 / 255
"""Least standard deviation that is brought to `SPREAD`: half a level of 8 bits, in a picture of one colour."""
PLACES = 2
"""Places a side over which the features of a level are averaged."""
BANDS = 4
"""Parts of a sequence of tokens over which states are averaged."""


class PictureFeatures(nn.Module, ABC):
    """Makes vectors of pictures."""

    size: int
    """Pixels a side of the pictures that it takes."""

    @abstractmethod
    def look(self, pictures: Tensor) -> Tensor:
        """Map normalised pictures (B, 3, size, size) in [-1, 1] to features (B, D)."""

    @torch.inference_mode()
    def forward(self, clips: Tensor) -> Tensor:
        """Map pictures (B, 3, 1, size, size) in [-1, 1] to vectors (B, D), float32.

        They are the same for a picture and its mirror image.
        """
        pictures = normalise(clips[:, :, 0])
        return (self.look(pictures) + self.look(pictures.flip(-1))).float() / 2

    @property
    def fingerprint(self) -> str:
        """A short name that changes with its weights."""
        return fingerprint({"features": type(self).__name__, "size": self.size}, self.state_dict())


class PixelFeatures(PictureFeatures):
    """The picture itself, small."""

    size = PIXELS

    def look(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1)


class NetworkFeatures(PictureFeatures):
    """The last level of an image classifier, averaged over a few places and scaled to length 1.

    Earlier levels tell left from right: with all of them, mirror images are known less well.

    Raises:
        WeightsMissingError: its weights are not on this machine.
        ValueError: there is no such network.
    """

    size = NETWORK_SIZE

    def __init__(self, name: str) -> None:
        super().__init__()
        network = build_features(name)
        if network is None:
            raise ValueError(f"{name!r} names no network")
        self.network = network

    def look(self, pictures: Tensor) -> Tensor:
        return pooled(self.network(pictures)[-1])


class TokenizerFeatures(PictureFeatures):
    """What the encoder of a tokenizer has before its last layer, which has few channels.

    Raises:
        CheckpointError: there is no such tokenizer, or it has no encoder that can be looked into, as palettes have not.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        tokenizer = load_tokenizer(path)
        if not isinstance(tokenizer, VQGAN):
            raise CheckpointError(f"{path} holds a {tokenizer.kind}, which has no features: give a trained tokenizer")
        self.size = tokenizer.size
        self.tokenizer = tokenizer.requires_grad_(False)

    def look(self, pictures: Tensor) -> Tensor:
        clip = self.tokenizer.fill_latent_frame(pictures[:, :, None])
        with caught(self.tokenizer.encoder.norm) as seen:
            self.tokenizer.encoder(clip)
        return pooled(seen[0][:: len(seen[0]) // len(clip)])


class GPTFeatures(PictureFeatures):
    """What the middle block of a GPT makes of a picture's tokens, averaged over bands of rows and scaled to length 1.

    Raises:
        CheckpointError: there is no such GPT, or it brings no tokenizer along.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.gpt = GPT.from_pretrained(path).requires_grad_(False)
        self.tokenizer = load_tokenizer(path)
        self.size = self.tokenizer.size

    def look(self, pictures: Tensor) -> Tensor:
        tokens = self.tokenizer.encode(pictures[:, :, None]).flatten(1)
        with caught(self.gpt.blocks[(len(self.gpt.blocks) - 1) // 2]) as seen:
            self.gpt.nll(tokens)
        bands = F.adaptive_avg_pool1d(seen[0].float().mT, BANDS)
        return F.normalize(bands.flatten(1), dim=1)


KINDS: dict[str, Callable[[Path], PictureFeatures]] = {"tokenizer": TokenizerFeatures, "gpt": GPTFeatures}


def build_key(name: str) -> PictureFeatures:
    """Return what makes vectors of pictures, by a name of `experiments.memory.key_names`, in evaluation mode.

    Raises:
        WeightsMissingError: the weights of the network are not on this machine.
        CheckpointError: there is no such tokenizer or GPT, or it has no features.
        ValueError: there is no such key.
    """
    kind, _, rest = name.partition(":")
    if name == "pixels":
        return PixelFeatures().eval()
    return (KINDS[kind](Path(rest)) if kind in KINDS else NetworkFeatures(name)).eval()


def normalise(pictures: Tensor) -> Tensor:
    """Give pictures (B, 3, H, W) the mean 0 and the standard deviation `SPREAD`; what exceeds [-1, 1] is cut off."""
    flat = pictures.flatten(1)
    spread = flat.std(dim=1, keepdim=True).clamp(min=FLAT)
    return ((flat - flat.mean(dim=1, keepdim=True)) * (SPREAD / spread)).clamp(-1, 1).view_as(pictures)


def pooled(level: Tensor) -> Tensor:
    """Average features (B, C, h, w) over a few places and scale them to length 1: (B, D)."""
    return F.normalize(F.adaptive_avg_pool2d(level.float(), PLACES).flatten(1), dim=1)


@contextmanager
def caught(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a module returns while this is open."""
    seen: list[Tensor] = []
    hook = module.register_forward_hook(lambda module, given, returned: seen.append(returned))
    try:
        yield seen
    finally:
        hook.remove()
