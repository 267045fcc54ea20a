"""What a data set consists of: sources that can be used, and files that cannot, with the reason. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from data.errors import MediaError


class ByteRange(NamedTuple):
    """A file, or a range of bytes of one: a member of a tar shard, a part of a joined transport stream."""

    path: Path
    offset: int = 0
    """Where it begins in the file, in bytes."""
    size: int = 0
    """Its length in bytes; 0 for the whole file."""


class Stretch(NamedTuple):
    """A time interval of a video, in seconds from its first displayed frame."""

    start: float
    end: float


class Stamp(NamedTuple):
    """What tells that a file is still the one that was listed."""

    size: int
    """Bytes."""
    modified: int
    """Time of the last change, in nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file as it is now."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Source:
    """One video or image: a file, a range of bytes in one, or a video in prepared shards."""

    name: str
    """Path relative to the folder that was searched; for a member of a tar shard `shard.tar/member`, for the second
    part of a joined recording `video.ts@2`."""
    path: Path
    """The file, the tar shard that holds it, or the folder of prepared shards."""
    kind: Literal["video", "image"]
    offset: int = 0
    """Where it begins within the file, in bytes; 0 for a file of its own."""
    size: int = 0
    """Its length within the file in bytes; 0 for the whole file."""
    pieces: tuple[tuple[int, int], ...] = ()
    """Of a sparse member of a tar shard: where each stored piece belongs and its length in bytes, zeros between."""
    stamp: Stamp | None = None
    """Size and time of the file when it was listed."""
    seconds: float = 0.0
    """Duration of a video."""
    gaps: tuple[Stretch, ...] = ()
    """Where a video shows no new frame for long (`data.probe.find_gaps`)."""
    windows: tuple[Stretch, ...] = ()
    """Where clips may be cut out of a video; everywhere if empty."""
    table: Path | None = None
    """Where the packet table of a video is kept (`data.probe.probe_video`)."""
    sha256: str = ""
    """Of an image's pixels (`data.images.pixel_digest`)."""
    group: str = ""
    """What the split keeps together; the source itself if empty."""
    split: Literal["", "train", "validation"] = ""
    """The split it belongs to whatever its group: of a data set that is one video."""
    prepared: int | None = None
    """Of a video in prepared shards: its row in their list of videos."""

    @property
    def bytes_of_file(self) -> ByteRange:
        """Where its bytes are."""
        return ByteRange(self.path, self.offset, self.size)

    def check_unchanged(self) -> None:
        """Check that the file is the one that was listed.

        Raises:
            MediaError: it has another size or time of change.
        """
        if self.stamp is not None and self.path.exists() and Stamp.of(self.path) != self.stamp:
            raise MediaError(
                f"{self.path} was replaced or changed since it was listed: start the command again, with its files at"
                " rest"
            )

    def skip(self, error: Exception | str) -> Skipped:
        """Return that it is not used, and why, without the place of the data on this machine."""
        reason = str(error).replace(str(self.path.absolute()), self.name).replace(str(self.path), self.name)
        return Skipped(self.name, reason)

    def image_bytes(self) -> Path | bytes:
        """Return what `load_image` reads: the file's path, or the bytes inside a shard."""
        if not self.size:
            return self.path
        with self.path.open("rb") as shard:
            shard.seek(self.offset)
            if not self.pieces:
                return shard.read(self.size)
            content = bytearray(self.size)
            for start, length in self.pieces:
                content[start : start + length] = shard.read(length)
            return bytes(content)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Source:
        """Return the source whose `dataclasses.asdict` went through JSON.

        Raises:
            TypeError: there are other fields.
        """
        lists = {
            "pieces": tuple((int(start), int(length)) for start, length in raw.get("pieces", ())),
            "gaps": tuple(Stretch(*gap) for gap in raw.get("gaps", ())),
            "windows": tuple(Stretch(*window) for window in raw.get("windows", ())),
            "stamp": Stamp(*raw["stamp"]) if raw.get("stamp") else None,
            "table": Path(raw["table"]) if raw.get("table") else None,
        }
        return cls(**{**raw, "path": Path(raw["path"]), **lists})


@dataclass(frozen=True)
class Skipped:
    """A file that is not used, and why."""

    file: str
    """Path relative to the folder that was searched; for a member of a tar shard `shard.tar/member`."""
    reason: str
    """Why."""
    is_media: bool = True
    """Whether it passes for a video or image, and was not just something else that lies beside them."""
