"""Training and evaluating a GPT: it learns, resumes exactly, and refuses stores that are not its own."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import GPT_LEGACY, GPT_SHORT, make_gpt, make_store
from torch.utils._python_dispatch import TorchDispatchMode

from data.errors import TokenStoreError
from data.tokens import TokenStore, unigram_entropy, write_shard, write_store
from gpt import train as training
from gpt.config import GPTConfig, MismatchError
from gpt.evaluate import check_store, evaluate, held_out, item_nll
from gpt.likelihood import unigram_nll
from gpt.loss import LOGITS_AT_ONCE
from gpt.model import GPT
from gpt.options import EvaluateOptions, TrainOptions
from gpt.train import build_optimizer, train_step, validate
from storage.model_paths import CheckpointError
from storage.places import list_checkpoints


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    architecture = replace(GPT_SHORT, dropout=0.1).flat()
    chosen = {**architecture, "steps": 6, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 3}
    return TrainOptions.of(tokens=store, out=out, **{**chosen, **changes})


def train(options: TrainOptions) -> Path:
    return training.train(options, lambda gpt, held, path: None)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def make_repetitive_store(folder: Path) -> Path:
    """A store whose items are all alike, in each of which every code occurs once."""
    store = TokenStore(make_store(folder))
    grids = torch.arange(32).expand(12, 32).unflatten(1, (2, 4, 4))
    write_store(folder, store.metadata, [write_shard(folder, 0, store.metadata, grids)], store.items)
    return folder


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model, accelerator = GPT(GPT_SHORT), Accelerator()
    optimizer = build_optimizer(model, 1e-2, 0.0)
    tokens = torch.randint(32, (2, 32))
    losses = [float(train_step(accelerator, model, optimizer, tokens, 2e-2, 1.0)) for _ in range(60)]
    assert losses[0] > 3
    assert losses[-1] < 0.5


@pytest.mark.parametrize(("grad_clip", "largest"), [(0.0, None), (0.5, 0.5)])
def test_a_gradient_is_taken_whole_or_clipped(grad_clip: float, largest: float | None) -> None:
    tokens = torch.randint(32, (2, 32), generator=torch.Generator().manual_seed(0))
    model = make_gpt()
    model.nll(tokens).mean().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
    assert gradient.norm() > 0.6
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    train_step(Accelerator(), model, torch.optim.SGD(model.parameters(), lr=1.0), tokens, 1.0, grad_clip)
    step = before - torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    expected = gradient if largest is None else gradient * (largest / gradient.norm())
    torch.testing.assert_close(step, expected, rtol=1e-3, atol=1e-5)


def test_the_reported_loss_is_the_mean_nll() -> None:
    model, tokens = make_gpt(), torch.randint(32, (2, 32), generator=torch.Generator().manual_seed(0))
    expected = float(model.nll(tokens).detach().mean())
    loss = train_step(Accelerator(), model, build_optimizer(model, 1e-3, 0.0), tokens, 1e-3, 1.0)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_resumed_run_ends_with_the_same_weights(store: Path, tmp_path: Path) -> None:
    whole = train(options(store, tmp_path / "whole"))
    train(options(store, tmp_path / "parts"))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000006")
    parts = train(options(store, tmp_path / "parts", resume="auto"))
    first, second = load_file(whole / "model.safetensors"), load_file(parts / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_run_logs_the_same_metrics(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "whole"))
    train(options(store, tmp_path / "parts"))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000006")
    train(options(store, tmp_path / "parts", resume="auto"))
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_a_run_whose_last_checkpoint_is_damaged_ends_with_the_same_weights_and_metrics(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path / "whole"))
    train(options(store, tmp_path / "damaged"))
    file = tmp_path / "damaged" / "checkpoints" / "000006" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    train(options(store, tmp_path / "damaged", resume="auto"))
    assert "Going on from" in capsys.readouterr().err
    for name in ("final/model.safetensors", "checkpoints/000006/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "damaged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_that_finds_no_memory_names_the_step_and_goes_on_from_its_checkpoint(store: Path, tmp_path: Path) -> None:
    def greedy(*_: object) -> None:
        torch.empty(2**60, dtype=torch.uint8)

    with pytest.raises(MemoryError, match="for step 3"):
        training.train(options(store, tmp_path, sample_every=4), greedy)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["000003"]
    assert train(options(store, tmp_path, resume="auto")).is_dir()


def test_a_checkpoint_of_another_architecture_is_not_gone_on_from(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "run"))
    train(options(store, tmp_path / "other", layers=1))
    dropped = tmp_path / "run" / "checkpoints" / "000006"
    shutil.rmtree(dropped)
    shutil.copytree(tmp_path / "other" / "checkpoints" / "000006", dropped)
    with pytest.raises(CheckpointError, match=r"000006 is of another model than this run's \(layers: 1, not 2\)"):
        train(options(store, tmp_path / "run", resume="auto"))


def test_a_run_is_not_resumed_on_other_tokens(tmp_path: Path) -> None:
    train(options(make_store(tmp_path / "store", tokenizer="one"), tmp_path / "run"))
    make_store(tmp_path / "store", tokenizer="another")
    with pytest.raises(MismatchError, match="another"):
        train(options(tmp_path / "store", tmp_path / "run", resume="auto"))


def test_the_model_records_what_it_learned_from(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", tokenizer="abc")
    model = GPT.from_pretrained(train(options(store, tmp_path / "run", steps=1)))
    assert (model.config.grid, model.config.vocab_size, model.config.tokenizer) == ((2, 4, 4), 32, "abc")


def test_validation_and_unigram_entropy_are_logged(store: Path, tmp_path: Path) -> None:
    final = train(options(store, tmp_path, steps=1))
    line = metrics(tmp_path)[-1]
    tokens = TokenStore(store).read([9, 10, 11])
    assert line["validation_nll"] == pytest.approx(float(item_nll(GPT.from_pretrained(final), tokens, 8).mean()))
    assert line["unigram_entropy"] == pytest.approx(unigram_entropy(tokens, 32))
    assert line["unigram_nll"] == pytest.approx(unigram_nll(TokenStore(store), tokens))


def test_validation_is_logged_in_bits_per_pixel_too(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=1))
    line = metrics(tmp_path)[-1]
    bits = line["validation_nll"] / math.log(2) * 32  # of an item
    assert line["validation_bits_per_pixel"] == pytest.approx(bits / (8 * 16 * 16))


def test_a_model_that_has_learned_nothing_is_said_to_have(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights of a few steps at a rate that is far too high are worse than counts."""
    train(options(store, tmp_path, steps=100, save_every=100, learning_rate=1.0, warmup=0))
    line = metrics(tmp_path)[-1]
    nll, floor = line["validation_nll"], line["unigram_nll"]
    said = capsys.readouterr().err
    assert f"the validation NLL, {nll:.2f} nats per token, is not below the unigram floor of {floor:.2f}" in said
    assert said.count("unigram floor") == 1
    assert "a higher one or more --steps" in said


