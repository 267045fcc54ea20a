"""Continuous recognition: before each picture of a stream an observer says how familiar it is, then it studies it.

Question: how long after it was shown once is a picture known, at how many false alarms?
Method: after the repeat detection of Brady et al. (2008). Every image of a list is shown, a third of them once more,
1 to 1,024 places later (`experiments.memory.stream`). The observer learns on line: it is given one picture at a time.
Output:

    stream.csv       a row for each showing: the picture, its lag, how unfamiliar it was found
    responses.csv    the same as answers, `repeat` or `new`, in the form of people's responses
    lags.csv         hit rates, false alarms, d' and areas under the ROC by lag
    lags.png, report.html
    streams/         scores of each run, kept as far as they are finished
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.stimuli.lists import StimulusList, read_stimuli
from experiments.codebook import write_codebook
from experiments.memory.lag_report import draw_lags, lag_section, print_lags
from experiments.memory.lags import LagRow, Stream, call_repeats, lag_rows, read_lags
from experiments.memory.material import read_scaled
from experiments.memory.observers.examinee import WEIGHTS, Examinee
from experiments.memory.observers.options import ContinuousOptions
from experiments.memory.stream import Showing, plan_stream, usable_lags
from experiments.observers import ObserverError
from experiments.pages import write_report
from experiments.people.table import Response, write_responses
from sampling.pages import facts_of
from storage.arrays import load_arrays, save_arrays
from storage.lock import FolderLock
from storage.records import digest_of
from storage.run_folder import has_begun, open_run
from storage.tables import write_rows
from training.progress import Progress, say_done, say_found
from training.stopping import Stopping

SAVE_EVERY = 256
"""Showings after which what is finished is written."""
FEWEST_NEW = 4
"""New pictures that a stream must have, the first one left out, for a criterion in each half."""


@dataclass(frozen=True)
class StreamRow:
    """A showing of a picture: a row of `stream.csv`."""

    seed: int
    """Of the run."""
    trial: int
    """Place in the stream, from 0."""
    path: str
    """Path of the picture in the list."""
    lag: int | None
    """Places since it was shown before, 1 for at once; empty where it is new."""
    score: float
    """How unfamiliar the observer found it before it studied it, lower for more familiar."""
    criterion: float
    """A score below it is called a repeat; of the other half of the showings."""


class Pictures(NamedTuple):
    """What may be shown."""

    paths: Sequence[str]
    images: Tensor
    """(N, 3, H, W) float32 in [-1, 1]."""


def run_continuous(options: ContinuousOptions) -> list[LagRow]:
    """Let an observer see the stream of every run, and return what is in lags.csv.

    Raises:
        StimulusError: the list has defects.
        ObserverError: the observer cannot be made, fails, or returns what is no score.
        ValueError: there are too few pictures for the lags, or what is put beside has the same observer.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds other results.
        SystemExit: a signal asked the command to end.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        rows = _run(options)
    say_done(options.out / "report.html", "open it in a browser")
    return rows


def _run(options: ContinuousOptions) -> list[LagRow]:
    begun = has_begun(options.out, ContinuousOptions) and not options.overwrite
    if begun:
        open_run(options.out, options, options.resume, begun=True)  # refused before anything takes long
    stimuli = read_stimuli(options.stimuli, options.exclude_defects)
    examinee = Examinee(options.sitting, options.seed, "picture")
    count = _count(stimuli, options)
    lags = usable_lags(count, options.lags)
    beside = _beside(options, examinee.name, stimuli.root.name)
    say_found(
        observer=f"{examinee.name}, sees {examinee.size} x {examinee.size} pixels",
        stream=f"{count:,} pictures of {len(stimuli.images):,}, of which some come again after {_listed(lags)} places",
        left_out=f"lags of {_listed(sorted(set(options.lags) - set(lags)))} places, for which the stream is too short",
    )
    plan_stream(count, options.lags, options.seed)  # refused before anything takes long
    pictures = _read(stimuli, count, examinee.size, options)
    if not begun:
        _begin(options)
    streams = []
    for seed in range(options.seed, options.seed + options.seeds):
        if seed != options.seed:
            examinee = examinee.begin_again(seed)
        streams.append(_watch(examinee, pictures, seed, options))
    return _write(streams, pictures, examinee.name, stimuli, options, beside)


