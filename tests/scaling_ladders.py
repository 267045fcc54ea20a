"""Ladders whose losses follow a law, as `scaling run` would have written them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.scaling.laws import Law
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.run_table import LadderRow
from storage.files import write_text
from storage.run_folder import open_run
from storage.tables import write_rows

LAW = Law(1.8, 480.0, 2100.0, 0.35, 0.37)
BUDGETS = (1e17, 1e18, 1e19)
WIDTHS = (64, 128, 256, 512)


def make_row(width: int, budget: float, seed: int, loss: float, parameters: int, diverged: bool = False) -> LadderRow:
    """A training of a ladder; of one that diverged the loss is not a number."""
    name = f"width-{width}_all_seed-{seed}"
    data = budget / 6 / parameters
    return LadderRow(
        run=f"{name}_flop-{budget:g}",
        seed=seed,
        parameters=parameters,
        non_embedding_parameters=parameters - 64 * width,
        data=data,
        unique_data=data,
        compute=budget,
        loss=float("nan") if diverged else loss,
        loss_unit="nats per token",
        source=name,
        diverged=diverged,
        bits_per_pixel=float("nan") if diverged else loss / 10,
        why_diverged="loss not finite" if diverged else "",
        budget=budget,
        hours_of_film=10.0,
        epochs=0.5,
        layers=4,
        heads=width // 32,
        width=width,
        steps=100,
        decay_steps=20,
        batch=8,
        learning_rate=1e-3,
        rate_at_width=64,
        tokenizer="counting",
    )


def law_rows(seed: int = 0) -> list[LadderRow]:
    """Trainings of all sizes at all budgets, the losses of which scatter about a law."""
    chance = np.random.default_rng(seed)
    middle = float(LAW.optimum(BUDGETS[1])[0])
    rows = []
    for step, width in enumerate(WIDTHS):
        parameters = round(middle * 3 ** (step - 1.5))
        for budget in BUDGETS:
            loss = float(LAW.loss(parameters, budget / 6 / parameters)) * float(np.exp(chance.normal(0, 0.001)))
            rows.append(make_row(width, budget, seed, loss, parameters))
    return rows


def make_ladder(folder: Path, rows: Sequence[LadderRow], **others: Any) -> Path:
    """A ladder with these trainings, as far as reports look at it."""
    options: dict[str, Any] = {"tokens": Path("tokens"), "widths": WIDTHS, "budgets": BUDGETS, "out": folder, **others}
    open_run(folder, ScalingRunOptions.of(**options))
    write_rows(folder / "runs.csv", rows, LadderRow)
    write_text(folder / "methods.txt", "GPTs of four sizes were trained.\n\nBudgets were three.\n")
    return folder


def diverged(row: LadderRow) -> LadderRow:
    """The same training, which diverged."""
    return replace(make_row(row.width, row.budget, row.seed, row.loss, row.parameters, diverged=True), run=row.run)
