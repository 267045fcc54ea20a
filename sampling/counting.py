"""Counts of passes, tokens and drafts: summed over batches, kept beside finished items, said and recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sampling.parallel import DecodingCounts
from storage.terminal import count


def sum_counts(batches: Iterable[DecodingCounts]) -> DecodingCounts:
    """Return the counts of several batches as those of one; windows may differ."""
    total = DecodingCounts()
    for each in batches:
        total.passes += each.passes
        total.tokens += each.tokens
        total.recomputed += each.recomputed
        total.add_drafts(torch.tensor(each.offered), torch.tensor(each.accepted))
    return total


def arrays_of(counts: DecodingCounts) -> dict[str, NDArray[np.int64]]:
    """Return counts as arrays by name: `decoding` (3,) and, by how far ahead, `drafts` (2, W - 1)."""
    return {
        "decoding": np.array([counts.passes, counts.tokens, counts.recomputed], dtype=np.int64),
        "drafts": np.array([counts.offered, counts.accepted], dtype=np.int64),
    }


def counts_from(arrays: Mapping[str, NDArray[Any]]) -> DecodingCounts | None:
    """Return the counts that `arrays_of` put among arrays; None if there are none, as in files of versions before.

    Raises:
        KeyError: only a part of them is there.
        ValueError: they have other shapes.
    """
    if "decoding" not in arrays:
        return None
    passes, tokens, recomputed = arrays["decoding"].tolist()
    offered, accepted = arrays["drafts"].tolist()
    return DecodingCounts(passes, tokens, recomputed, offered, accepted)


def describe_counts(counts: DecodingCounts) -> str:
    """Return a sentence for people on how many passes of the model the tokens took."""
    passes = f"{counts.passes:,} pass{'' if counts.passes == 1 else 'es'}"
    sentence = f"{count(counts.tokens, 'token')} in {passes} of the model ({_tokens_a_pass(counts):.1f} a pass)"
    if not counts.recomputed:
        return sentence
    were = "was" if counts.recomputed == 1 else "were"
    return f"{sentence}; {counts.recomputed:,} {were} drawn again because rounding could have decided"


def record_counts(counts: DecodingCounts) -> dict[str, Any]:
    """Return counts by name, as they are written into `sample.json`."""
    return {
        "passes": counts.passes,
        "tokens": counts.tokens,
        "tokens_a_pass": round(_tokens_a_pass(counts), 2),
        "drafts_offered": counts.offered,
        "drafts_accepted": counts.accepted,
        "tokens_recomputed": counts.recomputed,
    }


def _tokens_a_pass(counts: DecodingCounts) -> float:
    return counts.tokens / max(1, counts.passes)
