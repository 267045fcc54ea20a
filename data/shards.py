"""Members of tar shards: where in the file each video and image lies, and what else the shard holds.

Shards are read in place. What others made of them may be anything: sparse members, links, several tars one after the
other, damaged headers, a missing end. Everything is either a member or a finding.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

BAD_HEADER = (tarfile.TarError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError)
"""What tarfile raises on headers that say something odd."""

PREFERRED = ("jpg", "jpeg", "png", "webp", "mp4", "mkv", "webm", "avi")
"""Which file of a sample is taken, if several have plain suffixes."""

EXTENSIONS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
"""Kinds of headers that say something of the entry behind them, which without it has a wrong name or content."""

LONGEST_HEADER = 1 << 20
"""Bytes of a header, with the long names and the map of holes that belong to it."""

LONGEST_END = 1 << 24
"""Bytes of zeros that may stand at the end of a tar."""

LARGEST_SPARSE = 1 << 31
"""Bytes of a sparse member with its holes; more is a mistake, or meant to fill the memory."""

PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
"""First bytes of what is packed, and what packed it."""


class Member(NamedTuple):
    """A file in a shard."""

    name: str
    offset: int
    """Where its bytes begin in the shard."""
    size: int
    """Bytes, zeros between the pieces of a sparse one included."""
    pieces: tuple[tuple[int, int], ...] = ()
    """Of a sparse one: where each stored piece belongs and how long it is."""


class Finding(NamedTuple):
    """Something in a shard that is not used, and why."""

    name: str
    """Of the member; empty for the shard itself."""
    reason: str
    is_media: bool


@dataclass(frozen=True)
class ShardContent:
    """What a shard holds."""

    members: tuple[Member, ...]
    findings: tuple[Finding, ...]


def read_shard(path: Path, suffixes: Sequence[frozenset[str]]) -> ShardContent:
    """List a shard without unpacking it.

    Args:
        path: of the shard.
        suffixes: of the files that are wanted, by kind: of each kind one file a sample is taken.

    Raises:
        tarfile.TarError: it is no tar, or a packed one, in which nothing can be read in place.
        OSError: it cannot be read.
    """
    wanted = frozenset[str]().union(*suffixes)
    members: dict[str, Member] = {}
    findings: list[Finding] = []
    others: Counter[str] = Counter()
    with path.open("rb") as file:
        shard = _Shard(file)
        for entry in shard.entries():
            suffix = Path(entry.name).suffix.lower()
            if entry.isreg() and suffix not in wanted:
                others[suffix] += 1
            elif problem := _problem(entry):
                findings.append(problem)
            elif not entry.isdir():
                if entry.name in members:
                    findings.append(Finding(entry.name, "is there more than once: the last one is used", False))
                # Of members with one name the last counts, as in unpacking.
                members[entry.name] = Member(entry.name, entry.offset_data, entry.size, _pieces(entry))
    findings += [*_count_others(others), *shard.damage()]
    companions = [companion for kind in suffixes for companion in _companions(members, kind)]
    for companion in companions:
        del members[companion.name]
    findings += companions
    if not members and not findings:
        findings.append(Finding("", "holds no file", False))
    return ShardContent(tuple(members.values()), tuple(findings))


class _Headers:
    """A file that tarfile may read headers from, however long they say that they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


