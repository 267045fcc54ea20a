"""In which numbers a learner studies and is tested; models are tiny, as bf16 is slow on processors without it."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from memory_lists import make_list, make_options

from experiments.memory.experiment import run_memory
from experiments.memory.learner import begin_learner
from experiments.memory.material import encode_lists, read_lists
from experiments.memory.merge import model_names, read_run_folders
from experiments.memory.options import MemoryOptions, SweepOptions
from experiments.memory.run import MemoryRun
from experiments.memory.sweep import SweepError, run_sweep
from experiments.memory.sweep_table import write_sweep
from experiments.statistics.trials import read_trials
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.scoring import score_tokens
from storage.run_folder import RunFolderError
from training.precision import bf16_speed, choose_precision
from training.processes import best_device

NOISE: dict[str, Any] = {"noise": 3, "noise_length": 16, "noise_codes": 8}
SMALL: dict[str, Any] = {"layers": 1, "heads": 1, "width": 16, "exposures": 1}
IDENTITY = "2abb374ae81866b90970830a1126983093f465e8e89ddf071b3a5d17650b41a5"
"""Of a run of three random sequences, before there was a choice."""


def asked(out: Path, **others: Any) -> MemoryOptions:
    return make_options(None, out, **{**NOISE, **SMALL, **others})


def prepared(options: MemoryOptions) -> MemoryRun:
    lists = read_lists(options)
    return MemoryRun(options.out, encode_lists(lists, options), lists.first, "as_given", 0, options)


def recorded(out: Path) -> str:
    return str(json.loads((out / "config.json").read_text())["precision"])


def scores(out: Path) -> list[float]:
    return [row.nll_studied for row in read_trials(out / "trials.csv")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in fp32."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run_memory(asked(out))
    return out


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in bf16."""
    out = tmp_path_factory.mktemp("half") / "run"
    run_memory(asked(out, precision="bf16!"))
    return out


