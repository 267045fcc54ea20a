"""Which rows stand for images and for clips where the two are compared, and finding rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, get_args

from experiments.diversity.tables import MODEL, ItemRow, Kind, Way

Row = TypeVar("Row")
TrainedRow = TypeVar("TrainedRow", bound="Trained")

SETTING = ("temperature", "top_k", "top_p", "min_p")
"""Names of the sampling options."""
PLAIN = (1.0, 0, 1.0, 0.0)
"""The model's own distributions: temperature 1, no filter."""


class Trained(Protocol):
    """What tells how much its model was trained."""

    @property
    def training_items(self) -> int: ...

    @property
    def exposures(self) -> float | None: ...


class Choice(NamedTuple):
    """The way of continuing that stands for a kind."""

    kind: Kind
    model: str
    training_items: int
    exposures: float | None
    given: int
    given_share: float
    setting: tuple[Any, ...]

    def model_way(self) -> dict[str, Any]:
        """Return the columns of rows on what the model continued."""
        return {"kind": self.kind, "model": self.model, "given": self.given} | setting_columns(self.setting)

    def continuations(self, name: str) -> dict[str, Any]:
        """Return the columns of items of the model or of a baseline; baselines have no sampling options."""
        setting = self.setting if name == MODEL else (None,) * len(SETTING)
        return self.model_way() | setting_columns(setting) | {"continuation": name}


def choose(items: Sequence[ItemRow]) -> dict[Kind, Choice]:
    """Return the main way of continuing each kind that there is.

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
                kind, first.model, first.training_items, first.exposures, nearest.given, nearest.given_share,
                main_setting(rows),
            )  # fmt: skip
    return chosen


def main_setting(rows: Sequence[Way]) -> tuple[Any, ...]:
    """Return the plain setting if a row has it, otherwise that of the first row."""
    settings = [setting(row) for row in rows]
    return PLAIN if PLAIN in settings else settings[0]


def training(row: Trained) -> tuple[int, float]:
    """Return how much a model was trained: items, then exposures (-1 where unknown)."""
    return row.training_items, -1.0 if row.exposures is None else row.exposures


def latest(rows: Sequence[TrainedRow]) -> list[TrainedRow]:
    """Return the rows of each size of training set after most exposures, in order of size."""
    most = dict(sorted(training(row) for row in rows))
    return sorted((row for row in rows if training(row)[1] == most[row.training_items]), key=training)


def setting(row: Way) -> tuple[Any, ...]:
    """Return the sampling options of a row."""
    return tuple(getattr(row, name) for name in SETTING)


def describe_encoding(encoding: str) -> str:
    """Return a prompt encoding in words."""
    return "prompt encoded alone" if encoding == "alone" else "prompt encoded in full"


def describe_setting(way: Sequence[Any]) -> str:
    """Return the sampling options that do something, in words."""
    temperature, top_k, top_p, min_p = way
    parts = [f"temperature {temperature:g}"]
    parts += [f"top-k {top_k}"] * bool(top_k) + [f"top-p {top_p:g}"] * (top_p < 1) + [f"min-p {min_p:g}"] * bool(min_p)
    return ", ".join(parts)


def setting_columns(setting: tuple[Any, ...]) -> dict[str, Any]:
    """Return sampling options by name."""
    return dict(zip(SETTING, setting, strict=True))


def select(rows: Iterable[Row], **columns: Any) -> list[Row]:
    """Return the rows that have these values in these columns."""
    return [row for row in rows if all(getattr(row, name) == value for name, value in columns.items())]


def in_order(values: Iterable[Any]) -> list[Any]:
    """Return the different values in the order in which they first appear."""
    return list(dict.fromkeys(values))
