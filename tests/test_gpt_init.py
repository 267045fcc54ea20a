"""Beginning from a GPT: what is kept, interpolated and begun anew, what is frozen, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_store, make_tokenizer, make_tokens
from trainer import job, start_two

import secondsight
from data.tokens import TokenStore
from gpt import train as training
from gpt.config import GPTConfig
from gpt.evaluate import held_out, item_nll
from gpt.init import begin_gpt, interpolate_positions
from gpt.model import GPT
from gpt.options import TrainOptions
from storage.checkpoints import load_training_tensors, read_state
from storage.command import arguments_of
from storage.model_folder import load_model_folder, save_model_folder
from storage.model_paths import CheckpointError
from storage.run_folder import RunFolderError
from training.inheritance import InitError, block_sources

ONE = "1111111111111111-1111111111111111"
OTHER = "2222222222222222-2222222222222222"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make_gpt(scale=2.0), tmp_path_factory.mktemp("model") / "old")


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training."""
    out = tmp_path_factory.mktemp("runs") / "base"
    train(options(store, out))
    return out


def save(gpt: GPT, folder: Path) -> Path:
    gpt.save_pretrained(folder)
    return folder


def options(store: Path, out: Path, config: GPTConfig = GPT_SHORT, **changes: Any) -> TrainOptions:
    chosen = {**config.flat(), "steps": 4, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 2}
    return TrainOptions.of(tokens=store, out=out, **{**chosen, **changes})


def train(options: TrainOptions) -> Path:
    return training.train(options, lambda gpt, held, path: None)


def begin(store: Path, init: Path, config: GPTConfig = GPT_SHORT, **changes: Any) -> GPT:
    return begin_gpt(options(store, Path("run"), config, init=init, **changes), TokenStore(store)).gpt.eval()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model_folder(folder)[1]


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_all_weights_are_kept_where_nothing_differs(store: Path, model: Path) -> None:
    own = begin(store, model).state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights(model).items())


def test_the_architecture_is_that_of_the_model_unless_it_is_given(store: Path, model: Path) -> None:
    chosen = TrainOptions.of(tokens=store, out=Path("run"), init=model, layers=3)
    assert chosen.model == replace(GPT_SHORT, layers=3).for_tokens((4, 16, 16), 1024)


def test_the_command_line_takes_the_architecture_of_the_model(store: Path, model: Path) -> None:
    words = ["gpt", "train", "--init", str(model), "--tokens", str(store), "--out", "run", "--layers", "1"]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, TrainOptions)
    assert (chosen.model.layers, chosen.model.heads, chosen.model.width) == (1, 2, 16)


def test_a_preset_that_does_not_fit_is_refused_with_both_values(store: Path, model: Path) -> None:
    words = ["gpt", "train", "--init", str(model), "--tokens", str(store), "--out", "run", "--preset", "demo"]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, TrainOptions)
    with pytest.raises(InitError, match=r"--heads 4 is not the 2 of the model; --width 128 is not the 16 of the model"):
        begin_gpt(chosen, TokenStore(store))


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY_START])
def test_more_blocks_compute_what_the_model_computes(store: Path, tmp_path: Path, config: GPTConfig) -> None:
    old = make_gpt(config)
    deeper = begin(store, save(old, tmp_path / "old"), replace(config, layers=5))
    torch.testing.assert_close(deeper.nll(make_tokens()), old.nll(make_tokens()), rtol=1e-6, atol=1e-6)


def test_new_blocks_learn(store: Path, model: Path, tmp_path: Path) -> None:
    own = weights(train(options(store, tmp_path, replace(GPT_SHORT, layers=3), init=model)))
    assert own["blocks.2.attention.out.weight"].abs().max() > 0


def test_fewer_blocks_are_chosen_evenly(store: Path, tmp_path: Path) -> None:
    old = make_gpt(replace(GPT_SHORT, layers=5))
    own = begin(store, save(old, tmp_path / "old"), replace(GPT_SHORT, layers=3)).state_dict()
    for index, source in enumerate((0, 2, 4)):
        assert torch.equal(own[f"blocks.{index}.attention.qkv.weight"], old.blocks[source].attention.qkv.weight)


