"""The tables of a diversity run: each stands alone, and tables of several runs can be put below one another.

run.csv          one row: what was compared, and on what
items.csv        a row for every item and condition, baselines included
best.csv         a row for every item, condition and n: the distance of the best of n continuations
positions.csv    entropy and surprise at every grid position, means over items with intervals
audit.csv        a row for every continuation: the training item that is most like it
redundancy.csv   a row for every item and prompt length: how much of it a compressor knows from the prompt
images.csv       what the images show, and why they were drawn
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from experiments.diversity.conditions import ConditionColumns, Group, ItemColumns, Kind
from sampling.options import PromptEncoding
from storage.tables import write_rows

MODEL = "model"
BASELINES = ("copy", "other", "nearest", "reconstruction")
"""Continuations that no GPT made, as the tokenizer shows them: the last given row or frame copied; the truths of other
items; what follows in the training item with the most similar prompt; the truth itself, the floor of distances."""
DISTANCES = ("perceptual", "pixel", "token", "feature")
"""What continuations are compared by, see `experiments.diversity.distances`."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """What a run measured: the row of run.csv."""

    model: str
    """Name of the run folder."""
    kind: Kind
    """Whether images or clips are continued."""
    gpt_parameters: int
    """Parameters of the GPT."""
    layers: int
    """Transformer blocks of the GPT."""
    heads: int
    """Attention heads in each block."""
    width: int
    """Width of the GPT's residual stream."""
    tokenizer: str
    """Fingerprint of the tokenizer."""
    vocab_size: int
    """Codes of the tokenizer."""
    grid: str
    """Latent frames x rows x columns of tokens of an item."""
    frames: int
    """Frames of an item, 1 for images."""
    size: int
    """Pixels a side."""
    training_items: int
    """Items in the training split of the token store, further crops of an item not counted."""
    exposures: float | None
    """Passes over the training items that the GPT has made; empty where its folder does not tell."""
    training_tokens: int | None
    """Tokens that the GPT was trained on, repetitions counted; empty where its folder does not tell."""
    studied_items: int
    """Items continued that are in the training split."""
    new_items: int
    """Items continued that are in the validation split."""
    studied_groups: int | None = None
    """Groups of sources that the studied items are from: as many observations there are. None in earlier versions."""
    new_groups: int | None = None
    """The same of the new items."""
    n: int
    """Continuations of each prompt."""
    perceptual: str
    """Network of the perceptual distance."""
    features: str
    """Network of the distance of features."""
    seed: int
    """Seed that the continuations were drawn with."""
    command: str
    """Command line that makes the run again."""


@dataclass(frozen=True, kw_only=True)
class ContinuationMetrics:
    """How varied the continuations of one item are, and how near to the truth; see `experiments.diversity.metrics`.

    Distances compare what was generated only. They are empty where run.csv names no network for them, and between
    continuations where there is one.
    """

    pairwise_perceptual: float | None
    """Mean perceptual distance between two continuations."""
    pairwise_pixel: float | None
    """Mean root mean square difference of pixels between two continuations, on the scale [0, 1]."""
    pairwise_token: float | None
    """Mean share of tokens in which two continuations differ."""
    pairwise_feature: float | None
    """Mean distance of features between two continuations."""
    truth_perceptual: float | None
    """Mean perceptual distance of the continuations to the original."""
    truth_pixel: float
    """Mean root mean square difference of pixels from the original, on the scale [0, 1]."""
    truth_token: float
    """Mean share of tokens in which a continuation differs from the original."""
    truth_feature: float | None
    """Mean distance of features to the original."""
    best_perceptual: float | None
    """Smallest perceptual distance to the original of all `n` continuations. The more there are, the smaller it is:
    see best.csv for the best of fewer."""
    best_pixel: float
    """Smallest root mean square difference of pixels from the original of all `n` continuations."""
    best_token: float
    """Smallest share of tokens that differ from the original of all `n` continuations."""
    best_feature: float | None
    """Smallest distance of features to the original of all `n` continuations."""
    identified_pixel: float
    """Share of the continuations nearer, in pixels, to what followed in their own item than in any other of the run,
    studied or new, all as the tokenizer shows it."""
    identified_token: float
    """The same share by tokens."""
    identified_feature: float | None
    """The same share by features."""
    retrieved: float
    """Share of the continuations that have at least 90 % of the truth's tokens."""
    exact: float
    """Share of the continuations that have all of the truth's tokens."""


