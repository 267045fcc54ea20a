"""Train a GPT on a token store: `python -m gpt.train`, or `accelerate launch -m gpt.train` on several GPUs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import tyro
from accelerate import Accelerator
from torch import Tensor, nn

from data.tokens import TokenItem, TokenStore, TokenStoreError
from gpt.config import GPTConfig, preset
from gpt.evaluate import check_store, held_out, item_nll, unigram_entropy
from gpt.flops import flops_per_token
from gpt.model import GPT
from gpt.options import TrainOptions
from storage.checkpoints import newest_checkpoint
from storage.run_folder import log_metrics, open_run, truncate_metrics
from training.curves import draw_curves
from training.loop import LossWatch, check_finite, tracker_name, tracking
from training.order import DataOrder, seed_step
from training.processes import gather_values, on_first_process, process_count, process_index
from training.progress import Progress
from training.schedule import FLOORS, learning_rate, set_learning_rate
from training.state import load_training_state, save_checkpoint, save_whole
from training.stopping import Stopping
from training.throughput import Throughput

CURVES = {"nats per token": ("loss", "validation_nll", "unigram_entropy")}
Draw = Callable[[GPT, Tensor], Tensor]
"""Makes token grids of a GPT, some of which continue halves of (B, L) held-out ones; see `sampling.watch`."""


def train(options: TrainOptions, draw: Draw | None = None) -> Path:
    """Train a GPT and return the folder of the final model, `out/final`.

    Args:
        options: what to train, and how.
        draw: draws the samples that `options.sample_every` asks for.

    Raises:
        TrackerError: the package that `options.trackers` needs is not installed.
        ValueError: samples are asked for, and nobody draws them.
        TokenStoreError: the token store cannot be used.
        RunFolderError: `out` holds another run.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        CheckpointWriteError: the disk is full; the last checkpoint stays.
        SystemExit: a signal asked the run to end, and it was saved.
    """
    if options.sample_every and draw is None:
        raise ValueError("--sample-every needs `secondsight gpt train`: gpt.train alone cannot sample")
    accelerator = build_accelerator(options)
    store = TokenStore(options.tokens)
    items = store.part("train")
    if not items:
        raise TokenStoreError(f"{options.tokens} has no training items")
    main, rank = accelerator.is_main_process, accelerator.process_index
    on_first_process(lambda: open_run(options.out, options, options.resume, options.overwrite))

    torch.manual_seed(options.seed)
    checkpoint = on_first_process(lambda: newest_checkpoint(options.out)) if options.resume == "auto" else None
    plain = GPT.from_pretrained(checkpoint).train() if checkpoint else GPT(_config(options, store))
    check_store(store, plain)  # a store encoded anew may lie where the interrupted run found another
    plain.checkpointing = options.checkpointing
    optimizer = build_optimizer(plain, options.learning_rate, options.weight_decay)
    model, optimizer = accelerator.prepare(plain, optimizer)
    first = load_training_state(checkpoint, {"gpt": optimizer}) if checkpoint else 0
    on_first_process(lambda: truncate_metrics(options.out, first))

    held = store.read(held_out(store, options.validation_items))
    floor = unigram_entropy(held, store.metadata.vocab_size)
    order = DataOrder(len(items), options.batch, options.seed, first, options.steps, rank, accelerator.num_processes)
    watch = LossWatch(order, lambda index: _place(store.items[items[index]]), accelerator.device)
    speed = Throughput(
        options.batch, plain.config.window, flops_per_token(plain.config), accelerator.num_processes, first
    )
    with (
        Progress("GPT", options.steps, first, main) as progress,
        Stopping() as stopping,
        tracking(accelerator, options),
    ):
        for step, draws in enumerate(order, start=first):
            seed_step(options.seed, step, rank)  # dropout differs between processes
            tokens = store.read([items[draw.index] for draw in draws]).to(accelerator.device)
            rate = learning_rate(step, options.steps, options.learning_rate, options.warmup, FLOORS[options.schedule])
            loss = train_step(accelerator, model, optimizer, tokens, rate, options.clip, options.accumulate)
            watch.note(loss, step)
            done = step + 1
            saving, stopped = done % options.save_every == 0 or done == options.steps, stopping.agreed()
            reporting = saving or done % options.log_every == 0
            if reporting or stopped:
                watch.check()
            if reporting:
                value = float(accelerator.reduce(loss, "mean"))
                if main:
                    log_metrics(options.out, step=step, loss=value, learning_rate=rate)
                rates = speed.measure(done)
                accelerator.log({"loss": value, "learning_rate": rate, **rates}, step)
                progress.show(done, loss=value, **rates)
            if saving:
                nll = check_finite(validate(plain, held, options.batch), step)
                if main:
                    log_metrics(options.out, step=step, validation_nll=nll, unigram_entropy=floor)
                accelerator.log({"validation_nll": nll}, step)
                progress.show(done, validation_nll=nll, unigram_entropy=floor)
                save_checkpoint(options.out, done, plain, {"gpt": optimizer}, keep=options.keep, score=-nll)
                speed.restart(done)
            elif stopped:
                save_checkpoint(options.out, done, plain, {"gpt": optimizer}, keep=options.keep)
            if draw is not None and options.sample_every and done % options.sample_every == 0:
                _save_samples(options.out / "samples" / f"{done:06d}.npy", draw(plain, held))
                speed.restart(done)
            if stopped and done < options.steps:
                stopping.leave(done, main)
    on_first_process(lambda: draw_curves(options.out, CURVES))
    return save_whole(plain, options.out / "final")


def build_accelerator(options: TrainOptions) -> Accelerator:
    """Return what runs the training, in the precision, compiled or not, and with the trackers that were asked for."""
    return Accelerator(
        mixed_precision="bf16" if options.precision == "bf16" else "no",
        dynamo_backend="inductor" if options.compile else None,
        log_with=tracker_name(options.trackers),
        project_dir=options.out / "trackers",
    )


def validate(model: GPT, tokens: Tensor, batch: int) -> float:
    """Return the mean NLL of (B, L) held-out tokens, in nats; processes share the work, and must all call it.

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
    clip: float,
    accumulate: int = 1,
) -> Tensor:
    """Take one optimizer step on (B, L) tokens and return the mean NLL of those that are scored, detached.

    Args:
        accelerator: prepared `model` and `optimizer`.
        model: the GPT.
        optimizer: of its parameters.
        tokens: the batch of this process.
        rate: learning rate.
        clip: largest norm of the gradient.
        accumulate: parts, at most, that the batch is computed in.
    """
    plain: GPT = accelerator.unwrap_model(model, keep_torch_compile=False)
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros((), device=tokens.device)
    parts = tokens.split(math.ceil(len(tokens) / accumulate))
    for number, part in enumerate(parts, start=1):
        # Processes exchange their gradients once, with those of the last part.
        with accelerator.no_sync(model) if number < len(parts) else nullcontext():
            part_loss = model(plain.with_start(part[:, :-1]), targets=part[:, plain.first_scored :])
            accelerator.backward(part_loss * (len(part) / len(tokens)))
        loss += part_loss.detach() * (len(part) / len(tokens))
    accelerator.clip_grad_norm_(model.parameters(), clip)
    set_learning_rate(optimizer, rate)
    optimizer.step()
    return loss


def build_optimizer(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW with betas (0.9, 0.95) and decay on matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def _save_samples(path: Path, grids: Tensor) -> None:
    """Write token grids on the first process; all have them."""

    def write() -> None:
        path.parent.mkdir(exist_ok=True)
        np.save(path, grids.cpu().numpy().astype(np.int32))

    on_first_process(write)


def _place(item: TokenItem) -> str:
    """Return what people find an item by."""
    return f"{item.source} at {item.start:g} s"


def _config(options: TrainOptions, store: TokenStore) -> GPTConfig:
    metadata = store.metadata
    return preset(options.preset, metadata.grid, metadata.vocab_size, metadata.tokenizer, options.dropout)


if __name__ == "__main__":
    train(tyro.cli(TrainOptions))
