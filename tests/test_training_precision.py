"""In which numbers a training computes: what `auto` chooses, that a run keeps it, and that it ends with it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from tiny import GPT_SHORT, make_store
from torch import Tensor, nn

from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import train
from storage.run_folder import RunFolderError
from training.options import TrainingOptions
from training.precision import (
    FASTER,
    bf16_speed,
    check_speed,
    check_tf32,
    choose_precision,
    forget_earlier_trainings,
    has_bf16,
    is_bf16,
    judge_processor,
    layers_in,
    recorded_precision,
    settle,
    shortest_in_turn,
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


@pytest.mark.parametrize(("asked", "expected"), [("fp32", "fp32"), ("bf16!", "bf16")])
def test_what_is_asked_for_is_taken(asked: Any, expected: str) -> None:
    assert choose_precision(asked, CPU).precision == expected


def test_auto_is_fp32_where_there_are_no_instructions_for_bf16() -> None:
    assert judge_processor(None) == ("fp32", "as this processor has no instructions for bf16")


def test_auto_is_fp32_where_bf16_pays_little_whatever_the_flags_say() -> None:
    assert judge_processor(1.2) == ("fp32", "as bf16 is only 1.2x as fast here")


@given(st.floats(FASTER, 1000))
def test_auto_is_bf16_where_it_was_measured_to_be_faster(speed: float) -> None:
    assert judge_processor(speed) == ("bf16", f"{speed:.1f}x as fast as fp32 here")


def test_auto_is_judged_by_what_is_measured_on_this_processor() -> None:
    expected = judge_processor(bf16_speed(CPU) if has_bf16(CPU) else None)
    assert choose_precision("auto", CPU) == expected


def test_the_speed_is_measured_once() -> None:
    assert bf16_speed(CPU) == bf16_speed(torch.device("cpu")) > 0


def test_measuring_leaves_random_numbers_and_threads_as_they_were() -> None:
    before = torch.get_rng_state(), torch.get_num_threads()
    bf16_speed.__wrapped__(CPU)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_the_shortest_is_one_of_three_however_long_they_take() -> None:
    done: list[str] = []
    shortest_in_turn([lambda: done.append("a"), lambda: done.append("b")], longest=-1.0)
    assert done == ["a", "b", *3 * ["a", "b"]], "one of each that does not count, and three that do"


def test_work_that_waits_for_others_is_not_taken_for_slow() -> None:
    (seconds,) = shortest_in_turn([lambda: time.sleep(0.05)], longest=-1.0)
    assert seconds < 0.05


def test_bf16_is_refused_on_a_processor_that_is_slower_in_it() -> None:
    with pytest.raises(
        ValueError,
        match=r"^--precision bf16 is 0\.012x as fast as fp32 on this processor: give fp32 or auto, or bf16! to insist$",
    ):
        check_speed(0.0123)


def test_bf16_is_taken_where_it_is_no_slower() -> None:
    check_speed(1.0)


def test_bf16_is_refused_or_taken_by_what_is_measured_here() -> None:
    if bf16_speed(CPU) < 1:
        with pytest.raises(ValueError, match=r"--sampling-precision bf16 is 0\.\d+x as fast as fp32"):
            choose_precision("bf16", CPU, "--sampling-precision")
    else:
        assert choose_precision("bf16", CPU).precision == "bf16"


@pytest.mark.parametrize(("asked", "expected"), [("fp32", False), ("bf16", True), ("bf16!", True), (None, False)])
def test_what_was_settled_is_not_refused_again(asked: Any, expected: bool) -> None:
    assert is_bf16(asked, CPU) == expected


def test_layers_compute_in_bf16_where_that_was_settled() -> None:
    layer, inputs = nn.Linear(4, 4), torch.ones(1, 4)
    with layers_in("bf16", CPU):
        lowered = layer(inputs).dtype
    with layers_in("fp32", CPU):
        assert (lowered, layer(inputs).dtype) == (torch.bfloat16, torch.float32)


def test_a_device_that_nobody_knows_computes_in_fp32() -> None:
    assert choose_precision("auto", torch.device("meta")).precision == "fp32"


def test_a_cpu_has_no_tf32() -> None:
    with pytest.raises(ValueError, match=r"--precision tf32 needs an NVIDIA GPU.* computes on cpu: give fp32, bf16 or"):
        check_tf32(CPU)


def test_one_process_trains_in_one_precision_after_another(store: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16!", "fp32"):
        train(options(store, tmp_path / "run", precision=precision, overwrite=True), take_no_samples)
        assert Accelerator().mixed_precision == ("bf16" if precision == "bf16!" else "no")
    forget_earlier_trainings()
    assert Accelerator().mixed_precision == "no"


def test_what_was_chosen_is_said_and_recorded(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(options(store, tmp_path, precision="auto"), take_no_samples)
    chosen = choose_precision("auto", CPU)
    assert recorded(tmp_path) == chosen.precision
    assert f"precision    {chosen.precision}, {chosen.why}\n" in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_its_precision_and_says_where_it_would_be_another(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path), take_no_samples)
    train(options(store, tmp_path, precision="auto", steps=3, resume="auto"), take_no_samples)
    here = choose_precision("auto", CPU).precision
    said = "fp32, as the run began; begun on this machine it would be bf16" if here == "bf16" else "fp32, "
    assert f"precision    {said}" in capsys.readouterr().err
    assert recorded(tmp_path) == "fp32"


def test_a_run_in_bf16_goes_on_by_itself_only_where_that_is_fast(store: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path, precision="auto")
    if bf16_speed(CPU) >= 1:
        assert settle(asked, "precision", CPU, "bf16")[0].training.precision == "bf16"
    else:
        with pytest.raises(
            ValueError, match=r"^the run began in bf16, which is 0\.\d+x as .* give --precision bf16! to"
        ):
            settle(asked, "precision", CPU, "bf16")


def test_who_insists_on_bf16_finds_bf16_in_the_record_and_goes_on_with_it(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, precision="bf16!"), take_no_samples)
    train(options(store, tmp_path, precision="bf16!", steps=3, resume="auto"), take_no_samples)
    assert recorded(tmp_path) == "bf16"


def test_another_precision_than_a_run_began_with_is_refused_as_any_other_option_is(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path), take_no_samples)
    with pytest.raises(RunFolderError, match=r"started with other options \(--precision fp32 -> bf16\)"):
        train(options(store, tmp_path, precision="bf16", resume="auto"), take_no_samples)


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
