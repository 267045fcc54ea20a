"""Continue studied and new items several times each, and measure how varied that is and how near to the truth.

Question: given a part of an image or clip, does the model continue it in many ways, or over and over in the same one,
and is that what really followed?
Method: n continuations of each prompt, with every prompt encoding and every sampling setting; distances between them
and to the truth over what was generated only, entropies and the truth's probability exact from the model, and the same
measures of continuations that no model made (`experiments.diversity.baselines`). The tables are described in
`experiments.diversity.tables`.
Output: the run folder with run.csv (written last), items.csv, positions.csv, audit.csv, redundancy.csv, skipped.csv,
images/ with images.csv, and continuations/, the finished parts from which an interrupted run continues.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import count, product
from math import prod
from pathlib import Path
from typing import Any

from data.media import write_skipped
from data.tokens import TokenStore, TokenStoreError
from experiments.diversity.continuing import Subject
from experiments.diversity.exposure import count_items, sequences_seen
from experiments.diversity.matches import TrainingTokens
from experiments.diversity.material import Material, read_material
from experiments.diversity.measuring import Measuring, positions_of
from experiments.diversity.options import DiversityOptions
from experiments.diversity.showing import show_extremes
from experiments.diversity.spaces import build_spaces
from experiments.diversity.stage import Stage, make_stage
from experiments.diversity.tables import RunRow, Tables
from gpt.evaluate import check_store
from gpt.model import GPT
from sampling.decode import check_options
from storage.command import command_line
from storage.run_folder import open_run
from training.processes import best_device
from training.progress import Progress
from vqgan.model import load_tokenizer


@dataclass(frozen=True)
class Work:
    """What a run works on, checked."""

    subject: Subject
    material: Material
    stages: tuple[Stage, ...]
    run: RunRow


def run_diversity(options: DiversityOptions) -> Path:
    """Carry out a run, or what is missing of it, and return its folder.

    Raises:
        MediaError: the data hold nothing usable, or more than half of the items cannot be read.
        MismatchError: GPT and tokenizer do not belong together.
        RunFolderError: `out` holds a run, and it is not to be resumed or has other options.
        TokenStoreError: the store belongs to other data, another tokenizer or another GPT, or lacks new items.
        ValueError: what is given leaves nothing to imagine, or an option does not fit the GPT.
        WeightsMissingError: the weights of a network that measures are not on this machine.
    """
    work = _prepare(options)
    open_run(options.out, options, options.resume, options.overwrite)
    if options.overwrite:
        for folder in ("continuations", "images"):
            shutil.rmtree(options.out / folder, ignore_errors=True)
    if options.n == 1:
        print("With --n 1 nothing can be said about how continuations differ: pairwise distances take at least two.")
    write_skipped(options.out / "skipped.csv", work.material.skipped)
    _measure(work, options).write(options.out)
    print(f"To see it: secondsight diversity report {options.out} --out REPORT")
    return options.out


def _prepare(options: DiversityOptions) -> Work:
    """Load, read and check everything, so that what cannot be done is refused before anything is sampled."""
    device = best_device()
    spaces = build_spaces(options.perceptual, options.features, device)
    store = TokenStore(options.tokens)
    gpt, tokenizer = GPT.from_pretrained(options.gpt).to(device), load_tokenizer(options.tokenizer).to(device)
    check_store(store, gpt)
    sequences = sequences_seen(options.gpt, store)
    material = read_material(options.data, store, tokenizer, options.items)
    places = material.tokens.shape[1 if material.kind == "clip" else 2]
    stages = [make_stage(gpt, tokenizer, material, given) for given in options.given or (max(1, places // 2),)]
    for setting in options.settings():
        check_options(gpt, setting)
    items = count_items(store)
    if items < 2:
        raise TokenStoreError(f"{options.tokens} has {items} training item: other ones to compare with are needed")
    label: dict[str, Any] = {
        "model": options.out.resolve().name,
        "kind": material.kind,
        "training_items": items,
        "exposures": None if sequences is None else sequences / items,
    }
    run = RunRow(
        **label,
        gpt_parameters=sum(parameter.numel() for parameter in gpt.parameters()),
        layers=gpt.config.layers,
        heads=gpt.config.heads,
        width=gpt.config.width,
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        grid="x".join(map(str, store.metadata.grid)),
        frames=store.metadata.frames,
        size=store.metadata.size,
        training_tokens=None if sequences is None else sequences * prod(store.metadata.grid),
        studied_items=len(material.members("studied")),
        new_items=len(material.members("new")),
        n=options.n,
        perceptual=options.perceptual,
        features=options.features,
        seed=options.seed,
        command=command_line("diversity run", options),
    )
    subject = Subject(gpt, tokenizer, TrainingTokens(store), spaces, label, options.n, options.seed)
    return Work(subject, material, tuple(stages), run)


def _measure(work: Work, options: DiversityOptions) -> Tables:
    """Carry out, or read, all parts of all stages."""
    settings, tables, done = options.settings(), Tables(run=[work.run]), count(1)
    ways = list(product(options.encodings, settings))
    shown = min(work.stages, key=lambda stage: abs(stage.given_share - 0.5))
    with Progress("Continuing", len(work.stages) * (len(options.encodings) + len(ways))) as progress:
        for stage in work.stages:
            measuring = Measuring(work.subject, stage, options.out / "continuations", options.batch)
            tables.redundancy.extend(measuring.redundancy())
            for encoding in options.encodings:
                tables.items.extend(measuring.without_model(encoding).rows)
                progress.show(next(done))
            for encoding, setting in ways:
                part = measuring.with_model(encoding, setting)
                tables.items.extend(part.rows)
                tables.positions.extend(positions_of(stage, part))
                tables.audit.extend(part.audit)
                if stage is shown and setting is settings[0]:
                    tables.images.extend(show_extremes(options.out, work.subject, stage, part))
                progress.show(next(done))
    return tables
