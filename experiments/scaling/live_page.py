"""What the page of a ladder says while it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from experiments.methods import listed
from experiments.pages import Section, embed, percent, without_empty_columns
from experiments.scaling.live_state import Measured, Standing, State, seconds_left
from experiments.scaling.trainings import best_trial
from training.progress import count

NOTHING = "\N{EN DASH}"
BEGUN: tuple[State, ...] = ("under way", "stopped")
STATES: tuple[State, ...] = ("done", "diverged", *BEGUN, "waiting")
CLOCK = "%Y-%m-%d %H:%M:%S"


def progress_in_words(
    standings: Sequence[Standing], measured: Sequence[Measured], refresh: int | None, stopped: bool
) -> str:
    """Return the first paragraphs: how far it is, time spent and left, and whether the page goes on.

    Args:
        standings: where all trainings stand.
        measured: where all measurements stand.
        refresh: seconds after which the page is written again; None where it is not.
        stopped: whether the ladder was stopped.
    """
    how_far = " ".join(filter(None, [_cells(standings), _measurements(measured)]))
    left = any(not one.ended for one in measured)
    return "\n\n".join([how_far, _times(standings, refresh, left), _of_page(refresh, stopped)])


def live_sections(standings: Sequence[Standing], measured: Sequence[Measured], figure: Path) -> list[Section]:
    """Return the sections; the figure is shown if it is there."""
    sections = []
    begun = [one for one in standings if one.state in BEGUN]
    begun_tasks = [one for one in measured if one.state in BEGUN]
    if begun or begun_tasks:
        sections.append(_begun_section(begun, begun_tasks))
    trials = [one for one in standings if one.training.trial is not None]
    if trials:
        sections.append(_rate_section(trials))
    if figure.exists():
        text = (
            "Losses on held-out items of the trainings that are done, a line for each trunk. It is drawn now and then "
            "between trainings, so that what was done last may be missing."
        )
        sections.append(Section("Loss against compute", text, (embed(figure, "Loss against compute"),)))
    sections.append(_cell_section([one for one in standings if one.training.cell is not None]))
    if measured:
        sections.append(_task_section(measured))
    diverged = [one for one in standings if one.state == "diverged"]
    if diverged:
        sections.append(_diverged_section(diverged))
    return sections


def in_time(seconds: float) -> str:
    """Return a duration in words: `45 s`, `12 min`, `3 h 05 min`, `2 days 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h"


def _cells(standings: Sequence[Standing]) -> str:
    cells = [one for one in standings if one.training.cell is not None]
    states = [one.state for one in cells]
    parts = [f"{states.count('done')} of {count(len(cells), 'cell')} done"]
    parts += [f"{states.count(state)} {state}" for state in STATES[1:] if state in states]
    trials = [one for one in standings if one.training.trial is not None]
    trunks = [one for one in standings if one.training.cell is None and one.training.trial is None]
    others = [f"{sum(one.ended for one in trunks)} of {count(len(trunks), 'trunk')} ended"]
    if trials:
        others.insert(0, f"{sum(one.ended for one in trials)} of {count(len(trials), 'trial')} of learning rates ended")
    flop = sum(one.training.flop for one in standings)
    share = sum(one.training.flop if one.ended else one.flop for one in standings) / flop
    return f"{listed(parts)}; {listed(others)}. {percent(share)} of all FLOP are spent."


def _measurements(measured: Sequence[Measured]) -> str:
    """Return how much is measured; empty where nothing is asked for."""
    if not measured:
        return ""
    lost = sum(one.state == "diverged" for one in measured)
    left_out = f"; {lost} are of cells that diverged, and are not made" if lost else ""
    done = sum(one.state == "done" for one in measured)
    return f"{done} of {count(len(measured), 'measurement')} made{left_out}."


def _times(standings: Sequence[Standing], refresh: int | None, to_measure: bool) -> str:
    spent = [one.seconds for one in standings if one.seconds is not None]
    words = f"Time spent in trainings: {in_time(sum(spent))}." if spent else "No time is recorded yet."
    if all(one.ended for one in standings):
        return words
    left = seconds_left(standings)
    if left is None:
        return f"{words} When it ends cannot be told before a training has ended or gone on for a while."
    if refresh is None:
        return f"{words} About {in_time(left)} of training are left."
    ends = time.strftime(CLOCK[:-3], time.localtime(time.time() + left))
    besides = " Measurements take their time besides." if to_measure else ""
    return f"{words} Expected end: {ends}, in {in_time(left)}, at the speed so far of each size.{besides}"


def _of_page(refresh: int | None, stopped: bool) -> str:
    written = f"Written {time.strftime(CLOCK)}"
    if refresh is not None:
        return (
            f"{written}, and again every {refresh} s, which this page follows. Where that time stands still nothing "
            "runs any more: the same command goes on."
        )
    if stopped:
        return f"{written}: stopped before the end. The same command goes on with what is missing."
    return f"{written}: everything has ended, and this page stays as it is."


def _begun_section(begun: Sequence[Standing], measured: Sequence[Measured]) -> Section:
    table = [("what", "state", "step", "loss", "time")]
    for one in begun:
        loss = "" if one.loss is None else f"{one.loss:.4g}"
        spent = "" if one.seconds is None else in_time(one.seconds)
        table.append((one.training.name, one.state, f"{one.step:,} of {one.training.steps:,}", loss, spent))
    table += [(one.name, one.state, "", "", "") for one in measured]
    text = "Losses are those of training items, in nats per token. Steps of a cell count those of its trunk."
    return Section("Under way", text if begun else "", table=without_empty_columns(table))


def _rate_section(trials: Sequence[Standing]) -> Section:
    rates = sorted({one.training.trial.rate for one in trials if one.training.trial})
    sizes: dict[str, dict[float, Standing]] = {}
    for one in trials:
        if one.training.trial:
            sizes.setdefault(one.training.size, {})[one.training.trial.rate] = one
    table = [("size", *(f"{rate:g}" for rate in rates), "trained at")]
    for size, of_size in sizes.items():
        best = best_trial({one.training.trial: one.end for one in of_size.values() if one.training.trial})
        table.append((size, *(_cell(of_size.get(rate)) for rate in rates), "" if best is None else f"{best.rate:g}"))
    text = "Losses on held-out items in nats per token after a short training, a column for each learning rate."
    return Section("Learning rates", text, table=tuple(table))


def _task_section(measured: Sequence[Measured]) -> Section:
    table = [("task", *STATES)]
    for task in dict.fromkeys(one.task for one in measured):
        states = [one.state for one in measured if one.task == task]
        table.append((task, *(str(states.count(state)) if state in states else "" for state in STATES)))
    text = (
        "How many measurements of each task there are. They begin when all cells are trained; tasks.csv has what they "
        "found."
    )
    return Section("Tasks", text, table=without_empty_columns(table))


def _cell_section(cells: Sequence[Standing]) -> Section:
    budgets = sorted({one.training.cell.budget for one in cells if one.training.cell})
    table = [("trunk", *(f"{budget:.3g} FLOP" for budget in budgets))]
    trunks: dict[str, dict[float, Standing]] = {}
    for one in cells:
        if one.training.cell:
            trunks.setdefault(one.training.cell.trunk.name, {})[one.training.cell.budget] = one
    for trunk, of_trunk in trunks.items():
        table.append((trunk, *(_cell(of_trunk.get(budget)) for budget in budgets)))
    text = (
        "Losses on held-out items in nats per token, a column for each budget. "
        f"A {NOTHING} is a size that cannot spend the budget."
    )
    return Section("Cells", text, table=tuple(table))


def _cell(one: Standing | None) -> str:
    if one is None:
        return NOTHING
    return f"{one.end.nll:.4g}" if one.state == "done" and one.end else one.state


def _diverged_section(diverged: Sequence[Standing]) -> Section:
    table = [("training", "what showed it")]
    table += [(one.training.name, one.end.why_diverged if one.end else "") for one in diverged]
    text = "They are not tried again, and no law is fitted to them."
    return Section("Diverged", text, table=tuple(table))
