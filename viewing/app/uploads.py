"""Pictures and films that somebody uploads: checked like any file, read in a process of its own, and removed.

What an upload is called and what it holds come from outside. So it is given a name of our own before anything opens it,
only files of pictures and films are opened at all, and whatever is wrong with one is said in a sentence.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import Reading, read_items
from data.containers import DAMAGE
from data.errors import MediaError
from data.images import IMAGE_SUFFIXES
from data.items import Item, list_items
from data.media import catalogue
from data.packets import JoinedVideoError
from data.probe import VIDEO_SUFFIXES, VideoInfo, probe_video
from data.workers import WorkerError, Workers
from experiments.physics.footage import VideoFootage, whole_frames
from storage.terminal import visible

CACHE = "GRADIO_TEMP_DIR"
"""Environment variable that tells Gradio where it keeps uploads and answers."""
LONGEST_NAME = 60
"""Characters of the name of an upload that are said."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,mpegvideo,m4v,dv,asf,flv,ogg,mxf,mxf_opatom,mjpeg,nut,rm,"
    "ivf,yuv4mpegpipe"
)
"""FFmpeg's names of the formats that are opened. Playlists, which name other files or addresses, are none of them."""

POSTSCRIPT = frozenset({b"%!PS", b"\xc5\xd0\xd3\xc6"})
"""First bytes of files that Pillow has another program draw."""


class UploadError(ValueError):
    """An upload cannot be used; the message is a sentence for whoever uploaded it."""


@dataclass(frozen=True)
class Limits:
    """How large an upload may be. Pictures have at most 64 million pixels, as everywhere (`data.images`)."""

    bytes: int = 200 << 20
    """Of the file."""
    pixels: int = 9_500_000
    """Of a frame of a film: a little more than 4096x2304."""
    seconds: float = 600.0
    """Of a film."""
    frames: int = 36_000
    """Of a film, as it is stored: 600 s of 60 frames a second."""
    patience: float = 30.0
    """Seconds after which reading is given up. It is tried twice, as a machine may have been busy."""

    def describe(self) -> str:
        """Return it in words: `at most 200 MB; a film at most 10 minutes`."""
        return f"at most {self.bytes >> 20} MB; a film at most {self.seconds / 60:g} minutes"


LIMITS = Limits()


@contextmanager
def private_cache() -> Iterator[Path]:
    """Within this context Gradio keeps its files in a folder that nobody else reads, removed at the end.

    It must be entered before Gradio's components are made.
    """
    before = os.environ.get(CACHE)
    folder = Path(tempfile.mkdtemp(prefix="secondsight-app-"))
    os.environ[CACHE] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before
        shutil.rmtree(folder, ignore_errors=True)


def upload_reader(limits: Limits = LIMITS) -> Workers[Any, Reading]:
    """Return the process that reads several uploads, one after another; a context manager that ends it."""
    return Workers(_read, 1, limits.patience)


def read_upload(
    path: Path, pair: HasForm, limits: Limits = LIMITS, reader: Workers[Any, Reading] | None = None
) -> Tensor:
    """Return a picture (3, 1, H, W), or the first clip (3, T, H, W) of a film, float32 in [-1, 1]; remove the file.

    It is what `secondsight complete --input FILE --items 1` reads. A pair for still images reads a film's first frame.

    Args:
        path: the upload, in a folder of Gradio's.
        pair: decides how clips are cut.
        limits: how large it may be.
        reader: `upload_reader()`, where there are several; a process starts for each without.

    Raises:
        UploadError: it is no picture or film, damaged, too large or too short.
    """
    return _take(path, pair.clip_format, limits, film=False, reader=reader).clip()


def read_film(path: Path, form: ClipFormat, limits: Limits = LIMITS) -> Tensor:
    """Return a film from its beginning, (3, T, H, W) uint8; remove the file.

    It is what `secondsight physics run` reads, but for what fills no latent frame at the end.

    Args:
        path: the upload, in a folder of Gradio's.
        form: rate and side of the frames; of `frames` there are at most so many.
        limits: how large it may be.

    Raises:
        UploadError: it is no film, damaged or too large.
    """
    return torch.from_numpy(_take(path, form, limits, film=True).levels)


class HasForm(Protocol):
    """A pair of models, as far as uploads are concerned."""

    @property
    def clip_format(self) -> ClipFormat:
        """How clips are cut for them."""


@dataclass(frozen=True)
class _Request:
    """What is to be read of a file."""

    path: Path
    form: ClipFormat
    limits: Limits
    film: bool
    """Whether it is read from its beginning, as far as it goes."""


def _take(
    path: Path, form: ClipFormat, limits: Limits, film: bool, reader: Workers[Any, Reading] | None = None
) -> Reading:
    """Read a file under a name of our own, in another process, and remove it."""
    name = _shown(path.name)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="reading-") as folder:
            file = Path(folder) / f"upload{path.suffix.lower()}"
            path.replace(file)
            _check_file(file, limits, film)
            return _read_apart(_Request(file, form, limits, film), reader)
    except MediaError as error:
        raise UploadError(f"{name}: {error}") from error
    except OSError as error:
        raise UploadError(f"{name} cannot be read: {error.strerror or 'the file is gone'}; upload it again") from error
    finally:
        path.unlink(missing_ok=True)


