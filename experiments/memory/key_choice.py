"""Which key of pictures knows them again when they have changed: `secondsight memory keys`.

Question: in which space does a store that has seen every studied picture once know it when it is brighter, darker,
compressed, cropped, mirrored or shifted, and what does that cost in false alarms?
Method: every studied picture is stored; studied ones and foils are tested unchanged and under each change, in both
versions of the list. On the first half of the trials of each condition that key is chosen whose worst condition is
best, and for each key the criterion below which a picture is called old; the second half only reports.
Output:

    keys.csv                accuracy, hits and false alarms by key, half, change and condition
    keys.png                accuracy and false alarms on the second half
    trials.csv              every trial of both halves, for `secondsight memory report`
    study.csv, manifest.csv, defects.csv, skipped.csv    the list, as in `memory run`
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from data.skipping import write_skipped
from data.stimuli.lists import StimulusList, Trial, read_stimuli, write_manifest
from experiments.memory.key_figure import draw_keys
from experiments.memory.key_options import KeyOptions
from experiments.memory.keyed import KeyedPictures, Seen, key_pictures
from experiments.memory.recognition import half_of, tested_paths
from experiments.pages import percent
from experiments.statistics.accuracy import POOLED, accuracies
from experiments.statistics.outcomes import collect
from experiments.statistics.signal_detection import roc
from experiments.statistics.trials import TrialRow, correctness, write_trials
from storage.lock import FolderLock
from storage.run_folder import RunFolderError, check_run, open_run
from storage.tables import write_rows
from storage.terminal import visible
from training.processes import best_device, describe_device
from training.progress import count, say_done, say_found

HALVES: tuple[Literal["first", "second"], ...] = ("first", "second")
"""The one on which is chosen, and the one that reports."""


@dataclass(frozen=True)
class KeyRow:
    """A row of keys.csv: how a key does under a change, in a condition, on one half of the trials."""

    key: str
    """See `--keys`."""
    chosen: Literal["yes", "no"]
    """Whether its worst condition is the best of all keys on the first half."""
    half: Literal["first", "second"]
    """The half of the trials."""
    change: str
    """Change made to the test images; `none` is without one."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    accuracy: float
    """Share of correct choices between the studied picture and the foil; a tie counts one half."""
    low_images: float
    """Lower end of its 95 % interval for other images."""
    high_images: float
    """Upper end of it."""
    hits: float
    """Share of studied pictures called old, by the criterion that was chosen on the first half over all changes."""
    false_alarms: float
    """Share of foils called old by that criterion."""
    mistaken: float
    """Share of foils whose nearest stored picture is the studied one of their own trial."""
    trials: int
    """Number of trials, of both versions together."""


def choose_key(options: KeyOptions) -> list[KeyRow]:
    """Carry out the comparison, and return the rows of keys.csv.

    Raises:
        StimulusError: the list has defects, or a condition has fewer than two trials.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds other results.
        CheckpointError, WeightsMissingError: the model of a key is not there, or has no features.
        ValueError: there are too few pictures to learn a space from.
    """
    with FolderLock(options.out):
        _check_folder(options)
        stimuli = read_stimuli(options.stimuli, options.exclude_defects)
        versions = _versions(stimuli)
        _say_list(stimuli, versions, options)
        keyed = key_pictures(
            options.keys, stimuli, None, Seen(options.size, options.resize, options.changes), options.key_data
        )
        open_run(options.out, options, overwrite=options.overwrite, begun=False)
        write_manifest(stimuli, options.out)
        write_skipped(options.out / "skipped.csv", stimuli.skipped)
        tests = [test for pictures in keyed for test in _tests(pictures, versions)]
        rows = _rows(tests, options.keys)
        write_rows(options.out / "keys.csv", rows, KeyRow)
        draw_keys(options.out / "keys.png", [row for row in rows if row.half == "second"])
        write_trials(options.out / "trials.csv", [test.row for test in tests])
    _print(rows)
    say_done(options.out, "secondsight memory run --store-key", _chosen(rows), "--stimuli", options.stimuli)
    return rows


@dataclass(frozen=True)
class _Test:
    """A trial by one key, and in which half it is."""

    key: str
    half: Literal["first", "second"]
    row: TrialRow
    mistaken: bool
    """Whether the foil's nearest stored picture is the studied one."""


def _check_folder(options: KeyOptions) -> None:
    """Refuse, before anything takes long, a folder that holds results; trials.csv is written last."""
    if (options.out / "trials.csv").exists() and not options.overwrite:
        raise RunFolderError(
            f"{options.out} already holds results: replace them with --overwrite, or choose another --out"
        )
    check_run(options.out, options, overwrite=options.overwrite, begun=False)


def _versions(stimuli: StimulusList) -> dict[str, StimulusList]:
    swapped = stimuli.counterbalanced()
    return {"as_given": stimuli, **({"swapped": swapped} if swapped is not None else {})}


