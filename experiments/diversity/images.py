"""The images of a run: the items at the extremes of what was measured, chosen from the tables, and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from data.drawing import save_image, stack_images
from data.frames import to_uint8
from experiments.diversity.conditions import Group
from experiments.diversity.continuing import BatchResult, ModelUnderTest
from experiments.diversity.material import PromptLength
from experiments.diversity.tables import AuditRow, ImageRow, ItemRow
from experiments.pages import percent
from sampling.completion import Completion, assemble, distances_to_truth, render
from sampling.panels import PLAIN, Panel, completion_panels
from sampling.sampled import Sampled
from sampling.stills import colour_signs, draw_legend, draw_still, draw_title, line_signs

SHOWN = 6
"""Continuations in an image, at most."""
FRAMES = 8
"""Frames of a strip, at most."""
IMAGE_SIDE = 128
"""Height in pixels of images, at most, so that a page can hold many of them."""
FRAME_SIDE = 64
"""Height in pixels of the frames of strips, at most."""
COLOURS = 256
"""Colours of an image, at most."""

MOST_VARIED = "most varied"
LEAST_VARIED = "least varied"
NEAREST = "nearest to the truth"
FARTHEST = "farthest from the truth"
MOST_COPIED = "most like a training item"
MEANINGS = {
    MOST_VARIED: "{}, mean distance between n = {} continuations",
    LEAST_VARIED: "{}, mean distance between n = {} continuations",
    NEAREST: "{}, distance of the original to the nearest of n = {} continuations (in pixels nearest first)",
    FARTHEST: "{}, mean distance of the original to n = {} continuations",
    MOST_COPIED: "{} of the generated tokens are those of the training item",
}
"""What the value of an extreme and the number of continuations say, by the reason."""


@dataclass(frozen=True)
class Extreme:
    """An item worth looking at, and why."""

    item: int
    """Index among the items of the run."""
    reason: str
    """One of `MEANINGS`."""
    value: float
    """The metric that is extreme."""
    continuation: int | None = None
    """Index of the continuation that is most like a training item; None for the other reasons."""
    match: tuple[str, float] | None = None
    """Source and start (seconds) of that training item."""


def show_extremes(out: Path, model: ModelUnderTest, prompts: PromptLength, result: BatchResult) -> Iterator[ImageRow]:
    """Draw the extremes of each group into `out`/images and yield what was drawn.

    Args:
        out: the run folder.
        model: who continued.
        prompts: of one length.
        result: of all items, continued by the model under one condition.
    """
    for group in get_args(Group):
        rows = {row.item: row for row in result.rows if row.group == group}
        audit = [row for row in result.audit if row.group == group]
        for extreme in choose_extremes(list(rows.values()), audit) if rows else ():
            row = rows[extreme.item]
            file = f"images/{row.group}_{row.encoding}_{extreme.reason.replace(' ', '-')}.png"
            draw_extreme(
                out / file,
                completion=_completion(model, prompts, result, row.item),
                extreme=extreme,
                title=f"{extreme.reason}: {row.source} ({group})",
                fps=model.tokenizer.fps,
                match=_training_clip(model, prompts, extreme),
            )
            yield _image_row(row, extreme, file)


def choose_extremes(rows: Sequence[ItemRow], audit: Sequence[AuditRow]) -> list[Extreme]:
    """Choose the items at the extremes under one condition; of equal ones the first.

    Distances are perceptual where these were measured, otherwise of pixels. A training item that is the very item
    continued does not count as one that a continuation is like.

    Args:
        rows: of the model's continuations of all items of a group.
        audit: of the same continuations.

    Returns:
        At most one extreme for each reason; without several continuations of each item none of how varied they are.
    """
    extremes = [
        *_extreme(rows, "pairwise", max, MOST_VARIED),
        *_extreme(rows, "pairwise", min, LEAST_VARIED),
        *_extreme(rows, "best", min, NEAREST),
        *_extreme(rows, "truth", max, FARTHEST),
    ]
    foreign = [row for row in audit if not row.own]
    if foreign:
        row = max(foreign, key=lambda row: row.matching)
        extremes.append(
            Extreme(
                item=row.item,
                reason=MOST_COPIED,
                value=row.matching,
                continuation=row.continuation_index,
                match=(row.nearest_source, row.nearest_start),
            )
        )
    return extremes


def draw_extreme(
    path: Path, completion: Completion, extreme: Extreme, title: str, fps: float, match: Tensor | None
) -> None:
    """Write a PNG of an item: the original, the prompt, and its continuations or the one most like a training item.

    Of many continuations the first are shown, or those nearest to the original in pixels where that is the reason.

    Args:
        path: of the file; its folder is made.
        completion: of the item, with its original and the reconstruction of that.
        extreme: why it is drawn.
        title: first line of the image.
        fps: frames per second of clips.
        match: (3, T, H, W) in [-1, 1], the training item that the continuation is most like; None for other reasons.
    """
    small, step, side = _reduce(completion)
    panels = completion_panels(small)
    shown = [*panels[:2], *(panels[2 + index] for index in _choose_continuations(completion, extreme))]
    lines = [title, _read_value(extreme, len(completion.continuations))]
    if extreme.match is not None and match is not None:
        source, start = extreme.match
        lines.append(f"training item: {source}" + (f" at {start:g} s" if len(small.given_pixels) > 1 else ""))
        shown.append(_plain_panel("training item", _shrink(match[:, ::step], side)))
    still = draw_still(small, shown, lines[-1], fps / step, side)
    above = [draw_title(line, still.width) for line in lines[:-1]]
    legend = draw_legend(colour_signs(shown) + line_signs(small), still.width)
    # A palette makes files a third as large, for faint steps in smooth shades.
    save_image(path, stack_images([*above, still, legend]).quantize(COLOURS))


def _completion(model: ModelUnderTest, prompts: PromptLength, result: BatchResult, item: int) -> Completion:
    """Decode the continuations of the item at an index."""
    tokens = result.tokens[item].unflatten(1, prompts.layout.grid)
    sampled = Sampled.without_scores(tokens)  # which these images do not show
    return assemble(model.tokenizer, prompts.material.clips[item], prompts.layout, sampled)


def _training_clip(model: ModelUnderTest, prompts: PromptLength, extreme: Extreme) -> Tensor | None:
    """Return the training item that a continuation is most like (3, T, H, W), decoded."""
    if extreme.match is None:
        return None
    tokens = model.training.of_item(*extreme.match)
    return render(model.tokenizer, tokens.unflatten(0, prompts.layout.grid), prompts.layout.size[0])


def _image_row(row: ItemRow, extreme: Extreme, file: str) -> ImageRow:
    shared = {field.name for field in fields(ImageRow)} & {field.name for field in fields(ItemRow)}
    columns = {name: getattr(row, name) for name in shared}
    return ImageRow(**columns, reason=extreme.reason, value=extreme.value, file=file)


def _extreme(
    rows: Sequence[ItemRow], beginning: str, choose: Callable[..., tuple[float, int]], reason: str
) -> list[Extreme]:
    """Return the item with the largest or smallest distance, `pairwise`, `truth` or `best`, if that was measured."""
    distance = "pixel" if any(row.truth_perceptual is None for row in rows) else "perceptual"
    measured = [(getattr(row, f"{beginning}_{distance}"), row.item) for row in rows]
    known = [(value, item) for value, item in measured if value is not None]
    if not known:
        return []
    value, item = choose(known, key=lambda pair: pair[0])
    return [Extreme(item, reason, value)]


def _read_value(extreme: Extreme, n: int) -> str:
    value = percent(extreme.value) if extreme.reason == MOST_COPIED else f"{extreme.value:.3g}"
    return MEANINGS[extreme.reason].format(value, n)


def _choose_continuations(completion: Completion, extreme: Extreme) -> list[int]:
    """Return the indices of the continuations that are shown."""
    if extreme.continuation is not None:
        return [extreme.continuation]
    indices = list(range(len(completion.continuations)))
    if extreme.reason == NEAREST:
        indices.sort(key=distances_to_truth(completion).__getitem__)
    return indices[:SHOWN]


def _reduce(completion: Completion) -> tuple[Completion, int, int]:
    """Keep of a completion what fits into a small image.

    Returns:
        The completion without its reconstruction, every how many frames it has of its frames, and the pixels of its
        height, at most.
    """
    frames = len(completion.given_pixels)
    step = -(-frames // FRAMES)
    side = IMAGE_SIDE if frames == 1 else FRAME_SIDE
    assert completion.original is not None
    small = replace(
        completion,
        original=_shrink(completion.original[:, ::step], side),
        reconstruction=None,
        continuations=torch.stack([_shrink(clip[:, ::step], side) for clip in completion.continuations]),
        given_pixels=_shrink(completion.given_pixels[None, ::step].float(), side)[0] > 0.5,
        window_starts=tuple(-(-start // step) for start in completion.window_starts),
    )
    return small, step, side


def _shrink(clip: Tensor, side: int) -> Tensor:
    """Bring a clip (C, T, H, W) that is higher than `side` pixels to that height."""
    height, width = clip.shape[2:]
    if height <= side:
        return clip
    size = (side, max(1, round(width * side / height)))
    return interpolate(clip.transpose(0, 1), size, mode="bilinear", antialias=True).transpose(0, 1)


def _plain_panel(caption: str, clip: Tensor) -> Panel:
    pixels = to_uint8(clip).permute(1, 2, 3, 0).numpy()
    return Panel(caption, pixels, np.full(pixels.shape[:3], PLAIN, dtype=np.uint8))