@pytest.fixture(scope="module")
def unlearned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs in fp32 and bf16 that leave the weights as they are, so that nothing differs but what is tested."""
    folder = tmp_path_factory.mktemp("unlearned")
    stimuli = make_list(folder / "list", items=1)
    how = {**SMALL, "learning_rate": 0.0, "recall": 2}
    for name in ("fp32", "bf16!"):
        run_memory(make_options(stimuli, folder / name, precision=name, **how))
    return folder / "fp32", folder / "bf16!"


def test_unless_asked_for_it_is_fp32(whole: Path) -> None:
    assert recorded(whole) == "fp32"


def test_a_run_in_fp32_is_the_run_that_it_was_before_there_was_a_choice() -> None:
    options = make_options(None, Path("out"), **NOISE)
    assert prepared(options).identity == IDENTITY
    assert prepared(options.changed(precision="bf16")).identity != IDENTITY


def test_settings_name_a_precision_that_runs_of_before_do_not_have() -> None:
    assert "precision" not in asked(Path("out")).settings("model", "run")
    assert asked(Path("out"), precision="bf16").settings("model")["precision"] == "bf16"


def test_a_run_in_bf16_has_other_numbers_but_close(whole: Path, half: Path) -> None:
    assert recorded(half) == "bf16"
    assert scores(half) != scores(whole)
    assert scores(half) == pytest.approx(scores(whole), rel=0.02)


def test_what_is_tested_is_computed_in_what_is_studied_in(unlearned: tuple[Path, Path]) -> None:
    whole, half = map(scores, unlearned)
    assert whole != half
    assert half == pytest.approx(whole, rel=0.02)


def test_recall_samples_in_fp32_whatever_the_learner_studies_in(unlearned: tuple[Path, Path]) -> None:
    whole, half = unlearned
    assert (half / "recall.csv").read_bytes() == (whole / "recall.csv").read_bytes()


def test_weights_gradients_and_losses_stay_in_fp32(tmp_path: Path) -> None:
    run = prepared(asked(tmp_path, precision="bf16"))
    learner, _ = begin_learner(run.options, run.material, 0, tmp_path / "state")
    run.present(learner, 1)
    losses = score_tokens(learner.gpt, run.items.to(learner.device))[:, learner.gpt.first_scored :]
    assert {weight.dtype for weight in learner.gpt.parameters()} == {torch.float32}
    assert {weight.grad.dtype for weight in learner.gpt.parameters() if weight.grad is not None} == {torch.float32}
    assert not torch.equal(losses, losses.bfloat16().float())


def test_a_store_knows_again_what_a_learner_in_bf16_reads(tmp_path: Path) -> None:
    run_memory(asked(tmp_path / "run", precision="bf16!", store_layer=1))
    rows = [row for row in read_trials(tmp_path / "run" / "trials.csv") if row.readout == "familiarity"]
    assert {row.correct for row in rows if row.exposure == 1} == {1.0}


@pytest.mark.parametrize(("began", "now"), [("fp32", "bf16!"), ("bf16", "fp32")])
def test_a_run_does_not_go_on_in_another_precision(began: str, now: str, whole: Path, half: Path) -> None:
    out = whole if began == "fp32" else half
    change = rf"\(--precision {began} -> {now.removesuffix('!')}\)"
    with pytest.raises(RunFolderError, match=rf"^the run in \S+ was started with other options {change}: give [^\n]*$"):
        run_memory(asked(out, precision=now, resume="auto"))


def test_auto_keeps_fp32_of_a_run_of_before_there_was_a_choice(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_memory(asked(tmp_path / "run"))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["precision"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    (tmp_path / "run" / "trials.csv").unlink()
    run_memory(asked(tmp_path / "run", precision="auto", resume="auto"))
    assert recorded(tmp_path / "run") == "fp32"
    assert "precision    fp32, " in capsys.readouterr().err
    assert scores(tmp_path / "run") == scores(whole)


def test_what_auto_chose_is_recorded_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen, why = choose_precision("auto", best_device())
    run_memory(asked(tmp_path / "run", precision="auto"))
    assert recorded(tmp_path / "run") == chosen
    assert f"precision    {chosen}, {why}\n" in capsys.readouterr().err


def test_auto_goes_on_in_bf16_only_where_that_is_no_slower(half: Path) -> None:
    options = asked(half, precision="auto", resume="auto")
    if best_device().type == "cpu" and bf16_speed(torch.device("cpu")) < 1:
        with pytest.raises(ValueError, match=r"^the run began in bf16, which is 0\.\d+x .* give --precision bf16!"):
            run_memory(options)
    else:
        run_memory(options)
    assert recorded(half) == "bf16"


def test_a_run_in_bf16_goes_on_as_it_began_where_one_insists(half: Path) -> None:
    before = scores(half)
    (half / "trials.csv").unlink()
    run_memory(asked(half, precision="bf16!", resume="auto"))
    assert scores(half) == before


def test_bf16_is_refused_where_it_is_slower(tmp_path: Path) -> None:
    options = asked(tmp_path / "run", precision="bf16")
    if best_device().type == "cpu" and bf16_speed(torch.device("cpu")) < 1:
        with pytest.raises(ValueError, match=r"^--precision bf16 is 0\.\d+x as fast as fp32 on this processor: give"):
            run_memory(options)
        assert not options.out.exists()
    else:
        run_memory(options)
        assert recorded(options.out) == "bf16"


def test_models_of_two_precisions_are_told_apart_by_name(whole: Path, half: Path) -> None:
    assert model_names(read_run_folders([whole, half])) == ["precision fp32", "precision bf16"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepOptions:
    """A finished sweep in bf16."""
    folder = tmp_path_factory.mktemp("sweep")
    GPT(GPTConfig(layers=1, heads=1, width=8, grid=(1, 4, 4), vocab_size=8)).save_pretrained(folder / "gpt")
    how = {**NOISE, "exposures": 1, "precision": "bf16!"}
    options = SweepOptions.of(out=folder / "sweep", gpts=(folder / "gpt",), **how)
    run_sweep(options)
    return options


@pytest.mark.parametrize("again", ["auto", "bf16", "bf16!"])
def test_finished_cells_of_a_sweep_are_kept_on_any_machine(again: str, sweep: SweepOptions) -> None:
    """The table is made where no cell is computed, maybe on a processor that is slow in bf16."""
    (cell,) = (sweep.out / "cells").iterdir()
    before = (cell / "trials.csv").stat().st_mtime_ns
    run_sweep(sweep.changed(precision=again))
    assert ((cell / "trials.csv").stat().st_mtime_ns, recorded(cell)) == (before, "bf16")


def test_finished_cells_of_another_precision_are_refused(sweep: SweepOptions) -> None:
    with pytest.raises(SweepError, match=r"--precision bf16 -> fp32"):
        run_sweep(sweep.changed(precision="fp32"))


def test_cells_that_differ_in_precision_alone_have_it_in_the_table(whole: Path, half: Path, tmp_path: Path) -> None:
    for run in (whole, half):
        shutil.copytree(run, tmp_path / "cells" / run.parent.name)
    write_sweep(tmp_path)
    with (tmp_path / "sweep.csv").open(newline="") as file:
        assert {row["precision"] for row in csv.DictReader(file)} == {"fp32", "bf16"}
