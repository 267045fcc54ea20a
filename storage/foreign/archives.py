"""Zip files that others wrote, as `torch.save` does: their directory is checked, and what is read of them too.

Python's `zipfile` reads the directory. What it takes on trust is checked here: that no entry lies on another, beyond
the file or after its end, that names are unique, and that what an entry unpacks to is of the size that is claimed and
has the checksum that the archive holds for it.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from storage.checked_files import on_one_line, open_file, shortly

MOST_UNPACKED = 16
"""What compressed entries may unpack to, as a multiple of the file: weights hardly can be compressed."""

BEGINNING = b"PK\x03\x04"
"""What the first entry of an archive begins with."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_END = b"PK\x05\x06"
_END_SIZE = 22
_ENCRYPTED = 0x1
_SIZES_FOLLOW = 0x8
_IN_ZIP64 = 0xFFFFFFFF


class ArchiveError(ValueError):
    """An archive is damaged or odd; the message is a clause that says how."""


class Entry(NamedTuple):
    """One file in an archive."""

    name: str
    start: int
    """First byte of its content in the archive."""
    packed: int
    """Bytes of its content in the archive."""
    size: int
    """Bytes that it unpacks to."""
    checksum: int
    """CRC-32 of what it unpacks to."""
    deflated: bool

    @property
    def end(self) -> int:
        """The byte after its content in the archive."""
        return self.start + self.packed


class Archive:
    """A zip file, mapped into memory; a context manager.

    Args:
        path: of the file.
        most_unpacked: what compressed entries may unpack to, as a multiple of the file.

    Raises:
        ArchiveError: its directory is damaged or contradicts the file, or claims more than `most_unpacked`.
        RefusedFileError: it is no file.
    """

    def __init__(self, path: Path, most_unpacked: int = MOST_UNPACKED) -> None:
        self._file = open_file(path, "checkpoint file")
        try:
            self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self.size = len(self._mapped)
            self.entries = self._read_directory(most_unpacked)
        except BaseException:
            self._file.close()
            raise
        self.has_checksums = any(entry.checksum for entry in self.entries.values())
        """Whether it holds any: `torch.save` can be told to write zeros."""

    def __enter__(self) -> Archive:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._mapped.close()
        self._file.close()

    def read(self, name: str, at_most: int) -> bytes:
        """Return what an entry unpacks to, after checking it.

        Raises:
            ArchiveError: there is no such entry, it is larger than `at_most` bytes, or it is damaged.
        """
        entry = self.find(name)
        if entry.size > at_most:
            raise ArchiveError(f"its entry {shortly(name)} is larger than {at_most:,} bytes, as none is")
        with memoryview(self._mapped) as whole, whole[entry.start : entry.end] as packed:
            content = _inflated(packed, entry) if entry.deflated else bytes(packed)
        self._compare(zlib.crc32(content), entry)
        return content

    def check(self, entry: Entry) -> None:
        """Compare an entry that is not compressed with its checksum, without reading it into memory.

        Raises:
            ArchiveError: it is damaged.
        """
        with memoryview(self._mapped) as whole, whole[entry.start : entry.end] as content:
            self._compare(zlib.crc32(content), entry)

    def find(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            ArchiveError: there is none.
        """
        if name not in self.entries:
            raise ArchiveError(f"it has no entry {shortly(name)}")
        return self.entries[name]

    def _compare(self, checksum: int, entry: Entry) -> None:
        if self.has_checksums and checksum != entry.checksum:
            raise ArchiveError(
                f"its entry {shortly(entry.name)} does not have the checksum that the archive holds for it"
            )

    def _read_directory(self, most_unpacked: int) -> dict[str, Entry]:
        # Anything may follow a comment at the end, and a reader that looks for the end backwards then finds another.
        if self._mapped[-_END_SIZE:][:4] != _END or self._mapped[-2:] != b"\0\0":
            raise ArchiveError("it does not end as an archive does: it is cut short, or has data after its end")
        try:
            with zipfile.ZipFile(self._file) as directory:
                infos = directory.infolist()
                ends_at = directory.start_dir
        except Exception as error:  # zipfile fails in many ways: BadZipFile, struct.error, NotImplementedError
            raise ArchiveError(f"its directory cannot be read: {on_one_line(str(error))}") from error
        entries: dict[str, Entry] = {}
        for info in infos:
            if info.filename in entries:
                raise ArchiveError(f"it has the entry {shortly(info.filename)} twice")
            entries[info.filename] = self._entry(info)
        _check_places(infos, entries, ends_at)
        unpacked = sum(entry.size for entry in entries.values() if entry.deflated)
        if unpacked > most_unpacked * self.size:
            raise ArchiveError(
                f"its compressed entries claim to unpack to {unpacked:,} bytes, over {most_unpacked} times the file"
            )
        return entries

    def _entry(self, info: zipfile.ZipInfo) -> Entry:
        """Return an entry as the directory describes it, if the header before its content does not say otherwise."""
        name = shortly(info.filename)
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"its entry {name} is encrypted, or compressed in a way that torch does not write")
        at = info.header_offset
        header = self._mapped[at : at + _LOCAL_HEADER.size] if at >= 0 else b""
        if len(header) < _LOCAL_HEADER.size or not header.startswith(BEGINNING):
            raise ArchiveError(f"its directory says that the entry {name} is where none begins")
        _, _, flags, method, _, _, checksum, packed, size, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        start = at + len(header) + name_length + extra_length
        told = (info.CRC, info.compress_size, info.file_size)
        here = (checksum, packed, size)
        if method != info.compress_type or (not flags & _SIZES_FOLLOW and _IN_ZIP64 not in here and told != here):
            raise ArchiveError(f"its directory and its entry {name} contradict each other")
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        if not deflated and info.compress_size != info.file_size:
            raise ArchiveError(f"its entry {name} is not compressed and yet of two sizes")
        return Entry(info.filename, start, info.compress_size, info.file_size, info.CRC, deflated)


def _check_places(infos: list[zipfile.ZipInfo], entries: dict[str, Entry], ends_at: int) -> None:
    """Refuse entries that lie on one another, or reach into the directory that ends the archive."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    bounds = [*(info.header_offset for info in ordered[1:]), ends_at]
    for info, bound in zip(ordered, bounds, strict=True):
        if entries[info.filename].end > bound:
            raise ArchiveError(f"its entry {shortly(info.filename)} reaches into what follows it")


def _inflated(packed: memoryview, entry: Entry) -> bytes:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflator.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise ArchiveError(f"its entry {shortly(entry.name)} cannot be unpacked: {error}") from error
    if len(content) != entry.size:
        raise ArchiveError(
            f"its entry {shortly(entry.name)} unpacks to another size than the {entry.size:,} bytes it claims"
        )
    return content
