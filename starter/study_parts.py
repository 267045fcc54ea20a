"""What the studies of tokenizers share: equal time for all, stages that a stopped study goes on from, and scores.

A stage is finished when its last file is there, and is then passed over. `<run>.json` beside a run folder holds the
optimizer steps that were planned for it and the processor time that it took, summed over all attempts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from data.clips import ClipDataset, collate, read_batches
from data.drawing import Tile, draw_grid, image_of, save_image
from data.items import find_items, split_items
from storage.files import to_json, write_text
from storage.tables import write_rows
from training.loop import make_accelerator
from vqgan.config import VQGANConfig
from vqgan.evaluate import evaluate
from vqgan.metrics.reconstruction import psnr
from vqgan.model import load_tokenizer
from vqgan.options import EvaluateOptions, TrainOptions
from vqgan.train import random_crop, train
from vqgan.trainer import TokenizerTrainer

BASE = VQGANConfig()
"""The tokenizer that losses and other tokenizers are compared on."""
LITE = "efficientnet-lite0"
"""The perceptual network whose weights a package carries."""
MEASURED = 5
"""Optimizer steps by whose median the time of one is known."""
SHOWN = 6
"""Held-out clips on a contact sheet, at most."""


@dataclass(frozen=True)
class StudyOptions:
    """What tokenizers learn from and are scored on, and for how long each is trained."""

    data: Path
    """Footage that is learned from; prepared shards are read fastest."""
    held_out: Path
    """Footage that all are scored on."""
    out: Path
    """Folder of everything."""
    minutes: float = 30.0
    """Processor time of each tokenizer's training."""
    steps: int | None = None
    """Optimizer steps of each tokenizer's training, in place of the time; half of them where sizes follow."""
    judge: str = LITE
    """Network of the perceptual distance that is reported."""
    seed: int = 0
    """Seed of weights and order of data, the same for all."""


def check_apart(data: Path, held_out: Path) -> None:
    """Check that a study does not score what was learned.

    Raises:
        ValueError: both are the same folder.
    """
    if data.resolve() == held_out.resolve():
        raise ValueError(f"--data and --held-out are both {data}: hold other footage out")


def tokenizer_options(config: VQGANConfig, data: Path, out: Path, **changes: Any) -> TrainOptions:
    """Return how a tokenizer is trained in a study, but for how long.

    Args:
        config: its architecture.
        data: what it learns from.
        out: run folder.
        changes: options by name that are not as usual.
    """
    usual = {"batch": 8, "crop": 32, "learning_rate": 2e-3, "resume": "auto"}
    return TrainOptions.of(data=data, out=out, **{**config.flat(), **usual, **changes})


def train_for(options: TrainOptions, minutes: float, steps: int | None = None) -> Path:
    """Train a tokenizer for some processor time, or go on, and return its run folder.

    Args:
        options: from `tokenizer_options`.
        minutes: of the processor.
        steps: optimizer steps in place of them.

    Raises:
        ValueError: it was begun for another number of steps.
    """
    out = options.out
    record = read_record_of(out)
    planned = record.get("steps") or steps or max(2, int(60 * minutes / step_seconds(options)))
    if steps not in (None, planned):
        raise ValueError(f"{out} was begun for {planned} optimizer steps: give --steps {planned}, or another --out")
    if (out / "final").exists():
        return out
    _write_record(out, {**record, "steps": planned})
    with processor_time(out):
        train(paced(options, planned))
    return out


