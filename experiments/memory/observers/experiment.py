"""Recognition memory of anybody's model: it studies a list and is tested after each exposure.

Lists, counterbalancing, changes, trials and statistics are those of `memory run` (`experiments.memory.experiment`);
who sits the test is an observer, or a table of scores that were computed elsewhere.
Output:

    observer.json                           what the observer is called, and the pixels a side that it saw
    scores.csv                              a row per image, test and readout; such a table `--scores` takes
    trials.csv, accuracy.csv, curve.png     a row per trial, exposure and readout; shares of correct ones
    study.csv, manifest.csv                 the study list and the explicit trials
    skipped.csv, defects.csv                fillers that could not be read, and what was left out as defective
    runs/<version>_<seed>/                  what is finished of each run, see `experiments.memory.observers.run`
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from data.skipping import write_skipped
from data.stimuli.lists import StimulusList, read_stimuli, write_manifest
from experiments.memory.experiment import say_list, versions_of, write_results
from experiments.memory.material import Clips, read_scaled
from experiments.memory.observers.examinee import Examinee
from experiments.memory.observers.given import read_scores
from experiments.memory.observers.judged import ImageScore, Sitting
from experiments.memory.observers.options import ObserveOptions
from experiments.memory.observers.run import ObserverRun
from experiments.statistics.accuracy import Accuracy
from storage.files import to_json, write_text
from storage.lock import FolderLock
from storage.run_folder import has_begun, open_run
from storage.tables import write_rows
from training.progress import say_done, say_found


def run_observe(options: ObserveOptions) -> list[Accuracy]:
    """Let an observer sit the test and return the accuracies, which are also written into `options.out`.

    Every exposure that is finished stays on disk and is not repeated with `--resume auto`.

    Raises:
        StimulusError: the list has defects.
        ObserverError: the observer cannot be made, fails, or returns what is no score.
        ScoresError: the table of scores does not have a score for each image.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds other results.
        SystemExit: a signal asked the experiment to end.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        results = _run(options)
    say_done(options.out, "secondsight memory report", options.out, "--out REPORT")
    return results


def _run(options: ObserveOptions) -> list[Accuracy]:
    begun = has_begun(options.out, ObserveOptions) and not options.overwrite
    if begun:
        open_run(options.out, options, options.resume, begun=True)  # refused before anything takes long
    stimuli = read_stimuli(options.stimuli, options.exclude_defects)
    if options.fillers is not None:
        stimuli = stimuli.with_fillers(options.fillers)
    versions = versions_of(stimuli, options.half)
    say_list(stimuli, versions, options.out, "studied image")
    sittings = _given(options, versions, begun) if options.scores else _sat(options, stimuli, versions, begun)
    scores = (row for sitting in sittings for row in sitting.scores(versions[sitting.version]))
    write_rows(options.out / "scores.csv", scores, ImageScore)
    trials = [row for sitting in sittings for row in sitting.trials(versions[sitting.version], options.ties)]
    return write_results(options.out, stimuli, trials)


def _given(options: ObserveOptions, versions: Mapping[str, StimulusList], begun: bool) -> list[Sitting]:
    """Return the runs of a table of scores."""
    assert options.scores is not None, "the caller has looked"
    sittings = read_scores(options.scores, versions)
    runs = [f"{sitting.version} {sitting.seed}" for sitting in sittings]
    exposures = sorted({judgement.exposure for sitting in sittings for judgement in sitting.judged})
    say_found(
        scores=options.scores,
        runs=f"{', '.join(runs)}; tested after {', '.join(map(str, exposures))} exposures",
    )
    _begin(options, next(iter(versions.values())), begun)
    return sittings


def _sat(
    options: ObserveOptions, stimuli: StimulusList, versions: Mapping[str, StimulusList], begun: bool
) -> list[Sitting]:
    """Let the observer sit the test, as far as that is not finished, and return its runs."""
    examinee = Examinee(options.sitting, options.seed)
    size, known_by = examinee.size, examinee.fingerprint
    say_found(observer=f"{examinee.name}, sees {size} x {size} pixels")
    clips = _read(stimuli, size, options)
    _begin(options, stimuli, begun)
    write_text(options.out / "observer.json", to_json({"name": examinee.name, "size": size}))
    sittings = []
    fresh = True
    for version, listed in versions.items():
        for seed in range(options.seed, options.seed + options.seeds):
            folder = options.out / "runs" / f"{version}_{seed}"
            run = ObserverRun(folder, clips, listed, version, seed, options, known_by)
            done = run.finished()
            if done <= options.exposures:
                examinee = examinee if fresh and seed == options.seed else examinee.begin_again(seed)
                fresh = False
                run.carry_out(examinee, done)
            sittings.append(Sitting(version, seed, examinee.name, run.judged(), examinee.tokens, examinee.pixels))
    return sittings


def _read(stimuli: StimulusList, size: int, options: ObserveOptions) -> Clips:
    """Return all images of the list, as they are and those that are tested under each change."""
    clips: Clips = {}
    for batch in read_scaled(stimuli, size, options.sitting.resize, options.changes):
        for change, of_change in batch.items():
            clips.setdefault(change, {}).update(of_change)
    return clips


def _begin(options: ObserveOptions, stimuli: StimulusList, begun: bool) -> None:
    """Make `out` the folder of this run, and write down what is studied and tested."""
    if not begun:
        if options.overwrite:
            for name in ("trials.csv", "accuracy.csv", "scores.csv"):
                (options.out / name).unlink(missing_ok=True)
            shutil.rmtree(options.out / "runs", ignore_errors=True)
        open_run(options.out, options, options.resume, options.overwrite, begun=False)
    write_manifest(stimuli, options.out)
    write_skipped(options.out / "skipped.csv", stimuli.skipped)
