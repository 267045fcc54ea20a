"""Train a GPT on a token store: `secondsight gpt train`, which `sampling.watch` carries out."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data.tokens import TokenItem, TokenStore, TokenStoreError, unigram_entropy
from gpt.evaluate import check_store, held_out, item_nll, say_if_at_floor
from gpt.flops import flops_per_token
from gpt.likelihood import bits_per_pixel, unigram_nll
from gpt.model import GPT
from gpt.options import TrainOptions
from storage.checkpoints import newest_checkpoint
from storage.run_folder import open_run, truncate_metrics
from training.curves import draw_curves
from training.loop import TrainingLoop, make_accelerator, make_order
from training.order import seed_step
from training.processes import describe_device, gather_values, on_first_process, process_count, process_index
from training.progress import count, say_done, say_found
from training.schedule import FLOORS, learning_rate, set_learning_rate
from training.state import load_training_state, save_checkpoint, save_gathered

CURVES = {"nats per token": ("loss", "validation_nll", "unigram_nll")}
SampleFn = Callable[[GPT, Tensor, Path], None]
"""Samples from a GPT, some of them continuing halves of (B, L) held-out grids, into files that begin with a path; all
processes call it together. See `sampling.watch`."""


def train(options: TrainOptions, sample_fn: SampleFn) -> Path:
    """Train a GPT and return the folder of the final model, `out/final`.

    Args:
        options: what to train, and how.
        sample_fn: takes the samples that `options.sample_every` asks for.

    Raises:
        TrackerError: the package that `options.trackers` needs is not installed.
        MismatchError: the run that is continued is of other tokens.
        TokenStoreError: the token store cannot be used.
        RunFolderError: `out` holds another run.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        CheckpointWriteError: the disk is full; the last checkpoint stays.
        SystemExit: a signal asked the run to end, and it was saved.
    """
    training = options.training
    out = options.out
    accelerator = make_accelerator(options, options.compile)
    store = TokenStore(options.tokens)
    items = _training_items(store, options.tokens)
    on_first_process(lambda: open_run(out, options, training.resume, training.overwrite))

    torch.manual_seed(training.seed)
    checkpoint = on_first_process(lambda: newest_checkpoint(out)) if training.resume == "auto" else None
    plain = GPT.from_pretrained(checkpoint).train() if checkpoint else new_gpt(options, store)
    check_store(store, plain)  # a store encoded anew may lie where the interrupted run found another
    plain.activation_checkpointing = options.activation_checkpointing
    optimizer = build_optimizer(plain, training.learning_rate, options.weight_decay)
    model, optimizer = accelerator.prepare(plain, optimizer)
    first = load_training_state(checkpoint, {"gpt": optimizer}) if checkpoint else 0
    on_first_process(lambda: truncate_metrics(out, first))

    held = store.read(held_out(store, training.validation_items))
    floors = _floors(store, held[:, plain.first_scored :])
    nll = None
    order = make_order(accelerator, training, len(items), first)
    _say_found(accelerator, store, plain, len(items), len(held))
    cost = (plain.config.window, flops_per_token(plain.config))
    with TrainingLoop("GPT", options, accelerator, order, lambda i: _name(store.items[items[i]]), *cost) as loop:
        for step, samples in loop.steps(order):
            seed_step(training.seed, step, accelerator.process_index)  # dropout differs between processes
            tokens = store.read([items[sample.index] for sample in samples]).to(accelerator.device)
            rate = rate_at(step, options)
            loss = train_step(
                accelerator, model, optimizer, tokens, rate, training.grad_clip, options.grad_accumulation
            )
            loop.report({"loss": loss}, learning_rate=rate)
            if loop.saving:
                nll = validate(plain, held, training.batch)
                bits = bits_per_pixel(nll, store.metadata.length, store.metadata.pixels)
                loop.report_scores({"validation_nll": nll, "validation_bits_per_pixel": bits, **floors})
                save_checkpoint(out, loop.done, plain, {"gpt": optimizer}, keep=training.keep, score=-nll)
            elif loop.stopping:
                save_checkpoint(out, loop.done, plain, {"gpt": optimizer}, keep=training.keep)
            if loop.due(options.sample_every):
                sample_fn(plain, held, out / "samples" / f"{loop.done:06d}")
                loop.speed.restart(loop.done)
    on_first_process(lambda: draw_curves(out, CURVES))
    final = save_gathered(plain, out / "final")
    if nll is not None:
        say_if_at_floor(nll, floors["unigram_nll"])
    say_done(out, "secondsight complete --gpt", out, "--tokenizer TOKENIZER --input VIDEOS --out COMPLETIONS")
    return final


def _training_items(store: TokenStore, path: Path) -> list[int]:
    """Return the positions of the training items in the store that lies at `path`."""
    items = store.split("train")
    if not items:
        raise TokenStoreError(f"{path} has no training items")
    return items


def _floors(store: TokenStore, held: Tensor) -> dict[str, float]:
    """Return what a model without context reaches on int64 held-out tokens, in nats per token.

    `unigram_entropy` is that of their own histogram, `unigram_nll` under that of the training items.
    """
    counted = unigram_nll(store, held)
    assert counted is not None, "a store without training items is refused"
    return {"unigram_entropy": unigram_entropy(held, store.metadata.vocab_size), "unigram_nll": counted}


def new_gpt(options: TrainOptions, store: TokenStore) -> GPT:
    """Return the GPT that the options describe for the tokens of a store, not yet trained."""
    metadata = store.metadata
    return GPT(options.model.for_tokens(metadata.grid, metadata.vocab_size, metadata.tokenizer))


def rate_at(step: int, options: TrainOptions) -> float:
    """Return the learning rate of an optimizer step."""
    training = options.training
    floor = FLOORS[options.schedule]
    return learning_rate(step, training.steps, training.learning_rate, training.warmup, floor)


def validate(model: GPT, tokens: Tensor, batch: int) -> float:
    """Return the mean NLL of (B, L) int64 held-out tokens, in nats; processes share the work, and must all call it.

    Args:
        model: its weights may be shared out among the processes.
        tokens: the same on all processes.
        batch: sequences per forward pass, over all processes.
    """
    share = math.ceil(len(tokens) / process_count())
    # All score equally many, or those that wait for each other's weights would wait for ever: the last begin anew.
    own = torch.arange(share) + process_index() * share
    scores = item_nll(model, tokens[own % len(tokens)], math.ceil(batch / process_count()))
    return float(torch.cat(gather_values(scores))[: len(tokens)].mean())


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    rate: float,
    grad_clip: float,
    grad_accumulation: int = 1,
) -> Tensor:
    """Take one optimizer step on (B, L) int64 tokens and return the mean NLL of those that are scored, detached.

    Args:
        accelerator: prepared `model` and `optimizer`.
        model: the GPT.
        optimizer: of its parameters.
        tokens: the batch of this process.
        rate: learning rate.
        grad_clip: largest norm of the gradient; 0 does not clip it.
        grad_accumulation: parts, at most, that the batch is computed in.
    """
    plain: GPT = accelerator.unwrap_model(model, keep_torch_compile=False)
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros((), device=tokens.device)
    parts = tokens.split(math.ceil(len(tokens) / grad_accumulation))
    for number, part in enumerate(parts, start=1):
        # Processes exchange their gradients once, with those of the last part.
        with accelerator.no_sync(model) if number < len(parts) else nullcontext():
            part_loss = model(plain.with_bos(part[:, :-1]), targets=part[:, plain.first_scored :])
            accelerator.backward(part_loss * (len(part) / len(tokens)))
        loss += part_loss.detach() * (len(part) / len(tokens))
    if grad_clip:
        accelerator.clip_grad_norm_(model.parameters(), grad_clip)
    set_learning_rate(optimizer, rate)
    optimizer.step()
    return loss


def build_optimizer(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW with betas (0.9, 0.95) and decay on matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def _say_found(accelerator: Accelerator, store: TokenStore, model: GPT, items: int, held: int) -> None:
    grid = "x".join(map(str, store.metadata.grid))
    say_found(
        device=describe_device(accelerator.device),
        tokens=f"{count(items, 'training item')}, {held:,} for validation, {grid} of {store.metadata.vocab_size} codes",
        model=f"{model.config.describe()}, {sum(p.numel() for p in model.parameters()):,} parameters",
    )


def _name(item: TokenItem) -> str:
    """Return what people find an item by."""
    return f"{item.source} at {item.start:g} s"
