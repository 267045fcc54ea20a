"""Image files and colour profiles, byte by byte, of kinds that Pillow reads and does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

D50 = (0.9642, 1.0, 0.8249)
SRGB_COLUMNS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
P3_COLUMNS = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
"""XYZ of the primaries, adapted to D50."""


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples: np.ndarray, depth: int = 16, **chunks: bytes) -> bytes:
    """A PNG of (H, W) grey or (H, W, 2, 3 or 4) samples with these chunks before the pixels."""
    height, width = samples.shape[:2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2] if samples.ndim == 3 else 1]
    if depth < 8:
        bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., -depth:]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    else:
        rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(height, -1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    extra = b"".join(chunk(name.encode(), body) for name, body in chunks.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def empty_png(width: int, height: int) -> bytes:
    """A good PNG with one black bit per pixel."""
    row = b"\0" + bytes((width + 7) // 8)
    packer = zlib.compressobj()
    pixels = b"".join(packer.compress(row * 1_000) for _ in range(height // 1_000))
    pixels += packer.compress(row * (height % 1_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(levels: np.ndarray, bits: int, *, white_is_zero: bool, order: str = "<", highest: int | None = None) -> bytes:
    """An uncompressed grey TIFF of (1, W) levels with 1, 8, 12 or 16 bits; `highest` is its MaxSampleValue."""
    if bits == 16:
        data = levels.astype(f"{order}u2").tobytes()
    else:
        digits = "".join(format(int(level), f"0{bits}b") for level in levels[0])
        data = int(digits.ljust(-len(digits) % 8 + len(digits), "0"), 2).to_bytes((len(digits) + 7) // 8, "big")
    width = levels.shape[1]
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: 0 if white_is_zero else 1, 273: 8, 277: 1, 278: 1}
    tags[279] = len(data)
    if highest is not None:
        tags[281] = highest
    padded = data + bytes(len(data) % 2)
    entries = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8 + len(padded))
    return start + padded + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def rgb_profile(columns: tuple[tuple[float, float, float], ...]) -> bytes:
    """An ICC profile of RGB with these primaries and the curve of sRGB."""
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    curve = _curve(_srgb_to_linear(np.linspace(0, 1, 1024)))
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(np.linspace(0, 1, 1024) ** gamma)})


def cmyk_profile() -> bytes:
    """An ICC profile of inks that turn white paper grey, all alike."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), axis=-1).reshape(16, 4)
    lab = np.stack([255 - corners.sum(axis=1) * 60, np.full(16, 128), np.full(16, 128)], axis=1).astype(np.uint8)
    line = bytes(range(256))
    matrix = struct.pack(">9i", *(np.eye(3).ravel() * 65536).astype(int))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + line * 4 + lab.tobytes() + line * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def p3_to_srgb(colour: tuple[int, int, int]) -> np.ndarray:
    """(3,) levels of sRGB that show a colour of Display P3, by the formula."""
    linear = _srgb_to_linear(np.array(colour) / 255)
    linear = np.linalg.inv(np.array(SRGB_COLUMNS).T) @ np.array(P3_COLUMNS).T @ linear
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def _srgb_to_linear(levels: np.ndarray) -> np.ndarray:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _curve(values: np.ndarray) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + (values * 65535).round().astype(">u2").tobytes()


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"wtpt": _xyz(D50), **tags}
    start = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytes(8) + b"\x02\x40\0\0" + kind + space + connection + bytes(12) + b"acsp" + bytes(28) + _xyz(D50)[8:]
    content = header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(content)) + content[4:]