@given(before=st.integers(1, 60), now=st.integers(1, 60))
def test_blocks_keep_their_order_and_none_is_taken_twice(before: int, now: int) -> None:
    sources = block_sources(before, now)
    kept = [source for source in sources if source is not None]
    assert len(sources) == now
    assert kept == sorted(set(kept))
    assert len(kept) == min(before, now)


def test_rotary_positions_take_another_grid_without_a_change_of_weights(model: Path, tmp_path: Path) -> None:
    longer = begin(make_store(tmp_path / "store", grid=(4, 4, 4)), model)
    assert longer.config.grid == (4, 4, 4)
    assert longer.ancestry[0].notes == ("grid 2x4x4 -> 4x4x4: rotary positions are computed, and have no weights",)


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)).filter(lambda grid: grid != (1, 1, 1)),
    bos=st.booleans(),
)
def test_positions_of_the_same_grid_stay_as_they_are(grid: tuple[int, int, int], bos: bool) -> None:
    config = replace(GPT_LEGACY, grid=grid, bos=bos)
    table = torch.randn(config.window - 1 + bos, 16)
    torch.testing.assert_close(interpolate_positions(table, config, config), table)


@settings(max_examples=20)
@given(now=st.tuples(st.integers(1, 6), st.integers(2, 7), st.integers(2, 7)), bos=st.booleans())
def test_interpolated_positions_keep_a_gradient_over_every_axis(now: tuple[int, int, int], bos: bool) -> None:
    """A field that is linear in latent frame, row and column is so in the middle of another grid, too."""
    before = replace(GPT_LEGACY, grid=(3, 4, 5), bos=bos)
    axes = torch.stack(torch.meshgrid(*(torch.arange(n).float() for n in before.grid), indexing="ij"), dim=-1)
    table = torch.cat([torch.full((int(bos), 3), -7.0), axes.flatten(0, 2)[:-1]])
    other = interpolate_positions(table, before, replace(before, grid=now))
    assert torch.equal(other[: int(bos)], table[: int(bos)])
    for axis, (old, new) in enumerate(zip(before.grid, now, strict=True)):
        expected = ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)
        shape = [1, 1, 1]
        shape[axis] = new
        wanted = expected.view(shape).expand(now).flatten()[:-1]
        found = other[int(bos) :, axis]
        # The last token of the old grid has no position: what lies near it is not linear.
        far = torch.ones(now, dtype=torch.bool)
        far[:, -(-now[1] // 4) - 1 :, -(-now[2] // 4) - 1 :] = False
        far = far.flatten()[:-1]
        torch.testing.assert_close(found[far], wanted[far], rtol=1e-4, atol=1e-4)


def test_learned_positions_are_interpolated_and_counted(tmp_path: Path) -> None:
    old = save(make_gpt(GPT_LEGACY_START), tmp_path / "old")
    own = begin(make_store(tmp_path / "store", grid=(2, 8, 8)), old, GPT_LEGACY_START)
    assert own.ancestry[0].interpolated == (1, 128 * 16)
    assert own.nll(torch.zeros(1, 128, dtype=torch.int64)).isfinite().all()


def test_a_grid_that_learned_positions_cannot_tell_is_refused(tmp_path: Path) -> None:
    flat = replace(GPT_LEGACY, grid=(1, 1, 16))
    old = save(make_gpt(flat), tmp_path / "old")
    with pytest.raises(InitError, match=r"grid 1x1x16 -> 2x4x4 cannot be adapted: .* one of the 4 rows"):
        begin(make_store(tmp_path / "store"), old, GPT_LEGACY)


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START])
def test_further_codes_begin_as_the_mean_and_bos_stays_the_last(tmp_path: Path, config: GPTConfig) -> None:
    old = make_gpt(config)
    grown = begin(make_store(tmp_path / "store", vocab_size=40), save(old, tmp_path / "old"), config, new_codes="mean")
    rows = grown.embedding.weight
    assert torch.equal(rows[:32], old.embedding.weight[:32])
    torch.testing.assert_close(rows[32:40], old.embedding.weight[:32].mean(dim=0).expand(8, -1))
    torch.testing.assert_close(grown.head.weight[32:], old.head.weight.mean(dim=0).expand(8, -1))
    if config.bos:
        assert torch.equal(rows[grown.bos_token], old.embedding.weight[old.bos_token])


