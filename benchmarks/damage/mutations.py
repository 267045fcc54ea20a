"""Seeded damage to files: bytes, JSON, YAML, tables, tars, pickles and safetensors.

Every mutation takes a file and a source of chance, changes the file in place, and says what it did. Nothing here makes
a file that would crash, hang or exhaust the software that reads it; claims of size stay at a few gigabytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import pickle
import random
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

CANARY = "canary"
"""What code that a file names would make, if anything ran it."""
HUGE = (1 << 31) - 1
"""Numbers of four bytes that some files claim to hold."""


class Change(NamedTuple):
    """What was done to a file."""

    what: str
    free: bool = False
    """Whether the file is still a good one that may mean something else, so that the result may differ unsaid."""


Mutation = Callable[[Path, random.Random], Change]


def damage_bytes(path: Path, chance: random.Random) -> Change:
    """Flip, cut, repeat or clear bytes."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data)) if data else 0
    length = min(len(data) - at, 1 << chance.randrange(1, 12))
    kind = chance.choice(("flip", "flip", "set", "truncate", "clear", "cut", "repeat", "empty", "append"))
    before = bytes(data)
    if kind == "flip" and data:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "set" and data:
        data[at] = chance.choice([value for value in range(256) if value != data[at]])
    elif kind == "truncate":
        del data[at:]
    elif kind == "clear":
        data[at : at + length] = bytes(length)
    elif kind == "cut":
        del data[at : at + length]
    elif kind == "repeat":
        data[at:at] = data[at : at + length]
    elif kind == "empty":
        data.clear()
    if kind == "append" or bytes(data) == before:
        data += chance.randbytes(16)
    path.write_bytes(data)
    return Change(f"{kind} at byte {at} of {len(before)}")


def remove(path: Path, chance: random.Random) -> Change:
    """Remove it, or put something else in its place."""
    path.unlink()
    kind = chance.choice(("removed", "a folder", "a dangling link", "a link to itself"))
    if kind == "a folder":
        path.mkdir()
    elif kind == "a dangling link":
        path.symlink_to("nowhere")
    elif kind == "a link to itself":
        path.symlink_to(path.name)
    return Change(kind)


# JSON and YAML

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    3,
    2**31,
    2**63,
    10**30,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "a",
    "0",
    "nan",
    "../../etc",
    "\x1b[31mred",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [[]],
    [None],
    [1, 2],
    [-1, 0, 3],
    [1e9, 1e9, 1e9],
    {"a": 1},
)
"""Values that stand where others should."""
JSON_TEXTS: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("null", b"null"),
    ("a number", b"1"),
    ("a list", b"[]"),
    ("an empty object", b"{}"),
    ("100,000 brackets", b"[" * 100_000),
    ("100,000 braces", b'{"a":' * 100_000),
    ("a number of 5,000 digits", b'{"kind": ' + b"9" * 5000 + b"}"),
    ("not UTF-8", b'{"kind": "\xff\xfe"}'),
    ("UTF-16", '{"kind": "gpt"}'.encode("utf-16")),
    ("zeros", bytes(1000)),
)


def damage_json(path: Path, chance: random.Random) -> Change:
    """Put hostile values in place of others, or damage the text."""
    data = path.read_bytes()
    kind = chance.choice(("value",) * 6 + ("drop", "drop", "add", "twice", "text", "bytes", "spaces"))
    if kind == "bytes":
        return damage_bytes(path, chance)
    if kind == "text":
        what, text = chance.choice(JSON_TEXTS)
        path.write_bytes(text)
        return Change(what)
    content = json.loads(data)
    if kind == "spaces":
        path.write_text(json.dumps(content, indent=chance.choice((None, 1, 4))) + "\n\n")
        return Change("other blanks")
    change = _change_value(content, kind, chance)
    if kind == "twice":
        path.write_bytes(data.replace(b"{", b'{"kind": "twice", ', 1))
        return Change("a key twice")
    path.write_text(json.dumps(content), encoding="utf-8")
    return change


