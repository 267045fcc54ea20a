"""Importing tokenizers: the command, what it refuses, and that an imported tokenizer does all that ours do."""

import argparse
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from foreign_tokenizers import (
    TAMING,
    TAMING_CONFIG,
    TATS,
    expected_of,
    image_layout,
    random_weights,
    video_layout,
    weights_of,
)
from killed_commands import run_until
from mingpt import make_mingpt
from safetensors.torch import save_file
from tiny import make_clips, make_gpt, make_images, make_videos

import secondsight
from data.tokens import TokenStore
from gpt.config import GPTConfig
from sampling.options import Prompt
from sampling.prompts import encode_prompt
from storage.foreign.checkpoint import read_foreign
from storage.model_paths import CheckpointError
from vqgan.foreign.import_weights import import_weights
from vqgan.foreign.taming import TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN
from vqgan.model import load_tokenizer
from vqgan.options import ImportOptions

ARGS = {
    "downsample": (2, 4, 4),
    "n_hiddens": 32,
    "n_codes": 32,
    "embedding_dim": 8,
    "norm_type": "group",
    "sequence_length": 16,
    "resolution": 64,
    "frame_rate": 16,
}


class Malicious:
    """Creates a folder wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def run(*arguments: object) -> None:
    secondsight.main([str(argument) for argument in arguments])


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the imported image tokenizer: 1x16x16 tokens of 32 px."""
    out = tmp_path_factory.mktemp("imported") / "taming"
    run("vqgan", "import", "--kind", "taming", "--weights", TAMING, "--config", TAMING_CONFIG, "--out", out)
    return out


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the imported video tokenizer: 4x4x4 tokens of 16 frames of 32 px."""
    out = tmp_path_factory.mktemp("imported") / "tats"
    run("vqgan", "import", "--kind", "tats", "--weights", TATS, "--out", out)
    return out


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images", size=32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("data") / "videos", frames=32)


def test_an_imported_image_tokenizer_gives_the_original_tokens(image: Path) -> None:
    expected = expected_of(TAMING)
    tokens = load_tokenizer(image).encode(expected["image"][:, :, None])[:, 0]
    assert tokens.eq(expected["tokens"]).float().mean() >= 0.999


def test_an_imported_video_tokenizer_gives_the_original_tokens(video: Path) -> None:
    expected = expected_of(TATS)
    assert load_tokenizer(video).encode(2 * expected["video"]).eq(expected["tokens"]).float().mean() >= 0.999


def test_a_folder_of_our_own_is_written(image: Path) -> None:
    assert {path.name for path in image.iterdir()} == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(("folder", "shape"), [("image", (1, 32, 32, 1.0)), ("video", (16, 32, 32, 8.0))])
def test_an_imported_tokenizer_knows_its_clips(
    folder: str, shape: tuple[object, ...], request: pytest.FixtureRequest
) -> None:
    tokenizer = load_tokenizer(request.getfixturevalue(folder))
    assert (tokenizer.frames, tokenizer.size, tokenizer.size, tokenizer.fps) == shape


def test_one_line_is_printed_and_one_if_numbers_were_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_weights(ImportOptions(TATS, tmp_path / "out", "tats"))
    tokenizer = load_tokenizer(tmp_path / "out")
    assert isinstance(tokenizer, TATSVQGAN)
    assert capsys.readouterr().out == (
        "Converted to float32: weights 159 in float16.\n"
        f"{tmp_path / 'out'}: tats tokenizer, 16 frames of 32 px to 4x4x4 tokens of 64 codes; "
        "it is not causal, so prompts are encoded alone; "
        f"{tokenizer.config.leakage:.1%} of a latent frame's tokens change with later frames\n"
    )


@pytest.mark.parametrize(("kind", "said"), [("gumbel", True), ("taming", False)])
def test_it_is_said_that_the_original_draws_the_tokens_of_a_gumbel_vqgan(
    kind: str, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save(tmp_path / "a.ckpt", {"state_dict": random_weights(image_layout(kind))})
    import_weights(ImportOptions(weights, tmp_path / "out", "taming"))
    assert ("Assumed: the token of a latent is the likeliest code." in capsys.readouterr().out) == said


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize(("kind", "layout"), [("taming", image_layout()), ("tats", video_layout())])
def test_checkpoints_with_more_beside_the_weights_give_the_same_tokens(
    kind: Any, layout: dict[str, tuple[int, ...]], archive: bool, tmp_path: Path
) -> None:
    weights = random_weights(layout)
    beside = {
        "best": np.float64(0.5),
        "counts": defaultdict(int, {"steps": 3}),
        "hyper_parameters": {"args": argparse.Namespace(**ARGS, learning_rate=np.float32(1e-4))},
        "epoch": np.int64(3),
    }
    wrapped = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save(
        {"state_dict": wrapped, **beside},
        tmp_path / "a.ckpt",
        _use_new_zipfile_serialization=archive,
        pickle_protocol=1,
    )
    plain = {"state_dict": weights, "hyper_parameters": {"args": argparse.Namespace(**ARGS)}}
    import_weights(ImportOptions(save(tmp_path / "b.ckpt", plain), tmp_path / "plain", kind))
    import_weights(ImportOptions(tmp_path / "a.ckpt", tmp_path / "out", kind))
    assert load_tokenizer(tmp_path / "out").fingerprint == load_tokenizer(tmp_path / "plain").fingerprint


@pytest.mark.parametrize(("kind", "weights", "data"), [("tats", TATS, "VIDEOS"), ("taming", TAMING, "IMAGES")])
def test_the_next_command_fits_the_kind_of_clips(
    kind: Any, weights: Path, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_weights(ImportOptions(weights, tmp_path / "out", kind))
    assert f"--data {data} " in " ".join(capsys.readouterr().err.split())


def test_without_a_config_the_resolution_is_assumed_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_weights(ImportOptions(TAMING, tmp_path / "out", "taming"))
    assert (
        "images of 256 px to 1x128x128 tokens of 64 codes (the size is assumed, as there is no --config)"
        in capsys.readouterr().out
    )


def test_without_a_config_the_weights_are_the_same(image: Path, tmp_path: Path) -> None:
    import_weights(ImportOptions(TAMING, tmp_path / "out", "taming"))
    clips = make_clips(2, 1, 32)
    assert torch.equal(load_tokenizer(tmp_path / "out").encode(clips), load_tokenizer(image).encode(clips))


def test_the_config_of_a_transformer_describes_its_tokenizer(tmp_path: Path) -> None:
    model = yaml.safe_load(TAMING_CONFIG.read_text())["model"]
    nested = {"model": {"target": "Net2NetTransformer", "params": {"first_stage_config": model}}}
    (tmp_path / "transformer.yaml").write_text(yaml.safe_dump(nested))
    import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "transformer.yaml"))
    assert load_tokenizer(tmp_path / "out").size == 32


def test_the_checkpoint_of_a_transformer_holds_its_tokenizer(image: Path, tmp_path: Path) -> None:
    nested = {f"first_stage_model.{name}": tensor for name, tensor in weights_of(TAMING).items()}
    path = save(tmp_path / "a.ckpt", {"state_dict": {**nested, "transformer.head.weight": torch.ones(2)}})
    import_weights(ImportOptions(path, tmp_path / "out", "taming", TAMING_CONFIG))
    assert load_tokenizer(tmp_path / "out").fingerprint == load_tokenizer(image).fingerprint


def test_weights_as_safetensors_are_imported(image: Path, tmp_path: Path) -> None:
    save_file(weights_of(TAMING), tmp_path / "a.safetensors")
    import_weights(ImportOptions(tmp_path / "a.safetensors", tmp_path / "out", "taming", TAMING_CONFIG))
    assert load_tokenizer(tmp_path / "out").fingerprint == load_tokenizer(image).fingerprint


def test_a_gumbel_vqgan_is_imported(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", {"state_dict": random_weights(image_layout("gumbel"))})
    import_weights(ImportOptions(path, tmp_path / "out", "taming"))
    tokenizer = load_tokenizer(tmp_path / "out")
    assert isinstance(tokenizer, TamingVQGAN)
    assert tokenizer.config.quantizer == "gumbel"


def test_a_tokenizer_of_llamagen_is_imported(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pt", {"model": random_weights(image_layout("llamagen"))})
    run("vqgan", "import", "--kind", "llamagen", "--weights", path, "--out", tmp_path / "out")
    tokenizer = load_tokenizer(tmp_path / "out")
    assert isinstance(tokenizer, TamingVQGAN)
    assert (tokenizer.size, tokenizer.config.quantizer) == (256, "normalised")


def test_the_averaged_weights_of_llamagen_come_first(tmp_path: Path) -> None:
    averaged = random_weights(image_layout("llamagen"), seed=1)
    content = {"model": random_weights(image_layout("llamagen")), "ema": averaged, "steps": 3}
    import_weights(ImportOptions(save(tmp_path / "a.pt", content), tmp_path / "out", "llamagen"))
    embedding = load_tokenizer(tmp_path / "out").state_dict()["quantize.embedding.weight"]
    assert torch.equal(embedding, averaged["quantize.embedding.weight"])


@pytest.mark.parametrize("args", [ARGS, argparse.Namespace(**ARGS)])
def test_arguments_of_tats_may_be_a_dictionary_or_a_namespace(args: object, tmp_path: Path) -> None:
    content = {"state_dict": random_weights(video_layout()), "hyper_parameters": {"args": args}}
    import_weights(ImportOptions(save(tmp_path / "a.ckpt", content), tmp_path / "out", "tats"))
    tokenizer = load_tokenizer(tmp_path / "out")
    assert isinstance(tokenizer, TATSVQGAN)
    assert (tokenizer.config.norm, tokenizer.fps) == ("group", 16.0)


def test_weights_of_tats_without_arguments_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", {"state_dict": weights_of(TATS)})
    with pytest.raises(CheckpointError, match="has no hyper_parameters, which alone tell the strides"):
        import_weights(ImportOptions(path, tmp_path / "out", "tats"))


def test_arguments_of_another_model_are_refused(tmp_path: Path) -> None:
    nested = {f"first_stage_model.{name}": tensor for name, tensor in weights_of(TATS).items()}
    content = {"state_dict": nested, "hyper_parameters": {"args": argparse.Namespace(n_head=16)}}
    with pytest.raises(CheckpointError, match="take the checkpoint that the training of the VQGAN itself wrote"):
        import_weights(ImportOptions(save(tmp_path / "a.ckpt", content), tmp_path / "out", "tats"))


def test_factors_that_are_no_powers_of_two_are_refused_through_the_command(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    content = read_foreign(TATS)
    content["hyper_parameters"] = {"args": {**vars(content["hyper_parameters"]["args"]), "downsample": (4, 12, 12)}}
    path = save(tmp_path / "a.ckpt", content)
    said = refused("vqgan", "import", "--kind", "tats", "--weights", path, "--out", tmp_path / "out")
    assert re.search(r"must be powers of two: .* grids are those of \(4, 8, 8\)", said)


def test_a_malicious_checkpoint_is_refused_through_the_command(tmp_path: Path, refused: Callable[..., str]) -> None:
    content = {"state_dict": weights_of(TAMING), "callbacks": Malicious(tmp_path / "made")}
    weights = save(tmp_path / "a.ckpt", content)
    said = refused("vqgan", "import", "--kind", "taming", "--weights", weights, "--out", tmp_path / "out")
    assert re.search(r"is refused: it would run (posix|nt)\.mkdir", said)
    assert not (tmp_path / "made").exists()


def test_nothing_is_written_when_an_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        import_weights(ImportOptions(TATS, tmp_path / "out", "taming"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_holds_a_model_is_not_overwritten(tmp_path: Path, name: str, refused: Callable[..., str]) -> None:
    (tmp_path / name).write_text("{}")
    said = refused("vqgan", "import", "--kind", "tats", "--weights", TATS, "--out", tmp_path)
    assert f"already holds a {name}: choose another folder or remove it" in said
    assert (tmp_path / name).read_text() == "{}"


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_an_import_that_was_killed_is_repeated_by_the_same_command(
    video: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    words = ("vqgan", "import", "--kind", "tats", "--weights", TATS, "--out", tmp_path / "out")
    run_until(python, "out/model.safetensors", *words)
    secondsight.main([str(word) for word in words])
    names = ("config.json", "model.safetensors")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert all((tmp_path / "out" / name).read_bytes() == (video / name).read_bytes() for name in names)


def test_a_missing_checkpoint_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    said = refused("vqgan", "import", "--kind", "taming", "--weights", tmp_path / "a.ckpt", "--out", tmp_path / "out")
    assert re.search(r"there is no checkpoint file .*a\.ckpt", said)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no configuration file .*a\.yaml"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))


@pytest.mark.parametrize("kind", ["tats", "llamagen"])
def test_a_config_for_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"--config belongs to --kind taming, ibq or vidtok; --kind {kind} needs"):
        ImportOptions(TATS, Path("out"), kind, TAMING_CONFIG)


def test_a_config_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model: [")
    with pytest.raises(CheckpointError, match=r"a\.yaml is no YAML file"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))


def test_a_config_that_would_run_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"model: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']")
    with pytest.raises(CheckpointError, match=r"a\.yaml has the tag .*only plain values are read"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("text", ["", "7", "model: 3", "model: {params: {}}", "model: {params: {ddconfig: {ch: 32}}}"])
def test_a_config_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"describes no VQGAN: it has no model\.params\.ddconfig\.resolution"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))


def test_a_config_of_other_weights_is_refused_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TAMING_CONFIG.read_text().replace("n_embed: 64", "n_embed: 1024"))
    with pytest.raises(CheckpointError, match="--config says n_embed 1024, the weights show 64"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))


@pytest.mark.parametrize("kind", ["tats", "taming"])
@pytest.mark.parametrize("wrapper", ["", "module."])
@pytest.mark.parametrize("beside", [{"train_loss": 1.0}, {"clusters": torch.zeros(32, 3)}])
def test_a_checkpoint_of_a_mingpt_is_refused_with_the_command_for_it(
    tmp_path: Path, kind: Any, wrapper: str, beside: dict[str, object]
) -> None:
    state = {f"{wrapper}{name}": weight for name, weight in make_mingpt().items()}
    path = save(tmp_path / "a.pt", {"model_state_dict": state, **beside})
    with pytest.raises(CheckpointError, match=r"belongs to a GPT: use secondsight gpt import --kind vqgan-gpt"):
        import_weights(ImportOptions(path, tmp_path / "out", kind))
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_weights_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pt", {"model_state_dict": {"pos_emb": torch.ones(2)}, "train_loss": 1.0})
    with pytest.raises(CheckpointError, match="holds no weights under state_dict: it has model_state_dict, train_loss"):
        import_weights(ImportOptions(path, tmp_path / "out", "taming"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder.conv_in.bias": None}, r"decoder\.conv_in\.bias is missing"),
        ({"encoder.extra.bias": torch.ones(1)}, r"encoder\.extra\.bias is not part of the model"),
        ({"decoder.conv_in.bias": torch.ones(7)}, r"decoder\.conv_in\.bias has shape \(7,\), not \(32,\)"),
    ],
)
def test_a_tensor_that_does_not_belong_is_named(
    tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    weights = {name: tensor for name, tensor in {**weights_of(TAMING), **change}.items() if tensor is not None}
    path = save(tmp_path / "a.ckpt", {"state_dict": weights})
    with pytest.raises(CheckpointError, match=f"{message}. The file is incomplete, or its architecture was changed"):
        import_weights(ImportOptions(path, tmp_path / "out", "taming"))


def test_ten_tensors_that_do_not_belong_are_named(tmp_path: Path) -> None:
    extra = {f"extra.{number}": torch.ones(1) for number in range(12)}
    path = save(tmp_path / "a.ckpt", {"state_dict": {**weights_of(TAMING), **extra}})
    with pytest.raises(CheckpointError) as error:
        import_weights(ImportOptions(path, tmp_path / "out", "taming"))
    assert str(error.value).count("is not part of the model") == 10


def test_the_prompt_of_half_a_clip_is_half_a_clip_encoded_alone(video: Path) -> None:
    tokenizer, clips = load_tokenizer(video), expected_of(TATS)["video"] * 2
    assert torch.equal(encode_prompt(tokenizer, clips, Prompt("half-clip")), tokenizer.encode(clips[:, :, :8]))


def test_the_prompt_of_half_a_clip_does_not_know_the_other_half(video: Path) -> None:
    tokenizer, clips = load_tokenizer(video), expected_of(TATS)["video"] * 2
    changed = torch.cat([clips[:, :, :8], -clips[:, :, 8:]], dim=2)
    assert torch.equal(
        encode_prompt(tokenizer, clips, Prompt("half-clip")), encode_prompt(tokenizer, changed, Prompt("half-clip"))
    )


def test_the_prompt_of_half_an_image_is_half_an_image_encoded_alone(image: Path) -> None:
    tokenizer, clips = load_tokenizer(image), expected_of(TAMING)["image"][:, :, None]
    assert torch.equal(encode_prompt(tokenizer, clips, Prompt("half-image")), tokenizer.encode(clips[:, :, :, :16]))


def test_leakage_of_an_imported_video_tokenizer_is_measured(video: Path, videos: Path, tmp_path: Path) -> None:
    run("vqgan", "leakage", "--tokenizer", video, "--data", videos, "--out", tmp_path)
    per_latent_frame = json.loads((tmp_path / "leakage.json").read_text())["per_latent_frame"]
    assert len(per_latent_frame) == 2
    assert per_latent_frame[-1] > 0


def test_leakage_of_an_imported_image_tokenizer_is_measured(image: Path, images: Path, tmp_path: Path) -> None:
    run("vqgan", "leakage", "--tokenizer", image, "--data", images, "--out", tmp_path)
    per_row = json.loads((tmp_path / "leakage.json").read_text())["per_row"]
    assert len(per_row) == 8
    assert per_row[-1] > 0


def test_an_imported_tokenizer_is_evaluated(image: Path, images: Path, tmp_path: Path) -> None:
    run("vqgan", "eval", "--tokenizer", image, "--data", images, "--out", tmp_path)
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("kind", "data", "prompt", "grid"),
    [("video", "videos", "half-clip", (4, 4, 4)), ("image", "images", "half-image", (1, 16, 16))],
)
def test_tokens_of_an_imported_tokenizer_are_completed(
    kind: str, data: str, prompt: str, grid: tuple[int, int, int], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From the imported folder over tokens and a GPT to completions of what is given."""
    folder, source = request.getfixturevalue(kind), request.getfixturevalue(data)
    tokenizer = load_tokenizer(folder)
    run("vqgan", "encode", "--tokenizer", folder, "--data", source, "--out", tmp_path / "tokens")
    store = TokenStore(tmp_path / "tokens")
    assert (store.metadata.grid, store.metadata.tokenizer) == (grid, tokenizer.fingerprint)
    gpt = GPTConfig(
        layers=1,
        heads=2,
        width=16,
        grid=store.metadata.grid,
        vocab_size=store.metadata.vocab_size,
        tokenizer=store.metadata.tokenizer,
    )
    make_gpt(gpt).save_pretrained(tmp_path / "gpt")
    run(
        "complete",
        "--gpt",
        tmp_path / "gpt",
        "--tokenizer",
        folder,
        "--input",
        source,
        "--prompt",
        prompt,
        "--n",
        2,
        "--out",
        tmp_path / "out",
    )
    tokens = np.load(tmp_path / "out" / "tokens.npy")
    record = json.loads((tmp_path / "out" / "sample.json").read_text())
    given = record["prompt_tokens"]
    assert tokens.shape[1:] == (2, np.prod(grid))
    assert given == np.prod(grid) // 2
    assert (tokens[:, 0, :given] == tokens[:, 1, :given]).all()
    assert (tokens[:, 0, given:] != tokens[:, 1, given:]).any()


