"""Whether tokens of the first half of a film know its second half: then surprise at an event comes before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from data.clips import as_clip
from experiments.physics.checks import CheckedFilm
from experiments.physics.encoding import latent_frames_of
from storage.terminal import count
from vqgan.leakage import prompt_changes
from vqgan.tokenizer import Tokenizer

FILMS = 8
"""Films on which the leak is measured, at most."""


class LeakError(ValueError):
    """A tokenizer is not causal, and only causal ones are asked for."""


def describe_leak(films: Sequence[CheckedFilm], tokenizer: Tokenizer, strict: bool) -> str:
    """Return in words whether tokens know what follows, as measured on some films where the tokenizer may look ahead.

    Args:
        films: in an order that does not depend on names; the first are taken.
        tokenizer: on its device.
        strict: refuse a tokenizer whose tokens know what follows, or of which that cannot be measured.

    Raises:
        LeakError: it is such a tokenizer.
    """
    if tokenizer.causal:
        return "the tokenizer is causal: no token depends on later frames"
    share = measure_leak(films[:FILMS], tokenizer)
    if share == 0:
        return f"the tokenizer may look ahead, and on {count(len(films[:FILMS]), 'film')} no token of a first half did"
    if share is None:
        said = "the tokenizer is not causal, and of films of one latent frame its leak cannot be measured"
    else:
        said = f"the tokenizer is not causal: {100 * share:.1f} % of the tokens of first halves know the second half"
    if strict:
        raise LeakError(f"{said}: give a causal tokenizer, or leave out --strict to measure all the same")
    return f"{said}, so that surprise may come before the event"


def measure_leak(films: Sequence[CheckedFilm], tokenizer: Tokenizer) -> float | None:
    """Return the share of tokens of first halves that change when the second half does; None for short films."""
    changes = []
    for film in films:
        latent_frames = latent_frames_of(film.footage, tokenizer)
        if latent_frames > 1:
            levels = film.footage.clip(tokenizer.frames_of(latent_frames), tokenizer.fps, tokenizer.size)
            changes.append(prompt_changes(tokenizer, as_clip(levels)[None].to(tokenizer.device)).cpu().flatten())
    return float(torch.cat(changes).double().mean()) if changes else None