def test_further_codes_begin_at_random_where_that_is_asked_for(model: Path, tmp_path: Path) -> None:
    grown = begin(make_store(tmp_path / "store", vocab_size=40), model, new_codes="random")
    assert len(grown.embedding.weight[32:40].unique(dim=0)) == 8
    assert grown.ancestry[0].resized == (2, 41 * 16 + 40 * 16)


def test_a_vocabulary_that_grows_without_saying_how_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InitError, match=r"knows 32 codes, the tokens are of 40: .* --new-codes mean or --new-codes random"
    ):
        begin(make_store(tmp_path / "store", vocab_size=40), model)


def test_fewer_codes_are_refused_unless_they_mean_something_else(model: Path, tmp_path: Path) -> None:
    fewer = make_store(tmp_path / "store", vocab_size=20)
    with pytest.raises(InitError, match=r"32 codes, the tokens are of 20.*--new-tokenizer anew"):
        begin(fewer, model)
    assert begin(fewer, model, new_tokenizer="anew").head.weight.shape == (20, 16)


def test_another_tokenizer_is_refused_unless_it_is_said_what_its_codes_mean(tmp_path: Path) -> None:
    old = save(make_gpt(replace(GPT_SHORT, tokenizer=ONE)), tmp_path / "old")
    store = make_store(tmp_path / "store", tokenizer=OTHER)
    with pytest.raises(InitError, match=f"tokenizer {ONE}, these are of {OTHER}: --new-tokenizer anew"):
        begin(store, old)
    kept = begin(store, old, new_tokenizer="keep")
    assert kept.config.tokenizer == OTHER
    assert torch.equal(kept.head.weight, weights(old)["head.weight"])


def test_codes_that_begin_anew_leave_the_rest_and_the_row_of_bos(tmp_path: Path) -> None:
    old = make_gpt(replace(GPT_SHORT, tokenizer=ONE))
    store = make_store(tmp_path / "store", tokenizer=OTHER)
    anew = begin(store, save(old, tmp_path / "old"), new_tokenizer="anew")
    assert not torch.equal(anew.head.weight, old.head.weight)
    assert not torch.equal(anew.embedding.weight[:32], old.embedding.weight[:32])
    assert torch.equal(anew.embedding.weight[32], old.embedding.weight[32])
    assert torch.equal(anew.blocks[1].attention.qkv.weight, old.blocks[1].attention.qkv.weight)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (replace(GPT_SHORT, width=32), r"--width 32 is not the 16 of the model"),
        (GPT_LEGACY, r"--variant legacy is not the rotary of the model; --bos False is not the True of the model"),
    ],
)
def test_weights_that_cannot_fit_are_refused(store: Path, model: Path, config: GPTConfig, named: str) -> None:
    with pytest.raises(InitError, match=named):
        begin(store, model, config)


def test_a_tokenizer_is_no_gpt(store: Path, tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(
        InitError, match=r"holds a 'vqgan'; it can be begun from with secondsight vqgan train: gpt train"
    ):
        begin(store, tmp_path / "tokenizer")


def test_a_tokenizer_is_no_gpt_on_the_command_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tokenizer().save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(SystemExit, match="2"):
        secondsight.parse(["gpt", "train", "--init", str(tmp_path / "tokenizer"), "--tokens", str(store), "--out", "x"])
    assert "holds a 'vqgan'" in capsys.readouterr().err


def test_a_folder_without_a_model_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        begin(store, tmp_path)


@pytest.mark.parametrize(("inside", "steps"), [("", 4), ("final", 4), ("checkpoints/000002", 2)])
def test_a_run_a_final_model_and_a_checkpoint_are_models(store: Path, run: Path, inside: str, steps: int) -> None:
    assert begin(store, run / inside).ancestry[0].steps == steps


def test_a_model_that_is_not_there_is_missed_when_the_training_begins(store: Path, tmp_path: Path) -> None:
    words = ["gpt", "train", "--init", str(tmp_path / "gone"), "--tokens", str(store), "--out", str(tmp_path / "out")]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, TrainOptions)
    with pytest.raises(CheckpointError, match="gone holds no model: there is no such folder"):
        train(chosen)
    assert not (tmp_path / "out" / "config.json").exists()


