"""How fast a training is: samples and tokens per second, and the share of the GPU's arithmetic that it uses."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class GPU:
    """A kind of GPU, in the numbers of its vendor's data sheet."""

    pattern: str
    """What its name, as torch reports it, contains: a regular expression."""
    gibibytes: float
    """Memory."""
    fp32: float
    """Peak arithmetic in fp32 outside tensor cores, in 10^12 operations per second."""
    bf16: float | None
    """Peak of the tensor cores in dense bf16 with fp32 accumulation; None where they know no bf16."""


# NVIDIA's data sheets of each product; of the A100, H100, H200 and V100 the SXM form, of the B200 the HGX board.
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
}
"""By the name that `gpt plan` asks for; of those whose patterns fit one name the first is meant."""


def peak_flops(device: str) -> float | None:
    """Return the dense bf16 FLOP/s of the GPU that torch calls `device`, None if it is not known."""
    found = next((gpu for gpu in GPUS.values() if re.search(rf"\b{gpu.pattern}\b", device)), None)
    return found.bf16 * 1e12 if found and found.bf16 else None


class Throughput:
    """Measures the speed between two reports.

    Args:
        samples: of one step, over all processes.
        tokens: of one sample, 0 if it has none.
        flops: of one token, forward and backward, 0 if that is not known.
        devices: that share the work, all alike.
        first: steps already done by an earlier run.
    """

    def __init__(self, samples: int, tokens: int = 0, flops: int = 0, devices: int = 1, first: int = 0) -> None:
        self.samples = samples
        self.tokens = tokens
        self.flops = flops
        self.peak = peak_flops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
        self.devices = devices
        self.restart(first)

    def restart(self, done: int) -> None:
        """Begin to measure anew after `done` steps: what was done since, such as validation, was no training."""
        self.done = done
        self.began = time.perf_counter()
        self.waited = 0.0
        """Seconds since then in which the training waited for data."""

    def measure(self, done: int) -> dict[str, float]:
        """Return the speed of the steps since the last report, by name, and begin to measure anew.

        `waiting` is the share of the time in which the training waited for data.
        """
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = max(1e-9, time.perf_counter() - self.began)
        samples = self.samples * (done - self.done) / seconds
        values = {"samples/s": samples, "waiting": self.waited / seconds}
        if self.tokens:
            values["tokens/s"] = samples * self.tokens
        if self.flops and self.peak:
            values["MFU"] = samples * self.tokens * self.flops / (self.peak * self.devices)
        if torch.cuda.is_available():
            values["peak GiB"] = torch.cuda.max_memory_allocated() / 2**30
        self.restart(done)
        return values
