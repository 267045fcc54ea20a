"""What one participant did on one list: counts, rates and speed, by which participants are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scipy.special import ndtri

from experiments.people.table import TWO_ALTERNATIVES, Response
from experiments.statistics.signal_detection import corrected_rate

VIGILANCE = "vigilance"


@dataclass(frozen=True)
class Session:
    """All responses of one participant on one list, in numbers."""

    versions: tuple[str, ...]
    choices: tuple[Response, ...]
    """Of the forced choice between two, those without an answer among them."""
    vigilance: tuple[Response, ...]

    @classmethod
    def of(cls, rows: Sequence[Response]) -> Session:
        """Sort the responses of a participant on a list."""
        return cls(
            versions=tuple(sorted({row.version for row in rows})),
            choices=tuple(row for row in rows if row.task == TWO_ALTERNATIVES),
            vigilance=tuple(row for row in rows if row.task == VIGILANCE),
        )

    @property
    def both_versions(self) -> bool:
        """Whether the participant has studied what are foils in the other version."""
        return len(self.versions) > 1

    @property
    def trials(self) -> int:
        """Forced choices that were to be made."""
        return len(self.choices)

    @property
    def answered(self) -> int:
        """Forced choices that were made."""
        return len(_correct(self.choices))

    @property
    def accuracy(self) -> float | None:
        """Share of correct choices; None without any."""
        return _mean(_correct(self.choices))

    @property
    def reaction_time(self) -> float | None:
        """Median of the choices, in seconds; None where no time is known."""
        times = _times(self.choices)
        return median(times) if times else None

    @property
    def hit_rate(self) -> float | None:
        """Share of repeats of the vigilance task that were detected; None without any."""
        return repeat_rate(self.vigilance, "repeat")

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of new pictures of the vigilance task that were called repeats; None without any."""
        return repeat_rate(self.vigilance, "new")

    @property
    def vigilance_d_prime(self) -> float | None:
        """Sensitivity in the vigilance task: see `repeat_d_prime`."""
        return repeat_d_prime(self.vigilance)

    def fast_share(self, seconds: float) -> float | None:
        """Return the share of choices that took less than so long; None where no time is known."""
        return _mean([float(time < seconds) for time in _times(self.choices)])


def repeat_rate(rows: Iterable[Response], condition: str) -> float | None:
    """Return the share of the pictures of a condition, `repeat` or `new`, that were called repeats; None without any.

    Pictures without an answer are left out.
    """
    return _mean(called_repeat(rows, condition))


def repeat_d_prime(rows: Sequence[Response]) -> float | None:
    """Return d' of detecting repeats, with the log-linear correction; None without repeats or without new pictures."""
    hits, false_alarms = called_repeat(rows, "repeat"), called_repeat(rows, "new")
    if not hits or not false_alarms:
        return None
    rates = [corrected_rate(sum(called), len(called)) for called in (hits, false_alarms)]
    return float(ndtri(rates[0]) - ndtri(rates[1]))


def called_repeat(rows: Iterable[Response], condition: str) -> list[float]:
    """Return 1 for every picture of a condition that was called a repeat, 0 for the others that were answered."""
    return [float(row.response == "repeat") for row in rows if row.condition == condition and row.response]


def _correct(rows: Iterable[Response]) -> list[float]:
    return [row.correct for row in rows if row.correct is not None]


def _times(rows: Iterable[Response]) -> list[float]:
    return [row.reaction_time for row in rows if row.reaction_time is not None and row.correct is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
