"""Training items that are most like given tokens: exact search over a whole token store.

For a prompt it gives the nearest-neighbour baseline, the continuation of the training item that begins most alike; for
a continuation it tells what the model may have learnt by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from data.tokens import TokenItem, TokenStore

BLOCK = 1 << 20
"""Tokens of the store that are read at a time: few megabytes, most of which stay in a processor's cache while all
queries are compared with them."""


@dataclass(frozen=True)
class Match:
    """A training item that resembles a query."""

    index: int
    """Its number among the training items."""
    matching: float
    """Share of the compared places at which both have the same token."""


class TrainingTokens:
    """The training items of a token store, further crops included, in the store's order.

    Raises:
        ValueError: the store has none.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._indices = store.part("train")
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
            if self._origin(index) == (source, start):
                return self.tokens(index)
        raise KeyError(f"{source} at {start:g} s is no training item of {self._store.folder}")

    def nearest(self, tokens: Tensor, places: Tensor, excluded: tuple[str, float] | None = None) -> list[Match]:
        """Find, for every query, the training item with the same token at the most places; of several the first.

        Args:
            tokens: (N, P) int64, the queries.
            places: (P,) int64, where in the raster of the store's L tokens these stand.
            excluded: source and start (seconds) of an item all of whose crops are left out.

        Returns:
            N matches.

        Raises:
            TokenStoreError: a shard is damaged.
            ValueError: queries and places do not fit one another or the store, or no training item is left.
        """
        self._check(tokens, places)
        queries = tokens.cpu().numpy().astype(self._store.metadata.dtype)
        at = places.cpu().numpy()
        left = self._all_but(excluded)
        most, where = [-1] * len(queries), [0] * len(queries)
        step = max(1, BLOCK // self._store.metadata.length)
        for first in range(0, len(left), step):
            block = left[first : first + step]
            stored = self._store.read_stored([self._indices[index] for index in block])
            # One place of all items lies together, so that comparing and counting run along many items at once.
            candidates = np.ascontiguousarray(stored[:, at].T)
            for number, query in enumerate(queries):
                equal = np.add.reduce(candidates == query[:, None], axis=0, dtype=np.int32)
                best = int(equal.argmax())
                if equal[best] > most[number]:
                    most[number], where[number] = int(equal[best]), block[best]
        return [Match(index, count / len(at)) for index, count in zip(where, most, strict=True)]

    def _origin(self, index: int) -> tuple[str, float]:
        """Return source and start of a training item, which all of its crops share."""
        item = self.item(index)
        return item.source, item.start

    def _all_but(self, excluded: tuple[str, float] | None) -> Sequence[int]:
        """Return the numbers of the training items that are not crops of `excluded`."""
        every = range(len(self._indices))
        if excluded is None:
            return every
        left = [index for index in every if self._origin(index) != excluded]
        if not left:
            source, start = excluded
            raise ValueError(
                f"{self._store.folder} holds no training item besides {source} at {start:g} s, so none to compare it "
                "with: use a token store of at least two"
            )
        return left

    def _check(self, tokens: Tensor, places: Tensor) -> None:
        """Refuse queries that cannot be compared with the items of the store."""
        length, vocab_size = self._store.metadata.length, self._store.metadata.vocab_size
        if tokens.ndim != 2 or not places.numel() or places.shape != tokens.shape[1:]:
            raise ValueError(
                f"queries {tuple(tokens.shape)} at places {tuple(places.shape)}: (N, P) and (P,) with P of at least 1 "
                "are needed"
            )
        if not 0 <= int(places.min()) <= int(places.max()) < length:
            raise ValueError(
                f"places from {int(places.min())} to {int(places.max())} do not fit items of {length} tokens"
            )
        # Tokens of a larger vocabulary would be cut to the store's small type, and agree by mistake.
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
            raise ValueError(
                f"tokens from {int(tokens.min())} to {int(tokens.max())} do not fit the vocabulary of {vocab_size} in "
                f"{self._store.folder}: use the token store that the GPT was trained on"
            )
