"""What every tokenizer is: clips to token grids and back.

Axes: B batch, T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar, Protocol

from einops import repeat
from torch import Tensor

from data.clip_format import ClipFormat
from storage.checksums import fingerprint, fingerprint_before
from storage.pretrained import Pretrained


class TokenizerConfig(Protocol):
    """What the config of any tokenizer tells, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def resolution(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def fps(self) -> float: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def temporal_factor(self) -> int: ...

    @property
    def spatial_factor(self) -> int: ...


USAGE = """\
import torch
from vqgan.model import load_tokenizer

tokenizer = load_tokenizer("{name}")
clip = torch.zeros(1, 3, tokenizer.frames, tokenizer.size, tokenizer.size)  # (B, 3, T, H, W) in [-1, 1]: yours
tokens = tokenizer.encode(clip)  # (B, t, h, w) int64, below tokenizer.vocab_size
decoded = tokenizer.decode(tokens)  # (B, 3, T, H, W) in [-1, 1]"""


class Tokenizer(Pretrained, ABC):
    """Turns clips into grids of tokens and back."""

    usage = USAGE
    tags: ClassVar[tuple[str, ...]] = ("tokenizer",)

    causal: bool
    """Whether a latent frame depends on no later frame than those it stands for."""
    config: TokenizerConfig

    @abstractmethod
    def encode(self, clip: Tensor) -> Tensor:
        """Return the tokens (B, t, h, w) int64 of clips (B, 3, T, H, W) in [-1, 1].

        A still (T = 1) is encoded as a clip in which nothing moves, one latent frame long.

        Raises:
            ValueError: the clips do not divide into latent frames or tokens.
        """

    @abstractmethod
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) in [-1, 1] of tokens (B, t, h, w) int64."""

    def decode_frames(self, tokens: Tensor, frames: int) -> Tensor:
        """Return the last `frames` frames of the clips of tokens (B, t, h, w) int64.

        Of a clip those are all; a still, which has one, is the last frame of its latent frame.

        Returns:
            (B, 3, frames, H, W) in [-1, 1].
        """
        return self.decode(tokens)[:, :, -frames:]

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return self.config.vocab_size

    @property
    def size(self) -> int:
        """Pixels a side of the clips it was made for."""
        return self.config.resolution

    @property
    def frames(self) -> int:
        """Frames of the clips it was made for."""
        return self.config.frames

    @property
    def fps(self) -> float:
        """Frames per second of the clips it was made for."""
        return self.config.fps

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame."""
        return self.config.temporal_factor

    @property
    def clip_format(self) -> ClipFormat:
        """The clips it was made for."""
        return ClipFormat(self.frames, self.fps, self.size)

    def grid(self, frames: int, rows: int, columns: int) -> tuple[int, int, int]:
        """Return the token grid (t, h, w) of clips of that many frames and pixels; a still takes one latent frame.

        Raises:
            ValueError: the size does not divide; the nearest that does is named.
        """
        temporal = self.config.temporal_factor
        spatial = self.config.spatial_factor
        if frames != 1 and (frames % temporal or not frames):
            near = max(1, round(frames / temporal)) * temporal
            raise ValueError(f"clips of {frames} frames do not divide into {temporal}s; {near} or 1 would")
        for pixels in (rows, columns):
            if pixels % spatial or not pixels:
                near = max(1, round(pixels / spatial)) * spatial
                raise ValueError(f"clips of {rows}x{columns} pixels do not divide into {spatial}s; {near} would")
        return (max(1, frames // temporal), rows // spatial, columns // spatial)

    def frames_of(self, latent_frames: int) -> int:
        """Return the frames of a clip that its first latent frames, so many, stand for."""
        return latent_frames * self.temporal_factor

    @property
    def decoder_reach(self) -> tuple[int, int]:
        """Latent frames before and behind a latent frame that its pixels depend on, at most.

        Norms over all frames are not counted, which tokenizers of other programs have.
        """
        return 16, 0 if self.causal else 8

    @property
    def encoder_reach(self) -> int | None:
        """Latent frames before a latent frame that its tokens depend on, at most; None where that may be all."""
        return None

    def describe(self) -> str:
        """Return what it makes of which clips, in words."""
        t, h, w = self.grid(self.frames, self.size, self.size)
        return f"{self.clip_format.describe()} to {t}x{h}x{w} tokens of {self.vocab_size} codes"

    def fill_latent_frame(self, clip: Tensor) -> Tensor:
        """Make of a still (B, 3, 1, H, W) the shortest clip that fills a latent frame; clips stay as they are."""
        if clip.shape[2] > 1:
            return clip
        return repeat(clip, "B C 1 H W -> B C T H W", T=self.config.temporal_factor)

    @property
    def fingerprint(self) -> str:
        """A short name of it that changes with everything that changes its tokens: see `storage.fingerprints`.

        It covers the kind, the config without `not_of_tokens`, and all tensors with their names, types and shapes.
        """
        tensors = self.state_dict()
        config = {name: value for name, value in asdict(self.config).items() if name not in self.not_of_tokens}
        before = fingerprint_before({"size": self.size, "frames": self.frames, "fps": self.fps}, tensors)
        return f"{fingerprint({'kind': self.kind, 'config': config}, tensors)}-{before}"

    @property
    def not_of_tokens(self) -> frozenset[str]:
        """Fields of the config that its tokens do not depend on, such as those of training."""
        return frozenset()
