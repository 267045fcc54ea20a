"""`secondsight gpt import`: checkpoints of other programs become models that work everywhere."""

import argparse
import json
import os
import re
import shutil
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed_commands import run_until
from mingpt import make_mingpt, make_tats, mingpt_logits
from safetensors.torch import load_file, save_file
from tiny import IMAGE, SHORT, make_clips, make_images, make_tokenizer, make_videos

import secondsight
from gpt.evaluate import item_nll
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.model_paths import CheckpointError
from vqgan.model import load_tokenizer
from vqgan.palette import Palette

FIXTURES = Path(__file__).parent / "fixtures"
IMAGEGPT = FIXTURES / "imagegpt_tiny"
"""An Image GPT of random weights over 4x4 pixels in 8 colours, as transformers 4.57.1 writes it:
`ImageGPTForCausalImageModeling(ImageGPTConfig(vocab_size=9, n_positions=16, n_embd=16, n_layer=2, n_head=4))`, matrices
normal with a deviation of 1 / sqrt of their columns (those of the head four times that), vectors with one of 0.5 (about
1 in the norms), saved with `save_pretrained`, and so its `ImageGPTImageProcessor` with 8 random colours.
`expected.safetensors` has random images (3, 4, 4, 3) uint8, the tokens (3, 16) that the processor makes of them, and
the logits (3, 16, 8) and NLL (3, 16) that the model gives them after its first token, 8."""
VQGAN_GPT, IGPT = FIXTURES / "vqgan_gpt_tiny.pt", FIXTURES / "igpt_tiny.pt"


