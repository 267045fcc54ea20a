"""Train a GPT on a token store: `python -m gpt.train`, or `accelerate launch -m gpt.train` on several GPUs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from accelerate import Accelerator
from torch import Tensor, nn

from data.tokens import TokenStore, TokenStoreError
from gpt.config import GPTConfig, TrainOptions, preset
from gpt.evaluate import check_store, held_out, item_nll, unigram_entropy
from gpt.model import GPT
from training.checkpoint import load_training_state, newest_checkpoint, save_checkpoint
from training.finite import check_finite
from training.order import DataOrder
from training.progress import Progress
from training.run_folder import log_metrics, open_run, truncate_metrics
from training.schedule import learning_rate, set_learning_rate


def train(options: TrainOptions) -> Path:
    """Train a GPT and return the folder of the final model, `out/final`.

    Raises:
        TokenStoreError: the token store cannot be used.
        RunFolderError: `out` holds another run.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
    """
    accelerator = Accelerator()
    store = TokenStore(options.tokens)
    items = store.part("train")
    if not items:
        raise TokenStoreError(f"{options.tokens} has no training items")
    if accelerator.is_main_process:
        open_run(options.out, options, options.resume, options.overwrite)
    accelerator.wait_for_everyone()

    torch.manual_seed(options.seed)
    checkpoint = newest_checkpoint(options.out) if options.resume == "auto" else None
    plain = GPT.from_pretrained(checkpoint).train() if checkpoint else GPT(_config(options, store))
    check_store(store, plain)  # a store encoded anew may lie where the interrupted run found another
    optimizer = build_optimizer(plain, options.learning_rate, options.weight_decay)
    model, optimizer = accelerator.prepare(plain, optimizer)
    first = load_training_state(checkpoint, {"gpt": optimizer}) if checkpoint else 0
    if accelerator.is_main_process:
        truncate_metrics(options.out, first)

    held = store.read(held_out(store, options.validation_items))
    floor = unigram_entropy(held, store.metadata.vocab_size)
    order = DataOrder(
        len(items), options.batch, options.seed, first, options.steps,
        accelerator.process_index, accelerator.num_processes,
    )  # fmt: skip
    with Progress("GPT", options.steps, first, accelerator.is_main_process) as progress:
        for step, draws in enumerate(order, start=first):
            tokens = store.read([items[draw.index] for draw in draws]).to(accelerator.device)
            rate = learning_rate(step, options.steps, options.learning_rate, options.warmup)
            loss = train_step(accelerator, model, optimizer, tokens, rate, options.clip)
            done = step + 1
            saving = done % options.save_every == 0 or done == options.steps
            if saving or done % options.log_every == 0:
                value = check_finite(float(accelerator.reduce(loss, "mean")), step)
                if accelerator.is_main_process:
                    log_metrics(options.out, step=step, loss=value, learning_rate=rate)
                progress.show(done, loss=value)
            if saving and accelerator.is_main_process:
                nll = check_finite(float(item_nll(plain, held, options.batch).mean()), step)
                log_metrics(options.out, step=step, validation_nll=nll, unigram_entropy=floor)
                progress.show(done, validation_nll=nll, unigram_entropy=floor)
                save_checkpoint(options.out, done, plain.save_pretrained, {"gpt": optimizer})
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        plain.save_pretrained(options.out / "final")
    return options.out / "final"


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    rate: float,
    clip: float,
) -> Tensor:
    """Take one optimizer step on (B, L) tokens and return the mean NLL of those that are scored, detached."""
    plain: GPT = accelerator.unwrap_model(model)
    logits = model(plain.with_start(tokens[:, :-1]))
    loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, plain.first_scored :].flatten())
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), clip)
    set_learning_rate(optimizer, rate)
    optimizer.step()
    return loss.detach()


def build_optimizer(model: nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW with betas (0.9, 0.95) and decay on matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def _config(options: TrainOptions, store: TokenStore) -> GPTConfig:
    metadata = store.metadata
    return preset(options.preset, metadata.grid, metadata.vocab_size, metadata.tokenizer, options.dropout)


if __name__ == "__main__":
    train(tyro.cli(TrainOptions))
