"""Importing IBQ's and VidTok's tokenizers: the command, what it takes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from foreign_tokenizers import TATS, ImageReference, image_layout, random_weights, weights_of
from foreign_vidtok import Design, Reference, settings_for, weights_for
from safetensors.torch import save_file
from tiny import make_clips, make_videos, rewrite_config
from torch import Tensor

import secondsight
from data.tokens import TokenStore
from storage.model_paths import CheckpointError
from vqgan.foreign.import_weights import import_weights
from vqgan.foreign.taming import TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN
from vqgan.foreign.vidtok import VidTok
from vqgan.model import load_tokenizer
from vqgan.options import ImportOptions

SMALL = Design()
IBQ: dict[str, Any] = {
    "model": {
        "class_path": "src.IBQ.models.ibqgan.IBQ",
        "init_args": {
            "ddconfig": {"ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [16], "resolution": 32},
            "n_embed": 32,
            "embed_dim": 8,
        },
    }
}


def run(*arguments: object) -> None:
    secondsight.main([str(argument) for argument in arguments])


def write(folder: Path, weights: dict[str, Tensor], settings: Any, name: str = "a") -> tuple[Path, Path]:
    """A checkpoint with a configuration beside it."""
    torch.save({"state_dict": weights, "global_step": 3}, folder / f"{name}.ckpt")
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    return folder / f"{name}.ckpt", folder / f"{name}.yaml"


def options(folder: Path, kind: Any, weights: dict[str, Tensor], settings: Any) -> ImportOptions:
    checkpoint, config = write(folder, weights, settings)
    return ImportOptions(checkpoint, folder / "out", kind, config)


@pytest.fixture(scope="module")
def vidtok(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of an imported causal model: 5x4x4 tokens of 17 frames of 16 px, of 262,144 codes."""
    folder = tmp_path_factory.mktemp("vidtok")
    design = replace(SMALL, levels=(8,) * 6)
    weights, config = write(folder, weights_for(design), settings_for(design))
    run("vqgan", "import", "--kind", "vidtok", "--weights", weights, "--config", config, "--out", folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("data") / "videos", frames=40)


def test_averaged_weights_of_ibq_give_the_tokens_of_the_published_formulas(tmp_path: Path) -> None:
    weights = random_weights(image_layout("ibq"))
    import_weights(options(tmp_path, "ibq", weights, IBQ))
    averages = {name: weights[f"model_ema.{name.replace('.', '')}"] for name in image_layout("taming")}
    tokenizer = load_tokenizer(tmp_path / "out")
    clips = make_clips(3, 1, 32)
    reference = ImageReference(averages, "ibq")
    expected = reference.encode(clips[:, :, 0])
    assert isinstance(tokenizer, TamingVQGAN)
    assert tokenizer.encode(clips)[:, 0].eq(expected).float().mean() >= 0.999
    assert len(expected.unique()) > 4
    with torch.no_grad():
        assert torch.allclose(tokenizer.reconstruct(expected[:, None])[:, :, 0], reference.decode(expected), atol=1e-3)


def test_weights_of_ibq_without_averages_are_taken(tmp_path: Path) -> None:
    weights = random_weights(image_layout("taming"))
    import_weights(options(tmp_path, "ibq", weights, IBQ))
    embedding = load_tokenizer(tmp_path / "out").state_dict()["quantize.embedding.weight"]
    assert torch.equal(embedding, weights["quantize.embedding.weight"])


