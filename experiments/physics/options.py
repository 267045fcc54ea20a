"""What the physics experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from data.options import MIN_SIZE
from storage.options import LARGEST_SEED, Options, option

FEWEST_FRAMES = 8
"""Frames of a film, at least: fewer do not hold a screen that comes, an event behind it, and a screen that goes."""

Concept = Literal["permanence", "continuity", "shape", "colour", "solidity", "support", "inertia", "control"]


@dataclass(frozen=True)
class StimuliOptions(Options):
    """Render matched films of what can and what cannot happen in a playroom."""

    command = "physics stimuli"
    example = "secondsight physics stimuli --scenes 40 --out runs/physics"

    out: Path
    """Folder to write films/, manifest.csv, boxes.csv, sheets/ and look/ into; a run that was interrupted continues
    there."""
    scenes: int = option(40, at_least=1, at_most=10**5)
    """Rooms; in each there are four films of every concept."""
    concepts: tuple[Concept, ...] = get_args(Concept)
    """What impossible films violate; in those of `control` nothing is violated, but the film is cut, the light
    changes, or it is compressed from the event on."""
    events: Literal["both", "visible", "hidden"] = "both"
    """Whether events are in view, behind a screen, or in every second scene behind one."""
    camera: Literal["both", "fixed", "walking"] = "both"
    """Whether the camera stands still, walks, or does each in two of four scenes."""
    distractors: int = option(2, at_least=0, at_most=6)
    """Toys that stand behind the event and have no part in it."""
    size: int = option(64, at_least=MIN_SIZE, at_most=2048)
    """Side of the square films in pixels, even."""
    frames: int = option(16, at_least=FEWEST_FRAMES, at_most=10_000)
    """Frames of a film."""
    fps: float = option(8.0, at_least=1, at_most=1000)
    """Frames per second; falls and bounces take as long as they take, everything else is spread over the film."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of all films: same seed, same pixels."""

    def check(self) -> None:
        """Check the concepts and the size.

        Raises:
            ValueError: there are no concepts, one is named twice, or the size is odd.
        """
        if not self.concepts:
            raise ValueError("--concepts needs at least one")
        if len(set(self.concepts)) < len(self.concepts):
            raise ValueError(f"--concepts {' '.join(self.concepts)} names one twice")
        if self.size % 2:
            raise ValueError(f"--size {self.size} must be even")