def test_of_a_model_that_has_learned_something_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_repetitive_store(tmp_path / "store")
    train(options(store, tmp_path / "run", steps=100, save_every=100, learning_rate=1e-2, warmup=0))
    line = metrics(tmp_path / "run")[-1]
    assert line["validation_nll"] < line["unigram_nll"]
    assert "unigram floor" not in capsys.readouterr().err


def test_a_finished_run_that_is_continued_says_nothing_of_its_loss(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, steps=1))
    capsys.readouterr()
    train(options(store, tmp_path, steps=1, resume="auto"))
    assert "unigram floor" not in capsys.readouterr().err


def test_the_entropy_of_models_without_a_bos_token_leaves_the_first_token_out(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=1, **GPT_LEGACY.flat()))
    tokens = TokenStore(store).read([9, 10, 11])[:, 1:]
    assert metrics(tmp_path)[-1]["unigram_entropy"] == pytest.approx(unigram_entropy(tokens, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "--steps 0 must be at least 1"),
        ({"save_every": 0}, "--save-every 0 must be at least 1"),
        ({"learning_rate": -1.0}, "--learning-rate -1 must be positive"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        options(tmp_path, tmp_path, **change)


def test_a_store_without_training_items_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", items=2, held_out=2)
    with pytest.raises(TokenStoreError, match="has no training items"):
        train(options(store, tmp_path / "run"))


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="is no token store"):
        train(options(tmp_path, tmp_path / "run"))


@pytest.mark.parametrize("log_every", [1, 100])
def test_weights_that_are_no_numbers_are_never_saved(store: Path, tmp_path: Path, log_every: int) -> None:
    with pytest.raises(FloatingPointError, match="the last checkpoint is kept"):
        train(options(store, tmp_path, learning_rate=1e38, warmup=0, save_every=1, log_every=log_every))
    assert list_checkpoints(tmp_path) == []


def test_decay_is_for_matrices_only() -> None:
    model = make_gpt()
    decayed, plain = build_optimizer(model, 1e-3, 0.05).param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert {parameter.ndim for parameter in plain["params"]} == {1}


def test_every_parameter_is_trained() -> None:
    model = make_gpt()
    groups = build_optimizer(model, 1e-3, 0.05).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 40}, "store: the GPT knows 32 tokens, these are of 40"),
        ({"grid": (1, 4, 4)}, r"store: .*\(2, 4, 4\).*\(1, 4, 4\)"),
        ({"tokenizer": "abc"}, "store: .*xyz.*abc"),
    ],
)
def test_a_store_the_model_was_not_made_for_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    store = TokenStore(make_store(tmp_path / "store", **{"tokenizer": "xyz", **change}))
    with pytest.raises(MismatchError, match=message):
        check_store(store, make_gpt(replace(GPT_SHORT, tokenizer="xyz")))


def test_a_model_that_does_not_know_its_tokenizer_takes_tokens_of_its_grid_and_vocabulary(tmp_path: Path) -> None:
    check_store(TokenStore(make_store(tmp_path, tokenizer="abc")), make_gpt())


