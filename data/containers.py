"""Opening a video, choosing its stream, and what its header says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from data.errors import MediaError
from data.sources import ByteRange

DAMAGE = (av.FFmpegError, IndexError)
"""What PyAV raises on a damaged video; IndexError where damage makes a stream appear half-way."""

STREAMS = frozenset({"mpegts", "mpeg"})
"""FFmpeg's names of transport and program streams: no index, so that decoding begins at a byte and not at a time."""

INDIRECT = frozenset(
    {"concat", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
    | {"avisynth", "dash", "vapoursynth"}  # in some builds
)
"""FFmpeg's names of formats whose files name other files, addresses or programs. A file of a data set is read alone,
whatever it says: what it names was not given, and may be anything that whoever runs this can read."""


@dataclass(frozen=True)
class Header:
    """What the header of a video says; some of it may be wrong."""

    format: str
    """FFmpeg's name of the container format."""
    codec: str
    """FFmpeg's name of the codec."""
    tick: float
    """Seconds of a tick of the stream's clock."""
    start: int
    """Presentation time of its beginning, in ticks."""
    rate: float
    """Frames per second; 0 if it does not say."""
    reordered: bool
    """Whether frames are stored in another order than they are displayed."""
    tracks: int
    """Video tracks without cover images."""
    images: int
    """Video tracks and cover images."""
    indexed_frames: int
    """Frames in its index."""
    announced_frames: float
    """Frames that it announces."""
    seconds: float
    """Duration that it names for the video, else for the whole file; 0 if it names none."""

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> Header:
        """Return what the header of an opened video says."""
        average = float(stream.average_rate or 0)
        return cls(
            format=container.format.name,
            codec=codec_name(stream),
            tick=float(stream.time_base or 0),
            start=stream.start_time or 0,
            rate=float(stream.guessed_rate or 0) or average,
            reordered=bool(stream.codec_context.has_b_frames),
            tracks=len(video_streams(container)),
            images=len(container.streams.video),
            indexed_frames=len(stream.index_entries),
            announced_frames=stream.frames or average * (container.duration or 0) / av.time_base,
            seconds=_promised_seconds(container, stream),
        )

    @property
    def is_stream(self) -> bool:
        """Whether it is a transport or program stream."""
        return self.format in STREAMS


def file_url(file: ByteRange) -> str:
    """Return what FFmpeg opens: the file, or the range of bytes in it."""
    path = file.path.absolute()
    if not file.size:
        return str(path)
    return f"subfile,,start,{file.offset},end,{file.offset + file.size},,:file:{path}"


def open_video(file: ByteRange) -> InputContainer:
    """Open a video for reading.

    Raises:
        MediaError: it cannot be read, is cut short or is not a video.
    """
    path = file.path
    try:
        return av.open(file_url(file), "r", metadata_errors="ignore", options={"format_whitelist": _formats()})
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise MediaError(f"{path} cannot be read: {error.strerror}") from error
        with path.open("rb") as opened:
            opened.seek(file.offset)
            head = opened.read(12)
        if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
            raise MediaError(f"{path} is cut short: its index (moov) is missing; copy it or record it again") from error
        raise MediaError(f"{path} is not a video, whatever its name says: {error.strerror}") from error


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that are no cover images."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def video_stream(container: InputContainer, file: ByteRange) -> VideoStream:
    """Return the video stream that players show: the one marked as default, or FFmpeg's choice.

    Raises:
        MediaError: there is none, or its codec is unknown.
    """
    path = file.path
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise MediaError(f"{path} is a still image, not a video: name it as one (.png, .jpg)")
    streams = video_streams(container)
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    if streams:
        best = container.streams.best("video")
        chosen = marked[0] if marked else next((one for one in streams if one is best), streams[0])
        if chosen.codec_context is None:
            raise MediaError(f"{path} has a video codec that is not known here; {conversion_hint(file)}")
        return chosen
    if container.streams.video:
        raise MediaError(f"{path} is a sound file with a cover image, not a video")
    if container.streams.audio:
        raise MediaError(f"{path} holds sound but no images")
    raise MediaError(f"{path} has no video stream")


def conversion_hint(file: ByteRange) -> str:
    """Return what to tell someone whose video is of a kind that cannot be used."""
    path = file.path
    return f"convert it: ffmpeg -i {path.name} -c:v libx264 -crf 12 -pix_fmt yuv420p {path.stem}-fixed.mp4"


def codec_name(stream: VideoStream) -> str:
    """Return FFmpeg's name of the codec, of whatever decoder."""
    return str(stream.codec_context.codec.canonical_name)


@cache
def _formats() -> str:
    """Return FFmpeg's names of the formats that are opened, divided by commas."""
    return ",".join(sorted(av.formats_available - INDIRECT))


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Return the duration that the header names for the video stream, else for the whole file; 0 if it names none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())
    if tag:
        hours, minutes, seconds = tag.groups()
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return (container.duration or 0) / av.time_base
