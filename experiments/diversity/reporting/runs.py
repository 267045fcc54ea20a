"""The runs of a report: their tables as one, and which of their rows stand for images and for clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

from experiments.diversity.conditions import ConditionColumns, Kind
from experiments.diversity.options import unfinished
from experiments.diversity.tables import MODEL, ROW_TYPES, UNIQUE, ItemRow, RunRow, Tables
from experiments.tables import read_results

Row = TypeVar("Row")
TrainedRow = TypeVar("TrainedRow", bound="Trained")

SETTING = ("temperature", "top_k", "top_p", "min_p")
"""Names of the sampling options."""
PLAIN = (1.0, 0, 1.0, 0.0)
"""The model's own distributions: temperature 1, no filter."""
OPTIONAL = ("best",)
"""Tables that runs of earlier versions lack. There the best of n is known of all n continuations only."""
PROTOCOL = ("perceptual", "features")
"""Columns of run.csv, and options, in which all runs of a report agree: networks have scales of their own."""
PROTOCOL_OF_KIND = ("tokenizer", "grid", "frames", "size")
"""Columns in which all runs of images agree, and all runs of clips: what is compared over sizes of training sets."""


@dataclass
class Merged(Tables):
    """The rows of several runs, and where they come from."""

    folders: dict[str, Path] = field(default_factory=dict)
    """Run folders by model, where the images are."""


