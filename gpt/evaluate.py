"""How well a GPT predicts held-out token grids, beside what their histogram alone would give."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from data.tokens import TokenStore, unigram_entropy
from gpt.config import MismatchError
from gpt.flops import parameter_count
from gpt.model import GPT
from gpt.options import EvaluateOptions
from training.processes import best_device, describe_device
from training.progress import count, say_found


@torch.no_grad()
def item_nll(model: GPT, tokens: Tensor, batch: int) -> Tensor:
    """Return the mean NLL per scored token of each of (B, L) token sequences: (B,) float32, nats, on the CPU.

    The first token of a model without a BOS token is not scored. The model is put into evaluation mode for the
    scoring and back afterwards.
    """
    training = model.training
    device = model.device
    first = model.first_scored
    model.eval()
    scores = [model.nll(rows.to(device))[:, first:].mean(dim=1).float().cpu() for rows in tokens.split(batch)]
    model.train(training)
    return torch.cat(scores)


def check_store(store: TokenStore, model: GPT) -> None:
    """Refuse a token store that a GPT was not made for.

    Raises:
        MismatchError: vocabulary, grid or tokenizer differ; the message names the store.
    """
    metadata = store.metadata
    try:
        model.config.check_tokens(metadata.grid, metadata.vocab_size, metadata.tokenizer)
    except MismatchError as error:
        raise MismatchError(f"{store.folder}: {error}") from error


def held_out(store: TokenStore, limit: int | None = None) -> Sequence[int]:
    """Return the validation items of a store (evenly spread if more than `limit`), or all if it has no such split."""
    indices = store.split("validation") or list(range(len(store)))
    if limit is None or len(indices) <= limit:
        return indices
    return [indices[position * len(indices) // limit] for position in range(limit)]


def evaluate(options: EvaluateOptions) -> dict[str, float]:
    """Score the held-out items of a token store, print and return the mean NLL and the unigram entropy in nats."""
    device = best_device()
    model = GPT.from_pretrained(options.gpt).to(device)
    store = TokenStore(options.tokens)
    check_store(store, model)
    tokens = store.read(held_out(store))
    say_found(
        device=describe_device(device),
        tokens=f"{count(len(tokens), 'held-out item')} of {len(store):,}, {store.metadata.length} tokens each",
        model=f"{model.config.describe()}, {parameter_count(model.config):,} parameters",
    )
    result = {
        "gpt_nll": float(item_nll(model, tokens, options.batch).mean()),
        "unigram_entropy": unigram_entropy(tokens[:, model.first_scored :], model.config.vocab_size),
        "items": len(tokens),
    }
    print(json.dumps(result, indent=2))
    return result
