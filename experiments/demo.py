"""The whole path, small and real: videos, tokenizer, tokens, GPT, completions, diversity, memory, report.

Every stage writes into its own folder of `out`, and a stopped demo continues from the stages and checkpoints it finds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from data.items import find_sources
from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from experiments.demo_report import write_demo_report
from experiments.demo_summary import DemoSummary, print_summary
from experiments.diversity.metrics import measure_completions
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions
from experiments.options import DemoOptions
from experiments.statistics.accuracy import pooled
from experiments.stopwatch import Stopwatch
from gpt.config import PRESETS as GPT_PRESETS
from gpt.evaluate import evaluate as evaluate_gpt
from gpt.options import EvaluateOptions as GPTEvaluateOptions
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.complete import complete, read_completions
from sampling.options import CompleteOptions, PromptKind, SamplingOptions, Split
from sampling.watch import train_and_watch
from storage.files import to_json, write_text
from storage.lock import FolderLock
from storage.run_folder import open_run, read_options
from training.progress import say_done
from vqgan.config import PRESETS as TOKENIZER_PRESETS
from vqgan.encode import encode
from vqgan.evaluate import evaluate as evaluate_tokenizer
from vqgan.leakage import measure_leakage
from vqgan.options import EncodeOptions, EvaluateOptions, LeakageOptions, TrainOptions
from vqgan.train import train as train_tokenizer

# So small a GPT spreads its probability over many unlikely codes; without them its images hold together.
SAMPLING = SamplingOptions(top_p=0.6)
PROMPTS: dict[str, PromptKind] = {"image": "half-image", "clip": "half-clip"}
SPLITS: dict[str, Split] = {"studied": "train", "new": "validation"}


@dataclass(frozen=True)
class DemoSizes:
    """How much the demo makes; by default as much as takes ten minutes on two CPU cores."""

    clips: int = 480
    """Clips of the playroom."""
    objects: int = 20
    """Trials of each memory condition."""
    tokenizer_steps: int = 700
    gpt_steps: int = 550
    exposures: int = 40
    """Passes over the study list."""
    items: int = 4
    """Items of each kind and split that are completed."""
    continuations: int = 4
    """Of each item."""


def run_demo(options: DemoOptions, sizes: DemoSizes = DemoSizes()) -> DemoSummary:
    """Run every stage, write `summary.json` and `report.html`, print and return the summary.

    Raises:
        FolderLockError: another process is writing into `out`.
        MediaError: the videos of `--videos` cannot be used.
        RunFolderError: `out` holds a demo with other options.
    """
    with FolderLock(options.out):
        summary = _run(options, sizes)
    say_done(options.out / "report.html", "open it in a browser")
    return summary


def _run(options: DemoOptions, sizes: DemoSizes) -> DemoSummary:
    out = options.out
    begun = any((out / name).exists() for name in ("playroom", "tokenizer", "tokens", "gpt"))
    if options.videos is not None and not begun:
        find_sources(options.videos)  # refuses what is no data before anything is written
    open_run(out, options, resume="auto", begun=begun)
    stage = Stopwatch(out / "seconds.json")
    videos = options.videos or out / "playroom" / "clips"
    tokenizer = out / "tokenizer"
    tokens = out / "tokens"
    gpt = out / "gpt"
    with stage("playroom"):
        clips = 0 if options.videos else sizes.clips
        make_playroom(PlayroomOptions(out / "playroom", clips, sizes.objects, seed=options.seed))
    with stage("tokenizer"):
        train_tokenizer(_tokenizer_options(videos, tokenizer, sizes.tokenizer_steps, options.seed))
        scores = evaluate_tokenizer(EvaluateOptions(tokenizer, videos, out / "reconstructions", split="validation"))
        leak = measure_leakage(LeakageOptions(tokenizer, videos, out / "leakage", split="validation"))
    with stage("encoding"):
        encode(EncodeOptions(tokenizer, videos, tokens, resume="auto"))
    with stage("gpt"):
        train_and_watch(_gpt_options(tokens, gpt, sizes.gpt_steps, options.seed))
        likelihood = evaluate_gpt(GPTEvaluateOptions(gpt, tokens))
    with stage("completions"):
        diversity = _complete(gpt, tokenizer, videos, out / "completions", sizes, options.seed)
    with stage("memory"):
        memory = run_memory(_memory_options(out, sizes.exposures, options.seed))
    summary = DemoSummary(
        psnr_db=scores["psnr_db"],
        ssim=scores["ssim"],
        codebook_usage=scores["codebook_usage"],
        gpt_nll=likelihood["gpt_nll"],
        unigram_entropy=likelihood["unigram_entropy"],
        unigram_nll=likelihood["unigram_nll"],
        bits_per_pixel=likelihood["bits_per_pixel"],
        memory={name: {p.exposure: p.accuracy for p in curve} for name, curve in pooled(memory).items()},
        memory_ci={
            name: {point.exposure: [point.low_images, point.high_images] for point in curve}
            for name, curve in pooled(memory).items()
        },
        prompt_tokens_changed=leak["prompt_tokens_changed"],
        diversity=diversity,
        seconds=stage.seconds,
        peak_memory_gb=peak_memory_gb(),
        seed=options.seed,
    )
    summary.write(out / "summary.json")
    write_demo_report(out, summary, memory, playroom=options.videos is None)
    print_summary(summary, memory)
    return summary


def peak_memory_gb() -> float:
    """Return the most memory this process has held, in gigabytes."""
    return round(_peak_memory_bytes() / 1e9, 2)


def _peak_memory_bytes() -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # there is none on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _tokenizer_options(videos: Path, out: Path, steps: int, seed: int) -> TrainOptions:
    return TrainOptions.of(
        data=videos,
        out=out,
        **TOKENIZER_PRESETS["demo"].flat(),
        steps=steps,
        batch=8,
        crop=32,
        learning_rate=2e-3,
        save_every=200,
        seed=seed,
        resume="auto",
    )


def _gpt_options(tokens: Path, out: Path, steps: int, seed: int) -> GPTTrainOptions:
    return GPTTrainOptions.of(
        tokens=tokens,
        out=out,
        **GPT_PRESETS["demo"].flat(),
        steps=steps,
        batch=4,
        learning_rate=3e-3,
        warmup=30,
        save_every=100,
        validation_items=32,
        seed=seed,
        resume="auto",
    )


def _memory_options(out: Path, exposures: int, seed: int) -> MemoryOptions:
    return MemoryOptions.of(
        stimuli=out / "playroom",
        out=out / "memory",
        **GPT_PRESETS["demo"].flat(),
        exposures=exposures,
        batch=1,
        learning_rate=1e-3,
        seed=seed,
        resume="auto",
    )


def _complete(
    gpt: Path, tokenizer: Path, videos: Path, out: Path, sizes: DemoSizes, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Complete half images and half clips of studied and of new videos; show and measure the continuations."""
    measures: dict[str, dict[str, dict[str, float]]] = {}
    for kind, prompt in PROMPTS.items():
        for group, split in SPLITS.items():
            options = CompleteOptions(
                gpt=gpt,
                tokenizer=tokenizer,
                out=out / f"{kind}_{group}",
                input=(videos,),
                split=split,
                prompt=prompt,
                n=sizes.continuations,
                items=sizes.items,
                sampling=sampling_for(out / f"{kind}_{group}"),
                seed=seed,
                sampling_precision="fp32",
                resume="auto",
            )
            complete(options)
            measures.setdefault(kind, {})[group] = measure_completions(read_completions(options))
    write_text(out / "diversity.json", to_json(measures))
    return measures


def sampling_for(completions: Path) -> SamplingOptions:
    """Return how continuations are drawn, with the noise that the folder was begun with."""
    if not (completions / "config.json").exists():
        return SAMPLING
    return replace(SAMPLING, noise=read_options(completions, CompleteOptions).sampling.noise)
