"""The token grids of a store as `--latent-frames` of `secondsight gpt train` asks for them.

A GPT that learns shuffled latent frames sees the same pictures as one that learns them in order, and nothing of how
they follow one another; one of single latent frames sees no other. What such a GPT can do asks for no knowledge of
time.

Axes: B items, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from data.latent_frames import SingleFrames, shuffle_latent_frames
from data.tokens import TokenStore
from gpt.evaluate import evenly, held_out
from gpt.options import LatentFrames
from training.order import SampleIndex


def open_tokens(path: Path, latent_frames: LatentFrames) -> TokenStore:
    """Return the store at a path; with `single`, each of its items is a latent frame.

    Raises:
        TokenStoreError: it cannot be used.
        ValueError: its items are single latent frames as they are, so that there is nothing to shuffle or part.
    """
    store = SingleFrames(path) if latent_frames == "single" else TokenStore(path)
    if latent_frames != "in-order" and store.clips.grid[0] == 1:
        raise ValueError(
            f"--latent-frames {latent_frames} is for clips of several latent frames, and the items of {path} have one:"
            " leave it out, or encode clips with a tokenizer of clips"
        )
    return store


def read_samples(
    store: TokenStore, items: Sequence[int], samples: Sequence[SampleIndex], latent_frames: LatentFrames
) -> Tensor:
    """Return the tokens (B, L) int64 of samples of a training; what is random about them their seeds decide.

    Args:
        store: that `open_tokens` returned.
        items: positions in it of what is learned; samples are of these.
        samples: of one step, or of a part of it.
        latent_frames: how they are seen.
    """
    tokens = store.read([items[sample.index] for sample in samples])
    if latent_frames != "shuffled":
        return tokens
    return shuffle_latent_frames(tokens, store.metadata.grid, [sample.seed for sample in samples])


def read_held_out(store: TokenStore, latent_frames: LatentFrames, limit: int) -> Tensor:
    """Return the tokens (B, L) int64 of held-out items, evenly spread if more than `limit`, the same ones every time.

    Of clips that are parted, all latent frames are taken, and fewer clips. Those that are shuffled have the order that
    their position in the store decides.
    """
    if latent_frames == "single":
        return store.read(_of_whole_clips(store, limit))
    indices = held_out(store, limit)
    tokens = store.read(indices)
    return tokens if latent_frames == "in-order" else shuffle_latent_frames(tokens, store.metadata.grid, indices)


def describe_latent_frames(latent_frames: LatentFrames) -> str:
    """Return in words how latent frames are seen that are not seen in order."""
    how = "in a random order, another one each time" if latent_frames == "shuffled" else "each by itself"
    return f"{latent_frames}, {how}: the GPT is a control, which learns nothing of what follows what"


def _of_whole_clips(store: TokenStore, limit: int) -> list[int]:
    """Return positions of held-out latent frames; evenly spread ones would all be the first of their clips, say."""
    latent_frames = store.clips.grid[0]
    first = held_out(store)[::latent_frames]
    return [clip + index for clip in evenly(first, max(1, limit // latent_frames)) for index in range(latent_frames)]
