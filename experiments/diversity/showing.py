"""The images of a run: the items at the extremes of what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor

from experiments.diversity.continuing import Subject
from experiments.diversity.images import Extreme, choose_extremes, draw_extreme
from experiments.diversity.measuring import GROUPS
from experiments.diversity.parts import Part
from experiments.diversity.stage import Stage
from experiments.diversity.tables import ImageRow, ItemRow
from sampling.completion import Completion, Drawn, assemble
from sampling.rendering import render


def show_extremes(out: Path, subject: Subject, stage: Stage, part: Part) -> Iterator[ImageRow]:
    """Draw the extremes of each group into `out`/images and yield what was drawn.

    Args:
        out: the run folder.
        subject: who continued.
        stage: the amount given.
        part: all items, continued by the model in one way.
    """
    for group in GROUPS:
        rows = {row.item: row for row in part.rows if row.group == group}
        audit = [row for row in part.audit if row.group == group]
        for extreme in choose_extremes(list(rows.values()), audit) if rows else ():
            row = rows[extreme.item]
            name = f"{row.group}_{row.encoding}_{extreme.reason.replace(' ', '-')}.png"
            completion = _completion(subject, stage, part, row.item)
            title = f"{extreme.reason}: {row.source} ({group})"
            match = _training_clip(subject, stage, extreme)
            fps = subject.tokenizer.fps
            draw_extreme(out / "images" / name, completion, extreme, title, fps, match)
            yield _image_row(row, extreme, f"images/{name}")


def _image_row(row: ItemRow, extreme: Extreme, file: str) -> ImageRow:
    shared = {field.name for field in fields(ImageRow)} & {field.name for field in fields(ItemRow)}
    columns = {name: getattr(row, name) for name in shared}
    return ImageRow(**columns, reason=extreme.reason, value=extreme.value, file=file)


def _completion(subject: Subject, stage: Stage, part: Part, number: int) -> Completion:
    tokens = part.tokens[number].unflatten(1, stage.layout.grid)
    unknown = torch.full(tokens.shape, torch.nan)  # scores, which these images do not show
    return assemble(subject.tokenizer, stage.material.clips[number], stage.layout, Drawn(tokens, unknown, unknown))


def _training_clip(subject: Subject, stage: Stage, extreme: Extreme) -> Tensor | None:
    """Return the training item that a continuation is most like (3, T, H, W), decoded."""
    if extreme.match is None:
        return None
    tokens = subject.training.of_item(*extreme.match)
    return render(subject.tokenizer, tokens.unflatten(0, stage.layout.grid), stage.layout.size[0])
