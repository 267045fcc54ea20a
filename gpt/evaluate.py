"""How well a GPT predicts held-out token grids, beside what counting tokens alone would give."""

from __future__ import annotations

import json
from collections.abc import Sequence

from torch import Tensor

from data.tokens import TokenStore, unigram_entropy
from gpt.config import MismatchError
from gpt.flops import parameter_count
from gpt.likelihood import bits_per_pixel, bits_per_token, floor_sentence, unigram_nll
from gpt.model import GPT
from gpt.options import EvaluateOptions
from gpt.scoring import score_tokens
from training.precision import layers_in, settle
from training.processes import best_device, describe_device
from training.progress import count, say_found


def item_nll(model: GPT, tokens: Tensor, batch: int) -> Tensor:
    """Return the mean NLL per scored token of each of (B, L) token sequences: (B,) float32, nats, on the CPU.

    The first token of a model without a BOS token is not scored. `batch` is as in `gpt.scoring.score_tokens`.
    """
    return score_tokens(model, tokens, batch)[:, model.first_scored :].mean(dim=1)


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
    return evenly(store.split("validation") or list(range(len(store))), limit)


def evenly(indices: Sequence[int], limit: int | None) -> Sequence[int]:
    """Return some indices evenly spread over all, if there are more than `limit`."""
    if limit is None or len(indices) <= limit:
        return indices
    return [indices[position * len(indices) // limit] for position in range(limit)]


def evaluate(options: EvaluateOptions) -> dict[str, float]:
    """Score the held-out items of a token store, print and return how well they are predicted.

    A precision that is not fp32 is printed with the numbers.
    All of it speaks of tokens, whose likelihood is exact, and not of pixels: `docs/explanation/likelihood.md`.

    Returns:
        `gpt_nll`, mean NLL in nats per token; `bits_per_token` and `bits_per_pixel`, the same in these units;
        `unigram_entropy` of the tokens' own histogram and `unigram_nll` under that of the training items (left out
        where the store has none), in nats per token; `items`, `tokens_per_item` and `pixels_per_item`.
    """
    device = best_device()
    options, precision = settle(options, "precision", device)
    model = GPT.from_pretrained(options.gpt).to(device)
    store = TokenStore(options.tokens)
    check_store(store, model)
    tokens = store.read(held_out(store))
    metadata = store.metadata
    say_found(
        device=describe_device(device),
        tokens=f"{count(len(tokens), 'held-out item')} of {len(store):,}, {metadata.length} tokens each",
        model=f"{model.config.describe()}, {parameter_count(model.config):,} parameters",
        precision=precision or options.precision,
    )
    scored = tokens[:, model.first_scored :]
    with layers_in(options.precision, device):
        nll = float(item_nll(model, tokens, options.batch).mean())
    entropy = unigram_entropy(scored, metadata.vocab_size)
    counted = unigram_nll(store, scored)
    result = {
        "gpt_nll": nll,
        "bits_per_token": bits_per_token(nll),
        "bits_per_pixel": bits_per_pixel(nll, metadata.length, metadata.pixels),
        "unigram_entropy": entropy,
        **({} if counted is None else {"unigram_nll": counted}),
        "items": len(tokens),
        "tokens_per_item": metadata.length,
        "pixels_per_item": metadata.pixels,
    }
    lower = {} if options.precision == "fp32" else {"precision": options.precision}
    print(json.dumps({**result, **lower}, indent=2))
    say_if_at_floor(nll, entropy if counted is None else counted)
    return result


def say_if_at_floor(nll: float, floor: float) -> None:
    """Say that a model is no better than a unigram, if it is not; both in nats per token."""
    sentence = floor_sentence(nll, floor)
    if sentence:
        say_found(beware=sentence)
