"""Compares losses of the same tokenizer, each trained for the same processor time, on held-out footage.

    python -m starter.colour_study --data TRAIN --held-out FOOTAGE --minutes 30 --out OUT

OUT/table.csv      a row for each loss (`ColourRow`); OUT/table.md is the same for people
OUT/sheet.png      held-out clips beside what is made of them under each loss
OUT/<loss>         the run, its `tokenizer.json` and its evaluation

A study that was stopped goes on with the same command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starter.command import run
from starter.study_parts import (
    BASE,
    LITE,
    StudyOptions,
    check_apart,
    draw_sheet,
    read_record_of,
    score,
    tokenizer_options,
    train_for,
    write_tables,
)
from training.progress import say_done
from vqgan.config import VQGANConfig

LOSSES: dict[str, dict[str, Any]] = {
    "pixel": {},
    "chroma-1": {"chroma_weight": 1.0},
    "chroma-3": {"chroma_weight": 3.0},
    "gradient-1": {"gradient_weight": 1.0},
    "perceptual-.2": {"perceptual": LITE, "perceptual_weight": 0.2},
    "chroma-1-perceptual-.2": {"chroma_weight": 1.0, "perceptual": LITE, "perceptual_weight": 0.2},
    "chroma-1-perceptual-.6": {"chroma_weight": 1.0, "perceptual": LITE, "perceptual_weight": 0.6},
    "chroma-1-adversary-.3": {"chroma_weight": 1.0, "adversarial_weight": 0.3, "discriminator_width": 32},
}
"""Options of each loss."""


@dataclass(frozen=True)
class Options(StudyOptions):
    """What is compared, and for how long each is trained."""

    losses: tuple[str, ...] = tuple(LOSSES)
    """Which losses to compare."""


@dataclass(frozen=True)
class ColourRow:
    """How well a loss does."""

    loss: str
    """Its name."""
    steps: int
    """Optimizer steps."""
    cpu_minutes: float
    """Processor time of the training."""
    psnr_db: float
    """Of held-out clips, as the columns that follow: see `vqgan eval`."""
    ssim: float | None
    """Structural similarity; empty for small clips."""
    perceptual: float | None
    """Distance of the network of `--judge`."""
    chroma_error: float
    """In CIELAB."""
    saturation_kept: float | None
    """Mean chroma over that of the originals; empty where these are grey."""
    sharpness_ratio: float | None
    """Mean gradient over that of the originals; empty where these are flat."""


def study_colour(options: Options, config: VQGANConfig = BASE, **changes: Any) -> list[ColourRow]:
    """Train and score the tokenizer under every loss, write the files named above, and return the rows.

    Args:
        options: of the study.
        config: architecture of the tokenizer.
        changes: further options of all trainings, by name.

    Raises:
        ValueError: there is no loss of a name, or what is held out is what is learned from.
    """
    check_apart(options.data, options.held_out)
    losses = _chosen(options.losses, LOSSES)
    runs = {}
    rows = []
    for name, loss in losses.items():
        out = options.out / name / "tokenizer"
        training = tokenizer_options(config, options.data, out, seed=options.seed, **changes, **loss)
        runs[name] = train_for(training, options.minutes, options.steps)
        rows.append(_row(name, runs[name], options))
        write_tables(options.out, rows, ColourRow)
    draw_sheet(options.out / "sheet.png", runs, options.held_out)
    say_done(options.out, "look at", options.out / "sheet.png")
    return rows


def _chosen(names: tuple[str, ...], known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name in names:
        if name not in known:
            raise ValueError(f"there is no loss {name!r}: --losses takes {', '.join(known)}")
    return {name: known[name] for name in names}


def _row(name: str, run: Path, options: Options) -> ColourRow:
    record = read_record_of(run)
    scores = score(run, options.held_out, run.parent / "evaluation", options.judge)
    return ColourRow(
        loss=name,
        steps=record["steps"],
        cpu_minutes=record["cpu_seconds"] / 60,
        psnr_db=scores["psnr_db"],
        ssim=scores.get("ssim"),
        perceptual=scores.get("perceptual"),
        chroma_error=scores["chroma_error"],
        saturation_kept=scores.get("saturation_kept"),
        sharpness_ratio=scores.get("sharpness_ratio"),
    )


if __name__ == "__main__":
    run("colour_study", study_colour, Options, __doc__)
