"""What is continued: studied and new items of a token store, read and encoded once, and their prompts of one length.

Axes: I items, N continuations, T frames, H rows, W columns of pixels; t, h, w of the token grid, of which P tokens are
given and G generated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.errors import MediaError, TokenStoreError
from data.items import Item
from data.media import catalogue
from data.skipping import check_skipped
from data.sources import Skipped
from data.subset import clip_of, rank
from data.tokens import TokenItem, TokenStore
from experiments.diversity.conditions import Group, Kind
from experiments.diversity.distances import Generated
from gpt.model import GPT
from sampling.completion import render
from sampling.options import Prompt, PromptEncoding, Request
from sampling.prompts import Layout, encode_prompt, lay_out, size_of
from storage.fingerprints import same_fingerprint
from vqgan.tokenizer import Tokenizer

SAME_DATA = 0.9
"""Share of tokens that must be those of the store; the rest allows for other rounding on another device."""
PROMPTS_AT_ONCE = 8


@dataclass(frozen=True)
class Material:
    """The items, in all the forms in which they are needed."""

    kind: Kind
    """Whether they are images or clips."""
    items: tuple[Item, ...]
    """Where each was read from."""
    groups: tuple[Group, ...]
    """Of each item; studied ones come first."""
    source_groups: tuple[str, ...]
    """Of each item: what the split kept together, its source without --group-by."""
    clips: Tensor
    """(I, 3, T, H, W) in [-1, 1]: the originals."""
    tokens: Tensor
    """(I, t, h, w) int64: their tokens."""
    reconstructions: Tensor
    """(I, 3, T, H, W) in [-1, 1]: what the tokenizer makes of these."""
    skipped: tuple[Skipped, ...]
    """Items that could not be read."""

    def members(self, group: Group) -> list[int]:
        """Return the indices of the items of a group."""
        return [index for index, other in enumerate(self.groups) if other == group]

    def count_groups(self, group: Group) -> int:
        """Return how many groups of sources the items of a group are from."""
        return len({self.source_groups[index] for index in self.members(group)})

    @property
    def prompt_units(self) -> int:
        """What prompt lengths are counted in: the latent frames of a clip, the rows of tokens of an image."""
        return self.tokens.shape[1 if self.kind == "clip" else 2]


def read_material(data: Path, store: TokenStore, tokenizer: Tokenizer, count: int) -> Material:
    """Choose, read and encode at most `count` items of each group.

    They are spread over the groups of sources: of each group one item before any has two, of both the ones that
    `data.subset` ranks first. So they are the same for a store and for its subsets, as long as no more are asked for
    than the subset has groups of.

    Raises:
        MediaError: `data` holds nothing usable, or more than half of the items cannot be found or read there.
        TokenStoreError: the store has no training or no validation items, or was made of other data or by another
            tokenizer.
    """
    metadata = store.metadata
    if not same_fingerprint(metadata.tokenizer, tokenizer.fingerprint):
        raise TokenStoreError(
            f"the tokens in {store.folder} are those of tokenizer {metadata.tokenizer}, this one is "
            f"{tokenizer.fingerprint}: give the tokenizer that encoded them"
        )
    wanted, missing = _find(data, store, count)
    form = ClipFormat(metadata.frames, metadata.fps, metadata.size)
    chosen, clips, unread = _read(wanted, form)
    check_skipped([*missing, *unread], len(wanted) + len(missing), data)
    originals = torch.stack(clips)
    tokens = torch.cat([tokenizer.encode(clip[None].to(tokenizer.device)).cpu() for clip in originals])
    _check_same(tokens, store, [one.index for one in chosen], data)
    return Material(
        kind="image" if metadata.frames == 1 else "clip",
        items=tuple(one.item for one in chosen),
        groups=tuple(one.group for one in chosen),
        source_groups=tuple(source_group_of(store.items[one.index]) for one in chosen),
        clips=originals,
        tokens=tokens,
        reconstructions=torch.stack([render(tokenizer, grid, originals.shape[2]) for grid in tokens]),
        skipped=(*missing, *unread),
    )


@dataclass(frozen=True)
class PromptLength:
    """How much is given of every item, and what follows from that."""

    material: Material
    """The items."""
    layout: Layout
    """Where in the token grid the prompt lies."""
    given: int
    """Latent frames of clips, rows of tokens of images."""
    tokens: dict[PromptEncoding, Tensor]
    """(I, t', h', w) int64: the tokens given of all items, by encoding, both of which are always there."""

    @property
    def given_tokens(self) -> int:
        """Number of tokens given, P."""
        return prod(self.layout.extent.tokens)

    @property
    def given_positions(self) -> Tensor:
        """(P,) int64: the positions in raster order at which tokens are given."""
        return torch.arange(self.given_tokens)

    @property
    def generated_positions(self) -> Tensor:
        """(G,) int64: the positions in raster order at which tokens are generated."""
        return torch.arange(self.given_tokens, prod(self.layout.grid))

    @property
    def given_share(self) -> float:
        """Share of the grid that is given."""
        return self.given_tokens / prod(self.layout.grid)

    @property
    def changed(self) -> Tensor:
        """(I,) int64: prompt tokens that differ between the encodings."""
        return self.tokens["alone"].ne(self.tokens["full"]).flatten(1).sum(dim=1)

    @cached_property
    def truths(self) -> Generated:
        """What really followed, of all I items."""
        return self.generated(self.material.clips, self.material.tokens)

    @cached_property
    def reconstructions(self) -> Generated:
        """What really followed as the tokenizer shows it, of all I items."""
        return self.generated(self.material.reconstructions, self.material.tokens)

    def truth(self, item: int) -> Generated:
        """Return what really followed, of the item at an index, N = 1."""
        return Generated(
            pixels=self.truths.pixels[item : item + 1],
            tokens=self.truths.tokens[item : item + 1],
        )

    def generated(self, clips: Tensor, tokens: Tensor) -> Generated:
        """Cut what is generated out of clips (N, 3, T, H, W) and token grids (N, t, h, w)."""
        frames, rows, _ = self.layout.extent.pixels
        pixels = clips[:, :, frames:] if self.material.kind == "clip" else clips[:, :, :, rows:]
        return Generated(pixels=pixels, tokens=tokens.flatten(1)[:, self.given_tokens :])

    def decode(self, tokenizer: Tokenizer, grids: Tensor) -> Generated:
        """Decode token grids (N, t, h, w) and cut out what was generated of them."""
        clips = torch.stack([render(tokenizer, grid, self.layout.size[0]) for grid in grids])
        return self.generated(clips, grids)


def make_prompts(gpt: GPT, tokenizer: Tokenizer, material: Material, given: int) -> PromptLength:
    """Encode the prompts of all items, with each prompt encoding.

    Raises:
        MismatchError: GPT and tokenizer do not belong together, or the grids do not fit the GPT.
        ValueError: `given` leaves nothing to imagine.
    """
    units = material.prompt_units
    if given >= units:
        unit = "latent frames" if material.kind == "clip" else "rows of tokens"
        raise ValueError(f"--given {given} of {units} {unit} leaves nothing to imagine: give at most {units - 1}")
    layout = lay_out(gpt, tokenizer, size_of(material.clips), Request(_prompt(material.kind, given, units, "alone")))
    tokens: dict[PromptEncoding, Tensor] = {}
    for encoding in get_args(PromptEncoding):
        prompt = _prompt(material.kind, given, units, encoding)
        chunks = material.clips.split(PROMPTS_AT_ONCE)
        encoded = [encode_prompt(tokenizer, chunk.to(tokenizer.device), prompt).cpu() for chunk in chunks]
        tokens[encoding] = torch.cat(encoded)
    return PromptLength(material=material, layout=layout, given=given, tokens=tokens)


@dataclass(frozen=True)
class _ChosenItem:
    """An item of the store that is to be continued."""

    item: Item
    group: Group
    index: int
    """Its index in the store."""


def _find(data: Path, store: TokenStore, count: int) -> tuple[list[_ChosenItem], list[Skipped]]:
    """Return the items to continue, and those whose source is not there."""
    sources = {source.name: source for source in catalogue(data).sources}
    wanted: list[_ChosenItem] = []
    missing: list[Skipped] = []
    for group in get_args(Group):
        for index in choose_items(store, group, count):
            stored = store.items[index]
            if stored.source in sources:
                wanted.append(_ChosenItem(Item(sources[stored.source], stored.start), group, index))
            else:
                missing.append(Skipped(stored.source, f"is in {store.folder}, but not usable in {data}"))
    return wanted, missing


def choose_items(store: TokenStore, group: Group, count: int) -> list[int]:
    """Return the indices of at most `count` items that are spread over the groups of sources.

    Raises:
        TokenStoreError: there are no items of the group.
    """
    split = store.split("train" if group == "studied" else "validation")
    # Further crops of an item would be read as other pixels than they were encoded from.
    whole = [index for index in split if store.items[index].crop == store.metadata.crop]
    if not whole:
        raise TokenStoreError(f"{store.folder} has no {group} items: encode data of several videos or images")
    ranked = sorted(whole, key=lambda index: rank(clip_of(store.items[index])))
    rounds: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for index in ranked:
        name = source_group_of(store.items[index])
        turns.append((rounds[name], index))
        rounds[name] += 1
    # Sorting keeps the order of rank within a round.
    return [index for _, index in sorted(turns, key=lambda turn: turn[0])][:count]


def source_group_of(item: TokenItem) -> str:
    """Return what the split kept together with an item: its group of sources, or its source alone."""
    return item.group or item.source


def _read(wanted: Iterable[_ChosenItem], form: ClipFormat) -> tuple[list[_ChosenItem], list[Tensor], list[Skipped]]:
    """Return the items that can be read, their clips (3, T, H, W), and those that cannot."""
    chosen: list[_ChosenItem] = []
    clips: list[Tensor] = []
    unread: list[Skipped] = []
    for one in wanted:
        try:
            clips.append(ClipDataset([one.item], form).read(one.item))
            chosen.append(one)
        except MediaError as error:
            unread.append(one.item.source.skip(error))
    return chosen, clips, unread


def _check_same(tokens: Tensor, store: TokenStore, indices: Sequence[int], data: Path) -> None:
    """Refuse data whose tokens (I, t, h, w) are not those at some indices of the store."""
    share = float((tokens.flatten(1) == store.read(indices)).float().mean())
    if share < SAME_DATA:
        raise TokenStoreError(
            f"only {100 * share:.0f} % of the tokens of items in {data} are those in {store.folder}: "
            "give the videos or images that the store was encoded from"
        )


def _prompt(kind: Kind, given: int, units: int, encoding: PromptEncoding) -> Prompt:
    return Prompt("frames", given, encoding) if kind == "clip" else Prompt("rows", given / units, encoding)