def test_its_own_store_is_accepted(store: Path) -> None:
    check_store(TokenStore(store), make_gpt())


def test_unigram_entropy_of_equal_shares_is_the_logarithm_of_the_vocabulary() -> None:
    assert unigram_entropy(torch.arange(32).repeat(3), 32) == pytest.approx(math.log(32))


def test_unigram_entropy_of_one_token_is_zero() -> None:
    assert unigram_entropy(torch.zeros(10).long(), 32) == 0


@settings(max_examples=50)
@given(tokens=st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_unigram_entropy_is_its_formula(tokens: list[int]) -> None:
    shares = [tokens.count(token) / len(tokens) for token in set(tokens)]
    expected = -sum(share * math.log(share) for share in shares)
    assert unigram_entropy(torch.tensor(tokens), 8) == pytest.approx(expected, abs=1e-12)


def test_item_nll_does_not_depend_on_the_batch(store: Path) -> None:
    tokens = TokenStore(store).read(range(12))
    torch.testing.assert_close(item_nll(make_gpt(), tokens, 5), item_nll(make_gpt(), tokens, 12))


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made, in numbers, and how many rows were embedded at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.rows = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        if function is torch.ops.aten.embedding.default:
            self.rows = max(self.rows, len(args[1]))
        return result


def test_validation_makes_no_full_logits() -> None:
    model = GPT(GPTConfig(layers=1, heads=1, width=8, grid=(1, 2, 513), vocab_size=16400))
    with Largest() as largest:
        validate(model, torch.zeros(1, 1026, dtype=torch.int64), 1)
    assert 1026 * 16400 > LOGITS_AT_ONCE >= largest.numbers


@pytest.mark.parametrize(("batch", "grad_accumulation", "rows"), [(4, 1, 4), (4, 2, 2), (6, 4, 2), (1, 3, 1)])
def test_validation_computes_no_more_at_a_time_than_a_part_of_a_step(
    store: Path, batch: int, grad_accumulation: int, rows: int
) -> None:
    model, tokens = make_gpt(), TokenStore(store).read(range(7))
    with Largest() as largest:
        nll = validate(model, tokens, batch, grad_accumulation)
    assert largest.rows == rows
    assert nll == pytest.approx(float(model.nll(tokens).detach().mean()), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_item_nll_leaves_the_mode_as_it_was(store: Path, training: bool) -> None:
    model = make_gpt().train(training)
    item_nll(model, TokenStore(store).read([0]), 1)
    assert model.training is training


def test_held_out_items_are_the_validation_part(store: Path) -> None:
    assert held_out(TokenStore(store)) == [9, 10, 11]


def test_held_out_items_are_all_where_there_is_no_validation_part(tmp_path: Path) -> None:
    assert held_out(TokenStore(make_store(tmp_path, items=4, held_out=0))) == [0, 1, 2, 3]


def test_held_out_items_are_spread_evenly_when_limited(tmp_path: Path) -> None:
    assert held_out(TokenStore(make_store(tmp_path, items=8, held_out=0)), limit=4) == [0, 2, 4, 6]


def test_evaluate_scores_the_held_out_items(store: Path, tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path)
    result = evaluate(EvaluateOptions(tmp_path, store))
    tokens = TokenStore(store).read([9, 10, 11])
    assert result["gpt_nll"] == pytest.approx(float(make_gpt().nll(tokens).detach().mean()), rel=1e-5)
    assert result["items"] == 3


def test_evaluate_gives_the_same_in_other_units(store: Path, tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path)
    result = evaluate(EvaluateOptions(tmp_path, store))
    bits = result["gpt_nll"] / math.log(2)
    assert result["bits_per_token"] == pytest.approx(bits)
    assert result["bits_per_pixel"] == pytest.approx(bits * result["tokens_per_item"] / result["pixels_per_item"])
    assert (result["tokens_per_item"], result["pixels_per_item"]) == (32, 8 * 16 * 16)


def test_evaluate_says_that_a_model_is_worse_than_counting(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_gpt().save_pretrained(tmp_path)
    result = evaluate(EvaluateOptions(tmp_path, store))
    assert result["unigram_nll"] == pytest.approx(unigram_nll(TokenStore(store), TokenStore(store).read([9, 10, 11])))
    assert f"is worse than the unigram floor {result['unigram_nll']:.2f}" in capsys.readouterr().err


def test_evaluate_without_training_items_takes_the_entropy_as_the_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    result = evaluate(EvaluateOptions(tmp_path / "gpt", make_store(tmp_path / "store", items=3, held_out=3)))
    assert "unigram_nll" not in result
    assert f"is worse than the unigram floor {result['unigram_entropy']:.2f}" in capsys.readouterr().err


def test_evaluate_refuses_another_models_store(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    with pytest.raises(MismatchError, match="give the tokenizer"):
        evaluate(EvaluateOptions(tmp_path / "gpt", make_store(tmp_path / "store", vocab_size=16)))
