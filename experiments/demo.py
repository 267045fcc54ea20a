"""The whole path, small and real: videos, tokenizer, tokens, GPT, completions, diversity, memory, report.

Every stage writes into its own folder of `out`, and a stopped demo continues from the stages and checkpoints it finds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from data.errors import MediaError
from data.items import find_sources
from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from experiments.demo_adaptation import Adaptation, Start, adapt_gpt, adapt_tokenizer, find_start, read_videos
from experiments.demo_comparison import draw_comparison, train_from_scratch
from experiments.demo_report import write_demo_report
from experiments.demo_sizes import ADAPTING, FROM_SCRATCH, DemoSizes
from experiments.demo_summary import DemoSummary, print_summary
from experiments.diversity.metrics import measure_completions
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions
from experiments.options import NO_MODEL, STARTER, DemoOptions
from experiments.statistics.accuracy import pooled
from experiments.stopwatch import Stopwatch
from gpt.config import PRESETS as GPT_PRESETS
from gpt.evaluate import evaluate as evaluate_gpt
from gpt.options import EvaluateOptions as GPTEvaluateOptions
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.complete import complete, read_completions
from sampling.options import CompleteOptions, PromptKind, SamplingOptions, SamplingPrecision, Split
from sampling.recommended import find_recommended
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


class Trained(NamedTuple):
    """What completes, and how good it is."""

    videos: Path
    """What it is used on: videos, or shards of them."""
    tokenizer: Path
    gpt: Path
    scores: Mapping[str, float]
    """Of reconstructions: see `vqgan.evaluate`."""
    leak: Mapping[str, float]
    """See `vqgan.leakage`."""
    likelihood: Mapping[str, float]
    """Of tokens: see `gpt.evaluate`."""
    sampling: SamplingOptions
    """How tokens are drawn."""
    adaptation: Adaptation | None = None
    """What adapting a model changed, where one was adapted."""


def run_demo(options: DemoOptions, sizes: DemoSizes | None = None) -> DemoSummary:
    """Run every stage, write `summary.json` and `report.html`, print and return the summary.

    Args:
        options: what to make it of.
        sizes: how much to make; by default `ADAPTING` where a model is adapted to videos, and else `FROM_SCRATCH`.

    Raises:
        CheckpointError: `--init` is no GPT that brings its tokenizer along.
        FolderLockError: another process is writing into `out`.
        MediaError: the videos of `--videos` cannot be used.
        RunFolderError: `out` holds a demo with other options.
        ValueError: the model of `--init` is one of stills.
    """
    with FolderLock(options.out):
        summary = _run(options, sizes)
    say_done(options.out / "report.html", "open it in a browser")
    return summary


def _run(options: DemoOptions, sizes: DemoSizes | None) -> DemoSummary:
    out = options.out
    begun = any((out / name).exists() for name in ("playroom", "tokenizer", "tokens", "gpt"))
    options = settle_init(options, begun)
    start = find_start(options.init) if options.init not in (None, NO_MODEL) else None
    if options.videos is not None and not begun:
        _check_videos(options.videos)  # refuses what is no data before anything is written
    sizes = sizes or (FROM_SCRATCH if start is None else ADAPTING)
    open_run(out, options, resume="auto", begun=begun)
    stage = Stopwatch(out / "seconds.json")
    with stage("playroom"):
        clips = 0 if options.videos else sizes.clips
        make_playroom(PlayroomOptions(out / "playroom", clips, sizes.objects, seed=options.seed))
    made = _train(options, sizes, stage) if start is None else _adapt(options, start, sizes, stage)
    precision: SamplingPrecision = "fp32" if start is None else "auto"
    with stage("completions"):
        diversity = _complete(made, out / "completions", sizes, options.seed, precision)
    with stage("memory"):
        memory = run_memory(_memory_options(out, sizes.exposures, options.seed))
    summary = DemoSummary(
        psnr_db=made.scores["psnr_db"],
        ssim=made.scores["ssim"],
        codebook_usage=made.scores["codebook_usage"],
        gpt_nll=made.likelihood["gpt_nll"],
        unigram_entropy=made.likelihood["unigram_entropy"],
        unigram_nll=made.likelihood["unigram_nll"],
        bits_per_pixel=made.likelihood["bits_per_pixel"],
        memory={name: {p.exposure: p.accuracy for p in curve} for name, curve in pooled(memory).items()},
        memory_ci={
            name: {point.exposure: [point.low_images, point.high_images] for point in curve}
            for name, curve in pooled(memory).items()
        },
        prompt_tokens_changed=made.leak["prompt_tokens_changed"],
        diversity=diversity,
        seconds=stage.seconds,
        peak_memory_gb=peak_memory_gb(),
        seed=options.seed,
        adaptation=made.adaptation,
    )
    summary.write(out / "summary.json")
    write_demo_report(options, summary, memory)
    print_summary(summary, memory)
    return summary


def settle_init(options: DemoOptions, begun: bool) -> DemoOptions:
    """Return options that say what the demo begins from: that of the demo which goes on, or else the default."""
    if options.init is not None:
        return options
    if options.videos is None:
        return replace(options, init=NO_MODEL)
    if begun and (options.out / "config.json").exists():
        return replace(options, init=read_options(options.out, DemoOptions).init)
    return replace(options, init=STARTER)


def _check_videos(videos: Path) -> None:
    """Refuse data without videos.

    Raises:
        MediaError: they hold nothing, or images alone.
    """
    if all(source.kind == "image" for source in find_sources(videos)[0]):
        raise MediaError(
            f"{videos} holds images and no videos, and the demo continues clips: give videos, or complete images with "
            "secondsight complete --prompt half-image"
        )


def _train(options: DemoOptions, sizes: DemoSizes, stage: Stopwatch) -> Trained:
    """Train a tokenizer and a GPT from scratch."""
    out = options.out
    videos = options.videos or out / "playroom" / "clips"
    tokenizer, tokens, gpt = out / "tokenizer", out / "tokens", out / "gpt"
    with stage("tokenizer"):
        train_tokenizer(_tokenizer_options(videos, tokenizer, sizes, options.seed))
        scores = evaluate_tokenizer(EvaluateOptions(tokenizer, videos, out / "reconstructions", split="validation"))
        leak = measure_leakage(LeakageOptions(tokenizer, videos, out / "leakage", split="validation"))
    with stage("encoding"):
        encode(EncodeOptions(tokenizer, videos, tokens, resume="auto"))
    with stage("gpt"):
        train_and_watch(_gpt_options(tokens, gpt, sizes, options.seed))
        likelihood = evaluate_gpt(GPTEvaluateOptions(gpt, tokens))
    return Trained(videos, tokenizer, gpt, scores, leak, likelihood, SAMPLING)


def _adapt(options: DemoOptions, start: Start, sizes: DemoSizes, stage: Stopwatch) -> Trained:
    """Adapt a tokenizer and its GPT to videos."""
    assert options.videos is not None, "checked by the options"
    out = options.out
    seed = options.seed
    with stage("reading"):
        videos = read_videos(options.videos, out / "shards", start.config.clip_format)
    with stage("tokenizer"):
        tokenizer = adapt_tokenizer(start, videos, out, sizes, seed)
        leak = measure_leakage(LeakageOptions(tokenizer.used, videos, out / "leakage", split="validation"))
    shown = {"as it came": start.name, "adapted": out / "tokenizer"}
    steps = None
    if options.compare:
        with stage("from scratch"):
            tokenizer.measures["from_scratch"], steps = train_from_scratch(start, videos, out, sizes, seed)
        shown["from scratch"] = out / "from_scratch"
    draw_comparison(shown, videos, out)
    with stage("encoding"):
        encode(EncodeOptions(tokenizer.used, videos, out / "tokens", resume="auto"))
    with stage("gpt"):
        gpt = adapt_gpt(start, out / "tokens", out, sizes, seed)
    recommended = find_recommended(gpt.used)
    sampling = SAMPLING if recommended is None else SamplingOptions(**recommended.flat())
    adaptation = Adaptation.of(start, tokenizer, gpt, sampling, steps)
    return Trained(videos, tokenizer.used, gpt.used, tokenizer.scores, leak, gpt.scores, sampling, adaptation)


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


def _tokenizer_options(videos: Path, out: Path, sizes: DemoSizes, seed: int) -> TrainOptions:
    return TrainOptions.of(
        data=videos,
        out=out,
        **TOKENIZER_PRESETS["demo"].flat(),
        steps=sizes.tokenizer_steps,
        batch=8,
        crop=32,
        learning_rate=sizes.tokenizer_rate,
        save_every=200,
        seed=seed,
        resume="auto",
    )


def _gpt_options(tokens: Path, out: Path, sizes: DemoSizes, seed: int) -> GPTTrainOptions:
    return GPTTrainOptions.of(
        tokens=tokens,
        out=out,
        **GPT_PRESETS["demo"].flat(),
        steps=sizes.gpt_steps,
        batch=4,
        learning_rate=sizes.gpt_rate,
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
    made: Trained, out: Path, sizes: DemoSizes, seed: int, precision: SamplingPrecision
) -> dict[str, dict[str, dict[str, float]]]:
    """Complete half images and half clips of studied and of new videos; show and measure the continuations."""
    measures: dict[str, dict[str, dict[str, float]]] = {}
    for kind, prompt in PROMPTS.items():
        for group, split in SPLITS.items():
            options = CompleteOptions(
                gpt=made.gpt,
                tokenizer=made.tokenizer,
                out=out / f"{kind}_{group}",
                input=(made.videos,),
                split=split,
                prompt=prompt,
                n=sizes.continuations,
                items=sizes.items,
                sampling=sampling_for(out / f"{kind}_{group}", made.sampling),
                seed=seed,
                sampling_precision=precision,
                resume="auto",
            )
            complete(options)
            measures.setdefault(kind, {})[group] = measure_completions(read_completions(options))
    write_text(out / "diversity.json", to_json(measures))
    return measures


def sampling_for(completions: Path, sampling: SamplingOptions = SAMPLING) -> SamplingOptions:
    """Return how continuations are drawn, with the noise that the folder was begun with."""
    if not (completions / "config.json").exists():
        return sampling
    return replace(sampling, noise=read_options(completions, CompleteOptions).sampling.noise)
