"""A learning rate that carries over widths: what was the best rate of a narrow GPT is nearly that of a wide one.

The rule is the maximal update parametrization of Yang et al. (2022, table 3) for Adam, relative to the width W that a
rate was found for. With r = W / width,

- matrices inside the blocks begin with weights smaller by the square root of r, and learn at r times the rate;
- the head begins with weights smaller by r, and learns at r times the rate, so that no multiplier of its output is
  needed, and the model computes as every other;
- embeddings, positions, norms and biases begin and learn as they always do.

At the width W nothing is changed. Left out of it: attention stays scaled by the root of a head's dimensions and not by
their number, which agrees as long as wider models have more heads of the same size; and weight decay stays multiplied
with the rate of its matrix, as AdamW has it. Depth, batch and number of steps are not covered.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gpt.model import GPT


def scale_initial_weights(model: GPT, rate_at_width: int) -> GPT:
    """Make the weights of a new GPT those that the rule begins with, in place; 0 leaves them.

    Args:
        model: as it was initialised.
        rate_at_width: width for which the learning rate is given.
    """
    if rate_at_width:
        ratio = rate_at_width / model.config.width
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if learns_by_width(name, parameter):
                    parameter.mul_(ratio if name == "head.weight" else ratio**0.5)
    return model


def learns_by_width(name: str, parameter: nn.Parameter) -> bool:
    """Whether the rate of a parameter falls with the width: of matrices inside the blocks, and of the head."""
    return parameter.ndim >= 2 and (name.startswith("blocks.") or name == "head.weight")


def parameter_groups(model: nn.Module, weight_decay: float, rate_at_width: int = 0) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer: decay on matrices only, and the rate that each has beside others.

    Args:
        model: a GPT.
        weight_decay: of matrices.
        rate_at_width: width for which the learning rate is given; with 0 all parameters learn at the same.
    """
    named = list(model.named_parameters())
    vectors = {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0}
    if not rate_at_width:
        # As they always were: checkpoints number the parameters by group.
        return [{"params": [p for _, p in named if p.ndim >= 2], "weight_decay": weight_decay}, vectors]
    assert isinstance(model, GPT)
    ratio = rate_at_width / model.config.width
    scaled = [p for name, p in named if learns_by_width(name, p)]
    tables = [p for name, p in named if p.ndim >= 2 and not learns_by_width(name, p)]
    return [
        {"params": scaled, "weight_decay": weight_decay, "rate_factor": ratio},
        {"params": tables, "weight_decay": weight_decay, "rate_factor": 1.0},
        {**vectors, "rate_factor": 1.0},
    ]