def paced(options: TrainOptions, steps: int) -> TrainOptions:
    """Return options with a beginning and an end that fit into so many optimizer steps, two or more.

    The adversary, where there is one, begins after a third of them.
    """
    begins = options.beginning.init is None
    return options.changed(
        steps=steps,
        warmup=min(50, steps // 4),
        schedule="wsd",
        decay_steps=max(1, steps // 5),
        continuous_steps=min(100, steps // 4) if begins else 0,
        adversarial_start=steps // 3,
        adversarial_ramp=max(1, steps // 6),
        save_every=max(1, min(500, steps // 3)),
    )


def step_seconds(options: TrainOptions) -> float:
    """Return the processor time of an optimizer step, reading included; an adversary learns in two thirds of them."""
    alone = _step_seconds(options.changed(adversarial_weight=0.0))
    if not options.adversary.adversarial_weight:
        return alone
    return alone / 3 + 2 / 3 * _step_seconds(options.changed(adversarial_start=0, adversarial_ramp=1))


def _step_seconds(options: TrainOptions) -> float:
    options = options.changed(continuous_steps=0)
    trainer = TokenizerTrainer(make_accelerator(options), options)
    form = options.model.clip_format
    dataset = ClipDataset(split_items(find_items(options.data, form)[0])[0], form)
    seconds = []
    for step in range(MEASURED + 1):  # the first starts the codes and is not counted
        began = time.process_time()
        chosen = range(step * options.training.batch, (step + 1) * options.training.batch)
        clips = collate([dataset[index % len(dataset)] for index in chosen]).clips
        trainer.step(random_crop(clips, options.crop, step).to(trainer.accelerator.device), step)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds[1:])


@contextmanager
def processor_time(out: Path) -> Iterator[None]:
    """Add the processor time of what is done within to the record of a run folder."""
    began = time.process_time()
    try:
        yield
    finally:
        record = read_record_of(out)
        before = float(record.get("cpu_seconds", 0.0))
        _write_record(out, {**record, "cpu_seconds": round(before + time.process_time() - began, 1)})


def read_record_of(out: Path) -> dict[str, Any]:
    """Return the record of a run folder, `steps` and `cpu_seconds` by name; empty before it begins."""
    path = out.with_suffix(".json")
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _write_record(out: Path, record: Mapping[str, Any]) -> None:
    write_text(out.with_suffix(".json"), to_json(record))


def score(tokenizer: Path, held_out: Path, out: Path, judge: str) -> dict[str, Any]:
    """Return what `vqgan eval` says of a tokenizer on all of some held-out footage, once in a folder.

    Args:
        tokenizer: run folder.
        held_out: footage.
        out: folder for the evaluation.
        judge: network of the perceptual distance.
    """
    path = out / "metrics.json"
    if not path.exists():
        evaluate(EvaluateOptions(tokenizer, held_out, out, perceptual=judge))
    return dict(json.loads(path.read_text(encoding="utf-8")))


def write_tables(out: Path, rows: Sequence[Any], kind: type) -> None:
    """Write rows of a dataclass as `table.csv` and, for people, as `table.md`."""
    write_rows(out / "table.csv", rows, kind)
    cells = [[_shown(value) for value in asdict(row).values()] for row in rows]
    names = [field.name for field in fields(kind)]
    lines = [names, ["---"] * len(names), *cells]
    write_text(out / "table.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def draw_sheet(path: Path, tokenizers: Mapping[str, Path], held_out: Path) -> None:
    """Write a contact sheet: held-out clips, a row each, and what each tokenizer makes of their middle frame.

    Args:
        path: of the PNG.
        tokenizers: run folders by name; all of them are for the same clips.
        held_out: footage.
    """
    models = {name: load_tokenizer(folder) for name, folder in tokenizers.items()}
    form = next(iter(models.values())).clip_format
    items = find_items(held_out, form)[0]
    chosen = [items[index * len(items) // SHOWN] for index in range(SHOWN)] if len(items) > SHOWN else items
    rows = []
    for _, clip in read_batches(chosen, form, 1, []):
        middle = slice(clip.shape[2] // 2, clip.shape[2] // 2 + 1)
        tiles = [Tile(image_of(clip[0, :, middle]), "original")]
        for name, model in models.items():
            decoded = model.decode_frames(model.encode(clip), clip.shape[2])
            tiles.append(Tile(image_of(decoded[0, :, middle]), f"{name} {float(psnr(decoded, clip)):.1f} dB"))
        rows.append(tiles)
    save_image(path, draw_grid(rows, side=160))
