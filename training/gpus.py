"""What GPUs are capable of: the one table that plans and trainings read. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class GPU:
    """A kind of GPU, as torch sees one device, in the numbers of its vendor's data sheet."""

    pattern: str
    """What its name, as torch reports it, contains: a regular expression."""
    gibibytes: float
    """Memory."""
    fp32: float
    """Peak arithmetic in fp32, in 10^12 operations per second: of NVIDIA's outside tensor cores, which know none; of
    AMD's in matrix cores, which do."""
    bf16: float | None
    """Peak of tensor or matrix cores in dense bf16 with fp32 accumulation; None where they know no bf16."""


# NVIDIA's data sheets of each product; of the A100, H100, H200 and V100 the SXM form, of the B200 the HGX board.
# AMD's data sheets of its Instinct accelerators; of the MI250X one of its two devices, half of what the sheet says.
GPUS = {
    "a100-40": GPU(r"A100.*40GB", 40, 19.5, 312.0),
    "a100-80": GPU(r"A100", 80, 19.5, 312.0),
    "h100-pcie": GPU(r"H100 PCIe", 80, 51.0, 756.0),
    "h100-nvl": GPU(r"H100 NVL", 94, 60.0, 835.0),
    "h100": GPU(r"H100", 80, 67.0, 989.0),
    "h200": GPU(r"G?H200", 141, 67.0, 989.0),
    "b200": GPU(r"B200", 180, 75.0, 2250.0),
    "a10g": GPU(r"A10G", 24, 35.0, 70.0),
    "a10": GPU(r"A10", 24, 31.2, 125.0),
    "l40s": GPU(r"L40S", 48, 91.6, 362.0),
    "l40": GPU(r"L40", 48, 90.5, 181.0),
    "l4": GPU(r"L4", 24, 30.3, 121.0),
    "rtx4090": GPU(r"RTX 4090", 24, 82.6, 165.2),
    "rtx3090": GPU(r"RTX 3090", 24, 35.6, 71.0),
    "v100": GPU(r"V100", 32, 15.7, None),
    "mi250x": GPU(r"MI250X", 64, 47.9, 191.5),
    "mi300x": GPU(r"MI300X", 192, 163.4, 1307.4),
    "mi355x": GPU(r"MI355X", 288, 157.3, 2516.6),
}
"""By the name that `gpt plan` asks for; of those whose patterns fit one name the first is meant."""


def find_gpu(device: str) -> GPU | None:
    """Return the GPU that torch calls `device`, such as `NVIDIA H200` or `AMD Instinct MI300X`; None if unknown."""
    return next((gpu for gpu in GPUS.values() if re.search(rf"\b{gpu.pattern}\b", device)), None)


def peak_flops(device: str) -> float | None:
    """Return the dense bf16 FLOP/s of the GPU that torch calls `device`, None if it is not known."""
    found = find_gpu(device)
    return found.bf16 * 1e12 if found and found.bf16 else None
