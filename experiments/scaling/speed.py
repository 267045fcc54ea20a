"""How long an optimizer step takes on this machine, by taking a few."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import torch

from experiments.scaling.ladder import Size
from experiments.scaling.options import LadderOptions
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import build_optimizer, prepare, train_step
from training.loop import make_accelerator, settle_precision
from training.products import precision_of_products
from training.transfer import to_device

MEASURED_STEPS = 3
"""Steps that are timed, after one that is not: the first is slower."""


def seconds_of_a_step(options: LadderOptions, size: Size) -> float:
    """Return the seconds of an optimizer step of a size on random tokens, the median of a few.

    Raises:
        ValueError: the device does not compute in `options.precision`.
    """
    asked = TrainOptions.of(
        tokens=options.tokens,
        out=Path("nowhere"),  # nothing is written
        **size.config.flat(),
        batch=options.batch,
        precision=options.precision,
    )
    training, _ = settle_precision(asked)
    with precision_of_products(training.training.precision):
        return _median_seconds(training, size)


def _median_seconds(training: TrainOptions, size: Size) -> float:
    accelerator = make_accelerator(training)
    plain = GPT(size.config).train()
    model = prepare(accelerator, plain)
    optimizer = accelerator.prepare(build_optimizer(plain, 1e-4, training.weight_decay, size.rate_at_width))
    shape = (training.training.batch, size.config.window)
    tokens = to_device(torch.randint(size.config.vocab_size, shape), accelerator.device)
    taken = []
    for _ in range(1 + MEASURED_STEPS):
        began = time.perf_counter()
        loss = train_step(accelerator, model, optimizer, tokens, 1e-4, training.training.grad_clip)
        loss.item()  # waits for a GPU
        taken.append(time.perf_counter() - began)
    return median(taken[1:])
