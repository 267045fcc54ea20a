"""How much of a GPU training uses: MFU of compiled bf16 training with fused AdamW, reading from a token store.

    python benchmarks/gpt_mfu.py                                      on one GPU
    python benchmarks/gpt_mfu.py --preset demo --batch 2 --steps 3 --no-compile       a trial on a CPU

MFU is model FLOPs (gpt/flops.py) over the GPU's peak; it is printed for GPUs whose peak is known. The loader's share is
the time a step waits for its tokens, read as `gpt.train` reads them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from accelerate import Accelerator

from data.tokens import StoreMetadata, TokenItem, TokenStore, write_shard, write_store
from gpt.config import PRESETS, GPTConfig
from gpt.flops import flops_per_token
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from training.gpus import peak_flops

RATE = 3e-4


@dataclass
class Options:
    """Time training steps after some that do not count."""

    preset: str = "gimel"
    """Size of the model."""
    grid: tuple[int, int, int] = (4, 16, 16)
    """Grid of the tokens."""
    vocab_size: int = 16384
    """Number of codes."""
    batch: int = 32
    """Sequences per step."""
    steps: int = 30
    """Steps that count; medians are printed."""
    warmup: int = 5
    """Steps that do not count: the first ones compile."""
    compile: bool = True
    """Compile the model."""
    activation_checkpointing: bool = False
    """Compute blocks again in the backward pass, where memory is short."""

    @property
    def config(self) -> GPTConfig:
        """The model."""
        return PRESETS[self.preset].for_tokens(self.grid, self.vocab_size)


def make_store(folder: Path, options: Options) -> TokenStore:
    """Write a token store of noise that is large enough for distinct batches."""
    items = 16 * options.batch
    frames = 4 * options.grid[0] if options.grid[0] > 1 else 1
    metadata = StoreMetadata(options.grid, options.vocab_size, "", 8.0, frames, 128)
    grids = torch.randint(options.vocab_size, (items, *options.grid))
    listed = [TokenItem(f"noise_{number}", 0.0, "train") for number in range(items)]
    write_store(folder, metadata, [write_shard(folder, 0, metadata, grids)], listed)
    return TokenStore(folder)


def time_steps(options: Options, store: TokenStore) -> tuple[list[float], list[float]]:
    """Return the seconds of reading and of training of every step that counts."""
    accelerator = Accelerator(mixed_precision="bf16", dynamo_backend="inductor" if options.compile else None)
    plain = GPT(options.config)
    plain.activation_checkpointing = options.activation_checkpointing
    model, optimizer = accelerator.prepare(plain, build_optimizer(plain, RATE, 0.05))
    reading: list[float] = []
    training: list[float] = []
    for step in range(options.warmup + options.steps):
        began = time.perf_counter()
        first = step * options.batch % len(store)
        tokens = store.read(list(range(first, first + options.batch))).to(accelerator.device)
        read = time.perf_counter()
        # Asking for the loss waits for the GPU.
        float(train_step(accelerator, model, optimizer, tokens, RATE, 1.0))
        if step >= options.warmup:
            reading.append(read - began)
            training.append(time.perf_counter() - read)
    return reading, training


def main(options: Options) -> None:
    """Print speed, MFU, the loader's share and the memory that was needed."""
    with tempfile.TemporaryDirectory() as folder:
        reading, training = time_steps(options, make_store(Path(folder) / "tokens", options))
    config = options.config
    loader, step = statistics.median(reading), statistics.median(training)
    tokens = options.batch * config.window / (loader + step)
    print(f"{options.preset}: {1e3 * (loader + step):.1f} ms a step, {tokens:.0f} tokens/s")
    print(f"loader: {100 * loader / (loader + step):.2f} % of the step")
    print(f"{tokens * flops_per_token(config) / 1e12:.2f} TFLOP/s")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        peak = peak_flops(name)
        mfu = f"MFU {100 * tokens * flops_per_token(config) / peak:.1f} %" if peak else "peak not known, so no MFU"
        print(f"{name}: {mfu}, at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main(tyro.cli(Options))
