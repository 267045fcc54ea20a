"""The learning rates that the sizes of a ladder try: each in a short training on the whole store, from seed 0.

On the whole store, whatever amounts of data the ladder has, so that a ladder to which larger ones are added keeps its
rates. With a warm-up and a decay like a cell, since rates compare at the end of a decay: before it a high one looks
worse than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.scaling.ladder import Ladder, Size, decay_steps_of, flops_per_step, hindrance, steps_of
from experiments.scaling.options import LadderOptions

Edge = Literal["", "lowest", "highest"]
"""At which end of the rates that were tried the best one lies."""


@dataclass(frozen=True)
class RateTrial:
    """A short training at a learning rate."""

    size: Size
    rate: float
    """Peak learning rate of a GPT of the width `size.rate_at_width`."""
    batch: int
    """Sequences per step."""
    steps: int
    """Optimizer steps."""
    decay_steps: int
    """The last of them, in which the rate falls."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.size.name}_rate-{self.rate:g}"

    @property
    def data(self) -> int:
        """Tokens seen."""
        return self.steps * self.batch * self.size.config.window

    @property
    def compute(self) -> float:
        """FLOP of the training."""
        return self.steps * flops_per_step(self.size.config, self.batch)


def trials_of(options: LadderOptions, size: Size) -> list[RateTrial]:
    """Return the trials of a size that can spend a budget, the lowest rate first; none where a rate is given."""
    if not options.learning_rates:
        return []
    of_budgets = [steps_of(options, size, budget) for budget in sorted(options.budgets)]
    steps = options.rate_steps or next(steps for steps in of_budgets if not hindrance(options, steps))
    decay = decay_steps_of(options, steps)
    return [RateTrial(size, rate, options.batch, steps, decay) for rate in sorted(options.learning_rates)]


def all_trials(options: LadderOptions, ladder: Ladder) -> list[RateTrial]:
    """Return the trials of all sizes."""
    return [trial for size in ladder.sizes for trial in trials_of(options, size)]


def edge_of(rate: float, tried: Sequence[float]) -> Edge:
    """Return at which end of the rates that were tried one lies, if at any."""
    ends: dict[float, Edge] = {min(tried): "lowest", max(tried): "highest"}
    return ends.get(rate, "")
