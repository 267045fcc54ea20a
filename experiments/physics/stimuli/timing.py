"""When things happen in a film.

A film has T frames. The event is between two of them: the ending begins with frame `event`. Everything but falls and
bounces, which take as long as they take, is spread over the film whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LOWERED = (-0.3, -0.15)
"""When a screen begins to come down and when it is down, in lengths of the film after the event."""

LIFTED = (0.13, 0.28)
"""When it begins to go up, and when it is up."""


@dataclass(frozen=True)
class Timing:
    """Frames of a film, and which of them is the first after the event."""

    frames: int
    """T"""
    fps: float
    event: int
    """Index of the first frame of the ending."""

    @property
    def moment(self) -> float:
        """Seconds from the first frame to the event itself, half-way between two frames."""
        return (self.event - 0.5) / self.fps

    @property
    def seconds(self) -> float:
        """Seconds that the film lasts."""
        return self.frames / self.fps

    def lift(self) -> Tensor:
        """Return how far a screen is up in each frame: (T,) in [0, 1], 0 where it hides what is behind it."""
        after = (torch.arange(self.frames) - (self.event - 0.5)) / self.frames
        up = [_ramp(after, *LIFTED), 1 - _ramp(after, *LOWERED)]
        return torch.maximum(*up)


def draw_event(share: float, frames: int) -> int:
    """Return the first frame after an event near the middle of a film; `share` in [0, 1] says where."""
    return round(frames * (0.45 + 0.1 * share))


def _ramp(values: Tensor, low: float, high: float) -> Tensor:
    """From 0 up to `low` to 1 from `high` on, evenly."""
    return ((values - low) / (high - low)).clamp(0, 1)
