"""Run folders of the diversity experiment as `secondsight diversity run` writes them, with simulated metrics."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

from experiments.diversity.conditions import Group, Kind
from experiments.diversity.reporting.claims import claims
from experiments.diversity.reporting.context import contexts, growths
from experiments.diversity.reporting.runs import choose
from experiments.diversity.reporting.verdicts import ClaimRow
from experiments.diversity.tables import (
    BASELINES,
    DISTANCES,
    MODEL,
    AuditRow,
    BestRow,
    ImageRow,
    ItemRow,
    PositionRow,
    RedundancyRow,
    RunRow,
)
from storage.tables import write_rows

PLAIN = (1.0, 0, 1.0, 0.0)
NO_SETTING = (None, None, None, None)
SETTING = ("temperature", "top_k", "top_p", "min_p")
SIDE = 4
"""Rows and columns of the grid."""
PAIRWISE = {"image": 0.3, "clip": 0.1}
SCALE = {"perceptual": 1.0, "pixel": 0.5, "token": 2.0, "feature": 0.8}


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One run, and how its metrics come out."""

    kind: Kind = "clip"
    model: str = "clip-16"
    training_items: int = 16
    exposures: float | None = 100.0
    items: int = 4
    n: int = 4
    given: Sequence[int] = (1, 2, 3)
    """Of four latent frames or rows."""
    encodings: Sequence[str] = ("alone", "full")
    settings: Sequence[tuple[float, int, float, float]] = (PLAIN,)
    distances: Sequence[str] = DISTANCES
    needed: float = 0.5
    """Share of the grid from which half of the continuations are retrieved."""
    identified: float = 0.97
    videos: int | None = None
    """Videos that the items are from, in turn; one for each item if not given."""

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows, columns."""
        return (4 if self.kind == "clip" else 1, SIDE, SIDE)

    def condition(self, group: str, encoding: str, given: int, setting: tuple[Any, ...]) -> dict[str, Any]:
        """The columns of a condition."""
        return {
            "model": self.model,
            "kind": self.kind,
            "training_items": self.training_items,
            "exposures": self.exposures,
            "group": group,
            "encoding": encoding,
            "given": given,
            "given_share": given / 4,
            **dict(zip(SETTING, setting, strict=True)),
        }

    def origin(self, item: int) -> dict[str, Any]:
        """The columns that say which item it is."""
        name = f"video{item if self.videos is None else item % self.videos}.mp4"
        return {"item": item, "source": name, "start": 2.0 * item, "source_group": name}

    def pixels(self, given: int) -> int:
        """Pixels to generate, of clips of 16 frames of 64 x 64 and images of that size."""
        return (16 if self.kind == "clip" else 1) * 64 * 64 * (4 - given) // 4

    def generated(self, given: int) -> int:
        """Tokens to generate."""
        return math.prod(self.grid) * (4 - given) // 4

    def positions(self, given: int) -> Iterator[tuple[int, int, int]]:
        """The latent frames, rows and columns to generate."""
        frames, height, width = self.grid
        first_frame, first_row = (given, 0) if self.kind == "clip" else (0, given)
        return product(range(first_frame, frames), range(first_row, height), range(width))

    def prompts(self) -> Iterator[tuple[str, str, int]]:
        """Groups, encodings and prompt lengths."""
        for group in ("studied", "new"):
            for encoding in self.encodings:
                for given in self.given:
                    yield group, encoding, given


BOTH = (Simulated(items=48), Simulated(kind="image", model="image-16", items=48, needed=0.6))
"""A run on clips and one on images."""


def make_run(folder: Path, run: Simulated) -> Path:
    """The run folder `folder / run.model`, with an image."""
    out = folder / run.model
    generator = np.random.default_rng(len(run.model) + run.training_items)
    write_rows(out / "run.csv", [_run_row(run)], RunRow)
    items = make_items(run, generator)
    write_rows(out / "items.csv", items, ItemRow)
    write_rows(out / "best.csv", make_best(items), BestRow)
    write_rows(out / "positions.csv", make_positions(run), PositionRow)
    write_rows(out / "audit.csv", make_audit(run, generator), AuditRow)
    write_rows(out / "redundancy.csv", _redundancy(run, generator), RedundancyRow)
    write_rows(out / "images.csv", _images(run, out, generator), ImageRow)
    return out


def make_items(run: Simulated, generator: np.random.Generator) -> list[ItemRow]:
    """Rows of items.csv, baselines included."""
    rows: list[ItemRow] = []
    for group, encoding, given in run.prompts():
        continued = [(MODEL, setting) for setting in run.settings] + [(name, NO_SETTING) for name in BASELINES]
        for name, setting in continued:
            condition = run.condition(group, encoding, given, setting)
            rows += [_item(run, condition, name, item, generator) for item in range(run.items)]
    return rows


def _item(run: Simulated, condition: dict[str, Any], name: str, item: int, generator: np.random.Generator) -> ItemRow:
    made = name == MODEL
    new = condition["group"] == "new"
    n = run.n if name in (MODEL, "other") else 1
    leak = 0.9 if condition["encoding"] == "full" else 1.0
    heat = condition["temperature"] or 1.0
    pairwise = PAIRWISE[run.kind] * leak * heat * (1.3 if new else 1) * (1 if made else 1.6)
    truth = {MODEL: 0.9, "copy": 1.4, "other": 2.2, "nearest": 1.5, "reconstruction": 0.2}[name] * pairwise
    truth += 0.08 * new
    noise = generator.normal(1, 0.15, (3, len(DISTANCES))).clip(0.5)
    measured: dict[str, Any] = {}
    for beginning, base, spread in (("pairwise", pairwise, 0), ("truth", truth, 1), ("best", 0.8 * truth, 2)):
        for index, distance in enumerate(DISTANCES):
            known = distance in (*run.distances, "pixel", "token") and not (beginning == "pairwise" and n == 1)
            value = float(base * SCALE[distance] * noise[spread, index])
            measured[f"{beginning}_{distance}"] = value if known else None
    identified = generator.binomial(run.n, run.identified * (0.8 if new else 1) if made else 0.4) / run.n
    close = 1 / (1 + math.exp(-12 * (condition["given_share"] - run.needed - 0.3 * new + 0.05 * (leak < 1))))
    bits = run.generated(condition["given"]) * (2.0 if run.kind == "clip" else 4.0) * leak * float(noise[0, 0])
    retrieved = generator.binomial(run.n, close) / run.n if made else 0.0
    return ItemRow(
        **condition,
        **measured,
        **run.origin(item),
        continuation=name,
        n=n,
        generated_tokens=run.generated(condition["given"]),
        generated_pixels=run.pixels(condition["given"]),
        prompt_tokens_changed=3,
        identified_pixel=identified,
        identified_token=identified,
        identified_feature=identified if "feature" in run.distances else None,
        retrieved=retrieved,
        exact=retrieved / 2,
        entropy_bits=bits if made else None,
        truth_bits=bits * (2 if new else 1.1) if made else None,
    )


def make_best(items: Sequence[ItemRow]) -> list[BestRow]:
    """Rows of best.csv: one continuation is as near as all of them are on average, all are as near as the best."""
    shared = [field.name for field in fields(BestRow) if field.name != "best_of"]
    return [
        BestRow(
            **{name: getattr(row, name.replace("best_", "truth_") if size < row.n else name) for name in shared},
            best_of=size,
        )
        for row in items
        for size in sorted({1, row.n})
    ]


def make_positions(run: Simulated) -> list[PositionRow]:
    """Rows of positions.csv: entropy falls within a row, and from row to row."""
    rows: list[PositionRow] = []
    for group, encoding, given in run.prompts():
        for setting in run.settings:
            condition = run.condition(group, encoding, given, setting)
            rows += [_position(run, condition, *position) for position in run.positions(given)]
    return rows


def _position(run: Simulated, condition: dict[str, Any], frame: int, row: int, column: int) -> PositionRow:
    alone = condition["encoding"] == "alone"
    entropy = PAIRWISE[run.kind] * (12 - row - column / 2 - frame) + 0.5 * alone
    truth = entropy * (1.8 if condition["group"] == "new" else 1.05)
    return PositionRow(
        **condition,
        latent_frame=frame,
        row=row,
        column=column,
        items=run.items,
        groups=run.videos or run.items,
        entropy_bits=entropy,
        entropy_low=0.9 * entropy,
        entropy_high=1.1 * entropy,
        truth_bits=truth,
        truth_low=0.8 * truth,
        truth_high=1.2 * truth,
    )


def make_audit(run: Simulated, generator: np.random.Generator) -> list[AuditRow]:
    """Rows of audit.csv: continuations of studied items are often that item."""
    rows: list[AuditRow] = []
    for group, encoding, given in run.prompts():
        for setting in run.settings:
            condition = run.condition(group, encoding, given, setting)
            for item in range(run.items):
                rows += _audit_of_item(run, condition, item, generator)
    return rows


def _audit_of_item(
    run: Simulated, condition: dict[str, Any], item: int, generator: np.random.Generator
) -> Iterator[AuditRow]:
    common = float(generator.beta(2, 6))
    for index in range(run.n):
        own = condition["group"] == "studied" and generator.random() < run.identified
        matching = 1 - float(generator.beta(1, 8)) * (generator.random() < 0.7) if own else common
        yield AuditRow(
            **condition,
            **run.origin(item),
            continuation_index=index,
            nearest_source="video0.mp4",
            nearest_start=0.0,
            matching=matching,
            own=own,
            truth_matching=common,
        )


def _redundancy(run: Simulated, generator: np.random.Generator) -> list[RedundancyRow]:
    share = {"image": 0.9, "clip": 0.5}[run.kind]
    return [
        RedundancyRow(
            model=run.model,
            kind=run.kind,
            group=group,
            **run.origin(item),
            given=given,
            given_share=given / 4,
            generated_pixels=1000,
            generated_tokens=run.generated(given),
            pixel_bits_alone=8000,
            pixel_bits_given=int(8000 * share * generator.uniform(0.8, 1.1)),
            token_bits_alone=400,
            token_bits_given=int(420 * share * generator.uniform(0.8, 1.1)),
        )
        for group in get_args(Group)
        for given in run.given
        for item in range(run.items)
    ]


def _images(run: Simulated, out: Path, generator: np.random.Generator) -> list[ImageRow]:
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows: list[ImageRow] = []
    for item, group in enumerate(("studied", "new")):
        file = f"images/{group}.png"
        pixels = generator.integers(0, 256, (2, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 16), Image.Resampling.NEAREST).save(out / file)
        condition = run.condition(group, run.encodings[0], run.given[len(run.given) // 2], run.settings[0])
        for name in ("training_items", "exposures", "given_share"):
            del condition[name]
        origin = {name: value for name, value in run.origin(item).items() if name != "source_group"}
        rows.append(ImageRow(**condition, **origin, reason="most varied", value=0.2, file=file))
    return rows


def _run_row(run: Simulated) -> RunRow:
    tokens = math.prod(run.grid)
    return RunRow(
        model=run.model,
        kind=run.kind,
        gpt_parameters=3_200_000,
        layers=4,
        heads=4,
        width=256,
        tokenizer=f"{run.kind}-fingerprint",
        vocab_size=1024,
        grid="x".join(map(str, run.grid)),
        frames=16 if run.kind == "clip" else 1,
        size=64,
        training_items=run.training_items,
        exposures=run.exposures,
        training_tokens=None if run.exposures is None else int(run.training_items * run.exposures * tokens),
        studied_items=run.items,
        new_items=run.items,
        studied_groups=run.videos or run.items,
        new_groups=run.videos or run.items,
        n=run.n,
        perceptual="efficientnet-lite0" if "perceptual" in run.distances else "none",
        features="efficientnet-lite0" if "feature" in run.distances else "none",
        seed=0,
        command="secondsight",
    )


def make_study(folder: Path, **common: Any) -> list[Path]:
    """Two sizes of training set, images and clips, the larger clip model after two numbers of exposures."""
    runs = [
        Simulated(kind=kind, model=f"{kind}-{size}", training_items=size, needed=needed, **common)
        for kind, offset in (("image", 0.1), ("clip", 0.0))
        for size, needed in ((16, 0.4 + offset), (64, 0.6 + offset))
    ]
    runs.append(Simulated(model="clip-64-early", training_items=64, exposures=25.0, needed=0.8, **common))
    return [make_run(folder, run) for run in runs]


def items_of(*runs: Simulated) -> list[ItemRow]:
    """Rows of items.csv of several runs."""
    return [row for run in runs for row in _items_of(run)]


@cache
def _items_of(run: Simulated) -> list[ItemRow]:
    return make_items(run, np.random.default_rng(0))


def claims_of(items: list[ItemRow], audit: list[AuditRow] | None = None) -> list[ClaimRow]:
    """The claims of a report on these rows."""
    found = contexts(items)
    return claims(items, audit or [], choose(items), found, growths(found))


def with_metrics(items: list[ItemRow], kind: str, **metrics: float) -> list[ItemRow]:
    """The items with other metrics of the model's continuations of a kind."""
    return [replace(row, **metrics) if (row.continuation, row.kind) == (MODEL, kind) else row for row in items]
