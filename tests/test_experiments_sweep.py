"""Sweeps: all combinations, each once, continued and extended, here or as tasks of a Slurm array."""

import csv
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_lists import make_list
from memory_runs import make_accuracy

import secondsight
from experiments.memory.options import MemoryOptions, ReportOptions, SweepOptions
from experiments.memory.sweep import SweepError, run_sweep, sweep_cells, sweep_steps
from experiments.memory.sweep_table import CellEnd, print_table
from experiments.statistics.trials import read_trials
from gpt.config import PRESETS, GPTConfig
from gpt.model import GPT
from storage.command import arguments_of
from storage.terminal import visible


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list", items=1, fillers=0)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toddler" / "final"
    GPT(GPTConfig(layers=1, heads=1, width=8, grid=(1, 4, 4), vocab_size=8)).save_pretrained(folder)
    return folder


def make_sweep(stimuli: Path, out: Path, **others: Any) -> SweepOptions:
    settings = {"stimuli": (stimuli,), "presets": ("demo",), "colours": 8, "size": 4, "exposures": 1}
    return SweepOptions.of(out=out, **(settings | others))


def table(out: Path) -> list[dict[str, str]]:
    with (out / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_combination_is_a_cell() -> None:
    lists = (Path("a/brady_1"), Path("a/brady_2"))
    options = SweepOptions.of(
        out=Path("out"),
        stimuli=lists,
        presets=("tiny",),
        gpts=(Path("runs/say/final"), Path("runs/say/checkpoints/000500")),
        learning_rates=(1e-3, 3e-5),
        batches=(1, 16),
        replay=3,
        seeds=2,
    )
    cells = sweep_cells(options)
    assert len(cells) == 2 * 3 * 2 * 2
    assert cells[0] == MemoryOptions.of(
        stimuli=lists[0],
        out=Path("out/cells/brady_1_tiny_rate-0.001_batch-1"),
        **PRESETS["tiny"].flat(),
        learning_rate=1e-3,
        batch=1,
        replay=3,
        seeds=2,
        resume="auto",
    )
    assert {cell.out.name.split("_")[2] for cell in cells} == {"tiny", "say", "say-000500"}


def test_a_cell_is_called_what_its_gpt_is_called_on_the_hub() -> None:
    options = SweepOptions.of(out=Path("out"), stimuli=(Path("list"),), gpts=(Path("hf:me/gpt@refs/pr/1"),))
    (cell,) = sweep_cells(options)
    assert (cell.gpt, cell.out.name) == (Path("hf:me/gpt@refs/pr/1"), "list_me-gpt@refs-pr-1_rate-0.0003_batch-2")


def test_random_sequences_can_be_swept() -> None:
    (cell,) = sweep_cells(SweepOptions.of(out=Path("out"), presets=("tiny",), noise=2500))
    assert (cell.stimuli, cell.material.noise, cell.out.name) == (None, 2500, "noise-2500_tiny_rate-0.0003_batch-2")


def test_cells_of_the_root_lie_in_their_sweep() -> None:
    (cell,) = sweep_cells(SweepOptions.of(out=Path("out"), presets=("tiny",), stimuli=(Path("/"),)))
    assert cell.out.parent == Path("out/cells")


def test_folders_of_the_same_name_are_refused() -> None:
    options = SweepOptions(out=Path("out"), stimuli=(Path("a/list"), Path("b/list")), presets=("tiny",))
    with pytest.raises(SweepError, match=r"two combinations would be called list_tiny_rate-0\.0003_batch-2"):
        sweep_cells(options)


def test_the_table_has_the_options_that_differ(stimuli: Path, gpt: Path, tmp_path: Path) -> None:
    run_sweep(make_sweep(stimuli, tmp_path, gpts=(gpt,), batches=(1, 4), exposures=2))
    rows = table(tmp_path)
    assert len(rows) == 2 * 2 * 2
    assert list(rows[0])[:5] == ["cell", "gpt", "preset", "batch", "readout"]
    assert {row["exposure"] for row in rows} == {"2"}
    for row in rows:
        trials = read_trials(tmp_path / "cells" / row["cell"] / "trials.csv")
        correct = [trial.correct for trial in trials if (trial.condition, trial.exposure) == (row["condition"], 2)]
        assert float(row["accuracy"]) == pytest.approx(sum(correct) / len(correct))


def test_a_sweep_that_is_asked_for_more_does_only_what_is_missing(
    stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = make_sweep(stimuli, tmp_path)
    run_sweep(options)
    first = tmp_path / "cells" / "list_demo_rate-0.0003_batch-2" / "trials.csv"
    before = first.stat().st_mtime_ns
    run_sweep(options.changed(batches=(2, 4)))
    assert first.stat().st_mtime_ns == before
    assert {row["batch"] for row in table(tmp_path)} == {"2", "4"}
    printed = capsys.readouterr()
    assert "list_demo_rate-0.0003_batch-4" in printed.out
    assert "cells        2, 1 of them finished" in printed.err
    assert printed.err.endswith(f"{tmp_path} is ready; next: secondsight memory report {tmp_path} --out REPORT\n")


def test_a_finished_cell_of_other_options_is_refused(stimuli: Path, tmp_path: Path) -> None:
    run_sweep(make_sweep(stimuli, tmp_path))
    with pytest.raises(SweepError, match="--exposures 1 -> 2"):
        run_sweep(make_sweep(stimuli, tmp_path, exposures=2))


def test_a_cell_that_fails_does_not_stop_the_others(stimuli: Path, tmp_path: Path) -> None:
    options = make_sweep(stimuli, tmp_path, gpts=(tmp_path / "none",))
    with pytest.raises(SweepError, match=r"1 of 2 cells failed: list_none_rate-0.0003_batch-2: .*none holds no model"):
        run_sweep(options)
    assert {row["cell"] for row in table(tmp_path)} == {"list_demo_rate-0.0003_batch-2"}


def test_a_slurm_task_carries_out_its_line(stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a sweep"
    run_sweep(make_sweep(stimuli, out, batches=(1, 2), slurm=True))
    jobs = out / "jobs"
    assert f"4 tasks in 3 steps: bash '{jobs / 'submit.sh'}'" in capsys.readouterr().out
    assert "#SBATCH --array=0-1\n" in (jobs / "cells.sbatch").read_text()
    assert not (out / "cells").exists()
    task = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_ID": "1", "PATH": os.environ["PATH"]}
    subprocess.run(["bash", jobs / "cells.sbatch"], check=True, env=task, capture_output=True)
    assert [path.parent.name for path in out.glob("cells/*/trials.csv")] == ["list_demo_rate-0.0003_batch-2"]


def test_the_steps_of_a_sweep_are_cells_table_and_report(stimuli: Path) -> None:
    options = make_sweep(stimuli, Path("out"), batches=(1, 2), slurm=True)
    cells, *later = sweep_steps(options)
    assert list(cells.commands) == sweep_cells(options)
    said = [secondsight.parse(arguments_of(command)) for step in later for command in step.commands]
    report = ReportOptions(runs=(Path("out"),), out=Path("out/report"))
    assert said == [options.changed(slurm=False), report]


@given(
    stimuli=st.one_of(st.none(), st.sampled_from([Path("a list"), Path("/data/brady_1")])),
    rate=st.floats(0, 1, allow_subnormal=False),
    changes=st.lists(st.sampled_from(["jpeg-50", "mirror"]), unique=True).map(tuple),
    layer=st.one_of(st.none(), st.integers(1, 48)),
    flags=st.booleans(),
)
@settings(max_examples=15)  # a parser of all options takes its time
def test_a_command_line_means_its_options(
    stimuli: Path | None, rate: float, changes: tuple[Any, ...], layer: int | None, flags: bool
) -> None:
    options = MemoryOptions.of(
        stimuli=stimuli,
        out=Path("out"),
        **PRESETS["alef"].flat(),
        noise=None if stimuli else 9,
        changes=changes if stimuli else (),
        learning_rate=rate,
        store_layer=layer,
        exclude_defects=flags,
        optimizer="sgd",
        resume="auto",
    )
    assert secondsight.parse(arguments_of(options)) == options


def test_a_sweep_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="a sweep needs models"):
        SweepOptions(out=Path("out"), stimuli=(Path("list"),))


@pytest.mark.parametrize("name", ["learning_rates", "batches"])
def test_a_sweep_over_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} needs at least one value"):
        SweepOptions(out=Path("out"), stimuli=(Path("list"),), presets=("tiny",), **{name: ()})


@pytest.mark.parametrize("name", ["[/x] [bold]a", ":smile:", "\x1b[31m\nb"])
def test_the_table_on_a_terminal_shows_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = make_accuracy(0.5, 0.4, 0.6, condition=name)
    print_table([CellEnd(name, {}, accuracy)])
    shown = "".join(capsys.readouterr())
    assert shown.count(visible(name)) == 2
    assert "\x1b" not in shown
