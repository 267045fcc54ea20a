"""The plots of the report.

Studied items are blue and round, new ones vermilion and square; prompts that were encoded alone have filled
marks and solid lines, prompts that were cut out of the whole open marks and dashed lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from experiments.diversity.conditions import Group, Kind
from experiments.diversity.reporting.claims import IDENTIFIED
from experiments.diversity.reporting.context import Context, explored
from experiments.diversity.reporting.estimates import SHARES, Estimate, MetricRow, redundancies
from experiments.diversity.reporting.runs import (
    Choice,
    Chosen,
    describe_encoding,
    describe_setting,
    in_order,
    latest,
    select,
    setting_columns,
    setting_of,
    training,
)
from experiments.diversity.tables import BASELINES, DISTANCES, MODEL, AuditRow, PositionRow, RedundancyRow
from experiments.plots import finish_figure
from training.curves import COLOURS, MARKERS
from training.figures import literal

Points = Sequence[tuple[float, Estimate]]

GROUPS = get_args(Group)
GROUP_COLOURS = dict(zip(GROUPS, COLOURS, strict=False))
HATCHES = dict(zip(GROUPS, ("", "///"), strict=True))
"""Of bars, which have no marks."""
BASELINE_COLOURS = dict(zip(BASELINES, (COLOURS[4], COLOURS[3], COLOURS[2], COLOURS[5]), strict=True))
BASELINE_MARKS = dict(zip(BASELINES, "v^Ds", strict=True))
SETTING_MARKS = "os^Dv<>P*X"
UNITS = {
    "perceptual": "perceptual distance",
    "pixel": "RMS difference of pixels, of 1",
    "token": "share of tokens that differ",
    "feature": "distance of features",
}
"""Of distances; those of networks have no unit."""
LABELS = {
    "retrieved": "continuations retrieved",
    "entropy_bits_per_token": "entropy, bits per token",
    **dict.fromkeys(IDENTIFIED, "continuations identified"),
    **{f"truth_{distance}": f"to the truth: {unit}" for distance, unit in UNITS.items()},
}
"""Of metrics."""
NEVER = 1.12
"""Where what is never reached is drawn, above all shares."""


def draw_distances(path: Path, means: Sequence[MetricRow], chosen: Chosen) -> None:
    """Draw distances between continuations (upper row) and to the truth (lower), a column for each distance."""
    distances = [name for name in DISTANCES if select(means, metric=f"truth_{name}", continuation=MODEL)]
    shown = list(product(chosen.values(), GROUPS))
    figure, axes = _panels(2, len(distances), (2.7, 2.7))
    titles = {"pairwise": "between continuations", "truth": "to the truth"}
    for of_row, (beginning, title) in zip(axes, titles.items(), strict=True):
        for panel, distance in zip(of_row, distances, strict=True):
            rows = select(means, metric=f"{beginning}_{distance}")
            for x, (choice, group) in enumerate(shown):
                _draw_distance(panel, select(rows, group=group), choice, x)
            for border in range(len(GROUPS), len(shown), len(GROUPS)):
                panel.axvline(border - 0.5, color="0.8", linewidth=1)
            panel.set(title=title, ylabel=UNITS[distance], ylim=(0, None), xlim=(-0.5, len(shown) - 0.5))
            panel.set_xticks(range(len(shown)), [f"{group}\n{choice.kind}s" for choice, group in shown])
    finish_figure(figure, axes.flat, path, columns=3 * len(distances) // 2)


def draw_entropy(path: Path, positions: Sequence[PositionRow], chosen: Chosen) -> None:
    """Draw entropy and surprise along the generated rows of tokens, means over the columns."""
    encodings = in_order(row.encoding for row in positions)
    lines = (("entropy", "entropy of the model", "-"), ("truth", "surprise of the truth", ":"))
    figure, axes = _panels(len(encodings), len(chosen), (4.8, 2.8), sharey=True)
    for of_encoding, encoding in zip(axes, encodings, strict=True):
        for panel, choice in zip(of_encoding, chosen.values(), strict=True):
            rows = select(positions, **choice.model_condition(), encoding=encoding)
            for group, (name, label, line) in product(GROUPS, lines):
                points = _along_rows(select(rows, group=group), name)
                _draw_line(panel, points, GROUP_COLOURS[group], f"{group}: {label}", linestyle=line, **_marks(group))
            frames = in_order(row.latent_frame for row in rows)
            height = len({row.row for row in rows})
            for frame in range(1, len(frames)):
                panel.axvline(frame * height + 0.5, color="0.8", linewidth=1, zorder=0)
            panel.set(title=f"{choice.kind}s, {describe_encoding(encoding)}", ylabel="bits per token", ylim=(0, None))
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set_xlabel("generated row of tokens" + (" (grey: a latent frame begins)" if len(frames) > 1 else ""))
    finish_figure(figure, axes.flat, path)


def draw_context(path: Path, means: Sequence[MetricRow], chosen: Chosen) -> None:
    """Draw retrieval, identification, entropy and distance to the truth against the share given."""
    truth = [f"truth_{distance}" for distance in DISTANCES]
    wanted = (("retrieved",), IDENTIFIED, ("entropy_bits_per_token",), truth)
    present = {row.metric for row in means if row.continuation == MODEL}
    metrics = [next(metric for metric in alternatives if metric in present) for alternatives in wanted]
    figure, axes = _panels(len(chosen), len(metrics), (2.6, 2.6), sharex=True, sharey="col")
    for of_kind, choice in zip(axes, chosen.values(), strict=True):
        rows = select(means, kind=choice.kind, continuation=MODEL, **setting_columns(choice.setting))
        of_model = select(rows, model=_most_explored(rows))
        for panel, metric in zip(of_kind, metrics, strict=True):
            _draw_metric(panel, select(of_model, metric=metric), "given_share")
            panel.set(
                title=f"{choice.kind}s ({literal(of_model[0].model)})", xlabel="tokens given", ylabel=LABELS[metric]
            )
            panel.title.set_size(9)
            given = sorted({row.given_share for row in of_model})
            panel.set_xticks(given, [f"{share:.0%}" for share in given])
    finish_figure(figure, axes.flat, path, columns=4)


def draw_conjecture(path: Path, contexts: Sequence[Context]) -> None:
    """Draw the context that half retrieval takes against the size of the training set, after most exposures."""
    contexts = explored(contexts)
    kinds = [kind for kind in get_args(Kind) if select(contexts, kind=kind)]
    figure, axes = _panels(1, len(kinds), (4.8, 3.2), sharey=True)
    for panel, kind in zip(axes[0], kinds, strict=True):
        for group, encoding in in_order((context.group, context.encoding) for context in contexts):
            rows = select(contexts, kind=kind, group=group, encoding=encoding)
            points = [(row.training_items, Estimate(*np.minimum(row.needed, NEVER))) for row in rows]
            _draw_condition(panel, points, group, encoding)
        _make_logarithmic(panel, [context.training_items for context in select(contexts, kind=kind)])
        ticks = [0, 0.25, 0.5, 0.75, 1]
        panel.set_yticks([*ticks, NEVER], [*(f"{tick:.0%}" for tick in ticks), "never"])
        panel.set(title=f"{kind}s", xlabel="training items", ylabel="tokens given for half retrieval")
        panel.set_ylim(0, NEVER + 0.05)
    finish_figure(figure, axes.flat, path, columns=2 * len(kinds))


def draw_training(path: Path, means: Sequence[MetricRow], chosen: Chosen) -> None:
    """Draw retrieval against the size of the training set, and of studied items against exposures."""
    figure, axes = _panels(len(chosen), 2, (4.8, 2.8), sharey=True)
    for (by_size, by_exposure), choice in zip(axes, chosen.values(), strict=True):
        condition = choice.continuations(MODEL)
        del condition["model"]
        rows = select(means, **condition, metric="retrieved")
        _draw_metric(by_size, latest(rows), "training_items")
        _make_logarithmic(by_size, [row.training_items for row in rows])
        by_size.set(title=f"{choice.kind}s, after most exposures", xlabel="training items", ylabel=LABELS["retrieved"])
        _draw_exposures(by_exposure, [row for row in select(rows, group="studied") if row.exposures is not None])
        by_exposure.set(title=f"studied {choice.kind}s", xlabel="exposures", ylabel=LABELS["retrieved"])
    finish_figure(figure, axes.flat, path, columns=4)


def draw_redundancy(path: Path, redundancy: Sequence[RedundancyRow], chosen: Chosen) -> None:
    """Draw the bits that the rest takes on top of the prompt, in those that it takes alone."""
    figure, axes = _panels(1, 2, (4.8, 3.0), sharey=True)
    for panel, what in zip(axes[0], ("pixel", "token"), strict=True):
        for x, (choice, group) in enumerate(product(chosen.values(), GROUPS)):
            rows = select(redundancy, model=choice.model, given=choice.given, group=group)
            if rows:
                found = redundancies(rows)[what]
                panel.bar(x, found.value, color=GROUP_COLOURS[group], width=0.7, label=group, hatch=HATCHES[group])
                panel.errorbar(x, found.value, error(found), color="black", capsize=3)
        panel.axhline(1, color="0.6", linestyle=":", linewidth=1)
        panel.set_xticks(range(2 * len(chosen)), [f"{group}\n{kind}s" for kind, group in product(chosen, GROUPS)])
        panel.set(title=f"{what}s", ylabel="bits given the prompt / bits alone", ylim=(0, None))
    finish_figure(figure, axes.flat, path)


def draw_audit(path: Path, audit: Sequence[AuditRow], chosen: Chosen) -> None:
    """Draw how much continuations, and truths, have in common with the training item most like them."""
    figure, axes = _panels(len(GROUPS), len(chosen), (4.8, 2.6), sharex=True, sharey=True)
    for of_group, group in zip(axes, GROUPS, strict=True):
        for panel, choice in zip(of_group, chosen.values(), strict=True):
            rows = select(audit, **choice.model_condition(), group=group)
            for index, encoding in enumerate(in_order(row.encoding for row in rows)):
                matching = [row.matching for row in select(rows, encoding=encoding)]
                label = f"continuations, {describe_encoding(encoding)}"
                _draw_histogram(panel, matching, label, color=COLOURS[index], linestyle="--" if index else "-")
            truths = {row.item: row.truth_matching for row in rows}
            _draw_histogram(panel, list(truths.values()), "truths, with other training items", color="0.4", fill=True)
            panel.set(title=f"{group} {choice.kind}s", ylabel="share of them", xlabel="tokens in common")
            panel.xaxis.set_major_formatter("{x:.0%}")
            panel.yaxis.set_major_formatter("{x:.0%}")
    finish_figure(figure, axes.flat, path, columns=1 + len(chosen))


def draw_settings(path: Path, means: Sequence[MetricRow], chosen: Chosen) -> bool:
    """Draw distance between continuations against distance to the truth, a point for each setting, if several are."""
    distance = next(name for name in DISTANCES if select(means, metric=f"truth_{name}", continuation=MODEL))
    rows = select(means, continuation=MODEL, encoding=in_order(row.encoding for row in means)[0])
    settings = in_order(setting_of(row) for row in rows)
    if len(settings) < 2:
        return False
    figure, axes = _panels(1, len(chosen), (4.8, 3.6))
    for panel, choice in zip(axes[0], chosen.values(), strict=True):
        of_choice = select(rows, model=choice.model, given=choice.given)
        for group, (index, setting) in product(GROUPS, enumerate(settings)):
            point = select(of_choice, group=group, **setting_columns(setting))
            truth = select(point, metric=f"truth_{distance}")
            pairwise = select(point, metric=f"pairwise_{distance}")
            if truth and pairwise:
                mark = SETTING_MARKS[index % len(SETTING_MARKS)]
                label = f"{group}, {describe_setting(setting)}"
                style = {"color": GROUP_COLOURS[group], "marker": mark, "label": label}
                _draw_cross(panel, truth[0].estimate, pairwise[0].estimate, style)
        panel.set(title=f"{choice.kind}s", xlabel=f"to the truth: {UNITS[distance]}")
        panel.set_ylabel(f"between continuations: {UNITS[distance]}")
    finish_figure(figure, axes.flat, path)
    return True


def error(found: Estimate) -> Any:
    """Return how far the interval reaches below and above, (2, 1); nothing where there is none."""
    return np.nan_to_num(np.array([[found.value - found.low], [found.high - found.value]]))


def _panels(rows: int, columns: int, size: tuple[float, float], **sharing: Any) -> tuple[Figure, Any]:
    """Return a figure and its (rows, columns) axes, each of `size` in inches."""
    width, height = size
    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False, **sharing)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelleft=True, labelbottom=True, labelsize=8)
        for axis in (panel.xaxis, panel.yaxis):
            axis.label.set_size(9)
    return figure, axes


def _draw_distance(panel: Axes, rows: Sequence[MetricRow], choice: Choice, x: int) -> None:
    """Draw the model with both prompt encodings, and the baselines beside it, around `x`."""
    encodings = in_order(row.encoding for row in rows)
    marks: list[tuple[str, str, dict[str, Any]]] = []
    for encoding in encodings:
        model = {"color": "black", "marker": "o", "label": f"model, {describe_encoding(encoding)}"}
        filling = {} if encoding == "alone" else {"markerfacecolor": "white"}
        marks.append((MODEL, encoding, model | filling))
    for name in BASELINES:
        baseline = {"color": BASELINE_COLOURS[name], "marker": BASELINE_MARKS[name], "label": name}
        marks += [(name, encoding, baseline) for encoding in encodings[:1]]
    offsets = np.linspace(-0.34, 0.34, len(marks))
    for offset, (name, encoding, style) in zip(offsets, marks, strict=True):
        for row in select(rows, **choice.continuations(name), encoding=encoding):
            found = row.estimate
            panel.errorbar(x + offset, found.value, error(found), linestyle="none", markersize=5, **style)


def _along_rows(rows: Iterable[PositionRow], name: str) -> Points:
    """Return means over the columns of each generated row of tokens, in order.

    The mean of the ends of intervals is at least as wide as the interval of the mean.
    """
    by_row: dict[tuple[int, int], list[Estimate]] = {}
    for row in sorted(rows, key=lambda row: (row.latent_frame, row.row)):
        ends = (getattr(row, f"{name}_{end}") for end in ("bits", "low", "high"))
        found = Estimate(*(np.nan if end is None else end for end in ends))
        by_row.setdefault((row.latent_frame, row.row), []).append(found)
    return [(index, Estimate(*np.mean(found, axis=0))) for index, found in enumerate(by_row.values(), start=1)]


def _most_explored(rows: Sequence[MetricRow]) -> str:
    """Return the model that was given the most prompt lengths, of several the one that was trained most."""
    lengths = {row.model: len({other.given for other in select(rows, model=row.model)}) for row in rows}
    return max(rows, key=lambda row: (lengths[row.model], training(row))).model


def _draw_metric(panel: Axes, rows: Sequence[MetricRow], axis: str) -> None:
    """Draw a metric against a column, a line for each group and encoding."""
    for group, encoding in in_order((row.group, row.encoding) for row in rows):
        line = _one_each(select(rows, group=group, encoding=encoding), axis)
        _draw_condition(panel, [(getattr(row, axis), row.estimate) for row in line], group, encoding)
    if rows and rows[0].metric.startswith(SHARES):
        panel.set(ylim=(-0.03, 1.03))
        panel.yaxis.set_major_formatter("{x:.0%}")
    else:
        panel.set_ylim(bottom=0)


def _draw_exposures(panel: Axes, rows: Sequence[MetricRow]) -> None:
    """Draw a line for each size of training set and encoding."""
    sizes = sorted({row.training_items for row in rows})
    for (index, size), encoding in product(enumerate(sizes), in_order(row.encoding for row in rows)):
        line = _one_each(select(rows, training_items=size, encoding=encoding), "exposures")
        points = [(float(row.exposures or 0), row.estimate) for row in line]
        colour = COLOURS[len(GROUPS) + index % (len(COLOURS) - len(GROUPS))]
        style = {"linestyle": "-" if encoding == "alone" else "--", "marker": MARKERS[colour], "markersize": 4}
        _draw_line(panel, points, colour, f"{size} training items, {describe_encoding(encoding)}", **style)
    if rows:
        _make_logarithmic(panel, [float(row.exposures or 0) for row in rows])


def _one_each(rows: Sequence[MetricRow], axis: str) -> list[MetricRow]:
    """Return one row for each value of a column, in order: that of most items."""
    most = {getattr(row, axis): row for row in sorted(rows, key=lambda row: row.items)}
    return [most[value] for value in sorted(most)]


def _draw_condition(panel: Axes, points: Points, group: str, encoding: str) -> None:
    """Draw a line of points, in the colour of its group and the style of its encoding, with its intervals."""
    line, filling = ("-", None) if encoding == "alone" else ("--", "white")
    label = f"{group}, {describe_encoding(encoding)}"
    style = {"linestyle": line, **_marks(group), "markersize": 4, "markerfacecolor": filling}
    _draw_line(panel, points, GROUP_COLOURS[group], label, **style)


def _marks(group: str) -> dict[str, Any]:
    return {"marker": MARKERS[GROUP_COLOURS[group]], "markersize": 3}


def _draw_line(panel: Axes, points: Points, colour: str, label: str, **style: Any) -> None:
    """Draw a line of points and a band of their intervals."""
    if points:
        x = [at for at, _ in points]
        mean, low, high = np.array([found for _, found in points]).T
        panel.plot(x, mean, color=colour, label=label, **style)
        panel.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    if len(points) == 1:
        # A band over one point has no width.
        panel.errorbar(points[0][0], points[0][1].value, error(points[0][1]), color=colour)


def _make_logarithmic(panel: Axes, values: Sequence[float]) -> None:
    """Make the axis of positive values logarithmic, with a tick at each."""
    ticks = sorted(set(values))
    panel.set_xscale("log")
    panel.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


def _draw_histogram(panel: Axes, values: Sequence[float], label: str, fill: bool = False, **style: Any) -> None:
    """Draw the shares of values in twentieths of [0, 1]."""
    counts, edges = np.histogram(values, bins=20, range=(0, 1))
    alpha = 0.25 if fill else 1.0
    panel.stairs(counts / max(len(values), 1), edges, label=label, fill=fill, alpha=alpha, linewidth=1.5, **style)


def _draw_cross(panel: Axes, x: Estimate, y: Estimate, style: dict[str, Any]) -> None:
    """Draw a point with its intervals along both axes."""
    panel.errorbar(x.value, y.value, error(y), error(x), **style)
