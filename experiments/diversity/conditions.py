"""What was continued, and under which condition: the columns that tables of a diversity run have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sampling.options import PromptEncoding

Kind = Literal["image", "clip"]
Group = Literal["studied", "new"]


@dataclass(frozen=True, kw_only=True)
class ConditionColumns:
    """The condition that items were continued under: shared by all tables but run.csv and redundancy.csv."""

    model: str
    """Name of the run folder."""
    kind: Kind
    """Whether images or clips are continued."""
    training_items: int
    """Items that the GPT was trained on."""
    exposures: float | None
    """Passes over the training items that the GPT has made; empty where its folder does not tell."""
    group: Group
    """`studied` items are in the training split, `new` ones are not."""
    encoding: PromptEncoding
    """How the prompt became tokens, `alone` or `full`."""
    given: int
    """Prompt length: latent frames of clips, rows of tokens of images."""
    given_share: float
    """Share of the tokens that are given."""
    temperature: float | None
    """Sampling temperature; empty for baselines, as the other sampling options."""
    top_k: int | None
    """Likeliest tokens that are kept; 0 keeps all."""
    top_p: float | None
    """Probability that the likeliest tokens are kept for; 1 keeps all."""
    min_p: float | None
    """Share of the likeliest token's probability below which tokens are left out; 0 keeps all."""


@dataclass(frozen=True, kw_only=True)
class ItemColumns(ConditionColumns):
    """Which item was continued, and by whom."""

    continuation: str
    """Who continued it: `model` or the name of a baseline."""
    item: int
    """Index among the items of the run; the same under all conditions."""
    source: str
    """Video or image that the item is from."""
    start: float
    """Where it begins in its video, in seconds."""
    n: int
    """Continuations that were measured."""
    generated_tokens: int
    """Tokens of each continuation, without the prompt."""
    prompt_tokens_changed: int
    """Prompt tokens that differ between the encodings."""
    source_group: str = ""
    """Group of sources that the item is from, which counts as one observation; the source itself without --group-by.
    Tables of earlier versions lack the column: there, too, it is the source."""
    generated_pixels: int | None = None
    """Pixels of the original that the generated tokens stand for, frames x rows x columns, at the size that the
    tokenizer is given: each pixel counts once, not each of its three colours."""

    @property
    def group_name(self) -> str:
        """What counts as one observation: the group of sources, or the source."""
        return self.source_group or self.source
