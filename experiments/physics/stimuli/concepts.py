"""The concepts: for each, two courses of events that both can happen, of which the one cannot turn into the other.

A film that begins as A and ends as B shows what cannot happen, and so does one that begins as B and ends as A.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from data.playroom.solids import Solids
from data.synthetic.chance import happens, pick
from experiments.physics.stimuli.dynamics import Motion, Start, shelf, simulate, wall
from experiments.physics.stimuli.solids import (
    SHAPES,
    Colours,
    Shape,
    board,
    draw_colours,
    draw_pattern,
    draw_toy,
    joined,
    make_solid,
    recoloured,
)
from experiments.physics.stimuli.stage import Course, Plot, Screen
from experiments.physics.stimuli.timing import Timing

RADIUS = 0.22
"""Metres, of balls: their diameter is about a fifth of the width of the picture."""
TOY = 0.58
"""Longest side of toys."""
TRAVEL = 1.3
"""Metres that a rolling ball covers in a film."""

SCREEN = Screen(0.0, -0.36, 0.5, 0.76)

PLACES = 0.5
"""Distance from the middle of the places to the left and right."""
NEAR, FAR = -0.3, 0.5
"""Distances of the two lanes behind the middle."""

WALL_HALF, WALL_HEIGHT, WALL_DEPTH = 0.06, 0.62, 0.38
APPROACH = 1.0
"""Metres that a ball would cover in a film at the speed at which it comes to the wall."""

SHELF_RADIUS = 0.18
SHELF_TOP, SHELF_HALF, SHELF_DEPTH = 0.48, 0.035, 0.24
SHELF_END = 0.32
"""Where the shelf ends, from the place of the event; it begins out of view."""
SHELF_LENGTH = 2.0


@dataclass(frozen=True)
class Draw:
    """What a plot is drawn with."""

    rng: np.random.Generator
    seed: int
    """Of the world of toys."""
    timing: Timing
    hidden: bool

    def passing(self, radius: float = RADIUS) -> Motion:
        """Return the motion of a ball that rolls across the stage, and is in its middle at the event."""
        speed = TRAVEL / self.timing.seconds
        start = Start(-speed * self.timing.moment, radius, radius, speed)
        motion = simulate(start, (), self.timing.frames, self.timing.fps)
        return motion.mirrored() if happens(self.rng, 0.5) else motion

    def ball(self, radius: float = RADIUS) -> Solids:
        """Return a ball of some colour and texture."""
        return make_solid("ball", radius, draw_colours(self.rng), draw_pattern(self.rng))


def permanence(draw: Draw) -> Plot:
    """A: an object is there, at rest or rolling. B: none is."""
    if happens(draw.rng, 0.5):
        course = Course.moving(draw.ball(), draw.passing())
    else:
        course = Course.resting(draw_toy(draw.rng, draw.seed, TOY), draw.rng.uniform(-0.2, 0.2), 0.0, draw.timing)
    return Plot((course, None), (SCREEN,))


def continuity(draw: Draw) -> Plot:
    """A: an object rests on one side, or rolls along one lane. B: it does so on the other.

    Behind screens it always rests: one stands before each place, and the gap between them is never crossed.
    """
    if not draw.hidden and happens(draw.rng, 0.5):
        ball, motion = draw.ball(), draw.passing()
        near, far = (Course.moving(ball, motion, y=y) for y in (NEAR, FAR))
        return Plot((near, far), ())
    toy = draw_toy(draw.rng, draw.seed, 0.8 * TOY)
    left, right = (Course.resting(toy, x, 0.0, draw.timing) for x in (-PLACES, PLACES))
    return Plot((left, right), tuple(SCREEN._replace(x=0.79 * x, half=0.31) for x in (-PLACES, PLACES)))


def shape(draw: Draw) -> Plot:
    """A: an object has one shape, at rest or moving. B: it has another; colours and texture are the same."""
    colours, pattern = draw_colours(draw.rng), draw_pattern(draw.rng)
    names: list[Shape] = draw.rng.permutation(np.array(list(SHAPES)))[:2].tolist()
    motion = draw.passing() if happens(draw.rng, 0.5) else None
    a, b = (_shaped(name, make_solid(name, RADIUS, colours, pattern), motion, draw.timing) for name in names)
    return Plot((a, b), (SCREEN,))


def colour(draw: Draw) -> Plot:
    """A: an object has one colour, at rest or rolling. B: it has another."""
    shift = draw.rng.uniform(0.35, 0.65)
    if happens(draw.rng, 0.5):
        ball, motion = draw.ball(), draw.passing()
        a, b = (Course.moving(solids, motion) for solids in (ball, recoloured(ball, shift)))
    else:
        toy = draw_toy(draw.rng, draw.seed, TOY)
        a, b = (Course.resting(solids, 0.0, 0.0, draw.timing) for solids in (toy, recoloured(toy, shift)))
    return Plot((a, b), (SCREEN,))


def solidity(draw: Draw) -> Plot:
    """A: a ball rolls up to a wall and bounces off it. B: the same on the other side of the wall."""
    timing, ball = draw.timing, draw.ball()
    speed = APPROACH / timing.seconds
    start = Start(-WALL_HALF - RADIUS - speed * timing.moment, RADIUS, RADIUS, speed)
    motion = simulate(start, (wall(0.0, WALL_HALF, WALL_HEIGHT),), timing.frames, timing.fps)
    sides = (Course.moving(ball, motion), Course.moving(ball, motion.mirrored()))
    colours = draw_colours(draw.rng)
    barrier = board((0.0, 0.0, WALL_HEIGHT / 2), (WALL_HALF, WALL_DEPTH, WALL_HEIGHT / 2), colours)
    courses = sides if happens(draw.rng, 0.5) else (sides[1], sides[0])
    return Plot(courses, (Screen(0.0, -0.45, 0.6, 0.78),), (barrier,))


def support(draw: Draw) -> Plot:
    """A: a ball rolls along a shelf and falls off its end. B: it rolls on the floor below."""
    timing, ball = draw.timing, draw.ball(SHELF_RADIUS)
    speed = TRAVEL / timing.seconds
    from_left = happens(draw.rng, 0.5)
    plate = shelf(-SHELF_LENGTH, SHELF_END, SHELF_TOP, SHELF_HALF)
    motions = []
    for low in (SHELF_TOP, 0.0):
        start = Start(-speed * timing.moment, low + SHELF_RADIUS, SHELF_RADIUS, speed)
        motion = simulate(start, (plate,), timing.frames, timing.fps)
        motions.append(motion if from_left else motion.mirrored())
    above, below = (Course.moving(ball, motion) for motion in motions)
    furniture = _shelf(1 if from_left else -1, draw_colours(draw.rng))
    return Plot((above, below), (Screen(0.0, -0.33, 0.5, 1.0),), (furniture,))


def inertia(draw: Draw) -> Plot:
    """A: a ball rolls straight across the middle. B: it comes back from where A rolls to, or from beside that."""
    ball, motion = draw.ball(), draw.passing()
    turn = math.pi + math.radians(pick(draw.rng, (-50.0, -25.0, 0.0, 25.0, 50.0)))
    courses = tuple(Course.moving(ball, motion, heading=heading) for heading in (0.0, turn))
    return Plot((courses[0], courses[1]), (Screen(0.0, -0.52, 0.48, 0.74),))


PLOTS: dict[str, Callable[[Draw], Plot]] = {
    "permanence": permanence,
    "continuity": continuity,
    "shape": shape,
    "colour": colour,
    "solidity": solidity,
    "support": support,
    "inertia": inertia,
}
"""What draws the plot of a concept."""


def _shaped(name: Shape, solids: Solids, motion: Motion | None, timing: Timing) -> Course:
    """Return the course of an object of some shape, which rolls if it is a ball and slides if it is not."""
    if motion is None:
        return Course.resting(solids, 0.0, 0.0, timing)
    low, _ = solids.reach(torch.tensor([0.0, 0.0, 1.0]))
    return Course.moving(solids, motion._replace(z=torch.full_like(motion.z, -low)), rolls=name == "ball")


def _shelf(side: int, colours: Colours) -> Solids:
    """Return a shelf that ends on the right (1) or on the left (-1), on legs at its back."""
    middle, half = (SHELF_END - SHELF_LENGTH) / 2, (SHELF_END + SHELF_LENGTH) / 2
    plate = board((side * middle, 0.0, SHELF_TOP - SHELF_HALF), (half, SHELF_DEPTH, SHELF_HALF), colours)
    height = SHELF_TOP / 2 - SHELF_HALF
    places = (SHELF_END - 0.06, SHELF_END - 0.9)
    legs = [board((side * x, SHELF_DEPTH - 0.03, height), (0.03, 0.03, height), colours) for x in places]
    return joined([plate, *legs])