def _say_list(stimuli: StimulusList, versions: Iterable[str], options: KeyOptions) -> None:
    say_found(
        device=describe_device(best_device()),
        list=f"{count(len(stimuli.study), 'studied image')}; {count(len(stimuli.trials), 'trial')}",
        versions=", ".join(versions),
        skipped=f"{len(stimuli.skipped):,}",
        defects=f"{len(stimuli.defects):,}",
        keys=", ".join(options.keys),
    )


def _tests(keyed: KeyedPictures, versions: dict[str, StimulusList]) -> list[_Test]:
    tests = []
    for version, stimuli in versions.items():
        halves = {trial.item: half for half in HALVES for trial in half_of(stimuli.trials, half)}
        paths = tested_paths(stimuli.trials)
        studied = [image.path for image in stimuli.study]
        nearest = keyed.nearest(studied, paths)
        for change, scores in keyed.familiarity(studied, paths).items():
            by_path = dict(zip(paths, scores.tolist(), strict=True))
            near = dict(zip(paths, nearest[change], strict=True))
            for trial in stimuli.trials:
                row = _row(keyed, stimuli, version, change, trial, by_path)
                tests.append(_Test(keyed.key, halves[trial.item], row, near[trial.foil.path] == trial.studied.path))
    return tests


def _row(
    keyed: KeyedPictures, stimuli: StimulusList, version: str, change: str, trial: Trial, scores: dict[str, float]
) -> TrialRow:
    studied, foil = scores[trial.studied.path], scores[trial.foil.path]
    return TrialRow(
        list=stimuli.root.name,
        version=version,
        seed=0,
        readout=keyed.readout,
        change=change,
        item=trial.item,
        condition=trial.condition,
        exposure=1,
        interference=0,
        studied=trial.studied.path,
        foil=trial.foil.path,
        nll_studied=studied,
        nll_foil=foil,
        correct=correctness(studied, foil),
    )


def criterion(studied: Sequence[float], foils: Sequence[float]) -> float:
    """Return the highest score that is called old, where hits minus false alarms are most (Youden 1950, Cancer 3, 32).

    Args:
        studied: scores of studied pictures, lower is more familiar.
        foils: scores of foils.
    """
    scores = np.unique(np.concatenate([studied, foils]))
    false_alarms, hits = roc(np.asarray(studied), np.asarray(foils))
    return float(scores[int(np.argmax((hits - false_alarms)[1:]))])


def _rows(tests: Sequence[_Test], keys: Sequence[str]) -> list[KeyRow]:
    found = {(key, half): [t for t in tests if (t.key, t.half) == (key, half)] for key in keys for half in HALVES}
    criteria = {
        key: criterion(
            [test.row.nll_studied for test in found[key, "first"]], [test.row.nll_foil for test in found[key, "first"]]
        )
        for key in keys
    }
    drafts = [row for key in keys for half in HALVES for row in _of_half(key, half, found[key, half], criteria[key])]
    best = max(keys, key=lambda key: _merit([row for row in drafts if (row.key, row.half) == (key, "first")]))
    return [replace(row, chosen="yes" if row.key == best else "no") for row in drafts]


def _merit(rows: Sequence[KeyRow]) -> tuple[float, float]:
    """Return what keys are chosen by: the accuracy of the worst condition, then how few false alarms there are."""
    return min(row.accuracy for row in rows), -float(np.mean([row.false_alarms for row in rows]))


def _of_half(key: str, half: Literal["first", "second"], tests: Sequence[_Test], limit: float) -> list[KeyRow]:
    rows = []
    for result in accuracies(collect([test.row for test in tests])):
        if result.version != POOLED:
            continue
        of_test = [t for t in tests if (t.row.change, t.row.condition) == (result.change, result.condition)]
        rows.append(
            KeyRow(
                key=key,
                chosen="no",
                half=half,
                change=result.change,
                condition=result.condition,
                accuracy=result.accuracy,
                low_images=result.low_images,
                high_images=result.high_images,
                hits=float(np.mean([test.row.nll_studied <= limit for test in of_test])),
                false_alarms=float(np.mean([test.row.nll_foil <= limit for test in of_test])),
                mistaken=float(np.mean([test.mistaken for test in of_test])),
                trials=result.trials,
            )
        )
    return rows


def _chosen(rows: Sequence[KeyRow]) -> str:
    return next(row.key for row in rows if row.chosen == "yes")


def _print(rows: Sequence[KeyRow]) -> None:
    """Print the second half: a line per key and change, accuracy and false alarms of every condition."""
    reported = [row for row in rows if row.half == "second"]
    conditions = sorted({row.condition for row in reported})
    heads = [Column(_cell(f"{name} (false alarms)")) for name in conditions]
    table = Table("key", "change", *heads, title="Second half: accuracy, and foils called old")
    for key, change in dict.fromkeys((row.key, row.change) for row in reported):
        of_line = {row.condition: row for row in reported if (row.key, row.change) == (key, change)}
        cells = [f"{percent(of_line[name].accuracy)} ({percent(of_line[name].false_alarms)})" for name in conditions]
        table.add_row(_cell(key), change, *cells)
    Console().print(table)
    print(f"chosen on the first half: {visible(_chosen(rows))}")


def _cell(text: str) -> Text:
    return Text(visible(text))
