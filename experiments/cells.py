"""What stands in the cells of tables on pages: shares, p-values and intervals in words."""

from __future__ import annotations

from experiments.pages import percent


def whole_percent(share: float) -> str:
    """Return a share as a percentage without decimals."""
    return f"{100 * share:.0f} %"


def p_value(p: float | None) -> str:
    """Return a p-value, nothing where there is none."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share_range(low: float | None, high: float | None) -> str:
    """Return an interval of shares as percentages, nothing where there is none."""
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def bracketed(low: float | None, high: float | None) -> str:
    """Return an interval of shares as what follows a percentage, in brackets; nothing where there is none."""
    return "" if low is None or high is None else f" [{share_range(low, high)}]"


def number_range(low: float | None, high: float | None) -> str:
    """Return an interval that may have no lower or no upper end."""
    if low is None and high is None:
        return "any"
    if low is None:
        return f"up to {high:.2f}"
    return f"from {low:.2f}" if high is None else f"{low:.2f} to {high:.2f}"
