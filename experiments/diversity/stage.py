"""One amount given: the prompts of all items, what is to be generated of them, and how it is measured.

Axes: I items, N continuations, P given and G generated tokens of a grid of L = P + G.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from experiments.diversity.material import Material
from experiments.diversity.spaces import Generated
from experiments.diversity.tables import Kind
from gpt.model import GPT
from sampling.layout import Layout, lay_out
from sampling.options import Prompt, PromptEncoding, Request
from sampling.prompts import encode_prompt
from sampling.rendering import render
from vqgan.tokenizer import Tokenizer

PROMPTS_AT_ONCE = 8


@dataclass(frozen=True)
class Stage:
    """What belongs to one amount given."""

    material: Material
    layout: Layout
    given: int
    """Latent frames of clips, rows of tokens of images."""
    prompts: dict[PromptEncoding, Tensor]
    """(I, t', h', w) int64 by encoding, both of which are always there."""

    @property
    def given_tokens(self) -> int:
        """Number of tokens given."""
        return prod(self.layout.part.tokens)

    @property
    def given_places(self) -> Tensor:
        """(P,) int64: where in the raster tokens are given."""
        return torch.arange(self.given_tokens)

    @property
    def generated_places(self) -> Tensor:
        """(G,) int64: where in the raster tokens are generated."""
        return torch.arange(self.given_tokens, prod(self.layout.grid))

    @property
    def given_share(self) -> float:
        """Share of the grid that is given."""
        return self.given_tokens / prod(self.layout.grid)

    @property
    def changed(self) -> Tensor:
        """(I,) int64: prompt tokens that differ between the encodings."""
        return self.prompts["alone"].ne(self.prompts["full"]).flatten(1).sum(dim=1)

    def generated(self, clips: Tensor, tokens: Tensor) -> Generated:
        """Cut what is generated out of clips (N, 3, T, H, W) and token grids (N, t, h, w)."""
        frames, rows, _ = self.layout.part.pixels
        if self.material.kind == "clip":
            return Generated(clips[:, :, frames:], tokens.flatten(1)[:, self.given_tokens :])
        return Generated(clips[:, :, :, rows:], tokens.flatten(1)[:, self.given_tokens :])

    @cached_property
    def truths(self) -> Generated:
        """What really followed, of all items."""
        return self.generated(self.material.clips, self.material.tokens)

    @cached_property
    def renderings(self) -> Generated:
        """The same as the tokenizer shows it."""
        return self.generated(self.material.reconstructions, self.material.tokens)

    def truth(self, number: int) -> Generated:
        """What really followed, of one item."""
        return Generated(*(part[number : number + 1] for part in self.truths))

    def decode(self, tokenizer: Tokenizer, grids: Tensor) -> Generated:
        """Decode token grids (N, t, h, w) and cut out what was generated of them."""
        clips = torch.stack([render(tokenizer, grid, self.layout.size[0]) for grid in grids])
        return self.generated(clips, grids)


def make_stage(gpt: GPT, tokenizer: Tokenizer, material: Material, given: int) -> Stage:
    """Encode the prompts of all items in both ways.

    Raises:
        MismatchError: GPT and tokenizer do not belong together, or the grids do not fit the GPT.
        ValueError: `given` leaves nothing to imagine.
    """
    frames, height, width = material.clips.shape[2:]
    places = material.tokens.shape[1 if material.kind == "clip" else 2]
    if given >= places:
        unit = "latent frames" if material.kind == "clip" else "rows of tokens"
        raise ValueError(f"--given {given} of {places} {unit} leaves nothing to imagine: give at most {places - 1}")
    layout = lay_out(gpt, tokenizer, (frames, height, width), Request(_prompt(material.kind, given, places, "alone")))
    prompts: dict[PromptEncoding, Tensor] = {}
    encodings: tuple[PromptEncoding, ...] = ("alone", "full")
    for encoding in encodings:
        prompt = _prompt(material.kind, given, places, encoding)
        parts = material.clips.split(PROMPTS_AT_ONCE)
        encoded = [encode_prompt(tokenizer, part.to(tokenizer.device), prompt).cpu() for part in parts]
        prompts[encoding] = torch.cat(encoded)
    return Stage(material, layout, given, prompts)


def _prompt(kind: Kind, given: int, places: int, encoding: PromptEncoding) -> Prompt:
    return Prompt("frames", given, encoding) if kind == "clip" else Prompt("rows", given / places, encoding)
