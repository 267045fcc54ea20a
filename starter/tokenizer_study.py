"""Compares tokenizers that were trained for the same processor time by what a GPT makes of their tokens.

    python -m starter.tokenizer_study --data TRAIN --held-out FOOTAGE --minutes 30 --gpt-steps 500 --out OUT

OUT/table.csv      a row for each tokenizer (`TokenizerRow`); OUT/table.md is the same for people
OUT/rates.png      bits per pixel of the GPT against PSNR and against the perceptual distance (.pdf, .svg beside it)
OUT/sheet.png      held-out clips beside what each tokenizer makes of them
OUT/<tokenizer>    the runs of tokenizer and GPT, the tokens, and the evaluation

The GPTs are equal and learn equally many grids of equally many tokens, so that their time is the same as well. A study
that was stopped goes on with the same command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from data.tokens import TokenStore
from gpt.config import GPTConfig
from gpt.evaluate import check_store, item_nll
from gpt.likelihood import bits_per_pixel
from gpt.model import GPT
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from starter.command import run
from starter.study_parts import (
    BASE,
    LITE,
    StudyOptions,
    check_apart,
    draw_sheet,
    processor_time,
    read_record_of,
    score,
    tokenizer_options,
    train_for,
    write_tables,
)
from training.figures import save_figure
from training.progress import say_done
from vqgan.config import VQGANConfig
from vqgan.encode import encode
from vqgan.options import EncodeOptions, TrainOptions

GPT_BASE = GPTConfig(layers=4, heads=4, width=128)
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "width-8": {"code_width": 8},
    "width-32": {"code_width": 32},
    "fsq-8-5-5-5": {"levels": (8, 5, 5, 5)},
    "decoder-2": {"decoder_blocks": 2},
    # As many tokens of as many pixels; the finest level has a quarter of the places, and twice the channels.
    "patch-4": {"patch": 4, "widths": (64, 64, 128), "strides": ((2, 1), (2, 1))},
    "half-size-first": {},
}
"""What differs from the base in each tokenizer's architecture."""
HALF_FIRST = "half-size-first"
"""The one that learns clips of half the size in the first half of its time."""


@dataclass(frozen=True)
class Options(StudyOptions):
    """What is compared, and for how long each is trained."""

    gpt_steps: int = 500
    """Optimizer steps of each GPT."""
    chroma_weight: float = 1.0
    """Part of every tokenizer's loss, as the two that follow."""
    perceptual: str = LITE
    """See `vqgan train`."""
    perceptual_weight: float = 0.2
    """See `vqgan train`."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which tokenizers to compare."""


@dataclass(frozen=True)
class TokenizerRow:
    """How well a tokenizer does."""

    tokenizer: str
    """Its name."""
    steps: int
    """Optimizer steps of its training, in its second half where there are two."""
    cpu_minutes: float
    """Processor time of its training."""
    gpt_cpu_minutes: float
    """Processor time of the GPT's."""
    bits_per_pixel: float
    """Of held-out tokens under the GPT."""
    psnr_db: float
    """Of held-out clips, as the columns that follow: see `vqgan eval`."""
    perceptual: float | None
    """Distance of the network of `--judge`."""
    chroma_error: float
    """In CIELAB."""
    saturation_kept: float | None
    """Mean chroma over that of the originals; empty where these are grey."""
    sharpness_ratio: float | None
    """Mean gradient over that of the originals; empty where these are flat."""
    codebook_usage: float
    """Share of the codes that held-out clips use."""


def study_tokenizers(
    options: Options,
    config: VQGANConfig = BASE,
    gpt: GPTConfig = GPT_BASE,
    **changes: Any,
) -> list[TokenizerRow]:
    """Train every tokenizer and its GPT, score both, write the files named above, and return the rows.

    Args:
        options: of the study.
        config: architecture of the base.
        gpt: architecture of the GPTs.
        changes: further options of all tokenizers' trainings, by name.

    Raises:
        ValueError: there is no tokenizer of a name, or what is held out is what is learned from.
    """
    check_apart(options.data, options.held_out)
    for name in options.variants:
        if name not in VARIANTS:
            raise ValueError(f"there is no tokenizer {name!r}: --variants takes {', '.join(VARIANTS)}")
    rows: list[TokenizerRow] = []
    for name in options.variants:
        tokenizer = _train_tokenizer(name, options, config, changes)
        tokens = encode_both(tokenizer, options)
        run = _train_gpt(gpt, tokens["train"], options)
        rows.append(_row(name, tokenizer, run, tokens["held_out"], options))
        write_tables(options.out, rows, TokenizerRow)
    draw_rates(options.out / "rates.png", rows)
    runs = {name: options.out / name / "tokenizer" for name in options.variants}
    draw_sheet(options.out / "sheet.png", runs, options.held_out)
    say_done(options.out, "look at", options.out / "rates.png")
    return rows