def _check_file(file: Path, limits: Limits, film: bool) -> None:
    """Refuse what is no picture or film by its name, or too large.

    Raises:
        MediaError: it is.
    """
    known = VIDEO_SUFFIXES if film else VIDEO_SUFFIXES | IMAGE_SUFFIXES
    if file.suffix not in known:
        wanted = "a film (.mp4, .webm, .avi, ...)" if film else "a picture (.png, .jpg, ...) or a film (.mp4, ...)"
        raise MediaError(f"is not {wanted} by its name ({_shown(file.suffix) or 'no suffix'})")
    size = file.stat().st_size
    if size > limits.bytes:
        raise MediaError(f"has {size:,} bytes; {limits.describe()}")
    if not size:
        raise MediaError("is empty (0 bytes)")


def _read_apart(request: _Request, reader: Workers[Any, Reading] | None) -> Reading:
    """Read a file in a process of its own, which is ended when it takes too long.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        with nullcontext(reader) if reader else upload_reader(request.limits) as workers:
            answer = next(workers.map([[request]]))
    except WorkerError as error:
        raise MediaError(f"cannot be read now, as {error}") from error
    except MemoryError as error:
        raise MediaError("takes more memory than there is: make it smaller") from error
    except Exception as error:  # a decoder may raise anything, and the server goes on
        raise MediaError(f"cannot be read ({type(error).__name__}): convert it to PNG or MP4") from error
    if isinstance(answer, MediaError):
        raise _without_path(answer, request.path)
    return answer


def _without_path(error: MediaError, file: Path) -> MediaError:
    """Return an error that does not say where the file lies on this machine, but calls it `it`."""
    said = str(error).replace(str(file), "it").replace(file.name, "it").removeprefix("it ").removeprefix("it: ")
    return MediaError(visible(said))


def _read(requests: Sequence[_Request]) -> Iterator[Reading | MediaError]:
    """Yield what is asked for; in a process of its own."""
    for request in requests:
        check = _check_film if request.path.suffix in VIDEO_SUFFIXES else _check_picture
        check(request.path, request.limits)
        if request.film:
            yield _read_from_beginning(request)
        else:
            # Decoding ends before the answer is given, with which the file goes: an error of its end would be
            # taken for the answer of the next file.
            (answer,) = read_items([(_first(request), request.form)])
            yield answer


def _check_film(file: Path, limits: Limits) -> None:
    """Refuse what opens other files, and frames or films that are too large, before anything is decoded.

    Raises:
        MediaError: it is no film, or too large.
    """
    try:
        with av.open(str(file), "r", metadata_errors="ignore", options={"format_whitelist": FORMATS}) as container:
            sides = [(stream.width, stream.height) for stream in container.streams.video]
    except av.ArgumentError as error:
        raise MediaError("is not a film, whatever its name says") from error
    except DAMAGE:
        return  # of a format that is opened; looking at it finds the same, and says it in words
    for width, height in sides:
        if width * height > limits.pixels:
            raise MediaError(f"has frames of {width}x{height} pixels; there may be {limits.pixels:,}: make it smaller")


def _check_length(info: VideoInfo, limits: Limits) -> None:
    """Refuse films that are too long.

    Raises:
        MediaError: it is.
    """
    if info.duration > limits.seconds or len(info.pts) > limits.frames:
        raise MediaError(
            f"lasts {info.duration:,.0f} s and has {len(info.pts):,} frames; there may be {limits.seconds:g} s and "
            f"{limits.frames:,} frames: cut it"
        )


def _check_picture(file: Path, _: Limits) -> None:
    """Refuse what Pillow gives to another program; all else is checked where pictures are opened.

    Raises:
        MediaError: it is PostScript.
    """
    with file.open("rb") as opened:
        head = opened.read(4)
    if head in POSTSCRIPT:
        raise MediaError("is PostScript, not a picture, whatever its name says: convert it to PNG")


def _first(request: _Request) -> Item:
    """Return the first clip of a file, or the picture that it is.

    Raises:
        MediaError: it cannot be used.
    """
    found = catalogue(request.path)
    if not found.sources:
        raise MediaError(found.skipped[0].reason)
    if found.videos:
        _check_length(probe_video(found.videos[0].bytes_of_file), request.limits)
    items, short = list_items(found.sources, request.form)
    if not items:
        raise MediaError(short[0].reason)
    return items[0]


def _read_from_beginning(request: _Request) -> Reading:
    """Return a film at the rate of a form, as far as it goes.

    Raises:
        MediaError: it cannot be used.
    """
    form = request.form
    try:
        footage = VideoFootage(probe_video(request.path))
    except JoinedVideoError as error:  # it knows where its parts lie, which is not for other processes
        raise MediaError(str(error)) from error
    _check_length(footage.info, request.limits)
    frames = min(form.frames, whole_frames(footage.duration, form.fps))
    return Reading(footage.clip(frames, form.fps, form.size).numpy(), footage.info.decoder_version())


def _shown(name: str) -> str:
    """Return a name so that it hides nothing and is not longer than a line."""
    shown = visible(name)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 3]}..."
