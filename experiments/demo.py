"""The whole path, small and real: videos, tokenizer, tokens, GPT, completions, diversity, memory, report.

Every stage writes into its own folder of `out`, and a stopped demo continues from the stages and checkpoints it finds.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from data.clip_format import ClipFormat
from data.clips import read_batches
from data.items import Item, find_items, split_items
from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from experiments.demo_report import write_demo_report
from experiments.diversity.completions import measure_completions
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions
from experiments.options import DemoOptions
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.stopwatch import Stopwatch
from gpt.evaluate import evaluate as evaluate_gpt
from gpt.model import GPT
from gpt.options import EvaluateOptions as GPTEvaluateOptions
from gpt.options import TrainOptions as GPTTrainOptions
from gpt.train import train as train_gpt
from sampling.completion import complete_clips
from sampling.gallery import show_grid, show_item
from sampling.options import Prompt, PromptKind, Request, SamplingOptions
from storage.files import to_json, write_text
from storage.run_folder import open_run
from training.processes import best_device
from vqgan.encode import encode
from vqgan.evaluate import evaluate as evaluate_tokenizer
from vqgan.leakage import measure_leakage
from vqgan.model import load_tokenizer
from vqgan.options import EncodeOptions, EvaluateOptions, LeakageOptions, TrainOptions
from vqgan.tokenizer import Tokenizer
from vqgan.train import train as train_tokenizer

# Sized for ten minutes on two CPU cores.
CLIPS = 480
OBJECTS = 20
TOKENIZER_STEPS = 700
GPT_STEPS = 550
EXPOSURES = 40
ITEMS, CONTINUATIONS = 4, 4
# So small a GPT spreads its probability over many unlikely codes; without them its images hold together.
SAMPLING = SamplingOptions(top_p=0.6)


def run_demo(options: DemoOptions) -> dict[str, Any]:
    """Run every stage, write `summary.json` and `report.html`, print and return the summary.

    Raises:
        MediaError: the videos of `--videos` cannot be used.
        RunFolderError: `out` holds a demo with other options.
    """
    out = options.out
    open_run(out, options, resume="auto")
    stage = Stopwatch(out / "seconds.json")
    videos = options.videos or out / "playroom" / "clips"
    with stage("playroom"):
        clips = 0 if options.videos else CLIPS
        make_playroom(PlayroomOptions(out / "playroom", clips, OBJECTS, seed=options.seed))
    with stage("tokenizer"):
        tokenizer = _train_tokenizer(videos, out / "tokenizer", options.seed)
        scores = evaluate_tokenizer(EvaluateOptions(tokenizer, videos, out / "reconstructions", part="validation"))
        leak = measure_leakage(LeakageOptions(tokenizer, videos, out / "leakage", part="validation"))
    with stage("encoding"):
        tokens = encode(EncodeOptions(tokenizer, videos, out / "tokens", resume="auto"))
    with stage("gpt"):
        gpt = _train_gpt(tokens, out / "gpt", options.seed)
        likelihood = evaluate_gpt(GPTEvaluateOptions(gpt, tokens))
    with stage("completions"):
        diversity = _complete(gpt, tokenizer, videos, out / "completions", options.seed)
    with stage("memory"):
        memory = run_memory(
            MemoryOptions(
                out / "playroom", out / "memory", preset="demo", exposures=EXPOSURES, batch=1, learning_rate=1e-3,
                seed=options.seed, resume="auto",
            )
        )  # fmt: skip
    summary = {
        "psnr_db": scores["psnr_db"],
        "ssim": scores["ssim"],
        "codebook_usage": scores["codebook_usage"],
        "gpt_nll": likelihood["gpt_nll"],
        "unigram_entropy": likelihood["unigram_entropy"],
        "memory": {name: {p.exposure: p.accuracy for p in curve} for name, curve in pooled(memory).items()},
        "memory_ci": {name: {p.exposure: [p.low, p.high] for p in curve} for name, curve in pooled(memory).items()},
        "prompt_tokens_changed": leak["prompt_tokens_changed"],
        "diversity": diversity,
        "seconds": stage.seconds,
        "peak_memory_gb": peak_memory_gb(),
        "seed": options.seed,
    }
    write_text(out / "summary.json", to_json(summary))
    write_demo_report(out, summary, memory, playroom=options.videos is None)
    print_summary(summary, memory, out)
    return summary


def peak_memory_gb() -> float:
    """Return the most memory this process has held, in gigabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e9, 2)