def test_that_averages_are_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_weights(options(tmp_path, "ibq", random_weights(image_layout("ibq")), IBQ))
    assert "The averages of the weights (model_ema) are taken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_ema.encoderconv_inweight": None}, r"model_ema\. has no average of encoder\.conv_in\.weight"),
        ({"model_ema.encoderextra": torch.ones(1)}, r"model_ema\.encoderextra averages no weight"),
        ({"encoder.extra.bias": torch.ones(1)}, r"model_ema\. has no average of encoder\.extra\.bias"),
        ({"quantize.used": torch.ones(4)}, r"has no average of quantize\.used"),
    ],
)
def test_tensors_of_ibq_that_do_not_belong_are_named(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    changed = {**random_weights(image_layout("ibq")), **change}
    weights = {name: tensor for name, tensor in changed.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        import_weights(options(tmp_path, "ibq", weights, IBQ))


def test_a_config_of_ibq_that_contradicts_the_weights_is_named(tmp_path: Path) -> None:
    arguments = {**IBQ["model"]["init_args"], "n_embed": 16384}
    settings = {"model": {**IBQ["model"], "init_args": arguments}}
    with pytest.raises(CheckpointError, match="--config says n_embed 16384, the weights show 32"):
        import_weights(options(tmp_path, "ibq", random_weights(image_layout("ibq")), settings))


def test_a_config_of_taming_is_no_config_of_ibq(tmp_path: Path) -> None:
    settings = {"model": {"target": "taming.models.vqgan.VQModel", "params": {}}}
    with pytest.raises(CheckpointError, match=r"not a model of class IBQ: use --kind taming"):
        import_weights(options(tmp_path, "ibq", random_weights(image_layout("taming")), settings))


def test_a_config_of_ibq_is_no_config_of_taming(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"describes a model of class IBQ: use --kind ibq"):
        import_weights(options(tmp_path, "taming", random_weights(image_layout("taming")), IBQ))


@pytest.mark.parametrize(
    ("given", "named"),
    [("taming", "vidtok"), ("ibq", "vidtok"), ("tats", "vidtok"), ("llamagen", "vidtok")],
)
def test_weights_of_vidtok_under_another_kind_are_known(tmp_path: Path, given: Any, named: str) -> None:
    checkpoint, config = write(tmp_path, weights_for(SMALL), IBQ if given == "ibq" else settings_for(SMALL))
    with pytest.raises(CheckpointError, match=f"belongs to another kind: use --kind {named}"):
        import_weights(ImportOptions(checkpoint, tmp_path / "out", given, config if given == "ibq" else None))


@pytest.mark.parametrize("kind", ["taming", "llamagen", "tats"])
def test_other_weights_under_the_kind_of_vidtok_are_known(tmp_path: Path, kind: str) -> None:
    weights = weights_of(TATS) if kind == "tats" else random_weights(image_layout(kind))
    with pytest.raises(CheckpointError, match=f"belongs to another kind: use --kind {kind}"):
        import_weights(options(tmp_path, "vidtok", weights, settings_for(SMALL)))


def test_weights_of_ibq_under_the_kind_of_taming_are_known_by_their_averages(tmp_path: Path) -> None:
    checkpoint, _ = write(tmp_path, random_weights(image_layout("ibq")), IBQ)
    with pytest.raises(CheckpointError, match=r"model_ema.*belongs to another kind: use --kind ibq"):
        import_weights(ImportOptions(checkpoint, tmp_path / "out", "taming"))


@pytest.mark.parametrize("kind", ["ibq", "vidtok"])
def test_a_config_is_needed(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"--kind {kind} needs --config, the .yaml that came with the weights"):
        ImportOptions(Path("a.ckpt"), Path("out"), kind)


def test_an_imported_model_of_vidtok_gives_the_tokens_of_the_published_formulas(vidtok: Path) -> None:
    design = replace(SMALL, levels=(8,) * 6)
    clips = make_clips(2, 17, 16)
    tokenizer = load_tokenizer(vidtok)
    assert tokenizer.encode(clips).eq(Reference(design, weights_for(design)).encode(clips)).float().mean() >= 0.99
    assert (tokenizer.frames, tokenizer.size, tokenizer.fps, tokenizer.causal) == (17, 16, 8.0, True)


def test_what_vidtok_trains_beside_its_tokenizer_is_left_out(tmp_path: Path) -> None:
    beside = {"loss.logvar": torch.ones(1), "loss.discriminator.main.0.bias": torch.ones(4)}
    beside |= {"model_ema.decay": torch.tensor(0.9), "model_ema.encoderconv_inconvbias": torch.ones(4)}
    import_weights(options(tmp_path, "vidtok", {**weights_for(SMALL), **beside}, settings_for(SMALL)))
    assert set(load_tokenizer(tmp_path / "out").state_dict()) == set(weights_for(SMALL))


def test_compiled_models_of_vidtok_are_taken(tmp_path: Path) -> None:
    weights = {name.replace("coder.", "coder._orig_mod.", 1): each for name, each in weights_for(SMALL).items()}
    import_weights(options(tmp_path, "vidtok", weights, settings_for(SMALL)))
    assert set(load_tokenizer(tmp_path / "out").state_dict()) == set(weights_for(SMALL))


def test_weights_of_vidtok_as_safetensors_are_taken(tmp_path: Path) -> None:
    _, config = write(tmp_path, weights_for(SMALL), settings_for(SMALL))
    save_file(weights_for(SMALL), tmp_path / "a.safetensors")
    import_weights(ImportOptions(tmp_path / "a.safetensors", tmp_path / "out", "vidtok", config))
    assert isinstance(load_tokenizer(tmp_path / "out"), VidTok)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder.conv_in.conv.bias": None}, r"decoder\.conv_in\.conv\.bias is missing"),
        ({"encoder.extra.bias": torch.ones(1)}, r"encoder\.extra\.bias is not part of the model"),
        ({"regularization.project_in.bias": torch.ones(3)}, r"regularization\.project_in\.bias is not part"),
        ({"decoder.conv_in.conv.bias": torch.ones(7)}, r"decoder\.conv_in\.conv\.bias has shape \(7,\), not \(8,\)"),
    ],
)
def test_tensors_of_vidtok_that_do_not_belong_are_named(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    weights = {name: each for name, each in {**weights_for(SMALL), **change}.items() if each is not None}
    with pytest.raises(CheckpointError, match=message):
        import_weights(options(tmp_path, "vidtok", weights, settings_for(SMALL)))


def changed_settings(part: str, change: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the small model with another encoder, decoder or regularizer."""
    settings = settings_for(SMALL)
    described = settings["model"]["params"][f"{part}_config"]
    parameters = described["params"]
    described |= {name: value for name, value in change.items() if name == "target"}
    if isinstance(parameters, dict):
        parameters |= {name: value for name, value in change.items() if name != "target"}
    return settings


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("encoder", {"ch": 128}, "--config says ch 128, the weights show 4"),
        ("encoder", {"ch_mult": [1, 2, 4]}, r"says ch_mult \(1, 2, 4\), the weights show \(1, 2, 2\)"),
        ("encoder", {"num_res_blocks": 2}, "says num_res_blocks 2, the weights show 1"),
        ("encoder", {"norm_type": "groupnorm"}, "says norm_type 'groupnorm', the weights show 'layernorm'"),
        ("encoder", {"double_z": True}, "says double_z True, the weights show False"),
        ("encoder", {"init_pad_mode": "constant"}, "says init_pad_mode 'constant', the weights show 'replicate'"),
        ("encoder", {"time_downsample_factor": 8}, "says time_downsample_factor 8, the weights show 4"),
        ("encoder", {"target": "vidtok.modules.model_3dnoncausal.Encoder3D"}, "describes the encoder .* each with its"),
        ("encoder", {"target": "other.Encoder"}, "describes the encoder 'other.Encoder'"),
        ("decoder", {"target": "other.Decoder"}, "the decoder 'other.Decoder'"),
        ("regularizer", {"levels": [8, 8]}, "says dimensions of levels 2, the weights show 3"),
        ("regularizer", {"levels": "8"}, "says levels '8', which are no list of whole numbers"),
        ("regularizer", {"levels": [8, 8, 1]}, "levels"),
        ("regularizer", {"target": "x.DiagonalGaussianRegularizer"}, "whose latents are no tokens"),
    ],
)
def test_a_config_of_vidtok_that_contradicts_the_weights_is_named(
    tmp_path: Path, part: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        import_weights(options(tmp_path, "vidtok", weights_for(SMALL), changed_settings(part, change)))


def test_a_model_that_looks_ahead_is_not_described_as_a_causal_one(tmp_path: Path) -> None:
    weights = weights_for(replace(SMALL, causal=False))
    with pytest.raises(CheckpointError, match="says causal True, the weights show False"):
        import_weights(options(tmp_path, "vidtok", weights, settings_for(SMALL)))


@pytest.mark.parametrize("settings", [None, 7, {"model": 3}, {"model": {"params": {}}}, IBQ])
def test_a_config_of_something_else_than_vidtok_is_named(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(CheckpointError, match=r"describes no tokenizer of VidTok: it has no model\.params\.encoder_"):
        import_weights(options(tmp_path, "vidtok", weights_for(SMALL), settings))


def test_a_config_without_a_size_is_assumed_to_mean_256_pixels_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(SMALL)
    settings["data"]["params"]["train"]["params"]["video_params"] |= {"input_height": "H", "input_width": "W"}
    import_weights(options(tmp_path, "vidtok", weights_for(SMALL), settings))
    assert "Assumed: 256 pixels a side, as --config has no input_height." in capsys.readouterr().out
    assert load_tokenizer(tmp_path / "out").size == 256


@pytest.mark.parametrize(("causal", "said"), [(True, "it is causal: "), (False, "it is not causal, so ")])
def test_leakage_is_measured_said_and_kept(
    causal: bool, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = replace(SMALL, causal=causal)
    import_weights(options(tmp_path, "vidtok", weights_for(design), settings_for(design)))
    leakage = json.loads((tmp_path / "out" / "config.json").read_text())["leakage"]
    assert leakage == 0 if causal else leakage > 0
    line = capsys.readouterr().out
    assert said in line
    assert f"; {leakage:.1%} of a latent frame's tokens change with later frames" in line


def test_leakage_of_tats_is_measured_and_changes_no_fingerprint(tmp_path: Path) -> None:
    import_weights(ImportOptions(TATS, tmp_path / "out", "tats"))
    tokenizer = load_tokenizer(tmp_path / "out")
    assert isinstance(tokenizer, TATSVQGAN)
    assert tokenizer.config.leakage is not None
    assert 0 < tokenizer.config.leakage <= 1
    measured = tokenizer.fingerprint
    tokenizer.config = replace(tokenizer.config, leakage=None)
    assert tokenizer.fingerprint == measured


def test_a_model_folder_of_tats_from_before_leakage_was_measured_is_opened(tmp_path: Path) -> None:
    import_weights(ImportOptions(TATS, tmp_path / "out", "tats"))
    rewrite_config(tmp_path / "out", "leakage")
    assert load_tokenizer(tmp_path / "out").config.leakage is None  # type: ignore[attr-defined]


def test_a_gpt_learns_tokens_of_vidtok_and_completes_clips(vidtok: Path, videos: Path, tmp_path: Path) -> None:
    """From the imported folder over tokens of a large vocabulary and a GPT to completions of half a clip."""
    tokens, gpt, out = tmp_path / "tokens", tmp_path / "gpt", tmp_path / "out"
    run("vqgan", "encode", "--tokenizer", vidtok, "--data", videos, "--out", tokens)
    metadata = TokenStore(tokens).metadata
    assert (metadata.grid, metadata.frames, metadata.vocab_size) == ((5, 4, 4), 17, 262144)
    assert (metadata.dtype.itemsize, metadata.tokenizer) == (4, load_tokenizer(vidtok).fingerprint)
    tiny = ("--layers", 1, "--heads", 1, "--width", 16, "--steps", 1, "--batch", 2, "--warmup", 0)
    run("gpt", "train", "--tokens", tokens, "--out", gpt, *tiny)
    given = ("--prompt", "half-clip", "--n", 1, "--items", 1)
    run("complete", "--gpt", gpt, "--tokenizer", vidtok, "--input", videos, "--out", out, *given)
    assert list(out.rglob("sample.json"))


def test_an_imported_model_of_vidtok_is_evaluated_and_its_leakage_measured(
    vidtok: Path, videos: Path, tmp_path: Path
) -> None:
    run("vqgan", "leakage", "--tokenizer", vidtok, "--data", videos, "--out", tmp_path / "leakage")
    measured = json.loads((tmp_path / "leakage" / "leakage.json").read_text())
    assert measured["per_latent_frame"] == [0, 0]
    run("vqgan", "eval", "--tokenizer", vidtok, "--data", videos, "--out", tmp_path / "evaluation")
    assert (tmp_path / "evaluation" / "metrics.json").exists()
