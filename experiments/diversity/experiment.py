"""Continue studied and new items several times each, and measure how varied that is and how near to the truth.

Question: given a part of an image or clip, does the model continue it in many ways, or over and over in the same one,
and is that what really followed?
Method: n continuations of each prompt, with every prompt encoding and every sampling setting; distances between them
and to the truth over what was generated only, entropies and the truth's probability exact from the model, and the same
metrics of continuations that no model made (`experiments.diversity.baselines`). The tables are described in
`experiments.diversity.tables`.
Output: the run folder with run.csv (written last), items.csv, best.csv, positions.csv, audit.csv, redundancy.csv,
skipped.csv, images/ with images.csv, and continuations/, the finished batches from which an interrupted run continues.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from pathlib import Path

from data.errors import TokenStoreError
from data.items import describe_items
from data.skipping import describe_skipped, write_skipped
from data.tokens import TokenStore
from experiments.diversity.baselines import redundancy_rows
from experiments.diversity.continuing import Continuing, ModelUnderTest, position_rows
from experiments.diversity.distances import build_distances
from experiments.diversity.images import show_extremes
from experiments.diversity.material import Material, PromptLength, make_prompts, read_material
from experiments.diversity.options import DiversityOptions
from experiments.diversity.tables import RunRow, Tables
from experiments.diversity.training_set import TrainingTokens, count_sequences_seen, count_training_items
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from gpt.evaluate import check_store
from gpt.model import GPT
from sampling.decode import check_options
from sampling.parallel import check_window
from storage.checksums import fingerprint
from storage.command import command_line
from storage.lock import FolderLock
from storage.records import digest_of
from storage.run_folder import has_begun, open_run
from training.precision import left_open, read_precision, settle
from training.processes import best_device, describe_device
from training.progress import Progress, count, say_done, say_found
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class Work:
    """What a run works on, checked."""

    model: ModelUnderTest
    """Who continues."""
    material: Material
    """The items."""
    prompt_lengths: tuple[PromptLength, ...]
    """How much of them is given, one after the other."""
    run: RunRow
    """What will stand in run.csv."""


def run_diversity(options: DiversityOptions) -> Path:
    """Carry out a run, or what is missing of it, and return its folder.

    Raises:
        MediaError: the data hold nothing usable, or more than half of the items cannot be read.
        MismatchError: GPT and tokenizer do not belong together.
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds a run, and it is not to be resumed or has other options.
        TokenStoreError: the store belongs to other data, another tokenizer or another GPT, or lacks new items.
        ValueError: what is given leaves nothing to imagine, or an option does not fit the GPT.
        WeightsMissingError: the weights of a network that measures are not on this machine.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        begun = has_begun(options.out, DiversityOptions) and not options.overwrite
        recorded = read_precision(options.out, "sampling_precision") if begun else None
        options, precision = settle(options, "sampling_precision", best_device(), recorded)
        if begun:
            same = left_open(options.out, "sampling_precision")
            open_run(options.out, options, options.resume, begun=True, same=same)  # refused before anything takes long
        work = _prepare(options)
        if not begun:
            _begin(options)
        _say_found(work, precision)
        write_skipped(options.out / "skipped.csv", work.material.skipped)
        _continue_all(work, options).write(options.out)
    say_done(options.out, "secondsight diversity report", options.out, "--out REPORT")
    return options.out


def _begin(options: DiversityOptions) -> None:
    """Make `out` the folder of this run; nothing of what is replaced outlives its options."""
    if options.overwrite:
        (options.out / "run.csv").unlink(missing_ok=True)
        for folder in ("continuations", "images"):
            shutil.rmtree(options.out / folder, ignore_errors=True)
    open_run(options.out, options, options.resume, options.overwrite, begun=False)


