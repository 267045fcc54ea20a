"""What a GPT was trained on: how much of it, and which of its items are most like given tokens.

The search is exact and over the whole token store. For a prompt it gives the nearest-neighbour baseline, the
continuation of the training item that begins most alike; for a continuation it tells what the model may have learnt by
heart.

Axes: N queries of P tokens; L tokens of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from data.errors import TokenStoreError
from data.subset import clip_of
from data.tokens import TokenItem, TokenStore
from gpt.options import TrainOptions
from storage.model_paths import find_model
from storage.run_folder import RunFolderError, read_options

TOKENS_AT_ONCE = 1 << 20
"""Few megabytes, most of which stay in a processor's cache while all queries are compared with them."""


def count_training_items(store: TokenStore) -> int:
    """Return the number of different training items of a store, further crops of an item not counted."""
    return len({clip_of(store.items[index]) for index in store.split("train")})


def count_sequences_seen(gpt: Path, store: TokenStore) -> int | None:
    """Return the sequences that a GPT was trained on, repetitions counted, or None where it does not lie in its run.

    Raises:
        TokenStoreError: its run says that it was trained on another token store.
    """
    folder = find_model(gpt)
    is_checkpoint = folder.parent.name == "checkpoints" and folder.name.isdigit()
    try:
        options = read_options(folder.parents[1] if is_checkpoint else folder.parent, TrainOptions)
    except RunFolderError:
        return None
    tokens = options.tokens
    if tokens.exists() and not tokens.samefile(store.folder):
        raise TokenStoreError(f"{gpt} was trained on {tokens}, not on {store.folder}: give that token store")
    steps = int(folder.name) if is_checkpoint else options.training.steps
    return steps * options.training.batch


@dataclass(frozen=True)
class Match:
    """A training item that resembles a query."""

    index: int
    """Its index among the training items."""
    matching: float
    """Share of the compared positions at which both have the same token."""


class TrainingTokens:
    """The training items of a token store, further crops included, in the store's order.

    Args:
        store: that the GPT was trained on.
        at_once: tokens of the store that are read at a time.

    Raises:
        ValueError: the store has none.
    """

    def __init__(self, store: TokenStore, at_once: int = TOKENS_AT_ONCE) -> None:
        self._store = store
        self._at_once = at_once
        self._indices = store.split("train")
        if not self._indices:
            raise ValueError(
                f"{store.folder} holds no training items: name the token store that the GPT was trained on"
            )

    def item(self, index: int) -> TokenItem:
        """Return where the tokens of a training item come from."""
        return self._store.items[self._indices[index]]

    def tokens(self, index: int) -> Tensor:
        """Return the tokens of a training item: (L,) int64, in raster order."""
        return self._store.read([self._indices[index]])[0]

    def of_item(self, source: str, start: float) -> Tensor:
        """Return the tokens of the training item of a source and start (seconds): (L,) int64; of its crops the first.

        Raises:
            KeyError: there is none.
        """
        for index in range(len(self._indices)):
            if clip_of(self.item(index)) == (source, start):
                return self.tokens(index)
        raise KeyError(f"{source} at {start:g} s is no training item of {self._store.folder}")

    def nearest(self, tokens: Tensor, positions: Tensor, excluded: tuple[str, float] | None = None) -> list[Match]:
        """Find, for every query, the training item with the same token at the most positions; of several the first.

        Args:
            tokens: (N, P) int64, the queries.
            positions: (P,) int64, where in the raster of the store's L tokens these stand.
            excluded: source and start (seconds) of an item all of whose crops are left out.

        Returns:
            N matches.

        Raises:
            TokenStoreError: a shard is damaged.
            ValueError: queries and positions do not fit one another or the store, or no training item is left.
        """
        self._check(tokens, positions)
        queries = tokens.cpu().numpy().astype(self._store.metadata.dtype)
        compared = positions.cpu().numpy()
        searched = self._all_but(excluded)
        most_equal = [-1] * len(queries)
        found = [0] * len(queries)
        step = max(1, self._at_once // self._store.metadata.length)
        for first in range(0, len(searched), step):
            block = searched[first : first + step]
            stored = self._store.read_stored([self._indices[index] for index in block])
            # One position of all items lies together, so that comparing and counting run along many items at once.
            candidates = np.ascontiguousarray(stored[:, compared].T)
            for row, query in enumerate(queries):
                equal = np.add.reduce(candidates == query[:, None], axis=0, dtype=np.int32)
                best = int(equal.argmax())
                if equal[best] > most_equal[row]:
                    most_equal[row] = int(equal[best])
                    found[row] = block[best]
        return [Match(index, equal / len(compared)) for index, equal in zip(found, most_equal, strict=True)]

    def _all_but(self, excluded: tuple[str, float] | None) -> Sequence[int]:
        """Return the indices of the training items that are not crops of `excluded`."""
        every = range(len(self._indices))
        if excluded is None:
            return every
        others = [index for index in every if clip_of(self.item(index)) != excluded]
        if not others:
            source, start = excluded
            raise ValueError(
                f"{self._store.folder} holds no training item besides {source} at {start:g} s, so none to compare it "
                "with: use a token store of at least two"
            )
        return others

    def _check(self, tokens: Tensor, positions: Tensor) -> None:
        """Refuse queries that cannot be compared with the items of the store."""
        length = self._store.metadata.length
        vocab_size = self._store.metadata.vocab_size
        if tokens.ndim != 2 or not positions.numel() or positions.shape != tokens.shape[1:]:
            raise ValueError(
                f"queries {tuple(tokens.shape)} at positions {tuple(positions.shape)}: (N, P) and (P,) with P of at "
                "least 1 are needed"
            )
        if not 0 <= int(positions.min()) <= int(positions.max()) < length:
            raise ValueError(
                f"positions from {int(positions.min())} to {int(positions.max())} do not fit items of {length} tokens"
            )
        # Tokens of a larger vocabulary would be cut to the store's small type, and agree by mistake.
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
            raise ValueError(
                f"tokens from {int(tokens.min())} to {int(tokens.max())} do not fit the vocabulary of {vocab_size} in "
                f"{self._store.folder}: use the token store that the GPT was trained on"
            )
