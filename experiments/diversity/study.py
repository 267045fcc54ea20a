"""The whole study of continuation diversity: tokenizers and GPTs of images and of clips, made, continued and measured.

Images and clips are matched in all that can be matched. The images are the first frames of the very clips, so that
studied and new scenes are the same for both; tokenizers have the same family, steps and number of codes, and see the
same videos; GPTs have the same size, steps, batches and learning rate, and with presets that make equally many tokens
of an item also the same number of training tokens. Training sets of several sizes are parts of one another, and each
GPT takes the same number of steps, so that models of fewer items have seen each of them more often.

Main runs, one for each kind: the GPT of the largest training set after its last step; half given, every sampling
setting, all items and continuations. Context runs: every GPT after its last step; up to AMOUNTS amounts given, from
one latent frame or row of tokens to all but one. Exposure runs: every GPT after its earlier checkpoints, half given.
These two take the first sampling setting, half of the items and half of the continuations (at least two of each).

Everything lies in `out`, and a stopped study continues from the stages, checkpoints and continuations found there:

playroom/                 videos, without --videos
<kind>/tokenizer/         run folder, for a preset
<kind>/tokens/            token store of all items
<kind>/tokens_<items>/    its part that a GPT is trained on
<kind>/gpt_<items>/       run folder
runs/<kind>_<items>/             main run
runs/<kind>_<items>_context/     context run
runs/<kind>_<items>_<step>/      exposure run
report/
seconds.json              duration of each stage
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.items import find_items, split_items
from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from data.subset import write_subset
from data.tokens import TokenStore
from experiments.diversity.experiment import run_diversity
from experiments.diversity.options import DiversityOptions, DiversityReportOptions, MeasuringOptions, StudyOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.diversity.tables import Kind
from experiments.stopwatch import Stopwatch
from gpt.options import TrainOptions as GPTTrainOptions
from gpt.train import train as train_gpt
from storage.run_folder import open_run
from vqgan.config import PRESETS
from vqgan.encode import encode
from vqgan.model import load_tokenizer
from vqgan.options import EncodeOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

AMOUNTS = 5
"""Amounts given in a context run, at most."""

GRID = ("temperatures", "top_ks", "top_ps", "min_ps")
"""Options of which a main run takes all values, and the other runs the first."""


def run_study(options: StudyOptions) -> Path:
    """Carry out the study, or what is missing of it, and return its folder.

    Raises:
        MediaError: videos or images cannot be used, or are too few for the largest training set.
        RunFolderError: `out` holds a study with other options.
        TokenStoreError: a token store in `out` is damaged.
        WeightsMissingError: the weights of a network that measures are not on this machine.
    """
    out = options.out
    open_run(out, options, resume="auto")
    stage = Stopwatch(out / "seconds.json")
    with stage("playroom"):
        videos = options.videos or _make_videos(options)
    arms = [Arm(kind, options, videos) for kind in get_args(Kind)]
    for arm in arms:
        arm.check_items()
    for arm in arms:
        with stage(f"{arm.kind} tokenizer"):
            arm.make_tokenizer()
        with stage(f"{arm.kind} tokens"):
            arm.make_tokens()
        with stage(f"{arm.kind} GPTs"):
            arm.make_gpts()
    runs = [arm.main_run() for arm in arms] + [run for arm in arms for run in arm.further_runs()]
    for run in runs:
        with stage(f"run {run.out.name}"):
            run_diversity(run)
    with stage("report"):
        # Main runs come first: of equals, a report lets the first speak for its kind.
        report_diversity(DiversityReportOptions(tuple(run.out for run in runs), out / "report"))
    return out


@dataclass(frozen=True)
class Arm:
    """The half of a study that is about images, or about clips."""

    kind: Kind
    options: StudyOptions
    videos: Path
    """Folder of videos, one video, or a pattern of tar shards."""

    @property
    def folder(self) -> Path:
        """Where the models and tokens of this kind are made."""
        return self.options.out / self.kind

    @property
    def data(self) -> Path:
        """What is encoded: videos, or images of their own."""
        return self.options.images or self.videos if self.kind == "image" else self.videos

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's folder: one that was given, or the run folder of one that is trained."""
        name = tokenizer_name(self.options, self.kind)
        return self.folder / "tokenizer" if name in PRESETS else Path(name)

    def check_items(self) -> None:
        """Refuse data with too few items before anything is trained.

        Raises:
            MediaError: the largest training set has more items than there are for training.
        """
        form, wanted = item_format(self.options, self.kind), max(self.options.training_items)
        items = find_items(self.data, form, self._hop())[0]
        there = len(split_items(items)[0])
        if there < wanted:
            raise MediaError(
                f"{self.data} has {there} {self.kind}s for training, --training-items asks for {wanted}: "
                "ask for fewer, or give more videos (--clips for those of the playroom)"
            )

    def make_tokenizer(self) -> None:
        """Train the tokenizer, unless one was given."""
        name, options = tokenizer_name(self.options, self.kind), self.options
        if name in PRESETS:
            train_tokenizer(
                TokenizerTrainOptions(
                    self.data, self.tokenizer, preset=name, steps=options.tokenizer_steps, batch=8,
                    crop=PRESETS[name].resolution // 2, learning_rate=2e-3, save_every=200, seed=options.seed,
                    resume="auto",
                )
            )  # fmt: skip

    def make_tokens(self) -> None:
        """Encode all items, and write the training sets of all sizes."""
        tokens = self.folder / "tokens"
        # Read in this process: the training of a tokenizer has read the same videos so already.
        encode(EncodeOptions(self.tokenizer, self.data, tokens, every=self._hop(), workers=0, resume="auto"))
        for items in self.options.training_items:
            if not (self._tokens(items) / "metadata.json").exists():
                write_subset(TokenStore(tokens), self._tokens(items), items)

    def make_gpts(self) -> None:
        """Train a GPT on each training set; the checkpoints that will be measured are kept."""
        options, every = self.options, math.gcd(*measured_steps(self.options))
        for items in options.training_items:
            train_gpt(
                GPTTrainOptions(
                    self._tokens(items), self._gpt(items), preset=options.preset, steps=options.steps,
                    batch=options.gpt_batch, learning_rate=options.learning_rate, precision=options.precision,
                    save_every=every, keep=options.steps // every, seed=options.seed, resume="auto",
                )
            )  # fmt: skip

    def main_run(self) -> DiversityOptions:
        """Return the run of the largest training set, with everything that is to be measured."""
        items = max(self.options.training_items)
        return self._run(items, f"{self.kind}_{items}", self._gpt(items))

    def further_runs(self) -> Iterator[DiversityOptions]:
        """Yield the context run of each training set, and its exposure runs."""
        grid = TokenStore(self.folder / "tokens").metadata.grid
        given = amounts(grid[0] if self.kind == "clip" else grid[1])
        for items in self.options.training_items:
            yield self._small_run(items, f"{self.kind}_{items}_context", self._gpt(items), given)
            for step in measured_steps(self.options)[:-1]:
                checkpoint = self._gpt(items) / "checkpoints" / f"{step:06d}"
                yield self._small_run(items, f"{self.kind}_{items}_{step}", checkpoint)

    def _small_run(self, items: int, name: str, gpt: Path, given: tuple[int, ...] = ()) -> DiversityOptions:
        options = self.options
        changed: dict[str, Any] = {name: getattr(options, name)[:1] for name in GRID}
        # No more items than the smallest training set has, so that they are the same ones for all sizes.
        count = min(max(2, options.items // 2), *options.training_items)
        changed |= {"n": max(2, options.n // 2), "items": count, "given": given}
        return replace(self._run(items, name, gpt), **changed)

    def _run(self, items: int, name: str, gpt: Path) -> DiversityOptions:
        measuring = {field.name: getattr(self.options, field.name) for field in fields(MeasuringOptions)}
        out = self.options.out / "runs" / name
        return DiversityOptions(gpt, self.tokenizer, self._tokens(items), self.data, out, resume="auto", **measuring)

    def _hop(self) -> float | None:
        """Return the seconds between two images of a video: as many as between two clips, so that they begin alike."""
        if self.kind == "clip" or self.options.images:
            return None
        return item_format(self.options, "clip").seconds

    def _tokens(self, items: int) -> Path:
        return self.folder / f"tokens_{items}"

    def _gpt(self, items: int) -> Path:
        return self.folder / f"gpt_{items}"


def tokenizer_name(options: StudyOptions, kind: Kind) -> str:
    """Return the preset or the folder of the tokenizer of a kind."""
    return options.image_tokenizer if kind == "image" else options.clip_tokenizer


def item_format(options: StudyOptions, kind: Kind) -> ClipFormat:
    """Return the form of the items of a kind, which its tokenizer decides, trained already or not."""
    name = tokenizer_name(options, kind)
    if name in PRESETS:
        return ClipFormat(PRESETS[name].frames, PRESETS[name].fps, PRESETS[name].resolution)
    return load_tokenizer(name).clip_format


def measured_steps(options: StudyOptions) -> list[int]:
    """Return the steps after which the GPTs of the largest training set are measured, the last one included."""
    return sorted({max(1, round(share * options.steps)) for share in (*options.checkpoints, 1.0)})


def amounts(places: int) -> tuple[int, ...]:
    """Return what context runs give of so many latent frames or rows: from one to all but one, AMOUNTS at most."""
    return tuple(sorted({round(1 + (places - 2) * number / (AMOUNTS - 1)) for number in range(AMOUNTS)}))


def _make_videos(options: StudyOptions) -> Path:
    make_playroom(PlayroomOptions(options.out / "playroom", options.clips, seed=options.seed))
    return options.out / "playroom" / "clips"