def _beside(options: ContinuousOptions, model: str, list_name: str) -> list[LagRow]:
    """Return the rows of the other observers.

    Raises:
        ValueError: a table is damaged, or has an observer that could not be told from another.
    """
    rows: list[LagRow] = []
    taken = {(model, list_name): "this run"}
    for folder in options.beside:
        found = read_lags(folder / "lags.csv")
        for name, of_list in dict.fromkeys((row.model, row.list) for row in found):
            if (name, of_list) in taken:
                raise ValueError(
                    f"--beside {folder} has {name} on the list {of_list}, as {taken[name, of_list]} has: they would "
                    "share a line"
                )
            taken[name, of_list] = str(folder)
        rows += found
    return rows


def _count(stimuli: StimulusList, options: ContinuousOptions) -> int:
    """Return how many pictures are shown.

    Raises:
        ValueError: the list has fewer, or too few.
    """
    there = len(stimuli.images)
    count = options.images or there
    if count > there:
        raise ValueError(f"--images {count} is more than the {there} images of {options.stimuli}")
    if count <= FEWEST_NEW:
        raise ValueError(f"a stream needs more than {FEWEST_NEW} pictures, not {count}")
    return count


def _read(stimuli: StimulusList, count: int, size: int, options: ContinuousOptions) -> Pictures:
    """Return so many images of a list, chosen by the seed of the first run."""
    drawn = np.random.default_rng(options.seed).permutation(len(stimuli.images))[:count]
    chosen = replace(stimuli, study=tuple(stimuli.images[index] for index in sorted(drawn.tolist())), trials=())
    clips: dict[str, Tensor] = {}
    for batch in read_scaled(chosen, size, options.sitting.resize):
        clips |= batch["none"]
    return Pictures(list(clips), torch.stack(list(clips.values()))[:, :, 0])


def _begin(options: ContinuousOptions) -> None:
    if options.overwrite:
        for name in ("stream.csv", "responses.csv", "lags.csv"):
            (options.out / name).unlink(missing_ok=True)
        shutil.rmtree(options.out / "streams", ignore_errors=True)
    open_run(options.out, options, options.resume, options.overwrite, begun=False)


def _watch(examinee: Examinee, pictures: Pictures, seed: int, options: ContinuousOptions) -> Stream:
    """Show the stream of a run, as far as it is not finished; what was shown before is studied again.

    Raises:
        ObserverError: the observer fails; what is finished is kept.
    """
    plan = plan_stream(len(pictures.paths), options.lags, seed)
    path = options.out / "streams" / f"{seed}.npz"
    identity = _identity(examinee, pictures, seed, options)
    scores = _read_scores(path, identity, len(plan))
    done = len(scores)
    if done < len(plan):
        examinee.prepare(pictures.images)
        try:
            with Progress(f"{examinee.name} {seed}", len(plan), done) as progress, Stopping() as stopping:
                for trial in range(len(plan)):
                    if trial >= done:
                        scores.append(_score(examinee, pictures, plan[trial], trial))
                        progress.show(trial + 1)
                    examinee.begin_pass(trial + 1)
                    examinee.study(pictures.images[plan[trial].image][None], trial + 1)
                    if len(scores) % SAVE_EVERY == 0 and trial >= done:
                        _save(path, identity, scores)
                    if stopping.agreed():
                        _save(path, identity, scores)
                        stopping.leave(trial + 1, visible=True)
        finally:
            _save(path, identity, scores)
    return Stream(
        seed,
        np.array([showing.image for showing in plan]),
        np.array([showing.lag or 0 for showing in plan]),
        np.array(scores),
    )


