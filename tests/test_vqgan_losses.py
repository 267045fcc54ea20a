"""Losses of the tokenizer, and the adversary's weight beside them."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_clips

from storage.options import leaves
from vqgan.losses import adaptive_weight, adversarial_share, reconstruction_loss
from vqgan.options import AdversaryOptions, TrainOptions


def test_a_perfect_reconstruction_costs_nothing() -> None:
    assert reconstruction_loss(make_clips(), make_clips(), None, 1.0) == 0


def test_the_pixel_error_is_absolute_and_squared() -> None:
    clips = torch.zeros(1, 3, 2, 4, 4)
    assert float(reconstruction_loss(clips + 0.5, clips, None, 1.0)) == pytest.approx(0.5 + 2 * 0.25)


def error_of(*colour: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips that are one colour off their originals everywhere, and these."""
    clips = torch.zeros(1, 3, 2, 4, 4)
    return clips + torch.tensor(colour)[:, None, None, None], clips


def test_the_chroma_of_an_error_is_what_its_luma_leaves() -> None:
    """Of an error of red alone luma is .2126, which leaves .7874 of red and takes .2126 of green and blue."""
    parts = torch.tensor([0.7874, -0.2126, -0.2126])
    chroma = (parts.abs() + 2 * parts.square()).mean()
    plain = reconstruction_loss(*error_of(1, 0, 0), None, 1.0)
    weighted = reconstruction_loss(*error_of(1, 0, 0), None, 1.0, chroma_weight=3.0)
    assert float(weighted - plain) == pytest.approx(3 * float(chroma), rel=1e-5)


def test_a_grey_error_has_no_chroma() -> None:
    plain = reconstruction_loss(*error_of(0.3, 0.3, 0.3), None, 1.0)
    weighted = reconstruction_loss(*error_of(0.3, 0.3, 0.3), None, 1.0, chroma_weight=8.0)
    assert float(weighted) == pytest.approx(float(plain), abs=1e-5)


def test_the_chroma_keeps_its_digits_in_lower_precision() -> None:
    decoded, clips = error_of(0.31, 0.29, 0.3)
    exact = reconstruction_loss(decoded, clips, None, 1.0, chroma_weight=8.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert reconstruction_loss(decoded, clips, None, 1.0, chroma_weight=8.0) == exact


def test_the_same_error_everywhere_has_no_gradient() -> None:
    decoded, clips = error_of(0.5, -0.2, 0.1)
    plain = reconstruction_loss(decoded, clips, None, 1.0)
    assert reconstruction_loss(decoded, clips, None, 1.0, gradient_weight=5.0) == plain


def test_the_gradient_of_an_error_is_that_between_neighbours() -> None:
    """A column that is .5 off has 4 differences to its right and 4 to its left among the 16 pixels of a frame."""
    clips = torch.zeros(1, 3, 2, 4, 4)
    decoded = clips.clone()
    decoded[..., 1] = 0.5
    plain = reconstruction_loss(decoded, clips, None, 1.0)
    weighted = reconstruction_loss(decoded, clips, None, 1.0, gradient_weight=2.0)
    assert float(weighted - plain) == pytest.approx(2 * 8 * 0.5 / 16)


def test_rows_have_neighbours_as_columns_do() -> None:
    decoded, clips = make_clips(), make_clips(seed=1)
    turned = (decoded.transpose(-1, -2), clips.transpose(-1, -2))
    losses = [reconstruction_loss(*pair, None, 1.0, gradient_weight=1.0) for pair in ((decoded, clips), turned)]
    assert float(losses[0]) == pytest.approx(float(losses[1]))


def test_a_single_pixel_has_no_gradient() -> None:
    clips = torch.zeros(1, 3, 2, 1, 1)
    assert float(reconstruction_loss(clips + 0.5, clips, None, 1.0, gradient_weight=1.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["chroma_weight", "gradient_weight"])
def test_runs_of_before_had_neither_chroma_nor_gradient_in_their_loss(name: str) -> None:
    assert leaves(TrainOptions)[name].before == 0


@pytest.mark.parametrize("name", ["chroma_weight", "gradient_weight"])
def test_negative_weights_of_the_loss_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} -1 must not be negative"):
        TrainOptions.of(data=tmp_path, out=tmp_path, **{name: -1})


def test_the_adversary_has_no_share_until_it_begins() -> None:
    assert adversarial_share(10, AdversaryOptions(adversarial_start=10)) == 0


def test_the_adversary_has_its_full_share_after_the_ramp() -> None:
    assert adversarial_share(30, AdversaryOptions(adversarial_start=10, adversarial_ramp=20)) == 1


@given(st.integers(0, 10_000), st.integers(0, 5_000), st.integers(1, 5_000))
def test_the_share_never_falls(step: int, start: int, ramp: int) -> None:
    options = AdversaryOptions(adversarial_start=start, adversarial_ramp=ramp)
    assert 0 <= adversarial_share(step, options) <= adversarial_share(step + 1, options) <= 1


def test_the_adaptive_weight_makes_both_gradients_equally_long() -> None:
    last = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    reconstruction, adversarial = last.square().sum(), 100 * last.sin().sum()
    weight = adaptive_weight(reconstruction, adversarial, last)
    wanted, given_ = (torch.autograd.grad(loss, last)[0] for loss in (reconstruction, weight * adversarial))
    assert float(given_.norm()) == pytest.approx(float(wanted.norm()), rel=1e-5)


def test_an_adversary_without_gradient_gets_a_finite_weight() -> None:
    last = torch.ones(2, requires_grad=True)
    assert adaptive_weight(1e9 * last.sum(), 0 * last.sum(), last) == 1e4


@pytest.mark.parametrize(
    ("name", "value"), [("adversarial_weight", -0.1), ("adversarial_start", -1), ("feature_matching", -1)]
)
def test_negative_options_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} {value} must not be negative"):
        AdversaryOptions(**{name: value})


@pytest.mark.parametrize("name", ["adversarial_ramp", "discriminator_width", "discriminator_layers"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} 0 must be at least 1"):
        AdversaryOptions(**{name: 0})
