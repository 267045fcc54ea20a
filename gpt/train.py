"""Train a GPT on a token store: `secondsight gpt train`, which `sampling.watch` carries out."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data.errors import TokenStoreError
from data.same import check_same_data, check_same_trunk, record_tokens, write_record
from data.tokens import TokenItem, TokenStore, unigram_entropy
from gpt.evaluate import check_store, item_nll
from gpt.flops import flops_per_token
from gpt.init import Beginning, begin_gpt, check_old_tokens, say_beginning
from gpt.likelihood import bits_per_pixel, unigram_nll
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.training_tokens import describe_latent_frames, open_tokens, read_held_out, read_samples
from gpt.widths import parameter_groups
from storage.run_folder import leaving_nothing
from training import schedule
from training.curves import draw_curves
from training.health import clip_gradient
from training.inheritance import describe_parameters, freeze, take_moments
from training.loop import TrainingLoop, make_accelerator, make_order, settle_precision
from training.options import Sharing
from training.order import seed_step
from training.processes import describe_device, gather_values, on_first_process, process_count, process_index
from training.products import precision_of_products
from training.progress import count, say_done, say_found
from training.resuming import MADE_AT_START, begin_run, check_training, find_checkpoint
from training.run_lock import RunLock, sole_writer
from training.saving import CheckpointSaver
from training.schedule import set_learning_rate
from training.sharding import check_sharing, more_to_come, share_out
from training.state import check_model, load_training_state, save_gathered
from training.transfer import to_device
from training.waiting import check_alike

CURVES = {
    "nats per token": ("loss", "validation_nll", "unigram_nll", "old_validation_nll"),
    "norm of the gradient": ("gradient_norm",),
}
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
        ValueError: there are no processes to share the model, or the launcher would share it.
        InitError: the training cannot begin from the model of `--init`, or `--freeze` names no parameter, or all.
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
    check_sharing(options.shard)
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
    store = open_tokens(options.tokens, options.latent_frames)
    items = _training_items(store, options.tokens)
    record = record_tokens(store)
    check_alike(record.sha256, "token store", "let all of them see the same --tokens")
    checkpoint = on_first_process(lambda: find_checkpoint(options, training, out, check, data="tokens"))

    beginning = _begin(options, store, checkpoint)
    plain = beginning.gpt
    on_first_process(lambda: check_same_data(out, check, "tokens", options.tokens, record))
    on_first_process(lambda: check_same_trunk(training.trunk, check, "tokens", options.tokens, record))
    model, optimizer = _prepare_both(options, accelerator, beginning)
    first = load_training_state(checkpoint, {"gpt": optimizer}) if checkpoint else 0

    def begin() -> None:
        write_record(out, record)
        begin_run(options, training, out, check, first, checkpoint)

    def name(index: int) -> str:
        return _name(store.items[items[index]])

    held = read_held_out(store, options.latent_frames, training.validation_items)
    old = _old_tokens(options, beginning)
    floors = _floors(store, held[:, plain.first_scored :])
    order = make_order(accelerator, training, len(items), first)
    say_beginning(beginning, options)
    _say_found(accelerator, store, plain, len(items), len(held))
    if options.latent_frames != "in-order":
        say_found(latent_frames=describe_latent_frames(options.latent_frames))
    cost = (plain.config.window, flops_per_token(plain.config))
    with (
        TrainingLoop("GPT", options, accelerator, order, name, *cost, check=lock.check) as loop,
        CheckpointSaver(out, training, lock.check_here) as saver,
    ):
        on_first_process(begin)
        if checkpoint is None and (beginning.parent is not None or old is not None):
            loop.report_beginning(_scores(options, store, plain, held, old))
        for step, samples in loop.steps(order):
            seed_step(training.seed, step, accelerator.process_index)  # dropout differs between processes
            tokens = to_device(read_samples(store, items, samples, options.latent_frames), accelerator.device)
            rate = rate_at(step, options)
            parts = options.grad_accumulation
            measured: dict[str, Tensor] = {}
            loss = train_step(accelerator, model, optimizer, tokens, rate, training.grad_clip, parts, measured)
            loop.report({"loss": loss, **measured}, learning_rate=rate)
            saver.check()
            if loop.stopping:
                lock.say_ending()
            if loop.saving:
                scores = _scores(options, store, plain, held, old)
                lock.check()
                loop.report_scores({**scores, **floors})
                saver.save(loop.done, plain, {"gpt": optimizer}, score=-scores["validation_nll"], wait=loop.stopping)
            elif loop.stopping:
                saver.save(loop.done, plain, {"gpt": optimizer}, wait=True)
            if loop.due(options.sample_every):
                lock.check()
                path = out / "samples" / f"{loop.done:06d}"
                sample_fn(plain, held, path)
                loop.report_picture("samples", path.with_suffix(".png"))
                loop.speed.restart(loop.done)
    lock.check()
    on_first_process(lambda: draw_curves(out, CURVES))
    return save_gathered(plain, out / "final")


def _training_items(store: TokenStore, path: Path) -> list[int]:
    """Return the positions of the training items in the store that lies at `path`."""
    items = store.split("train")
    if not items:
        raise TokenStoreError(f"{path} has no training items")
    return items


def _begin(options: TrainOptions, store: TokenStore, checkpoint: Path | None) -> Beginning:
    """Return the GPT of a checkpoint, or the one that the training begins with where there is none."""
    torch.manual_seed(options.training.seed)
    if checkpoint is None:
        beginning = begin_gpt(options, store)
    else:
        beginning = Beginning(GPT.from_pretrained(checkpoint).train())
        found = beginning.gpt.config
        expected = options.model.for_tokens(found.grid, found.vocab_size, found.tokenizer)
        # The condition is no option: it came with the model of --init.
        check_model(checkpoint, beginning.gpt, replace(expected, condition=found.condition))
    check_store(store, beginning.gpt)  # a store encoded anew may lie where the interrupted run found another
    return beginning


def _prepare_both(
    options: TrainOptions, accelerator: Accelerator, beginning: Beginning
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return what trains a GPT, and its optimizer, with the moments that `--init-optimizer` takes over."""
    plain = beginning.gpt
    plain.activation_checkpointing = options.activation_checkpointing
    freeze(plain, options.beginning.freeze)
    model = prepare(accelerator, plain, options.shard)
    rate = options.training.learning_rate
    optimizer = accelerator.prepare(build_optimizer(plain, rate, options.weight_decay, options.rate_at_width))
    if beginning.inheritance is not None and beginning.parent is not None:
        take_moments(options.beginning, beginning.inheritance, beginning.parent, "gpt", optimizer)
    return model, optimizer


