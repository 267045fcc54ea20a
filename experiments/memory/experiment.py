"""Recognition memory: how many exposures does a GPT need to know what it has seen?

Question: after k passes over a study list, does the model find the studied image of a pair likelier than the foil?
And if the images are changed a little, if an episodic store helps, or after another list has been studied?
Method: after Brady et al. (2008) with the two-alternative rule of Orhan (2022, arXiv 2204.13061): a trial is correct
when the studied image has the lower mean NLL per token; a tie counts one half. Study and test use the same pixels.
The list is run as given and with studied images and foils swapped, so that an untrained model sits at exactly one
half.
Output:

    trials.csv, accuracy.csv, curve.png     a row per trial, exposure and way of scoring; shares of correct ones
    study.csv, manifest.csv                 the study list and the explicit trials
    skipped.csv, defects.csv                fillers that could not be read, and what was left out as defective
    known_images.csv                      tested images that the tokenizer was trained on
    recall.csv                              with --recall: how well lower halves were recalled
    runs/<version>_<seed>/                  of each run the above, and maps.npz, the NLL of every token of the tested
                                            images before study and after the last exposure
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.media import write_skipped
from data.stimuli.lists import StimulusList, write_manifest
from data.training_images import trained_images
from experiments.memory.material import encode_lists, read_lists
from experiments.memory.options import MemoryOptions
from experiments.memory.recognition import part_of
from experiments.memory.run import MemoryRun
from experiments.plots import draw_memory_curve
from experiments.statistics.accuracy import (
    Accuracy,
    accuracies,
    pooled,
    read_trials,
    write_accuracies,
    write_trials,
)
from storage.run_folder import open_run
from storage.tables import read_table, write_table

PRINTED_DEFECTS = 10
"""Defects that are printed, at most; defects.csv has all."""


def run_memory(options: MemoryOptions) -> list[Accuracy]:
    """Run the experiment and return the accuracies, which are also written into `options.out`.

    Every finished run (a version of the list under a seed) stays on disk and is not repeated on `--resume auto`; an
    interrupted one continues from its saved state.

    Raises:
        StimulusError: a list has defects, or images that are tested are studied with the second list.
        MismatchError: the GPT does not belong to the tokenizer.
        RunFolderError: `out` holds other results.
        FloatingPointError: a learner has diverged.
        SystemExit: a signal asked the experiment to end, and its state was saved.
    """
    lists = read_lists(options)
    versions = _versions(lists.first, options)
    open_run(options.out, options, options.resume, options.overwrite)
    if options.overwrite:
        shutil.rmtree(options.out / "runs", ignore_errors=True)
        (options.out / "trials.csv").unlink(missing_ok=True)
    write_manifest(lists.first, options.out)
    write_skipped(options.out / "skipped.csv", lists.first.skipped)
    _warn(lists.first, options)
    material = encode_lists(lists, options)
    runs = [
        MemoryRun(options.out / "runs" / f"{version}_{seed}", material, listed, version, seed, options)
        for version, listed in versions.items()
        for seed in range(options.seed, options.seed + options.seeds)
    ]
    for run in runs:
        if not run.is_finished():
            run.carry_out()
    trials = [trial for run in runs for trial in read_trials(run.folder / "trials.csv")]
    results = accuracies(trials)
    write_accuracies(options.out / "accuracy.csv", results)
    left_out = f"{len(lists.first.defects)} defects of the list were left out, see defects.csv"
    draw_memory_curve(options.out / "curve.png", results, note=left_out if lists.first.defects else "")
    if options.recall:
        _join_recall(runs, options.out)
    write_trials(options.out / "trials.csv", trials)  # the last, as those of a run
    print_accuracies(results)
    return results


def print_accuracies(results: list[Accuracy]) -> None:
    """Print the pooled accuracy of every condition after the last exposure."""
    for condition, curve in pooled(results).items():
        last = curve[-1]
        print(
            f"{condition}: {100 * last.accuracy:.1f} % [{100 * last.low:.1f}, {100 * last.high:.1f}] "
            f"after {last.exposure} exposures"
        )


def _join_recall(runs: Sequence[MemoryRun], out: Path) -> None:
    """Write the recall.csv of all runs into one, with the version and the seed of each."""
    rows = []
    for run in runs:
        recalled = read_table(run.folder / "recall.csv")
        rows += [{"version": run.version, "seed": str(run.seed), **row} for row in recalled]
    write_table(out / "recall.csv", rows, list(rows[0]))


def _versions(stimuli: StimulusList, options: MemoryOptions) -> dict[str, StimulusList]:
    """Return the versions of the list, with the trials that are taken; the study list stays whole."""
    versions = {"as_given": stimuli}
    swapped = stimuli.counterbalanced()
    if swapped is None:
        print("An image takes part in two trials, so the list cannot be counterbalanced: it runs as given only.")
    else:
        versions["swapped"] = swapped
    return {name: replace(listed, trials=part_of(listed.trials, options.part)) for name, listed in versions.items()}


def _warn(stimuli: StimulusList, options: MemoryOptions) -> None:
    """Say what may make the results another experiment's, and write down which images the tokenizer knows."""
    for defect in stimuli.defects[:PRINTED_DEFECTS]:
        print(f"left out: {defect.reason}")
    if len(stimuli.defects) > PRINTED_DEFECTS:
        print(f"and {len(stimuli.defects) - PRINTED_DEFECTS} more: see {options.out / 'defects.csv'}")
    if options.tokenizer is None or not options.tokenizer.exists():
        return
    trained = {image.path for image in trained_images(stimuli, options.tokenizer)}
    sides = {"studied": [trial.studied for trial in stimuli.trials], "foil": [trial.foil for trial in stimuli.trials]}
    known = [(image.path, side) for side in sides for image in sides[side] if image.path in trained]
    rows = [{"path": path, "side": side} for path, side in known]
    write_table(options.out / "known_images.csv", rows, ["path", "side"])
    if known:
        foils = [path for path, side in known if side == "foil"]
        print(
            f"Beware: the tokenizer was trained on {len(known)} of the {2 * len(stimuli.trials)} tested images, "
            f"{len(foils)} of them foils (known_images.csv), which should be new to all of the model"
        )