def _score(examinee: Examinee, pictures: Pictures, showing: Showing, trial: int) -> float:
    """Return how unfamiliar a picture is, before it is studied.

    Raises:
        ObserverError: the observer has several readouts, none of which is `weights`.
    """
    found = examinee.score(pictures.images[showing.image][None], [pictures.paths[showing.image]], trial)
    if WEIGHTS not in found:
        raise ObserverError(
            f"observer {examinee.name} returned scores by {', '.join(found)}: one `{WEIGHTS}` is needed"
        )
    return float(found[WEIGHTS])


def _identity(examinee: Examinee, pictures: Pictures, seed: int, options: ContinuousOptions) -> str:
    sitting = options.sitting
    return digest_of(
        {
            "observer": [sitting.observer, list(sitting.settings), examinee.size, sitting.resize, examinee.fingerprint],
            "pictures": list(pictures.paths),
            "pixels": digest_of(pictures.images.double().sum(dim=(1, 2, 3)).tolist()),
            "lags": list(options.lags),
            "seed": seed,
        }
    )


def _save(path: Path, identity: str, scores: Sequence[float]) -> None:
    save_arrays(path, {"scores": np.array(scores, dtype=np.float64)}, identity)


def _read_scores(path: Path, identity: str, length: int) -> list[float]:
    """Return the scores of a stream so far; none where there are none, or they are of something else, which is said."""
    try:
        scores = load_arrays(path, identity)["scores"]
    except FileNotFoundError:
        return []
    except (KeyError, ValueError) as error:
        print(f"{path} cannot be used ({error}): it is made again", file=sys.stderr)
        return []
    return [float(score) for score in scores[:length]]


def _write(
    streams: Sequence[Stream],
    pictures: Pictures,
    model: str,
    stimuli: StimulusList,
    options: ContinuousOptions,
    beside: Sequence[LagRow],
) -> list[LagRow]:
    """Write what all runs found; lags.csv the last."""
    name = stimuli.root.name
    rows = lag_rows(streams, model, name, options.false_alarms)
    showings = list(_showings(streams, pictures, options.false_alarms))
    write_rows(options.out / "stream.csv", showings, StreamRow)
    write_responses(options.out / "responses.csv", [_response(row, model, name) for row in showings])
    write_codebook(options.out, {"stream.csv": StreamRow, "responses.csv": Response, "lags.csv": LagRow})
    shown = [*rows, *beside]
    draw_lags(options.out / "lags.png", shown)
    lead = f"{model}, which sees pictures of {name} one at a time{', beside others' if options.beside else ''}."
    facts = facts_of(options, observer=model)
    sections = [lag_section(options.out, shown)]
    write_report(options.out / "report.html", "Continuous recognition", lead, sections, facts=facts)
    write_rows(options.out / "lags.csv", rows, LagRow)
    print_lags(rows)
    return rows


def _showings(streams: Sequence[Stream], pictures: Pictures, false_alarms: float) -> Iterator[StreamRow]:
    for stream in streams:
        criteria = call_repeats(stream, false_alarms).criterion.tolist()
        columns = (stream.images.tolist(), stream.lags.tolist(), stream.scores.tolist(), criteria)
        for trial, (image, lag, score, criterion) in enumerate(zip(*columns, strict=True)):
            yield StreamRow(stream.seed, trial, pictures.paths[image], lag or None, score, criterion)


def _response(row: StreamRow, model: str, list_name: str) -> Response:
    """Return a showing as the answer of a participant, whose code is the observer's name and the seed."""
    condition = "new" if row.lag is None else "repeat"
    response = "repeat" if row.score < row.criterion else "new"
    return Response(
        participant=f"{model} {row.seed}",
        list=list_name,
        version="as_given",
        task="continuous",
        trial=row.trial,
        item=row.path,
        condition=condition,
        response=response,
        correct=float(condition == response),
        reaction_time=None,
        lag=row.lag,
    )


def _listed(lags: Sequence[int]) -> str:
    return ", ".join(f"{lag:,}" for lag in lags) or "no"