# What strangers made

LAUGHS = "a: &a [1]\n" + "".join(f"b{number}: [*a]\n" for number in range(21))
VQ = "model: {params: {ddconfig: {resolution: 64, %s}}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "has more than 20 aliases"),
        ("[" * 30 + "]" * 30, "nested deeper than 20 levels"),
        ("a: !!python/name:os.mkdir ''", "has the tag"),
        ("a: !other 3", "has the tag '!other'"),
        ("a: " + "9" * 5000, "is no YAML file"),
        ("{[1]: 2}", "is no YAML file"),
        ("a: \x00", "is no YAML file"),
        ("a: *b", "is no YAML file"),
        ("x" * 100_001, "larger than 100,000 bytes"),
        ("model: {params: {ddconfig: {resolution: true}}}", "describes no VQGAN"),
        ("model: {params: {ddconfig: {resolution: [64]}}}", "describes no VQGAN"),
        ("model: {params: {ddconfig: {resolution: -64}}}", "--resolution -64 must be at least 1"),
        ("model: {params: {ddconfig: {resolution: 1000000000000}}}", "pixels, more than the|must be a multiple"),
        (VQ % "ch: '32'", "says ch '32', the weights show 32"),
        (VQ % "ch_mult: [true, 1, 2]", "says ch_mult"),
        (VQ % "ch_mult: 1", "says ch_mult 1"),
        (VQ % "z_channels: {a: 1}", "says z_channels"),
        (VQ % "attn_resolutions: [[16]]", "says attn_resolutions"),
    ],
)
def test_odd_configurations_end_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_configuration_with_an_anchor_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("side: &side 64\nmodel: {params: {ddconfig: {resolution: *side}}}")
    import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))
    assert load_tokenizer(tmp_path / "out").size == 64


