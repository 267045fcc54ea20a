"""Units of a likelihood, and the floor below which a model has learned something: what counting tokens would reach.

`docs/explanation/likelihood.md` says what may be compared with what.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from data.tokens import TokenStore

COUNTED_TOKENS = 1 << 24
"""Training tokens that are counted, at most: a second's work, and the estimate is off by less than a thousandth of a
nat for vocabularies of up to 2^15 codes."""


def bits_per_token(nll: float) -> float:
    """Return a mean NLL in nats per token as bits per token."""
    return nll / math.log(2)


def bits_per_pixel(nll: float, tokens: int, pixels: int) -> float:
    """Return a mean NLL in nats per token as bits per pixel of the originals that the tokens stand for.

    It is the cost of all tokens of an item in bits, divided by its pixels. A pixel is a place in a frame with all of
    its colours, not one of its three channels. Where the first token of an item is not scored, it is counted as one
    that costs as much as the others.

    Args:
        nll: mean over the scored tokens, in nats.
        tokens: of an item.
        pixels: of the same item before the tokenizer: frames x rows x columns of its clip format.
    """
    return bits_per_token(nll) * tokens / pixels


def unigram_nll(store: TokenStore, tokens: Tensor, at_most: int = COUNTED_TOKENS) -> float | None:
    """Return the mean NLL of tokens under how often each code occurs in the training items, in nats.

    It is what a model reaches that has learned nothing but to count: unlike the entropy of the tokens' own histogram,
    which no model without context can fall below but none can know, either. To every count one half is added
    (Krichevsky and Trofimov 1981), so that codes which do not occur cost a finite number of nats.

    Args:
        store: whose training items are counted.
        tokens: int64 of any shape, below the vocabulary of the store.
        at_most: training tokens that are counted; of more, items are taken evenly spread.

    Returns:
        The mean; None where the store has no training items.
    """
    indices = store.split("train")
    if not indices:
        return None
    metadata = store.metadata
    step = max(1, math.ceil(len(indices) * metadata.length / at_most))
    counted = store.read(indices[::step])
    counts = torch.bincount(counted.flatten(), minlength=metadata.vocab_size).double() + 0.5
    return float(-(counts / counts.sum()).log()[tokens].mean())


def floor_sentence(nll: float, floor: float) -> str | None:
    """Return a sentence for people where a model is no better than a unigram; None where it is better.

    Args:
        nll: of the model, mean in nats per token.
        floor: of the unigram on the same tokens.
    """
    if nll < floor:
        return None
    worse = "worse" if f"{nll:.2f}" != f"{floor:.2f}" else "no better"
    return (
        f"NLL {nll:.2f} nats per token is {worse} than the unigram floor {floor:.2f}: the model has learned nothing "
        "that counting tokens would not say"
    )
