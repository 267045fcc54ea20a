"""Results of tiny seeded runs, recorded so that a change which is meant to alter no result can prove it.

After a change that is meant to alter results, record them anew, look at what changed, and say so in the commit:

    .venv/bin/python tests/golden.py
    git diff tests/golden.json
"""

import csv
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diversity_runs import make_trained, run_options
from memory_lists import make_list, make_options
from tiny import GPT_SHORT, SHORT, make_images, make_store

from experiments.demo import DemoSizes, run_demo
from experiments.diversity.experiment import run_diversity
from experiments.memory.experiment import run_memory
from experiments.options import DemoOptions
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from vqgan.options import TrainOptions
from vqgan.train import train as train_tokenizer

RECORDED = Path(__file__).with_name("golden.json")
DIGITS = 8
SMALL_DEMO = DemoSizes(clips=4, objects=2, tokenizer_steps=2, gpt_steps=2, exposures=1, items=2, continuations=2)

Numbers = dict[str, list[float]]
"""Values by name, in order."""


def tokenizer_curve(folder: Path) -> Numbers:
    """Every metric of a tokenizer trained for 20 steps, the discriminators from step 10 on."""
    train_tokenizer(
        TrainOptions.of(
            data=make_images(folder / "images", 12),
            out=folder / "run",
            **replace(SHORT, codes=64).flat(),
            steps=20,
            batch=4,
            crop=8,
            warmup=5,
            continuous_steps=4,
            log_every=1,
            save_every=10,
            adversarial_weight=0.5,
            adversarial_start=10,
            adversarial_ramp=4,
            discriminator_width=4,
            discriminator_layers=2,
        )
    )
    return metrics(folder / "run")


def gpt_curve(folder: Path) -> Numbers:
    """Every metric of a GPT trained for 20 steps, with dropout and the batch in two parts."""
    train_and_watch(
        GPTTrainOptions.of(
            tokens=make_store(folder / "store"),
            out=folder / "run",
            **replace(GPT_SHORT, dropout=0.1).flat(),
            steps=20,
            batch=4,
            grad_accumulation=2,
            warmup=5,
            log_every=1,
            save_every=10,
        )
    )
    return metrics(folder / "run")


def memory_tables(folder: Path) -> Numbers:
    """What a memory run writes of two exposures, with a store, a change, recall and a second list."""
    stimuli, second = make_list(folder / "list"), make_list(folder / "second", seed=5)
    others = {"store_layer": 1, "changes": ("mirror",), "recall": 2, "then": second, "then_exposures": 1}
    run_memory(make_options(stimuli, folder / "run", **others))
    return {
        **columns(folder / "run" / "trials.csv", "nll_studied", "nll_foil", "correct"),
        **columns(folder / "run" / "accuracy.csv", "accuracy", "low", "high", "low_images", "high_images"),
        **columns(folder / "run" / "recall.csv", "distance", "best_of_all_distance", "identified"),
    }


def diversity_tables(folder: Path) -> Numbers:
    """What a diversity run of four studied and four new images writes, with two sampling settings and old noise."""
    run_diversity(
        run_options(make_trained(folder / "trained", "image"), folder / "run", top_ps=(1.0, 0.6), noise="inverse")
    )
    return {
        **columns(folder / "run" / "items.csv", *DISTANCES, "retrieved", "entropy_bits", "truth_bits"),
        **columns(folder / "run" / "positions.csv", "entropy_bits", "entropy_low", "truth_bits", "truth_high"),
        **columns(folder / "run" / "audit.csv", "matching", "truth_matching"),
        **columns(folder / "run" / "redundancy.csv", "pixel_bits_given", "token_bits_given"),
    }


def demo_summary(folder: Path) -> Numbers:
    """The figures of the demo, made small."""
    run_demo(DemoOptions(folder), SMALL_DEMO)
    return summary_numbers(folder)


def summary_numbers(folder: Path) -> Numbers:
    """The figures of a finished demo."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return numbers({name: value for name, value in summary.items() if name not in ("seconds", "peak_memory_gb")})


DISTANCES = tuple(f"{of}_{space}" for of in ("pairwise", "truth", "best", "identified") for space in ("pixel", "token"))

RUNS: dict[str, Callable[[Path], Numbers]] = {
    "tokenizer_curve": tokenizer_curve,
    "gpt_curve": gpt_curve,
    "memory_tables": memory_tables,
    "diversity_tables": diversity_tables,
    "demo_summary": demo_summary,
}


TOLERANCES = {"memory_tables": 2e-3, "demo_summary": 2e-2}
"""How far values may lie from those recorded; 1e-5 elsewhere. Processors round differently, and these runs learn so
much that the fourth digit differs, and with it some of the tokens that the demo draws."""
DRAWN = "/identified"
"""Ending of the names of shares of a few drawn items, which one other token changes."""


def check(run: str, found: Numbers) -> None:
    """Compare what a run gave with what is recorded."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))[run]
    assert found.keys() == recorded.keys()
    tolerance = TOLERANCES.get(run, 1e-5)
    for name, values in found.items():
        if not (run == "demo_summary" and name.endswith(DRAWN)):
            assert values == pytest.approx(recorded[name], rel=tolerance, abs=tolerance), name


def metrics(run: Path) -> Numbers:
    """The metrics of a run by name; the step and the learning rate are no results."""
    found: Numbers = {}
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        for name, value in json.loads(line).items():
            if name not in ("step", "learning_rate"):
                found.setdefault(name, []).append(value)
    return found


def numbers(value: Any, name: str = "") -> Numbers:
    """The numbers within dictionaries and lists, by the path of keys to them."""
    if isinstance(value, dict):
        return {path: found for key in value for path, found in numbers(value[key], f"{name}/{key}").items()}
    return {name: value if isinstance(value, list) else [value]}


def columns(table: Path, *names: str) -> Numbers:
    """Columns of a table by the table's and their own names, without empty cells."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {f"{table.stem}: {name}": [float(row[name]) for row in rows if row[name]] for name in names}


def record() -> None:
    """Run everything and write down what came out."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {name: run(Path(folder) / name) for name, run in RUNS.items()}
    rounded = {
        run: {name: [float(f"{value:.{DIGITS}g}") for value in values] for name, values in of_run.items()}
        for run, of_run in found.items()
    }
    RECORDED.write_text(json.dumps(rounded, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