def run(*arguments: object) -> None:
    secondsight.main([str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def save(path: Path, **content: Any) -> Path:
    torch.save(content, path)
    return path


def save_igpt(path: Path, **changes: Any) -> Path:
    """An igpt checkpoint of 4x4 pixels in 8 colours, whose heads are not stored unless `changes` say."""
    content = {"model_state_dict": make_mingpt(8, 15), "clusters": torch.rand(8, 3) * 255}
    return save(path, **{**content, **changes})


def save_tats(path: Path, conditions: int = 0, **settings: Any) -> Path:
    """A checkpoint of TATS as Lightning writes it, for the tokens of `SHORT`."""
    known = {
        "n_head": 2,
        "n_layer": 2,
        "unconditional": not conditions,
        "vtokens_pos": False,
        "n_unmasked": 0,
        "sample_every_n_latent_frames": 0,
        **settings,
    }
    return save(
        path,
        **{
            "state_dict": make_tats(conditions=conditions),
            "hyper_parameters": {"args": argparse.Namespace(**known)},
            "epoch": 1,
            "optimizer_states": [],
            "pytorch-lightning_version": "1.5.4",
        },
    )


@pytest.fixture(scope="module")
def igpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_weights(ImportOptions("igpt", IGPT, tmp_path_factory.mktemp("igpt")))


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_tokenizer")
    make_tokenizer(IMAGE).save_pretrained(folder)
    return folder


@torch.no_grad()
@pytest.mark.parametrize(("kind", "name"), [("vqgan-gpt", "vqgan_gpt_tiny"), ("igpt", "igpt_tiny")])
def test_real_checkpoints_give_their_logits_and_likelihoods(kind: str, name: str, tmp_path: Path) -> None:
    run("gpt", "import", "--kind", kind, "--weights", FIXTURES / f"{name}.pt", "--out", tmp_path / "gpt")
    model, expected = GPT.from_pretrained(tmp_path / "gpt"), load_file(FIXTURES / f"{name}_expected.safetensors")
    torch.testing.assert_close(model(expected["tokens"][:, :-1]), expected["logits"], rtol=0, atol=1e-3)
    torch.testing.assert_close(item_nll(model, expected["tokens"], 2), expected["mean_nll"], rtol=0, atol=1e-4)
    assert (model.config.grid, model.config.heads, model.config.variant) == ((1, 8, 8), 2, "legacy")
    assert not model.config.bos


def test_the_palette_gives_the_tokens_of_igpt(igpt: Path) -> None:
    expected = load_file(FIXTURES / "igpt_tiny_expected.safetensors")
    palette = load_tokenizer(igpt / "tokenizer")
    clips = (expected["image"].float() / 127.5 - 1).permute(0, 3, 1, 2)[:, :, None]
    assert torch.equal(palette.encode(clips).flatten(1), expected["tokens"])
    assert isinstance(palette, Palette)
    assert GPT.from_pretrained(igpt).config.tokenizer == palette.fingerprint


def test_assumed_heads_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_weights(ImportOptions("vqgan-gpt", VQGAN_GPT, tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Converted to float32: weights ")
    assert lines[1].startswith("Assumed: 2 attention heads")
    assert "2 layers, 2 heads, width 32, 31,584 parameters; grids of 1x8x8 tokens of 64 kinds" in lines[2]


@pytest.mark.parametrize(("kind", "weights"), [("vqgan-gpt", VQGAN_GPT), ("igpt", IGPT)])
def test_the_next_command_of_a_model_of_images_completes_half_images(
    kind: Any, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_weights(ImportOptions(kind, weights, tmp_path / "gpt"))
    assert "--input IMAGES --prompt half-image --out" in capsys.readouterr().err


def test_given_heads_are_taken_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_weights(ImportOptions("vqgan-gpt", VQGAN_GPT, tmp_path, heads=4))
    assert GPT.from_pretrained(tmp_path).config.heads == 4
    assert "Assumed" not in capsys.readouterr().out


@pytest.mark.parametrize(("width", "heads"), [(512, 8), (768, 12), (1024, 16), (1280, 20), (1600, 25)])
def test_assumed_heads_are_those_of_the_published_models(width: int, heads: int, tmp_path: Path) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(8, 15, layers=1, width=width))
    import_weights(ImportOptions("vqgan-gpt", weights, tmp_path / "gpt"))
    assert GPT.from_pretrained(tmp_path / "gpt").config.heads == heads


@pytest.mark.parametrize("width", [15, 144])
def test_heads_of_a_width_of_no_published_model_must_be_given(width: int, tmp_path: Path) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(8, 15, layers=1, width=width))
    with pytest.raises(CheckpointError, match=f"its width of {width} is that of no published model: give --heads"):
        import_weights(ImportOptions("vqgan-gpt", weights, tmp_path / "gpt"))


def test_heads_that_contradict_the_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"--heads 4 contradicts .*igpt_tiny\.pt, which has 2"):
        import_weights(ImportOptions("igpt", IGPT, tmp_path, heads=4))


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--width 32 must split into --heads 5"):
        import_weights(ImportOptions("vqgan-gpt", VQGAN_GPT, tmp_path, heads=5))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_bare_weights_are_imported(suffix: str, tmp_path: Path) -> None:
    write: Callable[..., object] = torch.save if suffix == "pt" else save_file
    write(make_mingpt(8, 15), tmp_path / f"a.{suffix}")
    model = GPT.from_pretrained(import_weights(ImportOptions("vqgan-gpt", tmp_path / f"a.{suffix}", tmp_path / "gpt")))
    tokens = torch.arange(15)[None] % 8
    torch.testing.assert_close(model(tokens), mingpt_logits(make_mingpt(8, 15), tokens, 2), rtol=1e-4, atol=1e-4)


def test_two_whites_that_float32_cannot_tell_apart_in_minus_one_to_one_keep_their_tokens(tmp_path: Path) -> None:
    colours = torch.tensor([[0.0] * 3, [1e-6] * 3, [254.99998] * 3, [255.0] * 3, *([[9.0] * 3] * 4)])
    import_weights(ImportOptions("igpt", save_igpt(tmp_path / "a.pt", clusters=colours), tmp_path / "gpt"))
    palette = load_tokenizer(tmp_path / "gpt" / "tokenizer")
    levels = torch.tensor([0.0, 255.0, 254.0, 1.0]).expand(1, 3, 1, 1, 4)
    assert palette.encode(levels / 127.5 - 1).flatten().tolist() == [0, 3, 2, 1]


def test_a_model_of_noise_has_no_palette(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_igpt(tmp_path / "a.pt", clusters=None)
    import_weights(ImportOptions("igpt", weights, tmp_path / "gpt"))
    assert "no palette is written" in capsys.readouterr().out
    assert not (tmp_path / "gpt" / "tokenizer").exists()
    assert GPT.from_pretrained(tmp_path / "gpt").config.tokenizer == ""


def test_a_tokenizer_gives_grid_and_fingerprint(image_tokenizer: Path, tmp_path: Path) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(32, 15))
    import_weights(ImportOptions("vqgan-gpt", weights, tmp_path / "gpt", tokenizer=image_tokenizer))
    config = GPT.from_pretrained(tmp_path / "gpt").config
    assert (config.grid, config.tokenizer) == ((1, 4, 4), make_tokenizer(IMAGE).fingerprint)


@torch.no_grad()
@pytest.mark.parametrize(("conditions", "condition"), [(0, None), (3, None), (3, 0), (3, 1), (3, 2), (101, 57)])
def test_tats_is_imported_with_its_tokenizer(
    conditions: int, condition: int | None, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_tats(tmp_path / "a.ckpt", conditions)
    chosen = () if condition is None else ("--condition", condition)
    words = ("gpt", "import", "--kind", "tats", "--weights", weights, "--out", tmp_path / "gpt")
    run(*words, "--tokenizer", tokenizer, *chosen)
    said = capsys.readouterr()
    first = condition or 0
    of = f"very clip begins with condition {first} of the {conditions} (0 to {conditions - 1})"
    assert (of in said.out) == bool(conditions)
    assert (f"Assumed: e{of}" in said.out) == (bool(conditions) and condition is None)
    assert (f"a BOS token that stands for condition {first};" in said.out) == bool(conditions)
    assert "--input VIDEOS --out" in said.err
    model = GPT.from_pretrained(tmp_path / "gpt")
    assert (model.config.grid, model.config.vocab_size, model.config.bos) == ((2, 4, 4), 32, True)
    assert model.config.tokenizer == make_tokenizer(SHORT).fingerprint
    assert model.config.condition == (first if conditions else None)
    tokens = torch.randint(32, (2, 32), generator=torch.Generator().manual_seed(0))
    plain = {name.removeprefix("transformer."): weight for name, weight in make_tats(conditions=conditions).items()}
    read = torch.cat([torch.full((2, 1), first), conditions + tokens[:, :-1]], dim=1)
    log_probabilities = mingpt_logits(plain, read, heads=2)[:, :, conditions:].log_softmax(dim=-1)
    expected = -log_probabilities.gather(2, tokens[..., None])[..., 0]
    torch.testing.assert_close(model.nll(tokens), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_a_head_without_rows_of_conditions_changes_is_measured_and_said(
    tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_tats(tmp_path / "a.ckpt", 5)
    import_weights(ImportOptions("tats", weights, tmp_path / "gpt", tokenizer=tokenizer, condition=4))
    said = re.search(
        r"The head's rows of the 5 conditions are left out: the softmax is over the 32 codes alone, and the NLL of a "
        r"token lower by ([\d.e-]+) nats than with them \(mean over 32 tokens that were drawn from the model\)",
        capsys.readouterr().out,
    )
    assert said
    plain = {name.removeprefix("transformer."): weight for name, weight in make_tats(conditions=5).items()}
    read = torch.full((1, 1), 4)
    generator = torch.Generator().manual_seed(0)
    falls = []
    for _ in range(32):
        logits = mingpt_logits(plain, read, heads=2)[0, -1]
        falls.append(logits.logsumexp(dim=0) - logits[5:].logsumexp(dim=0))
        drawn = torch.multinomial(logits[5:].double().softmax(dim=0), 1, generator=generator)
        read = torch.cat([read, 5 + drawn[None]], dim=1)
    assert float(said[1]) == pytest.approx(float(torch.stack(falls).mean()), rel=0.05)


@pytest.mark.parametrize(
    ("conditions", "condition", "message"),
    [
        (3, 3, "--condition 3 is none of the 3 that the GPT was trained with: choose one of 0 to 2"),
        (0, 0, r"--condition 0 is none of .*a\.ckpt, which was trained without: leave it out"),
    ],
)
def test_a_condition_that_is_none_is_refused(
    conditions: int, condition: int, message: str, tokenizer: Path, tmp_path: Path
) -> None:
    weights = save_tats(tmp_path / "a.ckpt", conditions)
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("tats", weights, tmp_path / "gpt", tokenizer=tokenizer, condition=condition))
    assert not (tmp_path / "gpt").exists()


def test_the_condition_stands_in_the_record_of_samples(tokenizer: Path, tmp_path: Path) -> None:
    weights = save_tats(tmp_path / "a.ckpt", 3)
    import_weights(ImportOptions("tats", weights, tmp_path / "gpt", tokenizer=tokenizer, condition=2))
    models = ("--tokenizer", tokenizer, "--gpt", tmp_path / "gpt")
    run("complete", *models, "--prompt", "none", "--n", 1, "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "sample.json").read_text())["condition"] == 2


def test_an_old_file_with_more_beside_wrapped_weights_gives_the_same_gpt(tokenizer: Path, tmp_path: Path) -> None:
    import_weights(ImportOptions("tats", save_tats(tmp_path / "a.ckpt"), tmp_path / "plain", tokenizer=tokenizer))
    content = {
        "state_dict": {f"module.{name}": weight for name, weight in make_tats().items()},
        "hyper_parameters": argparse.Namespace(n_head=np.int64(2), unconditional=np.bool_(True)),
        "counts": defaultdict(int, {"steps": 3}),
    }
    torch.save(content, tmp_path / "b.ckpt", _use_new_zipfile_serialization=False, pickle_protocol=1)
    import_weights(ImportOptions("tats", tmp_path / "b.ckpt", tmp_path / "gpt", tokenizer=tokenizer))
    assert contents(tmp_path / "gpt") == contents(tmp_path / "plain")


def test_a_config_without_a_condition_says_nothing_of_one(igpt: Path) -> None:
    """So that fingerprints are those of versions before."""
    assert "condition" not in json.loads((igpt / "config.json").read_text())


@pytest.mark.parametrize(
    ("conditions", "change", "message"),
    [
        (0, {"n_unmasked": 256}, "n_unmasked 256: it sees parts of what follows"),
        (
            0,
            {"sample_every_n_latent_frames": 4},
            "sample_every_n_latent_frames 4: it reads clips of which latent frames",
        ),
        (3, {"unconditional": True}, "it has 3 tokens more than the tokenizer's 32 codes and yet is unconditional"),
    ],
)
def test_settings_that_a_plain_gpt_cannot_follow_are_named(
    conditions: int, change: dict[str, Any], message: str, tokenizer: Path, tmp_path: Path
) -> None:
    weights = save_tats(tmp_path / "a.ckpt", conditions, **change)
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("tats", weights, tmp_path / "gpt", tokenizer=tokenizer))


def test_tats_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--kind tats needs --tokenizer"):
        ImportOptions("tats", tmp_path / "a.ckpt", tmp_path / "gpt")


@pytest.mark.parametrize(("vocabulary", "positions"), [(32, 63), (40, 15)])
def test_another_tokenizer_is_refused_with_both_numbers(
    vocabulary: int, positions: int, image_tokenizer: Path, tmp_path: Path
) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(vocabulary, positions))
    message = rf"the GPT reads {positions + 1} tokens of {vocabulary} kinds, the tokenizer makes 16 \(1x4x4\) of 32"
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("vqgan-gpt", weights, tmp_path / "gpt", tokenizer=image_tokenizer))


def test_a_tokenizer_of_other_codes_than_the_one_in_the_checkpoint_is_refused(tmp_path: Path) -> None:
    make_tokenizer(replace(SHORT, codes=16)).save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(CheckpointError, match="a tokenizer of 32 codes, this one has 16"):
        import_weights(
            ImportOptions("tats", save_tats(tmp_path / "a.ckpt"), tmp_path / "gpt", tokenizer=tmp_path / "tokenizer")
        )


def test_a_window_that_is_no_square_needs_a_tokenizer(tmp_path: Path) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(32, 31))
    with pytest.raises(CheckpointError, match="reads 32 tokens, which is no square: give --tokenizer"):
        import_weights(ImportOptions("vqgan-gpt", weights, tmp_path / "gpt"))


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        (torch.rand(7, 3), r"clusters is \(7, 3\), not one RGB colour for each of 8 tokens"),
        ([1, 2], "clusters is list, not one RGB colour"),
        (torch.rand(8, 3) - 1, "not RGB between 0 and 255"),
        (torch.rand(8, 3) + 300, "not RGB between 0 and 255"),
        (torch.full((8, 3), torch.nan), "not RGB between"),
    ],
)
def test_colours_that_are_none_are_refused(clusters: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("igpt", save_igpt(tmp_path / "a.pt", clusters=clusters), tmp_path / "gpt"))


