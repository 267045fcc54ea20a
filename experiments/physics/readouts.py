"""From the surprise of every token of a film to one number: over which tokens, which latent frames, and how.

Axes: t latent frames, h rows, w columns of a token grid.
"""

from __future__ import annotations

from itertools import product
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Tokens = Literal["all", "object"]
Frames = Literal["film", "event"]
Statistic = Literal["mean", "maximum"]


class Readout(NamedTuple):
    """How a film becomes a number."""

    tokens: Tokens
    """All tokens of a latent frame, or those that stand for the object of the event in one of the matched films."""
    frames: Frames
    """All latent frames, or those of the event window."""
    statistic: Statistic
    """The mean over the tokens, or the largest mean of a latent frame."""

    @property
    def name(self) -> str:
        """In one word, such as `event_mean` or `object_film_maximum`."""
        word = f"{self.frames}_{self.statistic}"
        return word if self.tokens == "all" else f"object_{word}"


READOUTS = tuple(Readout(*choice) for choice in product(get_args(Tokens), get_args(Frames), get_args(Statistic)))
"""All of them, in the order in which the first of equally good ones is chosen."""


def read_out(surprise: Tensor, readout: Readout, cells: Tensor, window: tuple[int, int] | None) -> float | None:
    """Return the number of a film.

    Args:
        surprise: (t, h, w); NaN counts nowhere.
        readout: how.
        cells: (t, h, w) bool: tokens of the object.
        window: first latent frame of the event, and one past the last; None where it is not known.

    Returns:
        The number; None where no token counts.
    """
    if readout.frames == "event" and window is None:
        return None
    first, end = (0, len(surprise)) if window is None or readout.frames == "film" else window
    counted = (surprise if readout.tokens == "all" else on_object(surprise, cells))[first:end].double()
    if readout.statistic == "maximum":
        counted = frame_means(counted)
        value = float(counted.nan_to_num(-torch.inf).max())
    else:
        value = float(counted.nanmean())
    return value if not counted.isnan().all() else None


def on_object(surprise: Tensor, cells: Tensor) -> Tensor:
    """Return the surprise (t, h, w) of the object's tokens, and NaN elsewhere."""
    return surprise.masked_fill(~cells, torch.nan)


def frame_means(surprise: Tensor) -> Tensor:
    """Return the mean surprise (t,) of each latent frame, NaN where no token counts, of (t, h, w)."""
    return surprise.double().flatten(1).nanmean(dim=1)
