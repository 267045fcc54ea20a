"""All ways of continuing the items of one stage, part by part: what is finished is kept, and not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path

from experiments.diversity.continuing import Continuing, Subject
from experiments.diversity.measures import embed_truths
from experiments.diversity.parts import Part, join_parts, part_of
from experiments.diversity.positions import position_rows
from experiments.diversity.redundancy import measure_redundancy
from experiments.diversity.stage import Stage
from experiments.diversity.tables import Group, PositionRow, RedundancyRow, Way
from sampling.options import PromptEncoding, SamplingOptions

GROUPS: tuple[Group, ...] = ("studied", "new")


class Measuring:
    """Continues the items of a stage, some at a time.

    Items are always continued in the same company, so that an interruption changes no rounding.

    Args:
        subject: who continues.
        stage: the amount given.
        folder: for the finished parts.
        batch: items continued side by side.
    """

    def __init__(self, subject: Subject, stage: Stage, folder: Path, batch: int) -> None:
        self.stage = stage
        self.model = str(subject.label["model"])
        self.continuing = Continuing(subject, stage, embed_truths(subject.spaces, stage.renderings))
        self.folder = folder / f"given-{stage.given}"
        numbers = range(len(stage.material.items))
        self.batches = [numbers[first : first + batch] for first in numbers[::batch]]

    def with_model(self, encoding: PromptEncoding, setting: SamplingOptions) -> Part:
        """Return what comes of letting the model continue all items."""
        temperature, top_k, top_p, min_p = astuple(setting)
        name = f"temperature-{temperature:g}_top-k-{top_k}_top-p-{top_p:g}_min-p-{min_p:g}"
        return self._all_items(name, encoding, lambda numbers, done: self.continuing.with_model(numbers, done, setting))

    def without_model(self, encoding: PromptEncoding) -> Part:
        """Return the baselines of all items."""
        return self._all_items("baselines", encoding, self.continuing.without_model)

    def redundancy(self) -> Iterator[RedundancyRow]:
        """Yield what a compressor knows of the rest of every item from the given part."""
        stage, material = self.stage, self.stage.material
        for number, item in enumerate(material.items):
            measured = measure_redundancy(material.clips[number], material.tokens[number], *stage.layout.part)
            truth = stage.truth(number)
            yield RedundancyRow(
                model=self.model,
                kind=material.kind,
                group=material.groups[number],
                item=number,
                source=item.source.name,
                start=item.start,
                given=stage.given,
                given_share=stage.given_share,
                generated_pixels=truth.pixels[0, 0].numel(),
                generated_tokens=truth.tokens.numel(),
                **asdict(measured),
            )

    def _all_items(
        self, name: str, encoding: PromptEncoding, make: Callable[[Sequence[int], PromptEncoding], Part]
    ) -> Part:
        return join_parts([self._part(name, place, encoding, make) for place in range(len(self.batches))])

    def _part(
        self, name: str, place: int, encoding: PromptEncoding, make: Callable[[Sequence[int], PromptEncoding], Part]
    ) -> Part:
        numbers = self.batches[place]
        # A causal tokenizer makes the same prompts either way, and chance does not depend on the encoding.
        same = not self.stage.changed[numbers].any()
        done: PromptEncoding = "alone" if same else encoding
        path = self.folder / f"{name}_{done}" / f"{place:03d}.npz"
        return part_of(path, lambda: make(numbers, done)).encoded(encoding)


def positions_of(stage: Stage, part: Part) -> Iterator[PositionRow]:
    """Yield the mean entropy and surprise of every generated token, group by group."""
    for group in GROUPS:
        places = [place for place, row in enumerate(part.rows) if row.group == group]
        if places:
            way = {field.name: getattr(part.rows[places[0]], field.name) for field in fields(Way)}
            yield from position_rows(stage, way, part.entropy_bits[places], part.truth_bits[places])
