"""Amounts of time as years: of 24 hours a day, and of the hours that a child is awake.

A year has 365 days, so 8,760 hours; of waking life it has 365 times the hours awake a day.
"""

from __future__ import annotations

from experiments.scaling.columns import words_of

HOURS = {"second": 1 / 3600, "minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0, "year": 8760.0}
"""Hours of each unit of time."""
DAYS = 365
"""Days of a year."""
WAKING_YEARS = (1, 10)
"""Years of waking life that are marked."""


def hours_of(unit: str) -> float | None:
    """Return the hours of one unit, None where it is no time: `tokens`."""
    words = words_of(unit)
    return next((hours for name, hours in HOURS.items() if words & {name, f"{name}s"}), None)


class Life:
    """Years, of an amount in a unit.

    Args:
        unit: of amounts.
        waking_hours: hours awake a day.
    """

    def __init__(self, unit: str, waking_hours: float) -> None:
        self.hours = hours_of(unit)
        self.waking_hours = waking_hours

    def years(self, amount: float | None) -> float | None:
        """Return an amount in years of 24 hours a day; None where it is no time."""
        return None if amount is None or self.hours is None else amount * self.hours / (24 * DAYS)

    def waking_years(self, amount: float | None) -> float | None:
        """Return an amount in years of waking life; None where it is no time."""
        years = self.years(amount)
        return None if years is None else years * 24 / self.waking_hours

    def marks(self) -> dict[str, float]:
        """Return the amounts of `WAKING_YEARS`, by what they are called; none where amounts are no time."""
        if self.hours is None:
            return {}
        of_year = self.waking_hours * DAYS / self.hours
        return {f"{years} year{'s' * (years > 1)} of waking life": years * of_year for years in WAKING_YEARS}
