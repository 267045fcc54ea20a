"""How clips are cut out of videos and images. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClipFormat:
    """How clips are cut: `frames` frames at `fps` frames a second, `size` pixels square."""

    frames: int
    fps: float
    size: int

    @property
    def seconds(self) -> float:
        """Duration of a clip."""
        return self.frames / self.fps
