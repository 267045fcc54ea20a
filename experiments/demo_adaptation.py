"""A demo that begins from a model: both its parts are adapted to the videos, and kept only where that helped.

OUT/reconstructions_before, reconstructions   held-out clips of the tokenizer as it came, and adapted
OUT/gpt_before, gpt                           the GPT as it came, for the tokens of the tokenizer that is used; adapted
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

from data.clip_format import ClipFormat
from data.items import LISTING, find_items, split_items
from data.options import PrepareOptions
from data.prepare import prepare
from data.prepared_paths import holds_prepared
from data.tokens import TokenStore
from experiments.demo_sizes import DemoSizes
from gpt.evaluate import evaluate as evaluate_gpt
from gpt.init import begin_gpt
from gpt.model import GPT
from gpt.options import EvaluateOptions as GPTEvaluateOptions
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.options import SamplingOptions
from sampling.watch import train_and_watch
from storage.fingerprints import same_fingerprint
from storage.model_paths import CheckpointError, brought_tokenizer
from training.progress import count, say_found
from vqgan.config import VQGANConfig
from vqgan.evaluate import evaluate as evaluate_tokenizer
from vqgan.metrics.features import WeightsMissingError, find_lite
from vqgan.model import VQGAN
from vqgan.options import EvaluateOptions, TrainOptions
from vqgan.train import train as train_tokenizer

Measures = dict[str, float]
"""What was measured, by name."""
Kept = Literal["before", "after"]
"""Which of two models is used: as it came, or adapted."""

PERCEPTUAL = "efficientnet-lite0"
"""The network of the perceptual distance, where its package is installed."""
CODEBOOK_DECAY = 0.9
"""Of learned codes while they are adapted: within some twenty steps those that the videos do not use move to what they
show, which at the usual decay takes as long as all of the adapting."""
PERCEPTUAL_WEIGHT = 0.1
"""Of the perceptual distance in the loss of a tokenizer that is adapted, where its network is at hand."""
CROP = 32
"""Pixels a side of the random crops that tokenizers learn from."""
WORSE_PERCEPTUAL = 1.05
"""From this many times the perceptual distance on, reconstructions are taken to have become worse."""

FEW = 4
"""Held-out clips below which a comparison says little."""


class Start(NamedTuple):
    """A model that a demo begins from."""

    name: Path
    """What it was asked for by, both as a GPT and as the tokenizer that it brings along."""
    config: VQGANConfig
    """Of the tokenizer."""


class Adapted(NamedTuple):
    """A model and the one it was made of, of which one is used from then on."""

    used: Path
    """The folder of the one that is used."""
    scores: Measures
    """All that was measured of it."""
    measures: dict[str, Measures]
    """What was measured of both, `before` and `after`."""
    worse: str | None
    """In what the adapted one is worse, in words; None where it is the one that is used."""

    @property
    def kept(self) -> Kept:
        """Which of the two is used."""
        return "after" if self.worse is None else "before"


def find_start(init: Path) -> Start:
    """Return the model that a demo begins from.

    Raises:
        CheckpointError: there is no such GPT, it brings no tokenizer along, one of other tokens, or one that cannot be
            trained on.
        ValueError: its tokenizer is one of stills.
    """
    brought = brought_tokenizer(init)
    if brought is None:
        raise CheckpointError(
            f"--init {init} brings no tokenizer along (no tokenizer/ in its folder): put its tokenizer there, or give "
            "--init none to train both from scratch"
        )
    tokenizer = VQGAN.from_pretrained(brought)
    learned = GPT.from_pretrained(init).config.tokenizer
    if not same_fingerprint(learned, tokenizer.fingerprint):
        raise CheckpointError(
            f"--init {init}: its GPT learned the tokens of tokenizer {learned or 'unknown'}, and it brings "
            f"{tokenizer.fingerprint} along: put the tokenizer of its tokens into its tokenizer/"
        )
    if tokenizer.config.frames == 1:
        raise ValueError(f"--init {init} makes tokens of stills, and the demo continues clips: give a model of clips")
    return Start(init, tokenizer.config)


def read_videos(videos: Path, out: Path, form: ClipFormat) -> Path:
    """Decode videos once into shards of the size and speed of clips; return their folder, or that of those there were.

    Raises:
        MediaError: they hold no two clips to learn from one and be tested by the other.
    """
    items, _ = find_items(videos, form, cache=out / LISTING)
    split_items(items)
    if holds_prepared(videos):
        return videos
    prepare(PrepareOptions(videos, out, size=form.size, fps=form.fps, format="png", resume="auto"))
    return out


def adapt_tokenizer(start: Start, videos: Path, out: Path, sizes: DemoSizes, seed: int) -> Adapted:
    """Adapt the tokenizer of a model to videos, and measure both on held-out clips.

    The adapted one is used unless its PSNR is lower, or its perceptual distance `WORSE_PERCEPTUAL` times as large.
    """
    before = measure_tokenizer(start.name, videos, out / "reconstructions_before")
    train_tokenizer(adaptation_options(start, videos, out / "tokenizer", sizes, seed))
    after = measure_tokenizer(out / "tokenizer", videos, out / "reconstructions")
    worse = worsened_reconstructions(before, after)
    _say("tokenizer", start, worse)
    used, scores = (out / "tokenizer", after) if worse is None else (start.name, before)
    return Adapted(used, scores, {"before": before, "after": after}, worse)


def adaptation_options(start: Start, videos: Path, out: Path, sizes: DemoSizes, seed: int) -> TrainOptions:
    """Return how the tokenizer of a model is adapted."""
    faster = {} if start.config.levels else {"codebook_decay": CODEBOOK_DECAY}
    crop = crop_for(start.config)
    large = (crop or start.config.resolution) >= CROP  # as its network needs
    return TrainOptions.of(
        data=videos,
        out=out,
        init=start.name,
        steps=sizes.tokenizer_steps,
        batch=8,
        crop=crop,
        perceptual=perceptual_at_hand() if large else "none",
        perceptual_weight=PERCEPTUAL_WEIGHT,
        learning_rate=sizes.tokenizer_rate,
        warmup=10,
        precision="auto",
        save_every=50,
        seed=seed,
        resume="auto",
        **faster,
    )


def measure_tokenizer(tokenizer: Path, videos: Path, out: Path) -> Measures:
    """Return what `vqgan eval` says of held-out clips, with a perceptual distance where its network is at hand."""
    return evaluate_tokenizer(
        EvaluateOptions(tokenizer, videos, out, split="validation", perceptual=perceptual_at_hand())
    )


def perceptual_at_hand() -> str:
    """Return the name of the network of the perceptual distance; `none` where its package is not installed."""
    try:
        find_lite(PERCEPTUAL)
    except WeightsMissingError:
        return "none"
    return PERCEPTUAL


def crop_for(config: VQGANConfig) -> int | None:
    """Return the pixels a side of crops that a tokenizer learns from; None for whole clips."""
    return CROP if config.resolution > CROP and CROP % config.spatial_factor == 0 else None


def worsened_reconstructions(before: Measures, after: Measures) -> str | None:
    """Return in words how reconstructions of held-out clips became worse; None where they did not."""
    if after["psnr_db"] < before["psnr_db"]:
        return f"their PSNR fell from {before['psnr_db']:.2f} to {after['psnr_db']:.2f} dB"
    old, new = before.get("perceptual"), after.get("perceptual")
    if old is not None and new is not None and new > WORSE_PERCEPTUAL * old:
        return f"their perceptual distance rose from {old:.3g} to {new:.3g}"
    return None


def adapt_gpt(start: Start, tokens: Path, out: Path, sizes: DemoSizes, seed: int) -> Adapted:
    """Adapt the GPT of a model to tokens, and measure both on those held out.

    Of an adapted tokenizer every code is taken to mean what it meant. The adapted GPT is used unless held-out tokens
    are less likely to it.
    """
    options = gpt_options(start, tokens, out / "gpt", sizes, seed)
    begun = out / "gpt_before"
    begin_gpt(options, TokenStore(tokens)).gpt.save_pretrained(begun)
    before = evaluate_gpt(GPTEvaluateOptions(begun, tokens))
    train_and_watch(options)
    after = evaluate_gpt(GPTEvaluateOptions(out / "gpt", tokens))
    worse = worsened_likelihood(before, after)
    _say("GPT", start, worse)
    used, scores = (out / "gpt", after) if worse is None else (begun, before)
    return Adapted(used, scores, {"before": before, "after": after}, worse)


def gpt_options(start: Start, tokens: Path, out: Path, sizes: DemoSizes, seed: int) -> GPTTrainOptions:
    """Return how the GPT of a model is adapted."""
    return GPTTrainOptions.of(
        tokens=tokens,
        out=out,
        init=start.name,
        new_tokenizer="keep",
        steps=sizes.gpt_steps,
        batch=4,
        learning_rate=sizes.gpt_rate,
        warmup=10,
        precision="auto",
        save_every=50,
        validation_items=32,
        seed=seed,
        resume="auto",
    )


def worsened_likelihood(before: Measures, after: Measures) -> str | None:
    """Return in words how the likelihood of held-out tokens became worse; None where it did not."""
    if after["gpt_nll"] <= before["gpt_nll"]:
        return None
    return f"their negative log-likelihood rose from {before['gpt_nll']:.2f} to {after['gpt_nll']:.2f} nats per token"


@dataclass(frozen=True)
class Adaptation:
    """What adapting a model changed, on clips that were not learned from."""

    begins_from: str
    """The model that the demo began from."""
    tokenizer: dict[str, Measures]
    """What was measured of reconstructions: `before` adapting, `after` it, and `from_scratch` where that was trained
    for as long."""
    tokenizer_used: Kept
    """Which of the first two everything that follows was made with."""
    tokenizer_worse: str | None
    """In what the adapted tokenizer is worse, in words, where it is."""
    gpt: dict[str, Measures]
    """What was measured of the likelihood of the same tokens: `before` and `after`."""
    gpt_used: Kept
    """Which of the two completed."""
    gpt_worse: str | None
    """In what the adapted GPT is worse, in words, where it is."""
    sampling: str
    """How tokens were drawn, in words: as the model recommends, if it does."""
    from_scratch_steps: int | None = None
    """Optimizer steps of the tokenizer from scratch; null without one."""

    @classmethod
    def of(
        cls,
        start: Start,
        tokenizer: Adapted,
        gpt: Adapted,
        sampling: SamplingOptions,
        from_scratch_steps: int | None = None,
    ) -> Self:
        """Return what adapting both parts of a model changed."""
        return cls(
            begins_from=str(start.name),
            tokenizer=tokenizer.measures,
            tokenizer_used=tokenizer.kept,
            tokenizer_worse=tokenizer.worse,
            gpt=gpt.measures,
            gpt_used=gpt.kept,
            gpt_worse=gpt.worse,
            sampling=sampling.describe(),
            from_scratch_steps=from_scratch_steps,
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is to say of it to people."""
        said = (("tokenizer", self.tokenizer_worse), ("GPT", self.gpt_worse))
        kept = tuple(_kept_sentence(part, self.begins_from, worse) for part, worse in said if worse is not None)
        held_out = int(self.tokenizer["before"]["items"])
        few = f"only {count(held_out, 'clip')} held out, by which before and after were compared: give more videos"
        return (*kept, few) if held_out < FEW else kept


def _say(part: str, start: Start, worse: str | None) -> None:
    if worse is not None:
        say_found(beware=_kept_sentence(part, start.name, worse))


def _kept_sentence(part: str, name: object, worse: str) -> str:
    where = "held-out clips" if part == "tokenizer" else "tokens of held-out clips"
    return (
        f"adapting made the {part} of {name} worse on {where}: {worse}; it is kept as it came, and what follows is "
        "made with it"
    )
