"""Prepared shards: the frames of videos as images in webdataset shards, and clips cut out of them.

prepared.json          size, frames per second, format, decoders, SHA-256 of the shards, of the lists and of itself;
                       written last
videos.jsonl           a line for each video: its source, duration, gaps, group, and its rows in the index
index.npy              a row for each frame: video, frame number, shard, position, length and CRC-32 of the image
shard-00000.tar        webdataset samples: `<video>/<frame>.jpg` (or .png) and `<video>/<frame>.json`

Frame k of a video is the one on display k / fps seconds into it. A frame that stays on display is stored once.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.errors import MediaError
from data.frames import Crop, resize_and_crop_levels
from data.prepared_paths import METADATA, shard_name
from data.sources import Source, Stretch
from data.video import check_gaps, check_length
from storage.checked_files import FaultError, check_size, parse_json, read_bytes
from storage.files import atomic_write, to_json, write_text
from storage.records import check_types, open_seal, read_record, seal

ROW_BEFORE = np.dtype([("video", "<i4"), ("frame", "<i8"), ("shard", "<i4"), ("offset", "<i8"), ("size", "<i4")])
"""Of the index in earlier versions."""

ROW = np.dtype([*ROW_BEFORE.descr, ("crc", "<u4")])
"""Of the index: `frame` is the first number at which an image is on display; a size of 0 means that it is lost; `crc`
is the CRC-32 of the image's bytes."""

LARGEST_LIST = 1 << 32
"""Bytes of videos.jsonl, at most."""

HASHED_ON_OPENING = 256 << 20
"""Bytes up to which index.npy is compared with its SHA-256 (a fraction of a second); of a larger one the rows are
checked as they are used, each against the image that it points at."""

LARGEST_IMAGE = 1 << 26
"""Bytes of an image, at most."""

ImageFormat = Literal["jpeg", "png"]

WHOLE = 1e-3
"""Frames by which a moment may miss a prepared frame."""


@dataclass(frozen=True)
class PreparedShard:
    """A shard of images."""

    name: str
    """Of the file."""
    frames: int
    """Images in it."""
    sha256: str
    """Of its bytes, in hexadecimal digits."""


@dataclass(frozen=True)
class PreparedMetadata:
    """What prepared shards hold."""

    size: int
    """Pixels of the short side; a smaller video keeps its own."""
    fps: float
    """Frames per second."""
    format: ImageFormat
    """png keeps every pixel; jpeg takes a tenth of the room."""
    quality: int
    """Of JPEG images, up to 100."""
    decoder: str
    """Name and version of the video decoder."""
    videos: int
    """Number of videos."""
    frames: int
    """Number of images."""
    shards: tuple[PreparedShard, ...]
    """The shards, with their numbers of images and SHA-256."""


@dataclass(frozen=True)
class PreparedVideo:
    """A video in prepared shards."""

    source: str
    """Path of the video, as its folder named it."""
    group: str
    """What the split keeps together; empty for the video itself."""
    seconds: float
    """Duration."""
    gaps: tuple[Stretch, ...]
    """Where it shows no new frame for long."""
    windows: tuple[Stretch, ...]
    """Where clips may be cut out of it; everywhere if empty."""
    first: int
    """Its first row in the index."""
    rows: int
    """Number of its rows."""


def prepared_sources(folder: Path) -> tuple[Source, ...]:
    """Return the videos of prepared shards, under the names that they had as files.

    Raises:
        MediaError: a list is damaged.
    """
    shards = open_prepared(folder)
    return tuple(
        Source(
            name=video.source,
            path=folder,
            kind="video",
            seconds=video.seconds,
            gaps=video.gaps,
            windows=video.windows,
            group=video.group,
            prepared=number,
        )
        for number, video in enumerate(shards.videos)
    )


