"""In which numbers a tokenizer encodes: what stays in fp32, and that a store says and keeps it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import IMAGE, SHORT, make_clips, make_images, make_tokenizer
from torch import Tensor, nn

from data.tokens import TokenStore
from storage.run_folder import RunFolderError
from training.precision import bf16_speed, layers_in
from vqgan.encode import encode
from vqgan.evaluate import evaluate
from vqgan.options import EncodeOptions, EvaluateOptions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"), count=6)


@pytest.fixture(scope="module")
def image_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(IMAGE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def store(images: Path, image_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(options(image_tokenizer, images, tmp_path_factory.mktemp("store"), "bf16!"))


def options(tokenizer: Path, data: Path, out: Path, precision: Any = "fp32", **changes: Any) -> EncodeOptions:
    return EncodeOptions(tokenizer, data, out, workers=0, precision=precision, **changes)


def dtypes_while_encoding(module: nn.Module, tokenizer: Any) -> set[torch.dtype]:
    """Return the types of what a layer was given and gave back, while a clip was encoded in bf16."""
    found: set[torch.dtype] = set()

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        found.update({inputs[0].dtype, output.dtype if isinstance(output, Tensor) else output.codes.dtype})

    with module.register_forward_hook(note), layers_in("bf16", CPU):
        tokenizer.encode(make_clips(1, 8))
    return found


def test_codes_are_found_in_fp32_whatever_layers_compute_in() -> None:
    tokenizer = make_tokenizer(SHORT)
    assert dtypes_while_encoding(tokenizer.quantizer, tokenizer) == {torch.float32}


def test_pixels_and_latents_keep_the_digits_of_fp32() -> None:
    tokenizer = make_tokenizer(SHORT)
    assert dtypes_while_encoding(tokenizer.encoder.first, tokenizer) == {torch.float32}
    assert dtypes_while_encoding(tokenizer.encoder.last, tokenizer) == {torch.float32}


def test_layers_in_between_compute_in_bf16() -> None:
    tokenizer = make_tokenizer(SHORT)
    assert torch.bfloat16 in dtypes_while_encoding(tokenizer.encoder.downsamples[0], tokenizer)


def test_in_fp32_the_encoder_of_training_and_that_of_encoding_are_one() -> None:
    tokenizer, clip = make_tokenizer(SHORT), make_clips(1, 8)
    assert torch.equal(tokenizer.encoder(clip), tokenizer.encoder.exact_at_ends(clip))


def test_a_store_says_that_its_tokens_are_of_bf16(store: Path) -> None:
    recorded = json.loads((store / "config.json").read_text())["precision"]
    assert (TokenStore(store).metadata.precision, recorded) == ("bf16", "bf16")


def test_a_store_of_fp32_has_the_metadata_it_always_had(images: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    out = encode(options(image_tokenizer, images, tmp_path / "store"))
    assert "precision" not in json.loads((out / "metadata.json").read_text())
    assert "precision" not in json.loads((out / "plan.json").read_text())["metadata"]
    assert TokenStore(out).metadata.precision == "fp32"


def test_precisions_are_not_mixed_in_a_store(store: Path, images: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    with pytest.raises(RunFolderError, match=r"other options \(--precision bf16 -> fp32\)"):
        encode(options(image_tokenizer, images, copy, "fp32", resume="auto"))


def test_an_encoding_that_goes_on_keeps_its_precision(images: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    out = encode(options(image_tokenizer, images, tmp_path / "store"))
    encode(options(image_tokenizer, images, out, "auto", resume="auto"))
    assert json.loads((out / "config.json").read_text())["precision"] == "fp32"


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_a_finished_encoding_is_refused_as_such_whatever_it_was_made_in(
    precision: str, store: Path, images: Path, image_tokenizer: Path
) -> None:
    with pytest.raises(RunFolderError, match=r"already holds a run: continue it with --resume auto"):
        encode(options(image_tokenizer, images, store, precision))


def test_bf16_is_refused_where_it_is_slower_before_anything_is_written(
    images: Path, image_tokenizer: Path, tmp_path: Path
) -> None:
    if bf16_speed(CPU) < 1:
        with pytest.raises(ValueError, match=r"^--precision bf16 is 0\.\d+x as fast as fp32 on this processor: give"):
            encode(options(image_tokenizer, images, tmp_path / "store", "bf16"))
    assert not (tmp_path / "store").exists()


def test_scores_in_bf16_say_so_and_are_close(images: Path, image_tokenizer: Path, tmp_path: Path) -> None:
    whole = evaluate(EvaluateOptions(image_tokenizer, images, tmp_path / "fp32"))
    half = evaluate(EvaluateOptions(image_tokenizer, images, tmp_path / "bf16", precision="bf16!"))
    assert half["psnr_db"] == pytest.approx(whole["psnr_db"], rel=0.02)
    said = [json.loads((tmp_path / name / "metrics.json").read_text()).get("precision") for name in ("fp32", "bf16")]
    assert said == [None, "bf16"]