def print_summary(summary: dict[str, Any], memory: list[Accuracy], out: Path) -> None:
    """Print the figures as a short table."""
    table = Table(title="Secondsight demo")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_row("reconstruction of new clips", f"{summary['psnr_db']:.1f} dB")
    table.add_row("codes in use", f"{100 * summary['codebook_usage']:.0f} %")
    table.add_row("GPT, new clips", f"{summary['gpt_nll']:.2f} nats per token")
    table.add_row("their histogram alone", f"{summary['unigram_entropy']:.2f} nats per token")
    table.add_row("prompt tokens that know the future", f"{100 * summary['prompt_tokens_changed']:.0f} %")
    for condition, curve in pooled(memory).items():
        table.add_row(f"memory, {condition}, {curve[-1].exposure} exposures", f"{100 * curve[-1].accuracy:.1f} %")
    table.add_row("time", f"{sum(summary['seconds'].values()) / 60:.1f} min")
    console = Console()
    console.print(table)
    console.print(f"Open {out / 'report.html'}", soft_wrap=True)


def _train_tokenizer(videos: Path, out: Path, seed: int) -> Path:
    return train_tokenizer(
        TrainOptions(
            videos, out, preset="demo", steps=TOKENIZER_STEPS, batch=8, crop=32, learning_rate=2e-3,
            save_every=200, seed=seed, resume="auto",
        )
    )  # fmt: skip


def _train_gpt(tokens: Path, out: Path, seed: int) -> Path:
    return train_gpt(
        GPTTrainOptions(
            tokens, out, preset="demo", steps=GPT_STEPS, batch=4, learning_rate=3e-3, warmup=30,
            save_every=100, validation_items=32, seed=seed, resume="auto",
        )
    )  # fmt: skip


def _complete(gpt_folder: Path, tokenizer_folder: Path, videos: Path, out: Path, seed: int) -> dict[str, Any]:
    """Complete half images and half clips of studied and of new videos; show and measure the continuations."""
    device = best_device()
    gpt, tokenizer = GPT.from_pretrained(gpt_folder).to(device), load_tokenizer(tokenizer_folder).to(device)
    form = tokenizer.clip_format
    kinds: dict[str, tuple[PromptKind, ClipFormat]] = {
        "image": ("half-image", ClipFormat(1, form.fps, form.size)),
        "clip": ("half-clip", form),
    }
    measures: dict[str, dict[str, dict[str, float]]] = {}
    for name, (kind, wanted) in kinds.items():
        studied, new = split_items(find_items(videos, wanted)[0])
        for group, items in (("studied", studied), ("new", new)):
            folder = out / f"{name}_{group}"
            measures.setdefault(name, {})[group] = _complete_items(gpt, tokenizer, items, wanted, kind, seed, folder)
    write_text(out / "diversity.json", to_json(measures))
    return measures


def _complete_items(
    gpt: GPT, tokenizer: Tokenizer, items: list[Item], form: ClipFormat, kind: PromptKind, seed: int, out: Path
) -> dict[str, float]:
    count = min(ITEMS, len(items))
    chosen = [items[place * len(items) // count] for place in range(count)]
    clips = torch.cat([clips for _, clips in read_batches(chosen, form, count, [])])
    request = Request(Prompt(kind), CONTINUATIONS, SAMPLING, seed)
    completions = complete_clips(gpt, tokenizer, clips, request)
    names = [Path(item.source.name).stem for item in chosen]
    for number, (completion, name) in enumerate(zip(completions, names, strict=True)):
        show_item(completion, name, form.fps, out, f"item_{number:03d}")
    show_grid(completions, names, out)
    return measure_completions(completions)
