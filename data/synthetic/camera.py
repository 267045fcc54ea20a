"""How cameras and things move: smooth functions of time, so that a longer clip begins as a shorter one does.

Lengths are in half widths of the picture, times in seconds, angles in radians. T frames, K samples of the shutter.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data.synthetic.chance import happens, log_uniform, pick

Times = NDArray[np.float64]

STYLES = ("still", "hand", "hand", "pan", "pan", "zoom", "walk", "turn")
"""How the camera is held; `still` stands on a tripod."""


@dataclass(frozen=True)
class Wander:
    """A smooth function of time around 0: a sum of slow sines."""

    amplitude: NDArray[np.float64]
    frequency: NDArray[np.float64]
    """Hertz."""
    phase: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, amplitude: float, slowest: float, fastest: float) -> "Wander":
        """Return one of an amplitude, in which frequencies between two take part."""
        frequency = np.exp(rng.uniform(np.log(slowest), np.log(fastest), 3))
        share = rng.dirichlet(np.ones(3))
        return cls(amplitude * share, frequency, rng.uniform(0, 2 * np.pi, 3))

    def __call__(self, times: Times) -> Times:
        """Return the values at times, of their shape."""
        turns = 2 * np.pi * self.frequency * times[..., None] + self.phase
        values: Times = (self.amplitude * np.sin(turns)).sum(-1)
        return values

    @property
    def speed(self) -> float:
        """The greatest change per second."""
        return float((self.amplitude * self.frequency).sum() * 2 * np.pi)


@dataclass(frozen=True)
class Camera:
    """Where a camera looks over time, how it is turned, how near it is, and how long its shutter is open."""

    across: Wander
    down: Wander
    roll: Wander
    zoom: Wander
    """Logarithm of the magnification."""
    shake: tuple[Wander, Wander]
    tilt: tuple[float, float]
    """How much nearer the right and the lower edge of the scene are: its perspective."""
    shutter: float
    """Part of a frame's time for which it is open."""

    @property
    def speed(self) -> float:
        """About the greatest speed of the picture, in half widths per second."""
        moves = (self.across, self.down, self.roll, self.zoom, *self.shake)
        return float(np.hypot.reduce([move.speed for move in moves]))

    def matrices(self, times: Times, depth: float) -> Times:
        """Return the homographies (..., 3, 3) from the picture to a layer, at times (...).

        Args:
            times: seconds.
            depth: how much the layer moves when the camera does: 0 for what is far, 1 and more for what is near.
        """
        scale = np.exp(-self.zoom(times) * (0.4 + 0.6 * depth))
        angle = self.roll(times)
        x = depth * (self.across(times) + self.shake[0](times))
        y = depth * (self.down(times) + self.shake[1](times))
        seen = np.zeros((*times.shape, 3, 3))
        seen[..., 0, 0] = seen[..., 1, 1] = scale * np.cos(angle)
        seen[..., 0, 1] = -scale * np.sin(angle)
        seen[..., 1, 0] = scale * np.sin(angle)
        seen[..., 0, 2], seen[..., 1, 2], seen[..., 2, 2] = x, y, 1
        lens = np.eye(3)
        lens[2, :2] = self.tilt
        turned: Times = seen @ lens
        return turned


def draw_camera(rng: np.random.Generator) -> Camera:
    """Return a camera that is held in one of the ways of `STYLES`."""
    style = pick(rng, STYLES)
    move = log_uniform(rng, 0.05, 0.55) if style in ("pan", "walk", "hand") else 0.03
    fast = 0.45 if style == "pan" else 0.25
    still = 0.0 if style == "still" else 1.0
    shaky = 0.0 if style in ("still", "pan", "zoom") else log_uniform(rng, 0.004, 0.05)
    tilted = rng.normal(0, 0.12, 2) if happens(rng, 0.6) else np.zeros(2)
    return Camera(
        across=Wander.draw(rng, still * move, 0.06, fast),
        down=Wander.draw(rng, still * move * rng.uniform(0.1, 0.8), 0.06, fast),
        roll=Wander.draw(rng, still * (rng.uniform(0.3, 1.2) if style == "turn" else 0.05), 0.05, 0.3),
        zoom=Wander.draw(rng, still * (rng.uniform(0.1, 0.3) if style in ("zoom", "walk") else 0.03), 0.06, 0.3),
        shake=(Wander.draw(rng, shaky, 0.8, 4), Wander.draw(rng, shaky, 0.8, 4)),
        tilt=(float(np.clip(tilted[0], -0.25, 0.25)), float(np.clip(tilted[1], -0.25, 0.25))),
        shutter=float(pick(rng, (0.05, 0.2, 0.5, 0.5, 0.9))),
    )


@dataclass(frozen=True)
class Motion:
    """How a layer moves by itself, besides what the camera does."""

    across: Wander
    down: Wander
    roll: Wander
    size: Wander = field(default_factory=lambda: Wander(np.zeros(1), np.ones(1), np.zeros(1)))

    def matrices(self, times: Times) -> Times:
        """Return the maps (..., 3, 3) from the world to the layer at times (...)."""
        angle, scale = self.roll(times), np.exp(-self.size(times))
        back = np.zeros((*times.shape, 3, 3))
        back[..., 0, 0] = back[..., 1, 1] = scale * np.cos(angle)
        back[..., 0, 1] = scale * np.sin(angle)
        back[..., 1, 0] = -scale * np.sin(angle)
        x, y = self.across(times), self.down(times)
        back[..., 0, 2] = -(back[..., 0, 0] * x + back[..., 0, 1] * y)
        back[..., 1, 2] = -(back[..., 1, 0] * x + back[..., 1, 1] * y)
        back[..., 2, 2] = 1
        return back


def draw_motion(rng: np.random.Generator, reach: float) -> Motion:
    """Return how a thing moves that goes about as far as `reach` from its place."""
    reach = reach * log_uniform(rng, 0.2, 1)
    return Motion(
        Wander.draw(rng, reach, 0.1, 0.6),
        Wander.draw(rng, 0.6 * reach, 0.1, 0.6),
        Wander.draw(rng, 0.5 * reach, 0.1, 0.6),
        Wander.draw(rng, 0.2 * reach, 0.1, 0.4),
    )