def _train_tokenizer(name: str, options: Options, config: VQGANConfig, changes: Mapping[str, Any]) -> Path:
    out = options.out / name / "tokenizer"
    loss = {
        "chroma_weight": options.chroma_weight,
        "perceptual": options.perceptual,
        "perceptual_weight": options.perceptual_weight,
    }
    common = {"seed": options.seed, **loss, **changes}
    training = tokenizer_options(replace(config, **VARIANTS[name]), options.data, out, **common)
    if name != HALF_FIRST:
        return train_for(training, options.minutes, options.steps)
    steps = None if options.steps is None else max(2, options.steps // 2)
    first = train_for(half_sized(training), options.minutes / 2, steps)
    return train_for(training.changed(init=first), options.minutes / 2, steps)


def half_sized(options: TrainOptions) -> TrainOptions:
    """Return the training of the same tokenizer on clips and crops of half the size, in a run folder beside it."""
    crop = None if options.crop is None else options.crop // 2
    out = options.out.with_name("half_size")
    return options.changed(resolution=options.model.resolution // 2, crop=crop, out=out)


def encode_both(tokenizer: Path, options: Options) -> dict[str, Path]:
    """Return the token stores of what is learned from (`train`) and of what is held out (`held_out`)."""
    stores = {name: tokenizer.with_name(f"tokens_{name}") for name in ("train", "held_out")}
    for name, data in (("train", options.data), ("held_out", options.held_out)):
        encode(EncodeOptions(tokenizer, data, stores[name], workers=0, resume="auto"))
    return stores


def _train_gpt(config: GPTConfig, tokens: Path, options: Options) -> Path:
    out = tokens.with_name("gpt")
    if (out / "final").exists():
        return out
    steps = options.gpt_steps
    training = GPTTrainOptions.of(
        tokens=tokens,
        out=out,
        **config.flat(),
        steps=steps,
        batch=4,
        learning_rate=3e-3,
        warmup=min(50, steps // 4),
        save_every=max(1, min(250, steps // 2)),
        validation_items=32,
        seed=options.seed,
        resume="auto",
    )
    with processor_time(out):
        train_and_watch(training)
    return out


def held_out_bits(gpt: Path, tokens: Path) -> float:
    """Return the bits per pixel of all items of a token store under a GPT."""
    model = GPT.from_pretrained(gpt)
    store = TokenStore(tokens)
    check_store(store, model)
    nll = float(item_nll(model, store.read(range(len(store))), 8).mean())
    return bits_per_pixel(nll, store.metadata.length, store.metadata.pixels)


def _row(name: str, tokenizer: Path, gpt: Path, tokens: Path, options: Options) -> TokenizerRow:
    record = read_record_of(tokenizer)
    before = read_record_of(tokenizer.with_name("half_size")).get("cpu_seconds", 0.0)
    scores = score(tokenizer, options.held_out, tokenizer.with_name("evaluation"), options.judge)
    return TokenizerRow(
        tokenizer=name,
        steps=record["steps"],
        cpu_minutes=(record["cpu_seconds"] + before) / 60,
        gpt_cpu_minutes=read_record_of(gpt)["cpu_seconds"] / 60,
        bits_per_pixel=held_out_bits(gpt, tokens),
        psnr_db=scores["psnr_db"],
        perceptual=scores.get("perceptual"),
        chroma_error=scores["chroma_error"],
        saturation_kept=scores.get("saturation_kept"),
        sharpness_ratio=scores.get("sharpness_ratio"),
        codebook_usage=scores["codebook_usage"],
    )


def draw_rates(path: Path, rows: Sequence[TokenizerRow]) -> None:
    """Draw bits per pixel of the GPT against what is lost, a point for each tokenizer: rate and distortion."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    measures = {"psnr_db": "PSNR (dB), higher is better", "perceptual": "perceptual distance, lower is better"}
    for axes, (name, label) in zip(figure.subplots(1, 2), measures.items(), strict=True):
        points = [(row.bits_per_pixel, getattr(row, name), row.tokenizer) for row in rows]
        for rate, value, tokenizer in [point for point in points if point[1] is not None]:
            axes.scatter(rate, value, color="#0072B2")
            axes.annotate(tokenizer, (rate, value), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set(xlabel="bits per pixel of held-out tokens under the GPT", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


if __name__ == "__main__":
    run("tokenizer_study", study_tokenizers, Options, __doc__)