def merge_runs(folders: Sequence[Path]) -> Merged:
    """Read the tables of run folders.

    Raises:
        ValueError: a folder lacks a table, its items, or an image that it names, two runs have the same name, or they
            differ in what must be the same to be compared.
    """
    merged = Merged()
    for folder in folders:
        for name, row_type in ROW_TYPES.items():
            if name not in OPTIONAL or (folder / f"{name}.csv").exists():
                getattr(merged, name).extend(_read(folder, f"{name}.csv", row_type))
        run = merged.run[-1]
        if run.model in merged.folders:
            raise ValueError(
                f"{merged.folders[run.model]} and {folder} are both called {run.model}, and a report could not tell "
                "them apart; measure one of them into a folder of another name"
            )
        images = select(merged.images, model=run.model)
        missing = [row.file for row in images if not (folder / row.file).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {missing[0]}, which its images.csv names; measure it again")
        merged.folders[run.model] = folder
    _check_protocol(merged.run)
    return merged


def _check_protocol(runs: Sequence[RunRow]) -> None:
    """Refuse runs whose metrics cannot stand side by side.

    Raises:
        ValueError: two runs measure by different networks, or two of one kind differ in their items or tokens.
    """
    for index, run in enumerate(runs):
        for other in runs[:index]:
            names = (*PROTOCOL, *(PROTOCOL_OF_KIND if run.kind == other.kind else ()))
            differing = [
                f"{name} ({getattr(other, name)} and {getattr(run, name)})"
                for name in names
                if getattr(other, name) != getattr(run, name)
            ]
            if differing:
                raise ValueError(
                    f"runs {other.model} and {run.model} differ in {', '.join(differing)}, so that one report cannot "
                    "compare them: report them apart, or measure one of them again"
                )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The condition that stands for a kind."""

    kind: Kind
    """Images or clips."""
    model: str
    """Name of the run."""
    training_items: int
    """Items that its GPT was trained on."""
    exposures: float | None
    """Passes over them; None where it is not known."""
    given: int
    """Prompt length."""
    given_share: float
    """Share of the tokens that are given."""
    setting: tuple[Any, ...]
    """Values of `SETTING`."""

    def model_condition(self) -> dict[str, Any]:
        """Return the columns of rows on what the model continued."""
        return {"kind": self.kind, "model": self.model, "given": self.given} | setting_columns(self.setting)

    def continuations(self, name: str) -> dict[str, Any]:
        """Return the columns of items of the model or of a baseline; baselines have no sampling options."""
        setting = self.setting if name == MODEL else (None,) * len(SETTING)
        return self.model_condition() | setting_columns(setting) | {"continuation": name}


Chosen = Mapping[Kind, Choice]
"""What stands for images, and what for clips, as far as there are any."""


class Trained(Protocol):
    """What tells how much its model was trained."""

    @property
    def training_items(self) -> int: ...

    @property
    def exposures(self) -> float | None: ...


def choose(items: Sequence[ItemRow]) -> dict[Kind, Choice]:
    """Return the main condition of each kind that there is.

    It is that of the model with most training items, then most exposures; with the share given that is nearest to one
    half, the smaller of two; and with the plain setting if there is one, otherwise the first.
    """
    chosen: dict[Kind, Choice] = {}
    for kind in get_args(Kind):
        rows = select(items, kind=kind, continuation=MODEL)
        if rows:
            first = max(rows, key=training)
            rows = select(rows, model=first.model)
            nearest = min(rows, key=lambda row: (abs(row.given_share - 0.5), row.given_share))
            chosen[kind] = Choice(
                kind=kind,
                model=first.model,
                training_items=first.training_items,
                exposures=first.exposures,
                given=nearest.given,
                given_share=nearest.given_share,
                setting=main_setting(rows),
            )
    return chosen


def main_setting(rows: Sequence[ConditionColumns]) -> tuple[Any, ...]:
    """Return the plain setting if a row has it, otherwise that of the first row."""
    settings = [setting_of(row) for row in rows]
    return PLAIN if PLAIN in settings else settings[0]


def training(row: Trained) -> tuple[int, float]:
    """Return how much a model was trained: items, then exposures (-1 where unknown)."""
    return row.training_items, -1.0 if row.exposures is None else row.exposures


def latest(rows: Sequence[TrainedRow]) -> list[TrainedRow]:
    """Return the rows of each size of training set after most exposures, in order of size."""
    most = dict(sorted(training(row) for row in rows))
    return sorted((row for row in rows if training(row)[1] == most[row.training_items]), key=training)


def setting_of(row: ConditionColumns) -> tuple[Any, ...]:
    """Return the sampling options of a row."""
    return tuple(getattr(row, name) for name in SETTING)


def setting_columns(setting: tuple[Any, ...]) -> dict[str, Any]:
    """Return sampling options by name."""
    return dict(zip(SETTING, setting, strict=True))


def describe_encoding(encoding: str) -> str:
    """Return a prompt encoding in words."""
    return "prompt encoded alone" if encoding == "alone" else "prompt encoded in full"


def describe_setting(setting: Sequence[Any]) -> str:
    """Return the sampling options that do something, in words."""
    temperature, top_k, top_p, min_p = setting
    words = [f"temperature {temperature:g}"]
    if top_k:
        words.append(f"top-k {top_k}")
    if top_p < 1:
        words.append(f"top-p {top_p:g}")
    if min_p:
        words.append(f"min-p {min_p:g}")
    return ", ".join(words)


def select(rows: Iterable[Row], **columns: Any) -> list[Row]:
    """Return the rows that have these values in these columns."""
    found = list(rows)
    # Column by column: reports select among thousands of rows hundreds of times.
    for name, value in columns.items():
        column = attrgetter(name)
        found = [row for row in found if column(row) == value]
    return found


def in_order(values: Iterable[Any]) -> list[Any]:
    """Return the different values in the order in which they first appear."""
    return list(dict.fromkeys(values))


def _read(folder: Path, name: str, row_type: type[Row]) -> list[Row]:
    try:
        rows = read_results(folder / name, row_type, UNIQUE[Path(name).stem])
    except FileNotFoundError:
        raise unfinished(folder, name) from None
    if not rows and name in ("run.csv", "items.csv"):
        raise ValueError(f"{folder / name} has no rows, and there is nothing to report; measure it again")
    return rows
