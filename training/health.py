"""Whether a training goes well, as far as its own metrics tell, and what to do where it does not.

All is read from the lines of `metrics.jsonl`: `docs/how_to/what_training_looks_like.md` has the numbers of good runs.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from storage.terminal import visible
from training.processes import process_index

Line = Mapping[str, Any]
"""A line of metrics: `step` and values by name; a value that was not finite is None in a file."""

PATIENCE = 2
"""A model is expected to be better than counting tokens after so many times the steps of its warm-up, ..."""
LEAST_STEPS = 100
"""... but not before so many steps."""
WINDOW = 50
"""Logged norms of the gradient of which the median is what is usual."""
ENOUGH = 5
"""Norms that must have been logged before one of them can be called unusual."""
EXPLOSION = 10.0
"""How many times its usual value a norm is when it explodes."""
COLLAPSE = 0.5
"""Share of the codes used at best below which their usage has collapsed."""
FEW_CODES = 0.05
"""Share of the codes below which hardly any are used."""
PAGE = "docs/how_to/what_training_looks_like.md tells more"


def is_above_floor(line: Line, warmup: int) -> bool:
    """Whether a GPT is no better than counting tokens when it should be.

    Args:
        line: with `validation_nll` and `unigram_nll`, in nats per token; of another line it is not told.
        warmup: steps of the warm-up.
    """
    nll, floor = line.get("validation_nll"), line.get("unigram_nll")
    if nll is None or floor is None or line["step"] + 1 < max(LEAST_STEPS, PATIENCE * warmup):
        return False
    return bool(nll >= floor)


def is_exploding(norms: Sequence[float | None]) -> bool:
    """Whether the last of the logged norms of the gradient is far above what was usual before it.

    Usual is the median of the `WINDOW` norms before, so that a single outlier does not count as usual. A norm that is
    not finite (None in a file) is far above all.
    """
    *before, last = norms
    usual = _usual(before)
    if usual is None:
        return False
    return last is None or not last <= EXPLOSION * usual


def is_collapsing(usages: Sequence[float], possible: float = 1.0) -> bool:
    """Whether the last of the shares of codes in use is small, or far below what it was at best.

    Args:
        usages: in [0, 1], oldest first.
        possible: the share that can be seen at all: few held-out tokens cannot be of many codes.
    """
    *before, last = usages
    return last < FEW_CODES * possible or last < COLLAPSE * max(before, default=0.0)


@dataclass(frozen=True)
class Expected:
    """What is known of a training beforehand."""

    warmup: int
    """Steps of the warm-up."""
    usage_from: int = 0
    """Step from which a tokenizer uses its codes; -1 if it does before the first."""
    possible_usage: float = 1.0
    """Share of its codes that the held-out clips have tokens for."""


def warnings(lines: Sequence[Line], expected: Expected) -> dict[str, str]:
    """Return what is wrong with a training according to the newest of its lines of metrics, by kind, with advice.

    Args:
        lines: all so far, oldest first.
        expected: what is known of the training.
    """
    judged = {
        "floor": _judge_loss(lines[-1], expected),
        "gradient": _judge_gradient(lines),
        "usage": _judge_usage(lines, expected),
    }
    step = lines[-1]["step"]
    when = "before the first step" if step < 0 else f"at step {step}"
    return {kind: f"{when} {found}; {PAGE}" for kind, found in judged.items() if found}


def _judge_loss(newest: Line, expected: Expected) -> str | None:
    if not is_above_floor(newest, expected.warmup):
        return None
    return (
        f"the validation NLL, {newest['validation_nll']:.2f} nats per token, is not below the unigram floor of "
        f"{newest['unigram_nll']:.2f}, which counting tokens reaches: the model has learned nothing of their order. "
        "Begin again with a lower --learning-rate if the loss jumps about, with a higher one or more --steps if it "
        "falls slowly, or give more tokens"
    )


def _judge_gradient(lines: Sequence[Line]) -> str | None:
    norms = _values(lines[-4 * WINDOW :], "gradient_norm")
    if "gradient_norm" not in lines[-1] or not is_exploding(norms):
        return None
    last = "infinite" if norms[-1] is None else f"{norms[-1]:.3g}"
    return (
        f"the norm of the gradient, {last}, is over {EXPLOSION:g} times the usual {_usual(norms[:-1]):.3g}. If the "
        "loss does not come back, begin again with a lower --learning-rate, a longer --warmup, or a --grad-clip near "
        "the usual norm"
    )


def _judge_usage(lines: Sequence[Line], expected: Expected) -> str | None:
    usages = _values((line for line in lines if line["step"] >= expected.usage_from), "codebook_usage")
    judged = "codebook_usage" in lines[-1] and usages
    if not judged or not is_collapsing(usages, expected.possible_usage):
        return None
    return (
        f"{usages[-1]:.1%} of the codes are in use, after {max(usages):.1%} at best: tokens of so few say little. "
        "Begin again with a lower --learning-rate, more --continuous-steps, or fewer --codes"
    )


class HealthWatch:
    """Says on stderr, once for each kind, when the metrics of a training show that it does not go well.

    Args:
        run: the run folder; what a run that goes on had logged before is read there, at the first line.
        expected: what is known of the training.
    """

    def __init__(self, run: Path, expected: Expected) -> None:
        self.run = run
        self.expected = expected
        self.lines: list[Line] | None = None
        self.said: set[str] = set()

    def note(self, line: Line) -> None:
        """Take note of a line of metrics that is about to be written; the first process does."""
        if self.lines is None:
            self.lines = list(_read_lines(self.run / "metrics.jsonl"))
        self.lines.append(line)
        for kind, sentence in warnings(self.lines, self.expected).items():
            if kind not in self.said and process_index() == 0:
                print(visible(f"beware       {sentence}"), file=sys.stderr, flush=True)
                self.said.add(kind)


def clip_gradient(accelerator: Accelerator, model: nn.Module, largest: float) -> Tensor:
    """Shorten the gradient of a prepared model to a norm, and return the norm that it had.

    Args:
        accelerator: prepared the model.
        model: its gradients are complete, over all processes.
        largest: the norm at most; 0 leaves the gradient as it is.

    Returns:
        A scalar on the device of the gradient, the same on all processes; nobody waited for it.
    """
    if largest:
        norm = accelerator.clip_grad_norm_(model.parameters(), largest)
    else:
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert norm is not None, "torch computes it, not DeepSpeed"
    return norm.full_tensor() if isinstance(norm, DTensor) else norm.detach()


def _usual(norms: Sequence[float | None]) -> float | None:
    """Return the median of the newest finite norms, None if there are too few."""
    finite = [norm for norm in norms[-WINDOW:] if norm is not None and math.isfinite(norm)]
    return median(finite) if len(finite) >= ENOUGH else None


def _values(lines: Iterable[Line], name: str) -> list[Any]:
    return [line[name] for line in lines if name in line]


def _read_lines(path: Path) -> Iterable[Line]:
    """Yield the lines of a file of metrics, which was cut back to the step that the run goes on from."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
