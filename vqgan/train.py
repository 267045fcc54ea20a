"""Train a causal VQGAN: `secondsight vqgan train`.

samples/000500.png   held-out clips beside their reconstructions at a checkpoint
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset, as_clip, collate, training_loader
from data.drawing import save_image
from data.exclusion import Exclusion, Kept, leave_out, read_exclusion
from data.items import LISTING, Item, describe_items, find_items, split_items
from data.same import check_same_data, check_same_trunk, record_items, write_record
from data.skipping import describe_skipped, write_skipped
from data.sources import Skipped
from data.training_images import write_training_images
from storage.command import next_command
from storage.run_folder import RunCheck, leaving_nothing
from training.curves import draw_curves
from training.health import Expected
from training.inheritance import describe_parameters
from training.loop import BEFORE, TrainingLoop, make_accelerator, make_order, settle_precision
from training.processes import describe_device, gather_values, on_first_process
from training.products import precision_of_products
from training.progress import say_done, say_found
from training.resuming import MADE_AT_START, begin_run, check_training, find_checkpoint
from training.run_lock import RunLock, sole_writer
from training.saving import CheckpointSaver
from training.state import save_gathered
from training.transfer import to_device
from training.waiting import check_alike
from vqgan.grouping import describe_groups
from vqgan.init import say_beginning
from vqgan.metrics.colour import measure_kept, overall_kept
from vqgan.metrics.reconstruction import codebook_usage, psnr
from vqgan.model import VQGAN
from vqgan.options import TrainOptions
from vqgan.pictures import draw_held_out
from vqgan.trainer import TokenizerTrainer

MUCH_WAITING = 0.2
"""Share of the time of a training from which waiting for videos is worth a word."""

OLD_LISTING = f"old_{LISTING}"
"""Folder in the run folder for what was found out about the data of `--old-data`."""

CURVES = {
    "loss": ("loss", "discriminator_loss"),
    "PSNR (dB)": ("psnr_db", "old_psnr_db"),
    "share of codes in use": ("codebook_usage",),
    "share that is kept": ("saturation_kept", "sharpness_ratio"),
    "norm of the gradient": ("gradient_norm",),
}


def train(options: TrainOptions) -> Path:
    """Train a tokenizer and return the folder of the final model, `out/final`.

    Raises:
        InitError: the training cannot begin from the model of `--init`, or `--freeze` cannot be done.
        MediaError: the data cannot be used.
        RunFolderError: `out` holds another run.
        FolderLockError: another process writes into `out`, or took it over meanwhile.
        FloatingPointError: the loss is no longer finite; the last checkpoint stays.
        CheckpointWriteError: the disk is full; the last checkpoint stays.
        SystemExit: a signal asked the run to end, and it was saved.
        ValueError: the launcher would shard the model, the device does not compute in the precision, or the processes
            were given different things.
    """
    options, precision = settle_precision(options)
    out = options.out
    accelerator = make_accelerator(options)
    check_alike(options.training.precision, "precision", "give --precision fp32, tf32 or bf16 to all of them")
    if precision is not None:
        say_found(precision=precision)
    products = precision_of_products(options.training.precision)
    with products, sole_writer(out, wait=options.training.resume == "auto") as lock:
        check = on_first_process(lambda: check_training(options, options.training, out, data="data"))
        with leaving_nothing(out, LISTING, OLD_LISTING, *MADE_AT_START, "skipped.csv", "training_images.csv"):
            final = _train(options, accelerator, lock, check)
    say_done(out, "secondsight vqgan encode --tokenizer", out, "--data", options.data, "--out TOKENS")
    return final


def _train(options: TrainOptions, accelerator: Accelerator, lock: RunLock, check: RunCheck) -> Path:
    training = options.training
    out = options.out
    checkpoint = on_first_process(lambda: find_checkpoint(options, training, out, check, data="data"))
    trainer = TokenizerTrainer(accelerator, options, begins=checkpoint is None)
    exclusion = read_exclusion(options.exclusion, options.model.frames, options.model.fps)
    kept, unusable = find_data(options, exclusion, out / LISTING)
    dataset, validation = (ClipDataset(items, options.model.clip_format) for items in (kept.training, kept.validation))
    record = record_items(dataset.items, validation.items, excluded=exclusion.digest)
    check_alike(record.sha256, "list of clips", "let all of them see the same --data")
    on_first_process(lambda: check_same_data(out, check, "data", options.data, record))
    on_first_process(lambda: check_same_trunk(training.trunk, check, "data", options.data, record))
    first = trainer.resume(checkpoint) if checkpoint else 0

    def begin() -> None:
        write_skipped(out / "skipped.csv", skipped)
        write_training_images(out, (item.source for item in dataset.items))
        write_record(out, record)
        begin_run(options, training, out, check, first, checkpoint)

    def name(index: int) -> str:
        return _name(dataset.items[index])

    order = make_order(accelerator, training, len(dataset), first)
    held = HeldOut(validation, training.validation_items)
    on_first_process(held.read)
    old = _old_clips(options)
    pinned = accelerator.device.type == "cuda"
    skipped = [*unusable, *kept.skipped]
    unreadable: list[Skipped] = []
    advised = False
    if trainer.beginning is not None:
        say_beginning(trainer.tokenizer, options)
    _say_found(accelerator, trainer, dataset, validation, unusable, {**describe_groups(options.group_by), **kept.words})
    usage = _possible_usage(trainer.averaged, held.count, validation.form)
    expected = Expected(training.warmup, options.continuous_steps or BEFORE, usage)
    with (
        TrainingLoop("Tokenizer", options, accelerator, order, name, check=lock.check, expected=expected) as loop,
        CheckpointSaver(out, training, lock.check_here) as saver,
    ):
        on_first_process(begin)
        if checkpoint is None and (trainer.beginning is not None or old is not None):
            loop.report_beginning(on_first_process(lambda: _scores(trainer.averaged, held, old, training.batch)))
        for step, batch in loop.steps(training_loader(dataset, order, options.workers, pinned)):
            unreadable += batch.skipped
            levels = to_device(batch.levels, accelerator.device)
            clips = as_clip(random_crop(levels, options.crop, training.seed + step))
            loop.report(trainer.step(clips, step), learning_rate=trainer.rate(step))
            saver.check()
            if loop.stopping:
                lock.say_ending()
            if loop.reporting:
                advised = advised or _advise_preparing(loop.waiting, options, dataset)
            if loop.reporting or loop.stopping:
                skipped = _note_skipped(out, skipped, unreadable)
            if loop.saving:
                scores = on_first_process(lambda: _scores(trainer.averaged, held, old, training.batch))
                lock.check()
                loop.report_scores(scores)
                picture = out / "samples" / f"{loop.done:06d}.png"
                on_first_process(partial(held.draw, trainer.averaged, picture))
                loop.report_picture("reconstructions", picture)
                trainer.save(saver, loop.done, scores["psnr_db"], wait=loop.stopping)
            elif loop.stopping:
                trainer.save(saver, loop.done, wait=True)
    lock.check()
    on_first_process(lambda: draw_curves(out, CURVES))
    return save_gathered(trainer.averaged, out / "final")


@torch.no_grad()
def validate(model: VQGAN, clips: Tensor, batch: int) -> dict[str, float]:
    """Return how well held-out clips (B, 3, T, H, W) in [-1, 1] are reconstructed.

    Those are PSNR (dB), the share of the codes in use, and the shares of saturation and of sharpness that are kept; the
    last two are left out where all clips are grey, or flat.
    """
    tokens = [model.encode(part.to(model.device)) for part in clips.split(batch)]
    decoded = torch.cat([model.decode_frames(grid, clips.shape[2]).cpu() for grid in tokens])
    pairs = zip(decoded.split(batch), clips.split(batch), strict=True)
    return {
        "psnr_db": float(psnr(decoded, clips).mean()),
        "codebook_usage": codebook_usage(torch.cat(tokens), model.vocab_size),
        **overall_kept([kept for pair in pairs for kept in measure_kept(*pair)]),
    }


class HeldOut:
    """Clips that a tokenizer does not learn from; of several processes the first alone reads and scores them.

    Args:
        dataset: of the clips.
        limit: how many there are, at most, evenly spread.
    """

    def __init__(self, dataset: ClipDataset, limit: int) -> None:
        self.dataset = dataset
        self.count = min(limit, len(dataset))

    def read(self) -> None:
        """Read the clips (B, 3, T, H, W) in [-1, 1], which stay in memory.

        Raises:
            MediaError: too many files in a row cannot be read.
        """
        spread = (index * len(self.dataset) // self.count for index in range(self.count))
        self.clips = collate([self.dataset[index] for index in spread]).clips

    def score(self, model: VQGAN, batch: int) -> dict[str, float]:
        """See `validate`."""
        return validate(model, self.clips, batch)

    def draw(self, model: VQGAN, path: Path) -> None:
        """Write a PNG of some of them beside their reconstructions."""
        save_image(path, draw_held_out(model, self.clips))


def _scores(model: VQGAN, held: HeldOut, old: HeldOut | None, batch: int) -> dict[str, float]:
    """Return how well held-out clips, and those of the old data, are reconstructed."""
    scores = held.score(model, batch)
    return scores if old is None else {**scores, "old_psnr_db": old.score(model, batch)["psnr_db"]}


def random_crop(clips: Tensor, size: int | None, seed: int) -> Tensor:
    """Cut one random square of `size` pixels out of all clips (B, 3, T, H, W); None leaves them whole."""
    if size is None or size >= clips.shape[-1]:
        return clips
    generator = torch.Generator().manual_seed(seed)
    top, left = torch.randint(clips.shape[-1] - size + 1, (2,), generator=generator).tolist()
    return clips[..., top : top + size, left : left + size]


def find_data(options: TrainOptions, exclusion: Exclusion, cache: Path | None) -> tuple[Kept, list[Skipped]]:
    """Return the items to train on and those held out, without what is left out, and the files that are unusable.

    Args:
        options: of the training.
        exclusion: what is left out.
        cache: folder in which what is found out about the data is kept.

    Raises:
        MediaError: see `data.items.find_items`; or nothing is left of a split.
        TagError: no tag is of these data.
    """
    form = options.model.clip_format
    items, skipped = on_first_process(lambda: find_items(options.data, form, cache=cache, group_by=options.group_by))
    return leave_out(exclusion, *split_items(items), (skip.file for skip in skipped)), skipped


def _old_clips(options: TrainOptions) -> HeldOut | None:
    """Return held-out clips of what the model learned before; None where it is not asked for."""
    if options.old_data is None:
        return None
    form = options.model.clip_format
    path = options.old_data
    items, _ = on_first_process(lambda: find_items(path, form, cache=options.out / OLD_LISTING))
    _, validation = split_items(items)
    old = HeldOut(ClipDataset(validation, form), options.training.validation_items)
    on_first_process(old.read)
    return old


def _note_skipped(out: Path, known: list[Skipped], new: list[Skipped]) -> list[Skipped]:
    """Return all files that any process skipped so far, and write them down when there are more than were known."""
    found = [skip for skips in gather_values(new) for skip in skips]
    fresh = [skip for skip in dict.fromkeys(found) if skip not in known]
    if fresh:
        on_first_process(lambda: write_skipped(out / "skipped.csv", known + fresh))
    return known + fresh


def _advise_preparing(waiting: float, options: TrainOptions, dataset: ClipDataset) -> bool:
    """Say, if training on videos waits for them much of the time, that preparing them would help; whether it was said.

    Args:
        waiting: share of the time in which the training waited for data.
        options: of the training.
        dataset: what it reads.
    """
    raw = any(item.source.kind == "video" and item.source.prepared is None for item in dataset.items)
    if waiting < MUCH_WAITING or not raw:
        return False
    form = dataset.form
    say_found(
        hint=f"{waiting:.0%} of the time goes into reading videos; it would be less after "
        f"`{next_command('secondsight data prepare', options.data, '--out SHARDS')}"
        f" --size {max(160, form.size)} --fps {form.fps:g}`"
    )
    return True


def _possible_usage(model: VQGAN, clips: int, form: ClipFormat) -> float:
    """Return the share of a model's codes that the tokens of so many clips can be of."""
    return min(1.0, clips * math.prod(model.grid(form.frames, form.size, form.size)) / model.vocab_size)


def _say_found(
    accelerator: Accelerator,
    trainer: TokenizerTrainer,
    dataset: ClipDataset,
    validation: ClipDataset,
    skipped: list[Skipped],
    words: dict[str, str],
) -> None:
    say_found(
        device=describe_device(accelerator.device),
        training=describe_items(dataset.items),
        validation=describe_items(validation.items),
        **words,
        skipped=describe_skipped(skipped),
        model=f"{trainer.tokenizer.config.describe()}, {describe_parameters(trainer.tokenizer)}",
    )


def _name(item: Item) -> str:
    """Return what people find an item by."""
    return item.source.name if item.source.kind == "image" else f"{item.source.name} at {item.start:g} s"