def damage_yaml(path: Path, chance: random.Random) -> Change:
    """Put hostile values in place of others, or write YAML that means more than data."""
    content = yaml.safe_load(path.read_text())
    kind = chance.choice(("value",) * 4 + ("drop", "add", "text", "text", "text", "bytes"))
    if kind == "bytes":
        return damage_bytes(path, chance)
    if kind == "text":
        what, text = chance.choice(_yaml_texts(path.read_text()))
        path.write_text(text)
        return Change(what)
    change = _change_value(content, kind, chance)
    path.write_text(yaml.safe_dump(content) if "\ud800" not in change.what else json.dumps(content))
    return change


def _yaml_texts(whole: str) -> list[tuple[str, str]]:
    aliases = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 4))
    tags = ("python/object/apply:os.mkdir", "python/name:os.mkdir", "python/object/new:os.mkdir", "python/module:os")
    return [
        ("aliases of aliases", f"a0: &a0 [x]\n{aliases}model: *a3\n"),
        ("aliases beside the model", f"a0: &a0 [x]\n{aliases}{whole}"),
        ("an alias to what holds it", f"loop: &loop\n  again: *loop\n{whole}"),
        ("a model that holds itself", "model: &m\n  params: *m\n"),
        *((f"the tag {tag}", f"canary: !!{tag} [{CANARY}]\n{whole}") for tag in tags),
        ("2,000 brackets", "[" * 2000),
        ("2,000 levels", "model: " + "[" * 2000 + "]" * 2000),
        ("two documents", f"{whole}---\n{whole}"),
        ("a merge", f"<<: &a {{b: 1}}\n{whole}"),
        ("a date", whole.replace("resolution: 16", "resolution: 2020-01-01")),
        ("an infinite resolution", whole.replace("resolution: 16", "resolution: .inf")),
        ("a long number", whole.replace("resolution: 16", "resolution: " + "9" * 5000)),
        ("a resolution of true", whole.replace("resolution: 16", "resolution: true")),
        ("a negative resolution", whole.replace("resolution: 16", "resolution: -16")),
        ("a resolution in base 60", whole.replace("resolution: 16", "resolution: 1:16:00")),
        ("tabs", whole.replace("  ", "\t")),
        ("a string", "model"),
        ("nothing", ""),
        ("a byte of zero", whole + "\0"),
    ]


def _change_value(content: Any, kind: str, chance: random.Random) -> Change:
    """Change, drop or add something at a random place of nested lists and dictionaries, in place."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(content)
    if not places:
        return Change("nothing to change", free=True)
    holder, key = chance.choice(places)
    before = holder[key]
    if kind == "drop":
        del holder[key]
        return Change(f"{key} left out")
    if kind in ("add", "twice"):
        if isinstance(holder, dict):
            holder["surprise"] = chance.choice(HOSTILE)
        else:
            holder.append(before)
        return Change(f"something added beside {key}")
    holder[key] = chance.choice([value for value in HOSTILE if value != before or type(value) is not type(before)])
    return Change(f"{key} {_short(before)} -> {_short(holder[key])}")


def _short(value: Any) -> str:
    return ascii(value)[:40]


# Lines and tables

CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e400",
    "9" * 400,
    "=1+1",
    "a\0b",
    "\x1b[31m",
    '"',
    "\u0663",
    "true",
    "/dev/zero",
    "x" * 9000,
)


def damage_lines(path: Path, chance: random.Random) -> Change:
    """Double, remove, exchange or cut lines of a text."""
    lines = path.read_bytes().splitlines(keepends=True)
    kind = chance.choice(("doubled", "removed", "exchanged", "cut", "bytes"))
    if len(lines) < 3 or kind == "bytes":
        return damage_bytes(path, chance)
    one, two = chance.sample(range(len(lines)), 2)
    before = list(lines)
    if kind == "doubled":
        lines.insert(one, lines[one])
    elif kind == "removed":
        del lines[one]
    elif kind == "exchanged":
        lines[one], lines[two] = lines[two], lines[one]
    else:
        lines[one] = lines[one][: len(lines[one]) // 2] + b"\n"
    if lines == before:
        return damage_bytes(path, chance)
    path.write_bytes(b"".join(lines))
    return Change(f"line {one + 1} {kind}")


def damage_table(path: Path, chance: random.Random) -> Change:
    """Put hostile cells into a CSV, or spoil its columns or its text; what is still a good table is another one."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kind = chance.choice(("cell",) * 5 + ("column", "twice", "short", "long", "bytes", "latin", "empty"))
    if kind == "bytes":
        return damage_bytes(path, chance)._replace(free=True)
    if kind == "latin":
        path.write_bytes(path.read_bytes() + "\u00fc\u00fc".encode("latin-1"))
        return Change("not UTF-8", free=True)
    if kind == "empty":
        path.write_text("" if chance.random() < 0.5 else ",".join(rows[0]) + "\n")
        return Change("no rows", free=True)
    row = chance.randrange(1, len(rows)) if len(rows) > 1 else 0
    column = chance.randrange(len(rows[0]))
    if kind == "cell":
        rows[row][column] = chance.choice(CELLS)
    elif kind == "column":
        for cells in rows:
            del cells[column : column + 1]
    elif kind == "twice":
        rows[0][column] = rows[0][column - 1]
    elif kind == "short":
        rows[row] = rows[row][:column]
    else:
        rows[row] = rows[row] * 3
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return Change(f"{kind} in row {row}, column {column}: {_short(rows[row])}", free=True)


