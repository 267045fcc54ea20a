"""A training that goes wrong is told so, once for each kind; of good ones nothing is said."""

import json
import math
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from tiny import GPT_SHORT, SHORT, make_gpt, make_images, make_store, make_tokens

from data.tokens import TokenStore, write_shard, write_store
from gpt.options import TrainOptions
from gpt.train import build_optimizer, train_step
from gpt.train import train as train_gpt
from training.health import (
    EXPLOSION,
    Expected,
    HealthWatch,
    clip_gradient,
    is_above_floor,
    is_collapsing,
    is_exploding,
    warnings,
)
from training.progress import seen
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

CURVES = Path(__file__).parent / "fixtures" / "good_curves.json"
"""Metrics of runs that went well, as `docs/how_to/what_training_looks_like.md` shows them."""


# The loss


@pytest.mark.parametrize(
    ("step", "nll", "expected"),
    [(99, 6.5, True), (99, 6.6, True), (99, 6.4, False), (98, 6.6, False), (10, 6.6, False)],
)
def test_a_loss_is_above_the_floor_only_when_the_model_had_time_to_learn(step: int, nll: float, expected: bool) -> None:
    assert is_above_floor({"step": step, "validation_nll": nll, "unigram_nll": 6.5}, warmup=50) is expected


def test_after_a_long_warm_up_a_model_has_more_time() -> None:
    assert not is_above_floor({"step": 500, "validation_nll": 7.0, "unigram_nll": 6.5}, warmup=300)


@pytest.mark.parametrize("line", [{"step": 500, "loss": 9.0}, {"step": 500, "validation_nll": 9.0}])
def test_of_lines_without_a_floor_nothing_is_told(line: dict[str, float]) -> None:
    assert not is_above_floor(line, warmup=0)


# The gradient


@given(norms=st.lists(st.floats(0.5, 2.0), min_size=1, max_size=100))
def test_norms_within_a_factor_of_four_never_explode(norms: list[float]) -> None:
    assert not is_exploding(norms)


@pytest.mark.parametrize("last", [10.1, math.inf, math.nan, None])
def test_a_norm_ten_times_the_median_explodes(last: float | None) -> None:
    assert is_exploding([1.0] * 5 + [last])


def test_norms_may_be_high_at_first_and_one_outlier_does_not_hide_the_next() -> None:
    assert not is_exploding([50.0, 8.0, 2.0, 1.0, 1.0, 1.0, 5.0])
    assert is_exploding([1.0, 1.0, 1.0, 1.0, 1.0, 100.0, None, 100.0])


def test_of_few_norms_none_is_unusual() -> None:
    assert not is_exploding([1.0] * 4 + [1e6])


# The codes


@pytest.mark.parametrize(
    ("usages", "possible", "expected"),
    [
        ([0.9], 1.0, False),
        ([0.04], 1.0, True),
        ([0.04], 0.5, False),
        ([0.9, 0.46], 1.0, False),
        ([0.3, 0.9, 0.44], 1.0, True),
    ],
)
def test_usage_collapses_when_it_is_small_or_half_of_its_best(
    usages: list[float], possible: float, expected: bool
) -> None:
    assert is_collapsing(usages, possible) is expected


def test_before_a_tokenizer_uses_its_codes_their_usage_does_not_count() -> None:
    lines = [{"step": 49, "codebook_usage": 0.01}]
    assert warnings(lines, Expected(0, usage_from=50)) == {}
    assert warnings(lines, Expected(0, usage_from=49)).keys() == {"usage"}


# Warnings


def test_each_kind_is_said_once_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch = HealthWatch(tmp_path, Expected(0))
    for step in range(100, 104):
        watch.note({"step": step, "validation_nll": 7.0, "unigram_nll": 6.5, "codebook_usage": 0.01})
    said = capsys.readouterr().err.splitlines()
    assert [line.split("lower")[0].split(":")[-1] for line in said]
    assert len(said) == 2
    assert all(line.startswith("beware       at step 100 ") and "--learning-rate" in line for line in said)


