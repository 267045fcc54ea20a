"""What an exposure does to a learner, and what it begins with."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from memory_lists import make_options
from tiny import make_store

from experiments.memory.learner import Learner, batches, begin_learner, find_optimizer_state
from experiments.memory.material import Material
from gpt.config import PRESETS, GPTConfig
from gpt.model import GPT
from gpt.options import TrainOptions
from sampling.watch import train_and_watch
from training.order import seed_step

CONFIG = GPTConfig(layers=3, heads=2, width=16, grid=(1, 4, 4), vocab_size=32)
MATERIAL = Material(
    tokens={"none": {}},
    afterwards=torch.zeros(0, 16, dtype=torch.int64),
    grid=(1, 4, 4),
    vocab_size=32,
    tokenizer=None,
)


def make_learner(**options: object) -> Learner:
    torch.manual_seed(0)
    return Learner(GPT(CONFIG), make_options(Path("list"), Path("out"), **options), seed=0)


def study(learner: Learner, passes: int = 1, items: int = 6) -> Learner:
    tokens = torch.randint(32, (items, 16), generator=torch.Generator().manual_seed(1)).to(learner.device)
    for number in range(1, passes + 1):
        learner.study(tokens, torch.arange(items), torch.full((items,), number > 1), number)
    return learner


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in learner.gpt.named_parameters()}


def steps(learner: Learner) -> int:
    return int(next(iter(learner.optimizer.state.values()))["step"])


@given(
    presented=st.integers(1, 12),
    others=st.integers(0, 5),
    size=st.integers(1, 5),
    replay=st.integers(0, 4),
    first=st.booleans(),
)
def test_what_is_rehearsed_was_presented_before(
    presented: int, others: int, size: int, replay: int, first: bool
) -> None:
    order = torch.randperm(presented)
    known = torch.ones(presented + others, dtype=torch.bool)
    known[:presented] = not first
    before = {int(index) for index in known.nonzero()}
    seen: list[int] = []
    for batch in batches(order, known, size, replay, seed=0):
        chosen = batch.tolist()[: min(size, presented - len(seen))]
        rehearsed = batch.tolist()[len(chosen) :]
        assert set(rehearsed) <= (before | set(seen)) - set(chosen)
        assert len(rehearsed) == len(set(rehearsed)) == min(replay, len((before | set(seen)) - set(chosen)))
        seen += chosen
    assert seen == order.tolist()


def test_gradients_are_not_clipped_when_none_are_to_be() -> None:
    whole, far, short = (weights(study(make_learner(optimizer="sgd", grad_clip=clip))) for clip in (0.0, 1e9, 1e-2))
    assert all(torch.equal(value, far[name]) for name, value in whole.items())
    assert any(not torch.equal(value, short[name]) for name, value in whole.items())


def test_an_exposure_takes_one_step_per_batch_unless_more_are_asked_for() -> None:
    assert steps(study(make_learner(batch=4))) == 2
    assert steps(study(make_learner(batch=4, steps_per_exposure=3))) == 6


def test_rehearsal_changes_what_is_learned() -> None:
    plain = weights(study(make_learner(), 2))
    rehearsing = weights(study(make_learner(replay=2), 2))
    assert not torch.equal(plain["head.weight"], rehearsing["head.weight"])


def test_only_the_last_blocks_and_the_head_are_trained() -> None:
    learner = make_learner(trained_blocks=1)
    before = weights(learner)
    changed = {name for name, value in weights(study(learner)).items() if not torch.equal(value, before[name])}
    assert {".".join(name.split(".")[:2]) for name in changed} == {"blocks.2", "norm.weight", "head.weight"}


def test_more_blocks_than_there_are_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="--trained-blocks 4 is more than the 3 blocks"):
        make_learner(trained_blocks=4)


def test_a_learning_rate_of_zero_leaves_the_weights() -> None:
    learner = make_learner(learning_rate=0.0)
    before = weights(learner)
    assert all(torch.equal(value, before[name]) for name, value in weights(study(learner)).items())


def test_gradient_descent_has_momentum() -> None:
    learner = study(make_learner(optimizer="sgd"))
    assert all("momentum_buffer" in state for state in learner.optimizer.state.values())


def test_dropout_draws_do_not_depend_on_what_was_drawn_before() -> None:
    ends = []
    for before in (0, 9):
        seed_step(before, 0)
        learner = make_learner()
        for block in learner.gpt.blocks:
            block.dropout.p = 0.5
        torch.rand(before)
        ends.append(weights(study(learner))["head.weight"])
    assert torch.equal(*ends)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    store = make_store(folder / "tokens", grid=(1, 4, 4))
    settings = {**PRESETS["demo"].flat(), "steps": 3, "batch": 2, "warmup": 1}
    return train_and_watch(TrainOptions.of(tokens=store, out=folder / "run", **settings)).parent


@pytest.mark.parametrize("where", [".", "checkpoints/000003"])
def test_the_optimizer_goes_on_where_training_ended(pretrained: Path, tmp_path: Path, where: str) -> None:
    options = make_options(Path("list"), Path("out"), gpt=pretrained / where, optimizer_state="resume")
    learner, done = begin_learner(options, MATERIAL, 0, tmp_path)
    assert (done, steps(learner)) == (0, 3)
    assert {group["weight_decay"] for group in learner.optimizer.param_groups} == {0.0}
    study(learner, items=2)
    assert steps(learner) == 4


def test_a_fresh_optimizer_has_no_moments(pretrained: Path, tmp_path: Path) -> None:
    options = make_options(Path("list"), Path("out"), gpt=pretrained)
    assert not begin_learner(options, MATERIAL, 0, tmp_path)[0].optimizer.state


def test_a_model_without_optimizer_state_is_refused(pretrained: Path) -> None:
    with pytest.raises(ValueError, match=r"final holds no optimizer state.*--optimizer-state fresh"):
        find_optimizer_state(pretrained / "final")