# Tars


def damage_tar(path: Path, chance: random.Random) -> Change:
    """Spoil headers of a tar, add members that are no files, or cut it."""
    data = bytearray(path.read_bytes())
    kind = chance.choice(("header", "header", "size", "name", "kind", "add", "add", "truncate", "append", "inside"))
    headers = _headers(bytes(data))
    at = chance.choice(headers)
    if kind == "truncate":
        path.write_bytes(data[: chance.randrange(len(data))])
        return Change("truncated")
    if kind == "append":
        path.write_bytes(bytes(data) + bytes(data))
        return Change("two tars in one file")
    if kind == "inside":
        # Of a PNG, whose checksums tell.
        data[at + 512 + chance.randrange(40, 60)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        return Change(f"a bit of the image at {at}")
    if kind == "header":
        data[at + chance.randrange(512)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        return Change(f"a bit of the header at {at}")
    if kind == "add":
        return _add_member(path, chance)
    header = data[at : at + 512]
    if kind == "size":
        header[124:136] = chance.choice(
            (b"77777777777\0", b"00000000000\0", b"-0000000001\0", b"abcdefghijk\0", b"\x80" + b"\xff" * 11)
        )
    elif kind == "name":
        name = chance.choice(
            (b"../../up.png", b"/abs.png", b"a\nb.png", b"\xff\xfe.png", b"\x1b[31m.png", b".png", b"")
        )
        header[0:100] = name.ljust(100, b"\0")
    else:
        header[156:157] = chance.choice((b"1", b"2", b"3", b"5", b"6", b"S", b"L", b"x", b"g", b"Z"))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[at : at + 512] = header
    path.write_bytes(data)
    return Change(f"another {kind} in the header at {at}", free=kind == "name")


def _headers(data: bytes) -> list[int]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [member.offset for member in archive.getmembers()]


def _add_member(path: Path, chance: random.Random) -> Change:
    member = tarfile.TarInfo(chance.choice(("extra.png", "image_0.png", "../extra.png", "extra", "x" * 300 + ".png")))
    member.type = chance.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE))
    member.linkname = chance.choice(("/etc/passwd", "image_0.png", "extra.png", "../../..", ""))
    with tarfile.open(path, "a") as archive:
        archive.addfile(member)
    return Change(f"a member {member.name[:30]} of type {member.type!r}", free=True)


# Foreign checkpoints


class _Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def damage_pickle(path: Path, chance: random.Random) -> Change:
    """Damage the file that torch.save wrote, or save something else in its place."""
    if chance.random() < 0.35:
        return _damage_archive(path, chance)
    content = torch.load(path, weights_only=True)
    state = next((value for value in content.values() if isinstance(value, dict) and len(value) > 5), content)
    name = chance.choice([key for key, value in state.items() if isinstance(value, Tensor)])
    return chance.choice((_damage_tensor, _damage_tensor, _damage_container, _damage_whole))(
        path, content, state, name, chance
    )