def test_what_was_taken_over_is_said(
    store: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, replace(GPT_SHORT, layers=3), init=model, steps=1))
    said = capsys.readouterr().err
    assert "begins from  old (weights" in said
    assert "kept 15 tensors" in said
    assert "begun anew 6 tensors" in said
    assert "2 blocks -> 3: 1 new behind the others, the identity at first" in said


def test_every_tensor_and_number_is_counted_once(model: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", vocab_size=40)
    gpt = begin(store, model, replace(GPT_SHORT, layers=3), new_codes="mean")
    counted = [getattr(gpt.ancestry[0], name) for name in ("kept", "resized", "interpolated", "new")]
    own = gpt.state_dict().values()
    assert [sum(column) for column in zip(*counted, strict=True)] == [len(own), sum(each.numel() for each in own)]


def test_ancestry_is_remembered_through_generations(store: Path, run: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "child", init=run))
    train(options(store, tmp_path / "grandchild", init=tmp_path / "child", layers=3))
    ancestry = GPT.from_pretrained(tmp_path / "grandchild").ancestry
    assert [(each.model, each.steps) for each in ancestry] == [("child", 4), ("base", 4)]


def test_what_is_refused_was_not_said_to_be_taken_over(
    store: Path, model: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_grid = make_store(tmp_path / "old", grid=(4, 4, 4))
    for chosen in (
        {"init": model, "init_optimizer": True},
        {"init": run, "init_optimizer": True, "rate_at_width": 8},
        {"init": model, "old_tokens": other_grid},
        {"init": model, "freeze": ("*",)},
    ):
        with pytest.raises(InitError):
            train(options(store, tmp_path / "run", **chosen))
    assert "begins from" not in capsys.readouterr().err


def test_weights_that_begin_anew_are_those_of_the_rate_also_with_a_condition(tmp_path: Path) -> None:
    """Of which no option asks, so that the config is that of the options and a little more."""
    store = make_store(tmp_path / "store", vocab_size=40)
    heads = []
    for name, condition in (("conditional", 3), ("plain", None)):
        old = save(make_gpt(replace(GPT_SHORT, condition=condition)), tmp_path / name)
        torch.manual_seed(0)
        own = begin(store, old, new_codes="random", rate_at_width=4)
        heads.append(own.head.weight[32:])
        assert own.config.condition == condition
    assert torch.equal(*heads)


def test_a_damaged_ancestry_is_refused(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    config, tensors = load_model_folder(model)
    save_model_folder(folder, {**config, "ancestry": [{"model": 3}]}, tensors)
    with pytest.raises(CheckpointError, match="ancestry"):
        GPT.from_pretrained(folder)


def test_a_resumed_run_needs_no_model_and_ends_with_the_same_weights(store: Path, tmp_path: Path) -> None:
    old = save(make_gpt(scale=2.0), tmp_path / "old")
    whole = train(options(store, tmp_path / "whole", init=old))
    train(options(store, tmp_path / "parts", init=old))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000004")
    shutil.rmtree(old)
    words = ["gpt", "train", "--init", str(old), "--tokens", str(store), "--out", str(tmp_path / "parts")]
    words += ["--steps", "4", "--batch", "4", "--warmup", "1", "--log-every", "1", "--save-every", "2"]
    resumed = secondsight.parse([*words, "--resume", "auto"])
    assert isinstance(resumed, TrainOptions)
    parts = train(resumed)
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_the_condition_of_a_model_stays_when_the_run_is_resumed(store: Path, tmp_path: Path) -> None:
    conditional = save(make_gpt(replace(GPT_SHORT, condition=3)), tmp_path / "conditional")
    train(options(store, tmp_path / "run", init=conditional, steps=1))
    final = train(options(store, tmp_path / "run", init=conditional, steps=2, resume="auto"))
    assert GPT.from_pretrained(final).config.condition == 3


def test_a_run_begun_otherwise_is_not_resumed_with_a_model(store: Path, model: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    with pytest.raises(RunFolderError, match="no --init -> "):
        train(options(store, tmp_path / "run", init=model, resume="auto"))


def test_the_moments_of_a_checkpoint_are_taken_over(store: Path, run: Path, tmp_path: Path) -> None:
    chosen = options(store, tmp_path, init=run, init_optimizer=True, learning_rate=1e-30, steps=1, save_every=1)
    train(chosen)
    before = moments(run / "checkpoints" / "000004")
    after = moments(tmp_path / "checkpoints" / "000001")
    assert before.keys() == after.keys()
    assert float(after["optimizer.gpt.0.step"]) == float(before["optimizer.gpt.0.step"]) + 1
    torch.testing.assert_close(
        after["optimizer.gpt.0.exp_avg_sq"], before["optimizer.gpt.0.exp_avg_sq"], rtol=0.2, atol=1e-3
    )


def moments(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_training_tensors(checkpoint, read_state(checkpoint))


def test_the_settings_of_the_optimizer_are_those_of_the_new_run(store: Path, run: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, init=run, init_optimizer=True, weight_decay=0.5))
    groups = read_state(tmp_path / "checkpoints" / "000004")["param_groups"]["gpt"]
    assert groups[0]["weight_decay"] == 0.5


def test_a_model_without_moments_is_refused(store: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InitError, match=r"has no optimizer state \(training_state/\): give --init a checkpoint"):
        train(options(store, tmp_path / "out", init=model, init_optimizer=True))
    assert not (tmp_path / "out" / "config.json").exists()


def test_moments_of_other_weights_are_refused(store: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InitError, match=r"does not fit: blocks.2.* is not kept .* leave --init-optimizer out"):
        train(options(store, tmp_path, init=run, init_optimizer=True, layers=3))


@pytest.mark.parametrize(("before", "now"), [(0, 8), (8, 0)])
def test_moments_of_a_run_whose_rate_has_another_rule_are_refused(
    store: Path, tmp_path: Path, before: int, now: int
) -> None:
    train(options(store, tmp_path / "base", rate_at_width=before))
    with pytest.raises(InitError, match=r"does not fit: .* has --rate-at-width, .* has not, and they number"):
        train(options(store, tmp_path / "run", init=tmp_path / "base", init_optimizer=True, rate_at_width=now))


def test_moments_of_a_run_with_the_rule_are_taken_over(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "base", rate_at_width=8))
    chosen = {"init_optimizer": True, "rate_at_width": 8, "learning_rate": 1e-30, "steps": 1}
    train(options(store, tmp_path / "run", init=tmp_path / "base", **chosen))
    after = moments(tmp_path / "run" / "checkpoints" / "000001")
    assert float(after["optimizer.gpt.0.step"]) == 5


@pytest.mark.parametrize("option", ["init_optimizer", "new_codes", "new_tokenizer", "old_tokens"])
def test_what_is_said_of_a_model_needs_one(store: Path, option: str) -> None:
    value = {"init_optimizer": True, "new_codes": "mean", "new_tokenizer": "anew", "old_tokens": store}[option]
    with pytest.raises(ValueError, match="--init"):
        options(store, Path("run"), **{option: value})


def test_new_codes_beside_codes_that_all_begin_anew_are_refused(store: Path, model: Path) -> None:
    with pytest.raises(ValueError, match=r"--new-codes mean .* --new-tokenizer anew keeps none"):
        options(store, Path("run"), init=model, new_codes="mean", new_tokenizer="anew")


def test_new_codes_where_there_are_none_are_said_to_do_nothing(
    store: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, init=model, new_codes="mean", steps=1))
    assert "--new-codes mean: the model knows all 32 codes of the tokens" in capsys.readouterr().err


def test_the_schedule_begins_at_step_0_with_its_warm_up(store: Path, run: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, init=run, warmup=4, learning_rate=0.4))
    rates = [line["learning_rate"] for line in metrics(tmp_path) if "learning_rate" in line]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_frozen_parameters_are_bit_equal_and_have_no_moments(store: Path, model: Path, tmp_path: Path) -> None:
    final = train(options(store, tmp_path, init=model, freeze=("embedding*", "blocks.0.*"), weight_decay=10.0))
    before, after = weights(model), weights(final)
    frozen = {name for name in before if name.startswith(("embedding", "blocks.0."))}
    assert {name for name in before if torch.equal(before[name], after[name])} == frozen
    state = moments(tmp_path / "checkpoints" / "000004")
    assert len({name.split(".")[2] for name in state}) == len(before) - len(frozen)


