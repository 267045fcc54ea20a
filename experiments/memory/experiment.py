"""Recognition memory: how many exposures does a GPT need to know what it has seen?

Question: after k passes over a study list, does the model find the studied image of a pair likelier than the foil?
And if the images are changed a little, if an episodic store helps, or after another list has been studied?
Method: after Brady et al. (2008) with the two-alternative rule of Orhan (2022, arXiv 2204.13061): a trial is correct
when the studied image has the lower mean NLL per token; a tie counts one half, or nothing with `--ties wrong`. Study
and test use the same pixels. The list is run as given and with studied images and foils swapped, so that an untrained
model sits at exactly one half.
Output:

    trials.csv, accuracy.csv, curve.png     a row per trial, exposure and readout; shares of correct ones
    study.csv, manifest.csv                 the study list and the explicit trials
    skipped.csv, defects.csv                fillers that could not be read, and what was left out as defective
    known_images.csv                        tested images that the tokenizer was trained on
    protocol.csv                            with --protocol: its options, and what they are in this run
    recall.csv                              with --recall: how well lower halves were recalled
    runs/<version>_<seed>/                  of each run the above, and maps.npz, the NLL of every token of the tested
                                            images before study and after the last exposure; finished.json says of
                                            which run they are, with their SHA-256
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from pathlib import Path
from typing import Literal

from data.skipping import describe_skipped, write_skipped
from data.stimuli.lists import StimulusList, write_manifest
from data.training_images import trained_images
from experiments.memory.keyed import KeyedPictures, Seen, key_pictures
from experiments.memory.learner import describe_model, fingerprint_of_origin
from experiments.memory.material import Lists, Material, encode_lists, read_lists
from experiments.memory.options import Half, MemoryOptions
from experiments.memory.protocol import ProtocolOption, compare, describe_protocol
from experiments.memory.recall import RecallRow
from experiments.memory.recognition import half_of
from experiments.memory.run import MemoryRun
from experiments.plots import draw_memory_curve
from experiments.statistics.accuracy import Accuracy, accuracies, pooled, write_accuracies
from experiments.statistics.outcomes import collect
from experiments.statistics.trials import TrialRow, read_trials, write_trials
from gpt.model import GPT
from storage.checkpoints import newest_checkpoint
from storage.lock import FolderLock
from storage.run_folder import has_begun, open_run, read_options
from storage.tables import read_rows, write_rows, write_table
from storage.terminal import visible
from training.precision import read_precision, settle
from training.processes import best_device, describe_device
from training.progress import count, say_done, say_found
from vqgan.options import TrainOptions

NAMED_DEFECTS = 10
"""Defects that are said, at most; defects.csv has all."""


@dataclass(frozen=True)
class KnownImage:
    """A row of known_images.csv: a tested image that the tokenizer was trained on."""

    path: str
    """Of the image, in its list."""
    side: Literal["studied", "foil"]
    """What it is in its trial."""


def run_memory(options: MemoryOptions) -> list[Accuracy]:
    """Run the experiment and return the accuracies, which are also written into `options.out`.

    Every finished run (a version of the list under a seed) stays on disk and is not repeated on `--resume auto`; an
    interrupted one continues from its saved state.

    Raises:
        StimulusError: a list has defects, or images that are tested are studied with the second list.
        MismatchError: the GPT does not belong to the tokenizer.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds other results, or damaged ones.
        ValueError: bf16 is asked for on a processor that is slower in it.
        FloatingPointError: a learner has diverged.
        SystemExit: a signal asked the experiment to end, and its state was saved.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        results = _run(options)
    say_done(options.out, "secondsight memory report", options.out, "--out REPORT")
    return results


