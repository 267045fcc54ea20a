"""A GPT that begins from the weights of another: other grids, vocabularies and numbers of blocks included."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from data.tokens import TokenStore
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.widths import scale_initial_weights
from storage.fingerprints import same_fingerprint
from training.inheritance import (
    Inheritance,
    InitError,
    Parent,
    block_sources,
    check_same_architecture,
    load_parent,
    say_inheritance,
)
from training.progress import say_found

ADAPTED = ("layers", "grid", "vocab_size", "tokenizer", "dropout")
"""Fields of the config in which a GPT may differ from the one that it begins from."""
CODES = ("embedding.weight", "head.weight")
"""Tensors with a row for each code; the first also has one for the BOS token, its last, in models that have one."""
BRANCH_ENDS = ("attention.out.weight", "attention.out.bias", "feed_forward.out.weight", "feed_forward.out.bias")
"""What adds to the residual stream of a block: where it is zero, the block is the identity."""


class Beginning(NamedTuple):
    """A GPT at the start of its training, and what it was taken from; None for one of random weights."""

    gpt: GPT
    inheritance: Inheritance | None = None
    parent: Parent | None = None


def begin_gpt(options: TrainOptions, store: TokenStore) -> Beginning:
    """Return the GPT that the options describe for the tokens of a store, as its training begins.

    Without `--init` its weights are random. With it they are those of the model, which is remembered as the ancestry
    of the new one, and so are the sampling settings that it recommends; `say_beginning` says it.

    Raises:
        CheckpointError: there is no such model.
        InitError: it is no GPT, or its weights cannot be made to fit.
        MismatchError: they can, but the options do not say how.
    """
    metadata = store.metadata
    config = options.model.for_tokens(metadata.grid, metadata.vocab_size, metadata.tokenizer)
    init = options.beginning.init
    if init is None:
        return Beginning(scale_initial_weights(GPT(config), options.rate_at_width))
    parent = load_parent(init, GPT.kind, options.command)
    fresh = scale_initial_weights(GPT(_with_unasked(config, parent)), options.rate_at_width)
    inheritance = inherit(parent, fresh, options)
    fresh.load_state_dict(inheritance.tensors)
    fresh.ancestry = (inheritance.describe(parent), *parent.model.ancestry)
    assert isinstance(parent.model, GPT)
    fresh.sampling = parent.model.sampling
    return Beginning(fresh, inheritance, parent)


def say_beginning(beginning: Beginning, options: TrainOptions) -> None:
    """Say what a GPT was taken from, if it was from another, when everything else was checked."""
    if beginning.parent is None:
        return
    say_inheritance(beginning.gpt.ancestry[0])
    if beginning.gpt.sampling is not None:
        say_found(sampling=f"recommended as by it: {beginning.gpt.sampling.describe()}")
    codes = beginning.gpt.config.vocab_size
    if options.new_codes is not None and codes == beginning.parent.model.config.vocab_size:
        say_found(unused=f"--new-codes {options.new_codes}: the model knows all {codes} codes of the tokens")


def inherit(parent: Parent, fresh: GPT, options: TrainOptions) -> Inheritance:
    """Return what a GPT of random weights takes over of another one.

    Args:
        parent: a GPT.
        fresh: one of the new config.
        options: how rows of further codes begin, and whether codes of another tokenizer mean the same.

    Raises:
        InitError: the architectures do not fit, or the options do not say how to bridge what differs.
    """
    before: GPTConfig = parent.model.config
    now = fresh.config
    check_same_architecture(parent, now, ADAPTED)
    inheritance = Inheritance(fresh.state_dict())
    inheritance.notes += _compare_grids(parent, now)
    sources = block_sources(before.layers, now.layers)
    inheritance.notes += _compare_layers(before, now, sources)
    anew = _codes_begin_anew(parent, now, options)
    old = parent.tensors
    for name in inheritance.tensors:
        if name in CODES:
            _take_codes(inheritance, name, old[name], before, now, options.new_codes, anew)
        elif name == "positions.table.weight" and before.grid != now.grid:
            inheritance.take(name, interpolate_positions(old[name], before, now), "interpolated")
        elif name.startswith("blocks."):
            _take_of_block(inheritance, name, old, sources)
        else:
            inheritance.take(name, old[name])
    inheritance.notes += _describe_codes(before, now, options.new_codes, anew)
    return inheritance


def interpolate_positions(table: Tensor, before: GPTConfig, now: GPTConfig) -> Tensor:
    """Return the learned positions of one grid for another, trilinear over latent frames, rows and columns.

    The last token of a grid has no position; for the interpolation it is given that of the token before it. The vector
    of the BOS token stays as it is.

    Args:
        table: (window - 1 + BOS, D), of the old grid.
        before: the config of the old grid.
        now: of the new one.

    Returns:
        (window - 1 + BOS, D), of the new grid.
    """
    bos = int(before.bos)
    t, h, w = before.grid
    places = torch.cat([table[bos:], table[-1:]])
    volume = rearrange(places, "(t h w) D -> 1 D t h w", t=t, h=h, w=w)
    resized = F.interpolate(volume, size=now.grid, mode="trilinear", align_corners=False)
    return torch.cat([table[:bos], rearrange(resized, "1 D t h w -> (t h w) D")[:-1]])


def check_old_tokens(store: TokenStore, model: GPT, parent: Parent | None, options: TrainOptions) -> None:
    """Refuse a store of old tokens that a GPT cannot score.

    Its codes must mean what those of the GPT mean: they are of the same tokenizer, or of that of the model it begins
    from where the options say that codes keep their meaning. A run that is resumed does not know which that was.

    Args:
        store: of `--old-tokens`.
        model: the GPT in training.
        parent: what it begins from; None where that is no longer read.
        options: whether the codes were kept.

    Raises:
        InitError: its grid is another, it has more codes, or its codes mean something else.
    """
    old = store.metadata
    config = model.config
    advice = "give a store of the tokens that the model learned before, of the same grid, or leave --old-tokens out"
    if old.grid != config.grid:
        raise InitError(f"--old-tokens {store.folder} has grids of {old.grid}, the GPT of {config.grid}: {advice}")
    if old.vocab_size > config.vocab_size:
        raise InitError(
            f"--old-tokens {store.folder} is of {old.vocab_size} codes, the GPT of {config.vocab_size}: {advice}"
        )
    known = [config.tokenizer]
    if options.new_tokenizer == "keep" or options.new_codes is not None:
        known.append(parent.model.config.tokenizer if parent is not None else "")
    if all(each and not same_fingerprint(old.tokenizer, each) for each in known):
        raise InitError(
            f"--old-tokens {store.folder} is of {_named(old.tokenizer)}, whose codes mean something else to the GPT, "
            f"which learns those of {' and '.join(map(_named, known))}: encode the old clips with the tokenizer of "
            "--tokens, or leave --old-tokens out"
        )


def _named(tokenizer: str) -> str:
    return f"tokenizer {tokenizer}" if tokenizer else "an unknown tokenizer"


def _with_unasked(config: GPTConfig, parent: Parent) -> GPTConfig:
    """Return the same config, with what no option asks for but the model says of itself."""
    before = parent.model.config
    unasked = {
        field.name: getattr(before, field.name)
        for field in fields(before)
        if not field.metadata.get("asked", True) and field.name not in ADAPTED
    }
    return replace(config, **unasked)


def _compare_grids(parent: Parent, now: GPTConfig) -> list[str]:
    """Return what becomes of positions, in a sentence if the grids differ.

    Raises:
        InitError: positions along an axis cannot be told from those of the old grid.
    """
    before = parent.model.config
    if before.grid == now.grid:
        return []
    grids = f"grid {_grid(before)} -> {_grid(now)}"
    if now.variant == "rotary":
        return [f"{grids}: rotary positions are computed, and have no weights"]
    for axis, old, new in zip(("rows", "columns"), before.grid[1:], now.grid[1:], strict=True):
        if old == 1 and new > 1:
            raise InitError(
                f"--init {parent.named}: {grids} cannot be adapted: its learned positions know one of the {new} "
                f"{axis}, and the others would be the same. Encode with a tokenizer of the model's grid, or leave "
                "--init out"
            )
    return [f"{grids}: learned positions are interpolated"]


def _compare_layers(before: GPTConfig, now: GPTConfig, sources: list[int | None]) -> list[str]:
    if before.layers == now.layers:
        return []
    if now.layers > before.layers:
        how = f"{now.layers - before.layers} new behind the others, the identity at first"
    else:
        how = f"kept are {', '.join(map(str, sources))}"
    return [f"{before.layers} blocks -> {now.layers}: {how}"]


def _take_of_block(inheritance: Inheritance, name: str, old: dict[str, Tensor], sources: list[int | None]) -> None:
    _, index, rest = name.split(".", maxsplit=2)
    source = sources[int(index)]
    if source is not None:
        inheritance.take(name, old[f"blocks.{source}.{rest}"])
    elif rest in BRANCH_ENDS:
        inheritance.tensors[name].zero_()


def _codes_begin_anew(parent: Parent, now: GPTConfig, options: TrainOptions) -> bool:
    """Whether embedding and head begin anew, as the codes mean something else.

    Raises:
        InitError: the codes are others, and the options do not say what they mean or how new ones begin.
    """
    before = parent.model.config
    if options.new_tokenizer == "anew":
        return True
    if now.vocab_size < before.vocab_size:
        raise InitError(
            f"--init {parent.named} knows {before.vocab_size} codes, the tokens are of {now.vocab_size}: fewer "
            "codes are those of another tokenizer. --new-tokenizer anew begins the embedding and the head anew"
        )
    if now.vocab_size > before.vocab_size:
        if options.new_codes is None:
            raise InitError(
                f"--init {parent.named} knows {before.vocab_size} codes, the tokens are of {now.vocab_size}: say how "
                f"those of the {now.vocab_size - before.vocab_size} further codes begin, --new-codes mean or "
                "--new-codes random, if the others mean what they meant; --new-tokenizer anew, if they do not"
            )
        return False
    differs = before.tokenizer and not same_fingerprint(now.tokenizer, before.tokenizer)
    if differs and options.new_tokenizer is None:
        raise InitError(
            f"--init {parent.named} learned the tokens of tokenizer {before.tokenizer}, these are of "
            f"{now.tokenizer or 'another'}: --new-tokenizer anew begins the embedding and the head anew; "
            "--new-tokenizer keep keeps them, where every code means what it meant (a tokenizer that "
            "was itself begun from the old one)"
        )
    return False


def _take_codes(
    inheritance: Inheritance,
    name: str,
    old: Tensor,
    before: GPTConfig,
    now: GPTConfig,
    new_codes: str | None,
    anew: bool,
) -> None:
    """Take over the rows of codes, and that of the BOS token, which is the last."""
    fresh = inheritance.tensors[name]
    codes = 0 if anew else before.vocab_size
    bos = fresh.shape[0] - now.vocab_size
    if codes == now.vocab_size:
        inheritance.take(name, old)
        return
    rows = fresh.clone()
    rows[:codes] = old[:codes]
    if new_codes == "mean" and codes:
        rows[codes : now.vocab_size] = old[:codes].mean(dim=0)
    rows[now.vocab_size :] = old[before.vocab_size :]
    if codes or bos:
        inheritance.take(name, rows, "resized")


def _describe_codes(before: GPTConfig, now: GPTConfig, new_codes: str | None, anew: bool) -> list[str]:
    bos = ", but for the row of the BOS token" if now.bos else ""
    if anew:
        return [f"another tokenizer: embedding and head of {now.vocab_size} codes begin anew{bos}"]
    if before.vocab_size == now.vocab_size:
        unknown = not before.tokenizer and now.tokenizer
        return (
            ["the model does not say which tokenizer's codes it learned: they are taken for these"] if unknown else []
        )
    how = "with the mean of the others" if new_codes == "mean" else "at random"
    return [f"{before.vocab_size} codes -> {now.vocab_size}: {now.vocab_size - before.vocab_size} begin {how}"]


def _grid(config: GPTConfig) -> str:
    return "x".join(map(str, config.grid))
