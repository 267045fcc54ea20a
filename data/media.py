"""Finding videos and images, saying which cannot be used and why, and splitting them by source.

A path means a folder (searched through), one file, or a pattern of webdataset tar shards such as
`shards-{0000..0003}.tar`, whose images are read in place, never unpacked.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.errors import MediaError
from data.images import IMAGE_SUFFIXES, load_image, pixel_digest
from data.probe import VIDEO_SUFFIXES, probe_video
from data.sources import Skipped, Source
from storage.tables import write_rows


@dataclass(frozen=True)
class Catalogue:
    """What a path holds: the usable sources in order of name, and the files that are not."""

    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]

    @property
    def videos(self) -> tuple[Source, ...]:
        """The videos among the sources."""
        return tuple(source for source in self.sources if source.kind == "video")


def catalogue(path: Path) -> Catalogue:
    """Look at everything `path` means: demux every video, decode every image.

    Raises:
        MediaError: the path is missing or holds no video or image.
    """
    sources = []
    skipped = []
    for candidate in _candidates(path):
        if isinstance(candidate, Skipped):
            skipped.append(candidate)
            continue
        try:
            sources.append(_checked(candidate))
        except MediaError as error:
            skipped.append(Skipped(candidate.name, str(error)))
    if not sources and not skipped:
        raise MediaError(f"{path} holds no video ({_some(VIDEO_SUFFIXES)}) or image ({_some(IMAGE_SUFFIXES)})")
    return Catalogue(tuple(sources), tuple(skipped))


def check_skipped(skipped: Iterable[Skipped], total: int, path: Path) -> None:
    """Stop when more than half of `total` files are unreadable.

    Raises:
        MediaError: naming the count and the first reasons.
    """
    bad = list(skipped)
    if 2 * len(bad) > total:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in bad[:3])
        raise MediaError(f"{len(bad)} of {total} files in {path} cannot be read ({reasons})")


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write the unusable files and their reasons to the CSV file `path`."""
    write_rows(path, skipped, Skipped)


def describe_skipped(skipped: Sequence[Skipped]) -> str:
    """Return how many files cannot be used, and for which reasons, in words: `3 files: 2 is empty, 1 is damaged`."""
    if not skipped:
        return "none"
    reasons = Counter(_kind_of_reason(skip) for skip in skipped)
    counted = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(5))
    more = f" and {len(reasons) - 5} other reasons" if len(reasons) > 5 else ""
    return f"{len(skipped):,} {'file' if len(skipped) == 1 else 'files'}: {counted}{more} (see skipped.csv)"


def _kind_of_reason(skip: Skipped) -> str:
    """Return a reason without the name of the file, details and numbers, so that alike ones are counted together."""
    after = skip.reason.rpartition(skip.file)[2]
    return re.sub(r"\d+(\.\d+)?", "#", re.split(r"[:;(]", after)[0]).strip()


def expand_braces(pattern: str) -> list[str]:
    """Expand `{0000..0003}` ranges of a webdataset pattern, keeping leading zeros."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = match.groups()
    head = pattern[: match.start()]
    tail = pattern[match.end() :]
    numbers = range(int(first), int(last) + 1)
    return [path for number in numbers for path in expand_braces(f"{head}{number:0{len(first)}d}{tail}")]


def _candidates(path: Path) -> Iterator[Source | Skipped]:
    roots = [Path(one) for one in expand_braces(str(path))]
    base = roots[0] if len(roots) == 1 and path.is_dir() else Path(os.path.commonpath([one.parent for one in roots]))
    for one in roots:
        if not one.exists():
            raise MediaError(f"{one} does not exist")
        for file in sorted(one.rglob("*")) if one.is_dir() else [one]:
            yield from _in_file(file, str(file.relative_to(base)), named=not one.is_dir())


def _in_file(file: Path, name: str, named: bool) -> Iterator[Source | Skipped]:
    suffix = file.suffix.lower()
    # A link to a file that is gone is not passed over here: it is listed as one that does not exist.
    if file.is_dir() or is_litter(Path(name)):
        return
    if suffix == ".tar":
        yield from _in_tar(file, name)
    elif suffix in VIDEO_SUFFIXES:
        yield Source(name, file, "video")
    elif suffix in IMAGE_SUFFIXES or named:
        # A file that was named outright is tried as an image whatever it is called, and refused with a reason.
        yield Source(name, file, "image")


def _in_tar(file: Path, name: str) -> Iterator[Source | Skipped]:
    try:
        # "r:" takes plain tars only: in a compressed one there is no place to read a member from.
        with tarfile.open(file, "r:") as shard:
            # Of members with one name the last counts, as in unpacking.
            members = {member.name: member for member in shard if member.isfile()}
    except (tarfile.TarError, OSError) as error:
        yield Skipped(name, f"{file} is not a readable, uncompressed tar shard: {error}")
        return
    for path, member in members.items():
        suffix = Path(path).suffix.lower()
        if is_litter(Path(path)):
            continue
        if not member.size:
            yield Skipped(f"{name}/{path}", "it is empty (0 bytes)")
        elif suffix in VIDEO_SUFFIXES:
            yield Skipped(f"{name}/{path}", "videos are not read from tar shards: unpack them")
        elif suffix in IMAGE_SUFFIXES:
            yield Source(f"{name}/{path}", file, "image", member.offset_data, member.size)


def _checked(source: Source) -> Source:
    if source.kind == "image":
        return replace(source, sha256=pixel_digest(load_image(source.image_bytes())))
    return replace(source, seconds=probe_video(source.path).duration)


def is_litter(name: Path) -> bool:
    """Whether a file was left by an operating system (resource forks, thumbnails) rather than by a person."""
    return "__MACOSX" in name.parts or name.name.startswith("._") or name.name in {".DS_Store", "Thumbs.db"}


def _some(suffixes: Iterable[str]) -> str:
    return ", ".join(sorted(suffixes)[:4]) + ", ..."