def _damage_archive(path: Path, chance: random.Random) -> Change:
    kind = chance.choice(("bytes", "bytes", "bytes", "deflated", "deflated", "member", "doubled"))
    if kind == "bytes":
        return damage_bytes(path, chance)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = chance.choice(sorted(members))
    compression = zipfile.ZIP_STORED
    if kind == "deflated":
        compression = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif kind == "member":
        members[name] = members[name][: chance.randrange(len(members[name]))] if members[name] else b"x"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        if kind == "doubled":
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(name, bytes(len(members[name])))
    return Change(f"{kind}: {name} ({compression})")


def _damage_tensor(path: Path, content: Any, state: dict[str, Any], name: str, chance: random.Random) -> Change:
    tensor = state[name]
    dtypes = (torch.int64, torch.int8, torch.bool, torch.complex64, torch.float16, torch.bfloat16, torch.float64)
    kind = chance.choice(("dtype", "dtype", "nan", "inf", "claim", "stride", "transposed", "longer", "sparse", "meta"))
    free = False
    if kind == "dtype":
        dtype = chance.choice(dtypes)
        state[name] = tensor.to(dtype)
        free = dtype.is_floating_point
        kind = str(dtype)
    elif kind in ("nan", "inf"):
        state[name] = tensor.clone()
        state[name].view(-1)[chance.randrange(tensor.numel())] = float(kind)
    elif kind == "claim":
        shape = list(tensor.shape) or [1]
        shape[chance.randrange(len(shape))] = HUGE
        state[name] = torch.zeros(1).expand(shape[:1] if len(shape) == 1 else [HUGE, 1])
    elif kind == "stride":
        state[name] = tensor.flatten()[:1].view([1] * tensor.dim()).expand(tensor.shape)
        free = True
    elif kind == "transposed":
        state[name] = tensor.transpose(0, -1) if tensor.dim() > 1 else tensor[None]
        free = tensor.shape == state[name].shape
    elif kind == "longer":
        state[name] = torch.cat([tensor, tensor])
    elif kind == "sparse":
        state[name] = tensor.to_sparse()
    else:
        state[name] = tensor.to("meta")
    torch.save(content, path)
    # A mask is no weight: nobody looks at it.
    return Change(f"{name}: {kind}", free=free or "mask" in name)


def _damage_container(path: Path, content: Any, state: dict[str, Any], name: str, chance: random.Random) -> Change:
    kind = chance.choice(("missing", "extra", "renamed", "type", "key", "object", "inside", "settings"))
    if kind == "missing":
        del state[name]
    elif kind == "extra":
        state["surprise.weight"] = torch.zeros(3)
    elif kind == "renamed":
        state[name.upper()] = state.pop(name)
    elif kind == "type":
        state[name] = chance.choice((None, 1, "text", [1.0, 2.0], {}, argparse.Namespace(a=1), {"a": state[name]}))
    elif kind == "key":
        state[chance.choice((1, None, (1, 2), True))] = state.pop(name)  # type: ignore[index]
    elif kind == "object":
        content["surprise"] = _calls(chance)
    elif kind == "inside":
        state[name] = [state[name]]
    else:
        content["hyper_parameters"] = chance.choice(
            ({"n_head": "x"}, {"n_head": 10**12}, {"n_head": 0}, {"n_head": -1}, [1], argparse.Namespace(n_head=None))
        )
    torch.save(content, path, pickle_protocol=chance.choice((2, 3, 4, 5)))
    return Change(f"{kind} at {name}", free=kind in ("missing", "renamed", "settings", "extra") or "mask" in name)


def _calls(chance: random.Random) -> _Calls:
    import os

    code = f"__import__('os').mkdir('{CANARY}')"
    return chance.choice(
        (
            _Calls(os.mkdir, CANARY),
            _Calls(eval, code),
            _Calls(exec, code),
            _Calls(os.system, f"mkdir {CANARY}"),
            _Calls(getattr, "text", "upper"),
            _Calls(Path.mkdir, Path(CANARY)),
            _Calls(__import__, "os"),
        )
    )