def _prepare(options: DiversityOptions) -> Work:
    """Load, read and check everything, so that what cannot be done is refused before anything is sampled."""
    device = best_device()
    measuring = options.measuring
    distances = build_distances(measuring.perceptual, measuring.features, device)
    store = TokenStore(options.tokens)
    gpt = GPT.from_pretrained(options.gpt).to(device)
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    check_store(store, gpt)
    for setting in measuring.settings():
        check_options(gpt, setting)
    sequences = count_sequences_seen(options.gpt, store)
    material = read_material(options.data, store, tokenizer, measuring.items)
    half = max(1, material.prompt_units // 2)
    prompt_lengths = tuple(make_prompts(gpt, tokenizer, material, given) for given in options.given or (half,))
    for prompts in prompt_lengths:
        check_window(options.window, prompts.layout.tokens_to_sample, measuring.settings()[0])
    run = _run_row(options, store, gpt, tokenizer, material, sequences)
    model = ModelUnderTest(
        gpt=gpt,
        tokenizer=tokenizer,
        training=TrainingTokens(store),
        distances=distances,
        run_columns={name: getattr(run, name) for name in ("model", "kind", "training_items", "exposures")},
        n=measuring.n,
        seed=measuring.seed,
        sampling_precision=measuring.sampling_precision,
        window=options.window,
        identity=_identity(run, store, gpt, options),
    )
    return Work(model=model, material=material, prompt_lengths=prompt_lengths, run=run)


def _identity(run: RunRow, store: TokenStore, gpt: GPT, options: DiversityOptions) -> str:
    """Return a digest of what decides the results, names of folders aside."""
    facts = {name: value for name, value in asdict(run).items() if name not in ("model", "command")}
    models = {"gpt": fingerprint(gpt.description, gpt.state_dict()), "store": store.digest}
    precision = options.measuring.sampling_precision
    # Named where they are not those of all runs before there was a choice.
    lower = {} if precision == "fp32" else {"sampling_precision": precision}
    noise = {} if options.measuring.noise == "inverse" else {"noise": options.measuring.noise}
    return digest_of({**facts, **models, "batch": options.measuring.batch, **lower, **noise})


def _run_row(
    options: DiversityOptions,
    store: TokenStore,
    gpt: GPT,
    tokenizer: Tokenizer,
    material: Material,
    sequences: int | None,
) -> RunRow:
    """Return the row of run.csv; `sequences` are those that the GPT was trained on, None where it is not known."""
    items = count_training_items(store)
    if items < 2:
        raise TokenStoreError(f"{options.tokens} has {items} training item: other ones to compare with are needed")
    return RunRow(
        model=options.out.resolve().name,
        kind=material.kind,
        gpt_parameters=sum(parameter.numel() for parameter in gpt.parameters()),
        layers=gpt.config.layers,
        heads=gpt.config.heads,
        width=gpt.config.width,
        tokenizer=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        grid="x".join(map(str, store.metadata.grid)),
        frames=store.metadata.frames,
        size=store.metadata.size,
        training_items=items,
        exposures=None if sequences is None else sequences / items,
        training_tokens=None if sequences is None else sequences * prod(store.metadata.grid),
        studied_items=len(material.members("studied")),
        new_items=len(material.members("new")),
        studied_groups=material.count_groups("studied"),
        new_groups=material.count_groups("new"),
        n=options.measuring.n,
        perceptual=options.measuring.perceptual,
        features=options.measuring.features,
        seed=options.measuring.seed,
        command=command_line(options),
    )


def _say_found(work: Work, precision: str | None) -> None:
    """Say what there is to work with, and in which precision if that was left open."""
    run = work.run
    seen = "" if run.exposures is None else f", seen {run.exposures:.3g} times each"
    given = " and ".join(str(prompts.given) for prompts in work.prompt_lengths)
    unit = "latent frames" if run.kind == "clip" else "rows of tokens"
    alone = "" if run.n > 1 else "; pairwise distances take at least two of each prompt (--n)"
    say_found(
        device=describe_device(work.model.gpt.device),
        tokenizer=work.model.tokenizer.describe(),
        gpt=f"{work.model.gpt.config.describe()}, {run.gpt_parameters:,} parameters"
        + (f", sampled in {precision}" if precision else ""),
        trained_on=count(run.training_items, "item") + seen,
        items=f"{run.studied_items:,} studied, {run.new_items:,} new; {describe_items(work.material.items)}",
        observations=_describe_groups(run),
        skipped=describe_skipped(work.material.skipped),
        prompts=f"{given} of {work.material.prompt_units} {unit}; {count(run.n, 'continuation')} of each{alone}",
        distances=", ".join(distance.name for distance in work.model.distances),
    )


def _describe_groups(run: RunRow) -> str:
    """Return how many groups of sources intervals are over, and whether they are enough for a verdict."""
    counts = [run.studied_groups or 0, run.new_groups or 0]
    few = f"; a verdict takes {GROUPS_FOR_VERDICT}" if min(counts) < GROUPS_FOR_VERDICT else ""
    return f"groups of sources: {counts[0]:,} studied, {counts[1]:,} new{few}"


def _continue_all(work: Work, options: DiversityOptions) -> Tables:
    """Continue all items from prompts of all lengths under all conditions, or read what is finished of it."""
    encodings = options.measuring.encodings
    settings = options.measuring.settings()
    tables = Tables(run=[work.run])
    shown = min(work.prompt_lengths, key=lambda prompts: abs(prompts.given_share - 0.5))
    done = 0
    with Progress("Continuing", len(work.prompt_lengths) * len(encodings) * (1 + len(settings))) as progress:
        for prompts in work.prompt_lengths:
            continuing = Continuing(work.model, prompts, options.out / "continuations", options.measuring.batch)
            tables.redundancy.extend(redundancy_rows(work.run.model, prompts))
            for encoding in encodings:
                baselines = continuing.without_model(encoding)
                tables.items.extend(baselines.rows)
                tables.best.extend(baselines.best)
                done += 1
                progress.show(done)
            for encoding, setting in product(encodings, settings):
                result = continuing.with_model(encoding, setting)
                tables.items.extend(result.rows)
                tables.best.extend(result.best)
                tables.positions.extend(position_rows(prompts, result))
                tables.audit.extend(result.audit)
                if prompts is shown and setting is settings[0]:
                    tables.images.extend(show_extremes(options.out, work.model, prompts, result))
                done += 1
                progress.show(done)
    return tables