@dataclass(frozen=True, kw_only=True)
class ItemRow(ContinuationMetrics, ItemColumns):
    """The continuations of one item under one condition: a row of items.csv."""

    entropy_bits: float | None
    """Entropy of the model's distributions, sum over the generated tokens, mean over the continuations: an unbiased
    estimate of the entropy of continuations drawn at temperature 1 without filters. Empty for baselines."""
    truth_bits: float | None
    """Minus the binary logarithm of the truth's probability given the prompt. Empty for baselines."""


@dataclass(frozen=True, kw_only=True)
class BestOfSome:
    """The distance to the original of the best of some of the continuations of an item, expected over which those are.

    Of the N that were drawn, every choice of so many is as likely as another: see `experiments.diversity.metrics`.
    """

    best_of: int
    """How many continuations it is the best of."""
    best_perceptual: float | None
    """Smallest perceptual distance."""
    best_pixel: float
    """Smallest root mean square difference of pixels, on the scale [0, 1]."""
    best_token: float
    """Smallest share of tokens that differ."""
    best_feature: float | None
    """Smallest distance of features."""


@dataclass(frozen=True, kw_only=True)
class BestRow(BestOfSome, ConditionColumns):
    """The best of some continuations of one item under one condition: a row of best.csv."""

    continuation: str
    """Who continued it: `model` or the name of a baseline."""
    item: int
    """Index among the items of the run; the same under all conditions."""
    source: str
    """Video or image that the item is from."""
    source_group: str
    """Group of sources that the item is from, which counts as one observation."""

    @property
    def group_name(self) -> str:
        """What counts as one observation."""
        return self.source_group


@dataclass(frozen=True, kw_only=True)
class PositionRow(ConditionColumns):
    """One grid position, over the items of a group: a row of positions.csv. Intervals are 95 % intervals.

    Ends of intervals are empty where the items are of one group of sources, or have all the same value.
    """

    latent_frame: int
    """Index of the latent frame."""
    row: int
    """Index of the row of tokens."""
    column: int
    """Index of the column of tokens."""
    items: int
    """Items that the means are taken over."""
    groups: int | None = None
    """Groups of sources that these are from, which the intervals are over. None in earlier versions."""
    entropy_bits: float
    """Mean entropy of the model's distributions of this token."""
    entropy_low: float | None
    """Lower end of the interval of that mean."""
    entropy_high: float | None
    """Upper end of the interval of that mean."""
    truth_bits: float
    """Mean of minus the binary logarithm of the probability of the truth's token: its surprise."""
    truth_low: float | None
    """Lower end of the interval of that mean."""
    truth_high: float | None
    """Upper end of the interval of that mean."""


@dataclass(frozen=True, kw_only=True)
class AuditRow(ConditionColumns):
    """One continuation, and the training item that agrees with it in most generated tokens: a row of audit.csv."""

    item: int
    """Index of the continued item among those of the run."""
    source: str
    """Video or image that the item is from."""
    start: float
    """Where it begins in its video, in seconds."""
    continuation_index: int
    """Index of the continuation among those of the item."""
    nearest_source: str
    """Video or image that the training item is from."""
    nearest_start: float
    """Where the training item begins in its video, in seconds."""
    matching: float
    """Share of generated tokens that the two have in common, at the same positions; 1 is an exact copy."""
    own: bool
    """Whether that training item is the very item continued."""
    truth_matching: float
    """Share of tokens that the item's truth has in common with the training item, other than itself, that it is most
    like: what agreement is worth without any copying."""
    source_group: str = ""
    """Group of sources that the item is from, which counts as one observation; the source itself without --group-by.
    Tables of earlier versions lack the column: there, too, it is the source."""

    @property
    def group_name(self) -> str:
        """What counts as one observation: the group of sources, or the source."""
        return self.source_group or self.source


