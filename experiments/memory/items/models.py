"""What models remember of each picture, run by run.

The score of a picture is its NLL, or what a readout has in its place: lower is more familiar. Four measures are made of
it, the first three of which count from the run's own exposure 0, before anything was learned:

    first_known        the first exposure from which on the margin is above that of exposure 0 in every later test;
                       where there is none, one more than the last
    margin_gain        how much the margin has grown: the score of the foil minus that of the picture, after study minus
                       before
    likelihood_ratio   how much study has lowered the score of the picture itself
    raw_margin         the margin as it is. It is there before anything was learned, because pictures differ in how
                       likely they are in themselves: a correlation with it need not be one of memory
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.memory.items.pictures import Pictures, picture_of
from experiments.statistics.correlation import Measure
from experiments.statistics.outcomes import Floats
from experiments.statistics.trials import TrialRow

SOONER = "first_known"
GAIN = "margin_gain"
RATIO = "likelihood_ratio"
RAW = "raw_margin"
RAW_BEFORE = "raw_margin_before"
BITS = "bits"
"""Bits per token of a picture before study: how complex it is to the model."""
MEASURES = (SOONER, GAIN, RATIO)
"""Measures of memory."""
MISLEADING = (RAW, RAW_BEFORE)
"""Measures that are shown as a warning."""
NATS_PER_BIT = float(np.log(2))


@dataclass(frozen=True)
class Model:
    """The scores that the runs of a model give to N pictures and their foils, by one readout."""

    name: str
    readout: str
    units: tuple[tuple[str, int], ...]
    """List and seed of the runs: both versions of a list under one seed count as one."""
    exposures: tuple[int, ...]
    """After which it was tested, in order."""
    studied: Floats
    """(K, R, N) by exposure, run and picture; NaN where a run did not study the picture."""
    foils: Floats
    """(K, R, N) of the foils it was tested against."""
    likelihoods: bool = False
    """Whether scores are nats per token, which some observers' are not."""

    @property
    def runs(self) -> int:
        """Runs, under different seeds."""
        return len(self.units)

    def last_common(self) -> int:
        """Return the last exposure after which every run was tested."""
        tested = np.asarray(np.isfinite(self.studied).any(axis=2))
        return max(exposure for exposure, by_run in zip(self.exposures, tested, strict=True) if by_run.all())

    def measures(self, exposure: int) -> dict[str, Measure]:
        """Return what can be measured after so many exposures, with first_known turned so that sooner is higher.

        Raises:
            ValueError: it was not tested then.
        """
        if exposure not in self.exposures:
            tested = ", ".join(str(each) for each in self.exposures)
            raise ValueError(
                f"{self.name or 'the model'} was not tested after {exposure} exposures, but after {tested}"
            )
        after = self.exposures.index(exposure)
        margins = self.foils - self.studied
        found = {RAW: margins[after]}
        if self.exposures[0] == 0:
            found |= {
                SOONER: -_first_known(margins, self.exposures),
                GAIN: margins[after] - margins[0],
                RATIO: self.studied[0] - self.studied[after],
                RAW_BEFORE: margins[0],
            }
            if self.likelihoods:
                found[BITS] = self.studied[0] / NATS_PER_BIT
        return {name: Measure(((1.0, values),)) for name, values in found.items()}


def read_models(trials: Sequence[TrialRow], pictures: Pictures) -> list[Model]:
    """Return the models that trials are of, judged by each readout on unchanged pictures before any interference."""
    groups: dict[tuple[str, str], list[TrialRow]] = {}
    for trial in trials:
        if (trial.change, trial.interference) == ("none", 0):
            groups.setdefault((trial.model, trial.readout), []).append(trial)
    return [_model(name, readout, groups[name, readout], pictures) for name, readout in sorted(groups)]


def _model(name: str, readout: str, trials: Sequence[TrialRow], pictures: Pictures) -> Model:
    exposures = tuple(sorted({trial.exposure for trial in trials}))
    units = tuple(sorted({(trial.list, trial.seed) for trial in trials}))
    studied = np.full((len(exposures), len(units), len(pictures)), np.nan)
    foils = studied.copy()
    moments = {exposure: number for number, exposure in enumerate(exposures)}
    rows = {unit: number for number, unit in enumerate(units)}
    for trial in trials:
        place = (moments[trial.exposure], rows[trial.list, trial.seed], pictures.index[picture_of(trial)])
        studied[place] = trial.nll_studied
        foils[place] = trial.nll_foil
    likelihoods = readout == "weights" and all(trial.bits_per_pixel_studied is not None for trial in trials)
    return Model(name, readout, units, exposures, studied, foils, likelihoods)


def _first_known(margins: Floats, exposures: Sequence[int]) -> Floats:
    """Return (R, N) the first exposure from which on margins (K, R, N) stay above that before study."""
    tested = np.isfinite(margins)
    # An exposure that a run did not have says nothing against it.
    known = (margins[1:] > margins[0]) | ~tested[1:]
    stays = np.logical_and.accumulate(known[::-1], axis=0)[::-1]
    after = np.array([*exposures[1:], exposures[-1] + 1], dtype=np.float64)
    first = after[stays.shape[0] - stays.sum(axis=0)]
    return np.where(tested.any(axis=0) & tested[0], first, np.nan)