def test_a_frozen_run_is_resumed_to_the_same_weights(store: Path, model: Path, tmp_path: Path) -> None:
    whole = train(options(store, tmp_path / "whole", init=model, freeze=("embedding*",)))
    train(options(store, tmp_path / "parts", init=model, freeze=("embedding*",)))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000004")
    parts = train(options(store, tmp_path / "parts", init=model, freeze=("embedding*",), resume="auto"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()


def test_it_is_said_how_many_parameters_are_trained(
    store: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, init=model, freeze=("embedding*",), steps=1))
    total = sum(tensor.numel() for tensor in weights(model).values())
    assert f"{total:,} parameters, of which {total - 33 * 16:,} are trained" in capsys.readouterr().err


def test_a_pattern_that_names_nothing_lists_near_names(store: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InitError, match=r"--freeze embeding.weight is the name of no parameter; there are embedding.weight"
    ):
        train(options(store, tmp_path, freeze=("embeding.weight",)))


def test_freezing_everything_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InitError, match=r"--freeze \* leaves no parameter to be trained"):
        train(options(store, tmp_path, freeze=("*",)))


def test_two_processes_freeze_and_begin_alike(store: Path, model: Path, tmp_path: Path) -> None:
    chosen = {"init": str(model), "freeze": ["embedding*"], "old_tokens": str(store)}
    for process in start_two([job("gpt", store, tmp_path / "two", **chosen)], tmp_path / "log"):
        process.finish()
    train(options(store, tmp_path / "one", init=model, freeze=("embedding*",), steps=6, save_every=3))
    two = weights(tmp_path / "two" / "final")
    assert torch.equal(two["embedding.weight"], weights(model)["embedding.weight"])
    one = weights(tmp_path / "one" / "final")
    assert all(torch.allclose(two[name], one[name], atol=1e-5) for name in two)


