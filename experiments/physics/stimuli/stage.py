"""What is on a stage, frame by frame: the object on its course, furniture, and screens that come down before it.

Axes: T frames. Directions of a stage: x to the viewer's right, y away from the viewer, z up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from data.playroom.moving import Thing
from data.playroom.solids import Solids
from experiments.physics.stimuli.dynamics import Motion
from experiments.physics.stimuli.solids import Colours, board, turned
from experiments.physics.stimuli.timing import Timing

LIFT = 1.4
"""Metres by which a screen is lifted, out of view."""


@dataclass(frozen=True)
class Course:
    """Where an object is in each of T frames."""

    solids: Solids
    """The object, around the origin."""
    path: Tensor
    """(T, 3): of its origin."""
    turn: Tensor
    """(T,): radians by which it has rolled."""
    heading: float = 0.0
    """Radians from x, counter-clockwise seen from above: the direction in which it rolls where `turn` grows."""

    @classmethod
    def resting(cls, solids: Solids, x: float, y: float, timing: Timing) -> Course:
        """Return the course of what stands on the floor and does not move."""
        low, _ = solids.reach(torch.tensor([0.0, 0.0, 1.0]))
        path = torch.tensor([x, y, -low]).expand(timing.frames, 3)
        return cls(solids, path, torch.zeros(timing.frames))

    @classmethod
    def moving(cls, solids: Solids, motion: Motion, rolls: bool = True, y: float = 0.0, heading: float = 0.0) -> Course:
        """Return the course of what moves along a straight line on the floor, at a distance `y` behind the middle."""
        c, s = math.cos(heading), math.sin(heading)
        path = torch.stack([c * motion.x, s * motion.x + y, motion.z], dim=-1)
        return cls(solids, path, motion.turn if rolls else torch.zeros_like(motion.turn), heading)

    def at(self, frame: int) -> Solids:
        """Return the object where it is in a frame."""
        axis = (-math.sin(self.heading), math.cos(self.heading))
        return turned(self.solids, _rotation(axis, float(self.turn[frame]))).placed(self.path[frame], 0.0, 1.0)


class Screen(NamedTuple):
    """A screen in front of a part of the stage."""

    x: float
    y: float
    half: float
    """Half its width."""
    height: float

    def at(self, lift: float, colours: Colours) -> Solids:
        """Return the screen `lift` metres above the floor."""
        z = self.height / 2 + lift
        return board((self.x, self.y, z), (self.half, 0.02, self.height / 2), colours)


@dataclass(frozen=True)
class Plot:
    """Two courses of events that both can happen, in the same place."""

    courses: tuple[Course | None, Course | None]
    """Of the object in A and in B; None where there is no object."""
    screens: tuple[Screen, ...]
    """What would hide the event."""
    furniture: tuple[Solids, ...] = ()
    """What rests and is part of the event: what the object stands on or bounces off."""


@dataclass(frozen=True)
class Stage:
    """Where in a room the stage is, and the colours of its screens."""

    position: Tensor
    """(3,): its middle on the floor."""
    yaw: float
    """Radians by which it is turned."""
    screen_colours: Colours

    def put(self, solids: Solids) -> Solids:
        """Return something of the stage where it is in the room."""
        return solids.placed(self.position, self.yaw, 1.0)

    def film(self, course: Course | None, screens: Sequence[Screen], timing: Timing) -> list[list[Thing]]:
        """Return what moves in each frame of a film."""
        lifts = (LIFT * timing.lift()).tolist()
        frames = []
        for frame, lift in enumerate(lifts):
            things = [Thing(self.put(screen.at(lift, self.screen_colours)), shadow=False) for screen in screens]
            if course is not None:
                things.append(Thing(self.put(course.at(frame)), tracked=True))
            frames.append(things)
        return frames


def _rotation(axis: tuple[float, float], angle: float) -> Tensor:
    """Return the matrix (3, 3) of a rotation about a horizontal unit vector (Rodrigues' formula)."""
    x, y = axis
    cross = torch.tensor([[0.0, 0.0, y], [0.0, 0.0, -x], [-y, x, 0.0]])
    return torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
