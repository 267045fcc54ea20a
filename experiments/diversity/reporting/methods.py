"""How the runs of a report were made, in words that a paper can take over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.diversity.options import DiversityOptions
from experiments.diversity.reporting.runs import Merged, describe_setting, in_order, select, setting_of
from experiments.diversity.tables import MODEL, ItemRow, RunRow
from experiments.methods import Facts, compose, further_options, listed, methods_section, software
from experiments.pages import Section, percent
from gpt.config import GPTConfig
from gpt.options import TrainOptions
from storage.model_paths import CheckpointError, find_model, is_at_hand
from storage.run_folder import RunFolderError, read_options
from training.progress import count
from vqgan.model import load_tokenizer

STATISTICS = (
    "What was drawn by chance are the groups of sources (files, or what the split keeps together): each counts as one "
    "observation, however many items it has. Intervals of 95 % are Student's t over groups, with the variance of the "
    "jackknife over groups (CR3 of Bell and McCaffrey 2002) and degrees of freedom by Kish's effective number of "
    "groups, with an allowance for skewness (Johnson 1978); ratios and distances on the logarithmic scale; for shares "
    "two groups that nobody saw, one all right and one all wrong, were added (Agresti and Coull 1998). A claim holds "
    "or fails where its two-sided p-value, corrected by Holm's method (1979) for all claims of its kind, is at most "
    ".05, and is undecided otherwise, and wherever there are too few groups."
)
"""How the numbers of the tables were computed: what `estimates` and `claims` do, in a paragraph."""

WORDED = frozenset(
    (
        *("gpt", "tokenizer", "tokens", "data", "given", "n", "items", "encodings", "temperatures", "top_ks", "top_ps"),
        *("min_ps", "noise", "perceptual", "features", "batch", "seed"),
    )
)
"""Options that the sentences below are about; others are named where they have not their default."""
TRAINING_WORDED = frozenset(
    (
        *("tokens", *GPTConfig.__dataclass_fields__, "steps", "batch", "learning_rate", "warmup", "grad_clip"),
        *("precision", "seed", "schedule", "weight_decay", "validation_items"),
    )
)
"""Options of the training of a GPT that the sentences below are about."""
AFTER_WARMUP = {
    "cosine": "followed by a cosine down to a tenth of it",
    "constant": "and constant afterwards",
    "wsd": "constant afterwards, and falling to 0 at the end as one minus a square root",
}
"""What became of the learning rate, by name of the schedule."""
ENCODINGS = {
    "alone": "by itself (`alone`), so that it knows nothing of what follows",
    "full": "as part of the whole and then cut out (`full`), so that it may know what follows",
}
NOISES = {
    "gumbel": "taking the largest sum of log-probability and Gumbel noise",
    "inverse": "inverting the cumulative distribution",
}


def diversity_methods(out: Path, tables: Merged) -> Section:
    """Write `out/methods.txt` on the runs of a report, and return the section of its page."""
    facts = {run.model: _facts(run, tables) for run in tables.run}
    return methods_section(out, [*compose(facts), STATISTICS])


def _facts(run: RunRow, tables: Merged) -> Facts:
    folder = tables.folders[run.model]
    rows = select(tables.items, model=run.model, continuation=MODEL)
    options = read_options(folder, DiversityOptions) if (folder / "config.json").exists() else None
    facts = {
        "items": _items(run),
        "tokenizer": _tokenizer(run, options),
        "model": f"The GPT had {count(run.layers, 'layer')}, {count(run.heads, 'head')}, width {run.width} and "
        f"{run.gpt_parameters:,} parameters.",
        "exposures": _exposures(run),
        "training": _training(options) if options else "",
        "prompts": _prompts(run, rows),
        "sampling": _sampling(run, rows, options),
        "distances": _distances(run),
        "further": further_options(options, WORDED) if options else "",
        "software": software(folder),
    }
    return {topic: sentence for topic, sentence in facts.items() if sentence}


def _items(run: RunRow) -> str:
    return (
        f"Continued were {count(run.studied_items, run.kind)} of the training split (studied) and {run.new_items:,} "
        "of the validation split (new)."
    )


def _tokenizer(run: RunRow, options: DiversityOptions | None) -> str:
    """Return what an item is, and how it became tokens."""
    frames = "" if run.kind == "image" else f" of {run.frames} frames"
    size = f"{run.kind.capitalize()}s{frames}, {run.size} x {run.size} pixels,"
    grid = run.grid.replace("x", " x ")
    known = _describe_tokenizer(options) if options else ""
    return f"{size} were {grid} tokens (latent frames, rows, columns) of {run.vocab_size:,} codes{known}."


def _describe_tokenizer(options: DiversityOptions) -> str:
    """Return which tokenizer it was, and for which clips it is made, if it is still there."""
    path = options.tokenizer
    try:
        made_for = f", made for {load_tokenizer(path).clip_format.describe()}" if is_at_hand(path) else ""
    except CheckpointError:
        made_for = ""
    return f" by the tokenizer `{path}`{made_for}"


def _exposures(run: RunRow) -> str:
    trained = f"It was trained on {count(run.training_items, 'item')}"
    if run.exposures is None or run.training_tokens is None:
        return f"{trained}; how often it saw them is not recorded."
    return f"{trained}, each seen {run.exposures:,.4g} times on average ({run.training_tokens:,} tokens)."


def _training(options: DiversityOptions) -> str:
    """Return how the GPT was trained, as far as its run is there."""
    training = _training_options(options.gpt)
    if training is None:
        return ""
    how = training.training
    clipping = f"clipped to a norm of {how.grad_clip:g}" if how.grad_clip else "not clipped"
    after = AFTER_WARMUP[how.schedule]
    sentence = (
        f"Its training was planned for {count(how.steps, 'step')} in batches of {how.batch} with AdamW (betas 0.9 "
        f"and 0.95, weight decay {training.weight_decay:g} on matrices) at a peak learning rate of "
        f"{how.learning_rate:g}, reached in {count(how.warmup, 'step')} {after}; gradients were {clipping}; "
        f"precision {how.precision}, seed {how.seed}."
    )
    return " ".join(filter(None, [sentence, further_options(training, TRAINING_WORDED)]))


def _training_options(gpt: Path) -> TrainOptions | None:
    """Return the options of the run that a GPT lies in; None where it lies in none, or is not there."""
    if not gpt.exists():
        return None
    try:
        folder = find_model(gpt)
        run = folder.parents[1] if folder.parent.name == "checkpoints" else folder.parent
        return read_options(run, TrainOptions)
    except (CheckpointError, RunFolderError):
        return None


def _prompts(run: RunRow, rows: Sequence[ItemRow]) -> str:
    unit = "latent frames" if run.kind == "clip" else "rows of tokens"
    lengths = sorted({(row.given, row.given_share) for row in rows})
    given = listed([f"{length} ({percent(share)})" for length, share in lengths])
    encoded = listed([ENCODINGS[encoding] for encoding in in_order(row.encoding for row in rows)])
    return f"Given were {given} {unit} from the beginning; the prompt was encoded {encoded}."


def _sampling(run: RunRow, rows: Sequence[ItemRow], options: DiversityOptions | None) -> str:
    settings = listed([describe_setting(setting) for setting in in_order(setting_of(row) for row in rows)])
    drawn = f", drawn by {NOISES[options.measuring.noise]}" if options else ""
    return f"Each prompt was continued {count(run.n, 'time')}, at {settings}{drawn}; seed {run.seed}."


def _distances(run: RunRow) -> str:
    networks = [
        f"{what} of `{network}`"
        for what, network in (("the perceptual distance", run.perceptual), ("features of whole images", run.features))
        if network != "none"
    ]
    others = listed(["root mean square differences of pixels", "shares of tokens that differ", *networks])
    return f"Distances, over what was generated only, are {others}."
