"""Where films are shot: the room, the stage in it, the toys behind it, and the camera; the same for all concepts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from data.playroom.moving import Film, render_films
from data.playroom.room import Scene, Walk, make_scene
from data.playroom.solids import Solids
from data.playroom.toys import rgb
from data.synthetic.chance import stream
from experiments.physics.options import StimuliOptions
from experiments.physics.stimuli.cameras import draw_walk
from experiments.physics.stimuli.solids import draw_toy
from experiments.physics.stimuli.stage import Course, Plot, Stage
from experiments.physics.stimuli.timing import Timing

DISTRACTOR = (0.45, 0.6)
"""Least and largest longest side of distractors, in metres."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Where a scene is shot."""

    room: Scene
    """Without the event."""
    stage: Stage
    timing: Timing
    walking: bool
    hidden: bool
    """Whether screens hide the event."""
    numbers: tuple[int, int, int]
    """Seed, number of the scene, and which draw of it this is."""
    size: int

    @classmethod
    def of(
        cls, options: StimuliOptions, number: int, attempt: int, timing: Timing, walking: bool, hidden: bool
    ) -> Setting:
        """Return the setting of a scene."""
        numbers = (options.seed, number, attempt)
        rng = stream("physics setting", *numbers)
        stage = _draw_stage(rng)
        room = make_scene(options.seed, number)
        toys = tuple(stage.put(toy) for toy in _draw_distractors(rng, options.seed, options.distractors))
        return cls(replace(room, toys=toys), stage, timing, walking, hidden, numbers, options.size)

    def walk(self, beside: float = 0.0) -> Walk:
        """Return the walk of the camera, from `beside` radians beside the front of the stage."""
        rng = stream("physics walk", *self.numbers)
        return draw_walk(rng, self.stage, self.timing, self.walking, beside)

    def shoot(self, plot: Plot, courses: Sequence[Course | None], walk: Walk) -> list[Film]:
        """Render the films of courses of a plot."""
        screens = plot.screens if self.hidden else ()
        furniture = [self.stage.put(solids) for solids in plot.furniture]
        films = [self.stage.film(course, screens, self.timing) for course in courses]
        return render_films(self.room, walk, films, self.size, furniture)


def _draw_stage(rng: np.random.Generator) -> Stage:
    across, along = rng.uniform(-0.15, 0.15, 2).tolist()
    hue = rng.uniform()
    colours = (rgb(hue, 0.3, 0.85), rgb(hue, 0.3, 0.7))
    return Stage(torch.tensor([across, along, 0.0]), rng.uniform(0, 2 * math.pi), colours)


def _draw_distractors(rng: np.random.Generator, seed: int, count: int) -> list[Solids]:
    """Return toys in a row behind the stage, each in its own part of the row."""
    toys = []
    for number in range(count):
        toy = draw_toy(rng, seed, rng.uniform(*DISTRACTOR))
        x = 2.3 * ((number + rng.uniform(0.25, 0.75)) / count - 0.5)
        low, _ = toy.reach(torch.tensor([0.0, 0.0, 1.0]))
        toys.append(toy.placed(torch.tensor([x, rng.uniform(0.75, 1.0), -low]), 0.0, 1.0))
    return toys
