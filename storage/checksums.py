"""A short name for exactly one tokenizer, by which tokens and models know whether they belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


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


def _bytes(tensor: Tensor) -> memoryview:
    """Return the numbers of a tensor, in the order of its axes and of this machine."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
