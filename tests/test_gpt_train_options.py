"""How a GPT is trained changes speed and memory; what it learns stays the same, or nearly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_store
from torch import Tensor

from gpt import train as training
from gpt.cache import KVCache
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import SampleFn, build_optimizer, train_step
from training.figures import ENDINGS
from training.loop import make_accelerator
from training.trackers import TrackerError

VARIANTS = [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START, GPT_IMAGEGPT]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    chosen = {**GPT_SHORT.flat(), "steps": 2, "batch": 4, "warmup": 1, "log_every": 1}
    return TrainOptions.of(tokens=store, out=out, **{**chosen, **changes})


def take_no_samples(gpt: GPT, held: Tensor, path: Path) -> None:
    pass


def train(options: TrainOptions, sample_fn: SampleFn = take_no_samples) -> Path:
    return training.train(options, sample_fn)


def make_tokens(batch: int = 4, seed: int = 0) -> Tensor:
    return torch.randint(32, (batch, 32), generator=torch.Generator().manual_seed(seed))


def step_gradients(model: GPT, tokens: Tensor, **how: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one step and the gradients it was taken with."""
    optimizer = torch.optim.SGD(model.parameters())
    loss = train_step(Accelerator(), model.train(), optimizer, tokens, 0.0, 1e9, **how)
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("shape", VARIANTS)
def test_the_loss_of_a_step_and_its_gradients_are_those_of_the_logits(shape: GPTConfig) -> None:
    model, tokens = make_gpt(shape), make_tokens()
    loss, gradients = step_gradients(model, tokens)
    model.zero_grad()
    logits = model(model.with_bos(tokens[:, :-1]))
    expected = F.cross_entropy(logits.flatten(0, 1), tokens[:, model.first_scored :].flatten())
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-6, atol=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_logits_are_the_head_on_the_features() -> None:
    model, tokens = make_gpt(), make_tokens()
    assert torch.equal(model(tokens), model.head(model.features(tokens)))


@settings(max_examples=15)
@given(batch=st.integers(1, 6), grad_accumulation=st.integers(1, 6))
def test_a_batch_in_parts_has_the_gradients_of_the_whole(batch: int, grad_accumulation: int) -> None:
    model, tokens = make_gpt(scale=1.0).double(), make_tokens(batch)
    whole, expected = step_gradients(model, tokens)
    parts, found = step_gradients(model, tokens, grad_accumulation=grad_accumulation)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_a_run_in_parts_learns_what_a_whole_one_does(store: Path, tmp_path: Path) -> None:
    whole = GPT.from_pretrained(train(options(store, tmp_path / "whole", learning_rate=1e-4)))
    parts = GPT.from_pretrained(train(options(store, tmp_path / "parts", learning_rate=1e-4, grad_accumulation=2)))
    torch.testing.assert_close(parts.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", VARIANTS)
def test_activation_checkpointing_changes_no_gradient(shape: GPTConfig) -> None:
    model, tokens = make_gpt(replace(shape, dropout=0.2)), make_tokens()
    torch.manual_seed(0)
    expected = step_gradients(model, tokens)
    model.activation_checkpointing = True
    torch.manual_seed(0)
    found = step_gradients(model, tokens)
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(found[1][name], gradient) for name, gradient in expected[1].items())


def kept_between_passes(model: GPT, tokens: Tensor) -> int:
    """Numbers that the forward pass keeps for the backward pass."""
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        kept[x.data_ptr()] = x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        model(model.with_bos(tokens[:, :-1]), targets=tokens).backward()
    return sum(kept.values())


def test_activation_checkpointing_keeps_less() -> None:
    model, tokens = make_gpt(replace(GPT_SHORT, layers=8)), make_tokens()
    plain = kept_between_passes(model, tokens)
    model.activation_checkpointing = True
    assert kept_between_passes(model, tokens) < plain / 2


@torch.no_grad()
def test_activation_checkpointing_does_not_disturb_sampling() -> None:
    model, tokens = make_gpt(), make_tokens()
    model.activation_checkpointing = True
    torch.testing.assert_close(model(tokens, KVCache(1, 1)), model(tokens))


def test_it_learns_in_bf16(tmp_path: Path, store: Path) -> None:
    accelerator = make_accelerator(options(store, tmp_path, precision="bf16"))
    torch.manual_seed(0)
    plain = GPT(GPT_SHORT)
    model, optimizer = accelerator.prepare(plain, build_optimizer(plain, 1e-2, 0.0))
    losses = [float(train_step(accelerator, model, optimizer, make_tokens(2), 2e-2, 1.0)) for _ in range(60)]
    assert losses[0] > 3
    assert losses[-1] < 0.5
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}


def test_a_run_in_bf16_is_another_than_one_in_fp32_but_close(store: Path, tmp_path: Path) -> None:
    full = GPT.from_pretrained(train(options(store, tmp_path / "fp32")))
    half = GPT.from_pretrained(train(options(store, tmp_path / "bf16", precision="bf16!")))
    assert not torch.equal(half.head.weight, full.head.weight)
    torch.testing.assert_close(half.head.weight, full.head.weight, rtol=0, atol=5e-3)


def test_compiling_is_left_to_accelerate(store: Path, tmp_path: Path) -> None:
    compiled = make_accelerator(options(store, tmp_path), compile=True)
    assert compiled.state.dynamo_plugin.backend == "INDUCTOR"


def test_nothing_is_compiled_unasked(store: Path, tmp_path: Path) -> None:
    assert make_accelerator(options(store, tmp_path)).state.dynamo_plugin.backend == "NO"


@pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.55), ("constant", 1.0)])
def test_the_schedule_is_the_one_asked_for(schedule: Any, last: float, store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=3, warmup=1, learning_rate=1e-3, schedule=schedule))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert rates == pytest.approx([1e-3, 1e-3, last * 1e-3])


def test_a_curve_is_drawn(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDINGS, "png")
    train(options(store, tmp_path))
    assert matplotlib.image.imread(tmp_path / "loss.png").ndim == 3


def test_samples_are_taken_when_asked_for(store: Path, tmp_path: Path) -> None:
    taken: list[Path] = []
    train(options(store, tmp_path, steps=5, sample_every=2), lambda gpt, held, path: taken.append(path))
    assert taken == [tmp_path / "samples" / "000002", tmp_path / "samples" / "000004"]


def test_a_tracker_that_is_not_installed_is_refused(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.trackers.find_spec", lambda name: None)
    with pytest.raises(TrackerError, match="pip install wandb"):
        train(options(store, tmp_path / "run", trackers="wandb"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grad_accumulation": 0}, "--grad-accumulation 0 must be at least 1"),
        ({"grad_accumulation": 3}, "--batch 4 must be a multiple of --grad-accumulation 3"),
        ({"sample_every": -1}, "--sample-every -1 must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        options(tmp_path, tmp_path, **change)
