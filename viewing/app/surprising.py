"""Which of two films surprises a model more: exact bits per token, over time, as `secondsight physics run` has them.

Axes: T frames, H rows, W columns of a film; t, h, w of its token grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.frames import resize_and_crop_levels
from data.synthetic.chance import stream
from experiments.physics.options import FEWEST_FRAMES, StimuliOptions
from experiments.physics.places import Scale
from experiments.physics.readouts import frame_means
from experiments.physics.stimuli.quadruples import make_quadruple
from experiments.physics.surprise import SurpriseMeter, describe_windows, to_bits
from training.parallel import one_thread
from viewing.app.jobs import Job
from viewing.app.models import Pair
from vqgan.stretches import encode_in_stretches
from vqgan.tokenizer import Tokenizer

MOST_SECONDS = 20.0
"""Of a film, from its beginning, that is looked at."""
SMALLEST_SCENE, LARGEST_SCENE = 64, 128
"""Pixels a side at which scenes are rendered, at least and at most; they are scaled for models of other films."""
SHORTEST_SCENE = 2.0
"""Seconds of a rendered scene, at least."""
ROUNDING = 1e-6
"""Share of the surprise by which two films may differ and count as the same."""
NOWHERE = Path("no-folder")
"""In place of the folder of a set of films, which the app has none of."""


@dataclass(frozen=True)
class FilmPair:
    """Two films that are compared."""

    levels: tuple[Tensor, Tensor]
    """(3, T, H, W) uint8 each, H = W as the models take it; T may differ."""
    impossible: int | None = None
    """Which of them shows what cannot happen; None where nobody has said."""
    event_s: float | None = None
    """Seconds at which they begin to differ; None where nobody knows."""


@dataclass(frozen=True)
class Measured:
    """How surprising two films are."""

    bits: tuple[Tensor, Tensor]
    """(t, h, w) float32 each: of every token, NaN where it has no probability."""
    starts: tuple[float, ...]
    """(t,) seconds at which each latent frame begins."""
    seconds: float
    """Of each film, as far as it was looked at."""
    windows: str
    """How the films passed through the window of the model, in words."""

    @property
    def means(self) -> tuple[float, float]:
        """Bits per token of each film."""
        return tuple(float(bits.double().nanmean()) for bits in self.bits)  # type: ignore[return-value]

    @property
    def curves(self) -> tuple[list[float], list[float]]:
        """Bits per token in each latent frame of each film."""
        return tuple(frame_means(bits).tolist() for bits in self.bits)  # type: ignore[return-value]

    @property
    def more_surprising(self) -> int | None:
        """Which film has more bits per token; None where both have the same, to rounding."""
        first, second = self.means
        if abs(first - second) <= ROUNDING * max(first, second):
            return None
        return int(second > first)


def render_films(pair: Pair, concept: str, scene: int, seed: int, hidden: bool) -> FilmPair:
    """Return two films of the same beginning, one of which ends as it cannot, in an order that chance decides.

    Args:
        pair: decides size and rate.
        concept: what the impossible film violates.
        scene: its number.
        seed: of all scenes.
        hidden: whether the event is behind a screen.

    Raises:
        ValueError: pymunk is not installed, or no draw of the scene shows the event well.
    """
    form = pair.clip_format
    options = StimuliOptions(
        out=NOWHERE,
        concepts=(concept,),  # type: ignore[arg-type]
        events="hidden" if hidden else "visible",
        camera="fixed",
        size=max(SMALLEST_SCENE, min(LARGEST_SCENE, form.size // 2 * 2)),
        frames=max(FEWEST_FRAMES, form.frames, round(SHORTEST_SCENE * form.fps)),
        fps=form.fps,
        seed=seed,
    )
    with one_thread():
        quadruple = make_quadruple(options, concept, scene)
    films = [_scaled(quadruple.film("A", ending)[0], form) for ending in "AB"]
    impossible = int(stream("app films", seed, scene).integers(2))
    ordered = (films[0], films[1]) if impossible else (films[1], films[0])
    return FilmPair(ordered, impossible, quadruple.timing.event / form.fps)


def longest_film(form: ClipFormat) -> ClipFormat:
    """Return the form in which films are read for a model of clips, with as many frames as are looked at, at most."""
    return replace(form, frames=round(MOST_SECONDS * form.fps))


@torch.no_grad()
def measure(pair: Pair, films: FilmPair, job: Job[int, Measured]) -> Measured:
    """Return how surprising two films are to a model; the longer is cut at its end, as matched films are.

    Args:
        pair: the model.
        films: to be compared.
        job: is shown how many films are done.

    Raises:
        MediaError: a film is too short for a latent frame.
        StoppedError: it is to end.
    """
    shortest = min(levels.shape[1] for levels in films.levels)
    scale = Scale.of(pair.tokenizer, _latent_frames(pair.tokenizer, shortest))
    meter = SurpriseMeter(pair.gpt)
    bits = []
    for number, levels in enumerate(films.levels):
        job.check()
        tokens = encode_in_stretches(pair.tokenizer, levels[:, : scale.frames[-1]])
        bits.append(to_bits(meter.nats(tokens)))
        job.show(number + 1)
    return Measured(
        bits=(bits[0], bits[1]),
        starts=tuple(frame / scale.fps for frame in scale.frames[:-1]),
        seconds=scale.frames[-1] / scale.fps,
        windows=describe_windows(pair.gpt.config, scale.grid[0]),
    )


def films_as_given(levels: Sequence[Tensor]) -> FilmPair:
    """Return two films that somebody brought.

    Raises:
        MediaError: they are not two.
    """
    if len(levels) != 2:
        raise MediaError(f"two films are compared, and there {'is one' if len(levels) == 1 else 'are none'}: add one")
    return FilmPair((levels[0], levels[1]))


def _scaled(levels: Tensor, form: ClipFormat) -> Tensor:
    """Return a film (3, T, H, W) uint8 at the size that models take."""
    return resize_and_crop_levels(levels.permute(1, 2, 3, 0), form.size)


def _latent_frames(tokenizer: Tokenizer, frames: int) -> int:
    """Return how many whole latent frames so many frames fill.

    Raises:
        MediaError: none.
    """
    latent_frames = 0
    while tokenizer.frames_of(latent_frames + 1) <= frames:
        latent_frames += 1
    if not latent_frames:
        raise MediaError(
            f"a film has {frames} frames at {tokenizer.fps:g} a second, and the model begins with "
            f"{tokenizer.frames_of(1)}: take longer films"
        )
    return latent_frames