def test_a_pipe_in_place_of_a_configuration_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(CheckpointError, match=r"a\.yaml is a named pipe"):
        import_weights(ImportOptions(TAMING, tmp_path / "out", "taming", tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"downsample": "248"}, "say downsample '248'"),
        ({"downsample": (2, True, 4)}, "say downsample True"),
        ({"downsample": (2, 4, 10**30)}, "levels|powers of two"),
        ({"resolution": 2.5}, "say resolution 2.5"),
        ({"resolution": torch.zeros(2)}, "say resolution tensor"),
        ({"sequence_length": 2**62}, "pixels, more than the"),
        ({"n_codes": "32"}, "says n_codes '32'"),
        ({"n_hiddens": torch.zeros(3)}, "says n_hiddens tensor"),
        ({"norm_type": ["group"]}, "says norm_type"),
        ({"padding_type": ["same"]}, "say padding_type"),
        ({"frame_rate": "16"}, "say frame_rate '16'"),
    ],
)
def test_odd_settings_end_in_one_line(change: dict[str, object], message: str, tmp_path: Path) -> None:
    content = {"state_dict": random_weights(video_layout()), "hyper_parameters": {"args": {**ARGS, **change}}}
    with pytest.raises(ValueError, match=message) as caught:
        import_weights(ImportOptions(save(tmp_path / "a.ckpt", content), tmp_path / "out", "tats"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder.down.99999999999.block.0.conv1.weight", torch.zeros(1), "a damaged name"),
        ("encoder.conv_in.bias", torch.zeros(32, dtype=torch.int32), "encoder.conv_in.bias is of type int32"),
        ("encoder.conv_in.bias", torch.zeros(32, dtype=torch.bool), "encoder.conv_in.bias is of type bool"),
        ("encoder.conv_in.bias", torch.zeros(32).to(torch.float8_e5m2), "ask for the weights in float32"),
        ("encoder.conv_in.bias", torch.full((32,), float("inf")), "NaN or infinite, in encoder.conv_in.bias"),
        ("encoder.conv_out.weight", torch.zeros(()), "which no layer of its name has"),
        ("quantize.embedding.weight", torch.zeros(5), "which no layer of its name has"),
    ],
)
def test_odd_weights_end_in_one_line(name: str, value: torch.Tensor, message: str, tmp_path: Path) -> None:
    state = {**random_weights(image_layout()), name: value}
    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(ImportOptions(save(tmp_path / "a.ckpt", {"state_dict": state}), tmp_path / "out", "taming"))
    assert "\n" not in str(caught.value)