def _damage_whole(path: Path, content: Any, state: dict[str, Any], name: str, chance: random.Random) -> Change:
    kind = chance.choice(
        ("legacy", "plain", "call", "nested", "list", "loop", "laughs", "brackets", "text", "zip", "other")
    )
    if kind == "legacy":
        torch.save(content, path, _use_new_zipfile_serialization=False, pickle_protocol=chance.choice((2, 3, 4, 5)))
    elif kind == "plain":
        path.write_bytes(pickle.dumps(dict.fromkeys(state, 1), protocol=chance.randrange(6)))
    elif kind == "call":
        path.write_bytes(pickle.dumps(_calls(chance), protocol=chance.randrange(6)))
    elif kind == "nested":
        for _ in range(chance.choice((1, 50))):
            content = {"state_dict": content}
        torch.save(content, path)
    elif kind == "list":
        torch.save(list(state.values()), path)
    elif kind == "loop":
        content["state_dict"] = content
        torch.save(content, path)
    elif kind == "laughs":
        laughs: list[Any] = ["ha"]
        for _ in range(60):
            laughs = [laughs, laughs]
        content["surprise"] = laughs
        torch.save(content, path)
    elif kind == "brackets":
        path.write_bytes(b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".")
    elif kind == "text":
        path.write_bytes(
            chance.choice((b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x80\x04.", b"<html>", bytes(99)))
        )
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
    else:
        torch.save({"model": torch.zeros(2)}, path)
    # An old file, another protocol: whatever is not refused must give the same.
    return Change(kind, free=kind in ("nested", "loop"))


# safetensors


def damage_safetensors(path: Path, chance: random.Random) -> Change:
    """Spoil the header: types, shapes, places, names and its length, or cut the file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    name = chance.choice([key for key in sorted(header) if key != "__metadata__"])
    entry = header[name]
    kind = chance.choice(("dtype", "dtype", "shape", "place", "name", "value", "length", "metadata", "cut", "text"))
    if kind == "dtype":
        entry["dtype"] = chance.choice(("I32", "U32", "F64", "BF16", "BOOL", "F8_E4M3", "XX", 1, None))
    elif kind == "shape":
        entry["shape"] = chance.choice(
            (
                [],
                [0],
                [-1],
                [HUGE],
                [2**63],
                [*entry["shape"], 1],
                [1, *entry["shape"]],
                [*entry["shape"][::-1], 2],
                ["a"],
            )
        )
    elif kind == "place":
        start, end = entry["data_offsets"]
        entry["data_offsets"] = chance.choice(
            ([start + 4, end + 4], [0, end - start + 4], [end, start], [-1, end], [start, 2**62], [start], "x")
        )
    elif kind == "name":
        header[chance.choice(("", "surprise", "__metadata__", "a/b", "\x1b[31m"))] = header.pop(name)
    elif kind == "value":
        header[name] = chance.choice(HOSTILE)
    elif kind == "metadata":
        header["__metadata__"] = chance.choice(({"a": 1}, [], "x", {"format": "tf"}))
    text = json.dumps(header).encode()
    claimed = len(text)
    if kind == "length":
        claimed = chance.choice((0, 1, claimed - 1, claimed + 1, 2**62, len(data)))
    elif kind == "text":
        text = chance.choice((b"", b"{}", b"[" * 10_000, b"null", text + b"x", b"{" + text))
        claimed = len(text)
    elif kind == "cut":
        body = body[: chance.randrange(len(body))]
    path.write_bytes(struct.pack("<Q", claimed) + text + body)
    free = kind == "metadata" or (kind in ("name", "dtype", "shape") and "mask" in name)
    return Change(f"{kind} of {name}", free=free)


# Files of our own, by their suffix


def damage_file(path: Path, chance: random.Random) -> Change:
    """Damage a file as its suffix suggests, or remove it."""
    if chance.random() < 0.12:
        return remove(path, chance)
    kinds: dict[str, Sequence[Mutation]] = {
        ".json": (damage_json, damage_json, damage_bytes),
        ".jsonl": (damage_lines,),
        ".csv": (damage_lines,),
        ".safetensors": (damage_safetensors, damage_bytes, damage_bytes),
        ".tar": (damage_bytes,),
    }
    return chance.choice(kinds.get(path.suffix, (damage_bytes,)))(path, chance)


def exchange(path: Path, other: Path) -> Change:
    """Put the file of the same name of another run in its place."""
    if not other.is_file() or other.read_bytes() == path.read_bytes():
        return Change("the same file of another run", free=True)
    shutil.copyfile(other, path)
    return Change("the file of another run in its place")
