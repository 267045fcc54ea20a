"""What is continued: studied and new items of a token store, read and encoded once.

Axes: I items, T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.errors import MediaError
from data.items import Item
from data.media import Skipped, catalogue, check_skipped
from data.subset import place_of, rank
from data.tokens import TokenStore, TokenStoreError
from experiments.diversity.tables import Group, Kind
from sampling.rendering import render
from vqgan.tokenizer import Tokenizer

SAME_DATA = 0.9
"""Share of tokens that must be those of the store; the rest allows for other rounding on another device."""


@dataclass(frozen=True)
class Chosen:
    """An item of the store that is to be continued."""

    item: Item
    group: Group
    place: int
    """Its index in the store."""


@dataclass(frozen=True)
class Material:
    """The items, in all the forms in which they are needed."""

    kind: Kind
    items: tuple[Item, ...]
    groups: tuple[Group, ...]
    """Of each item; studied ones come first."""
    clips: Tensor
    """(I, 3, T, H, W) in [-1, 1]: the originals."""
    tokens: Tensor
    """(I, t, h, w) int64: their tokens."""
    reconstructions: Tensor
    """(I, 3, T, H, W) in [-1, 1]: what the tokenizer makes of these."""
    skipped: tuple[Skipped, ...]
    """Items that could not be read."""

    def members(self, group: Group) -> list[int]:
        """Return the numbers of the items of a group."""
        return [number for number, other in enumerate(self.groups) if other == group]


def read_material(data: Path, store: TokenStore, tokenizer: Tokenizer, count: int) -> Material:
    """Choose, read and encode at most `count` items of each group.

    The items are those that `data.subset` ranks first, so that they are the same for a store and for its subsets.

    Raises:
        MediaError: `data` holds nothing usable, or more than half of the items cannot be found or read there.
        TokenStoreError: the store has no training or no validation items, or was made of other data or by another
            tokenizer.
    """
    metadata = store.metadata
    if metadata.tokenizer != tokenizer.fingerprint:
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
    _check_same(tokens, store, [one.place for one in chosen], data)
    return Material(
        kind="image" if metadata.frames == 1 else "clip",
        items=tuple(one.item for one in chosen),
        groups=tuple(one.group for one in chosen),
        clips=originals,
        tokens=tokens,
        reconstructions=torch.stack([render(tokenizer, grid, originals.shape[2]) for grid in tokens]),
        skipped=(*missing, *unread),
    )


def _find(data: Path, store: TokenStore, count: int) -> tuple[list[Chosen], list[Skipped]]:
    """Return the items to continue, and those whose source is not there."""
    sources = {source.name: source for source in catalogue(data).sources}
    wanted: list[Chosen] = []
    missing: list[Skipped] = []
    groups: tuple[Group, ...] = ("studied", "new")
    for group in groups:
        for place in _first_items(store, group, count):
            stored = store.items[place]
            if stored.source in sources:
                wanted.append(Chosen(Item(sources[stored.source], stored.start), group, place))
            else:
                missing.append(Skipped(stored.source, f"is in {store.folder}, but not usable in {data}"))
    return wanted, missing


def _first_items(store: TokenStore, group: Group, count: int) -> list[int]:
    part = store.part("train" if group == "studied" else "validation")
    # Further crops of an item would be read as other pixels than they were encoded from.
    whole = [place for place in part if store.items[place].crop == store.metadata.crop]
    if not whole:
        raise TokenStoreError(f"{store.folder} has no {group} items: encode data of several videos or images")
    return sorted(whole, key=lambda place: rank(place_of(store.items[place])))[:count]


def _read(wanted: Iterable[Chosen], form: ClipFormat) -> tuple[list[Chosen], list[Tensor], list[Skipped]]:
    """Return the items that can be read, their clips (3, T, H, W), and those that cannot."""
    chosen: list[Chosen] = []
    clips: list[Tensor] = []
    unread: list[Skipped] = []
    for one in wanted:
        try:
            clips.append(ClipDataset([one.item], form).read(one.item))
            chosen.append(one)
        except MediaError as error:
            unread.append(Skipped(one.item.source.name, str(error)))
    return chosen, clips, unread


def _check_same(tokens: Tensor, store: TokenStore, places: list[int], data: Path) -> None:
    """Refuse data that are not those of the store."""
    share = float((tokens.flatten(1) == store.read(places)).float().mean())
    if share < SAME_DATA:
        raise TokenStoreError(
            f"only {100 * share:.0f} % of the tokens of items in {data} are those in {store.folder}: "
            "give the videos or images that the store was encoded from"
        )
