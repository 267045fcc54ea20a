"""The tables of a diversity run: each stands alone, and tables of several runs can be put below one another.

run.csv          one row: what was compared, and on what
items.csv        a row for every item and way of continuing it, baselines included
positions.csv    entropy and surprise at every place of the grid, means over items with intervals
audit.csv        a row for every continuation: the training item that is most like it
redundancy.csv   a row for every item and amount given: how much of it a compressor knows from the prompt
images.csv     what the images show, and why they were drawn
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from storage.tables import write_rows

Kind = Literal["image", "clip"]
Group = Literal["studied", "new"]

MODEL = "model"
BASELINES = ("copy", "other", "nearest", "reconstruction")
"""Continuations that no GPT made, as the tokenizer shows them: the last given row or frame copied; the truths of other
items; what follows in the training item with the most similar prompt; the truth itself, the floor of distances."""
SPACES = ("perceptual", "pixel", "token", "feature")
"""Where distances are measured, see `experiments.diversity.spaces`."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """What a run measured."""

    model: str
    """Name of the run folder."""
    kind: Kind
    gpt_parameters: int
    layers: int
    heads: int
    width: int
    tokenizer: str
    """Fingerprint."""
    vocab_size: int
    grid: str
    """Latent frames x rows x columns of tokens."""
    frames: int
    size: int
    """Pixels a side."""
    training_items: int
    """Items in the training part of the token store, further crops of an item not counted."""
    exposures: float | None
    """Passes over the training items that the GPT has made; None where its folder does not tell."""
    training_tokens: int | None
    """Tokens that the GPT was trained on, repetitions counted; None where its folder does not tell."""
    studied_items: int
    new_items: int
    n: int
    perceptual: str
    features: str
    seed: int
    command: str


@dataclass(frozen=True, kw_only=True)
class Way:
    """How items were continued: the columns that all tables but run.csv and redundancy.csv share."""

    model: str
    kind: Kind
    training_items: int
    exposures: float | None
    group: Group
    encoding: str
    """Prompt encoding, `alone` or `full`."""
    given: int
    """Latent frames of clips, rows of tokens of images."""
    given_share: float
    """Share of the tokens that are given."""
    temperature: float | None
    """None for baselines, as the other sampling options."""
    top_k: int | None
    top_p: float | None
    min_p: float | None


@dataclass(frozen=True, kw_only=True)
class Continued(Way):
    """Which item was continued, and by whom."""

    continuation: str
    """`model` or the name of a baseline."""
    item: int
    """Number among the items of the run; the same for all ways of continuing it."""
    source: str
    start: float
    """Seconds."""
    n: int
    """Continuations."""
    generated_tokens: int
    prompt_tokens_changed: int
    """Prompt tokens that differ between the encodings."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Figures of the continuations of one item, see `experiments.diversity.measures`.

    Distances compare what was generated only: `pixel` is the root mean square difference on the scale [0, 1], `token`
    the share of differing tokens, `perceptual` and `feature` are those of the networks that run.csv names.
    """

    pairwise_perceptual: float | None
    pairwise_pixel: float | None
    pairwise_token: float | None
    pairwise_feature: float | None
    """Mean distance between two continuations; None where there is one, and where a network was not asked for."""
    truth_perceptual: float | None
    truth_pixel: float
    truth_token: float
    truth_feature: float | None
    """Mean distance to the original."""
    best_perceptual: float | None
    best_pixel: float
    best_token: float
    best_feature: float | None
    """Smallest distance to the original."""
    identified_pixel: float
    identified_token: float
    identified_feature: float | None
    """Share of the continuations nearer to what followed in their own item than in any other of the run, studied or
    new, all as the tokenizer shows it."""
    retrieved: float
    """Share of the continuations that have at least 90 % of the truth's tokens."""
    exact: float
    """Share of the continuations that have all of the truth's tokens."""


@dataclass(frozen=True, kw_only=True)
class ItemRow(Measures, Continued):
    """The continuations of one item: the columns of `Way`, `Continued` and `Measures`, and how likely they were."""

    entropy_bits: float | None
    """Entropy of the model's distributions, sum over the generated tokens, mean over the continuations: an unbiased
    estimate of the entropy of continuations drawn at temperature 1 without filters. None for baselines."""
    truth_bits: float | None
    """Minus the binary logarithm of the truth's probability given the prompt. None for baselines."""


@dataclass(frozen=True, kw_only=True)
class PositionRow(Way):
    """One place of the token grid, over the items of a group: means and 95 % bootstrap intervals over items."""

    latent_frame: int
    row: int
    column: int
    items: int
    entropy_bits: float
    entropy_low: float
    entropy_high: float
    truth_bits: float
    truth_low: float
    truth_high: float


@dataclass(frozen=True, kw_only=True)
class AuditRow(Way):
    """One continuation, and the training item that agrees with it in most generated tokens."""

    item: int
    source: str
    start: float
    number: int
    """Of the continuation, from 0."""
    nearest_source: str
    nearest_start: float
    matching: float
    """Share of generated tokens that the two have in common, at the same places; 1 is an exact copy."""
    own: bool
    """Whether that training item is the very item continued."""
    truth_matching: float
    """Share of tokens that the item's truth has in common with the training item, other than itself, that it is most
    like: what agreement is worth without any copying."""


@dataclass(frozen=True, kw_only=True)
class RedundancyRow:
    """How much of the rest of an item a general-purpose compressor (LZMA) knows from the given part."""

    model: str
    kind: Kind
    group: Group
    item: int
    source: str
    start: float
    given: int
    given_share: float
    generated_pixels: int
    generated_tokens: int
    pixel_bits_alone: int
    """Bits that the pixels of the rest take by themselves."""
    pixel_bits_given: int
    """Bits that they take on top of those of the given part."""
    token_bits_alone: int
    token_bits_given: int


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a run."""

    model: str
    kind: Kind
    group: Group
    encoding: str
    given: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    item: int
    source: str
    start: float
    reason: str
    """Why it was drawn: see `experiments.diversity.images`."""
    value: float
    """The figure that is extreme here."""
    file: str
    """Path of the image within the run folder."""


KINDS: dict[str, type] = {
    "run": RunRow,
    "items": ItemRow,
    "positions": PositionRow,
    "audit": AuditRow,
    "redundancy": RedundancyRow,
    "images": ImageRow,
}
"""Rows by the name of their table."""


@dataclass
class Tables:
    """The rows of all tables, of one run or of several."""

    run: list[RunRow] = field(default_factory=list)
    items: list[ItemRow] = field(default_factory=list)
    positions: list[PositionRow] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)
    redundancy: list[RedundancyRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)

    def write(self, folder: Path, run: str = "run") -> None:
        """Write every table as a CSV file of its name; that of the run comes last and says that all are there."""
        for name, kind in reversed(KINDS.items()):
            write_rows(folder / f"{run if name == 'run' else name}.csv", getattr(self, name), kind)
