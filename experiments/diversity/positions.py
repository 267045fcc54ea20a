"""Entropy and surprise at every place of the grid, over items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from experiments.diversity.stage import Stage
from experiments.diversity.tables import PositionRow
from experiments.statistics.bootstrap import mean_intervals


def position_rows(stage: Stage, way: dict[str, Any], entropy_bits: Tensor, truth_bits: Tensor) -> Iterator[PositionRow]:
    """Yield a row for every generated token.

    Args:
        stage: the amount given.
        way: the columns of `Way`.
        entropy_bits: (I, G) of the items of a group.
        truth_bits: (I, G).
    """
    columns = {}
    for name, bits in (("entropy", entropy_bits.numpy()), ("truth", truth_bits.numpy())):
        low, high = mean_intervals(bits)
        columns[name] = list(zip(bits.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True))
    _, h, w = stage.layout.grid
    figures = zip(stage.generated_places.tolist(), columns["entropy"], columns["truth"], strict=True)
    for place, (entropy, entropy_low, entropy_high), (truth, truth_low, truth_high) in figures:
        yield PositionRow(
            **way,
            latent_frame=place // (h * w), row=place // w % h, column=place % w, items=len(entropy_bits),
            entropy_bits=entropy, entropy_low=entropy_low, entropy_high=entropy_high,
            truth_bits=truth, truth_low=truth_low, truth_high=truth_high,
        )  # fmt: skip
