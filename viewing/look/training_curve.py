"""The curve of a training beside the items of a page: what it was trained on, step by step, and where the loss jumped.

The order of the data is a pure function of seed and step, whatever the number of processes and however often a run was
resumed (`training.order`). So the items of every step are known exactly, as long as the data are those that the run
had. Where they are not, or nobody can tell, that is said, and nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from data.exclusion import read_exclusion
from data.items import LISTING
from data.same import DataRecord, read_record, record_items, record_tokens
from data.subset import clip_of
from data.tokens import TokenStore
from gpt.options import TrainOptions as GPTOptions
from gpt.training_tokens import open_tokens
from storage.run_folder import RunFolderError, read_options, recorded_command
from training.options import TrainingOptions
from training.order import DataOrder
from viewing.look.begun import read_tokenizer_options
from viewing.look.contents import Batch, Training
from vqgan.options import TrainOptions as TokenizerOptions
from vqgan.train import find_data

WINDOW = 20
"""Points of the curve of which the median is what is usual."""
ENOUGH = 8
"""Points that must have been logged before one of them can be called a jump."""
SPREADS = 6.0
"""How many standard deviations of the noise a loss lies above what is usual when it jumps, ..."""
LEAST = 0.02
"""... and by what share of it at least: the noise of a curve that hardly moves is nothing."""
DEVIATION = 1.4826
"""The standard deviation of normal numbers, in units of their median distance from the median."""

MOST_POINTS = 5_000
"""Points of a curve on a page, at most."""
MOST_INDICES = 400_000
"""Items of all batches up to points of the curve together, at most, and up to jumps: about 3 MB each."""
STEPS_BEFORE = 5
"""Steps up to a point of the curve whose batches a page has, at most."""
STEPS_BEFORE_JUMP = 100
"""Steps up to a jump, since the point before it, whose batches a page has, at most: any of them may have caused it."""


class Point(NamedTuple):
    """A point of a curve."""

    step: int
    """Steps done before, as in metrics.jsonl."""
    value: float


@dataclass(frozen=True)
class TrainingFound:
    """What is known of the training of a run."""

    training: Training | None
    """None where the run has no metrics."""
    notes: tuple[str, ...]
    """What is not known, and why: sentences for the page."""


class Places:
    """Where the items of a training are on a page.

    Args:
        page: by what an item of the training is known, its index on the page.
        items: of the training, by what each of them is known.
    """

    def __init__(self, page: Mapping[Any, int], items: Sequence[Any]) -> None:
        self._index = [page.get(item, -1) for item in items]

    def __len__(self) -> int:
        return len(self._index)

    def batch(self, order: DataOrder, step: int) -> Batch:
        """Return what a step was trained on; an item that it had twice is there twice."""
        found = [self._index[sample.index] for sample in order.samples(step)]
        here = tuple(index for index in found if index >= 0)
        return Batch(step, here, len(found) - len(here))


def read_training(
    run: Path,
    store: TokenStore | None,
    stored: Sequence[int | None],
    names: Sequence[str],
    starts: Sequence[float | None],
    data: Path | None = None,
) -> TrainingFound:
    """Return what is known of the training of a GPT or a tokenizer.

    Args:
        run: its folder.
        store: the token store that the page shows; None if it shows none.
        stored: of each item of the page its index in the store.
        names: of each item of the page its source.
        starts: of each item of the page the seconds into its source; None for an image.
        data: what a tokenizer was trained on, where it lies elsewhere now.

    Raises:
        RunFolderError: the folder holds no run of `gpt train` or `vqgan train`.
    """
    if recorded_command(run) == TokenizerOptions.command:
        return read_tokenizer_training(run, names, starts, data)
    return read_gpt_training(run, store, [-1 if index is None else index for index in stored])


def read_gpt_training(run: Path, store: TokenStore | None, items: Sequence[int]) -> TrainingFound:
    """Return what is known of the training of a GPT.

    Args:
        run: its folder.
        store: the token store that the page shows; None if it shows none.
        items: of each item of the page its index in the store. Of clips of which the page has one crop, all crops are
            that item.

    Raises:
        RunFolderError: the folder holds no run of `gpt train`.
    """
    options = read_options(run, GPTOptions)
    learned = None if store is None else _as_learned(store, options)
    reason = _why_unknown(run, None if learned is None else record_tokens(learned), "token store")
    places = None if store is None or learned is None or reason else _places_in_store(store, learned, items)
    return _training(run, options.training, places, "nats per token", reason)


def read_tokenizer_training(
    run: Path, names: Sequence[str], starts: Sequence[float | None], data: Path | None = None
) -> TrainingFound:
    """Return what is known of the training of a tokenizer.

    Its clips begin anywhere up to a clip's length from their items. A clip that could not be read, which the run's
    skipped.csv lists, was replaced by the next.

    Args:
        run: its folder.
        names: of each item of the page its source.
        starts: of each item of the page the seconds into its source; None for an image.
        data: what it was trained on, where that lies elsewhere now.

    Raises:
        RunFolderError: the folder holds no run of `vqgan train`.
    """
    asked = read_tokenizer_options(run)
    options = replace(asked, data=data or asked.data)
    page = {(name, start or 0.0): index for index, (name, start) in enumerate(zip(names, starts, strict=True))}
    try:
        exclusion = read_exclusion(options.exclusion, options.model.frames, options.model.fps)
        kept, _ = find_data(options, exclusion, cache=_listing(run))
        record = record_items(kept.training, kept.validation, excluded=exclusion.digest)
        reason = _why_unknown(run, record, "data")
        places = None if reason else Places(page, [(item.source.name, item.start) for item in kept.training])
    except (OSError, ValueError) as error:
        reason, places = f"the data cannot be read ({error})", None
    found = _training(run, options.training, places, "loss of the tokenizer", reason)
    begin = options.continuous_steps
    quantizes = () if not begin or found.training is None else (f"Codes are used from step {begin} on.",)
    return replace(found, notes=(*found.notes, *quantizes))


def find_jumps(curve: Sequence[Point]) -> list[int]:
    """Return the steps at which a loss jumped up.

    A point is a jump if it lies more than SPREADS standard deviations, and more than a share of LEAST, above the median
    of the WINDOW points before it. The deviation is that of the noise on these points, from the median distance of
    their differences from the median difference, which neither outliers nor a steady fall change much. Of points in a
    row that are all as high, the first one is the jump.
    """
    jumps = []
    was_high = False
    for index in range(ENOUGH, len(curve)):
        before = [point.value for point in curve[max(0, index - WINDOW) : index]]
        usual = median(before)
        steps = [later - earlier for earlier, later in pairwise(before)]
        typical = median(steps)
        spread = DEVIATION * median(abs(step - typical) for step in steps) / math.sqrt(2)
        is_high = curve[index].value - usual > max(SPREADS * spread, LEAST * abs(usual))
        if is_high and not was_high:
            jumps.append(curve[index].step)
        was_high = is_high
    return jumps


def _as_learned(store: TokenStore, options: GPTOptions) -> TokenStore:
    """Return a store as a training saw it; as it is where it cannot be seen so, which is not the one it had, then."""
    try:
        return open_tokens(store.folder, options.latent_frames)
    except ValueError:
        return store


def _places_in_store(store: TokenStore, learned: TokenStore, items: Sequence[int]) -> Places:
    """Return where the training items of a store are on the page; latent frames are where their clips are."""
    of_item = {index: page for page, index in enumerate(items)}
    of_clip = {clip_of(store.items[index]): page for page, index in enumerate(items) if index >= 0}
    parts = len(learned) // len(store)
    indices = [index // parts for index in learned.split("train")]
    places = {index: of_item.get(index, of_clip.get(clip_of(store.items[index]), -1)) for index in set(indices)}
    return Places(places, indices)


def _why_unknown(run: Path, now: DataRecord | None, what: str) -> str:
    """Return why nobody knows what a run was trained on; empty where it is known."""
    if now is None:
        return f"the {what} of the run is not at hand"
    try:
        before = read_record(run)
    except RunFolderError as error:
        return str(error)
    if before is None:
        return f"the run did not write down what its {what} held"
    if before != now:
        return f"the {what} of the run has changed since"
    return ""


def _training(run: Path, options: TrainingOptions, places: Places | None, unit: str, reason: str) -> TrainingFound:
    lines, damaged = _read_metrics(run / "metrics.jsonl")
    curve = _points(lines, "loss")
    if not curve:
        return TrainingFound(None, (f"{run.name} has no metrics of a training.",))
    notes = [f"{damaged} damaged lines of metrics.jsonl are left out."] if damaged else []
    if reason:
        notes.append(f"What each step was trained on is not known: {reason}.")
    jumps = find_jumps(curve)
    before = _points_before(curve, jumps)
    shown = _thinned(curve, {*before, *before.values()}, MOST_POINTS)
    if len(shown) < len(curve):
        notes.append(f"The curve shows {len(shown):,} of {len(curve):,} points, all jumps among them.")
    batches: tuple[Batch, ...] = ()
    if places is not None:
        order = DataOrder(len(places), options.batch, options.seed, 0, options.steps)
        batches = tuple(places.batch(order, step) for step in _steps_shown(shown, before, options.batch))
    validation = _thinned(_points(lines, "validation_nll"), (), MOST_POINTS)
    return TrainingFound(Training(tuple(shown), tuple(validation), unit, batches, tuple(jumps)), tuple(notes))


def _points_before(curve: Sequence[Point], steps: Iterable[int]) -> dict[int, int]:
    """Return the steps of the points just before those at some steps, by these."""
    wanted = set(steps)
    return {later.step: earlier.step for earlier, later in pairwise(curve) if later.step in wanted}


def _steps_shown(curve: Sequence[Point], jumps: Mapping[int, int], batch: int) -> list[int]:
    """Return the steps whose batches are shown: those just before each point, and all since the last one at a jump.

    A loss is that of its own step: what made it jump was trained on in this step, or in any since the point before.
    """
    room = MOST_INDICES // batch
    points = [point.step for point in _thinned(curve, (), max(1, room)) if point.step >= 0]
    before = max(1, min(STEPS_BEFORE, room // max(1, len(points))))
    steps = {step - back for step in points for back in range(before)}
    most = min(STEPS_BEFORE_JUMP, max(STEPS_BEFORE, room // max(1, len(jumps))))
    for jump, last in jumps.items():
        since = min(most, max(STEPS_BEFORE, jump - last))
        steps |= {jump - back for back in range(since)}
    return sorted(step for step in steps if step >= 0)


def _thinned(curve: Sequence[Point], keep: Iterable[int], most: int) -> list[Point]:
    """Return a curve of fewer points, evenly chosen, with its first and last and those at the steps to keep."""
    if len(curve) <= most:
        return list(curve)
    chosen = {round(index * (len(curve) - 1) / max(1, most - 1)) for index in range(most)}
    kept = set(keep)
    return [point for index, point in enumerate(curve) if index in chosen or point.step in kept]


def _points(lines: Sequence[Mapping[str, Any]], name: str) -> list[Point]:
    return [Point(line["step"], float(line[name])) for line in lines if isinstance(line.get(name), int | float)]


def _read_metrics(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    """Return the lines of metrics of a run, which may still be training, and how many of them are damaged."""
    lines: list[Mapping[str, Any]] = []
    damaged = 0
    if not path.is_file():
        return lines, damaged
    *whole, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")  # the last may be half written
    for text in whole:
        try:
            line = json.loads(text)
            lines.append({**line, "step": int(line["step"])})
        except (KeyError, TypeError, ValueError, RecursionError):
            damaged += 1
    return lines, damaged


def _listing(run: Path) -> Path | None:
    """Return where the run keeps what it found out about its data, if it does."""
    return run / LISTING if (run / LISTING).is_dir() else None
