"""How things move, by the rigid-body simulation of pymunk: rolling, falling, and bouncing off what is in the way.

Everything happens in a plane that stands upright on the floor: x is the way along the floor, z the height, in metres.
Turns are in radians, positive where a ball that rolls on the floor moves towards positive x.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

UNITS = 100.0
"""Units of the simulation in a metre: pymunk's tolerances are meant for lengths of about a hundred."""

GRAVITY = 9.81
"""Metres per second squared."""

STEP = 1 / 240
"""Seconds that a step of the simulation lasts at most."""

MASS_RADIUS = 0.32
"""Radius of gyration of a ball over its radius: a heavy core, so that a bounce leaves most of the speed when the
friction of the floor has turned the spin around, too. A ball that is the same throughout has .63."""


class Barrier(NamedTuple):
    """A fixed bar with round ends."""

    start: tuple[float, float]
    """x and z of the middle of one end."""
    end: tuple[float, float]
    """x and z of the middle of the other end."""
    radius: float
    """Half its thickness."""
    elasticity: float
    """Share of the speed that a perfectly elastic ball keeps in a bounce off it."""
    friction: float
    """Coefficient of friction with a ball whose own is 1."""


class Start(NamedTuple):
    """A ball at time 0; it rolls if it is on a floor."""

    x: float
    z: float
    """Of its middle."""
    radius: float
    speed: float
    """Metres per second towards positive x."""


class Motion(NamedTuple):
    """Where a ball is at each of T times."""

    x: Tensor
    """(T,)"""
    z: Tensor
    """(T,)"""
    turn: Tensor
    """(T,)"""

    def mirrored(self) -> Motion:
        """Return the same motion, seen in a mirror at x = 0."""
        return Motion(-self.x, self.z, -self.turn)


FLOOR = Barrier((-100.0, -0.5), (100.0, -0.5), 0.5, 0.4, 1.0)
"""The floor, at z = 0."""


def wall(x: float, half: float, height: float) -> Barrier:
    """Return an upright wall, so smooth that a ball which bounces off it does not climb it."""
    return Barrier((x, 0.0), (x, height), half, 0.95, 0.0)


def shelf(start: float, end: float, top: float, half: float) -> Barrier:
    """Return a horizontal plate between two places, with its upper side at a height."""
    return Barrier((start, top - half), (end - half, top - half), half, 0.4, 1.0)


def simulate(start: Start, barriers: Sequence[Barrier], frames: int, fps: float) -> Motion:
    """Simulate a ball among barriers and on the floor.

    The same arguments give the same numbers, bit for bit.

    Args:
        start: of the ball, in contact with nothing or resting on something.
        barriers: what else there is than the floor.
        frames: number T of times, the first of which is 0.
        fps: times per second.

    Raises:
        ValueError: pymunk is not installed.
    """
    pymunk = import_pymunk()
    space = pymunk.Space()
    space.gravity = (0.0, -GRAVITY * UNITS)
    space.iterations = 30
    for barrier in (FLOOR, *barriers):
        space.add(_segment(pymunk, space, barrier))
    ball = _ball(pymunk, space, start)
    steps = max(1, round(1 / (fps * STEP)))
    rows = []
    for _ in range(frames):
        rows.append((ball.position.x / UNITS, ball.position.y / UNITS, -ball.angle))
        for _ in range(steps):
            space.step(1 / (fps * steps))
    return Motion(*torch.tensor(rows).T)


def import_pymunk() -> ModuleType:
    """Return the package pymunk.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module("pymunk")
    except ImportError as error:
        needed = "physics stimuli need a package: pip install '.[physics]' in the folder of Secondsight's source"
        raise ValueError(needed) from error


def _segment(pymunk: Any, space: Any, barrier: Barrier) -> Any:
    ends = (tuple(UNITS * value for value in end) for end in (barrier.start, barrier.end))
    segment = pymunk.Segment(space.static_body, *ends, UNITS * barrier.radius)
    segment.elasticity = barrier.elasticity
    segment.friction = barrier.friction
    return segment


def _ball(pymunk: Any, space: Any, start: Start) -> Any:
    body = pymunk.Body(1.0, (MASS_RADIUS * start.radius * UNITS) ** 2)
    body.position = (UNITS * start.x, UNITS * start.z)
    body.velocity = (UNITS * start.speed, 0.0)
    body.angular_velocity = -start.speed / start.radius
    circle = pymunk.Circle(body, UNITS * start.radius)
    circle.elasticity = 1.0
    circle.friction = 1.0
    space.add(body, circle)
    return body