def _floors(store: TokenStore, held: Tensor) -> dict[str, float]:
    """Return what a model without context reaches on int64 held-out tokens, in nats per token.

    `unigram_entropy` is that of their own histogram, `unigram_nll` under that of the training items.
    """
    counted = unigram_nll(store, held)
    assert counted is not None, "a store without training items is refused"
    return {"unigram_entropy": unigram_entropy(held, store.metadata.vocab_size), "unigram_nll": counted}


def _old_tokens(options: TrainOptions, beginning: Beginning) -> Tensor | None:
    """Return held-out items, (B, L) int64, of what the model learned before; None where it is not asked for."""
    if options.old_tokens is None:
        return None
    store = open_tokens(options.old_tokens, options.latent_frames)
    check_old_tokens(store, beginning.gpt, beginning.parent, options)
    return read_held_out(store, options.latent_frames, options.training.validation_items)


def _scores(options: TrainOptions, store: TokenStore, model: GPT, held: Tensor, old: Tensor | None) -> dict[str, float]:
    """Return how well held-out items, and those of the old data, are predicted; all processes call it together."""
    batch, parts = options.training.batch, options.grad_accumulation
    nll = validate(model, held, batch, parts)
    bits = bits_per_pixel(nll, store.clips.length, store.clips.pixels)
    scores = {"validation_nll": nll, "validation_bits_per_pixel": bits}
    if old is not None:
        scores["old_validation_nll"] = validate(model, old, batch, parts)
    return scores


