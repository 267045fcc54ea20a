"""Quadruples of films: a pure function of the seed, the concept, the scene's number and the options.

Axes: T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from data.frames import to_uint8
from data.synthetic.chance import stream
from experiments.physics.manifest import CONTROL
from experiments.physics.options import StimuliOptions
from experiments.physics.stimuli.concepts import PLOTS, Draw
from experiments.physics.stimuli.controls import change_of, shoot_control
from experiments.physics.stimuli.setting import Setting
from experiments.physics.stimuli.timing import Timing, draw_event

ATTEMPTS = 24
"""Draws of a scene, of which the first is taken in which the event can be seen."""

CELLS = 16
"""Cells of a picture, along each side, in which a change must be seen: as many as common tokenizers have."""

CLEAR_CHANGE = 0.14
"""Least change of a cell's mean level, from 0 to 1, that counts as seen."""

LEAST_SHARE = 0.012
"""Least share of the picture that the object fills where it is in view: at 64 pixels a square of 7."""


@dataclass(frozen=True, eq=False)
class Quadruple:
    """The frames of which four films are made, and where the object is in them."""

    name: str
    scene: str
    concept: str
    hidden: bool
    walking: bool
    timing: Timing
    clips: tuple[Tensor, Tensor]
    """(3, T, H, W) uint8, of A and of B."""
    coverages: tuple[Tensor, Tensor]
    """(T, H, W) in [0, 1]: the share of each pixel that is the object, in A and in B."""
    occlusion: tuple[int, int] | None
    """The frames around the event in which A and B are the same, the object being hidden: first, and last plus 1."""

    def film(self, beginning: str, ending: str) -> tuple[Tensor, Tensor]:
        """Return clip and coverage of the film with the beginning, and the ending, of A or B."""
        first, second = ("AB".index(letter) for letter in (beginning, ending))
        event = self.timing.event
        clip = torch.cat([self.clips[first][:, :event], self.clips[second][:, event:]], dim=1)
        return clip, torch.cat([self.coverages[first][:event], self.coverages[second][event:]])

    def shares(self) -> Tensor:
        """Return the share of the picture that the object fills: (2, T) in [0, 1], for A and B."""
        return torch.stack([coverage.mean((1, 2)) for coverage in self.coverages])

    def changes(self) -> Tensor:
        """Return how much A and B differ in each frame, in the cell where they do most: (T,) in [0, 1]."""
        cells = min(CELLS, self.clips[0].shape[-1])
        small = [adaptive_avg_pool2d(clip.transpose(0, 1) / 255, cells) for clip in self.clips]
        return (small[0] - small[1]).abs().amax((1, 2, 3))


def make_quadruple(options: StimuliOptions, concept: str, number: int) -> Quadruple:
    """Return the quadruple of a concept and a scene's number.

    Scenes are drawn until the event can be seen in one.

    Raises:
        ValueError: pymunk is not installed, or in none of many draws the event can be seen.
    """
    for attempt in range(ATTEMPTS):
        drawn = _draw(options, concept, number, attempt)
        if _is_clear(drawn):
            return drawn
    raise ValueError(
        f"none of {ATTEMPTS} draws of scene {number} shows {concept} well at {options.size} pixels and "
        f"{options.frames} frames: choose larger or longer films, or another --seed"
    )


def _draw(options: StimuliOptions, concept: str, number: int, attempt: int) -> Quadruple:
    hidden = number % 2 == 1 if options.events == "both" else options.events == "hidden"
    walking = number // 2 % 2 == 1 if options.camera == "both" else options.camera == "walking"
    rng = stream(f"physics {concept}", options.seed, number, attempt)
    timing = Timing(options.frames, options.fps, draw_event(rng.uniform(), options.frames))
    plot = PLOTS["permanence" if concept == CONTROL else concept](Draw(rng, options.seed, timing, hidden))
    setting = Setting.of(options, number, attempt, timing, walking, hidden)
    if concept == CONTROL:
        a, b = shoot_control(setting, plot, change_of(number))
    else:
        a, b = setting.shoot(plot, plot.courses, setting.walk())
    drawn = Quadruple(
        name=f"{concept}_{number:05d}",
        scene=f"scene_{number:05d}",
        concept=concept,
        hidden=hidden,
        walking=walking,
        timing=timing,
        clips=(to_uint8(a.clip), to_uint8(b.clip)),
        coverages=(a.coverage, b.coverage),
        occlusion=None,
    )
    return replace(drawn, occlusion=_occlusion(drawn)) if hidden else drawn


def _occlusion(drawn: Quadruple) -> tuple[int, int] | None:
    """Return the frames around the event in which the object is hidden and, but for controls, A and B are the same."""
    covered = (drawn.shares() == 0).all(0)
    if drawn.concept != CONTROL:
        covered &= (drawn.clips[0] == drawn.clips[1]).all(0).all(-1).all(-1)
    event, hidden = drawn.timing.event, covered.tolist()
    if not (hidden[event - 1] and hidden[event]):
        return None
    first = next((frame for frame in reversed(range(event)) if not hidden[frame]), -1) + 1
    last = next((frame for frame in range(event, len(hidden)) if not hidden[frame]), len(hidden))
    return first, last


def _is_clear(drawn: Quadruple) -> bool:
    """Whether the object and what changes can be seen, and the event cannot if it is hidden."""
    event, shares = drawn.timing.event, drawn.shares()
    shown = (shares if shares[1].any() else shares[:1]) >= LEAST_SHARE  # of permanence, B has no object
    if not (shown[:, :event].any(1) & shown[:, event:].any(1)).all():
        return False
    if drawn.hidden and drawn.occlusion is None:
        return False
    if not drawn.hidden and not shown[:, event - 1 : event + 1].all():
        return False
    changes = drawn.changes()
    return drawn.concept == CONTROL or bool(min(changes[:event].max(), changes[event:].max()) >= CLEAR_CHANGE)