@pytest.mark.parametrize(
    ("kind", "weights", "message"),
    [
        ("igpt", VQGAN_GPT, "has no entry clusters, the colours of igpt's pixels: try --kind vqgan-gpt"),
        ("vqgan-gpt", IGPT, "has an entry clusters, the colours of igpt's pixels: try --kind igpt"),
        ("tats", VQGAN_GPT, "They look like a minGPT: try --kind vqgan-gpt"),
        ("imagegpt", VQGAN_GPT, "They look like a minGPT: try --kind vqgan-gpt"),
        ("imagegpt", FIXTURES / "taming_vqgan_tiny.ckpt", "a tokenizer: try secondsight vqgan import --kind taming"),
        *(
            (kind, IMAGEGPT / "model.safetensors", "look like an Image GPT of transformers: try --kind imagegpt")
            for kind in ("igpt", "vqgan-gpt", "tats")
        ),
    ],
)
def test_the_wrong_kind_is_recognised(kind: Any, weights: Path, message: str, tokenizer: Path, tmp_path: Path) -> None:
    given = tokenizer if kind == "tats" else None
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions(kind, weights, tmp_path, tokenizer=given))


def test_a_tokenizer_beside_a_palette_is_refused(image_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="brings its own palette as its tokenizer: leave out --tokenizer"):
        import_weights(ImportOptions("igpt", IGPT, tmp_path, tokenizer=image_tokenizer))


