"""A real GPT whose prediction at each position is known in closed form, whatever stands before."""

import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT

NEVER = -60.0
"""Log-probability that stands for that of what cannot happen."""


def make_known_gpt(probabilities: Tensor, grid: tuple[int, int, int], tokenizer: str = "") -> GPT:
    """A GPT that predicts probabilities (L, V), one row for each position of its grid.

    Its blocks and embeddings add nothing, each position has a direction of its own, and the head maps these directions
    to logarithms of the probabilities.
    """
    length, vocab_size = probabilities.shape
    width = length + 2
    config = GPTConfig(
        layers=1,
        heads=1,
        width=width,
        grid=grid,
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        variant="legacy",
    )
    gpt = GPT(config).eval()
    logits = probabilities.double().log().clamp(min=NEVER)
    with torch.no_grad():
        for name, parameter in gpt.named_parameters():
            if not name.startswith("norm."):
                parameter.zero_()
        gpt.positions.table.weight.copy_(torch.eye(length, width))
        directions = gpt.features(torch.zeros(1, length, dtype=torch.int64))[0].double()
        gpt.head.weight.copy_((torch.linalg.pinv(directions) @ logits).T)
    return gpt


def halving(bits: list[int], vocab_size: int) -> Tensor:
    """Probabilities (L, V): at each position the first 2 ** b codes are equally likely, the others never come."""
    shares = torch.zeros(len(bits), vocab_size, dtype=torch.float64)
    for position, b in enumerate(bits):
        shares[position, : 2**b] = 2.0**-b
    return shares


def entropy_bits(probabilities: Tensor) -> Tensor:
    """Entropy of each row of probabilities (..., V), in bits."""
    return -torch.xlogy(probabilities, probabilities).sum(dim=-1) / torch.tensor(2.0).log()