@dataclass(frozen=True, kw_only=True)
class RedundancyRow:
    """How much of the rest of an item a general-purpose compressor (LZMA) knows from the given part."""

    model: str
    """Name of the run folder."""
    kind: Kind
    """Whether it is an image or a clip."""
    group: Group
    """Whether it is in the training split."""
    item: int
    """Index among the items of the run."""
    source: str
    """Video or image that the item is from."""
    start: float
    """Where it begins in its video, in seconds."""
    given: int
    """Prompt length: latent frames of clips, rows of tokens of images."""
    given_share: float
    """Share of the tokens that are given."""
    generated_pixels: int
    """Pixels of the rest."""
    generated_tokens: int
    """Tokens of the rest."""
    pixel_bits_alone: int
    """Bits that the pixels of the rest take by themselves."""
    pixel_bits_given: int
    """Bits that they take on top of those of the given part."""
    token_bits_alone: int
    """Bits that the tokens of the rest take by themselves."""
    token_bits_given: int
    """Bits that they take on top of those of the given part."""
    source_group: str = ""
    """Group of sources that the item is from, which counts as one observation; the source itself without --group-by.
    Tables of earlier versions lack the column: there, too, it is the source."""

    @property
    def group_name(self) -> str:
        """What counts as one observation: the group of sources, or the source."""
        return self.source_group or self.source


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a run: a row of images.csv."""

    model: str
    """Name of the run folder."""
    kind: Kind
    """Whether it shows an image or a clip."""
    group: Group
    """Whether the item is in the training split."""
    encoding: PromptEncoding
    """How the prompt became tokens, `alone` or `full`."""
    given: int
    """Prompt length: latent frames of clips, rows of tokens of images."""
    temperature: float
    """Sampling temperature."""
    top_k: int
    """Likeliest tokens that are kept; 0 keeps all."""
    top_p: float
    """Probability that the likeliest tokens are kept for; 1 keeps all."""
    min_p: float
    """Share of the likeliest token's probability below which tokens are left out; 0 keeps all."""
    item: int
    """Index among the items of the run."""
    source: str
    """Video or image that the item is from."""
    start: float
    """Where it begins in its video, in seconds."""
    reason: str
    """Why it was drawn: one of `experiments.diversity.images.MEANINGS`."""
    value: float
    """The metric that is extreme here."""
    file: str
    """Path of the image within the run folder."""


ROW_TYPES: dict[str, type] = {
    "run": RunRow,
    "items": ItemRow,
    "best": BestRow,
    "positions": PositionRow,
    "audit": AuditRow,
    "redundancy": RedundancyRow,
    "images": ImageRow,
}
"""Types of rows by the name of their table."""

_CONDITION = tuple(field.name for field in fields(ConditionColumns))
UNIQUE: dict[str, tuple[str, ...]] = {
    "run": ("model",),
    "items": (*_CONDITION, "continuation", "item"),
    "best": (*_CONDITION, "continuation", "item", "best_of"),
    "positions": (*_CONDITION, "latent_frame", "row", "column"),
    "audit": (*_CONDITION, "item", "continuation_index"),
    "redundancy": ("model", "group", "item", "given"),
    "images": ("model", "group", "encoding", "given", "reason", "file"),
}
"""Columns that tell a row from all others, by the name of its table."""


@dataclass
class Tables:
    """The rows of all tables, of one run or of several."""

    run: list[RunRow] = field(default_factory=list)
    items: list[ItemRow] = field(default_factory=list)
    best: list[BestRow] = field(default_factory=list)
    positions: list[PositionRow] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)
    redundancy: list[RedundancyRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)

    def write(self, folder: Path, run: str = "run") -> None:
        """Write every table as a CSV file of its name; that of the run comes last and says that all are there."""
        for name, row_type in reversed(ROW_TYPES.items()):
            write_rows(folder / f"{run if name == 'run' else name}.csv", getattr(self, name), row_type)
