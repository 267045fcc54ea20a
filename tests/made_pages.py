"""Pages of every kind, small, made by the functions that make them for people, from results that are quickly there."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from completions import first_half, make_completion
from diversity_tables import Simulated
from diversity_tables import make_run as make_diversity_run
from item_memory import answers, learned, write_pictures
from ladders import SMALL, make_counting_store
from memory_lists import make_list
from memory_runs import make_maps, make_stimuli, make_trials
from memory_runs import make_run as make_memory_run
from people_responses import make_choices, make_repeats
from physics_runs import CONTROLS, SimulatedModel, knows
from physics_runs import make_run as make_physics_run
from PIL import Image
from scaling_ladders import law_rows
from scaling_points import log_linear, write_points

from data.drawing import save_image
from data.tokens import TokenStore
from experiments.demo_report import write_demo_report
from experiments.demo_summary import DemoSummary
from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.continuous import run_continuous
from experiments.memory.items.options import ItemsOptions
from experiments.memory.items.report import compare_items
from experiments.memory.observers.options import ContinuousOptions
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.options import DemoOptions
from experiments.people.data_options import PeopleOptions
from experiments.people.table import write_responses
from experiments.physics.options import PhysicsReportOptions
from experiments.physics.reporting.report import report_physics
from experiments.plots import draw_memory_curve
from experiments.scaling.extrapolate import extrapolate
from experiments.scaling.fit import fit_scaling
from experiments.scaling.ladder import make_ladder
from experiments.scaling.live import PAGE, draw_ladder, write_page
from experiments.scaling.live_state import Measured, Standing, trainings_of
from experiments.scaling.options import (
    ScalingExtrapolateOptions,
    ScalingFitOptions,
    ScalingRunOptions,
    ScalingTasksOptions,
)
from experiments.scaling.report import report_scaling
from experiments.scaling.report_options import ScalingReportOptions
from experiments.scaling.run_table import LadderRow
from experiments.scaling.tasks import classify_all
from experiments.scaling.trainings import End
from experiments.statistics.accuracy import accuracies
from experiments.statistics.outcomes import collect
from sampling.gallery import GalleryItem, show_grid, show_item, write_gallery
from sampling.options import CompleteOptions
from sampling.pages import facts_of
from storage.tables import write_rows, write_table


def memory_page(folder: Path) -> Path:
    """Of models and people, with images and maps."""
    trials = make_trials(exposures=1, readouts=("weights", "familiarity"), changes=("none", "mirror"))
    stimuli = make_stimuli(folder / "list", trials)
    runs = [
        make_memory_run(folder / f"run{rate}", trials, learning_rate=rate, stimuli=stimuli) for rate in (0.001, 0.0003)
    ]
    make_maps(runs[0] / "runs" / "as_given_0", [trial for trial in trials if trial.version == "as_given"])
    write_responses(folder / "people.csv", make_choices(items=6, conditions=("novel", "state")) + make_repeats())
    data = PeopleOptions(people=(folder / "people.csv",))
    return report_memory(ReportOptions(tuple(runs), folder / "out", data)) / "report.html"


def items_page(folder: Path) -> Path:
    memorability = [number / 16 for number in range(16)]
    stimuli = write_pictures(folder / "list", 4)
    run = make_memory_run(folder / "run", learned(memorability, 4, seeds=3, noise=0.3), stimuli=stimuli)
    write_responses(folder / "people.csv", answers(memorability, 4, 12))
    few: dict[str, Any] = {"resamples": 100, "splits": 10}
    asked = ItemsOptions(runs=(run,), out=folder / "out", data=PeopleOptions(people=(folder / "people.csv",)), **few)
    return compare_items(asked) / "report.html"


def continuous_page(folder: Path) -> Path:
    stimuli = make_list(folder / "list", items=6)
    run_continuous(ContinuousOptions.of(stimuli=stimuli, out=folder / "out", observer="template", seeds=2, size=8))
    return folder / "out" / "report.html"


def diversity_page(folder: Path) -> Path:
    small: dict[str, Any] = {"items": 3, "given": (2,)}
    runs = (Simulated(**small), Simulated(kind="image", model="image", **small))
    folders = tuple(make_diversity_run(folder / "runs", run) for run in runs)
    return report_diversity(DiversityReportOptions(folders, folder / "report")) / "report.html"


def physics_page(folder: Path) -> Path:
    run = make_physics_run(folder / "run", SimulatedModel("gpt", knows), *CONTROLS)
    return report_physics(PhysicsReportOptions((run,), folder / "report")) / "report.html"


def scaling_page(folder: Path) -> Path:
    table = write_points(folder / "curve.csv", log_linear)
    asked = ScalingExtrapolateOptions.of(table=table, target=(0.9,), draws=200, out=folder / "carried")
    return report_scaling(ScalingReportOptions((extrapolate(asked),), folder / "out")) / "index.html"


def fit_page(folder: Path) -> Path:
    write_rows(folder / "runs.csv", law_rows(), LadderRow)
    return fit_scaling(ScalingFitOptions(folder / "runs.csv", folder / "out", draws=200)) / "page.html"


def tasks_page(folder: Path) -> Path:
    rows = [
        {"task": "counting", "flop": 10.0**log, "seed": seed, "accuracy": 0.2 + 0.05 * (log - 15) + 0.01 * seed}
        for log in range(15, 20)
        for seed in range(2)
    ]
    write_table(folder / "tasks.csv", rows, list(rows[0]))
    return (
        classify_all(ScalingTasksOptions(folder / "tasks.csv", folder / "out", draws=99, simulations=0)) / "page.html"
    )


def live_page(folder: Path) -> Path:
    """Of a ladder of which each training stands elsewhere."""
    store = make_counting_store(folder / "store")
    asked = ScalingRunOptions.of(tokens=store, out=folder / "run", **SMALL, unique_tokens=(256,), seeds=2)
    trainings = list(trainings_of(asked, make_ladder(asked, TokenStore(store))))
    cells = [training for training in trainings if training.cell]
    done, lost = End(2.5, 0.25, ""), End(float("nan"), float("nan"), "loss not finite")
    standings = [
        Standing(cells[0], "done", cells[0].steps, 2.4, done, 60.0),
        Standing(cells[1], "diverged", 3, None, lost, 5.0),
        Standing(cells[2], "under way", cells[2].first + 1, 3.0, None, 10.0),
        *(Standing(training, "waiting", 0, None, None, None) for training in trainings if training not in cells[:3]),
    ]
    draw_ladder(asked.out, standings)
    write_page(asked, standings, 600, stopped=False, measured=[Measured("nll of a cell", "nll", "waiting")])
    return asked.out / PAGE


def demo_page(folder: Path, videos: Path | None = None, conditions: Sequence[str] = ("novel", "state")) -> Path:
    """The demo's page, of memory in such conditions."""
    shown = make_completion(first_half(), grid=(2, 2, 2))
    for kind in ("clip", "image"):
        for group in ("new", "studied"):
            show_item(shown, "a", 8.0, folder / "completions" / f"{kind}_{group}" / "items", "item")
            show_grid([shown], ["a"], folder / "completions" / f"{kind}_{group}")
    save_image(folder / "reconstructions" / "reconstructions.png", Image.new("RGB", (8, 8)))
    numbers: dict[str, Any] = {field.name: 1.0 for field in fields(DemoSummary)}
    empty: dict[str, Any] = {"memory": {}, "memory_ci": {}, "diversity": {}, "seconds": {}, "adaptation": None}
    results = accuracies(collect(make_trials(2, 1, conditions)))
    draw_memory_curve(folder / "memory" / "curve.png", results)
    write_demo_report(DemoOptions.of(out=folder, videos=videos), DemoSummary(**{**numbers, **empty}), results)
    return folder / "report.html"


def gallery_page(folder: Path) -> Path:
    asked = CompleteOptions.of(gpt=Path("runs/gpt"), tokenizer=Path("runs/tok"), input=(Path("videos"),), out=folder)
    entries = []
    for index in range(2):
        show_item(
            make_completion(first_half(), grid=(2, 2, 2)), f"clip {index}", 8.0, folder / "items", f"item_{index}"
        )
        entries.append(GalleryItem(f"clip {index}", f"item_{index}", True, 0.5, 0.25, 12.0, f"videos/{index}.mp4"))
    write_gallery(folder, entries, "half-clip: 2 items", facts_of(asked, model="runs/gpt (01234567)"))
    return folder / "index.html"


PAGES: dict[str, Callable[[Path], Path]] = {
    "memory": memory_page,
    "items": items_page,
    "continuous": continuous_page,
    "diversity": diversity_page,
    "physics": physics_page,
    "scaling": scaling_page,
    "fit": fit_page,
    "tasks": tasks_page,
    "live": live_page,
    "demo": demo_page,
    "gallery": gallery_page,
}
"""What makes each kind of page in a folder, and returns its file."""
