"""The whole study of continuation diversity: tokenizers and GPTs of images and of clips, made, continued and measured.

Images and clips are matched in all that can be matched. The images are the first frames of the very clips, so that
studied and new scenes are the same for both; tokenizers have the same family, steps and number of codes, and see the
same videos; GPTs have the same size, steps, batches and learning rate, and with presets that make equally many tokens
of an item also the same number of training tokens. Training sets of several sizes are subsets of one another, and each
GPT takes the same number of steps, so that models of fewer items have seen each of them more often.

Main runs, one for each kind: the GPT of the largest training set after its last step; half given, every sampling
setting, all items and continuations. Context runs: every GPT after its last step; up to PROMPT_LENGTHS prompt lengths,
from one latent frame or row of tokens to all but one. Exposure runs: every GPT after its earlier checkpoints, half
given. These two take the first sampling setting, half of the items and half of the continuations (at least two of
each).

Everything lies in `out`, and a stopped study continues from the stages, checkpoints and continuations found there:

playroom/                 videos, without --videos
<kind>/tokenizer/         run folder, for a preset
<kind>/tokens/            token store of all items
<kind>/tokens_<items>/    its subset that a GPT is trained on
<kind>/gpt_<items>/       run folder
runs/<kind>_<items>/             main run
runs/<kind>_<items>_context/     context run
runs/<kind>_<items>_<step>/      exposure run
report/
seconds.json              duration of each stage, where one process carries out all
jobs/                     with --slurm: jobs of Slurm, each of which carries out a part

Parts are what jobs do: those of one step of `study_steps` may run side by side, each needs only those of earlier steps.
They hold no lock of the whole folder; each folder in it that they write into has its own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.items import LISTING, Item, describe_items, find_items, split_items
from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from data.skipping import describe_skipped
from data.sources import Skipped
from data.subset import clip_of, write_subset
from data.tokens import TokenStore
from experiments.diversity.conditions import Kind
from experiments.diversity.experiment import run_diversity
from experiments.diversity.material import choose_items
from experiments.diversity.options import DiversityOptions, DiversityReportOptions, StudyOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.slurm_jobs import Step, write_jobs
from experiments.stopwatch import Stopwatch
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from storage.lock import FolderLock
from storage.options import unknown_name
from storage.run_folder import RunFolderError, check_run, open_run
from training.processes import best_device, describe_device
from training.progress import count, say_done, say_found
from vqgan.config import PRESETS
from vqgan.encode import encode
from vqgan.grouping import group_by_of
from vqgan.model import load_tokenizer
from vqgan.options import EncodeOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

PROMPT_LENGTHS = 5
"""Prompt lengths of a context run, at most."""
GRID = ("temperatures", "top_ks", "top_ps", "min_ps")
"""Options of which a main run takes all values, and the other runs the first."""


def run_study(options: StudyOptions) -> Path:
    """Carry out the study, or what is missing of it, or a part; or write its jobs for Slurm. Return its folder.

    Raises:
        MediaError: videos or images cannot be used, or are too few for the largest training set.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds a study with other options, or a part was asked for before `videos` was done.
        TokenStoreError: a token store in `out` is damaged.
        ValueError: there is no such part.
        WeightsMissingError: the weights of a network that measures are not on this machine.
    """
    if options.slurm:
        write_jobs(study_steps(options), options.out)
        return options.out
    if options.part is not None:
        _carry_out_part(options.part, options.changed(part=None))
        return options.out
    with FolderLock(options.out, wait=True):
        main = _carry_out(options)
    say_done(
        options.out,
        *("secondsight complete --gpt", main.gpt, "--tokenizer", main.tokenizer, "--input VIDEOS --out COMPLETIONS"),
    )
    return options.out


def study_steps(options: StudyOptions) -> list[Step]:
    """Return what jobs of Slurm carry out, step by step."""
    whole = options.changed(slurm=False)
    parts = study_parts(options)
    return [
        Step(step, [whole.changed(part=part) for part in parts[step]], gpu=step not in ("videos", "report"))
        for step in parts
    ]


def study_parts(options: StudyOptions) -> dict[str, list[str]]:
    """Return the parts of a study, by step."""
    kinds = get_args(Kind)
    sets = [f"{kind}_{items}" for kind in kinds for items in options.training_items]
    main = [f"{kind}_{max(options.training_items)}" for kind in kinds]
    further = ["context", *map(str, measured_steps(options)[:-1])]
    return {
        "videos": ["videos"],
        "tokens": [f"{kind}-tokens" for kind in kinds],
        "gpts": [f"{kind}-gpt_{items}" for kind in kinds for items in options.training_items],
        "runs": [f"run-{name}" for name in (*main, *(f"{each}_{run}" for each in sets for run in further))],
        "report": ["report"],
    }


def _carry_out(options: StudyOptions) -> DiversityOptions:
    """Carry out all stages, and return the main run of clips."""
    begun = _has_begun(options)
    stage = Stopwatch(options.out / "seconds.json")
    with stage("playroom"):
        videos = options.videos or _make_videos(options)
    arms = _begin(options, videos, begun)
    for arm in arms:
        with stage(f"{arm.kind} tokenizer"):
            arm.make_tokenizer()
        with stage(f"{arm.kind} tokens"):
            arm.make_tokens()
        with stage(f"{arm.kind} GPTs"):
            for items in options.training_items:
                arm.make_gpt(items)
    runs = _runs(arms)
    for run in runs:
        with stage(f"run {run.out.name}"):
            run_diversity(run)
    with stage("report"):
        _report(options, runs)
    return arms[-1].main_run()


def _carry_out_part(part: str, options: StudyOptions) -> None:
    """Carry out one part; those that it needs must be done.

    Raises:
        RunFolderError: `out` holds a study with other options, or none.
        ValueError: there is no such part.
    """
    known = [name for names in study_parts(options).values() for name in names]
    if part not in known:
        raise ValueError(unknown_name("part", part, known))
    print(f"== {part}", file=sys.stderr, flush=True)
    videos = options.videos or options.out / "playroom" / "clips"
    if part == "videos":
        with FolderLock(options.out, wait=True):
            begun = _has_begun(options)
            _begin(options, options.videos or _make_videos(options), begun)
        return
    if not check_run(options.out, options, "auto", begun=True).continues:
        raise RunFolderError(f"{options.out} holds no study yet: its part 'videos' comes first, see jobs/submit.sh")
    arms = [Arm(kind, options, videos) for kind in get_args(Kind)]
    first, _, rest = part.partition("-")
    if part == "report":
        _report(options, _runs(arms))
    elif first == "run":
        run_diversity(next(run for run in _runs(arms) if run.out.name == rest))
    else:
        arm = next(arm for arm in arms if arm.kind == first)
        if rest == "tokens":
            arm.make_tokenizer()
            arm.make_tokens()
        else:
            arm.make_gpt(int(rest.removeprefix("gpt_")))


def _has_begun(options: StudyOptions) -> bool:
    """Return whether `out` holds something of this study to go on with; a study of other options is refused."""
    begun = any((options.out / name).exists() for name in (*get_args(Kind), "runs"))
    if begun:
        open_run(options.out, options, resume="auto", begun=True)
    return begun


def _begin(options: StudyOptions, videos: Path, begun: bool) -> list[Arm]:
    """Check what there is to work with, make `out` the folder of this study, and return its halves."""
    arms = [Arm(kind, options, videos) for kind in get_args(Kind)]
    _say_found(options, arms)
    for arm in arms:
        arm.check_items()
    if not begun:
        open_run(options.out, options, resume="auto", begun=False)
    return arms


def _runs(arms: Sequence[Arm]) -> list[DiversityOptions]:
    """Return all runs. Main runs come first: of equals, a report lets the first speak for its kind."""
    return [arm.main_run() for arm in arms] + [run for arm in arms for run in arm.further_runs()]


def _report(options: StudyOptions, runs: Sequence[DiversityOptions]) -> None:
    report_diversity(DiversityReportOptions(runs=tuple(run.out for run in runs), out=options.out / "report"))


@dataclass(frozen=True)
class Arm:
    """The half of a study that is about images, or about clips."""

    kind: Kind
    """Whether it is about images or clips."""
    options: StudyOptions
    """Of the whole study."""
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

    @cached_property
    def found(self) -> tuple[list[Item], list[Skipped]]:
        """The items that there are, and the files that cannot be used."""
        form = item_format(self.options, self.kind)
        group_by = group_by_of(self.tokenizer, self.options.group_by, self.data)
        return find_items(self.data, form, self._hop(), self.options.out / LISTING, group_by)

    def check_items(self) -> None:
        """Refuse data with too few items before anything is trained.

        Raises:
            MediaError: the largest training set has more items than there are for training.
        """
        wanted = max(self.options.training_items)
        there = len(split_items(self.found[0])[0])
        if there < wanted:
            raise MediaError(
                f"{self.data} has {there} {self.kind}s for training, --training-items asks for {wanted}: "
                "ask for fewer, or give more videos (--clips for those of the playroom)"
            )

    def make_tokenizer(self) -> None:
        """Train the tokenizer, unless one was given."""
        name = tokenizer_name(self.options, self.kind)
        if name not in PRESETS:
            return
        train_tokenizer(
            TokenizerTrainOptions.of(
                data=self.data,
                out=self.tokenizer,
                group_by=self.options.group_by,
                **PRESETS[name].flat(),
                steps=self.options.tokenizer_steps,
                batch=8,
                crop=PRESETS[name].resolution // 2,
                learning_rate=2e-3,
                grad_clip=self.options.grad_clip,
                save_every=200,
                seed=self.options.measuring.seed,
                resume="auto",
            )
        )

    def make_tokens(self) -> None:
        """Encode all items, and write the training sets of all sizes."""
        tokens = self.folder / "tokens"
        # Read in this process: the training of a tokenizer has read the same videos so already.
        encode(
            EncodeOptions(
                tokenizer=self.tokenizer,
                data=self.data,
                out=tokens,
                every=self._hop(),
                group_by=self.options.group_by,
                workers=0,
                resume="auto",
            )
        )
        for items in self.options.training_items:
            if not (self._tokens(items) / "metadata.json").exists():
                write_subset(TokenStore(tokens), self._tokens(items), items)

    def make_gpt(self, items: int) -> None:
        """Train a GPT on the training set of so many items; the checkpoints that will be measured are kept."""
        options = self.options
        every = math.gcd(*measured_steps(options))
        training = GPTTrainOptions.of(
            tokens=self._tokens(items),
            out=self._gpt(items),
            **options.model.flat(),
            steps=options.steps,
            batch=options.gpt_batch,
            learning_rate=options.learning_rate,
            grad_clip=options.grad_clip,
            precision=options.precision,
            save_every=every,
            keep=options.steps,  # a stop adds checkpoints, and must push out none that will be measured
            seed=options.measuring.seed,
            resume="auto",
        )
        train_and_watch(training)

    def main_run(self) -> DiversityOptions:
        """Return the run of the largest training set, with everything that is to be measured."""
        items = max(self.options.training_items)
        return self._run(items, f"{self.kind}_{items}", self._gpt(items))

    def further_runs(self) -> Iterator[DiversityOptions]:
        """Yield the context run of each training set, and its exposure runs."""
        frames, rows, _ = TokenStore(self.folder / "tokens").metadata.grid
        given = prompt_lengths(frames if self.kind == "clip" else rows)
        for items in self.options.training_items:
            yield self._small_run(items, f"{self.kind}_{items}_context", self._gpt(items), given)
            for step in measured_steps(self.options)[:-1]:
                checkpoint = self._gpt(items) / "checkpoints" / f"{step:06d}"
                yield self._small_run(items, f"{self.kind}_{items}_{step}", checkpoint)

    def _small_run(self, items: int, name: str, gpt: Path, given: tuple[int, ...] = ()) -> DiversityOptions:
        measuring = self.options.measuring
        first_setting: dict[str, Any] = {name: getattr(measuring, name)[:1] for name in GRID}
        continued = self._comparable_items(max(2, measuring.items // 2))
        run = self._run(items, name, gpt)
        return run.changed(n=max(2, measuring.n // 2), items=continued, given=given, **first_setting)

    def _comparable_items(self, most: int) -> int:
        """Return how many items to continue, so that they are the same ones for training sets of all sizes."""
        stores = [TokenStore(self._tokens(items)) for items in self.options.training_items]
        for continued in range(min(most, *self.options.training_items), 2, -1):
            choices = [choose_items(store, "studied", continued) for store in stores]
            clips = [
                [clip_of(store.items[index]) for index in indices]
                for store, indices in zip(stores, choices, strict=True)
            ]
            if all(one == clips[0] for one in clips):
                return continued
        return 2

    def _run(self, items: int, name: str, gpt: Path) -> DiversityOptions:
        return DiversityOptions(
            gpt=gpt,
            tokenizer=self.tokenizer,
            tokens=self._tokens(items),
            data=self.data,
            out=self.options.out / "runs" / name,
            measuring=self.options.measuring,
            resume="auto",
        )

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
        return PRESETS[name].clip_format
    return load_tokenizer(name).clip_format


def measured_steps(options: StudyOptions) -> list[int]:
    """Return the steps after which the GPTs of the largest training set are measured, the last one included."""
    return sorted({max(1, round(share * options.steps)) for share in (*options.checkpoints, 1.0)})


def prompt_lengths(units: int) -> tuple[int, ...]:
    """Return what context runs give of so many latent frames or rows: from one to all but one, evenly spread."""
    last = PROMPT_LENGTHS - 1
    return tuple(sorted({round(1 + (units - 2) * index / last) for index in range(PROMPT_LENGTHS)}))


def _make_videos(options: StudyOptions) -> Path:
    folder = options.out / "playroom"
    make_playroom(PlayroomOptions(out=folder, clips=options.clips, seed=options.measuring.seed))
    return folder / "clips"


def _say_found(options: StudyOptions, arms: Sequence[Arm]) -> None:
    """Say what there is to work with."""
    facts: dict[str, str] = {}
    for arm in arms:
        items, skipped = arm.found
        training, new = split_items(items)
        split = f"{len(training):,} for training, {len(new):,} new"
        facts[f"{arm.kind}s"] = f"{describe_items(items)}: {split}; skipped: {describe_skipped(skipped)}"
    say_found(
        device=describe_device(best_device()),
        **facts,
        tokenizers=", ".join(f"{tokenizer_name(options, arm.kind)} of {arm.kind}s" for arm in arms),
        gpts=f"{options.model.describe()}; {count(options.steps, 'step')} on {_several(options.training_items)} items",
        measured=f"after {_several(measured_steps(options))} steps; "
        f"{count(options.measuring.n, 'continuation')} of {count(options.measuring.items, 'item')} of each group",
    )


def _several(values: Sequence[int]) -> str:
    return ", ".join(f"{value:,}" for value in values)