def _run(options: MemoryOptions) -> list[Accuracy]:
    begun = _has_begun(options.out) and not options.overwrite
    options, precision = _settle_precision(options, begun)
    lists = read_lists(options)
    versions = versions_of(lists.first, options.material.half)
    if begun:
        open_run(options.out, options, options.resume, begun=True)  # refused before anything takes long
    kind = "studied image" if options.material.noise is None else "studied sequence"
    say_list(lists.first, versions, options.out, kind)
    material = encode_lists(lists, options)
    _say_model(material, options, precision)
    keys = _make_keys(lists, material, options)
    origin = fingerprint_of_origin(options)
    if not begun:
        _begin(options)
    write_manifest(lists.first, options.out)
    write_skipped(options.out / "skipped.csv", lists.first.skipped)
    _look_for_known_images(lists.first, options)
    _say_protocol(material, options)
    runs = [
        MemoryRun(options.out / "runs" / f"{version}_{seed}", material, listed, version, seed, options, origin, keys)
        for version, listed in versions.items()
        for seed in range(options.learning.seed, options.learning.seed + options.learning.seeds)
    ]
    for run in runs:
        if run.is_finished():
            shutil.rmtree(run.folder / "state", ignore_errors=True)  # left where it was killed just then
        else:
            run.carry_out()
    trials = [trial for run in runs for trial in read_trials(run.folder / "trials.csv")]
    if options.test.recall:
        _join_recall(runs, options.out)
    return write_results(options.out, lists.first, trials)


def write_results(out: Path, stimuli: StimulusList, trials: list[TrialRow]) -> list[Accuracy]:
    """Write what all runs found in the folder `out`, trials.csv the last, print the accuracies and return them."""
    results = accuracies(collect(trials))
    write_accuracies(out / "accuracy.csv", results)
    left_out = f"{len(stimuli.defects)} defects of the list were left out, see defects.csv"
    draw_memory_curve(out / "curve.png", results, note=left_out if stimuli.defects else "")
    write_trials(out / "trials.csv", trials)
    print_accuracies(results)
    return results


def _make_keys(lists: Lists, material: Material, options: MemoryOptions) -> list[KeyedPictures]:
    """Return the pictures of the lists by every key of `--store-key`."""
    size = material.tokenizer.size if material.tokenizer else options.material.size
    seen = Seen(size, options.material.resize, options.test.changes)
    return key_pictures(options.test.store_key, lists.first, lists.second, seen, options.test.key_data)


def _has_begun(out: Path) -> bool:
    """Whether a folder holds a finished run of a version and seed, or the state of one."""
    states = (state for run in (out / "runs").glob("*") if (state := newest_checkpoint(run / "state")))
    return has_begun(out, MemoryOptions) or any(states)


def _settle_precision(options: MemoryOptions, begun: bool) -> tuple[MemoryOptions, str | None]:
    """Return options with what is computed in, and what to say of it if that was left open; see `settle`."""
    # Runs of before there was a choice, which did not record any, are in fp32.
    recorded = (read_precision(options.out) or "fp32") if begun else None
    return settle(options, "precision", best_device(), recorded)


def _begin(options: MemoryOptions) -> None:
    """Make `out` the folder of this run; nothing of what is replaced outlives its options."""
    if options.overwrite:
        for name in ("trials.csv", "accuracy.csv", "recall.csv"):
            (options.out / name).unlink(missing_ok=True)
        shutil.rmtree(options.out / "runs", ignore_errors=True)
    open_run(options.out, options, options.resume, options.overwrite, begun=False)


def print_accuracies(results: list[Accuracy]) -> None:
    """Print the pooled accuracy of every condition after the last exposure."""
    for condition, curve in pooled(results).items():
        last = curve[-1]
        print(
            f"{visible(condition)}: {100 * last.accuracy:.1f} % "
            f"[{100 * last.low_images:.1f}, {100 * last.high_images:.1f} over images] "
            f"after {count(last.exposure, 'exposure')}"
        )


def versions_of(stimuli: StimulusList, half: Half) -> dict[str, StimulusList]:
    """Return the versions of the list, with the trials that are taken; the study list stays whole."""
    versions = {"as_given": stimuli}
    swapped = stimuli.counterbalanced()
    if swapped is not None:
        versions["swapped"] = swapped
    return {name: replace(listed, trials=half_of(listed.trials, half)) for name, listed in versions.items()}


