"""How a ladder was trained, in words, for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.tokens import TokenStore
from experiments.methods import listed, methods_section, software
from experiments.scaling.ladder import Ladder, Size
from experiments.scaling.options import LadderOptions, ScalingRunOptions
from experiments.scaling.rates import trials_of
from experiments.scaling.run_table import LadderRow
from experiments.scaling.trainings import best_trial, read_trials
from gpt.evaluate import held_out
from gpt.flops import parameter_count
from training.progress import count


def write_methods(options: ScalingRunOptions, ladder: Ladder, store: TokenStore, rows: Sequence[LadderRow]) -> None:
    """Write methods.txt into the folder of a ladder, in which the versions are recorded."""
    sizes = ladder.sizes
    sentences = [
        _models(options, sizes),
        _data(options, ladder, store),
        _budgets(options),
        _rate(options, sizes),
        _losses(options, store, rows),
        *_tasks(options),
        software(options.out),
    ]
    methods_section(options.out, [" ".join(sentences)])


def _models(options: LadderOptions, sizes: Sequence[Size]) -> str:
    described = listed([f"{size.config.describe()} ({parameter_count(size.config):,} parameters)" for size in sizes])
    return f"GPTs of {count(len(sizes), 'size')} were trained: {described}; each from {count(options.seeds, 'seed')}."


def _data(options: LadderOptions, ladder: Ladder, store: TokenStore) -> str:
    amounts = listed(
        [
            f"{part.tokens:,} tokens" + (f" ({part.hours:.3g} hours of film)" if part.hours is not None else "")
            for part in ladder.parts
        ]
    )
    nested = ", of which each smaller set is a part of each larger," if len(ladder.parts) > 1 else ""
    return (
        f"They learned {amounts}{nested} of {store.metadata.vocab_size:,} codes, in batches of "
        f"{count(options.batch, 'sequence')} of {store.metadata.length:,} tokens."
    )


def _budgets(options: LadderOptions) -> str:
    budgets = listed([f"{budget:.3g}" for budget in sorted(options.budgets)])
    return (
        f"Budgets were {budgets} FLOP, forwards and backwards, with the head and attention counted (Chowdhery et al. "
        "2022, appendix B)."
    )


def _rate(options: LadderOptions, sizes: Sequence[Size]) -> str:
    at = sizes[0].rate_at_width
    rule = (
        f"at width {at}, and followed the maximal update parametrization at others (Yang et al. 2022)"
        if at
        else "at all sizes"
    )
    rate = "chosen for each size, given" if options.learning_rates else f"of {options.learning_rate:g}"
    return (
        f"AdamW (betas 0.9 and 0.95, weight decay {options.weight_decay:g}) had a peak learning rate {rate} {rule}."
        f"{_tried_rates(options, sizes)} The rate rose over {count(options.warmup, 'step')}, stayed, and fell to 0 "
        f"as 1 - sqrt over the last {100 * options.decay:g} % of the steps of each budget (Haegele et al. 2024); what "
        "came before was done once for all budgets of a size, an amount of data and a seed."
    )


def _tried_rates(options: LadderOptions, sizes: Sequence[Size]) -> str:
    """Return how the learning rate of each size was chosen; nothing where one was given."""
    if not options.learning_rates:
        return ""
    steps = sorted({trial.steps for size in sizes for trial in trials_of(options, size)})
    best = {size: best_trial(read_trials(options, size)) for size in sizes}
    chosen = [
        f"{trial.rate:g} for {size.config.describe()}"
        if trial
        else f"none for {size.config.describe()}, as all diverged"
        for size, trial in best.items()
    ]
    return (
        f" Each size tried {listed([f'{rate:g}' for rate in sorted(options.learning_rates)])}, each once on all "
        f"training items for {listed([f'{each:,}' for each in steps])} steps from seed 0, and took the one that ended "
        f"with the lowest loss on the held-out items: {listed(chosen)}."
    )


def _losses(options: LadderOptions, store: TokenStore, rows: Sequence[LadderRow]) -> str:
    items = len(held_out(store, options.validation_items))
    diverged = sum(row.diverged for row in rows)
    left = f" {count(diverged, 'training')} diverged." if diverged else ""
    return f"Losses are the NLL of {count(items, 'held-out item')}, the same for all.{left}"


def _tasks(options: ScalingRunOptions) -> Iterator[str]:
    """Yield sentences on what was measured of the cells, besides what the folders of the measurements say of it."""
    asked = options.measuring
    measured = [task for task in asked.tasks if task != "reconstruction"]
    if measured:
        yield f"Trainings that did not diverge were measured on {listed(measured)}."
    if "memory" in measured:
        yield (
            f"Each studied the list {asked.stimuli} and was tested after {listed(list(map(str, asked.exposures)))} "
            "passes; exposures to people are where a psychometric function crosses their accuracy, censored where it "
            "does not within the passes that were made."
        )
    if "physics" in measured:
        readout = asked.readout.replace("_", " ")
        yield f"Surprise at the films of {asked.films} was read out as {readout}, the same for all."
    if "reconstruction" in asked.tasks:
        yield "Reconstruction is that of the tokenizer, measured once."
