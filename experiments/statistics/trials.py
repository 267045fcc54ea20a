"""The rows of `trials.csv`: a trial, when and how it was taken, and what came of it. All statistics begin here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from experiments.tables import read_results
from storage.tables import write_rows

UNIQUE = (
    "model",
    "list",
    "version",
    "seed",
    "readout",
    "change",
    "condition",
    "item",
    "exposure",
    "interference",
)
"""Columns that tell a row of trials.csv from all others."""


class Run(NamedTuple):
    """One model that studied one list, in a version, under a seed."""

    list: str
    version: str
    seed: int


class Moment(NamedTuple):
    """When it is tested: after so many passes over the list, and then over another."""

    exposure: int
    interference: int


class TestCondition(NamedTuple):
    """What is tested, and how it is judged."""

    model: str
    """Empty where there is only one."""
    readout: str
    change: str
    condition: str


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A two-alternative forced choice between a studied image and a foil, judged by one readout at one moment."""

    list: str
    """Name of the stimulus list."""
    version: str
    """`as_given`, or `swapped`: with studied images and foils exchanged."""
    seed: int
    """Of the run."""
    readout: str
    """What judges: `weights` (the model's NLL, or the score of another observer), `familiarity` (the episodic store),
    `weights+store`, or what an observer calls it."""
    change: str
    """Change made to the test images; `none` is without one."""
    item: str
    """Name of the trial in the list."""
    condition: str
    """Condition of the list, such as novel, exemplar or state."""
    exposure: int
    """Passes over the study list before the test."""
    interference: int
    """Passes over another list after those."""
    studied: str
    """Path of the studied image in the list."""
    foil: str
    """Path of the foil in the list."""
    nll_studied: float
    """Score of the studied image, lower for more familiar: mean NLL per token in nats, or that of the readout."""
    nll_foil: float
    """Score of the foil."""
    correct: float
    """1 when the studied image has the lower score, 0 when the foil has, one half for a tie (0 with `--ties wrong`)."""
    model: str = ""
    """Name of the model where several are compared."""
    bits_per_pixel_studied: float | None = None
    """`nll_studied` in bits per pixel of the image before the tokenizer (see "Likelihoods and their units"); empty for
    random sequences, which have no pixels, for `familiarity`, which is no likelihood, and in tables of before this
    column was there."""
    bits_per_pixel_foil: float | None = None
    """`nll_foil` in bits per pixel."""

    @property
    def run(self) -> Run:
        """The run that it belongs to."""
        return Run(self.list, self.version, self.seed)

    @property
    def moment(self) -> Moment:
        """When it took place."""
        return Moment(self.exposure, self.interference)

    @property
    def tested(self) -> TestCondition:
        """What was tested, and how it was judged."""
        return TestCondition(self.model, self.readout, self.change, self.condition)


def correctness(nll_studied: float, nll_foil: float) -> float:
    """Return 1 when the studied image is the more likely one, 0 when the foil is, one half for a tie."""
    return 0.5 + 0.5 * ((nll_studied < nll_foil) - (nll_studied > nll_foil))


def likelihood_ratio_trials(trials: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the trials as judged by what study has changed.

    The score of an image becomes NLL(k) - NLL(0), its negative log likelihood ratio per token between the model after
    and before study, so that an image that is simple in itself has no advantage. Trials of runs that were not tested
    before study, with the same readout and change, are left out.
    """
    before = {_key(trial): trial for trial in trials if trial.exposure == 0}
    return [_relative(trial, before[key]) for trial in trials if (key := _key(trial)) in before]


def read_trials(path: Path) -> list[TrialRow]:
    """Read a `trials.csv`.

    Raises:
        ValueError: a column is missing, or a row is damaged or there twice; it is named.
    """
    return read_results(path, TrialRow, UNIQUE)


def write_trials(path: Path, trials: Iterable[TrialRow]) -> None:
    """Write a `trials.csv`, whole or not at all."""
    write_rows(path, trials, TrialRow)


def _key(trial: TrialRow) -> tuple[object, ...]:
    return trial.model, trial.run, trial.readout, trial.change, trial.item


def _relative(trial: TrialRow, before: TrialRow) -> TrialRow:
    studied = trial.nll_studied - before.nll_studied
    foil = trial.nll_foil - before.nll_foil
    return replace(
        trial,
        nll_studied=studied,
        nll_foil=foil,
        correct=correctness(studied, foil),
        bits_per_pixel_studied=_difference(trial.bits_per_pixel_studied, before.bits_per_pixel_studied),
        bits_per_pixel_foil=_difference(trial.bits_per_pixel_foil, before.bits_per_pixel_foil),
    )


def _difference(value: float | None, before: float | None) -> float | None:
    return None if value is None or before is None else value - before