def say_list(stimuli: StimulusList, versions: Mapping[str, StimulusList], out: Path, kind: str) -> None:
    """Say what is studied and tested, and what may make the results another experiment's; `kind` is what is studied."""
    by_condition = Counter(trial.condition for trial in versions["as_given"].trials)
    trials = ", ".join(f"{number:,} {condition}" for condition, number in sorted(by_condition.items()))
    swapped = "as given, and with studied images and foils swapped"
    given = "as given only: an image takes part in two trials, so the list cannot be counterbalanced"
    say_found(
        device=describe_device(best_device()),
        list=f"{count(len(stimuli.study), kind)}; trials: {trials}",
        versions=swapped if "swapped" in versions else given,
        skipped=describe_skipped(stimuli.skipped),
        defects=_describe_defects(stimuli, out),
    )


def _describe_defects(stimuli: StimulusList, out: Path) -> str:
    if not stimuli.defects:
        return "none"
    named = [f"left out: {defect.reason}" for defect in stimuli.defects[:NAMED_DEFECTS]]
    if len(stimuli.defects) > NAMED_DEFECTS:
        named.append(f"and {len(stimuli.defects) - NAMED_DEFECTS} more")
    return f"{len(stimuli.defects):,} (see {out / 'defects.csv'}), {'; '.join(named)}"


def _look_for_known_images(stimuli: StimulusList, options: MemoryOptions) -> None:
    """Say, and write down, which tested images the tokenizer was trained on."""
    if options.material.tokenizer is None or not options.material.tokenizer.exists():
        return
    trained = {image.path for image in trained_images(stimuli, options.material.tokenizer, _training_data)}
    studied = [trial.studied.path for trial in stimuli.trials if trial.studied.path in trained]
    foils = [trial.foil.path for trial in stimuli.trials if trial.foil.path in trained]
    known = [KnownImage(path, "studied") for path in studied] + [KnownImage(path, "foil") for path in foils]
    write_rows(options.out / "known_images.csv", known, KnownImage)
    if known:
        say_found(
            beware=f"the tokenizer was trained on {len(known)} of the {2 * len(stimuli.trials)} tested images, "
            f"{len(foils)} of them foils (known_images.csv), which should be new to all of the model"
        )


def _training_data(run: Path) -> Path:
    """Return the data of a training run of a tokenizer."""
    return read_options(run, TrainOptions).data


def _say_model(material: Material, options: MemoryOptions, precision: str | None) -> None:
    """Say what learns, and in which precision if that was left open."""
    kind = "image" if options.material.noise is None else "sequence"
    grid = "x".join(map(str, material.grid))
    say_found(
        tokens=f"{prod(material.grid):,} per {kind}, {grid} of {material.vocab_size} codes",
        model=describe_model(options, material),
        **({"precision": precision} if precision else {}),
    )


def _say_protocol(material: Material, options: MemoryOptions) -> None:
    """Say, and write down, what of the run is as its protocol has it, and what is not."""
    if options.protocol is None:
        return
    run = options.flat()
    if material.tokenizer is not None:
        run |= {"colours": material.vocab_size, "size": material.tokenizer.size}
    if options.gpt is not None:
        config = GPT.from_pretrained(options.gpt).config
        run |= {"variant": config.variant, "bos": config.bos, "dropout": config.dropout}
    compared = compare(options.protocol, run)
    write_rows(options.out / "protocol.csv", compared, ProtocolOption)
    say_found(protocol=describe_protocol(options.protocol, compared))


def _join_recall(runs: Sequence[MemoryRun], out: Path) -> None:
    """Write the recall.csv of all runs into one, with the version and the seed of each."""
    rows = [
        {"version": run.version, "seed": run.seed, **asdict(row)}
        for run in runs
        for row in read_rows(run.folder / "recall.csv", RecallRow)
    ]
    write_table(out / "recall.csv", rows, ["version", "seed", *(field.name for field in fields(RecallRow))])
