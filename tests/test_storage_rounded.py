"""Models stored in fewer bits: what is read back is one model, whose tokenizer and GPT know each other."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import GPT_SHORT, SHORT, make_clips, make_gpt, make_palette, make_tokenizer

from gpt.model import GPT
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN, load_tokenizer

LEVELS = replace(SHORT, levels=(4, 4, 2))
UNIT = replace(SHORT, normalised=True)


def make(config: VQGANConfig) -> VQGAN:
    """A tokenizer whose codes are moving averages of unequal numbers of vectors."""
    if config.levels:
        return VQGAN(config).eval()
    tokenizer = make_tokenizer(config)
    tokenizer.quantizer.counts.copy_(torch.rand(config.codes, generator=torch.Generator().manual_seed(1)) * 100)
    tokenizer.quantizer.sums.copy_(tokenizer.quantizer.codebook * tokenizer.quantizer.counts[:, None])
    return tokenizer


@pytest.fixture(params=[SHORT, LEVELS, UNIT], ids=["averages", "levels", "unit length"])
def tokenizer(request: pytest.FixtureRequest) -> VQGAN:
    return make(request.param)


def types(folder: Path) -> dict[str, torch.dtype]:
    return {name: tensor.dtype for name, tensor in load_file(folder / "model.safetensors").items()}


def test_floating_point_numbers_are_stored_in_bf16(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path, torch.bfloat16)
    assert set(types(tmp_path).values()) == {torch.bfloat16}


def test_what_codes_are_averages_of_keeps_its_bits(tmp_path: Path) -> None:
    make(SHORT).save_pretrained(tmp_path, torch.bfloat16)
    others = {name: dtype for name, dtype in types(tmp_path).items() if dtype != torch.bfloat16}
    assert others == {
        "quantizer.counts": torch.float32,
        "quantizer.sums": torch.float32,
        "quantizer.initialised": torch.bool,
    }


def test_codes_are_the_averages_that_training_goes_on_with(tmp_path: Path) -> None:
    make(SHORT).save_pretrained(tmp_path, torch.bfloat16)
    quantizer = VQGAN.from_pretrained(tmp_path).quantizer
    torch.testing.assert_close(quantizer.sums / quantizer.counts[:, None], quantizer.codebook, rtol=3e-7, atol=0)


def test_the_model_stays_as_it_is(tokenizer: VQGAN, tmp_path: Path) -> None:
    before = tokenizer.fingerprint
    tokenizer.save_pretrained(tmp_path, torch.bfloat16)
    assert tokenizer.fingerprint == before


def test_without_a_type_all_bits_are_stored(tokenizer: VQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint


def test_the_fingerprint_stays_however_often_it_is_stored(tokenizer: VQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "first", torch.bfloat16)
    rounded = load_tokenizer(tmp_path / "first")
    rounded.save_pretrained(tmp_path / "second", torch.bfloat16)
    rounded.save_pretrained(tmp_path / "third")
    again = [load_tokenizer(tmp_path / folder).fingerprint for folder in ("second", "third")]
    assert again == [rounded.fingerprint] * 2
    assert rounded.fingerprint != tokenizer.fingerprint


def test_its_tokens_are_those_of_its_rounded_weights(tokenizer: VQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "first", torch.bfloat16)
    rounded = load_tokenizer(tmp_path / "first")
    rounded.save_pretrained(tmp_path / "second", torch.bfloat16)
    clips = make_clips(frames=8)
    assert torch.equal(rounded.encode(clips), load_tokenizer(tmp_path / "second").encode(clips))


def test_a_gpt_of_its_tokens_knows_the_rounded_tokenizer(tmp_path: Path) -> None:
    make(SHORT).save_pretrained(tmp_path / "tokenizer", torch.bfloat16)
    fingerprint = load_tokenizer(tmp_path / "tokenizer").fingerprint
    make_gpt(replace(GPT_SHORT, tokenizer=fingerprint)).save_pretrained(tmp_path, torch.bfloat16)
    GPT.from_pretrained(tmp_path).config.check_tokens((2, 4, 4), 32, load_tokenizer(tmp_path).fingerprint)


def test_numbers_are_the_nearest_of_the_type(tmp_path: Path) -> None:
    gpt = make_gpt()
    gpt.save_pretrained(tmp_path, torch.bfloat16)
    assert torch.equal(GPT.from_pretrained(tmp_path).head.weight, gpt.head.weight.bfloat16().float())


def test_a_tensor_beyond_the_range_of_the_type_keeps_its_own(tmp_path: Path) -> None:
    gpt = make_gpt()
    with torch.no_grad():
        gpt.head.weight[0, 0] = 1e5
    gpt.save_pretrained(tmp_path, torch.float16)
    assert types(tmp_path)["head.weight"] == torch.float32
    assert GPT.from_pretrained(tmp_path).head.weight[0, 0] == 1e5


def test_it_takes_half_the_bytes(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "all")
    make_gpt().save_pretrained(tmp_path / "half", torch.bfloat16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("all", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_a_palette_is_stored_so_too(tmp_path: Path) -> None:
    make_palette().save_pretrained(tmp_path, torch.bfloat16)
    assert types(tmp_path) == {"colours": torch.bfloat16}


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.complex64])
def test_types_that_are_no_floats_of_a_file_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"^weights cannot be stored as .*: one of float32, float64, .* is needed"):
        make_gpt().save_pretrained(tmp_path, dtype)
