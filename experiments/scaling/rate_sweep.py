"""Learning rates are tried, the best of each size is chosen, and it is said which.

rates/<size>_rate-<rate>/   run folder of a short training
rates.csv                   how they ended, and which rate was chosen
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from experiments.scaling.ladder import Ladder, Size, Trunk
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.rate_table import write_tried
from experiments.scaling.rates import RateTrial, all_trials, edge_of
from experiments.scaling.trainings import (
    best_trial,
    is_finished,
    note_divergence,
    read_trials,
    trial_training,
)
from gpt.options import TrainOptions
from storage.terminal import visible

Train = Callable[[TrainOptions], None]
Attempt = Callable[[str, Callable[[], object]], object]


def sweep_rates(options: ScalingRunOptions, ladder: Ladder, train: Train, attempt: Attempt) -> None:
    """Carry out the trials that are missing, write rates.csv, and say which rates were chosen.

    Args:
        options: of the ladder.
        ladder: whose sizes try rates.
        train: carries out a training.
        attempt: takes a name and an action, which it carries out; failures are its own affair.
    """
    for trial in all_trials(options, ladder):
        if not is_finished(trial_training(options, trial)):
            attempt(f"rate {trial.name}", partial(try_rate, options, trial, train))
            write_tried(options, ladder)
    write_tried(options, ladder)
    for line in rates_in_words(options, ladder):
        print(visible(line), file=sys.stderr, flush=True)


def try_rate(options: ScalingRunOptions, trial: RateTrial, train: Train) -> None:
    """Carry out a trial, unless that is done."""
    training = trial_training(options, trial)
    if not is_finished(training):
        train(training)


def rates_in_words(options: ScalingRunOptions, ladder: Ladder) -> Iterator[str]:
    """Yield sentences on the rate of each size that has tried all of its rates."""
    for size in ladder.sizes:
        ends = read_trials(options, size)
        best = best_trial(ends)
        if best is not None:
            losses = [f"{trial.rate:g}: {end.why_diverged or f'{end.nll:.4g}'}" for trial, end in ends.items() if end]
            yield f"{size.name} learns at {best.rate:g}; held-out losses by rate: {', '.join(losses)}"
            edge = edge_of(best.rate, options.learning_rates)
            if edge:
                yield f"beware: {best.rate:g} is the {edge} rate that {size.name} tried: a better one may lie beyond"
        elif ends and None not in ends.values():
            yield f"beware: {_diverged_at_all(size, ends)}: begin anew with lower ones, in another --out"


def settle_rate(options: ScalingRunOptions, trunk: Trunk) -> bool:
    """Return whether there is a rate to train a trunk at; one of a size that diverged at all rates has diverged, too.

    Raises:
        ValueError: the rates of its size were not all tried.
    """
    ends = read_trials(options, trunk.size)
    missing = [trial.name for trial, end in ends.items() if end is None]
    if missing:
        raise ValueError(f"{trunk.size.name} has no learning rate yet: {', '.join(missing)} must be tried first")
    if not ends or best_trial(ends):
        return True
    why = _diverged_at_all(trunk.size, ends)
    note_divergence(options.out / "trunks" / trunk.name, why, "diverged at every rate tried")
    return False


def _diverged_at_all(size: Size, ends: Iterable[RateTrial]) -> str:
    return f"{size.name} diverged at every rate tried, {', '.join(f'{trial.rate:g}' for trial in ends)}"
