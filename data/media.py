"""Finding videos and images: everything that a path holds is a source, or is listed with the reason why it is not.

A path means a folder (searched through, linked folders too), one file, a CSV of stretches of videos (see
`data.clip_list`), prepared shards (see `data.prepared`), or a pattern of webdataset tar shards such as
`shards-{0000..0003}.tar` or `shards-*.tar` (`a.tar::b.tar` for several), whose members are read in place, never
unpacked.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tarfile import TarError
from typing import Literal, NamedTuple

from data.clip_list import ListedFile, columns_of, read_clip_list
from data.errors import MediaError
from data.folders import FoundFile, Place, look_at, place_of, search_folder
from data.images import IMAGE_SUFFIXES, load_image, pixel_digest
from data.inputs import is_clip_list, is_there, look_at_named, named_paths
from data.listing import Facts, Listing
from data.packets import JoinedVideoError
from data.prepared import prepared_sources
from data.prepared_paths import check_finished, holds_prepared
from data.probe import VIDEO_SUFFIXES, probe_video
from data.shards import Finding, Member, ShardContent, read_shard
from data.sources import ByteRange, Skipped, Source, Stamp, Stretch
from training.processes import process_index
from training.progress import Progress

WORTH_SHOWING = 200
"""Files from which a listing shows how far it is."""

MANY_SHARDS = 20
"""Shards from which the search for what is in them shows how far it is."""

LARGEST_IMAGE = 1 << 31
"""Bytes of an image in a shard, which is read into memory whole."""

UNPACK = {
    ".gz": "gunzip",
    ".bz2": "bunzip2",
    ".xz": "unxz",
    ".zst": "unzstd",
    ".lz4": "unlz4",
    ".tgz": "gunzip",
    ".tbz2": "bunzip2",
    ".txz": "unxz",
    ".zip": "unzip",
    ".7z": "7z x",
    ".rar": "unrar x",
}
"""Programs that unpack what cannot be read in place."""

ARCHIVES = frozenset({".tgz", ".tbz2", ".txz", ".zip", ".7z", ".rar"})
"""Suffixes of files that hold several others; of the rest, the suffix before tells."""

WHOLE = (Stretch(0.0, math.inf),)
"""What is wanted of a file of a CSV for which it names no times."""

FILE = "\0"
"""Stands for a file in a reason that is kept, which knows not under which name it is found next time."""


@dataclass(frozen=True)
class Catalogue:
    """What a path holds: the usable sources in order of name, and the files that are not used."""

    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]
    grouped: bool = False
    """Whether the sources have the groups that were asked for."""

    @property
    def videos(self) -> tuple[Source, ...]:
        """The videos among the sources."""
        return tuple(source for source in self.sources if source.kind == "video")


def catalogue(path: Path, cache: Path | None = None, group_by: str | None = None) -> Catalogue:
    """Look at everything `path` means: demux every video, decode every image.

    Args:
        path: what is looked at.
        cache: folder in which what is found is kept, so that it is not looked at again.
        group_by: of a CSV, the column that says what the split keeps together; anything else is left to
            `data.split.group_sources`.

    Raises:
        MediaError: the path is missing or holds no video or image.
    """
    with Listing(cache) as listing:
        if is_there(path, stat.S_ISDIR):
            check_finished(path)
            if holds_prepared(path):
                return Catalogue(prepared_sources(path), ())
        if is_clip_list(path):
            column = group_by if group_by in columns_of(path) else None
            found = _look_at_all(_listed(read_clip_list(path, column)), listing)
            return replace(found, grouped=column is not None)
        found = _look_at_all(_candidates(_find_files(path), listing), listing)
    if not found.sources and not any(skip.is_media for skip in found.skipped):
        raise MediaError(f"{path} holds no video ({_some(VIDEO_SUFFIXES)}) or image ({_some(IMAGE_SUFFIXES)})")
    return found


def is_litter(name: Path) -> bool:
    """Whether a file was left by an operating system (resource forks, thumbnails) rather than by a person."""
    return "__MACOSX" in name.parts or name.name.startswith("._") or name.name in {".DS_Store", "Thumbs.db"}


class _Named(NamedTuple):
    """A file with the name that it has in the data."""

    name: str
    file: FoundFile
    chosen: bool
    """Whether it was itself named as the data."""


def _find_files(path: Path) -> list[_Named]:
    """Return all files that a path means, in order.

    Raises:
        MediaError: one that it names is missing.
    """
    roots = named_paths(path)
    alone = len(roots) == 1 and is_there(roots[0], stat.S_ISDIR)
    base = Path(os.path.commonpath([one.absolute() if alone else one.absolute().parent for one in roots]))
    files: dict[str, _Named] = {}
    for root in roots:
        itself, is_folder = look_at_named(root)
        for file in search_folder(root) if is_folder else [itself]:
            name = str(file.path.absolute().relative_to(base))
            files.setdefault(name, _Named(name, file, not is_folder))
    return list(files.values())


def _candidates(files: Sequence[_Named], listing: Listing) -> list[Source | Skipped]:
    """Return everything there is, as a source that is still to be looked at or as something that is not used."""
    first_names: dict[Place, str] = {}
    # A file is known by its own name rather than a link's.
    for name, file, chosen in sorted(files, key=lambda named: named.file.linked):
        if chosen or _is_known(file.path.suffix.lower()):
            first_names.setdefault(place_of(file), name)
    shards = sum(named.file.path.suffix.lower() == ".tar" for named in files)
    done = 0
    candidates: list[Source | Skipped] = []
    visible = shards >= MANY_SHARDS and process_index() == 0
    with Progress("Reading shards", shards, visible=visible) as progress:
        for named in files:
            candidates += _in_file(named, first_names, listing)
            if named.file.path.suffix.lower() == ".tar":
                done += 1
                progress.show(done)
    return candidates


def _is_known(suffix: str) -> bool:
    return suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES or suffix == ".tar"


def _in_file(named: _Named, first_names: Mapping[Place, str], listing: Listing) -> Iterator[Source | Skipped]:
    name, file, chosen = named
    suffix = file.path.suffix.lower()
    if is_litter(Path(name)):
        yield Skipped(name, "was left by an operating system", False)
        return
    if file.status is None:
        yield Skipped(name, file.problem, _is_known(suffix) if file.is_media is None else file.is_media)
        return
    if not stat.S_ISREG(file.status.st_mode):
        yield Skipped(name, "is a pipe, socket or device, not a file", False)
        return
    first = first_names.get(place_of(file), name)
    stamp = Stamp(file.status.st_size, file.status.st_mtime_ns)
    if first != name:
        yield Skipped(name, f"is the same file as {first}", False)
    elif suffix == ".tar":
        yield from _in_tar(file.path, name, stamp, listing)
    elif suffix in VIDEO_SUFFIXES:
        yield Source(name, file.path, "video", stamp=stamp)
    elif suffix in IMAGE_SUFFIXES or (chosen and suffix not in UNPACK):
        # A file that was named outright is tried as an image whatever it is called, and refused with a reason.
        yield Source(name, file.path, "image", stamp=stamp)
    elif suffix in UNPACK and (chosen or suffix in ARCHIVES or _is_known(Path(file.path.stem).suffix.lower())):
        yield Skipped(name, f"is packed, and nothing in it can be read in place: {UNPACK[suffix]} {file.path.name}")
    else:
        yield Skipped(name, f"is no video or image by its name ({suffix or 'no suffix'})", False)


def _in_tar(file: Path, name: str, stamp: Stamp, listing: Listing) -> Iterator[Source | Skipped]:
    content = _shard_content(file, stamp, listing)
    if isinstance(content, str):
        yield Skipped(name, content)
        return
    for finding in content.findings:
        yield Skipped(f"{name}/{finding.name}" if finding.name else name, finding.reason, finding.is_media)
    for member in content.members:
        full = f"{name}/{member.name}"
        is_video = Path(member.name).suffix.lower() in VIDEO_SUFFIXES
        if is_litter(Path(member.name)):
            yield Skipped(full, "was left by an operating system", False)
        elif is_video and member.pieces:
            yield Skipped(full, "is stored with holes (tar -S), in which videos are not read: unpack it")
        elif not is_video and member.size > LARGEST_IMAGE:
            yield Skipped(full, f"has {member.size:,} bytes, too many for an image in a shard: unpack it")
        else:
            kind: Literal["video", "image"] = "video" if is_video else "image"
            yield Source(full, file, kind, member.offset, member.size, member.pieces, stamp)


def _shard_content(file: Path, stamp: Stamp, listing: Listing) -> ShardContent | str:
    """Return what a shard holds, or why it cannot be read."""
    facts = listing.get(ByteRange(file), stamp)
    if facts is None:
        try:
            content = read_shard(file, (IMAGE_SUFFIXES, VIDEO_SUFFIXES))
            facts = {"members": content.members, "findings": content.findings}
        except TarError as error:
            facts = {"reason": f"is not a readable, uncompressed tar shard: {error}"}
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        listing.put(ByteRange(file), stamp, facts)
    if "reason" in facts:
        return str(facts["reason"])
    members = tuple(
        Member(name, offset, size, tuple((start, length) for start, length in pieces))
        for name, offset, size, pieces in facts["members"]
    )
    return ShardContent(members, tuple(Finding(*finding) for finding in facts["findings"]))


def _listed(files: Iterable[ListedFile]) -> list[Source | Skipped]:
    """Return the files of a CSV as sources that are still to be looked at."""
    candidates: list[Source | Skipped] = []
    for name, path, group, windows, lines in files:
        found = look_at(path)
        suffix = path.suffix.lower()
        where = f"(line{'s'[: len(lines) > 1]} {', '.join(map(str, lines[:5]))} of the list)"
        if found.status is None:
            candidates.append(Skipped(name, f"{found.problem} {where}"))
        elif not stat.S_ISREG(found.status.st_mode):
            candidates.append(Skipped(name, f"is no file {where}"))
        elif suffix == ".tar" or suffix in UNPACK:
            candidates.append(Skipped(name, f"is no video or image {where}: give shards themselves as the data"))
        elif suffix in IMAGE_SUFFIXES and windows != WHOLE:
            candidates.append(Skipped(name, f"is an image, which has neither start nor end {where}"))
        else:
            candidates.append(
                Source(
                    name=name,
                    path=path,
                    kind="image" if suffix in IMAGE_SUFFIXES else "video",
                    stamp=Stamp(found.status.st_size, found.status.st_mtime_ns),
                    windows=() if windows == WHOLE else windows,
                    group=group,
                )
            )
    return candidates


def _look_at_all(candidates: Sequence[Source | Skipped], listing: Listing) -> Catalogue:
    """Look at the sources, as far as they are not known, and leave out those that cannot be used."""
    sources: list[Source] = []
    skipped: list[Skipped] = []
    visible = len(candidates) >= WORTH_SHOWING and process_index() == 0
    with Progress("Listing", len(candidates), visible=visible) as progress:
        for number, candidate in enumerate(candidates, start=1):
            for result in [candidate] if isinstance(candidate, Skipped) else _checked(candidate, listing):
                if isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    sources.append(result)
            if visible:
                progress.show(number)
    return Catalogue(tuple(sources), tuple(skipped))


def _checked(source: Source, listing: Listing, is_part: bool = False) -> Iterator[Source | Skipped]:
    """Yield a source with what it holds: as several if it is several recordings; or why it cannot be used."""
    assert source.stamp is not None
    facts = listing.get(source.bytes_of_file, source.stamp)
    table = listing.table(source.bytes_of_file, source.stamp) if source.kind == "video" else None
    if facts is None:
        facts = _look(source, table, listing)
    if "reason" in facts:
        yield Skipped(source.name, facts["reason"].replace(FILE, source.name))
    elif "parts" in facts and is_part:
        yield Skipped(source.name, "is a part of a recording, and its clock is still set back on the way")
    elif "parts" in facts:
        yield from _in_parts(source, facts["parts"], listing)
    elif source.kind == "image":
        yield replace(source, sha256=facts["sha256"])
    else:
        gaps = tuple(Stretch(*gap) for gap in facts["gaps"])
        kept = table if table is not None and table.exists() else None
        yield from _windowed(replace(source, seconds=facts["seconds"], gaps=gaps, table=kept))


def _look(source: Source, table: Path | None, listing: Listing) -> Facts:
    """Return what an image or a video holds, or the reason why it cannot be used, as plain JSON; and remember it."""
    assert source.stamp is not None
    try:
        facts = _facts(source, table)
    except MemoryError:
        return {"reason": "takes more memory than there is"}
    except OSError as error:
        return {"reason": f"cannot be read: {error.strerror or error}"}
    except MediaError as error:
        reason = str(error).replace(str(source.path.absolute()), FILE).replace(str(source.path), FILE)
        facts = {"reason": reason}
        if _may_pass(error):
            return facts
    listing.put(source.bytes_of_file, source.stamp, facts)
    return facts


def _facts(source: Source, table: Path | None) -> Facts:
    if source.kind == "image":
        return {"sha256": pixel_digest(load_image(source.image_bytes()))}
    try:
        info = probe_video(source.bytes_of_file, table)
    except JoinedVideoError as error:
        return {"parts": [(part.offset, part.size) for part in error.parts]}
    return {"seconds": info.duration, "gaps": info.gaps}


def _may_pass(error: MediaError) -> bool:
    """Whether the reason is the machine's, not the file's: it could not be reached, or a program is missing."""
    cause = error.__cause__
    return isinstance(cause, ImportError) or (isinstance(cause, OSError) and cause.errno is not None)


def _in_parts(source: Source, parts: Sequence[tuple[int, int]], listing: Listing) -> Iterator[Source | Skipped]:
    """Yield the recordings that were joined to one, which the split keeps together."""
    if source.windows:
        reason = f"is {len(parts)} recordings in one, whose clocks begin anew: a list cannot name stretches of it"
        yield Skipped(source.name, reason)
        return
    for number, (offset, size) in enumerate(parts, start=1):
        name = source.name if number == 1 else f"{source.name}@{number}"
        part = replace(source, name=name, offset=offset, size=size, group=source.group or source.name)
        yield from _checked(part, listing, is_part=True)


def _windowed(source: Source) -> Iterator[Source | Skipped]:
    """Check the stretches that are wanted of a video against its length; one without an end goes up to it."""
    late = [window for window in source.windows if window.start >= source.seconds]
    if late:
        reason = f"lasts {source.seconds:.2f} s, but a stretch is wanted from {late[0].start:g} s on"
        yield Skipped(source.name, reason)
    beyond = [w for w in source.windows if w.start < source.seconds < w.end - 0.5 and w.end < math.inf]
    for window in beyond:
        reason = f"lasts {source.seconds:.2f} s: the stretch up to {window.end:g} s ends there"
        yield Skipped(source.name, reason, False)
    windows = tuple(
        Stretch(window.start, min(window.end, source.seconds)) for window in source.windows if window not in late
    )
    if windows or not source.windows:
        yield replace(source, windows=windows)


def _some(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes)[:4]) + ", ..."
