"""VidTok's tokenizers: they compute what the published formulas say, and know which frames they take."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_vidtok import Design, Reference, settings_for, weights_for
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips

from sampling.completion import render
from sampling.options import Prompt
from sampling.prompts import count_frames, encode_prompt, prompt_extent
from vqgan.foreign.convert import convert_vidtok, vidtok_config
from vqgan.foreign.import_weights import vidtok_settings
from vqgan.foreign.vidtok import VidTok, VidTokConfig, check_frames
from vqgan.leakage import latent_frame_changes, prompt_changes
from vqgan.model import load_tokenizer

CAUSAL = Design()
AHEAD = replace(CAUSAL, causal=False, down=(0, 1), up=(1, 2))
# Group norms of causal models take groups of channels at one position: of two or fewer they would be ill-conditioned.
DESIGNS = {
    "causal": CAUSAL,
    "causal with group norm": replace(CAUSAL, width=128, multipliers=(1, 1, 1), norm="groupnorm"),
    "causal of four levels": replace(CAUSAL, multipliers=(1, 1, 2, 1), down=(1, 2), up=(1, 2)),
    "causal with odd levels": replace(CAUSAL, levels=(8, 5, 5)),
    "looking ahead": AHEAD,
    "looking ahead with group norm": replace(AHEAD, width=64, multipliers=(1, 1, 1), norm="groupnorm"),
    "version 1.1": replace(CAUSAL, version="1.1"),
    "version 1.1 of eight frames": replace(
        CAUSAL, version="1.1", multipliers=(1, 1, 2, 1), down=(0, 1, 2), up=(1, 2, 3)
    ),
}


def load(design: Design, size: int = 16) -> VidTok:
    tensors = convert_vidtok(weights_for(design))
    config = vidtok_config(tensors, vidtok_settings(settings_for(design, size), Path("a.yaml")))
    model = VidTok(config)
    model.load_state_dict(tensors)
    return model.eval()


@pytest.fixture(scope="module")
def causal() -> VidTok:
    return load(CAUSAL)


@pytest.fixture(scope="module")
def ahead() -> VidTok:
    return load(AHEAD)


@pytest.mark.parametrize("name", DESIGNS)
def test_tokens_are_those_of_the_published_formulas(name: str) -> None:
    tokenizer = load(DESIGNS[name])
    clips = make_clips(2, tokenizer.frames, 16)
    reference = Reference(DESIGNS[name], weights_for(DESIGNS[name])).encode(clips)
    assert tokenizer.encode(clips).eq(reference).float().mean() >= 0.99
    assert len(reference.unique()) > 8


@pytest.mark.parametrize("name", DESIGNS)
def test_reconstructions_are_those_of_the_published_formulas(name: str) -> None:
    tokenizer = load(DESIGNS[name])
    grid = tokenizer.grid(tokenizer.frames, 16, 16)
    tokens = torch.randint(tokenizer.vocab_size, (2, *grid), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clips = tokenizer.reconstruct(tokens)
    expected = Reference(DESIGNS[name], weights_for(DESIGNS[name])).decode(tokens)
    assert clips.shape == expected.shape == (2, 3, tokenizer.frames, 16, 16)
    assert torch.allclose(clips, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["causal", "looking ahead", "version 1.1"])
def test_stills_are_those_of_the_published_formulas(name: str) -> None:
    tokenizer = load(DESIGNS[name])
    clips = make_clips(2, 1, 16)
    whole = clips if tokenizer.causal else clips.expand(-1, -1, 4, -1, -1)
    reference = Reference(DESIGNS[name], weights_for(DESIGNS[name])).encode(whole)
    assert tokenizer.encode(clips).eq(reference).float().mean() >= 0.95
    assert tokenizer.decode_frames(reference, 1).shape == clips.shape


@pytest.mark.parametrize(("frames", "latent"), [(1, 1), (5, 2), (9, 3), (17, 5)])
def test_a_causal_model_takes_one_frame_more_than_a_multiple(causal: VidTok, frames: int, latent: int) -> None:
    tokens = causal.encode(make_clips(1, frames, 16))
    assert tokens.shape == (1, latent, 4, 4) == (1, *causal.grid(frames, 16, 16))
    assert causal.decode(tokens).shape[2] == causal.frames_of(latent) == frames


@pytest.mark.parametrize(("frames", "latent"), [(1, 1), (4, 1), (8, 2), (16, 4)])
def test_a_model_that_looks_ahead_takes_multiples(ahead: VidTok, frames: int, latent: int) -> None:
    assert ahead.encode(make_clips(1, frames, 16)).shape == (1, latent, 4, 4) == (1, *ahead.grid(frames, 16, 16))


@pytest.mark.parametrize(
    ("frames", "causal", "message"),
    [
        (16, True, "clips of 16 frames are not one and a multiple of 4, as it takes: 1 or 13 or 17 would be"),
        (2, True, "clips of 2 frames are not one and a multiple of 4, as it takes: 1 or 5 would be"),
        (0, True, "1 or 5 would be"),
        (17, False, "clips of 17 frames are not a multiple of 4, as it takes: 1 or 16 or 20 would be"),
        (0, False, "1 or 4 would be"),
    ],
)
def test_other_numbers_of_frames_are_refused_with_those_it_takes(frames: int, causal: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_frames(frames, 4, causal)


@given(st.integers(1, 400), st.sampled_from([1, 2, 4, 8]), st.booleans())
def test_frames_that_are_named_are_taken(frames: int, factor: int, causal: bool) -> None:
    try:
        check_frames(frames, factor, causal)
    except ValueError as error:
        named = [int(word) for word in str(error).split("takes: ")[1].split() if word.isdigit()]
        for each in named:
            check_frames(each, factor, causal)


def test_pixels_that_do_not_divide_are_refused(causal: VidTok) -> None:
    with pytest.raises(ValueError, match="clips of 16x18 pixels do not divide into 4s; 16 would"):
        causal.encode(torch.zeros(1, 3, 5, 16, 18))


@pytest.mark.parametrize("design", [CAUSAL, replace(CAUSAL, version="1.1"), DESIGNS["causal with group norm"]])
def test_a_latent_frame_of_a_causal_model_depends_on_no_later_frame(design: Design) -> None:
    tokenizer = load(design)
    clips = make_clips(1, 13, 16)
    tokens = tokenizer.encode(clips)
    for latent in range(1, 4):
        shown = tokenizer.frames_of(latent)
        changed = torch.cat([clips[:, :, :shown], -clips[:, :, shown:]], dim=2)
        assert torch.equal(tokens[:, :latent], tokenizer.encode(changed)[:, :latent])


def test_a_frame_belongs_to_the_first_latent_frame_that_it_changes(causal: VidTok) -> None:
    clips = make_clips(2, 17, 16)
    changed = clips.clone()
    changed[:, :, 5] *= -1
    differ = causal.encode(clips).ne(causal.encode(changed)).flatten(2).any(dim=2).any(dim=0)
    assert differ.tolist()[:3] == [False, False, True]


def test_leakage_is_none_of_a_causal_model_and_some_of_another(causal: VidTok, ahead: VidTok) -> None:
    assert latent_frame_changes(causal) == 0
    assert (latent_frame_changes(ahead) or 0) > 0


def test_half_of_a_clip_ends_where_a_latent_frame_ends(causal: VidTok) -> None:
    assert prompt_extent(causal, Prompt("half-clip"), (17, 16, 16)).pixels == (5, 16, 16)
    assert not prompt_changes(causal, make_clips(1, 17, 16)).any()


def test_a_prompt_of_a_causal_model_is_the_same_alone_and_in_full(causal: VidTok) -> None:
    clips = make_clips(2, 17, 16)
    alone, full = (encode_prompt(causal, clips, Prompt("half-clip", encoding=each)) for each in ("alone", "full"))
    assert torch.equal(alone, full)


@pytest.mark.parametrize(("seconds", "frames"), [(17 / 8, 17), (5 / 8, 5), (1 / 8, 1)])
def test_seconds_are_counted_from_the_first_frame(causal: VidTok, seconds: float, frames: int) -> None:
    assert count_frames(causal, seconds) == frames


def test_seconds_between_latent_frames_are_refused_with_those_that_are_none(causal: VidTok) -> None:
    with pytest.raises(ValueError, match=r"no whole number of latent frames of 0\.5 s: 1\.625 or 2\.125 would be"):
        count_frames(causal, 2)


@pytest.mark.parametrize("name", ["causal", "looking ahead", "version 1.1"])
def test_a_long_clip_is_decoded_in_pieces_as_in_one(name: str) -> None:
    tokenizer = load(replace(DESIGNS[name], multipliers=(1, 1, 1), width=2))
    tokens = torch.randint(tokenizer.vocab_size, (70, 2, 2), generator=torch.Generator().manual_seed(0))
    whole = tokenizer.decode(tokens[None])[0]
    assert torch.allclose(render(tokenizer, tokens, whole.shape[1]), whole, rtol=0, atol=1e-4)


def test_a_vocabulary_of_six_dimensions_of_eight_is_had() -> None:
    tokenizer = load(replace(CAUSAL, levels=(8,) * 6))
    tokens = tokenizer.encode(make_clips(1, 17, 16))
    assert tokenizer.vocab_size == 262144
    assert tokens.max() > 65536


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2), st.sampled_from([8, 12, 16]), st.sampled_from([8, 12, 16]))
def test_decoding_gives_the_size_that_was_encoded(latent: int, rows: int, columns: int) -> None:
    tokenizer = load(CAUSAL)
    clips = torch.zeros(1, 3, 1 + 4 * latent, rows, columns)
    assert tokenizer.decode(tokenizer.encode(clips)).shape == clips.shape


def test_it_is_the_same_after_saving(causal: VidTok, tmp_path: Path) -> None:
    causal.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.causal
    assert loaded.fingerprint == causal.fingerprint
    assert torch.equal(loaded.encode(make_clips(1, 5, 16)), causal.encode(make_clips(1, 5, 16)))


def test_leakage_is_no_part_of_the_fingerprint(ahead: VidTok) -> None:
    before = ahead.fingerprint
    again = load(AHEAD)
    again.config = replace(again.config, leakage=0.5)
    assert again.fingerprint == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 16}, "clips of 16 frames are not one and a multiple of 4"),
        ({"norm": "batch"}, "norm 'batch' must be one of layer, group"),
        ({"before": "last"}, "before 'last' must be one of zeros, first"),
        ({"resolution": 100}, "resolution 100 must be a multiple of 8"),
        ({"multipliers": ()}, "multipliers of 0 levels"),
        ({"down_levels": (2, 1)}, r"down_levels \(2, 1\) must be levels from 0 to 2, each once, in order"),
        ({"up_levels": (0, 1)}, r"up_levels \(0, 1\) must be levels from 1 to 3"),
        ({"up_levels": (1,)}, "2 down_levels and 1 up_levels must be as many"),
        ({"levels": ()}, "must be one or more"),
        ({"levels": (65536, 65536)}, "of at most 2,147,483,647 codes together"),
        ({"width": 4, "norm": "group"}, "must divide into 32 groups"),
        ({"causal": False, "frames": 16, "smooth": True}, "of version 1.1, which has causal models only"),
        ({"frames": 4097, "resolution": 2048}, "more than the 268,435,456 that a clip can have"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VidTokConfig(**change)  # type: ignore[arg-type]
