"""The rows of the tables on single pictures."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.statistics.correlation import Coefficient

POOLED = "all, within conditions"
"""In the column `condition`: pictures of all conditions, ranked or standardised within each."""
NOTHING = "nothing"
"""In the column `partialled`: nothing was."""
COMPLEXITY = "complexity"
"""In the columns `source` and `kind`: not memory, but how complex pictures are."""


@dataclass(frozen=True)
class Correlation:
    """How a measure of what a model remembers goes with the memorability of pictures."""

    model: str
    """Name of the model where several are compared."""
    readout: str
    """What judges, as in trials.csv."""
    measure: str
    """`first_known` (turned, so that sooner is higher), `margin_gain`, `likelihood_ratio`; `raw_margin` and
    `raw_margin_before` mislead and stand there as a warning."""
    source: str
    """Who it is compared with: people in a task, a table of scores, a predictor, or `complexity`."""
    kind: str
    """`people`, `scores` (of people, published), `predictor` (a network, no people) or `complexity`."""
    source_measure: str
    """Of people `hits`, `false_alarms` or `corrected` (the one minus the other); `score`; of complexity `bits`, `jpeg`
    or `edges`."""
    condition: str
    """Test condition, or `all, within conditions`."""
    coefficient: Coefficient
    """Spearman's rank correlation, or Pearson's."""
    partialled: str
    """What was partialled out: `nothing`, one measure of complexity, or all that there are, joined by +."""
    exposure: int
    """Exposures after which the model was measured."""
    pictures: int
    """That both have a value of."""
    runs: int
    """Runs of the model."""
    participants: int
    """People; 0 where single ones are not known."""
    correlation: float | None
    """Within the condition; empty where it is unknown, see `note`."""
    standard_error: float | None
    """For other pictures, runs and participants."""
    low_images: float | None
    """Lower end of its 95 % interval for other pictures, and the same runs and participants."""
    high_images: float | None
    """Upper end."""
    low: float | None
    """Lower end of its 95 % interval for other pictures, runs and participants, as far as there are several."""
    high: float | None
    """Upper end."""
    ceiling: float | None
    """What a measure without noise can be expected to reach: the root of the reliability of people. Empty where single
    participants are not known, or there is one."""
    ceiling_of_runs: float | None
    """What this measure can be expected to reach, with the noise that few runs leave in it; empty for one run."""
    p: float | None
    """Two-sided p-value of no correlation, for other pictures, runs and participants."""
    p_holm: float | None
    """`p` corrected for all measures that do not mislead, models, sources and conditions."""
    misleading: bool
    """Whether it is there before anything was learned, and no sign of memory."""
    note: str
    """Why there is no correlation; empty where there is one."""


@dataclass(frozen=True)
class ReliabilityRow:
    """How far halves of the participants, or of the runs, agree on pictures."""

    who: str
    """The source, or the model and its readout."""
    measure: str
    """As in correlations.csv."""
    condition: str
    """Test condition, or `all, within conditions`."""
    coefficient: Coefficient
    """Of the correlation between halves."""
    pictures: int
    """That it has a value of."""
    units: int
    """Participants, or runs."""
    halves: float | None
    """Mean correlation between random halves; empty where there is one unit, or no variance."""
    reliability: float | None
    """Of all units, by the formula of Spearman and Brown."""
    ceiling: float | None
    """Its root."""


@dataclass(frozen=True)
class CourseRow:
    """A correlation in the course of study, of all conditions together, by ranks."""

    model: str
    """Name of the model where several are compared."""
    readout: str
    """What judges."""
    measure: str
    """`raw_margin`, `margin_gain` or `likelihood_ratio`."""
    source: str
    """Who it is compared with."""
    source_measure: str
    """As in correlations.csv."""
    exposure: int
    """Passes over the study list."""
    pictures: int
    """That both have a value of."""
    correlation: float
    """Within conditions."""
    low_images: float
    """Lower end of its 95 % interval for other pictures."""
    high_images: float
    """Upper end."""


@dataclass(frozen=True)
class MemorabilityRow:
    """What someone remembers of a picture, or how complex it is."""

    who: str
    """The model and its readout, the source, or `complexity`."""
    kind: str
    """`model`, `people`, `scores`, `predictor` or `complexity`."""
    list: str
    """Name of the study list."""
    condition: str
    """Test condition."""
    item: str
    """Name of the trial."""
    path: str
    """Of the picture, in its list."""
    measure: str
    """As in correlations.csv; `first_known` in exposures, one more than the last for a picture that is not known."""
    value: float
    """Of the measure, over all runs or participants."""