@pytest.mark.parametrize("name", ["config.json", "tokenizer/model.safetensors"])
def test_a_folder_that_holds_a_model_is_not_touched(name: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / name).write_text("kept")
    with pytest.raises(FileExistsError, match="already holds a"):
        import_weights(ImportOptions("igpt", IGPT, tmp_path))
    assert (tmp_path / name).read_text() == "kept"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("appears", ["out/tokenizer/config.json", "out/config.json", "out/model.safetensors"])
def test_an_import_that_was_killed_is_repeated_by_the_same_command(
    appears: str, igpt: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    words = ("gpt", "import", "--kind", "igpt", "--weights", IGPT, "--out", tmp_path / "out")
    run_until(python, appears, *words)
    run(*words)
    assert contents(tmp_path) == {f"out/{name}": content for name, content in contents(igpt).items()}


def test_the_tokenizer_of_another_gpt_stays_where_it_is(igpt: Path, tmp_path: Path) -> None:
    shutil.copytree(igpt / "tokenizer", tmp_path / "tokenizer")
    with pytest.raises(FileExistsError, match=r"already holds a config\.json: choose another folder or remove it"):
        import_weights(ImportOptions("vqgan-gpt", VQGAN_GPT, tmp_path))
    assert contents(tmp_path) == {f"tokenizer/{name}": text for name, text in contents(igpt / "tokenizer").items()}


def test_nothing_is_written_when_the_import_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--heads 5"):
        import_weights(ImportOptions("vqgan-gpt", VQGAN_GPT, tmp_path / "gpt", heads=5))
    assert not (tmp_path / "gpt").exists()


def test_heads_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="--heads 0 must be at least 1"):
        ImportOptions("igpt", IGPT, Path("gpt"), heads=0)


