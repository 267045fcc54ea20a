"""Digests: by which damaged files are noticed, and by which tokens and models know whether they belong together."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from storage.records import digest_of

ALGORITHM = "crc32"
"""Of the bytes of a tensor, named in front of every digest, so that a version with another one can be told from damage.

Damage is to be noticed, not forgery: whoever changes a file on purpose can change its digest too. So the fastest that
the standard library has is taken (measured by benchmarks/opening_checkpoints.py).
"""


MOST_THREADS = 4
"""Threads that share the tensors, at most: more of them wait for memory."""


def fingerprint(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 over a config and named tensors: names, types, shapes and numbers.

    The order of entries and of tensors does not matter, nor where the tensors are, nor whether a whole number of the
    config is written 8 or 8.0.
    """
    described = [
        [name, str(tensor.dtype), list(tensor.shape), hashlib.sha256(_bytes(tensor)).hexdigest()]
        for name, tensor in sorted(tensors.items())
    ]
    content = json.dumps({"config": _plain(config), "tensors": described}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def fingerprint_before(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return what versions before took for a fingerprint: it tells neither shapes nor most of the config apart."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()[:16]


def digest_of_tensors(tensors: Mapping[str, Tensor], config: Any = None) -> str:
    """Return the digest of named tensors, their names, dtypes, shapes and bytes, and of a config.

    It is the SHA-256 of a list with the CRC-32 of every tensor, and behind it that of the config, so that can be told
    which of them changed. A few threads share the tensors.

    Args:
        tensors: of any dtypes and shapes, on any device.
        config: what JSON can hold; None is left out.
    """
    names = sorted(tensors)
    with ThreadPoolExecutor(min(MOST_THREADS, torch.get_num_threads())) as pool:
        digests = list(pool.map(lambda name: _crc(tensors[name]), names))
    described = [
        [name, str(tensors[name].dtype), list(tensors[name].shape), digest]
        for name, digest in zip(names, digests, strict=True)
    ]
    beside = "" if config is None else f":{digest_of(config)}"
    return f"{ALGORITHM}:{digest_of(described)}{beside}"


def is_known(digest: object) -> bool:
    """Whether this version can compare with `digest`."""
    return isinstance(digest, str) and digest.startswith(f"{ALGORITHM}:")


def _crc(tensor: Tensor) -> int:
    return zlib.crc32(_bytes(tensor))


def _bytes(tensor: Tensor) -> memoryview:
    """Return the numbers of a tensor, in the order of its axes and of this machine."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    # Not all dtypes of torch are known to NumPy, but all are bytes.
    return flat.view(torch.uint8).numpy().data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
