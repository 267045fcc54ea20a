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

    def describe(self) -> str:
        """Return it in words: `16 frames of 64 px`, or `images of 64 px`."""
        return f"{self.frames} frames of {self.size} px" if self.frames > 1 else f"images of {self.size} px"