def test_old_tokens_are_scored_before_the_first_step_and_at_every_checkpoint(
    store: Path, model: Path, tmp_path: Path
) -> None:
    old = make_store(tmp_path / "old_store", items=8)
    train(options(store, tmp_path / "run", init=model, old_tokens=old))
    lines = [line for line in metrics(tmp_path / "run") if "old_validation_nll" in line]
    assert [line["step"] for line in lines] == [-1, 1, 3]
    tokens = TokenStore(old).read(held_out(TokenStore(old)))
    expected = float(item_nll(GPT.from_pretrained(model), tokens, 8).mean())
    assert lines[0]["old_validation_nll"] == pytest.approx(expected, rel=1e-5)
    assert all("validation_nll" in line for line in lines)


def test_a_run_that_begins_from_a_model_is_scored_before_its_first_step(
    store: Path, model: Path, tmp_path: Path
) -> None:
    train(options(store, tmp_path, init=model, steps=1))
    assert [line["step"] for line in metrics(tmp_path) if "validation_nll" in line] == [-1, 0]


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ({"grid": (4, 4, 4)}, r"has grids of \(4, 4, 4\), the GPT of \(2, 4, 4\)"),
        ({"vocab_size": 64}, "is of 64 codes, the GPT of 32"),
        ({"tokenizer": OTHER}, f"is of tokenizer {OTHER}, whose codes mean something else"),
    ],
)
def test_old_tokens_that_cannot_be_scored_are_refused(tmp_path: Path, kind: dict[str, Any], named: str) -> None:
    model = save(make_gpt(replace(GPT_SHORT, tokenizer=ONE)), tmp_path / "model")
    store = make_store(tmp_path / "store", tokenizer=ONE)
    old = make_store(tmp_path / "old", **kind)
    with pytest.raises(InitError, match=named):
        train(options(store, tmp_path / "run", init=model, old_tokens=old))


