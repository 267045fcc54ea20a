"""Beginning from a tokenizer: other clips, codes and blocks, what is frozen, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny import IMAGE, SHORT, make_clips, make_gpt, make_palette, make_tokenizer, make_videos

import secondsight
from storage.model_folder import load_model_folder
from training.inheritance import InitError
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN
from vqgan.options import TrainOptions
from vqgan.train import train
from vqgan.trainer import TokenizerTrainer


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(initialised(make_tokenizer(SHORT)), tmp_path_factory.mktemp("model") / "old")


def initialised(tokenizer: VQGAN) -> VQGAN:
    """The same, its codes those of a tokenizer that was trained."""
    tokenizer.quantizer.initialised.fill_(True)
    tokenizer.quantizer.sums.copy_(tokenizer.quantizer.codebook)
    return tokenizer


def save(tokenizer: VQGAN, folder: Path) -> Path:
    tokenizer.save_pretrained(folder)
    return folder


def options(videos: Path, out: Path, config: VQGANConfig = SHORT, **changes: Any) -> TrainOptions:
    chosen = {"steps": 4, "batch": 2, "warmup": 1, "log_every": 1, "save_every": 2}
    return TrainOptions.of(data=videos, out=out, **{**config.flat(), **chosen, **changes})


def begin(model: Path, config: VQGANConfig = SHORT, **changes: Any) -> VQGAN:
    return TokenizerTrainer(Accelerator(), options(Path("data"), Path("run"), config, init=model, **changes)).averaged


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model_folder(folder)[1]


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_all_weights_are_kept_where_nothing_differs(model: Path) -> None:
    own = begin(model).state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights(model).items())


def test_it_begins_with_codes_not_with_continuous_steps(model: Path) -> None:
    words = ["vqgan", "train", "--init", str(model), "--data", "x", "--out", "y"]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, TrainOptions)
    assert chosen.model == SHORT
    assert chosen.continuous_steps == 0
    anew = secondsight.parse([*words, "--new-quantizer"])
    assert isinstance(anew, TrainOptions)
    assert anew.continuous_steps == 100


def test_a_config_file_does_not_bring_continuous_steps_to_a_model_that_is_typed(model: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "config.json"
    recorded.write_text(json.dumps({"command": "vqgan train", **SHORT.flat(), "continuous_steps": 100, "batch": 3}))
    words = ["vqgan", "train", "--config", str(recorded), "--data", "x", "--out", "y", "--init", str(model)]
    for more, expected in (([], 0), (["--continuous-steps", "7"], 7), (["--new-quantizer"], 100)):
        chosen = secondsight.parse([*words, *more])
        assert isinstance(chosen, TrainOptions)
        assert (chosen.continuous_steps, chosen.training.batch) == (expected, 3)


def test_a_config_file_repeats_the_continuous_steps_of_a_run_that_began_from_a_model(
    model: Path, tmp_path: Path
) -> None:
    recorded = tmp_path / "config.json"
    recorded.write_text(json.dumps({"init": str(model), "continuous_steps": 5}))
    chosen = secondsight.parse(["vqgan", "train", "--config", str(recorded), "--data", "x", "--out", "y"])
    assert isinstance(chosen, TrainOptions)
    assert chosen.continuous_steps == 5


@pytest.mark.parametrize(("steps", "said"), [(0, False), (2, True)])
def test_steps_without_codes_that_are_kept_are_said(
    videos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: int, said: bool
) -> None:
    train(options(videos, tmp_path, init=model, continuous_steps=steps, steps=1))
    assert (f"the codes are kept, and not used in the first {steps} steps" in capsys.readouterr().err) is said


def test_another_resolution_and_length_change_no_weight(model: Path) -> None:
    own = begin(model, replace(SHORT, resolution=32, frames=16))
    assert all(torch.equal(own.state_dict()[name], tensor) for name, tensor in weights(model).items())
    assert own.encode(make_clips(1, 16, 32)).shape == (1, 4, 8, 8)
    assert own.ancestry[0].notes == (
        "resolution 16 -> 32: convolutions take clips of any size",
        "frames 8 -> 16: convolutions take clips of any size",
    )


@pytest.mark.parametrize("config", [SHORT, IMAGE])
def test_more_blocks_compute_what_the_model_computes(tmp_path: Path, config: VQGANConfig) -> None:
    old = make_tokenizer(config)
    own = begin(save(old, tmp_path / "old"), replace(config, blocks=2, decoder_blocks=3))
    clips = make_clips(2, config.frames)
    torch.testing.assert_close(own(clips).clip, old(clips).clip, rtol=1e-5, atol=1e-5)


def test_fewer_blocks_are_chosen_evenly(tmp_path: Path) -> None:
    old = make_tokenizer(replace(SHORT, blocks=3))
    own = begin(save(old, tmp_path / "old"), replace(SHORT, blocks=2)).state_dict()
    for index, source in enumerate((0, 2)):
        name = "space.weight"
        assert torch.equal(
            own[f"encoder.levels.1.{index}.{name}"], old.state_dict()[f"encoder.levels.1.{source}.{name}"]
        )


def test_further_codes_move_onto_vectors_of_the_first_batch(model: Path) -> None:
    trainer = TokenizerTrainer(Accelerator(), options(Path("data"), Path("run"), replace(SHORT, codes=48), init=model))
    assert trainer.tokenizer.quantizer.counts[32:].eq(0).all()
    before = trainer.tokenizer.quantizer.codebook.clone()
    latents = trainer.tokenizer.encoder(make_clips(8, 8, seed=5)).detach().flatten(0, -2)
    trainer.step(make_clips(8, 8, seed=5), 0)
    codebook = trainer.tokenizer.quantizer.codebook
    assert codebook.isfinite().all()
    moved = (codebook[32:] != before[32:]).any(dim=1)
    assert moved.all()
    assert torch.cdist(codebook[32:], latents).min(dim=1).values.median() < 1e-3


def test_of_fewer_codes_the_most_used_are_kept(tmp_path: Path) -> None:
    old = initialised(make_tokenizer(SHORT))
    old.quantizer.counts.copy_(torch.arange(32).float())
    own = begin(save(old, tmp_path / "old"), replace(SHORT, codes=16))
    assert torch.equal(own.quantizer.codebook, old.quantizer.codebook[16:])
    assert own.ancestry[0].notes == ("32 codes -> 16: the most used are kept, and numbered anew",)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (replace(SHORT, widths=(4, 8, 16)), r"--widths 4 8 16 is not the 4 8 8 of the model"),
        (replace(SHORT, patch=4), r"--patch 4 is not the 2 of the model"),
        (IMAGE, r"--strides 1 2 is not the 2 2 2 1 of the model"),
        (replace(SHORT, levels=(4, 4, 2)), r"quantizer is another \(--levels 4 4 2 is not the none of the model\)"),
        (replace(SHORT, code_width=8), r"quantizer is another \(--code-width 8 is not the 4 of the model\): --new-qu"),
        (replace(SHORT, normalised=True), r"--normalised True is not the False"),
    ],
)
def test_weights_that_cannot_fit_are_refused(model: Path, config: VQGANConfig, named: str) -> None:
    with pytest.raises(InitError, match=named):
        begin(model, config)


@pytest.mark.parametrize("config", [replace(SHORT, levels=(4, 4, 2)), replace(SHORT, code_width=8, codes=64), SHORT])
def test_a_quantizer_begins_anew_where_that_is_asked_for(model: Path, config: VQGANConfig) -> None:
    own = begin(model, config, new_quantizer=True)
    assert own.ancestry[0].notes[-1] == "the quantizer begins anew: its codes mean something else"
    assert torch.equal(
        own.state_dict()["encoder.levels.0.0.space.weight"], weights(model)["encoder.levels.0.0.space.weight"]
    )
    same_width = config.latent_width == SHORT.latent_width
    assert torch.equal(own.encoder.last.weight, weights(model)["encoder.last.weight"]) == same_width


def test_codes_for_a_model_of_levels_are_another_quantizer(tmp_path: Path) -> None:
    old = save(VQGAN(replace(SHORT, levels=(4, 4, 2))), tmp_path / "old")
    words = ["vqgan", "train", "--init", str(old), "--data", "x", "--out", "y", "--codes", "64"]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, TrainOptions)
    with pytest.raises(InitError, match="--levels none is not the 4 4 2 of the model"):
        TokenizerTrainer(Accelerator(), chosen)


def test_a_gpt_is_no_tokenizer(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    with pytest.raises(InitError, match=r"holds a 'gpt'; it can be begun from with secondsight gpt train: vqgan train"):
        begin(tmp_path / "gpt")


def test_a_palette_cannot_be_trained_on(tmp_path: Path) -> None:
    make_palette().save_pretrained(tmp_path / "palette")
    with pytest.raises(
        InitError, match=r"holds a 'palette', which cannot be trained on: vqgan train begins from a 'vqg"
    ):
        begin(tmp_path / "palette")


def test_a_frozen_tokenizer_learns_its_decoder_alone_and_its_tokens_stay(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    frozen = ("encoder.*", "quantizer.codebook")
    final = VQGAN.from_pretrained(train(options(videos, tmp_path, init=model, freeze=frozen)))
    before = weights(model)
    for name, tensor in final.state_dict().items():
        same = name.startswith(("encoder.", "quantizer."))
        assert torch.equal(tensor, before[name]) == same or "bias" in name
    clips = make_clips(2, 8)
    assert torch.equal(final.encode(clips), VQGAN.from_pretrained(model).encode(clips))


def test_a_frozen_codebook_needs_a_model(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InitError, match=r"codes that begin at random would stay so: give --init"):
        train(options(videos, tmp_path, freeze=("quantizer.*",)))


def test_a_frozen_codebook_takes_no_further_codes(model: Path) -> None:
    with pytest.raises(InitError, match=r"the 16 codes beyond the 32 of the model, which begin at random, would stay"):
        begin(model, replace(SHORT, codes=48), freeze=("quantizer.codebook",))
    assert begin(model, replace(SHORT, codes=16), freeze=("quantizer.codebook",)).config.codes == 16


def test_old_data_need_a_model(videos: Path) -> None:
    with pytest.raises(ValueError, match=r"--old-data .* needs --init"):
        options(videos, Path("run"), old_data=videos)


def test_freezing_what_weighs_the_adversary_is_refused(model: Path) -> None:
    with pytest.raises(InitError, match=r"leaves decoder.last.weight as it is, .* --adversarial-weight 0"):
        begin(model, freeze=("decoder.*",), adversarial_weight=0.5, discriminator_width=4, discriminator_layers=1)


def test_a_resumed_run_needs_no_model_and_ends_with_the_same_weights(videos: Path, tmp_path: Path) -> None:
    old = save(initialised(make_tokenizer(SHORT)), tmp_path / "old")
    frozen = ("encoder.first*", "quantizer.codebook")
    whole = train(options(videos, tmp_path / "whole", init=old, freeze=frozen))
    train(options(videos, tmp_path / "parts", init=old, freeze=frozen))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000004")
    shutil.rmtree(old)
    parts = train(options(videos, tmp_path / "parts", init=old, freeze=frozen, resume="auto"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    assert (whole / "config.json").read_bytes() == (parts / "config.json").read_bytes()
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_ancestry_is_remembered_through_generations(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path / "base", continuous_steps=0))
    train(options(videos, tmp_path / "child", init=tmp_path / "base"))
    train(options(videos, tmp_path / "grandchild", init=tmp_path / "child" / "checkpoints" / "000002"))
    ancestry = VQGAN.from_pretrained(tmp_path / "grandchild").ancestry
    assert [(each.model, each.steps) for each in ancestry] == [("child/checkpoints/000002", 2), ("base", 4)]


def test_moments_are_taken_over_with_the_weights(videos: Path, tmp_path: Path) -> None:
    train(options(videos, tmp_path / "base", continuous_steps=0))
    trainer = TokenizerTrainer(
        Accelerator(), options(videos, tmp_path / "child", init=tmp_path / "base", init_optimizer=True)
    )
    states = trainer.optimizer.state_dict()["state"].values()
    assert len(states) == len(list(trainer.tokenizer.parameters()))
    assert all(float(state["step"]) == 4 for state in states)


def test_old_data_are_measured_before_the_first_step_and_at_every_checkpoint(
    videos: Path, model: Path, tmp_path: Path
) -> None:
    old = make_videos(tmp_path / "old_videos", count=2)
    train(options(videos, tmp_path / "run", init=model, old_data=old))
    lines = [line for line in metrics(tmp_path / "run") if "old_psnr_db" in line]
    assert [line["step"] for line in lines] == [-1, 1, 3]
    assert all("psnr_db" in line for line in lines)
