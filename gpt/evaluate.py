"""How well a GPT predicts held-out token grids, beside what their histogram alone would give."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from data.tokens import TokenStore, TokenStoreError
from gpt.model import GPT
from gpt.options import EvaluateOptions


def unigram_entropy(tokens: Tensor, vocab_size: int) -> float:
    """Return the entropy of the tokens' own histogram, in nats per token.

    No model that ignores context can have a lower mean NLL on these very tokens.
    """
    counts = torch.bincount(tokens.flatten(), minlength=vocab_size).double()
    frequency = counts[counts > 0] / counts.sum()
    return float(-(frequency * frequency.log()).sum())


@torch.no_grad()
def item_nll(model: GPT, tokens: Tensor, batch: int) -> Tensor:
    """Return the mean NLL per scored token of each of (B, L) token sequences: (B,) float32, nats, on the CPU.

    The first token of a model without a start token is not scored. The model is put into evaluation mode for the
    scoring and back afterwards.
    """
    training, device, first = model.training, model.device, model.first_scored
    model.eval()
    scores = [model.nll(rows.to(device))[:, first:].mean(dim=1).float().cpu() for rows in tokens.split(batch)]
    model.train(training)
    return torch.cat(scores)


def check_store(store: TokenStore, model: GPT) -> None:
    """Refuse a token store that a GPT was not made for.

    An imported GPT may not know its tokenizer; then vocabulary and grid decide.

    Raises:
        TokenStoreError: vocabulary, grid or tokenizer differ.
    """
    for name in ("vocab_size", "grid", "tokenizer"):
        ours, theirs = getattr(model.config, name), getattr(store.metadata, name)
        if ours != theirs and ours != "":
            raise TokenStoreError(
                f"the GPT was trained with {name} {ours}, the tokens in {store.folder} have {theirs}: "
                "encode the data with the GPT's tokenizer"
            )


def held_out(store: TokenStore, limit: int | None = None) -> Sequence[int]:
    """Return the validation items of a store (evenly spread if more than `limit`), or all if it has no such part."""
    indices = store.part("validation") or list(range(len(store)))
    if limit is None or len(indices) <= limit:
        return indices
    return [indices[position * len(indices) // limit] for position in range(limit)]


def evaluate(options: EvaluateOptions) -> dict[str, float]:
    """Score the held-out items of a token store, print and return the mean NLL and the unigram entropy in nats."""
    model, store = GPT.from_pretrained(options.gpt), TokenStore(options.tokens)
    check_store(store, model)
    tokens = store.read(held_out(store))
    result = {
        "gpt_nll": float(item_nll(model, tokens, options.batch).mean()),
        "unigram_entropy": unigram_entropy(tokens[:, model.first_scored :], model.config.vocab_size),
        "items": len(tokens),
    }
    print(json.dumps(result, indent=2))
    return result
