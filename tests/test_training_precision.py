"""In which numbers a training computes: what `auto` chooses, that a run keeps it, and that it ends with it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny import GPT_SHORT, make_store
from torch import Tensor

from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import train
from training.options import TrainingOptions
from training.precision import (
    choose_precision,
    forget_earlier_trainings,
    has_bf16,
    recorded_precision,
)
from training.products import exact_products, precision_of_products

CPU = torch.device("cpu")


def take_no_samples(gpt: GPT, held: Tensor, path: Path) -> None:
    pass


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    chosen = {**GPT_SHORT.flat(), "steps": 2, "batch": 4, "warmup": 1, "save_every": 1}
    return TrainOptions.of(tokens=store, out=out, **{**chosen, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


def recorded(run: Path) -> Any:
    return json.loads((run / "config.json").read_text())["precision"]


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked: Any) -> None:
    assert choose_precision(asked, CPU).precision == asked


def test_auto_is_bf16_where_the_device_is_fast_in_it() -> None:
    assert choose_precision("auto", CPU).precision == ("bf16" if has_bf16(CPU) else "fp32")


def test_a_device_that_nobody_knows_computes_in_fp32() -> None:
    assert choose_precision("auto", torch.device("meta")).precision == "fp32"


def test_a_cpu_has_no_tf32() -> None:
    with pytest.raises(ValueError, match=r"--precision tf32 needs an NVIDIA GPU.* computes on cpu: give fp32, bf16 or"):
        choose_precision("tf32", CPU)


def test_one_process_trains_in_one_precision_after_another(store: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16", "fp32"):
        train(options(store, tmp_path / "run", precision=precision, overwrite=True), take_no_samples)
        assert Accelerator().mixed_precision == ("bf16" if precision == "bf16" else "no")
    forget_earlier_trainings()
    assert Accelerator().mixed_precision == "no"


def test_what_was_chosen_is_said_and_recorded(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(options(store, tmp_path, precision="auto"), take_no_samples)
    chosen = choose_precision("auto", CPU)
    assert recorded(tmp_path) == chosen.precision
    assert f"precision    {chosen.precision}, {chosen.why}\n" in capsys.readouterr().err


@pytest.mark.parametrize("begun", ["fp32", "bf16"])
def test_a_run_that_goes_on_keeps_its_precision_and_says_where_it_would_be_another(
    begun: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, precision=begun), take_no_samples)
    train(options(store, tmp_path, precision="auto", steps=3, resume="auto"), take_no_samples)
    here = choose_precision("auto", CPU).precision
    said = f"{begun}, as the run began; begun on this machine it would be {here}" if begun != here else f"{here}, "
    assert f"precision    {said}" in capsys.readouterr().err
    assert recorded(tmp_path) == begun


def test_nothing_is_said_of_a_precision_that_was_asked_for(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path), take_no_samples)
    assert "precision" not in capsys.readouterr().err


def test_a_start_that_failed_has_no_precision_to_keep(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"precision": "bf16"}')
    assert recorded_precision(TrainingOptions(), tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"precision": "auto"}', "{}"])
def test_a_record_that_names_none_is_no_precision_to_keep(content: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "000001").mkdir(parents=True)
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(content)
    assert recorded_precision(TrainingOptions(), tmp_path) is None


def products() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", ("highest", False)), ("tf32", ("high", True)), ("bf16", ("highest", False))]
)
def test_products_are_what_the_precision_says_until_the_training_ends(precision: Any, expected: object) -> None:
    before = products()
    with precision_of_products(precision):
        assert products() == expected
    assert products() == before


def test_products_can_be_exact_within_a_training_in_tf32() -> None:
    with precision_of_products("tf32"):
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
