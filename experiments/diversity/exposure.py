"""How much of what a GPT has been trained on."""

from __future__ import annotations

import json
from pathlib import Path

from data.subset import place_of
from data.tokens import TokenStore, TokenStoreError
from storage.model_folder import find_model


def count_items(store: TokenStore) -> int:
    """Return the number of different training items of a store, further crops of an item not counted."""
    return len({place_of(store.items[index]) for index in store.part("train")})


def sequences_seen(gpt: Path, store: TokenStore) -> int | None:
    """Return the sequences that a GPT was trained on, repetitions counted, or None where it does not lie in its run.

    Raises:
        TokenStoreError: its run says that it was trained on another token store.
    """
    folder = find_model(gpt)
    checkpoint = folder.parent.name == "checkpoints"
    try:
        recorded = (folder.parents[1] if checkpoint else folder.parent) / "config.json"
        options = json.loads(recorded.read_text(encoding="utf-8"))
        tokens, steps = Path(options["tokens"]), int(folder.name) if checkpoint else int(options["steps"])
        sequences = steps * int(options["batch"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
    if tokens.exists() and not tokens.samefile(store.folder):
        raise TokenStoreError(f"{gpt} was trained on {tokens}, not on {store.folder}: give that token store")
    return sequences
