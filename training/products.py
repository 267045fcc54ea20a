"""How torch makes products and convolutions of fp32 numbers on GPUs, set for the whole process within a context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from training.options import Precision


@contextmanager
def precision_of_products(precision: Precision) -> Iterator[None]:
    """Within this context, products and convolutions of fp32 numbers are made on GPUs as `precision` says.

    By default torch makes products exact and convolutions in TF32, which is neither the one nor the other.
    """
    products = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context without autocast, on devices that have any."""
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def at_least_fp32(x: Tensor) -> Tensor:
    """Return `x` (...), of any floating-point type, in fp32 where it has fewer bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@contextmanager
def exact_products() -> Iterator[None]:
    """Within this context, products of fp32 matrices are exact to fp32 rounding also where a training makes others."""
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