def test_a_run_that_goes_on_remembers_what_was_usual(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.dumps({"step": step, "gradient_norm": 1.0}) for step in range(5)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    HealthWatch(tmp_path, Expected(0)).note({"step": 5, "gradient_norm": EXPLOSION + 1})
    assert "is over 10 times the usual 1. If the loss does not come back" in capsys.readouterr().err


@pytest.mark.parametrize("name", json.loads(CURVES.read_text()))
def test_of_runs_that_went_well_nothing_is_said(name: str) -> None:
    curve = json.loads(CURVES.read_text())[name]
    for number in range(1, len(curve["lines"]) + 1):
        assert warnings(curve["lines"][:number], Expected(curve["warmup"], curve["usage_from"])) == {}


# Real runs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items that are all alike: a GPT can learn them, and counting tokens cannot."""
    folder = tmp_path_factory.mktemp("store")
    store = TokenStore(make_store(folder))
    grids = torch.arange(32).expand(12, 32).unflatten(1, (2, 4, 4))
    write_store(folder, store.metadata, [write_shard(folder, 0, store.metadata, grids)], store.items)
    return folder


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    schedule = {"steps": 110, "batch": 4, "warmup": 5, "log_every": 5, "save_every": 100, "learning_rate": 1e-2}
    return TrainOptions.of(tokens=store, out=out, **{**GPT_SHORT.flat(), **schedule, **changes})


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_of_a_gpt_that_learns_nothing_is_said(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_gpt(options(store, tmp_path / "run"), lambda *_: None)
    assert "beware" not in capsys.readouterr().err


def test_a_gpt_at_an_absurd_rate_is_said_to_be_above_the_floor(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_gpt(options(store, tmp_path / "run", learning_rate=20.0), lambda *_: None)
    said = [line for line in capsys.readouterr().err.splitlines() if "is not below the unigram floor" in line]
    assert len(said) == 1
    assert "beware       at step 99 the validation NLL" in said[0]
    assert "Begin again with a lower --learning-rate" in said[0]


def test_a_gpt_whose_gradient_explodes_is_told_so_once(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rising = options(store, tmp_path / "run", steps=60, learning_rate=60.0, warmup=60, log_every=1)
    with suppress(FloatingPointError):  # on some processors the loss then overflows
        train_gpt(rising, lambda *_: None)
    said = [line for line in capsys.readouterr().err.splitlines() if "the norm of the gradient" in line]
    assert len(said) == 1
    assert "over 10 times the usual" in said[0]


@pytest.mark.parametrize(("rate", "collapses"), [(3e-3, False), (3.0, True)])
def test_a_tokenizer_is_told_of_its_codes_only_when_few_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: float, collapses: bool
) -> None:
    chosen = {**replace(SHORT, codes=64).flat(), "batch": 4, "warmup": 2, "continuous_steps": 5, "ema_decay": 0.0}
    data = make_images(tmp_path / "images", 24)
    out = tmp_path / "run"
    train_tokenizer(
        TokenizerTrainOptions.of(
            data=data, out=out, **chosen, steps=30, save_every=10, log_every=10, learning_rate=rate
        )
    )
    assert ("of the codes are in use" in capsys.readouterr().err) is collapses


# The norm of the gradient


@pytest.mark.parametrize("largest", [0.0, 0.5])
def test_the_norm_is_that_of_the_gradient_before_it_is_clipped(largest: float) -> None:
    model, tokens = make_gpt(), make_tokens()
    model.nll(tokens).mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    norm = clip_gradient(Accelerator(), model, largest)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(norm, gradient.norm())
    assert (norm.ndim, norm.requires_grad) == (0, False)
    torch.testing.assert_close(clipped.norm(), torch.tensor(largest) if largest else gradient.norm())


def test_a_step_measures_the_norm_only_where_it_is_asked_for() -> None:
    model, tokens = make_gpt(), make_tokens()
    measured: dict[str, torch.Tensor] = {}
    optimizer = build_optimizer(model, 1e-3, 0.0)
    train_step(Accelerator(), model, optimizer, tokens, 1e-3, 1.0, 1, measured)
    assert measured.keys() == {"gradient_norm"}
    assert float(measured["gradient_norm"]) > 1


def test_both_trainers_log_the_norm_and_what_was_seen(store: Path, tmp_path: Path) -> None:
    train_gpt(options(store, tmp_path / "gpt", steps=4, log_every=2, warmup=1, grad_clip=0.0), lambda *_: None)
    chosen = {**replace(SHORT, codes=64).flat(), "batch": 2, "steps": 4, "log_every": 2, "warmup": 1}
    data = make_images(tmp_path / "images", 4)
    train_tokenizer(TokenizerTrainOptions.of(data=data, out=tmp_path / "tokenizer", **chosen))
    first, second = (line for line in metrics(tmp_path / "gpt") if "loss" in line)
    assert [first["epochs"], second["epochs"]] == pytest.approx([8 / 9, 16 / 9])
    assert [first["unique_tokens"], second["unique_tokens"]] == [8 * 32, 9 * 32]
    assert first["gradient_norm"] > 0
    line = next(line for line in metrics(tmp_path / "tokenizer") if "loss" in line)
    assert (line["epochs"], line["unique_items"]) == (pytest.approx(4 / 3), 3)
    assert line["gradient_norm"] > 0


@given(done=st.integers(0, 1000), batch=st.integers(1, 50), items=st.integers(1, 500), tokens=st.integers(0, 64))
def test_what_was_seen_is_counted(done: int, batch: int, items: int, tokens: int) -> None:
    found = seen(done, batch, items, tokens)
    visited = {position % items for position in range(done * batch)} if done * batch < items else set(range(items))
    assert found["epochs"] == pytest.approx(done * batch / items)
    assert found["unique_tokens" if tokens else "unique_items"] == len(visited) * (tokens or 1)


def test_a_resumed_run_logs_the_same_norms(store: Path, tmp_path: Path) -> None:
    small = {"steps": 6, "save_every": 4, "log_every": 1}
    for name in ("whole", "parts"):
        train_gpt(options(store, tmp_path / name, **small), lambda *_: None)
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000006")
    train_gpt(options(store, tmp_path / "parts", **small, resume="auto"), lambda *_: None)
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