@pytest.mark.parametrize(
    ("chosen", "scored"),
    [({"new_tokenizer": "keep"}, ONE), ({"new_tokenizer": "keep"}, OTHER), ({"new_tokenizer": "anew"}, OTHER)],
)
def test_old_tokens_are_those_of_codes_that_were_kept(tmp_path: Path, chosen: dict[str, Any], scored: str) -> None:
    model = save(make_gpt(replace(GPT_SHORT, tokenizer=ONE)), tmp_path / "model")
    store = make_store(tmp_path / "store", tokenizer=OTHER)
    old = make_store(tmp_path / "old", tokenizer=scored)
    train(options(store, tmp_path / "run", init=model, old_tokens=old, **chosen))
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "000004")
    train(options(store, tmp_path / "run", init=model, old_tokens=old, resume="auto", **chosen))
    assert [line["step"] for line in metrics(tmp_path / "run") if "old_validation_nll" in line] == [-1, 1, 3]


def test_old_tokens_of_codes_that_began_anew_are_refused(tmp_path: Path) -> None:
    model = save(make_gpt(replace(GPT_SHORT, tokenizer=ONE)), tmp_path / "model")
    store = make_store(tmp_path / "store", tokenizer=OTHER)
    old = make_store(tmp_path / "old", tokenizer=ONE)
    with pytest.raises(InitError, match=f"is of tokenizer {ONE}, whose codes mean something else"):
        train(options(store, tmp_path / "run", init=model, new_tokenizer="anew", old_tokens=old))


def test_old_tokens_of_another_tokenizer_are_refused_by_a_resumed_run_too(tmp_path: Path) -> None:
    model = save(make_gpt(replace(GPT_SHORT, tokenizer=ONE)), tmp_path / "model")
    store = make_store(tmp_path / "store", tokenizer=ONE)
    train(options(store, tmp_path / "run", init=model, steps=2))
    old = make_store(tmp_path / "old", tokenizer=OTHER)
    with pytest.raises(InitError, match=f"is of tokenizer {OTHER}, whose codes mean something else"):
        train(options(store, tmp_path / "run", init=model, old_tokens=old, resume="auto"))


def test_a_run_that_begins_again_writes_the_line_of_before_once(store: Path, model: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, init=model, steps=1))
    train(options(store, tmp_path, init=model, steps=1, overwrite=True))
    assert [line["step"] for line in metrics(tmp_path) if "validation_nll" in line] == [-1, 0]


def test_a_config_file_repeats_a_run_that_began_from_a_model(store: Path, model: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "run", replace(GPT_SHORT, layers=3), init=model, freeze=("head*", "norm*")))
    again = secondsight.parse(["gpt", "train", "--config", str(tmp_path / "run" / "config.json"), "--out", "x"])
    assert isinstance(again, TrainOptions)
    assert (again.beginning.init, again.beginning.freeze) == (model, ("head*", "norm*"))
    assert again.model.layers == 3


def test_a_command_is_repeated_with_the_layers_that_it_had(store: Path, model: Path) -> None:
    """Also where they are those of the default preset, and not those of the model."""
    chosen = options(store, Path("run"), replace(GPT_SHORT, layers=6), init=model, freeze=("head*", "norm*"))
    assert secondsight.parse(arguments_of(chosen)) == chosen


HUB = """
import shutil, sys
from pathlib import Path
from tiny import GPT_SHORT
from gpt.options import TrainOptions
from gpt.train import train
from storage.hub import download_model

store, out, cache = map(Path, sys.argv[1:])
chosen = {**GPT_SHORT.flat(), "steps": 2, "save_every": 1, "batch": 4, "init": Path("hf:me/gpt")}
train(TrainOptions.of(tokens=store, out=out, **chosen), lambda *_: None)
shutil.rmtree(out / "checkpoints" / "000002")
shutil.rmtree(cache)
download_model.cache_clear()
train(TrainOptions.of(tokens=store, out=out, **chosen, resume="auto"), lambda *_: None)
"""


def test_a_model_of_the_hub_is_named_with_its_commit_and_not_asked_for_again(store: Path, tmp_path: Path) -> None:
    cache = tmp_path / "home" / "hub" / "models--me--gpt"
    save(make_gpt(scale=2.0), cache / "snapshots" / COMMIT)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    words = [sys.executable, "-c", HUB, str(store), str(tmp_path / "run"), str(cache)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    done = subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert GPT.from_pretrained(tmp_path / "run").ancestry[0].model == f"hf:me/gpt@{COMMIT}"
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["hub"] == {"hf:me/gpt": COMMIT}
