"""What holds of every tokenizer: clips and stills that it decodes have the frames that were asked for."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from looking_ahead import make_tats
from tiny import GPT_SHORT, IMAGE, SHORT, make_clips, make_palette, make_tokenizer

from gpt.config import MismatchError
from storage.checksums import fingerprint, fingerprint_before
from storage.fingerprints import same_fingerprint
from vqgan.model import VQGAN
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer


def test_a_still_is_the_last_frame_of_its_latent_frame() -> None:
    model = make_tokenizer(SHORT)
    tokens = model.encode(make_clips(2, 1))
    assert torch.equal(model.decode_frames(tokens, 1), model.decode(tokens)[:, :, 3:])


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tats()], ids=["causal", "looking ahead"])
def test_of_a_clip_all_frames_are_decoded(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(make_clips(2, 8))
    assert torch.equal(tokenizer.decode_frames(tokens, 8), tokenizer.decode(tokens))


@pytest.mark.parametrize("tokenizer", [make_tokenizer(IMAGE), make_palette(size=16)], ids=["images", "palette"])
def test_an_image_is_decoded_as_it_is_by_a_tokenizer_of_images(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(make_clips(2, 1))
    assert torch.equal(tokenizer.decode_frames(tokens, 1), tokenizer.decode(tokens))


# Fingerprints: what they depend on, and what they do not


def changed_config(**changes: object) -> VQGAN:
    """The tokenizer of `IMAGE` with other values in its config, and the same tensors."""
    tokenizer = make_tokenizer(IMAGE)
    tokenizer.config = replace(IMAGE, **changes)
    return tokenizer


def halves(tokenizer: Tokenizer) -> tuple[str, str]:
    """The fingerprint of today, and that of versions before."""
    today, _, before = tokenizer.fingerprint.partition("-")
    return today, before


@pytest.mark.parametrize(
    "changes",
    [{"normalised": True}, {"fps": 4.0}, {"resolution": 32}, {"frames": 3}, {"strides": ((1, 1),)}, {"patch": 4}],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_in_the_config_changes_tokens_changes_the_fingerprint(changes: dict[str, object]) -> None:
    assert halves(changed_config(**changes))[0] != halves(make_tokenizer(IMAGE))[0]


@pytest.mark.parametrize("changes", [{"commitment": 0.5}, {"codebook_decay": 0.5}, {"fps": 8}])
def test_what_only_training_needs_does_not_change_the_fingerprint(changes: dict[str, object]) -> None:
    assert halves(changed_config(**changes))[0] == halves(make_tokenizer(IMAGE))[0]


def test_options_of_learned_codes_do_not_matter_where_there_are_none() -> None:
    scalar = replace(IMAGE, levels=(4, 4))
    torch.manual_seed(0)
    tokenizer = VQGAN(scalar)
    before = tokenizer.fingerprint
    tokenizer.config = replace(scalar, codes=99, code_width=7, normalised=True)
    assert tokenizer.fingerprint == before


def test_the_names_of_tensors_change_the_fingerprint() -> None:
    tensor = torch.arange(4.0)
    assert fingerprint({}, {"a": tensor}) != fingerprint({}, {"b": tensor})


def test_the_shapes_of_tensors_change_the_fingerprint() -> None:
    tensor = torch.arange(4.0)
    assert fingerprint({}, {"a": tensor}) != fingerprint({}, {"a": tensor.view(2, 2)})


def test_the_types_of_tensors_change_the_fingerprint() -> None:
    tensor = torch.zeros(4, dtype=torch.float32)
    assert fingerprint({}, {"a": tensor}) != fingerprint({}, {"a": tensor.view(torch.int32)})


def test_names_and_numbers_cannot_be_mistaken_for_one_another() -> None:
    # Of versions before these two are the same: a name that goes on is what a tensor begins with.
    one = {"a": torch.tensor([98], dtype=torch.uint8), "c": torch.tensor([1], dtype=torch.uint8)}
    other = {"ab": torch.tensor([99, 1], dtype=torch.uint8)}
    assert fingerprint_before({}, one) == fingerprint_before({}, other)
    assert fingerprint({}, one) != fingerprint({}, other)


def test_the_kind_changes_the_fingerprint() -> None:
    class Another(VQGAN):
        kind = "test-another"

    another = Another(IMAGE)
    another.load_state_dict(make_tokenizer(IMAGE).state_dict())
    assert halves(another)[0] != halves(make_tokenizer(IMAGE))[0]


def test_half_precision_changes_the_fingerprint_and_back_only_where_digits_were_lost() -> None:
    assert make_tokenizer(IMAGE).half().fingerprint != make_tokenizer(IMAGE).fingerprint
    assert make_tokenizer(IMAGE).bfloat16().fingerprint != make_tokenizer(IMAGE).fingerprint
    assert make_tokenizer(IMAGE).double().float().fingerprint == make_tokenizer(IMAGE).fingerprint


def test_the_order_in_memory_does_not_change_the_fingerprint() -> None:
    tensor = torch.randn(2, 3, 4, 4)
    ordered = tensor.to(memory_format=torch.channels_last)
    assert fingerprint({}, {"a": tensor, "b": tensor}) == fingerprint({}, {"b": ordered, "a": ordered})


def test_the_fingerprint_of_versions_before_is_still_there() -> None:
    config = {"size": 2, "frames": 1, "fps": 1.0}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    digest.update(b"colours")
    colours = torch.arange(6.0).view(2, 3) / 6
    digest.update(colours.numpy().tobytes())
    assert halves(Palette(colours, 2))[1] == digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("aa-bb", "aa-bb", True),
        ("aa-bb", "cc-bb", False),
        ("aa-bb", "bb", True),
        ("bb", "aa-bb", True),
        ("bb", "bb", True),
        ("bb", "cc", False),
        ("aa-bb", "aa", False),
        ("aa-bb", "", False),
    ],
)
def test_fingerprints_of_versions_before_are_accepted(one: str, other: str, same: bool) -> None:
    assert same_fingerprint(one, other) == same


def test_a_gpt_of_the_version_before_takes_the_tokens_of_its_tokenizer() -> None:
    tokenizer = make_tokenizer(SHORT)
    before = replace(GPT_SHORT, tokenizer=halves(tokenizer)[1])
    before.check_tokens((2, 4, 4), 32, tokenizer.fingerprint)
    with pytest.raises(MismatchError, match="the GPT learned the tokens of tokenizer"):
        before.check_tokens((2, 4, 4), 32, make_tokenizer(SHORT, seed=1).fingerprint)


def test_a_gpt_of_today_takes_tokens_of_a_store_of_the_version_before() -> None:
    tokenizer = make_tokenizer(SHORT)
    replace(GPT_SHORT, tokenizer=tokenizer.fingerprint).check_tokens((2, 4, 4), 32, halves(tokenizer)[1])
