"""A tokenizer that begins from the weights of another: other clips, numbers of codes or blocks, quantizers included."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from training.inheritance import (
    Inheritance,
    InitError,
    Parent,
    block_sources,
    check_same_architecture,
    load_parent,
    say_inheritance,
)
from training.progress import count, say_found
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN
from vqgan.options import TrainOptions

ADAPTED = ("resolution", "frames", "fps", "blocks", "decoder_blocks", "codes", "commitment", "codebook_decay")
"""Fields of the config in which a tokenizer may differ from the one that it begins from."""
QUANTIZER = ("codes", "code_width", "normalised", "levels")
"""Fields that are another quantizer's, where they differ; of learned codes the number may."""
BRANCH_ENDS = ("time.conv.weight", "time.conv.bias", "space2.weight", "space2.bias")
"""What a residual block adds: where it is zero, the block is the identity."""
LATENT = ("encoder.last.", "decoder.first.")
"""Tensors that have the width of a code."""


class Beginning(NamedTuple):
    """What a tokenizer was taken from."""

    inheritance: Inheritance
    parent: Parent


def begin_tokenizer(fresh: VQGAN, options: TrainOptions) -> Beginning | None:
    """Give a tokenizer of random weights those of the model of `--init`; None if there is none.

    What was taken over is remembered as the ancestry of the tokenizer; `say_beginning` says it.

    Raises:
        CheckpointError: there is no such model.
        InitError: it is no causal VQGAN, or its weights cannot be made to fit.
    """
    init = options.beginning.init
    if init is None:
        return None
    parent = load_parent(init, VQGAN.kind, options.command)
    inheritance = inherit(parent, fresh, options.new_quantizer)
    fresh.load_state_dict(inheritance.tensors)
    fresh.ancestry = (inheritance.describe(parent), *parent.model.ancestry)
    return Beginning(inheritance, parent)


def say_beginning(tokenizer: VQGAN, options: TrainOptions) -> None:
    """Say what a tokenizer that begins from another took over, when everything else was checked."""
    say_inheritance(tokenizer.ancestry[0])
    if options.continuous_steps and not options.new_quantizer:
        say_found(
            beware=f"the codes are kept, and not used in the first {count(options.continuous_steps, 'step')}: "
            "--continuous-steps 0 trains with them from the beginning"
        )


def inherit(parent: Parent, fresh: VQGAN, new_quantizer: bool) -> Inheritance:
    """Return what a tokenizer of random weights takes over of another one.

    Args:
        parent: a causal VQGAN.
        fresh: one of the new config.
        new_quantizer: whether the quantizer begins anew.

    Raises:
        InitError: the architectures do not fit, or the quantizer is another and was not asked to begin anew.
    """
    before: VQGANConfig = parent.model.config
    now = fresh.config
    check_same_architecture(parent, now, {*ADAPTED, *QUANTIZER})
    if not new_quantizer:
        _check_quantizer(parent, now)
    inheritance = Inheritance(fresh.state_dict())
    inheritance.notes += _describe(before, now, new_quantizer)
    sources = {
        "encoder": block_sources(before.blocks, now.blocks),
        "decoder": block_sources(before.decoder_blocks, now.decoder_blocks),
    }
    codes = None if new_quantizer or before.levels else _kept_codes(parent.tensors["quantizer.counts"], now.codes)
    for name in inheritance.tensors:
        if name.startswith("quantizer."):
            if codes is not None:
                _take_codes(inheritance, name, parent.tensors[name], codes, now.codes)
        elif name.startswith(LATENT) and before.latent_width != now.latent_width:
            continue
        elif ".levels." in name:
            _take_of_block(inheritance, name, parent.tensors, sources)
        else:
            inheritance.take(name, parent.tensors[name])
    return inheritance


def _check_quantizer(parent: Parent, now: VQGANConfig) -> None:
    """Refuse another quantizer than that of the model, but for the number of learned codes."""
    before: VQGANConfig = parent.model.config
    learned = not before.levels and not now.levels
    differing = [
        name for name in QUANTIZER if getattr(before, name) != getattr(now, name) and (name != "codes" or not learned)
    ]
    if before.levels and before.levels == now.levels:
        differing = []  # what is said of learned codes means nothing then
    if not differing:
        return
    said = "; ".join(
        f"--{name.replace('_', '-')} {_shown(getattr(now, name))} is not the {_shown(getattr(before, name))} of the "
        "model"
        for name in differing
    )
    raise InitError(
        f"--init {parent.named}: the quantizer is another ({said}): --new-quantizer begins it anew; or leave these "
        "options out, and it is the model's"
    )


def _kept_codes(counts: Tensor, codes: int) -> Tensor:
    """Return the indices of the learned codes that are kept, in their order: all, or the `codes` most used.

    Args:
        counts: (K,) moving averages of how often each was used.
        codes: how many there will be.
    """
    return counts.topk(min(codes, len(counts))).indices.sort().values


def _take_codes(inheritance: Inheritance, name: str, old: Tensor, kept: Tensor, codes: int) -> None:
    """Take over the rows of kept codes; further ones count as never used, and move onto vectors of the first batch."""
    if not old.ndim or len(old) == codes:
        inheritance.take(name, old)
        return
    rows = inheritance.tensors[name].clone()
    rows[: len(kept)] = old[kept]
    if not name.endswith("codebook"):
        rows[len(kept) :] = 0
    inheritance.take(name, rows, "resized")


def _take_of_block(
    inheritance: Inheritance, name: str, old: dict[str, Tensor], sources: dict[str, list[int | None]]
) -> None:
    """Take over a tensor `encoder.levels.<level>.<block>.<rest>`; new blocks begin as the identity."""
    side, levels, level, block, rest = name.split(".", maxsplit=4)
    source = sources[side][int(block)]
    if source is not None:
        inheritance.take(name, old[f"{side}.{levels}.{level}.{source}.{rest}"])
    elif rest in BRANCH_ENDS:
        inheritance.tensors[name].zero_()


def _describe(before: VQGANConfig, now: VQGANConfig, new_quantizer: bool) -> list[str]:
    notes = [
        f"{name} {getattr(before, name):g} -> {getattr(now, name):g}: convolutions take clips of any size"
        for name in ("resolution", "frames", "fps")
        if getattr(before, name) != getattr(now, name)
    ]
    for name, side in (("blocks", "encoder"), ("decoder_blocks", "decoder")):
        old = getattr(before, name)
        new = getattr(now, name)
        if new > old:
            notes.append(
                f"{old} {side} blocks a level -> {new}: {new - old} new behind the others, the identity at first"
            )
        elif new < old:
            kept = ", ".join(map(str, block_sources(old, new))) or "none"
            notes.append(f"{old} {side} blocks a level -> {new}: kept are {kept}")
    if new_quantizer:
        notes.append("the quantizer begins anew: its codes mean something else")
    elif now.codes > before.codes and not now.levels:
        notes.append(f"{before.codes} codes -> {now.codes}: new ones move onto vectors of the first batch")
    elif now.codes < before.codes and not now.levels:
        notes.append(f"{before.codes} codes -> {now.codes}: the most used are kept, and numbered anew")
    return notes


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value)