@dataclass
class _Shard:
    """The entries of a shard that can be read, and what of it cannot."""

    file: IO[bytes]
    lost: list[tuple[int, int]] = field(default_factory=list)
    """Where stretches that are neither entries nor the zeros behind them begin and end, in bytes."""
    cut: tarfile.TarInfo | None = None
    """An entry that is said to be longer than the rest of the shard, if nothing was found behind it."""
    why: str = ""
    """What is wrong with the first header that cannot be used."""
    length: int = 0
    """Bytes of the shard."""
    ended: bool = True
    """Whether zeros follow the last entry, the mark with which an archive ends."""

    def entries(self) -> Iterator[tarfile.TarInfo]:
        """Yield all entries; tars that were joined, and what comes after damage, too.

        Raises:
            tarfile.TarError: there is none.
        """
        self.length = os.fstat(self.file.fileno()).st_size
        self._check_first_bytes()
        # It only lends its settings to the headers: its own walk ends at the first one that it cannot read.
        tar: Any = tarfile.TarFile(fileobj=io.BytesIO(bytes(2 * tarfile.BLOCKSIZE)))
        tar.fileobj = _Headers(self.file)
        position = self._skip_zeros(0)
        nameless = -1
        readable = False
        while position < self.length:
            self.file.seek(position)
            try:
                entry = tarfile.TarInfo.fromtarfile(tar)
            except BAD_HEADER as error:
                nameless = max(nameless, self._extended(position))
                position = self._lose(position, position + tarfile.BLOCKSIZE, str(error))
            else:
                end = entry.offset_data + _stored(entry) if entry.isreg() else tar.offset
                if not entry.offset_data <= end <= self.length:
                    self.cut = entry
                    position = self._lose(position, entry.offset_data, f"{entry.name} of {entry.size:,} bytes")
                elif position == nameless:
                    position = self._lose(position, _round_up(end), self.why)
                else:
                    self.cut = None
                    readable = True
                    yield entry
                    position = _round_up(end)
            begin = position
            position = self._skip_zeros(begin)
            self.ended = position > begin
        if self.lost and not readable and self.cut is None:
            raise tarfile.ReadError(self.why)

    def damage(self) -> Iterator[Finding]:
        """Yield what is wrong with the shard; after all entries."""
        lost = self.lost
        if self.cut is not None:
            there = max(0, self.length - self.cut.offset_data)
            yield Finding(self.cut.name, f"is cut short: {there:,} of {self.cut.size:,} bytes are there", True)
            lost = [(begin, end) for begin, end in lost if begin < self.cut.offset]
        if lost:
            number = sum(end - begin for begin, end in lost)
            where = f"from byte {lost[0][0]:,} on" if len(lost) == 1 else f"in {len(lost)} places"
            kind = "is cut short or damaged" if lost[-1][1] == self.length else "is damaged"
            yield Finding("", f"{kind}: {number:,} bytes {where} were passed over ({self.why})", True)
        elif self.cut is None and not self.ended:
            # Some programs write no mark, so that what is there is used.
            yield Finding("", "ends without the zeros that mark the end of an archive: it may be cut short", False)

    def _check_first_bytes(self) -> None:
        if not self.length:
            raise tarfile.ReadError("it is empty (0 bytes)")
        head = self.file.read(8)
        for first, name in PACKED.items():
            if head.startswith(first):
                raise tarfile.ReadError(f"it is packed with {name}")

    def _extended(self, position: int) -> int:
        """Return where the entry begins whose long name or map of holes begins at `position`; -1 if none does."""
        self.file.seek(position)
        try:
            header = tarfile.TarInfo.frombuf(self.file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        except BAD_HEADER:
            return -1
        return position + tarfile.BLOCKSIZE + _round_up(header.size) if header.type in EXTENSIONS else -1

    def _skip_zeros(self, begin: int) -> int:
        """Return the next block that is not all zeros; so many that no tar ends with them were something else."""
        position = begin
        length = tarfile.BLOCKSIZE  # in a sound shard nearly always enough
        self.file.seek(begin)
        while chunk := self.file.read(length):
            rest = len(chunk.lstrip(b"\0"))
            position += len(chunk) - rest
            if rest:
                position -= position % tarfile.BLOCKSIZE
                break
            length = 1 << 20
        return self._lose(begin, position, "nothing but zeros") if position - begin > LONGEST_END else position

    def _lose(self, begin: int, end: int, why: str) -> int:
        """Note that a stretch cannot be used, and return its end."""
        end = min(end, self.length)
        self.why = self.why or why
        if self.lost and self.lost[-1][1] == begin:
            begin = self.lost.pop()[0]
        self.lost.append((begin, end))
        return end


def _round_up(size: int) -> int:
    """Return the bytes of the blocks that something takes."""
    return size + -size % tarfile.BLOCKSIZE


def _stored(entry: Any) -> int:
    """Return the bytes that a file takes in the shard."""
    return int(entry.size) if entry.sparse is None else sum(length for _, length in entry.sparse)


def _pieces(entry: Any) -> tuple[tuple[int, int], ...]:
    """Return where the stored pieces of a sparse file belong; none of a file without holes."""
    if entry.sparse is None:
        return ()
    return tuple((start, length) for start, length in entry.sparse if length) or ((0, 0),)


def _problem(entry: tarfile.TarInfo) -> Finding | None:
    """Return why an entry cannot be used, if so."""
    if entry.islnk():
        return Finding(entry.name, f"is a hard link to {entry.linkname}", False)
    if entry.issym():
        return Finding(entry.name, f"is a link to {entry.linkname}: links are not followed in shards", False)
    if entry.isdev():
        return Finding(entry.name, "is a pipe or device", False)
    if not entry.isreg() and not entry.isdir():
        kind = entry.type.decode("ascii", "replace")
        return Finding(entry.name, f"is an entry of the kind {kind!r}, which is not read", False)
    if entry.isreg() and not entry.size:
        return Finding(entry.name, "is empty (0 bytes)", True)
    if entry.issparse() and not _is_sound(entry):
        return Finding(entry.name, "is damaged: the map of its holes is wrong", True)
    return None


def _is_sound(entry: Any) -> bool:
    """Whether the pieces of a sparse file follow each other within its size."""
    end = 0
    for start, length in _pieces(entry):
        if start < end or length < 0:
            return False
        end = start + length
    return bool(end <= entry.size <= LARGEST_SPARSE)


def _count_others(others: Counter[str]) -> Iterator[Finding]:
    """Yield how many files are no videos or images, by suffix."""
    for suffix, number in sorted(others.items()):
        counted = f"{number:,} file{'' if number == 1 else 's'}"
        reason = f"is no video or image by its name ({counted})"
        yield Finding(f"*{suffix}" if suffix else "*", reason, False)


def _companions(names: Iterable[str], suffixes: frozenset[str]) -> Iterator[Finding]:
    """Yield the files that lie beside the one of their sample that is taken.

    In webdataset the key of a sample ends at the first dot after the last slash, so that `x.png` and `x.seg.png` are
    one sample.
    """
    samples: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in names:
        if Path(name).suffix.lower() in suffixes:
            folder, slash, base = name.rpartition("/")
            key, _, suffix = base.partition(".")
            samples[folder + slash + key].append((suffix.lower(), name))
    for files in samples.values():
        plain = [file for file in files if "." not in file[0]]
        if len(files) < 2 or not plain:
            continue
        taken = min(plain, key=lambda file: (_rank(file[0]), file))
        for file in files:
            if file != taken:
                yield Finding(file[1], f"lies beside {taken[1]}: of a sample, .{taken[0]} is taken", False)


def _rank(suffix: str) -> int:
    return PREFERRED.index(suffix) if suffix in PREFERRED else len(PREFERRED)
