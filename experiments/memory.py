"""Recognition memory: how many exposures does a GPT need to know what it has seen?

Question: after k passes over a study list, does the model find the studied picture of a pair likelier than the foil?
Method: after Brady et al. (2008) with the two-alternative rule of Orhan (2022, arXiv 2204.13061): a trial is correct
when the studied picture has the lower mean NLL per token; a tie counts one half. Study and test use the same pixels.
The list is run as given and with studied pictures and foils swapped, so that an untrained model sits at exactly one
half.
Output: `trials.csv` (one row per trial and exposure), `accuracy.csv`, `curve.png`, `manifest.csv`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from data.images import image_to_clip, load_image
from data.media import write_skipped
from data.stimuli import StimulusList, read_stimuli, write_manifest
from experiments.config import MemoryOptions
from experiments.plots import draw_memory_curve
from experiments.statistics import (
    Accuracy,
    accuracies,
    correctness,
    pooled,
    read_trials,
    write_accuracies,
    write_trials,
)
from gpt.config import preset
from gpt.evaluate import item_nll
from gpt.model import GPT
from gpt.train import train_step
from sampling.prompts import check_match
from training.order import epoch_order
from training.progress import Progress
from training.run_folder import open_run
from vqgan.model import load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer

SCORING_BATCH = 32


def run_memory(options: MemoryOptions) -> list[Accuracy]:
    """Run the experiment and return the accuracies, which are also written into `options.out`.

    Every finished run (a version of the list under a seed) stays on disk and is not repeated on `--resume auto`.

    Raises:
        StimulusError: the list has defects.
        MismatchError: the GPT does not belong to the tokenizer.
        RunFolderError: `out` holds other results.
    """
    stimuli = read_stimuli(options.stimuli)
    if options.fillers is not None:
        stimuli = stimuli.with_fillers(options.fillers)
    open_run(options.out, options, options.resume, options.overwrite)
    write_manifest(stimuli, options.out)
    write_skipped(options.out / "skipped.csv", stimuli.skipped)

    pictures = [picture.path for picture in stimuli.pictures]
    tokenizer, clips = _tokenizer_and_clips(options, stimuli.root, pictures)
    tokens = torch.cat([tokenizer.encode(part).flatten(1) for part in clips.split(SCORING_BATCH)])
    by_path = dict(zip(pictures, tokens, strict=True))
    trials: list[dict[str, str]] = []
    for version, listed in _versions(stimuli).items():
        for seed in range(options.seed, options.seed + options.seeds):
            path = options.out / "runs" / f"{version}_{seed}.csv"
            if options.overwrite or not path.exists():
                learner = _learner(options, tokenizer, seed)
                write_trials(path, study_and_test(learner, listed, by_path, version, seed, options))
            trials += read_trials(path)
    results = accuracies(trials)
    write_trials(options.out / "trials.csv", trials)
    write_accuracies(options.out / "accuracy.csv", results)
    draw_memory_curve(options.out / "curve.png", results)
    print_accuracies(results)
    return results


def study_and_test(
    learner: GPT,
    stimuli: StimulusList,
    tokens: dict[str, Tensor],
    version: str,
    seed: int,
    options: MemoryOptions,
) -> list[dict[str, str]]:
    """Study a list for `options.exposures` passes and test before the first and after each.

    Args:
        learner: the model, changed in place.
        stimuli: what is studied and how it is tested.
        tokens: (L,) int64 tokens of every picture, by path.
        version: name of the version of the list, for the rows.
        seed: seed of the order of study.
        options: exposures, batch and learning rate.

    Returns:
        A row of `trials.csv` per trial and exposure.
    """
    accelerator = Accelerator()
    study = torch.stack([tokens[picture.path] for picture in stimuli.study]).to(accelerator.device)
    optimizer = torch.optim.Adam(learner.parameters(), lr=options.learning_rate, fused=True)
    model, optimizer = accelerator.prepare(learner, optimizer)
    rows = _test(learner, stimuli, tokens, version, seed, exposure=0)
    with Progress(f"Memory {version} {seed}", options.exposures) as progress:
        for exposure in range(1, options.exposures + 1):
            learner.train()
            for chosen in epoch_order(len(study), seed, exposure).split(options.batch):
                train_step(accelerator, model, optimizer, study[chosen], options.learning_rate, clip=1.0)
            new = _test(learner, stimuli, tokens, version, seed, exposure)
            rows += new
            progress.show(exposure, accuracy=sum(float(row["correct"]) for row in new) / len(new))
    return rows


def print_accuracies(results: list[Accuracy]) -> None:
    """Print the pooled accuracy of every condition after the last exposure."""
    for condition, curve in pooled(results).items():
        last = curve[-1]
        print(
            f"{condition}: {100 * last.accuracy:.1f} % [{100 * last.low:.1f}, {100 * last.high:.1f}] "
            f"after {last.exposure} exposures"
        )


def _test(
    learner: GPT, stimuli: StimulusList, tokens: dict[str, Tensor], version: str, seed: int, exposure: int
) -> list[dict[str, str]]:
    """Score every tested picture; in order of path, so that both versions of a list score the same batches."""
    tested = sorted({p.path for trial in stimuli.trials for p in (trial.studied, trial.foil)})
    scores = item_nll(learner, torch.stack([tokens[path] for path in tested]), SCORING_BATCH).tolist()
    nll = dict(zip(tested, scores, strict=True))
    return [
        {
            "list": stimuli.root.name,
            "version": version,
            "seed": str(seed),
            "item": trial.item,
            "condition": trial.condition,
            "exposure": str(exposure),
            "studied": trial.studied.path,
            "foil": trial.foil.path,
            "nll_studied": repr(nll[trial.studied.path]),
            "nll_foil": repr(nll[trial.foil.path]),
            "correct": str(correctness(nll[trial.studied.path], nll[trial.foil.path])),
        }
        for trial in stimuli.trials
    ]


def _versions(stimuli: StimulusList) -> dict[str, StimulusList]:
    swapped = stimuli.counterbalanced()
    if swapped is None:
        print("A picture takes part in two trials, so the list cannot be counterbalanced: it runs as given only.")
        return {"as_given": stimuli}
    return {"as_given": stimuli, "swapped": swapped}


def _learner(options: MemoryOptions, tokenizer: Tokenizer, seed: int) -> GPT:
    grid = tokenizer.grid(1, tokenizer.size, tokenizer.size)
    if options.gpt is not None:
        learner = GPT.from_pretrained(options.gpt)
        check_match(learner, tokenizer, grid)
        return learner
    torch.manual_seed(seed)
    return GPT(preset(options.preset, grid, tokenizer.vocab_size, tokenizer.fingerprint))


def _tokenizer_and_clips(options: MemoryOptions, root: Path, paths: list[str]) -> tuple[Tokenizer, Tensor]:
    """Return the tokenizer and the pictures (P, 3, 1, size, size) as it sees them.

    A palette is made from studied pictures and foils alike, so that it favours neither.
    """
    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    size = tokenizer.size if tokenizer else options.size
    clips = torch.stack([image_to_clip(load_image(root / path), size) for path in paths])
    if tokenizer is None:
        pixels = clips.permute(0, 2, 3, 4, 1).reshape(-1, 3)
        tokenizer = Palette.fit(pixels, options.colours, size, options.seed)
        tokenizer.save_pretrained(options.out / "tokenizer")
    return tokenizer, clips
