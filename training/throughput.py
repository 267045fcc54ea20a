"""How fast a training is: samples and tokens per second, and the share of the GPU's arithmetic that it uses."""

from __future__ import annotations

import time

import torch

from training.gpus import peak_flops


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
