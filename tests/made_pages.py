"""Pages of every kind, small, made by the functions that make them for people, from results that are quickly there."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from completions import first_half, make_completion
from diversity_tables import Simulated
from diversity_tables import make_run as make_diversity_run
from memory_runs import make_run as make_memory_run
from memory_runs import make_trials
from physics_runs import CONTROLS, SimulatedModel, knows
from physics_runs import make_run as make_physics_run
from PIL import Image
from scaling_points import log_linear, write_points

from data.drawing import save_image
from experiments.demo_report import write_demo_report
from experiments.demo_summary import DemoSummary
from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.options import DemoOptions
from experiments.physics.options import PhysicsReportOptions
from experiments.physics.reporting.report import report_physics
from experiments.plots import draw_memory_curve
from experiments.scaling.extrapolate import extrapolate
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.report import report_scaling
from experiments.scaling.report_options import ScalingReportOptions
from experiments.statistics.accuracy import accuracies
from experiments.statistics.outcomes import collect
from sampling.gallery import GalleryItem, show_grid, show_item, write_gallery
from sampling.options import CompleteOptions
from sampling.pages import facts_of


def memory_page(folder: Path) -> Path:
    trials = make_trials(exposures=1, readouts=("weights", "familiarity"), changes=("none", "mirror"))
    runs = [make_memory_run(folder / f"run{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return report_memory(ReportOptions(tuple(runs), folder / "out")) / "report.html"


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
    "diversity": diversity_page,
    "physics": physics_page,
    "scaling": scaling_page,
    "demo": demo_page,
    "gallery": gallery_page,
}
"""What makes each kind of page in a folder, and returns its file."""
