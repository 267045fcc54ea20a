"""Files that `torch.save` wrote, read as data: nothing is called, and what they claim is compared with what they hold.

Since torch 1.6 such a file is an archive with one pickle and the numbers of each storage beside it; before, it was
pickles with the numbers behind them. A tensor is never larger than its part of the file.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from storage.checked_files import open_file, shortly
from storage.foreign.archives import BEGINNING, Archive
from storage.foreign.files import WHAT
from storage.foreign.numpy_scalars import NumpyType, numpy_scalar
from storage.foreign.pickles import Named, PickleError, Settings, read_pickle
from storage.model_paths import CheckpointError

SETTINGS = ("argparse.Namespace", "mingpt.", "pytorch_lightning.", "lightning.", "omegaconf.", "pathlib.")
"""Packages whose objects are settings that real checkpoints carry; none of them is ever imported."""

PLAIN = (
    "torch.Tensor",
    "torch.device",
    "torch.serialization._get_layout",
    "builtins.set",
    "builtins.frozenset",
    "builtins.bytearray",
    "builtins.complex",
    *(f"builtins.{kind}" for kind in ("object", "bool", "int", "long", "float", "str", "list", "tuple", "dict")),
    "numpy.ndarray",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
)
"""Plain things that no weights need, and that become inert too: classes by which dictionaries make what they lack, and
arrays of numpy among them."""

MOST_PICKLE = 64 * 2**20
"""Bytes of the pickle in an archive, at most; the numbers of the tensors lie beside it."""

_MAGIC = 0x1950A86A20F9469CFC6C
"""What files from before torch 1.6 begin with."""
_PROTOCOL = 1001

_STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_TYPES = {str(each): each for each in vars(torch).values() if isinstance(each, torch.dtype)}


def read_torch(path: Path) -> Any:
    """Return what a file of `torch.save` holds, tensors on the CPU; settings objects become inert.

    Raises:
        CheckpointError: the archive is another program's.
        ArchiveError, PickleError, RefusedFileError: it is damaged, or claims what it does not hold.
        NamesError: it names what weights have no use for.
    """
    with open_file(path, WHAT) as file:
        archive = file.read(len(BEGINNING)) == BEGINNING
    return _read_archive(path) if archive else _read_legacy(path)


@dataclass(eq=False)
class _Stored:
    """The numbers of one or several tensors."""

    numbers: torch.UntypedStorage
    dtype: torch.dtype


def _read_archive(path: Path) -> Any:
    with Archive(path) as archive:
        pickles = [name for name in archive.entries if name.endswith("/data.pkl") and name.count("/") == 1]
        prefix = pickles[0].removesuffix("data.pkl") if pickles else ""
        if len(pickles) != 1 or f"{prefix}constants.pkl" in archive.entries:
            raise CheckpointError(
                f"{path} is an archive, but none that torch.save wrote: a TorchScript program, perhaps, which is "
                "refused. Ask for the weights alone, best as safetensors"
            )
        order = f"{prefix}byteorder"
        if order in archive.entries and archive.read(order, at_most=16) != b"little":
            raise PickleError("its numbers are in the order of other processors: save it again on a usual one")
        if not archive.has_checksums:
            print(f"{path} holds no checksums, so that damage to its numbers cannot be noticed.")
        pickle = archive.read(pickles[0], MOST_PICKLE)
        return _unpickled(io.BytesIO(pickle), _ArchiveStorages(path, archive, prefix))


class _ArchiveStorages:
    """The storages of an archive, each checked and mapped when it is first asked for."""

    def __init__(self, path: Path, archive: Archive, prefix: str) -> None:
        self.archive = archive
        self.prefix = prefix
        # Mapped, so that what nobody asks for (optimizer moments, mostly) is never read into memory.
        self.mapped = torch.UntypedStorage.from_file(str(path), False, archive.size)
        self.found: dict[str, _Stored] = {}

    def __call__(self, key: str, dtype: torch.dtype, count: int) -> _Stored:
        """Return the storage of a key.

        Raises:
            ArchiveError: there is none, or it is damaged.
            PickleError: it is of another size.
        """
        if key not in self.found:
            name = f"{self.prefix}data/{key}"
            entry = self.archive.find(name)
            if entry.size != count * dtype.itemsize:
                raise PickleError(
                    f"it claims {count:,} numbers of {type_name(dtype)} in {shortly(name)}, of {entry.size:,} bytes"
                )
            if entry.deflated or entry.start % dtype.itemsize or not entry.size:
                content = bytearray(self.archive.read(name, at_most=entry.size))
                numbers = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
                storage = numbers.untyped_storage()
            else:
                self.archive.check(entry)
                storage = self.mapped[entry.start : entry.end]
            self.found[key] = _Stored(storage, dtype)
        return _of_type(self.found[key], key, dtype)


def _read_legacy(path: Path) -> Any:
    """Read a file from before torch 1.6: four pickles, then the numbers of the tensors. It holds no checksums."""
    with open_file(path, WHAT) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        nothing = _LegacyStorages(0)
        if _unpickled(mapped, nothing) != _MAGIC or _unpickled(mapped, nothing) != _PROTOCOL:
            raise PickleError("it does not begin as such a file does")
        system = _unpickled(mapped, nothing)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise PickleError("its numbers are in the order of other processors: save it again on a usual one")
        storages = _LegacyStorages(len(mapped))
        content = _unpickled(mapped, storages)
        keys = _unpickled(mapped, nothing)
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages.found):
            raise PickleError("its list of storages is not that of its tensors")
        for key in map(str, keys):
            _fill(storages.found[key], mapped)
        return content


class _LegacyStorages:
    """Storages that are filled when the pickle that claims them has been read; together not larger than the file."""

    def __init__(self, at_most: int) -> None:
        self.left = at_most
        self.found: dict[str, _Stored] = {}

    def __call__(self, key: str, dtype: torch.dtype, count: int) -> _Stored:
        """Return the storage of a key.

        Raises:
            PickleError: the file cannot hold it.
        """
        if key not in self.found:
            self.left -= count * dtype.itemsize
            if self.left < 0:
                raise PickleError("it claims more numbers than the file can hold")
            self.found[key] = _Stored(torch.UntypedStorage(count * dtype.itemsize), dtype)
        if self.found[key].numbers.nbytes() != count * dtype.itemsize:
            raise PickleError(f"it claims the storage {shortly(key)} in two sizes")
        return _of_type(self.found[key], key, dtype)


def _fill(stored: _Stored, mapped: mmap.mmap) -> None:
    size = stored.numbers.nbytes()
    (count,) = struct.unpack("<q", mapped.read(8))
    content = bytearray(mapped.read(size))
    if count * stored.dtype.itemsize != size or len(content) != size:
        raise PickleError("a storage is of another size than its tensors, or cut short")
    if size:
        stored.numbers.copy_(torch.frombuffer(content, dtype=torch.uint8).untyped_storage())


def _of_type(stored: _Stored, key: str, dtype: torch.dtype) -> _Stored:
    if stored.dtype != dtype:
        raise PickleError(f"it claims the storage {shortly(key)} in two types")
    return stored


Storages = Callable[[str, torch.dtype, int], _Stored]


def _unpickled(file: io.BytesIO | mmap.mmap, storages: Storages) -> Any:
    return read_pickle(file, _MAKERS, _is_inert, partial(_stored, storages=storages))


def _is_inert(name: str) -> bool:
    return name.startswith(SETTINGS) or name in PLAIN or name in _TYPES or _storage_type(name) is not None


def _storage_type(name: str) -> torch.dtype | None:
    package, _, kind = name.rpartition(".")
    return _STORAGES.get(kind) if package in ("torch", "torch.cuda", "torch.storage") else None


def _stored(persistent_id: Any, storages: Storages) -> _Stored:
    """Return the storage that a persistent id stands for.

    Raises:
        PickleError: it is none of a storage.
    """
    parts = persistent_id if isinstance(persistent_id, tuple) else ()
    if len(parts) not in (5, 6) or parts[0] != "storage" or any(part is not None for part in parts[5:]):
        raise PickleError("it refers to something outside itself that is no storage of numbers")
    _, kind, key, _, count = parts[:5]
    dtype = _storage_type(kind.name) if isinstance(kind, Named) else None
    if dtype is None or not isinstance(key, str) or not _is_count(count):
        raise PickleError(f"it refers to a storage {shortly(key)} that no program writes")
    return storages(key, dtype, count)


def _rebuild_tensor(
    stored: Any, offset: Any, size: Any, stride: Any, *others: Any, dtype: torch.dtype | None = None
) -> Tensor:
    """Make a tensor of a part of a storage; whether it needs gradients, and hooks, are left out.

    Raises:
        PickleError: it is not within the storage, or larger than its part of it.
    """
    if not isinstance(stored, _Stored):
        raise PickleError("it has a tensor without numbers")
    dtype = dtype or stored.dtype
    axes = (size, stride)
    counts = [offset, *(count for axis in axes if isinstance(axis, tuple) for count in axis)]
    if not all(isinstance(axis, tuple) for axis in axes) or not all(map(_is_count, counts)) or len(size) != len(stride):
        raise PickleError(f"it has a tensor of shape {shortly(size)} and strides {shortly(stride)}, which is none")
    numbers = 1
    for count in size:
        numbers *= count
    reach = sum((count - 1) * step for count, step in zip(size, stride, strict=True)) + 1 if numbers else 0
    if (offset + reach) * dtype.itemsize > stored.numbers.nbytes():
        raise PickleError(f"it has a tensor of shape {shortly(size)} that reaches beyond its numbers")
    if numbers > reach:
        raise PickleError(
            f"it has a tensor of shape {shortly(size)} made of {reach:,} numbers, which would take more memory than it "
            "has in the file"
        )
    return torch.empty(0, dtype=dtype).set_(stored.numbers, offset, size, stride)


def _rebuild_typed(
    stored: Any, offset: Any, size: Any, stride: Any, gradient: Any, hooks: Any, kind: Any, *others: Any
) -> Tensor:
    dtype = _TYPES.get(kind.name) if isinstance(kind, Named) else None
    if dtype is None:
        raise PickleError(f"it has a tensor of the type {shortly(kind)}, which is none")
    return _rebuild_tensor(stored, offset, size, stride, dtype=dtype)


def _rebuild_parameter(data: Any = None, *others: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise PickleError("it has a parameter that is no tensor")
    return data


def _rebuild_with_attributes(maker: Any, kind: Any, arguments: Any, *others: Any) -> Any:
    """Make a tensor to which its program tied attributes, without these."""
    make = _MAKERS.get(maker.name) if isinstance(maker, Named) else None
    if make is None or not isinstance(arguments, tuple):
        raise PickleError("it has a tensor that is made in no known way")
    return make(*arguments)


def _size(numbers: Any = (), *others: Any) -> tuple[Any, ...]:
    if not isinstance(numbers, tuple | list):
        raise PickleError("it has a shape that is no list of numbers")
    return tuple(numbers)


def _dictionary(pairs: Any = (), *others: Any) -> dict[Any, Any]:
    """Make what was an ordered dictionary or a counter; their entries mostly follow in the pickle."""
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise PickleError("it has a dictionary of what are no entries")
    if not all(isinstance(pair[0], str | int) for pair in pairs):
        raise PickleError("it has a dictionary with a key that is neither a text nor a number")
    return {pair[0]: pair[1] for pair in pairs}


def _default_dictionary(factory: Any = None, pairs: Any = (), *others: Any) -> dict[Any, Any]:
    """Make what was a dictionary with a function for what it lacks, without this function."""
    return _dictionary(pairs)


def _reconstructed(kind: Any = None, base: Any = None, state: Any = None, *others: Any) -> Settings:
    """Make a settings object as pickles of the first protocols do; those of dictionaries bring their entries along."""
    if not isinstance(kind, Named) or not isinstance(base, Named):
        raise PickleError("it makes an object of what is no class")
    settings = Settings()
    if isinstance(state, dict):
        vars(settings).update({name: each for name, each in state.items() if isinstance(name, str)})
    return settings


def _bytes(*content: Any) -> Any:
    """Make no bytes, as pickles of protocol 2 write them; what is made of something is of no use for weights."""
    return Settings(*content) if content else b""


def _encoded(text: Any = "", *others: Any) -> bytes:
    if not isinstance(text, str):
        raise PickleError("it has bytes that are made of no text")
    return text.encode("latin-1")


_MAKERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_typed,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_with_attributes,
    "torch.nn.parameter.Parameter": _rebuild_parameter,
    "torch.Size": _size,
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "collections.defaultdict": _default_dictionary,
    "copyreg._reconstructor": _reconstructed,
    "copy_reg._reconstructor": _reconstructed,
    "numpy.dtype": NumpyType,
    "numpy.core.multiarray.scalar": numpy_scalar,
    "numpy._core.multiarray.scalar": numpy_scalar,
    "_codecs.encode": _encoded,
    "builtins.bytes": _bytes,
}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def type_name(dtype: torch.dtype) -> str:
    """Return what a type of numbers is called."""
    return str(dtype).removeprefix("torch.")
