"""Train a causal VQGAN: `python -m vqgan.train`, or `accelerate launch -m vqgan.train` on several GPUs."""

from __future__ import annotations

from pathlib import Path

import torch
import tyro
from accelerate import Accelerator, DistributedType
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset, collate, training_loader
from data.items import Item, find_items, split_items
from data.media import Skipped, write_skipped
from data.training_images import write_training_images
from storage.checkpoints import newest_checkpoint
from storage.run_folder import log_metrics, open_run, truncate_metrics
from training.curves import draw_curves
from training.loop import LossWatch, check_finite
from training.order import DataOrder
from training.processes import gather_values, on_first_process
from training.progress import Progress
from training.state import save_whole
from training.stopping import Stopping
from vqgan.config import PRESETS
from vqgan.metrics.reconstruction import codebook_usage, psnr
from vqgan.model import VQGAN
from vqgan.options import TrainOptions
from vqgan.trainer import Learner

CURVES = {
    "loss": ("loss", "discriminator_loss"),
    "PSNR (dB)": ("psnr_db",),
    "share of codes in use": ("codebook_usage",),
}


def train(options: TrainOptions) -> Path:
    """Train a tokenizer and return the folder of the final model, `out/final`.

    Raises:
        MediaError: the data cannot be used.
        RunFolderError: `out` holds another run.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        CheckpointWriteError: the disk is full; the last checkpoint stays.
        SystemExit: a signal asked the run to end, and it was saved.
    """
    accelerator = Accelerator(mixed_precision="bf16" if options.precision == "bf16" else "no")
    if accelerator.distributed_type == DistributedType.FSDP:
        raise ValueError("tokenizers are too small to be sharded: launch without --use_fsdp")
    learner = Learner(accelerator, options)
    main = accelerator.is_main_process
    on_first_process(lambda: open_run(options.out, options, options.resume, options.overwrite))
    training, validation, skipped = _datasets(options)
    checkpoint = on_first_process(lambda: newest_checkpoint(options.out)) if options.resume == "auto" else None
    first = learner.resume(checkpoint) if checkpoint else 0
    on_first_process(lambda: truncate_metrics(options.out, first))

    order = DataOrder(
        len(training), options.batch, options.seed, first, options.steps,
        accelerator.process_index, accelerator.num_processes,
    )  # fmt: skip
    held = _held_out_clips(validation, options.validation_items)
    unreadable: list[Skipped] = []
    watch = LossWatch(order, lambda index: _place(training.items[index]), accelerator.device)
    with Progress("Tokenizer", options.steps, first, main) as progress, Stopping() as stopping:
        for step, batch in enumerate(training_loader(training, order, options.workers), start=first):
            unreadable += batch.skipped
            clips = random_crop(batch.clips, options.crop, options.seed + step).to(accelerator.device)
            losses = learner.step(clips, step)
            watch.note(losses["loss"], step)
            done = step + 1
            saving, stopped = done % options.save_every == 0 or done == options.steps, stopping.agreed()
            reporting = saving or done % options.log_every == 0
            if reporting or stopped:
                watch.check()
                skipped = _note_skipped(options, skipped, unreadable)
            if reporting:
                values = {name: float(accelerator.reduce(loss, "mean")) for name, loss in losses.items()}
                if main:
                    log_metrics(options.out, step=step, **values, learning_rate=learner.rate(step))
                progress.show(done, **values)
            if saving:
                scores = on_first_process(lambda: validate(learner.averaged, held, options.batch))
                check_finite(scores["psnr_db"], step)
                if main:
                    log_metrics(options.out, step=step, **scores)
                progress.show(done, **scores)
                learner.save(options.out, done, scores["psnr_db"])
            elif stopped:
                learner.save(options.out, done)
            if stopped and done < options.steps:
                stopping.leave(done, main)
    on_first_process(lambda: draw_curves(options.out, CURVES))
    return save_whole(learner.averaged, options.out / "final")


@torch.no_grad()
def validate(model: VQGAN, clips: Tensor, batch: int) -> dict[str, float]:
    """Return PSNR (dB) and codebook usage on held-out clips (B, 3, T, H, W)."""
    device = model.device
    tokens = [model.encode(part.to(device)) for part in clips.split(batch)]
    decoded = torch.cat([model.decode(grid).cpu()[:, :, -clips.shape[2] :] for grid in tokens])
    return {
        "psnr_db": float(psnr(decoded, clips).mean()),
        "codebook_usage": codebook_usage(torch.cat(tokens), model.vocab_size),
    }


def random_crop(clips: Tensor, size: int | None, seed: int) -> Tensor:
    """Cut the same random square of `size` pixels out of every clip of a batch; None leaves them whole."""
    if size is None or size >= clips.shape[-1]:
        return clips
    generator = torch.Generator().manual_seed(seed)
    top, left = torch.randint(clips.shape[-1] - size + 1, (2,), generator=generator).tolist()
    return clips[..., top : top + size, left : left + size]


def _datasets(options: TrainOptions) -> tuple[ClipDataset, ClipDataset, list[Skipped]]:
    config = PRESETS[options.preset]
    form = ClipFormat(config.frames, config.fps, config.resolution)
    items, skipped = find_items(options.data, form)
    on_first_process(lambda: write_skipped(options.out / "skipped.csv", skipped))
    training, validation = split_items(items)
    on_first_process(lambda: write_training_images(options.out, (item.source for item in training)))
    return ClipDataset(training, form), ClipDataset(validation, form), skipped


def _note_skipped(options: TrainOptions, known: list[Skipped], new: list[Skipped]) -> list[Skipped]:
    """Return all files that any process skipped so far, and write them down when there are more than were known."""
    found = [skip for skips in gather_values(new) for skip in skips]
    fresh = [skip for skip in dict.fromkeys(found) if skip not in known]
    if fresh:
        on_first_process(lambda: write_skipped(options.out / "skipped.csv", known + fresh))
    return known + fresh


def _place(item: Item) -> str:
    """Return what people find an item by."""
    return item.source.name if item.source.kind == "image" else f"{item.source.name} at {item.start:g} s"


def _held_out_clips(dataset: ClipDataset, limit: int) -> Tensor:
    count = min(limit, len(dataset))
    return collate([dataset[position * len(dataset) // count] for position in range(count)]).clips


if __name__ == "__main__":
    train(tyro.cli(TrainOptions))
