"""How a model's window slides over a sequence that is longer: over whole latent frames."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.config import GPTConfig


@dataclass(frozen=True)
class Stretch:
    """A stretch of a sequence that is sampled with the model looking from one place; all are positions in it."""

    first: int
    """The first token that it sees."""
    start: int
    """The first token that it samples."""
    stop: int
    """One past the last token that it samples."""


def windows(config: GPTConfig, prompt: int, length: int, overlap: int | None = None) -> list[Stretch]:
    """Return the windows that sample a sequence, one after another.

    Args:
        config: of the model.
        prompt: tokens at the beginning that are given.
        length: tokens of the whole sequence.
        overlap: latent frames that a new window keeps of those before; by default half of the window's.

    Raises:
        ValueError: the prompt is longer than the window or the sequence, or the sequence is longer than the window
            and does not consist of whole latent frames, or the overlap does not fit.
    """
    frames = config.grid[0]
    frame = config.grid[1] * config.grid[2]
    if prompt > length:
        raise ValueError(f"the prompt of {prompt} tokens is longer than the result of {length}")
    if length <= config.window:
        return [Stretch(0, prompt, length)]
    if prompt > config.window:
        raise ValueError(f"a prompt of {prompt} tokens is longer than the window of {config.window}: give less")
    if frames == 1 or length % frame:
        raise ValueError(
            f"{length} tokens do not fit the window of {config.window}, which slides over whole latent frames "
            f"of {frame} tokens" + (" and holds only one" if frames == 1 else "")
        )
    overlap = frames // 2 if overlap is None else overlap
    if not 0 < overlap < frames:
        raise ValueError(f"--overlap {overlap} must lie in 1 to {frames - 1}: the window has {frames} latent frames")
    starts = [start * frame for start in window_starts(frames, length // frame, overlap)]
    later = [
        Stretch(start - overlap * frame, start, min(start + (frames - overlap) * frame, length)) for start in starts
    ]
    return [Stretch(0, prompt, config.window), *later]


def window_starts(window_frames: int, frames: int, overlap: int) -> tuple[int, ...]:
    """Return the latent frames at which a new window begins to sample.

    Args:
        window_frames: latent frames that the model sees at once.
        frames: latent frames of the whole sequence.
        overlap: latent frames that a new window keeps of those before.
    """
    return tuple(range(window_frames, frames, window_frames - overlap))
