"""How fast a training is: samples and tokens per second, and the share of the GPU's arithmetic that it uses."""

from __future__ import annotations

import re
import time

import torch

# Dense bf16 FLOP/s with fp32 accumulation, from NVIDIA's data sheets, by a part of the name that torch reports.
# The longer of two names that both fit comes first.
PEAK_FLOPS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "GH200": 989e12,
    "A100": 312e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


def peak_flops(device: str) -> float | None:
    """Return the bf16 FLOP/s of the GPU that torch calls `device`, None if it is not known."""
    return next((flops for name, flops in PEAK_FLOPS.items() if re.search(rf"\b{name}\b", device)), None)


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
        self.samples, self.tokens, self.flops = samples, tokens, flops
        self.peak = peak_flops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
        self.devices = devices
        self.restart(first)

    def restart(self, done: int) -> None:
        """Begin to measure anew after `done` steps: what was done since, such as validation, was no training."""
        self.done, self.began = done, time.perf_counter()

    def measure(self, done: int) -> dict[str, float]:
        """Return the speed of the steps since the last report, by name, and begin to measure anew."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = max(1e-9, time.perf_counter() - self.began)
        samples = self.samples * (done - self.done) / seconds
        values = {"samples/s": samples}
        if self.tokens:
            values["tokens/s"] = samples * self.tokens
        if self.flops and self.peak:
            values["MFU"] = samples * self.tokens * self.flops / (self.peak * self.devices)
        if torch.cuda.is_available():
            values["peak GiB"] = torch.cuda.max_memory_allocated() / 2**30
        self.restart(done)
        return values