def write_prepared(folder: Path, metadata: PreparedMetadata, videos: list[PreparedVideo], index: NDArray[Any]) -> None:
    """Write the lists of prepared shards; from here on they can be read."""
    buffer = io.BytesIO()
    np.save(buffer, index)
    listed = "".join(to_json(asdict(video), indent=None) + "\n" for video in videos)
    atomic_write(folder / "index.npy", lambda file: file.write(buffer.getvalue()))
    write_text(folder / "videos.jsonl", listed)
    content = {
        **asdict(metadata),
        "shards": [asdict(shard) for shard in metadata.shards],
        "videos_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "index_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    write_text(folder / METADATA, to_json(seal(content)))


@functools.lru_cache(maxsize=8)
def _open(folder: Path, modified: int) -> PreparedShards:
    """`modified` tells the cache whether the shards were prepared anew."""
    return PreparedShards(folder)


def open_prepared(folder: Path) -> PreparedShards:
    """Return prepared shards; remembered until they are prepared anew.

    Raises:
        MediaError: there are none, or a list is damaged.
    """
    try:
        return _open(folder.absolute(), (folder / METADATA).stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise MediaError(f"{folder} holds no finished prepared shards (no {METADATA})") from error


class PreparedShards:
    """Prepared shards, read through a memory map of their index.

    Raises:
        MediaError: a list is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            raw = open_seal(read_record(folder / METADATA))
            digests = {name: raw.pop(f"{name}_sha256", None) for name in ("videos", "index")}
            shards = tuple(PreparedShard(**shard) for shard in raw.pop("shards"))
            self.metadata = PreparedMetadata(**raw, shards=shards)
            check_types(self.metadata)
            self.videos = _read_videos(folder / "videos.jsonl", digests["videos"])
            self._index = _map_index(folder / "index.npy", digests["index"])
            self._check()
        except (AttributeError, EOFError, OSError, KeyError, TypeError, ValueError) as error:
            raise MediaError(f"the prepared shards in {folder} are damaged ({error}): prepare them again") from error

    def read(
        self, number: int, start: float, frames: int, fps: float, size: int, crop: Crop = "centre", seed: int = 0
    ) -> Tensor:
        """Return a clip of a video: see `data.video.read_clip`.

        Args:
            number: of the video.
            start: seconds from its first frame; a multiple of 1 / `fps`.
            frames: of the clip, T.
            fps: of the clip; what the shards were prepared with, or a whole fraction of it.
            size: side of the square clip in pixels, at most what the shards were prepared with.
            crop: 'centre', or 'random' for a position that depends on `seed` alone and is the same in all frames.
            seed: of the random crop.

        Returns:
            (3, T, size, size) uint8.

        Raises:
            MediaError: the clip is not in the shards, or they are damaged.
        """
        video = self.videos[number]
        self.check_format(fps, size)
        times = start + np.arange(frames) / fps
        check_length(video.source, video.seconds, start, frames, fps)
        check_gaps(video.source, video.gaps, times, frames / fps)
        numbers = np.round(times * self.metadata.fps)
        if np.abs(times * self.metadata.fps - numbers).max() > WHOLE:
            raise MediaError(
                f"{video.source} was prepared with {self.metadata.fps:g} frames per second, which has no frame at"
                f" {start:g} s: let clips begin at multiples of {1 / self.metadata.fps:g} s"
            )
        rows = self._index[video.first : video.first + video.rows]
        places = np.searchsorted(rows["frame"], numbers, side="right") - 1
        if not len(rows) or places.min() < 0:
            raise MediaError(f"{video.source} has no prepared frame at {start:.2f} s")
        unique, inverse = np.unique(places, return_inverse=True)
        images = list(self._images(video, rows[unique]))
        if len({image.shape for image in images}) > 1:
            raise MediaError(f"{video.source} changes its image size on the way")
        levels = resize_and_crop_levels(torch.from_numpy(np.stack(images)), size, crop, seed)
        return levels[:, torch.from_numpy(inverse)]

    def image_size(self, number: int) -> tuple[int, int]:
        """Return width and height in pixels of a video's images."""
        rows = self._index[self.videos[number].first : self.videos[number].first + self.videos[number].rows]
        whole = rows[rows["size"] > 0][:1]
        height, width, _ = next(self._images(self.videos[number], whole)).shape
        return width, height

    def check_format(self, fps: float, size: int) -> None:
        """Check that clips can be cut out of these shards.

        Raises:
            MediaError: they ask for other frames or more pixels than were prepared.
        """
        ratio = self.metadata.fps / fps
        if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
            raise MediaError(
                f"{self.folder} was prepared with {self.metadata.fps:g} frames per second, clips ask for {fps:g}:"
                f" prepare the videos again with --fps {fps:g}"
            )
        if size > self.metadata.size:
            raise MediaError(
                f"{self.folder} was prepared with a short side of {self.metadata.size} pixels, clips ask for {size}:"
                f" prepare the videos again with --size {size}"
            )

    def check_hop(self, hop: float) -> None:
        """Check that clips which begin `hop` seconds apart begin at prepared frames.

        Raises:
            MediaError: they do not.
        """
        frames = hop * self.metadata.fps
        if abs(frames - round(frames)) > WHOLE:
            raise MediaError(
                f"{self.folder} was prepared with {self.metadata.fps:g} frames per second: clips can begin every"
                f" multiple of {1 / self.metadata.fps:g} s, not every {hop:g} s"
            )

    def _check(self) -> None:
        """Check that the lists go together.

        Raises:
            FaultError: they do not.
        """
        if len(self.videos) != self.metadata.videos or self.metadata.size < 1 or self.metadata.fps <= 0:
            raise FaultError(f"{METADATA} is that of {self.metadata.videos} videos, there are {len(self.videos)}")
        end = 0
        for video in self.videos:
            if video.first != end or video.rows < 0 or video.seconds < 0:
                raise FaultError(f"videos.jsonl has rows {video.first} to {video.first + video.rows} of {video.source}")
            end += video.rows
        if len(self._index) != end:
            raise FaultError(f"index.npy has {len(self._index)} rows, the videos have {end}")

    def _images(self, video: PreparedVideo, rows: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
        """Yield (H, W, 3) images; those of one shard through one opened file."""
        for shard in np.unique(rows["shard"]):
            path = self.folder / shard_name(int(shard))
            try:
                check_size(path)
                with path.open("rb") as file:
                    for row in rows[rows["shard"] == shard]:
                        yield _read_image(file, row, video)
            except (OSError, FaultError) as error:
                raise MediaError(f"{path} cannot be read ({error}): prepare the videos again") from error


def _read_image(file: io.BufferedReader, row: NDArray[Any], video: PreparedVideo) -> NDArray[np.uint8]:
    if not row["size"]:
        raise MediaError(f"{video.source} is damaged: frame {row['frame']} could not be decoded when it was prepared")
    if not row["offset"] >= 0 or not 0 < row["size"] <= LARGEST_IMAGE:
        raise MediaError(f"index.npy beside {file.name} is damaged: prepare the videos again")
    file.seek(int(row["offset"]))
    content = file.read(int(row["size"]))
    if row.dtype == ROW and zlib.crc32(content) != row["crc"]:
        raise MediaError(
            f"{file.name} is damaged, or is another shard (frame {row['frame']} of {video.source} is not what was "
            "written): prepare the videos again"
        )
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{file.name} is damaged ({error}): prepare the videos again") from error


def _read_videos(path: Path, digest: str | None) -> list[PreparedVideo]:
    content = read_bytes(path, LARGEST_LIST)
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise FaultError(f"{path.name} is not as it was written")
    return [_video(parse_json(line)) for line in content.splitlines()]


def _map_index(path: Path, digest: str | None) -> NDArray[Any]:
    check_size(path)
    if digest is not None and path.stat().st_size <= HASHED_ON_OPENING:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise FaultError(f"{path.name} is not as it was written")
    index: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if index.dtype not in (ROW, ROW_BEFORE) or index.ndim != 1:
        raise FaultError(f"{path.name} has no rows of an index")
    return index


def _video(raw: dict[str, Any]) -> PreparedVideo:
    stretches = {name: tuple(Stretch(*one) for one in raw[name]) for name in ("gaps", "windows")}
    video = PreparedVideo(**{**raw, **stretches})
    check_types(video)
    return video
