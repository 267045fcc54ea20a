"""The pictures of a film: a video, or a folder of images that are shown one after another.

Axes: T frames, H rows, W columns of pixels.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.decoding import damaged_frame, frames_in_order
from data.errors import MediaError
from data.frames import resize_and_crop_levels
from data.images import IMAGE_SUFFIXES, load_image
from data.media import is_litter
from data.probe import VideoInfo, probe_video
from data.video import TIME_SLACK, decode_clips, frame_indices

Picture = NDArray[np.uint8]


class Footage(Protocol):
    """The pictures of a film, and when they are shown."""

    @property
    def path(self) -> Path:
        """The video, or the folder of images."""

    @property
    def width(self) -> int:
        """Pixels, as displayed."""

    @property
    def height(self) -> int:
        """Pixels, as displayed."""

    @property
    def frames(self) -> int:
        """Pictures in all."""

    @property
    def fps(self) -> float:
        """Pictures a second."""

    @property
    def encoding(self) -> str:
        """Name of the codec, or of the format of images."""

    @property
    def duration(self) -> float:
        """Seconds."""

    def file_digest(self) -> str:
        """Return the SHA-256 of what is stored, whatever its name."""

    def pictures(self) -> Iterator[Picture]:
        """Yield all pictures (H, W, 3) uint8 RGB in order.

        Raises:
            MediaError: one cannot be decoded.
        """

    def indices(self, frames: int, fps: float) -> NDArray[np.int64]:
        """Return (frames,) indices of the pictures on display at even times from the beginning.

        Raises:
            MediaError: the film ends before.
        """

    def clip(self, frames: int, fps: float, size: int) -> Tensor:
        """Return (3, frames, size, size) uint8 of the pictures at `indices`: short side scaled, centre cropped.

        Raises:
            MediaError: one cannot be decoded.
        """


@dataclass(frozen=True)
class VideoFootage:
    """The pictures of a video."""

    info: VideoInfo

    @property
    def path(self) -> Path:
        return self.info.path

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def frames(self) -> int:
        return len(self.info.pts)

    @property
    def fps(self) -> float:
        return self.info.fps

    @property
    def encoding(self) -> str:
        return self.info.codec

    @property
    def duration(self) -> float:
        return self.info.duration

    def file_digest(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def pictures(self) -> Iterator[Picture]:
        for index, picture in frames_in_order(self.info, range(self.frames)):
            if picture is None:
                raise damaged_frame(self.info, index)
            yield picture

    def indices(self, frames: int, fps: float) -> NDArray[np.int64]:
        return frame_indices(self.info, 0.0, frames, fps)

    def clip(self, frames: int, fps: float, size: int) -> Tensor:
        decoded = next(decode_clips(self.info, [0.0], frames, fps, size))
        if isinstance(decoded, MediaError):
            raise decoded
        return decoded.levels


@dataclass(frozen=True)
class ImageFootage:
    """The pictures of a folder, in the order of the numbers in their names."""

    path: Path
    fps: float
    """Pictures a second, which a folder does not say."""

    @cached_property
    def files(self) -> list[Path]:
        """The images in order."""
        images = [path for path in self.path.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        return sorted((path for path in images if not is_litter(path)), key=lambda path: _by_number(path.name))

    @cached_property
    def _first(self) -> Picture:
        return _read_image(self.files[0])

    @property
    def width(self) -> int:
        return self._first.shape[1]

    @property
    def height(self) -> int:
        return self._first.shape[0]

    @property
    def frames(self) -> int:
        return len(self.files)

    @property
    def encoding(self) -> str:
        return self.files[0].suffix.lower().removeprefix(".")

    @property
    def duration(self) -> float:
        return self.frames / self.fps

    def file_digest(self) -> str:
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def pictures(self) -> Iterator[Picture]:
        yield from map(_read_image, self.files)

    def indices(self, frames: int, fps: float) -> NDArray[np.int64]:
        wanted = np.floor((np.arange(frames) / fps + TIME_SLACK) * self.fps).astype(np.int64)
        if wanted[-1] >= self.frames:
            raise MediaError(f"{self.path} has {self.frames} images, {self.duration:.2f} s, which is less than a clip")
        return wanted

    def clip(self, frames: int, fps: float, size: int) -> Tensor:
        indices, inverse = np.unique(self.indices(frames, fps), return_inverse=True)
        squares = [resize_and_crop_levels(torch.from_numpy(_read_image(self.files[i]))[None], size) for i in indices]
        return torch.cat(squares, dim=1)[:, torch.from_numpy(inverse)]


def open_footage(path: Path, image_fps: float | None = None) -> Footage:
    """Return the pictures of a film.

    Args:
        path: of a video, or of a folder of images.
        image_fps: pictures a second of folders of images; None where films are videos.

    Raises:
        MediaError: it is missing, cannot be decoded, or is a folder without images or of unknown rate.
    """
    if not path.is_dir():
        return VideoFootage(probe_video(path))
    if image_fps is None:
        raise MediaError(f"{path} is a folder: give each film as a video, since a folder does not say its rate")
    footage = ImageFootage(path, image_fps)
    if not footage.files:
        raise MediaError(f"{path} holds no images: a film is a video, or a folder of images in order")
    return footage


def picture_digests(footage: Footage) -> list[str]:
    """Return the SHA-256 of the pixels of every picture, in hexadecimal digits.

    Raises:
        MediaError: a picture cannot be decoded.
    """
    return [_digest(picture) for picture in footage.pictures()]


def whole_frames(seconds: float, fps: float) -> int:
    """Return how many frames at `fps` fit into so many seconds; the last may end after them by half of itself."""
    return math.floor((seconds + 0.5 / fps + TIME_SLACK) * fps)


def _digest(picture: Picture) -> str:
    digest = hashlib.sha256(repr(picture.shape).encode())
    digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()


def _read_image(path: Path) -> Picture:
    return np.array(load_image(path).convert("RGB"))


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names by the numbers in them."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