def rate_at(step: int, options: TrainOptions) -> float:
    """Return the learning rate of an optimizer step."""
    return schedule.rate_at(step, options.training)


def prepare(accelerator: Accelerator, model: GPT, sharing: Sharing = "none") -> nn.Module:
    """Return what trains a GPT on this process and others, which must all call it; make the optimizer afterwards.

    Args:
        accelerator: says device and precision, and compiles.
        model: moved to the device, or shared out among processes, in place.
        sharing: among which.
    """
    if sharing == "none":
        prepared: nn.Module = accelerator.prepare(model)
        return prepared
    units = [block.get_submodule(part) for block in model.blocks for part in ("attention", "feed_forward")]
    return share_out(model, units, sharing, accelerator)


def validate(model: GPT, tokens: Tensor, batch: int, grad_accumulation: int = 1) -> float:
    """Return the mean NLL of (B, L) int64 held-out tokens, in nats; processes share the work, and must all call it.

    Args:
        model: its weights may be shared out among the processes.
        tokens: the same on all processes.
        batch: sequences of an optimizer step, over all processes.
        grad_accumulation: parts that a step computes them in; no forward pass is larger than one of a step.
    """
    at_once = math.ceil(math.ceil(batch / process_count()) / grad_accumulation)
    share = math.ceil(len(tokens) / process_count())
    # All score equally many, or those that wait for each other's weights would wait for ever: the last begin anew.
    own = torch.arange(share) + process_index() * share
    scores = item_nll(model, tokens[own % len(tokens)], at_once)
    return float(torch.cat(gather_values(scores))[: len(tokens)].mean())


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    rate: float,
    grad_clip: float,
    grad_accumulation: int = 1,
    measured: dict[str, Tensor] | None = None,
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
        measured: gets `gradient_norm`, a scalar: the norm of the gradient before it was clipped.
    """
    plain: GPT = accelerator.unwrap_model(model, keep_torch_compile=False)
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros((), device=tokens.device)
    parts = tokens.split(math.ceil(len(tokens) / grad_accumulation))
    for number, part in enumerate(parts, start=1):
        # Processes exchange their gradients once, with those of the last part.
        with more_to_come(accelerator, model) if number < len(parts) else nullcontext():
            part_loss = model(plain.with_bos(part[:, :-1]), targets=part[:, plain.first_scored :])
            accelerator.backward(part_loss * (len(part) / len(tokens)))
        loss += part_loss.detach() * (len(part) / len(tokens))
    norm = clip_gradient(accelerator, model, grad_clip)
    if measured is not None:
        measured["gradient_norm"] = norm
    set_learning_rate(optimizer, rate)
    optimizer.step()
    return loss


def build_optimizer(model: nn.Module, rate: float, weight_decay: float, rate_at_width: int = 0) -> torch.optim.AdamW:
    """Return AdamW with betas (0.9, 0.95) and decay on matrices only.

    Args:
        model: a GPT.
        rate: learning rate.
        weight_decay: of matrices.
        rate_at_width: width for which the rate is given (see `gpt.widths`); with 0 all parameters learn at the same.
    """
    groups = parameter_groups(model, weight_decay, rate_at_width)
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)
    set_learning_rate(optimizer, rate)
    return optimizer


def _say_found(accelerator: Accelerator, store: TokenStore, model: GPT, items: int, held: int) -> None:
    grid = "x".join(map(str, store.metadata.grid))
    say_found(
        device=describe_device(accelerator.device),
        tokens=f"{count(items, 'training item')}, {held:,} for validation, {grid} of {store.metadata.vocab_size} codes",
        model=f"{model.config.describe()}, {describe_parameters(model)}",
    )


def _name(item: TokenItem) -> str:
    """Return what people find an item by."""
    return f"{item.source} at {item.start:g} s"
