"""The viewer of a stage: a head that stands still, or walks a little to and fro before it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from data.playroom.room import Walk
from experiments.physics.stimuli.stage import Stage
from experiments.physics.stimuli.timing import Timing

SWAY = 0.16
"""Metres by which a walking head goes to either side."""
ROLL = 0.015
"""Radians by which it leans."""


def draw_walk(rng: np.random.Generator, stage: Stage, timing: Timing, walking: bool, beside: float = 0.0) -> Walk:
    """Return the walk of a head before a stage, looking at it; T frames.

    Args:
        rng: of the distance, the height and the walk.
        stage: that is looked at.
        timing: of the film.
        walking: whether the head moves.
        beside: radians by which it stands beside the front of the stage.
    """
    distance, height = rng.uniform(1.5, 1.62), rng.uniform(0.82, 0.95)
    phases = rng.uniform(0, 2 * math.pi, 3).tolist()
    time = torch.arange(timing.frames) / timing.fps * float(walking)
    sideways = SWAY * torch.sin(1.5 * time + phases[0]) * walking
    back = distance + 0.05 * torch.sin(0.9 * time + phases[1]) * walking
    up = height + 0.012 * torch.sin(3.4 * math.pi * time + phases[2]) * walking
    eye = _turned(torch.stack([sideways, -back, up], dim=-1), beside)
    target = torch.stack([0.3 * sideways, torch.zeros_like(up), 0.26 + 0.02 * torch.sin(time) * walking], dim=-1)
    roll = ROLL * torch.sin(1.7 * math.pi * time) * walking
    eye, target = (_turned(points, stage.yaw) + stage.position for points in (eye, target))
    return Walk(eye, target, roll)


def _turned(points: Tensor, angle: float) -> Tensor:
    """Points (T, 3) turned about z."""
    c, s = math.cos(angle), math.sin(angle)
    return points @ torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
