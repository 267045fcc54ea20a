"""Decode videos once into shards of small images: `secondsight data prepare`.

What goes into which shard is planned once, by time alone; so a shard is the same whoever makes it and whenever, and a
preparation that was stopped goes on with the shards that are missing.

plan.json         the videos; every continuation reads it
shard-00000.tar   see `data.prepared`
shard-00000.npz   its rows of the index and what could not be decoded; written after it, and joined at the end
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from data.decoding import changed_size, damaged_frame, frames_in_order
from data.errors import MediaError
from data.frames import resize_short_side
from data.items import LISTING, describe_sources
from data.options import PrepareOptions
from data.preparation_plan import Piece, Plan, make_plan, of_pieces, plan_shards, read_plan, write_plan
from data.prepared import (
    ROW,
    PreparedMetadata,
    PreparedShard,
    PreparedVideo,
    write_prepared,
)
from data.prepared_paths import holds_prepared, shard_name
from data.probe import probe_video
from data.skipping import describe_skipped, write_skipped
from data.sources import Skipped, Source
from data.video import TIME_SLACK
from data.workers import Workers
from storage.arrays import load_arrays, pack_arrays
from storage.checked_files import FaultError, check_size
from storage.files import atomic_write
from storage.lock import FolderLock
from storage.run_folder import RunFolderError, check_run, has_begun, leaving_nothing, open_run
from training.parallel import cores
from training.progress import Progress, count, say_done, say_found


class PrepareError(ValueError):
    """Shards cannot be written; the message says what to do."""


@dataclass(frozen=True)
class ShardRequest:
    """A shard that is to be made."""

    out: Path
    number: int
    pieces: tuple[Piece, ...]
    sources: tuple[Source, ...]
    """The video of each piece."""
    options: PrepareOptions


def prepare(options: PrepareOptions) -> Path:
    """Prepare videos as the options say, and return the folder of the shards.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
        RunFolderError: `out` holds another preparation, or this one and `resume` is not `auto`.
        FolderLockError: another process is preparing into `out`.
        PrepareError: the disk is full; what is done stays and is continued with `--resume auto`.
    """
    out = options.out
    with FolderLock(out, wait=options.resume == "auto") as lock:
        sources, skipped = _open(options)
        say_found(videos=describe_sources(sources), skipped=describe_skipped(skipped))
        if not holds_prepared(out):
            try:
                _make_shards(options, sources, lock)
                lock.check()
                _join(options, sources, skipped)
            except OSError as error:
                raise PrepareError(
                    f"{out} cannot be written ({error}): make room and start the same command with --resume auto"
                ) from error
    say_done(out, "secondsight vqgan train --preset demo --data", out, "--out TOKENIZER")
    return out


def _open(options: PrepareOptions) -> Plan:
    """Make `out` the folder of a preparation, once everything was checked; return what is prepared and what is not."""
    out = options.out
    path = out / "plan.json"
    recorded = (out / "config.json").exists()
    if holds_prepared(out) and not recorded and not options.overwrite:
        raise RunFolderError(
            f"{out} already holds shards, and no config.json that tells how they were made: replace them with "
            "--overwrite, or choose another --out"
        )
    begun = recorded and has_begun(out, PrepareOptions)
    goes_on = check_run(out, options, options.resume, options.overwrite, begun=begun).continues
    with leaving_nothing(out, LISTING):
        plan = read_plan(path) if goes_on else make_plan(options)
    if not goes_on:
        _discard(out)
    open_run(out, options, options.resume, begun=begun)
    if not goes_on:
        write_plan(path, plan)
    return plan


def _make_shards(options: PrepareOptions, sources: Sequence[Source], lock: FolderLock) -> None:
    shards = plan_shards(sources, options.fps)
    requests = [
        ShardRequest(options.out, number, pieces, tuple(sources[piece.video] for piece in pieces), options)
        for number, pieces in enumerate(shards)
        if not is_made(options.out / shard_name(number), pieces)
    ]
    done = len(shards) - len(requests)
    workers = Workers(make_shards, cores() if options.workers is None else options.workers, options.timeout)
    with workers, Progress("Preparing shards", len(shards), done) as progress:
        for answer, request in zip(workers.map([request] for request in requests), requests, strict=True):
            lock.check()
            if isinstance(answer, MediaError):
                _give_up(request, answer)
            done += 1
            progress.show(done)


def is_made(path: Path, pieces: Sequence[Piece]) -> bool:
    """Whether a shard was made of these pieces and holds what was written; say so if it was made and does not."""
    try:
        kept = load_arrays(path.with_suffix(".npz"), of_pieces(path, pieces))
        record = json.loads(str(kept["record"]))
        check_size(path)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record["sha256"]:
                raise FaultError("it does not hold what was written")
        if kept["rows"].dtype != ROW:
            raise FaultError("it is of an earlier version")
    except FileNotFoundError:
        return False
    except (KeyError, TypeError, ValueError) as error:
        print(f"{path} cannot be kept ({error}): it is made again", file=sys.stderr)
        return False
    return True


def make_shards(requests: Sequence[ShardRequest]) -> Iterator[int]:
    """Make shards, in this process or in a worker, and yield their numbers.

    Raises:
        PrepareError: a shard cannot be written.
    """
    for request in requests:
        writer = _ShardWriter(request)
        for piece, source in zip(request.pieces, request.sources, strict=True):
            try:
                writer.add(piece, source)
            except MediaError as error:
                writer.lose(piece, source, str(error))
        try:
            writer.close()
        except OSError as error:
            raise PrepareError(
                f"{request.out} cannot be written ({error}): make room and start the same command with --resume auto"
            ) from error
        yield request.number


def _give_up(request: ShardRequest, error: MediaError) -> None:
    """Record a shard of which nothing could be read, because its worker hung or died."""
    writer = _ShardWriter(request)
    for piece, source in zip(request.pieces, request.sources, strict=True):
        writer.lose(piece, source, str(error))
    writer.close()


class _ShardWriter:
    """Collects the images of a shard in memory, some 10 MB, and writes it whole."""

    def __init__(self, request: ShardRequest) -> None:
        self._request = request
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.USTAR_FORMAT)
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        self._skipped: list[tuple[str, str]] = []
        self._decoder = ""

    def add(self, piece: Piece, source: Source) -> None:
        """Decode the frames of a piece and add their images.

        Raises:
            MediaError: the video cannot be read.
        """
        source.check_unchanged()
        info = probe_video(source.bytes_of_file, source.table)
        self._decoder = info.decoder_version("pyav")
        # The frame before the first one tells which image is on display already and needs no second copy.
        numbers = np.arange(max(piece.begin - 1, 0), piece.end)
        shown = np.searchsorted(info.timestamps, numbers / self._request.options.fps + TIME_SLACK, side="right") - 1
        indices, first = np.unique(np.maximum(shown, 0), return_index=True)
        new = numbers[first] >= piece.begin
        frames = frames_in_order(info, indices[new].tolist())
        rows = []
        shape: tuple[int, ...] | None = None
        for (index, image), number in zip(frames, numbers[first][new].tolist(), strict=True):
            shape = shape or (image.shape if image is not None else None)
            if image is None or image.shape != shape:
                error = damaged_frame(info, index) if image is None else changed_size(info)
                self._skipped.append((source.name, source.skip(error).reason))
                rows.append((piece.video, number, self._request.number, 0, 0, 0))
            else:
                rows.append((piece.video, number, self._request.number, *self._add_image(piece, number, source, image)))
        info.check_unchanged()
        self._rows += rows

    def lose(self, piece: Piece, source: Source, reason: str) -> None:
        """Note that a piece cannot be read."""
        self._rows.append((piece.video, piece.begin, self._request.number, 0, 0, 0))
        self._skipped.append((source.name, source.skip(reason).reason))

    def close(self) -> None:
        """Write the shard, then its rows."""
        self._tar.close()
        content = self._buffer.getvalue()
        path = self._request.out / shard_name(self._request.number)
        _write(path, content)
        rows = np.array(self._rows, ROW)
        record = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "skipped": [list(one) for one in self._skipped],
            "decoder": self._decoder,
        }
        arrays = {"rows": rows, "record": np.array(json.dumps(record))}
        _write(path.with_suffix(".npz"), pack_arrays(arrays, of_pieces(path, self._request.pieces)))

    def _add_image(self, piece: Piece, number: int, source: Source, image: NDArray[np.uint8]) -> tuple[int, int, int]:
        """Return where the image begins in the shard, how long it is, in bytes, and its CRC-32."""
        options = self._request.options
        suffix = "jpg" if options.format == "jpeg" else "png"
        key = f"{piece.video:06d}/{number:08d}"
        facts = {"source": source.name, "time": number / options.fps, "group": source.group or source.name}
        self._add_member(f"{key}.json", json.dumps(facts).encode())
        content = _encode(image, options)
        return self._add_member(f"{key}.{suffix}", content), len(content), zlib.crc32(content)

    def _add_member(self, name: str, content: bytes) -> int:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        offset = self._buffer.tell() + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(content))
        return offset


def _encode(image: NDArray[np.uint8], options: PrepareOptions) -> bytes:
    small = resize_short_side(torch.from_numpy(image), options.size).permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    if options.format == "jpeg":
        # Without subsampling of colour, which would smear what the video's own subsampling left.
        Image.fromarray(small).save(buffer, "JPEG", quality=options.quality, subsampling=0)
    else:
        Image.fromarray(small).save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(content)

    atomic_write(path, write)


def _join(options: PrepareOptions, sources: Sequence[Source], skipped: Sequence[Skipped]) -> None:
    """Make one index of the rows of all shards, and write down everything that was left out.

    Raises:
        MediaError: more than half of the images cannot be decoded.
    """
    out = options.out
    shards = []
    tables = []
    reasons: list[tuple[str, str]] = []
    decoders = set()
    numbers = range(len(plan_shards(sources, options.fps)))
    records = [(out / shard_name(number)).with_suffix(".npz") for number in numbers]
    for path in records:
        kept = load_arrays(path)
        rows = kept["rows"]
        record = json.loads(str(kept["record"]))
        tables.append(rows)
        shards.append(PreparedShard(path.with_suffix(".tar").name, int((rows["size"] > 0).sum()), record["sha256"]))
        reasons += [(name, reason) for name, reason in record["skipped"]]
        decoders.update({record["decoder"]} - {""})
    index = np.concatenate(tables)
    lost = [Skipped(name, reason) for name, reason in Counter(reasons)]
    write_skipped(out / "skipped.csv", [*skipped, *lost])
    frames = int((index["size"] > 0).sum())
    if 2 * frames < len(index):
        raise MediaError(f"{len(index) - frames} of {len(index)} images cannot be decoded: see {out / 'skipped.csv'}")
    counts = np.bincount(index["video"], minlength=len(sources))
    firsts = np.concatenate([[0], np.cumsum(counts)])
    videos = [
        PreparedVideo(
            source=source.name,
            group=source.group,
            seconds=source.seconds,
            gaps=source.gaps,
            windows=source.windows,
            first=int(firsts[number]),
            rows=int(counts[number]),
        )
        for number, source in enumerate(sources)
    ]
    metadata = PreparedMetadata(
        size=options.size,
        fps=options.fps,
        format=options.format,
        quality=options.quality if options.format == "jpeg" else 100,
        decoder=", ".join(sorted(decoders)),
        videos=len(videos),
        frames=frames,
        shards=tuple(shards),
    )
    write_prepared(out, metadata, videos, index)
    for path in records:
        path.unlink()
    print(f"{count(len(videos), 'video')}, {count(frames, 'image')}, {count(len(shards), 'shard')}")


def _discard(out: Path) -> None:
    """Remove an earlier preparation."""
    names = ("prepared.json", "videos.jsonl", "index.npy", "plan.json", "config.json", "skipped.csv")
    for path in (*(out / name for name in names), *out.glob("shard-*.tar"), *out.glob("shard-*.npz")):
        path.unlink(missing_ok=True)