class Malicious:
    """Creates a folder wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_malicious_checkpoint_is_refused_by_the_command(tmp_path: Path, refused: Callable[..., str]) -> None:
    weights = save_igpt(tmp_path / "a.pt", model_config=Malicious(tmp_path / "made"))
    said = refused("gpt", "import", "--kind", "igpt", "--weights", weights, "--out", tmp_path / "gpt")
    assert re.match(r"secondsight: .*a\.pt is refused: it would run (posix|nt)\.mkdir", said)
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "gpt").exists()


def test_pixels_are_encoded_scored_and_completed(igpt: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", 2)
    models = ("--tokenizer", igpt / "tokenizer", "--gpt", igpt)
    run("vqgan", "encode", "--tokenizer", igpt / "tokenizer", "--data", images, "--out", tmp_path / "tokens")
    run("gpt", "eval", "--gpt", igpt, "--tokens", tmp_path / "tokens")
    run("complete", *models, "--input", images, "--prompt", "half-image", "--n", 2, "--out", tmp_path / "half")
    run("complete", *models, "--prompt", "none", "--n", 3, "--top-k", 4, "--out", tmp_path / "none")
    assert np.load(tmp_path / "half" / "tokens.npy").shape == (2, 2, 64)
    assert np.load(tmp_path / "none" / "tokens.npy").shape == (1, 3, 64)
    assert json.loads((tmp_path / "half" / "sample.json").read_text())["prompt_tokens"] == 32


def test_images_in_codes_are_completed_without_a_known_tokenizer(image_tokenizer: Path, tmp_path: Path) -> None:
    weights = save(tmp_path / "a.pt", model_state_dict=make_mingpt(32, 15))
    run("gpt", "import", "--kind", "vqgan-gpt", "--weights", weights, "--out", tmp_path / "gpt")
    images = make_images(tmp_path / "images", 2)
    run("vqgan", "encode", "--tokenizer", image_tokenizer, "--data", images, "--out", tmp_path / "tokens")
    run("gpt", "eval", "--gpt", tmp_path / "gpt", "--tokens", tmp_path / "tokens")
    run(
        "complete",
        "--gpt",
        tmp_path / "gpt",
        "--tokenizer",
        image_tokenizer,
        "--input",
        images,
        "--prompt",
        "half-image",
        "--n",
        2,
        "--out",
        tmp_path / "out",
    )
    tokens = torch.from_numpy(np.load(tmp_path / "out" / "tokens.npy"))
    assert tokens.shape == (2, 2, 16)


def test_half_clips_are_completed_by_tats(tokenizer: Path, tmp_path: Path) -> None:
    weights = save_tats(tmp_path / "a.ckpt")
    run("gpt", "import", "--kind", "tats", "--weights", weights, "--out", tmp_path / "gpt", "--tokenizer", tokenizer)
    videos = make_videos(tmp_path / "videos", 1, frames=8)
    run(
        "complete",
        "--gpt",
        tmp_path / "gpt",
        "--tokenizer",
        tokenizer,
        "--input",
        videos,
        "--prompt",
        "half-clip",
        "--n",
        2,
        "--out",
        tmp_path / "out",
    )
    given = load_tokenizer(tokenizer).encode(make_clips(1, 4, 16)).numel()
    assert np.load(tmp_path / "out" / "tokens.npy").shape == (1, 2, 2 * given)


# The Image GPT of transformers


@pytest.fixture(scope="module")
def imagegpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imagegpt") / "gpt"
    return import_weights(ImportOptions("imagegpt", IMAGEGPT / "model.safetensors", out))


def copy_imagegpt(folder: Path, left_out: str = "", **settings: object) -> Path:
    """The files of an Image GPT, perhaps without one of them or with other settings; its weights are returned."""
    shutil.copytree(IMAGEGPT, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    if left_out:
        (folder / left_out).unlink()
    return folder / "model.safetensors"


@torch.no_grad()
def test_an_image_gpt_of_transformers_gives_its_likelihoods(imagegpt: Path) -> None:
    expected = load_file(IMAGEGPT / "expected.safetensors")
    model = GPT.from_pretrained(imagegpt)
    logits = model(model.with_bos(expected["tokens"][:, :-1]))
    torch.testing.assert_close(logits, expected["logits"], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.nll(expected["tokens"]), expected["nll"], rtol=0, atol=1e-5)
    assert (model.config.variant, model.config.heads, model.config.grid) == ("imagegpt", 4, (1, 4, 4))


def test_an_image_gpt_of_transformers_brings_its_palette(imagegpt: Path) -> None:
    expected = load_file(IMAGEGPT / "expected.safetensors")
    palette = load_tokenizer(imagegpt / "tokenizer")
    clips = (expected["image"].float() / 127.5 - 1).permute(0, 3, 1, 2)[:, :, None]
    assert torch.equal(palette.encode(clips).flatten(1), expected["tokens"])
    assert GPT.from_pretrained(imagegpt).config.tokenizer == palette.fingerprint


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
def test_an_image_gpt_in_a_bin_file_with_its_masks_is_the_same(archive: bool, imagegpt: Path, tmp_path: Path) -> None:
    folder = copy_imagegpt(tmp_path / "files", "model.safetensors").parent
    state = load_file(IMAGEGPT / "model.safetensors")
    for block in range(2):
        state[f"transformer.h.{block}.attn.bias"] = torch.ones(1, 1, 16, 16, dtype=torch.uint8).tril()
        state[f"transformer.h.{block}.attn.masked_bias"] = torch.tensor(-1e4)
    weights = folder / "pytorch_model.bin"
    torch.save(OrderedDict(state), weights, _use_new_zipfile_serialization=archive)
    import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt"))
    assert contents(tmp_path / "gpt") == contents(imagegpt)


def test_half_images_are_completed_by_an_image_gpt(imagegpt: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", 2)
    models = ("--tokenizer", imagegpt, "--gpt", imagegpt)
    run("complete", *models, "--input", images, "--prompt", "half-image", "--n", 2, "--out", tmp_path / "half")
    assert np.load(tmp_path / "half" / "tokens.npy").shape == (2, 2, 16)


def test_colours_may_lie_elsewhere_or_nowhere(
    imagegpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = copy_imagegpt(tmp_path / "files", "preprocessor_config.json")
    import_weights(ImportOptions("imagegpt", weights, tmp_path / "bare"))
    assert "no preprocessor_config.json, which holds the colours, beside the weights" in capsys.readouterr().out
    assert not (tmp_path / "bare" / "tokenizer").exists()
    clusters = IMAGEGPT / "preprocessor_config.json"
    import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt", clusters=clusters))
    assert contents(tmp_path / "gpt") == contents(imagegpt)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": [[0.0, 0.0, 0.0]]}, r"clusters of \(1, 3\), not one RGB colour for each of 8 tokens"),
        ({"clusters": "blue"}, "clusters 'blue', not one RGB colour"),
        ({"clusters": [[1, 2], [3]]}, "not one RGB colour"),
        ({"clusters": [[255.0, 0.0, 0.0]] * 8}, "clusters that are not RGB between -1 and 1"),
        ({"clusters": None}, "clusters None, not one RGB colour"),
        ({"size": 32}, "makes images of 32, the GPT reads 4x4 pixels"),
        ({"size": {"height": 4, "width": 8}}, "makes images of .*the GPT reads 4x4 pixels"),
    ],
)
def test_colours_of_an_image_gpt_that_are_none_are_refused(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    weights = copy_imagegpt(tmp_path / "files")
    path = weights.parent / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt"))
    assert not (tmp_path / "gpt").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation_function": "gelu_new"}, "says activation_function 'gelu_new'; only Image GPTs with 'quick_gelu'"),
        ({"layer_norm_epsilon": 1e-6}, "says layer_norm_epsilon 1e-06"),
        ({"scale_attn_by_inverse_layer_idx": True}, "says scale_attn_by_inverse_layer_idx True"),
        ({"model_type": "gpt2"}, "says model_type 'gpt2'"),
        ({"n_head": "four"}, "n_head 'four', which is no whole number"),
        ({"n_head": 3}, "says n_head 3 and n_embd 16, which must split into that many heads"),
        ({"n_embd": 32}, r"config\.json says n_embd 32, the weights show 16: they do not belong together"),
        ({"n_embd": "16"}, "says n_embd '16', the weights show 16"),
        ({"n_layer": 24}, "says n_layer 24, the weights show 2"),
        ({"n_positions": 1024}, "says n_positions 1024, the weights show 16"),
        ({"vocab_size": 513}, "says vocab_size 513, the weights show 9"),
        ({"n_inner": 128}, "says n_inner 128, the weights show 64"),
    ],
)
def test_settings_of_an_image_gpt_that_cannot_be_followed_are_named(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        import_weights(ImportOptions("imagegpt", copy_imagegpt(tmp_path / "files", **settings), tmp_path / "gpt"))


@pytest.mark.parametrize("settings", [{"n_inner": 64}, {"n_inner": None}])
def test_an_inner_width_of_four_times_the_width_may_be_said(settings: dict[str, object], tmp_path: Path) -> None:
    weights = copy_imagegpt(tmp_path / "files", **settings)
    assert import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt")).is_dir()


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_damaged_config_beside_an_image_gpt_is_named(content: str, tmp_path: Path) -> None:
    weights = copy_imagegpt(tmp_path / "files")
    (weights.parent / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt"))
    assert "\n" not in str(caught.value)


def test_heads_of_an_image_gpt_without_a_config_must_be_given(imagegpt: Path, tmp_path: Path) -> None:
    weights = copy_imagegpt(tmp_path / "files", "config.json")
    with pytest.raises(CheckpointError, match=r"no config\.json beside .* width of 16 is that of no published model"):
        import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt"))
    import_weights(ImportOptions("imagegpt", weights, tmp_path / "gpt", heads=4))
    assert contents(tmp_path / "gpt") == contents(imagegpt)


def make_imagegpt(width: int) -> dict[str, torch.Tensor]:
    """The weights of an Image GPT of one block over 2x2 pixels in 3 colours."""
    shapes = {"wte": (4, width), "wpe": (4, width), "ln_f": (width,), "h.0.ln_1": (width,), "h.0.ln_2": (width,)}
    matrices = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
    matrices |= {"mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
    state = {f"transformer.{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    for name, (before, after) in matrices.items():
        state[f"transformer.h.0.{name}.weight"] = torch.zeros(before, after)
        state[f"transformer.h.0.{name}.bias"] = torch.zeros(after)
    return {**state, "lm_head.weight": torch.zeros(3, width)}


@pytest.mark.parametrize(("width", "heads"), [(512, 8), (1024, 8)])
def test_assumed_heads_of_an_image_gpt_are_those_of_the_published_models(
    width: int, heads: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(make_imagegpt(width), tmp_path / "model.safetensors")
    import_weights(ImportOptions("imagegpt", tmp_path / "model.safetensors", tmp_path / "gpt"))
    assert GPT.from_pretrained(tmp_path / "gpt").config.heads == heads
    assert f"Assumed: {heads} attention heads, as the published model of this width has" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lm_head.weight", None, "lm_head.weight is missing. It is a model without a head: take one for causal"),
        ("lm_head.weight", torch.zeros(9, 16), r"lm_head.weight has shape \(9, 16\), not \(8, 16\)"),
        ("transformer.h.1.ln_1.weight", None, r"transformer.h.1.ln_1.weight is missing"),
        ("transformer.h.1.crossattention.c_attn.bias", torch.zeros(16), "crossattention.c_attn.bias does not belong"),
        ("transformer.h.0.attn.bias", torch.ones(1, 1, 16, 16), "transformer.h.0.attn.bias is not causal"),
        ("transformer.h.99999999999.ln_1.weight", torch.zeros(16), "a damaged name"),
        ("transformer.wpe.weight", torch.zeros(16), "no matrices transformer.wte.weight and transformer.wpe.weight"),
        ("transformer.h.0.ln_1.bias", torch.zeros(16), "They look like a GPT-2 of transformers"),
    ],
)
def test_faults_of_an_image_gpt_are_named(name: str, value: torch.Tensor | None, message: str, tmp_path: Path) -> None:
    state = load_file(IMAGEGPT / "model.safetensors")
    state = {**state, name: value} if value is not None else {each: state[each] for each in state if each != name}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        import_weights(ImportOptions("imagegpt", tmp_path / "model.safetensors", tmp_path / "gpt", heads=4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"condition": 3}, "--condition 3 belongs to --kind tats"),
        ({"clusters": Path("c.json")}, "--clusters c.json belongs to --kind imagegpt; --kind igpt finds its colours"),
        ({"kind": "vqgan-gpt", "clusters": Path("c.json")}, "--kind vqgan-gpt has no colours: leave it out"),
        ({"kind": "imagegpt", "clusters": Path("c"), "tokenizer": Path("t")}, "--clusters c becomes the tokenizer"),
    ],
)
def test_options_of_another_kind_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImportOptions(**{"kind": "igpt", "weights": Path("w"), "out": Path("o"), **options})


# What strangers made


def import_igpt(path: Path, out: Path) -> None:
    import_weights(ImportOptions("igpt", path, out))


def with_weight(name: str, value: object) -> dict[str, object]:
    return {"model_state_dict": {**make_mingpt(8, 15), name: value}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_state_dict": torch.zeros(2)}, "no dictionary of weights by name"),
        ({"model_state_dict": [1]}, "no dictionary of weights by name"),
        ({"model_state_dict": {3: torch.zeros(2)}}, "no dictionary of weights by name"),
        (with_weight("blocks.99999999999.ln1.weight", torch.zeros(32)), "a damaged name"),
        (
            with_weight("ln_f.bias", torch.zeros(32, dtype=torch.int64)),
            "ln_f.bias is no tensor of floating-point numbers",
        ),
        (with_weight("ln_f.bias", torch.zeros(32, dtype=torch.complex64)), "no tensor of floating-point numbers"),
        (with_weight("ln_f.bias", torch.zeros(32).to(torch.float8_e4m3fn)), "ask for the weights in float32"),
        (with_weight("ln_f.bias", "text"), "ln_f.bias is no tensor of floating-point numbers"),
        (with_weight("ln_f.bias", torch.full((16,), float("nan"))), "NaN or infinite, in norm.bias"),
        (with_weight("ln_f.bias", torch.full((16,), 1e300, dtype=torch.float64)), "NaN or infinite, in norm.bias"),
        ({"clusters": torch.zeros(8, 3, dtype=torch.complex64)}, "not one RGB colour"),
        ({"clusters": "blue"}, "not one RGB colour"),
        ({"model_config": {"n_head": "two"}}, "n_head 'two', which is no whole number"),
        ({"model_config": {"n_head": torch.zeros(3)}}, "n_head tensor.*, which is no whole number"),
        ({"model_config": {"n_head": [[[[1] * 9] * 9] * 9] * 9}}, "which is no whole number"),
        ({"model_config": {"n_head": 10**12}}, "must split into|does not describe|heads"),
    ],
)
def test_odd_checkpoints_end_in_one_line_and_write_nothing(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = save_igpt(tmp_path / "a.pt", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        import_igpt(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precision_is_converted_and_said(
    dtype: torch.dtype, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {name: each.to(dtype) for name, each in make_mingpt(8, 15).items()}
    import_igpt(save_igpt(tmp_path / "a.pt", model_state_dict=state), tmp_path / "out")
    assert f"Converted to float32: weights {len(state)} in {str(dtype)[6:]}." in capsys.readouterr().out
    loaded = GPT.from_pretrained(tmp_path / "out").state_dict()
    assert torch.equal(loaded["norm.bias"], state["ln_f.bias"].float())


def test_blocks_that_share_all_of_their_numbers_are_refused(tmp_path: Path) -> None:
    state = make_mingpt(8, 15)
    block = {name: each for name, each in state.items() if name.startswith("blocks.0.")}
    state |= {
        name.replace("blocks.0.", f"blocks.{index}."): each for index in range(40) for name, each in block.items()
    }
    with pytest.raises(CheckpointError, match="every weight has its own numbers"):
        import_igpt(save_igpt(tmp_path / "a.pt", model_state_dict=state), tmp_path / "out")
