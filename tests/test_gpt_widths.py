"""A learning rate that carries over widths: which weights begin smaller and learn more slowly, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny import GPT_LEGACY, GPT_SHORT, make_store, make_tokens

from data.tokens import TokenStore
from gpt.config import GPTConfig
from gpt.init import begin_gpt
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import build_optimizer, train, train_step
from gpt.widths import learns_by_width, scale_initial_weights
from storage.places import list_checkpoints
from storage.run_folder import RunFolderError
from training.schedule import set_learning_rate

WIDTHS = (32, 64, 128, 256)
BASE = 32


def make(width: int, rate_at_width: int = 0, **changes: Any) -> GPT:
    """A new GPT with heads of 16 dimensions."""
    torch.manual_seed(0)
    config = GPTConfig(layers=2, heads=width // 16, width=width, grid=(2, 4, 4), vocab_size=32, **changes)
    return scale_initial_weights(GPT(config), rate_at_width)


def rates(model: GPT, rate_at_width: int) -> dict[str, float]:
    """The rate that each parameter has at a learning rate of 1."""
    optimizer = build_optimizer(model, 0.5, 0.05, rate_at_width)
    set_learning_rate(optimizer, 1.0)
    of = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: of[id(parameter)] for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("variant", [{}, {"variant": "legacy"}])
def test_matrices_of_blocks_and_head_learn_at_the_share_of_their_width_and_all_else_at_the_rate(
    variant: dict[str, Any],
) -> None:
    found = rates(make(128, BASE, **variant), BASE)
    slow = {name for name, rate in found.items() if rate == 0.25}
    assert all(rate == 1.0 for name, rate in found.items() if name not in slow)
    matrices = {
        name for name, p in make(128, **variant).named_parameters() if name.startswith("blocks.") and p.ndim == 2
    }
    assert slow == {*matrices, "head.weight"}
    assert "embedding.weight" not in slow


def test_without_the_rule_all_learn_at_the_rate() -> None:
    assert set(rates(make(128), 0).values()) == {1.0}


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY])
def test_decay_is_for_matrices_only_with_the_rule_too(config: GPTConfig) -> None:
    model = GPT(config)
    groups = build_optimizer(model, 1e-3, 0.05, rate_at_width=8).param_groups
    assert {p.ndim for group in groups if group["weight_decay"] for p in group["params"]} == {2}
    assert {p.ndim for group in groups if not group["weight_decay"] for p in group["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_the_optimizer_begins_with_the_rates_of_the_rule() -> None:
    first = build_optimizer(make(128, BASE), 0.5, 0.05, BASE).param_groups[0]
    assert first["lr"] == 0.125


def test_weights_begin_smaller_by_the_root_of_the_share_and_the_head_by_the_share() -> None:
    plain, scaled = make(128), make(128, BASE)
    for (name, before), after in zip(plain.named_parameters(), scaled.parameters(), strict=True):
        factor = {True: 0.25 if name == "head.weight" else 0.5, False: 1.0}[learns_by_width(name, before)]
        assert torch.equal(after, before * factor), name


def test_at_the_width_that_the_rate_is_for_nothing_changes() -> None:
    plain, scaled = make(64), make(64, 64)
    tokens = make_tokens()
    for model, rule in ((plain, 0), (scaled, 64)):
        optimizer = build_optimizer(model, 1e-2, 0.05, rule)
        for _ in range(3):
            train_step(Accelerator(), model, optimizer, tokens, 1e-2, 1.0)
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), scaled.parameters(), strict=True))


def changes(width: int, rate_at_width: int) -> tuple[float, float]:
    """How far features and logits of some tokens moved in five steps: the root mean square of their changes."""
    model = make(width, rate_at_width)
    tokens = make_tokens(8)
    optimizer = build_optimizer(model, 1e-2, 0.0, rate_at_width)
    inputs = model.with_bos(tokens[:, :-1])
    with torch.no_grad():
        features = residual(model, inputs)
        logits = model(inputs)
    for _ in range(5):
        train_step(Accelerator(), model, optimizer, tokens, 1e-2, 0.0)
    with torch.no_grad():
        moved = residual(model, inputs) - features
        return float(moved.square().mean().sqrt()), float((model(inputs) - logits).square().mean().sqrt())


def residual(model: GPT, inputs: torch.Tensor) -> torch.Tensor:
    """What the blocks made of tokens, before the last norm, which would hide its size."""
    found: list[torch.Tensor] = []
    hook = model.blocks[-1].register_forward_hook(lambda module, given, result: found.append(result))
    model(inputs)
    hook.remove()
    return found[0]


def test_activations_move_as_far_at_every_width_with_the_rule_and_farther_without() -> None:
    """The coordinate check of Yang et al. (2022, appendix D.1)."""
    for number, name in enumerate(("features", "logits")):
        with_rule = [changes(width, BASE)[number] for width in WIDTHS]
        without = [changes(width, 0)[number] for width in WIDTHS]
        assert max(with_rule) < 1.5 * with_rule[0], (name, with_rule)
        assert without[-1] > 2.5 * without[0], (name, without)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    schedule = {"steps": 4, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 2}
    return TrainOptions.of(tokens=store, out=out, **{**GPT_SHORT.flat(), **schedule, **changes})


def test_a_training_begins_with_the_weights_of_the_rule(store: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = begin_gpt(options(store, tmp_path), TokenStore(store)).gpt
    torch.manual_seed(0)
    scaled = begin_gpt(options(store, tmp_path, rate_at_width=4), TokenStore(store)).gpt
    assert torch.equal(scaled.head.weight, plain.head.weight / 4)


def test_a_run_with_the_rule_goes_on_with_the_same_bits(store: Path, tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        train(options(store, tmp_path / name, rate_at_width=8), lambda *_: None)
    newest = list_checkpoints(tmp_path / "parts")[-1]
    newest.rename(tmp_path / "dropped")
    train(options(store, tmp_path / "parts", rate_at_width=8, resume="auto"), lambda *_: None)
    same = [(tmp_path / name / "final" / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert same[0] == same[1]


def test_a_run_does_not_change_its_rule(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path), lambda *_: None)
    with pytest.raises(RunFolderError, match=r"--rate-at-width 0 -> 8"):
        train(options(store, tmp_path, rate_at_width=8, resume="auto"), lambda *_: None)
