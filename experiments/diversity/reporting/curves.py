"""Plots along an axis: places, share given, training set, exposures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.diversity.reporting.claims import IDENTIFIED
from experiments.diversity.reporting.context import Context, explored
from experiments.diversity.reporting.drawing import (
    GROUP_COLOURS,
    GROUPS,
    UNITS,
    Chosen,
    draw_line,
    draw_way,
    estimate,
    logarithmic,
    panels,
    shares,
)
from experiments.diversity.reporting.estimates import SHARES, Estimate
from experiments.diversity.reporting.figures import FigureRow
from experiments.diversity.reporting.selection import (
    describe_encoding,
    in_order,
    latest,
    select,
    setting_columns,
    training,
)
from experiments.diversity.tables import MODEL, SPACES, Kind, PositionRow
from experiments.plots import COLOURS, finish_figure

LABELS = {
    "retrieved": "continuations retrieved",
    "entropy_bits_per_token": "entropy, bits per token",
    **dict.fromkeys(IDENTIFIED, "continuations identified"),
    **{f"truth_{space}": f"to the truth: {unit}" for space, unit in UNITS.items()},
}
ENTROPIES = (("entropy", "entropy of the model", "-"), ("truth", "surprise of the truth", ":"))
NEVER = 1.12
"""Where what is never reached is drawn, above all shares."""


def draw_entropy(path: Path, positions: Sequence[PositionRow], chosen: Chosen) -> None:
    """Draw entropy and surprise along the generated rows of tokens, means over the columns."""
    encodings = in_order(row.encoding for row in positions)
    figure, axes = panels(len(encodings), len(chosen), (4.8, 2.8), sharey=True)
    for of_encoding, encoding in zip(axes, encodings, strict=True):
        for panel, choice in zip(of_encoding, chosen.values(), strict=True):
            rows = select(positions, **choice.model_way(), encoding=encoding)
            for group, (name, label, line) in product(GROUPS, ENTROPIES):
                points = _along_rows(select(rows, group=group), name)
                draw_line(panel, points, GROUP_COLOURS[group], f"{group}: {label}", linestyle=line)
            frames, height = in_order(row.latent_frame for row in rows), len({row.row for row in rows})
            for frame in range(1, len(frames)):
                panel.axvline(frame * height + 0.5, color="0.8", linewidth=1, zorder=0)
            panel.set(title=f"{choice.kind}s, {describe_encoding(encoding)}", ylabel="bits per token", ylim=(0, None))
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set_xlabel("generated row of tokens" + (" (grey: a latent frame begins)" if len(frames) > 1 else ""))
    finish_figure(figure, axes.flat, path)


def draw_context(path: Path, figures: Sequence[FigureRow], chosen: Chosen) -> None:
    """Draw retrieval, identification, entropy and distance to the truth against the share given."""
    truth = [f"truth_{space}" for space in SPACES]
    wanted = ("retrieved",), IDENTIFIED, ("entropy_bits_per_token",), truth
    present = {row.figure for row in figures if row.continuation == MODEL}
    names = [next(name for name in alternatives if name in present) for alternatives in wanted]
    figure, axes = panels(len(chosen), len(names), (2.6, 2.6), sharex=True, sharey="col")
    for of_kind, choice in zip(axes, chosen.values(), strict=True):
        rows = select(figures, kind=choice.kind, continuation=MODEL, **setting_columns(choice.setting))
        of_model = select(rows, model=_most_explored(rows))
        for panel, name in zip(of_kind, names, strict=True):
            _draw_figure(panel, select(of_model, figure=name), "given_share")
            panel.set(title=f"{choice.kind}s ({of_model[0].model})", xlabel="tokens given", ylabel=LABELS[name])
            panel.title.set_size(9)
            given = sorted({row.given_share for row in of_model})
            panel.set_xticks(given, [f"{share:.0%}" for share in given])
    finish_figure(figure, axes.flat, path, columns=4)


def _most_explored(rows: Sequence[FigureRow]) -> str:
    """Return the model that was given the most amounts, of several the one that was trained most."""
    amounts = {row.model: len({other.given for other in select(rows, model=row.model)}) for row in rows}
    return max(rows, key=lambda row: (amounts[row.model], training(row))).model


def draw_training(path: Path, figures: Sequence[FigureRow], chosen: Chosen) -> None:
    """Draw retrieval against the size of the training set, and of studied items against exposures."""
    figure, axes = panels(len(chosen), 2, (4.8, 2.8), sharey=True)
    for (by_size, by_exposure), choice in zip(axes, chosen.values(), strict=True):
        way = choice.continuations(MODEL)
        del way["model"]
        rows = select(figures, **way, figure="retrieved")
        _draw_figure(by_size, latest(rows), "training_items")
        logarithmic(by_size, [row.training_items for row in rows])
        by_size.set(title=f"{choice.kind}s, after most exposures", xlabel="training items", ylabel=LABELS["retrieved"])
        _draw_exposures(by_exposure, [row for row in select(rows, group="studied") if row.exposures is not None])
        by_exposure.set(title=f"studied {choice.kind}s", xlabel="exposures", ylabel=LABELS["retrieved"])
    finish_figure(figure, axes.flat, path, columns=4)


def draw_conjecture(path: Path, contexts: Sequence[Context]) -> None:
    """Draw the context that half retrieval takes against the size of the training set, after most exposures."""
    contexts = explored(contexts)
    kinds = [kind for kind in get_args(Kind) if select(contexts, kind=kind)]
    figure, axes = panels(1, len(kinds), (4.8, 3.2), sharey=True)
    for panel, kind in zip(axes[0], kinds, strict=True):
        for group, encoding in in_order((context.group, context.encoding) for context in contexts):
            rows = select(contexts, kind=kind, group=group, encoding=encoding)
            points = [(row.training_items, Estimate(*np.minimum(row.needed, NEVER))) for row in rows]
            draw_way(panel, points, group, encoding)
        logarithmic(panel, [context.training_items for context in select(contexts, kind=kind)])
        ticks = [0, 0.25, 0.5, 0.75, 1]
        panel.set_yticks([*ticks, NEVER], [*(f"{tick:.0%}" for tick in ticks), "never"])
        panel.set(title=f"{kind}s", xlabel="training items", ylabel="tokens given for half retrieval")
        panel.set_ylim(0, NEVER + 0.05)
    finish_figure(figure, axes.flat, path, columns=2 * len(kinds))


def _draw_exposures(panel: Axes, rows: Sequence[FigureRow]) -> None:
    """Draw a line for each size of training set and encoding."""
    sizes = sorted({row.training_items for row in rows})
    for (number, size), encoding in product(enumerate(sizes), in_order(row.encoding for row in rows)):
        line = _one_each(select(rows, training_items=size, encoding=encoding), "exposures")
        points = [(float(row.exposures or 0), estimate(row)) for row in line]
        colour = COLOURS[len(GROUPS) + number % (len(COLOURS) - len(GROUPS))]
        style = {"linestyle": "-" if encoding == "alone" else "--", "marker": "o", "markersize": 4}
        draw_line(panel, points, colour, f"{size} training items, {describe_encoding(encoding)}", **style)
    if rows:
        panel.set_xscale("log")


def _one_each(rows: Sequence[FigureRow], axis: str) -> list[FigureRow]:
    """Return one row for each value of a column, in order: that of most items."""
    most = {getattr(row, axis): row for row in sorted(rows, key=lambda row: row.items)}
    return [most[value] for value in sorted(most)]


def _draw_figure(panel: Axes, rows: Sequence[FigureRow], axis: str) -> None:
    """Draw a figure against a column, a line for each group and encoding."""
    for group, encoding in in_order((row.group, row.encoding) for row in rows):
        line = _one_each(select(rows, group=group, encoding=encoding), axis)
        draw_way(panel, [(getattr(row, axis), estimate(row)) for row in line], group, encoding)
    if rows and rows[0].figure.startswith(SHARES):
        shares(panel)
    else:
        panel.set_ylim(bottom=0)


def _along_rows(rows: Iterable[PositionRow], name: str) -> list[tuple[float, Estimate]]:
    """Return means over the columns of each generated row of tokens, in order.

    The mean of the ends of intervals is at least as wide as the interval of the mean.
    """
    by_row: dict[tuple[int, int], list[Estimate]] = {}
    for row in sorted(rows, key=lambda row: (row.latent_frame, row.row)):
        found = Estimate(*(getattr(row, f"{name}_{part}") for part in ("bits", "low", "high")))
        by_row.setdefault((row.latent_frame, row.row), []).append(found)
    return [(number, Estimate(*np.mean(found, axis=0))) for number, found in enumerate(by_row.values(), start=1)]
