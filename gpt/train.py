"""Train a GPT on a token store: `secondsight gpt train`, which `sampling.watch` carries out."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data.same import check_same_data, record_tokens, write_record
from data.tokens import TokenItem, TokenStore, TokenStoreError, unigram_entropy
from gpt.evaluate import check_store, held_out, item_nll, say_if_at_floor
from gpt.flops import flops_per_token
from gpt.likelihood import bits_per_pixel, unigram_nll
from gpt.model import GPT
from gpt.options import TrainOptions
from storage.run_folder import leaving_nothing
from training.curves import draw_curves
from training.loop import TrainingLoop, make_accelerator, make_order, settle_precision
from training.order import seed_step
from training.processes import describe_device, gather_values, on_first_process, process_count, process_index
from training.products import precision_of_products
from training.progress import count, say_done, say_found
from training.resuming import MADE_AT_START, begin_run, check_training, find_checkpoint, say_schedule
from training.run_lock import RunLock, sole_writer
from training.schedule import FLOORS, learning_rate, set_learning_rate
from training.state import check_model, load_training_state, save_checkpoint, save_gathered
from training.transfer import to_device
from training.waiting import check_alike

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
        FolderLockError: another process writes into `out`, or took it over meanwhile.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        CheckpointWriteError: the disk is full; the last checkpoint stays.
        SystemExit: a signal asked the run to end, and it was saved.
    """
    options, precision = settle_precision(options)
    accelerator = make_accelerator(options, options.compile)
    check_alike(options.training.precision, "precision", "give --precision fp32, tf32 or bf16 to all of them")
    if precision is not None:
        say_found(precision=precision)
    products = precision_of_products(options.training.precision)
    wait = options.training.resume == "auto"
    with products, sole_writer(options.out, wait) as lock, leaving_nothing(options.out, *MADE_AT_START):
        final = _train(options, sample_fn, accelerator, lock)
    say_done(
        options.out,
        "secondsight complete --gpt",
        options.out,
        "--tokenizer TOKENIZER --input VIDEOS --out COMPLETIONS",
    )
    return final


def _train(options: TrainOptions, sample_fn: SampleFn, accelerator: Accelerator, lock: RunLock) -> Path:
    training = options.training
    out = options.out
    check = on_first_process(lambda: check_training(options, training, out, data="tokens"))
    store = TokenStore(options.tokens)
    items = _training_items(store, options.tokens)
    record = record_tokens(store)
    check_alike(record.sha256, "token store", "let all of them see the same --tokens")
    checkpoint = on_first_process(lambda: find_checkpoint(out, check, training.steps))

    torch.manual_seed(training.seed)
    plain = GPT.from_pretrained(checkpoint).train() if checkpoint else new_gpt(options, store)
    if checkpoint:
        found = plain.config
        check_model(checkpoint, plain, options.model.for_tokens(found.grid, found.vocab_size, found.tokenizer))
    check_store(store, plain)  # a store encoded anew may lie where the interrupted run found another
    on_first_process(lambda: check_same_data(out, check, "tokens", options.tokens, record))
    plain.activation_checkpointing = options.activation_checkpointing
    optimizer = build_optimizer(plain, training.learning_rate, options.weight_decay)
    model, optimizer = accelerator.prepare(plain, optimizer)
    first = load_training_state(checkpoint, {"gpt": optimizer}) if checkpoint else 0

    def begin() -> None:
        write_record(out, record)
        begin_run(options, training, out, check, first)
        say_schedule(training, check, first, FLOORS[options.schedule])

    def name(index: int) -> str:
        return _name(store.items[items[index]])

    held = store.read(held_out(store, training.validation_items))
    floors = _floors(store, held[:, plain.first_scored :])
    nll = None
    order = make_order(accelerator, training, len(items), first)
    _say_found(accelerator, store, plain, len(items), len(held))
    cost = (plain.config.window, flops_per_token(plain.config))
    with TrainingLoop("GPT", options, accelerator, order, name, *cost, check=lock.check) as loop:
        on_first_process(begin)
        for step, samples in loop.steps(order):
            seed_step(training.seed, step, accelerator.process_index)  # dropout differs between processes
            tokens = to_device(store.read([items[sample.index] for sample in samples]), accelerator.device)
            rate = rate_at(step, options)
            loss = train_step(
                accelerator, model, optimizer, tokens, rate, training.grad_clip, options.grad_accumulation
            )
            loop.report({"loss": loss}, learning_rate=rate)
            if loop.stopping:
                lock.say_ending()
            if loop.saving:
                nll = validate(plain, held, training.batch)
                bits = bits_per_pixel(nll, store.metadata.length, store.metadata.pixels)
                lock.check()
                loop.report_scores({"validation_nll": nll, "validation_bits_per_pixel": bits, **floors})
                save_checkpoint(out, loop.done, plain, {"gpt": optimizer}, keep=training.keep, score=-nll)
            elif loop.stopping:
                save_checkpoint(out, loop.done, plain, {"gpt": optimizer}, keep=training.keep)
            if loop.due(options.sample_every):
                lock.check()
                path = out / "samples" / f"{loop.done:06d}"
                sample_fn(plain, held, path)
                loop.report_picture("samples", path.with_suffix(".png"))
                loop.speed.restart(loop.done)
    lock.check()
    on_first_process(lambda: draw_curves(out, CURVES))
    final = save_gathered(plain, out / "final")
    if nll is not None:
        say_if_at_floor(nll, floors["unigram_nll"])
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
